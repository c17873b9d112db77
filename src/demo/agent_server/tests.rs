use tokio::io::AsyncReadExt;

use super::*;
use crate::demo::client::Attempt;

fn keys() -> Keys {
    Keys { right: "secret-one".to_owned(), wrong: "wrong-key".to_owned() }
}

async fn server(patience: Duration) -> AgentServer {
    AgentServer::start(keys(), patience, PathBuf::from("/nonexistent")).await.unwrap()
}

/// Sends bytes and reads to the end.
async fn exchange(at: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn opening(first_line: &str, fields: &str) -> String {
    format!(
        "{first_line}\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n{fields}\r\n"
    )
}

const VALID: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn refusals_are_byte_for_byte_the_real_ones() {
    let server = server(Duration::from_secs(10)).await;
    let refused = "HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n";
    for target in
        ["/sockets/events/1?session_api_key=wrong-key", "/sockets/events/1?session_api_key", "/sockets/nope"]
    {
        let head = opening(&format!("GET {target} HTTP/1.1"), VALID);
        assert_eq!(exchange(server.address(), &head).await, refused, "{target}");
    }
    let target = "/sockets/events/1?session_api_key=secret-one";
    for (head, starts) in [
        (opening(&format!("POST {target} HTTP/1.1"), VALID), "HTTP/1.1 400 \r\n"),
        (opening(&format!("GET {target} HTTP/1.1"), "Sec-WebSocket-Version: 13\r\n"), "HTTP/1.1 400 \r\n"),
        (
            opening(&format!("GET {target} HTTP/1.1"), &VALID.replace("13", "12")),
            "HTTP/1.1 426 \r\nSec-WebSocket-Version: 13\r\n",
        ),
        (format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 404 "),
        (format!("GET {target} x HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n"),
    ] {
        let answer = exchange(server.address(), &head).await;
        assert!(answer.starts_with(starts), "{head}{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn who_says_no_key_in_time_is_closed_with_4001() {
    let server = server(Duration::from_millis(50)).await;
    let attempt = Attempt { target: "/sockets/events/1".to_owned(), ..Attempt::default() };
    let answer = attempt.make(server.address()).await.unwrap();
    assert_eq!((answer.close_code, answer.messages.len()), (Some(4001), 0));
    assert_eq!(server.take_received()[0].used, None);
    server.stop().await;
}

#[tokio::test]
async fn a_first_message_decides() {
    let server = server(Duration::from_secs(10)).await;
    for (first, code) in [
        (r#"{"type":"auth","session_api_key":"secret-one","x":1}"#, 1000),
        (r#"{"type":"auth","session_api_key":"wrong-key"}"#, 4001),
        (r#"{"type":"auth"}"#, 4001),
        ("secret-one", 4001),
    ] {
        let attempt = Attempt {
            target: "/sockets/session/1".to_owned(),
            first_message: Some(first.to_owned()),
            ..Attempt::default()
        };
        let answer = attempt.make(server.address()).await.unwrap();
        assert_eq!(answer.close_code, Some(code), "{first}");
        assert_eq!(answer.messages.len(), if code == 1000 { 2 } else { 0 }, "{first}");
    }
    server.stop().await;
}
