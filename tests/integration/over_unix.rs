use crate::harness::{CANARY, SWITCHING, Upstream, head, opening, setup::Setup, upstream::echo_on};

#[test]
fn plain_requests_and_handshakes_reach_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::playing_at(&folder.path().join("agent.sock"), |stream, _| {
        loop {
            let head = stream.take_head()?;
            if !head.values("upgrade").is_empty() {
                return echo_on(stream, SWITCHING);
            }
            let body = stream.take_body(&head)?;
            stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
            stream.send(body)?;
        }
    });
    let gateway = Setup::before(&upstream).start();
    let mut client = gateway.connect();
    for _ in 0..6 {
        client.send(head("POST /a", &["Content-Length: 5"]) + "hello").unwrap();
        assert_eq!(client.take_answer().unwrap().text(), "hello");
    }
    assert!(upstream.received().len() <= 3, "its connection is reused");
    let mut socket = gateway.upgrade(&opening(&format!("/s?session_api_key={CANARY}"), &[]));
    socket.send("hello").unwrap();
    assert_eq!(socket.take(5).unwrap(), b"hello");
    socket.finish().unwrap();
    assert!(socket.is_over());
    assert!(upstream.received().concat().contains(&format!("X-Session-API-Key: {CANARY}\r\n")));
}

#[test]
fn a_unix_socket_that_is_not_there_is_a_bad_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix:{}", folder.path().join("missing.sock").display());
    let gateway = Setup::before(&Upstream::refusing()).set("upstream.url", url).start();
    assert_eq!(gateway.exchange(head("GET /a", &[])).status(), 502);
    assert_eq!(gateway.exchange(opening("/s", &[])).status(), 502);
    for event in ["request", "handshake"] {
        assert_eq!(gateway.event(event)["outcome"], "upstream_unreachable");
    }
}
