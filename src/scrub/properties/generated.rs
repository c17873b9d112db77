//! The laws of scrubbing, over generated texts.

use proptest::{prelude::*, sample::select, test_runner::FileFailurePersistence};

use super::{replacing_is_sound, scrubbing_is_sound, what_is_planted_is_gone};

/// Pieces of logs: whatever has a meaning somewhere, and what stands between.
const WORDS: [&str; 62] = [
    "session_api_key",
    "session%5Fapi_key",
    "%73ession_api_key",
    "\\u0073ession_api_key",
    "X-Session-API-Key",
    "api",
    "_",
    "key",
    "apiKey",
    "token",
    "access_token",
    "Authorization",
    "authorization",
    "Cookie",
    "Bearer",
    "bearer ",
    "Basic ",
    "base64url.bearer.authorization.k8s.io.",
    "k-1",
    "dXNlcjprLTE=",
    "REDACTED",
    "null",
    "=",
    ":",
    ",",
    ";",
    "&",
    "?",
    "#",
    "%3D",
    "%3d",
    "%253D",
    "%26",
    "%2526",
    "%22",
    "%25",
    "%5C",
    "%",
    "\\u0026",
    "\\u003d",
    "\\x22",
    "\\x3D",
    "\\n",
    "\\",
    "\"",
    "\\\"",
    "\\\\\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "(",
    " ",
    "\t",
    "\n",
    "\r\n",
    "://",
    "@",
    "\u{e9}",
    "value",
    "/",
];

fn text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        12 => select(WORDS.as_slice()).prop_map(|word| word.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => "[a-zA-Z0-9]{1,9}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat())
}

fn lengths() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1..20_u8, 1..4)
}

fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig {
        cases: 512,
        max_shrink_iters: 1000,
        failure_persistence: Some(Box::new(kept)),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn scrubbing(text in text(), lengths in lengths()) {
        scrubbing_is_sound(&text, &lengths);
    }

    #[test]
    fn planting(text in text(), carrier in any::<u8>()) {
        what_is_planted_is_gone(&text, carrier);
    }

    #[test]
    fn replacing(text in text(), lengths in lengths()) {
        replacing_is_sound(&text, &lengths);
    }
}
