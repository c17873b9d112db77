//! The secret type: what a caller presented, which can be carried on and never shown.
//!
//! A [`Credential`] has no `Debug`, no `Display`, no `Clone` and no equality, and is zeroed when it
//! is dropped:
//!
//! ```compile_fail
//! let credential = hushgate::secret::Credential::new(b"k".to_vec());
//! println!("{credential:?}");
//! ```
//!
//! ```compile_fail
//! let credential = hushgate::secret::Credential::new(b"k".to_vec());
//! let copy = credential.clone();
//! ```

use secrecy::{ExposeSecret, SecretSlice};

/// What a caller presented, decoded.
pub struct Credential(SecretSlice<u8>);

impl Credential {
    /// Takes the decoded bytes of a credential in.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretSlice::from(bytes))
    }

    /// Appends the credential to a request head, in Latin-1, as the agent server reads fields.
    ///
    /// This door is open because carrying the credential upstream is what the gateway is for.
    ///
    /// Returns `false`, and appends nothing, when a field cannot carry the credential unchanged
    /// (RFC 9110 section 5.5): it is empty, is not UTF-8, has a character above U+00FF or an ASCII
    /// control character, or has white space at either end, where a recipient may trim it.
    #[must_use = "a credential that cannot be carried is refused"]
    pub fn append_latin1(&self, head: &mut Vec<u8>) -> bool {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place where a credential becomes bytes of a head"
        )]
        let Ok(text) = std::str::from_utf8(self.0.expose_secret()) else {
            return false;
        };
        let blank_end = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
        if text.is_empty() || blank_end {
            return false;
        }
        let start = head.len();
        for character in text.chars() {
            match u8::try_from(u32::from(character)) {
                Ok(byte) if byte >= 0x20 && byte != 0x7f => head.push(byte),
                Ok(_) | Err(_) => {
                    head.truncate(start);
                    return false;
                }
            }
        }
        true
    }
}
