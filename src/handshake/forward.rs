//! The head that goes on: which fields do, which do not, and which we set ourselves.

use std::{io::Write, net::IpAddr};

use http::HeaderName;

use super::{
    Hop, Kind, Refusal, cookie,
    head::{Body, Field, Head, elements, names},
    subprotocol,
};
use crate::{config, secret::Wiped};

/// From ten tokens on Pingora refuses a `Connection`, and so do we, for every kind of request.
const CONNECTION_TOKENS: usize = 10;

/// Fields that belong to one connection (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that we set ourselves.
const REPLACED: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// The fields that `Connection` nominates, in lower case.
///
/// # Errors
/// [`Refusal::NominatedField`] when the client tries to take away what is ours or the
/// credential's.
pub(super) fn nominated(head: &Head<'_>, rules: &config::Handshake) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for (count, token) in elements(head.values("connection")).enumerate() {
        if count + 1 >= CONNECTION_TOKENS {
            return Err(Refusal::MalformedHead);
        }
        // What is no name nominates nothing.
        let Ok(name) = HeaderName::from_bytes(token) else { continue };
        let name = name.as_str().to_owned();
        if name == rules.field.as_str() || is_protected(&name) {
            return Err(Refusal::NominatedField);
        }
        if !matches!(name.as_str(), "close" | "keep-alive" | "upgrade") {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_protected(name: &str) -> bool {
    matches!(name, "host" | "content-length" | "transfer-encoding")
        || config::OUR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Who sent the request: the peer, or, when the peer is a trusted proxy, the right-most address in
/// `X-Forwarded-For` that is not one itself.
pub fn client(head: &Head<'_>, hop: &Hop<'_>) -> Option<IpAddr> {
    if !is_trusted(hop.peer, hop) {
        return hop.peer;
    }
    let mut chain: Vec<_> = elements(head.values("x-forwarded-for")).collect();
    let mut client = hop.peer;
    while let Some(address) = chain.pop() {
        let Some(address) = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok()) else {
            break;
        };
        client = Some(address);
        if !is_trusted(client, hop) {
            break;
        }
    }
    client
}

fn is_trusted(address: Option<IpAddr>, hop: &Hop<'_>) -> bool {
    address.is_some_and(|address| hop.trusted_proxies.iter().any(|net| net.contains(&address.to_canonical())))
}

/// What decides which fields go on, beside their names.
pub(super) struct Kept<'a> {
    /// The kind of request.
    pub(super) kind: Kind,
    /// The fields that `Connection` takes away, in lower case.
    pub(super) nominated: &'a [String],
    /// Those that we take away, in lower case.
    pub(super) withheld: &'a [&'a str],
    /// The credential that ours takes the place of. A field that holds it goes no further.
    pub(super) replaced: Option<&'a [u8]>,
    /// What decides where we do: subprotocols and a cookie that present a caller go no further.
    pub(super) require: Option<&'a config::Require>,
}

impl Kept<'_> {
    /// Whether a field's value has in it what ours takes the place of.
    fn holds_replaced(&self, value: &[u8]) -> bool {
        self.replaced.is_some_and(|credential| memchr::memmem::find(value, credential).is_some())
    }
}

/// Writes a head.
pub(super) struct Writer(Wiped);

impl Writer {
    /// Starts with the request line.
    pub(super) fn new(head: &Head<'_>, target: &[u8]) -> Self {
        let size: usize = head.fields.iter().map(|field| field.name.len() + field.value.len() + 4).sum();
        let mut out = Wiped::with_capacity(size + target.len() + 256);
        out.append(head.method.as_bytes());
        out.append(b" ");
        out.append(target);
        out.append(if head.is_http_11 { b" HTTP/1.1\r\n" } else { b" HTTP/1.0\r\n" });
        Self(out)
    }

    /// Adds one field line.
    pub(super) fn line(&mut self, name: &str, value: &[u8]) {
        self.0.append(name.as_bytes());
        self.0.append(b": ");
        self.0.append(value);
        self.0.append(b"\r\n");
    }

