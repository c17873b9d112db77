use std::{
    io,
    sync::{Mutex, mpsc},
    time::Duration,
};

use crate::harness::{CANARY, Gateway, PATIENCE, Upstream, head};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn plain(method: &str) -> String {
    head(&format!("{method} /a"), &["Content-Length: 0", &format!("X-Session-API-Key: {CANARY}")])
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
    assert_eq!(gateway.exchange(plain("GET")).status(), 200);
    std::thread::sleep(Duration::from_millis(4_600));
    assert_eq!(gateway.exchange(plain("GET")).status(), 200);
    assert_eq!(upstream.received().len(), 2, "uvicorn would be about to close the first");
}

#[test]
fn a_connection_that_the_upstream_closed_is_not_used() {
    let upstream = closing_after_one("closes");
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.exchange(plain("POST")).status(), 200);
    // The end has to reach the gateway; loopback is fast, but not instant.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(gateway.exchange(plain("POST")).status(), 200);
    assert_eq!(requests(&upstream, "POST"), 2);
}

#[test]
fn what_may_have_been_done_is_never_sent_twice() {
    for end in ["dies", "closes on the next request"] {
        for method in ["POST", "PATCH"] {
            let upstream = closing_after_one(end);
            let gateway = Gateway::before(&upstream);
            assert_eq!(gateway.exchange(plain(method)).status(), 200);
            assert_eq!(gateway.exchange(plain(method)).status(), 502, "{end}: the client has to decide");
            assert_eq!(requests(&upstream, method), 2, "{end}: {method}");
        }
    }
}

#[test]
fn what_may_be_repeated_is_repeated() {
    let upstream = closing_after_one("dies");
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.exchange(plain("GET")).status(), 200);
    assert_eq!(gateway.exchange(plain("GET")).status(), 200);
    assert_eq!(requests(&upstream, "GET"), 3, "once, twice, and once more on a fresh connection");
    assert_eq!(gateway.events("request", 2).len(), 2, "one line a request, however often it was sent");
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

#[test]
fn a_body_that_was_sent_is_not_sent_twice() {
    let (sender, bodies) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing(move |stream, number| {
        stream.take_head()?;
        stream.send(OK)?;
        let head = stream.take_head()?;
        let body = stream.take_body(&head)?;
        sender.lock().unwrap().send(body).map_err(io::Error::other)?;
        if number == 0 {
            return Ok(());
        }
        stream.send(OK)
    });
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.exchange(plain("GET")).status(), 200);
    let upload = head("POST /upload", &["Content-Length: 9"]) + "only once";
    assert_eq!(gateway.exchange(upload).status(), 502);
    assert_eq!(bodies.recv_timeout(PATIENCE).unwrap(), b"only once");
    assert!(bodies.recv_timeout(Duration::from_millis(200)).is_err());
}
