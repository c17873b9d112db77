//! A request head as it came: the request line and the field lines, on raw bytes.
//!
//! Parsing is `httparse`'s, which refuses obsolete line folding, white space before a colon, bare
//! CR and control characters (RFC 9112 sections 2.2 and 5). What this module adds is the strict
//! side: the form of the target, the framing of the body, and `Host`.

use std::mem::MaybeUninit;

use super::Refusal;

/// The size of the parser's table: more field lines than may be configured.
const FIELD_LINES: usize = 256;

/// A parsed request head that borrows from the bytes it was read from.
pub struct Head<'a> {
    /// The method, case-sensitive.
    pub method: &'a str,
    /// The request target, byte for byte.
    pub target: &'a [u8],
    /// Whether the request is HTTP/1.1, and not HTTP/1.0.
    pub is_http_11: bool,
    /// The field lines, in order.
    pub fields: Vec<Field<'a>>,
    /// How the body is framed.
    pub body: Body,
}

/// One field line.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    /// The name, as it was spelled.
    pub name: &'a str,
    /// The value, without the white space around it.
    pub value: &'a [u8],
}

/// How a request's body is framed (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// In chunks, of unknown length.
    Chunked,
    /// As long as `Content-Length` says; zero when the field is absent.
    Length(u64),
}

impl<'a> Head<'a> {
    /// Parses a complete head, from its request line to its empty line.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with. It holds nothing of what was received.
    pub fn parse(bytes: &'a [u8], max_fields: usize) -> Result<Self, Refusal> {
        // Eight kibibytes that would be written for nothing, were they not left as they are.
        let mut table = [const { MaybeUninit::uninit() }; FIELD_LINES];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, &mut table) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyFields),
            Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::MalformedHead),
        }
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(Refusal::MalformedHead);
        };
        if request.headers.len() > max_fields {
            return Err(Refusal::TooManyFields);
        }
        let fields: Vec<_> = request
            .headers
            .iter()
            .map(|line| Field { name: line.name, value: line.value.trim_ascii() })
            .collect();
        let is_http_11 = request.version == Some(1);
        let target = target.as_bytes();
        check_target(method, target)?;
        check_host(&fields, is_http_11)?;
        let body = framing(&fields, is_http_11)?;
        Ok(Self { method, target, is_http_11, fields, body })
    }

    /// The values of all field lines of one name, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        values(&self.fields, name)
    }

    /// The only value of a field, or `None` when it is absent or repeated.
    pub fn only(&self, name: &str) -> Option<&'a [u8]> {
        let mut lines = self.values(name);
        let first = lines.next();
        if lines.next().is_some() { None } else { first }
    }
}

/// The comma-separated elements of a list field (RFC 9110 section 5.6.1), empty ones left out.
pub fn elements<'a>(values: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    values
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether a list field names a token, in any case.
pub(crate) fn names<'a>(values: impl Iterator<Item = &'a [u8]>, token: &[u8]) -> bool {
    elements(values).any(|element| element.eq_ignore_ascii_case(token))
}

/// The values of all field lines of one name, in order.
pub(crate) fn values<'a>(fields: &[Field<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
}

/// Origin-form (RFC 9112 section 3.2.1) of visible ASCII without what a parser behind us could
/// cut or escape, or `*` of an `OPTIONS` request. `CONNECT` never has either (section 3.2.3).
fn check_target(method: &str, target: &[u8]) -> Result<(), Refusal> {
    let is_legal = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'`');
    let is_origin_form = target.first() == Some(&b'/') && target.iter().all(is_legal);
    if (is_origin_form && method != "CONNECT") || (method == "OPTIONS" && target == b"*") {
        Ok(())
    } else {
        Err(Refusal::IllegalTarget)
    }
}

/// Exactly one `Host` in HTTP/1.1, at most one in HTTP/1.0 (RFC 9112 section 3.2).
fn check_host(fields: &[Field<'_>], is_http_11: bool) -> Result<(), Refusal> {
    match (values(fields, "host").count(), is_http_11) {
        (1, _) | (0, false) => Ok(()),
        _ => Err(Refusal::MalformedHead),
    }
}

/// Where the body ends, if there is just one way to read it (RFC 9112 section 6.3).
fn framing(fields: &[Field<'_>], is_http_11: bool) -> Result<Body, Refusal> {
    let mut codings = values(fields, "transfer-encoding");
    let coding = codings.next();
    let mut length = None;
    for value in values(fields, "content-length").flat_map(|value| value.split(|byte| *byte == b',')) {
        let value = parse_length(value.trim_ascii()).ok_or(Refusal::AmbiguousFraming)?;
        if length.replace(value).is_some_and(|before| before != value) {
            return Err(Refusal::AmbiguousFraming);
        }
    }
    match (coding, length) {
        (None, length) => Ok(Body::Length(length.unwrap_or(0))),
        (Some(coding), None)
            if is_http_11 && codings.next().is_none() && coding.eq_ignore_ascii_case(b"chunked") =>
        {
            Ok(Body::Chunked)
        }
        (Some(_), _) => Err(Refusal::AmbiguousFraming),
    }
}

/// `Content-Length` is digits and nothing else: no sign, no space (RFC 9110 section 8.6).
pub fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
