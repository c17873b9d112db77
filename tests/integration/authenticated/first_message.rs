//! A key in the first message: the gateway answers the handshake itself, and nothing goes upstream before
//! it knows who asks.

use std::{net::Shutdown, time::Duration};

use super::{field, key, revoked, server};
use crate::harness::{
    CANARY, Gateway, NONCE, OURS, PATIENCE, SWITCHING, Stream, Upstream,
    canary::assert_without,
    eventually,
    frames::{authentication, masked, text},
    opening,
    setup::Setup,
    timed,
    tls::Authority,
};

/// What is said to whoever is not let in: 4001, `Authentication failed`.
const FAILED: &[u8] = b"\x88\x17\x0f\xa1Authentication failed";

/// What is said where trying again may help: 1013.
const LATER: &[u8] = b"\x88\x11\x03\xf5Try again later";

fn gateway(upstream: &Upstream) -> Gateway {
    Setup::before(upstream).requiring(&key("alice", CANARY, "")).start()
}

/// A socket that presented nothing yet.
#[track_caller]
fn awaited(gateway: &Gateway) -> Stream {
    gateway.upgrade(&opening("/sockets/events/1", &[]))
}

/// Fails unless the socket ends with this Close frame and nothing before it.
#[track_caller]
fn ends_with(mut socket: Stream, close: &[u8]) {
    assert_eq!(socket.take_all().unwrap(), close);
}

#[test]
fn a_key_in_the_first_message_is_enough() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let offers = ["Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat"];
    let mut socket = gateway.send(opening("/sockets/events/1?resend_mode=all", &offers));
    let answer = socket.take_head().unwrap();
    assert_eq!(
        answer.0,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert!(socket.stays_quiet(Duration::from_millis(200)));
    upstream.assert_untouched();
    socket.send(authentication(CANARY)).unwrap();
    assert!(revoked::is_alive(&mut socket));
    let received = upstream.received_up_to("\r\n\r\n");
    let head = crate::harness::http::Head(received.clone());
    assert!(received.starts_with("GET /sockets/events/1?resend_mode=all HTTP/1.1\r\n"), "{received}");
    assert_eq!(head.values("x-session-api-key"), [OURS]);
    assert_eq!(head.values("x-hushgate-caller"), ["alice"]);
    assert_eq!(head.values("sec-websocket-key"), [NONCE]);
    assert_eq!(head.values("sec-websocket-extensions"), Vec::<&str>::new());
    assert_eq!(head.values("sec-websocket-protocol"), Vec::<&str>::new());
    // Not even masked: what follows the head is the message behind the first.
    let behind = received.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert!(behind.chars().count() <= 7, "{behind:?}");
    assert_without("the agent server", CANARY, received.as_bytes());
    drop(socket);
    let line = gateway.event("handshake");
    assert_eq!((&line["outcome"], &line["status"]), (&"upgraded".into(), &101.into()));
    assert_eq!((&line["credential_source"], &line["caller"]), (&"first_message".into(), &"alice".into()));
    let line = gateway.event("close");
    assert_eq!(
        (&line["credential_source"], &line["messages_received"]),
        (&"first_message".into(), &1.into())
    );
}

#[test]
fn what_is_sent_meanwhile_waits_and_follows() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        std::thread::sleep(Duration::from_millis(300));
        crate::harness::upstream::echo_on(stream, SWITCHING)
    });
    let gateway = gateway(&upstream);
    let more = [text("one"), masked(0x89, b"ping"), text(&"x".repeat(3000))].concat();
    // All at once, and byte by byte.
    let whole = [opening("/s", &[]).as_bytes(), &authentication(CANARY), &more].concat();
    let mut socket = gateway.send(&whole);
    assert_eq!(socket.take_head().unwrap().status(), 101);
    assert_eq!(socket.take(more.len()).unwrap(), more);
    let mut socket = awaited(&gateway);
    for byte in authentication(CANARY) {
        socket.send([byte]).unwrap();
    }
    socket.send(&more).unwrap();
    assert_eq!(socket.take(more.len()).unwrap(), more);
}

