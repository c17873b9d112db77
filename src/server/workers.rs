//! The threads that serve connections: one for each processor, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to, together with its connections upstream, so
//! nothing is woken, locked or copied across threads while it lives.

use std::{
    io,
    net::{IpAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::listener::establish;
use crate::gateway::{Gateway, Place, connection};

/// Shorter than any limit that is set often.
const TICK: Duration = Duration::from_secs(1);

/// An accepted connection, not yet read from.
struct Accepted {
    stream: TcpStream,
    peer: IpAddr,
    place: Place,
}

/// All of them. They end when this is dropped, and with them whatever they still serve.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    queue: mpsc::UnboundedSender<Accepted>,
    /// How many connections it has.
    load: Arc<AtomicUsize>,
}

/// How many threads serve: one for each processor that the process may use.
pub(super) fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl Workers {
    /// Starts so many of them.
    ///
    /// # Errors
    /// The system has no thread left, or no descriptors for a runtime.
    pub(super) fn start(count: usize, gateway: &Arc<Gateway>) -> io::Result<Self> {
        let start = |index| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (queue, accepted) = mpsc::unbounded_channel();
            let gateway = Arc::clone(gateway);
            thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || runtime.block_on(work(accepted, gateway)))?;
            Ok(Worker { queue, load: Arc::default() })
        };
        (0..count).map(start).collect::<io::Result<_>>().map(Self)
    }

    /// Gives a connection to whoever has the fewest.
    pub(super) fn serve(&self, stream: TcpStream, peer: IpAddr, permit: OwnedSemaphorePermit) {
        let workers = self.0.iter().enumerate();
        let least = workers.min_by_key(|(_, worker)| worker.load.load(Ordering::Relaxed));
        if let Some((index, worker)) = least {
            let place = Place::take(permit, Arc::clone(&worker.load), index);
            // A worker takes whatever it is given, until all of them end.
            let _ = worker.queue.send(Accepted { stream, peer, place });
        }
    }
}

/// Serves what it is given, each connection as a task of its own.
async fn work(mut accepted: mpsc::UnboundedReceiver<Accepted>, gateway: Arc<Gateway>) {
    tokio::spawn(tick());
    while let Some(Accepted { stream, peer, place }) = accepted.recv().await {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            if let Some(transport) = establish(stream, &gateway).await {
                connection::serve(gateway, transport, Some(peer), place).await;
            }
        });
    }
}

/// Keeps a timer that is due before any other. Tokio wakes its own thread, by a write to itself and a
/// wait that ends at once, for each timer that is due before all others: without this, for every
/// request that comes while no timer is set.
async fn tick() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}
