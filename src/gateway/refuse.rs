//! The only place that turns a refusal or a failure into a status. No answer gives a reason that a
//! client could probe.

use crate::{access_log::Outcome, handshake::Refusal};

/// The answer to a refused request, from the status line to the end of the body.
///
/// What the agent server would refuse itself is answered as it does: an opening handshake by a 403
/// without a reason phrase.
pub(super) const fn answer(refusal: Refusal) -> (u16, &'static [u8]) {
    match refusal {
        Refusal::AmbiguousFraming
        | Refusal::IllegalTarget
        | Refusal::InvalidHandshake
        | Refusal::MalformedHead
        | Refusal::NominatedField => {
            (400, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Refusal::BodyTimeout | Refusal::HeadTimeout => {
            (408, b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Refusal::HeadTooLarge | Refusal::TooManyFields => (
            431,
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
        Refusal::TooManyConnections => (
            503,
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 5\r\nConnection: close\r\n\r\n",
        ),
        Refusal::UnsupportedVersion => (
            426,
            b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
        // Byte for byte what the agent server's own refusal is passed on as.
        Refusal::UnusableCredential => {
            (403, b"HTTP/1.1 403 \r\ncontent-length: 0\r\nConnection: close\r\n\r\n")
        }
        Refusal::UnusablePlainCredential => (
            401,
            b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 25\r\nConnection: close\r\n\r\n{\"detail\":\"Unauthorized\"}",
        ),
    }
}

/// The status for a request that failed on its way.
pub(super) const fn status(outcome: Outcome) -> u16 {
    match outcome {
        Outcome::UpstreamMalformed | Outcome::UpstreamReset | Outcome::UpstreamUnreachable => 502,
        Outcome::UpstreamTimeout => 504,
        Outcome::Cut => 503,
        Outcome::Refused(refusal) => answer(refusal).0,
        Outcome::ClientClosed
        | Outcome::Closed
        | Outcome::InternalError
        | Outcome::Served
        | Outcome::Upgraded => 500,
    }
}

/// The answer to an opening handshake that failed on its way.
pub(super) const fn failed_handshake(outcome: Outcome) -> (u16, &'static [u8]) {
    match status(outcome) {
        503 => (503, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        502 => (502, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        504 => (504, b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        _ => (500, b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}
