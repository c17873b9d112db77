use std::{
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use crate::harness::{
    CANARY, Gateway, PATIENCE, SWITCHING, Stream, Upstream, eventually, gateway::websockets_open,
    is_slow_run, opening, setup::Setup, upstream,
};

fn target() -> String {
    opening(&format!("/sockets/events/1?session_api_key={CANARY}"), &[])
}

#[test]
fn bytes_pass_both_ways_unchanged() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.upgrade(&target());
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    for piece in bytes.chunks(50_000) {
        client.send(piece).unwrap();
        assert!(client.take(piece.len()).unwrap() == piece, "the echo differs");
    }
    drop(client);
    let close = gateway.event("close");
    assert_eq!((&close["bytes_received"], &close["bytes_sent"]), (&(1 << 20).into(), &(1 << 20).into()));
}

#[test]
fn the_clients_half_close_passes_and_the_other_half_goes_on() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(SWITCHING)?;
        let all = stream.take_all()?;
        stream.send(b"got: ")?;
        stream.send(all)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.upgrade(&target());
    client.send("everything").unwrap();
    client.finish().unwrap();
    assert_eq!(client.take_all().unwrap(), b"got: everything");
    assert_eq!(gateway.event("close")["closed_by"], "client");
}

#[test]
fn the_upstreams_half_close_passes_and_the_other_half_goes_on() {
    let (sender, rest) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        stream.send(format!("{SWITCHING}bye"))?;
        stream.finish()?;
        sender.lock().unwrap().send(stream.take_all()?).map_err(io::Error::other)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.upgrade(&target());
    assert_eq!(client.take_all().unwrap(), b"bye");
    client.send("still here").unwrap();
    client.finish().unwrap();
    assert_eq!(rest.recv_timeout(PATIENCE).unwrap(), b"still here");
    assert_eq!(gateway.event("close")["closed_by"], "upstream");
}

/// Writes until nothing is taken any more for a while; gives the number of bytes taken.
fn write_until_stopped(stream: &mut Stream) -> u64 {
    stream.patience(Duration::from_millis(700));
    let chunk = [7; 16 * 1024];
    let mut count = 0;
    // Large enough that no buffer of the system could hold it all.
    while count < 256 << 20 && stream.send(chunk).is_ok() {
        count += 16 * 1024;
    }
    count
}

#[test]
fn a_client_that_does_not_read_stops_the_upstream() {
    let written = Arc::new(AtomicU64::new(0));
    let (counter, go) = (Arc::clone(&written), SWITCHING);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        stream.send(go)?;
        counter.store(write_until_stopped(stream), Relaxed);
        Ok(())
    });
    let gateway = Gateway::before(&upstream);
    let before = gateway.memory();
    let client = gateway.upgrade(&target());
    eventually("the upstream stops", || written.load(Relaxed) > 0);
    let grown = gateway.memory().saturating_sub(before);
    assert!(written.load(Relaxed) < 64 << 20, "{} bytes were taken", written.load(Relaxed));
    assert!(grown < 4 << 20, "memory has grown by {grown} bytes");
    drop(client);
}

#[test]
fn an_upstream_that_does_not_read_stops_the_client() {
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        stream.send(SWITCHING)?;
        let _ = hold.lock().unwrap().recv();
        Ok(())
    });
    let gateway = Gateway::before(&upstream);
    let before = gateway.memory();
    let mut client = gateway.upgrade(&target());
    let written = write_until_stopped(&mut client);
    let grown = gateway.memory().saturating_sub(before);
    assert!(written < 64 << 20, "{written} bytes were taken");
    assert!(grown < 4 << 20, "memory has grown by {grown} bytes");
    drop(release);
}

#[test]
fn a_client_that_does_not_read_before_the_101_is_read_from_a_little_only() {
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        let _ = hold.lock().unwrap().recv();
        upstream::echo_on(stream, SWITCHING)
    });
    let gateway = Gateway::before(&upstream);
    let before = gateway.memory();
    let mut client = gateway.send(target());
    let written = write_until_stopped(&mut client);
    assert!(written < 64 << 20, "{written} bytes were taken");
    assert!(gateway.memory().saturating_sub(before) < 4 << 20);
    drop(release);
    client.patience(PATIENCE);
    assert_eq!(client.take_head().unwrap().status(), 101);
    assert_eq!(client.take(16 * 1024).unwrap(), [7; 16 * 1024]);
}

