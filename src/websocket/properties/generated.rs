//! The laws over generated streams.

use proptest::{collection::vec, prelude::*, sample::select, test_runner::FileFailurePersistence};

use super::{followed, following_is_sound};

/// One frame (RFC 6455 section 5.2), masked or not.
pub(in crate::websocket) fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(bit | u8::try_from(short).unwrap()),
        medium @ 126..=0xffff => {
            bytes.push(bit | 126);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(bit | 127);
            bytes.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default();
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// Frames that are not Close frames: data, fragments, compressed ones, pings and pongs.
fn open_frame() -> impl Strategy<Value = Vec<u8>> {
    let data = (
        select(&[0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0xc1][..]),
        prop_oneof![
            6 => vec(any::<u8>(), 0..130),
            2 => vec(Just(0x88), 120..130),
            1 => vec(Just(0x88), 65_530..65_540),
        ],
    );
    let control = (select(&[0x89, 0x8a][..]), vec(any::<u8>(), 0..=125));
    (prop_oneof![4 => data, 1 => control], any::<Option<[u8; 4]>>())
        .prop_map(|((first, payload), mask)| frame(first, mask, &payload))
}

/// A stream without a Close frame, and the bytes of one.
fn stream() -> impl Strategy<Value = (Vec<u8>, Option<[u8; 4]>, Option<u16>, Vec<u8>)> {
    let code = proptest::option::weighted(0.8, any::<u16>());
    (vec(open_frame(), 0..6), any::<Option<[u8; 4]>>(), code, vec(any::<u8>(), 0..=123))
        .prop_map(|(frames, mask, code, reason)| (frames.concat(), mask, code, reason))
}

fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases: 512, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_close_code_of_a_valid_stream_is_found(
        (mut stream, mask, code, reason) in stream(),
        pieces in vec(any::<u8>(), 1..8),
        after in vec(any::<u8>(), 0..20),
    ) {
        let open = followed(&stream, &pieces);
        prop_assert!(!open.has_close());
        let payload = code.map(|code| [&code.to_be_bytes()[..], &reason].concat());
        stream.extend(frame(0x88, mask, &payload.unwrap_or_default()));
        stream.extend(after);
        let closed = followed(&stream, &pieces);
        prop_assert_eq!((closed.has_close(), closed.close_code()), (true, code));
        following_is_sound(&stream, &pieces);
    }

    #[test]
    fn following_holds_for_nearly_valid_streams(
        frames in vec(open_frame(), 0..3),
        damage in vec(select(&[0x88, 0x08, 0xfe, 0xff, 0x7e, 0x7f, 0x80, 0, 2, 3][..]), 0..20),
        pieces in vec(any::<u8>(), 1..8),
    ) {
        following_is_sound(&[frames.concat(), damage].concat(), &pieces);
    }

    #[test]
    fn following_holds_for_any_bytes(
        stream in vec(any::<u8>(), 0..300),
        pieces in vec(any::<u8>(), 1..8),
    ) {
        following_is_sound(&stream, &pieces);
    }
}
