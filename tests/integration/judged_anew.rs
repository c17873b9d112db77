use crate::harness::{CANARY, Gateway, Stream, Upstream, eventually, head, opening};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The request lines that an upstream received.
fn request_lines(upstream: &Upstream) -> Vec<String> {
    upstream
        .received()
        .iter()
        .flat_map(|bytes| bytes.lines())
        .filter(|line| line.ends_with(" HTTP/1.1"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn pipelined_requests_are_answered_in_order_and_one_by_one() {
    let upstream = Upstream::playing(|stream, _| {
        loop {
            let head = stream.take_head()?;
            stream.take_body(&head)?;
            let path = head.line().split(' ').nth(1).unwrap().to_owned();
            stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()))?;
        }
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(
        head(&format!("GET /1?session_api_key={CANARY}"), &[])
            + &head("POST /2", &["Content-Length: 3"])
            + "abc"
            + &head("POST /3", &["Transfer-Encoding: chunked"])
            + "3;x=y\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n"
            + &head(&format!("GET /4?x&%73ession_api_key={CANARY}"), &["Connection: close"]),
    );
    for path in ["/1", "/2", "/3", "/4?x"] {
        assert_eq!(client.take_answer().unwrap().text(), path);
    }
    assert!(client.is_over());
    assert_eq!(gateway.events("request", 4).len(), 4);
}

#[test]
fn a_pipelined_request_that_is_malformed_is_refused() {
    for next in [
        format!("GET /next?session_api_key={CANARY} x HTTP/1.1\r\nHost: h\r\n\r\n"),
        head("POST /next", &["Content-Length: 4", "Transfer-Encoding: chunked"]),
        head(&format!("GET http://h/next?session_api_key={CANARY}"), &[]),
    ] {
        let upstream = Upstream::answering(OK);
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.send(head("GET /first", &[]) + &next);
        assert_eq!(client.take_answer().unwrap().text(), "ok");
        assert_eq!(client.take_answer().unwrap().status(), 400, "{next}");
        assert!(client.is_over());
        assert_eq!(request_lines(&upstream), ["GET /first HTTP/1.1"]);
    }
}

#[test]
fn a_handshake_after_a_plain_request_is_judged_by_itself() {
    let upstream = Upstream::playing(|stream, _| {
        loop {
            let head = stream.take_head()?;
            if head.values("upgrade").is_empty() {
                stream.send(OK)?;
            } else {
                crate::harness::upstream::echo_on(stream, crate::harness::SWITCHING)?;
                return Ok(());
            }
        }
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("GET /a", &[&format!("X-Session-API-Key: {CANARY}")]));
    assert_eq!(client.take_answer().unwrap().text(), "ok");
    client.send(opening("/s?session_api_key=second", &[]) + "early").unwrap();
    assert_eq!(client.take_head().unwrap().status(), 101);
    assert_eq!(client.take(5).unwrap(), b"early");
    let seen = upstream.received().concat();
    assert!(seen.contains("X-Session-API-Key: second\r\n"), "{seen}");
    let line = gateway.event("handshake");
    assert_eq!(line["credential_source"], "query");
    assert_ne!(line["request_id"], gateway.event("request")["request_id"]);
}

#[test]
fn a_refused_handshake_ends_the_connection() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let wrong = opening(&format!("/s?session_api_key={CANARY}"), &[]).replace("Version: 13", "Version: 8");
    let mut client = gateway.send(wrong + &head("GET /smuggled", &[]));
    assert_eq!(client.take_answer().unwrap().status(), 426);
    assert!(client.is_over());
    upstream.assert_untouched();
}

#[test]
fn a_body_is_never_taken_for_a_request() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let smuggled = head(&format!("GET /smuggled?session_api_key={CANARY}"), &[]);
    let length = format!("Content-Length: {}", smuggled.len());
    let mut client = gateway.send(head("GET /1", &[&length]) + &smuggled + &head("GET /2", &[]));
    assert_eq!(client.take_answer().unwrap().text(), "ok");
    assert_eq!(client.take_answer().unwrap().text(), "ok");
    drop(client);
    assert_eq!(gateway.events("request", 2).len(), 2, "two requests in, two out");
}

#[test]
fn what_follows_a_chunked_body_is_judged_by_itself() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let chunked = head("POST /1", &["Transfer-Encoding: chunked"]) + "3\r\nabc\r\n0\r\n\r\n";
    let next = head(&format!("GET /2?session_api_key={CANARY}"), &[]);
    let wrong = head(&format!("GET http://h/3?session_api_key={CANARY}"), &[]);
    let mut client = gateway.send(chunked + &next + &wrong);
    assert_eq!(client.take_answer().unwrap().text(), "ok");
    assert_eq!(client.take_answer().unwrap().text(), "ok");
    assert_eq!(client.take_answer().unwrap().status(), 400);
    assert!(client.is_over());
    assert_eq!(request_lines(&upstream), ["POST /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
    assert_eq!(gateway.events("request", 3)[2]["outcome"], "illegal_target");
}

#[test]
fn a_request_inside_chunks_is_none() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let inner = head("GET /smuggled", &[]);
    let mut client = gateway.connect();
    // In a chunk, in an extension, and in the trailer section; byte by byte as well.
    for (number, body) in [
        format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
        "3;GET /smuggled HTTP/1.1\r\nabc\r\n0\r\n\r\n".to_owned(),
        "0\r\nX: GET /smuggled HTTP/1.1\r\n\r\n".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let request = head(&format!("POST /{number}"), &["Transfer-Encoding: chunked"]) + &body;
        client.send(&request).unwrap();
        assert_eq!(client.take_answer().unwrap().text(), "ok");
        for byte in request.bytes() {
            client.send([byte]).unwrap();
        }
        assert_eq!(client.take_answer().unwrap().text(), "ok");
    }
    assert_eq!(gateway.events("request", 6).len(), 6);
    assert!(!gateway.log_text().contains("smuggled"));
}

#[test]
fn a_body_that_nobody_wanted_is_never_taken_for_a_request() {
    // The upstream answers before the body, and ends its connection.
    let upstream = Upstream::playing(|stream: &mut Stream, _| {
        stream.take_head()?;
        stream.send("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    });
    let gateway = Gateway::before(&upstream);
    let smuggled = head("GET /smuggled", &[]);
    let length = format!("Content-Length: {}", smuggled.len());
    let mut client = gateway.send(head("POST /1", &[&length]));
    assert_eq!(client.take_answer().unwrap().status(), 413);
    // Whether the connection still takes it is open; what it would be is not.
    if client.send(smuggled + &head("GET /2", &[])).is_ok() {
        let _ = client.take_all();
    }
    eventually("the request is over", || gateway.log_text().contains("\"/1\""));
    assert!(!request_lines(&upstream).concat().contains("smuggled"));
    assert!(!gateway.log_text().contains("smuggled"), "{}", gateway.log_text());
}

#[test]
fn an_answer_that_nobody_asked_for_never_reaches_the_next_request() {
    let upstream = Upstream::playing(|stream, _| {
        loop {
            let head = stream.take_head()?;
            let path = head.line().split(' ').nth(1).unwrap().to_owned();
            stream.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                path.len()
            ))?;
        }
    });
    let gateway = Gateway::before(&upstream);
    for path in ["/1", "/2", "/3"] {
        assert_eq!(gateway.exchange(head(&format!("GET {path}"), &[])).text(), path);
    }
}

#[test]
fn identical_lengths_become_one() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let answer = gateway.exchange(head("POST /1", &["Content-Length: 3", "Content-Length: 3, 3"]) + "abc");
    assert_eq!(answer.text(), "ok");
    let seen = upstream.received_up_to("abc").to_lowercase();
    assert_eq!(seen.matches("content-length").count(), 1, "{seen}");
}

#[test]
fn empty_lines_before_a_request_are_skipped_and_counted_once() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let mut client =
        gateway.send("\r\n\n\r\n".to_owned() + &head("GET /1", &[]) + "\r\n" + &head("GET /2", &[]));
    assert_eq!(client.take_answer().unwrap().text(), "ok");
    assert_eq!(client.take_answer().unwrap().text(), "ok");
    assert_eq!(request_lines(&upstream), ["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
}
