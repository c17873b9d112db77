//! The agent server: where it is, and how to connect to it.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use pingora::{
    prelude::fast_timeout,
    server::configuration::ServerConf,
    upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::{TcpStream, UnixStream};

use super::{
    Unusable,
    connection::{watch_for_lost_peer, watch_for_vanished_peer},
    resolver::Resolver,
    tls,
};
use crate::{
    config::{Authority, Config, Endpoint},
    relay::Stream,
};

/// uvicorn closes a connection that was idle for 5 s; ours must be gone before.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// The most connections that wait for another plain request.
const POOL: usize = 128;

/// How Pingora proxies plain requests, for each of so many workers.
pub(super) fn pingora(config: &Config, workers: usize) -> ServerConf {
    // Pingora's own timers are never taken back, so each that a request sets would be kept for the
    // quarter of an hour that an answer may take, and a thread looks for what is due a hundred times a
    // second. The runtime's cost less.
    fast_timeout::set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
    let roots = match (&config.upstream.endpoint, &config.upstream.ca_file) {
        (Endpoint::Tls(_), roots) => roots.as_ref().map(|path| path.display().to_string()),
        // Without a file Pingora reads the system's roots, and panics where there are none.
        (Endpoint::Tcp(_) | Endpoint::Unix(_), _) => Some("/dev/null".to_owned()),
    };
    ServerConf {
        // The first try, and one more where a pooled connection had just been closed and the
        // request may be repeated safely.
        max_retries: 2,
        ca_file: roots,
        upstream_keepalive_pool_size: POOL.div_ceil(workers.max(1)),
        ..ServerConf::default()
    }
}

/// The agent server of one snapshot.
pub(super) struct Upstream {
    endpoint: Endpoint,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    resolver: Option<Resolver>,
    connect_timeout: Duration,
    response_timeout: Duration,
    vanished_timeout: Option<Duration>,
}

impl Upstream {
    pub(super) fn new(config: &Config) -> Result<Self, Unusable> {
        let tls = match &config.upstream.endpoint {
            Endpoint::Tls(authority) => {
                let roots = tls::roots(config.upstream.ca_file.as_deref())?;
                let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
                let name =
                    ServerName::try_from(authority.host.clone()).map_err(|_| Unusable::UpstreamName)?;
                Some((Arc::new(client), name))
            }
            Endpoint::Tcp(_) | Endpoint::Unix(_) => None,
        };
        Ok(Self {
            endpoint: config.upstream.endpoint.clone(),
            tls,
            resolver: match &config.upstream.endpoint {
                Endpoint::Tcp(authority) | Endpoint::Tls(authority) => {
                    Some(Resolver::new(authority.clone(), config.limits.connect_timeout))
                }
                Endpoint::Unix(_) => None,
            },
            connect_timeout: config.limits.connect_timeout,
            response_timeout: config.limits.response_timeout,
            vanished_timeout: config.limits.vanished_timeout,
        })
    }

    /// The peer for Pingora's pool.
    pub(super) async fn peer(&self) -> io::Result<HttpPeer> {
        let mut peer = match (&self.endpoint, &self.resolver) {
            (Endpoint::Tls(authority), Some(resolver)) => {
                HttpPeer::new(resolver.address().await?, true, authority.host.clone())
            }
            (_, Some(resolver)) => HttpPeer::new(resolver.address().await?, false, String::new()),
            (Endpoint::Unix(path), None) => HttpPeer::new_uds(&path.to_string_lossy(), false, String::new())
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
            (Endpoint::Tcp(_) | Endpoint::Tls(_), None) => return Err(io::ErrorKind::NotFound.into()),
        };
        peer.options.connection_timeout = Some(self.connect_timeout);
        peer.options.total_connection_timeout = Some(self.connect_timeout);
        peer.options.read_timeout = Some(self.response_timeout);
        peer.options.idle_timeout = Some(POOL_IDLE);
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
        Ok(peer)
    }

    /// A fresh connection for an opening handshake, TLS included.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let connecting = async {
            let stream = match (&self.endpoint, &self.resolver) {
                (Endpoint::Unix(path), _) => return unix(path.clone()).await,
                (_, Some(resolver)) => tcp(resolver).await?,
                (_, None) => return Err(io::ErrorKind::NotFound.into()),
            };
            stream.set_nodelay(true)?;
            watch_for_vanished_peer(&stream);
            watch_for_lost_peer(&stream, self.vanished_timeout);
            Ok(match &self.tls {
                Some((config, name)) => {
                    Box::new(tls::Stream::connect(Arc::clone(config), name.clone(), stream).await?)
                }
                None => Box::new(stream),
            })
        };
        tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// What the agent server is called by a request that names no host.
    pub(super) fn host(&self) -> String {
        match &self.endpoint {
            Endpoint::Unix(_) => "localhost".to_owned(),
            Endpoint::Tcp(Authority { host, port }) | Endpoint::Tls(Authority { host, port }) => {
                // Only an IPv6 address has colons, and in a URL it has brackets too.
                if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
            }
        }
    }

    /// Notes that an address could not be connected to. Returns whether there is another one.
    pub(super) fn failed(&self, address: SocketAddr) -> bool {
        self.resolver.as_ref().is_some_and(|resolver| resolver.failed(address))
    }
}

/// Connects to the first address that lets us.
async fn tcp(resolver: &Resolver) -> io::Result<TcpStream> {
    let mut tries = 0;
    loop {
        let address = resolver.address().await?;
        tries += 1;
        match TcpStream::connect(address).await {
            Err(_) if resolver.failed(address) && tries < resolver.count() => {}
            connected => return connected,
        }
    }
}

async fn unix(path: PathBuf) -> io::Result<Box<dyn Stream>> {
    Ok(Box::new(UnixStream::connect(path).await?))
}
