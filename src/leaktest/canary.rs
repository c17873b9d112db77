//! The values that no sink may hold: one for each cell, found again in any spelling.

use std::ops::Range;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use rustls::crypto::SecureRandom;

use super::{
    LeaktestError,
    carriers::{Carrier, Place},
    paths::Path,
};

/// How many bytes tell that a value is a canary of this run, at its beginning and at its end: a
/// piece that was cut off on either side is found too.
const MARK: usize = 12;

/// How many bytes between the two marks tell the cell.
const CODE: usize = 6;

/// The length of a canary, in bytes, all of them letters: no carrier forbids one.
pub(super) const LENGTH: usize = MARK + CODE + MARK;

/// Where a canary is planted: one row of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    /// What carries it.
    pub(super) carrier: Carrier,
    /// What happens to the request that carries it.
    pub(super) path: Path,
}

impl Cell {
    /// Every one that can be played.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Path::ALL.into_iter().flat_map(|path| {
            let carriers = Carrier::ALL.into_iter().filter(move |carrier| path.carries(*carrier));
            carriers.map(move |carrier| Self { carrier, path })
        })
    }

    /// Whether a request carries it, and not a file.
    pub(super) fn is_sent(self) -> bool {
        self.carrier.place() != Place::File
    }
}

/// The canaries of one run.
pub(super) struct Canaries {
    first_mark: String,
    last_mark: String,
    codes: Vec<(Cell, String)>,
}

impl Canaries {
    /// Makes one for each cell, at random.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn new(cells: impl IntoIterator<Item = Cell>) -> Result<Self, LeaktestError> {
        let random = rustls::crypto::ring::default_provider().secure_random;
        let mut codes: Vec<(Cell, String)> = Vec::new();
        for cell in cells {
            // Base64 leaves of the letters at either end only what it does not share with their neighbours, so
            // that codes have to differ between them.
            let inner = |code: &str| code.get(1..CODE - 1).map(str::to_owned);
            let mut code = letters(random, CODE)?;
            while codes.iter().any(|(_, known)| inner(known) == inner(&code)) {
                code = letters(random, CODE)?;
            }
            codes.push((cell, code));
        }
        Ok(Self { first_mark: letters(random, MARK)?, last_mark: letters(random, MARK)?, codes })
    }

    /// Every cell, with its canary.
    pub(super) fn all(&self) -> impl Iterator<Item = (Cell, String)> {
        self.codes.iter().map(|(cell, code)| (*cell, self.of(code)))
    }

    fn of(&self, code: &str) -> String {
        format!("{}{code}{}", self.first_mark, self.last_mark)
    }

    /// Every spelling of a mark, and how the code beside it tells the cell.
    pub(super) fn needles(&self) -> Vec<Needle> {
        let sample = self.of(&"d".repeat(CODE)).into_bytes();
        let needle = |spelling: &Spelling, mark: Range<usize>| {
            let (written, mark) = (spelling.write(&sample), spelling.place(mark));
            let code = spelling.place(MARK..MARK + CODE);
            Needle {
                spelling: *spelling,
                bytes: written.get(mark.clone()).unwrap_or_default().to_vec(),
                // The code of a reversed canary is before its first mark.
                is_before: code.start < mark.start,
                distance: mark.start.abs_diff(code.start),
                length: code.len(),
            }
        };
        Spelling::all()
            .iter()
            .flat_map(|spelling| [needle(spelling, 0..MARK), needle(spelling, MARK + CODE..LENGTH)])
            .collect()
    }

    /// Every cell's code as this spelling writes it inside a canary.
    pub(super) fn codes(&self, spelling: Spelling) -> impl Iterator<Item = (Vec<u8>, Cell)> {
        self.codes.iter().map(move |(cell, code)| {
            let written = spelling.write(self.of(code).as_bytes());
            (written.get(spelling.place(MARK..MARK + CODE)).unwrap_or_default().to_vec(), *cell)
        })
    }
}

/// What to look for, and where beside it the code stands.
pub(super) struct Needle {
    /// How it is written.
    pub(super) spelling: Spelling,
    /// The mark, as it is written.
    pub(super) bytes: Vec<u8>,
    /// Whether the code begins before the mark does.
    pub(super) is_before: bool,
    /// From the beginning of one to the beginning of the other.
    pub(super) distance: usize,
    /// The length of the code as it is written.
    pub(super) length: usize,
}

