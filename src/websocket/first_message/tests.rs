use proptest::{collection::vec, prelude::*, sample::select, test_runner::FileFailurePersistence};

use super::{Authentication, FirstMessage, Look, Redundant, Step, Unfit, properties::taking_out_is_sound};
use crate::{secret::Wiped, websocket::properties::generated};

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    generated::frame(first, Some([0x37, 0xfa, 0x21, 0x3d]), payload)
}

fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}

const GOOD: &str = r#"{"type":"auth","session_api_key":"k"}"#;

fn credential(message: &str) -> Option<Option<String>> {
    let said = Authentication::parse(message.as_bytes()).ok()??;
    Some(said.credential.map(|credential| String::from_utf8(credential.as_bytes().to_vec()).unwrap()))
}

#[test]
fn an_authentication_message_is_an_object_of_that_type_with_a_credential() {
    let k = Some(Some("k".to_owned()));
    for (message, expected) in [
        (GOOD, k.clone()),
        (" {\"session_api_key\" : \"\\u006b\", \"x\": [1e999, {}], \"type\":\"auth\"}\n", k.clone()),
        (r#"{"type":1,"type":"auth","session_api_key":"a","session_api_key":"k"}"#, k.clone()),
        (r#"{"type":"auth","session_api_key":1}"#, Some(None)),
        (r#"{"type":"auth","session_api_key":["k"]}"#, Some(None)),
        (r#"{"type":"auth","session_api_key":"k","session_api_key":null}"#, Some(None)),
        (r#"{"type":"auth","session_api_key":""}"#, Some(Some(String::new()))),
        (r#"{"type":"auth"}"#, None),
        (r#"{"type":"authenticate","session_api_key":"k"}"#, None),
        (r#"{"session_api_key":"k"}"#, None),
        (r#"[{"type":"auth","session_api_key":"k"}]"#, None),
        (r#"{"type":"auth","session_api_key":"k"} x"#, None),
        (r#"{"type":"auth","session_api_key":"k""#, None),
        ("no JSON", None),
        ("", None),
    ] {
        assert_eq!(credential(message), expected, "{message}");
    }
    assert!(Authentication::parse(b"{\"type\":\"auth\",\"session_api_key\":\"\xff\"}").is_err());
}

#[test]
fn what_can_be_no_such_message_is_told_by_its_header() {
    for stream in [
        &frame(0x82, b"")[..1],
        &frame(0xc1, b"")[..1],
        &frame(0x80, b""),
        &[0x81, 0x05],
        &[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0x10, 0x01],
        &[0x81, 0xfe, 0x10, 0x01],
        &[0x09],
        &[0x89, 0xfe],
        &[0x83],
        b"GET",
    ] {
        assert!(FirstMessage::default().take(stream).is_err(), "{stream:x?}");
    }
    // As long as may be.
    let longest = [frame(0x01, &[b' '; 4000]), frame(0x80, &[b' '; 96])].concat();
    let mut message = FirstMessage::default();
    let (length, step) = message.take(&longest).unwrap().unwrap();
    assert!(matches!(step, Step::Part));
    assert!(matches!(message.take(&longest[length..]), Ok(Some((_, Step::Whole)))));
    let (mut message, too_long) = (FirstMessage::default(), frame(0x80, &[b' '; 97]));
    message.take(&longest).unwrap();
    assert_eq!(message.take(&too_long).err(), Some(Unfit));
}

#[test]
fn a_message_in_pieces_without_end_is_none() {
    let (mut message, nothing) = (FirstMessage::default(), frame(0x00, b""));
    message.take(&frame(0x01, b"")).unwrap();
    let taken = (0..1000).take_while(|_| message.take(&nothing).is_ok()).count();
    assert_eq!(taken, 63);
}

#[test]
fn a_ping_is_answered_and_a_close_code_is_read() {
    let mut message = FirstMessage::default();
    let Ok(Some((_, Step::Ping(pong)))) = message.take(&frame(0x89, b"early")) else { panic!("no ping") };
    assert_eq!(pong.as_bytes(), b"\x8a\x05early");
    for (payload, reply) in [
        (&[0x03, 0xe8, b'x'][..], &[0x88, 2, 0x03, 0xe8][..]),
        (&[], &[0x88, 0]),
        (&[0x0f, 0xa0], &[0x88, 2, 0x0f, 0xa0]),
        // No code that may stand in a frame.
        (&[0x03], &[0x88, 2, 0x03, 0xea]),
        (&[0x03, 0xed], &[0x88, 2, 0x03, 0xea]),
        (&[0x27, 0x10], &[0x88, 2, 0x03, 0xea]),
    ] {
        let Ok(Some((_, Step::Close(said)))) = message.take(&frame(0x88, payload)) else {
            panic!("no Close")
        };
        assert_eq!(said.as_bytes(), reply, "{payload:x?}");
    }
}

fn passed(stream: &[u8]) -> (Vec<u8>, Look) {
    let mut on = Wiped::default();
    let look = Redundant::default().pass(stream, &mut on);
    (on.as_bytes().to_vec(), look)
}

#[test]
fn only_an_authentication_message_that_is_the_first_is_taken_out() {
    let (ping, other) = (frame(0x89, b"p"), text(r#"{"role":"user"}"#));
    let first = [&ping[..], &text(GOOD), &text(GOOD), &other].concat();
    assert_eq!(passed(&first), ([&ping[..], &text(GOOD), &other].concat(), Look::Enough));
    let second = [&other[..], &text(GOOD)].concat();
    assert_eq!(passed(&second), (second.clone(), Look::Enough));
    // With a wrong credential, or with more in it, it would be repeated as well.
    let more = text(r#"{"type":"auth","session_api_key":7,"x":1}"#);
    assert_eq!(passed(&more), (Vec::new(), Look::Enough));
    // Nor do those which only other readers of JSON take for one.
    for like in [
        r#"{"type":"auth","session_api_key":"k","x":NaN}"#,
        r#" {"type":"auth","session_api_key":"k","\ud800":1}"#,
    ] {
        assert_eq!(passed(&text(like)), (Vec::new(), Look::Enough), "{like}");
    }
    let mut wide = vec![0x81, 0xff];
    wide.extend(u64::try_from(GOOD.len()).unwrap().to_be_bytes());
    wide.extend([&[0; 4], GOOD.as_bytes()].concat());
    assert_eq!(passed(&wide), (Vec::new(), Look::Enough));
    // A message that never ends is nobody's.
    let endless = [frame(0x01, GOOD.as_bytes()), frame(0x88, b"")].concat();
    assert_eq!(passed(&endless), (frame(0x88, b""), Look::Enough));
    let (begin, end) = GOOD.split_at(9);
    let fragments = [frame(0x01, begin.as_bytes()), ping.clone(), frame(0x80, end.as_bytes()), other.clone()];
    assert_eq!(passed(&fragments.concat()), ([ping.clone(), other].concat(), Look::Enough));
    assert_eq!(passed(&fragments[..2].concat()), (ping, Look::Further));
}

fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases: 512, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

/// What a message may say, whole or in parts.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => Just(GOOD.as_bytes().to_vec()),
        2 => Just(GOOD.as_bytes()[..9].to_vec()),
        2 => Just(GOOD.as_bytes()[9..].to_vec()),
        1 => Just(br#"{"type":"auth","session_api_key":null}"#.to_vec()),
        1 => vec(any::<u8>(), 0..130),
        1 => vec(Just(b' '), 2000..4200),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_laws_hold_for_frames(
        frames in vec(
            (select(&[0x81, 0x81, 0x01, 0x00, 0x80, 0x89, 0x8a, 0x88, 0x82][..]), payload()),
            0..6,
        ),
        pieces in vec(any::<u8>(), 1..8),
    ) {
        let frames = frames.iter().map(|(first, payload)| frame(*first, payload));
        taking_out_is_sound(&frames.collect::<Vec<_>>().concat(), &pieces);
    }

    #[test]
    fn the_laws_hold_for_any_bytes(
        stream in vec(any::<u8>(), 0..60),
        pieces in vec(any::<u8>(), 1..8),
    ) {
        taking_out_is_sound(&stream, &pieces);
    }
}
