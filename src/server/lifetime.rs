//! From the first signal to the last: reload, drain, end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Server;
use crate::config::Config;

/// The signals that the process listens to.
pub struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen; from here on a signal is never lost.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until SIGTERM or SIGINT, then drains; a second of them ends at once. SIGHUP reopens the
/// access log and takes over what `load` reads, which is `None` when it has said what is wrong.
pub async fn serve<L>(server: Server, mut signals: Signals, load: L)
where
    L: Fn() -> Option<Config> + Clone + Send + 'static,
{
    loop {
        tokio::select! {
            biased;
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => {}
        }
        server.reopen_access_log();
        // A file system that does not answer must not keep the process from its end.
        tokio::select! {
            biased;
            () = signals.end() => break,
            () = reload(&server, load.clone()) => {}
        }
    }
    tracing::info!("draining");
    if server.drain(signals.end()).await {
        tracing::info!("drained");
    } else {
        tracing::warn!("what was still open has been cut");
    }
}

async fn reload<L>(server: &Server, load: L)
where
    L: Fn() -> Option<Config> + Send + 'static,
{
    let Ok(Some(config)) = tokio::task::spawn_blocking(load).await else {
        server.reload_failed();
        return tracing::error!("configuration not taken over, the old one stays");
    };
    match server.reload(config).await {
        Ok(kept) if kept.is_empty() => tracing::info!("configuration reloaded"),
        Ok(kept) => {
            let waiting = kept.join(", ");
            tracing::warn!(waiting, "configuration reloaded; a restart is needed for the keys that wait");
        }
        // A start error names configuration keys and paths, and nothing of a file or a peer.
        Err(error) => tracing::error!(%error, "configuration not taken over, the old one stays"),
    }
}
