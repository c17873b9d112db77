use crate::harness::{CANARY, Gateway, NONCE, Upstream, head, opening};

/// A request is answered with this status, is logged with this word, and nothing goes upstream.
#[track_caller]
fn refused(cases: &[(String, u16, &str)]) {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    for (number, (request, status, outcome)) in cases.iter().enumerate() {
        let bytes: Vec<u8> = request.chars().map(|character| u8::try_from(character).unwrap()).collect();
        let mut client = gateway.send(bytes);
        let answer = client.take_answer().unwrap();
        assert_eq!(answer.status(), *status, "{request}");
        assert!(answer.body.is_empty() && client.is_over(), "the connection ends: {request}");
        if *status == 426 {
            assert_eq!(answer.head.value("Sec-WebSocket-Version"), Some("13"));
        }
        let lines = gateway.log_lines(number + 1);
        assert_eq!(lines[number]["outcome"], *outcome, "{request}");
        assert_eq!(lines[number]["status"], *status, "{request}");
        assert_eq!(lines.len(), number + 1, "one line a request: {request}");
    }
    upstream.assert_untouched();
}

fn target() -> String {
    format!("/s?session_api_key={CANARY}")
}

#[test]
fn a_handshake_that_is_none() {
    let valid = opening(&target(), &[]);
    let key_line = format!("Sec-WebSocket-Key: {NONCE}\r\n");
    let case = |from: &str, to: &str| {
        assert!(valid.contains(from));
        (valid.replacen(from, to, 1), 400, "invalid_handshake")
    };
    refused(&[
        case("GET", "POST"),
        case("GET", "HEAD"),
        case("HTTP/1.1", "HTTP/1.0"),
        case("Connection: Upgrade\r\n", ""),
        case("Connection: Upgrade", "Connection: keep-alive"),
        case("Upgrade: websocket", "Upgrade: websocket, h2c"),
        case("Upgrade: websocket", "Upgrade: h2c, websocket"),
        case("Upgrade: websocket", "Upgrade: websocket/13"),
        case("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket"),
        case("Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket"),
        case("Sec-WebSocket-Version: 13\r\n", ""),
        case("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13"),
        case(&key_line, ""),
        case(&key_line, &format!("{key_line}{key_line}")),
        case(NONCE, "abc"),
        case(NONCE, "dGhlIHNhbXBsZSBub25jZSE="),
        case(NONCE, "dGhlIHNhbXBsZSBub25j!Q=="),
        case(&key_line, &format!("{key_line}Content-Length: 5\r\n")),
        case(&key_line, &format!("{key_line}Transfer-Encoding: chunked\r\n")),
        case(&key_line, &format!("{key_line}Expect: 100-continue\r\n")),
    ]);
}

#[test]
fn another_version_of_the_protocol() {
    let valid = opening(&target(), &[]);
    refused(&["8", "0", "12", "14", "99", "013", "13, 8", ""].map(|version| {
        let text = valid.replace("Version: 13", &format!("Version: {version}"));
        (text, 426, "unsupported_version")
    }));
}

#[test]
fn a_target_that_is_not_served() {
    let illegal = |target: &str| (head(&format!("GET {target}"), &[]), 400, "illegal_target");
    let malformed = |target: &str| (head(&format!("GET {target}"), &[]), 400, "malformed_head");
    let q = format!("session_api_key={CANARY}");
    refused(&[
        illegal(&format!("http://agent.example/s?{q}")),
        illegal(&format!("/s#?{q}")),
        illegal(&format!("/s?{q}#f")),
        illegal(&format!("*?{q}")),
        illegal("*"),
        illegal(&format!("?{q}")),
        illegal("agent.example:443"),
        (head(&format!("CONNECT {}", target()), &[]), 400, "illegal_target"),
        (head("CONNECT agent.example:443", &[]), 400, "illegal_target"),
        illegal(&format!("/s?a=\"&{q}")),
        illegal(&format!("/s?a=<>&{q}")),
        illegal(&format!("/s?a=`&{q}")),
        malformed(&format!("/s\u{e9}?{q}")),
        illegal(&format!("/s?a=\u{c3}\u{a9}&{q}")),
        malformed(&format!("/s?a=b c&{q}")),
        malformed(&format!("/s?a=\t&{q}")),
        malformed(&format!("/s?a=\0&{q}")),
        malformed(&format!("/s?a=\u{7f}&{q}")),
        (head("GET ", &[]), 400, "malformed_head"),
        (opening(&format!("http://agent.example/s?{q}"), &[]), 400, "illegal_target"),
        (opening(&format!("/s?{q}#"), &[]), 400, "illegal_target"),
    ]);
}

#[test]
fn a_head_that_is_malformed() {
    let line = format!("GET {}", target());
    let secret = format!("X-Session-API-Key: {CANARY}");
    let with = |field: &str| head(&line, &[&secret, field]);
    let malformed = |text: String| (text, 400, "malformed_head");
    refused(&[
        malformed(with("A: b\r\n folded")),
        malformed(with("A: b\r\n\tfolded")),
        malformed(with("A : b")),
        malformed(with("A")),
        malformed(with(": b")),
        malformed(with("A: b\rc")),
        malformed(with("A: b\0c")),
        malformed(with("A(: b")),
        malformed(with("Host: other.example")),
        malformed(format!("{line} HTTP/1.1\r\n{secret}\r\n\r\n")),
        malformed(format!("{line} HTTP/2.0\r\nHost: h\r\n\r\n")),
        malformed(format!("{line} HTTP/1.1 x\r\nHost: h\r\n\r\n")),
        malformed(format!("{line}\r\n\r\n")),
        malformed(format!("\u{16}\u{3}\u{1} {secret}\r\n\r\n")),
        malformed(format!("PRI * HTTP/2.0\r\n\r\nSM {secret}\r\n\r\n")),
        malformed(format!("{CANARY}\r\n\r\n")),
    ]);
}

