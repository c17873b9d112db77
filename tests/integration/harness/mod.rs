//! The stage on which every test plays: the built gateway, a client, and a scripted upstream, over
//! real sockets on free ports. Whatever the gateway writes is searched for the canary when the
//! test is over, so every test is a test against leaks as well.

pub(crate) mod canary;
pub(crate) mod capture;
pub(crate) mod crowd;
pub(crate) mod frames;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod pattern;
pub(crate) mod setup;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod upstream;

use std::time::Duration;

pub(crate) use self::{
    canary::{CANARY, OURS},
    gateway::Gateway,
    http::{NONCE, SWITCHING, head, opening},
    stream::Stream,
    upstream::Upstream,
};

/// How long anything may take that should happen at once, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "{what}: did not happen in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How long `action` takes, and what it gives.
pub(crate) fn timed<T>(action: impl FnOnce() -> T) -> (Duration, T) {
    let started = tokio::time::Instant::now();
    let result = action();
    (started.elapsed(), result)
}

/// Whether the long form of a test was asked for.
pub(crate) fn is_slow_run() -> bool {
    std::env::var_os("HUSHGATE_SLOW_TESTS").is_some_and(|value| value == "1")
}

/// Says what was measured, so that a limit can be judged; `--nocapture` shows it.
#[expect(clippy::print_stderr, reason = "a test says what it measured")]
pub(crate) fn measured(what: &str) {
    eprintln!("measured: {what}");
}
