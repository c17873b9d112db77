//! `authentication.mode = "require"`: who gets in, what reaches the agent server, and what is said.

use std::fmt::Write;

use self::carriers::{By, ask, subprotocol};
use crate::harness::{CANARY, OURS, SWITCHING, Upstream, head, opening, setup::Setup};

mod carriers;
mod cookies;
mod first_message;
mod origins_and_paths;
mod revoked;
mod tickets;
mod under_load;

/// The lower-case hexadecimal digits of a credential's SHA-256.
fn digest(credential: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, credential.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An entry of the keyring, with further lines.
fn key(name: &str, credential: &str, more: &str) -> String {
    format!("[[key]]\nname = \"{name}\"\nsha256 = \"{}\"\n{more}\n", digest(credential))
}

/// Echoes sockets, gives its own credential away as a cookie where the agent server does, and answers every other
/// plain request with the head that it received.
fn server() -> Upstream {
    Upstream::playing(|stream, _| {
        loop {
            let head = stream.take_head()?;
            if !head.values("upgrade").is_empty() {
                return crate::harness::upstream::echo_on(stream, SWITCHING);
            }
            stream.take_body(&head)?;
            if head.0.starts_with("POST /api/auth/workspace-session ") {
                let given = head.value("x-session-api-key").unwrap_or_default();
                stream.send(cookies::answer(given))?;
                continue;
            }
            stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", head.0.len(), head.0))?;
        }
    })
}

fn field(credential: &str) -> String {
    format!("X-Session-API-Key: {credential}")
}

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2100-01-01T00:00:00Z";

#[test]
fn the_agent_server_gets_our_credential_and_the_name_and_never_the_key() {
    let upstream = server();
    let keyring = key("alice", CANARY, "");
    let gateway = Setup::before(&upstream).requiring(&keyring).start();
    let forged = ["X-Hushgate-Caller: root", "X_Hushgate_Caller: root", "X-Session_API-Key: x"];
    assert_eq!(ask(&gateway, true, By::Query, CANARY, &forged).head.status(), 101);
    assert_eq!(ask(&gateway, true, By::Field, CANARY, &forged).head.status(), 101);
    assert_eq!(ask(&gateway, false, By::Field, CANARY, &forged).status(), 200);
    for received in upstream.received() {
        let head = crate::harness::http::Head(received);
        assert_eq!(head.values("x-session-api-key"), [OURS]);
        assert_eq!(head.values("x-hushgate-caller"), ["alice"]);
        assert!(!head.0.contains("root") && !head.0.contains("session_api_key"), "{head:?}");
        crate::harness::canary::assert_without("the agent server", CANARY, head.0.as_bytes());
    }
}

#[test]
fn a_subprotocol_that_carries_a_key_goes_no_further() {
    let upstream = server();
    let keyring = key("alice", CANARY, "") + &key("bob", "another-credential-of-bob", "");
    let setup = Setup::before(&upstream).requiring(&keyring);
    let gateway = setup.set("authentication.subprotocol_prefixes", vec!["openai-insecure-api-key."]).start();
    let open = |offered: &str| {
        gateway.send(opening("/s", &[&format!("Sec-WebSocket-Protocol: {offered}")])).take_head()
    };
    // The agent server selects none, and browsers fail a socket that got none of those they offered.
    let answer = open(&format!("realtime, {}, chat", subprotocol(CANARY))).unwrap();
    assert_eq!((answer.status(), answer.value("sec-websocket-protocol")), (101, Some("realtime")));
    let answer = open("openai-insecure-api-key.another-credential-of-bob, realtime").unwrap();
    assert_eq!((answer.status(), answer.value("sec-websocket-protocol")), (101, Some("realtime")));
    assert_eq!(open(&subprotocol(CANARY)).unwrap().status(), 400);
    let received = upstream.received();
    assert_eq!(received.len(), 2);
    assert!(received[0].contains("\r\nSec-WebSocket-Protocol: realtime, chat\r\n"), "{received:?}");
    assert!(received[1].contains("\r\nX-Hushgate-Caller: bob\r\n"), "{received:?}");
    assert!(received[1].contains("\r\nSec-WebSocket-Protocol: realtime\r\n"), "{received:?}");
    assert_eq!(gateway.events("handshake", 3)[2]["outcome"], "no_subprotocol");
    // What the agent server selects stays.
    let selecting = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(SWITCHING.replace("server: uvicorn", "Sec-WebSocket-Protocol: chat"))
    });
    let gateway = Setup::before(&selecting).requiring(&keyring).start();
    let offered = format!("Sec-WebSocket-Protocol: realtime, {}, chat", subprotocol(CANARY));
    let answer = gateway.send(opening("/s", &[&offered])).take_head().unwrap();
    assert_eq!(answer.value("sec-websocket-protocol"), Some("chat"));
}

#[test]
fn a_plain_request_is_refused_before_a_byte_of_its_body() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    // The parameter gives a plain request no access, with whatever key.
    for (target, field) in [
        ("/a".to_owned(), None),
        ("/a".to_owned(), Some(field("wrong-credential"))),
        (format!("/a?session_api_key={CANARY}"), None),
    ] {
        let mut fields = vec!["Content-Length: 1000000", "Content-Type: text/plain"];
        fields.extend(field.as_deref());
        // Nothing of the body is sent, and the answer comes.
        let answer = gateway.exchange(head(&format!("POST {target}"), &fields));
        assert_eq!((answer.status(), answer.text()), (401, "{\"detail\":\"Unauthorized\"}"));
    }
    // Of a head nothing follows but the end.
    let mut client = gateway.send(head("HEAD /a", &[]));
    assert_eq!(client.take_head().unwrap().status(), 401);
    assert!(client.is_over());
    upstream.assert_untouched();
    let outcomes: Vec<_> = gateway.log_lines(4).iter().map(|line| line["outcome"].clone()).collect();
    assert_eq!(outcomes[..3], ["credential_missing", "credential_unknown", "credential_missing"]);
}

