//! The only place that turns a refusal or a failure into an answer. None gives a reason that a client
//! could probe.

use std::time::Duration;

use crate::{
    access_log::{Event, Outcome},
    authenticate::Denial,
    handshake::Refusal,
};

/// An answer of ours, after which the connection ends.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// What stands behind the version in the status line.
    line: &'static str,
    /// The field lines that are always there.
    fields: &'static str,
    body: &'static str,
}

/// What an answer says beside itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Aside {
    /// Whether only the head was asked for, whose answer has no body (RFC 9110 section 9.3.2).
    pub(super) is_head_only: bool,
    /// When to come back, in seconds.
    pub(super) retry_after: Option<u64>,
    /// The origin whose pages may read the answer, as it came.
    pub(super) origin: Option<Box<str>>,
    /// How long it is held back.
    pub(super) pause: Duration,
}

impl Aside {
    /// The field lines that it adds.
    pub(super) fn lines(&self) -> String {
        let mut lines = String::new();
        if let Some(after) = self.retry_after {
            lines.push_str(&format!("Retry-After: {after}\r\n"));
        }
        if let Some(origin) = &self.origin {
            // Without these a browser hides the answer from the page that asked (Fetch, section 3.2).
            lines.push_str(&format!(
                "Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n\
                 Access-Control-Expose-Headers: Retry-After\r\nVary: Origin\r\n"
            ));
        }
        lines
    }
}

impl Answer {
    /// The answer to a request that ended like this.
    ///
    /// What the agent server would refuse itself is answered as it does: an opening handshake by a 403
    /// without a reason phrase, byte for byte what its own refusal is passed on as.
    pub(super) const fn to(outcome: Outcome, event: Event) -> Self {
        const EMPTY: &str = "Content-Length: 0\r\n";
        let (status, line, fields, body) = match (outcome, event) {
            (
                Outcome::Refused(
                    Refusal::AmbiguousFraming
                    | Refusal::IllegalTarget
                    | Refusal::InvalidHandshake
                    | Refusal::MalformedHead
                    | Refusal::NoSubprotocol
                    | Refusal::NominatedField,
                ),
                _,
            ) => (400, "400 Bad Request", EMPTY, ""),
            (Outcome::Refused(Refusal::BodyTimeout | Refusal::HeadTimeout), _) => {
                (408, "408 Request Timeout", EMPTY, "")
            }
            (Outcome::Refused(Refusal::HeadTooLarge | Refusal::TooManyFields), _) => {
                (431, "431 Request Header Fields Too Large", EMPTY, "")
            }
            (Outcome::Refused(Refusal::TooManyConnections), _) => {
                (503, "503 Service Unavailable", "Content-Length: 0\r\nRetry-After: 5\r\n", "")
            }
            (Outcome::Refused(Refusal::UnsupportedVersion), _) => {
                (426, "426 Upgrade Required", "Sec-WebSocket-Version: 13\r\nContent-Length: 0\r\n", "")
            }
            (
                Outcome::Denied(Denial::TooManyAttempts | Denial::TooManySockets | Denial::TooManyUnverified),
                _,
            ) => (429, "429 Too Many Requests", EMPTY, ""),
            (
                Outcome::Refused(Refusal::UnusableCredential) | Outcome::Denied(_) | Outcome::Revoked,
                Event::Handshake,
            ) => (403, "403 ", "content-length: 0\r\n", ""),
            (Outcome::Denied(Denial::Path), _) => (
                403,
                "403 Forbidden",
                "Content-Type: application/json\r\nContent-Length: 22\r\n",
                "{\"detail\":\"Forbidden\"}",
            ),
            (Outcome::Refused(Refusal::UnusableCredential) | Outcome::Denied(_), _) => (
                401,
                "401 Unauthorized",
                "Content-Type: application/json\r\nContent-Length: 25\r\n",
                "{\"detail\":\"Unauthorized\"}",
            ),
            (
                Outcome::UpstreamMalformed
                | Outcome::UpstreamRefused
                | Outcome::UpstreamReset
                | Outcome::UpstreamUnreachable
                | Outcome::Withheld,
                _,
            ) => (502, "502 Bad Gateway", EMPTY, ""),
            (Outcome::UpstreamTimeout, _) => (504, "504 Gateway Timeout", EMPTY, ""),
            (Outcome::Cut, _) => (503, "503 Service Unavailable", EMPTY, ""),
            (
                Outcome::Answered
                | Outcome::ClientClosed
                | Outcome::Closed
                | Outcome::InternalError
                | Outcome::Revoked
                | Outcome::Served
                | Outcome::Upgraded,
                _,
            ) => (500, "500 Internal Server Error", EMPTY, ""),
        };
        Self { status, line, fields, body }
    }

    /// The answer, from its status line to the end of its body.
    pub(super) fn bytes(self, aside: &Aside) -> Vec<u8> {
        let Self { line, fields, body, .. } = self;
        let mut head = format!("HTTP/1.1 {line}\r\n{fields}Connection: close\r\n");
        head.push_str(&aside.lines());
        let body = if aside.is_head_only { "" } else { body };
        [head.as_bytes(), b"\r\n", body.as_bytes()].concat()
    }
}
