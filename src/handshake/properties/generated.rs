//! The laws over generated targets and heads.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree,
    test_runner::{FileFailurePersistence, TestRunner},
};

use super::{Setting, deciding_is_sound, giving_is_sound, judging_is_sound, normalising_is_sound};
use crate::handshake::{CredentialSource, Kind, Refusal};

/// Pieces of which a query is made so that names collide with the parameter often.
const PIECES: [&str; 42] = [
    "session_api_key",
    "&session_api_key",
    "&session_api_key=k",
    "session_api_key=",
    "session_api_key=secret",
    "session%5Fapi_key=k",
    "%73ession_api_key=k",
    "session%255Fapi_key=k",
    "session+api+key=k",
    "SESSION_API_KEY=k",
    "k=",
    "cl%C3%A9=k",
    "cl%E9=k",
    "&",
    "&",
    "&",
    "&",
    "&&",
    "=",
    "=",
    "?",
    ";",
    "+",
    "%",
    "%7",
    "%73",
    "%5f",
    "%00",
    "%0d%0aX:1",
    "%09",
    "%20",
    "%26",
    "%3D",
    "%7f",
    "%85",
    "%C2%85",
    "%C2%A0",
    "%C3%BC",
    "%C4%80",
    "%FF",
    "a",
    "resend_mode=all",
];

fn query() -> impl Strategy<Value = String> {
    vec(select(&PIECES[..]), 0..12).prop_map(|pieces| pieces.concat())
}

fn target() -> impl Strategy<Value = String> {
    let path = select(&["/", "/sockets/events/1", "/a%3Fsession_api_key=k", "//", "/;session_api_key=k"][..]);
    (path, proptest::option::weighted(0.9, query())).prop_map(|(path, query)| match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    })
}

/// Fields that leave an opening handshake what it is.
const HARMLESS: [&str; 19] = [
    "X-Session-API-Key",
    "X_Session_API_Key",
    "X-Api-Key",
    "X_Api_Key",
    "Authorization",
    "TE",
    "Trailer",
    "Keep-Alive",
    "Proxy-Connection",
    "HTTP2-Settings",
    "X-Forwarded-For",
    "X_Forwarded_For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "Forwarded",
    "X-Real-IP",
    "X-Hushgate-Caller",
    "Cookie",
];

/// Fields that may make it something else.
const DECISIVE: [&str; 9] = [
    "Connection",
    "Upgrade",
    "Content-Length",
    "Transfer-Encoding",
    "Expect",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "X_Hushgate_Caller",
    "Host",
];

const VALUES: [&str; 29] = [
    "user@h.example",
    "x-forwarded-\u{e9}",
    "",
    "secret",
    "Bearer secret",
    "close",
    "keep-alive, other",
    "Upgrade",
    "close, upgrade, cookie",
    "x-session-api-key",
    "X_Api_Key",
    "host",
    "x-forwarded-for",
    "websocket",
    "h2c",
    "h2c, websocket",
    "websocket/13",
    "chunked",
    "0",
    "0, 0",
    "5",
    "13",
    "12",
    "203.0.113.9",
    "203.0.113.9, 192.0.2.1",
    "dGhlIHNhbXBsZSBub25jZQ==",
    "a\tb",
    "cl\u{e9}",
    "1,2,3,4,5,6,7,8,9,10",
];

/// A field line with one of these names, in two spellings.
fn line(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    (select(names), select(&VALUES[..]), any::<bool>()).prop_map(|(name, value, is_lower)| {
        let name = if is_lower { name.to_lowercase() } else { name.to_owned() };
        format!("{name}: {value}\r\n")
    })
}

/// A request that is an opening handshake, or a plain request, or nearly one of them.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        6 => Just("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        4 => Just(""),
    ];
    let method =
        prop_oneof![16 => Just("GET"), 2 => Just("POST"), 2 => Just("OPTIONS"), 1 => Just("CONNECT")];
    let host = prop_oneof![19 => Just("h.example"), 1 => Just("user@h.example")];
    let version = prop_oneof![9 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0")];
    let fields = prop_oneof![
        6 => vec(line(&HARMLESS), 0..8),
        4 => vec(prop_oneof![3 => line(&HARMLESS), 1 => line(&DECISIVE)], 1..8),
    ];
    (method, target(), version, host, start, fields).prop_map(
        |(method, target, version, host, start, fields)| {
            format!("{method} {target} {version}\r\nHost: {host}\r\n{start}{}\r\n", fields.concat())
                .into_bytes()
        },
    )
}

/// Targets and fields of every carrier, and what is nearly one.
const TARGETS: [&str; 12] = [
    "/sockets/events/1",
    "/sockets/events/1?session_api_key=secret-secret",
    "/sockets/events/1?ticket=secret-secret&a",
    "/sockets/events/1?ti%63ket&session%5Fapi_key",
    "/v1/models",
    "/v1/models?session_api_key=secret-secret",
    "/api/conversations/0f-1/workspace",
    "/api/conversations/0f-1/workspace/a%20b.html?x",
    "/api/conversations/0f-1/workspace/%252e%252e/a",
    "/api/conversations/0f-1/workspace/a/..;/b",
    "/api/conversations/../workspace/a",
    "/api/conversations/0f-1/workspaces",
];

