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

use self::{agent_server::AgentServer, keys::Keys, print::Printer};
use crate::{
    config::{self, Config},
    folder::Folder,
    server::{Server, StartError, lifetime::Signals},
};

mod agent_server;
mod authentication;
mod cases;
mod client;
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
    /// The gateway's defaults do not fit the demo.
    #[error("the demo's configuration is not valid, which is a mistake of hushgate's")]
    Configuration,
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
    Signals(io::Error),
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
    let mut signals = Signals::listen().map_err(DemoError::Signals)?;
    run_until(options, out, async || signals.end().await).await
}

/// [`run`], until `ended` is ready, in the middle of the walk too; when it is ready a second time
/// nothing is waited for any more.
async fn run_until(
    options: Options,
    out: &mut impl Write,
    mut ended: impl AsyncFnMut(),
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
        () = ended() => Ok(()),
    };
    tokio::select! {
        () = stage.clear() => {}
        () = ended() => {}
    }
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
        let folder = Folder::new("demo").map_err(DemoError::Folder)?;
        let access_log = folder.path().join("access.log");
        let agent_server = AgentServer::start(keys.clone(), FIRST_MESSAGE, access_log.clone())
            .await
            .map_err(DemoError::AgentServer)?;
        let gateway = Server::start(configuration(agent_server.address(), access_log.clone())?).await?;
        Ok(Self { agent_server, gateway, keys, access_log, folder })
    }

    /// Ends both, the sockets first, so that the gateway has nothing left to wait for.
    async fn clear(self) {
        self.agent_server.stop().await;
        self.gateway.drain(std::future::pending()).await;
        drop(self.folder);
    }
}

/// The gateway's configuration: what every `gateway.toml` has by default, on free ports.
fn configuration(agent_server: SocketAddr, access_log: PathBuf) -> Result<Config, DemoError> {
    let text = format!("[upstream]\nurl = \"http://{agent_server}\"");
    let loaded = Config::parse(&text, std::iter::empty()).map_err(|_| DemoError::Configuration)?;
    let mut config = loaded.config;
    let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    (config.listen.address, config.admin.address) = (free_port, free_port);
    config.access_log.sink = config::Sink::File(access_log);
    // Who ends the demo waits for nobody's browser.
    // Enough for one visitor, on any machine.
    config.limits.connections = 256;
    config.drain.timeout = Duration::from_secs(2);
    Ok(config)
}
