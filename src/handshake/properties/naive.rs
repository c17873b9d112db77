//! The rules once more, read plainly: strings instead of slices, lists instead of one pass, and
//! the `url` crate's reading of a form. It shares no code with what it judges.

use std::net::IpAddr;

use url::form_urlencoded;

use super::Setting;
use crate::{
    config::{Handshake, PlainRequests},
    handshake::{CredentialSource, Kind, Refusal},
};

/// A target after normalisation.
pub(super) struct Normalised {
    /// What goes on.
    pub(super) target: Vec<u8>,
    /// The value of the last occurrence, with U+FFFD for what is not UTF-8.
    pub(super) credential: Option<String>,
}

/// Rules 1 to 3.
pub(super) fn normalise(target: &[u8], parameters: &[String]) -> Normalised {
    let mut halves = target.splitn(2, |byte| *byte == b'?');
    let (Some(path), Some(query)) = (halves.next(), halves.next()) else {
        return Normalised { target: target.to_vec(), credential: None };
    };
    let is_parameter = |name: &str| parameters.iter().any(|parameter| parameter == name);
    let credential = form_urlencoded::parse(query).filter(|(name, _)| is_parameter(name)).last();
    let others: Vec<_> = query
        .split(|byte| *byte == b'&')
        .filter(|segment| !form_urlencoded::parse(segment).any(|(name, _)| is_parameter(&name)))
        .collect();
    let target = if others.is_empty() { path.to_vec() } else { [path, &others.join(&b'&')].join(&b'?') };
    Normalised { target, credential: credential.map(|(_, value)| value.into_owned()) }
}

/// What a field can carry unchanged, in Latin-1 (rule 4).
pub(super) fn field_value(value: &str) -> Option<Vec<u8>> {
    let is_plain =
        !value.is_empty() && value.trim() == value && !value.contains(|c: char| c.is_ascii_control());
    value.chars().map(|character| u8::try_from(character).ok()).collect::<Option<_>>().filter(|_| is_plain)
}

/// A request head.
pub(super) struct Message {
    pub(super) method: String,
    pub(super) target: Vec<u8>,
    pub(super) version: u8,
    /// Names in lower case, values without the white space around them.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    /// The length of the head.
    pub(super) length: usize,
}

impl Message {
    /// Reads a whole head.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut table = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut table);
        let httparse::Status::Complete(length) = request.parse(bytes).ok()? else { return None };
        let field =
            |line: &httparse::Header<'_>| (line.name.to_lowercase(), line.value.trim_ascii().to_vec());
        Some(Self {
            method: request.method?.to_owned(),
            target: request.path?.as_bytes().to_vec(),
            version: request.version?,
            fields: request.headers.iter().map(field).collect(),
            length,
        })
    }

    fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// The elements of a list field in lower case.
    fn list(&self, name: &str) -> Vec<String> {
        let text = |value: &&[u8]| value.iter().copied().map(char::from).collect::<String>();
        let joined = self.all(name).iter().map(text).collect::<Vec<_>>().join(",");
        let tokens = joined.split(',').map(|token| token.trim_matches([' ', '\t']).to_ascii_lowercase());
        tokens.filter(|token| !token.is_empty()).collect()
    }
}

/// The values of the fields of this name in any spelling: `-` and `_` are one.
pub(super) fn lines_like(message: &Message, name: &str) -> Vec<Vec<u8>> {
    let name = dashed(name);
    message.fields.iter().filter(|(field, _)| dashed(field) == name).map(|(_, value)| value.clone()).collect()
}

