//! Whose a credential is: known, unknown and malformed, in keyrings of all sizes.

use std::{cell::Cell, hint::black_box};

use hushgate::{
    authenticate::{Admission, IndexKey, Keyring, admit},
    config::{Config, Mode, keyring},
    handshake::{examine, head::Head},
    secret::Digest,
};
use zeroize::Zeroizing;

use crate::{allocations::Benchmarks, samples};

/// How many credentials are presented in turn, and how many entries the larger keyring has.
const PRESENTED: usize = 10_000;

/// One of the form that `hushgate key new` makes.
fn credential(number: usize) -> String {
    format!("hgk_{number:039}")
}

fn keyring(size: usize) -> Keyring {
    let entry = |number| {
        let digest = Digest::of(credential(number).as_bytes());
        format!("[[key]]\nname = \"caller-{number}\"\nsha256 = \"{digest}\"\n")
    };
    let text: String = (0..size).map(entry).collect();
    Keyring::new(keyring::parse(&text).unwrap(), &IndexKey::new(&Zeroizing::new([7; 32])))
}

const REQUIRE: &str =
    "[upstream]\ncredential_file = \"c\"\n[authentication]\nmode = \"require\"\nkeyring = \"k\"\n";

/// All that a gateway does to decide about an opening handshake, from its bytes on, but for writing the head
/// that goes on.
pub(crate) fn deciding(benchmarks: &mut Benchmarks) {
    let config = Config::parse(REQUIRE, []).unwrap().config;
    let require = match &config.authentication.mode {
        Mode::PassThrough => None,
        Mode::Require(require) => Some(require),
    };
    let mut group = benchmarks.group("decide");
    for size in [10, PRESENTED] {
        let keyring = keyring(size);
        let heads: Vec<_> = (0..PRESENTED)
            .map(|number| {
                samples::opening_handshake(&format!(
                    "/s?session_api_key={}",
                    credential(number * 7919 % size)
                ))
            })
            .collect();
        let next = Cell::new(0);
        let now = std::time::SystemTime::now();
        group.bench(&format!("known, of {size}"), || {
            next.set((next.get() + 1) % PRESENTED);
            let head = heads.get(next.get())?;
            let head = Head::parse(black_box(head.as_bytes()), 100).ok()?;
            let examined = examine(&head, &config.handshake, require).ok()?;
            let find = |presented: &[u8]| keyring.find(presented).cloned();
            match admit(&head, &examined, &config, find, now) {
                Ok(Admission::Caller(caller)) => Some(caller.name.len()),
                Ok(_) | Err(_) => None,
            }
        });
    }
}

pub(crate) fn finding(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("authenticate");
    for size in [10, PRESENTED] {
        let keyring = keyring(size);
        // Another one each time, out of as many for either size: reading what was presented costs alike.
        let known: Vec<_> = (0..PRESENTED).map(|number| credential(number * 7919 % size)).collect();
        let unknown: Vec<_> = (0..PRESENTED).map(|number| credential(number + size)).collect();
        let malformed: Vec<_> = (0..PRESENTED).map(|number| format!("{number:042}\u{e9}")).collect();
        for (what, credentials) in [("known", known), ("unknown", unknown), ("malformed", malformed)] {
            let next = Cell::new(0);
            group.bench_without_allocation(&format!("{what}, of {size}"), || {
                next.set((next.get() + 1) % PRESENTED);
                credentials.get(next.get()).and_then(|one| keyring.find(black_box(one.as_bytes()))).is_some()
            });
        }
    }
}
