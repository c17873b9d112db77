//! Tickets: a key in the field of a plain request, for one WebSocket whose URL shows something that is over soon.

use std::time::Duration;

use super::{field, key, revoked, server};
use crate::harness::{
    CANARY, Gateway, OURS, Upstream, eventually, head, http::Answer, opening, setup::Setup,
};

const ORIGIN: &str = "Origin: https://app.example";

fn gateway(upstream: &Upstream) -> Gateway {
    let setup = Setup::before(upstream).requiring(&key("alice", CANARY, ""));
    setup.set("authentication.origins", vec!["https://app.example"]).start()
}

fn asked(gateway: &Gateway, target: &str, fields: &[&str]) -> Answer {
    let mut all = vec!["Content-Length: 0"];
    all.extend_from_slice(fields);
    gateway.exchange(head(&format!("POST {target}"), &all))
}

/// A ticket for this path, of whoever has this credential.
pub(super) fn issued(gateway: &Gateway, path: &str, credential: &str, fields: &[&str]) -> Option<String> {
    let mut all = vec![field(credential)];
    all.extend(fields.iter().map(ToString::to_string));
    let fields: Vec<_> = all.iter().map(String::as_str).collect();
    let answer = asked(gateway, &format!("/.hushgate/tickets?path={path}"), &fields);
    if answer.status() != 200 {
        assert_eq!((answer.status(), answer.text()), (401, "{\"detail\":\"Unauthorized\"}"));
        return None;
    }
    assert_eq!(answer.head.value("cache-control"), Some("no-store"));
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said["expires_in"], 30);
    Some(said["ticket"].as_str().unwrap().to_owned())
}

fn open(gateway: &Gateway, target: &str, fields: &[&str]) -> u16 {
    gateway.send(opening(target, fields)).take_head().unwrap().status()
}

#[test]
fn a_ticket_opens_one_websocket_once() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let ticket = issued(&gateway, "%2Fsockets%2Fevents%2F1", CANARY, &[ORIGIN]).unwrap();
    upstream.assert_untouched();
    let target = format!("/sockets/events/1?a=1&ticket={ticket}&b");
    let mut socket = gateway.upgrade(&opening(&target, &[ORIGIN]));
    assert!(revoked::is_alive(&mut socket));
    let received = upstream.received_up_to("\r\n\r\n");
    assert!(received.starts_with("GET /sockets/events/1?a=1&b HTTP/1.1\r\n"), "{received}");
    assert!(received.contains(&format!("\r\nX-Session-API-Key: {OURS}\r\n")), "{received}");
    assert!(received.contains("\r\nX-Hushgate-Caller: alice\r\n"), "{received}");
    assert!(!received.contains(&ticket));
    drop(socket);
    let line = gateway.event("close");
    assert_eq!((&line["caller"], &line["credential_source"]), (&"alice".into(), &"ticket".into()));
    let line = gateway.event("request");
    assert_eq!((&line["outcome"], &line["target"]), (&"answered".into(), &"/.hushgate/tickets?…".into()));
    assert_eq!(open(&gateway, &target, &[ORIGIN]), 403, "once");
    assert!(!gateway.log_text().contains(&ticket) && !gateway.diagnostics().contains(&ticket));
}

#[test]
fn a_ticket_is_for_its_path_and_its_page_only() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let ticket = |fields: &[&str]| issued(&gateway, "/s", CANARY, fields).unwrap();
    assert_eq!(open(&gateway, &format!("/t?ticket={}", ticket(&[ORIGIN])), &[ORIGIN]), 403);
    assert_eq!(open(&gateway, &format!("/s?ticket={}", ticket(&[ORIGIN])), &[]), 403);
    assert_eq!(open(&gateway, &format!("/s?ticket={}", ticket(&[])), &[ORIGIN]), 403);
    assert_eq!(open(&gateway, &format!("/s?ticket={}&ticket=x", ticket(&[])), &[]), 403, "the last counts");
    assert_eq!(open(&gateway, "/s?ticket", &[&field(CANARY)]), 403, "it decides before the field");
    upstream.assert_untouched();
    let (one, two) = (ticket(&[]), ticket(&[]));
    assert_eq!(open(&gateway, &format!("/s?ti%63ket={one}"), &[]), 101);
    // The query's key decides before the ticket, which is taken out unread.
    assert_eq!(open(&gateway, &format!("/s?ticket=x&session_api_key={CANARY}"), &[]), 101);
    assert_eq!(open(&gateway, &format!("/s?ticket={two}"), &[&field("wrong-credential")]), 101);
    assert!(upstream.received().iter().all(|received| received.starts_with("GET /s HTTP/1.1\r\n")));
}

