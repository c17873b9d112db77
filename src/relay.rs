//! Two streams after a 101: bytes pass both ways unchanged.
//!
//! A slow reader stops the writer, because each direction reads only when everything before was
//! written. The end of one direction is passed on and the other goes on: half-close.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, sleep_until},
};

use crate::{access_log::Side, websocket::Frames};

/// The most bytes moved at once.
const CHUNK: usize = 16 * 1024;

/// How a relay went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
    /// The code of the first Close frame.
    pub close_code: Option<u16>,
    /// Who sent the first Close frame, or else ended first.
    pub closed_by: Option<Side>,
    /// Whether we ended it: it was idle for too long, or `cut` came.
    pub was_cut: bool,
}

/// What both directions know of each other. Never locked across a wait.
struct Progress(Mutex<State>);

struct State {
    received: u64,
    sent: u64,
    last: Instant,
    first_end: Option<Side>,
    first_close: Option<(Side, Option<u16>)>,
}

/// Relays until both directions have ended, one of them failed, nothing moved for `idle`, or `cut`
/// is ready. `lead` is what was already read from the upstream.
pub async fn relay<D, U>(
    downstream: &mut D,
    upstream: &mut U,
    lead: Vec<u8>,
    idle: Option<Duration>,
    cut: impl Future<Output = ()>,
) -> Summary
where
    D: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_client, mut to_client) = tokio::io::split(downstream);
    let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream);
    let progress = Progress(Mutex::new(State {
        received: 0,
        sent: 0,
        last: Instant::now(),
        first_end: None,
        first_close: None,
    }));
    let up = pump(Vec::new(), &mut from_client, &mut to_upstream, Side::Client, &progress);
    let down = pump(lead, &mut from_upstream, &mut to_client, Side::Upstream, &progress);
    let was_cut = tokio::select! {
        _ = async { tokio::try_join!(up, down) } => false,
        () = stays_idle(idle, &progress) => true,
        () = cut => true,
    };
    let state = progress.state();
    let ended_by = if was_cut { Some(Side::Gateway) } else { state.first_end };
    Summary {
        received: state.received,
        sent: state.sent,
        close_code: state.first_close.and_then(|(_, code)| code),
        closed_by: state.first_close.map(|(side, _)| side).or(ended_by),
        was_cut,
    }
}

/// Moves one direction until its end, and passes the end on.
async fn pump<R, W>(
    mut chunk: Vec<u8>,
    from: &mut R,
    to: &mut W,
    side: Side,
    progress: &Progress,
) -> Result<(), Ended>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut frames = Frames::default();
    chunk.reserve(CHUNK);
    loop {
        // A peer that vanishes without saying so ends the socket like one that resets it, except
        // where TLS merely misses its close_notify.
        if chunk.is_empty() {
            match from.read_buf(&mut chunk).await {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
                Err(_) => return Err(progress.end(side)),
            }
        }
        if chunk.is_empty() {
            let _ = progress.end(side);
            let _ = to.shutdown().await;
            return Ok(());
        }
        frames.follow(&chunk);
        progress.moved(side, chunk.len(), &frames);
        let other = if side == Side::Client { Side::Upstream } else { Side::Client };
        to.write_all(&chunk).await.map_err(|_| progress.end(other))?;
        to.flush().await.map_err(|_| progress.end(other))?;
        chunk.clear();
    }
}

/// One direction failed, which ends both.
struct Ended;

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, side: Side) -> Ended {
        self.state().first_end.get_or_insert(side);
        Ended
    }

    fn moved(&self, side: Side, bytes: usize, frames: &Frames) {
        let bytes = u64::try_from(bytes).unwrap_or(0);
        let mut state = self.state();
        state.last = Instant::now();
        match side {
            Side::Client => state.received += bytes,
            Side::Gateway | Side::Upstream => state.sent += bytes,
        }
        if frames.has_close() {
            state.first_close.get_or_insert_with(|| (side, frames.close_code()));
        }
    }
}

/// Ready when nothing moved for `idle`; never without a limit.
async fn stays_idle(idle: Option<Duration>, progress: &Progress) {
    let Some(idle) = idle else { return std::future::pending().await };
    loop {
        let before = progress.state().last;
        sleep_until(before + idle).await;
        if progress.state().last == before {
            return;
        }
    }
}
