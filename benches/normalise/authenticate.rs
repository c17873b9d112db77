//! Whose a credential is: known, unknown and malformed, in keyrings of all sizes.

use std::{
    cell::{Cell, RefCell},
    hint::black_box,
};

use hushgate::{
    authenticate::{Admission, IndexKey, Keyring, Known, admit},
    config::{Config, Mode, keyring},
    handshake::{examine, head::Head},
    secret::Digest,
};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{allocations::Benchmarks, samples};

/// How many credentials are presented in turn, and how many entries the larger keyring has.
const PRESENTED: usize = 10_000;

/// One of the form that `hushgate key new` makes, up to a number of five digits.
fn credential(number: usize) -> String {
    format!("hgk_{number:037}00")
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
            let find = |presented: &[u8]| keyring.find(presented).cloned().map(Known::from);
            match admit(&head, &examined, &config, find, now) {
                Ok(Admission::Caller(caller)) => Some(caller.entry.name.len()),
                Ok(_) | Err(_) => None,
            }
        });
    }
}

/// Credentials that come one after the other to the same place, as they come off a network: what is read of memory is
/// the keyring's alone.
struct Presenter {
    text: Vec<u8>,
    number: usize,
}

impl Presenter {
    /// Of those that end in this.
    fn new(last: &str) -> Self {
        Self { text: format!("hgk_{:037}{last}", 0).into_bytes(), number: 0 }
    }

    /// Another one of so many, whose numbers begin with `from`, in no order.
    fn next(&mut self, from: usize, of: usize) -> &[u8] {
        self.number = (self.number + 7919) % of;
        let mut rest = from + self.number;
        for digit in self.text.iter_mut().rev().skip(2).take(5) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap();
            rest /= 10;
        }
        &self.text
    }
}

pub(crate) fn finding(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("authenticate");
    for size in [10, PRESENTED] {
        let keyring = keyring(size);
        for (what, from, last) in
            [("known", 0, "00"), ("unknown", PRESENTED, "00"), ("malformed", 0, "\u{e9}")]
        {
            let presenter = RefCell::new(Presenter::new(last));
            group.bench_without_allocation(&format!("{what}, of {size}"), || {
                let mut presenter = presenter.borrow_mut();
                let found = keyring.find(black_box(presenter.next(from, size))).cloned();
                found.map(|entry| entry.name.len())
            });
        }
    }
}

/// How often a known credential is looked for in a turn, and how many turns there are.
const TURN: usize = 2_000;
const TURNS: usize = 501;

/// Prints how much longer a known credential takes among many than among few, in turns that follow each other so
/// closely that a machine whose speed changes changes it for both.
pub(crate) fn comparing() {
    let timed = |keyring: &Keyring, presenter: &mut Presenter, size: usize| {
        let begin = Instant::now();
        for _ in 0..TURN {
            let found = keyring.find(black_box(presenter.next(0, size))).cloned();
            assert!(found.is_some_and(|entry| !entry.name.is_empty()));
        }
        begin.elapsed().as_secs_f64()
    };
    let (few, many) = (keyring(10), keyring(PRESENTED));
    let (mut of_few, mut of_many) = (Presenter::new("00"), Presenter::new("00"));
    let turn = |number| {
        // Neither always comes first.
        let mut of_many = || timed(&many, &mut of_many, PRESENTED);
        let early = (number % 2 == 0).then(&mut of_many);
        let few = timed(&few, &mut of_few, 10);
        early.unwrap_or_else(of_many) / few
    };
    let mut ratios: Vec<f64> = (0..TURNS).map(turn).collect();
    ratios.sort_by(f64::total_cmp);
    let [lower, middle, upper] = [1, 2, 3].map(|quarter| *ratios.get(TURNS * quarter / 4).unwrap());
    println!(
        "\nauthenticate/known: among {PRESENTED} {middle:.2} ({lower:.2}-{upper:.2}) of the time among 10, \
         in {TURNS} turns of {TURN}"
    );
}
