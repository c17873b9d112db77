//! The thin adapter between connections, the pure rooms, Pingora and the upstream.
//!
//! A request's head is read and judged here, before Pingora sees a byte of it: what Pingora then
//! parses is the head that may go on. So no credential of a URL enters Pingora, unless
//! `plain_requests = "forward"` leaves the query alone, and every malformed head writes a line.

use std::{
    hash::RandomState,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use arc_swap::{ArcSwap, Guard};
use pingora::proxy::HttpProxy;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt,
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};

use self::{
    adapter::Adapter, callers::Callers, downstream::Counters, edge::Edge, limiter::Limiter, tickets::Tickets,
    tls::FileProblem, unverified::Unverified, upstream::Upstream,
};
use crate::{
    access_log::{AccessLog, Event, Method, Outcome, Record, RedactedTarget, RequestId},
    authenticate::Keyring,
    config::{Config, LogFormat, Mode},
    handshake::CredentialSource,
    metrics::Metrics,
    phase::Phase,
    relay::{self, Departures},
};

mod adapter;
mod callers;
pub mod connection;
mod cookies;
mod counts;
mod downstream;
mod edge;
mod first_message;
mod limiter;
mod own;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod refuse;
mod resolver;
mod takeover;
mod tickets;
pub mod tls;
mod unverified;
mod upstream;

pub use self::{
    downstream::{Downstream, Transport},
    edge::{Mark, check_files},
};

/// The configuration that one request sees, from its first phase to its log line, and what was
/// made of it.
#[derive(Clone)]
pub struct Snapshot {
    /// The valid configuration.
    pub config: Config,
    /// What serves TLS, where it is served.
    pub acceptor: Option<Arc<ServerConfig>>,
    /// What decides about callers, where we do.
    edge: Option<Edge>,
    upstream: Arc<Upstream>,
    /// One for each worker, so that a pooled connection stays on its thread.
    proxies: Vec<Arc<HttpProxy<Adapter>>>,
}

impl Snapshot {
    /// Prepares a configuration for serving by so many workers.
    ///
    /// # Errors
    /// A file of `listen.tls` or of `require`, or the roots for an `https` upstream, cannot be used.
    pub fn new(config: Config, workers: usize) -> Result<Self, Unusable> {
        let acceptor = config.listen.tls.as_ref().map(tls::acceptor).transpose()?;
        let edge = match &config.authentication.mode {
            Mode::PassThrough => None,
            Mode::Require(require) => Some(Edge::load(require).map_err(Unusable::Files)?),
        };
        let upstream = Arc::new(Upstream::new(&config)?);
        let pingora = Arc::new(upstream::pingora(&config, workers));
        let proxies = (0..workers).map(|_| Arc::new(pingora::proxy::http_proxy(&pingora, Adapter))).collect();
        Ok(Self { config, acceptor, edge, upstream, proxies })
    }
}

impl Snapshot {
    /// Whether we decide about callers.
    const fn decides(&self) -> bool {
        self.edge.is_some()
    }

    /// Whether something that a client would get has our own credential in it.
    fn is_given_away_in(&self, bytes: &[u8]) -> bool {
        let is_in = |edge: &Edge| memchr::memmem::find(bytes, edge.credential.as_bytes()).is_some();
        self.edge.as_ref().is_some_and(is_in)
    }