/// What a canary can be turned into on its way to a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// As it is, which is also how it is usually percent-encoded.
    Raw,
    /// Every byte as `%XX`, once or twice.
    PercentEncoded,
    /// Base64 or base64url, at any alignment.
    Base64,
    /// Two digits a byte, together or apart.
    Hex,
    /// As a list of numbers.
    Decimal,
    /// From its end to its beginning.
    Reversed,
}

impl Form {
    /// The word for people and for machines.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::PercentEncoded => "percent-encoded",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Decimal => "decimal",
            Self::Reversed => "reversed",
        }
    }
}

/// One exact way of writing bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spelling {
    /// As they are.
    Plain,
    /// Each as digits behind some text: `%`, `\x`, a space.
    Digits {
        /// What stands before each byte's digits.
        before: &'static str,
        /// How its number is written.
        base: Base,
    },
    /// Base64 behind so many other bytes.
    Base64 {
        /// 0 to 2.
        shift: usize,
        /// Whether it is base64url.
        is_for_urls: bool,
    },
    /// The last first.
    Reversed,
}

/// How a byte's number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Base {
    /// Two digits; none of a canary's is a letter, so that there are no capitals to tell apart.
    Hex,
    /// As it is said: three digits for the letters of canaries.
    Decimal,
}

/// What stands before the digits of a byte.
const BEFORE_HEX: [&str; 9] = ["%", "%25", "", "\\x", "\\\\x", " ", ":", ", ", ", 0x"];

impl Spelling {
    /// All that are searched for.
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![Self::Plain, Self::Reversed];
        all.extend(BEFORE_HEX.map(|before| Self::Digits { before, base: Base::Hex }));
        all.extend([",", ", "].map(|before| Self::Digits { before, base: Base::Decimal }));
        for is_for_urls in [false, true] {
            all.extend([0, 1, 2].map(|shift| Self::Base64 { shift, is_for_urls }));
        }
        all
    }

    /// What people call it.
    pub(super) fn form(self) -> Form {
        match self {
            Self::Plain => Form::Raw,
            Self::Digits { base: Base::Decimal, .. } => Form::Decimal,
            Self::Digits { before: "%" | "%25", .. } => Form::PercentEncoded,
            Self::Digits { .. } => Form::Hex,
            Self::Base64 { .. } => Form::Base64,
            Self::Reversed => Form::Reversed,
        }
    }

    /// The bytes, so written.
    pub(super) fn write(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Digits { before, base } => {
                let digits = |byte: &u8| match base {
                    Base::Hex => format!("{before}{byte:02x}"),
                    Base::Decimal => format!("{before}{byte}"),
                };
                bytes.iter().map(digits).collect::<String>().into_bytes()
            }
            Self::Base64 { shift, is_for_urls } => {
                let shifted = [vec![0; shift].as_slice(), bytes].concat();
                let engine = if is_for_urls { URL_SAFE_NO_PAD } else { STANDARD_NO_PAD };
                engine.encode(shifted).into_bytes()
            }
            Self::Reversed => bytes.iter().rev().copied().collect(),
        }
    }

    /// Where in a written canary stands what depends on nothing but these bytes of it.
    fn place(self, bytes: Range<usize>) -> Range<usize> {
        match self {
            Self::Plain => bytes,
            Self::Digits { before, base } => {
                let each = before.len() + if base == Base::Decimal { 3 } else { 2 };
                bytes.start * each..bytes.end * each
            }
            Self::Base64 { shift, .. } => {
                ((shift + bytes.start) * 8).div_ceil(6)..(shift + bytes.end) * 8 / 6
            }
            Self::Reversed => LENGTH - bytes.end..LENGTH - bytes.start,
        }
    }
}

/// Letters that nobody can guess. Their numbers are 0x64 to 0x69 and 0x70 to 0x79.
fn letters(random: &dyn SecureRandom, count: usize) -> Result<String, LeaktestError> {
    const ALPHABET: [char; 16] =
        ['d', 'e', 'f', 'g', 'h', 'i', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y'];
    let mut bytes = vec![0; count];
    random.fill(&mut bytes).map_err(|_| LeaktestError::Randomness)?;
    Ok(bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 15))).collect())
}
