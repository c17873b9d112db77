use std::io;

use crate::harness::{CANARY, Gateway, SWITCHING, Stream, Upstream, opening};

/// Everything that a client gets when the upstream answers with these pieces and closes.
#[track_caller]
fn answered(pieces: &'static [&'static str]) -> String {
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        for piece in pieces {
            stream.send(piece)?;
            // Pieces have to arrive one by one.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(opening(&format!("/s?session_api_key={CANARY}"), &[]));
    String::from_utf8(client.take_all().unwrap()).unwrap()
}

/// Head and body of what a client gets.
#[track_caller]
fn parts(answer: &str) -> (&str, &str) {
    let at = answer.find("\r\n\r\n").unwrap() + 4;
    answer.split_at(at)
}

#[test]
fn a_101_goes_on_with_its_fields() {
    let got = answered(&["HTTP/1.1 101 Switching Protocols\r\n\
        Date: Tue, 24 Nov 2026 00:00:00 GMT\r\n\
        UPGRADE: WebSocket\r\nconnection: upgrade, x-hop\r\nX-Hop: 1\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: superchat\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15\r\n\
        Set-Cookie: a=b\r\nset-cookie: c=d\r\nserver: uvicorn\r\n\r\n"]);
    let (head, rest) = parts(&got);
    assert_eq!(rest, "");
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    for line in [
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol: superchat",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15",
        "Set-Cookie: a=b",
        "set-cookie: c=d",
        "server: uvicorn",
        "Upgrade: websocket",
        "Connection: Upgrade",
    ] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
    }
    assert!(!head.contains("X-Hop"), "{head}");
}

#[test]
fn the_agent_servers_refusal_goes_on_as_it_came() {
    let got = answered(&["HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n"]);
    let (head, rest) = parts(&got);
    assert_eq!(rest, "");
    assert_eq!(head.to_lowercase(), "http/1.1 403 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

#[test]
fn an_answer_with_a_body_goes_on() {
    let got = answered(&[
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n",
        "{\"detail\":\"Unauth",
        "orized\"}",
    ]);
    let (head, body) = parts(&got);
    assert_eq!(body, "{\"detail\":\"Unauthorized\"}");
    assert!(
        head.contains("WWW-Authenticate: Bearer\r\n") && head.contains("Content-Length: 25\r\n"),
        "{head}"
    );
}

#[test]
fn a_chunked_answer_arrives_whole() {
    let got = answered(&[
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        "lo\r\n6;x=y\r\n world\r",
        "\n0\r\nTrailer: 1\r\n\r\n",
    ]);
    let (head, body) = parts(&got);
    assert_eq!((head.lines().next(), body), (Some("HTTP/1.1 404 Not Found"), "hello world"));
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
}

#[test]
fn an_answer_that_ends_with_the_connection_arrives_whole() {
    let got = answered(&["HTTP/1.1 500 Internal Server Error\r\n\r\nsome", "thing"]);
    assert_eq!(parts(&got).1, "something");
}

#[test]
fn a_redirect_goes_on() {
    let got =
        answered(&["HTTP/1.1 307 Temporary Redirect\r\nlocation: http://h/s/\r\ncontent-length: 0\r\n\r\n"]);
    assert!(parts(&got).0.contains("location: http://h/s/\r\n"), "{got}");
}

#[test]
fn interim_answers_before_it_do_no_harm() {
    let got = answered(&[
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        "HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n",
    ]);
    assert!(got.starts_with("HTTP/1.1 403 \r\n"), "{got}");
}

#[test]
fn a_body_that_was_cut_short_is_not_passed_off_as_whole() {
    let got = answered(&["HTTP/1.1 401 Unauthorized\r\nContent-Length: 25\r\n\r\n{\"detail\""]);
    let (head, body) = parts(&got);
    assert!(head.contains("Content-Length: 25\r\n") && body.len() == 9, "{got}");
}

#[test]
fn a_101_without_the_fields_of_a_websocket_is_a_bad_gateway() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let upstream = Upstream::answering(answer);
        let gateway = Gateway::before(&upstream);
        let got = gateway.exchange(opening(&format!("/s?session_api_key={CANARY}"), &[]));
        assert_eq!((got.status(), got.body.len()), (502, 0), "{answer}");
        assert_eq!(gateway.event("handshake")["outcome"], "upstream_malformed");
    }
}

#[test]
fn after_another_answer_than_a_101_nothing_reaches_the_upstream() {
    let upstream = Upstream::answering("HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n");
    let gateway = Gateway::before(&upstream);
    let smuggled = format!("GET /smuggled?session_api_key={CANARY} HTTP/1.1\r\nHost: h\r\n\r\n");
    let mut client = gateway.send(opening(&format!("/s?session_api_key={CANARY}"), &[]) + &smuggled);
    let got = client.take_all().unwrap();
    assert_eq!(got.windows(5).filter(|window| window == b"HTTP/").count(), 1, "one answer");
    drop(gateway);
    let seen = upstream.received_up_to("\r\n\r\n");
    assert!(!seen.contains("smuggled"), "{seen}");
}

#[test]
fn nothing_of_the_clients_goes_upstream_before_the_101() {
    let (go, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::playing(move |stream, _| {
        stream.take_head()?;
        // Quiet until the test says that it has sent something.
        wait.lock().unwrap().recv().map_err(io::Error::other)?;
        if !stream.stays_quiet(std::time::Duration::from_millis(300)) {
            return stream.send("HTTP/1.1 500 Too Early\r\ncontent-length: 0\r\n\r\n");
        }
        stream.send(SWITCHING)?;
        let early = stream.take(10)?;
        stream.send(early)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(opening(&format!("/s?session_api_key={CANARY}"), &[]) + "same ");
    client.send("later").unwrap();
    go.send(()).unwrap();
    assert_eq!(client.take_head().unwrap().status(), 101);
    assert_eq!(client.take(10).unwrap(), b"same later", "early bytes follow in order");
}

#[test]
fn bytes_in_the_segment_of_the_101_arrive() {
    let upstream = Upstream::playing(|stream, _| {
        stream.take_head()?;
        stream.send(format!("{SWITCHING}\u{1}first"))?;
        stream.take_all().map(drop)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.upgrade(&opening("/s", &[]));
    assert_eq!(client.take(6).unwrap(), b"\x01first");
}

#[test]
fn a_half_close_before_the_101_is_passed_on_after_it() {
    let upstream = Upstream::playing(|stream: &mut Stream, _| {
        stream.take_head()?;
        std::thread::sleep(std::time::Duration::from_millis(100));
        stream.send(SWITCHING)?;
        let all = stream.take_all()?;
        stream.send(all)
    });
    let gateway = Gateway::before(&upstream);
    let mut client = gateway.send(opening("/s", &[]) + "last words");
    client.finish().unwrap();
    assert_eq!(client.take_head().unwrap().status(), 101);
    assert_eq!(client.take_all().unwrap(), b"last words");
}
