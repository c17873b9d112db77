//! Where a chunked body ends (RFC 9112 section 7.1), followed by its sizes alone.

#[cfg(any(test, fuzzing))]
pub mod properties;

/// The most bytes of a line that gives a size, and of a whole trailer section.
const LINE: usize = 8 * 1024;

/// Follows a chunked body in whatever pieces it arrives in, and tells what no longer belongs to it.
///
/// Behind a body the next request may follow at once. Whoever reads the body must not get a byte
/// of that, so the end is found here, strictly: a size is hexadecimal digits, and CR LF ends a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Everything was read.
    Complete,
    /// This much of a chunk is to come.
    Data(u64),
    /// At the line end behind a chunk.
    DataEnd,
    /// In the line end behind a chunk.
    DataLineEnd,
    /// In the white space behind a size.
    Blank { size: u64 },
    /// In an extension, which is ignored, behind a size.
    Extension { size: u64 },
    /// At the line end behind a size.
    LineEnd { size: u64 },
    /// In a size of so many digits.
    Size { size: u64, digits: u8 },
    /// In the trailer section, or at its start.
    Trailer(Trailer),
}

/// Where in the trailer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trailer {
    /// In a field line.
    Line,
    /// At the end of a field line.
    LineEnd,
    /// At the start of a line.
    Start,
    /// At the end of the empty line that ends the section.
    LastLineEnd,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

/// The bytes are no chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotChunks;

impl Chunks {
    /// Whether the body's end was reached.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Follows the next bytes, and gives back how many of them belong to the body.
    ///
    /// # Errors
    /// They are no chunked body, or a line of it is too long.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<usize, NotChunks> {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            match self.state {
                State::Complete => break,
                State::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    rest = rest.get(here..).unwrap_or_default();
                    let left = left.saturating_sub(u64::try_from(here).unwrap_or(left));
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    self.line = 0;
                }
                State::Blank { .. }
                | State::DataEnd
                | State::DataLineEnd
                | State::Extension { .. }
                | State::LineEnd { .. }
                | State::Size { .. }
                | State::Trailer(_) => {
                    self.line += 1;
                    self.state = self.state.after(*byte).filter(|_| self.line <= LINE).ok_or(NotChunks)?;
                    rest = behind;
                }
            }
        }
        Ok(bytes.len() - rest.len())
    }
}

impl State {
    /// The state behind one byte of a line, or `None` if it cannot stand there.
    fn after(self, byte: u8) -> Option<Self> {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        Some(match (self, byte) {
            (Self::Size { digits: 1.., size } | Self::Blank { size } | Self::Extension { size }, b'\r') => {
                Self::LineEnd { size }
            }
            (Self::Size { digits: 1.., size } | Self::Blank { size }, b' ' | b'\t') => Self::Blank { size },
            (Self::Size { digits: 1.., size } | Self::Blank { size }, b';')
            | (Self::Extension { size }, b' '..=b'~' | b'\t' | 0x80..) => Self::Extension { size },
            (Self::Size { size, digits: digits @ 0..16 }, _) => {
                Self::Size { size: size.checked_mul(16)?.checked_add(digit?)?, digits: digits + 1 }
            }
            (Self::LineEnd { size: 0 } | Self::Trailer(Trailer::LineEnd), b'\n') => {
                Self::Trailer(Trailer::Start)
            }
            (Self::LineEnd { size }, b'\n') => Self::Data(size),
            (Self::DataEnd, b'\r') => Self::DataLineEnd,
            (Self::DataLineEnd, b'\n') => Self::default(),
            (Self::Trailer(Trailer::Start), b'\r') => Self::Trailer(Trailer::LastLineEnd),
            (Self::Trailer(Trailer::LastLineEnd), b'\n') => Self::Complete,
            (Self::Trailer(Trailer::Line), b'\r') => Self::Trailer(Trailer::LineEnd),
            (Self::Trailer(Trailer::Start | Trailer::Line), b' '..=b'~' | b'\t' | 0x80..) => {
                Self::Trailer(Trailer::Line)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunks, LINE, NotChunks};

    #[track_caller]
    fn check(body: &str, behind: &str) {
        let bytes = [body.as_bytes(), behind.as_bytes()].concat();
        for piece in 1..=bytes.len() {
            let mut chunks = Chunks::default();
            let belongs: usize = bytes.chunks(piece).map(|bytes| chunks.follow(bytes).unwrap()).sum();
            assert_eq!((belongs, chunks.is_complete()), (body.len(), true), "in pieces of {piece}");
        }
    }

    #[test]
    fn ends_where_the_body_ends() {
        check("0\r\n\r\n", "");
        check("3\r\nabc\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n");
        check("0000A;x=\"y\"\r\n0123456789\r\n00;z\r\nA: b\r\nC: d\r\n\r\n", "0\r\n\r\n");
        check("1 \r\n\n\r\n0\t\r\n\r\n", "\r\n");
    }

    #[test]
    fn what_is_no_chunk_is_said_to_be_none() {
        for wrong in [
            "\r\n",
            ";\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1\n",
            "3 3\r\n",
            "1\r\nabc",
            "1\r\na\n",
            "1\r\na\rb",
            "2;x\nAA\r\n",
            "1\r1",
            "1;\0\r\n",
            "0\r\n\n",
            "0\r\nA\n",
            "0\r\n\rA",
            "00000000000000001\r\n",
        ] {
            let mut chunks = Chunks::default();
            assert_eq!(chunks.follow(wrong.as_bytes()), Err(NotChunks), "{wrong:?}");
        }
        let mut chunks = Chunks::default();
        assert_eq!(chunks.follow("1;".to_owned().as_bytes()), Ok(2));
        assert_eq!(chunks.follow(&vec![b'a'; LINE]), Err(NotChunks));
    }

    #[test]
    fn a_chunk_that_is_cut_off_is_not_complete() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.follow(b"5\r\nabc"), Ok(6));
        assert!(!chunks.is_complete());
    }
}
