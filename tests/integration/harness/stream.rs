//! One end of a connection, the client's or the upstream's: plain TCP, TLS, or a Unix socket.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{ClientConnection, HandshakeKind, ServerConnection, StreamOwned};

use super::{
    PATIENCE,
    http::{Answer, Head},
};

/// What the bytes travel on.
enum Wire {
    Tcp(TcpStream),
    TlsClient(Box<StreamOwned<ClientConnection, TcpStream>>),
    TlsServer(Box<StreamOwned<ServerConnection, TcpStream>>),
    Unix(UnixStream),
}

/// All bytes that one end received.
pub(crate) type Received = Arc<Mutex<Vec<u8>>>;

/// One end of a connection. Whatever it reads is kept in [`Stream::received`].
pub(crate) struct Stream {
    wire: Wire,
    unread: Vec<u8>,
    received: Received,
}

impl Stream {
    fn new(wire: Wire) -> Self {
        let stream = Self { wire, unread: Vec::new(), received: Received::default() };
        stream.patience(PATIENCE);
        stream
    }

    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
        Self::tcp(stream)
    }

    pub(crate) fn tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::new(Wire::Tcp(stream))
    }

    pub(crate) fn tls_client(connection: ClientConnection, stream: TcpStream) -> Self {
        Self::new(Wire::TlsClient(Box::new(StreamOwned::new(connection, stream))))
    }

    pub(crate) fn tls_server(connection: ServerConnection, stream: TcpStream) -> Self {
        Self::new(Wire::TlsServer(Box::new(StreamOwned::new(connection, stream))))
    }

    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self::new(Wire::Unix(stream))
    }

    /// Everything that arrived here, shared.
    pub(crate) fn received(&self) -> Received {
        Arc::clone(&self.received)
    }

    /// Where plain bytes are written to, past TLS; for options and for a crude end.
    pub(crate) fn socket(&self) -> socket2::SockRef<'_> {
        match &self.wire {
            Wire::Tcp(stream) => stream.into(),
            Wire::TlsClient(stream) => (&stream.sock).into(),
            Wire::TlsServer(stream) => (&stream.sock).into(),
            Wire::Unix(stream) => stream.into(),
        }
    }

    /// The protocol that TLS agreed on.
    pub(crate) fn alpn(&self) -> Option<Vec<u8>> {
        match &self.wire {
            Wire::TlsClient(stream) => stream.conn.alpn_protocol().map(<[u8]>::to_vec),
            Wire::TlsServer(stream) => stream.conn.alpn_protocol().map(<[u8]>::to_vec),
            Wire::Tcp(_) | Wire::Unix(_) => None,
        }
    }

    /// Whether the handshake of TLS was a full one, once that is known.
    pub(crate) fn handshake_kind(&self) -> Option<HandshakeKind> {
        match &self.wire {
            Wire::TlsClient(stream) => stream.conn.handshake_kind(),
            Wire::TlsServer(stream) => stream.conn.handshake_kind(),
            Wire::Tcp(_) | Wire::Unix(_) => None,
        }
    }

    /// How many tickets of TLS 1.3 a client was given.
    pub(crate) fn tickets(&self) -> u32 {
        match &self.wire {
            Wire::TlsClient(stream) => stream.conn.tls13_tickets_received(),
            Wire::Tcp(_) | Wire::TlsServer(_) | Wire::Unix(_) => 0,
        }
    }

    /// How long one read or write may take.
    pub(crate) fn patience(&self, patience: Duration) {
        self.socket().set_read_timeout(Some(patience)).unwrap();
        self.socket().set_write_timeout(Some(patience)).unwrap();
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let writer: &mut dyn Write = match &mut self.wire {
            Wire::Tcp(stream) => stream,
            Wire::TlsClient(stream) => stream,
            Wire::TlsServer(stream) => stream,
            Wire::Unix(stream) => stream,
        };
        writer.write_all(bytes.as_ref())?;
        writer.flush()
    }

    /// Ends this side's direction, with a `close_notify` where there is TLS.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match &mut self.wire {
            Wire::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Wire::TlsClient(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(Shutdown::Write)
            }
            Wire::TlsServer(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(Shutdown::Write)
            }
            Wire::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset(self) {
        self.socket().set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Reads more; zero at the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = vec![0; 64 * 1024];
        let reader: &mut dyn Read = match &mut self.wire {
            Wire::Tcp(stream) => stream,
            Wire::TlsClient(stream) => stream,
            Wire::TlsServer(stream) => stream,
            Wire::Unix(stream) => stream,
        };
        let read = reader.read(&mut chunk)?;
        self.unread.extend_from_slice(&chunk[..read]);
        self.received.lock().unwrap().extend_from_slice(&chunk[..read]);
        Ok(read)
    }

    /// Reads until there are `length` bytes unread.
    fn need(&mut self, length: usize) -> io::Result<()> {
        while self.unread.len() < length {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Takes exactly `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        self.need(length)?;
        Ok(self.unread.drain(..length).collect())
    }

    /// Takes everything up to and with `end`.
    pub(crate) fn take_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.unread.windows(end.len()).position(|window| window == end) {
                return self.take(at + end.len());
            }
            let have = self.unread.len();
            self.need(have + 1)?;
        }
    }

    /// Takes whatever has arrived, at least one byte; nothing at the end.
    pub(crate) fn take_some(&mut self) -> io::Result<Vec<u8>> {
        if self.unread.is_empty() {
            self.fill()?;
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// Takes everything up to the end of the connection.
    pub(crate) fn take_all(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// Reads and counts at least `length` bytes, or up to the end, and keeps nothing of them.
    pub(crate) fn swallow(&mut self, length: u64) -> io::Result<u64> {
        let mut count = u64::try_from(std::mem::take(&mut self.unread).len()).unwrap();
        while count < length {
            let read = self.fill()?;
            self.unread.clear();
            self.received.lock().unwrap().clear();
            count += u64::try_from(read).unwrap();
            if read == 0 {
                break;
            }
        }
        Ok(count)
    }

    /// Whether nothing comes any more, and nothing was left unread.
    pub(crate) fn is_over(&mut self) -> bool {
        if !self.unread.is_empty() {
            return false;
        }
        match self.fill() {
            Ok(read) => read == 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }

    /// Whether nothing arrives within `patience`, the end neither.
    pub(crate) fn stays_quiet(&mut self, patience: Duration) -> bool {
        self.patience(patience);
        let is_quiet = self.unread.is_empty()
            && self.fill().is_err_and(|error| {
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            });
        self.patience(PATIENCE);
        is_quiet
    }

    /// Takes a head off.
    pub(crate) fn take_head(&mut self) -> io::Result<Head> {
        let bytes = self.take_until(b"\r\n\r\n")?;
        Ok(Head(bytes.into_iter().map(char::from).collect()))
    }

    /// Takes the body off that belongs to a head; without a length there is none.
    pub(crate) fn take_body(&mut self, head: &Head) -> io::Result<Vec<u8>> {
        if head.value("transfer-encoding") == Some("chunked") {
            let mut body = Vec::new();
            loop {
                let chunk = self.take_chunk()?;
                if chunk.is_empty() {
                    return Ok(body);
                }
                body.extend(chunk);
            }
        }
        self.take(head.value("content-length").map_or(0, |length| length.parse().unwrap()))
    }

    /// Takes one chunk off; the last is empty, and its trailer section is dropped.
    pub(crate) fn take_chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.take_until(b"\r\n")?;
        let digits = std::str::from_utf8(&line).unwrap().split([';', '\r']).next().unwrap();
        let size = usize::from_str_radix(digits.trim(), 16).unwrap();
        let chunk = self.take(size)?;
        while self.take_until(b"\r\n")?.len() > 2 {}
        Ok(chunk)
    }

    /// Takes a whole answer off whose body has a length or chunks.
    pub(crate) fn take_answer(&mut self) -> io::Result<Answer> {
        let head = self.take_head()?;
        let body = self.take_body(&head)?;
        Ok(Answer { head, body })
    }
}
