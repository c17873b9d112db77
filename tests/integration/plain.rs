use std::time::Duration;

use crate::harness::{CANARY, Gateway, Stream, Upstream, head};

/// Answers with the request as it was received, body and all.
fn mirror() -> Upstream {
    Upstream::playing(|stream, _| {
        loop {
            let head = stream.take_head()?;
            let body = stream.take_body(&head)?;
            let text = format!("{}{}", head.0, body.len());
            stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))?;
        }
    })
}

#[test]
fn the_upstream_sees_the_request_as_it_came() {
    let upstream = mirror();
    let gateway = Gateway::before(&upstream);
    let answer = gateway.exchange(head(
        "GET /api/x?a=%2B&&b=c%20d",
        &[
            "Accept: */*",
            "Cookie: a=b; c=d",
            "Authorization: Bearer x",
            "X-Empty:",
            "Range: bytes=0-1",
            "If-None-Match: \"x\"",
            "Accept-Encoding: gzip",
        ],
    ));
    let seen = crate::harness::http::Head(answer.text().to_owned());
    assert_eq!(seen.line(), "GET /api/x?a=%2B&&b=c%20d HTTP/1.1");
    assert_eq!(
        seen.fields(),
        [
            "accept-encoding: gzip",
            "accept: */*",
            "authorization: Bearer x",
            "cookie: a=b; c=d",
            "host: agent.example",
            "if-none-match: \"x\"",
            "range: bytes=0-1",
            "x-empty: ",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: agent.example",
            "x-forwarded-proto: http",
        ]
    );
}

#[test]
fn every_method_passes() {
    let upstream = mirror();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        client.send(head(&format!("{method} /a"), &["Content-Length: 3"]) + "abc").unwrap();
        let answer = client.take_answer().unwrap();
        assert!(answer.text().starts_with(&format!("{method} /a HTTP/1.1\r\n")), "{}", answer.text());
        assert!(answer.text().ends_with("\r\n\r\n3"), "{method} has its body");
    }
    let methods: Vec<_> = gateway.events("request", 7).iter().map(|line| line["method"].clone()).collect();
    assert_eq!(methods[..6], ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
    assert_eq!(methods[6], "…", "an unknown method is a client's text");
}

