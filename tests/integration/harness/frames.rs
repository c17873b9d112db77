//! Frames, as peers send them.

/// What masks them.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The first bytes of a frame, up to its mask.
pub(crate) fn header(first: u8, length: usize, is_masked: bool) -> Vec<u8> {
    let bit = if is_masked { 0x80 } else { 0 };
    let wide = u64::try_from(length).unwrap().to_be_bytes();
    match length {
        0..=125 => vec![first, bit | wide[7]],
        126..=65_535 => vec![first, bit | 126, wide[6], wide[7]],
        _ => [&[first, bit | 127], &wide[..]].concat(),
    }
}

/// A masked frame that begins with `first`.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len(), true);
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A masked text message.
pub(crate) fn text(payload: &str) -> Vec<u8> {
    masked(0x81, payload.as_bytes())
}

/// The message by which current clients present a credential.
pub(crate) fn authentication(credential: &str) -> Vec<u8> {
    text(&format!(r#"{{"type":"auth","session_api_key":"{credential}"}}"#))
}
