//! Listeners, and the life of the process: start, reload, drain.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::{
    access_log::AccessLog,
    config::{Config, Endpoint, Mode, Sink},
    gateway::{
        self, Gateway, Snapshot, Unusable,
        tls::{self, FileProblem},
    },
    metrics::Metrics,
    phase::Phase,
};

mod admin;
pub mod diagnostics;
mod keeper;
pub mod lifetime;
mod listener;
mod reload;
pub mod system;
mod workers;

use self::workers::Workers;

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
    /// The threads that serve cannot be started.
    #[error("cannot start the threads that serve: {reason}")]
    Threads {
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
    phase: watch::Sender<Phase>,
    /// One permit for each connection that may be open.
    places: Arc<Semaphore>,
    most: u32,
    /// How many threads serve.
    workers: usize,
    accepting: JoinHandle<Workers>,
    admin: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

impl Server {
    /// Binds, and serves in the background.
    ///
    /// # Errors
    /// Whatever would keep it from serving, before anything is served.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // Another part of the process may have chosen a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let workers = workers::count();
        let snapshot = Snapshot::new(config, workers)?;
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
        let (listener, address) = listener::bind("listen.address", config.listen.address).await?;
        let listener = listener::for_clients(listener)
            .map_err(|error| listener::failed("listen.address", address, &error))?;
        let (admin, admin_address) = listener::bind("admin.address", config.admin.address).await?;
        let most = u32::try_from(system::allow_descriptors(config.limits.connections)).unwrap_or(u32::MAX);
        let places = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX)));
        let (phase, watched) = watch::channel(Phase::Serving);
        let gateway = Arc::new(Gateway::new(snapshot, access_log, metrics, watched.clone()));
        let started = Workers::start(workers, &gateway)
            .map_err(|error| StartError::Threads { reason: error.kind() })?;
        let admin = tokio::spawn(admin::serve(admin, Arc::clone(&gateway), watched.clone()));
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&gateway)));
        let accepting =
            listener::accept(listener, Arc::clone(&gateway), Arc::clone(&places), started, watched);
        let accepting = tokio::spawn(accepting);
        Ok(Self { gateway, address, admin_address, phase, places, most, workers, accepting, admin, keeper })
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
        let kept = reload::keep_from_the_start(&self.gateway.snapshot().config, &mut config);
        let workers = self.workers;
        let snapshot = tokio::task::spawn_blocking(move || Snapshot::new(config, workers)).await;
        let snapshot =
            snapshot.map_err(|_| StartError::Interrupted).and_then(|made| made.map_err(StartError::from));
        self.gateway.metrics.config_reloaded(snapshot.is_ok());
        self.gateway.take_over(snapshot?);
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
        let drain = self.gateway.snapshot().config.drain;
        let mut at_once = std::pin::pin!(at_once);
        self.phase.send_replace(Phase::Unready);
        let mut has_time = tokio::select! {
            () = tokio::time::sleep(drain.delay) => true,
            () = &mut at_once => false,
        };
        let open = self.gateway.metrics.websockets_open();
        self.gateway.departures.begin(open, drain.spread.min(drain.timeout / 2));
        self.phase.send_replace(Phase::Draining);
        // Nothing is accepted any more, and what was is served until this is dropped.
        let _workers = self.accepting.await;
        let mut all_gone = std::pin::pin!(self.places.acquire_many(self.most));
        if has_time {
            has_time = tokio::select! {
                _ = &mut all_gone => true,
                () = tokio::time::sleep(drain.timeout) => false,
                () = &mut at_once => false,
            };
        }
        if !has_time {
            self.phase.send_replace(Phase::Cut);
            // Writing the last lines takes no time; a stuck peer must not hold us up.
            let _ = tokio::time::timeout(Duration::from_secs(1), all_gone).await;
        }
        self.admin.abort();
        self.keeper.abort();
        let gateway = Arc::clone(&self.gateway);
        let _ = tokio::task::spawn_blocking(move || gateway.access_log.flush(Duration::from_secs(1))).await;
        has_time
    }
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
    let required = match &config.authentication.mode {
        Mode::PassThrough => Vec::new(),
        Mode::Require(require) => gateway::check_files(require),
    };
    [listen, upstream, log].into_iter().flatten().chain(required).collect()
}
