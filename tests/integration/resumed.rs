use std::{
    io,
    sync::{Arc, Mutex, mpsc},
};

use rustls::{ClientConfig, ClientConnection, HandshakeKind, pki_types::ServerName, version};

use crate::harness::{
    CANARY, Gateway, PATIENCE, SWITCHING, Upstream, head, opening, setup::Setup, tls, upstream::echo_on,
};

const DONE: &str = "configuration reloaded";

/// A gateway with TLS, its authority, and the files of its certificate.
fn gateway(upstream: &Upstream) -> (Gateway, tls::Authority, tls::Files) {
    let authority = tls::Authority::new();
    let files = authority.issue("gateway", &["127.0.0.1"]);
    let gateway = Setup::before(upstream).tls(&files, &authority.roots()).start();
    (gateway, authority, files)
}

fn upstream() -> Upstream {
    Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

/// A client of each version that remembers its sessions.
fn clients(authority: &tls::Authority) -> [Arc<ClientConfig>; 2] {
    [&version::TLS12, &version::TLS13].map(|version| tls::speaking(&[version], &authority.roots()))
}

/// How the handshake went of a connection that served one request.
fn visit(client: &Arc<ClientConfig>, gateway: &Gateway) -> HandshakeKind {
    let mut stream = tls::connect_as(client, gateway.address());
    stream.send(head("GET /a", &[])).unwrap();
    assert_eq!(stream.take_answer().unwrap().text(), "ok");
    stream.handshake_kind().unwrap()
}

#[test]
fn whoever_comes_back_resumes_however_many_came_in_between() {
    let upstream = upstream();
    let (gateway, authority, _files) = gateway(&upstream);
    let clients = clients(&authority);
    for client in &clients {
        assert_eq!(visit(client, &gateway), HandshakeKind::Full);
        for _ in 0..5 {
            assert_eq!(visit(client, &gateway), HandshakeKind::Resumed);
        }
    }
    for _ in 0..300 {
        // Nothing to say, but the handshake is completed.
        tls::connect(gateway.address(), &authority.roots()).send("").unwrap();
    }
    for client in &clients {
        assert_eq!(visit(client, &gateway), HandshakeKind::Resumed);
    }
}

#[test]
fn a_resumed_session_carries_a_websocket() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        echo_on(stream, SWITCHING)
    });
    let (gateway, authority, _files) = gateway(&upstream);
    for client in &clients(&authority) {
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut socket = tls::connect_as(client, gateway.address());
            socket.send(opening(&format!("/s?session_api_key={CANARY}"), &[])).unwrap();
            assert_eq!(socket.take_head().unwrap().status(), 101);
            socket.send("hello").unwrap();
            assert_eq!(socket.take(5).unwrap(), b"hello");
            assert_eq!(socket.handshake_kind(), Some(kind));
        }
    }
}

#[test]
fn a_reload_ends_every_session() {
    let upstream = upstream();
    let (mut gateway, authority, files) = gateway(&upstream);
    let clients = clients(&authority);
    for client in &clients {
        visit(client, &gateway);
        assert_eq!(visit(client, &gateway), HandshakeKind::Resumed);
    }
    // With the same files too: who resumes is not asked for them, so any may have been replaced.
    gateway.reload(|setup| setup, DONE);
    for client in &clients {
        assert_eq!(visit(client, &gateway), HandshakeKind::Full);
        assert_eq!(visit(client, &gateway), HandshakeKind::Resumed);
    }
    let other = tls::Authority::new();
    let replacement = other.issue("gateway", &["127.0.0.1"]);
    std::fs::copy(&replacement.certificate, &files.certificate).unwrap();
    std::fs::copy(&replacement.private_key, &files.private_key).unwrap();
    gateway.reload(|setup| setup.tls(&files, &other.roots()), DONE);
    for client in &clients {
        let refused = tls::connect_as(client, gateway.address()).send("GET").unwrap_err();
        assert!(
            refused.to_string().contains("invalid peer certificate"),
            "no session hides the new certificate: {refused}"
        );
    }
}

#[test]
fn each_connection_brings_one_ticket_and_no_early_data() {
    let upstream = upstream();
    let (gateway, authority, _files) = gateway(&upstream);
    let mut client = ClientConfig::clone(&tls::trusting(&authority.roots()));
    client.enable_early_data = true;
    let client = Arc::new(client);
    for _ in 0..2 {
        let mut stream = tls::connect_as(&client, gateway.address());
        stream.send(head("GET /a", &[])).unwrap();
        stream.take_answer().unwrap();
        assert_eq!(stream.tickets(), 1);
    }
    let name = ServerName::IpAddress(gateway.address().ip().into());
    let mut next = ClientConnection::new(Arc::clone(&client), name).unwrap();
    assert!(next.early_data().is_none(), "what anybody could send again must not be a request");
}

#[test]
fn the_gateway_resumes_its_sessions_with_an_https_upstream() {
    let authority = tls::Authority::new();
    let server = tls::Authority::server(&authority.issue("upstream", &["127.0.0.1"]));
    let (sender, kinds) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing_over_tls("127.0.0.1", server, move |stream, _| {
        stream.take_head()?;
        sender.lock().unwrap().send(stream.handshake_kind()).map_err(io::Error::other)?;
        echo_on(stream, SWITCHING)
    });
    let gateway =
        Setup::before(&upstream).set("upstream.ca_file", authority.roots().to_str().unwrap()).start();
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        let mut socket = gateway.upgrade(&opening(&format!("/s?session_api_key={CANARY}"), &[]));
        socket.send("hello").unwrap();
        assert_eq!(socket.take(5).unwrap(), b"hello");
        assert_eq!(kinds.recv_timeout(PATIENCE).unwrap(), Some(kind));
    }
}
