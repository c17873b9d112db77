//! The load generator and the upstream of the comparison; `benches/compare/run` starts both.
//!
//! Every command but `upstream` and `certificate` keeps to one protocol, so that the driver can read
//! a proxy's processor time and memory at the right moments: it prints `ready` when it is prepared,
//! works when a line arrives on standard input, prints one line of JSON, and holds its sockets open
//! until standard input ends. It runs on a single thread, as the upstream does.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed step is a failed measurement"
)]

mod client;
mod echo;
mod frame;
mod handshakes;
mod idle;
mod probe;
mod requests;
mod results;
mod stream;
mod upstream;

use std::{fs, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

/// The credential that clients present and that the upstream wants to see.
const CREDENTIAL: &str = "0123456789abcdef0123456789abcdef";

/// What stays of every query once the parameter is cut, before any other parameters.
const REST: &str = "?after=1";

/// So many other parameters: in alphabetical order, since some proxies sort what they keep.
fn others(count: usize) -> String {
    (0..count).map(|number| format!("&name{number:04}=value{:02}", number % 100)).collect()
}

#[derive(Parser)]
#[command(about = "The load generator and the upstream of the comparison")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers WebSockets and plain requests on these ports of 127.0.0.1 until it is ended
    Upstream { ports: Vec<u16> },
    /// Writes certificate.pem and private-key.pem for `localhost` into a folder
    Certificate { folder: PathBuf },
    /// Shows which parts of the job a proxy does
    Probe(client::Target),
    /// Opens sockets, each for one message there and back
    Handshakes(Load),
    /// Sends a message on every socket again and again, each when the last one is back
    Echo(Load),
    /// Sends frames as fast as they are taken, from the client
    Up(Load),
    /// Sends frames as fast as they are taken, from the upstream
    Down(Load),
    /// Opens sockets, sends one message on each, and holds them; each line that arrives after that is
    /// one more message on each of them
    Idle(Load),
    /// Sends plain requests on connections that are kept alive
    Requests(Load),
}

#[derive(Args, Clone)]
struct Load {
    #[command(flatten)]
    target: client::Target,
    /// How many sockets are open at a time
    #[arg(long, default_value_t = 64)]
    sockets: usize,
    /// How many bytes a message has
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// How many frames of `up` and `down` are written at once
    #[arg(long, default_value_t = 1)]
    together: usize,
    /// For how long; `idle` takes as long as it needs
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// How many other parameters the queries of `handshakes` have
    #[arg(long, default_value_t = 0)]
    others: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match Arguments::parse().command {
        Command::Upstream { ports } => upstream::serve(&ports).await,
        Command::Certificate { folder } => certificate(&folder),
        Command::Probe(target) => probe::run(&target).await,
        Command::Handshakes(load) => handshakes::run(&load).await,
        Command::Echo(load) => echo::run(&load).await,
        Command::Up(load) => stream::up(&load).await,
        Command::Down(load) => stream::down(&load).await,
        Command::Idle(load) => idle::run(&load).await,
        Command::Requests(load) => requests::run(&load).await,
    }
}

fn certificate(folder: &std::path::Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("private-key.pem"), made.signing_key.serialize_pem()).unwrap();
}
