use std::time::Duration;

use crate::harness::{
    CANARY, Gateway, PATIENCE, Stream, Upstream, eventually, head, opening, setup::Setup, timed,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A refusal without a body, after which the connection ends.
#[track_caller]
fn refuses(gateway: &Gateway, request: &str, status: u16, outcome: &str) {
    let mut client = gateway.send(request);
    let answer = client.take_answer().unwrap();
    assert_eq!((answer.status(), answer.body.len()), (status, 0));
    assert!(client.is_over());
    let line = gateway.events("request", 1).remove(0);
    assert_eq!((&line["status"], &line["outcome"]), (&status.into(), &outcome.into()));
    assert_eq!(line["target"], "…");
}

#[test]
fn a_head_that_drips_is_ended_in_time() {
    let upstream = Upstream::answering(OK);
    let gateway = Setup::before(&upstream).set("limits.head_timeout", "1s").start();
    let text = head(&format!("GET /?session_api_key={CANARY}"), &[]);
    let mut client = gateway.connect();
    let mut writer = second_handle(&client);
    let dripping = std::thread::spawn(move || {
        for byte in text.bytes().cycle() {
            if std::io::Write::write_all(&mut writer, &[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let (took, answer) = timed(|| client.take_answer().unwrap());
    assert_eq!(answer.status(), 408);
    assert!(took > Duration::from_millis(800) && took < Duration::from_secs(3), "{took:?}");
    drop(client);
    dripping.join().unwrap();
    let line = gateway.event("request");
    assert_eq!((&line["status"], &line["outcome"]), (&408.into(), &"head_timeout".into()));
    upstream.assert_untouched();
}

/// A second handle of a connection, to write to while the first waits.
fn second_handle(client: &Stream) -> socket2::Socket {
    client.socket().try_clone().unwrap()
}

#[test]
fn a_connection_on_which_no_head_begins_is_closed() {
    let upstream = Upstream::answering(OK);
    let gateway = Setup::before(&upstream).set("limits.head_timeout", "700ms").start();
    let mut client = gateway.connect();
    let (took, is_over) = timed(|| client.is_over());
    assert!(is_over && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(gateway.log_text(), "", "nobody asked for anything");
}

#[test]
fn the_next_head_on_a_connection_has_the_same_time() {
    let upstream = Upstream::answering(OK);
    let gateway = Setup::before(&upstream).set("limits.head_timeout", "700ms").start();
    let mut client = gateway.send(head("GET /1", &[]));
    assert_eq!(client.take_answer().unwrap().status(), 200);
    // Idle for longer than that is fine.
    std::thread::sleep(Duration::from_millis(1_200));
    client.send("GET /2 HT").unwrap();
    let (took, answer) = timed(|| client.take_answer().unwrap());
    assert_eq!(answer.status(), 408);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_head_that_is_too_long() {
    let upstream = Upstream::echoing();
    let gateway = Setup::before(&upstream).set("limits.head_size", "4KiB").start();
    let long = format!("/?a={}&session_api_key={CANARY}", "x".repeat(4_100));
    refuses(&gateway, &head(&format!("GET {long}"), &["A: b"]), 431, "head_too_large");
    // Up to the limit it is served.
    let base = opening("/?a=", &[]).len();
    drop(gateway.upgrade(&opening(&format!("/?a={}", "x".repeat(4_096 - base)), &[])));
    let over = gateway.exchange(opening(&format!("/?a={}", "x".repeat(4_097 - base)), &[]));
    assert_eq!(over.status(), 431);
}

#[test]
fn a_head_that_never_ends() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let before = gateway.memory();
    let mut client = gateway.send(format!("GET /?session_api_key={CANARY} HTTP/1.1\r\n"));
    let line = format!("X-A: {}\r\n", "y".repeat(1_000));
    for _ in 0..10_000 {
        if client.send(&line).is_err() {
            break;
        }
    }
    assert!(gateway.memory() - before < 4 << 20);
    let line = gateway.event("request");
    assert_eq!(line["outcome"], "head_too_large");
    upstream.assert_untouched();
}

#[test]
fn a_head_with_too_many_fields() {
    let upstream = Upstream::answering(OK);
    let gateway = Setup::before(&upstream).set("limits.head_fields", 10).start();
    let request = |count| {
        let fields: Vec<_> = (0..count).map(|number| format!("X-{number}: {CANARY}")).collect();
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        head("GET /", &fields)
    };
    refuses(&gateway, &request(10), 431, "too_many_fields");
    assert_eq!(gateway.exchange(request(9)).status(), 200, "Host is the tenth");
}

#[test]
fn when_all_places_are_taken_others_are_turned_away_and_admin_answers() {
    let upstream = Upstream::echoing();
    let gateway = Setup::before(&upstream).set("limits.connections", 2).start();
    let first = gateway.upgrade(&opening("/s", &[]));
    let second = gateway.connect();
    // A place counts from its connection on, not from its first byte.
    let turned_away = || {
        let mut client = gateway.connect();
        client.take_all().map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let answer = turned_away().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    let (took, page) = timed(|| gateway.admin("/livez"));
    assert_eq!(page.status(), 200);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let line = gateway.events("request", 1).remove(0);
    assert_eq!((&line["outcome"], &line["client"]), (&"too_many_connections".into(), &"127.0.0.1".into()));
    drop(first);
    eventually("a freed place is usable", || {
        gateway.send(opening("/s", &[])).take_head().is_ok_and(|head| head.status() == 101)
    });
    drop(second);
}

#[test]
fn a_client_that_sends_before_it_is_turned_away_sees_the_answer() {
    let upstream = Upstream::echoing();
    let gateway = Setup::before(&upstream).set("limits.connections", 1).start();
    let first = gateway.upgrade(&opening("/s", &[]));
    for _ in 0..20 {
        let answer =
            gateway.send(opening(&format!("/s?session_api_key={CANARY}"), &[])).take_answer().unwrap();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.head.value("retry-after"), Some("5"));
    }
    drop(first);
}

#[test]
fn many_connections_that_say_nothing_stop_nobody() {
    let upstream = Upstream::answering(OK);
    let gateway = Setup::before(&upstream).set("limits.head_timeout", "20s").start();
    let silent: Vec<_> = (0..200).map(|_| gateway.connect()).collect();
    let (took, answer) = timed(|| gateway.exchange(head("GET /", &[])));
    assert_eq!(answer.status(), 200);
    assert!(took < Duration::from_secs(2), "{took:?}");
    drop(silent);
}

#[test]
fn an_admin_connection_that_says_nothing_is_closed() {
    let upstream = Upstream::answering(OK);
    let gateway = Gateway::before(&upstream);
    let silent: Vec<_> = (0..70).map(|_| Stream::connect(gateway.admin_address())).collect();
    let (took, page) = timed(|| gateway.admin("/livez"));
    assert_eq!(page.status(), 200, "silent probes do not lock others out for ever");
    assert!(took < PATIENCE, "{took:?}");
    drop(silent);
}

#[test]
fn where_descriptors_are_few_probes_keep_theirs() {
    let upstream = Upstream::answering(OK);
    let gateway = Setup::before(&upstream).descriptors(40).start();
    gateway.says("the system allows too few descriptors for limits.connections", 1);
    let mut taken: Vec<_> = (0..60).map(|_| gateway.connect()).collect();
    let refused = gateway.events("request", 45);
    assert!(refused.iter().all(|line| line["outcome"] == "too_many_connections"), "{refused:?}");
    let before = gateway.processor_time();
    for _ in 0..10 {
        assert_eq!(gateway.admin("/livez").status(), 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    let spent = gateway.processor_time() - before;
    assert!(spent < Duration::from_millis(200), "{spent:?} of processor time in a second");
    taken.clear();
    // Until they are noticed as free, a client is still turned away.
    eventually("there are places again", || {
        gateway.send(head("GET /", &[])).take_head().is_ok_and(|head| head.status() == 200)
    });
}
