//! The laws of authentication, stated once; generated tests and the fuzz target `keyring` share them.

use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::{Denial, IndexKey, Keyring};
use crate::{
    config::keyring::{Carrier, Entry, properties::reading_is_sound},
    secret::Digest,
};

/// The laws of a keyring, for any text as its file and any bytes that are presented.
///
/// # Panics
/// When one does not hold.
pub fn finding_is_sound(text: &str, presented: &[u8]) {
    let entries = reading_is_sound(text);
    only_its_own_is_found(&entries, presented);
    // The presented bytes' own entry, which no text comes upon by chance.
    let digest = Digest::of(presented);
    if let Some(entry) = entries.first().filter(|_| entries.iter().all(|entry| entry.digest != digest)) {
        let own = Entry { name: "presented".into(), digest, ..entry.clone() };
        only_its_own_is_found(&[entries.clone(), vec![own]].concat(), presented);
    }
    for entry in &entries {
        limits_hold(entry);
    }
}

/// A credential is found if and only if an entry's digest is its SHA-256, whatever the index is keyed with;
/// and a digest is bytes like any other.
fn only_its_own_is_found(entries: &[Entry], presented: &[u8]) {
    for random in [[0; 32], [0xa5; 32]] {
        let keyring = Keyring::new(entries.to_vec(), &IndexKey::new(&Zeroizing::new(random)));
        let holds_for = |presented: &[u8]| {
            let expected = entries.iter().find(|entry| entry.digest == Digest::of(presented));
            assert_eq!(keyring.find(presented).as_deref(), expected, "another entry is found");
        };
        holds_for(presented);
        for entry in entries {
            holds_for(entry.digest.as_bytes());
            holds_for(entry.digest.to_string().as_bytes());
        }
    }
}

/// An entry lets nobody in outside of its time, nor by another carrier than those that it names.
fn limits_hold(entry: &Entry) {
    let second = Duration::from_secs(1);
    let of = |edge: Option<SystemTime>| edge.into_iter().flat_map(|at| [at - second, at, at + second]);
    let moments = of(entry.not_before).chain(of(entry.expires)).chain([SystemTime::UNIX_EPOCH]);
    for (now, carrier) in moments.flat_map(|now| Carrier::ALL.map(|carrier| (now, carrier))) {
        let is_early = entry.not_before.is_some_and(|from| from > now);
        let is_late = entry.expires.is_some_and(|to| to <= now);
        let is_carrier = entry.carriers.is_none_or(|carriers| carriers.contains(carrier));
        let expected = match (is_early, is_late, is_carrier) {
            (true, _, _) => Err(Denial::NotYetValid),
            (_, true, _) => Err(Denial::Expired),
            (_, _, false) => Err(Denial::Carrier),
            (_, _, true) => Ok(()),
        };
        assert_eq!(entry.admits(now, carrier, None), expected);
        // An origin can only take away.
        let with_origin = entry.admits(now, carrier, Some(b"https://another.example"));
        assert!(with_origin == expected || expected.is_ok() && with_origin == Err(Denial::Origin));
    }
}
