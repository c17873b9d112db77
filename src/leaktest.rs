//! `hushgate leaktest`: plants fresh canaries wherever a credential can stand, drives every path on
//! which a request can end, and searches every byte of every sink for them.
//!
//! Against this program by default: a gateway of its own for each log level and each form of the
//! access log, and two in `require`, before an upstream that fails as it is told. In `require` every
//! canary is a key, good or not, or stands in a file where none may be, and the gateway's own credential
//! is one too. Or against a deployment that is running, whose files are searched for what they have
//! grown by; with `--upstream` the test plays the agent server behind it, so that its failures can be
//! driven there as well.
//!
//! A canary is found as it is, percent-encoded (once or twice), in base64 and base64url at any
//! alignment, in hexadecimal digits and reversed; so is either end of one. It is never shown.
//!
//! What is not covered: memory, swap and core dumps; the kernel's socket buffers; what a sink keeps
//! beside the files that are named, such as a journal, a tracing backend or a terminal; compressed or
//! encrypted files; and a credential as a bare path segment, which nothing can tell from another.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use thiserror::Error;

pub use self::carriers::Names;

mod answers;
mod attempt;
mod canary;
mod carriers;
mod drive;
mod itself;
mod paths;
mod process;
mod report;
mod request;
mod require;
mod script;
mod search;
mod sinks;
mod target;
#[cfg(test)]
mod tests;
mod upstream;

/// Why there is no result.
#[derive(Debug, Error)]
pub enum LeaktestError {
    /// There is no folder for what the gateways write.
    #[error("the folder for what the gateway writes cannot be used: {}", .0.kind())]
    Folder(io::Error),
    /// The gateway that is to be tested does not start, answer or end.
    #[error("a gateway cannot be started, asked or ended: {}", .0.kind())]
    Gateway(io::Error),
    /// What was found cannot be written.
    #[error("the result cannot be written: {}", .0.kind())]
    Output(io::Error),
    /// There are no random bytes for the canaries.
    #[error("the system gives no random bytes for the canaries")]
    Randomness,
    /// The search cannot be prepared.
    #[error("the search cannot be prepared, which is a mistake of hushgate's")]
    Search,
    /// The target's name leads nowhere.
    #[error("--target: {0} cannot be resolved; write a URL such as http://127.0.0.1:8080")]
    Unknown(String),
    /// The upstream of the test cannot listen.
    #[error("--upstream: cannot listen on {}: {}", .0, .1.kind())]
    Upstream(SocketAddr, io::Error),
    /// A file cannot be watched.
    #[error("--watch: {}: {}", .0.display(), .1)]
    Watch(PathBuf, io::Error),
}

/// What is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// This program, which stands there.
    Itself(PathBuf),
    /// A deployment that is running.
    Target(Target),
}

/// A deployment that is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its host and port.
    pub authority: String,
    /// The files that it, and other hops, write to.
    pub watch: Vec<PathBuf>,
    /// Where the test plays the agent server behind it, if it does.
    pub upstream: Option<SocketAddr>,
    /// How long writers have after the last request.
    pub settle: Duration,
    /// How long one request may take.
    pub patience: Duration,
    /// What it calls things.
    pub names: Names,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object for machines.
    Json,
    /// The matrix for people.
    Text,
}

/// What a test says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every canary was planted, and none was found.
    Clean,
    /// At least one was found.
    Leaked,
    /// None was found, but not everything that has to be was driven or searched.
    NoResult,
}

impl Verdict {
    /// The word for machines.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Leaked => "leaked",
            Self::NoResult => "no result",
        }
    }
}

/// Tests, prints the matrix, and says what it comes to.
///
/// # Errors
/// The test could not be made, or `out` cannot be written to.
pub async fn run(subject: &Subject, format: Format, out: &mut impl Write) -> Result<Verdict, LeaktestError> {
    let report = match subject {
        Subject::Itself(program) => itself::test(program).await?,
        Subject::Target(target) => target::test(target).await?,
    };
    match format {
        Format::Json => report.json(out),
        Format::Text => report.text(out),
    }
    .map_err(LeaktestError::Output)?;
    Ok(report.verdict())
}
