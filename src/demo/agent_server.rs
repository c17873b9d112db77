//! An agent server small enough to live in the demo. Whom it lets in, and how it says so, is the
//! real one's; what it has to say is not: it echoes.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use self::request::Request;
use super::{
    authentication::{FIELD, presented},
    keys::Keys,
    story::{Received, Story, log_line},
};
use crate::read_head::read_head;

mod conversation;
mod pages;
mod request;

/// How long a request head may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest request head.
const HEAD_SIZE: usize = 64 * 1024;

/// A running agent server.
pub(super) struct AgentServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    is_ending: watch::Sender<bool>,
    accepting: JoinHandle<JoinSet<()>>,
}

/// What all its connections share.
struct Shared {
    keys: Keys,
    /// How long the first message may take.
    patience: Duration,
    story: Story,
    /// Where the gateway in front of it writes its lines, for the page to show.
    gateway_log: PathBuf,
}

impl AgentServer {
    /// Listens on a free port of loopback and serves in the background.
    ///
    /// # Errors
    /// There is no free port.
    pub(super) async fn start(keys: Keys, patience: Duration, gateway_log: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (is_ending, ending) = watch::channel(false);
        let shared = Arc::new(Shared { keys, patience, story: Story::default(), gateway_log });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared), ending));
        Ok(Self { shared, address, is_ending, accepting })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The opening handshakes that reached it since it was last asked.
    pub(super) fn take_received(&self) -> Vec<Received> {
        self.shared.story.take()
    }

    /// Tells every open socket that it ends, as the real one does, and waits until they are gone.
    pub(super) async fn stop(self) {
        self.is_ending.send_replace(true);
        let mut connections = self.accepting.await.unwrap_or_default();
        let all_gone = async { while connections.join_next().await.is_some() {} };
        // What does not answer a closing handshake by now is cut by dropping its task.
        let _ = timeout(Duration::from_secs(1), all_gone).await;
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut ending: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    loop {
        let watched = ending.clone();
        let accepted = tokio::select! {
            _ = ending.wait_for(|is_ending| *is_ending) => return connections,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // A client that went away is nobody's business here.
            let _ = serve(stream, peer, &shared, watched).await;
        });
    }
}

/// Serves one request; every connection but a WebSocket's ends after its answer.
async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    shared: &Shared,
    ending: watch::Receiver<bool>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let Ok(head) = timeout(HEAD_TIMEOUT, read_head(&mut stream, HEAD_SIZE)).await else { return Ok(()) };
    let answer = match Request::parse(&head?) {
        None => plain("400 Bad Request", "text/plain; charset=utf-8", "Invalid HTTP request received."),
        Some(request) if request.asks_websocket() => match request.websocket_error() {
            Some(refusal) => refusal.to_owned(),
            None => return handshake(stream, peer, &request, shared, ending).await,
        },
        Some(request) => pages::answer(&request, shared).await,
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Decides about an opening handshake, and holds the conversation that follows.
async fn handshake(
    mut stream: TcpStream,
    peer: SocketAddr,
    request: &Request,
    shared: &Shared,
    ending: watch::Receiver<bool>,
) -> io::Result<()> {
    let used = presented(&request.target, request.values(FIELD));
    let is_right = used.as_ref().is_none_or(|key| shared.keys.right == *key);
    let is_accepted = is_right && request.is_for_a_socket();
    let is_admitted = used.is_some();
    let number = shared.story.add(Received {
        target: request.target.clone(),
        fields: request.lines(FIELD),
        first_message: None,
        used,
        log_line: log_line(peer, &request.target, is_accepted),
    });
    if !is_accepted {
        stream.write_all(b"HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n").await?;
        return stream.shutdown().await;
    }
    let nonce = request.values("sec-websocket-key").next().unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\nserver: hushgate-demo\r\n\r\n",
        derive_accept_key(nonce)
    );
    stream.write_all(answer.as_bytes()).await?;
    // What came in one piece with the handshake is lost, as it is at the real server.
    conversation::hold(stream, shared, number, is_admitted, ending).await;
    Ok(())
}

/// A whole answer that ends its connection.
fn plain(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n\
         content-security-policy: {}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
        pages::CONTENT_SECURITY_POLICY,
    )
}

#[cfg(test)]
mod tests;
