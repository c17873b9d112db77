//! The names whose values are credentials, in every spelling of them.
//!
//! Case, `_` and `-` make no difference: `session_api_key`, `Session-Api-Key` and `sessionApiKey` are
//! one name. It may stand behind a prefix of its own, as in `X-Session-API-Key` or `OPENAI_API_KEY`.

use super::unit::{Unit, before, unit};

/// What a name is looked for in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Parameters, cookies, JSON members, field lines.
    Anywhere,
    /// The same, and the value begins with a scheme that is kept.
    Authorization,
    /// Parameters of a query only: elsewhere the word means too many other things.
    Query,
}

/// What is looked for unless more is asked for.
const DEFAULTS: [(&str, Place); 12] = [
    ("session_api_key", Place::Anywhere),
    ("workspace_session_key", Place::Anywhere),
    ("session_api_keys_0", Place::Anywhere),
    ("api_key", Place::Anywhere),
    ("access_token", Place::Anywhere),
    ("auth_token", Place::Anywhere),
    ("id_token", Place::Anywhere),
    ("refresh_token", Place::Anywhere),
    ("client_secret", Place::Anywhere),
    ("secret_key", Place::Anywhere),
    ("authorization", Place::Authorization),
    ("token", Place::Query),
];

/// The longest name, in bytes, separators not counted.
pub const LONGEST_NAME: usize = 64;

/// How far the raw bytes of a name may reach.
const LONGEST_SPELLING: usize = 2048;

/// One name.
#[derive(Clone, Debug)]
struct Name {
    /// As it was given.
    label: String,
    /// In lower case and without separators.
    compact: Vec<u8>,
    place: Place,
}

/// A name that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// Which of the names.
    pub(super) name: usize,
    /// Where it begins; a prefix of its own is not part of it.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    pub(super) place: Place,
}

/// The names whose values are credentials.
#[derive(Clone, Debug)]
pub struct Names {
    names: Vec<Name>,
    /// Whether a name ends with this byte.
    last: [bool; 256],
}

impl Default for Names {
    /// Those that agent servers and common services use; README lists them.
    fn default() -> Self {
        let mut names = Self { names: Vec::new(), last: [false; 256] };
        for (label, place) in DEFAULTS {
            names.insert(label, place);
        }
        names
    }
}

impl Names {
    /// Adds a name to look for, wherever it may stand. False, and nothing is added, if it has no letter
    /// or digit, anything but letters, digits, `_`, `-` and `.`, or more than [`LONGEST_NAME`] of them;
    /// or if it holds the word that stands for what is found.
    #[must_use = "a name that is not looked for hides nothing"]
    pub fn add(&mut self, label: &str) -> bool {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let compact = compact(label);
        let is_usable = label.bytes().all(is_allowed)
            && (1..=LONGEST_NAME).contains(&compact.len())
            && label.len() <= 2 * LONGEST_NAME
            && label.bytes().last().is_some_and(|byte| byte.is_ascii_alphanumeric())
            && !compact.windows(8).any(|window| window == b"redacted");
        if is_usable && !self.names.iter().any(|name| name.compact == compact && name.place != Place::Query) {
            self.insert(label, Place::Anywhere);
        }
        is_usable
    }

    fn insert(&mut self, label: &str, place: Place) {
        let compact = compact(label);
        if let Some(&byte) = compact.last() {
            for byte in [byte, byte.to_ascii_uppercase()] {
                if let Some(last) = self.last.get_mut(usize::from(byte)) {
                    *last = true;
                }
            }
        }
        // A name that was for queries only may now stand anywhere.
        self.names.retain(|name| name.compact != compact);
        self.names.push(Name { label: label.to_owned(), compact, place });
    }

    /// What a name is called in a report.
    pub(super) fn label(&self, name: usize) -> &str {
        self.names.get(name).map_or("", |name| &name.label)
    }

    /// Whether a name may end with this byte.
    pub(super) fn may_end_with(&self, byte: u8) -> bool {
        self.last.get(usize::from(byte)).copied().unwrap_or(false)
    }

