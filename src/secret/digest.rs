//! The SHA-256 of a credential: what may be written down of one that nobody can guess.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

/// The SHA-256 of a credential's bytes.
///
/// Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of no credential that anybody knows: something to compare with where there is nothing.
    pub const NOBODYS: Self = Self([0; 32]);

    /// The digest of these bytes.
    pub fn of(credential: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest(&SHA256, credential).as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// The digest itself.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A digest that was written down before.
impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// It is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoDigest);
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or(NoDigest)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NoDigest)?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Shows nothing: what is printed for a developer ends in logs.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_and_written_as_sha256sum_does() {
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), text);
        assert_eq!(text.parse(), Ok(Digest::of(b"abc")));
        assert_eq!(text.to_ascii_uppercase().parse(), Ok(Digest::of(b"abc")));
        assert_ne!(Digest::of(b"abc"), Digest::of(b"abd"));
        assert_eq!(format!("{:?}", Digest::of(b"abc")), "Digest(…)");
    }

    #[test]
    fn is_64_hexadecimal_digits() {
        let digit = |last: &str| format!("{}{last}", "0".repeat(63)).parse::<Digest>();
        assert!(digit("f").is_ok());
        for last in ["", "g", "00", " ", "\u{e9}", "-", "+"] {
            assert_eq!(digit(last), Err(NoDigest), "{last:?}");
        }
    }
}
