//! What is looked at only where the gateway decides: more carriers, and fields that go no further.

use super::OPENING;
use crate::{
    config::{Config, Mode},
    handshake::{
        Admitted, CredentialSource, Hop, Passage, Refusal, examine, head::Head, subprotocol::ENCODED,
    },
    secret::Wiped,
};

const REQUIRE: &str = "[upstream]\ncredential_file = \"c\"\n[authentication]\nmode = \"require\"\n\
                       keyring = \"k\"\nsigning_key_file = \"s\"\nsubprotocol_prefixes = [\"openai-insecure-api-key.\"]\n";

/// What a request presents, and the head that goes on once its caller is verified, without its end.
fn verified(head: &str) -> Result<(CredentialSource, String, Admitted), Refusal> {
    let Ok(loaded) = Config::parse(REQUIRE, []) else { panic!("no configuration") };
    let Mode::Require(require) = &loaded.config.authentication.mode else { panic!("not require") };
    let head = Head::parse(head.as_bytes(), 100)?;
    let rules = &loaded.config.handshake;
    let examined = examine(&head, rules, Some(require))?;
    let presented = examined.credential(rules).unwrap_or_default();
    let presented = String::from_utf8_lossy(presented).into_owned();
    let passage = Passage::Verified { credential: &Wiped::copy_of(b"ours"), caller: "alice" };
    let hop = Hop { peer: None, is_tls: false, trusted_proxies: &[] };
    Ok((examined.source, presented, examined.write(&head, rules, &hop, &passage)?))
}

fn opening(fields: &str) -> Result<(CredentialSource, String, Admitted), Refusal> {
    verified(&format!("GET /s HTTP/1.1\r\n{OPENING}{fields}\r\n"))
}

fn plain(target: &str, fields: &str) -> (CredentialSource, String, Admitted) {
    verified(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).map_err(Refusal::label).unwrap()
}

fn text(admitted: &Admitted) -> &str {
    std::str::from_utf8(admitted.head.as_bytes()).unwrap()
}

#[test]
fn a_subprotocol_carries_a_credential_and_the_others_go_on() {
    let offered =
        format!("Sec-WebSocket-Protocol: chat, {ENCODED}c2VjcmV0\r\nSec-WebSocket-Protocol: more\r\n");
    let (source, presented, admitted) = opening(&offered).map_err(Refusal::label).unwrap();
    assert_eq!((source, presented.as_str()), (CredentialSource::Subprotocol, "secret"));
    assert!(text(&admitted).contains("\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: more\r\n"));
    assert!(text(&admitted).contains("\r\nX-Session-API-Key: ours\r\n"));
    assert_eq!(admitted.subprotocol.as_deref(), Some(&b"chat"[..]));
    // Of several the first decides, and none goes on.
    let offered = format!(
        "Sec-WebSocket-Protocol: openai-insecure-api-key.k\r\nSec-WebSocket-Protocol: {ENCODED}aw,x\r\n"
    );
    let (_, presented, admitted) = opening(&offered).map_err(Refusal::label).unwrap();
    assert_eq!(presented, "k");
    let lines = text(&admitted).lines().filter(|line| line.starts_with("Sec-WebSocket-Protocol"));
    assert_eq!(lines.collect::<Vec<_>>(), ["Sec-WebSocket-Protocol: x"]);
    let alone = format!("Sec-WebSocket-Protocol: {ENCODED}aw\r\n");
    assert_eq!(opening(&alone).err(), Some(Refusal::NoSubprotocol));
}

#[test]
fn the_first_carrier_decides_alone_and_the_others_do_not_go_on() {
    let offered = format!("Sec-WebSocket-Protocol: {ENCODED}aw, chat\r\nX-Session-API-Key:\r\n");
    let (source, presented, admitted) = opening(&offered).map_err(Refusal::label).unwrap();
    assert_eq!((source, presented.as_str()), (CredentialSource::Field, ""));
    assert!(!text(&admitted).contains(ENCODED));
    assert_eq!(admitted.subprotocol.as_deref(), Some(&b"chat"[..]));
    let fields = "Authorization: Bearer other\r\nX-Session-API-Key: k\r\n";
    let (source, presented, admitted) = plain("/v1/models", fields);
    assert_eq!((source, presented.as_str()), (CredentialSource::Field, "k"));
    assert!(!text(&admitted).contains("other"));
}

