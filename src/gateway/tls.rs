//! What serves TLS, and what it is verified against: certificates, private keys and roots, read from
//! the files that the configuration names.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring::Ticketer,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::NoServerSessionStorage,
};
use thiserror::Error;

use crate::config::TlsFiles;

mod stream;
#[cfg(test)]
mod tests;

pub use self::stream::Stream;

/// A file that is missing, unreadable, or not what it should be.
#[derive(Debug, Error)]
#[error("{option}: {path}: {problem}")]
pub struct FileProblem {
    /// The configuration key that names it.
    pub option: &'static str,
    /// The configured path.
    pub path: PathBuf,
    /// What is wrong, and what to do. It holds nothing of the file.
    pub problem: String,
}

/// What serves TLS from a certificate chain and its private key, with ALPN `http/1.1`.
///
/// # Errors
/// Names the file that is missing, unreadable, or does not fit the other.
pub fn acceptor(files: &TlsFiles) -> Result<Arc<ServerConfig>, FileProblem> {
    let chain = certificates("listen.tls.certificate", &files.certificate)?;
    let file = &files.private_key_file;
    let at_fault = |problem: &str| problem_with("listen.tls.private_key_file", file, problem);
    let private_key =
        PrivateKeyDer::from_pem_file(file).map_err(|error| at_fault(&describe(&error, "private key")))?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                at_fault("it is not the private key of the first certificate in listen.tls.certificate")
            } else {
                at_fault("the certificate or the private key is not of a kind that TLS can use")
            }
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    resume_by_tickets(&mut config);
    Ok(Arc::new(config))
}

/// Lets clients come back without a full handshake.
///
/// A session is sealed into the client's ticket, and nothing of it stays here, so that it can be
/// resumed however many clients come in between. What seals tickets is renewed every six hours, and
/// with each configuration: no session outlives a certificate that was replaced.
fn resume_by_tickets(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // It fails where the system has no randomness, as every handshake does then.
    if let Ok(ticketer) = Ticketer::new() {
        config.ticketer = ticketer;
    }
    // A ticket of TLS 1.3 is for one connection, which brings the next.
    config.send_tls13_tickets = 1;
    // Anybody could send it again, as another request.
    config.max_early_data_size = 0;
}

/// The roots to verify an `https` upstream against: those in the file, else the system's.
///
/// # Errors
/// Names the file; or says that the system has no roots.
pub fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, FileProblem> {
    let mut roots = RootCertStore::empty();
    let (option, path, found) = match ca_file {
        Some(path) => ("upstream.ca_file", path, certificates("upstream.ca_file", path)?),
        None => {
            ("upstream.url", Path::new("the system's roots"), rustls_native_certs::load_native_certs().certs)
        }
    };
    // Plain requests go through Pingora, which takes all of them or panics.
    match roots.add_parsable_certificates(found) {
        (1.., 0) => Ok(roots),
        (0, 0) => {
            Err(problem_with(option, path, "no certificate authority; name a file with upstream.ca_file"))
        }
        (_, _) => Err(problem_with(
            option,
            path,
            "one of the certificate authorities is not usable; name a file without it with upstream.ca_file",
        )),
    }
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, FileProblem> {
    let failed = |error: pem::Error| problem_with(option, path, &describe(&error, "certificate"));
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    if chain.is_empty() {
        return Err(problem_with(option, path, "it holds no certificate in PEM form"));
    }
    Ok(chain)
}

fn problem_with(option: &'static str, path: &Path, problem: &str) -> FileProblem {
    FileProblem { option, path: path.to_owned(), problem: problem.to_owned() }
}

/// Says what is wrong with a PEM file, without a byte of it.
fn describe(error: &pem::Error, what: &str) -> String {
    if let pem::Error::Io(error) = error {
        format!("cannot read it: {}", error.kind())
    } else {
        format!("it holds no {what} in PEM form")
    }
}
