//! The upstream of the test. Each request tells it by a field how it has to fail.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{answers::Answer, request::ANSWER};
use crate::read_head::read_head;

/// The longest that a connection lives, whatever the other side does.
const LIFETIME: Duration = Duration::from_secs(60);

/// The longest request head that is read.
const HEAD_SIZE: usize = 256 * 1024;

/// How often the request line stands in a head that is too long.
const OVERSIZE: usize = 8 * 1024;

/// A running upstream. When it is dropped, nobody listens there any more.
pub(super) struct Upstream {
    address: SocketAddr,
    received: Arc<Received>,
    accepting: JoinHandle<()>,
}

/// What came.
#[derive(Default)]
struct Received {
    /// The first line of each request.
    lines: Mutex<Vec<u8>>,
    /// What follows it in each head.
    fields: Mutex<Vec<u8>>,
    /// How requests were answered.
    answers: Mutex<HashSet<Answer>>,
}

impl Upstream {
    /// Listens there and answers in the background.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub(super) async fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let received = Arc::<Received>::default();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&received)));
        Ok(Self { address, received, accepting })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens no more, so that who connects is refused. Open connections stay.
    pub(super) async fn go_down(&mut self) {
        self.accepting.abort();
        // The listener is closed when the task is gone.
        let _ = (&mut self.accepting).await;
    }

    /// The request lines that came.
    pub(super) fn lines(&self) -> Vec<u8> {
        self.received.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The field lines that came.
    pub(super) fn fields(&self) -> Vec<u8> {
        self.received.fields.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a request was answered so.
    pub(super) fn has_given(&self, answer: Answer) -> bool {
        self.received.answers.lock().unwrap_or_else(PoisonError::into_inner).contains(&answer)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, received: Arc<Received>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            // That a connection breaks is what it is for.
            let _ = timeout(LIFETIME, serve(stream, &received)).await;
        });
    }
}

/// Answers one request.
async fn serve(mut stream: TcpStream, received: &Received) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let head = read_head(&mut stream, HEAD_SIZE).await?;
    let line = head.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let fields = head.strip_prefix(line).unwrap_or_default();
    let line = line.trim_ascii().to_vec();
    received.fields.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(fields);
    {
        let mut lines = received.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(&line);
        lines.push(b'\n');
    }
    let answer = value(&head, ANSWER).and_then(|label| Answer::asked(&label)).unwrap_or(Answer::Agree);
    received.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(answer);
    give(stream, answer, &head, &line).await
}

async fn give(mut stream: TcpStream, answer: Answer, head: &[u8], line: &[u8]) -> io::Result<()> {
    let nonce = value(head, "Sec-WebSocket-Key");
    match answer {
        Answer::Agree => {
            stream.write_all(&agreement(nonce.as_deref())).await?;
            if nonce.is_some() {
                stream.write_all(b"\x81\x05hello").await?;
                // Whatever comes, it is enough.
                stream.read_u8().await?;
                stream.write_all(b"\x88\x02\x03\xe8").await?;
            }
        }
        Answer::Hold => {
            stream.write_all(&agreement(nonce.as_deref())).await?;
            hold(&mut stream).await?;
        }
        Answer::Refuse => {
            stream.write_all(b"HTTP/1.1 403 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await?;
        }
        Answer::Reset => return reset(&stream),
        Answer::Close => {}
        Answer::ResetInHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-").await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            return reset(&stream);
        }
        Answer::CloseInBody => {
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nonly so much").await?;
        }
        Answer::ResetOpened => {
            stream.write_all(&agreement(nonce.as_deref())).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            return reset(&stream);
        }
        Answer::Echo => stream.write_all(head).await?,
        Answer::MalformedField => {
            stream
                .write_all(&[b"HTTP/1.1 200 OK\r\n", line, b"\r\nContent-Length: 0\r\n\r\n"].concat())
                .await?;
        }
        Answer::WrongAccept => {
            // A gateway may pass it on as it is, so it holds nothing of the request.
            stream.write_all(&agreement(Some("another nonce"))).await?;
        }
        Answer::Oversize => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            let lines = [b"X-Long: ", line, b"\r\n"].concat().repeat(32);
            for _ in 0..OVERSIZE / 32 {
                stream.write_all(&lines).await?;
            }
        }
        Answer::Silence => hold(&mut stream).await?,
        Answer::Slow => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly so much").await?;
            hold(&mut stream).await?;
        }
    }
    stream.shutdown().await
}

/// Waits until the other side ends, or sends a Close frame.
async fn hold(stream: &mut TcpStream) -> io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let read = stream.read(&mut bytes).await?;
        if read == 0 || bytes.first() == Some(&0x88) {
            return Ok(());
        }
    }
}

/// What agrees to a WebSocket, or answers what is none.
fn agreement(nonce: Option<&str>) -> Vec<u8> {
    match nonce {
        Some(nonce) => format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(nonce.as_bytes())
        )
        .into_bytes(),
        None => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".to_vec(),
    }
}

/// Has the connection reset when it is dropped.
pub(super) fn reset(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_linger(Some(Duration::ZERO))
}

/// The first value of a field.
fn value(head: &[u8], name: &str) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let named = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    named
        .filter(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
        .next()
}
