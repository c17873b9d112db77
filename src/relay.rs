//! Two streams after a 101: bytes pass both ways unchanged.
//!
//! A slow reader stops the writer, because each direction reads only when everything before was
//! written. The end of one direction is passed on and the other goes on: half-close. When the process
//! drains, each side is told by a Close frame between two frames, and its reply is waited for.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    access_log::Side,
    phase::Phase,
    websocket::{Frames, close_for_client, close_for_server},
};

#[cfg(test)]
mod tests;

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
    /// Whether we ended it: it was idle for too long, or the process was draining.
    pub was_cut: bool,
}

/// How a relay learns that the process ends, and what it then says.
#[derive(Clone, Debug)]
pub struct Goodbye {
    /// From [`Phase::Draining`] on both sides are told, and at [`Phase::Cut`] it is over.
    pub phase: watch::Receiver<Phase>,
    /// The code of the Close frame.
    pub close_code: u16,
}

impl Goodbye {
    /// Ready once the process has come to `phase`.
    async fn reaches(&mut self, phase: Phase) {
        if self.phase.wait_for(|now| *now >= phase).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The Close frame for whoever reads what `side` sent.
    fn frame(&self, side: Side) -> Vec<u8> {
        match side {
            Side::Client => close_for_server(self.close_code).to_vec(),
            Side::Gateway | Side::Upstream => close_for_client(self.close_code).to_vec(),
        }
    }
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

/// Relays until both directions have ended, one of them failed, nothing moved for `idle`, or the
/// process has drained for long enough. `lead` is what was already read from the upstream.
pub async fn relay<D, U>(
    downstream: &mut D,
    upstream: &mut U,
    lead: Vec<u8>,
    idle: Option<Duration>,
    mut goodbye: Goodbye,
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
    let pump_up = Pump { side: Side::Client, progress: &progress, goodbye: goodbye.clone() };
    let pump_down = Pump { side: Side::Upstream, progress: &progress, goodbye: goodbye.clone() };
    let up = pump_up.run(Vec::new(), &mut from_client, &mut to_upstream);
    let down = pump_down.run(lead, &mut from_upstream, &mut to_client);
    let was_cut = tokio::select! {
        _ = async { tokio::try_join!(up, down) } => false,
        () = stays_idle(idle, &progress) => true,
        () = goodbye.reaches(Phase::Cut) => true,
    };
    let state = progress.state();
    let was_cut = was_cut || matches!(state.first_close, Some((Side::Gateway, _)));
    let ended_by = if was_cut { Some(Side::Gateway) } else { state.first_end };
    Summary {
        received: state.received,
        sent: state.sent,
        close_code: state.first_close.and_then(|(_, code)| code),
        closed_by: state.first_close.map(|(side, _)| side).or(ended_by),
        was_cut,
    }
}

/// One direction.
struct Pump<'a> {
    /// Who sends what it moves.
    side: Side,
    progress: &'a Progress,
    goodbye: Goodbye,
}

/// What one direction has to do with the end of the process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// A Close frame is to be put at the next boundary.
    Due,
    /// None can be put: one has passed, or this is no framing.
    Needless,
    /// It was put. Nothing more goes this way; what comes is read until the peer's own Close frame.
    Said,
    /// The process does not end.
    Unasked,
}

impl Pump<'_> {
    /// Moves bytes until their end, and passes the end on.
    async fn run<R, W>(mut self, mut chunk: Vec<u8>, from: &mut R, to: &mut W) -> Result<(), Ended>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let receiver = if self.side == Side::Client { Side::Upstream } else { Side::Client };
        let mut frames = Frames::default();
        let mut farewell = Farewell::Unasked;
        chunk.reserve(CHUNK);
        loop {
            if farewell == Farewell::Due && frames.is_over() {
                farewell = Farewell::Needless;
            }
            if farewell == Farewell::Due && frames.is_between() {
                self.write(to, &self.goodbye.frame(self.side), receiver).await?;
                self.progress.said_goodbye(self.goodbye.close_code);
                farewell = Farewell::Said;
            }
            if chunk.is_empty() {
                tokio::select! {
                    biased;
                    () = self.goodbye.reaches(Phase::Draining), if farewell == Farewell::Unasked => {
                        farewell = Farewell::Due;
                        continue;
                    }
                    read = from.read_buf(&mut chunk) => match read {
                        Ok(_) => {}
                        // TLS without its close_notify is an end like any other.
                        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
                        // A peer that vanishes without saying so ends both directions.
                        Err(_) => return Err(self.progress.end(self.side)),
                    },
                }
            }
            let moved = match farewell {
                Farewell::Due => frames.follow_to_end_of_frame(&chunk),
                Farewell::Said => 0,
                Farewell::Needless | Farewell::Unasked => chunk.len(),
            };
            let (kept, rest) = chunk.split_at_checked(moved).unwrap_or((&chunk, &[]));
            if farewell != Farewell::Due {
                frames.follow(&chunk);
            }
            if chunk.is_empty() || farewell == Farewell::Said && frames.has_close() {
                let _ = self.progress.end(self.side);
                let _ = to.shutdown().await;
                return Ok(());
            }
            self.progress.moved(self.side, kept.len(), &frames);
            self.write(to, kept, receiver).await?;
            if farewell == Farewell::Due && !rest.is_empty() {
                chunk.drain(..moved);
            } else {
                chunk.clear();
            }
        }
    }

    async fn write<W>(&self, to: &mut W, bytes: &[u8], receiver: Side) -> Result<(), Ended>
    where
        W: AsyncWrite + Unpin,
    {
        to.write_all(bytes).await.map_err(|_| self.progress.end(receiver))?;
        to.flush().await.map_err(|_| self.progress.end(receiver))
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

    fn said_goodbye(&self, code: u16) {
        self.state().first_close.get_or_insert((Side::Gateway, Some(code)));
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
            let first = state.first_close.get_or_insert((side, None));
            // Its code may come in a later piece than its header.
            if first.0 == side {
                first.1 = frames.close_code();
            }
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
