use std::{
    io,
    sync::{Mutex, mpsc},
    time::Duration,
};

use crate::harness::{
    Gateway, PATIENCE, Stream, Upstream, eventually, head, is_slow_run, measured, setup::Setup, timed,
};

/// How much a large body is.
fn large() -> u64 {
    if is_slow_run() { 1 << 30 } else { 64 << 20 }
}

/// What one large body may cost in memory.
const FLAT: u64 = 8 << 20;

/// Sends this many bytes, and gives the most memory that the gateway took meanwhile.
fn pour(stream: &mut Stream, bytes: u64, mut each: impl FnMut()) -> io::Result<()> {
    let chunk = vec![b'x'; 256 * 1024];
    for _ in 0..bytes / (256 * 1024) {
        stream.send(&chunk)?;
        each();
    }
    Ok(())
}

#[test]
fn an_event_arrives_before_the_next_is_produced() {
    let (next, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        stream.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        )?;
        for number in 0..3 {
            stream.send(format!("9\r\ndata: {number}\n\n\r\n"))?;
            wait.lock().unwrap().recv_timeout(PATIENCE).map_err(io::Error::other)?;
        }
        stream.send("0\r\n\r\n")
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("GET /events", &["Accept: text/event-stream"]));
    assert_eq!(client.take_head().unwrap().value("content-type"), Some("text/event-stream"));
    for number in 0..3 {
        assert_eq!(client.take_chunk().unwrap(), format!("data: {number}\n\n").as_bytes());
        next.send(()).unwrap();
    }
    assert_eq!(client.take_chunk().unwrap(), b"");
}

#[test]
fn a_piece_of_an_upload_arrives_before_the_next_is_sent() {
    let (sender, pieces) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        for _ in 0..3 {
            let chunk = stream.take_chunk()?;
            sender.lock().unwrap().send(chunk).map_err(io::Error::other)?;
        }
        stream.take_chunk()?;
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("POST /upload", &["Transfer-Encoding: chunked"]));
    for piece in ["one", "two", "end"] {
        client.send(format!("3\r\n{piece}\r\n")).unwrap();
        assert_eq!(pieces.recv_timeout(PATIENCE).unwrap(), piece.as_bytes());
    }
    client.send("0\r\n\r\n").unwrap();
    assert_eq!(client.take_answer().unwrap().status(), 200);
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let upstream = Upstream::playing(|stream, _| {
        let head = stream.take_head()?;
        if head.value("expect") == Some("100-continue") {
            stream.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = stream.take_body(&head)?;
        stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
        stream.send(body)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("POST /a", &["Expect: 100-continue", "Content-Length: 5"]));
    assert_eq!(client.take_head().unwrap().status(), 100);
    client.send("hello").unwrap();
    let answer = client.take_answer().unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "hello"));
}

#[test]
fn a_client_that_expects_100_continue_may_be_refused_at_once() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("POST /a", &["Expect: 100-continue", "Content-Length: 5"]));
    assert_eq!(client.take_head().unwrap().status(), 401);
}

#[test]
fn a_large_upload_passes_with_memory_flat() {
    let upstream = Upstream::playing(|stream, _| {
        let head = stream.take_head()?;
        let length = head.value("content-length").unwrap().parse().unwrap();
        let count = stream.swallow(length)?;
        let text = count.to_string();
        stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    });
    let gateway = Gateway::before(&upstream);
    let before = gateway.memory();
    let mut client = gateway.send(head("PUT /a", &[&format!("Content-Length: {}", large())]));
    let mut most = before;
    pour(&mut client, large(), || most = most.max(gateway.memory())).unwrap();
    assert_eq!(client.take_answer().unwrap().text(), large().to_string());
    assert!(most - before < FLAT, "memory has grown by {} bytes", most - before);
}

#[test]
fn a_large_download_passes_with_memory_flat() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large()))?;
        pour(stream, large(), || {})
    });
    let gateway = Gateway::before(&upstream);
    let before = gateway.memory();
    let mut client = gateway.send(head("GET /a", &[]));
    client.take_head().unwrap();
    let (mut count, mut most) = (0, before);
    while count < large() {
        count += client.swallow(1).unwrap();
        most = most.max(gateway.memory());
    }
    assert!(most - before < FLAT, "memory has grown by {} bytes", most - before);
    drop(client);
    assert!(gateway.event("request")["bytes_sent"].as_u64().unwrap() > large());
}