fn dashed(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

/// Section 3, first paragraph, and what Pingora's parser refuses.
pub(super) fn is_legal_target(method: &str, target: &[u8]) -> bool {
    let is_asterisk = method == "OPTIONS" && target == b"*";
    let is_visible = target.iter().all(|byte| (b'!'..=b'~').contains(byte) && !b"#\"<>`".contains(byte));
    is_asterisk || (method != "CONNECT" && target.starts_with(b"/") && is_visible)
}

/// Rule 7, and the most tokens that a `Connection` may have.
pub(super) fn takes_away_what_is_ours(came: &Message, rules: &Handshake) -> bool {
    let tokens = came.list("connection");
    let is_ours = |token: &String| {
        *token == rules.field_spelling.to_lowercase()
            || ["host", "content-length", "transfer-encoding"].contains(&token.as_str())
            || token.starts_with("sec-websocket-")
            || token.starts_with("x-forwarded-")
            || token.starts_with("x-hushgate-")
    };
    // What is no name nominates nothing (RFC 9110 section 5.6.2).
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_name = |token: &&String| token.bytes().all(is_tchar);
    tokens.len() >= 10 || tokens.iter().filter(is_name).any(is_ours)
}

/// The definition of an opening handshake in section 3, and what Pingora serves besides.
pub(super) fn kind(came: &Message) -> Result<Kind, Refusal> {
    let names = |protocol: &String| protocol.split('/').next().map(str::trim_ascii) == Some("websocket");
    if !came.list("upgrade").iter().any(names) {
        let has_user = came.all("host").iter().any(|host| host.contains(&b'@'));
        return if has_user { Err(Refusal::MalformedHead) } else { Ok(Kind::Plain) };
    }
    let is_one = |name: &str, is_it: &dyn Fn(&[u8]) -> bool| {
        let lines = came.all(name);
        lines.len() == 1 && lines.iter().all(|value| is_it(value))
    };
    let is_nonce = |value: &[u8]| {
        let (digits, padding) = value.split_at(value.len().min(22));
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
        // Sixteen bytes leave four bits of the last digit unused, and these are zero.
        digits.len() == 22
            && padding == b"=="
            && digits.iter().all(is_digit)
            && digits.last().is_some_and(|last| b"AQgw".contains(last))
    };
    let has_no_body = came.all("transfer-encoding").is_empty()
        && came.list("content-length").iter().all(|length| length.bytes().all(|digit| digit == b'0'));
    let is_handshake = came.method == "GET"
        && came.version == 1
        && is_one("upgrade", &|value| value.eq_ignore_ascii_case(b"websocket"))
        && came.list("connection").contains(&"upgrade".to_owned())
        && is_one("sec-websocket-key", &is_nonce)
        && is_one("sec-websocket-version", &|_| true)
        && has_no_body
        && came.all("expect").is_empty();
    match is_handshake {
        false => Err(Refusal::InvalidHandshake),
        true if is_one("sec-websocket-version", &|value| value == b"13") => Ok(Kind::OpeningHandshake),
        true => Err(Refusal::UnsupportedVersion),
    }
}

/// Who sent it: the first of those it came by, from here backwards, that is not trusted; or the last
/// that has an address.
pub(super) fn client(came: &Message, setting: &Setting) -> Option<IpAddr> {
    let is_trusted =
        |address: &IpAddr| setting.trusted_proxies.iter().any(|net| net.contains(&address.to_canonical()));
    let forwarded = came.list("x-forwarded-for");
    let mut chain = vec![setting.peer?];
    chain.extend(forwarded.iter().rev().map_while(|address| address.parse::<IpAddr>().ok()));
    chain.iter().find(|address| !is_trusted(address)).or_else(|| chain.last()).copied()
}

/// What a request presents.
pub(super) struct Presented {
    pub(super) target: Vec<u8>,
    pub(super) source: CredentialSource,
    pub(super) line: Option<Vec<u8>>,
}

/// Rules 4 to 6.
pub(super) fn present(came: &Message, rules: &Handshake, kind: Kind) -> Result<Presented, Refusal> {
    let normalised = normalise(&came.target, &rules.parameters);
    let first_line = came.all(rules.field.as_str()).first().map(|value| value.to_vec());
    let is_plain = kind == Kind::Plain;
    if let (Some(value), false) =
        (&normalised.credential, is_plain && rules.plain_requests != PlainRequests::Promote)
    {
        let value = field_value(value).ok_or(Refusal::UnusableCredential)?;
        let line = Some([rules.prefix.as_bytes(), &value].concat());
        return Ok(Presented { target: normalised.target, source: CredentialSource::Query, line });
    }
    let is_left_alone = is_plain && rules.plain_requests == PlainRequests::Forward;
    Ok(Presented {
        target: if is_left_alone { came.target.clone() } else { normalised.target },
        source: if first_line.is_some() { CredentialSource::Field } else { CredentialSource::None },
        line: first_line,
    })
}

/// All field lines that go on, in order: what came, then what we set.
pub(super) fn fields(
    came: &Message,
    kind: Kind,
    presented: &Presented,
    setting: &Setting,
) -> Vec<(String, Vec<u8>)> {
    let is_opening = kind == Kind::OpeningHandshake;
    let nominated = came.list("connection");
    let credential = dashed(&setting.rules.field_spelling);
    let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in &came.fields {
        let like = dashed(name);
        let is_forwarding = like.starts_with("x-forwarded-") || like == "forwarded" || like == "x-real-ip";
        let is_set_by_us =
            ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].contains(&like.as_str());
        let (goes_on, value) = match name.as_str() {
            "connection" => (false, Vec::new()),
            // Pingora reads this next, and it ends there.
            "transfer-encoding" => (!is_opening, value.clone()),
            "content-length" => {
                let is_repeated = fields.iter().any(|(before, _)| before == name);
                let length = came.list(name).first().map(|text| text.trim_start_matches('0').to_owned());
                let length = length.filter(|text| !text.is_empty()).unwrap_or_else(|| "0".to_owned());
                (!is_opening && !is_repeated, length.into_bytes())
            }
            "upgrade" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "http2-settings" => {
                (false, Vec::new())
            }
            _ => (
                like != credential
                    && !like.starts_with("x-hushgate-")
                    && !nominated.contains(name)
                    && !is_set_by_us
                    && (!is_forwarding || setting.believes_its_peer()),
                value.clone(),
            ),
        };
        if goes_on {
            fields.push((name.clone(), value));
        }
    }
    fields.extend(forwarding(came, setting));
    if let Some(line) = &presented.line {
        fields.push((setting.rules.field_spelling.to_lowercase(), line.clone()));
    }
    let connection = |value: &[u8]| ("connection".to_owned(), value.to_vec());
    if is_opening {
        fields.push(connection(b"Upgrade"));
        fields.push(("upgrade".to_owned(), b"websocket".to_vec()));
    } else if nominated.contains(&"close".to_owned()) {
        fields.push(connection(b"close"));
    } else if nominated.contains(&"keep-alive".to_owned()) {
        fields.push(connection(b"keep-alive"));
    }
    fields
}

