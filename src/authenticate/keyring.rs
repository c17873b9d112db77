//! The entries, and how the one of a credential is found without telling by the time it takes.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use ring::hmac;
use zeroize::Zeroizing;

use crate::{config::keyring::Entry, secret::Digest};

/// What the index of a [`Keyring`] is keyed with: random, another one whenever the file is read, and nobody's to know.
pub struct IndexKey(hmac::Key);

impl IndexKey {
    /// A key of bytes that have to be random.
    pub fn new(random: &Zeroizing<[u8; 32]>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, random.as_slice()))
    }

    /// Where a digest stands in an index.
    ///
    /// Half of the tag is enough: that two of a hundred thousand digests have the same is less likely than
    /// one in 10^28.
    fn slot(&self, digest: &Digest) -> u128 {
        let tag = hmac::sign(&self.0, digest.as_bytes());
        tag.as_ref().first_chunk().map_or(0, |half| u128::from_ne_bytes(*half))
    }
}

/// Hashes a slot to itself: it is a hash already, under a key that nobody knows.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, slot: u128) {
        self.0 = u64::try_from(slot >> 64).unwrap_or_default();
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The entries of a keyring, found by credentials.
///
/// How long it takes to find one tells nothing about those there are: what is compared in the index is
/// keyed, so that nobody can aim at it, and then digests are compared once, in constant time, on a miss too.
pub struct Keyring {
    key: IndexKey,
    entries: Vec<Arc<Entry>>,
    /// With the digests, so that to find one is one look into memory.
    index: HashMap<u128, (Digest, Arc<Entry>), BuildHasherDefault<AsItIs>>,
}

impl Keyring {
    /// The keyring of these entries, no two of which have the same digest.
    pub fn new(entries: Vec<Entry>, key: &IndexKey) -> Self {
        let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
        let slot = |entry: &Arc<Entry>| (key.slot(&entry.digest), (entry.digest, Arc::clone(entry)));
        let index = entries.iter().map(slot).collect();
        Self { key: IndexKey(key.0.clone()), entries, index }
    }

    /// The entry whose digest is the SHA-256 of this credential.
    pub fn find(&self, credential: &[u8]) -> Option<&Arc<Entry>> {
        self.of_digest(&Digest::of(credential))
    }

    /// The entry of a digest that was computed before, such as that of an open socket's entry. What a
    /// client presents is for [`Keyring::find`]: presenting a digest is not presenting a credential.
    pub fn of_digest(&self, digest: &Digest) -> Option<&Arc<Entry>> {
        let found = self.index.get(&self.key.slot(digest));
        let is_it = found.map_or(Digest::NOBODYS, |(digest, _)| *digest) == *digest;
        found.filter(|_| is_it).map(|(_, entry)| entry)
    }

    /// All entries, in the order of the file.
    pub fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    /// Whether nobody gets in.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
