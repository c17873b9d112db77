use std::time::Duration;

use crate::harness::{CANARY, Gateway, Upstream, head, http::Answer};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn plain(method: &str) -> String {
    head(&format!("{method} /a"), &["Content-Length: 0", &format!("X-Session-API-Key: {CANARY}")])
}

/// Has one request answered, and waits until the upstream's connection is back in the pool.
#[track_caller]
fn warm(gateway: &Gateway, method: &str) {
    assert_eq!(gateway.exchange(plain(method)).status(), 200);
    gateway.events("request", 1);
}

/// An upstream that answers the first request, then ends the connection as `end` says while the
/// gateway may think it is idle; further connections are answered.
fn closing_after_one(end: &'static str) -> Upstream {
    Upstream::playing(move |stream, number| {
        stream.take_head()?;
        stream.send(OK)?;
        if number == 0 {
            match end {
                "closes" => return Ok(()),
                // It takes the next request, and dies before it answers.
                "dies" => {
                    stream.take_head()?;
                    return stream.socket().set_linger(Some(Duration::ZERO));
                }
                _ => {
                    stream.take_head()?;
                    return Ok(());
                }
            }
        }
        loop {
            stream.take_head()?;
            stream.send(OK)?;
        }
    })
}

fn requests(upstream: &Upstream, method: &str) -> usize {
    upstream.received().concat().matches(&format!("{method} /a ")).count()
}

#[test]
fn an_idle_connection_is_not_used_after_four_seconds() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    warm(&gateway, "GET");
    std::thread::sleep(Duration::from_millis(4_600));
    assert_eq!(gateway.exchange(plain("GET")).status(), 200);
    assert_eq!(upstream.received().len(), 2, "uvicorn would be about to close the first");
}

#[test]
fn a_connection_that_the_upstream_closed_is_not_used() {
    let upstream = closing_after_one("closes");
    let gateway = Gateway::before(&upstream);
    warm(&gateway, "POST");
    // The end has to reach the gateway; loopback is fast, but not instant.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(gateway.exchange(plain("POST")).status(), 200);
    assert_eq!(requests(&upstream, "POST"), 2);
}

/// The answer to a second request that went out on the connection of the first. Pingora may find
/// that one not yet at rest and take a fresh one, in which case all begins anew.
#[track_caller]
fn second_on_the_same(upstream: impl Fn() -> Upstream, first: &str, second: &str) -> (Upstream, Answer) {
    for _ in 0..20 {
        let upstream = upstream();
        let gateway = Gateway::before(&upstream);
        warm(&gateway, first);
        let answer = gateway.exchange(second);
        assert_eq!(gateway.events("request", 2).len(), 2, "one line a request, however often it was sent");
        if upstream.received()[0].matches(" HTTP/1.1\r\n").count() == 2 {
            return (upstream, answer);
        }
    }
    panic!("a connection of the pool was never used");
}

#[test]
fn what_may_have_been_done_is_never_sent_twice() {
    for end in ["dies", "closes on the next request"] {
        for method in ["POST", "PATCH"] {
            let (upstream, answer) = second_on_the_same(|| closing_after_one(end), method, &plain(method));
            assert_eq!(answer.status(), 502, "{end}: the client has to decide");
            assert_eq!(requests(&upstream, method), 2, "{end}: {method}");
        }
    }
}

#[test]
fn what_may_be_repeated_is_repeated() {
    let (upstream, answer) = second_on_the_same(|| closing_after_one("dies"), "GET", &plain("GET"));
    assert_eq!(answer.status(), 200);
    assert_eq!(requests(&upstream, "GET"), 3, "once, twice, and once more on a fresh connection");
}

#[test]
fn a_body_that_was_sent_is_not_sent_twice() {
    let upstream = || {
        Upstream::playing(|stream, number| {
            stream.take_head()?;
            stream.send(OK)?;
            let head = stream.take_head()?;
            stream.take_body(&head)?;
            // The first connection ends without an answer.
            if number == 0 { Ok(()) } else { stream.send(OK) }
        })
    };
    let upload = head("POST /upload", &["Content-Length: 9"]) + "only once";
    let (upstream, answer) = second_on_the_same(upstream, "GET", &upload);
    assert_eq!(answer.status(), 502);
    assert_eq!(upstream.received().concat().matches("only once").count(), 1);
}

#[test]
fn a_fresh_connection_that_fails_is_not_tried_again() {
    let upstream = Upstream::playing(|stream, _| stream.take_head().map(drop));
    let gateway = Gateway::before(&upstream);
    for method in ["POST", "GET"] {
        assert_eq!(gateway.exchange(plain(method)).status(), 502);
        assert_eq!(requests(&upstream, method), 1, "{method}");
    }
}