#[test]
fn a_ticket_ends_with_its_key() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let ticket = issued(&gateway, "/s", CANARY, &[]).unwrap();
    let another = issued(&gateway, "/s", CANARY, &[]).unwrap();
    let mut socket = gateway.upgrade(&opening(&format!("/s?ticket={another}"), &[]));
    std::fs::write(gateway.file("keyring.new"), "").unwrap();
    std::fs::rename(gateway.file("keyring.new"), gateway.file("keyring.toml")).unwrap();
    assert_eq!(socket.take(4).unwrap(), [0x88, 2, 0x0f, 0xa1]);
    assert_eq!(open(&gateway, &format!("/s?ticket={ticket}"), &[]), 403);
}

#[test]
fn whoever_asks_wrongly_is_told_what_to_write() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let key = field(CANARY);
    for target in [
        "/.hushgate/tickets",
        "/.hushgate/tickets?path=",
        "/.hushgate/tickets?path=s",
        "/.hushgate/tickets?path=/s%3Fa",
        "/.hushgate/tickets?path=/s%20a",
        &format!("/.hushgate/tickets?path=/{}", "s".repeat(2048)),
    ] {
        let answer = asked(&gateway, target, &[&key]);
        assert_eq!(answer.status(), 400, "{target}");
        assert!(answer.text().contains("POST /.hushgate/tickets?path=/"), "{}", answer.text());
    }
    for target in ["/.hushgate/", "/.hushgate/tickets/", "/.hushgate/status"] {
        assert_eq!(asked(&gateway, target, &[&key]).status(), 404, "{target}");
        assert_eq!(asked(&gateway, target, &[]).status(), 401, "{target}");
    }
    let evil = ["Origin: https://evil.example", &key];
    assert_eq!(
        asked(&gateway, "/.hushgate/tickets?path=/s", &evil).status(),
        401,
        "a page that is not listed"
    );
    let answer = gateway.exchange(head("GET /.hushgate/tickets?path=/s", &[&key]));
    assert_eq!((answer.status(), answer.head.value("allow")), (405, Some("POST")));
    assert_eq!(asked(&gateway, "/.hushgate/tickets?path=/s", &[]).status(), 401);
    let query = format!("/.hushgate/tickets?path=/s&session_api_key={CANARY}");
    assert_eq!(asked(&gateway, &query, &[]).status(), 401, "a plain request has no key in its query");
    for _ in 0..100 {
        issued(&gateway, "/s", CANARY, &[]).unwrap();
    }
    let answer = asked(&gateway, "/.hushgate/tickets?path=/s", &[&key]);
    assert_eq!((answer.status(), answer.head.value("retry-after")), (429, Some("30")));
    upstream.assert_untouched();
}

#[test]
fn a_page_of_another_origin_may_ask_if_it_is_listed() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let asks = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-session-api-key"];
    let preflight = |origin: &str| {
        let mut client =
            gateway.send(head("OPTIONS /.hushgate/tickets?path=/s", &[&[origin][..], &asks].concat()));
        client.take_head().unwrap()
    };
    let answer = preflight(ORIGIN);
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.value("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.value("access-control-allow-methods"), Some("POST"));
    assert_eq!(answer.value("access-control-allow-headers"), Some("X-Session-API-Key"));
    assert_eq!(preflight("Origin: https://evil.example").value("access-control-allow-origin"), None);
    let answer = asked(&gateway, "/.hushgate/tickets?path=/s", &[&field(CANARY), ORIGIN]);
    assert_eq!(answer.head.value("access-control-allow-origin"), Some("https://app.example"));
    upstream.assert_untouched();
}

#[test]
fn a_ticket_is_over_after_half_a_minute() {
    if !crate::harness::is_slow_run() {
        return crate::harness::measured("skipped without HUSHGATE_SLOW_TESTS=1: it waits for half a minute");
    }
    let upstream = server();
    let gateway = gateway(&upstream);
    let (early, late) =
        (issued(&gateway, "/s", CANARY, &[]).unwrap(), issued(&gateway, "/s", CANARY, &[]).unwrap());
    std::thread::sleep(Duration::from_secs(27));
    assert_eq!(open(&gateway, &format!("/s?ticket={early}"), &[]), 101);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(open(&gateway, &format!("/s?ticket={late}"), &[]), 403);
}

#[test]
fn in_pass_through_tickets_are_the_agent_servers_affair() {
    let upstream = server();
    let gateway = Setup::before(&upstream).start();
    assert_eq!(asked(&gateway, "/.hushgate/tickets?path=/s", &[]).status(), 200);
    assert_eq!(open(&gateway, "/s?ticket=x", &[]), 101);
    eventually("both are asked for", || upstream.received().len() == 2);
    assert!(upstream.received()[1].starts_with("GET /s?ticket=x HTTP/1.1\r\n"));
}
