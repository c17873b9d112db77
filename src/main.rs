//! The `hushgate` command.
use clap::Parser;

/// An authentication gateway that keeps session keys out of URLs and out of every log.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

fn main() {
    let Arguments {} = Arguments::parse();
}
