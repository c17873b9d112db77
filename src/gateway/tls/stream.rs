//! A TLS stream that holds no buffer while it is quiet.
//!
//! rustls's own streams keep several KiB for every connection, read or not. This one stands on its
//! unbuffered interface: records are read into a scratch that belongs to the thread, are decrypted
//! there, and go from there to whoever reads; what is written is sealed into the same scratch and
//! leaves at once. A stream keeps only what cannot go on yet: the beginning of a record, plaintext
//! that its reader had no room for, and sealed bytes that the transport did not take.
//!
//! How the ends behave:
//! - `close_notify` is the end of the stream. A transport that ends without it is
//!   [`io::ErrorKind::UnexpectedEof`], every time it is read. Both directions end separately.
//! - What [`AsyncWrite::poll_write`] took is on its way. Whatever is polled next, be it a read, gets
//!   it out as soon as the transport takes it; until then nothing more is taken.
//! - After an error of the protocol the peer is told by an alert, as far as the transport takes it
//!   at once, and nothing more is read or written. Nothing follows our own `close_notify`.

use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use rustls::{
    ClientConfig, ServerConfig, client::UnbufferedClientConnection, pki_types::ServerName,
    server::UnbufferedServerConnection,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::{
    backlog::{Backlog, Half},
    scratch::RECORD,
    session::{Session, invalid},
    side::Side,
};
use crate::relay;

mod backlog;
mod scratch;
mod session;
mod side;
#[cfg(test)]
mod tests;

/// The most plaintext sealed at once: four full records, which fit the scratch.
const MOST: usize = 64 * 1024;

/// How often one poll reads what holds nothing for the reader, before others have their turn.
const READS: usize = 16;

/// How much of it one poll reads: more than the beginning of a record is a peer that means no good,
/// and to renew keys costs hundreds of times what as many bytes of data cost.
const FRUITLESS: usize = RECORD;

/// A TLS connection of one side on a transport.
pub struct Stream<C, S> {
    transport: S,
    /// More than a KiB, which tasks would hold several times if it moved with the stream.
    session: Box<Session<C>>,
    /// Sealed and not yet taken by the transport.
    backlog: Option<Box<Backlog>>,
    /// Whether the peer was told that nothing more comes.
    has_closed: bool,
}

// What it holds is a conversation.
impl<C, S> fmt::Debug for Stream<C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<UnbufferedServerConnection, S> {
    /// Performs a server's handshake, however long the client takes for it.
    ///
    /// # Errors
    /// The transport failed or ended, or the client's handshake is not acceptable; it was told.
    pub async fn accept(config: Arc<ServerConfig>, transport: S) -> io::Result<Self> {
        let session = Session::new(UnbufferedServerConnection::new(config).map_err(invalid)?);
        Self::establish(session, transport).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<UnbufferedClientConnection, S> {
    /// Performs a client's handshake, however long the server takes for it.
    ///
    /// # Errors
    /// The transport failed or ended, or the server is not who it should be; it was told.
    pub async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        transport: S,
    ) -> io::Result<Self> {
        let session = Session::new(UnbufferedClientConnection::new(config, name).map_err(invalid)?);
        Self::establish(session, transport).await
    }
}

impl<C: Side, S: AsyncRead + AsyncWrite + Unpin> Stream<C, S> {
    /// What it travels on.
    pub fn transport(&self) -> &S {
        &self.transport
    }

    async fn establish(session: Box<Session<C>>, transport: S) -> io::Result<Self> {
        let mut stream = Self { transport, session, backlog: None, has_closed: false };
        let mut first = BytesMut::new();
        stream.session.begin(&mut first)?;
        stream.keep(&first);
        std::future::poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(Pin::new(&mut *self).poll_flush(cx))?;
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(cx, &mut ReadBuf::new(&mut [])))?;
        }
    }

    /// Reads from the transport once, and takes in every record that is now whole. Returns how much was
    /// read.
    fn poll_fill(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        scratch::with(|scratch| {
            let kept = self.session.kept();
            let end = self.session.wanted(buf.remaining()).min(scratch.len());
            let Some(room) = scratch.get_mut(kept..end).filter(|room| !room.is_empty()) else {
                // A message of a handshake in so many pieces is no handshake.
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            };
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut self.transport).poll_read(cx, &mut room))?;
            let read = room.filled().len();
            if read == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let records = scratch.get_mut(..kept + read).unwrap_or_default();
            let mut sealed = BytesMut::new();
            let taken = self.session.take_in(records, buf, &mut sealed);
            if !sealed.is_empty() && !self.has_closed {
                // An answer, or the alert that says what was wrong. Neither may follow a close_notify.
                self.keep(&sealed);
                self.drain_for_reader(cx);
            }
            Poll::Ready(taken.map(|()| read))
        })
    }

    /// Keeps sealed bytes behind those that are kept already.
    fn keep(&mut self, sealed: &[u8]) {
        if !sealed.is_empty() {
            self.backlog.get_or_insert_default().push(sealed);
        }
    }

    /// Ready when nothing sealed is kept.
    fn poll_drain(&mut self, cx: &mut Context<'_>, half: Half) -> Poll<io::Result<()>> {
        if let Some(backlog) = &mut self.backlog {
            ready!(backlog.poll_drain(cx, half, &mut self.transport))?;
            self.backlog = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Gets out what it can. What fails here fails again for whoever writes.
    fn drain_for_reader(&mut self, cx: &mut Context<'_>) {
        if self.backlog.is_some() && self.poll_drain(cx, Half::Reader).is_ready() {
            let _ = Pin::new(&mut self.transport).poll_flush(cx);
        }
    }

    /// Seals the beginning of `plaintext` and writes it, as far as the transport takes it.
    fn seal_and_write(&mut self, cx: &mut Context<'_>, plaintext: &[u8]) -> io::Result<usize> {
        let plaintext = plaintext.get(..MOST).unwrap_or(plaintext);
        scratch::with(|scratch| {
            let mut before = BytesMut::new();
            let length = self.session.seal(plaintext, scratch, &mut before)?;
            self.keep(&before);
            let mut sealed = scratch.get(..length).unwrap_or_default();
            while self.backlog.is_none() && !sealed.is_empty() {
                match Pin::new(&mut self.transport).poll_write(cx, sealed) {
                    Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(written)) => sealed = sealed.get(written..).unwrap_or_default(),
                    Poll::Ready(Err(error)) => return Err(error),
                    Poll::Pending => break,
                }
            }
            self.keep(sealed);
            Ok(())
        })?;
        // Whoever wrote this is woken when the rest can go, even if they do not flush.
        match self.poll_drain(cx, Half::Writer) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending | Poll::Ready(Ok(())) => Ok(plaintext.len()),
        }
    }
}

