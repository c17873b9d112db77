//! Where the value of a credential ends, and which values are none.

use super::unit::{Unit, unit};

/// What ends a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The same quotation mark, escaped as often or less.
    Quote(Quote),
    /// What ends a parameter or a cookie.
    Parameter {
        /// How often its name's `=` was percent-encoded: what is encoded more often is content.
        depth: u8,
    },
    /// What ends a word behind a colon.
    Word {
        /// As in a parameter.
        depth: u8,
    },
    /// What ends a number in JSON.
    Member {
        /// As in a parameter.
        depth: u8,
    },
    /// A closing bracket, as Go prints lists.
    Bracket,
    /// The end of a field line.
    Line {
        /// As in a parameter.
        depth: u8,
    },
    /// The end of a field line, or a quotation mark around it.
    Sentence {
        /// As in a parameter.
        depth: u8,
    },
    /// What cannot stand in a bearer token.
    Token,
    /// What cannot stand in a credential that we made.
    Issued,
}

/// A quotation mark as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) byte: u8,
    pub(super) depth: u8,
    pub(super) backslashes: usize,
}

impl Quote {
    pub(super) const fn of(unit: Unit) -> Self {
        Self { byte: unit.byte, depth: unit.depth, backslashes: unit.backslashes }
    }

    /// The mark as it is written.
    pub(super) fn text(self) -> Vec<u8> {
        match self.depth {
            0 => [vec![b'\\'; self.backslashes], vec![self.byte]].concat(),
            depth => {
                let percent = [b"%".as_slice(), &b"25".repeat(usize::from(depth - 1))].concat();
                [percent, if self.byte == b'"' { b"22".to_vec() } else { b"27".to_vec() }].concat()
            }
        }
    }

    /// Whether a unit closes what this mark opened. Marks around strings within strings have 0, 1, 3,
    /// 7 … backslashes, and what is left of a multiple of twice as many and two are backslashes of
    /// the content.
    const fn is_closed_by(self, unit: Unit) -> bool {
        unit.byte == self.byte
            && unit.depth <= self.depth
            && unit.backslashes % (2 * (self.backslashes + 1)) <= self.backslashes
    }
}

impl End {
    /// Whether the value ends before the unit at `at`. The end of a line ends every value.
    pub(super) fn is_at(self, bytes: &[u8], at: usize, unit: Unit) -> bool {
        if unit.is_plain() && unit.byte == b'\n' {
            return true;
        }
        match self {
            Self::Quote(quote) => quote.is_closed_by(unit),
            Self::Parameter { depth } => unit.depth <= depth && ends_parameter(bytes, at, unit),
            Self::Word { depth } => {
                unit.depth <= depth
                    && (unit.byte == b','
                        || !matches!(unit.byte, b'&' | b'#') && ends_parameter(bytes, at, unit))
            }
            Self::Member { depth } => {
                unit.depth <= depth
                    && (matches!(unit.byte, b',' | b'}' | b']') || unit.is_blank() || unit.is_quote())
            }
            Self::Bracket => unit.byte == b']' || unit.is_quote(),
            Self::Line { depth } => unit.depth <= depth && ends_line(unit),
            Self::Sentence { depth } => unit.depth <= depth && (ends_line(unit) || unit.is_quote()),
            Self::Token => !is_of_token(unit),
            Self::Issued => !unit.is_word() && unit.byte != b'_',
        }
    }
}

const fn ends_line(unit: Unit) -> bool {
    (unit.byte < b' ' && unit.byte != b'\t') || unit.byte == 0x7f
}

/// Whether a unit may stand in a bearer token, a Basic credential or a subprotocol.
pub(super) const fn is_of_token(unit: Unit) -> bool {
    unit.is_word() || matches!(unit.byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b'%')
}

fn ends_parameter(bytes: &[u8], at: usize, unit: Unit) -> bool {
    match unit.byte {
        b'&' | b';' | b'#' | b'<' | b'>' | b'`' | b'|' | b'\\' => true,
        b',' | b')' | b']' | b'}' => is_punctuation(bytes, at),
        _ => unit.is_blank() || unit.is_quote(),
    }
}

/// Whether what stands at `at` are only marks that close a sentence or a list around the value.
fn is_punctuation(bytes: &[u8], at: usize) -> bool {
    /// The most marks in a row that are read as such.
    const MOST: usize = 8;
    let mut at = at;
    for _ in 0..=MOST {
        match unit(bytes, at) {
            Some(mark) if matches!(mark.byte, b',' | b')' | b']' | b'}') => at += mark.length,
            Some(other) => return other.is_blank() || other.is_quote(),
            None => return true,
        }
    }
    false
}

/// The longest value that may say that there is none.
const LONGEST_PLACEHOLDER: usize = 12;

/// Whether the value at `at` is no credential but says that there is none, or that it was hidden: then
/// where it ends.
pub(super) fn placeholder(bytes: &[u8], at: usize, end: End) -> Option<usize> {
    let mut text = Vec::with_capacity(LONGEST_PLACEHOLDER);
    let mut at = at;
    loop {
        match unit(bytes, at) {
            Some(unit) if !end.is_at(bytes, at, unit) => {
                if text.len() == LONGEST_PLACEHOLDER {
                    return None;
                }
                text.push(unit.byte.to_ascii_lowercase());
                at += unit.length;
            }
            Some(_) | None => break,
        }
    }
    let is_mask = text.iter().all(|byte| *byte == b'*');
    let word = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")).unwrap_or(&text);
    let says_so = matches!(
        word,
        b"-" | b"null" | b"nil" | b"none" | b"true" | b"false" | b"undefined" | b"redacted" | b"filtered"
    );
    (is_mask || says_so).then_some(at)
}
