//! What was found: counted, and never shown.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use hushgate::secret::Digest;

use super::files::Goal;

/// The most credentials that are told apart.
const MOST: usize = 10_000;

/// The most places that are named.
const MOST_PLACES: usize = 100;

/// A shorter value could be guessed from its digest.
const SHORTEST: usize = 16;

/// Counts of what was found.
pub(super) struct Tally {
    total: u64,
    carriers: BTreeMap<String, u64>,
    /// By carrier and value, if that is to be reported.
    values: Option<HashMap<(String, Value), u64>>,
    /// Where, if that is to be said.
    places: Option<Vec<String>>,
    /// The line ends of this file that were written.
    lines: usize,
}

/// What a report says of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Value {
    Digest(Digest),
    Guessable,
    TooLong,
    Other,
}

impl Tally {
    /// Counts from zero; by value if `has_values`, and with places if `has_places`.
    pub(super) fn new(has_values: bool, has_places: bool) -> Self {
        Self {
            total: 0,
            carriers: BTreeMap::new(),
            values: has_values.then(HashMap::new),
            places: has_places.then(Vec::new),
            lines: 0,
        }
    }

    /// How many credentials were found.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Lines are counted anew.
    pub(super) const fn begin_file(&mut self) {
        self.lines = 0;
    }

    /// Counts the lines of a text that is let go.
    pub(super) fn count_lines(&mut self, text: &[u8]) {
        if self.places.is_some() {
            self.lines += line_ends(text);
        }
    }

    /// Counts a credential behind `text`, which is what of the file was not counted yet.
    pub(super) fn found(&mut self, file: &Path, text: &[u8], carrier: &str, value: Option<&[u8]>) {
        self.total += 1;
        match self.carriers.get_mut(carrier) {
            Some(count) => *count += 1,
            None => _ = self.carriers.insert(carrier.to_owned(), 1),
        }
        if let Some(places) = &mut self.places
            && places.len() < MOST_PLACES
        {
            let line = self.lines + line_ends(text) + 1;
            places.push(format!("{}:{line}: {carrier}", file.display()));
        }
        if let Some(values) = &mut self.values {
            let value = match value {
                None => Value::TooLong,
                Some(value) if value.len() < SHORTEST => Value::Guessable,
                Some(value) => Value::Digest(Digest::of(value)),
            };
            let full = values.len() >= MOST;
            let by = (carrier.to_owned(), value);
            let by = if full && !values.contains_key(&by) { (by.0, Value::Other) } else { by };
            *values.entry(by).or_default() += 1;
        }
    }

    /// What there is to say at the end.
    pub(super) fn lines(&self, goal: Goal) -> Vec<String> {
        let mut lines = self.places.clone().unwrap_or_default();
        if lines.len() == MOST_PLACES {
            lines.push("more places are not listed".to_owned());
        }
        let noun = if self.total == 1 { "credential" } else { "credentials" };
        let verb = if goal == Goal::Check { "found" } else { "replaced" };
        let each: Vec<_> =
            self.carriers.iter().map(|(carrier, count)| format!("{carrier} {count}")).collect();
        let detail = if each.is_empty() { String::new() } else { format!(": {}", each.join(", ")) };
        lines.push(format!("{} {noun} {verb}{detail}", self.total));
        if let Some(values) = &self.values {
            let mut rows: Vec<_> = values.iter().collect();
            rows.sort_by(|one, other| other.1.cmp(one.1).then_with(|| one.0.cmp(other.0)));
            lines.extend(rows.into_iter().map(|((carrier, value), count)| {
                let value = match value {
                    Value::Digest(digest) => format!("sha256:{digest}"),
                    Value::Guessable => format!("shorter than {SHORTEST} bytes; a digest would give it away"),
                    Value::TooLong => "too long to be told apart".to_owned(),
                    Value::Other => "others".to_owned(),
                };
                format!("{count:>8} {carrier} {value}")
            }));
        }
        lines
    }
}

fn line_ends(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}
