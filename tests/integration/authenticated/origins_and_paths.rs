//! What needs no key, what none opens, and which pages may ask.

use super::{By, ask, field, key, server};
use crate::harness::{CANARY, OURS, head, opening, setup::Setup};

#[test]
fn open_paths_and_preflights_need_no_key_and_carry_none() {
    let upstream = server();
    let origins = toml::Value::from(vec!["https://app.example"]);
    let setup =
        Setup::before(&upstream).requiring(&key("alice", CANARY, "")).set("authentication.origins", origins);
    let gateway = setup.set("authentication.open_paths", vec!["/alive"]).start();
    let preflight = ["Origin: https://app.example", "Access-Control-Request-Method: POST"];
    let key = field(CANARY);
    for request in [
        head("GET /alive", &[]),
        head("HEAD /alive?x=1", &[]),
        head("GET /alive", &[&key]),
        head("OPTIONS /api/conversations", &preflight),
    ] {
        let mut client = gateway.send(&request);
        assert_eq!(client.take_head().unwrap().status(), 200, "{request}");
    }
    for received in upstream.received() {
        assert!(!received.to_lowercase().contains("session-api-key"), "{received}");
        crate::harness::canary::assert_without("the agent server", OURS, received.as_bytes());
    }
    let before = upstream.received().len();
    for request in [
        head("GET /alive/", &[]),
        head("GET /%61live", &[]),
        head("POST /alive", &["Content-Length: 0"]),
        head("OPTIONS /api/conversations", &preflight[..1]),
        head("OPTIONS /api/conversations", &[preflight[0], preflight[1], "Content-Length: 1"]),
        opening("/alive", &[&field("wrong-credential")]),
    ] {
        let status = gateway.send(&request).take_head().unwrap().status();
        assert!(matches!(status, 401 | 403), "{request}: {status}");
    }
    assert_eq!(upstream.received().len(), before);
}

#[test]
fn what_gives_the_credential_away_is_denied_to_everybody() {
    let upstream = server();
    let denied = vec!["/api/vscode/url", "/api/conversations/*/runtime/credentials"];
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("authentication.deny_paths", denied).start();
    let key = field(CANARY);
    for target in [
        "/api/vscode/url",
        "/api/vscode/url?x=1",
        "/api//vscode/%75rl/",
        "/api/x/../vscode/url",
        "/api/conversations/1/runtime/credentials",
        "/API/vscode/url",
    ] {
        let answer = gateway.exchange(head(&format!("GET {target}"), &[&key]));
        assert_eq!((answer.status(), answer.text()), (403, "{\"detail\":\"Forbidden\"}"), "{target}");
        // Who is not known is told nothing about paths.
        assert_eq!(gateway.exchange(head(&format!("GET {target}"), &[])).status(), 401, "{target}");
        assert_eq!(gateway.send(opening(target, &[&key])).take_head().unwrap().status(), 403, "{target}");
    }
    upstream.assert_untouched();
    assert_eq!(gateway.exchange(head("GET /api/vscode/status", &[&key])).status(), 200);
}

#[test]
fn pages_of_other_origins_open_no_websocket() {
    let upstream = server();
    let origins = vec!["https://app.example", "https://*.team.example"];
    for mode in ["pass-through", "require"] {
        let mut setup = Setup::before(&upstream).set("authentication.origins", origins.clone());
        if mode == "require" {
            setup = setup.requiring(&key("alice", CANARY, ""));
        }
        let gateway = setup.start();
        for (origin, status) in [
            ("https://app.example", 101),
            ("https://a.team.example", 101),
            ("https://evil.example", 403),
            ("https://app.example.evil.example", 403),
            ("null", 403),
        ] {
            let origin = format!("Origin: {origin}");
            assert_eq!(
                ask(&gateway, true, By::Query, CANARY, &[&origin]).head.status(),
                status,
                "{mode}: {origin}"
            );
        }
        assert_eq!(ask(&gateway, true, By::Query, CANARY, &[]).head.status(), 101, "{mode}: a program");
        let twice = ["Origin: https://app.example", "Origin: https://app.example"];
        assert_eq!(ask(&gateway, true, By::Query, CANARY, &twice).head.status(), 403, "{mode}: twice");
    }
}

#[test]
fn a_page_can_read_why_it_was_refused_if_its_origin_is_listed() {
    let upstream = server();
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("authentication.origins", vec!["https://app.example"]).start();
    let allowed = |origin: &str| {
        let answer = gateway.exchange(head("GET /a", &[&format!("Origin: {origin}")]));
        assert_eq!(answer.status(), 401);
        answer.head.value("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(allowed("https://app.example").as_deref(), Some("https://app.example"));
    assert_eq!(allowed("https://evil.example"), None);
}
