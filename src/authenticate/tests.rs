use std::time::{Duration, SystemTime};

use proptest::{collection::vec, prelude::*, sample::select};
use zeroize::Zeroizing;

use super::{Denial, IndexKey, Keyring, properties::finding_is_sound};
use crate::{
    config::keyring::{Carrier, Entry, parse},
    secret::Digest,
};

fn entry(name: &str, credential: &str, lines: &str) -> String {
    format!("[[key]]\nname = \"{name}\"\nsha256 = \"{}\"\n{lines}\n", Digest::of(credential.as_bytes()))
}

fn only(lines: &str) -> Entry {
    parse(&entry("a", "one", lines)).unwrap().remove(0)
}

fn keyring(text: &str) -> Keyring {
    Keyring::new(parse(text).unwrap(), &IndexKey::new(&Zeroizing::new([7; 32])))
}

#[test]
fn a_credential_finds_its_entry() {
    let keyring = keyring(&(entry("a", "one", "") + &entry("b", "two", "")));
    let name = |credential: &str| keyring.find(credential.as_bytes()).map(|entry| entry.name.to_string());
    assert_eq!(name("one").as_deref(), Some("a"));
    assert_eq!(name("two").as_deref(), Some("b"));
    assert_eq!((name("three"), name(""), name("one ")), (None, None, None));
    assert_eq!((keyring.entries().len(), keyring.is_empty()), (2, false));
}

#[test]
fn presenting_a_digest_is_not_presenting_a_credential() {
    let digest = Digest::of(b"one");
    let keyring = keyring(&entry("a", "one", ""));
    assert!(keyring.find(digest.as_bytes()).is_none());
    assert!(keyring.find(digest.to_string().as_bytes()).is_none());
    assert!(keyring.of_digest(&digest).is_some());
}

#[test]
fn an_empty_keyring_finds_nobody() {
    let keyring = keyring("");
    assert!(keyring.is_empty());
    assert!(keyring.find(b"").is_none());
    assert!(keyring.of_digest(&Digest::NOBODYS).is_none());
}

#[test]
fn an_entry_admits_within_its_limits() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let limited = only(
        "not_before = 1970-01-01T00:00:10Z\nexpires = 1970-01-01T00:00:20Z\ncarriers = [\"field\"]\n\
         origins = [\"https://app.example\"]",
    );
    let admits = |seconds, carrier, origin: Option<&str>| {
        limited.admits(at(seconds), carrier, origin.map(str::as_bytes))
    };
    let (ours, other) = (Some("https://app.example"), Some("https://other.example"));
    assert_eq!(admits(9, Carrier::Field, ours), Err(Denial::NotYetValid));
    assert_eq!(admits(10, Carrier::Field, ours), Ok(()));
    assert_eq!(admits(19, Carrier::Field, None), Ok(()));
    assert_eq!(admits(20, Carrier::Field, ours), Err(Denial::Expired));
    assert_eq!(admits(10, Carrier::Query, ours), Err(Denial::Carrier));
    assert_eq!(admits(10, Carrier::Field, other), Err(Denial::Origin));
    assert_eq!(only("").admits(at(0), Carrier::Query, other.map(str::as_bytes)), Ok(()));
}

#[test]
fn every_denial_has_its_word() {
    let words: std::collections::BTreeSet<_> = Denial::ALL.into_iter().map(Denial::label).collect();
    assert_eq!(words.len(), Denial::ALL.len());
    let readme = include_str!("../../README.md");
    for word in words {
        assert!(readme.contains(&format!("`{word}`")), "README does not say what {word} is");
    }
}

/// Lines of which keyrings are made, right and wrong.
const LINES: [&str; 18] = [
    "[[key]]",
    "[[key]]",
    "name = \"a\"",
    "name = \"b\"",
    "name = \"a b\"",
    "sha256 = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
    "sha256 = \"BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\"",
    "sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"",
    "sha256 = \"abc\"",
    "not_before = 2026-01-01T00:00:00Z",
    "expires = \"2026-01-01T00:00:00-23:59\"",
    "expires = 2025-12-31T23:00:00-01:00",
    "origins = [\"https://app.example\"]",
    "origins = []",
    "max_sockets = 1",
    "carriers = [\"field\"]",
    "carriers = [\"query\", \"field\", 5]",
    "[key]",
];

/// An entry that is mostly right, and a few lines of any kind.
fn text() -> impl Strategy<Value = String> {
    let digest = any::<u8>().prop_map(|byte| Digest::of(&[byte]).to_string());
    let right = ("[a-d]", digest, vec(select(&LINES[9..16]), 0..3)).prop_map(|(name, digest, lines)| {
        format!("[[key]]\nname = \"{name}\"\nsha256 = \"{digest}\"\n{}\n", lines.join("\n"))
    });
    let any_lines = vec(select(&LINES[..]), 0..6).prop_map(|lines| lines.join("\n"));
    (vec(right, 0..4), any_lines, any::<bool>()).prop_map(|(right, lines, has_lines)| {
        if has_lines { right.concat() + &lines } else { right.concat() }
    })
}

proptest! {
    #[test]
    fn finding_is_sound_for_any_keyring(
        text in text(),
        presented in prop_oneof![vec(any::<u8>(), 0..2), vec(any::<u8>(), 0..64), Just(b"abc".to_vec())],
    ) {
        finding_is_sound(&text, &presented);
    }
}
