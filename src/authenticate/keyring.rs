//! The entries, and how the one of a credential is found without telling by the time it takes.

use std::{hint::black_box, ops::Deref, sync::Arc};

use hashbrown::HashTable;
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

    /// What a digest is looked for by in an index.
    fn hash(&self, digest: &Digest) -> u64 {
        let tag = hmac::sign(&self.0, digest.as_bytes());
        tag.as_ref().first_chunk().map_or(0, |first| u64::from_ne_bytes(*first))
    }
}

/// The entries of a keyring, found by credentials.
///
/// How long it takes to find one tells nothing about those there are: the index is keyed, so that nobody can aim at a
/// place in it, and then digests are compared in constant time, on a miss too.
pub struct Keyring {
    key: IndexKey,
    /// Side by side, so that one of thousands is a single step away from its number.
    entries: Arc<[Entry]>,
    /// The digests in the same order: those of thousands fit into a processor's cache, which entries do not.
    digests: Vec<Digest>,
    /// Their numbers, by what is kept secret.
    index: HashTable<u32>,
}

impl Keyring {
    /// The keyring of these entries, no two of which have the same digest. There is room for four thousand million.
    pub fn new(entries: Vec<Entry>, key: &IndexKey) -> Self {
        let digests: Vec<_> = entries.iter().map(|entry| entry.digest).collect();
        let hash = |at: &u32| digests.get(number(*at)).map_or(0, |digest| key.hash(digest));
        let mut index = HashTable::with_capacity(entries.len());
        for (at, digest) in (0..).zip(&digests) {
            index.insert_unique(key.hash(digest), at, hash);
        }
        Self { key: IndexKey(key.0.clone()), entries: entries.into(), digests, index }
    }

    /// The entry whose digest is the SHA-256 of this credential.
    pub fn find(&self, credential: &[u8]) -> Option<Listed> {
        self.of_digest(&Digest::of(credential))
    }

    /// The entry of a digest that was computed before, such as that of an open socket's entry. What a
    /// client presents is for [`Keyring::find`]: presenting a digest is not presenting a credential.
    pub fn of_digest(&self, digest: &Digest) -> Option<Listed> {
        let is_it = |at: &u32| self.digests.get(number(*at)) == Some(digest);
        let found = self.index.find(self.key.hash(digest), is_it);
        if found.is_none() {
            black_box(Digest::NOBODYS == *digest);
        }
        let at = number(*found?);
        Some(Listed { entries: Arc::clone(&self.entries), at })
    }

    /// All entries, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether nobody gets in.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The number of an entry, as slices count.
fn number(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// An entry as it was found. It holds all entries of its keyring: for longer than a request lasts, clone the entry.
#[derive(Clone)]
pub struct Listed {
    entries: Arc<[Entry]>,
    /// Below their number.
    at: usize,
}

impl Deref for Listed {
    type Target = Entry;

    #[expect(clippy::indexing_slicing, reason = "only an index of these entries makes one")]
    fn deref(&self) -> &Entry {
        &self.entries[self.at]
    }
}
