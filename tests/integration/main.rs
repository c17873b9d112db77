//! The built gateway, over real sockets, before a scripted upstream. Every test is a test against
//! leaks as well: see `harness`.
//!
//! `HUSHGATE_SLOW_TESTS=1` runs the long form of the tests that have one.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// The admin listener: probes, metrics, and nothing for clients.
mod administered;
/// Any bytes, split and timed anyhow, and every end, on sockets by the hundred: what comes out is what
/// went in.
mod any_bytes;
/// Authentication at the edge: who gets in, and sockets that end when a key does.
mod authenticated;
/// `hushgate check` and the command line: messages, places, exit codes.
mod checked;
/// Clients that come and go for long, in every way: memory and descriptors stay flat.
mod churned;
/// Thousands of opening handshakes, many at once: none is lost.
mod crowded;
/// Standard error: what is said of ourselves, and that saying it stalls nobody.
mod diagnosed;
/// Who the client is: `X-Forwarded-*`, trusted proxies, and the address in the log.
mod forwarding_fields;
/// The stage: gateway, client, upstream, and the search for the canary.
mod harness;
/// Whether the stage itself would notice a leak.
mod harness_itself;
/// What an idle socket costs, by the thousand, and that it leaves nothing.
mod idle;
/// What follows on a connection: pipelining, smuggling, and requests hidden in bodies.
mod judged_anew;
/// `hushgate key`: credentials, entries, and the file that they go into.
mod keys;
/// Messages of 64 MiB, in one frame and in many: memory is flat.
mod large_messages;
/// `hushgate leaktest`: the program itself, a deployment, and a server that leaks.
mod leaktested;
/// What one client, or all of them, may take: heads, fields, time, connections.
mod limited;
/// What is written of a request, where, and that writing stalls nobody.
mod logged;
/// What the client gets of the upstream's answer to an opening handshake, and in which order.
mod opening_answered;
/// What the upstream gets of an opening handshake, byte for byte.
mod opening_forwarded;
/// TLS on either side: the same promises as without.
mod over_tls;
/// An upstream on a Unix socket.
mod over_unix;
/// Plain requests, as the upstream sees them and as the client sees their answers.
mod plain;
/// Which of the upstream's connections are used again, and what is never sent twice.
mod pooled;
/// What happens after a 101: bytes, ends, backpressure, idleness, and the `close` line.
mod relayed;
/// SIGHUP: what takes effect, what survives, and what a mistake does.
mod reloaded;
/// TLS sessions that are taken up again: by whom, and what ends them.
mod resumed;
/// `hushgate scrub`: logs of other products and their formats, files, exit codes.
mod scrubbed;
/// Its memory, closed to others.
mod sealed;
/// What the repository ships: every configuration file and command line is valid.
mod shipped;
/// SIGTERM and SIGINT: draining, in order and in time; and a start that fails.
mod signalled;
/// Hundreds of readers that stop: little is held, and nobody else waits.
mod stopped_readers;
/// Bodies that are large, slow, endless or cut short, in both directions.
mod streaming;
/// Requests that we refuse because a server behind us could read them differently.
mod strict;
/// Many clients at once: each gets its own, and everything is counted.
mod together;
/// What a client gets when the upstream is unreachable, silent, broken or talks nonsense.
mod upstream_fails;
/// Peers that vanish, or might as well have: they are given up in time.
mod vanished;
