//! Digests of credentials, as they are written on a command line and in a file.

use std::{fs, path::Path};

use hushgate::secret::Digest;

use super::exit;

/// Reads a digest.
///
/// # Errors
/// What to write, if it is none.
pub(super) fn parse(text: &str) -> Result<Digest, &'static str> {
    text.parse()
        .map_err(|_| "a SHA-256 is 64 hexadecimal digits, as `printf %s CREDENTIAL | sha256sum` prints")
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
        let digest = parse(first.strip_prefix("sha256:").unwrap_or(first));
        digests.push(digest.map_err(|problem| (crate::exit::USAGE, format!(":{}: {problem}", number + 1)))?);
    }
    Ok(digests)
}
