//! Keys live and die without restarts.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use super::{field, key, server};
use crate::harness::{CANARY, Gateway, Stream, eventually, head, opening, setup::Setup, timed};

const ANOTHER: &str = "another-credential-of-bob";

/// What a client is told whose key does not let it in any more: 4001.
const GOODBYE: [u8; 4] = [0x88, 2, 0x0f, 0xa1];

/// Longer than a second, on a machine that has other things to do.
const AT_ONCE: Duration = Duration::from_millis(2500);

fn both() -> String {
    key("alice", CANARY, "") + &key("bob", ANOTHER, "")
}

fn open(gateway: &Gateway, credential: &str) -> Stream {
    gateway.upgrade(&opening("/s", &[&field(credential)]))
}

/// Puts another keyring there, as an editor does: a new file, and a rename.
pub(super) fn replace(gateway: &Gateway, keyring: &str) {
    let new = gateway.file("keyring.new");
    fs::write(&new, keyring).unwrap();
    fs::rename(&new, gateway.file("keyring.toml")).unwrap();
}

/// A masked text message of one byte, and its echo.
pub(super) fn is_alive(socket: &mut Stream) -> bool {
    let message = [0x81, 0x81, 0, 0, 0, 0, b'x'];
    socket.send(message).is_ok() && socket.take(7).is_ok_and(|echo| echo == message)
}

#[track_caller]
fn is_told(mut socket: Stream) {
    let (took, goodbye) = timed(|| socket.take(4).unwrap());
    assert_eq!(goodbye, GOODBYE);
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn a_removed_key_ends_its_sockets_and_no_others() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&both()).start();
    let (alice, mut bob) = (open(&gateway, CANARY), open(&gateway, ANOTHER));
    replace(&gateway, &key("bob", ANOTHER, ""));
    is_told(alice);
    assert!(is_alive(&mut bob));
    assert_eq!(gateway.send(opening("/s", &[&field(CANARY)])).take_head().unwrap().status(), 403);
    let line = gateway.event("close");
    assert_eq!((&line["outcome"], &line["caller"]), (&"revoked".into(), &"alice".into()));
    assert_eq!((&line["close_code"], &line["closed_by"]), (&4001.into(), &"gateway".into()));
    // It comes back, and is let in; nobody else is disturbed.
    replace(&gateway, &both());
    eventually("alice is let in again", || {
        gateway.exchange(head("GET /a", &[&field(CANARY)])).status() == 200
    });
    assert!(is_alive(&mut bob));
    assert_eq!(gateway.metric("hushgate_keyring_reloads_total{result=\"ok\"}"), Some(2.0));
}

#[test]
fn a_key_that_expires_ends_its_sockets() {
    let upstream = server();
    let expires = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(4)).to_string();
    let end = humantime::parse_rfc3339(&expires).unwrap();
    let expires = format!("expires = {expires}");
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, &expires)).start();
    let mut alice = open(&gateway, CANARY);
    assert!(is_alive(&mut alice));
    assert_eq!(alice.take(4).unwrap(), GOODBYE);
    let late = SystemTime::now().duration_since(end).unwrap();
    assert!(late < AT_ONCE, "{late:?}");
}

#[test]
fn a_key_that_is_narrowed_ends_what_it_does_not_allow_any_more() {
    let upstream = server();
    for more in [
        "carriers = [\"query\"]",
        "expires = 2020-01-01T00:00:00Z",
        "not_before = 2100-01-01T00:00:00Z",
        "origins = [\"https://other.example\"]",
    ] {
        let gateway = Setup::before(&upstream).requiring(&both()).start();
        let origin = "Origin: https://app.example";
        let alice = gateway.upgrade(&opening("/s", &[&field(CANARY), origin]));
        let mut bob = open(&gateway, ANOTHER);
        replace(&gateway, &(key("alice", CANARY, more) + &key("bob", ANOTHER, "")));
        is_told(alice);
        assert!(is_alive(&mut bob), "{more}");
    }
}

