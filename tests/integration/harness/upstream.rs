//! A scripted agent server: it plays what a test tells it, and keeps every byte that it received.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

use rustls::{ServerConfig, ServerConnection};

use super::{SWITCHING, Stream, eventually, stream::Received};

/// What is played on one connection, whose number counts from 0. An error ends the connection.
type Script = dyn Fn(&mut Stream, usize) -> io::Result<()> + Send + Sync;

/// A scripted agent server.
pub(crate) struct Upstream {
    url: String,
    connections: Arc<Mutex<Vec<Received>>>,
}

impl Upstream {
    /// Plays `script` on every connection.
    pub(crate) fn playing(
        script: impl Fn(&mut Stream, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self::accepting(url, script, move || Ok(Stream::tcp(listener.accept()?.0)))
    }

    /// The same over TLS; `host` is what the URL names.
    pub(crate) fn playing_over_tls(
        host: &str,
        config: Arc<ServerConfig>,
        script: impl Fn(&mut Stream, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{host}:{}", listener.local_addr().unwrap().port());
        Self::accepting(url, script, move || {
            let stream = listener.accept()?.0;
            let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            Ok(Stream::tls_server(connection, stream))
        })
    }

    /// The same on a Unix socket.
    pub(crate) fn playing_at(
        path: &Path,
        script: impl Fn(&mut Stream, usize) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        Self::accepting(format!("unix:{}", path.display()), script, move || {
            Ok(Stream::unix(listener.accept()?.0))
        })
    }

    fn accepting(
        url: String,
        script: impl Fn(&mut Stream, usize) -> io::Result<()> + Send + Sync + 'static,
        accept: impl Fn() -> io::Result<Stream> + Send + 'static,
    ) -> Self {
        let script: Arc<Script> = Arc::new(script);
        let connections = Arc::<Mutex<Vec<Received>>>::default();
        let shared = Arc::clone(&connections);
        // The thread ends with the process; a test's upstream costs nothing when it is idle.
        thread::spawn(move || {
            while let Ok(mut stream) = accept() {
                let script = Arc::clone(&script);
                let number = {
                    let mut connections = shared.lock().unwrap();
                    connections.push(stream.received());
                    connections.len() - 1
                };
                thread::spawn(move || {
                    // What went wrong here shows at the client, where the test looks.
                    let _ = script(&mut stream, number);
                });
            }
        });
        Self { url, connections }
    }

    /// Answers every request on every connection with these bytes, after its whole body.
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::playing(move |stream, _| {
            loop {
                let head = stream.take_head()?;
                stream.take_body(&head)?;
                stream.send(&answer)?;
            }
        })
    }

    /// Agrees to every opening handshake and echoes what follows, half-close included.
    pub(crate) fn echoing() -> Self {
        Self::playing(|stream, _| echo(stream, SWITCHING))
    }

    /// Where nobody listens.
    pub(crate) fn refusing() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Self { url: format!("http://{address}"), connections: Arc::default() }
    }

    /// What `upstream.url` has to be.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.url.rsplit('/').next().unwrap().parse().unwrap()
    }

    /// What each connection brought so far, in Latin-1.
    pub(crate) fn received(&self) -> Vec<String> {
        let connections = self.connections.lock().unwrap();
        connections
            .iter()
            .map(|bytes| bytes.lock().unwrap().iter().copied().map(char::from).collect())
            .collect()
    }

    /// The only connection's bytes, once they hold `end`.
    #[track_caller]
    pub(crate) fn received_up_to(&self, end: &str) -> String {
        eventually("the upstream receives its part", || {
            self.received().first().is_some_and(|bytes| bytes.contains(end))
        });
        let mut received = self.received();
        assert_eq!(received.len(), 1, "connections: {received:?}");
        received.remove(0)
    }

    /// Fails unless not even a connection was made.
    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(self.received(), Vec::<String>::new(), "nothing may go upstream");
    }
}

/// Takes an opening handshake, agrees to it, and echoes what follows.
pub(crate) fn echo(stream: &mut Stream, answer: &str) -> io::Result<()> {
    stream.take_head()?;
    echo_on(stream, answer)
}

/// Agrees to an opening handshake with `answer`, and echoes what follows.
pub(crate) fn echo_on(stream: &mut Stream, answer: &str) -> io::Result<()> {
    stream.send(answer)?;
    loop {
        let bytes = stream.take_some()?;
        if bytes.is_empty() {
            return stream.finish();
        }
        stream.send(bytes)?;
    }
}
