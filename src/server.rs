//! Listeners, and the life of the process: start, reload, drain.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
};

use crate::{
    access_log::AccessLog,
    config::{Config, Endpoint, Sink},
    gateway::{
        Gateway, Snapshot, Transport, Unusable, connection,
        tls::{self, FileProblem},
    },
    metrics::Metrics,
    phase::Phase,
};

mod admin;
pub mod diagnostics;
pub mod lifetime;
mod reload;
pub mod system;

/// How long a TLS handshake may take.
const TLS_HANDSHAKE: Duration = Duration::from_secs(15);

/// Why the gateway could not start, or a configuration could not be taken over.
#[derive(Debug, Error)]
pub enum StartError {
    /// The access log cannot be opened.
    #[error("access_log.path: cannot open {path}: {reason}")]
    AccessLog {
        /// The configured path, or `-`.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// An address cannot be bound.
    #[error("{option}: cannot listen on {address}: {reason}")]
    Bind {
        /// The configuration's name for it.
        option: &'static str,
        /// The configured address.
        address: SocketAddr,
        /// What the system says.
        reason: io::ErrorKind,
    },
    /// Reading the files of a configuration was broken off.
    #[error("reading the files of the configuration was broken off")]
    Interrupted,
    /// The metrics cannot be registered.
    #[error("the metrics cannot be registered")]
    Metrics,
    /// The system does not let us listen to signals.
    #[error("cannot listen to signals: {reason}")]
    Signals {
        /// What the system says.
        reason: io::ErrorKind,
    },
    /// The configuration cannot be served.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// A running gateway.
pub struct Server {
    gateway: Arc<Gateway>,
    address: SocketAddr,
    admin_address: SocketAddr,
    phase: Arc<watch::Sender<Phase>>,
    accepting: JoinHandle<JoinSet<()>>,
    admin: JoinHandle<()>,
}

impl Server {
    /// Binds, and serves in the background.
    ///
    /// # Errors
    /// Whatever would keep it from serving, before anything is served.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // Another part of the process may have chosen a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let snapshot = Snapshot::new(config)?;
        let config = &snapshot.config;
        let access_log = AccessLog::open(&config.access_log.sink).map_err(|error| StartError::AccessLog {
            path: match &config.access_log.sink {
                Sink::File(path) => path.display().to_string(),
                Sink::Stdout => "-".to_owned(),
            },
            reason: if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
                "it is a named pipe that nobody reads; start its reader first".to_owned()
            } else {
                error.kind().to_string()
            },
        })?;
        let metrics = Metrics::new().map_err(|_| StartError::Metrics)?;
        let (listener, address) = bind("listen.address", config.listen.address).await?;
        let (admin, admin_address) = bind("admin.address", config.admin.address).await?;
        let places = system::allow_descriptors(config.limits.connections);
        let (phase, watched) = watch::channel(Phase::Serving);
        let gateway = Arc::new(Gateway::new(snapshot, access_log, metrics, watched.clone()));
        let admin = tokio::spawn(admin::serve(admin, Arc::clone(&gateway), watched.clone()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&gateway), places, watched));
        Ok(Self { gateway, address, admin_address, phase: Arc::new(phase), accepting, admin })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where probes and metrics are answered.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Has the access log's file opened anew.
    pub fn reopen_access_log(&self) {
        self.gateway.access_log.reopen();
    }

