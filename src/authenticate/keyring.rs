//! The entries, and how the one of a credential is found without telling by the time it takes.

use std::{collections::HashMap, sync::Arc};

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
    fn slot(&self, digest: &Digest) -> [u8; 32] {
        let mut slot = [0; 32];
        let tag = hmac::sign(&self.0, digest.as_bytes());
        slot.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        slot
    }
}

/// The entries of a keyring, found by credentials.
///
/// How long it takes to find one tells nothing about those there are: what is compared in the index is
/// keyed, so that nobody can aim at it, and then digests are compared once, in constant time, on a miss too.
pub struct Keyring {
    key: IndexKey,
    entries: Vec<Arc<Entry>>,
    index: HashMap<[u8; 32], usize>,
}

impl Keyring {
    /// The keyring of these entries, no two of which have the same digest.
    pub fn new(entries: Vec<Entry>, key: &IndexKey) -> Self {
        let entries: Vec<_> = entries.into_iter().map(Arc::new).collect();
        let index = entries.iter().enumerate().map(|(at, entry)| (key.slot(&entry.digest), at)).collect();
        Self { key: IndexKey(key.0.clone()), entries, index }
    }

    /// The entry whose digest is the SHA-256 of this credential.
    pub fn find(&self, credential: &[u8]) -> Option<&Arc<Entry>> {
        self.of_digest(&Digest::of(credential))
    }

    /// The entry of a digest that was computed before, such as that of an open socket's entry. What a
    /// client presents is for [`Keyring::find`]: presenting a digest is not presenting a credential.
    pub fn of_digest(&self, digest: &Digest) -> Option<&Arc<Entry>> {
        let found = self.index.get(&self.key.slot(digest)).and_then(|at| self.entries.get(*at));
        let is_it = found.map_or(Digest::NOBODYS, |entry| entry.digest) == *digest;
        found.filter(|_| is_it)
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
