//! Thousands of connections in a few threads: clients and upstreams that are tasks. A [`super::Stream`]
//! takes a thread of its own and keeps every byte; these do neither.

use std::{
    io,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::{ClientConfig, pki_types::ServerName};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{PATIENCE, http::Head, opening};

/// The threads of a test's tasks.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Keeps others of this process that measure away from each other.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many descriptors this process, and each gateway that it starts from now on, may have: as many
/// as the system lets it ask for.
pub(crate) fn most_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| usize::try_from(most).unwrap())
}

/// What a future gives, which has to be soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: did not happen in time"))
}

/// How many of many are at work at the same time.
const AT_ONCE: usize = 64;

/// Does something for each number below `count`, many at once, and gives what came of all.
pub(crate) async fn each<T, F>(count: usize, work: impl Fn(usize) -> F + Clone + Send + 'static) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (next, work) = (Arc::clone(&next), work.clone());
        workers.spawn(async move {
            let mut results = Vec::new();
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= count {
                    return results;
                }
                let result = soon("one of many", work(number)).await;
                results.push(result.unwrap_or_else(|error| panic!("number {number}: {error}")));
            }
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}

/// What bytes travel on.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket below.
    fn socket(&self) -> SockRef<'_>;
}

impl Wire for TcpStream {
    fn socket(&self) -> SockRef<'_> {
        self.into()
    }
}

impl Wire for UnixStream {
    fn socket(&self) -> SockRef<'_> {
        self.into()
    }
}

impl Wire for TlsStream<TcpStream> {
    fn socket(&self) -> SockRef<'_> {
        self.get_ref().0.into()
    }
}

/// One end of a connection.
pub(crate) struct Socket {
    wire: Box<dyn Wire>,
    /// What came with a head, behind it.
    ahead: Vec<u8>,
}

impl Socket {
    fn new(wire: impl Wire + 'static) -> Self {
        Self { wire: Box::new(wire), ahead: Vec::new() }
    }

    fn tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::new(stream)
    }

    /// Lets the connection end by a reset when it is dropped. A Unix socket knows none.
    pub(crate) fn end_by_reset(&self) {
        self.wire.socket().set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Has the system hold no more than about this much of what is to be sent and of what came.
    pub(crate) fn hold_little(&self, bytes: usize) {
        self.wire.socket().set_send_buffer_size(bytes).unwrap();
        self.wire.socket().set_recv_buffer_size(bytes).unwrap();
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.write_all(bytes.as_ref()).await?;
        self.flush().await
    }

    /// Takes a head off.
    pub(crate) async fn take_head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(at) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.ahead.split_off(at + 4);
                let head = std::mem::replace(&mut self.ahead, rest);
                return Ok(Head(head.into_iter().map(char::from).collect()));
            }
            let mut chunk = [0; 1024];
            let read = self.wire.read(&mut chunk).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.ahead.extend_from_slice(&chunk[..read]);
        }
    }

    /// Takes exactly this many bytes.
    pub(crate) async fn receive(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read_exact(&mut bytes).await?;
        Ok(bytes)
    }

    /// Sends back what comes, half-close included.
    pub(crate) async fn echo(mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        loop {
            match self.read(&mut chunk).await? {
                0 => return self.shutdown().await,
                read => self.send(&chunk[..read]).await?,
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.wire).poll_read(context, buffer);
        }
        let count = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..count]);
        self.ahead.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

/// Plays `script` on every connection to a free port, and gives the URL. An error ends a connection.
pub(crate) async fn upstream<F>(script: impl Fn(Socket) -> F + Send + 'static) -> String
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(Socket::tcp(stream)));
        }
    });
    url
}

/// The same on a Unix socket.
pub(crate) async fn upstream_at<F>(path: &Path, script: impl Fn(Socket) -> F + Send + 'static) -> String
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(script(Socket::new(stream)));
        }
    });
    format!("unix:{}", path.display())
}

/// Where clients connect.
#[derive(Clone)]
pub(crate) struct Entrance {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Entrance {
    pub(super) fn new(address: SocketAddr, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { address, tls: tls.map(TlsConnector::from) }
    }

    pub(crate) async fn connect(&self) -> io::Result<Socket> {
        let stream = TcpStream::connect(self.address).await?;
        let Some(tls) = &self.tls else { return Ok(Socket::tcp(stream)) };
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        Ok(Socket::new(tls.connect(name, stream).await?))
    }

    /// An open WebSocket.
    pub(crate) async fn upgrade(&self, target: &str) -> io::Result<Socket> {
        let mut socket = self.connect().await?;
        socket.send(opening(target, &[])).await?;
        let head = socket.take_head().await?;
        if head.status() == 101 { Ok(socket) } else { Err(io::Error::other(head.0)) }
    }
}
