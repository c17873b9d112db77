//! Whose a credential is: known, unknown and malformed, in keyrings of all sizes.

use std::{cell::RefCell, hint::black_box};

use hushgate::{
    authenticate::{Admission, IndexKey, Keyring, Known, Listed, admit},
    config::{Config, Mode, keyring},
    handshake::{examine, head::Head},
    secret::Digest,
};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{allocations::Benchmarks, samples};

/// How many entries the larger keyring has.
const MANY: usize = 10_000;

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

/// Credentials that come one after the other to the same place, as they come off a network: what is read of memory is
/// the keyring's alone.
struct Presenter {
    /// What one stands in.
    text: Vec<u8>,
    /// The place of the last of its five digits.
    last: usize,
    number: usize,
}

impl Presenter {
    fn new(text: &str) -> Self {
        let begin = text.find("hgk_").unwrap();
        Self { text: text.as_bytes().to_vec(), last: begin + 4 + 36, number: 0 }
    }

    /// The text with another one of so many, whose numbers begin with `from`, in no order.
    fn next(&mut self, from: usize, of: usize) -> &[u8] {
        self.number = (self.number + 7919) % of;
        let mut rest = from + self.number;
        for digit in self.text.get_mut(..=self.last).unwrap().iter_mut().rev().take(5) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap();
            rest /= 10;
        }
        &self.text
    }
}

/// All that a gateway does to decide about opening handshakes, from their bytes on, but for writing the heads that go
/// on.
struct Decider {
    config: Config,
    keyring: Keyring,
    /// Heads with a known credential in the query.
    presenter: Presenter,
    size: usize,
    now: std::time::SystemTime,
}

impl Decider {
    /// Of a keyring of this size.
    fn new(size: usize) -> Self {
        let head = samples::opening_handshake(&format!("/s?session_api_key={}", credential(0)));
        Self {
            config: Config::parse(REQUIRE, []).unwrap().config,
            keyring: keyring(size),
            presenter: Presenter::new(&head),
            size,
            now: std::time::SystemTime::now(),
        }
    }

    /// Whether the next one is let in.
    fn decide(&mut self) -> bool {
        let head = Head::parse(black_box(self.presenter.next(0, self.size)), 100).unwrap();
        let require = match &self.config.authentication.mode {
            Mode::PassThrough => None,
            Mode::Require(require) => Some(require),
        };
        let examined = examine(&head, &self.config.handshake, require).unwrap();
        let find = |presented: &[u8]| self.keyring.find(presented).map(Known::from);
        let admitted = admit(&head, &examined, &self.config, find, self.now);
        matches!(admitted, Ok(Admission::Caller(caller)) if !caller.entry.name.is_empty())
    }
}

pub(crate) fn deciding(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("decide");
    for size in [10, MANY] {
        let decider = RefCell::new(Decider::new(size));
        group.bench(&format!("known, of {size}"), || decider.borrow_mut().decide());
    }
}

pub(crate) fn finding(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("authenticate");
    for size in [10, MANY] {
        let keyring = keyring(size);
        let malformed = credential(0) + "\u{e9}";
        for (what, from, text) in
            [("known", 0, credential(0)), ("unknown", MANY, credential(0)), ("malformed", 0, malformed)]
        {
            let presenter = RefCell::new(Presenter::new(&text));
            group.bench_without_allocation(&format!("{what}, of {size}"), || {
                let mut presenter = presenter.borrow_mut();
                let found = keyring.find(black_box(presenter.next(from, size)));
                found.map(|entry| entry.name.len())
            });
        }
    }
}

/// How often something is done in a turn, and how many turns there are.
const TURN: usize = 2_000;
const TURNS: usize = 501;

/// What a found entry has to be.
type IsRight = fn(&Listed) -> bool;

/// Prints how much longer it takes among many than among few to check whether a credential is known, to look at its
/// entry too, and to decide about a whole handshake.
pub(crate) fn comparing() {
    let finder = |size, is_right: IsRight| {
        let (keyring, mut presenter) = (keyring(size), Presenter::new(&credential(0)));
        move || keyring.find(black_box(presenter.next(0, size))).is_some_and(|entry| is_right(&entry))
    };
    let (known, read): (IsRight, IsRight) = (|_| true, |entry| !entry.name.is_empty());
    for (what, is_right) in [("checked", known), ("checked, its entry read", read)] {
        compare(what, finder(10, is_right), finder(MANY, is_right));
    }
    let decider = |size| {
        let mut decider = Decider::new(size);
        move || decider.decide()
    };
    compare("a handshake decided about", decider(10), decider(MANY));
}

/// In turns that follow each other so closely that a machine whose speed changes changes it for both.
fn compare(what: &str, mut few: impl FnMut() -> bool, mut many: impl FnMut() -> bool) {
    let turn = |number| {
        // Neither always comes first.
        let early = (number % 2 == 0).then(|| timed(&mut many));
        let few = timed(&mut few);
        early.unwrap_or_else(|| timed(&mut many)) / few
    };
    let mut ratios: Vec<f64> = (0..TURNS).map(turn).collect();
    ratios.sort_by(f64::total_cmp);
    let [lower, middle, upper] = [1, 2, 3].map(|quarter| *ratios.get(TURNS * quarter / 4).unwrap());
    println!(
        "known, {what}: among {MANY} {middle:.2} ({lower:.2}-{upper:.2}) of the time among 10, \
         in {TURNS} turns of {TURN}"
    );
}

fn timed(is_done: &mut impl FnMut() -> bool) -> f64 {
    let begin = Instant::now();
    for _ in 0..TURN {
        assert!(is_done());
    }
    begin.elapsed().as_secs_f64()
}
