use std::{
    io,
    sync::{Mutex, mpsc},
    time::Duration,
};

use rustix::process::Signal;

use crate::harness::{
    CANARY, Gateway, PATIENCE, Stream, Upstream, eventually, head, opening, setup::Setup, timed,
};

/// An upstream that echoes sockets, and answers `/slow` when it is told to.
fn slow() -> (mpsc::Sender<()>, Upstream) {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::playing(move |stream, _| {
        loop {
            let head = stream.take_head()?;
            if !head.values("upgrade").is_empty() {
                return crate::harness::upstream::echo_on(stream, crate::harness::SWITCHING);
            }
            if head.line().starts_with("GET /slow") {
                wait.lock().unwrap().recv_timeout(PATIENCE).map_err(io::Error::other)?;
            }
            stream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
    });
    (go, upstream)
}

/// What every client is told: 1012, service restart.
const GOODBYE: [u8; 4] = [0x88, 2, 0x03, 0xf4];

/// A client's answer to that.
const REPLY: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4];

/// A connection that waits for its next request.
fn idle(gateway: &Gateway) -> Stream {
    let mut client = gateway.send(head("GET /a", &[]));
    assert_eq!(client.take_answer().unwrap().status(), 200);
    client
}

fn refuses_connections(gateway: &Gateway) -> bool {
    std::net::TcpStream::connect(gateway.address()).is_err()
}

#[test]
fn sigterm_lets_a_request_finish_and_tells_every_socket() {
    let (go, upstream) = slow();
    let mut gateway = Setup::before(&upstream).set("drain.timeout", "2s").start();
    let count = 100;
    let mut sockets: Vec<_> =
        (0..count).map(|_| gateway.upgrade(&opening(&format!("/s?session_api_key={CANARY}"), &[]))).collect();
    let mut waiting = idle(&gateway);
    let mut request = gateway.send(head("GET /slow", &[]));
    eventually("the request arrives", || upstream.received().concat().contains("/slow"));
    gateway.signal(Signal::TERM);
    let (took, is_over) = timed(|| waiting.is_over());
    assert!(is_over && took < Duration::from_secs(1), "an idle connection ends at once: {took:?}");
    eventually("the listener is closed", || refuses_connections(&gateway));
    for socket in &mut sockets {
        assert_eq!(socket.take(4).unwrap(), GOODBYE);
    }
    // Half of them answer, the others are cut in time.
    for socket in sockets.iter_mut().step_by(2) {
        socket.send(REPLY).unwrap();
        assert!(socket.is_over());
    }
    go.send(()).unwrap();
    let answer = request.take_answer().unwrap();
    assert_eq!((answer.status(), answer.head.value("connection")), (200, Some("close")));
    let (took, status) = timed(|| gateway.wait());
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(6), "{took:?}");
    for socket in &mut sockets {
        let _ = socket.take_all();
    }
    let closes = gateway.events("close", count);
    assert!(
        closes.iter().all(|line| line["outcome"] == "cut"
            && line["closed_by"] == "gateway"
            && line["close_code"] == 1012),
        "{closes:?}"
    );
    assert_eq!(closes.len(), count);
    assert!(gateway.events("request", 2).iter().all(|line| line["outcome"] == "served"));
}

#[test]
fn sigint_drains_as_well_and_ends_when_the_last_socket_has() {
    let (_go, upstream) = slow();
    let mut gateway = Setup::before(&upstream).set("drain.timeout", "60s").start();
    let socket = gateway.upgrade(&opening("/s", &[]));
    gateway.signal(Signal::INT);
    eventually("the listener is closed", || refuses_connections(&gateway));
    assert!(gateway.is_running());
    drop(socket);
    let (took, status) = timed(|| gateway.wait());
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "nobody waits for drain.timeout: {took:?}");
    assert_eq!(gateway.event("close")["close_code"], 1012);
}