    /// Every two bytes that a name may end with: in either case, or with a separator between them.
    pub(super) fn ends(&self) -> impl Iterator<Item = (u8, u8)> {
        self.names.iter().filter_map(|name| name.compact.split_last()).flat_map(|(last, rest)| {
            let before: Vec<u8> = match rest.last() {
                Some(before) => [*before, before.to_ascii_uppercase(), b'_', b'-', b'.'].to_vec(),
                None => (0..=u8::MAX).collect(),
            };
            let pairs =
                before.into_iter().map(|before| [(before, *last), (before, last.to_ascii_uppercase())]);
            pairs.flatten()
        })
    }

    /// The longest name that ends before `end`, written as itself.
    pub(super) fn ending_at(&self, bytes: &[u8], end: usize) -> Option<Match> {
        let found = self.names.iter().enumerate().filter_map(|(number, name)| {
            let start = back(bytes, end, &name.compact, false)?;
            name.matched(bytes, number, start, end)
        });
        found.min_by_key(|found| found.start)
    }

    /// The longest name whose first escaped character is the unit at `at`.
    pub(super) fn through(&self, bytes: &[u8], at: usize, escaped: Unit) -> Option<Match> {
        let is_separator = is_separator(escaped.byte);
        let lower = escaped.byte.to_ascii_lowercase();
        let mut longest: Option<Match> = None;
        for (number, name) in self.names.iter().enumerate() {
            for (index, byte) in name.compact.iter().enumerate() {
                let rest = if is_separator { index } else { index + 1 };
                if rest == 0 || !is_separator && *byte != lower {
                    continue;
                }
                let (Some(first), Some(last)) = (name.compact.get(..index), name.compact.get(rest..)) else {
                    continue;
                };
                let found = back(bytes, at, first, true).and_then(|start| {
                    let end = forward(bytes, at, at + escaped.length, last)?;
                    name.matched(bytes, number, start, end)
                });
                longest = match (longest, found) {
                    (Some(one), Some(other)) if one.end - one.start >= other.end - other.start => Some(one),
                    (one, other) => other.or(one),
                };
            }
        }
        longest
    }
}

impl Name {
    /// The match of this name, if it stands where it may.
    fn matched(&self, bytes: &[u8], name: usize, start: usize, end: usize) -> Option<Match> {
        let before = before(bytes, start).map(|(byte, _)| byte);
        let is_camel = || {
            before.is_some_and(|byte| byte.is_ascii_lowercase())
                && unit(bytes, start).is_some_and(|first| first.byte.is_ascii_uppercase())
        };
        let is_there = match self.place {
            Place::Anywhere | Place::Authorization => {
                before.is_none_or(|byte| !byte.is_ascii_alphanumeric()) || is_camel()
            }
            Place::Query => matches!(before, Some(b'?' | b'&' | b';')),
        };
        is_there.then_some(Match { name, start, end, place: self.place })
    }
}

/// Where `compact` begins if it is written as itself and ends before `end`.
fn back(bytes: &[u8], end: usize, compact: &[u8], may_end_with_separator: bool) -> Option<usize> {
    let mut rest = compact;
    let mut at = end;
    while let Some((&last, before)) = rest.split_last() {
        at = at.checked_sub(1)?;
        let byte = *bytes.get(at)?;
        if byte.to_ascii_lowercase() == last {
            rest = before;
        } else if !is_separator(byte)
            || rest.len() == compact.len() && !may_end_with_separator
            || end - at > 2 * LONGEST_NAME
        {
            return None;
        }
    }
    Some(at)
}

/// Where `compact` ends if it begins at `at`, in any spelling.
fn forward(bytes: &[u8], start: usize, at: usize, compact: &[u8]) -> Option<usize> {
    let mut rest = compact;
    let mut at = at;
    while let Some((&first, after)) = rest.split_first() {
        let unit = unit(bytes, at)?;
        if unit.byte.to_ascii_lowercase() == first {
            rest = after;
        } else if !is_separator(unit.byte) {
            return None;
        }
        at += unit.length;
        if at - start > LONGEST_SPELLING {
            return None;
        }
    }
    Some(at)
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'_' | b'-' | b'.')
}

fn compact(label: &str) -> Vec<u8> {
    label.bytes().filter(|byte| !is_separator(*byte)).map(|byte| byte.to_ascii_lowercase()).collect()
}
