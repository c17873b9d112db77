use std::fs;

use super::*;

/// What serves TLS with a throwaway certificate.
fn acceptor_of_a_start() -> Arc<ServerConfig> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("certificate.pem"),
        private_key_file: folder.path().join("private-key.pem"),
    };
    let made = rcgen::generate_simple_self_signed(["gateway".to_owned()]).unwrap();
    fs::write(&files.certificate, made.cert.pem()).unwrap();
    fs::write(&files.private_key_file, made.signing_key.serialize_pem()).unwrap();
    acceptor(&files).unwrap()
}

#[test]
fn sessions_are_kept_by_clients_and_never_begin_with_data() {
    let config = acceptor_of_a_start();
    assert!(config.ticketer.enabled());
    assert!(!config.session_storage.can_cache());
    assert_eq!(config.max_early_data_size, 0);
    assert!(!config.send_half_rtt_data);
}

#[test]
fn tickets_are_of_use_to_the_configuration_that_issued_them_only() {
    let (one, other) = (acceptor_of_a_start(), acceptor_of_a_start());
    let ticket = one.ticketer.encrypt(b"session").unwrap();
    assert_eq!(one.ticketer.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
    // Its own, so that it knows how long tickets are.
    other.ticketer.encrypt(b"session").unwrap();
    assert_eq!(other.ticketer.decrypt(&ticket), None);
}
