//! SHA-256 digests of credentials: as they are written on a command line, in a file, in a report.

use std::{fmt, fs, path::Path, str::FromStr};

use super::exit;

/// The SHA-256 of a credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// The digest of a value.
    pub(super) fn of(value: &[u8]) -> Self {
        let mut digest = [0; 32];
        let computed = ring::digest::digest(&ring::digest::SHA256, value);
        digest.iter_mut().zip(computed.as_ref()).for_each(|(to, from)| *to = *from);
        Self(digest)
    }
}

impl FromStr for Digest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str =
            "a SHA-256 is 64 hexadecimal digits, as `printf %s CREDENTIAL | sha256sum` prints";
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        for (index, byte) in digest.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or(WRONG)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| WRONG)?;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Reads digests, one a line; blank lines and those that begin with `#` do not count, nor does what
/// stands behind a blank, so what `sha256sum` prints will do.
///
/// # Errors
/// The exit code, and what is wrong, to be printed behind the file's name.
pub(super) fn read(file: &Path) -> Result<Vec<Digest>, (u8, String)> {
    let text = fs::read_to_string(file)
        .map_err(|error| (exit::FAILED, format!(": cannot be read: {}", error.kind())))?;
    let mut digests = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some(first) = line.split_whitespace().next().filter(|word| !word.starts_with('#')) else {
            continue;
        };
        let digest = first.strip_prefix("sha256:").unwrap_or(first).parse();
        digests.push(digest.map_err(|problem| (crate::exit::USAGE, format!(":{}: {problem}", number + 1)))?);
    }
    Ok(digests)
}