#[test]
fn of_too_many_sockets_only_those_leave_that_are_too_many() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    let mut sockets: Vec<_> = (0..5).map(|_| open(&gateway, CANARY)).collect();
    replace(&gateway, &key("alice", CANARY, "max_sockets = 2"));
    gateway.events("close", 3);
    assert_eq!(sockets.iter_mut().filter_map(|socket| is_alive(socket).then_some(())).count(), 2);
}

#[test]
fn another_credential_for_the_same_name_ends_the_sockets_of_the_old_one() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    let alice = open(&gateway, CANARY);
    replace(&gateway, &key("alice", ANOTHER, ""));
    is_told(alice);
    assert!(is_alive(&mut open(&gateway, ANOTHER)));
}

/// Kubernetes mounts a file as a link to a link, and swaps the one in the middle.
#[test]
fn a_swapped_link_is_seen() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    let file = |name: &str| gateway.file(name);
    for (folder, keyring) in [("one", both()), ("two", key("bob", ANOTHER, ""))] {
        fs::create_dir(file(folder)).unwrap();
        fs::write(file(folder).join("keyring.toml"), keyring).unwrap();
    }
    std::os::unix::fs::symlink("one", file("data")).unwrap();
    fs::remove_file(file("keyring.toml")).unwrap();
    std::os::unix::fs::symlink("data/keyring.toml", file("keyring.toml")).unwrap();
    eventually("the link is followed", || {
        gateway.exchange(head("GET /a", &[&field(ANOTHER)])).status() == 200
    });
    let alice = open(&gateway, CANARY);
    std::os::unix::fs::symlink("two", file("data.new")).unwrap();
    fs::rename(file("data.new"), file("data")).unwrap();
    is_told(alice);
}

#[test]
fn a_bad_keyring_keeps_the_old_one_and_says_where_it_is_bad() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&both()).start();
    let mut alice = open(&gateway, CANARY);
    // A key itself where its digest belongs: the worst mistake, and never repeated.
    replace(&gateway, &format!("[[key]]\nname = \"alice\"\nsha256 = \"{CANARY}\"\n"));
    gateway.says("authentication.keyring: keyring.toml: line 3, column 10: ", 1);
    gateway.says("keyring not taken over, the old one stays", 1);
    fs::remove_file(gateway.file("keyring.toml")).unwrap();
    gateway.says("keyring not taken over, the old one stays", 2);
    assert!(is_alive(&mut alice));
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(gateway.diagnostics().matches("keyring not taken over").count(), 2, "said once each");
    replace(&gateway, &key("bob", ANOTHER, ""));
    is_told(alice);
}

#[test]
fn a_frame_that_does_not_end_is_cut_short() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&both()).start();
    let mut alice = open(&gateway, CANARY);
    assert!(is_alive(&mut alice));
    // A message of 100 bytes, of which one comes.
    alice.send([0x81, 0x80 | 100, 0, 0, 0, 0, b'x']).unwrap();
    alice.take(7).unwrap();
    replace(&gateway, &key("bob", ANOTHER, ""));
    let (took, is_over) = timed(|| alice.is_over());
    assert!(is_over && took < AT_ONCE, "{is_over}, {took:?}");
    assert_eq!(gateway.event("close")["outcome"], "revoked");
}

#[test]
fn a_hangup_reads_the_keyring_too() {
    let upstream = server();
    let mut gateway = Setup::before(&upstream).requiring(&both()).start();
    let alice = open(&gateway, CANARY);
    replace(&gateway, &key("bob", ANOTHER, ""));
    gateway.reload(|setup| setup, "configuration reloaded");
    is_told(alice);
}

/// What fills a disk, or an editor that writes in place, leaves an empty file for a moment.
#[test]
fn a_file_that_is_being_written_is_not_taken_over() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&both()).start();
    let mut alice = open(&gateway, CANARY);
    let mut told = 0;
    while told < 40 {
        let (empty, ()) = timed(|| {
            let file = fs::File::create(gateway.file("keyring.toml")).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            std::io::Write::write_all(&mut &file, both().as_bytes()).unwrap();
        });
        std::thread::sleep(Duration::from_millis(30));
        if empty < Duration::from_millis(80) {
            told += 1;
            assert!(is_alive(&mut alice));
        } else {
            // On a busy machine it was at rest for as long as it takes to be taken over.
            let is_back = || gateway.exchange(head("GET /a", &[&field(CANARY)])).status() == 200;
            eventually("alice is let in again", is_back);
            alice = open(&gateway, CANARY);
        }
    }
}

