use crate::harness::{CANARY, Gateway, Stream, Upstream, gateway::websockets_open, head, opening};

#[test]
fn probes_answer() {
    let upstream = Upstream::refusing();
    let gateway = Gateway::before(&upstream);
    for (path, status, body) in [
        ("/livez", 200, "ok\n"),
        ("/readyz", 200, "ready\n"),
        ("/", 404, ""),
        (&*format!("/{CANARY}"), 404, ""),
        ("/metrics/", 404, ""),
    ] {
        let answer = gateway.admin(path);
        assert_eq!((answer.status(), answer.text()), (status, body), "{path}");
    }
}

#[test]
fn a_probe_with_a_query_is_answered_as_without() {
    let gateway = Gateway::before(&Upstream::refusing());
    assert_eq!(gateway.admin("/readyz?verbose").status(), 200);
}

#[test]
fn head_is_answered_as_get_without_a_body() {
    let gateway = Gateway::before(&Upstream::refusing());
    let mut client = Stream::connect(gateway.admin_address());
    client.send(head("HEAD /livez", &[])).unwrap();
    assert_eq!(client.take_head().unwrap().status(), 200);
    assert!(client.is_over(), "no body");
}

#[test]
fn nothing_but_get_and_head_is_answered() {
    let gateway = Gateway::before(&Upstream::refusing());
    for request in [head("POST /livez", &["Content-Length: 0"]), head("DELETE /metrics", &[])] {
        let mut client = Stream::connect(gateway.admin_address());
        client.send(request).unwrap();
        assert_eq!(client.take_answer().unwrap().status(), 405);
    }
    let mut client = Stream::connect(gateway.admin_address());
    client.send(format!("{CANARY}\r\n\r\n")).unwrap();
    assert_eq!(client.take_answer().unwrap().status(), 400);
}

#[test]
fn clients_do_not_reach_the_admin_pages() {
    let upstream = Upstream::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nupstream");
    let gateway = Gateway::before(&upstream);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(gateway.exchange(head(&format!("GET {path}"), &[])).text(), "upstream");
    }
}

#[test]
fn every_family_has_its_closed_labels() {
    let upstream = Upstream::playing(|stream, _| {
        let head = stream.take_head()?;
        if head.values("upgrade").is_empty() {
            stream.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        } else {
            crate::harness::upstream::echo_on(stream, crate::harness::SWITCHING)
        }
    });
    let gateway = Gateway::before(&upstream);
    gateway.exchange(head(&format!("GET /a?session_api_key={CANARY}"), &[]));
    gateway.exchange(head(&format!("GET /a b{CANARY}"), &[]));
    let client = gateway.upgrade(&opening(&format!("/s?session_api_key={CANARY}"), &[]));
    drop(gateway.upgrade(&opening("/s", &[&format!("X-Session-API-Key: {CANARY}")])));
    drop(gateway.upgrade(&opening("/s", &[])));
    gateway.exchange(opening("/s?session_api_key=", &[]));
    gateway.events("close", 2);
    websockets_open(&gateway, 1.0);
    for (metric, value) in [
        (r#"hushgate_requests_total{kind="request",outcome="served"}"#, 1.0),
        (r#"hushgate_requests_total{kind="request",outcome="malformed_head"}"#, 1.0),
        (r#"hushgate_requests_total{kind="handshake",outcome="upgraded"}"#, 3.0),
        (r#"hushgate_requests_total{kind="handshake",outcome="unusable_credential"}"#, 1.0),
        (r#"hushgate_handshakes_total{credential_source="query",outcome="upgraded"}"#, 1.0),
        (r#"hushgate_handshakes_total{credential_source="field",outcome="upgraded"}"#, 1.0),
        (r#"hushgate_handshakes_total{credential_source="none",outcome="upgraded"}"#, 1.0),
        (r#"hushgate_handshakes_total{credential_source="query",outcome="unusable_credential"}"#, 1.0),
        (r#"hushgate_request_duration_seconds_count{kind="request"}"#, 2.0),
        (r#"hushgate_request_duration_seconds_count{kind="handshake"}"#, 4.0),
        ("hushgate_access_log_dropped_total", 0.0),
    ] {
        assert_eq!(gateway.metric(metric), Some(value), "{metric}");
    }
    drop(client);
    let page = gateway.admin("/metrics");
    assert_eq!(page.head.value("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in page.text().lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("hushgate_"), "{line}");
    }
}

#[test]
fn the_families_exist_from_the_start() {
    let gateway = Gateway::before(&Upstream::refusing());
    for metric in [
        "hushgate_websockets_open",
        "hushgate_access_log_dropped_total",
        r#"hushgate_config_reloads_total{result="ok"}"#,
        r#"hushgate_config_reloads_total{result="error"}"#,
    ] {
        assert_eq!(gateway.metric(metric), Some(0.0), "{metric}");
    }
}
