//! Peers that break the rules, or stretch them: what they get, and how little it costs.

use std::task::Waker;

use rustls::ContentType;

use super::{
    forger::{Forger, read_once},
    *,
};

/// The kinds of records.
const ALERT: u8 = 21;
const DATA: u8 = 23;

/// The levels of alerts, and some of them.
const WARNING: u8 = 1;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const INTERNAL_ERROR: u8 = 80;
const USER_CANCELED: u8 = 90;

/// Whether nothing can be read or written any more.
async fn assert_over(ours: &mut forger::Facing) {
    for _ in 0..2 {
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
    assert_eq!(ours.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(ours.held(), 0);
}

#[test]
fn some_empty_records_are_harmless_and_a_flood_of_them_ends_in_an_error() {
    for version in BOTH {
        run(async {
            let (mut ours, mut forger) = Forger::connected(version).await;
            let mut records: Vec<u8> = (0..20).flat_map(|_| forger.seal_data(b"")).collect();
            records.extend(forger.seal_data(b"x"));
            forger.say(&records).await;
            let mut got = [0; 8];
            assert_eq!((ours.read(&mut got).await.unwrap(), got[0]), (1, b'x'));
            records = (0..1000).flat_map(|_| forger.seal_data(b"")).collect();
            forger.say(&records).await;
            assert_over(&mut ours).await;
        });
    }
}

#[test]
fn requests_for_other_keys_are_answered_once_and_by_the_next_write() {
    run(async {
        let (mut ours, mut forger) = Forger::connected(&TLS13).await;
        let requests: Vec<u8> = (0..20).flat_map(|_| forger.seal_key_update()).collect();
        forger.say(&requests).await;
        assert!(read_once(&mut ours, 8).is_none());
        assert_eq!(ours.held(), 0);
        assert_eq!(forger.heard(), [], "nothing that the peer had to read while it only writes");
        for (written, record) in [(b"one", 3 + 17), (b"two", 3 + 17)] {
            ours.write_all(written).await.unwrap();
            ours.flush().await.unwrap();
            let answer = if written == b"one" { vec![(DATA, 5 + 17)] } else { vec![] };
            assert_eq!(forger.heard(), [answer, vec![(DATA, record)]].concat());
        }
    });
}

#[test]
fn a_flood_that_holds_nothing_leaves_others_their_turn() {
    run(async {
        let (mut ours, mut forger) = Forger::connected(&TLS13).await;
        let mut flood = Vec::new();
        while flood.len() < 512 * 1024 {
            // Each makes the other look harmless.
            flood.extend(forger.seal_key_update());
            flood.extend(forger.seal_data(b""));
        }
        flood.extend(forger.seal_data(b"x"));
        forger.say(&flood).await;
        let before = ours.transport().read;
        assert!(read_once(&mut ours, 64 * 1024).is_none());
        let taken = ours.transport().read - before;
        assert!(taken <= 80 * 1024, "{taken} bytes of records in one turn");
        let mut got = [0; 8];
        assert_eq!((ours.read(&mut got).await.unwrap(), got[0]), (1, b'x'));
        assert_eq!(ours.held(), 0);
        assert_eq!(forger.heard(), []);
    });
}

#[test]
fn whatever_follows_a_close_notify_is_ignored() {
    for version in BOTH {
        for is_one_segment in [true, false] {
            run(async {
                let (mut ours, mut forger) = Forger::connected(version).await;
                let mut end = forger.seal_data(b"last");
                end.extend(forger.seal_alert(WARNING, CLOSE_NOTIFY));
                let mut late = forger.seal_data(b"late");
                late.extend([0xff; 100]);
                let mut got = Vec::new();
                if is_one_segment {
                    forger.say(&[&end[..], &late].concat()).await;
                    ours.read_to_end(&mut got).await.unwrap();
                } else {
                    forger.say(&end).await;
                    ours.read_to_end(&mut got).await.unwrap();
                    forger.say(&late).await;
                }
                assert_eq!(got, b"last");
                assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0);
                assert_eq!(ours.held(), 0);
                // The other direction goes on.
                ours.write_all(b"answer").await.unwrap();
                ours.shutdown().await.unwrap();
                let kinds: Vec<u8> = forger.heard().into_iter().map(|(kind, _)| kind).collect();
                let close_notify = if version == &TLS12 { ALERT } else { DATA };
                assert_eq!(kinds, [DATA, close_notify]);
            });
        }
    }
}

#[test]
fn a_fatal_alert_ends_both_directions_behind_what_came_before() {
    for version in BOTH {
        run(async {
            let (mut ours, mut forger) = Forger::connected(version).await;
            let mut said = forger.seal_data(b"before");
            said.extend(forger.seal_alert(FATAL, INTERNAL_ERROR));
            said.extend(forger.seal_data(b"behind"));
            forger.say(&said).await;
            let mut got = [0; 64];
            let length = ours.read(&mut got).await.unwrap();
            assert_eq!(&got[..length], b"before");
            assert_over(&mut ours).await;
            assert_eq!(forger.heard(), [], "nobody listens any more");
        });
    }
}

#[test]
fn few_warnings_are_let_pass() {
    for version in BOTH {
        run(async {
            let (mut ours, mut forger) = Forger::connected(version).await;
            for round in 0..5 {
                let mut said = forger.seal_alert(WARNING, USER_CANCELED);
                said.extend(forger.seal_data(b"x"));
                forger.say(&said).await;
                let read = ours.read(&mut [0; 8]).await;
                assert_eq!(read.is_ok(), round < 4, "warning {round}");
            }
            assert_over(&mut ours).await;
        });
    }
}

#[test]
fn an_alert_instead_of_a_handshake_ends_it() {
    run(async {
        let (server, _) = configs(&TLS13);
        let (near, mut far) = duplex(1 << 16);
        far.write_all(&[ALERT, 3, 3, 0, 2, FATAL, INTERNAL_ERROR]).await.unwrap();
        assert_eq!(Stream::accept(server, near).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"");
    });
}

#[test]
fn records_that_are_too_long_or_not_the_peers_are_told_by_an_alert() {
    for version in BOTH {
        for fault in ["header", "content", "seal", "kind"] {
            run(async {
                let (mut ours, mut forger) = Forger::connected(version).await;
                let mut said = match fault {
                    "header" => vec![DATA, 3, 3, 0xff, 0xff],
                    "content" => forger.seal_data(&pattern(16 * 1024 + 1)),
                    "kind" => forger.seal(ContentType::Unknown(99), b"x"),
                    _ => forger.seal_data(b"x"),
                };
                if fault == "seal" {
                    *said.last_mut().unwrap() ^= 1;
                }
                forger.say(&said).await;
                assert_over(&mut ours).await;
                let alert = if version == &TLS12 { (ALERT, 2 + 24) } else { (DATA, 2 + 17) };
                assert_eq!(forger.heard(), [alert], "{fault}");
            });
        }
    }
}

#[test]
fn the_longest_record_that_is_allowed_arrives() {
    for version in BOTH {
        run(async {
            let (mut ours, mut forger) = Forger::connected(version).await;
            let message = pattern(16 * 1024);
            let sealed = forger.seal_data(&message);
            forger.say(&sealed).await;
            let mut got = vec![0; message.len()];
            ours.read_exact(&mut got).await.unwrap();
            assert!(got == message);
        });
    }
}

#[test]
fn nothing_is_said_behind_our_own_close_notify() {
    for version in BOTH {
        run(async {
            let (mut ours, mut forger) = Forger::connected(version).await;
            ours.transport.is_full = true;
            let ending = Pin::new(&mut ours).poll_shutdown(&mut Context::from_waker(Waker::noop()));
            assert!(ending.is_pending());
            let mut said = forger.seal_data(b"x");
            *said.last_mut().unwrap() ^= 1;
            forger.say(&said).await;
            assert_eq!(ours.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
            ours.transport.is_full = false;
            ours.shutdown().await.unwrap();
            assert_eq!(forger.heard().len(), 1, "the close_notify, and no alert behind it");
        });
    }
}
