//! Tickets: each opens one WebSocket, once, within half a minute, for a page that must use a URL.
//!
//! A caller gets one by `POST /.hushgate/tickets?path=…` with its key in the field, and the WebSocket at that path
//! is opened with `?ticket=…`. They are known to this process only; what is asked of the place where they are
//! kept is [`Tickets::issue`] and [`Tickets::redeem`].

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::secret::{Digest, Wiped, issued};

/// How long one can be redeemed.
pub(super) const LIFETIME: Duration = Duration::from_secs(30);

/// The most that can be redeemed at once.
const MOST: usize = 10_000;

/// The most of one caller.
const MOST_OF_ONE: u32 = 100;

/// Those that can be redeemed.
#[derive(Default)]
pub(super) struct Tickets(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// By their digests, so that no ticket stays in memory.
    tickets: HashMap<Digest, Ticket>,
    /// Their digests in the order in which they end, and those that were redeemed behind one that was not.
    ends: VecDeque<(Instant, Digest)>,
    /// How many each caller has.
    held: HashMap<Digest, u32>,
}

struct Ticket {
    /// The digest of the caller's key.
    caller: Digest,
    purpose: Purpose,
    end: Instant,
}

/// The WebSocket that a ticket opens.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Purpose {
    /// The path of its target, byte for byte.
    pub(super) path: Box<[u8]>,
    /// The origin of its page; a program's has none.
    pub(super) origin: Option<Box<[u8]>>,
}

/// Why there is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTicket {
    /// The caller, or all of them, have as many as may be.
    TooMany,
    /// The system gives no random numbers.
    NoRandom,
}

impl Tickets {
    /// Makes a ticket for whom the key of this digest belongs to.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn issue(&self, caller: Digest, purpose: Purpose, now: Instant) -> Result<Wiped, NoTicket> {
        let mut random = Zeroizing::new([0; issued::RANDOM]);
        SystemRandom::new().fill(random.as_mut_slice()).map_err(|_| NoTicket::NoRandom)?;
        let ticket = issued::make(issued::TICKET, &random);
        let digest = Digest::of(ticket.as_bytes());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.forget(now);
        let held = kept.held.get(&caller).copied().unwrap_or(0);
        // Of those that were redeemed some take a place until their time is over.
        if held >= MOST_OF_ONE || kept.ends.len() >= MOST {
            return Err(NoTicket::TooMany);
        }
        kept.held.insert(caller, held + 1);
        let end = now + LIFETIME;
        kept.ends.push_back((end, digest));
        kept.tickets.insert(digest, Ticket { caller, purpose, end });
        Ok(ticket)
    }

    /// The digest of the key for which a ticket was made, if this is what it was made for. It is redeemed then,
    /// and otherwise too.
    pub(super) fn redeem(&self, ticket: &[u8], purpose: &Purpose, now: Instant) -> Option<Digest> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = kept.remove(&Digest::of(ticket))?;
        kept.forget(now);
        (now < ticket.end && ticket.purpose == *purpose).then_some(ticket.caller)
    }
}

impl Kept {
    /// Forgets those whose time is over, and that there were those which were redeemed before the next.
    fn forget(&mut self, now: Instant) {
        let tickets = &self.tickets;
        let is_over = |(end, digest): &mut (Instant, Digest)| *end <= now || !tickets.contains_key(digest);
        let mut over = Vec::new();
        while let Some((_, digest)) = self.ends.pop_front_if(is_over) {
            over.push(digest);
        }
        for digest in over {
            self.remove(&digest);
        }
    }

    fn remove(&mut self, digest: &Digest) -> Option<Ticket> {
        let ticket = self.tickets.remove(digest)?;
        let left = self.held.get(&ticket.caller).map_or(0, |held| held.saturating_sub(1));
        if left == 0 {
            self.held.remove(&ticket.caller);
        } else {
            self.held.insert(ticket.caller, left);
        }
        Some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose(path: &str, origin: Option<&str>) -> Purpose {
        Purpose { path: path.as_bytes().into(), origin: origin.map(|origin| origin.as_bytes().into()) }
    }

    fn alice() -> Digest {
        Digest::of(b"alice")
    }

    #[tokio::test]
    async fn a_ticket_is_redeemed_once_and_for_its_purpose_only() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let here = purpose("/s", Some("https://app.example"));
        let issue = || tickets.issue(alice(), here.clone(), now).unwrap();
        let one = issue();
        assert!(one.as_bytes().starts_with(b"hgt_"));
        assert_eq!(tickets.redeem(one.as_bytes(), &here, now), Some(alice()));
        assert_eq!(tickets.redeem(one.as_bytes(), &here, now), None);
        assert!(tickets.0.lock().unwrap().ends.is_empty(), "nothing is left of it");
        for other in
            [purpose("/t", Some("https://app.example")), purpose("/s", None), purpose("/s", Some("null"))]
        {
            let one = issue();
            assert_eq!(tickets.redeem(one.as_bytes(), &other, now), None);
            assert_eq!(tickets.redeem(one.as_bytes(), &here, now), None, "it was tried");
        }
        let (last, late) = (issue(), issue());
        assert_eq!(
            tickets.redeem(last.as_bytes(), &here, now + LIFETIME - Duration::from_millis(1)),
            Some(alice())
        );
        assert_eq!(tickets.redeem(late.as_bytes(), &here, now + LIFETIME), None);
        assert_eq!(tickets.redeem(b"", &here, now), None);
    }

    #[tokio::test]
    async fn there_are_no_more_than_may_be() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let issue = |caller: Digest, now| tickets.issue(caller, purpose("/s", None), now).map(|_| ()).err();
        for _ in 0..MOST_OF_ONE {
            assert_eq!(issue(alice(), now), None);
        }
        assert_eq!(issue(alice(), now), Some(NoTicket::TooMany));
        assert_eq!(issue(alice(), now + LIFETIME), None, "their time is over");
        for number in 1..MOST {
            assert_eq!(issue(Digest::of(&number.to_be_bytes()), now + LIFETIME), None);
        }
        assert_eq!(issue(Digest::of(b"bob"), now + LIFETIME), Some(NoTicket::TooMany));
        tickets.0.lock().unwrap().forget(now + 2 * LIFETIME);
        let kept = tickets.0.lock().unwrap();
        assert_eq!((kept.tickets.len(), kept.ends.len(), kept.held.len()), (0, 0, 0));
    }
}
