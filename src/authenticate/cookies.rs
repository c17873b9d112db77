//! What stands in a cookie of ours: whose it is, and since when, sealed so that only we can read or make it.
//!
//! `hgc_`, and in hexadecimal digits a nonce, the time, the digest of the caller's key, and a tag. Nothing is kept of a
//! cookie anywhere: whoever has the same signing keys reads it, after a restart and in another replica.
//! It is worth as much as the entry with that digest, and nothing once there is none. How long it counts is not for it to
//! say, so that another lifetime is one for cookies that were made before, too.
//!
//! The seal is ChaCha20-Poly1305 under a key that HKDF (RFC 5869) makes of a line of the file. The nonce is made of
//! what is sealed, so that none is used twice for different cookies.

use std::time::{Duration, SystemTime};

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    hmac,
};

use crate::secret::{Digest, Wiped, issued};

/// The keys that cookies are sealed with.
pub struct SigningKeys(Vec<SigningKey>);

/// What is made of one line of the file.
struct SigningKey {
    seal: LessSafeKey,
    nonce: hmac::Key,
}

/// Why there are no signing keys in a file, and what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSigningKeys {
    /// There is nothing in it.
    Empty,
    /// There are more than [`MOST`] lines.
    TooMany,
    /// A line, counted from 1, is shorter than [`SHORTEST`], not visible ASCII, or begins like a comment, which
    /// somebody may take for no key.
    Line(usize),
}

/// The most keys: the one that is used, and those that were before.
pub const MOST: usize = 8;

/// The shortest key, in characters: 128 random bits, however they are written.
pub const SHORTEST: usize = 32;

/// The most by which the clocks of replicas may differ.
pub const SKEW: Duration = Duration::from_secs(60);

/// The bytes of what is sealed: a moment and a digest.
const SEALED: usize = 8 + 32;

/// The digits behind the prefix.
const ENCODED: usize = 2 * (NONCE_LEN + SEALED + CHACHA20_POLY1305_TAG);

/// The bytes of a tag (RFC 8439 section 2.8).
const CHACHA20_POLY1305_TAG: usize = 16;

impl SigningKeys {
    /// Reads one key a line. The first seals, and all of them open, so that a new first one ends no session.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn parse(file: &[u8]) -> Result<Self, NoSigningKeys> {
        let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
        let mut keys = Vec::new();
        for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
            let is_key =
                line.len() >= SHORTEST && line.iter().all(u8::is_ascii_graphic) && !line.starts_with(b"#");
            let key = Some(line).filter(|_| is_key).and_then(SigningKey::of);
            keys.push(key.ok_or(NoSigningKeys::Line(number + 1))?);
        }
        match keys.len() {
            0 => Err(NoSigningKeys::Empty),
            1..=MOST => Ok(Self(keys)),
            _ => Err(NoSigningKeys::TooMany),
        }
    }

    /// What presents the caller whose key has this digest, from now on; nothing where it is before 1970.
    pub fn seal(&self, caller: &Digest, now: SystemTime) -> Option<Wiped> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        // Rounded up: it counts no shorter than browsers are told.
        let made = now.as_secs() + u64::from(now.subsec_nanos() > 0);
        let mut sealed = [&made.to_be_bytes()[..], caller.as_bytes()].concat();
        let key = self.0.first()?;
        let nonce = key.nonce_of(&sealed)?;
        let bytes = *nonce.as_ref();
        key.seal.seal_in_place_append_tag(nonce, aad(), &mut sealed).ok()?;
        let mut out = Wiped::with_capacity(256);
        out.append(issued::COOKIE.as_bytes());
        bytes.iter().chain(&sealed).for_each(|byte| out.append(format!("{byte:02x}").as_bytes()));
        Some(out)
    }

    /// The digest of the key of whom this presents, and since when it does, if we have sealed it; not if it was made
    /// more than [`SKEW`] from now, by a clock that is wrong or by whoever has stolen a signing key.
    pub fn open(&self, presented: &[u8], now: SystemTime) -> Option<(Digest, SystemTime)> {
        let encoded = presented.strip_prefix(issued::COOKIE.as_bytes())?;
        let bytes = decoded(Some(encoded).filter(|encoded| encoded.len() == ENCODED)?)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let (made, caller) = self.0.iter().find_map(|key| key.open(*nonce, sealed))?;
        let made = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(made))?;
        (made <= now.checked_add(SKEW)?).then_some((caller, made))
    }
}

impl SigningKey {
    fn of(line: &[u8]) -> Option<Self> {
        let made = Salt::new(HKDF_SHA256, b"hushgate cookies 1").extract(line);
        let seal = UnboundKey::from(made.expand(&[b"seal"], &CHACHA20_POLY1305).ok()?);
        let nonce = hmac::Key::from(made.expand(&[b"nonce"], hmac::HMAC_SHA256).ok()?);
        Some(Self { seal: LessSafeKey::new(seal), nonce })
    }

