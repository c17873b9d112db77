//! A bell that many sockets listen to, at the cost of reading one number.

use std::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Poll, Waker},
};

use tokio::sync::Notify;

/// Counts how often it was rung.
#[derive(Debug, Default)]
pub struct Summons {
    rung: AtomicU32,
    waiting: Notify,
}

impl Summons {
    /// Wakes whoever waits.
    pub fn ring(&self) {
        self.rung.fetch_add(1, Ordering::AcqRel);
        self.waiting.notify_waiters();
    }

    /// How often it has been rung.
    pub fn count(&self) -> u32 {
        self.rung.load(Ordering::Acquire)
    }

    /// Ready once it has been rung more often, or fewer times, than `heard`.
    ///
    /// A relay is woken for every piece that it moves. Asking then is reading one number; only the first
    /// time it takes the lock that all sockets share.
    pub async fn after(&self, heard: u32) {
        let mut waiting = pin!(self.waiting.notified());
        let mut registered: Option<Waker> = None;
        poll_fn(|cx| {
            let is_registered = registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
            if !is_registered {
                registered = Some(cx.waker().clone());
                if waiting.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
            }
            // Looked at last: what was rung while it was being registered is not missed.
            if self.count() == heard { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}
