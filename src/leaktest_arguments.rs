//! The arguments of `hushgate leaktest`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use hushgate::leaktest::{Format, Names, Subject, Target};
use url::Url;

/// The arguments as they are written.
#[derive(Args)]
pub(super) struct Arguments {
    /// A deployment that is running, such as <http://127.0.0.1:8080>, instead of this program.
    #[arg(long, value_name = "URL", requires = "watch", value_parser = authority)]
    target: Option<String>,
    /// Files that the target, and other hops, write to; searched for what they grow by.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "target")]
    watch: Vec<PathBuf>,
    /// Where to play the agent server behind the target, so that its failures can be driven.
    #[arg(long, value_name = "ADDRESS", requires = "target")]
    upstream: Option<SocketAddr>,
    /// How long writers have after the last request.
    #[arg(long, value_name = "DURATION", requires = "target", default_value = "2s", value_parser = humantime::parse_duration)]
    settle: Duration,
    /// How long one request may take.
    #[arg(long, value_name = "DURATION", requires = "target", default_value = "5s", value_parser = humantime::parse_duration)]
    patience: Duration,
    /// The path of a WebSocket at the target.
    #[arg(long, value_name = "PATH", requires = "target", default_value_t = Names::default().path, value_parser = path)]
    path: String,
    /// The query parameter that carries a credential.
    #[arg(long, value_name = "NAME", requires = "target", default_value_t = Names::default().parameter, value_parser = name)]
    parameter: String,
    /// The field that carries a credential.
    #[arg(long, value_name = "NAME", requires = "target", default_value_t = Names::default().field, value_parser = name)]
    field: String,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Shown::Text)]
    format: Shown,
}

/// How the result is printed.
#[derive(Clone, Copy, ValueEnum)]
enum Shown {
    /// A matrix for people.
    Text,
    /// An object for machines.
    Json,
}

impl Arguments {
    /// How the result is printed.
    pub(super) fn format(&self) -> Format {
        match self.format {
            Shown::Text => Format::Text,
            Shown::Json => Format::Json,
        }
    }

    /// What is tested, where `program` is this one.
    pub(super) fn subject(self, program: PathBuf) -> Subject {
        let Some(authority) = self.target else { return Subject::Itself(program) };
        let host = authority.strip_suffix(":80").unwrap_or(&authority).to_owned();
        Subject::Target(Target {
            authority,
            watch: self.watch,
            upstream: self.upstream,
            settle: self.settle,
            patience: self.patience,
            names: Names { host, path: self.path, parameter: self.parameter, field: self.field },
        })
    }
}

/// The host and the port of a target.
fn authority(text: &str) -> Result<String, String> {
    let wrong = |what| format!("{what}; write a URL such as http://127.0.0.1:8080");
    let url = Url::parse(text).map_err(|_| wrong("it is no URL"))?;
    if url.scheme() != "http" {
        return Err(wrong("only http is spoken: test what is behind TLS on loopback"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(wrong("it has more than a host and a port, and a path belongs into --path"));
    }
    let host = url.host_str().ok_or_else(|| wrong("it has no host"))?;
    Ok(format!("{host}:{}", url.port_or_known_default().unwrap_or(80)))
}

/// The path of a WebSocket, to which carriers add what they need.
fn path(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~:@".contains(&byte);
    if text.starts_with('/') && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("write a path without a query, such as /sockets/events/1".to_owned())
    }
}

/// The name of a parameter or a field.
fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        Ok(text.to_owned())
    } else {
        Err("write a name of letters, digits, -, . and _".to_owned())
    }
}
