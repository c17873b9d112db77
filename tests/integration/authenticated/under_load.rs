//! Keyrings that change, and keys that are guessed, while good callers are at work.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    thread,
    time::Duration,
};

use super::{By, ask, field, key, server};
use crate::harness::{CANARY, Gateway, head, is_slow_run, measured, opening, setup::Setup, timed};

const BOBS: &str = "another-credential-of-bob";

/// A thousand reloads in the long form.
fn reloads() -> usize {
    if is_slow_run() { 1000 } else { 40 }
}

/// Reloads by SIGHUP, with and without alice.
fn reload_often(gateway: &mut Gateway, count: usize) {
    for number in 0..count {
        let alice = if number % 2 == 0 { String::new() } else { key("alice", CANARY, "") };
        let new = gateway.file("keyring.new");
        fs::write(&new, key("bob", BOBS, "") + &alice).unwrap();
        fs::rename(&new, gateway.file("keyring.toml")).unwrap();
        gateway.reload(|setup| setup, "configuration reloaded");
    }
}

#[test]
fn reloads_lose_nothing_of_those_who_stay() {
    let upstream = server();
    let both = key("alice", CANARY, "") + &key("bob", BOBS, "");
    let mut gateway = Setup::before(&upstream).requiring(&both).start();
    let address = gateway.address();
    let (is_over, handshakes, messages) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let connect = || crate::harness::Stream::connect(address);
    let opening = opening("/s", &[&field(BOBS)]);
    let (before, after) = thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut socket = connect();
                socket.send(&opening).unwrap();
                assert_eq!(socket.take_head().unwrap().status(), 101);
                let message = [0x81, 0x81, 0, 0, 0, 0, b'x'];
                while !is_over.load(Relaxed) {
                    socket.send(message).unwrap();
                    assert_eq!(socket.take(7).unwrap(), message);
                    messages.fetch_add(1, Relaxed);
                    thread::sleep(Duration::from_millis(2));
                }
            });
        }
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                let mut socket = connect();
                socket.send(&opening).unwrap();
                assert_eq!(socket.take_head().unwrap().status(), 101);
                handshakes.fetch_add(1, Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            // The first half warms the allocator up.
            reload_often(&mut gateway, reloads() / 2);
            let before = gateway.memory();
            reload_often(&mut gateway, reloads() / 2);
            (before, gateway.memory())
        }));
        is_over.store(true, Relaxed);
        ended.unwrap()
    });
    measured(&format!(
        "{} reloads: {} messages and {} handshakes, none lost; memory from {before} to {after} bytes",
        reloads(),
        messages.load(Relaxed),
        handshakes.load(Relaxed),
    ));
    assert!(after < before + before / 20 + (1 << 20), "memory from {before} to {after}");
}

#[test]
fn a_flood_of_wrong_keys_takes_no_memory_and_holds_up_nobody() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    let slowest = |count: usize| {
        let mut times: Vec<_> = (0..count)
            .map(|_| timed(|| assert_eq!(ask(&gateway, false, By::Field, CANARY, &[]).status(), 200)).0)
            .collect();
        times.sort_unstable();
        times[count * 99 / 100]
    };
    let count = if is_slow_run() { 2000 } else { 100 };
    let quiet = slowest(count);
    let before = gateway.memory();
    let (is_over, attempts, limited) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let wrong = head("GET /a", &[&field("wrong-credential")]);
    let flooded = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    let status = gateway.exchange(&wrong).status();
                    assert!(matches!(status, 401 | 429), "{status}");
                    attempts.fetch_add(1, Relaxed);
                    limited.fetch_add(u32::from(status == 429), Relaxed);
                }
            });
        }
        let flooded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| slowest(count)));
        is_over.store(true, Relaxed);
        flooded.unwrap()
    });
    let after = gateway.memory();
    let (attempts, limited) = (attempts.load(Relaxed), limited.load(Relaxed));
    measured(&format!(
        "{attempts} wrong keys, {limited} of them told to wait; p99 of a good one {quiet:?} before and {flooded:?} \
         meanwhile; memory from {before} to {after} bytes"
    ));
    assert!(attempts - limited <= 20 + 20, "{} attempts were not limited", attempts - limited);
    assert!(after < before + (8 << 20), "memory from {before} to {after}");
}

/// An answer that is held back is nobody's reason to hold a place: not for who has reset the connection, and not of more than a
/// tenth of all.
#[test]
fn what_is_held_back_takes_no_place_from_others() {
    let upstream = server();
    let setup = Setup::before(&upstream).requiring(&key("alice", CANARY, ""));
    let gateway = setup.set("limits.connections", 20).set("limits.failed_attempts_per_minute", 1).start();
    let wrong = head("GET /a", &[&field("wrong-credential")]);
    for _ in 0..200 {
        let client = gateway.send(&wrong);
        thread::sleep(Duration::from_millis(1));
        client.reset();
    }
    assert_eq!(ask(&gateway, false, By::Field, CANARY, &[]).status(), 200, "all the others are gone");
    // Without anybody who resets, as many answers wait as may, and the others come at once.
    let waiting: Vec<_> = (0..15).map(|_| gateway.send(&wrong)).collect();
    assert_eq!(ask(&gateway, false, By::Field, CANARY, &[]).status(), 200);
    for mut client in waiting {
        assert_eq!(client.take_head().unwrap().status(), 429);
    }
}
