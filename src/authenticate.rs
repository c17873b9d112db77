//! Who a caller is, and whether they may in.
//!
//! A [`Keyring`] finds the entry of a credential; [`Entry::admits`] says whether that entry lets its caller
//! in now, by this carrier, from this origin. What is refused is refused with a [`Denial`], a closed word
//! for our log that no client gets to see.

use std::time::SystemTime;

pub use self::keyring::{IndexKey, Keyring};
use crate::config::keyring::{Carrier, Entry};

mod keyring;
pub mod limiter;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// No entry is the credential's.
    Unknown,
    /// It does not count yet.
    NotYetValid,
    /// It does not count any more.
    Expired,
    /// Its entry does not allow the way by which it was presented.
    Carrier,
    /// Its entry does not allow the origin of the page that presented it.
    Origin,
}

impl Denial {
    /// Every one there is.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::NotYetValid, Self::Expired, Self::Carrier, Self::Origin];

    /// Its word, for logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "credential_unknown",
            Self::NotYetValid => "credential_not_yet_valid",
            Self::Expired => "credential_expired",
            Self::Carrier => "carrier_not_allowed",
            Self::Origin => "origin_not_allowed",
        }
    }
}

impl Entry {
    /// Whether this entry lets its caller in at this moment.
    ///
    /// No origin is allowed by any entry: only browsers send one, and only they present a credential
    /// unasked.
    ///
    /// # Errors
    /// The first reason why it does not.
    pub fn admits(&self, now: SystemTime, carrier: Carrier, origin: Option<&[u8]>) -> Result<(), Denial> {
        if self.not_before.is_some_and(|from| now < from) {
            return Err(Denial::NotYetValid);
        }
        if self.expires.is_some_and(|to| now >= to) {
            return Err(Denial::Expired);
        }
        if self.carriers.as_ref().is_some_and(|carriers| !carriers.contains(&carrier)) {
            return Err(Denial::Carrier);
        }
        match (origin, &self.origins) {
            (Some(origin), Some(origins)) if !origins.allow(origin) => Err(Denial::Origin),
            (Some(_) | None, _) => Ok(()),
        }
    }
}
