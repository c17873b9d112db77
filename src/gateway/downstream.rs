//! A client's connection, as we read heads from it and as Pingora reads bodies from it.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Buf, Bytes, BytesMut};
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest,
    UniqueID, UniqueIDType, raw_connect::ProxyDigest,
};
use rustls::server::UnbufferedServerConnection;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use zeroize::Zeroize;

use super::tls;
use crate::handshake::{chunks::Chunks, head::Body};

/// What a client's bytes travel on.
#[derive(Debug)]
pub enum Transport {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS on TCP.
    Tls(tls::Stream<UnbufferedServerConnection, TcpStream>),
}

/// The most that is read ahead of a request that is still being answered.
const READ_AHEAD: usize = 16 * 1024;

/// The longest piece of an answer that is kept back to leave together with the next.
const LONGEST_KEPT: usize = 16 * 1024;

/// Bytes that requests took and answers gave, readable after the connection is gone.
#[derive(Debug, Default)]
pub(super) struct Counters {
    received: AtomicU64,
    sent: AtomicU64,
    broken: AtomicBool,
}

impl Counters {
    fn take(&self, bytes: usize) {
        self.received.fetch_add(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
    }

    /// Whether a body was no valid chunks.
    pub(super) fn saw_broken_body(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Received and sent so far.
    pub(super) fn get(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// A client's connection.
///
/// While a request is answered, whoever reads from it gets that request's body and nothing more;
/// what the client sends ahead is kept for the next request, to be judged by itself.
pub struct Downstream {
    transport: Transport,
    /// Read from the transport, and not yet from us.
    ahead: BytesMut,
    reading: Reading,
    /// Written to us, and not yet to the transport.
    unsent: BytesMut,
    /// The next write is the head of an answer, and leaves together with what follows.
    awaits_head: bool,
    counters: Arc<Counters>,
}

/// Bytes taken from a connection: a head, as a rule, and wiped when it was judged.
pub(super) struct Taken(BytesMut);

impl std::ops::Deref for Taken {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What whoever reads may have.
enum Reading {
    /// The rest of a chunked body.
    Chunks(Chunks),
    /// This much of a body.
    Length(u64),
}

// Pingora wants it, and its own streams print what they hold.
impl std::fmt::Debug for Downstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Downstream")
    }
}

impl Downstream {
    /// Takes an accepted connection in.
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
            ahead: BytesMut::new(),
            reading: Reading::Length(0),
            unsent: BytesMut::new(),
            awaits_head: false,
            counters: Arc::default(),
        }
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// What was read and not yet taken.
    pub(super) fn ahead(&mut self) -> &mut BytesMut {
        &mut self.ahead
    }

    /// Reads more into [`Self::ahead`]; zero at the end of the stream.
    pub(super) async fn read_ahead(&mut self) -> io::Result<usize> {
        self.make_room();
        match &mut self.transport {
            Transport::Tcp(stream) => stream.read_buf(&mut self.ahead).await,
            Transport::Tls(stream) => stream.read_buf(&mut self.ahead).await,
        }
    }

    /// Makes room for more in [`Self::ahead`]. Heads are short, so little is held while waiting.
    fn make_room(&mut self) {
        const ROOM: usize = 4096;
        let length = self.ahead.len();
        if length == 0 {
            self.ahead.reserve(ROOM);
        } else if length == self.ahead.capacity() {
            // Growing by itself, it would leave half a head in freed memory.
            let mut larger = BytesMut::with_capacity(2 * length.max(ROOM));
            larger.extend_from_slice(&self.ahead);
            self.ahead.zeroize();
            self.ahead = larger;
        }
    }

    /// Takes the first bytes of what was read.
    pub(super) fn take_ahead(&mut self, length: usize) -> Taken {
        let taken = self.ahead.split_to(length.min(self.ahead.len()));
        self.counters.take(taken.len());
        Taken(taken)
    }

    /// Limits what may be read to the body of one request.
    pub(super) fn expect_body(&mut self, body: Body) {
        self.reading = match body {
            Body::Chunked => Reading::Chunks(Chunks::default()),
            Body::Length(length) => Reading::Length(length),
        };
        self.awaits_head = true;
    }

    /// What it travels on, and what was read and not taken; for a relay.
    pub(super) fn into_parts(self) -> (Transport, Bytes) {
        // A copy, since the buffer is larger than what is in it.
        (self.transport, Bytes::copy_from_slice(&self.ahead))
    }

    /// Ends a connection whose last answer must arrive: says so, then reads for a moment what the
    /// client is still sending, since closing at once would reset the answer away.
    pub(super) async fn linger(mut self) {
        // A peer that reads nothing may keep what is left from being written for ever.
        let ended = tokio::time::timeout(Duration::from_secs(5), self.shutdown_write()).await;
        if !matches!(ended, Ok(Ok(()))) {
            return;
        }
        let drain = async {
            let mut left = 64;
            while left > 0 && matches!(self.read_ahead().await, Ok(1..)) {
                self.ahead.clear();
                left -= 1;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(1), drain).await;
    }

    async fn shutdown_write(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_send(cx)).await?;
        match &mut self.transport {
            Transport::Tcp(stream) => AsyncWriteExt::shutdown(stream).await,
            Transport::Tls(stream) => AsyncWriteExt::shutdown(stream).await,
        }
    }

    fn poll_transport(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    fn poll_write_transport(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.transport {
            Transport::Tcp(stream) => ready!(Pin::new(stream).poll_write(cx, bytes)),
            Transport::Tls(stream) => ready!(Pin::new(stream).poll_write(cx, bytes)),
        }?;
        self.counters.sent.fetch_add(u64::try_from(written).unwrap_or(0), Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    /// Sends what was kept back.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let mut unsent = std::mem::take(&mut self.unsent);
            let written = self.poll_write_transport(cx, &unsent);
            if let Poll::Ready(Ok(written)) = written {
                unsent.advance(written);
            }
            // An empty one frees its memory here.
            if !unsent.is_empty() {
                self.unsent = unsent;
            }
            if ready!(written)? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The body was read: only the end of the stream is still of interest, as it tells that
    /// nobody waits for the answer. What comes meanwhile is kept.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.len() < READ_AHEAD {
            let mut chunk = [const { MaybeUninit::uninit() }; 1024];
            let mut buf = ReadBuf::uninit(&mut chunk);
            ready!(self.poll_transport(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend_from_slice(buf.filled());
        }
        Poll::Pending
    }
}

impl Reading {
    /// How many of the next `available` bytes may be asked for; zero when the body was read.
    fn allows(&self, available: usize) -> usize {
        match self {
            Self::Chunks(chunks) if chunks.is_complete() => 0,
            Self::Chunks(_) => available,
            Self::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX).min(available),
        }
    }

    /// Takes as many of these bytes as belong to what may be read.
    fn take(&mut self, bytes: &[u8], counters: &Counters) -> io::Result<usize> {
        match self {
            Self::Chunks(chunks) => chunks.follow(bytes).map_err(|_| {
                counters.broken.store(true, Ordering::Relaxed);
                io::ErrorKind::InvalidData.into()
            }),
            Self::Length(left) => {
                *left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                Ok(bytes.len())
            }
        }
    }
}

impl AsyncRead for Downstream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let allowed = this.reading.allows(buf.remaining());
        if allowed == 0 {
            return this.poll_end(cx);
        }
        let taken = if this.ahead.is_empty() {
            let mut limited = ReadBuf::new(buf.initialize_unfilled_to(allowed));
            ready!(this.poll_transport(cx, &mut limited))?;
            let taken = this.reading.take(limited.filled(), &this.counters)?;
            // What follows a chunked body is the next request's.
            this.ahead.extend_from_slice(limited.filled().get(taken..).unwrap_or_default());
            buf.advance(taken);
            taken
        } else {
            let ahead = this.ahead.get(..allowed.min(this.ahead.len())).unwrap_or_default();
            let taken = this.reading.take(ahead, &this.counters)?;
            buf.put_slice(ahead.get(..taken).unwrap_or_default());
            this.ahead.advance(taken);
            taken
        };
        this.counters.take(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Downstream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // Pingora writes a head by itself; it waits for the first of the body, or for a flush.
        if this.awaits_head && this.unsent.is_empty() && bytes.len() <= LONGEST_KEPT {
            this.unsent.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        this.awaits_head = false;
        if !this.unsent.is_empty() && bytes.len() <= LONGEST_KEPT && this.unsent.len() <= LONGEST_KEPT {
            this.unsent.extend_from_slice(bytes);
            // What the transport does not take now goes with the next write or flush.
            return match this.poll_send(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
            };
        }
        ready!(this.poll_send(cx))?;
        this.poll_write_transport(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.awaits_head = false;
        ready!(this.poll_send(cx))?;
        match &mut this.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        match &mut this.transport {
            Transport::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[async_trait]
impl Shutdown for Downstream {
    async fn shutdown(&mut self) {
        let _ = self.shutdown_write().await;
    }
}

impl UniqueID for Downstream {
    fn id(&self) -> UniqueIDType {
        0
    }
}

impl Ssl for Downstream {}
impl Peek for Downstream {}

impl GetTimingDigest for Downstream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Downstream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Downstream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}
