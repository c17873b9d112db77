//! How often an address may fail: guessing credentials, or flooding with wrong ones, is answered `429`.
//!
//! Only failures are counted and only failures are limited: correct credentials are taken from any
//! address at any time, so nobody can lock a caller out by failing from the same address. The memory is
//! a table that never grows, whoever floods it. Addresses that share a cell of it share a limit, so one
//! that fails may hear `429` sooner than by its own doing, and that is all that comes of it. Which ones
//! share is decided by a hash under a random key, so nobody can choose whom to share with.
//!
//! Who goes on after that is slowed down as well: its answers come at a pace, so that whoever waits for each
//! before the next takes little of what others need.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The cells of the tables, 128 KiB each.
const CELLS: usize = 1 << 14;

/// The time between two answers to who is limited, in nanoseconds.
const PACE: u64 = SECOND / 20;

/// The longest that one of them is held back, in nanoseconds.
const LONGEST_PAUSE: u64 = 3 * SECOND;

/// A minute, in nanoseconds.
const MINUTE: u64 = 60 * SECOND;

const SECOND: u64 = 1_000_000_000;

/// Counts failures by address, without a lock.
///
/// Each cell holds one number, the time in nanoseconds up to which the failures so far have used
/// up the allowance: the generic cell rate algorithm of ITU-T I.371, a leaky bucket that needs no clock
/// of its own.
#[derive(Debug)]
pub(super) struct Limiter {
    cells: Box<[AtomicU64; CELLS]>,
    /// When the last answer to who is limited is due, in nanoseconds.
    due: Box<[AtomicU64; CELLS]>,
    hash: RandomState,
}

/// What becomes of an address that has failed too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limited {
    /// How long it has to wait until a failure of its is answered again, in whole seconds, one at least: for the
    /// field `Retry-After` (RFC 9110 section 10.2.3).
    pub(super) retry_after: u64,
    /// How long it waits until it is told so, three seconds at most.
    pub(super) pause: Duration,
}

impl Limiter {
    /// Nobody has failed yet. `hash` is the random key of which addresses share a cell.
    pub(super) fn new(hash: RandomState) -> Self {
        let table = || Box::new([const { AtomicU64::new(0) }; CELLS]);
        Self { cells: table(), due: table(), hash }
    }

    /// Counts a failure of an address, unless it has failed too often already.
    ///
    /// `per_minute` failures may come at once, and then one every 60 / `per_minute` seconds; 0 is no
    /// limit. It may be another number each time. `now` is the time since any one start.
    ///
    /// # Errors
    /// How long to wait. A failure that is not let through is not counted.
    pub(super) fn failed(&self, address: IpAddr, now: Duration, per_minute: u32) -> Result<(), Limited> {
        let at = self.place(address);
        let (Some(per_minute), Some(cell), Some(due)) =
            (NonZeroU32::new(per_minute), self.cells.get(at), self.due.get(at))
        else {
            return Ok(());
        };
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        // Rounded up, so that no minute ever has room for one more.
        let each = MINUTE.div_ceil(u64::from(per_minute.get()));
        let burst = each.saturating_mul(u64::from(per_minute.get()) - 1);
        let used_up_to = |cell: u64| cell.max(now);
        let counted = cell.fetch_update(Relaxed, Relaxed, |cell| {
            (used_up_to(cell) - now <= burst).then(|| used_up_to(cell).saturating_add(each))
        });
        counted.map(|_| ()).map_err(|cell| {
            let wait = (used_up_to(cell) - now).saturating_sub(burst);
            Limited { retry_after: wait.div_ceil(SECOND).max(1), pause: pause(due, now) }
        })
    }

    /// Where an address stands in the tables.
    fn place(&self, address: IpAddr) -> usize {
        let [first, second, ..] = self.hash.hash_one(Source::of(address)).to_ne_bytes();
        usize::from(u16::from_ne_bytes([first, second])) % CELLS
    }
}

/// How long an answer waits that comes behind those before it at [`PACE`].
fn pause(due: &AtomicU64, now: u64) -> Duration {
    let next = |due: u64| due.saturating_add(PACE).clamp(now, now.saturating_add(LONGEST_PAUSE));
    let before = due.fetch_update(Relaxed, Relaxed, |due| Some(next(due))).unwrap_or_else(|due| due);
    Duration::from_nanos(next(before) - now)
}

/// What counts as one address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Source {
    /// All of it.
    V4([u8; 4]),
    /// The first half: whoever has one IPv6 address usually has all of its /64.
    V6([u16; 4]),
}

