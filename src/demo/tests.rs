use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
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
    let held = run_until(PLAIN, &mut out, std::future::pending()).await.unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(held, "{out}");
    assert!(out.contains("7 of 7 held") && !out.contains("page:"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_served_through_the_gateway_until_the_end() {
    let out = Shared::default();
    let (end, ended) = oneshot::channel::<()>();
    let giving = {
        let mut out = out.clone();
        tokio::spawn(async move {
            let ended = async move {
                let _ = ended.await;
            };
            run_until(Options { once: false, colour: false }, &mut out, ended).await
        })
    };
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
    let keys = get(&address, "/demo/keys").await;
    let keys: serde_json::Value = serde_json::from_str(keys.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let attempt = client::Attempt {
        target: format!("/sockets/events/browser?session_api_key={}", keys["right"].as_str().unwrap()),
        ..client::Attempt::default()
    };
    let answer = attempt.make(address.parse().unwrap()).await.unwrap();
    assert_eq!(answer.messages.last().unwrap(), "echo: hello");
    let story = loop {
        let story = get(&address, "/demo/story?socket=browser").await;
        if story.contains("closed_by") {
            break story;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let story: serde_json::Value = serde_json::from_str(story.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(story["received"][0]["target"], "/sockets/events/browser");
    assert_eq!(story["received"][0]["used"], keys["right"]);
    assert_eq!(story["gateway_log"].as_array().unwrap().len(), 2);
    end.send(()).unwrap();
    assert!(giving.await.unwrap().unwrap());
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
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