#[test]
fn a_body_whose_end_could_be_read_in_two_ways() {
    let line = format!("POST {}", target());
    let with = |fields: &[&str]| (head(&line, fields), 400, "ambiguous_framing");
    refused(&[
        with(&["Content-Length: 5", "Transfer-Encoding: chunked"]),
        with(&["Transfer-Encoding: chunked", "Content-Length: 0"]),
        with(&["Transfer-Encoding: chunked", "Transfer-Encoding: identity"]),
        with(&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]),
        with(&["Transfer-Encoding: gzip, chunked"]),
        with(&["Transfer-Encoding: chunked, identity"]),
        with(&["Transfer-Encoding: xchunked"]),
        (head(&line, &["Transfer-Encoding: \u{b}chunked"]), 400, "malformed_head"),
        with(&["Transfer-Encoding:"]),
        with(&["Content-Length: 5", "Content-Length: 6"]),
        with(&["Content-Length: 5, 6"]),
        with(&["Content-Length: +5"]),
        with(&["Content-Length: -1"]),
        with(&["Content-Length: 0x5"]),
        with(&["Content-Length: 5 5"]),
        with(&["Content-Length:"]),
        with(&["Content-Length: 99999999999999999999"]),
        (format!("{line} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, "ambiguous_framing"),
    ]);
}

#[test]
fn a_connection_that_nominates_what_it_must_not() {
    let names = [
        "X-Session-API-Key",
        "Host",
        "Sec-WebSocket-Key",
        "sec-websocket-protocol",
        "X-Forwarded-For",
        "X-Hushgate-Caller",
        "Content-Length",
    ];
    let mut cases = Vec::new();
    for name in names {
        let field = format!("Connection: close, {name}");
        cases.push((head(&format!("GET {}", target()), &[&field]), 400, "nominated_field"));
        cases.push((opening(&target(), &[&field]), 400, "nominated_field"));
    }
    refused(&cases);
}

#[test]
fn ten_tokens_in_connection() {
    let nine = "Connection: upgrade, a, b, c, d, e, f, g, h";
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    drop(gateway.upgrade(&opening("/s", &[]).replace("Connection: Upgrade", nine)));
    drop(gateway);
    refused(&[
        (
            opening(&target(), &[]).replace("Connection: Upgrade", &format!("{nine}, i")),
            400,
            "malformed_head",
        ),
        (head(&format!("GET {}", target()), &[nine, "Connection: i"]), 400, "malformed_head"),
    ]);
}

#[test]
fn another_upgrade_is_not_forwarded_as_one() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let gateway = Gateway::before(&upstream);
    for other in ["h2c", "TLS/1.0", "webs\u{f6}cket", "websockets"] {
        let text = head(
            "GET /a",
            &["Connection: Upgrade, HTTP2-Settings", &format!("Upgrade: {other}"), "HTTP2-Settings: AAMA"],
        );
        let bytes: Vec<u8> = text.chars().map(|character| u8::try_from(character).unwrap()).collect();
        assert_eq!(gateway.exchange(bytes).status(), 200);
    }
    for received in upstream.received() {
        assert!(!received.to_lowercase().contains("upgrade"), "{received}");
        assert!(!received.to_lowercase().contains("http2-settings"), "{received}");
    }
    assert_eq!(gateway.events("request", 4).len(), 4);
}

#[test]
fn options_of_the_whole_server_pass() {
    let upstream = Upstream::answering("HTTP/1.1 204 No Content\r\nAllow: GET\r\n\r\n");
    let gateway = Gateway::before(&upstream);
    let answer = gateway.exchange(head("OPTIONS *", &[]));
    assert_eq!((answer.status(), answer.head.value("allow")), (204, Some("GET")));
    assert!(upstream.received_up_to("\r\n\r\n").starts_with("OPTIONS * HTTP/1.1\r\n"));
    assert_eq!(gateway.event("request")["target"], "…");
}

#[test]
fn a_plain_request_of_http_1_0_works() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send("GET /a HTTP/1.0\r\n\r\n");
    let answer = client.take_answer().unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "ok"));
    assert!(client.is_over(), "without keep-alive the connection ends");
}

#[test]
fn a_host_that_only_pingora_refuses_is_logged_as_it_was_answered() {
    let host = |host: &str| head(&format!("GET {}", target()), &[]).replace("agent.example", host);
    refused(&[
        (host("user@agent.example"), 400, "malformed_head"),
        (host("a@b@agent.example"), 400, "malformed_head"),
    ]);
}

#[test]
fn a_body_whose_chunks_are_not_valid() {
    for chunks in ["zz\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "3 3\r\nabc\r\n"] {
        let upstream = Upstream::playing(|stream, _| {
            let head = stream.take_head()?;
            stream.take_body(&head)?;
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        });
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.send(head("POST /a", &["Transfer-Encoding: chunked"]) + chunks);
        let answer = client.take_answer().unwrap();
        assert_eq!(answer.status(), 400, "{chunks:?}");
        assert!(client.is_over());
        let line = gateway.event("request");
        assert_eq!(
            (&line["status"], &line["outcome"]),
            (&400.into(), &"ambiguous_framing".into()),
            "{chunks:?}"
        );
    }
}

#[test]
fn a_refusal_arrives_though_the_client_is_still_sending() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    let text =
        head("POST /a", &["Content-Length: 100000", "Transfer-Encoding: chunked"]) + &"x".repeat(100_000);
    for _ in 0..20 {
        assert_eq!(gateway.exchange(&text).status(), 400);
    }
    upstream.assert_untouched();
}
