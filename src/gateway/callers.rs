//! The sockets of verified callers, and how they learn that their key does not let them in any more.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwapOption;

use crate::{
    authenticate::{Denial, Keyring, Known},
    config::keyring::{Carrier, Entry},
    relay::Summons,
    secret::Digest,
};

/// Everybody who has a socket, by the digest of their key.
#[derive(Default)]
pub(super) struct Callers(Mutex<All>);

#[derive(Default)]
struct All {
    /// The keyring that holds now, if any does; it may be newer than the one a request was judged by.
    keyring: Option<Arc<Keyring>>,
    callers: HashMap<Digest, Arc<Caller>>,
}

/// What the sockets of one key share.
struct Caller {
    /// What holds for the key now; nothing once it is removed.
    now: ArcSwapOption<Entry>,
    /// Rung when something has changed.
    changed: Summons,
    /// Sockets, and handshakes on their way to be one, but for those that were told to leave.
    open: AtomicU32,
    /// When the first of what their key was presented by is over, in seconds since 1970.
    first_over: AtomicU64,
}

/// The place of one socket among those of its key, until it is dropped.
pub(super) struct Seat {
    caller: Arc<Caller>,
    carrier: Carrier,
    /// The page's origin.
    origin: Option<Box<[u8]>>,
    /// When that is over which the key was presented by, in seconds since 1970.
    until: u64,
    /// Whether it was told to leave, and is not counted any more.
    has_left: AtomicBool,
}

impl Callers {
    /// Takes a place for a socket.
    ///
    /// # Errors
    /// Since the request was judged the key was removed or narrowed, or there are too many sockets.
    pub(super) fn seat(
        &self,
        presented: &Known,
        carrier: Carrier,
        origin: Option<&[u8]>,
    ) -> Result<Seat, Denial> {
        let (digest, until) = (presented.entry.digest, presented.until.map_or(u64::MAX, seconds));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = known.keyring.as_ref().and_then(|keyring| keyring.of_digest(&digest));
        let now = now.ok_or(Denial::Unknown)?;
        now.admits(SystemTime::now(), carrier, origin)?;
        let most = now.max_sockets.unwrap_or(u32::MAX);
        let caller = known.callers.entry(digest).or_insert_with(|| Arc::new(Caller::new(&now)));
        if caller.open.load(Ordering::Relaxed) >= most {
            return Err(Denial::TooManySockets);
        }
        caller.open.fetch_add(1, Ordering::Relaxed);
        caller.first_over.fetch_min(until, Ordering::Relaxed);
        Ok(Seat {
            caller: Arc::clone(caller),
            carrier,
            origin: origin.map(Into::into),
            until,
            has_left: AtomicBool::new(false),
        })
    }

    /// Takes a new keyring over: whoever it does not let in any more is told.
    pub(super) fn take_over(&self, keyring: Arc<Keyring>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.callers.retain(|digest, caller| {
            caller.take_over(keyring.of_digest(digest).as_deref());
            caller.open.load(Ordering::Relaxed) > 0
        });
        known.keyring = Some(keyring);
    }

    /// Tells everybody whose time may be over.
    pub(super) fn expire(&self, now: SystemTime) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.callers.values().for_each(|caller| caller.expire(now));
    }
}

impl Caller {
    fn new(entry: &Entry) -> Self {
        Self {
            now: ArcSwapOption::from_pointee(entry.clone()),
            changed: Summons::default(),
            open: AtomicU32::new(0),
            first_over: AtomicU64::new(u64::MAX),
        }
    }

    /// Tells its sockets if the time of its key may be over, or of what that was presented by.
    fn expire(&self, now: SystemTime) {
        let is_over = self.first_over.load(Ordering::Relaxed) <= seconds(now);
        if is_over {
            // Those that are told and may stay say again how long.
            self.first_over.store(u64::MAX, Ordering::Relaxed);
        }
        let entry = self.now.load();
        let has_expired = entry.as_ref().is_some_and(|entry| entry.expires.is_some_and(|end| now >= end));
        if (is_over || has_expired) && self.open.load(Ordering::Relaxed) > 0 {
            self.changed.ring();
        }
    }

    fn take_over(&self, entry: Option<&Entry>) {
        if self.now.load().as_deref() != entry {
            self.now.store(entry.cloned().map(Arc::new));
            self.changed.ring();
        }
    }
}

impl Seat {
    /// Ready once the key does not let this socket in any more.
    pub(super) async fn revoked(&self) {
        loop {
            let heard = self.caller.changed.count();
            if !self.stands() {
                return;
            }
            self.caller.changed.after(heard).await;
        }
    }

    fn stands(&self) -> bool {
        let Some(entry) = self.caller.now.load_full() else { return false };
        let now = SystemTime::now();
        if seconds(now) >= self.until || entry.admits(now, self.carrier, self.origin.as_deref()).is_err() {
            // Not one of those who are too many.
            self.leave();
            return false;
        }
        self.caller.first_over.fetch_min(self.until, Ordering::Relaxed);
        // As many leave as are too many, whoever asks first; from then on it is not counted.
        let most = entry.max_sockets.unwrap_or(u32::MAX);
        let fewer = |open: u32| (open > most).then(|| open - 1);
        let leaves = self.caller.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok();
        if leaves {
            self.has_left.store(true, Ordering::Relaxed);
        }
        !leaves
    }

    /// Gives the place back, once.
    fn leave(&self) {
        if !self.has_left.swap(true, Ordering::Relaxed) {
            self.caller.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Since 1970.
fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}
