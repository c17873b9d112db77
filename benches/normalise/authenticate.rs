//! Whose a credential is: known, unknown and malformed, in keyrings of all sizes.

use std::{cell::Cell, hint::black_box};

use hushgate::{
    authenticate::{IndexKey, Keyring},
    config::keyring,
    secret::Digest,
};
use zeroize::Zeroizing;

use crate::allocations::Benchmarks;

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
