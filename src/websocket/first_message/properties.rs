//! The laws of the first message, stated once. A law takes bytes and panics when it does not hold;
//! generated tests and the fuzz target `first_message` share them.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::{FirstMessage, LONGEST, Look, Redundant, Step};
use crate::{
    secret::Wiped,
    websocket::properties::{Header, header},
};

/// The laws of the first message, for any bytes as a client's stream that comes in pieces of the given
/// lengths, over and over; zero counts as one.
///
/// # Panics
/// When one does not hold.
pub fn taking_out_is_sound(stream: &[u8], pieces: &[u8]) {
    let Ok(naive) = naive(stream) else { return };
    for pieces in [&[][..], &[1], pieces] {
        let passed = passed(stream, pieces);
        assert_eq!(passed, naive.goes_on, "what goes on, in pieces of {pieces:?}");
    }
    assert_eq!(heard(stream), naive.credential, "the credential that is heard");
}

/// What goes on of a stream, in all.
fn passed(stream: &[u8], pieces: &[u8]) -> Vec<u8> {
    let (mut redundant, mut on, mut look) = (Redundant::default(), Wiped::default(), Look::Further);
    let mut lengths = pieces.iter().map(|length| usize::from(*length).max(1)).cycle();
    let mut rest = stream;
    while look == Look::Further && !rest.is_empty() {
        let length = lengths.next().unwrap_or(rest.len()).min(rest.len());
        let (piece, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        look = redundant.pass(piece, &mut on);
        rest = behind;
    }
    if look == Look::Further {
        on.append(redundant.into_held().as_bytes());
    }
    on.append(rest);
    on.as_bytes().to_vec()
}

/// The credential of the first message, as the gateway waits for it.
fn heard(stream: &[u8]) -> Option<Vec<u8>> {
    let (mut message, mut rest) = (FirstMessage::default(), stream);
    loop {
        let (length, step) = message.take(rest).ok()??;
        match step {
            Step::Whole => {
                let credential = message.authentication()?.credential?;
                return Some(credential.as_bytes().to_vec());
            }
            Step::Close(_) => return None,
            Step::Ping(pong) => {
                assert!(
                    length == pong.as_bytes().len() + 4,
                    "a Pong is as long as its Ping, but for the mask"
                );
            }
            Step::Part | Step::Pong => {}
        }
        assert!(length > 0, "it goes no further");
        rest = rest.get(length..).unwrap_or_default();
    }
}

struct Naive {
    goes_on: Vec<u8>,
    credential: Option<Vec<u8>>,
}

/// The naive reader cannot tell: it keeps every value, and a number may be too large for it.
struct Undecided;

/// The same by reading whole frames.
fn naive(stream: &[u8]) -> Result<Naive, Undecided> {
    let (mut control, mut held, mut text, mut rest) = (Vec::new(), Vec::new(), Vec::new(), stream);
    let mut fragments = 0;
    while let Some(Header { first, second, length, mask, payload }) = header(rest) {
        let payload = usize::try_from(length).ok().and_then(|length| payload.get(..length));
        let Some(payload) = payload.filter(|_| second & 0x80 != 0 && first & 0x70 == 0) else { break };
        let opcode = first & 0x0f;
        let is_last = first & 0x80 != 0;
        let header = if second & 0x7f == 126 { 8 } else { 6 };
        let (frame, behind) = rest.split_at(header + payload.len());
        match (opcode, second & 0x7f) {
            (9 | 10, ..=125) if is_last => control.extend_from_slice(frame),
            (0 | 1, ..=126) if (opcode == 1) == (fragments == 0) && fragments < 64 => {
                text.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
                if text.len() > LONGEST {
                    break;
                }
                fragments += 1;
                if is_last {
                    if let Some(credential) = authentication(&text)? {
                        control.extend_from_slice(behind);
                        return Ok(Naive { goes_on: control, credential });
                    }
                    break;
                }
                held.extend_from_slice(frame);
            }
            _ => break,
        }
        rest = behind;
    }
    Ok(Naive { goes_on: [&control[..], &held, rest].concat(), credential: None })
}

/// Whether a message is an authentication message, and its credential, if that is a text.
fn authentication(text: &[u8]) -> Result<Option<Option<Vec<u8>>>, Undecided> {
    let is_json = serde_json::from_slice::<IgnoredAny>(text).is_ok();
    let value = match serde_json::from_slice::<Value>(text) {
        Ok(value) => value,
        Err(_) if is_json => return Err(Undecided),
        Err(_) => return Ok(None),
    };
    let is_authentication = value.get("type").and_then(Value::as_str) == Some("auth");
    let credential = value.as_object().and_then(|members| members.get("session_api_key"));
    let credential = credential.filter(|_| is_authentication);
    Ok(credential.map(|credential| credential.as_str().map(|credential| credential.as_bytes().to_vec())))
}
