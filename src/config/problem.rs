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

/// The most characters that are shown of a name which an operator chose.
const LONGEST_NAME: usize = 64;

/// A name, fit for one line of a terminal.
pub(super) fn printable(name: &str) -> String {
    let mut shown: String = name.chars().take(LONGEST_NAME).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST_NAME).is_some() {
        shown.push('…');
    }
    shown
}