#[test]
fn a_client_that_does_not_read_stops_a_download() {
    let (sender, written) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        stream.patience(Duration::from_millis(700));
        let mut count = 0;
        let chunk = [b"40000\r\n", &vec![b'x'; 0x40000][..], b"\r\n"].concat();
        while count < 256 << 20 && stream.send(&chunk).is_ok() {
            count += 0x40000;
        }
        sender.lock().unwrap().send(count).map_err(io::Error::other)
    });
    let gateway = Gateway::before(&upstream);
    let before = gateway.memory();
    let client = gateway.send(head("GET /a", &[]));
    let count = written.recv_timeout(PATIENCE).unwrap();
    assert!(count < 64 << 20, "{count} bytes were taken");
    assert!(gateway.memory() - before < FLAT);
    drop(client);
}

#[test]
fn a_client_that_leaves_during_its_upload_is_noticed() {
    let (sender, ended) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        stream.take(5)?;
        sender.lock().unwrap().send(stream.is_over()).map_err(io::Error::other)
    });
    let gateway = Gateway::before(&upstream);
    let client = gateway.send(head("POST /a", &["Content-Length: 1000000"]) + "hello");
    eventually("the beginning arrives", || upstream.received().concat().ends_with("hello"));
    drop(client);
    assert!(ended.recv_timeout(PATIENCE).unwrap(), "the upstream notices");
    let line = gateway.event("request");
    assert_eq!(
        (&line["status"], &line["outcome"]),
        (&serde_json::Value::Null, &"client_closed".into()),
        "{line}"
    );
}

#[test]
fn a_client_that_leaves_during_a_download_is_noticed() {
    let (sender, ended) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large()))?;
        let broken = pour(stream, large(), || {}).is_err();
        sender.lock().unwrap().send(broken).map_err(io::Error::other)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("GET /a", &[]));
    client.take(100_000).unwrap();
    client.reset();
    assert!(ended.recv_timeout(PATIENCE).unwrap(), "the upstream notices");
    let line = gateway.event("request");
    assert_eq!((&line["status"], &line["outcome"]), (&200.into(), &"client_closed".into()), "{line}");
}

#[test]
fn an_upstream_that_breaks_its_answer_off_is_visible() {
    for (framing, part) in
        [("Transfer-Encoding: chunked", "5\r\nhello\r\n"), ("Content-Length: 100", "hello")]
    {
        let upstream = Upstream::playing(move |stream, _| {
            stream.take_head()?;
            stream.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}"))
        });
        let gateway = Gateway::before(&upstream);
        let mut client = gateway.send(head("GET /a", &[]));
        assert_eq!(client.take_head().unwrap().status(), 200);
        let rest = client.take_all().unwrap_or_default();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "no end is made up: {rest:?}");
        let line = gateway.event("request");
        assert_eq!((&line["status"], &line["outcome"]), (&200.into(), &"upstream_reset".into()), "{line}");
    }
}

#[test]
fn an_answer_may_take_its_time_to_begin() {
    let wait = Duration::from_secs(if is_slow_run() { 300 } else { 2 });
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        std::thread::sleep(wait);
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
    });
    let gateway = Setup::before(&upstream).set("limits.head_timeout", "1s").start();
    let mut client = gateway.send(head("POST /run", &["Content-Length: 0"]));
    client.patience(wait + PATIENCE);
    assert_eq!(client.take_answer().unwrap().text(), "late");
    assert!(gateway.event("request")["duration_ms"].as_f64().unwrap() >= wait.as_secs_f64() * 1e3 - 50.0);
}

#[test]
fn interim_answers_reach_the_client() {
    let upstream = Upstream::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(head("GET /a", &[]));
    let mut first = client.take_answer().unwrap();
    if first.status() == 103 {
        first = client.take_answer().unwrap();
    }
    assert_eq!((first.status(), first.text()), (200, "ok"));
    assert_eq!(gateway.event("request")["status"], 200);
}

#[test]
fn an_answer_of_which_nothing_is_read_holds_no_connection() {
    if !is_slow_run() {
        return measured("skipped without HUSHGATE_SLOW_TESTS=1: it waits for a minute");
    }
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20))?;
        pour(stream, 64 << 20, || {})
    });
    let gateway = Gateway::before(&upstream);
    let client = gateway.send(head("GET /a", &[]));
    let (took, ()) = timed(|| {
        while !gateway.log_text().contains("\"event\":\"request\"") {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    assert!((55..75).contains(&took.as_secs()), "{took:?}");
    assert_eq!(gateway.event("request")["outcome"], "client_closed");
    drop(client);
}
