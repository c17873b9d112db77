//! What is wrong with a configuration, where, and what to write instead.
//!
//! A problem never repeats a value: whatever an operator pastes into the wrong place may be a
//! secret. It names configuration keys, positions and lengths only.

use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A position in the file, both counted from 1; columns count characters.
    Line {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// An environment variable of this name.
    Variable(String),
}

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The configuration key, for example `listen.address`; empty where none is concerned.
    pub config_key: String,
    /// What is wrong, and what to write instead.
    pub text: String,
}

impl Problem {
    /// One mistake at a place.
    pub fn new(place: &Place, config_key: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.clone(), config_key: config_key.into(), text: text.into() }
    }

    /// The problem as a line for people: `file:line:column: key: what is wrong; what to write`.
    pub fn render<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        Rendered { problem: self, file }
    }
}

struct Rendered<'a> {
    problem: &'a Problem,
    file: &'a str,
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem.place {
            Place::File => write!(f, "{}: ", self.file)?,
            Place::Line { line, column } => write!(f, "{}:{line}:{column}: ", self.file)?,
            Place::Variable(name) => write!(f, "{}: ", printable(name))?,
        }
        if !self.problem.config_key.is_empty() {
            write!(f, "{}: ", self.problem.config_key)?;
        }
        f.write_str(&self.problem.text)
    }
}

/// The most characters of a name that is shown.
const LONGEST_NAME: usize = 64;

/// The most letters of a word in such a name: a credential of letters alone that cannot be guessed has more.
const LONGEST_WORD: usize = 20;

/// A name that an operator chose, if it looks like one; else `…`, since what was pasted into the wrong
/// place may be a secret. Its place tells where to look.
pub fn printable(name: &str) -> &str {
    let is_of = |fits: fn(&u8) -> bool| name.bytes().all(|byte| fits(&byte) || b"_-.".contains(&byte));
    let is_name = is_of(u8::is_ascii_lowercase) || is_of(u8::is_ascii_uppercase);
    let are_words = name.split(['_', '-', '.']).all(|word| word.len() <= LONGEST_WORD);
    if is_name && are_words && name.len() <= LONGEST_NAME { name } else { "…" }
}
