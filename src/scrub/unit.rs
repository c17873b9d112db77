//! Reading one character in whatever escapes it is written: percent-encoding at any depth, the
//! backslash escapes of JSON and of nginx, and both in one.

/// The most backslashes in a row that are read as one escape; of more, so many are a unit.
const MOST_BACKSLASHES: usize = 32;

/// How often a percent sign may be encoded itself.
const DEEPEST: u8 = 16;

/// What stands for a character beyond ASCII, which is never anything but content.
const BEYOND_ASCII: u8 = 0xff;

/// One character as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// What it means, once every escape is undone.
    pub(super) byte: u8,
    /// How many raw bytes it takes.
    pub(super) length: usize,
    /// How often it is percent-encoded.
    pub(super) depth: u8,
    /// How many backslashes stand before it.
    pub(super) backslashes: usize,
}

impl Unit {
    /// Whether it is written as itself.
    pub(super) const fn is_plain(self) -> bool {
        self.length == 1
    }

    /// White space or a control character: no credential is carried with one in it, unescaped.
    pub(super) const fn is_blank(self) -> bool {
        self.byte <= b' ' || self.byte == 0x7f
    }

    /// A quotation mark of strings.
    pub(super) const fn is_quote(self) -> bool {
        matches!(self.byte, b'"' | b'\'')
    }

    /// What a name or a number is made of.
    pub(super) const fn is_word(self) -> bool {
        self.byte.is_ascii_alphanumeric()
    }
}

/// The unit at `at`, or nothing at the end of the bytes.
pub(super) fn unit(bytes: &[u8], at: usize) -> Option<Unit> {
    let byte = *bytes.get(at)?;
    Some(match byte {
        b'%' => percent(bytes, at).unwrap_or_else(|| plain(byte)),
        b'\\' => backslash(bytes, at),
        _ => plain(byte),
    })
}

const fn plain(byte: u8) -> Unit {
    Unit { byte, length: 1, depth: 0, backslashes: 0 }
}

/// A percent sign at `at`, with what it encodes, if that is two digits.
fn percent(bytes: &[u8], at: usize) -> Option<Unit> {
    let (byte, end, depth) = decode(bytes, at + 1, 0)?;
    let before = end.saturating_sub(at);
    if byte != b'\\' {
        return Some(Unit { byte, length: before, depth, backslashes: 0 });
    }
    Some(with_length_before(escaped(bytes, end, 1, depth), before))
}

/// Two digits at `at`, behind a percent sign, and more as long as they give a percent sign.
fn decode(bytes: &[u8], at: usize, depth: u8) -> Option<(u8, usize, u8)> {
    let mut decoded = (hexadecimal(bytes, at)?, at + 2, depth + 1);
    while decoded.0 == b'%'
        && decoded.2 < DEEPEST
        && let Some(byte) = hexadecimal(bytes, decoded.1)
    {
        decoded = (byte, decoded.1 + 2, decoded.2 + 1);
    }
    Some(decoded)
}

/// A run of backslashes at `at`, with what it escapes.
fn backslash(bytes: &[u8], at: usize) -> Unit {
    let run = bytes.get(at..).unwrap_or_default().iter().take(MOST_BACKSLASHES);
    let count = run.take_while(|byte| **byte == b'\\').count();
    with_length_before(escaped(bytes, at + count, count, 0), count)
}

fn with_length_before(unit: Unit, before: usize) -> Unit {
    Unit { length: unit.length + before, ..unit }
}

/// What stands at `at`, behind so many backslashes; its length does not count them.
fn escaped(bytes: &[u8], at: usize, backslashes: usize, depth: u8) -> Unit {
    let nothing = Unit { byte: b'\\', length: 0, depth, backslashes };
    let single = |byte| Unit { byte, length: 1, ..nothing };
    let Some(&byte) = bytes.get(at) else { return nothing };
    match byte {
        b'"' | b'\'' | b'/' => single(byte),
        b'n' => single(b'\n'),
        b'r' => single(b'\r'),
        b't' => single(b'\t'),
        b'x' => hexadecimal(bytes, at + 1).map_or(nothing, |byte| inner(bytes, at + 3, byte, at, nothing)),
        b'u' => match (hexadecimal(bytes, at + 1), hexadecimal(bytes, at + 3)) {
            (Some(0), Some(byte)) => inner(bytes, at + 5, byte, at, nothing),
            (Some(_), Some(_)) => Unit { length: 5, ..single(BEYOND_ASCII) },
            _ => nothing,
        },
        // An encoded quote behind an encoded backslash.
        b'%' if depth > 0 => match decode(bytes, at + 1, 0) {
            Some((byte @ (b'"' | b'\'' | b'/'), end, inner)) => {
                Unit { byte, length: end.saturating_sub(at), depth: depth.max(inner), backslashes }
            }
            _ => nothing,
        },
        _ => nothing,
    }
}

/// A character that was written as a hexadecimal escape which ends at `end`; a percent sign may
/// itself begin an encoding.
fn inner(bytes: &[u8], end: usize, byte: u8, at: usize, outer: Unit) -> Unit {
    let (byte, end, depth) = match byte {
        b'%' => decode(bytes, end, outer.depth).unwrap_or((byte, end, outer.depth)),
        _ => (byte, end, outer.depth),
    };
    Unit { byte, length: end.saturating_sub(at), depth, ..outer }
}

/// The byte that two hexadecimal digits at `at` stand for.
fn hexadecimal(bytes: &[u8], at: usize) -> Option<u8> {
    Some(digit(*bytes.get(at)?)? << 4 | digit(*bytes.get(at + 1)?)?)
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The character that ends before `at`, once its escape is undone, and where it begins: as far as
/// boundaries of words and the closing quotes of names are concerned.
pub(super) fn before(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let back = |count: usize| at.checked_sub(count).and_then(|at| bytes.get(at)).copied();
    let last = back(1)?;
    let found = |byte, length| Some((byte, at.saturating_sub(length)));
    if matches!(last, b'n' | b'r' | b't') && back(2) == Some(b'\\') {
        return found(b'\n', 2);
    }
    let Some(byte) = at.checked_sub(2).and_then(|at| hexadecimal(bytes, at)) else {
        return found(last, 1);
    };
    let introducer = match back(3) {
        Some(b'x') => 4,
        Some(b'0') if back(4) == Some(b'0') && back(5) == Some(b'u') => 6,
        _ => 0,
    };
    let is_encoded_backslash = || {
        back(introducer).is_some_and(|byte| byte.eq_ignore_ascii_case(&b'c'))
            && back(introducer + 1) == Some(b'5')
    };
    if introducer > 0 && back(introducer) == Some(b'\\') {
        return found(byte, introducer);
    } else if introducer > 0 && is_encoded_backslash() {
        return found(byte, introducer + 2);
    }
    let mut start = 3;
    while start < 2 * usize::from(DEEPEST) && back(start) == Some(b'5') && back(start + 1) == Some(b'2') {
        start += 2;
    }
    if back(start) == Some(b'%') { found(byte, start) } else { found(last, 1) }
}
