//! The laws of reading a keyring, stated once; generated tests and the fuzz target `keyring` share them.

use std::collections::BTreeSet;

use super::{Carrier, Draft, Entry, parse};
use crate::config::properties::is_of_use;

/// The laws of reading a keyring, for any text. Gives back the entries, if it was taken.
///
/// # Panics
/// When one does not hold.
pub fn reading_is_sound(text: &str) -> Vec<Entry> {
    let entries = match parse(text) {
        Ok(entries) => entries,
        Err(problems) => {
            assert!(!problems.is_empty(), "refused for nothing");
            assert!(problems.is_sorted(), "not in the order of the file");
            problems.iter().for_each(|problem| is_of_use(problem, text));
            return Vec::new();
        }
    };
    let names: BTreeSet<_> = entries.iter().map(|entry| &entry.name).collect();
    let digests: BTreeSet<_> = entries.iter().map(|entry| entry.digest).collect();
    assert_eq!((names.len(), digests.len()), (entries.len(), entries.len()), "two entries are one");
    for entry in &entries {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert!((1..=64).contains(&entry.name.len()) && entry.name.bytes().all(is_plain), "no name");
        assert!(entry.max_sockets != Some(0), "no socket is allowed");
        if let (Some(from), Some(to)) = (entry.not_before, entry.expires) {
            assert!(from < to, "an entry never counts");
        }
    }
    let written: String = entries.iter().map(|entry| draft(entry).to_string()).collect();
    // Origins are parsed, and a draft has them as they were written.
    if entries.iter().all(|entry| entry.origins.is_none()) {
        assert_eq!(parse(&written).as_ref(), Ok(&entries), "what is written is not what is read");
    }
    entries
}

fn draft(entry: &Entry) -> Draft {
    Draft {
        name: entry.name.to_string(),
        digest: entry.digest,
        not_before: entry.not_before,
        expires: entry.expires,
        origins: Vec::new(),
        max_sockets: entry.max_sockets,
        carriers: entry.carriers.map_or_else(Vec::new, |carriers| {
            Carrier::ALL.into_iter().filter(|carrier| carriers.contains(*carrier)).collect()
        }),
    }
}
