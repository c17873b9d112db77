//! Certificates of a throwaway authority, and both ends of TLS.

use std::{fs, net::SocketAddr, net::TcpStream, path::Path, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::Stream;

/// An authority of a test, and the folder for its files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// The PEM files of one server.
#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: tempfile::tempdir().unwrap() };
        fs::write(authority.roots(), authority.issuer.pem()).unwrap();
        authority
    }

    /// The file with the authority's own certificate.
    pub(crate) fn roots(&self) -> PathBuf {
        self.folder.path().join("roots.pem")
    }

    /// Files for a server of these names; `label` keeps them apart from others.
    pub(crate) fn issue(&self, label: &str, names: &[&str]) -> Files {
        let private_key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certificate =
            CertificateParams::new(names).unwrap().signed_by(&private_key, &self.issuer).unwrap();
        let file = |name: &str| self.folder.path().join(format!("{label}-{name}.pem"));
        let files = Files { certificate: file("certificate"), private_key: file("private-key") };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.private_key, private_key.serialize_pem()).unwrap();
        files
    }

    /// What a server with these files does.
    pub(crate) fn server(files: &Files) -> Arc<ServerConfig> {
        let chain = vec![CertificateDer::from_pem_file(&files.certificate).unwrap()];
        let private_key = PrivateKeyDer::from_pem_file(&files.private_key).unwrap();
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, private_key)
            .unwrap();
        Arc::new(config)
    }
}

/// Connects as a client that trusts `roots` and expects a certificate for 127.0.0.1.
pub(crate) fn connect(address: SocketAddr, roots: &Path) -> Stream {
    connect_as(&trusting(roots), address)
}

/// Connects as a client that may have been here before.
pub(crate) fn connect_as(client: &Arc<ClientConfig>, address: SocketAddr) -> Stream {
    let name = ServerName::IpAddress(address.ip().into());
    let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    Stream::tls_client(connection, stream)
}

/// What a client does that trusts `roots`.
pub(crate) fn trusting(roots: &Path) -> Arc<ClientConfig> {
    speaking(rustls::DEFAULT_VERSIONS, roots)
}

/// What a client does that trusts `roots`, and speaks these versions only.
pub(crate) fn speaking(versions: &[&'static SupportedProtocolVersion], roots: &Path) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_file(roots).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
