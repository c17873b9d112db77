//! The demo's throwaway keys. They are made for one run, are worth nothing after it, and are meant
//! to be seen: a [`crate::secret::Credential`] could not be shown.

use percent_encoding::percent_decode_str;

use super::DemoError;

/// A key that the embedded agent server knows, and one that it does not.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) right: String,
    pub(super) wrong: String,
}

impl Keys {
    /// Makes two at random.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn random() -> Result<Self, DemoError> {
        Ok(Self {
            right: format!("right-{}", random_digits()?),
            wrong: format!("wrong-{}", random_digits()?),
        })
    }

    /// Whether a line shows one of the keys, as it is or percent-encoded, whole or but for its
    /// telling beginning.
    pub(super) fn appear_in(&self, line: &str) -> bool {
        let decoded = percent_decode_str(line).decode_utf8_lossy();
        [&self.right, &self.wrong].into_iter().any(|key| {
            let random = key.rsplit('-').next().unwrap_or(key);
            line.contains(random) || decoded.contains(random)
        })
    }
}

/// Twelve hexadecimal digits that nobody can guess.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn random_digits() -> Result<String, DemoError> {
    let mut bytes = [0; 6];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| DemoError::Randomness)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_new_each_time_and_found_in_every_spelling() {
        let keys = Keys::random().unwrap();
        assert_ne!(keys.right, Keys::random().unwrap().right);
        let encoded: String = keys.right.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for line in [&keys.right, &keys.wrong, &encoded, &keys.right.replace('-', "%2D")] {
            assert!(keys.appear_in(&format!("GET /?a={line} HTTP/1.1")), "{line}");
        }
        assert!(!keys.appear_in("GET /sockets/events/1?… HTTP/1.1"));
    }
}
