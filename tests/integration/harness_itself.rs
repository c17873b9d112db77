use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use crate::harness::{
    CANARY, Gateway, Upstream, canary,
    canary::{leak, percent_encoded},
    opening,
};

#[test]
fn finds_the_canary_in_every_spelling() {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02X}")).collect();
    let shifted = |before: &str| URL_SAFE_NO_PAD.encode(format!("{before}{CANARY}; and more"));
    for (spelling, text) in [
        ("raw", CANARY.to_owned()),
        ("raw", format!("x{}", &CANARY[3..14])),
        ("percent-encoded", percent_encoded(CANARY)),
        ("percent-encoded", percent_encoded(CANARY).to_lowercase()),
        ("percent-encoded", CANARY.replace('3', "%33").replace('9', "%39").replace('a', "%61")),
        ("percent-encoded", percent_encoded(&percent_encoded(CANARY))),
        ("base64", STANDARD.encode(CANARY)),
        ("base64", shifted("")),
        ("base64", shifted("1")),
        ("base64", shifted("12")),
        ("hex", hex.clone()),
        ("hex", hex.to_lowercase()),
        ("decimal", format!("{:?}", CANARY.as_bytes())),
    ] {
        assert_eq!(leak(format!("before {text} behind").as_bytes()), Some(spelling), "{text}");
    }
}

#[test]
fn finds_nothing_where_nothing_is() {
    for text in ["", "GET /…?… 200", "cAnArY", &CANARY[..9], "0123456789abcdefghijklmnopqrstuvwxyz"] {
        assert_eq!(leak(text.as_bytes()), None, "{text}");
    }
}

#[test]
#[should_panic(expected = "the access log leaks the canary (percent-encoded)")]
fn a_leak_fails_a_test() {
    let line = format!("{{\"target\":\"/s?{}\"}}", percent_encoded(CANARY));
    canary::assert_silent("the access log", line.as_bytes());
}

#[test]
#[should_panic(expected = "the log file leaks the canary (raw)")]
fn a_leak_into_a_log_file_fails_a_test() {
    let upstream = Upstream::echoing();
    let gateway =
        crate::harness::setup::Setup::before(&upstream).set("access_log.path", "access.log").start();
    drop(gateway.upgrade(&opening("/s", &[])));
    // A bare segment of the path is what hushgate shows, and README says so.
    drop(gateway.upgrade(&opening(&format!("/{CANARY}"), &[])));
    drop(gateway);
}

#[test]
#[should_panic(expected = "the access log leaks the canary (raw)")]
fn a_leak_into_standard_output_fails_a_test() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    drop(gateway.upgrade(&opening(&format!("/{CANARY}"), &[])));
    drop(gateway);
}
