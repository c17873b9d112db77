//! Frames, as a client sends them.

/// What masks them.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame that begins with `first`, whose payload is no longer than 65,535 bytes.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u8::try_from(payload.len()) {
        Ok(short @ 0..=125) => bytes.push(0x80 | short),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
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
