//! A request head as the embedded agent server reads it.

use percent_encoding::percent_decode_str;

use crate::demo::authentication::latin1;

/// The most field lines.
const FIELD_LINES: usize = 128;

/// A request head. It has no `Debug`: it holds a key.
pub(super) struct Request {
    pub(super) method: String,
    /// The request target, byte for byte.
    pub(super) target: String,
    /// Names as they were spelled, values as they came.
    fields: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// Reads a whole head, or `None` when it is none.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut table = [httparse::EMPTY_HEADER; FIELD_LINES];
        let mut request = httparse::Request::new(&mut table);
        if !request.parse(bytes).ok()?.is_complete() {
            return None;
        }
        // uvicorn refuses what is not ASCII in a target.
        let target = request.path.filter(|target| target.is_ascii())?;
        let fields = request.headers.iter().map(|line| (line.name.to_owned(), line.value.to_vec()));
        Some(Self { method: request.method?.to_owned(), target: target.to_owned(), fields: fields.collect() })
    }

    /// The values of every line of a field.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let named = self.fields.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_slice())
    }

    /// The lines of a field as they came, for people.
    pub(super) fn lines(&self, name: &str) -> Vec<String> {
        let named = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(name, value)| format!("{name}: {}", latin1(value))).collect()
    }

    /// The path, before its query, percent-decoded.
    pub(super) fn path(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        percent_decode_str(path).decode_utf8_lossy().into_owned()
    }

    /// Whether it is an opening handshake for uvicorn: `Upgrade` is `websocket`, and `Connection`
    /// names it. All else is plain HTTP.
    pub(super) fn asks_websocket(&self) -> bool {
        let mut options = self.values("connection").flat_map(|value| value.split(|byte| *byte == b','));
        options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
            && self.values("upgrade").any(|value| value.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    }

    /// The answer to an opening handshake that is not a valid one. Its reason phrase is empty.
    pub(super) fn websocket_error(&self) -> Option<&'static str> {
        let is_13 = self.values("sec-websocket-version").any(|value| value.trim_ascii() == b"13");
        if !is_13 {
            Some(
                "HTTP/1.1 426 \r\nSec-WebSocket-Version: 13\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            )
        } else if self.method != "GET" || self.values("sec-websocket-key").next().is_none() {
            Some("HTTP/1.1 400 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        } else {
            None
        }
    }

    /// Whether there is a socket at its path: all others are refused like a wrong key.
    pub(super) fn is_for_a_socket(&self) -> bool {
        let path = self.path();
        let id = path.strip_prefix("/sockets/events/").or_else(|| path.strip_prefix("/sockets/session/"));
        let is_id =
            |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !self.target.contains('#') && (path == "/sockets/bash-events" || id.is_some_and(is_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_for_a_socket(target: &str) -> bool {
        let head = format!("GET {target} HTTP/1.1\r\n\r\n");
        Request::parse(head.as_bytes()).is_some_and(|request| request.is_for_a_socket())
    }

    #[test]
    fn sockets_are_where_the_real_server_has_them() {
        for target in [
            "/sockets/events/1",
            "/sockets/session/ee435ee1-d275?a=1",
            "/sockets/bash-events?x=1",
            "/sockets/bash%2Devents",
        ] {
            assert!(is_for_a_socket(target), "{target}");
        }
        for target in [
            "/sockets/nope",
            "/sockets/events/1/",
            "//sockets/events/1",
            "/Sockets/bash-events",
            "/sockets/./bash-events",
            "/sockets/events/1%3Fsession_api_key=k",
            "/sockets/events/1;session_api_key=k",
            "/sockets/events/1#x",
            "http://127.0.0.1/sockets/events/1",
        ] {
            assert!(!is_for_a_socket(target), "{target}");
        }
    }

    #[test]
    fn what_is_no_head_is_none() {
        for head in
            [&b"GET /a b HTTP/1.1\r\n\r\n"[..], b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n"]
        {
            assert!(Request::parse(head).is_none());
        }
    }
}
