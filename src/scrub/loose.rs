//! Credentials that stand without a name: behind a scheme, in a subprotocol, in the authority of a
//! URL; and those that we make ourselves, wherever they stand.

use crate::secret::issued;

use super::{
    REDACTED,
    assignment::{Form, Value, skip_encoded_blanks},
    unit::{before, unit},
    value::{End, is_of_token, placeholder},
};

/// What is searched for, in the order of [`Loose`]'s variants.
pub(super) const NEEDLES: [&[u8]; 13] = [
    b"base64url.bearer.authorization.k8s.io.",
    b"openai-insecure-api-key.",
    b"xai-client-secret.",
    b"ai-gateway-auth.",
    b"Bearer",
    b"bearer",
    b"BEARER",
    b"Basic",
    b"basic",
    b"BASIC",
    issued::PREFIX.as_bytes(),
    issued::TICKET.as_bytes(),
    issued::COOKIE.as_bytes(),
];

/// No needle is longer.
pub(super) const LONGEST_NEEDLE: usize = 64;

/// What one of [`NEEDLES`] announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loose {
    /// A credential in a subprotocol, behind the last dot.
    Subprotocol,
    /// A bearer token, if it looks like one.
    Bearer,
    /// A user name and a password in base64.
    Basic,
    /// A credential that we made, or the most of one.
    Issued,
}

impl Loose {
    /// What the needle of this number announces.
    pub(super) const fn of(needle: usize) -> Self {
        match needle {
            0..=3 => Self::Subprotocol,
            4..=6 => Self::Bearer,
            7..=9 => Self::Basic,
            _ => Self::Issued,
        }
    }

    /// What it is called in a report.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Subprotocol => "Sec-WebSocket-Protocol",
            Self::Bearer => "Bearer",
            Self::Basic => "Basic",
            Self::Issued => issued::PREFIX,
        }
    }

    /// The credential behind a needle that stands between `start` and `end`.
    pub(super) fn value(self, bytes: &[u8], start: usize, end: usize) -> Option<Value> {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' && self != Self::Issued;
        if before(bytes, start).is_some_and(|(byte, _)| is_inside(byte)) {
            return None;
        }
        let at = match self {
            Self::Issued => start,
            Self::Subprotocol => end,
            Self::Bearer | Self::Basic => skip_encoded_blanks(bytes, end),
        };
        let is_one = match self {
            Self::Issued => {
                let word =
                    beginning(bytes, end).iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
                word >= LEAST_OF_ISSUED
            }
            Self::Subprotocol => unit(bytes, at).is_some_and(is_of_token),
            Self::Bearer => at > end && looks_like_a_token(&beginning(bytes, at)),
            Self::Basic => at > end && is_user_and_password(&beginning(bytes, at)),
        };
        let end = if self == Self::Issued { End::Issued } else { End::Token };
        (is_one && placeholder(bytes, at, end).is_none()).then_some(Value {
            start: at,
            end,
            form: Form::Single,
        })
    }
}

/// So many characters behind the prefix of a credential that we made are the most of it, or more than a
/// reader should see.
const LEAST_OF_ISSUED: usize = 16;

/// So many characters of a token are looked at.
const LOOKED_AT: usize = 64;

/// The beginning of the token at `at`.
fn beginning(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut token = Vec::with_capacity(LOOKED_AT);
    let mut at = at;
    while token.len() < LOOKED_AT
        && let Some(unit) = unit(bytes, at).filter(|unit| is_of_token(*unit))
    {
        token.push(unit.byte);
        at += unit.length;
    }
    token
}

/// Prose goes on with a word behind "bearer"; tokens are long, and have digits. What was redacted in
/// part is none: it may be long only since then.
fn looks_like_a_token(token: &[u8]) -> bool {
    let is_redacted = || token.windows(REDACTED.len()).any(|part| part == REDACTED);
    token.len() >= 8 && token.iter().any(u8::is_ascii_digit) && !is_redacted()
}

/// Whether base64 holds a colon.
fn is_user_and_password(token: &[u8]) -> bool {
    use base64::{
        alphabet::STANDARD,
        engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig},
    };
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    // Of a long one only the beginning is here. It has no dot, and `=` at its end only: behind another
    // one `REDACTED` may stand, and must not make it one.
    let mut unpadded = token.iter().rev().skip_while(|byte| **byte == b'=');
    token.len() == LOOKED_AT && unpadded.all(|byte| !matches!(byte, b'.' | b'='))
        || LENIENT.decode(token).is_ok_and(|text| text.contains(&b':'))
}

/// The longest user information of a URL, in raw bytes.
const LONGEST_USER_INFORMATION: usize = 1024;

/// The user information of a URL, if it is a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UserInformation {
    /// Where it begins, behind `//`.
    pub(super) start: usize,
    /// Where its `@` is.
    pub(super) end: usize,
}

/// The user information behind the colon at `at`, if that is a scheme's. A user name alone is a
/// credential if it looks like a token.
pub(super) fn user_information(bytes: &[u8], at: usize) -> Option<UserInformation> {
    let colon = unit(bytes, at)?;
    before(bytes, at).filter(|(byte, _)| byte.is_ascii_alphanumeric())?;
    let mut start = at + colon.length;
    for _ in 0..2 {
        start += unit(bytes, start).filter(|unit| unit.byte == b'/')?.length;
    }
    let mut at = start;
    let mut end = None;
    let mut has_colon = false;
    let mut ends_with_colon = false;
    let mut characters = Vec::new();
    while at - start < LONGEST_USER_INFORMATION
        && let Some(unit) = unit(bytes, at)
    {
        let is_content = unit.depth > colon.depth;
        if !is_content && (unit.is_blank() || b"/?#\"'<>\\`|&{},;".contains(&unit.byte)) {
            break;
        }
        if !is_content && unit.byte == b'@' {
            end = Some((at, characters.len()));
            ends_with_colon = has_colon;
        }
        has_colon |= unit.byte == b':';
        characters.push(unit.byte);
        at += unit.length;
    }
    let (end, length) = end?;
    let user = characters.get(..length)?;
    let is_credential = ends_with_colon || user.len() >= 20 && looks_like_a_token(user);
    (is_credential && user != REDACTED).then_some(UserInformation { start, end })
}
