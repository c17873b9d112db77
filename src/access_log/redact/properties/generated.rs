//! The laws over generated targets.

use proptest::{collection::vec, prelude::*, sample::select, test_runner::FileFailurePersistence};

use super::redacting_is_sound;

/// Pieces of which a target is made so that it holds what may be shown and what may not.
const PIECES: [&str; 28] = [
    "resend_mode=all",
    "resend_mode=a%20b",
    "resend%5Fmode=all",
    "resend_mode",
    "limit=",
    "limit=1",
    "session_api_key=secret",
    "session%5Fapi_key=secret",
    "token=secret",
    "to%6ben=secret",
    "secret",
    "&",
    "&",
    "&",
    "&",
    "?",
    "=",
    ";",
    "%",
    "#",
    "+",
    "/",
    "\"",
    "\\",
    "\r\n",
    "\u{1b}[2J",
    "\u{2026}",
    "path",
];

fn target() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        30 => select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
        1 => (select(&b"a/=&\x01"[..]), 200..1200_usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    (select(&["/", "/?", "/a?", "/a/b?resend_mode=", "/a?limit=", ""][..]), vec(piece, 0..12))
        .prop_map(|(start, pieces)| [start.as_bytes(), &pieces.concat()].concat())
}

fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases: 1024, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn redacting_holds_for_targets(target in target(), filler in vec(any::<u8>(), 0..40)) {
        redacting_is_sound(&target, &filler);
    }

    #[test]
    fn redacting_holds_for_any_bytes(target in vec(any::<u8>(), 0..80), filler in vec(any::<u8>(), 0..40)) {
        redacting_is_sound(&target, &filler);
    }
}