    /// Takes a new configuration over, for every request that begins from now on. Open sockets are
    /// not touched. What only a start can change stays as it is; the keys concerned are given back.
    ///
    /// # Errors
    /// The new configuration cannot be served; the old one stays.
    pub async fn reload(&self, mut config: Config) -> Result<Vec<&'static str>, StartError> {
        let kept = reload::keep_from_the_start(&self.gateway.snapshot.load().config, &mut config);
        let snapshot = tokio::task::spawn_blocking(|| Snapshot::new(config)).await;
        let snapshot =
            snapshot.map_err(|_| StartError::Interrupted).and_then(|made| made.map_err(StartError::from));
        self.gateway.metrics.config_reloaded(snapshot.is_ok());
        self.gateway.snapshot.store(Arc::new(snapshot?));
        Ok(kept)
    }

    /// Counts a reload whose configuration was not valid.
    pub fn reload_failed(&self) {
        self.gateway.metrics.config_reloaded(false);
    }

    /// Becomes unready, stops accepting after `drain.delay`, lets requests finish and sockets close,
    /// and returns when the last is gone. What is left after `drain.timeout`, or once `at_once` is
    /// ready, is cut; returns whether nothing had to be.
    pub async fn drain(self, at_once: impl Future<Output = ()>) -> bool {
        let drain = self.gateway.snapshot.load().config.drain;
        let mut at_once = std::pin::pin!(at_once);
        self.phase.send_replace(Phase::Unready);
        let mut has_time = tokio::select! {
            () = tokio::time::sleep(drain.delay) => true,
            () = &mut at_once => false,
        };
        self.phase.send_replace(Phase::Draining);
        let mut connections = self.accepting.await.unwrap_or_default();
        if has_time {
            has_time = tokio::select! {
                () = all_gone(&mut connections) => true,
                () = tokio::time::sleep(drain.timeout) => false,
                () = &mut at_once => false,
            };
        }
        if !has_time {
            self.phase.send_replace(Phase::Cut);
            // Writing the last lines takes no time; a stuck peer must not hold us up.
            let _ = tokio::time::timeout(Duration::from_secs(1), all_gone(&mut connections)).await;
        }
        self.admin.abort();
        let gateway = Arc::clone(&self.gateway);
        let _ = tokio::task::spawn_blocking(move || gateway.access_log.flush(Duration::from_secs(1))).await;
        has_time
    }
}

async fn all_gone(connections: &mut JoinSet<()>) {
    while connections.join_next().await.is_some() {}
}

async fn bind(option: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error: io::Error| StartError::Bind { option, address, reason: error.kind() };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Accepts until draining begins, and hands the open connections over.
async fn accept(
    listener: TcpListener,
    gateway: Arc<Gateway>,
    places: usize,
    mut phase: watch::Receiver<Phase>,
) -> JoinSet<()> {
    let watched = phase.clone();
    let mut draining = std::pin::pin!(phase.wait_for(|phase| *phase >= Phase::Draining));
    let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut draining => return connections,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            // A listener on [::] sees IPv4 peers as mapped addresses.
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                // Out of descriptors, most likely: wait for one instead of asking in a loop.
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(reason = %error, "cannot accept connections");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        is_failing = false;
        let acceptor = gateway.snapshot.load().acceptor.clone();
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // Nobody can be told anything before a TLS handshake, which would cost what there is none of.
            connection::turn_away(&gateway, &stream, peer, acceptor.is_none());
            continue;
        };
        let gateway = Arc::clone(&gateway);
        let mut phase = watched.clone();
        connections.spawn(async move {
            let established = tokio::select! {
                biased;
                established = establish(stream, acceptor) => established,
                // Nobody asked for anything yet.
                _ = phase.wait_for(|phase| *phase >= Phase::Draining) => None,
            };
            if let Some(transport) = established {
                connection::serve(gateway, transport, Some(peer)).await;
            }
            drop(place);
        });
    }
}

/// Completes the TLS handshake, where there is one.
async fn establish(stream: TcpStream, acceptor: Option<Arc<rustls::ServerConfig>>) -> Option<Transport> {
    // Small frames must not wait for each other.
    let _ = stream.set_nodelay(true);
    connection::watch_for_vanished_peer(&stream);
    let Some(acceptor) = acceptor else { return Some(Transport::Tcp(stream)) };
    let accepting = tls::Stream::accept(acceptor, stream);
    Some(Transport::Tls(tokio::time::timeout(TLS_HANDSHAKE, accepting).await.ok()?.ok()?))
}

/// Reads every file that a configuration names, as a start would, and gives back every problem.
pub fn check_files(config: &Config) -> Vec<FileProblem> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listen = config.listen.tls.as_ref().and_then(|files| tls::acceptor(files).err());
    let is_tls = matches!(config.upstream.endpoint, Endpoint::Tls(_));
    let upstream = is_tls.then(|| tls::roots(config.upstream.ca_file.as_deref()).err()).flatten();
    let log = match &config.access_log.sink {
        Sink::File(path) if path.is_dir() => Some(FileProblem {
            option: "access_log.path",
            path: path.clone(),
            problem: "it is a folder; write the path of a file in it".to_owned(),
        }),
        Sink::File(_) | Sink::Stdout => None,
    };
    [listen, upstream, log].into_iter().flatten().collect()
}