    /// Everybody whom we let in, where we decide.
    fn keyring(&self) -> Option<Arc<Keyring>> {
        self.edge.as_ref().map(|edge| Arc::clone(&edge.keyring))
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
    File(#[from] FileProblem),
    /// Files of `require` cannot be used.
    #[error("{}", listed(.0))]
    Files(Vec<FileProblem>),
    /// The host of an `https` upstream is no name that a certificate could have.
    #[error("upstream.url: the host is not a name or an address that a certificate can be verified for")]
    UpstreamName,
}

/// All problems in one line, for a start that fails; `check` says each in its own.
fn listed(problems: &[FileProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What came of a look at the keyring's file.
pub enum Renewal {
    /// It is not taken over, everything that is wrong with it; the old one stays.
    Refused(Vec<FileProblem>),
    /// Nothing has changed, or it is being written.
    Same,
    /// It was taken over, and lets so many callers in.
    Taken {
        /// How many entries it has.
        callers: usize,
    },
}

/// What all connections share.
pub struct Gateway {
    /// The current snapshot; [`Self::take_over`] replaces it.
    snapshot: ArcSwap<Snapshot>,
    /// The only door for request lines.
    pub access_log: AccessLog,
    /// The counters.
    pub metrics: Metrics,
    /// When each socket leaves, once the process drains.
    pub departures: Departures,
    /// Held by whoever replaces the snapshot, so that its keyring is the callers' too.
    changing: Mutex<()>,
    /// The sockets of verified callers.
    callers: Callers,
    /// Who fails too often.
    limiter: Limiter,
    /// How many answers to who fails too often are held back.
    held_back: AtomicUsize,
    /// Who has yet to say who it is.
    unverified: Unverified,
    /// What was issued and not yet redeemed.
    tickets: Tickets,
    /// The beginning of the limiter's time.
    started: Instant,
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
        let callers = Callers::default();
        if let Some(keyring) = snapshot.keyring() {
            callers.take_over(keyring);
        }
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            access_log,
            metrics,
            departures: Departures::default(),
            changing: Mutex::default(),
            callers,
            limiter: Limiter::new(RandomState::new()),
            held_back: AtomicUsize::new(0),
            unverified: Unverified::default(),
            tickets: Tickets::default(),
            started: Instant::now(),
            phase,
            never,
            _never: sender,
        }
    }

    /// The current snapshot.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Takes a snapshot over, for every request that begins from now on. Of the open sockets only those
    /// are told whose callers its keyring does not let in any more; without one, all stay.
    pub fn take_over(&self, snapshot: Snapshot) {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let keyring = snapshot.keyring();
        self.snapshot.store(Arc::new(snapshot));
        if let Some(keyring) = keyring {
            self.callers.take_over(keyring);
        }
    }

    /// Looks at the keyring's file, and takes it over if it has changed and was not changed since it was
    /// `looked` at the last time. Returns which version it is now; `None` where we do not decide.
    pub fn renew_keyring(&self, looked: Option<Mark>, refused: Option<Mark>) -> Option<(Mark, Renewal)> {
        let snapshot = self.snapshot.load_full();
        let (Some(edge), Mode::Require(require)) = (&snapshot.edge, &snapshot.config.authentication.mode)
        else {
            return None;
        };
        let (mark, renewed) = edge.renew(&require.keyring, looked, refused);
        let renewed = match renewed {
            Ok(Some(renewed)) => renewed,
            Ok(None) => return Some((mark, Renewal::Same)),
            Err(problems) => return Some((mark, Renewal::Refused(problems))),
        };
        let keyring = Arc::clone(&renewed.keyring);
        let has_changed = keyring.entries() != edge.keyring.entries();
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&self.snapshot.load(), &snapshot) {
            // A reload was faster, which has read the file as well.
            return Some((mark, Renewal::Same));
        }
        self.snapshot.store(Arc::new(Snapshot { edge: Some(renewed), ..Snapshot::clone(&snapshot) }));
        if !has_changed {
            return Some((mark, Renewal::Same));
        }
        let callers = keyring.entries().len();
        self.callers.take_over(keyring);
        Some((mark, Renewal::Taken { callers }))
    }

    /// Whether we decide about callers.
    pub fn has_keyring(&self) -> bool {
        self.snapshot.load().decides()
    }

    /// Tells every socket whose key has expired.
    pub fn expire(&self, now: SystemTime) {
        self.callers.expire(now);
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

    /// Ready once the process is on its way to its end.
    async fn draining(&self) {
        let mut phase = self.phase();
        drop(phase.wait_for(|phase| *phase >= Phase::Draining).await);
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
    caller: Option<Arc<str>>,
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
            caller: None,
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
            caller: self.caller.clone(),
            duration: self.started.elapsed(),
            bytes_received: received.saturating_sub(self.before.0),
            bytes_sent: sent.saturating_sub(self.before.1),
            closing: None,
        }
    }
}
