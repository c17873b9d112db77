//! The credential that no output may hold, and the search for it in all its spellings.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// The credential of all tests. A part of it is a leak as well.
pub(crate) const CANARY: &str = "cAnArY.7f3b9c2e51d84a60~Q";

/// What the agent server knows the gateway by, where that authenticates: no output may hold it either.
pub(crate) const OURS: &str = "oUrS-c5e0a1d9724b46f8~Z";

/// The shortest piece of the canary that counts as a leak.
const PIECE: usize = 10;

/// Every byte percent-encoded.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Panics if `output` holds the canary, or a good part of it, in any spelling.
#[track_caller]
pub(crate) fn assert_silent(what: &str, output: &[u8]) {
    if let Some(spelling) = leak(output) {
        panic!("{what} leaks the canary ({spelling}):\n{}", String::from_utf8_lossy(output));
    }
}

/// Panics if `output` holds one canary, where the other belongs.
#[track_caller]
pub(crate) fn assert_without(what: &str, canary: &str, output: &[u8]) {
    if let Some(spelling) = leak_of(canary, output) {
        panic!("{what} has {canary} ({spelling}):\n{}", String::from_utf8_lossy(output));
    }
}

/// The spelling in which `output` holds a canary, or a good part of it.
pub(crate) fn leak(output: &[u8]) -> Option<&'static str> {
    [CANARY, OURS].into_iter().find_map(|canary| leak_of(canary, output))
}

fn leak_of(canary: &str, output: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(output);
    // Escapes are resolved twice, as a proxy may encode what a client had encoded.
    let once: Vec<u8> = percent_encoding::percent_decode(output).collect();
    let twice: Vec<u8> = percent_encoding::percent_decode(&once).collect();
    let (once, twice) = (String::from_utf8_lossy(&once), String::from_utf8_lossy(&twice));
    let lower = text.to_ascii_lowercase();
    let standard = text.replace('-', "+").replace('_', "/");
    for piece in canary.as_bytes().windows(PIECE) {
        let plain = std::str::from_utf8(piece).unwrap();
        let of_each = |write: &dyn Fn(&u8) -> String, between: &str| {
            piece.iter().map(write).collect::<Vec<_>>().join(between)
        };
        let hex = |between| of_each(&|byte| format!("{byte:02x}"), between);
        let reversed: String = plain.chars().rev().collect();
        if text.contains(plain) {
            return Some("raw");
        } else if once.contains(plain) || twice.contains(plain) {
            return Some("percent-encoded");
        } else if ["", " ", ":", "\\x", ", 0x"].iter().any(|between| lower.contains(&hex(between))) {
            return Some("hex");
        } else if text.contains(&of_each(&u8::to_string, ", ")) {
            return Some("decimal");
        } else if text.contains(&reversed) {
            return Some("reversed");
        }
        for shift in 0..3 {
            if standard.contains(&inner_base64(piece, shift)) {
                return Some("base64");
            }
        }
    }
    None
}

/// The base64 digits that stand for nothing but `piece` when `shift` bytes stand before it.
fn inner_base64(piece: &[u8], shift: usize) -> String {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(piece);
    let digits = STANDARD_NO_PAD.encode(&bytes);
    let first = (shift * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    digits[first..last].to_owned()
}
