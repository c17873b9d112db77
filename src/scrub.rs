//! Credentials out of logs: text in, the same text out with each credential replaced by `REDACTED`.
//!
//! A [`Scrubber`] is fed a text in pieces and gives it back in pieces, byte for byte as it was but for
//! the credentials. How it is cut makes no difference, lines may have any length, and it holds no more
//! than a piece and a few kibibytes. What was scrubbed once is not changed again.
//!
//! # How it finds them
//! Whatever carries a credential by name has a separator behind the name, `=`, `:` or a comma between
//! quotation marks, or else an escape in the name. So it is separators and escapes that are searched
//! for, and a look at the byte before one dismisses nearly all. A few credentials stand without a
//! name; for those there are literal needles (`loose`). What is left is parsed where it stands:
//! `names` says whether a name is one of those that are looked for, `assignment` where its value
//! begins, `value` where that ends, and all of them read characters through `unit`, which undoes
//! every escape and says how deep it was.
//!
//! A decision about a byte depends on a bounded stretch before and after it, and on nothing behind
//! the end of its line. `known` is a stage of its own, for values that are known by digest.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use self::{
    anchors::Anchors,
    assignment::{Form, Value},
    loose::Loose,
    names::Match,
    value::Quote,
};

mod anchors;
mod assignment;
pub mod known;
mod loose;
mod names;
mod unit;
mod value;

pub use self::names::{LONGEST_NAME, Names};

/// What stands for a credential.
pub const REDACTED: &[u8] = b"REDACTED";

/// What decides about a byte ends no further behind it, or with its line.
const AHEAD: usize = 8192;

/// What decides about a byte begins no further before it.
const BEHIND: usize = 1024;

/// The longest value that a [`Finding`] has whole.
pub const LONGEST_VALUE: usize = 4096;

/// What takes the text and what was found in it, in order.
pub trait Sink {
    /// Takes a piece of the scrubbed text.
    fn text(&mut self, bytes: &[u8]);

    /// Takes note of a credential, once its end is known; `REDACTED` was part of the text before.
    fn found(&mut self, finding: Finding<'_>);
}

/// A credential that was replaced. It has no `Debug`: the value is for counting, not for showing.
#[derive(Clone, Copy)]
pub struct Finding<'a> {
    /// What carried it: the name that was looked for, or what stands for those without a name.
    pub carrier: &'a str,
    /// The credential, every escape undone; `None` if it is longer than [`LONGEST_VALUE`].
    pub value: Option<&'a [u8]>,
}

/// A text on its way through.
pub struct Scrubber {
    names: Names,
    anchors: Anchors,
    /// The end of what was handed on, then what was not yet.
    buffer: Vec<u8>,
    /// Where in the buffer the latter begins.
    at: usize,
    state: State,
    /// The next needle that [`Self::next_needle`] found.
    needle: Option<Needle>,
    /// The value that is being left out.
    value: Vec<u8>,
}

/// Where a needle was looked for last.
#[derive(Clone, Copy)]
enum Needle {
    /// It stands there, and this is its number.
    At { start: usize, end: usize, number: usize },
    /// There is none before the limit.
    Nowhere,
}

/// What happens to the next byte.
#[derive(Clone, Copy)]
enum State {
    /// It is handed on, unless a credential begins.
    Copying,
    /// It is left out, unless the credential ends.
    Leaving { value: Value, carrier: Carrier },
}

/// What carried a credential.
#[derive(Clone, Copy)]
enum Carrier {
    Name(usize),
    Loose(Loose),
    UserInformation,
}

/// What begins at a byte.
enum Start {
    /// A value whose end is yet to be found.
    Value(Value, Carrier),
    /// The user information of a URL, and where it ends.
    UserInformation(loose::UserInformation),
}

/// Finds what begins a credential without a name.
static NEEDLES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "a few short needles make a small automaton")]
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(loose::NEEDLES)
        .expect("the needles are fixed")
});

