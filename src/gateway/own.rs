//! What hushgate answers itself, below `/.hushgate/`, where it decides about callers.

use std::time::SystemTime;

use tokio::time::Instant;

use super::{
    Gateway, Snapshot,
    refuse::Aside,
    tickets::{LIFETIME, NoTicket, Purpose},
};
use crate::{
    authenticate::{Admission, Denial, Denied, is_allowed, origin},
    config::keyring::{Carrier, Entry},
    handshake::{
        head::Head,
        query::{decode, segments, split_once},
    },
    secret::Wiped,
};

/// What is ours, and never the agent server's.
const OURS: &[u8] = b"/.hushgate/";

/// Where tickets are issued.
const TICKETS: &[u8] = b"/.hushgate/tickets";

/// An answer of ours to a request that goes no further.
pub(super) struct Own {
    pub(super) status: u16,
    /// All of it, from its status line on.
    pub(super) bytes: Wiped,
}

/// Whether a request for this target is for us.
pub(super) fn is_ours(target: &[u8]) -> bool {
    target.starts_with(OURS)
}

/// Answers a request of whoever is `admitted` that is for us, unless it needs nobody to be known.
///
/// # Errors
/// What the caller may not have.
pub(super) fn answer(
    gateway: &Gateway,
    snapshot: &Snapshot,
    head: &Head<'_>,
    admitted: &Admission,
    aside: &Aside,
) -> Result<Option<Own>, Denied> {
    let (path, query) = split_once(head.target, b'?').unwrap_or((head.target, b""));
    let caller = match admitted {
        Admission::Caller(caller) => &caller.entry,
        Admission::Open if head.method == "OPTIONS" => return Ok(Some(preflight(snapshot, aside))),
        Admission::Awaited | Admission::Open | Admission::PassThrough => return Ok(None),
    };
    if path != TICKETS {
        return Ok(Some(said(404, "404 Not Found", "", &detail("there is nothing here"), aside)));
    }
    if head.method != "POST" {
        let wrong = "tickets are issued to POST";
        return Ok(Some(said(405, "405 Method Not Allowed", "Allow: POST\r\n", &detail(wrong), aside)));
    }
    // A ticket of no use would be found out only by the WebSocket, which is told no reason.
    let page = origin(head);
    let list = snapshot.config.authentication.origins.as_ref();
    let admitted = if is_allowed(page, list) {
        caller.admits(SystemTime::now(), Carrier::Ticket, page)
    } else {
        Err(Denial::Origin)
    };
    admitted.map_err(|denial| Denied { denial, entry: Some(caller.clone()) })?;
    Ok(Some(ticket(gateway, caller, head, query, aside)))
}

/// The longest path of a ticket, in bytes.
const LONGEST_PATH: usize = 2048;

/// Whether a WebSocket's target can have this path.
fn can_be_asked_for(path: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    path.starts_with(b"/") && path.len() <= LONGEST_PATH && path.iter().all(is_plain)
}

/// Issues a ticket.
fn ticket(gateway: &Gateway, caller: &Entry, head: &Head<'_>, query: &[u8], aside: &Aside) -> Own {
    let path = segments(query).filter(|segment| *decode(segment.name) == *b"path").last();
    let path = path.map(|path| decode(path.value)).filter(|path| can_be_asked_for(path));
    let Some(path) = path else {
        let wrong = "name the path of the WebSocket: POST /.hushgate/tickets?path=/sockets/…";
        return said(400, "400 Bad Request", "", &detail(wrong), aside);
    };
    let purpose = Purpose { path: path.as_ref().into(), origin: origin(head).map(Into::into) };
    match gateway.tickets.issue(caller.digest, purpose, Instant::now()) {
        Ok(ticket) => {
            let mut body = Wiped::with_capacity(128);
            body.append(b"{\"ticket\":\"");
            body.append(ticket.as_bytes());
            body.append(format!("\",\"expires_in\":{}}}", LIFETIME.as_secs()).as_bytes());
            said(200, "200 OK", "", &body, aside)
        }
        Err(NoTicket::TooMany) => {
            let wait = format!("Retry-After: {}\r\n", LIFETIME.as_secs());
            said(429, "429 Too Many Requests", &wait, &detail("too many tickets wait to be redeemed"), aside)
        }
        Err(NoTicket::NoRandom) => {
            said(503, "503 Service Unavailable", "", &detail("no ticket can be made"), aside)
        }
    }
}

/// Tells a browser what a page may ask (Fetch, section 3.2.2).
fn preflight(snapshot: &Snapshot, aside: &Aside) -> Own {
    let field = &snapshot.config.handshake.field_spelling;
    let fields = format!(
        "Access-Control-Allow-Methods: POST\r\nAccess-Control-Allow-Headers: {field}\r\n\
         Access-Control-Max-Age: 600\r\n"
    );
    let mut bytes = head("204 No Content", &fields, aside);
    bytes.append(b"\r\n");
    Own { status: 204, bytes }
}

/// An object that says for people what is wrong, as the agent server's do.
fn detail(text: &str) -> Wiped {
    Wiped::new(format!("{{\"detail\":\"{text}\"}}").into_bytes())
}

fn said(status: u16, line: &str, fields: &str, body: &Wiped, aside: &Aside) -> Own {
    let mut bytes = head(line, fields, aside);
    let length = body.as_bytes().len();
    bytes.append(format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n").as_bytes());
    if !aside.is_head_only {
        bytes.append(body.as_bytes());
    }
    Own { status, bytes }
}

fn head(line: &str, fields: &str, aside: &Aside) -> Wiped {
    let mut bytes = Wiped::with_capacity(512);
    bytes.append(
        format!(
            "HTTP/1.1 {line}\r\n{fields}{}Cache-Control: no-store\r\nConnection: close\r\n",
            aside.lines()
        )
        .as_bytes(),
    );
    bytes
}
