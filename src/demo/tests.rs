use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use super::*;

const PLAIN: Options = Options { once: true, colour: false };

/// Output that can be read while the demo goes on.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

async fn get(address: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn every_case_holds() {
    let mut out = Vec::new();
    let held = run_until(PLAIN, &mut out, std::future::pending).await.unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(held, "{out}");
    assert!(out.contains("7 of 7 held") && !out.contains("page:"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
}

#[tokio::test]
async fn the_page_is_served_through_the_gateway_until_the_end() {
    let (out, end) = (Shared::default(), Notify::new());
    let mut given = out.clone();
    let giving = run_until(Options { once: false, ..PLAIN }, &mut given, async || end.notified().await);
    let visiting = async {
        let address = visit(&out).await;
        end.notify_one();
        address
    };
    let (held, address) = tokio::join!(giving, visiting);
    assert!(held.unwrap());
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// Does what a browser does with the page, and returns where it was.
async fn visit(out: &Shared) -> String {
    let address = loop {
        let text = out.text();
        if let Some(page) = text.lines().find_map(|line| line.strip_prefix("page: http://")) {
            break page.trim_end_matches('/').to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let page = get(&address, "/").await;
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    for element in ["connect", "message", "send", "story", "url"] {
        assert!(page.contains(&format!("id=\"{element}\"")), "{element}");
    }
    let keys = json(&get(&address, "/demo/keys").await);
    let right = keys["right"].as_str().unwrap();
    let attempt = client::Attempt {
        target: format!("/sockets/events/browser?session_api_key={right}"),
        ..client::Attempt::default()
    };
    let answer = attempt.make(address.parse().unwrap()).await.unwrap();
    assert_eq!(answer.messages.last().unwrap(), "echo: hello");
    let story = loop {
        let story = get(&address, "/demo/story?socket=browser").await;
        if story.contains("closed_by") {
            break json(&story);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(story["received"][0]["target"], "/sockets/events/browser");
    assert_eq!(story["received"][0]["used"], right);
    assert_eq!(story["gateway_log"].as_array().unwrap().len(), 2);
    address
}

fn json(answer: &str) -> serde_json::Value {
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[tokio::test]
async fn what_was_not_walked_to_its_end_did_not_hold() {
    assert!(!run_until(PLAIN, &mut io::sink(), async || ()).await.unwrap());
}

#[tokio::test]
async fn the_end_does_not_wait_for_open_sockets() {
    let stage = Stage::set().await.unwrap();
    let folder = stage.folder.path().to_owned();
    assert!(folder.is_dir());
    let key = stage.keys.right.clone();
    let mut stream = TcpStream::connect(stage.gateway.address()).await.unwrap();
    let head = format!(
        "GET /sockets/bash-events?session_api_key={key} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0, "the socket opens");
    }
    // The client never answers the Close frame, and still the end is near.
    tokio::time::timeout(Duration::from_secs(8), stage.clear()).await.unwrap();
    stream.read_to_end(&mut got).await.unwrap();
    let close_1012 = [0x88, 2, 0x03, 0xf4];
    assert!(got.windows(4).any(|frame| frame == close_1012), "the client is told");
    assert!(!folder.exists());
}