impl Scrubber {
    /// A scrubber at the beginning of a text.
    pub fn new(names: Names) -> Self {
        let (buffer, value) = (Vec::new(), Vec::new());
        let anchors = Anchors::new(&names);
        Self { names, anchors, buffer, at: 0, state: State::Copying, needle: None, value }
    }

    /// Takes the next piece of the text. Every line that it completes is handed on.
    pub fn feed(&mut self, piece: &[u8], sink: &mut impl Sink) {
        let before = self.buffer.len();
        self.buffer.extend_from_slice(piece);
        // What was fed before holds no line end that was not handed on.
        let lines = piece.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| before + last + 1);
        self.run(lines.max(self.buffer.len().saturating_sub(AHEAD)), sink);
        let handed_on = self.at.saturating_sub(BEHIND);
        self.buffer.drain(..handed_on);
        self.at -= handed_on;
    }

    /// Takes the end of the text; a next piece begins another one.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        self.run(self.buffer.len(), sink);
        if let State::Leaving { carrier, .. } = self.state {
            self.note(carrier, sink);
        }
        self.buffer.clear();
        (self.at, self.state) = (0, State::Copying);
    }

    /// Decides about every byte before `limit`.
    fn run(&mut self, limit: usize, sink: &mut impl Sink) {
        self.needle = None;
        while self.at < limit {
            match self.state {
                State::Copying => self.copy(limit, sink),
                State::Leaving { value, carrier } => self.leave(limit, value, carrier, sink),
            }
        }
    }

    /// Hands on what stands before the next credential, or before `limit`.
    fn copy(&mut self, limit: usize, sink: &mut impl Sink) {
        let from = self.at;
        match self.next_start(limit) {
            None => {
                sink.text(self.buffer.get(from..limit).unwrap_or_default());
                self.at = limit;
            }
            Some(Start::Value(value, carrier)) => {
                sink.text(self.buffer.get(from..value.start).unwrap_or_default());
                self.begin(value, carrier, sink);
            }
            Some(Start::UserInformation(found)) => {
                sink.text(self.buffer.get(from..found.start).unwrap_or_default());
                sink.text(REDACTED);
                self.at = found.start;
                while self.at < found.end
                    && let Some(unit) = unit::unit(&self.buffer, self.at)
                {
                    self.keep(unit.byte);
                    self.at += unit.length;
                }
                self.end(Carrier::UserInformation, sink);
            }
        }
    }

    /// The next credential that begins at something before `limit`.
    fn next_start(&mut self, limit: usize) -> Option<Start> {
        let mut at = self.at;
        loop {
            let anchor = self.anchors.next(&self.buffer, at, limit);
            if let Needle::At { start, end, number } = self.next_needle(at, limit)
                && anchor.is_none_or(|anchor| start < anchor)
            {
                let loose = Loose::of(number);
                if let Some(value) = loose.value(&self.buffer, start, end) {
                    return Some(Start::Value(value, Carrier::Loose(loose)));
                }
                at = start + 1;
            } else {
                let anchor = anchor?;
                if let Some(start) = self.judge(&self.buffer, anchor) {
                    return Some(start);
                }
                at = anchor + 1;
            }
        }
    }

    /// The next needle that begins at or behind `at` and before `limit`.
    fn next_needle(&mut self, at: usize, limit: usize) -> Needle {
        match self.needle {
            Some(Needle::At { start, .. }) if start < at => {}
            Some(needle) => return needle,
            None => {}
        }
        // A slice, since spans far into a haystack are not what the packed searcher is made for.
        let most = limit.saturating_add(loose::LONGEST_NEEDLE).min(self.buffer.len());
        let found = self.buffer.get(at..most).and_then(|rest| NEEDLES.find(rest));
        let needle = match found {
            Some(found) if at + found.start() < limit => Needle::At {
                start: at + found.start(),
                end: at + found.end(),
                number: found.pattern().as_usize(),
            },
            Some(_) | None => Needle::Nowhere,
        };
        self.needle = Some(needle);
        needle
    }

    /// What begins at the separator or escape at `at`.
    fn judge(&self, bytes: &[u8], at: usize) -> Option<Start> {
        let unit = unit::unit(bytes, at)?;
        let found = match unit.byte {
            b'/' => {
                let colon = at.checked_sub(1).filter(|at| bytes.get(*at) == Some(&b':'))?;
                return loose::user_information(bytes, colon).map(Start::UserInformation);
            }
            b'=' | b':' | b',' => match self.name_before(bytes, at, unit.byte) {
                Some(name) => name,
                // An encoded colon is also the only anchor of the scheme that it may end.
                None if unit.byte == b':' && !unit.is_plain() => {
                    return loose::user_information(bytes, at).map(Start::UserInformation);
                }
                None => return None,
            },
            byte if !unit.is_plain()
                && (byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')) =>
            {
                self.names.through(bytes, at, unit)?
            }
            _ => return None,
        };
        let value = assignment::value_of(bytes, found)?;
        Some(Start::Value(value, Carrier::Name(found.name)))
    }

    /// The name that the separator at `at` may belong to.
    fn name_before(&self, bytes: &[u8], at: usize, separator: u8) -> Option<Match> {
        if !self.anchors.may_end_a_name(bytes, at, separator) {
            return None;
        }
        let end = assignment::name_before(bytes, at)?;
        let last = *bytes.get(end.checked_sub(1)?)?;
        if self.names.may_end_with(last) { self.names.ending_at(bytes, end) } else { None }
    }

    /// Begins to leave a value out.
    fn begin(&mut self, value: Value, carrier: Carrier, sink: &mut impl Sink) {
        let mark = match value.form {
            Form::Number(quote) => Quote::text(quote),
            Form::Single | Form::List { .. } => Vec::new(),
        };
        for text in [&mark, REDACTED, &mark] {
            if !text.is_empty() {
                sink.text(text);
            }
        }
        self.at = value.start;
        self.state = State::Leaving { value, carrier };
    }

    /// Leaves out what stands before the end of the value, or before `limit`.
    fn leave(&mut self, limit: usize, value: Value, carrier: Carrier, sink: &mut impl Sink) {
        while self.at < limit
            && let Some(unit) = unit::unit(&self.buffer, self.at)
        {
            if value.end.is_at(&self.buffer, self.at, unit) {
                // In a list of values the next one may follow.
                let next = assignment::next_credential(&self.buffer, value, self.at);
                let from = self.at;
                self.end(carrier, sink);
                if let Some(next) = next {
                    sink.text(self.buffer.get(from..next.start).unwrap_or_default());
                    self.begin(next, carrier, sink);
                }
                return;
            }
            self.keep(unit.byte);
            self.at += unit.length;
        }
    }

    fn keep(&mut self, byte: u8) {
        // One byte too many says that the value is too long.
        if self.value.len() <= LONGEST_VALUE {
            self.value.push(byte);
        }
    }

    /// Ends the value that ends here. What decides about the next bytes sees what a reader of the
    /// scrubbed text sees.
    fn end(&mut self, carrier: Carrier, sink: &mut impl Sink) {
        self.note(carrier, sink);
        let handed_on = self.buffer.get_mut(..self.at).unwrap_or_default();
        for (byte, shown) in handed_on.iter_mut().rev().zip(REDACTED.iter().rev()) {
            *byte = *shown;
        }
        self.state = State::Copying;
    }

    fn note(&mut self, carrier: Carrier, sink: &mut impl Sink) {
        let carrier = match carrier {
            Carrier::Name(name) => self.names.label(name),
            Carrier::Loose(loose) => loose.label(),
            Carrier::UserInformation => "user information",
        };
        let value = (self.value.len() <= LONGEST_VALUE).then_some(self.value.as_slice());
        sink.found(Finding { carrier, value });
        self.value.clear();
    }
}

#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;
