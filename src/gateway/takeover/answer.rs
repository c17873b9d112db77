//! The upstream's answer to an opening handshake. Pure: bytes in, an answer out.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};

use crate::{
    access_log::Outcome,
    handshake::{
        Accept,
        head::{Field, elements, names, parse_length, values},
        query::split_once,
    },
};

#[cfg(any(test, fuzzing))]
pub(super) mod properties;

/// The longest head of an answer.
const HEAD: usize = 64 * 1024;

/// The most field lines of an answer.
const FIELDS: usize = 256;

/// An answer whose head was read.
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// The head for the client: status, reason and end-to-end fields as they came.
    pub(super) head: Vec<u8>,
    /// What was read after the head.
    pub(super) rest: BytesMut,
    /// How the body is framed.
    pub(super) body: Body,
}

/// The body of an answer (RFC 9112 section 6.3). A chunked body is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// In chunks; this much of the current one is still to come.
    Chunk(u64),
    /// Over.
    Complete,
    /// Until the connection ends.
    Connection,
    /// This much is still to come.
    Length(u64),
}

impl Answer {
    /// Takes a whole head off `bytes`, or `None` when it is not all there. Interim answers are
    /// left out.
    ///
    /// # Errors
    /// [`Outcome::UpstreamMalformed`] when it is not HTTP/1.x, too long, or a 101 for another
    /// protocol or of HTTP/1.0.
    pub(super) fn parse(bytes: &mut BytesMut) -> Result<Option<Self>, Outcome> {
        loop {
            let mut table = [const { MaybeUninit::uninit() }; FIELDS];
            let mut response = httparse::Response::new(&mut []);
            let parser = httparse::ParserConfig::default();
            let length = match parser.parse_response_with_uninit_headers(&mut response, bytes, &mut table) {
                Ok(httparse::Status::Complete(length)) => length,
                Ok(httparse::Status::Partial) if bytes.len() < HEAD => return Ok(None),
                Ok(httparse::Status::Partial) | Err(_) => return Err(Outcome::UpstreamMalformed),
            };
            let status = response.code.unwrap_or_default();
            // Three digits, but no class of answers (RFC 9110 section 15).
            if status < 100 {
                return Err(Outcome::UpstreamMalformed);
            }
            if matches!(status, 100 | 102..200) {
                let _interim = bytes.split_to(length);
                continue;
            }
            let reason = response.reason.unwrap_or_default();
            let fields: Vec<_> =
                response.headers.iter().map(|line| Field { name: line.name, value: line.value }).collect();
            let (head, body) = match status {
                101 if response.version == Some(1) => (switching(reason, &fields)?, Body::Complete),
                101 => return Err(Outcome::UpstreamMalformed),
                _ => final_answer(status, reason, &fields)?,
            };
            let mut rest = bytes.split();
            let _head = rest.split_to(length);
            return Ok(Some(Self { status, head, rest, body }));
        }
    }

    /// Whether a 101 agrees to what we have agreed to: the handshake, and nothing beside it
    /// (RFC 6455 section 4.1).
    pub(super) fn is_agreed(&self, accept: &Accept) -> bool {
        self.values("sec-websocket-accept").eq([accept.as_str().as_bytes()])
            && self.values("sec-websocket-protocol").next().is_none()
            && self.values("sec-websocket-extensions").next().is_none()
    }

    /// Has a 101 select a subprotocol, if it selects none.
    pub(super) fn select(&mut self, subprotocol: &[u8]) {
        if self.values("sec-websocket-protocol").next().is_none() {
            self.head.truncate(self.head.len().saturating_sub(2));
            self.head.extend_from_slice(b"Sec-WebSocket-Protocol: ");
            self.head.extend_from_slice(subprotocol);
            self.head.extend_from_slice(b"\r\n\r\n");
        }
    }

    /// The values of the field lines of this name in the head for the client.
    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        let pairs = lines.filter_map(|line| split_once(line, b':'));
        let named = pairs.filter(move |(spelled, _)| spelled.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value.trim_ascii())
    }
}

