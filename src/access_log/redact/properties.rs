//! The laws of redaction, stated once. A law takes bytes and panics when it does not hold;
//! generated tests and the fuzz target `redact` share them.

use url::form_urlencoded;

use super::RedactedTarget;
use crate::handshake::{Presented, head::Head, properties::Setting};

#[cfg(test)]
mod generated;

/// Parameters that may be shown; the second also carries a credential, and so may not.
const SHOW: [&str; 3] = ["resend_mode", "session_api_key", "limit"];
const CREDENTIAL: [&str; 2] = ["session_api_key", "token"];

/// No line shows more of a target than this many bytes.
const LONGEST_TEXT: usize = 2500;

/// A query up to here is shown whole, as far as it may be shown.
const WHOLE_QUERY: usize = 300;

fn redact(target: &[u8]) -> String {
    redact_own(target, &Presented::default())
}

fn redact_own(target: &[u8], presented: &Presented<'_>) -> String {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    RedactedTarget::of(target, &owned(&SHOW), &owned(&CREDENTIAL), presented).as_str().to_owned()
}

/// The laws of redaction for any bytes as a target, `filler` being what may stand where it hides.
///
/// # Panics
/// When one does not hold.
pub fn redacting_is_sound(target: &[u8], filler: &[u8]) {
    hides_what_is_presented(target, filler);
    let text = redact(target);
    let is_allowed = |character: char| character == '…' || (character.is_ascii_graphic() && character != '"');
    assert!(text.chars().all(is_allowed), "a character that is not allowed in a line");
    assert!(text.len() <= LONGEST_TEXT, "a line without an end");
    if target.first() != Some(&b'/') {
        assert_eq!(text, "…", "what is no path is hidden");
        return;
    }
    let (path, query) = text.split_once('?').unwrap_or((&text, ""));
    assert!(!path.contains([';', '=', '%', '#']), "a path is shown beyond what could begin a value");
    assert!(is_written(path, target), "a path is shown that the target does not begin with");
    for piece in query.split('&').filter(|piece| !piece.is_empty() && *piece != "…") {
        assert!(is_shown_value(piece, target), "a value is shown that may not be");
    }
    let other = with_hidden_parts_replaced(target, filler);
    assert_eq!(text, redact(&other), "what is hidden changes the line");
    if path.ends_with('…') && query.is_empty() {
        let (path, _) = halves(target, b'?');
        assert_eq!(text, redact(path), "the presence of a hidden query changes a line that is cut before it");
    }
}

/// How a request presents a credential; `@` stands for it.
const HEADS: [&str; 5] = [
    "GET / HTTP/1.1\r\nHost: h\r\nX-Session-API-Key: @\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer @\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b; Session-Key=@\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Protocol: a, @\r\n\r\n",
    "GET /?session_api_key=@ HTTP/1.1\r\nHost: h\r\n\r\n",
];

/// Whatever stretch of the target the request presents as its credential, nothing shows it; `filler`
/// chooses which, and how.
fn hides_what_is_presented(target: &[u8], filler: &[u8]) {
    let number = |at: usize| filler.get(at).copied().map_or(0, usize::from);
    let rest = target.get(number(0)..).unwrap_or_default();
    let credential = rest.get(..8 + number(1)).unwrap_or(rest).trim_ascii();
    // Only the field can carry what ends a value elsewhere.
    let is_plain = !credential.iter().any(|byte| b",;&".contains(byte));
    let head = HEADS.get(number(2) % HEADS.len()).filter(|_| is_plain).unwrap_or(&HEADS[0]);
    let Some((before, behind)) = head.split_once('@') else { return };
    let head = [before.as_bytes(), credential, behind.as_bytes()].concat();
    let Ok(head) = Head::parse(&head, HEADS.len()) else { return };
    let text = redact_own(target, &Presented::of(&head, &Setting::numbered(0).rules, None));
    let is_shown = text.as_bytes().windows(credential.len().max(8)).any(|window| window == credential);
    assert!(!is_shown, "what is presented is shown");
}