#[test]
fn a_message_in_fragments_with_pings_between_is_one() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let mut socket = awaited(&gateway);
    let message = format!(r#"{{"type":"auth","session_api_key":"{CANARY}"}}"#);
    socket.send(masked(0x89, b"early")).unwrap();
    assert_eq!(socket.take(7).unwrap(), b"\x8a\x05early");
    socket.send(masked(0x01, &message.as_bytes()[..9])).unwrap();
    socket.send([masked(0x8a, b""), masked(0x89, b"p")].concat()).unwrap();
    assert_eq!(socket.take(3).unwrap(), b"\x8a\x01p");
    upstream.assert_untouched();
    socket.send(masked(0x80, &message.as_bytes()[9..])).unwrap();
    assert!(revoked::is_alive(&mut socket));
}

#[test]
fn anything_else_ends_with_4001_and_reaches_nobody() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let good = format!(r#"{{"type":"auth","session_api_key":"{CANARY}"}}"#);
    let mut unmasked = vec![0x81, u8::try_from(good.len()).unwrap()];
    unmasked.extend(good.as_bytes());
    let endless: Vec<u8> =
        std::iter::once(masked(0x01, b"{")).chain(vec![masked(0x00, b""); 100]).flatten().collect();
    let cases = [
        (authentication("wrong-credential"), "credential_unknown"),
        (authentication(""), "credential_unknown"),
        (authentication(&super::digest(CANARY)), "credential_unknown"),
        (text(r#"{"type":"auth","session_api_key":["x"]}"#), "first_message_invalid"),
        (text(r#"{"type":"auth"}"#), "first_message_invalid"),
        (text("no JSON"), "first_message_invalid"),
        (masked(0x82, good.as_bytes()), "first_message_invalid"),
        (masked(0xc1, good.as_bytes()), "first_message_invalid"),
        (unmasked, "first_message_invalid"),
        (masked(0x81, &[b' '; 4097])[..8].to_vec(), "first_message_invalid"),
        (endless, "first_message_invalid"),
    ];
    for ((sent, outcome), number) in cases.into_iter().zip(1..) {
        let mut socket = awaited(&gateway);
        socket.send(&sent).unwrap();
        ends_with(socket, FAILED);
        let line = gateway.log_lines(number).pop().unwrap();
        assert_eq!((&line["outcome"], &line["status"]), (&outcome.into(), &101.into()), "{sent:x?}");
        let source = if outcome == "credential_unknown" { "first_message" } else { "none" };
        assert_eq!(line["credential_source"], source);
    }
    upstream.assert_untouched();
    assert_eq!(gateway.metric("hushgate_websockets_open"), Some(0.0));
}

#[test]
fn it_is_waited_for_as_long_as_the_agent_server_does() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let mut socket = awaited(&gateway);
    socket.patience(2 * PATIENCE);
    // Who only pings has no more time.
    let (took, ()) = timed(|| {
        std::thread::sleep(Duration::from_secs(8));
        socket.send(masked(0x89, b"")).unwrap();
        assert_eq!(socket.take(2).unwrap(), b"\x8a\x00");
        ends_with(socket, FAILED);
    });
    assert!((9..14).contains(&took.as_secs()), "{took:?}");
    assert_eq!(gateway.event("handshake")["outcome"], "first_message_timeout");
    upstream.assert_untouched();
}

#[test]
fn a_client_that_leaves_first_is_let_go() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let mut socket = awaited(&gateway);
    socket.send(masked(0x88, &[0x03, 0xe8])).unwrap();
    ends_with(socket, &[0x88, 2, 0x03, 0xe8]);
    drop(awaited(&gateway));
    awaited(&gateway).reset();
    let lines = gateway.events("handshake", 3);
    assert!(lines.iter().all(|line| line["outcome"] == "client_closed"), "{lines:?}");
    // One that says no more, but may be told something, is served.
    let mut socket = awaited(&gateway);
    socket.send(authentication(CANARY)).unwrap();
    socket.socket().shutdown(Shutdown::Write).unwrap();
    assert!(socket.is_over());
    assert_eq!(gateway.event("close")["caller"], "alice");
}

#[test]
fn so_many_wait_as_may() {
    let upstream = server();
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("limits.unverified_sockets_per_address", 2).start();
    let (one, mut two) = (awaited(&gateway), awaited(&gateway));
    let refused = || gateway.send(opening("/s", &[])).take_head().unwrap().status();
    assert_eq!(refused(), 429);
    assert_eq!(gateway.metric("hushgate_websockets_unverified"), Some(2.0));
    assert_eq!(gateway.event("handshake")["outcome"], "too_many_unverified");
    // Who presents a key at once is none of them, and who has presented one does not wait.
    assert_eq!(gateway.send(opening("/s", &[&field(CANARY)])).take_head().unwrap().status(), 101);
    two.send(authentication(CANARY)).unwrap();
    assert!(revoked::is_alive(&mut two));
    let three = awaited(&gateway);
    assert_eq!(refused(), 429);
    drop((one, three));
    eventually("there is a place again", || refused() == 101);
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("limits.unverified_sockets", 1).start();
    let _one = awaited(&gateway);
    assert_eq!(gateway.send(opening("/s", &[])).take_head().unwrap().status(), 429);
}

#[test]
fn an_upstream_that_does_not_agree_is_to_be_tried_again() {
    let answers = [
        ("HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n".to_owned(), "upstream_refused"),
        ("no HTTP\r\n\r\n".to_owned(), "upstream_malformed"),
        (SWITCHING.replace("s3pPLM", "xxxxxx"), "upstream_malformed"),
        (SWITCHING.replace("server: uvicorn", "Sec-WebSocket-Protocol: chat"), "upstream_malformed"),
        (SWITCHING.replace("server: uvicorn", "Sec-WebSocket-Extensions: x"), "upstream_malformed"),
        (SWITCHING.replace("server: uvicorn", &format!("X-Key: {OURS}")), "withheld"),
        (String::new(), "upstream_reset"),
    ];
    for (answer, outcome) in answers {
        let upstream = Upstream::playing(move |stream, _| {
            stream.take_head()?;
            stream.send(&answer)
        });
        let gateway = gateway(&upstream);
        let mut socket = awaited(&gateway);
        socket.send(authentication(CANARY)).unwrap();
        ends_with(socket, LATER);
        let line = gateway.event("handshake");
        assert_eq!((&line["outcome"], &line["caller"]), (&outcome.into(), &"alice".into()));
    }
    let gateway = gateway(&Upstream::refusing());
    let mut socket = awaited(&gateway);
    socket.send(authentication(CANARY)).unwrap();
    ends_with(socket, LATER);
    assert_eq!(gateway.event("handshake")["outcome"], "upstream_unreachable");
}

#[test]
fn it_can_be_turned_off() {
    let upstream = server();
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("authentication.first_message", "refuse").start();
    assert_eq!(gateway.send(opening("/s", &[])).take_head().unwrap().status(), 403);
    upstream.assert_untouched();
    assert_eq!(gateway.event("handshake")["outcome"], "credential_missing");
}

#[test]
fn nobody_waits_while_the_process_ends() {
    let upstream = server();
    let mut gateway = gateway(&upstream);
    let socket = awaited(&gateway);
    gateway.signal(rustix::process::Signal::TERM);
    ends_with(socket, &[0x88, 2, 0x03, 0xf4]);
    assert!(gateway.wait().success());
    assert_eq!(gateway.event("handshake")["outcome"], "cut");
}

#[test]
fn no_line_shows_a_key_that_came_later() {
    let upstream = server();
    let gateway = gateway(&upstream);
    // The same request presents it, so not even its path is written down from there on.
    let mut socket = gateway.upgrade(&opening(&format!("/sockets/{CANARY}/x"), &[]));
    socket.send(authentication(CANARY)).unwrap();
    assert!(revoked::is_alive(&mut socket));
    drop(socket);
    assert_eq!(gateway.event("handshake")["target"], "/sockets/…");
    assert_eq!(gateway.event("close")["target"], "/sockets/…");
}

#[test]
fn a_redundant_one_goes_no_further() {
    let upstream = server();
    let gateway = gateway(&upstream);
    let mut socket = gateway.upgrade(&opening("/s", &[&field(CANARY)]));
    let (ping, other) = (masked(0x89, b"p"), text(r#"{"role":"user"}"#));
    socket.send([&ping[..], &authentication(CANARY), &other].concat()).unwrap();
    assert_eq!(socket.take(ping.len() + other.len()).unwrap(), [ping, other].concat());
    // Only the first message is looked at.
    let again = authentication("another");
    socket.send(&again).unwrap();
    assert_eq!(socket.take(again.len()).unwrap(), again);
    // Nor does what is no whole frame when the client has said everything.
    let mut socket = gateway.upgrade(&opening("/s", &[&field(CANARY)]));
    let half = &text("half")[..8];
    socket.send(half).unwrap();
    assert!(socket.stays_quiet(Duration::from_millis(100)));
    socket.finish().unwrap();
    assert_eq!(socket.take_all().unwrap(), b"");
    // What came before the 101 is looked at as well.
    let opening = opening("/s", &[&field(CANARY)]);
    let early = [opening.as_bytes(), &authentication(CANARY), b"\x89\x80\0\0\0\0"].concat();
    let mut socket = gateway.send(early);
    assert_eq!(socket.take_head().unwrap().status(), 101);
    assert_eq!(socket.take(6).unwrap(), b"\x89\x80\0\0\0\0");
    assert_without("the agent server", CANARY, upstream.received().concat().as_bytes());
}

/// Agrees after three seconds.
fn slow_server() -> Upstream {
    Upstream::playing(|stream, _| {
        stream.take_head()?;
        std::thread::sleep(Duration::from_secs(3));
        crate::harness::upstream::echo_on(stream, SWITCHING)
    })
}

#[test]
fn a_key_that_is_narrowed_meanwhile_opens_nothing() {
    let upstream = server();
    for more in
        ["expires = 2020-01-01T00:00:00Z", "carriers = [\"field\"]", "origins = [\"https://other.example\"]"]
    {
        let gateway = gateway(&upstream);
        let mut socket = gateway.upgrade(&opening("/s", &["Origin: https://app.example"]));
        revoked::replace(&gateway, &key("alice", CANARY, more));
        gateway.says("keyring reloaded", 1);
        socket.send([authentication(CANARY), text("run")].concat()).unwrap();
        ends_with(socket, FAILED);
    }
    upstream.assert_untouched();
}

#[test]
fn a_key_that_is_removed_while_the_upstream_is_asked_opens_nothing() {
    let upstream = slow_server();
    let gateway = gateway(&upstream);
    let mut waiting = gateway.send(opening("/s", &[&field(CANARY)]));
    let mut socket = awaited(&gateway);
    socket.send([authentication(CANARY), text("run")].concat()).unwrap();
    eventually("both are on their way", || {
        upstream.received().iter().filter(|head| !head.is_empty()).count() == 2
    });
    let (took, ()) = timed(|| {
        revoked::replace(&gateway, "");
        ends_with(socket, FAILED);
        assert_eq!(waiting.take_head().unwrap().status(), 403);
    });
    assert!(took < Duration::from_millis(2500), "{took:?}");
    let lines = gateway.events("handshake", 2);
    assert!(lines.iter().all(|line| line["outcome"] == "revoked"), "{lines:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert!(upstream.received().iter().all(|received| received.ends_with("\r\n\r\n")), "something followed");
}

/// A client that floods pings, reads nothing, and is served over TLS.
#[test]
fn whoever_reads_nothing_holds_no_place() {
    if !crate::harness::is_slow_run() {
        return crate::harness::measured("skipped without HUSHGATE_SLOW_TESTS=1: it waits for half a minute");
    }
    let upstream = server();
    let authority = Authority::new();
    let files = authority.issue("gateway", &["127.0.0.1"]);
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).set("limits.connections", 1);
    let gateway = setup.tls(&files, &authority.roots()).start();
    let mut socket = awaited(&gateway);
    socket.patience(Duration::from_millis(500));
    let pings = masked(0x89, &[b'p'; 125]).repeat(500);
    while socket.send(&pings).is_ok() {}
    let (took, ()) = timed(|| {
        while gateway
            .metric("hushgate_requests_total{kind=\"handshake\",outcome=\"first_message_timeout\"}")
            .is_none()
        {
            std::thread::sleep(Duration::from_millis(100));
        }
        // Without a word, a place that is taken ends the connection.
        let is_served = || {
            let mut stream = std::net::TcpStream::connect(gateway.address()).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            std::io::Read::read(&mut stream, &mut [0]).is_err()
        };
        eventually("its place is free", is_served);
    });
    crate::harness::measured(&format!("a place was free after {took:?}"));
    drop(socket);
}