#[test]
fn a_bearer_token_counts_below_v1_and_nowhere_else() {
    for (value, presented) in [("Bearer k", "k"), ("bearer  k", "k"), ("BEARER", ""), ("Bearer ", "")] {
        let (source, found, admitted) = plain("/v1/models?x", &format!("Authorization: {value}\r\n"));
        assert_eq!((source, found.as_str()), (CredentialSource::Bearer, presented), "{value}");
        assert!(!text(&admitted).contains("Authorization"), "{value}");
        assert!(text(&admitted).contains("\r\nX-Session-API-Key: ours\r\n"));
    }
    assert_eq!(plain("/v1/models", "Authorization: Basic azo=\r\n").0, CredentialSource::None);
    for (target, may_be_v1) in [
        ("/api/v1/models", false),
        ("/v10/x", false),
        ("/", false),
        // A server could read these as such.
        ("/v1", true),
        ("/V1/models", true),
        ("/%76%31/models", true),
        ("/./v1/models", true),
    ] {
        let (source, _, admitted) = plain(target, "Authorization: Bearer k\r\n");
        assert_eq!(source, CredentialSource::None, "{target}");
        let goes_on = text(&admitted).contains("\r\nAuthorization: Bearer k\r\n");
        assert_eq!(goes_on, !may_be_v1, "{target}: somebody else's");
    }
    assert_eq!(opening("Authorization: Bearer k\r\n").map(|found| found.0), Ok(CredentialSource::None));
    let realtime = format!("GET /v1/realtime HTTP/1.1\r\n{OPENING}Authorization: Bearer k\r\n\r\n");
    assert_eq!(verified(&realtime).map(|found| found.0), Ok(CredentialSource::Bearer));
}

#[test]
fn a_cookie_counts_for_the_files_of_a_workspace_and_never_goes_on() {
    const FILES: &str = "/api/conversations/1/workspace/a.html?x";
    let cookie = "Cookie: a=1; oh_workspace_session_key=old; b=2\r\nCookie: oh_workspace_session_key=k\r\n";
    let (source, presented, admitted) = plain(FILES, cookie);
    assert_eq!(
        (source, presented.as_str()),
        (CredentialSource::Cookie, "k"),
        "the last, as for the agent server"
    );
    assert!(text(&admitted).contains("\r\nCookie: a=1; b=2\r\n"));
    assert!(!text(&admitted).contains("oh_workspace_session_key"));
    assert!(text(&admitted).contains("\r\nX-Session-API-Key: ours\r\n"));
    // It is the last to be looked at, and the field before it decides alone.
    let (source, presented, _) = plain(FILES, &format!("{cookie}X-Session-API-Key: f\r\n"));
    assert_eq!((source, presented.as_str()), (CredentialSource::Field, "f"));
    for (method, target) in [
        ("POST", FILES),
        ("DELETE", FILES),
        ("GET", "/api/conversations/1"),
        ("GET", "/api/conversations/1/workspace/../events"),
        ("GET", "/"),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{cookie}\r\n");
        let (source, _, admitted) = verified(&request).map_err(Refusal::label).unwrap();
        assert_eq!(source, CredentialSource::None, "{method} {target}");
        assert!(!text(&admitted).contains("oh_workspace_session_key"), "{method} {target}");
    }
    let (source, presented, admitted) = opening(cookie).map_err(Refusal::label).unwrap();
    assert_eq!((source, presented.as_str()), (CredentialSource::Cookie, "k"));
    assert!(!text(&admitted).contains("oh_workspace_session_key"));
}

#[test]
fn no_extension_is_offered_upstream() {
    let fields = "X-Session-API-Key: k\r\nSec_WebSocket-Extensions: permessage-deflate\r\n";
    let (_, _, admitted) = opening(fields).map_err(Refusal::label).unwrap();
    assert!(!text(&admitted).contains("Extensions"));
    assert!(admitted.subprotocol.is_none());
}
