//! The listening sockets: bound, accepted from, and how an accepted connection becomes a transport.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

use super::{StartError, workers::Workers};
use crate::{
    gateway::{Gateway, Transport, connection, tls},
    phase::Phase,
};

/// How long a TLS handshake may take.
const TLS_HANDSHAKE: Duration = Duration::from_secs(15);

/// Binds an address that the configuration calls `option`, and gives back what it became.
pub(super) async fn bind(
    option: &'static str,
    address: SocketAddr,
) -> Result<(tokio::net::TcpListener, SocketAddr), StartError> {
    let failed = |error: io::Error| failed(option, address, &error);
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Why nothing can be accepted on an address.
pub(super) fn failed(option: &'static str, address: SocketAddr, error: &io::Error) -> StartError {
    StartError::Bind { option, address, reason: error.kind() }
}

/// A listening socket for [`accept`]; what it accepts inherits its options (tcp(7)).
#[expect(
    deprecated,
    reason = "its successor is unsafe, for types whose descriptor may change; a listener's does not"
)]
pub(super) fn for_clients(listener: tokio::net::TcpListener) -> io::Result<AsyncFd<TcpListener>> {
    let listener = listener.into_std()?;
    connection::watch_for_vanished_peer(&listener);
    connection::watch_for_lost_peer(&listener, Some(connection::ANSWER_PAUSE));
    // Small frames must not wait for each other.
    SockRef::from(&listener).set_tcp_nodelay(true)?;
    AsyncFd::with_interest(listener, Interest::READABLE)
}

/// Accepts until draining begins, and gives back the workers with what is still open.
///
/// Accepted sockets are not registered with this thread's runtime: a worker does that with its own.
pub(super) async fn accept(
    listener: AsyncFd<TcpListener>,
    gateway: Arc<Gateway>,
    places: Arc<Semaphore>,
    workers: Workers,
    mut phase: watch::Receiver<Phase>,
) -> Workers {
    let mut draining = std::pin::pin!(phase.wait_for(|phase| *phase >= Phase::Draining));
    let mut is_failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut draining => return workers,
            accepted = listener.async_io(Interest::READABLE, TcpListener::accept) => accepted,
        };
        let (stream, peer) = match accepted {
            // A listener on [::] sees IPv4 peers as mapped addresses.
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                // Out of descriptors, most likely: wait for one instead of asking in a loop.
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(reason = %error, "cannot accept connections");
                }
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        is_failing = false;
        match Arc::clone(&places).try_acquire_owned() {
            Ok(permit) => workers.serve(stream, peer, permit),
            Err(_) => connection::turn_away(&gateway, &stream, peer),
        }
    }
}

/// Completes the TLS handshake, where there is one.
pub(super) async fn establish(stream: TcpStream, gateway: &Gateway) -> Option<Transport> {
    stream.set_nonblocking(true).ok()?;
    let stream = tokio::net::TcpStream::from_std(stream).ok()?;
    let Some(acceptor) = gateway.snapshot().acceptor.clone() else {
        return Some(Transport::Tcp(stream));
    };
    let mut phase = gateway.phase();
    let accepted = tokio::select! {
        biased;
        accepted = timeout(TLS_HANDSHAKE, tls::Stream::accept(acceptor, stream)) => accepted,
        // Nobody asked for anything yet.
        _ = phase.wait_for(|phase| *phase >= Phase::Draining) => return None,
    };
    Some(Transport::Tls(accepted.ok()?.ok()?))
}
