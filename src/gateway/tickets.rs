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

use super::counts::Counts;
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
    ends: VecDeque<End>,
    /// How many of [`Self::ends`] each caller has.
    held: Counts<Digest>,
}

struct Ticket {
    purpose: Purpose,
    end: End,
}

/// When a ticket ends.
#[derive(Clone, Copy)]
struct End {
    at: Instant,
    ticket: Digest,
    /// The digest of the caller's key.
    caller: Digest,
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
        if kept.ends.len() >= MOST || !kept.held.take(caller, MOST_OF_ONE) {
            return Err(NoTicket::TooMany);
        }
        let end = End { at: now + LIFETIME, ticket: digest, caller };
        kept.ends.push_back(end);
        kept.tickets.insert(digest, Ticket { purpose, end });
        Ok(ticket)
    }

    /// The digest of the key for which a ticket was made, if this is what it was made for. It is redeemed then,
    /// and otherwise too.
    pub(super) fn redeem(&self, ticket: &[u8], purpose: &Purpose, now: Instant) -> Option<Digest> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = kept.tickets.remove(&Digest::of(ticket))?;
        kept.forget(now);
        (now < ticket.end.at && ticket.purpose == *purpose).then_some(ticket.end.caller)
    }
}

impl Kept {
    /// Forgets those whose time is over, and that there were those which were redeemed before the next.
    fn forget(&mut self, now: Instant) {
        let tickets = &self.tickets;
        let is_over = |end: &mut End| end.at <= now || !tickets.contains_key(&end.ticket);
        let mut over = Vec::new();
        while let Some(end) = self.ends.pop_front_if(is_over) {
            over.push(end);
        }
        for End { ticket, caller, .. } in over {
            self.tickets.remove(&ticket);
            self.held.give_back(caller);
        }
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
        // Whoever redeems its tickets behind one that it keeps has no more of them.
        for _ in 1..MOST_OF_ONE {
            let ticket = tickets.issue(alice(), purpose("/s", None), now + LIFETIME).unwrap();
            assert!(tickets.redeem(ticket.as_bytes(), &purpose("/", None), now + LIFETIME).is_none());
        }
        assert_eq!(issue(alice(), now + LIFETIME), Some(NoTicket::TooMany));
        for number in usize::try_from(MOST_OF_ONE).unwrap()..MOST {
            assert_eq!(issue(Digest::of(&number.to_be_bytes()), now + LIFETIME), None);
        }
        assert_eq!(issue(Digest::of(b"bob"), now + LIFETIME), Some(NoTicket::TooMany));
        tickets.0.lock().unwrap().forget(now + 2 * LIFETIME);
        let kept = tickets.0.lock().unwrap();
        assert!(kept.tickets.is_empty() && kept.ends.is_empty() && kept.held.is_empty());
    }
}
