//! The bytes at which a value with a name may be recognised, and what dismisses nearly all of them:
//! the byte before.

use super::names::Names;

/// Pairs of bytes, as a bit for each kind of anchor: an anchor counts if its bit is set for the byte
/// before it too.
pub(super) struct Anchors {
    /// The kind of a byte.
    kind: [u8; 256],
    /// The kinds that may stand behind a byte.
    behind: [u8; 256],
    /// Whether a name may end with two bytes, the last one counting more.
    ends: Vec<bool>,
}

const EQUALS: u8 = 1;
const COLON: u8 = 2;
const COMMA: u8 = 4;
const PERCENT: u8 = 8;
const BACKSLASH: u8 = 16;
const SLASH: u8 = 32;

/// How many pairs of bytes there are.
const PAIRS: usize = 1 << 16;

fn pair(before: u8, last: u8) -> usize {
    usize::from(last) << 8 | usize::from(before)
}

impl Anchors {
    /// The anchors of these names.
    pub(super) fn new(names: &Names) -> Self {
        let (mut kind, mut behind) = ([0; 256], [0; 256]);
        for ((byte, kind), behind) in (0..=u8::MAX).zip(&mut kind).zip(&mut behind) {
            *kind = match byte {
                b'=' => EQUALS,
                b':' => COLON,
                b',' => COMMA,
                b'%' => PERCENT,
                b'\\' => BACKSLASH,
                b'/' => SLASH,
                _ => 0,
            };
            *behind = PERCENT;
            // Of a run of backslashes only the first is an anchor.
            *behind |= if byte == b'\\' { 0 } else { BACKSLASH };
            let may_end = names.may_end_with(byte) || matches!(byte, b' ' | b'\t' | b']');
            *behind |= if may_end { EQUALS | COLON } else { 0 };
            // The marks around a name, also as `%22`, `%27` and `\\x22`.
            *behind |= if matches!(byte, b'"' | b'\'' | b'2' | b'7') { EQUALS | COLON | COMMA } else { 0 };
            // The colon of a scheme.
            *behind |= if byte == b':' { SLASH } else { 0 };
        }
        let mut ends = vec![false; PAIRS];
        for (before, last) in names.ends() {
            if let Some(end) = ends.get_mut(pair(before, last)) {
                *end = true;
            }
        }
        Self { kind, behind, ends }
    }

    /// The next anchor at or behind `at` and before `limit`.
    pub(super) fn next(&self, bytes: &[u8], at: usize, limit: usize) -> Option<usize> {
        let of = |table: &[u8; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or_default();
        let before = at.checked_sub(1).and_then(|at| bytes.get(at)).copied().unwrap_or_default();
        let mut behind = of(&self.behind, before);
        let found = bytes.get(at..limit)?.iter().position(|byte| {
            let is_anchor = of(&self.kind, *byte) & behind != 0;
            behind = of(&self.behind, *byte);
            is_anchor
        });
        Some(at + found?)
    }

    /// Whether what stands before the separator at `at` may be a name, or marks around one. It may say
    /// so in vain, never the contrary.
    pub(super) fn may_end_a_name(&self, bytes: &[u8], at: usize, separator: u8) -> bool {
        let back =
            |count: usize| at.checked_sub(count).and_then(|at| bytes.get(at)).copied().unwrap_or_default();
        let may_end = |count| self.ends.get(pair(back(count + 1), back(count))).copied().unwrap_or_default();
        match back(1) {
            // Escaped marks have a backslash before them, or one that is encoded as `%5C`.
            b'"' | b'\'' => may_end(2) || matches!(back(2), b'\\' | b'C' | b'c'),
            b'2' | b'7' if back(2) == b'2' => true,
            // Only between marks does a comma separate a name from its value.
            byte => separator != b',' && (may_end(1) || matches!(byte, b' ' | b'\t' | b']')),
        }
    }
}
