//! What of a request target may be written down.
//!
//! Redaction is an allow-list: the path, up to the first byte that could begin a name and a value,
//! and the query parameters that the operator listed. Everything else is `…`, so a credential
//! need not be recognised to be hidden. It is pure, and never reports what it hid.

use std::{borrow::Cow, fmt};

use crate::handshake::{
    Presented,
    query::{segments, split_once},
};

/// What stands for everything that is not shown.
pub(super) const HIDDEN: &str = "…";

/// The most bytes that are shown of a path, and again of a query.
const LONGEST: usize = 1024;

/// The most bytes that are shown of one value.
const LONGEST_VALUE: usize = 256;

/// A request target with nothing left in it but what may be logged: visible ASCII without quotes
/// and backslashes, `\xNN` for any other byte of the path, and `…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactedTarget(Cow<'static, str>);

impl RedactedTarget {
    /// Redacts a request target, showing only the parameters in `show`.
    ///
    /// The path ends, with `…`, at its first `;`, `=`, `%` or `#`: a path parameter, a fragment or
    /// an encoded `?` may carry what belongs into a query. A parameter in
    /// `credential_parameters` is never shown, even if `show` names it. And whatever is shown ends where
    /// something begins that the same request `presented` as a credential.
    pub fn of(
        target: &[u8],
        show: &[String],
        credential_parameters: &[String],
        presented: &Presented<'_>,
    ) -> Self {
        if target.first() != Some(&b'/') {
            return Self::unknown();
        }
        let (path, query) = match split_once(target, b'?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let mut out = String::with_capacity(path.len().min(LONGEST) + 2 * HIDDEN.len());
        let whole = push_path(&mut out, path, presented);
        if let Some(query) = query {
            let shown = shown_query(query, show, credential_parameters, presented);
            // A path that was cut already ends in `…`, which stands for a hidden query as well. So
            // nothing behind the cut, not even the presence of a query, changes the line.
            if whole || shown != HIDDEN && !shown.is_empty() {
                out.push('?');
                out.push_str(&shown);
            }
        }
        // What was presented may also reach from one part into the next.
        while let Some(at) = presented.first_in(out.as_bytes(), |_| false) {
            out.truncate(out.floor_char_boundary(at));
            out.push_str(HIDDEN);
        }
        Self(out.into())
    }

    /// The target of a request whose head could not be read.
    pub const fn unknown() -> Self {
        Self(Cow::Borrowed(HIDDEN))
    }

    /// The text for the log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedactedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Appends what may be shown of a path; false if it had to be cut.
fn push_path(out: &mut String, path: &[u8], presented: &Presented<'_>) -> bool {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let length = path.iter().position(|byte| ends_path(*byte)).unwrap_or(path.len());
    let shown = path.get(..length).unwrap_or_default();
    let end = presented.first_in(shown, ends_path).unwrap_or(length);
    for &byte in path.iter().take(end) {
        let plain = byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let room = LONGEST.saturating_sub(out.len());
        if room < if plain { 1 } else { 4 } {
            out.push_str(HIDDEN);
            return false;
        }
        if plain {
            out.push(char::from(byte));
        } else {
            out.push_str("\\x");
            out.extend(DIGITS.get(usize::from(byte >> 4)));
            out.extend(DIGITS.get(usize::from(byte & 15)));
        }
    }
    if end < path.len() {
        out.push_str(HIDDEN);
    }
    end == path.len()
}

/// Whether a path is not shown from this byte on.
const fn ends_path(byte: u8) -> bool {
    matches!(byte, b';' | b'=' | b'%' | b'#')
}

/// What may be shown of a query; each run of hidden segments is one `…`.
fn shown_query(
    query: &[u8],
    show: &[String],
    credential_parameters: &[String],
    presented: &Presented<'_>,
) -> Cow<'static, str> {
    if query.is_empty() {
        return Cow::Borrowed("");
    }
    if show.is_empty() {
        return Cow::Borrowed(HIDDEN);
    }
    let mut out = String::new();
    let mut hidden = false;
    for segment in segments(query) {
        let name = show
            .iter()
            .find(|name| segment.is_named(std::slice::from_ref(name)))
            .filter(|_| !segment.is_named(credential_parameters) && out.len() < LONGEST);
        if hidden && name.is_none() {
            continue;
        }
        if !out.is_empty() {
            out.push('&');
        }
        hidden = name.is_none();
        match name {
            // The configured spelling, not the peer's.
            Some(name) => {
                out.extend(name.escape_debug());
                out.push('=');
                push_value(&mut out, segment.value, presented);
            }
            None => out.push_str(HIDDEN),
        }
    }
    out.into()
}

/// Appends a raw value up to its first byte that is not plainly harmless.
fn push_value(out: &mut String, value: &[u8], presented: &Presented<'_>) {
    let ends = |byte: u8| !byte.is_ascii_alphanumeric() && !b"._~:+-".contains(&byte);
    let length = value.iter().position(|byte| ends(*byte)).unwrap_or(value.len());
    let harmless = value.get(..length).unwrap_or_default();
    let end = presented.first_in(harmless, ends).unwrap_or(length).min(LONGEST_VALUE);
    out.extend(harmless.iter().take(end).map(|&byte| char::from(byte)));
    if end < value.len() {
        out.push_str(HIDDEN);
    }
}

#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;
