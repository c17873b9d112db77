//! The thin adapter between connections, the pure rooms, Pingora and the upstream.
//!
//! A request's head is read and judged here, before Pingora sees a byte of it: what Pingora then
//! parses is the head that may go on. So no credential of a URL enters Pingora, unless
//! `plain_requests = "forward"` leaves the query alone, and every malformed head writes a line.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;
use pingora::proxy::HttpProxy;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt,
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};

use self::{adapter::Adapter, downstream::Counters, upstream::Upstream};
use crate::{
    access_log::{AccessLog, Event, Method, Outcome, Record, RedactedTarget, RequestId},
    config::{Config, LogFormat},
    handshake::CredentialSource,
    metrics::Metrics,
    phase::Phase,
    relay::{self, Departures},
};

mod adapter;
pub mod connection;
mod downstream;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod refuse;
mod resolver;
mod takeover;
pub mod tls;
mod upstream;

pub use self::downstream::{Downstream, Transport};

/// The configuration that one request sees, from its first phase to its log line, and what was
/// made of it.
pub struct Snapshot {
    /// The valid configuration.
    pub config: Config,
    /// What serves TLS, where it is served.
    pub acceptor: Option<Arc<ServerConfig>>,
    upstream: Upstream,
    /// One for each worker, so that a pooled connection stays on its thread.
    proxies: Vec<Arc<HttpProxy<Adapter>>>,
}

impl Snapshot {
    /// Prepares a configuration for serving by so many workers.
    ///
    /// # Errors
    /// A file of `listen.tls`, or the roots for an `https` upstream, cannot be used.
    pub fn new(config: Config, workers: usize) -> Result<Self, Unusable> {
        let acceptor = config.listen.tls.as_ref().map(tls::acceptor).transpose()?;
        let upstream = Upstream::new(&config)?;
        let pingora = Arc::new(upstream::pingora(&config, workers));
        let proxies = (0..workers).map(|_| Arc::new(pingora::proxy::http_proxy(&pingora, Adapter))).collect();
        Ok(Self { config, acceptor, upstream, proxies })
    }
}

/// A connection's place among all that may be open, and on the worker that has it.
pub struct Place {
    /// Given back to whoever counts them all.
    _permit: OwnedSemaphorePermit,
    /// How many connections the worker has.
    load: Arc<AtomicUsize>,
    worker: usize,
}

impl Place {
    /// Takes a place on a worker, until it is dropped.
    pub fn take(permit: OwnedSemaphorePermit, load: Arc<AtomicUsize>, worker: usize) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self { _permit: permit, load, worker }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a valid configuration cannot be served.
#[derive(Debug, Error)]
pub enum Unusable {
    /// A file of the TLS configuration cannot be used.
    #[error(transparent)]
    File(#[from] tls::FileProblem),
    /// The host of an `https` upstream is no name that a certificate could have.
    #[error("upstream.url: the host is not a name or an address that a certificate can be verified for")]
    UpstreamName,
}

/// What all connections share.
pub struct Gateway {
    /// The current snapshot; a reload replaces it.
    pub snapshot: ArcSwap<Snapshot>,
    /// The only door for request lines.
    pub access_log: AccessLog,
    /// The counters.
    pub metrics: Metrics,
    /// When each socket leaves, once the process drains.
    pub departures: Departures,
    phase: watch::Receiver<Phase>,
    /// Pingora wants to be told by a watch of its own; we tell it by each request's keep-alive.
    never: watch::Receiver<bool>,
    _never: watch::Sender<bool>,
}

impl Gateway {
    /// Assembles a gateway, in the first phase of the process.
    pub fn new(
        snapshot: Snapshot,
        access_log: AccessLog,
        metrics: Metrics,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let (sender, never) = watch::channel(false);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            access_log,
            metrics,
            departures: Departures::default(),
            phase,
            never,
            _never: sender,
        }
    }

    /// How far the process is on its way to its end.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }

    /// Whether no further request is served on a connection.
    fn is_draining(&self) -> bool {
        // Nearly every request finds that nothing has changed, and then takes no lock.
        self.phase.has_changed().unwrap_or(true) && *self.phase.borrow() >= Phase::Draining
    }

    /// Ready when what is still open has to end.
    async fn cut(&self) {
        relay::cut(&self.phase).await;
    }

    /// Writes to a client. Returns whether it could be, before it was gone or the process ended.
    async fn tell(&self, downstream: &mut Downstream, bytes: &[u8]) -> bool {
        #[cfg(feature = "planted-leaks")]
        let bytes = &[bytes, crate::planted::leak("replies").unwrap_or_default().as_bytes()].concat();
        let written = async {
            downstream.write_all(bytes).await?;
            downstream.flush().await
        };
        tokio::select! {
            biased;
            written = written => written.is_ok(),
            () = self.cut() => false,
        }
    }

    /// Gives a last answer time to arrive, where there is any left.
    async fn linger(&self, downstream: Downstream) {
        tokio::select! {
            () = downstream.linger() => {}
            () = self.cut() => {}
        }
    }

    /// Writes and counts one record: every exit ends here.
    fn record(&self, format: LogFormat, record: &Record) {
        self.metrics.observe(record);
        self.access_log.write(record, format);
    }
}

/// What is known of a request so far, for its line.
#[derive(Clone, Debug)]
struct Entry {
    request_id: RequestId,
    started: Instant,
    client: Option<IpAddr>,
    method: Method,
    target: RedactedTarget,
    source: CredentialSource,
    counters: Arc<Counters>,
    /// What had passed the connection before.
    before: (u64, u64),
}

impl Entry {
    /// Of a request that has not begun, on a connection with these counters.
    fn new(client: Option<IpAddr>, counters: Arc<Counters>) -> Self {
        Self {
            request_id: RequestId::next(),
            started: Instant::now(),
            client,
            method: Method::OTHER,
            target: RedactedTarget::unknown(),
            source: CredentialSource::None,
            before: counters.get(),
            counters,
        }
    }

    fn record(&self, event: Event, status: Option<u16>, outcome: Outcome) -> Record {
        let (received, sent) = self.counters.get();
        Record {
            time: SystemTime::now(),
            event,
            request_id: self.request_id,
            client: self.client,
            method: self.method,
            target: self.target.clone(),
            status,
            outcome,
            credential_source: self.source,
            caller: None,
            duration: self.started.elapsed(),
            bytes_received: received.saturating_sub(self.before.0),
            bytes_sent: sent.saturating_sub(self.before.1),
            closing: None,
        }
    }
}
