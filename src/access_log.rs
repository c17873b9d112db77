//! The access log: the only writer of what a request was.
//!
//! A [`Record`] holds closed words, numbers and a [`RedactedTarget`]; nothing else of what a peer
//! sent fits into it, so no line can show a credential. Lines leave through [`AccessLog`], off the
//! request's path.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

pub use self::{redact::RedactedTarget, writer::AccessLog};
use crate::{
    authenticate::Denial,
    config::LogFormat,
    handshake::{CredentialSource, Refusal},
};

#[cfg(any(test, fuzzing))]
pub use self::redact::properties;

mod json;
mod redact;
#[cfg(test)]
mod tests;
mod writer;

#[cfg(test)]
pub(crate) use self::tests::record as sample;

/// Everything that is written down of one event.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the event was over.
    pub time: SystemTime,
    /// What happened.
    pub event: Event,
    /// Ties the lines of one request together.
    pub request_id: RequestId,
    /// Who asked, if the peer has an address.
    pub client: Option<IpAddr>,
    /// The method, if it is a known one.
    pub method: Method,
    /// The redacted request target.
    pub target: RedactedTarget,
    /// The status that the client got, if it got one.
    pub status: Option<u16>,
    /// How it ended, as a closed word.
    pub outcome: Outcome,
    /// Where the credential came from.
    pub credential_source: CredentialSource,
    /// The name of the caller, never their credential; known where we authenticate.
    pub caller: Option<Arc<str>>,
    /// From the first byte of the head, or of the relay for [`Event::Close`].
    pub duration: Duration,
    /// Bytes from the client, heads included; for [`Event::Close`] those after the handshake.
    pub bytes_received: u64,
    /// Bytes to the client, counted alike.
    pub bytes_sent: u64,
    /// What passed, and how it ended; on [`Event::Close`].
    pub closing: Option<Closing>,
}

/// What passed on a relayed socket, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// The code of the first Close frame.
    pub code: Option<u16>,
    /// Who sent the first Close frame, or else ended first.
    pub by: Option<Side>,
    /// Whole messages from the client; control frames are none.
    pub messages_received: u64,
    /// Whole messages to the client.
    pub messages_sent: u64,
    /// Whether everything was valid framing, both ways.
    pub is_valid: bool,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A relayed socket ended.
    Close,
    /// An opening handshake was answered.
    Handshake,
    /// A plain request was answered.
    Request,
}

impl Event {
    /// The word for the log and for metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Handshake => "handshake",
            Self::Request => "request",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was for us, and we have answered it.
    Answered,
    /// The client went away first.
    ClientClosed,
    /// A relayed socket ended by itself.
    Closed,
    /// We ended it: out of time, idle or draining.
    Cut,
    /// The caller is not let in.
    Denied(Denial),
    /// Something of ours failed.
    InternalError,
    /// We refused.
    Refused(Refusal),
    /// We ended a relayed socket whose caller is not let in any more.
    Revoked,
    /// The agent server's answer was passed on, whatever its status.
    Served,
    /// The agent server agreed to a WebSocket.
    Upgraded,
    /// The agent server's answer was not HTTP.
    UpstreamMalformed,
    /// The agent server refused a WebSocket that we had agreed to.
    UpstreamRefused,
    /// The agent server broke the connection.
    UpstreamReset,
    /// The agent server did not answer in time.
    UpstreamTimeout,
    /// The agent server could not be reached.
    UpstreamUnreachable,
    /// The head of the agent server's answer had our own credential in it.
    Withheld,
}

impl Outcome {
    /// The word for the log and for metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ClientClosed => "client_closed",
            Self::Closed => "closed",
            Self::Cut => "cut",
            Self::Denied(denial) => denial.label(),
            Self::InternalError => "internal_error",
            Self::Refused(refusal) => refusal.label(),
            Self::Revoked => "revoked",
            Self::Served => "served",
            Self::Upgraded => "upgraded",
            Self::UpstreamMalformed => "upstream_malformed",
            Self::UpstreamRefused => "upstream_refused",
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::Withheld => "withheld",
        }
    }
}

/// One of the parties of a relayed socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// hushgate.
    Gateway,
    /// The agent server.
    Upstream,
}

impl Side {
    /// The word for the log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        }
    }
}

/// A method, if it is a known one: a client can put anything there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(&'static str);

impl Method {
    /// A method that is unknown, or was not read.
    pub const OTHER: Self = Self("…");

    /// The known method of this name, else [`Method::OTHER`].
    pub fn of(method: &str) -> Self {
        const KNOWN: [&str; 9] =
            ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];
        KNOWN.into_iter().find(|known| *known == method).map_or(Self::OTHER, Self)
    }
}

/// Ties the lines of one request together: a random start, and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u64);

impl RequestId {
    /// The next one.
    pub fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("request"));
        write!(f, "{:032x}", u128::from(*START) << 64 | u128::from(self.0))
    }
}

impl Closing {
    /// The word for whether it was valid framing.
    const fn framing(self) -> &'static str {
        if self.is_valid { "valid" } else { "invalid" }
    }
}

impl Record {
    /// The line for the log, with its newline.
    pub fn line(&self, format: LogFormat) -> Vec<u8> {
        let mut line = match format {
            LogFormat::Json => self.json(),
            LogFormat::Text => self.text().into_bytes(),
        };
        line.push(b'\n');
        line
    }

    fn milliseconds(&self) -> f64 {
        (self.duration.as_secs_f64() * 1e6).round() / 1e3
    }

    /// What begins with `close_code` stands on `close` lines only.
    fn json(&self) -> Vec<u8> {
        let mut line = json::Object::new();
        line.plain("time", humantime::format_rfc3339_millis(self.time));
        line.text("event", self.event.label());
        line.plain("request_id", self.request_id);
        line.value("client", self.client);
        line.text("method", self.method.0);
        line.text("target", self.target.as_str());
        line.value("status", self.status);
        line.text("outcome", self.outcome.label());
        line.text("credential_source", self.credential_source.label());
        line.value("caller", self.caller.as_deref());
        line.value("duration_ms", self.milliseconds());
        line.value("bytes_received", self.bytes_received);
        line.value("bytes_sent", self.bytes_sent);
        if let Some(closing) = self.closing {
            line.value("close_code", closing.code);
            line.value("closed_by", closing.by.map(Side::label));
            line.value("messages_received", closing.messages_received);
            line.value("messages_sent", closing.messages_sent);
            line.text("framing", closing.framing());
        }
        line.finish()
    }

    fn text(&self) -> String {
        let dash = || "-".to_owned();
        let mut line = format!(
            "{} {} {} {} {} {} from {} credential={} caller={} {}ms in={} out={}",
            humantime::format_rfc3339_millis(self.time),
            self.event.label(),
            self.status.map_or_else(dash, |status| status.to_string()),
            self.outcome.label(),
            self.method.0,
            self.target,
            self.client.map_or_else(dash, |client| client.to_string()),
            self.credential_source.label(),
            self.caller.as_deref().unwrap_or("-"),
            self.milliseconds(),
            self.bytes_received,
            self.bytes_sent,
        );
        if let Some(closing) = self.closing {
            line.push_str(&format!(
                " messages_in={} messages_out={} framing={} code={} by={}",
                closing.messages_received,
                closing.messages_sent,
                closing.framing(),
                closing.code.map_or_else(dash, |code| code.to_string()),
                closing.by.map_or("-", Side::label)
            ));
        }
        line.push_str(&format!(" id={}", self.request_id));
        line
    }
}
