//! Records that arrive together or in pieces, whatever the network makes of them.

use std::io::Write;

use rustls::{ClientConnection, HandshakeKind};

use super::{
    forger::{Wire, records},
    *,
};

/// Has a message pass from one end to the other.
async fn pass(message: &[u8], from: &mut (impl AsyncWrite + Unpin), to: &mut (impl AsyncRead + Unpin)) {
    let mut got = vec![0; message.len()];
    let write = async {
        from.write_all(message).await.unwrap();
        from.flush().await.unwrap();
    };
    let ((), read) = tokio::join!(write, to.read_exact(&mut got));
    read.unwrap();
    assert!(got == message);
}

#[test]
fn one_byte_at_a_time_is_enough() {
    let message = pattern(20_000);
    for version in BOTH {
        run(async {
            let (server, client) = configs(version);
            let (near, far) = duplex(1 << 16);
            let (near, far) = (Wire::new(near, 1), Wire::new(far, 1));
            let (server, client) =
                tokio::join!(Stream::accept(server, near), Stream::connect(client, name(), far));
            let (mut server, mut client) = (server.unwrap(), client.unwrap());
            for _ in 0..2 {
                pass(&message, &mut client, &mut server).await;
                pass(&message, &mut server, &mut client).await;
            }
            assert_eq!(server.held() + client.held(), 0);
        });
    }
}

/// All that a client has to say now.
fn said(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Has a client hear what is there by now.
async fn hear(client: &mut ClientConnection, wire: &mut DuplexStream) {
    let mut bytes = vec![0; 64 * 1024];
    let read = wire.read(&mut bytes).await.unwrap();
    let mut unread = &bytes[..read];
    while !unread.is_empty() {
        client.read_tls(&mut unread).unwrap();
        client.process_new_packets().unwrap();
    }
}

#[test]
fn data_in_the_segment_that_ends_the_handshake_is_not_lost() {
    for version in BOTH {
        let (server, client) = configs(version);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            run(async {
                let (near, mut wire) = duplex(1 << 16);
                let mut client = ClientConnection::new(Arc::clone(&client), name()).unwrap();
                let talk = async {
                    while client.is_handshaking() {
                        wire.write_all(&said(&mut client)).await.unwrap();
                        hear(&mut client, &mut wire).await;
                    }
                    client.writer().write_all(b"first").unwrap();
                    let segment = said(&mut client);
                    // Only in a full handshake of TLS 1.2 the server has the last word.
                    let has_last_word = version == &TLS13 || kind == HandshakeKind::Resumed;
                    assert_eq!(records(&segment).len() > 1, has_last_word);
                    wire.write_all(&segment).await.unwrap();
                };
                let (ours, ()) = tokio::join!(Stream::accept(Arc::clone(&server), near), talk);
                let mut ours = ours.unwrap();
                let mut got = [0; 5];
                ours.read_exact(&mut got).await.unwrap();
                assert_eq!(&got, b"first");
                assert_eq!(ours.held(), 0);
                ours.write_all(b"second").await.unwrap();
                // With it come the tickets of TLS 1.3.
                hear(&mut client, &mut wire).await;
                assert_eq!(client.handshake_kind(), Some(kind));
            });
        }
    }
}