    /// Copies the fields that go on as they came.
    ///
    /// A plain request keeps the fields that frame its body for Pingora, which reads this head next
    /// and ends their journey.
    pub(super) fn end_to_end(
        &mut self,
        head: &Head<'_>,
        rules: &config::Handshake,
        hop: &Hop<'_>,
        kept: &Kept<'_>,
    ) {
        let Kept { kind, nominated, withheld, require, .. } = *kept;
        let believes = is_trusted(hop.peer, hop);
        let mut has_length = false;
        for Field { name, value } in &head.fields {
            if is_any(name, &["content-length"]) {
                // Identical repetitions of a length become one.
                if let (Kind::Plain, Body::Length(length), false) =
                    (kind, head.body, std::mem::replace(&mut has_length, true))
                {
                    self.line(name, length.to_string().as_bytes());
                }
                continue;
            }
            let goes_on = if is_any(name, &["transfer-encoding"]) {
                kind == Kind::Plain
            } else {
                !is_alike(name, rules.field.as_str())
                    && !begins_alike(name, "x-hushgate-")
                    && !is_any(name, &HOP_BY_HOP)
                    && !withheld.iter().any(|withheld| is_alike(name, withheld))
                    && !nominated.iter().any(|nominated| name.eq_ignore_ascii_case(nominated))
                    && !REPLACED.iter().any(|ours| is_alike(name, ours))
                    && (believes || !is_forwarding(name))
            };
            let others = match require {
                Some(require) if is_alike(name, "sec-websocket-protocol") => {
                    subprotocol::without_credentials(value, &require.subprotocol_prefixes)
                }
                Some(_) if is_alike(name, "cookie") => cookie::others(value),
                Some(_) | None => None,
            };
            let has_none = others.as_ref().is_some_and(Vec::is_empty);
            let value = others.as_deref().unwrap_or(value);
            if goes_on && !has_none && !kept.holds_replaced(value) {
                self.line(name, value);
            }
        }
    }

    /// Sets `X-Forwarded-For`, `-Proto` and `-Host`. What came is believed of a trusted proxy only.
    pub(super) fn forwarding(&mut self, head: &Head<'_>, hop: &Hop<'_>, kept: &Kept<'_>) {
        let believes = is_trusted(hop.peer, hop);
        let mut chain = Vec::with_capacity(64);
        if believes {
            for address in elements(head.values("x-forwarded-for").filter(|line| !kept.holds_replaced(line)))
            {
                chain.extend_from_slice(address);
                chain.extend_from_slice(b", ");
            }
        }
        if let Some(peer) = hop.peer {
            append_address(&mut chain, peer.to_canonical());
            self.line("X-Forwarded-For", &chain);
        }
        let came = |name| head.values(name).next().filter(|value| believes && !kept.holds_replaced(value));
        let host = || head.only("host").filter(|host| !kept.holds_replaced(host));
        let scheme: &[u8] = if hop.is_tls { b"https" } else { b"http" };
        self.line("X-Forwarded-Proto", came("x-forwarded-proto").unwrap_or(scheme));
        if let Some(host) = came("x-forwarded-host").or_else(host) {
            self.line("X-Forwarded-Host", host);
        }
    }

    /// Says what becomes of the connection, and ends the head. A plain request's word is for
    /// Pingora, which takes it for the client's.
    pub(super) fn finish(mut self, head: &Head<'_>, kind: Kind) -> Wiped {
        let says = |token: &[u8]| names(head.values("connection"), token);
        match kind {
            Kind::OpeningHandshake => {
                self.line("Connection", b"Upgrade");
                self.line("Upgrade", b"websocket");
            }
            Kind::Plain if says(b"close") => self.line("Connection", b"close"),
            Kind::Plain if says(b"keep-alive") => self.line("Connection", b"keep-alive"),
            Kind::Plain => {}
        }
        self.0.append(b"\r\n");
        self.0
    }
}

/// Appends an address as it prints. For the older kind by hand, which takes a tenth of the time.
fn append_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (at, octet) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                for (least, unit) in [(100, 100), (10, 10), (0, 1)] {
                    if octet >= least {
                        out.push(b'0' + octet / unit % 10);
                    }
                }
            }
        }
        // Writing to memory cannot fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// Fields by which a server may take a client's word for who or where it is.
fn is_forwarding(name: &str) -> bool {
    begins_alike(name, "x-forwarded-") || ["forwarded", "x-real-ip"].iter().any(|ours| is_alike(name, ours))
}

/// Whether a name is one of these, in any case.
fn is_any(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether two names are one to a server that takes `_` for `-`, in any case.
fn is_alike(name: &str, known: &str) -> bool {
    name.len() == known.len() && begins_alike(name, known)
}

/// Whether a name begins with `known`, to such a server.
fn begins_alike(name: &str, known: &str) -> bool {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() >= known.len() && name.bytes().zip(known.bytes()).all(|(a, b)| dashed(a) == dashed(b))
}
