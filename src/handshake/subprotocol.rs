//! A credential among the subprotocols that a client offers: beside the URL, the one thing of an opening
//! handshake that a page can choose.
//!
//! An entry that carries one is `base64url.bearer.authorization.k8s.io.` and the credential in base64url without
//! padding, as Kubernetes has it, or a configured prefix and the credential as it is.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::head::{Head, elements};
use crate::secret::Credential;

/// How an entry begins that carries a credential in base64url.
pub const ENCODED: &str = "base64url.bearer.authorization.k8s.io.";

/// What a client offers (RFC 6455 section 4.1, item 10).
pub(super) struct Offer<'a> {
    /// The credential of the first entry that carries one.
    pub(super) credential: Option<Credential>,
    /// The first entry that carries none.
    pub(super) first_other: Option<&'a [u8]>,
}

impl<'a> Offer<'a> {
    /// What a handshake offers.
    pub(super) fn of(head: &Head<'a>, prefixes: &[String]) -> Self {
        let mut offer = Self { credential: None, first_other: None };
        for entry in elements(head.values("sec-websocket-protocol")) {
            match credential(entry, prefixes) {
                Some(found) => drop(offer.credential.get_or_insert(found)),
                None => drop(offer.first_other.get_or_insert(entry)),
            }
        }
        offer
    }
}

/// The entries of a field line that carry no credential; `None` where all of them do not.
pub(super) fn without_credentials(value: &[u8], prefixes: &[String]) -> Option<Vec<u8>> {
    let entries = || elements(std::iter::once(value));
    if !entries().any(|entry| carries(entry, prefixes)) {
        return None;
    }
    let others: Vec<_> = entries().filter(|entry| !carries(entry, prefixes)).collect();
    Some(others.join(&b", "[..]))
}

/// The credential that an entry carries, decoded; it is empty where it cannot be.
pub(super) fn credential(entry: &[u8], prefixes: &[String]) -> Option<Credential> {
    if let Some(encoded) = entry.strip_prefix(ENCODED.as_bytes()) {
        return Some(Credential::new(URL_SAFE_NO_PAD.decode(encoded).unwrap_or_default()));
    }
    let mut rests = prefixes.iter().filter_map(|prefix| entry.strip_prefix(prefix.as_bytes()));
    rests.next().map(|rest| Credential::new(rest.to_vec()))
}

fn carries(entry: &[u8], prefixes: &[String]) -> bool {
    entry.starts_with(ENCODED.as_bytes())
        || prefixes.iter().any(|prefix| entry.starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(entry: &str) -> Option<String> {
        let found = credential(entry.as_bytes(), &["openai-insecure-api-key.".to_owned()])?;
        Some(String::from_utf8_lossy(found.as_bytes()).into_owned())
    }

    #[test]
    fn a_credential_follows_a_prefix() {
        let kubernetes = |rest: &str| decoded(&format!("{ENCODED}{rest}"));
        assert_eq!(kubernetes("c2VjcmV0LW9uZT8-"), Some("secret-one?>".to_owned()));
        // Padding, the other alphabet, and nothing: presented, and nobody's.
        for wrong in ["c2VjcmV0LW9uZQ==", "c2VjcmV0LW9uZT8+", "!", ""] {
            assert_eq!(kubernetes(wrong), Some(String::new()), "{wrong}");
        }
        assert_eq!(decoded("openai-insecure-api-key.k.1"), Some("k.1".to_owned()));
        assert_eq!(decoded("openai-insecure-api-key"), None);
        assert_eq!(decoded("BASE64URL.bearer.authorization.k8s.io.aw"), None, "subprotocols have a case");
    }

    #[test]
    fn other_entries_stay() {
        let without = |value: &str| without_credentials(value.as_bytes(), &["x.".to_owned()]);
        assert_eq!(without("chat,  superchat"), None);
        assert_eq!(without("chat,x.k ,superchat").as_deref(), Some(&b"chat, superchat"[..]));
        assert_eq!(without("x.k, x.l").as_deref(), Some(&b""[..]));
    }
}
