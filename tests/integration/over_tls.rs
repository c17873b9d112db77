use std::{
    io,
    sync::{Mutex, mpsc},
    time::Duration,
};

use crate::harness::{
    CANARY, Gateway, PATIENCE, SWITCHING, Stream, Upstream, eventually, head, is_slow_run, opening,
    setup::Setup, tls, upstream::echo_on,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn before(upstream: &Upstream) -> (tls::Authority, Setup) {
    let authority = tls::Authority::new();
    let setup = Setup::before(upstream).tls(&authority.issue("gateway", &["127.0.0.1"]), &authority.roots());
    (authority, setup)
}

fn target() -> String {
    opening(&format!("/s?session_api_key={CANARY}"), &[])
}

/// Agrees to handshakes and answers other requests.
fn script(stream: &mut Stream, _: usize) -> io::Result<()> {
    loop {
        let head = stream.take_head()?;
        if !head.values("upgrade").is_empty() {
            return echo_on(stream, SWITCHING);
        }
        let body = stream.take_body(&head)?;
        stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len() + head.0.len()))?;
        stream.send(head.0)?;
        stream.send(body)?;
    }
}

#[test]
fn alpn_agrees_on_http_1_1() {
    let upstream = Upstream::answering(OK);
    let (_authority, setup) = before(&upstream);
    let gateway = setup.start();
    let mut client = gateway.send(head("GET /a", &[]));
    assert_eq!(client.take_answer().unwrap().text(), "ok");
    assert_eq!(client.alpn().as_deref(), Some(&b"http/1.1"[..]));
    gateway.says("(TLS)", 1);
}

#[test]
fn the_takeover_works_as_without() {
    let upstream = Upstream::playing(script);
    let (_authority, setup) = before(&upstream);
    let gateway = setup.start();
    let mut client = gateway.upgrade(&target());
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for piece in bytes.chunks(70_000) {
        client.send(piece).unwrap();
        assert!(client.take(piece.len()).unwrap() == piece);
    }
    drop(client);
    assert!(upstream.received().concat().contains(&format!("X-Session-API-Key: {CANARY}\r\n")));
    let close = gateway.event("close");
    assert_eq!((&close["bytes_received"], &close["bytes_sent"]), (&300_000.into(), &300_000.into()));
}

#[test]
fn early_data_follows_the_101_in_order() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        if !stream.stays_quiet(Duration::from_millis(300)) {
            return stream.send("HTTP/1.1 500 Too Early\r\ncontent-length: 0\r\n\r\n");
        }
        echo_on(stream, &format!("{SWITCHING}first "))
    });
    let (_authority, setup) = before(&upstream);
    let gateway = setup.start();
    let mut client = gateway.send(target() + "same ");
    client.send("later").unwrap();
    assert_eq!(client.take_head().unwrap().status(), 101);
    assert_eq!(client.take(16).unwrap(), b"first same later");
}

#[test]
fn the_clients_close_notify_passes_as_a_half_close() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(SWITCHING)?;
        let all = stream.take_all()?;
        stream.send([b"got: ", &all[..]].concat())
    });
    let (_authority, setup) = before(&upstream);
    let gateway = setup.start();
    let mut client = gateway.upgrade(&target());
    client.send("everything").unwrap();
    client.finish().unwrap();
    assert_eq!(client.take_all().unwrap(), b"got: everything", "with a close_notify behind it");
    assert_eq!(gateway.event("close")["closed_by"], "client");
}

#[test]
fn the_upstreams_half_close_passes_as_a_close_notify() {
    let (sender, rest) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        stream.send(format!("{SWITCHING}bye"))?;
        stream.finish()?;
        sender.lock().unwrap().send(stream.take_all()?).map_err(io::Error::other)
    });
    let (_authority, setup) = before(&upstream);
    let gateway = setup.start();
    let mut client = gateway.upgrade(&target());
    assert_eq!(client.take_all().unwrap(), b"bye", "a missing close_notify would be an error here");
    client.send("still here").unwrap();
    client.finish().unwrap();
    assert_eq!(rest.recv_timeout(PATIENCE).unwrap(), b"still here");
}

