//! The rules of DESIGN section 3, one by one, where `tests.rs` has not told them already.

use super::{OPENING, carries, judged, opening, rules};
use crate::{
    config::{Handshake, PlainRequests},
    handshake::{Admitted, CredentialSource, Hop, Kind, Refusal, head::Head, judge},
};

fn judged_by(rules: &Handshake, head: &str) -> Result<Admitted, Refusal> {
    let hop = Hop { peer: None, is_tls: true, trusted_proxies: &[] };
    judge(&Head::parse(head.as_bytes(), 100)?, rules, &hop)
}

/// The lines of the head that goes on which begin with `name`, of any spelling.
fn lines(admitted: &Admitted, name: &str) -> Vec<String> {
    let text: String = admitted.head.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    let like = |line: &str| line.to_ascii_lowercase().replace('_', "-");
    let name = format!("{}:", like(name));
    text.lines().filter(|line| like(line).starts_with(&name)).map(str::to_owned).collect()
}

fn plain(target: &str, fields: &str, plain_requests: PlainRequests) -> Result<Admitted, Refusal> {
    judged(format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes(), plain_requests)
}

#[track_caller]
fn opens(from: &str, to: &str) {
    let head = format!("GET /s HTTP/1.1\r\n{OPENING}\r\n").replace(from, to);
    let kind = judged(head.as_bytes(), PlainRequests::Strip).map(|admitted| admitted.kind);
    assert_eq!(kind, Ok(Kind::OpeningHandshake), "{to}");
}

#[track_caller]
fn is_refused(from: &str, to: &str, refusal: Refusal) {
    let head = format!("GET /s HTTP/1.1\r\n{OPENING}\r\n").replace(from, to);
    assert_eq!(judged(head.as_bytes(), PlainRequests::Strip).err(), Some(refusal), "{to}");
}