const PRESENTING: [&str; 15] = [
    "X-Session-API-Key: secret-secret",
    "X_Session_API_Key: secret-secret",
    "Authorization: Bearer secret-secret",
    "Authorization: bearer",
    "Authorization: Basic secret-secret",
    "Cookie: oh_workspace_session_key=secret-secret",
    "Cookie: a=1; oh_workspace_session_key = x; b=\"oh_workspace_session_key=y\"",
    "cookie: oh_workspace_session_key; a=oh_workspace_session_key=b",
    "Sec-WebSocket-Protocol: chat, base64url.bearer.authorization.k8s.io.c2VjcmV0LXNlY3JldA",
    "Sec-WebSocket-Protocol: openai-insecure-api-key.secret-secret,chat",
    "Sec_WebSocket_Protocol: openai-insecure-api-key.secret-secret",
    "Sec-WebSocket-Extensions: permessage-deflate",
    "X-Forwarded-Host: secret-secret",
    "Referer: https://a/?session_api_key=secret-secret",
    "X-Hushgate-Caller: root",
];

/// Parts of a line that sets a cookie.
const COOKIES: [&str; 14] = [
    "oh_workspace_session_key=secret-one",
    "oh_workspace_session_key=\"\"",
    "=oh_workspace_session_key=k",
    " oh_workspace_session_key = k ",
    "oh_workspace_session_key",
    "other=oh_workspace_session_key=k",
    " HttpOnly",
    " Max-Age=315360000",
    " Path=/api/conversations",
    "Domain=app.example",
    " SameSite = none",
    " Secure",
    "\tPartitioned",
    " expires=Fri, 01 Jan 2100 00:00:00 GMT",
];

/// A request that presents credentials in several ways.
fn presenting() -> impl Strategy<Value = Vec<u8>> {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let host = select(&["h.example", "h.example", "secret-secret"][..]);
    let fields = vec(select(&PRESENTING[..]), 0..4);
    let method = select(&["GET", "GET", "GET", "HEAD", "POST"][..]);
    (method, select(&TARGETS[..]), host, any::<bool>(), fields).prop_map(
        move |(method, target, host, is_opening, fields)| {
            let upgrade = if is_opening && method == "GET" { upgrade } else { "" };
            let fields: String = fields.iter().map(|line| format!("{line}\r\n")).collect();
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{upgrade}{fields}\r\n").into_bytes()
        },
    )
}

fn damaged_head() -> impl Strategy<Value = Vec<u8>> {
    damaged(head())
}

/// A head with a few bytes exchanged, put in or taken out.
fn damaged(head: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), select(&b"\r\n :\t%&=?#/\0"[..])];
    (head, vec((any::<Index>(), byte, 0..3_u8), 1..4)).prop_map(|(mut head, changes)| {
        for (at, byte, change) in changes {
            let at = at.index(head.len());
            match change {
                0 => head[at] = byte,
                1 => head.insert(at, byte),
                _ => drop(head.remove(at)),
            }
        }
        head
    })
}

/// Inputs that failed once are kept beside this file.
fn config() -> ProptestConfig {
    let kept = FileFailurePersistence::WithSource("regressions");
    ProptestConfig { cases: 1024, failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

fn setting() -> impl Strategy<Value = Setting> {
    (0..512_u16).prop_map(Setting::numbered)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn normalising_holds_for_colliding_queries(target in target(), setting in setting()) {
        normalising_is_sound(target.as_bytes(), &setting.rules.parameters);
    }

    #[test]
    fn normalising_holds_for_any_bytes(target in vec(any::<u8>(), 0..80), setting in setting()) {
        normalising_is_sound(&target, &setting.rules.parameters);
    }

    #[test]
    fn judging_holds_for_requests(head in head(), setting in setting()) {
        let _decided = judging_is_sound(&head, &setting);
    }

    #[test]
    fn deciding_holds_for_requests(head in prop_oneof![presenting(), damaged(presenting())], setting in setting()) {
        let _decided = deciding_is_sound(&head, &setting);
    }

    #[test]
    fn giving_holds_for_lines(parts in vec(select(&COOKIES[..]), 0..6), byte in any::<u8>(), at in any::<Index>()) {
        let mut line = parts.join(";").into_bytes();
        giving_is_sound(&line);
        line.insert(at.index(line.len() + 1), byte);
        giving_is_sound(&line);
    }

    #[test]
    fn judging_holds_for_damaged_requests(head in damaged_head(), setting in setting()) {
        let _decided = judging_is_sound(&head, &setting);
    }

    #[test]
    fn judging_holds_for_any_bytes(head in vec(any::<u8>(), 0..200), setting in setting()) {
        let _decided = judging_is_sound(&head, &setting);
    }
}

/// Laws that only ever see refusals would prove nothing.
#[test]
fn the_generated_requests_see_both_sides() {
    let (mut opening, mut plain, mut unusable, mut invalid) = (0, 0, 0, 0);
    let mut runner = TestRunner::deterministic();
    for _ in 0..1000 {
        let (head, setting) = (head(), setting()).new_tree(&mut runner).unwrap().current();
        match judging_is_sound(&head, &setting) {
            Ok(Kind::OpeningHandshake) => opening += 1,
            Ok(Kind::Plain) => plain += 1,
            Err(Refusal::UnusableCredential) => unusable += 1,
            Err(Refusal::InvalidHandshake) => invalid += 1,
            Err(_) => {}
        }
    }
    let seen = [opening, plain, unusable, invalid];
    assert!(seen.iter().all(|count| *count >= 40), "{seen:?}");
}

#[test]
fn the_presenting_requests_see_every_carrier() {
    let mut seen = Vec::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..2000 {
        let (head, setting) = (presenting(), setting()).new_tree(&mut runner).unwrap().current();
        seen.extend(deciding_is_sound(&head, &setting).ok().map(CredentialSource::label));
    }
    for carrier in ["query", "ticket", "field", "subprotocol", "bearer", "cookie", "none"] {
        let count = seen.iter().filter(|label| **label == carrier).count();
        assert!(count >= 20, "{carrier}: {count}");
    }
}
