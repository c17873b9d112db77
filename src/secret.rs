//! The secret types: what a caller presented, which can be carried on and never shown.
//!
//! A [`Credential`] is what was presented, and [`Wiped`] are bytes among which one may be: a field's
//! value, or a request head. Neither has `Debug`, `Display`, `Clone`, `Serialize` or equality, so neither
//! can be put into a line, an error or a label by accident, and the memory of both is wiped when they
//! are dropped. What the compiler refuses:
//!
//! ```compile_fail,E0277
//! let credential = hushgate::secret::Credential::new(b"k".to_vec());
//! println!("{credential:?}");
//! ```
//!
//! ```compile_fail,E0277
//! let credential = hushgate::secret::Credential::new(b"k".to_vec());
//! let text = format!("{credential}");
//! ```
//!
//! ```compile_fail,E0599
//! let credential = hushgate::secret::Credential::new(b"k".to_vec());
//! let copy = credential.clone();
//! ```
//!
//! ```compile_fail,E0369
//! let credential = hushgate::secret::Credential::new(b"k".to_vec());
//! let is_same = credential == hushgate::secret::Credential::new(b"k".to_vec());
//! ```
//!
//! ```compile_fail,E0277
//! let credential = hushgate::secret::Credential::new(b"k".to_vec());
//! let json = serde_json::to_string(&credential);
//! ```
//!
//! ```compile_fail,E0616
//! let credential = hushgate::secret::Credential::new(b"k".to_vec());
//! let bytes = credential.0;
//! ```
//!
//! ```compile_fail,E0277
//! let head = hushgate::secret::Wiped::with_capacity(64);
//! tracing::error!(?head);
//! ```
//!
//! ```compile_fail,E0277
//! fn shown(admitted: &hushgate::handshake::Admitted) -> String {
//!     format!("{admitted:?}")
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn shown(head: &hushgate::handshake::head::Head<'_>) -> String {
//!     format!("{head:?}")
//! }
//! ```
//!
//! Nor does text of a peer fit into a record of the access log:
//!
//! ```compile_fail,E0308
//! fn noted(record: &mut hushgate::access_log::Record, target: String) {
//!     record.target = target;
//! }
//! ```

use zeroize::Zeroizing;

pub use self::digest::{Digest, NoDigest};

mod digest;
pub mod issued;

/// What a caller presented, decoded.
pub struct Credential(Zeroizing<Vec<u8>>);

impl Credential {
    /// Takes the decoded bytes of a credential in.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, of which a digest is taken.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Appends the credential to a request head, in Latin-1, as the agent server reads fields.
    ///
    /// This door is open because carrying the credential upstream is what the gateway is for.
    ///
    /// Returns `false`, and appends nothing, when a field cannot carry the credential unchanged
    /// (RFC 9110 section 5.5): it is empty, is not UTF-8, has a character above U+00FF or an ASCII
    /// control character, or has white space at either end, where a recipient may trim it.
    #[must_use = "a credential that cannot be carried is refused"]
    pub fn append_latin1(&self, head: &mut Wiped) -> bool {
        let Ok(text) = std::str::from_utf8(&self.0) else {
            return false;
        };
        let blank_end = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
        if text.is_empty() || blank_end {
            return false;
        }
        // No character is longer in Latin-1 than in UTF-8.
        head.reserve(text.len());
        let start = head.0.len();
        for character in text.chars() {
            match u8::try_from(u32::from(character)) {
                Ok(byte) if byte >= 0x20 && byte != 0x7f => head.0.push(byte),
                Ok(_) | Err(_) => {
                    head.0.truncate(start);
                    return false;
                }
            }
        }
        true
    }
}

/// Bytes among which a credential may be.
///
/// It grows without leaving a copy behind, and all of its memory is wiped when it is dropped.
#[derive(Default)]
pub struct Wiped(Zeroizing<Vec<u8>>);

impl Wiped {
    /// Holds nothing, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::new(Vec::with_capacity(bytes))
    }

    /// Takes bytes in.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A copy of these bytes.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends what an iterator gives, `length` bytes of it at most.
    pub fn extend(&mut self, length: usize, bytes: impl Iterator<Item = u8>) {
        self.reserve(length);
        self.0.extend(bytes.take(length));
    }

    /// The bytes, to be sent on, parsed or compared.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Makes room. A vector that grew by itself would leave what it held in freed memory.
    fn reserve(&mut self, more: usize) {
        let needed = self.0.len().saturating_add(more);
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.0.capacity().saturating_mul(2)));
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
    }
}

impl From<Wiped> for Credential {
    fn from(bytes: Wiped) -> Self {
        Self(bytes.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_without_a_copy_left_behind() {
        let mut bytes = Wiped::with_capacity(2);
        bytes.append(b"one");
        let first = bytes.0.capacity();
        bytes.append(b", two, and three");
        assert_eq!(bytes.as_bytes(), b"one, two, and three");
        assert!(first >= 3 && bytes.0.capacity() >= bytes.0.len());
    }

    #[test]
    fn a_credential_that_does_not_fit_leaves_nothing() {
        let mut head = Wiped::copy_of(b"X: ");
        assert!(!Credential::new("k\u{20ac}".into()).append_latin1(&mut head));
        assert_eq!(head.as_bytes(), b"X: ");
        assert!(Credential::new("k\u{e9}".into()).append_latin1(&mut head));
        assert_eq!(head.as_bytes(), b"X: k\xe9");
    }
}