#[test]
fn what_a_target_may_hold() {
    for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_graphic()) {
        let head = [&b"GET /s?a"[..], &[byte], b"b HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        assert!(judged(&head, PlainRequests::Strip).is_err(), "{byte:#x}");
    }
    for byte in (b'!'..=b'~').map(char::from) {
        let admitted = plain(&format!("/s?a{byte}b"), "", PlainRequests::Strip);
        assert_eq!(admitted.is_err(), "#\"<>`".contains(byte), "{byte}");
    }
}

#[test]
fn what_an_opening_handshake_is() {
    opens("websocket", "WebSocket");
    opens("Connection: Upgrade", "Connection: close, upgrade");
    opens("Connection: Upgrade", "Connection: keep-alive\r\nConnection: UPGRADE");
    opens("Host: h", "Host: h\r\nContent-Length: 0");
    opens("/s ", "/ ");
    let is_invalid = |from, to| is_refused(from, to, Refusal::InvalidHandshake);
    is_invalid("websocket", "websocket, h2c");
    is_invalid("websocket", "websocket/13");
    is_invalid("Host: h", "Host: h\r\nUpgrade: websocket");
    is_invalid("Host: h", "Host: h\r\nUpgrade: h2c");
    is_invalid("Connection: Upgrade", "Connection: close");
    is_invalid("Connection: Upgrade", "Connection: upgraded");
    is_invalid("Sec-WebSocket-Version: 13\r\n", "");
    is_invalid("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13");
    is_invalid("Host: h", "Host: h\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    is_invalid("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR==");
    is_invalid("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQAA");
    is_invalid("Host: h", "Host: h\r\nContent-Length: 1");
    is_invalid("Host: h", "Host: h\r\nTransfer-Encoding: chunked");
    is_invalid("Host: h", "Host: h\r\nExpect: 100-continue");
    is_refused("Version: 13", "Version: 8", Refusal::UnsupportedVersion);
    is_refused("Version: 13", "Version: 13, 8", Refusal::UnsupportedVersion);
}

#[test]
fn another_protocol_is_never_upgraded_to() {
    let fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n";
    let admitted = plain("/s?session_api_key=k", fields, PlainRequests::Strip).unwrap();
    assert_eq!(admitted.kind, Kind::Plain);
    assert!(lines(&admitted, "Upgrade").is_empty() && lines(&admitted, "HTTP2-Settings").is_empty());
}

#[test]
fn segments_are_cut_by_name_alone() {
    carries("/s?session_api_key=a&x=session_api_key=b&session_api_key=c", "", "/s?x=session_api_key=b", "c");
    carries("/s?&&session_api_key=k&&", "", "/s?&&&", "k");
    carries("/s?x&session_api_key==k", "", "/s?x", "=k");
    carries("/s?session_api_key=%25zz%zz%", "", "/s", "%zz%zz%");
    carries("/session_api_key=p?session_api_key=k", "", "/session_api_key=p", "k");
    carries("/s%3Fsession_api_key=p?session_api_key=k?", "", "/s%3Fsession_api_key=p", "k?");
    for other in
        ["a;session_api_key=k", "session_api_key%00=k", "session_api_key[]=k", "a%26session_api_key=k"]
    {
        let target = format!("/s?{other}");
        assert_eq!(opening(&target, "").unwrap(), (target, Vec::new(), CredentialSource::None));
    }
}

#[test]
fn a_segment_without_an_equals_sign_counts_as_empty() {
    carries("/s?session_api_key&session_api_key=k", "", "/s", "k");
    let refused = opening("/s?session_api_key=k&session%5Fapi_key", "X-Session-API-Key: k\r\n");
    assert_eq!(refused, Err(Refusal::UnusableCredential));
}

#[test]
fn aliases_count_as_one_parameter() {
    let mut rules = rules(PlainRequests::Strip);
    rules.parameters = vec!["session_api_key".to_owned(), "token".to_owned()];
    let head = format!("GET /s?token=a&session_api_key=b&x&t%6Fken=c HTTP/1.1\r\n{OPENING}\r\n");
    let admitted = judged_by(&rules, &head).unwrap();
    assert!(admitted.head.as_bytes().starts_with(b"GET /s?x HTTP/1.1\r\n"));
    assert_eq!(lines(&admitted, "X-Session-API-Key"), ["X-Session-API-Key: c"]);
}

#[test]
fn the_prefix_stands_before_the_query_value_only() {
    let mut rules = rules(PlainRequests::Strip);
    (rules.field, rules.field_spelling) = (http::header::AUTHORIZATION, "Authorization".to_owned());
    rules.prefix = "Bearer ".to_owned();
    let head = |target: &str| {
        format!("GET {target} HTTP/1.1\r\n{OPENING}authorization: Basic a\r\nAUTHORIZATION: Basic b\r\n\r\n")
    };
    let authorization = |target: &str| lines(&judged_by(&rules, &head(target)).unwrap(), "Authorization");
    assert_eq!(authorization("/s?session_api_key=k"), ["Authorization: Bearer k"]);
    assert_eq!(authorization("/s"), ["Authorization: Basic a"]);
    // An empty value would leave a bare `Bearer`.
    let refused = judged_by(&rules, &head("/s?session_api_key=")).err();
    assert_eq!(refused, Some(Refusal::UnusableCredential));
}

#[test]
fn a_plain_request_keeps_its_first_credential_line() {
    let fields = "X-Session-API-Key: one\r\nx-session-api-key: two\r\n";
    for (plain_requests, line, source) in [
        (PlainRequests::Strip, "X-Session-API-Key: one", CredentialSource::Field),
        (PlainRequests::Forward, "X-Session-API-Key: one", CredentialSource::Field),
        (PlainRequests::Promote, "X-Session-API-Key: k", CredentialSource::Query),
    ] {
        let admitted = plain("/a?session_api_key=k", fields, plain_requests).unwrap();
        assert_eq!((lines(&admitted, "X-Session-API-Key"), admitted.source), (vec![line.to_owned()], source));
    }
    for plain_requests in [PlainRequests::Strip, PlainRequests::Promote] {
        let admitted = plain("/a", fields, plain_requests).unwrap();
        assert_eq!(lines(&admitted, "X-Session-API-Key"), ["X-Session-API-Key: one"]);
    }
    // What no field can carry is refused where it would be promoted, and just cut where it would not.
    let unusable = |plain_requests| plain("/a?session_api_key=%00", "", plain_requests).err();
    assert_eq!(unusable(PlainRequests::Promote), Some(Refusal::UnusableCredential));
    assert_eq!((unusable(PlainRequests::Strip), unusable(PlainRequests::Forward)), (None, None));
}

#[test]
fn the_client_cannot_take_away_what_is_ours() {
    for name in ["X-Session-API-Key", "Host", "Sec-WebSocket-Key", "X-Forwarded-Proto", "X-Hushgate-Caller"] {
        is_refused("Upgrade\r\n", &format!("Upgrade, {name}\r\n"), Refusal::NominatedField);
        is_refused("Host", &format!("Connection: {}\r\nHost", name.to_lowercase()), Refusal::NominatedField);
    }
    let admitted = plain("/", "Connection: close, Other\r\nOther: x\r\nKept: x\r\n", PlainRequests::Strip);
    let admitted = admitted.unwrap();
    assert_eq!((lines(&admitted, "Other").len(), lines(&admitted, "Kept").len()), (0, 1));
    is_refused("Connection: Upgrade", "Connection: upgrade,1,2,3,4,5,6,7,8,9", Refusal::MalformedHead);
    opens("Connection: Upgrade", "Connection: upgrade,1,2,3,4,5,6,7,8");
}

#[test]
fn the_client_cannot_forge_what_is_ours() {
    let forged = "X_Session_API_Key: a\r\nX-Session_API-Key: b\r\nX-Hushgate-Caller: c\r\n\
                  X_Hushgate_Caller: d\r\nX_Forwarded_For: e\r\nForwarded: for=f\r\nX-Real-IP: g\r\n\
                  X-Forwarded-Port: h\r\nX-Forwarded-Host: i\r\n";
    let admitted = plain("/", forged, PlainRequests::Strip).unwrap();
    for name in ["X-Session-API-Key", "X-Hushgate-Caller", "Forwarded", "X-Real-IP", "X-Forwarded-Port"] {
        assert!(lines(&admitted, name).is_empty(), "{name}");
    }
    assert_eq!(lines(&admitted, "X-Forwarded-For"), ["X-Forwarded-For: 192.0.2.1"]);
    assert_eq!(lines(&admitted, "X-Forwarded-Host"), ["X-Forwarded-Host: h"]);
}

#[test]
fn a_field_that_is_configured_with_an_underscore_is_one_line_too() {
    let mut rules = rules(PlainRequests::Strip);
    (rules.field, rules.field_spelling) = ("x_api_key".parse().unwrap(), "X_Api_Key".to_owned());
    let head = |target: &str| {
        format!("GET {target} HTTP/1.1\r\n{OPENING}X_Api_Key: one\r\nX-Api-Key: two\r\nx_api_key: x\r\n\r\n")
    };
    let credential = |target: &str| lines(&judged_by(&rules, &head(target)).unwrap(), "X-Api-Key");
    assert_eq!(credential("/s?session_api_key=k"), ["X_Api_Key: k"]);
    assert_eq!(credential("/s"), ["X_Api_Key: one"]);
}

#[test]
fn a_tab_is_no_part_of_a_credential() {
    let refused = opening("/s?session_api_key=a%09b", "");
    assert_eq!(refused, Err(Refusal::UnusableCredential));
}
