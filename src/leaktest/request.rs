//! A request as it goes on the wire, which need not be a valid one.

/// The nonce of every opening handshake, RFC 6455's own example.
const NONCE: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The field by which a request tells the upstream of the test what to answer.
pub(super) const ANSWER: &str = "X-Leaktest-Answer";

/// A request in parts, so that each can be spoilt.
pub(super) struct Request {
    /// The method.
    pub(super) method: &'static str,
    /// The request target.
    pub(super) target: String,
    /// The protocol and its version.
    pub(super) version: &'static str,
    /// The value of `Host`.
    pub(super) host: String,
    /// The value of `Connection`.
    pub(super) connection: &'static str,
    /// The value of `Sec-WebSocket-Version`; `None` when it is no opening handshake.
    pub(super) websocket: Option<&'static str>,
    /// The value of `Sec-WebSocket-Key`.
    pub(super) nonce: &'static str,
    /// All other lines, as they are written.
    pub(super) lines: Vec<Vec<u8>>,
    /// What follows the head at once.
    pub(super) body: Vec<u8>,
    /// What follows the 101.
    pub(super) opened: Vec<u8>,
}

impl Request {
    /// An opening handshake.
    pub(super) fn handshake(host: &str, path: &str) -> Self {
        Self {
            method: "GET",
            target: path.to_owned(),
            version: "HTTP/1.1",
            host: host.to_owned(),
            connection: "Upgrade",
            websocket: Some("13"),
            nonce: NONCE,
            lines: Vec::new(),
            body: Vec::new(),
            opened: masked_frame(0x1, b"hello"),
        }
    }

    /// A plain request, whose connection ends with its answer.
    pub(super) fn plain(host: &str, path: &str) -> Self {
        Self { connection: "close", websocket: None, opened: Vec::new(), ..Self::handshake(host, path) }
    }

    /// Adds one field line.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.lines.push(format!("{name}: {value}").into_bytes());
    }

    /// Gives it a body.
    pub(super) fn put_body(&mut self, body: &[u8]) {
        self.method = "POST";
        self.add("Content-Length", &body.len().to_string());
        self.body = body.to_vec();
    }

    /// Gives it a body in one chunk, and a trailer field.
    pub(super) fn put_trailer(&mut self, name: &str, value: &str) {
        self.method = "POST";
        self.add("Transfer-Encoding", "chunked");
        self.add("Trailer", name);
        self.body = format!("5\r\nhello\r\n0\r\n{name}: {value}\r\n\r\n").into_bytes();
    }

    /// The head, from the request line to the empty line.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!(
            "{} {} {}\r\nHost: {}\r\nConnection: {}\r\n",
            self.method, self.target, self.version, self.host, self.connection
        );
        if let Some(version) = self.websocket {
            head.push_str(&format!(
                "Upgrade: websocket\r\nSec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: {}\r\n",
                self.nonce
            ));
        }
        let mut head = head.into_bytes();
        for line in &self.lines {
            head.extend_from_slice(line);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// A frame as a client sends it. The mask is zero, so that the payload can be read on the way.
pub(super) fn masked_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = match u8::try_from(payload.len()) {
        Ok(length @ ..126) => vec![0x80 | length],
        _ => {
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            [&[0x80 | 126], length.to_be_bytes().as_slice()].concat()
        }
    };
    [&[0x80 | opcode], length.as_slice(), &[0; 4], payload].concat()
}
