//! `hushgate demo`: the whole story on one machine, within a minute.
//!
//! An embedded agent server, whose rule of authentication is the real one's, and the gateway in
//! front of it, both on free ports of loopback. Every way of presenting a key is tried at the agent
//! server alone and then through the gateway; what each side sent, received and logged is shown
//! and judged. Then a page tells the same story live in a browser.

use std::{
    env,
    io::{self, IsTerminal, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use self::{agent_server::AgentServer, folder::Folder, keys::Keys, print::Printer};
use crate::{
    config::{self, Config},
    server::{Server, StartError},
};

mod agent_server;
mod authentication;
mod cases;
mod client;
mod folder;
mod keys;
mod print;
mod story;
#[cfg(test)]
mod tests;
mod verdict;
mod walk;

/// How long the first message may take, as at the real agent server.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// Why the demo could not be given.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The embedded agent server cannot listen.
    #[error("the demo's agent server cannot listen on loopback: {}", .0.kind())]
    AgentServer(io::Error),
    /// There is no folder for the access log.
    #[error("the demo's folder for its access log cannot be made in {}: {}", env::temp_dir().display(), .0.kind())]
    Folder(io::Error),
    /// The gateway cannot start.
    #[error(transparent)]
    Gateway(#[from] StartError),
    /// What there is to show cannot be written.
    #[error("the demo's output cannot be written: {}", .0.kind())]
    Output(#[from] io::Error),
    /// There are no random bytes for the keys.
    #[error("the system gives no random bytes for the demo's keys")]
    Randomness,
    /// SIGTERM and SIGINT cannot be waited for.
    #[error("the demo cannot wait for signals: {}", .0.kind())]
    Signal(io::Error),
}

/// How the demo is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// End after the walk, instead of serving the page.
    pub once: bool,
    /// Use colour.
    pub colour: bool,
}

/// Whether standard output is a terminal whose user wants colour (<https://no-color.org>).
pub fn wants_colour() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Walks through every way of presenting a key, then serves the page until SIGINT or SIGTERM.
/// Returns whether the walk came to its end and everything held.
///
/// # Errors
/// Something did not start, or `out` cannot be written to.
pub async fn run(options: Options, out: &mut impl Write) -> Result<bool, DemoError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DemoError::Signal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Signal)?;
    run_until(options, out, async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
    .await
}

/// [`run`], until `ended` is ready, in the middle of the walk too.
async fn run_until(
    options: Options,
    out: &mut impl Write,
    ended: impl Future<Output = ()>,
) -> Result<bool, DemoError> {
    let stage = Stage::set().await?;
    let mut all_held = false;
    let giving = async {
        let mut printer = Printer::new(out, options.colour, stage.keys.clone());
        all_held = walk::walk(&stage, &mut printer).await?;
        out.flush()?;
        if options.once {
            return Ok(());
        }
        writeln!(
            out,
            "\nNow in a browser, through hushgate; end with Ctrl-C:\npage: http://{}/",
            stage.gateway.address()
        )?;
        out.flush()?;
        std::future::pending().await
    };
    let result = tokio::select! {
        result = giving => result,
        () = ended => Ok(()),
    };
    stage.clear().await;
    result.map(|()| all_held)
}

/// The two servers, and where the gateway's log is.
struct Stage {
    agent_server: AgentServer,
    gateway: Server,
    keys: Keys,
    access_log: PathBuf,
    folder: Folder,
}

impl Stage {
    async fn set() -> Result<Self, DemoError> {
        let keys = Keys::random()?;
        let name = format!("hushgate-demo-{}", keys::random_digits()?);
        let folder = Folder::new(&name).map_err(DemoError::Folder)?;
        let access_log = folder.path().join("access.log");
        let agent_server = AgentServer::start(keys.clone(), FIRST_MESSAGE, access_log.clone())
            .await
            .map_err(DemoError::AgentServer)?;
        let gateway = Server::start(configuration(agent_server.address(), access_log.clone())).await?;
        Ok(Self { agent_server, gateway, keys, access_log, folder })
    }

    /// Ends both, the sockets first, so that the gateway has nothing left to wait for.
    async fn clear(self) {
        self.agent_server.stop().await;
        self.gateway.drain().await;
        drop(self.folder);
    }
}

/// The gateway's configuration: what `gateway.toml` has by default, on free ports.
fn configuration(agent_server: SocketAddr, access_log: PathBuf) -> Config {
    let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let host = agent_server.ip().to_string();
    Config {
        listen: config::Listen { address: free_port, tls: None, trusted_proxies: Vec::new() },
        upstream: config::Upstream {
            endpoint: config::Endpoint::Tcp(config::Authority { host, port: agent_server.port() }),
            ca_file: None,
        },
        handshake: config::Handshake {
            field: http::HeaderName::from_static("x-session-api-key"),
            field_spelling: authentication::FIELD.to_owned(),
            parameters: vec![authentication::PARAMETER.to_owned()],
            prefix: String::new(),
            plain_requests: config::PlainRequests::Strip,
        },
        authentication: config::Authentication::PassThrough,
        access_log: config::AccessLog {
            sink: config::Sink::File(access_log),
            format: config::LogFormat::Json,
            show: Vec::new(),
        },
        admin: config::Admin { address: free_port },
        limits: config::Limits {
            head_timeout: Duration::from_secs(15),
            head_size: 64 * 1024,
            head_fields: 100,
            connections: 1000,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(15),
            response_timeout: Duration::from_secs(60),
            idle_timeout: None,
            failed_attempts_per_minute: 20,
        },
        drain: config::Drain { delay: Duration::ZERO, timeout: Duration::from_secs(2), close_code: 1012 },
    }
}
