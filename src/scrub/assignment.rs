//! A name, and a value that belongs to it: `name=value`, `Name: value`, `"name":"value"`,
//! `"name":["value"]`, `'name', 'value'`.

use super::{
    names::{LONGEST_NAME, Match, Place},
    unit::{Unit, before, unit},
    value::{End, Quote, placeholder},
};

/// The most blanks that are skipped in one place.
const MOST_BLANKS: usize = 8;

/// How far the beginning of a line is looked for before a name.
const LONGEST_INDENT: usize = 64;

/// Schemes that are kept, so that a reader sees what kind of credential there was.
const SCHEMES: [&[u8]; 9] =
    [b"bearer", b"basic", b"token", b"apikey", b"api-key", b"digest", b"negotiate", b"hawk", b"dpop"];

/// A value to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// Where it begins.
    pub(super) start: usize,
    /// What ends it.
    pub(super) end: End,
    /// What more there is to know of it.
    pub(super) form: Form,
}

/// What a value is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing else.
    Single,
    /// A list whose other strings are values too; those of a field with a scheme begin with one.
    List {
        /// Whether they may begin with a scheme.
        has_scheme: bool,
    },
    /// A number where JSON needs a string if it is no number: the mark to put around.
    Number(Quote),
}

/// The first value that belongs to a name and is a credential.
pub(super) fn value_of(bytes: &[u8], name: Match) -> Option<Value> {
    let mut value = read(bytes, name)?;
    while let Some(end) = placeholder(bytes, value.start, value.end) {
        value = next_of_list(bytes, value, end)?;
    }
    Some(value)
}

/// The next credential of a list, whose last string was closed at `at`.
pub(super) fn next_credential(bytes: &[u8], value: Value, at: usize) -> Option<Value> {
    let mut value = next_of_list(bytes, value, at)?;
    while let Some(end) = placeholder(bytes, value.start, value.end) {
        value = next_of_list(bytes, value, end)?;
    }
    Some(value)
}

fn next_of_list(bytes: &[u8], value: Value, at: usize) -> Option<Value> {
    let (Form::List { has_scheme }, End::Quote(quote)) = (value.form, value.end) else {
        return None;
    };
    let closing = unit(bytes, at).filter(|unit| Quote::of(*unit) == quote)?;
    let at = skip_blanks(bytes, at + closing.length);
    let comma = unit(bytes, at).filter(|unit| unit.byte == b',')?;
    let at = skip_blanks(bytes, at + comma.length);
    let opening = unit(bytes, at).filter(|unit| Quote::of(*unit) == quote)?;
    let start = at + opening.length;
    let start = if has_scheme { skip_scheme(bytes, start).unwrap_or(start) } else { start };
    Some(Value { start, ..value })
}

/// Where the name ends that the separator at `at` may belong to, and whether it was quoted.
pub(super) fn name_before(bytes: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    for _ in 0..MOST_BLANKS {
        match end.checked_sub(1).and_then(|at| bytes.get(at)) {
            Some(b' ' | b'\t') => end -= 1,
            _ => break,
        }
    }
    let (mut byte, mut start) = before(bytes, end)?;
    if byte == b']' {
        (byte, start) = before(bytes, start)?;
    }
    if !matches!(byte, b'"' | b'\'') {
        return Some(end);
    }
    end = start;
    for _ in 0..32 {
        match before(bytes, end) {
            Some((b'\\', start)) => end = start,
            _ => break,
        }
    }
    Some(end)
}

/// The value behind a name, whatever it is.
fn read(bytes: &[u8], name: Match) -> Option<Value> {
    let mut at = name.end;
    let closing = unit(bytes, at).filter(|unit| unit.is_quote());
    if let Some(closing) = closing {
        at += closing.length;
        at += usize::from(bytes.get(at) == Some(&b']'));
    }
    let before_gap = at;
    at = skip_blanks(bytes, at);
    let separator = unit(bytes, at)?;
    at += separator.length;
    match (separator.byte, bytes.get(at)) {
        (b'=', Some(b'>')) | (b':', Some(b'=')) => at += 1,
        (b'=' | b':', _) => {}
        (b',', _) if closing.is_some() => at = skip_member_named_value(bytes, at),
        _ => return None,
    }
    let behind = at;
    at = skip_blanks(bytes, at);
    let is_spaced = before_gap + separator.length != behind || at != behind;
    let is_list = separator.byte != b',' && bytes.get(at) == Some(&b'[');
    if is_list {
        at = skip_blanks(bytes, at + 1);
    }
    if matches!(bytes.get(at), Some(b'b' | b'B')) && unit(bytes, at + 1).is_some_and(Unit::is_quote) {
        at += 1;
    }
    let first = unit(bytes, at)?;
    let has_scheme = name.place == Place::Authorization;
    let (end, form) = if first.is_quote() {
        at += first.length;
        let form = if is_list { Form::List { has_scheme } } else { Form::Single };
        (End::Quote(Quote::of(first)), form)
    } else if separator.byte == b',' || separator.byte == b'=' && is_spaced || first.byte == b'{' {
        return None;
    } else if is_list {
        (End::Bracket, Form::Single)
    } else if separator.byte == b'=' {
        (End::Parameter { depth: separator.depth }, Form::Single)
    } else {
        behind_colon(bytes, name.start, closing, separator)
    };
    if !has_scheme {
        return Some(Value { start: at, end, form });
    }
    match skip_scheme(bytes, at) {
        Some(start) => Some(Value { start, end, form }),
        // Of an unknown scheme the credential is what stands behind it.
        None => Some(Value { start: at, end: whole(end), form }),
    }
}