/// Between its bytes and the socket's stands TLS.
impl<C: Side + Send, S: AsyncRead + AsyncWrite + Send + Unpin> relay::Stream for Stream<C, S> {}

impl<C: Side, S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<C, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.drain_for_reader(cx);
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let mut fruitless = 0;
        for _ in 0..READS {
            this.session.deliver(buf)?;
            if buf.filled().len() > before || this.session.has_ended() {
                return Poll::Ready(Ok(()));
            }
            let filled = ready!(this.poll_fill(cx, buf));
            if buf.filled().len() > before {
                // What failed behind it is told next time.
                return Poll::Ready(Ok(()));
            }
            fruitless += filled?;
            if fruitless >= FRUITLESS {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: Side, S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<C, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.has_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(this.poll_drain(cx, Half::Writer))?;
        Poll::Ready(this.seal_and_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx, Half::Writer))?;
        Pin::new(&mut this.transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !std::mem::replace(&mut this.has_closed, true) {
            let mut sealed = BytesMut::new();
            this.session.seal_end(&mut sealed)?;
            this.keep(&sealed);
        }
        ready!(this.poll_drain(cx, Half::Writer))?;
        match ready!(Pin::new(&mut this.transport).poll_shutdown(cx)) {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended),
        }
    }
}
