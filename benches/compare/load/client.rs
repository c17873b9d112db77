//! A client of a proxy: connections, opening handshakes, messages.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Args, ValueEnum};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{CREDENTIAL, REST, frame, others};

/// The example of RFC 6455.
const NONCE: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#[derive(Args, Clone)]
pub(crate) struct Target {
    /// Where the proxy listens
    pub(crate) address: SocketAddr,
    /// What carries the credential
    #[arg(long, default_value = "query")]
    pub(crate) carrier: Carrier,
    /// Speaks TLS, and trusts this certificate
    #[arg(long)]
    pub(crate) roots: Option<PathBuf>,
    /// Resumes sessions of TLS where the proxy lets it; without this, every handshake is a full one
    #[arg(long)]
    pub(crate) resume: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Carrier {
    /// The parameter, as browsers do
    Query,
    /// The parameter, with another credential in the field
    Both,
    /// The parameter, its name percent-encoded
    Encoded,
    /// The field, as programs do: nothing is left to do
    Field,
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Opens connections to one proxy; cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    carrier: Carrier,
    /// What stays of the query.
    rest: String,
    tls: Option<TlsConnector>,
}

impl Client {
    pub(crate) fn new(target: &Target) -> Self {
        let tls = target.roots.as_ref().map(|file| {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            if !target.resume {
                config.resumption = Resumption::disabled();
            }
            TlsConnector::from(Arc::new(config))
        });
        Self { address: target.address, carrier: target.carrier, rest: REST.to_owned(), tls }
    }

    /// A client whose queries have so many other parameters.
    pub(crate) fn with_others(mut self, count: usize) -> Self {
        self.rest = format!("{REST}{}", others(count));
        self
    }

    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(tls) => Box::new(tls.connect(ServerName::try_from("localhost").unwrap(), stream).await?),
        })
    }

    /// A request's head for this path, with the credential where the carrier wants it.
    pub(crate) fn head(&self, path: &str, fields: &str) -> String {
        let rest = &self.rest;
        let query = match self.carrier {
            Carrier::Query | Carrier::Both => format!("{rest}&session_api_key={CREDENTIAL}"),
            Carrier::Encoded => format!("{rest}&session%5Fapi_key={CREDENTIAL}"),
            Carrier::Field => rest.clone(),
        };
        let field = match self.carrier {
            Carrier::Query | Carrier::Encoded => String::new(),
            Carrier::Both => "X-Session-API-Key: not-this-one\r\n".to_owned(),
            Carrier::Field => format!("X-Session-API-Key: {CREDENTIAL}\r\n"),
        };
        format!("GET {path}{query} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: load\r\n{field}{fields}\r\n")
    }

    /// A WebSocket that is open, or why it is not.
    pub(crate) async fn open(&self, path: &str) -> Result<Socket, String> {
        let mut stream = self.connect().await.map_err(|error| format!("cannot connect: {error}"))?;
        let fields = format!(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {NONCE}\r\n"
        );
        let head = self.head(path, &fields);
        send(&mut stream, head.as_bytes()).await.map_err(|error| format!("sending: {}", error.kind()))?;
        let mut buffer = Vec::with_capacity(1024);
        let size = read_head(&mut stream, &mut buffer).await?;
        let answer = String::from_utf8_lossy(&buffer[..size]);
        if !answer.starts_with("HTTP/1.1 101 ") {
            return Err(answer.lines().next().unwrap_or_default().to_owned());
        }
        if !answer.contains(ACCEPT) {
            return Err("the answer has no valid Sec-WebSocket-Accept".to_owned());
        }
        buffer.drain(..size);
        Ok(Socket { stream, buffer })
    }

    pub(crate) async fn open_all(&self, path: &str, sockets: usize) -> Vec<Socket> {
        let mut all = Vec::new();
        for _ in 0..sockets {
            all.push(self.open(path).await.expect("a socket for the measurement"));
        }
        all
    }
}

/// Writes all of it, and lets go of what TLS holds back until there is room for it.
pub(crate) async fn send(stream: &mut Box<dyn Stream>, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Reads until the head is complete, and returns its length.
pub(crate) async fn read_head(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> Result<usize, String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            return Ok(end + 4);
        }
        match stream.read_buf(buffer).await {
            Ok(0) => return Err("closed before the answer was complete".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("reading the answer: {}", error.kind())),
        }
    }
}

/// A WebSocket after its 101.
pub(crate) struct Socket {
    pub(crate) stream: Box<dyn Stream>,
    /// What was read and not yet looked at.
    pub(crate) buffer: Vec<u8>,
}

impl Socket {
    /// Sends a frame and waits for a message that holds the same payload.
    pub(crate) async fn echo(&mut self, frame: &[u8], payload: &[u8]) -> Result<(), String> {
        send(&mut self.stream, frame).await.map_err(|error| format!("sending: {}", error.kind()))?;
        loop {
            if let Some(header) = frame::Header::parse(&self.buffer)
                && self.buffer.len() >= header.size + header.payload
            {
                if header.is_close() {
                    return Err("closed instead of an answer".to_owned());
                }
                if &self.buffer[header.size..header.size + header.payload] != payload {
                    return Err("another payload came back".to_owned());
                }
                self.buffer.drain(..header.size + header.payload);
                return Ok(());
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err("cut while waiting for a message".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(format!("waiting for a message: {}", error.kind())),
            }
        }
    }
}