    fn nonce_of(&self, sealed: &[u8]) -> Option<Nonce> {
        let tag = hmac::sign(&self.nonce, sealed);
        let (nonce, _) = tag.as_ref().split_first_chunk::<NONCE_LEN>()?;
        Some(Nonce::assume_unique_for_key(*nonce))
    }

    fn open(&self, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<(u64, Digest)> {
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened: &[u8] = self.seal.open_in_place(nonce, aad(), &mut sealed).ok()?;
        let opened: &[u8; SEALED] = opened.try_into().ok()?;
        let (made, caller) = opened.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*made), Digest::from(*caller.first_chunk::<32>()?)))
    }
}

/// The bytes of hexadecimal digits, in small letters as we write them.
fn decoded(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(value(*high)? << 4 | value(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// What is sealed with these keys is a cookie, and nothing else.
fn aad() -> Aad<&'static [u8]> {
    Aad::from(issued::COOKIE.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an-old-signing-key-0123456789abcdef";
    const NEW: &str = "a-new-signing-key-0123456789abcdefg";

    fn keys(file: &str) -> SigningKeys {
        SigningKeys::parse(file.as_bytes()).map_err(|problem| format!("{problem:?}")).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn alice() -> Digest {
        Digest::of(b"alice's key")
    }

    #[test]
    fn a_cookie_presents_its_caller_since_it_was_made() {
        let keys = keys(OLD);
        let cookie = keys.seal(&alice(), at(100)).unwrap();
        assert!(cookie.as_bytes().starts_with(b"hgc_"));
        assert_eq!(keys.open(cookie.as_bytes(), at(100)), Some((alice(), at(100))));
        assert_eq!(keys.open(cookie.as_bytes(), at(40)), Some((alice(), at(100))), "another clock");
        assert_eq!(keys.open(cookie.as_bytes(), at(39)), None);
        let later = keys.seal(&alice(), at(99) + Duration::from_nanos(1)).unwrap();
        assert_eq!(later.as_bytes(), cookie.as_bytes());
        assert_eq!(cookie.as_bytes().len(), "hgc_".len() + ENCODED);
        let other = keys.seal(&Digest::of(b"bob's key"), at(100)).unwrap();
        assert_ne!(other.as_bytes(), cookie.as_bytes());
        // Neither the digest nor the time is in it for whoever has no key.
        let bytes = decoded(&cookie.as_bytes()[4..]).unwrap();
        assert_eq!(bytes.len(), NONCE_LEN + SEALED + 16);
        assert!(!bytes.windows(8).any(|window| alice().as_bytes().windows(8).any(|digest| digest == window)));
    }

    #[test]
    fn what_is_altered_or_not_ours_presents_nobody() {
        let keys = keys(OLD);
        let cookie = keys.seal(&alice(), at(100)).unwrap();
        let cookie = cookie.as_bytes();
        for index in 0..cookie.len() {
            for by in *b"0fFz= " {
                let mut altered = cookie.to_vec();
                altered[index] = by;
                let is_same = altered == cookie;
                assert_eq!(keys.open(&altered, at(100)).is_some(), is_same, "{index}");
            }
            assert_eq!(keys.open(&cookie[..index], at(100)), None);
        }
        assert_eq!(keys.open(&[cookie, b"a"].concat(), at(100)), None);
        assert_eq!(keys.open(alice().to_string().as_bytes(), at(100)), None);
    }

    #[test]
    fn the_first_key_seals_and_all_of_them_open() {
        let (old, both, new) = (keys(OLD), keys(&format!("{NEW}\r\n\n{OLD}\n")), keys(NEW));
        let before = old.seal(&alice(), at(100)).unwrap();
        let after = both.seal(&alice(), at(100)).unwrap();
        let opens = |keys: &SigningKeys, cookie: &Wiped| keys.open(cookie.as_bytes(), at(100)).is_some();
        assert!(opens(&both, &before) && opens(&both, &after) && opens(&new, &after));
        assert!(!opens(&new, &before) && !opens(&old, &after));
        assert_eq!(new.seal(&alice(), at(100)).unwrap().as_bytes(), after.as_bytes(), "replicas agree");
    }

    #[test]
    fn a_file_without_keys_says_what_is_wrong() {
        let problem = |file: &str| SigningKeys::parse(file.as_bytes()).err();
        assert_eq!(problem("\n \n"), Some(NoSigningKeys::Empty));
        assert_eq!(problem(&format!("{OLD}\nshort")), Some(NoSigningKeys::Line(2)));
        assert_eq!(problem(&"k".repeat(31)), Some(NoSigningKeys::Line(1)));
        assert_eq!(problem(&"two words ".repeat(9)), Some(NoSigningKeys::Line(1)));
        assert_eq!(problem(&format!("#{OLD}")), Some(NoSigningKeys::Line(1)));
        assert_eq!(problem(&format!("{OLD}\n").repeat(9)), Some(NoSigningKeys::TooMany));
        assert_eq!(problem(&format!("{OLD}\n").repeat(8)), None);
    }
}
