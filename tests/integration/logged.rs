use std::{fs, time::Duration};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    CANARY, Gateway, Upstream, canary::percent_encoded, eventually, head, opening, setup::Setup, timed,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_plain_request_is_one_line() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let request =
        head("POST /api/x", &["Content-Length: 5", &format!("X-Session-API-Key: {CANARY}")]) + "hello";
    let answer = gateway.exchange(&request);
    let line = gateway.event("request");
    for (field, value) in [
        ("client", Value::from("127.0.0.1")),
        ("method", "POST".into()),
        ("target", "/api/x".into()),
        ("status", 200.into()),
        ("outcome", "served".into()),
        ("credential_source", "field".into()),
        ("caller", Value::Null),
        ("bytes_received", request.len().into()),
        ("bytes_sent", (answer.head.0.len() + 2).into()),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(line["request_id"].as_str().unwrap().len(), 32);
    assert_eq!(gateway.log_lines(1).len(), 1);
}

/// The harness fails if the key appears in any output.
#[test]
fn a_key_that_is_presented_is_not_shown_where_else_it_stands() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let own = format!("X-Session-API-Key: {CANARY}");
    for (target, field) in [
        (format!("/by/{CANARY}/x"), own.as_str()),
        (format!("/by/{CANARY}?session_api_key={CANARY}"), "Accept: */*"),
        (format!("/by/{CANARY}=?session_api_key={}", percent_encoded(CANARY)), "Accept: */*"),
    ] {
        gateway.exchange(head(&format!("GET {target}"), &[field]));
    }
    let lines = gateway.log_lines(3);
    assert!(lines.iter().all(|line| line["target"] == "/by/…"), "{lines:?}");
}

#[test]
fn a_websocket_is_two_lines_with_one_id() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.upgrade(&opening(&format!("/sockets/events/1?session_api_key={CANARY}"), &[]));
    let handshake = gateway.event("handshake");
    assert_eq!(
        (&handshake["status"], &handshake["outcome"], &handshake["credential_source"]),
        (&101.into(), &"upgraded".into(), &"query".into()),
        "it is written while the socket is open"
    );
    client.send("hello").unwrap();
    client.take(5).unwrap();
    drop(client);
    let close = gateway.event("close");
    assert_eq!(close["request_id"], handshake["request_id"]);
    assert_eq!(
        (&close["target"], &close["credential_source"]),
        (&"/sockets/events/1?…".into(), &"query".into())
    );
    assert_eq!((&close["bytes_received"], &close["bytes_sent"]), (&5.into(), &5.into()));
    assert_eq!(gateway.log_lines(2).len(), 2);
}

#[test]
fn of_a_target_only_what_is_allowed_is_shown() {
    let upstream = Upstream::answering(OK);
    let gateway =
        Setup::before(&upstream).set("access_log.show", vec!["resend_mode", "after_timestamp"]).start();
    let encoded = percent_encoded(CANARY);
    let cases = [
        ("/a/b-c_d.e~f", "/a/b-c_d.e~f".to_owned()),
        (&*format!("/a?session_api_key={CANARY}"), "/a?…".to_owned()),
        (&format!("/a?resend_mode=all&session_api_key={CANARY}"), "/a?resend_mode=all&…".to_owned()),
        (&format!("/a?x={CANARY}&resend_mode=since&y={encoded}&z"), "/a?…&resend_mode=since&…".to_owned()),
        (
            "/a?after_timestamp=2026-01-01T00:00:00%2B00:00",
            "/a?after_timestamp=2026-01-01T00:00:00…".to_owned(),
        ),
        (&format!("/a?RESEND_MODE={CANARY}"), "/a?…".to_owned()),
        (&format!("/a?%72esend_mode=all&{encoded}"), "/a?resend_mode=all&…".to_owned()),
        (&format!("/a;session_api_key={CANARY}/b"), "/a…".to_owned()),
        (&format!("/a/x={CANARY}"), "/a/x…".to_owned()),
        (&format!("/a%3Fsession_api_key%3D{CANARY}"), "/a…".to_owned()),
        (&format!("/{encoded}?resend_mode=all"), "/…?resend_mode=all".to_owned()),
        ("/a\\b'", "/a\\x5cb'".to_owned()),
        ("/a?", "/a?".to_owned()),
        ("//x", "//x".to_owned()),
    ];
    let mut expected = Vec::new();
    for (target, shown) in &cases {
        assert_eq!(gateway.exchange(head(&format!("GET {target}"), &[])).status(), 200, "{target}");
        expected.push(shown.clone());
    }
    // A line is written behind its answer, so those of two connections may change places.
    expected.sort();
    let mut shown: Vec<_> = gateway
        .events("request", cases.len())
        .iter()
        .map(|line| line["target"].as_str().unwrap().to_owned())
        .collect();
    shown.sort();
    assert_eq!(shown, expected);
}

#[test]
fn a_head_that_was_refused_writes_a_line_without_its_target() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.exchange(format!("GET /{CANARY} {CANARY} HTTP/1.1\r\n\r\n")).status(), 400);
    let line = gateway.event("request");
    assert_eq!(
        (&line["outcome"], &line["target"], &line["method"], &line["status"]),
        (&"malformed_head".into(), &"…".into(), &"…".into(), &400.into())
    );
}

#[test]
fn a_client_that_leaves_inside_its_head_writes_a_line() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    drop(gateway.send(format!("GET /?session_api_key={CANARY}")));
    let line = gateway.event("request");
    assert_eq!((&line["outcome"], &line["status"]), (&"client_closed".into(), &Value::Null));
}

