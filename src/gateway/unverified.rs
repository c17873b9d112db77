//! The sockets whose first message has yet to say who their caller is: how many there may be.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{counts::Counts, limiter::Source};
use crate::config::Limits;

/// Counts them, in all and by address.
#[derive(Clone, Default)]
pub(super) struct Unverified(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    all: usize,
    /// No longer than there may be sockets.
    by_source: Counts<Source>,
}

/// The place of one such socket, until it is dropped.
pub(super) struct Waits {
    unverified: Unverified,
    source: Option<Source>,
}

impl Unverified {
    /// Takes a place for a socket, if there is one left. What has no address shares no place with
    /// anybody.
    pub(super) fn wait(&self, client: Option<IpAddr>, limits: &Limits) -> Option<Waits> {
        let source = client.map(Source::of);
        let mut waiting = self.lock();
        if waiting.all >= limits.unverified_sockets {
            return None;
        }
        let most = u32::try_from(limits.unverified_sockets_per_address).unwrap_or(u32::MAX);
        if source.is_some_and(|source| !waiting.by_source.take(source, most)) {
            return None;
        }
        waiting.all += 1;
        Some(Waits { unverified: self.clone(), source })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        let mut waiting = self.unverified.lock();
        waiting.all = waiting.all.saturating_sub(1);
        if let Some(source) = self.source {
            waiting.by_source.give_back(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn limits(all: usize, each: usize) -> Limits {
        let Ok(loaded) = Config::parse("", []) else { panic!("the default is no configuration") };
        let mut limits = loaded.config.limits;
        (limits.unverified_sockets, limits.unverified_sockets_per_address) = (all, each);
        limits
    }

    #[test]
    fn a_place_is_taken_until_it_is_dropped() {
        let (unverified, limits) = (Unverified::default(), limits(3, 2));
        let wait = |address: &str| unverified.wait(Some(address.parse().unwrap()), &limits);
        let (one, two) = (wait("192.0.2.1").unwrap(), wait("::ffff:192.0.2.1").unwrap());
        assert!(wait("192.0.2.1").is_none(), "too many by one address");
        let three = wait("2001:db8::1").unwrap();
        assert!(wait("192.0.2.2").is_none(), "too many in all");
        assert!(unverified.wait(None, &limits).is_none());
        drop((one, three));
        let again = wait("192.0.2.1").unwrap();
        assert!(wait("192.0.2.1").is_none());
        drop((two, again));
        assert!(unverified.lock().by_source.is_empty(), "nobody is remembered");
        assert_eq!(unverified.lock().all, 0);
    }
}
