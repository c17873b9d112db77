//! The pure rooms: what a request costs before anything of it is sent anywhere, in time and in
//! allocations. See ../README.md.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a failed benchmark")]
#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

mod access_log;
mod allocations;
mod authenticate;
mod handshake;
mod samples;
mod scrub;
mod websocket;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut benchmarks = allocations::Benchmarks::new(criterion);
    handshake::normalising(&mut benchmarks);
    handshake::checking_a_credential(&mut benchmarks);
    authenticate::finding(&mut benchmarks);
    authenticate::deciding(&mut benchmarks);
    handshake::judging(&mut benchmarks);
    access_log::redacting(&mut benchmarks);
    access_log::writing_a_line(&mut benchmarks);
    websocket::following(&mut benchmarks);
    scrub::scrubbing(&mut benchmarks);
    benchmarks.finish();
    // Whoever tests the benchmarks measures nothing, and who wants another group wants no more.
    let mut arguments = std::env::args().skip(1);
    if arguments.all(|argument| argument == "--bench" || "authenticate".starts_with(&argument)) {
        authenticate::comparing();
    }
}