/// The head of a 101; one for anything but a WebSocket was not asked for.
fn switching(reason: &str, fields: &[Field<'_>]) -> Result<Vec<u8>, Outcome> {
    let is_websocket = values(fields, "upgrade").any(|value| value.eq_ignore_ascii_case(b"websocket"))
        && names(values(fields, "connection"), b"upgrade");
    if !is_websocket {
        return Err(Outcome::UpstreamMalformed);
    }
    let mut head = start(101, reason, fields, false);
    head.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    Ok(head)
}

fn final_answer(status: u16, reason: &str, fields: &[Field<'_>]) -> Result<(Vec<u8>, Body), Outcome> {
    let codings: Vec<_> = elements(values(fields, "transfer-encoding")).collect();
    let mut length = None;
    for value in values(fields, "content-length") {
        let value = parse_length(value).ok_or(Outcome::UpstreamMalformed)?;
        if length.replace(value).is_some_and(|before| before != value) {
            return Err(Outcome::UpstreamMalformed);
        }
    }
    let body = match (status, codings.as_slice(), length) {
        (204 | 304, _, _) | (_, [], Some(0)) => Body::Complete,
        (_, [coding], _) if coding.eq_ignore_ascii_case(b"chunked") => Body::Chunk(0),
        (_, [_, ..], _) => return Err(Outcome::UpstreamMalformed),
        (_, [], Some(length)) => Body::Length(length),
        (_, [], None) => Body::Connection,
    };
    // A length goes on as it came, unless chunks say otherwise (RFC 9112 section 6.3), or there is
    // no body to have one.
    let in_chunks = body.goes_on_in_chunks();
    let mut head = start(status, reason, fields, !in_chunks && status != 204);
    if in_chunks {
        head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    head.extend_from_slice(b"Connection: close\r\n\r\n");
    Ok((head, body))
}

/// The status line, and the end-to-end fields as they came, with or without a length, which is
/// never repeated (RFC 9110 section 8.6).
fn start(status: u16, reason: &str, fields: &[Field<'_>], mut has_length: bool) -> Vec<u8> {
    const OURS: [&str; 7] =
        ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];
    let nominated: Vec<_> = elements(values(fields, "connection"))
        .filter(|name| !name.eq_ignore_ascii_case(b"content-length"))
        .collect();
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n").into_bytes();
    for field in fields {
        let is_ours = OURS.iter().any(|name| field.name.eq_ignore_ascii_case(name))
            || nominated.iter().any(|name| name.eq_ignore_ascii_case(field.name.as_bytes()))
            || field.name.eq_ignore_ascii_case("content-length") && !std::mem::take(&mut has_length);
        if !is_ours {
            head.extend_from_slice(field.name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(field.value);
            head.extend_from_slice(b"\r\n");
        }
    }
    head
}

impl Body {
    /// Whether all of it was taken.
    pub(super) const fn is_complete(self) -> bool {
        matches!(self, Self::Complete)
    }

    /// Whether the client gets it in chunks: without a length, only a missing last chunk shows that
    /// the upstream broke it off.
    pub(super) const fn goes_on_in_chunks(self) -> bool {
        matches!(self, Self::Chunk(_) | Self::Connection)
    }

    /// Whether the end of the connection is its end.
    pub(super) const fn ends_with_connection(self) -> bool {
        matches!(self, Self::Connection)
    }

    /// Takes what there is of the body off `bytes`.
    ///
    /// # Errors
    /// The chunks are not valid (RFC 9112 section 7.1).
    pub(super) fn take(&mut self, bytes: &mut BytesMut) -> Result<Bytes, Malformed> {
        let mut out = BytesMut::new();
        loop {
            let here =
                |left: u64, bytes: &BytesMut| usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            match *self {
                Self::Complete => return Ok(out.freeze()),
                Self::Connection => {
                    out.unsplit(bytes.split());
                    return Ok(out.freeze());
                }
                Self::Length(left) => {
                    let taken = here(left, bytes);
                    out.unsplit(bytes.split_to(taken));
                    let left = left.saturating_sub(u64::try_from(taken).unwrap_or(left));
                    *self = if left == 0 { Self::Complete } else { Self::Length(left) };
                    return Ok(out.freeze());
                }
                Self::Chunk(0) => match httparse::parse_chunk_size(bytes) {
                    // The trailer section is not passed on.
                    Ok(httparse::Status::Complete((_, 0))) => *self = Self::Complete,
                    Ok(httparse::Status::Complete((at, size))) => {
                        let _size = bytes.split_to(at);
                        // The line end behind the chunk counts as part of it, and is cut below.
                        *self = Self::Chunk(size.checked_add(2).ok_or(Malformed)?);
                    }
                    Ok(httparse::Status::Partial) if bytes.len() < 1024 => return Ok(out.freeze()),
                    Ok(httparse::Status::Partial) | Err(_) => return Err(Malformed),
                },
                Self::Chunk(_) if bytes.is_empty() => return Ok(out.freeze()),
                Self::Chunk(left) => {
                    let taken = here(left, bytes);
                    let left = left.saturating_sub(u64::try_from(taken).unwrap_or(left));
                    let mut piece = bytes.split_to(taken);
                    let line_end = 2_u64.saturating_sub(left);
                    piece.truncate(piece.len().saturating_sub(usize::try_from(line_end).unwrap_or(0)));
                    out.unsplit(piece);
                    *self = Self::Chunk(left);
                }
            }
        }
    }
}

/// A piece of a body as one chunk; an empty one is left out, since it would be the last.
pub(super) fn chunk(piece: &Bytes) -> Vec<u8> {
    if piece.is_empty() {
        return Vec::new();
    }
    let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
    chunk.extend_from_slice(piece);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The end of a body in chunks.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The chunks of a body are not valid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access_log::Event, gateway::refuse};

    fn parse(text: &str) -> Result<Option<Answer>, Outcome> {
        Answer::parse(&mut BytesMut::from(text))
    }

    fn text(answer: &Answer) -> &str {
        std::str::from_utf8(&answer.head).unwrap()
    }

    #[test]
    fn keeps_an_empty_reason() {
        let answer = parse("HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n").unwrap().unwrap();
        // A client cannot tell it from our own refusal.
        let refused = Outcome::Refused(crate::handshake::Refusal::UnusableCredential);
        let ours = refuse::Answer::to(refused, Event::Handshake);
        assert_eq!(answer.head, ours.bytes(&refuse::Aside::default()));
        assert!(answer.body.is_complete());
    }

    #[test]
    fn a_length_is_read_in_one_way_only() {
        for lengths in ["content-length: 1\r\ncontent-length: 2\r\n", "content-length: 1, 1\r\n"] {
            assert!(parse(&format!("HTTP/1.1 403 \r\n{lengths}\r\n")).is_err(), "{lengths}");
        }
        let twice = parse("HTTP/1.1 403 \r\ncontent-length: 1\r\nContent-Length: 01\r\n\r\n");
        assert_eq!(
            text(&twice.unwrap().unwrap()),
            "HTTP/1.1 403 \r\ncontent-length: 1\r\nConnection: close\r\n\r\n"
        );
        let chunked = parse("HTTP/1.1 403 \r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(
            text(&chunked.unwrap().unwrap()),
            "HTTP/1.1 403 \r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn keeps_what_follows_a_101() {
        let answer = parse(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n\
             connection: upgrade\r\nsec-websocket-accept: x\r\nserver: u\r\n\r\n\u{1}abc",
        );
        let answer = answer.unwrap().unwrap();
        assert_eq!(
            text(&answer),
            "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nserver: u\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        );
        assert_eq!(&answer.rest[..], b"\x01abc");
    }

    #[test]
    fn refuses_a_101_for_another_protocol() {
        assert!(parse("HTTP/1.1 101 x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n").is_err());
        assert!(parse("garbage\r\n\r\n").is_err());
        assert!(parse("HTTP/1.1 043 x\r\n\r\n").is_err());
        assert!(parse("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n").is_err());
    }

    #[test]
    fn decodes_chunks_in_any_pieces() {
        let stream = b"3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n";
        for piece in 1..=stream.len() {
            let (mut body, mut bytes, mut out) = (Body::Chunk(0), BytesMut::new(), Vec::new());
            for part in stream.chunks(piece) {
                bytes.extend_from_slice(part);
                out.extend_from_slice(&body.take(&mut bytes).unwrap());
            }
            assert_eq!((out.as_slice(), body), (&b"abc0123456789abcdef"[..], Body::Complete), "{piece}");
        }
    }
}