#[test]
fn the_code_of_the_goodbye_is_configured() {
    let (_go, upstream) = slow();
    let mut gateway = Setup::before(&upstream).set("drain.close_code", 1001).start();
    let mut socket = gateway.upgrade(&opening("/s", &[]));
    gateway.signal(Signal::TERM);
    assert_eq!(socket.take(4).unwrap(), [0x88, 2, 0x03, 0xe9]);
    socket.send([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]).unwrap();
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_request_that_does_not_finish_is_cut() {
    let (_go, upstream) = slow();
    let mut gateway = Setup::before(&upstream).set("drain.timeout", "500ms").start();
    let mut client = gateway.send(head("GET /slow", &[]));
    eventually("the request arrives", || upstream.received().concat().contains("/slow"));
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(client.is_over());
    assert_eq!(gateway.event("request")["outcome"], "cut");
}

#[test]
fn a_second_signal_ends_at_once() {
    let (_go, upstream) = slow();
    let mut gateway = Setup::before(&upstream).set("drain.timeout", "60s").start();
    let socket = gateway.upgrade(&opening("/s", &[]));
    gateway.signal(Signal::TERM);
    gateway.says("draining", 1);
    gateway.signal(Signal::TERM);
    let (took, status) = timed(|| gateway.wait());
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(socket);
}

#[test]
fn while_drain_delay_lasts_it_is_unready_and_still_serves() {
    let (_go, upstream) = slow();
    let mut gateway = Setup::before(&upstream).set("drain.delay", "1500ms").start();
    assert_eq!(gateway.admin("/readyz").status(), 200);
    gateway.signal(Signal::TERM);
    eventually("it is unready", || gateway.admin("/readyz").status() == 503);
    assert_eq!(gateway.admin("/livez").status(), 200);
    assert_eq!(gateway.exchange(head("GET /a", &[])).status(), 200);
    drop(gateway.upgrade(&opening("/s", &[])));
    eventually("the listener is closed", || refuses_connections(&gateway));
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn admin_answers_while_it_drains() {
    let (_go, upstream) = slow();
    let mut gateway = Setup::before(&upstream).set("drain.timeout", "60s").start();
    let socket = gateway.upgrade(&opening("/s", &[]));
    gateway.signal(Signal::TERM);
    eventually("the listener is closed", || refuses_connections(&gateway));
    assert_eq!((gateway.admin("/livez").status(), gateway.admin("/readyz").status()), (200, 503));
    assert_eq!(gateway.metric("hushgate_websockets_open"), Some(1.0));
    drop(socket);
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_handshake_in_flight_finishes() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        wait.lock().unwrap().recv_timeout(PATIENCE).map_err(io::Error::other)?;
        crate::harness::upstream::echo_on(stream, crate::harness::SWITCHING)
    });
    let mut gateway = Setup::before(&upstream).set("drain.timeout", "10s").start();
    let mut client = gateway.send(opening("/s", &[]));
    eventually("the handshake arrives", || upstream.received().concat().ends_with("\r\n\r\n"));
    gateway.signal(Signal::TERM);
    eventually("the listener is closed", || refuses_connections(&gateway));
    go.send(()).unwrap();
    assert_eq!(client.take_head().unwrap().status(), 101);
    assert_eq!(client.take(4).unwrap(), GOODBYE);
    drop(client);
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_handshake_that_does_not_finish_is_refused_in_time() {
    let upstream = Upstream::playing(|stream, _| stream.take_all().map(drop));
    let mut gateway = Setup::before(&upstream).set("drain.timeout", "500ms").start();
    let mut client = gateway.send(opening(&format!("/s?session_api_key={CANARY}"), &[]));
    eventually("the handshake arrives", || upstream.received().concat().ends_with("\r\n\r\n"));
    gateway.signal(Signal::TERM);
    assert_eq!(client.take_answer().unwrap().status(), 503);
    assert_eq!(gateway.wait().code(), Some(0));
    let line = gateway.event("handshake");
    assert_eq!((&line["status"], &line["outcome"]), (&503.into(), &"cut".into()));
}

#[test]
fn who_has_asked_for_nothing_yet_holds_the_end_up_for_nobody() {
    let authority = crate::harness::tls::Authority::new();
    let (_go, upstream) = slow();
    let mut gateway = Setup::before(&upstream)
        .set("drain.timeout", "60s")
        .tls(&authority.issue("gateway", &["127.0.0.1"]), &authority.roots())
        .start();
    let silent: Vec<_> = (0..3).map(|_| Stream::connect(gateway.address())).collect();
    // It is accepted when another one, which came later, is served.
    let waiting = idle(&gateway);
    gateway.signal(Signal::TERM);
    let (took, status) = timed(|| gateway.wait());
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "a silent handshake of TLS has nothing to lose: {took:?}");
    drop((silent, waiting));
}

#[test]
fn an_address_that_is_taken_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    for config_key in ["listen", "admin"] {
        let other = if config_key == "listen" { "admin" } else { "listen" };
        let text = format!("{config_key}.address = \"{address}\"\n{other}.address = \"127.0.0.1:0\"\n");
        std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_hushgate"))
            .arg("run")
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(&format!("{config_key}.address: cannot listen on {address}")), "{text}");
        assert!(output.stdout.is_empty());
    }
}