/// Opens a WebSocket this often, one after the other; each has to echo.
fn handshakes_in_a_row(delay: Duration) {
    let upstream = Upstream::playing(move |stream, _| {
        let _head = stream.take_head()?;
        std::thread::sleep(delay);
        upstream::echo_on(stream, SWITCHING)
    });
    let gateway = Gateway::before(&upstream);
    let count = if is_slow_run() { 2_000 } else { 300 };
    let text = target();
    for number in 0..count {
        let mut client = gateway.upgrade(&text);
        let frame = format!("{number:08}");
        client.send(&frame).unwrap();
        assert_eq!(client.take(8).unwrap(), frame.as_bytes(), "handshake {number}");
    }
    assert_eq!(gateway.events("handshake", count).len(), count);
    let closes = gateway.events("close", count);
    assert!(closes.iter().all(|line| line["bytes_received"] == 8 && line["bytes_sent"] == 8));
}

#[test]
fn no_handshake_is_lost_when_the_101_comes_after_5_ms() {
    handshakes_in_a_row(Duration::from_millis(5));
}

/// A Close frame of a server with this code.
fn close_frame(code: u16) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    vec![0x88, 2, high, low]
}

#[test]
fn the_code_of_the_upstreams_close_frame_is_written_down() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(SWITCHING)?;
        stream.send([0x81, 2, b'h', b'i'])?;
        stream.send(close_frame(4001))?;
        stream.take_all().map(drop)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.upgrade(&target());
    assert_eq!(client.take(8).unwrap(), [&[0x81, 2, b'h', b'i'][..], &close_frame(4001)].concat());
    drop(client);
    let line = gateway.event("close");
    assert_eq!((&line["close_code"], &line["closed_by"]), (&4001.into(), &"upstream".into()));
    assert_eq!((&line["outcome"], &line["status"]), (&"closed".into(), &101.into()));
    assert_eq!((&line["bytes_received"], &line["bytes_sent"]), (&0.into(), &8.into()));
}

#[test]
fn the_code_of_the_clients_close_frame_is_written_down() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.upgrade(&target());
    let [high, low] = 1000_u16.to_be_bytes();
    client.send([0x88, 0x82, 1, 2, 3, 4, high ^ 1, low ^ 2]).unwrap();
    client.finish().unwrap();
    client.take_all().unwrap();
    let line = gateway.event("close");
    assert_eq!((&line["close_code"], &line["closed_by"]), (&1000.into(), &"client".into()));
}

#[test]
fn a_reset_of_one_side_ends_the_other() {
    let (sender, ended) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing(move |stream, number| {
        stream.take_head()?;
        stream.send(SWITCHING)?;
        if number == 0 {
            stream.socket().set_linger(Some(Duration::ZERO))?;
            return Ok(());
        }
        sender.lock().unwrap().send(stream.is_over()).map_err(io::Error::other)
    });
    let gateway = Gateway::before(&upstream);
    assert!(gateway.upgrade(&target()).is_over(), "the client notices");
    gateway.upgrade(&target()).reset();
    assert!(ended.recv_timeout(PATIENCE).unwrap(), "the upstream notices");
    let by: Vec<_> = gateway.events("close", 2).iter().map(|line| line["closed_by"].clone()).collect();
    assert_eq!(by, ["upstream", "client"]);
    websockets_open(&gateway, 0.0);
}

#[test]
fn open_sockets_are_counted() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    let clients: Vec<_> = (0..3).map(|_| gateway.upgrade(&target())).collect();
    websockets_open(&gateway, 3.0);
    drop(clients);
    websockets_open(&gateway, 0.0);
}

#[test]
fn a_socket_on_which_nothing_moves_ends_after_idle_timeout_only() {
    let upstream = Upstream::echoing();
    let gateway = Setup::before(&upstream).set("limits.idle_timeout", "600ms").start();
    let mut client = gateway.upgrade(&target());
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(150));
        client.send("x").unwrap();
        assert_eq!(client.take(1).unwrap(), b"x", "what moves stays open");
    }
    assert!(client.is_over());
    let line = gateway.event("close");
    assert_eq!((&line["outcome"], &line["closed_by"]), (&"cut".into(), &"gateway".into()));
}

#[test]
fn a_socket_without_a_byte_stays_open() {
    // Longer than any limit for heads; in the long form, longer than Pingora's own 60 s.
    let quiet = Duration::from_secs(if is_slow_run() { 180 } else { 2 });
    let upstream = Upstream::playing(move |stream, _| {
        stream.patience(quiet + PATIENCE);
        upstream::echo(stream, SWITCHING)
    });
    let gateway = Setup::before(&upstream).set("limits.head_timeout", "500ms").start();
    let mut client = gateway.upgrade(&target());
    assert!(client.stays_quiet(quiet));
    client.send("alive").unwrap();
    assert_eq!(client.take(5).unwrap(), b"alive");
}
