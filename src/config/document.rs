//! The configuration as it was written: a tree of values that know their place.
//!
//! The tree is read key by key through a [`Section`], which notes every mistake and goes on, so
//! that an operator sees all of them at once. What no one asked for is an unknown key.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Place, Problem, printable};

/// Overrides begin with this and contain [`SEPARATOR`]; `HUSHGATE_PORT`, which Kubernetes injects
/// for a Service called hushgate, is none.
const PREFIX: &str = "HUSHGATE_";

/// Stands between the names of a path in an environment variable.
const SEPARATOR: &str = "__";

/// The most names of a path; the deepest key there is has three.
const DEEPEST: usize = 3;

/// A value with its place.
#[derive(Debug)]
pub(super) struct Item {
    /// Where its name stands; of an element, where it stands itself.
    name: Place,
    pub(super) place: Place,
    pub(super) value: Value,
}

impl Item {
    /// A value that has no other place than the variable it came from.
    pub(super) fn of_variable(place: Place, value: Value) -> Self {
        Self { name: place.clone(), place, value }
    }
}

/// A value as it was written.
#[derive(Debug)]
pub(super) enum Value {
    /// A date, a time, or both, in the spelling of RFC 3339.
    Date(String),
    /// A list.
    List(Vec<Item>),
    /// An integer that is not negative, or `None` for any other.
    Number(Option<u64>),
    /// A value of a kind that no key takes, by its name.
    Other(&'static str),
    /// A table.
    Table(BTreeMap<String, Item>),
    /// A string.
    Text(String),
    /// The text of an environment variable, of whatever kind the key wants.
    Variable(String),
}

impl Value {
    /// What an operator would call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Number(_) => "an integer",
            Self::Other(kind) => kind,
            Self::Table(_) => "a table",
            Self::Text(_) | Self::Variable(_) => "a string",
        }
    }
}

/// What was found while reading: the problems, and where each key stands.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: RefCell<Vec<Problem>>,
    places: RefCell<BTreeMap<String, Place>>,
}

impl Findings {
    /// Adds a problem.
    pub(super) fn note(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// All problems in the order of their places, and the places of all keys.
    pub(super) fn into_parts(self) -> (Vec<Problem>, BTreeMap<String, Place>) {
        let mut problems = self.problems.into_inner();
        problems.sort();
        (problems, self.places.into_inner())
    }
}

/// Parses the file, lays the environment's overrides over it, and gives the root back.
///
/// A variable without a value is one that is not UTF-8.
pub(super) fn read<'d>(
    text: &str,
    variables: impl IntoIterator<Item = (String, Option<String>)>,
    findings: &'d Findings,
) -> Section<'d> {
    let positions = Positions::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = error.span().map_or(Place::File, |span| positions.place(span.start));
        // The parser's message is made of fixed words; its `Display` would show the line.
        findings.note(Problem::new(&place, "", format!("this is not TOML: {}", error.message())));
    }
    let mut entries = positions.table(table.into_inner());
    for (name, text) in variables {
        let Some(path) = override_path(&name) else { continue };
        let place = Place::Variable(name);
        match text {
            Some(_) if path.len() > DEEPEST => {
                findings.note(Problem::new(&place, "", "names no key; write HUSHGATE_TABLE__KEY"));
            }
            Some(text) => lay_over(&mut entries, place, &path, text),
            None => findings.note(Problem::new(&place, path.join("."), "the value is not UTF-8")),
        }
    }
    Section { findings, path: String::new(), place: Place::File, entries, known: Vec::new() }
}

/// The path that a variable overrides: `HUSHGATE_UPSTREAM__URL` is `upstream.url`.
fn override_path(name: &str) -> Option<Vec<String>> {
    let path = name.strip_prefix(PREFIX)?;
    path.contains(SEPARATOR).then(|| path.split(SEPARATOR).map(str::to_ascii_lowercase).collect())
}

fn lay_over(root: &mut BTreeMap<String, Item>, place: Place, path: &[String], text: String) {
    let Some((last, tables)) = path.split_last() else { return };
    let mut table = root;
    for step in tables {
        let new = || Item::of_variable(place.clone(), Value::Table(BTreeMap::new()));
        let item = match table.entry(step.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(new()),
        };
        // Whatever else stood here, the override is the last word.
        if !matches!(item.value, Value::Table(_)) {
            *item = new();
        }
        let Value::Table(next) = &mut item.value else { return };
        table = next;
    }
    table.insert(last.clone(), Item::of_variable(place, Value::Variable(text)));
}

