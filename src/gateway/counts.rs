//! How many of something everybody has; who has none is not remembered.

use std::{collections::HashMap, hash::Hash};

/// Counts by key.
pub(super) struct Counts<K>(HashMap<K, u32>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    /// Counts one more of this key, unless it has `most` already.
    #[must_use = "what could not be taken is not to be given back"]
    pub(super) fn take(&mut self, key: K, most: u32) -> bool {
        let count = self.0.get(&key).copied().unwrap_or(0);
        if count >= most {
            return false;
        }
        self.0.insert(key, count + 1);
        true
    }

    /// Counts one less.
    pub(super) fn give_back(&mut self, key: K) {
        let left = self.0.get(&key).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            self.0.remove(&key);
        } else {
            self.0.insert(key, left);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
