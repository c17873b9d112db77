use http::HeaderName;

use super::{Admitted, CredentialSource, Hop, Kind, Refusal, head::Head, judge};
use crate::config::{Handshake, PlainRequests};

mod required;
mod rules;

fn rules(plain_requests: PlainRequests) -> Handshake {
    Handshake {
        field: HeaderName::from_static("x-session-api-key"),
        field_spelling: "X-Session-API-Key".to_owned(),
        parameters: vec!["session_api_key".to_owned()],
        prefix: String::new(),
        plain_requests,
    }
}

const OPENING: &str = "Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn judged(head: &[u8], plain_requests: PlainRequests) -> Result<Admitted, Refusal> {
    let hop = Hop { peer: Some([192, 0, 2, 1].into()), is_tls: false, trusted_proxies: &[] };
    judge(&Head::parse(head, 100)?, &rules(plain_requests), &hop)
}

/// The target, the credential field lines and the source of an opening handshake that goes on.
fn opening(target: &str, fields: &str) -> Result<(String, Vec<String>, CredentialSource), Refusal> {
    let head = format!("GET {target} HTTP/1.1\r\n{OPENING}{fields}\r\n");
    let admitted = judged(head.as_bytes(), PlainRequests::Strip)?;
    assert_eq!(admitted.kind, Kind::OpeningHandshake);
    let text: String = admitted.head.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    let target = text.split(' ').nth(1).unwrap().to_owned();
    let is_credential = |line: &&str| line.to_ascii_lowercase().starts_with("x-session-api-key:");
    let lines = text.lines().filter(is_credential).map(|line| line[19..].to_owned()).collect();
    Ok((target, lines, admitted.source))
}

#[track_caller]
fn carries(target: &str, fields: &str, cut: &str, credential: &str) {
    let (target, lines, _) = opening(target, fields).unwrap();
    assert_eq!((target.as_str(), lines), (cut, vec![credential.to_owned()]));
}

#[test]
fn the_query_overrides_the_field() {
    carries("/s?session_api_key=k", "", "/s", "k");
    carries(
        "/s?a=%2B&session_api_key=k&b",
        "X-Session-API-Key: x\r\nx-session-api-key: y\r\n",
        "/s?a=%2B&b",
        "k",
    );
    carries("/s", "X-Session-API-Key: one\r\nX-Session-API-Key: two\r\n", "/s", "one");
    carries("/s", "X-Session-API-Key:\r\n", "/s", "");
    assert_eq!(opening("/s", "").unwrap().2, CredentialSource::None);
}

#[test]
fn every_spelling_is_found_and_the_last_counts() {
    carries("/s?session%5Fapi_key=k", "", "/s", "k");
    carries("/s?session_api_key=a&%73ession_api_key=b%2Dc", "", "/s", "b-c");
    carries("/s?&session_api_key=k&", "", "/s?&", "k");
    carries("/s?session_api_key=a%2Bb+c%25d;e%26f=g%23h", "", "/s", "a+b c%d;e&f=g#h");
    carries("/s?session_api_key=cl%C3%A9-%C3%BC", "", "/s", "cl\u{e9}-\u{fc}");
    for other in ["SESSION_API_KEY=k", "session%255Fapi_key=k", "session+api+key=k", "?session_api_key=k"] {
        let target = format!("/s?{other}");
        let (cut, lines, _) = opening(&target, "").unwrap();
        assert_eq!((cut, lines.len()), (target, 0));
    }
}

#[test]
fn what_a_field_cannot_carry_is_refused() {
    for value in
        ["", "%20k", "k%20", "k+", "k%00", "k%0d%0aX:1", "%FF", "k%09", "%C2%85k", "k%C2%A0", "%C4%80", "%7f"]
    {
        let target = format!("/s?session_api_key={value}");
        assert_eq!(opening(&target, "X-Session-API-Key: k\r\n"), Err(Refusal::UnusableCredential), "{value}");
    }
    assert_eq!(opening("/s?session_api_key", ""), Err(Refusal::UnusableCredential));
}

#[test]
fn a_plain_request_loses_the_parameter() {
    let head = b"GET /a?session_api_key=k&b HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n";
    let stripped = judged(head, PlainRequests::Strip).unwrap();
    assert_eq!(
        std::str::from_utf8(stripped.head.as_bytes()).unwrap(),
        "GET /a?b HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\
         X-Forwarded-Host: h\r\n\r\n"
    );
    let text = |admitted: Admitted| String::from_utf8(admitted.head.as_bytes().to_vec()).unwrap();
    let promoted = text(judged(head, PlainRequests::Promote).unwrap());
    assert!(promoted.contains("GET /a?b ") && promoted.contains("X-Session-API-Key: k\r\n"));
    let forwarded = text(judged(head, PlainRequests::Forward).unwrap());
    assert!(forwarded.starts_with("GET /a?session_api_key=k&b "));
}

#[test]
fn the_strict_side() {
    let check = |text: &str, refusal: Refusal| {
        assert_eq!(judged(text.as_bytes(), PlainRequests::Strip).err(), Some(refusal), "{text}");
    };
    let target = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    for wrong in ["http://h/", "/a#b", "/a\"", "/a<", "*", "a"] {
        assert!(judged(target(wrong).as_bytes(), PlainRequests::Strip).is_err(), "{wrong}");
    }
    assert!(judged(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", PlainRequests::Strip).is_ok());
    let with = |fields: &str| format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    check(&with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), Refusal::AmbiguousFraming);
    check(&with("Content-Length: 1\r\nContent-Length: 2\r\n"), Refusal::AmbiguousFraming);
    check(&with("Connection: X-Session-API-Key\r\n"), Refusal::NominatedField);
    check(&with("Connection: close, x-forwarded-for\r\n"), Refusal::NominatedField);
    check(&with("Upgrade: h2c, websocket\r\n"), Refusal::InvalidHandshake);
    check(&with("Host: i\r\n"), Refusal::MalformedHead);
    check(&with("A: b\r\n c\r\n"), Refusal::MalformedHead);
    let opening = format!("GET / HTTP/1.1\r\n{OPENING}\r\n");
    check(&opening.replace("13", "12"), Refusal::UnsupportedVersion);
    check(&opening.replace("GET", "POST"), Refusal::InvalidHandshake);
    check(&opening.replace("HTTP/1.1", "HTTP/1.0"), Refusal::InvalidHandshake);
    check(&opening.replace("dGhl", "abc"), Refusal::InvalidHandshake);
    check(&opening.replace("Connection: Upgrade\r\n", ""), Refusal::InvalidHandshake);
}