/// One table of the configuration, while it is read.
pub(super) struct Section<'d> {
    findings: &'d Findings,
    path: String,
    place: Place,
    entries: BTreeMap<String, Item>,
    known: Vec<&'static str>,
}

impl Section<'_> {
    /// The full name of a key of this table.
    fn name_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Whether there is a value of a key that was not taken yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Takes the value of a key out, if there is one.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Item> {
        self.known.push(name);
        let item = self.entries.remove(name)?;
        self.findings.places.borrow_mut().insert(self.name_of(name), item.place.clone());
        Some(item)
    }

    /// Takes a table out; an absent one reads as empty.
    pub(super) fn section(&mut self, name: &'static str) -> Self {
        self.optional_section(name).unwrap_or_else(|| Self {
            findings: self.findings,
            path: self.name_of(name),
            place: Place::File,
            entries: BTreeMap::new(),
            known: Vec::new(),
        })
    }

    /// Takes a table out, if there is one.
    pub(super) fn optional_section(&mut self, name: &'static str) -> Option<Self> {
        let item = self.take(name)?;
        let path = self.name_of(name);
        let Value::Table(entries) = item.value else {
            let text = format!("expected a table, found {}; write [{path}]", item.value.kind());
            self.note(&item.place, name, text);
            return None;
        };
        Some(Self { findings: self.findings, path, place: item.place, entries, known: Vec::new() })
    }

    /// Takes a list of tables out, each written `[[name]]`; an absent one reads as empty.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<Self> {
        let Some(list) = self.take(name) else { return Vec::new() };
        let path = self.name_of(name);
        let Value::List(items) = list.value else {
            let text = format!("expected a list of tables, found {}; write [[{path}]]", list.value.kind());
            self.note(&list.place, name, text);
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(items.len());
        for item in items {
            let Value::Table(entries) = item.value else {
                let text = format!("expected a table, found {}; write [[{path}]]", item.value.kind());
                self.note(&item.place, name, text);
                continue;
            };
            sections.push(Self {
                findings: self.findings,
                path: path.clone(),
                place: item.place,
                entries,
                known: Vec::new(),
            });
        }
        sections
    }

    /// Where this table stands.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Notes a problem with a key of this table.
    pub(super) fn note(&self, place: &Place, name: &str, text: impl Into<String>) {
        self.findings.note(Problem::new(place, self.name_of(name), text));
    }

    /// Notes that a key which must be there is not.
    pub(super) fn missing(&self, name: &str, text: &str) {
        self.note(&self.place, name, text);
    }

    /// Notes if a key that must be there is not; to be asked before it is taken.
    pub(super) fn require(&self, name: &str, text: &str) {
        if !self.entries.contains_key(name) {
            self.missing(name, text);
        }
    }

    /// Notes that a key which was read last of its name does not fit another one.
    pub(super) fn unfit(&self, name: &str, text: &str) {
        let place = self.findings.places.borrow().get(&self.name_of(name)).cloned();
        self.note(&place.unwrap_or(Place::File), name, text);
    }

    /// Notes every key that no one asked for.
    pub(super) fn finish(self) {
        for (name, item) in &self.entries {
            let nearest = self
                .known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known, name), known))
                .min()
                .filter(|(distance, known)| *distance <= 2.max(known.len() / 3));
            let advice = match nearest {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.note(&item.name, printable(name), format!("unknown key; {advice}"));
        }
    }
}

/// Turns offsets into places, and the parser's tree into ours.
struct Positions<'a> {
    text: &'a str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'a> Positions<'a> {
    fn new(text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Place::Line { line, column: before.chars().count() + 1 }
    }

    fn table(&self, table: DeTable<'_>) -> BTreeMap<String, Item> {
        let entry = |(name, value): (Spanned<Cow<'_, str>>, Spanned<DeValue<'_>>)| {
            let named = self.place(name.span().start);
            // A table is found by its name, any other value by itself.
            let place =
                if value.get_ref().is_table() { named.clone() } else { self.place(value.span().start) };
            let item = Item { name: named, place, value: self.value(value.into_inner()) };
            (name.into_inner().into_owned(), item)
        };
        table.into_iter().map(entry).collect()
    }

    fn value(&self, value: DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => {
                Value::Number(u64::from_str_radix(number.as_str(), number.radix()).ok())
            }
            DeValue::Float(_) => Value::Other("a decimal number"),
            DeValue::Boolean(_) => Value::Other("true or false"),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.item(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }

    fn item(&self, value: Spanned<DeValue<'_>>) -> Item {
        let place = self.place(value.span().start);
        Item { name: place.clone(), place, value: self.value(value.into_inner()) }
    }
}