#[test]
fn handshakes_on_their_way_pay_for_no_socket_that_stays() {
    let upstream = crate::harness::Upstream::playing(|stream, _| {
        let head = stream.take_head()?;
        if head.line().starts_with("GET /hung") {
            stream.take(1).map(drop)
        } else {
            crate::harness::upstream::echo_on(stream, crate::harness::SWITCHING)
        }
    });
    let gateway = Setup::before(&upstream).requiring(&key("alice", CANARY, "")).start();
    let mut sockets: Vec<_> = (0..2).map(|_| open(&gateway, CANARY)).collect();
    let waiting: Vec<_> = (0..6).map(|_| gateway.send(opening("/hung", &[&field(CANARY)]))).collect();
    eventually("all have arrived", || upstream.received().len() == 8);
    replace(&gateway, &key("alice", CANARY, "max_sockets = 8\n"));
    gateway.says("keyring reloaded", 1);
    replace(&gateway, &key("alice", CANARY, "max_sockets = 3\n"));
    gateway.says("keyring reloaded", 2);
    drop(waiting);
    gateway.events("handshake", 8);
    // Two left for being too many at that time; who comes now stays.
    eventually("there is room", || {
        let mut client = gateway.send(opening("/s", &[&field(CANARY)]));
        let is_in = client.take_head().unwrap().status() == 101;
        sockets.push(client);
        is_in
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(is_alive(sockets.last_mut().unwrap()));
}

#[test]
fn without_a_keyring_everybody_stays() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&both()).start();
    let mut alice = open(&gateway, CANARY);
    gateway.reload_text(&Setup::before(&upstream).text(), "configuration reloaded");
    std::thread::sleep(Duration::from_millis(500));
    assert!(is_alive(&mut alice));
}

#[test]
fn a_keyring_that_is_no_file_holds_nothing_up() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&both()).start();
    let alice = open(&gateway, CANARY);
    rustix::fs::mkfifoat(rustix::fs::CWD, gateway.file("pipe"), rustix::fs::Mode::RUSR).unwrap();
    fs::rename(gateway.file("pipe"), gateway.file("keyring.toml")).unwrap();
    gateway.says("keyring not taken over, the old one stays", 1);
    replace(&gateway, &key("bob", ANOTHER, ""));
    is_told(alice);
}

#[test]
fn what_is_no_framing_ends_with_its_key_as_well() {
    let upstream = server();
    let gateway = Setup::before(&upstream).requiring(&both()).start();
    let mut alice = open(&gateway, CANARY);
    alice.send([0x83, 0x80, 0, 0, 0, 0]).unwrap();
    alice.take(6).unwrap();
    replace(&gateway, &key("bob", ANOTHER, ""));
    let (took, _) = timed(|| alice.is_over());
    assert!(took < AT_ONCE, "{took:?}");
}

#[test]
fn a_key_that_is_removed_while_draining_ends_its_sockets() {
    let upstream = server();
    let mut gateway = Setup::before(&upstream).requiring(&both()).set("drain.timeout", "60s").start();
    let mut alice = open(&gateway, CANARY);
    assert!(is_alive(&mut alice));
    // A message of 100 bytes, of which one comes: nothing can be said in the middle of it.
    alice.send([0x81, 0x80 | 100, 0, 0, 0, 0, b'x']).unwrap();
    alice.take(7).unwrap();
    gateway.signal(rustix::process::Signal::TERM);
    gateway.says("draining", 1);
    replace(&gateway, &key("bob", ANOTHER, ""));
    let (took, is_over) = timed(|| alice.is_over());
    assert!(is_over && took < AT_ONCE, "{is_over}, {took:?}");
    assert_eq!(gateway.wait().code(), Some(0));
}