impl Source {
    /// What an address counts as.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                Self::V6([first, second, third, fourth])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, thread};

    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Fails, and says how long to wait then.
    fn failed(limiter: &Limiter, address: IpAddr, now: f64, per_minute: u32) -> Result<(), u64> {
        limiter.failed(address, at(now), per_minute).map_err(|limited| limited.retry_after)
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let (limiter, one) = (Limiter::new(RandomState::new()), address("192.0.2.1"));
        for _ in 0..20 {
            assert_eq!(failed(&limiter, one, 1000.0, 20), Ok(()));
        }
        assert_eq!(failed(&limiter, one, 1000.0, 20), Err(3));
        assert_eq!(failed(&limiter, one, 1002.5, 20), Err(1));
        assert_eq!(failed(&limiter, one, 1003.0, 20), Ok(()));
        assert_eq!(failed(&limiter, one, 1003.0, 20), Err(3));
        // Half a minute of silence gives half the burst back, and an hour all of it, not more.
        let passed = |now| (0..50).take_while(|_| limiter.failed(one, now, 20).is_ok()).count();
        assert_eq!(passed(at(1033.0)), 10);
        assert_eq!(passed(at(5000.0)), 20);
    }

    #[test]
    fn the_allowance_may_change_at_any_time() {
        let (limiter, one) = (Limiter::new(RandomState::new()), address("192.0.2.1"));
        assert_eq!(limiter.failed(one, at(0.0), 1), Ok(()));
        assert_eq!(failed(&limiter, one, 0.0, 1), Err(60));
        assert_eq!(limiter.failed(one, at(0.0), 0), Ok(()));
        assert_eq!(failed(&limiter, one, 0.0, 20), Err(3));
        assert_eq!(limiter.failed(one, at(3.0), 20), Ok(()));
        assert_eq!(failed(&limiter, one, 3.0, 1), Err(60));
        for _ in 0..100_000 {
            assert_eq!(limiter.failed(one, at(3.0), u32::MAX), Ok(()));
        }
    }

    #[test]
    fn who_goes_on_is_answered_at_a_pace() {
        let (limiter, one) = (Limiter::new(RandomState::new()), address("192.0.2.1"));
        let pause = |now| limiter.failed(one, at(now), 1).map_err(|limited| limited.pause.as_millis());
        assert_eq!(pause(5.0), Ok(()));
        assert_eq!((pause(5.0), pause(5.0), pause(5.0)), (Err(0), Err(50), Err(100)));
        // Whoever is slower than that waits for nothing.
        assert_eq!((pause(5.5), pause(5.6)), (Err(0), Err(0)));
        let longest = (0..1000).map(|_| pause(5.6).unwrap_err()).max();
        assert_eq!(longest, Some(3000));
        assert_eq!((pause(8.0), pause(9.5)), (Err(650), Err(0)));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let same = |one, other| Source::of(address(one)) == Source::of(address(other));
        assert!(same("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
        let limiter = Limiter::new(RandomState::new());
        assert_eq!(limiter.failed(address("2001:db8::1"), at(0.0), 1), Ok(()));
        assert!(limiter.failed(address("2001:db8::2"), at(0.0), 1).is_err());
    }

    #[test]
    fn no_more_than_the_burst_passes_however_many_fail_at_once() {
        let (limiter, one) = (Limiter::new(RandomState::new()), address("2001:db8::1"));
        let passed: usize = thread::scope(|scope| {
            let fail = || (0..10_000).filter(|_| limiter.failed(one, at(7.0), 1000).is_ok()).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(fail)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 1000);
    }

    #[test]
    fn a_flood_from_everywhere_takes_no_memory_and_passes() {
        let limiter = Limiter::new(RandomState::new());
        let mut used = 0;
        for number in 0..200_000_u32 {
            let passed =
                limiter.failed(Ipv4Addr::from_bits(number).into(), at(f64::from(number)), 20).is_ok();
            used += usize::from(passed);
        }
        assert_eq!(used, 200_000, "one failure a second is shared by all cells");
        assert_eq!(size_of_val(&*limiter.cells), 128 * 1024);
        let touched = limiter.cells.iter().filter(|cell| cell.load(Relaxed) > 0).count();
        assert!(touched > CELLS * 9 / 10, "the addresses are spread badly: {touched}");
    }

    proptest! {
        #[test]
        fn no_minute_after_the_first_has_more_than_the_allowance(
            per_minute in 1_u32..200,
            gaps in prop::collection::vec(0_u64..2_000_000_000, 1..500),
        ) {
            let (limiter, one) = (Limiter::new(RandomState::new()), address("192.0.2.1"));
            let mut now = 0;
            let mut passed = Vec::new();
            for gap in gaps {
                now += gap;
                match limiter.failed(one, Duration::from_nanos(now), per_minute) {
                    Ok(()) => passed.push(now),
                    Err(Limited { retry_after, .. }) => {
                        prop_assert!((1..=60).contains(&retry_after));
                        let later = now + retry_after * SECOND;
                        let each = MINUTE.div_ceil(per_minute.into());
                        let used = limiter.cells[limiter.place(one)].load(Relaxed);
                        prop_assert!(used.saturating_sub(later) <= each * u64::from(per_minute - 1), "told too short");
                    }
                }
            }
            // In any time, no more than the burst and what that time gives back.
            for (first, start) in passed.iter().enumerate() {
                for (number, end) in passed.iter().enumerate().skip(first) {
                    let count = u64::try_from(number - first + 1).unwrap();
                    let given_back = (end - start) / MINUTE.div_ceil(per_minute.into());
                    prop_assert!(count <= u64::from(per_minute) + given_back);
                }
            }
        }
    }
}
