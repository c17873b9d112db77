//! The limits of one relayed socket.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How long a socket may be relayed. `None` is for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// While nothing moves.
    pub idle: Option<Duration>,
    /// In all.
    pub lifetime: Option<Duration>,
    /// While nothing moves and one side has ended its stream: then nobody reads of it any more, and would
    /// learn that it is gone.
    pub half_closed: Option<Duration>,
}

/// The clocks of a socket that has limits.
#[derive(Default)]
pub(super) struct Timers {
    idle: Option<Idle>,
    lifetime: Option<Pin<Box<Sleep>>>,
}

struct Idle {
    limit: Duration,
    last_moved: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self { limit, last_moved: Instant::now(), timer: Box::pin(sleep(limit)) }
    }
}

impl Timers {
    /// Starts the clocks, if there is a limit at all.
    pub(super) fn start(limits: Limits) -> Option<Box<Self>> {
        if limits.idle.is_none() && limits.lifetime.is_none() {
            return None;
        }
        Some(Box::new(Self {
            idle: limits.idle.map(Idle::new),
            lifetime: limits.lifetime.map(|limit| Box::pin(sleep(limit))),
        }))
    }

    /// From now on it may last for no longer than this.
    pub(super) fn allow(timers: &mut Option<Box<Self>>, limit: Duration) {
        let timers = timers.get_or_insert_default();
        let ends_sooner = |timer: &Pin<Box<Sleep>>| timer.deadline() <= Instant::now() + limit;
        if !timers.lifetime.as_ref().is_some_and(ends_sooner) {
            timers.lifetime = Some(Box::pin(sleep(limit)));
        }
    }

    /// From now on nothing may move for no longer than this.
    pub(super) fn allow_silence(timers: &mut Option<Box<Self>>, limit: Duration) {
        let timers = timers.get_or_insert_default();
        let limit = timers.idle.as_ref().map_or(limit, |idle| idle.limit.min(limit));
        timers.idle = Some(Idle::new(limit));
    }

    /// Ready when a limit is reached.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, has_moved: bool) -> Poll<()> {
        if let Some(lifetime) = &mut self.lifetime
            && lifetime.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(());
        }
        let Some(idle) = &mut self.idle else { return Poll::Pending };
        if has_moved {
            idle.last_moved = Instant::now();
        }
        loop {
            ready!(idle.timer.as_mut().poll(cx));
            let end = idle.last_moved + idle.limit;
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            // It moved meanwhile. Setting the timer anew only when it has run out is much cheaper than
            // doing so for every piece.
            idle.timer.set(sleep_until(end));
        }
    }
}
