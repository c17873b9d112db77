use std::{net::TcpListener, time::Duration};

use crate::harness::{CANARY, Gateway, Stream, Upstream, head, opening, setup::Setup, timed};

fn handshake() -> String {
    opening(&format!("/sockets/events/1?session_api_key={CANARY}"), &[])
}

fn plain() -> String {
    head(
        &format!("GET /api/tools?session_api_key={CANARY}&x=1"),
        &[&format!("X-Session-API-Key: {CANARY}"), &format!("Referer: http://h/?session_api_key={CANARY}")],
    )
}

/// Both kinds of request get this status, and the log has this word.
#[track_caller]
fn both_get(gateway: &Gateway, status: u16, outcome: &str) {
    for (request, event) in [(handshake(), "handshake"), (plain(), "request")] {
        let answer = gateway.exchange(&request);
        assert_eq!((answer.status(), answer.body.len()), (status, 0), "{event}");
        let line = gateway.event(event);
        assert_eq!((&line["status"], &line["outcome"]), (&status.into(), &outcome.into()), "{event}");
    }
}

#[test]
fn refused() {
    let gateway = Gateway::before(&Upstream::refusing());
    let (took, ()) = timed(|| both_get(&gateway, 502, "upstream_unreachable"));
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn reset_before_an_answer() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.socket().set_linger(Some(Duration::ZERO))
    });
    both_get(&Gateway::before(&upstream), 502, "upstream_reset");
}

#[test]
fn closed_before_an_answer() {
    let upstream = Upstream::playing(|stream, _| stream.take_head().map(drop));
    both_get(&Gateway::before(&upstream), 502, "upstream_reset");
}

#[test]
fn closed_inside_an_answers_head() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(format!("HTTP/1.1 200 OK\r\nLocation: /?session_api_key={CANARY}\r\nContent-Le"))
    });
    both_get(&Gateway::before(&upstream), 502, "upstream_reset");
}

#[test]
fn garbage() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(format!("{CANARY} SSH-2.0-OpenSSH_9.2 session_api_key={CANARY}\r\n\r\n"))
    });
    both_get(&Gateway::before(&upstream), 502, "upstream_malformed");
}

#[test]
fn an_answer_with_a_broken_field() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(format!("HTTP/1.1 200 OK\r\nSet-Cookie {CANARY}\x01\r\n\r\n"))
    });
    both_get(&Gateway::before(&upstream), 502, "upstream_malformed");
}

#[test]
fn silent() {
    let upstream = Upstream::playing(|stream, _| stream.take_all().map(drop));
    let gateway = Setup::before(&upstream)
        .set("limits.handshake_timeout", "500ms")
        .set("limits.response_timeout", "500ms")
        .start();
    let (took, ()) = timed(|| both_get(&gateway, 504, "upstream_timeout"));
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn dripping_its_answer() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        for byte in "HTTP/1.1 101 Switching Protocols\r\n".bytes().cycle() {
            stream.send([byte])?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    let gateway = Setup::before(&upstream).set("limits.handshake_timeout", "500ms").start();
    let (took, answer) = timed(|| gateway.exchange(handshake()));
    assert_eq!(answer.status(), 504);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// A listener that nobody accepts from, and connections that fill its backlog.
fn deaf() -> (TcpListener, Vec<std::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let filling = (0..8)
        .map_while(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok())
        .collect();
    (listener, filling)
}

#[test]
fn not_to_be_connected_to() {
    let (listener, filling) = deaf();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Setup::before(&Upstream::refusing())
        .set("upstream.url", url)
        .set("limits.connect_timeout", "500ms")
        .start();
    let (took, ()) = timed(|| both_get(&gateway, 504, "upstream_timeout"));
    assert!(took < Duration::from_secs(4), "{took:?}");
    drop(filling);
}

#[test]
fn restarted_upstreams_work_at_once() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Setup::before(&Upstream::refusing()).set("upstream.url", format!("http://{port}")).start();
    assert_eq!(gateway.exchange(plain()).status(), 502);
    let listener = TcpListener::bind(port).unwrap();
    let served = std::thread::spawn(move || {
        for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", crate::harness::SWITCHING] {
            let mut stream = Stream::tcp(listener.accept().unwrap().0);
            stream.take_head().unwrap();
            stream.send(answer).unwrap();
        }
    });
    assert_eq!(gateway.exchange(plain()).status(), 200);
    assert_eq!(gateway.exchange(handshake()).status(), 101);
    served.join().unwrap();
}

#[test]
fn a_client_that_leaves_meanwhile_is_noticed() {
    let upstream = Upstream::playing(|stream, _| stream.take_all().map(drop));
    let gateway = Gateway::before(&upstream);
    for (request, event) in [(handshake(), "handshake"), (plain(), "request")] {
        let client = gateway.send(request);
        crate::harness::eventually("the request arrives upstream", || {
            upstream.received().last().is_some_and(|bytes| bytes.ends_with("\r\n\r\n"))
        });
        client.reset();
        let line = gateway.event(event);
        assert_eq!((&line["status"], &line["outcome"]), (&serde_json::Value::Null, &"client_closed".into()));
    }
}

#[test]
fn stalling_inside_its_answer_to_a_handshake() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\n\r\nhalf")?;
        stream.take_all().map(drop)
    });
    let gateway = Setup::before(&upstream).set("limits.handshake_timeout", "500ms").start();
    let mut client = gateway.send(handshake());
    let (took, head) = timed(|| client.take_head().unwrap());
    assert_eq!(head.status(), 401);
    assert!(client.take_all().unwrap().ends_with(b"half"));
    assert!(took < Duration::from_secs(4), "{took:?}");
    let line = gateway.event("handshake");
    assert_eq!((&line["status"], &line["outcome"]), (&401.into(), &"upstream_timeout".into()));
}

#[test]
fn an_answer_of_http_1_0_is_no_switch_of_protocols() {
    let answer = crate::harness::SWITCHING.replace("HTTP/1.1", "HTTP/1.0");
    let upstream = Upstream::answering(answer);
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.exchange(handshake()).status(), 502);
    assert_eq!(gateway.event("handshake")["outcome"], "upstream_malformed");
}