#[test]
fn nothing_of_any_field_is_written() {
    let upstream = Upstream::answering(format!(
        "HTTP/1.1 401 {CANARY}\r\nSet-Cookie: key={CANARY}\r\nLocation: /?session_api_key={CANARY}\r\nContent-Length: {}\r\n\r\n{CANARY}",
        CANARY.len()
    ));
    let gateway = Gateway::before(&upstream);
    for name in [
        "X-Session-API-Key",
        "Authorization",
        "Cookie",
        "Referer",
        "Origin",
        "User-Agent",
        "Sec-WebSocket-Protocol",
        "X-Request-ID",
        "X-Forwarded-For",
        "X-Hushgate-Caller",
        CANARY.trim_end_matches("~Q"),
    ] {
        let field = format!("{name}: {CANARY}");
        assert_eq!(gateway.exchange(head("GET /a", &[&field])).status(), 401);
        assert_eq!(gateway.exchange(opening("/s", &[&field])).status(), 401);
    }
    let method = CANARY.replace(['~', '.'], "-");
    gateway.exchange(head(&format!("{method} /a"), &[]));
    assert_eq!(gateway.events("request", 12).len(), 12);
}

#[test]
fn the_readable_form_says_the_same() {
    let upstream = Upstream::echoing();
    let gateway = Setup::before(&upstream).set("access_log.format", "text").start();
    drop(gateway.upgrade(&opening(&format!("/s?session_api_key={CANARY}"), &[])));
    eventually("both lines", || gateway.log_text().lines().count() == 2);
    let text = gateway.log_text();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].contains(" handshake 101 upgraded GET /s?… from 127.0.0.1 credential=query caller=- "),
        "{text}"
    );
    assert!(lines[1].contains(" close 101 closed GET /s?… ") && lines[1].contains(" by=client "), "{text}");
}

#[test]
fn a_line_reaches_the_log_within_a_second() {
    let upstream = Upstream::answering(OK);
    let gateway = Setup::before(&upstream).set("access_log.path", "access.log").start();
    gateway.exchange(head("GET /a", &[]));
    let (took, ()) = timed(|| {
        eventually("the line", || fs::read_to_string(gateway.file("access.log")).unwrap().ends_with('\n'));
    });
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn sighup_opens_the_log_file_anew() {
    let upstream = Upstream::answering(OK);
    let gateway = Setup::before(&upstream).set("access_log.path", "access.log").start();
    let holds = |name: &str, target: &str| {
        fs::read_to_string(gateway.file(name)).is_ok_and(|text| text.contains(&format!("\"{target}\"")))
    };
    gateway.exchange(head("GET /before", &[]));
    eventually("the first line", || holds("access.log", "/before"));
    fs::rename(gateway.file("access.log"), gateway.file("rotated.log")).unwrap();
    gateway.exchange(head("GET /renamed", &[]));
    eventually("the renamed file is still written to", || holds("rotated.log", "/renamed"));
    gateway.signal(Signal::HUP);
    gateway.says("configuration reloaded", 1);
    gateway.exchange(head("GET /behind", &[]));
    eventually("the new file is written to", || holds("access.log", "/behind"));
    assert!(!holds("rotated.log", "/behind"));
}

#[test]
fn a_log_that_nobody_reads_stalls_no_request_and_drops_are_counted() {
    let upstream = Upstream::answering(OK);
    let mut gateway = Setup::before(&upstream).log_unread().start();
    // The pipe holds 64 KiB, and a mebibyte waits behind one that is being written.
    let mut client = gateway.connect();
    let batch = head("GET /a", &[]).repeat(64);
    let mut slowest = Duration::ZERO;
    for _ in 0..170 {
        let (took, ()) = timed(|| {
            client.send(&batch).unwrap();
            for _ in 0..64 {
                assert_eq!(client.take_answer().unwrap().status(), 200);
            }
        });
        slowest = slowest.max(took);
    }
    drop(client);
    assert!(slowest < Duration::from_secs(5), "{slowest:?} for 64 requests");
    let dropped = gateway.metric("hushgate_access_log_dropped_total").unwrap();
    assert!(dropped > 0.0, "{dropped}");
    // Whoever reads again gets whole lines, and new ones.
    gateway.read_log();
    eventually("the queue empties", || gateway.log_text().lines().count() > 3_000);
    gateway.exchange(head("GET /again", &[]));
    eventually("a new line", || gateway.log_text().contains("\"/again\""));
}

#[test]
fn a_closed_log_stalls_no_request() {
    let upstream = Upstream::answering(OK);
    let mut gateway = Setup::before(&upstream).log_unread().start();
    gateway.close_log();
    for _ in 0..20 {
        assert_eq!(gateway.exchange(head("GET /a", &[])).status(), 200);
    }
    eventually("drops are counted", || gateway.metric("hushgate_access_log_dropped_total") == Some(20.0));
}

#[test]
fn reports_of_libraries_are_few_and_hold_no_text() {
    // Bytes behind an answer are something that Pingora reports.
    let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{CANARY}"));
    let gateway = Gateway::before(&upstream);
    for _ in 0..100 {
        assert_eq!(gateway.exchange(head("GET /a", &[])).status(), 200);
    }
    gateway.says("a library reports; its text is withheld", 1);
    let said = gateway.diagnostics().matches("a library reports").count();
    // Twenty a minute, and a new minute may have begun.
    assert!(said <= 40, "{said} lines, all alike, that anybody can provoke");
}
