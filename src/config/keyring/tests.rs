use std::time::{Duration, SystemTime};

use super::{Carrier, Carriers, Draft, Entry, Problem, moment, parse};
use crate::secret::Digest;

/// The digest of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| problem.render("keyring.toml").to_string()).collect()
}

fn entries(text: &str) -> Vec<Entry> {
    parse(text).map_err(|problems| shown(&problems)).unwrap()
}

/// What is wrong with an entry that has these lines behind its name and digest.
#[track_caller]
fn wrong(lines: &str, expected: &str) {
    let text = format!("[[key]]\nname = \"a\"\nsha256 = \"{ABC}\"\n{lines}\n");
    let found = shown(&parse(&text).unwrap_err());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(expected), "{found:?}");
}

#[test]
fn an_empty_keyring_lets_nobody_in() {
    assert_eq!(entries(""), []);
    assert_eq!(entries("# nobody yet\nkey = []\n"), []);
}

#[test]
fn every_key_is_read() {
    let upper = ABC.to_ascii_uppercase();
    let text = format!(
        "[[key]]\nname = \"ci-1.x_Y\"\nsha256 = \"{ABC}\"\n\n[[key]]\nname = \"b\"\nsha256 = \"{}\"\n\
         not_before = \"2026-01-01T00:00:00+00:00\"\nexpires = 2026-01-01T01:00:01.5-01:00\n\
         origins = [\"https://app.example\"]\nmax_sockets = 1\n\
         carriers = [\"query\", \"ticket\", \"field\", \"subprotocol\", \"bearer\", \"cookie\", \"first_message\"]\n",
        upper.replace("BA78", "BA79"),
    );
    let [first, second] = <[Entry; 2]>::try_from(entries(&text)).unwrap();
    assert_eq!((&*first.name, first.digest), ("ci-1.x_Y", Digest::of(b"abc")));
    assert_eq!((first.not_before, first.expires, first.max_sockets), (None, None, None));
    assert_eq!((first.origins, first.carriers), (None, None));
    let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    assert_eq!(second.not_before, Some(new_year));
    assert_eq!(second.expires, Some(new_year + Duration::from_secs(2 * 3600 + 1)));
    assert_eq!(second.max_sockets, Some(1));
    assert_eq!(second.carriers, Carriers::new(&Carrier::ALL));
    let origins = second.origins.unwrap();
    assert!(origins.allow(b"https://app.example") && !origins.allow(b"https://example"));
}

#[test]
fn all_problems_are_shown_with_their_places() {
    let text = format!(
        "[[key]]\nname = \"a b\"\nsha256 = \"s3cr3t\"\n[[key]]\nexpire = 1\n[[key]]\nname = \"x\"\nsha256 = \"{ABC}\"\n\
         [[key]]\nname = \"x\"\nsha256 = \"{}\"\n[keys]\n",
        ABC.to_ascii_uppercase()
    );
    assert_eq!(
        shown(&parse(&text).unwrap_err()),
        [
            "keyring.toml:2:8: key.name: is not 1 to 64 letters, digits, `.`, `_` and `-`; write for example \"ci\"",
            "keyring.toml:3:10: key.sha256: is not 64 hexadecimal digits; write the digest that `hushgate key new` \
             prints, never the credential itself",
            "keyring.toml:4:1: key.name: is missing; `hushgate key new` prints a whole entry",
            "keyring.toml:4:1: key.sha256: is missing; `hushgate key new` prints a whole entry",
            "keyring.toml:5:1: key.expire: unknown key; did you mean `expires`?",
            "keyring.toml:10:8: key.name: is also the name of the entry in line 6; write another",
            "keyring.toml:11:10: key.sha256: is also the digest of the entry in line 6; make a credential for each \
             caller",
            "keyring.toml:12:2: keys: unknown key; did you mean `key`?",
        ]
    );
}

#[test]
fn what_makes_no_sense_is_named() {
    wrong("expires = 2027-01-01T00:00:00", "does not say where on Earth it is that time");
    wrong("expires = \"2027-01-01 00:00:00\"", "does not say where on Earth it is that time");
    wrong("expires = 2027-01-01", "is only one of a date and a time");
    wrong("expires = 10:00:00", "is only one of a date and a time");
    wrong("expires = \"soon\"", "is not a date");
    wrong(
        "expires = 5",
        "expected a date and a time, found an integer; write expires = 2027-01-01T00:00:00Z",
    );
    wrong("expires = 1969-12-31T23:59:59Z", "is not in the calendar from 1970 to 9999");
    wrong("not_before = 9999-12-31T23:59:59-00:01", "is not in the calendar from 1970 to 9999");
    wrong(
        "not_before = 2027-01-01T01:00:00+01:00\nexpires = 2027-01-01T00:00:00Z",
        "keyring.toml:5:11: key.expires: is not after",
    );
    wrong("max_sockets = 0", "is not an integer from 1 to");
    wrong("carriers = []", "has no way that can be used");
    wrong("carriers = [\"field\", \"cookies\"]", "write \"query\" or \"ticket\" or \"field\" or");
    wrong("carriers = \"query\"", "expected a list");
    wrong("origins = 2027-01-01", "expected a list, found a date");
    for (text, expected) in [
        ("key = 5", "1:7: key: expected a list of tables, found an integer; write [[key]]"),
        ("key = [5]", "1:8: key: expected a table, found an integer; write [[key]]"),
        ("[key]", "1:2: key: expected a list of tables, found a table; write [[key]]"),
    ] {
        assert_eq!(shown(&parse(text).unwrap_err()), [format!("keyring.toml:{expected}")]);
    }
}

#[test]
fn a_credential_is_no_name() {
    let made = "hgk_000000000000000000000000000000000QKVBn2";
    let found = shown(&parse(&format!("[[key]]\nname = \"{made}\"\nsha256 = \"{ABC}\"\n")).unwrap_err());
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("is a credential") && !found[0].contains(made), "{found:?}");
}

#[test]
fn a_large_keyring_is_read_in_no_time() {
    let entry = |number: u32| {
        format!("[[key]]\nname = \"c{number}\"\nsha256 = \"{}\"\n", Digest::of(&number.to_be_bytes()))
    };
    assert_eq!(entries(&(0..5_000).map(entry).collect::<String>()).len(), 5_000);
}

#[test]
fn what_is_written_is_read() {
    let draft = Draft {
        name: "ci".to_owned(),
        digest: Digest::of(b"abc"),
        not_before: None,
        expires: moment("2027-01-01T00:00:00Z").ok(),
        origins: vec!["https://*.app.example".to_owned(), "null".to_owned()],
        max_sockets: Some(3),
        carriers: vec![Carrier::Field],
    };
    let [entry] = <[Entry; 1]>::try_from(entries(&draft.to_string())).unwrap();
    assert_eq!((&*entry.name, entry.digest, entry.expires), ("ci", draft.digest, draft.expires));
    let origins = entry.origins.unwrap();
    assert!(origins.allow(b"https://a.app.example") && origins.allow(b"null"));
    assert_eq!((entry.max_sockets, entry.carriers), (Some(3), Carriers::new(&draft.carriers)));
    let bare = Draft { expires: None, origins: Vec::new(), max_sockets: None, carriers: Vec::new(), ..draft };
    assert_eq!(bare.to_string(), format!("[[key]]\nname = \"ci\"\nsha256 = \"{ABC}\"\n"));
}
