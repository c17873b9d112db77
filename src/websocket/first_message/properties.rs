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
    if look == Look::Enough {
        on.append(rest);
    }
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
        let header = rest.len() - payload.len();
        let payload = usize::try_from(length).ok().and_then(|length| payload.get(..length));
        let Some(payload) = payload.filter(|_| !is_unfit(rest)) else { break };
        let opcode = first & 0x0f;
        let is_last = first & 0x80 != 0;
        let (frame, behind) = rest.split_at(header + payload.len());
        match (opcode, second & 0x7f) {
            (9 | 10, ..=125) if is_last => control.extend_from_slice(frame),
            (8, ..=125) if is_last => {
                // Fragments of a message that never ends do not go on.
                return Ok(Naive { goes_on: [&control[..], rest].concat(), credential: None });
            }
            (0 | 1, _) if (opcode == 1) == (fragments == 0) && fragments < 64 => {
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
    let is_whole = |Header { length, payload, .. }: Header<'_>| {
        usize::try_from(length).is_ok_and(|length| payload.len() >= length)
    };
    if !is_unfit(rest) && !header(rest).is_some_and(is_whole) {
        // What does not end goes no further.
        return Ok(Naive { goes_on: control, credential: None });
    }
    Ok(Naive { goes_on: [&control[..], &held, rest].concat(), credential: None })
}

/// Whether as much as there is of a frame tells that no such message can begin with it.
fn is_unfit(frame: &[u8]) -> bool {
    let number = |from: usize, to: usize| {
        frame.get(from..to).map(|bytes| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let Some(first) = frame.first() else { return false };
    let is_control = first & 0x08 != 0;
    if !matches!(first & 0x7f, 0 | 1 | 8 | 9 | 10) || is_control && first & 0x80 == 0 {
        return true;
    }
    let Some(second) = frame.get(1) else { return false };
    let length = match second & 0x7f {
        126 | 127 if is_control => return true,
        126 => number(2, 4),
        127 => number(2, 10),
        short => Some(short.into()),
    };
    second & 0x80 == 0 || length.is_some_and(|length| length > 4096)
}

/// Whether a message is an authentication message, and its credential, if that is a text.
fn authentication(text: &[u8]) -> Result<Option<Option<Vec<u8>>>, Undecided> {
    let is_json = serde_json::from_slice::<IgnoredAny>(text).is_ok();
    let value = match serde_json::from_slice::<Value>(text) {
        Ok(value) => value,
        Err(_) if is_json => return Err(Undecided),
        Err(_) => {
            let text = String::from_utf8_lossy(text);
            let is_like_one = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']).starts_with('{')
                && text.contains("\"auth\"")
                && text.contains("\"session_api_key\"");
            return Ok(is_like_one.then_some(None));
        }
    };
    let is_authentication = value.get("type").and_then(Value::as_str) == Some("auth");
    let credential = value.as_object().and_then(|members| members.get("session_api_key"));
    let credential = credential.filter(|_| is_authentication);
    Ok(credential.map(|credential| credential.as_str().map(|credential| credential.as_bytes().to_vec())))
}