#[test]
fn refusals_and_requests_are_as_without() {
    let upstream = Upstream::playing(script);
    let (_authority, setup) = before(&upstream);
    let gateway = setup.start();
    let mut client = gateway.send(opening("/s?session_api_key=", &[]));
    assert_eq!(
        client.take_all().unwrap(),
        b"HTTP/1.1 403 \r\ncontent-length: 0\r\nConnection: close\r\n\r\n"
    );
    let answer = gateway.exchange(target().replace("Version: 13", "Version: 8"));
    assert_eq!(answer.status(), 426);
    let mut client = gateway.send(head("POST /1", &["Content-Length: 100000"]) + &"x".repeat(100_000));
    assert!(client.take_answer().unwrap().text().ends_with(&"x".repeat(100_000)));
    client.send(head(&format!("GET /2?session_api_key={CANARY}"), &[])).unwrap();
    assert!(client.take_answer().unwrap().text().starts_with("GET /2 HTTP/1.1\r\n"));
}

#[test]
fn who_does_not_speak_tls_is_sent_away() {
    let upstream = Upstream::answering(OK);
    let (_authority, setup) = before(&upstream);
    let gateway = setup.start();
    let mut plain = Stream::connect(gateway.address());
    plain.send(target()).unwrap();
    let got = plain.take_all().unwrap();
    assert_eq!((got.len(), got[0]), (7, 21), "one alert, and the end");
    drop(plain);
    assert_eq!(gateway.exchange(head("GET /a", &[])).text(), "ok");
    upstream.received_up_to("GET /a");
}

#[test]
fn handshakes_in_a_row_are_not_lost() {
    let upstream = Upstream::playing(script);
    let (_authority, setup) = before(&upstream);
    let gateway = setup.start();
    for number in 0..if is_slow_run() { 2_000 } else { 50 } {
        let mut client = gateway.upgrade(&target());
        client.send("frame").unwrap();
        assert_eq!(client.take(5).unwrap(), b"frame", "handshake {number}");
    }
}

/// A gateway before an upstream that speaks TLS with a certificate for `name`, and is called
/// 127.0.0.1.
fn before_tls(name: &str, trusts: bool) -> (Gateway, Upstream) {
    let (authority, other) = (tls::Authority::new(), tls::Authority::new());
    let server = tls::Authority::server(&authority.issue("upstream", &[name]));
    let upstream = Upstream::playing_over_tls("127.0.0.1", server, script);
    let roots = if trusts { authority.roots() } else { other.roots() };
    let gateway = Setup::before(&upstream).set("upstream.ca_file", roots.to_str().unwrap()).start();
    // The files are read at the start; they may be gone now.
    drop((authority, other));
    (gateway, upstream)
}

#[test]
fn an_https_upstream_is_verified_and_used() {
    let (gateway, upstream) = before_tls("127.0.0.1", true);
    let answer = gateway.exchange(head(&format!("GET /a?session_api_key={CANARY}"), &[]));
    assert!(answer.text().starts_with("GET /a HTTP/1.1\r\n"), "{}", answer.text());
    let mut client = gateway.upgrade(&target());
    client.send("hello").unwrap();
    assert_eq!(client.take(5).unwrap(), b"hello");
    client.finish().unwrap();
    assert_eq!(client.take_all().unwrap(), b"", "the half-close comes back as one");
    assert!(upstream.received().concat().contains(&format!("X-Session-API-Key: {CANARY}\r\n")));
}

#[test]
fn an_https_upstream_of_another_name_or_authority_is_refused() {
    for (name, trusts) in [("other.example", true), ("127.0.0.1", false)] {
        let (gateway, upstream) = before_tls(name, trusts);
        assert_eq!(gateway.exchange(head("GET /a", &[])).status(), 502);
        assert_eq!(gateway.exchange(target()).status(), 502);
        assert_eq!(gateway.event("handshake")["outcome"], "upstream_unreachable");
        assert_eq!(gateway.event("request")["outcome"], "upstream_unreachable");
        eventually("the handshakes of TLS end", || upstream.received().concat().is_empty());
    }
}

#[test]
fn both_sides_over_tls() {
    let authority = tls::Authority::new();
    let server = tls::Authority::server(&authority.issue("upstream", &["localhost"]));
    let upstream = Upstream::playing_over_tls("localhost", server, script);
    let gateway = Setup::before(&upstream)
        .set("upstream.ca_file", authority.roots().to_str().unwrap())
        .tls(&authority.issue("gateway", &["127.0.0.1"]), &authority.roots())
        .start();
    let mut client = gateway.upgrade(&target());
    let bytes = vec![b'z'; 200_000];
    for piece in bytes.chunks(20_000) {
        client.send(piece).unwrap();
        assert!(client.take(piece.len()).unwrap() == piece);
    }
    assert_eq!(gateway.exchange(head("GET /a", &[])).status(), 200);
}
