//! A client that says what no library would, and the wire to our server.

use std::task::Waker;

use rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite,
    client::ClientConnectionData,
    crypto::cipher::{MessageEncrypter, OutboundPlainMessage},
    kernel::KernelConnection,
};

use super::*;

/// One end of a wire, which passes at most this much at once and counts what is read.
pub(super) struct Wire {
    inner: DuplexStream,
    piece: usize,
    pub(super) read: usize,
    /// Whether nothing more can be written for now.
    pub(super) is_full: bool,
}

impl Wire {
    pub(super) fn new(inner: DuplexStream, piece: usize) -> Self {
        Self { inner, piece, read: 0, is_full: false }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let room = buf.remaining().min(this.piece);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        this.read += read;
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_full {
            return Poll::Pending;
        }
        Pin::new(&mut this.inner).poll_write(cx, &bytes[..bytes.len().min(this.piece)])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

/// Our server, as it faces a forger.
pub(super) type Facing = Stream<UnbufferedServerConnection, Wire>;

/// A client whose handshake is over, and which seals records by itself.
pub(super) struct Forger {
    wire: DuplexStream,
    kernel: KernelConnection<ClientConnectionData>,
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Forger {
    /// A forger and the server that it is connected to, with nothing on the wire between them.
    pub(super) async fn connected(version: &'static SupportedProtocolVersion) -> (Facing, Self) {
        let (server, client) = configs(version);
        let (near, far) = duplex(1 << 22);
        let near = Wire::new(near, usize::MAX);
        let (ours, theirs) = tokio::join!(Stream::accept(server, near), Stream::connect(client, name(), far));
        let Stream { transport: wire, session, .. } = theirs.unwrap();
        let (secrets, kernel) = session.into_tls().dangerous_into_kernel_connection().unwrap();
        let (sequence, secrets) = secrets.tx;
        let encrypter = encrypter(kernel.negotiated_cipher_suite(), secrets);
        let mut forger = Self { wire, kernel, encrypter, sequence };
        forger.heard();
        (ours.unwrap(), forger)
    }

    /// A record with this inside.
    pub(super) fn seal(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let message =
            OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload: payload.into() };
        let sealed = self.encrypter.encrypt(message, self.sequence).unwrap().encode();
        self.sequence += 1;
        sealed
    }

    pub(super) fn seal_data(&mut self, payload: &[u8]) -> Vec<u8> {
        self.seal(ContentType::ApplicationData, payload)
    }

    pub(super) fn seal_alert(&mut self, level: u8, description: u8) -> Vec<u8> {
        self.seal(ContentType::Alert, &[level, description])
    }

    /// A record that renews our keys, and asks for the same.
    pub(super) fn seal_key_update(&mut self) -> Vec<u8> {
        let sealed = self.seal(ContentType::Handshake, &[24, 0, 0, 1, 1]);
        let (sequence, secrets) = self.kernel.update_tx_secret().unwrap();
        self.sequence = sequence;
        self.encrypter = encrypter(self.kernel.negotiated_cipher_suite(), secrets);
        sealed
    }

    pub(super) async fn say(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).await.unwrap();
    }

    /// The kind and the length of each record that has arrived since this was last asked.
    pub(super) fn heard(&mut self) -> Vec<(u8, usize)> {
        let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let mut buf = ReadBuf::new(&mut chunk);
            let read = Pin::new(&mut self.wire).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf);
            if read.is_pending() || buf.filled().is_empty() {
                return records(&all);
            }
            all.extend_from_slice(buf.filled());
        }
    }
}

fn encrypter(suite: SupportedCipherSuite, secrets: ConnectionTrafficSecrets) -> Box<dyn MessageEncrypter> {
    let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else { panic!("another suite") };
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            let (fixed, explicit) = iv.as_ref().split_at(fixed);
            suite.aead_alg.encrypter(key, fixed, explicit)
        }
    }
}

/// The kind and the length of each record.
pub(super) fn records(mut bytes: &[u8]) -> Vec<(u8, usize)> {
    let mut records = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records.push((*kind, length));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "half a record");
    records
}

/// Polls a read of `room` bytes once. Nothing where it has to wait.
pub(super) fn read_once(ours: &mut Facing, room: usize) -> Option<io::Result<Vec<u8>>> {
    let mut bytes = vec![0; room];
    let mut buf = ReadBuf::new(&mut bytes);
    match Pin::new(ours).poll_read(&mut Context::from_waker(Waker::noop()), &mut buf) {
        Poll::Pending => None,
        Poll::Ready(read) => Some(read.map(|()| buf.filled().to_vec())),
    }
}