/// `X-Forwarded-For`, `-Proto` and `-Host`.
fn forwarding(came: &Message, setting: &Setting) -> Vec<(String, Vec<u8>)> {
    let believed = |name: &str| {
        let lines = if setting.believes_its_peer() { came.all(name) } else { Vec::new() };
        lines.iter().map(|value| value.to_vec()).collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    if setting.peer.is_some() {
        let came = believed("x-forwarded-for");
        let addresses = came.iter().flat_map(|value| value.split(|byte| *byte == b','));
        let addresses = addresses.map(<[u8]>::trim_ascii).filter(|address| !address.is_empty());
        let chain: Vec<_> = addresses.chain([&b"192.0.2.1"[..]]).collect();
        lines.push(("x-forwarded-for".to_owned(), chain.join(&b", "[..])));
    }
    let scheme = if setting.is_tls { "https" } else { "http" };
    let proto = believed("x-forwarded-proto").into_iter().next();
    lines.push(("x-forwarded-proto".to_owned(), proto.unwrap_or_else(|| scheme.into())));
    let host = came.all("host").first().map(|value| value.to_vec());
    if let Some(host) = believed("x-forwarded-host").into_iter().next().or(host) {
        lines.push(("x-forwarded-host".to_owned(), host));
    }
    lines
}