/// Whether a shown path is what the target begins with, escapes undone.
fn is_written(path: &str, target: &[u8]) -> bool {
    let (path, is_whole) = path.strip_suffix('…').map_or((path, true), |path| (path, false));
    let mut rest = target;
    let mut pieces = path.split("\\x");
    let mut take = |bytes: &[u8]| rest.strip_prefix(bytes).map(|after| rest = after).is_some();
    let mut is_begun = pieces.next().is_some_and(|piece| take(piece.as_bytes()));
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        is_begun &= byte.is_some_and(|byte| take(&[byte]));
        is_begun &= piece.get(2..).is_some_and(|piece| take(piece.as_bytes()));
    }
    is_begun && (!is_whole || matches!(rest.first(), None | Some(b'?')))
}

/// The part before the first `separator`, and the part behind it.
fn halves(bytes: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    let mut halves = bytes.splitn(2, |byte| *byte == separator);
    (halves.next().unwrap_or_default(), halves.next())
}

/// The decoded name of a segment.
fn name_of(segment: &[u8]) -> String {
    form_urlencoded::parse(segment).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// What may be shown of a value.
fn harmless(value: &[u8]) -> &[u8] {
    let is_harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"._~:+-".contains(byte);
    let length = value.iter().take(256).take_while(|byte| is_harmless(byte)).count();
    value.get(..length).unwrap_or_default()
}

/// Whether `name=value` is in the target, as a parameter that may be shown.
fn is_shown_value(piece: &str, target: &[u8]) -> bool {
    let Some((name, shown)) = piece.split_once('=') else { return false };
    let is_listed = SHOW.contains(&name) && !CREDENTIAL.contains(&name);
    let mut segments = halves(target, b'?').1.unwrap_or_default().split(|byte| *byte == b'&');
    is_listed
        && segments.any(|segment| {
            let value = halves(segment, b'=').1.unwrap_or_default();
            let kept = harmless(value);
            let mark = if kept.len() < value.len() { "…" } else { "" };
            name_of(segment) == name && [kept, mark.as_bytes()].concat() == shown.as_bytes()
        })
}

/// Another target that differs from this one in hidden parts only.
fn with_hidden_parts_replaced(target: &[u8], filler: &[u8]) -> Vec<u8> {
    let (path, query) = halves(target, b'?');
    let is_delimiter = |byte: &u8| b";=%#".contains(byte);
    let shown = path.split(is_delimiter).next().unwrap_or_default();
    let mut other = shown.to_vec();
    if shown.len() < path.len() {
        other.push(filler.first().copied().filter(is_delimiter).unwrap_or(b';'));
        other.extend(filler.iter().filter(|byte| **byte != b'?'));
    }
    let Some(query) = query else { return other };
    other.push(b'?');
    // An empty query holds nothing; how much is shown of a long one depends on what stands before.
    if query.is_empty() || query.len() > WHOLE_QUERY {
        other.extend_from_slice(query);
        return other;
    }
    let filler: Vec<u8> = filler.iter().copied().filter(|byte| *byte != b'&').collect();
    let replace = |segment: &[u8]| {
        let name = name_of(segment);
        if !SHOW.contains(&name.as_str()) || CREDENTIAL.contains(&name.as_str()) {
            // Hidden whole, its name as well; and two of them in a row look like one.
            let again: &[u8] = if filler.len().is_multiple_of(2) { b"" } else { b"&again" };
            return [b"token=", filler.as_slice(), again].concat();
        }
        match halves(segment, b'=') {
            (raw_name, Some(value)) if harmless(value).len() < value.len() => {
                [raw_name, b"=", harmless(value), b"%", &filler].concat()
            }
            _ => segment.to_vec(),
        }
    };
    let segments: Vec<_> = query.split(|byte| *byte == b'&').map(replace).collect();
    other.extend_from_slice(&segments.join(&b'&'));
    other
}