/// How far the value of a field reaches whose scheme is unknown.
const fn whole(end: End) -> End {
    match end {
        End::Word { depth } => End::Sentence { depth },
        End::Quote(_)
        | End::Parameter { .. }
        | End::Member { .. }
        | End::Bracket
        | End::Line { .. }
        | End::Sentence { .. }
        | End::Token
        | End::Issued => end,
    }
}

/// What ends a value that stands unquoted behind a colon.
fn behind_colon(bytes: &[u8], name: usize, closing: Option<Unit>, separator: Unit) -> (End, Form) {
    let depth = separator.depth;
    if let Some(closing) = closing {
        return (End::Member { depth }, Form::Number(Quote::of(closing)));
    }
    let name = with_prefix(bytes, name);
    let end = match before(bytes, name) {
        Some((byte @ (b'"' | b'\''), start)) => End::Quote(quote_around(bytes, byte, start, name, depth)),
        _ if begins_line(bytes, name) => End::Line { depth },
        _ => End::Word { depth },
    };
    (end, Form::Single)
}

/// Where the whole name begins, a prefix of its own included.
fn with_prefix(bytes: &[u8], name: usize) -> usize {
    let mut start = name;
    while name - start < LONGEST_NAME
        && let Some((byte, before)) = before(bytes, start)
        && (byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    {
        start = before;
    }
    start
}

/// The mark before a field line that is a string as a whole.
fn quote_around(bytes: &[u8], byte: u8, start: usize, name: usize, depth: u8) -> Quote {
    let is_escaped = name - start > 1;
    let before = bytes.get(..start).unwrap_or_default();
    let run = before.iter().rev().take(32).take_while(|byte| **byte == b'\\').count();
    Quote { byte, depth, backslashes: if is_escaped { 1 } else { run } }
}

/// Whether nothing but blanks, or what curl puts before a field line, stands before a name in its line.
fn begins_line(bytes: &[u8], name: usize) -> bool {
    let mut at = name;
    while name - at < LONGEST_INDENT {
        match before(bytes, at) {
            None => return true,
            Some((b' ' | b'\t' | b'>' | b'<' | b'*', start)) => at = start,
            Some((byte, _)) => return byte < b' ',
        }
    }
    false
}

/// Behind `"value":` of an object that has the name and the value as two members, or where it was.
fn skip_member_named_value(bytes: &[u8], at: usize) -> usize {
    let behind = || {
        let mut at = skip_blanks(bytes, at);
        let quote = unit(bytes, at).filter(|unit| unit.is_quote())?;
        at += quote.length;
        if !bytes.get(at..)?.starts_with(b"value") {
            return None;
        }
        at += b"value".len();
        at += unit(bytes, at).filter(|unit| unit.byte == quote.byte)?.length;
        at = skip_blanks(bytes, at);
        let colon = unit(bytes, at).filter(|unit| unit.byte == b':')?;
        Some(at + colon.length)
    };
    behind().unwrap_or(at)
}

/// Behind a scheme that is known, and the blanks that follow it.
fn skip_scheme(bytes: &[u8], at: usize) -> Option<usize> {
    let word = |scheme: &&[u8]| {
        let end = at + scheme.len();
        let is_it = bytes.get(at..end)?.eq_ignore_ascii_case(scheme);
        let behind = skip_encoded_blanks(bytes, end);
        (is_it && behind > end).then_some(behind)
    };
    SCHEMES.iter().find_map(word)
}

/// Behind the blanks at `at`, in any spelling.
pub(super) fn skip_encoded_blanks(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    for _ in 0..MOST_BLANKS {
        match unit(bytes, at) {
            Some(unit) if matches!(unit.byte, b' ' | b'\t' | b'+') => at += unit.length,
            _ => break,
        }
    }
    at
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default().iter().take(MOST_BLANKS);
    at + rest.take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}
