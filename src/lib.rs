//! hushgate: an authentication gateway that stands in front of an existing agent server and keeps
//! session keys out of URLs and out of every log. This page is its architecture.
//!
//! # The way of a request
//! ```text
//! downstream ─▶ server: accept, hand over to a worker, TLS
//!    ─▶ gateway::connection: read one head under a deadline; take one Snapshot of the configuration
//!    ─▶ handshake::examine: what does it present, what may go on?                           (pure)
//!    ─▶ authenticate::admit: who is it, and may they in?                                    (pure)
//!         ├─ /.hushgate/ ──────▶ gateway::own: an answer of ours, such as a ticket
//!         ├─ Awaited ──────────▶ gateway::first_message: our own 101, one message, and judged once more
//!         ├─ Refusal, Denial ─▶ gateway::refuse: an answer that gives no reason, then close
//!         ├─ Opening handshake ▶ gateway::takeover: our own handshake upstream ─▶ its answer
//!         │                       └─ 101 ─▶ relay: two streams until both have ended, in a task of its own
//!         └─ Plain request ───▶ gateway::adapter: Pingora's HTTP proxy ─▶ response, next request
//!    ─▶ access_log, metrics: one record                                   ◀ every exit ends here
//! ```
//! Pingora never sees a head as a client sent it. Each is read and judged here first, and what
//! Pingora parses is the head that may go on: the credential moved out of the URL, the parameter
//! cut, forged and hop-by-hop fields gone. So, unless `plain_requests = "forward"` leaves the query
//! alone, no credential of a URL enters Pingora, and whatever a library says, only its place in the
//! source is shown. A malformed head still writes a line of ours, and the limits of time and size
//! hold for the head as a whole. Opening handshakes do not enter Pingora at all, since it cuts quiet
//! sockets, loses early data, and cannot end them with a Close frame.
//!
//! In `require` the keyring decides. It is part of the snapshot, and read again by itself when its file changes;
//! [`gateway`] keeps the sockets of each key together, so that whoever a new keyring, or the time, does not let in any
//! more is told within a second. What stands for a key, as a ticket or as a cookie, leads to the same entry. The agent
//! server's own cookie is exchanged in its answer, by `gateway::cookies`.
//!
//! There is a worker for each processor: a thread with a runtime of its own, which keeps a connection
//! from its first byte to its last, together with its connections upstream. The main thread accepts,
//! listens to signals and answers probes. An idle WebSocket costs its task, about a kibibyte, and no
//! buffer: bytes pass through a scratch of the thread, in the relay as in TLS, and long frames
//! through a pipe of the thread, without being copied.
//!
//! # Invariants
//! - Only [`gateway`] names Pingora. The pure rooms do no I/O, read no clock and take
//!   no lock.
//! - A request's bytes reach a log only through [`access_log::Record`], which has no room for any
//!   but the redacted target. Nothing prints a Pingora error's text or a request head, and no
//!   library's text about a request reaches standard error.
//! - What is written down of a request shows nothing of eight bytes or more that the same request
//!   presented as a credential, wherever it put it.
//! - No error holds text from a peer or from a secret: configuration keys, positions and lengths only.
//! - Bytes among which a credential may be are held in [`secret`]'s types, which the compiler lets nobody
//!   print, copy or compare, and which are wiped when they are dropped.
//! - A request sees one [`gateway::Snapshot`] from its first phase to its log line. Configuration is
//!   checked when it is loaded; no request can fail because of it.
//! - What goes upstream is what was judged: no second parser decides about a credential.
//! - No `unwrap`, `expect`, indexing or `as` where a peer can reach. `unsafe` is forbidden.
//!
//! `tests/tidy.rs` reads the sources for those that a test can read.
//!
//! # Secrets in memory
//! The process is not dumpable, so neither a core dump nor another process of the same user reads its
//! memory. What we own is wiped: the head as it was read, the decoded credential, and the head that goes
//! on. What is not: the kernel's socket buffers; Pingora's buffers and its copy of a plain request's head,
//! until they are used again; rustls's records; what a first
//! message's JSON has to be unescaped in; the scratch of each thread, which holds what last passed
//! through it; bytes that a client sent ahead of the answer to its handshake; and what the optimiser left in
//! a register or on the stack. `SECURITY.md` says what that means for an operator.
//!
//! # The rooms
//! Dependencies point down only.
//!
//! | room | what it is for | |
//! | --- | --- | --- |
//! | `main.rs` | arguments, configuration, server, exit codes | |
//! | `command/` | commands that are no gateway: `hushgate key`, `hushgate leaktest` and `hushgate scrub` | I/O |
//! | [`demo`] | an embedded agent server behind a gateway, and the story of one key | I/O |
//! | [`leaktest`] | canaries in every carrier, on every path, looked for in every sink | I/O |
//! | [`server`] | listeners, TLS, admin, signals, reload, drain | I/O |
//! | [`gateway`] | the thin adapter between connections, the pure rooms, Pingora and the upstream | I/O |
//! | [`relay`] | two streams after a 101: backpressure, half-close, limits, goodbye | I/O |
//! | [`metrics`] | Prometheus families, labelled by closed words only | |
//! | [`access_log`] | the only writer of request lines; redaction by allow-list | pure, but for its writer thread |
//! | [`authenticate`] | who is this caller, and may they in | pure |
//! | [`handshake`] | the rules of normalisation, and the strict side | pure |
//! | [`websocket`] | frame boundaries and close codes, by frame headers alone; the first message | pure |
//! | [`config`] | only valid values exist; every mistake is found at once, with its place | pure |
//! | `folder` | a private folder for a while | I/O |
//! | `read_head` | the head of a probe, or of what a stand-in is asked | I/O |
//! | [`scrub`] | credentials out of logs that others wrote | pure |
//! | [`phase`] | how far the process is on its way to its end | pure |
//! | [`secret`] | a credential that can be carried on and never shown | pure |
pub mod access_log;
pub mod authenticate;
pub mod config;
pub mod demo;
mod folder;
pub mod gateway;
pub mod handshake;
pub mod leaktest;
pub mod metrics;
pub mod phase;
#[cfg(feature = "planted-leaks")]
pub mod planted;
mod read_head;
pub mod relay;
pub mod scrub;
pub mod secret;
pub mod server;
pub mod websocket;