#[test]
fn whoever_fails_too_often_is_told_to_wait_and_a_good_key_is_served() {
    let upstream = server();
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("limits.failed_attempts_per_minute", 3).start();
    let failed = || ask(&gateway, false, By::Field, "wrong-credential", &[]);
    for _ in 0..3 {
        assert_eq!(failed().status(), 401);
    }
    let limited = failed();
    assert_eq!(limited.status(), 429);
    let wait: u64 = limited.head.value("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(ask(&gateway, true, By::Query, "wrong-credential", &[]).head.status(), 429);
    assert_eq!(ask(&gateway, true, By::Query, CANARY, &[]).head.status(), 101);
    assert_eq!(gateway.events("handshake", 2)[0]["outcome"], "too_many_attempts");
}

#[test]
fn keys_in_urls_have_a_last_day() {
    let upstream = server();
    for (date, status) in [(PAST, 403), (FUTURE, 101)] {
        let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
        let gateway = setup.set("authentication.refuse_query_after", date).start();
        assert_eq!(ask(&gateway, true, By::Query, CANARY, &[]).head.status(), status);
        assert_eq!(ask(&gateway, true, By::Field, CANARY, &[]).head.status(), 101);
        let count = |outcome: &str| {
            let labels = format!("credential_source=\"query\",outcome=\"{outcome}\"");
            gateway.metric(&format!("hushgate_handshakes_total{{{labels}}}"))
        };
        let outcome = if status == 101 { "upgraded" } else { "query_refused" };
        assert_eq!(count(outcome), Some(1.0));
    }
}

#[test]
fn a_caller_has_as_many_sockets_as_it_may() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "max_sockets = 2")).start();
    let open = || gateway.send(opening("/s", &[&field(CANARY)]));
    let mut first = open();
    let mut second = open();
    assert_eq!((first.take_head().unwrap().status(), second.take_head().unwrap().status()), (101, 101));
    assert_eq!(open().take_head().unwrap().status(), 429);
    assert_eq!(gateway.exchange(head("GET /a", &[&field(CANARY)])).status(), 200, "no socket");
    drop(first);
    crate::harness::eventually("a place is free", || open().take_head().unwrap().status() == 101);
}

#[test]
fn a_prefix_belongs_to_the_field_and_not_to_the_credential() {
    let upstream = server();
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("handshake.field", "Authorization").set("handshake.prefix", "Bearer ").start();
    let status = |value: &str| {
        gateway.send(opening("/s", &[&format!("Authorization: {value}")])).take_head().unwrap().status()
    };
    assert_eq!(status(&format!("Bearer {CANARY}")), 101);
    assert_eq!(status(CANARY), 403);
    assert_eq!(status("Bearer "), 403);
    let received = upstream.received().concat();
    assert!(received.contains(&format!("Authorization: Bearer {OURS}\r\n")), "{received}");
}

#[test]
fn the_callers_key_goes_on_in_no_other_field() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    let others = [
        format!("Authorization: Bearer {CANARY}"),
        format!("Cookie: oh_workspace_session_key={CANARY}"),
        format!("Referer: https://app.example/?session_api_key={CANARY}"),
        format!("Sec-WebSocket-Protocol: chat, {CANARY}"),
    ];
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    assert_eq!(ask(&gateway, true, By::Field, CANARY, &others).head.status(), 101);
    assert_eq!(ask(&gateway, true, By::Query, CANARY, &others).head.status(), 101);
    assert_eq!(ask(&gateway, false, By::Field, CANARY, &others).status(), 200);
    crate::harness::canary::assert_without(
        "the agent server",
        CANARY,
        upstream.received().concat().as_bytes(),
    );
}

#[test]
fn an_answer_that_gives_our_credential_away_is_withheld() {
    let answer =
        format!("HTTP/1.1 204 No Content\r\nSet-Cookie: oh_workspace_session_key={OURS}; Path=/\r\n\r\n");
    let upstream = Upstream::answering(answer);
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("authentication.deny_paths", Vec::<String>::new()).start();
    for is_handshake in [false, true] {
        let answer = ask(&gateway, is_handshake, By::Field, CANARY, &[]);
        assert_eq!(answer.status(), 502);
        crate::harness::canary::assert_without("the client", OURS, answer.head.0.as_bytes());
    }
    assert!(gateway.log_lines(2).iter().all(|line| line["outcome"] == "withheld"));
    // Where it is known to do so, nobody even gets there.
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    let request = head("POST /api/auth/workspace-session", &[&field(CANARY), "Content-Length: 0"]);
    assert_eq!(gateway.exchange(request).status(), 403);
}

/// What a shell makes of a variable that is not set is nobody's key.
#[test]
fn nothing_is_no_key() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    for presented in ["", "%20", "%C3%A9"] {
        assert_eq!(ask(&gateway, true, By::Query, presented, &[]).head.status(), 403);
    }
    std::fs::write(gateway.file("keyring.toml"), key("alice", "", "")).unwrap();
    gateway.says("is the digest of nothing", 1);
}
