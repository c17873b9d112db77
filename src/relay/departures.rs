//! When each socket leaves a draining process: one after the other, so that their clients do not all
//! come back at once.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::Summons;

/// The time between two sockets, where there are few of them.
const STEP: Duration = Duration::from_millis(10);

/// The order of departure; all clones give out moments of one sequence.
#[derive(Clone, Debug, Default)]
pub struct Departures(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    plan: OnceLock<Plan>,
    begun: Summons,
    given: AtomicU32,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    began: Instant,
    step: Duration,
}

impl Departures {
    /// Begins, once: from now on `sockets` leave within `window`; sooner, if they are few.
    pub fn begin(&self, sockets: u32, window: Duration) {
        let step = window.checked_div(sockets).unwrap_or_default().min(STEP);
        let _ = self.0.plan.set(Plan { began: Instant::now(), step });
        self.0.begun.ring();
    }

    /// Ready once they have begun.
    pub(super) async fn begun(&self) {
        self.0.begun.after(0).await;
    }

    /// The next moment; at once, where nothing was planned.
    pub fn next(&self) -> Instant {
        let Some(plan) = self.0.plan.get() else { return Instant::now() };
        let place = self.0.given.fetch_add(1, Ordering::Relaxed);
        plan.began + plan.step.saturating_mul(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_leave_within_the_window_and_few_sooner() {
        for (sockets, window, last) in [(1000, 5000, 4995), (3, 5000, 20), (2, 0, 0)] {
            let departures = Departures::default();
            departures.begin(sockets, Duration::from_millis(window));
            let began = Instant::now();
            let moments: Vec<_> = (0..sockets).map(|_| departures.next() - began).collect();
            assert!(moments.is_sorted());
            assert_eq!(moments.first(), Some(&Duration::ZERO));
            assert_eq!(moments.last(), Some(&Duration::from_millis(last)));
        }
    }
}