#[test]
fn bodies_pass_by_length_and_in_chunks() {
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let expected = body.clone();
    let upstream = Upstream::playing(move |stream, _| {
        loop {
            let head = stream.take_head()?;
            let got = stream.take_body(&head)?;
            assert!(got == expected, "the body differs");
            if head.line().contains("chunks") {
                stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                for piece in got.chunks(9_999) {
                    stream.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat())?;
                }
                stream.send("0\r\nX-Trailer: 1\r\n\r\n")?;
            } else {
                stream.send([b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n", &got[..]].concat())?;
            }
        }
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.connect();
    for answer in ["/length", "/chunks"] {
        client
            .send([head(&format!("PUT {answer}"), &["Content-Length: 300000"]).as_bytes(), &body].concat())
            .unwrap();
        assert!(client.take_answer().unwrap().body == body);
        client
            .send(head(&format!("POST {answer}"), &["Transfer-Encoding: chunked", "Trailer: X-T"]))
            .unwrap();
        for piece in body.chunks(7_777) {
            client
                .send([format!("{:X};ext=1\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat())
                .unwrap();
        }
        client.send("0\r\nX-T: 1\r\n\r\n").unwrap();
        assert!(client.take_answer().unwrap().body == body);
    }
    let line = &gateway.events("request", 4)[0];
    assert!(line["bytes_received"].as_u64().unwrap() > 300_000, "{line}");
    assert!(line["bytes_sent"].as_u64().unwrap() > 300_000, "{line}");
}

#[test]
fn a_body_that_ends_with_the_connection_arrives() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nto the ")?;
        stream.send("end")
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("GET /", &["Connection: close"]));
    let answer = client.take_head().unwrap();
    let body = if answer.value("transfer-encoding").is_some() {
        client.take_body(&answer).unwrap()
    } else {
        client.take_all().unwrap()
    };
    assert_eq!(body, b"to the end");
}

#[test]
fn answers_without_a_body_have_none() {
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
    ] {
        let upstream = Upstream::answering(answer);
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.connect();
        for _ in 0..4 {
            client.send(head(&format!("{method} /a"), &[])).unwrap();
            let head = client.take_head().unwrap();
            assert_eq!(head.line().split(' ').nth(1), answer.split(' ').nth(1), "{method}");
            if method == "HEAD" {
                assert_eq!(head.value("content-length"), Some("1000"));
            }
            assert!(client.stays_quiet(Duration::from_millis(50)), "{method}: no body follows");
        }
        assert!(upstream.received().len() < 4, "the upstream's connection goes on");
    }
}

#[test]
fn answers_pass_with_their_fields_and_reason() {
    let upstream = Upstream::answering(
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/5\r\nContent-Length: 2\r\n\
         Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nVary: Origin\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\nab",
    );
    let gateway = Gateway::before(&upstream);
    let answer = gateway.exchange(head("GET /file", &["Range: bytes=0-1"]));
    assert_eq!((answer.head.line(), answer.text()), ("HTTP/1.1 206 Partial Content", "ab"));
    assert_eq!(answer.head.values("set-cookie"), ["a=b", "c=d"]);
    assert_eq!(answer.head.value("content-range"), Some("bytes 0-1/5"));
    assert_eq!(answer.head.value("keep-alive"), None);
}

#[test]
fn an_upstreams_101_to_a_plain_request_is_a_bad_gateway() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(crate::harness::SWITCHING)?;
        stream.take_all().map(drop)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("GET /a", &[]));
    assert_eq!(client.take_head().unwrap().status(), 502);
    client.send("never tunnelled").unwrap_or_default();
    assert!(client.is_over());
    assert!(!upstream.received().concat().contains("never"));
    assert_eq!(gateway.event("request")["outcome"], "upstream_malformed");
}

#[test]
fn of_the_credential_field_the_first_line_goes_on_and_the_parameter_never() {
    let upstream = mirror();
    let gateway = Gateway::before(&upstream);
    let secret = format!("X-Session-API-Key: {CANARY}");
    for (query, fields, expected_target, expected_lines) in [
        (format!("?session_api_key={CANARY}"), vec![], "/a", vec![]),
        (format!("?b&session%5Fapi_key={CANARY}&c"), vec!["X-Session-API-Key: k"], "/a?b&c", vec!["k"]),
        (String::new(), vec![&*secret, "x-session-api-key: other"], "/a", vec![CANARY]),
        ("?session_api_key=%0D%0AX:1".to_owned(), vec!["X_Session_API_Key: u"], "/a", vec![]),
    ] {
        let answer = gateway.exchange(head(&format!("GET /a{query}"), &fields));
        let seen = crate::harness::http::Head(answer.text().to_owned());
        assert_eq!(seen.line(), format!("GET {expected_target} HTTP/1.1"));
        assert_eq!(seen.values("x-session-api-key"), expected_lines);
        assert_eq!(seen.values("x_session_api_key"), Vec::<&str>::new());
    }
    let sources: Vec<_> =
        gateway.events("request", 4).iter().map(|line| line["credential_source"].clone()).collect();
    assert_eq!(sources, ["none", "field", "field", "none"]);
}

#[test]
fn promoted_parameters_of_plain_requests_are_the_credential() {
    let upstream = mirror();
    let setup = crate::harness::setup::Setup::before(&upstream);
    let gateway = setup.set("handshake.plain_requests", "promote").start();
    let answer =
        gateway.exchange(head(&format!("GET /a?x&session_api_key={CANARY}"), &["X-Session-API-Key: other"]));
    let seen = crate::harness::http::Head(answer.text().to_owned());
    assert_eq!((seen.line(), seen.values("x-session-api-key")), ("GET /a?x HTTP/1.1", vec![CANARY]));
    let refused = gateway.exchange(head("GET /a?session_api_key=", &["X-Session-API-Key: other"]));
    assert_eq!((refused.status(), refused.text()), (401, "{\"detail\":\"Unauthorized\"}"));
    assert_eq!(upstream.received().len(), 1);
    let lines = gateway.events("request", 2);
    assert_eq!(
        (&lines[0]["credential_source"], &lines[1]["outcome"]),
        (&"query".into(), &"unusable_credential".into())
    );
    assert_eq!(lines[1]["event"], "request");
}

#[test]
fn forwarded_parameters_of_plain_requests_stay_in_the_query_and_out_of_the_log() {
    let upstream = mirror();
    let setup = crate::harness::setup::Setup::before(&upstream);
    let gateway = setup.set("handshake.plain_requests", "forward").start();
    let target = format!("/a?x&session_api_key={CANARY}");
    let answer = gateway.exchange(head(&format!("GET {target}"), &[]));
    assert!(answer.text().starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{}", answer.text());
    assert_eq!(gateway.event("request")["target"], "/a?…");
}

#[test]
fn a_connection_is_kept_and_both_its_ends_are_used_again() {
    let upstream = mirror();
    let gateway = Gateway::before(&upstream);
    let mut client: Stream = gateway.connect();
    for _ in 0..5 {
        client.send(head("GET /a", &[])).unwrap();
        assert_eq!(client.take_answer().unwrap().status(), 200);
    }
    // A line is written when the upstream's connection is back in the pool.
    gateway.events("request", 5);
    assert_eq!(gateway.exchange(head("GET /b", &[])).status(), 200);
    // Pingora takes a fresh one when it finds the old one not yet at rest, which is rare.
    assert!(upstream.received().len() <= 3, "not one connection for each of six");
}

#[test]
fn large_heads_pass_both_ways() {
    let upstream = Upstream::playing(|stream, _| {
        loop {
            let head = stream.take_head()?;
            let fields: String =
                (0..90).map(|number| format!("X-Answer-{number}: {}\r\n", "z".repeat(500))).collect();
            let body = head.fields().len().to_string();
            stream
                .send(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()))?;
        }
    });
    let gateway = Gateway::before(&upstream);
    let fields: Vec<_> = (0..90).map(|number| format!("X-Request-{number}: {}", "y".repeat(650))).collect();
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    let mut client = gateway.connect();
    for _ in 0..3 {
        client.send(head(&format!("GET /{}", "x".repeat(4_000)), &fields)).unwrap();
        let answer = client.take_answer().unwrap();
        assert_eq!((answer.status(), answer.text()), (200, "94"), "90, Host, and three of ours");
        assert_eq!(answer.head.value("x-answer-89").map(str::len), Some(500));
    }
}

#[test]
fn an_answer_with_two_framings_goes_on_with_one() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        )
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("GET /a", &[]));
    let head = client.take_head().unwrap();
    if head.status() == 200 {
        assert_eq!(head.value("content-length"), None, "{head:?}");
        assert_eq!(client.take_body(&head).unwrap(), b"hello");
    } else {
        assert_eq!(head.status(), 502);
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    );
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = client.take_head().unwrap();
    assert_eq!((head.status(), head.value("transfer-encoding")), (200, None));
    assert_eq!(client.take_all().unwrap(), b"hello world", "the end of the connection is its end");
}
