use std::{io, sync::Arc, time::Duration};

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::*;

mod forger;
mod hostile;
mod pieces;

type Ours = Stream<UnbufferedServerConnection, DuplexStream>;
type Theirs = TlsStream<DuplexStream>;

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// What either side may need for one throwaway authority.
fn configs(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let pair = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["gateway".to_owned()]).unwrap().signed_by(&pair, &issuer).unwrap();
    let private_key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    let server = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private_key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.enable_secret_extraction = true;
    (Arc::new(server), Arc::new(client))
}

fn name() -> ServerName<'static> {
    ServerName::try_from("gateway").unwrap()
}

/// Our server and another's client, with this much room in each direction between them.
async fn pair(version: &'static SupportedProtocolVersion, room: usize) -> (Ours, Theirs) {
    let (server, client) = configs(version);
    // Both sides are waited for, and neither reads yet: the last of the handshake must fit.
    let (near, far) = duplex(room.max(4096));
    let connector = TlsConnector::from(client);
    let (ours, theirs) = tokio::join!(Stream::accept(server, near), connector.connect(name(), far));
    (ours.unwrap(), theirs.unwrap())
}

impl<C: Side, S> Stream<C, S> {
    /// How much room it takes while it waits.
    fn held(&self) -> usize {
        self.session.capacity() + self.backlog.as_ref().map_or(0, |backlog| backlog.capacity())
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

/// Runs for at most half a minute, so that a lost wake-up fails and does not hang.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), work).await.unwrap() })
}

#[test]
fn a_quiet_stream_holds_nothing_and_is_small() {
    assert!(size_of::<Stream<UnbufferedServerConnection, tokio::net::TcpStream>>() <= 64);
    for version in BOTH {
        run(async {
            let (mut ours, mut theirs) = pair(version, 1 << 20).await;
            assert_eq!(ours.held(), 0);
            let mut got = vec![0; 100_000];
            theirs.write_all(&pattern(100_000)).await.unwrap();
            ours.read_exact(&mut got).await.unwrap();
            ours.write_all(&got).await.unwrap();
            ours.flush().await.unwrap();
            theirs.read_exact(&mut got).await.unwrap();
            assert!(got == pattern(100_000));
            assert_eq!(ours.held(), 0);
        });
    }
}

#[test]
fn plaintext_without_room_is_kept_and_then_freed() {
    run(async {
        let (mut ours, mut theirs) = pair(&TLS13, 1 << 20).await;
        theirs.write_all(&pattern(16 * 1024)).await.unwrap();
        let mut got = vec![0; 16 * 1024];
        ours.read_exact(&mut got[..1]).await.unwrap();
        assert!(ours.held() > 0);
        ours.read_exact(&mut got[1..]).await.unwrap();
        assert_eq!(ours.held(), 0);
        assert!(got == pattern(16 * 1024));
    });
}

#[test]
fn the_ends_are_separate() {
    for version in BOTH {
        run(async {
            let (mut ours, mut theirs) = pair(version, 7).await;
            let mut got = Vec::new();
            let (mut from_ours, mut to_ours) = split(&mut theirs);
            // Each end in turn comes first; the other direction goes on.
            let ended = async { (to_ours.write_all(b"up").await, to_ours.shutdown().await) };
            let (ended, read) = tokio::join!(ended, ours.read_to_end(&mut got));
            ended.1.unwrap();
            read.unwrap();
            assert_eq!(got, b"up");
            let write = async {
                ours.write_all(b"still here").await.unwrap();
                ours.shutdown().await.unwrap();
                assert_eq!(ours.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            };
            let mut got = Vec::new();
            let ((), read) = tokio::join!(write, from_ours.read_to_end(&mut got));
            read.unwrap();
            assert_eq!(got, b"still here");
        });
        run(async {
            let (mut ours, mut theirs) = pair(version, 1 << 16).await;
            ours.shutdown().await.unwrap();
            assert_eq!(theirs.read(&mut [0; 8]).await.unwrap(), 0);
            theirs.write_all(b"late").await.unwrap();
            theirs.flush().await.unwrap();
            let mut got = [0; 4];
            ours.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"late");
        });
    }
}

#[test]
fn an_end_without_close_notify_is_an_error_each_time() {
    for version in BOTH {
        run(async {
            let (mut ours, mut theirs) = pair(version, 1 << 16).await;
            theirs.write_all(b"all").await.unwrap();
            theirs.flush().await.unwrap();
            drop(theirs);
            let mut got = [0; 8];
            assert_eq!(ours.read(&mut got).await.unwrap(), 3);
            for _ in 0..2 {
                assert_eq!(ours.read(&mut got).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            }
        });
    }
}

#[test]
fn keys_are_renewed_in_both_directions() {
    run(async {
        let (mut ours, mut theirs) = pair(&TLS13, 1 << 16).await;
        for round in 0..100_u8 {
            theirs.get_mut().1.refresh_traffic_keys().unwrap();
            theirs.write_all(&[round; 3]).await.unwrap();
            theirs.flush().await.unwrap();
            let mut got = [0; 3];
            ours.read_exact(&mut got).await.unwrap();
            assert_eq!(got, [round; 3]);
            ours.write_all(&got).await.unwrap();
            ours.flush().await.unwrap();
            theirs.read_exact(&mut got).await.unwrap();
            assert_eq!(got, [round; 3]);
        }
        // The answer is due before the end as well.
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        theirs.write_all(b"x").await.unwrap();
        theirs.flush().await.unwrap();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 1);
        ours.shutdown().await.unwrap();
        assert_eq!(theirs.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_flood_of_key_updates_ends_in_an_error() {
    run(async {
        let (mut ours, mut theirs) = pair(&TLS13, 1 << 16).await;
        for _ in 0..200 {
            theirs.get_mut().1.refresh_traffic_keys().unwrap();
        }
        theirs.flush().await.unwrap();
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(ours.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        drop(ours);
        assert!(theirs.read(&mut [0; 8]).await.is_err(), "there was no close_notify");
    });
}

#[test]
fn what_is_no_tls_is_told_so_by_an_alert() {
    for hello in [&b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"[..], &[0; 64], &[0x16, 3, 1, 0xff, 0xff]] {
        run(async {
            let (server, _) = configs(&TLS13);
            let (near, mut far) = duplex(1 << 16);
            far.write_all(hello).await.unwrap();
            let error = Stream::accept(server, near).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let mut got = Vec::new();
            far.read_to_end(&mut got).await.unwrap();
            assert_eq!((got.len(), got[0]), (7, 21), "one alert");
        });
    }
}

#[test]
fn a_handshake_in_endless_pieces_is_given_up() {
    run(async {
        let (server, _) = configs(&TLS13);
        let (near, mut far) = duplex(1 << 10);
        // A ClientHello of 60,000 bytes, one byte a record.
        let mut sent = 0_usize;
        let send = async {
            for byte in [1, 0, 0xea, 0x60].into_iter().chain(std::iter::repeat_n(0, 60_000)) {
                if far.write_all(&[0x16, 3, 1, 0, 1, byte]).await.is_err() {
                    break;
                }
                sent += 6;
            }
        };
        let (accepted, ()) = tokio::join!(Stream::accept(server, near), send);
        assert_eq!(accepted.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(sent < 100_000, "{sent}");
    });
}

#[test]
fn a_stopped_reader_bounds_what_is_kept() {
    run(async {
        let (mut ours, mut theirs) = pair(&TLS13, 1 << 10).await;
        let message = pattern(1 << 20);
        let mut sent = 0;
        while let Ok(written) =
            tokio::time::timeout(Duration::from_millis(20), ours.write(&message[sent..])).await
        {
            sent += written.unwrap();
        }
        assert!(sent > 0 && ours.held() < 80 * 1024, "{} held", ours.held());
        // Whoever only reads gets it out.
        let (mut got, mut nothing) = (vec![0; sent], [0; 8]);
        tokio::select! {
            _ = ours.read(&mut nothing) => panic!("there is nothing to read"),
            read = theirs.read_exact(&mut got) => read.unwrap(),
        };
        assert!(got == message[..sent]);
        assert_eq!(ours.held(), 0);
    });
}

#[test]
fn a_reader_and_a_writer_of_different_tasks_do_not_lose_each_other() {
    run(async {
        let (ours, theirs) = pair(&TLS13, 64).await;
        let ((mut read, mut write), (mut their_read, mut their_write)) = (split(ours), split(theirs));
        let message = pattern(300_000);
        let (first, second) = (message.clone(), message.clone());
        let writer = tokio::spawn(async move { write.write_all(&first).await.and(write.flush().await) });
        let their_writer =
            tokio::spawn(async move { their_write.write_all(&second).await.and(their_write.flush().await) });
        let reader = tokio::spawn(async move {
            let mut got = vec![0; 300_000];
            read.read_exact(&mut got).await.map(|_| got)
        });
        let mut got = vec![0; 300_000];
        their_read.read_exact(&mut got).await.unwrap();
        assert!(got == message);
        assert!(reader.await.unwrap().unwrap() == message);
        writer.await.unwrap().unwrap();
        their_writer.await.unwrap().unwrap();
    });
}

#[test]
fn our_client_speaks_with_their_server() {
    for version in BOTH {
        run(async {
            let (server, client) = configs(version);
            let (near, far) = duplex(4096);
            let acceptor = TlsAcceptor::from(server);
            let (ours, theirs) = tokio::join!(Stream::connect(client, name(), near), acceptor.accept(far));
            let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
            let message = pattern(50_000);
            let mut got = vec![0; message.len()];
            let echo = async {
                let mut bytes = vec![0; 50_000];
                theirs.read_exact(&mut bytes).await.unwrap();
                theirs.write_all(&bytes).await.unwrap();
                theirs.shutdown().await.unwrap();
            };
            let ask = async {
                ours.write_all(&message).await.unwrap();
                ours.flush().await.unwrap();
                ours.read_exact(&mut got).await.unwrap();
                assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
            };
            tokio::join!(echo, ask);
            assert!(got == message);
            assert_eq!(ours.held(), 0);
        });
    }
}

#[test]
fn a_server_that_is_not_trusted_is_refused_and_told() {
    run(async {
        let ((server, _), (_, client)) = (configs(&TLS13), configs(&TLS13));
        let (near, far) = duplex(1 << 16);
        let acceptor = TlsAcceptor::from(server);
        let (ours, theirs) = tokio::join!(Stream::connect(client, name(), near), acceptor.accept(far));
        assert_eq!(ours.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(theirs.unwrap_err().to_string().contains("alert"), "not just the end of the transport");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_comes_out_is_what_went_in(
        up in prop::collection::vec(1..40_000_usize, 0..6),
        down in prop::collection::vec(1..40_000_usize, 0..6),
        room in prop_oneof![Just(4096_usize), 4096..20_000_usize, Just(1 << 20)],
        piece in prop_oneof![1..100_usize, 100..70_000_usize],
        is_old in any::<bool>(),
    ) {
        run(async {
            let (ours, theirs) = pair(if is_old { &TLS12 } else { &TLS13 }, room).await;
            let (mut read, mut write) = split(ours);
            let (mut their_read, mut their_write) = split(theirs);
            let sends = |sizes: Vec<usize>| sizes.into_iter().map(pattern);
            let (all_up, all_down): (Vec<_>, Vec<_>) =
                (sends(up.clone()).flatten().collect(), sends(down.clone()).flatten().collect());
            let write_down = async {
                for bytes in sends(down) {
                    write.write_all(&bytes).await.unwrap();
                    write.flush().await.unwrap();
                }
                write.shutdown().await.unwrap();
            };
            let write_up = async {
                for bytes in sends(up) {
                    their_write.write_all(&bytes).await.unwrap();
                    their_write.flush().await.unwrap();
                }
                their_write.shutdown().await.unwrap();
            };
            let read_up = async {
                let (mut got, mut chunk) = (Vec::new(), vec![0; piece]);
                loop {
                    match read.read(&mut chunk).await.unwrap() {
                        0 => return got,
                        length => got.extend_from_slice(&chunk[..length]),
                    }
                }
            };
            let mut got_down = Vec::new();
            let ((), (), got_up, read) =
                tokio::join!(write_down, write_up, read_up, their_read.read_to_end(&mut got_down));
            read.unwrap();
            assert!(got_up == all_up && got_down == all_down);
        });
    }
}
