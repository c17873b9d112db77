//! Credentials that we make ourselves: `hgk_`, 33 characters that are random, and 6 that check the rest.
//!
//! All of them are letters, digits and `_`, so that one stands anywhere without being escaped, and is
//! marked by a double click. The beginning lets scanners find those that leaked, as
//! `hgk_[0-9A-Za-z]{39}`; the check tells a typing error from a wrong credential, without asking anybody.

use zeroize::Zeroizing;

use super::Wiped;

/// What they begin with.
pub const PREFIX: &str = "hgk_";

/// What tickets begin with, which are made alike and are good for half a minute.
pub const TICKET: &str = "hgt_";

/// What cookies begin with, which are made otherwise and say since when they are good.
pub const COOKIE: &str = "hgc_";

/// How many random bytes one is made of: 192 bits that nobody guesses.
pub const RANDOM: usize = 24;

/// In the order of their values.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many digits hold any 8 bytes: 62¹¹ is more than 2⁶⁴.
const DIGITS_OF_EIGHT: usize = 11;

/// So many digits hold a checksum: 62⁶ is more than 2³².
const DIGITS_OF_CHECK: usize = 6;

/// How long one is.
const LENGTH: usize = PREFIX.len() + RANDOM / 8 * DIGITS_OF_EIGHT + DIGITS_OF_CHECK;

/// Makes a credential of bytes that have to be random, behind one of the prefixes. Different bytes make
/// different credentials.
pub fn make(prefix: &str, random: &Zeroizing<[u8; RANDOM]>) -> Wiped {
    let mut made = Wiped::with_capacity(LENGTH);
    made.append(prefix.as_bytes());
    for eight in random.chunks(8) {
        let number = eight.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        append_digits(&mut made, number, DIGITS_OF_EIGHT);
    }
    let check = crc32fast::hash(made.as_bytes());
    append_digits(&mut made, check.into(), DIGITS_OF_CHECK);
    made
}

/// Whether these bytes are a credential as [`make`] makes them, with nothing mistyped or cut.
pub fn is_ours(credential: &[u8]) -> bool {
    let Some((checked, check)) = credential.split_at_checked(LENGTH - DIGITS_OF_CHECK) else { return false };
    let Some(random) = checked.strip_prefix(PREFIX.as_bytes()) else { return false };
    let mut expected = Wiped::with_capacity(DIGITS_OF_CHECK);
    append_digits(&mut expected, crc32fast::hash(checked).into(), DIGITS_OF_CHECK);
    random.iter().all(u8::is_ascii_alphanumeric) && check == expected.as_bytes()
}

/// Appends so many digits of a number, the last one first.
fn append_digits(to: &mut Wiped, number: u64, count: usize) {
    let mut rest = number;
    for _ in 0..count {
        let digit = usize::try_from(rest % 62).ok().and_then(|at| DIGITS.get(at..=at));
        to.append(digit.unwrap_or_default());
        rest /= 62;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(random: [u8; RANDOM]) -> String {
        String::from_utf8(make(PREFIX, &Zeroizing::new(random)).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn has_its_form() {
        // Worked out with another implementation of CRC-32.
        assert_eq!(made([0; RANDOM]), "hgk_000000000000000000000000000000000QKVBn2");
        assert_eq!(made([0xff; RANDOM]).len(), LENGTH);
    }

    proptest! {
        #[test]
        fn is_told_from_everything_else(
            random in any::<[u8; RANDOM]>(),
            other in any::<[u8; RANDOM]>(),
            at in 0..LENGTH,
            by in "[0-9A-Za-z_]",
        ) {
            let ours = made(random);
            prop_assert!(is_ours(ours.as_bytes()));
            prop_assert!(ours.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            prop_assert_eq!(random == other, ours == made(other));
            let mut mistyped = ours.clone();
            mistyped.replace_range(at..=at, &by);
            prop_assert_eq!(is_ours(mistyped.as_bytes()), mistyped == ours);
            prop_assert!(!is_ours(&ours.as_bytes()[..at]));
            prop_assert!(!is_ours((ours + &by).as_bytes()));
        }

        #[test]
        fn anything_else_is_not_ours(text in "(hgk_)?[0-9A-Za-z]{0,50}") {
            prop_assert!(!is_ours(text.as_bytes()));
        }
    }
}
