//! The configuration: only valid values exist.
//!
//! Nothing in here is a secret; secrets stand in files of their own that the configuration only
//! names.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use http::HeaderName;
use ipnet::IpNet;

pub use self::{
    origins::Origins,
    parse::Loaded,
    paths::{DeniedPath, OpenPath},
};

mod document;
pub mod keyring;
pub mod origins;
mod parse;
pub mod paths;
pub mod problem;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;
mod value;

/// How the names of fields begin that only we, or the protocol, set: none of them can be the
/// credential field, and no client may take one away.
pub(crate) const OUR_PREFIXES: [&str; 3] = ["sec-websocket-", "x-forwarded-", "x-hushgate-"];

/// Where the agent server makes its cookie for the files of a workspace out of its own credential, and takes
/// it back: denied to all unless callers get cookies of ours instead.
pub(crate) const MAKES_COOKIES: &str = "/api/auth/workspace-session";

/// A complete, valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect.
    pub listen: Listen,
    /// The agent server.
    pub upstream: Upstream,
    /// How a credential is presented.
    pub handshake: Handshake,
    /// Who decides about it.
    pub authentication: Authentication,
    /// What is written of each request.
    pub access_log: AccessLog,
    /// Where probes and metrics are answered.
    pub admin: Admin,
    /// What one client, or all of them, may take.
    pub limits: Limits,
    /// How the gateway ends.
    pub drain: Drain,
}

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address to bind; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// The files to serve TLS from, or `None` for plain TCP.
    pub tls: Option<TlsFiles>,
    /// The peers whose `X-Forwarded-*` fields are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// A certificate chain and its private key, both in PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key of the first certificate.
    pub private_key_file: PathBuf,
}

/// The agent server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The roots to verify an [`Endpoint::Tls`] against, else the system's.
    pub ca_file: Option<PathBuf>,
}

/// Where the agent server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `http://host:port`
    Tcp(Authority),
    /// `https://host:port`
    Tls(Authority),
    /// `unix:/path/to/socket`
    Unix(PathBuf),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, the scheme's own where the URL names none.
    pub port: u16,
}

/// How a credential is presented, and what the agent server gets of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The credential field, `X-Session-API-Key` unless configured.
    pub field: HeaderName,
    /// The configured spelling of [`Handshake::field`], for the wire.
    pub field_spelling: String,
    /// The query parameters that carry a credential, aliases of each other; never empty.
    pub parameters: Vec<String>,
    /// What stands before the credential in the field, for example `Bearer `.
    pub prefix: String,
    /// What happens to the parameter on a plain request.
    pub plain_requests: PlainRequests,
}

/// What happens to the parameter on a request that is not an opening handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainRequests {
    /// It is left in the query, and so reaches the agent server's log.
    Forward,
    /// It is moved into the credential field, as for an opening handshake.
    Promote,
    /// It is removed and gives no access.
    Strip,
}

/// Who decides whether a caller may in, and what is refused whoever decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Who decides.
    pub mode: Mode,
    /// The pages that may open a WebSocket, or `None` where that is not checked.
    pub origins: Option<Origins>,
    /// When a credential in a URL stops being taken, or `None` for never.
    pub refuse_query_after: Option<SystemTime>,
}

/// Who decides whether a caller may in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The agent server, as it would without a gateway.
    PassThrough,
    /// The gateway, before anything goes upstream.
    Require(Require),
}

/// What the gateway decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The file of the callers' digests.
    pub keyring: PathBuf,
    /// The file of the credential that the agent server gets once a caller is verified.
    pub credential_file: PathBuf,
    /// What anybody may read, without the agent server's credential.
    pub open_paths: Vec<OpenPath>,
    /// What no caller reaches.
    pub deny_paths: Vec<DeniedPath>,
    /// What becomes of an opening handshake that presents nothing.
    pub first_message: FirstMessage,
    /// How subprotocols begin that carry a credential as it is, beside the one that Kubernetes has.
    pub subprotocol_prefixes: Vec<String>,
    /// The query parameter of an opening handshake that carries a ticket.
    pub ticket_parameters: Vec<String>,
    /// How callers get cookies, or `None` where a cookie presents nobody.
    pub cookies: Option<Cookies>,
}

/// How callers get cookies for the files of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookies {
    /// The file of the keys that seal them; replicas have the same.
    pub signing_key_file: PathBuf,
    /// How long one counts.
    pub lifetime: Duration,
}

/// What becomes of an opening handshake that presents nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstMessage {
    /// We answer it, and the first message has to present a credential.
    Accept,
    /// It is refused.
    Refuse,
}

/// What is written of each request, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub sink: Sink,
    /// How a line looks.
    pub format: LogFormat,
    /// The query parameters whose value may be logged; none of them carries a credential.
    pub show: Vec<String>,
}

/// Where access lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// A file, created when missing, appended to, reopened on SIGHUP.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// How an access line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One readable line.
    Text,
}

/// Where probes and metrics are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The address to bind; port 0 lets the system choose one.
    pub address: SocketAddr,
}

/// What one client, or all of them, may take. A duration of zero means no limit where the field
/// says so, and is refused elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From a request's first byte to the end of its head.
    pub head_timeout: Duration,
    /// The longest request head, in bytes.
    pub head_size: usize,
    /// The most field lines in a request head.
    pub head_fields: usize,
    /// The most downstream connections at once.
    pub connections: usize,
    /// To connect to the agent server, TLS included.
    pub connect_timeout: Duration,
    /// From a sent opening handshake to its answer's head.
    pub handshake_timeout: Duration,
    /// How long the agent server may say nothing while a plain request is answered: before the head,
    /// and between pieces of the body.
    pub response_timeout: Duration,
    /// Of a WebSocket on which nothing moves; `None` is for ever.
    pub idle_timeout: Option<Duration>,
    /// Of a WebSocket in all; `None` is for ever.
    pub lifetime: Option<Duration>,
    /// How long a peer may leave what was sent to it unacknowledged or unread before it counts as
    /// vanished, and how long nothing may move once one side has ended its stream; `None` leaves the former to
    /// the kernel and allows the latter for ever.
    pub vanished_timeout: Option<Duration>,
    /// Failed attempts a minute by one peer address; 0 is no limit.
    pub failed_attempts_per_minute: u32,
    /// The most WebSockets at once whose first message has yet to present a credential.
    pub unverified_sockets: usize,
    /// The same by one peer address.
    pub unverified_sockets_per_address: usize,
}

/// How the gateway ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Between being unready and closing the listeners.
    pub delay: Duration,
    /// How long open requests and sockets may take.
    pub timeout: Duration,
    /// The most time over which the Close frames of all sockets are spread.
    pub spread: Duration,
    /// The code of the Close frame that open sockets get: 1001 or 1012.
    pub close_code: u16,
}
