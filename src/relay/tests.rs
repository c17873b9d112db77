use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use super::{Departures, Ending, First, Goodbye, Limits, Relay, Revoked, Stream, Summary};
use crate::{access_log::Side, phase::Phase};

/// A relay between two pipes, seen from their far ends.
struct Bench {
    client: DuplexStream,
    upstream: DuplexStream,
    phase: watch::Sender<Phase>,
    departures: Departures,
    relay: JoinHandle<Summary>,
}

fn bench(lead: &[u8], limits: Limits) -> Bench {
    bench_from(First { lead: Bytes::copy_from_slice(lead), ..First::default() }, limits)
}

fn bench_from(first: First, limits: Limits) -> Bench {
    let (client, downstream) = duplex(1024);
    let (upstream, near_upstream) = duplex(1024);
    let (relay, departures, phase) = start(downstream, near_upstream, first, limits);
    Bench { client, upstream, phase, departures, relay }
}

/// Relays on this thread, until told otherwise.
pub(super) fn start(
    downstream: impl Stream + 'static,
    upstream: impl Stream + 'static,
    first: First,
    limits: Limits,
) -> (JoinHandle<Summary>, Departures, watch::Sender<Phase>) {
    start_for(downstream, upstream, first, limits, None)
}

/// The same for a caller who is let in until it is `revoked`.
fn start_for(
    downstream: impl Stream + 'static,
    upstream: impl Stream + 'static,
    first: First,
    limits: Limits,
    revoked: Option<Revoked>,
) -> (JoinHandle<Summary>, Departures, watch::Sender<Phase>) {
    let (phase, watched) = watch::channel(Phase::Serving);
    let departures = Departures::default();
    let goodbye = Goodbye { departures: departures.clone(), phase: watched, close_code: 1012 };
    let mut relay = Relay::new(downstream, upstream, first, limits);
    (tokio::spawn(async move { relay.run(&goodbye, revoked).await }), departures, phase)
}

pub(super) async fn expect(from: &mut impl Stream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    timeout(Duration::from_secs(10), from.read_exact(&mut read)).await.unwrap().unwrap();
    if let Some(at) = (0..bytes.len()).find(|at| read[*at] != bytes[*at]) {
        // Some of them: there may be a hundred thousand.
        let some = at..bytes.len().min(at + 16);
        assert_eq!(read[some.clone()], bytes[some], "from byte {at} on");
    }
}

/// Two ends of a connection over loopback.
pub(super) async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (far, listener.accept().await.unwrap().0)
}

pub(super) async fn expect_end(from: &mut impl Stream) {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(5), from.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"");
}

pub(super) const TO_CLIENT: [u8; 4] = [0x88, 2, 0x03, 0xf4];
pub(super) const TO_UPSTREAM: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf4];

#[tokio::test]
async fn bytes_and_ends_pass_unchanged() {
    let mut bench = bench(b"lead", Limits::default());
    expect(&mut bench.client, b"lead").await;
    bench.client.write_all(b"not framing").await.unwrap();
    expect(&mut bench.upstream, b"not framing").await;
    bench.client.shutdown().await.unwrap();
    expect_end(&mut bench.upstream).await;
    bench.upstream.write_all(b"late").await.unwrap();
    expect(&mut bench.client, b"late").await;
    drop(bench.upstream);
    expect_end(&mut bench.client).await;
    let summary = bench.relay.await.unwrap();
    assert_eq!((summary.received, summary.sent), (11, 8));
    assert_eq!((summary.closing.by, summary.closing.code), (Some(Side::Client), None));
}

#[tokio::test]
async fn a_close_frame_in_pieces_has_its_code() {
    for at in 1..4 {
        let frame: [u8; 4] = [0x88, 2, 0x0f, 0xa1];
        let (start, end) = frame.split_at(at);
        let mut bench = bench(start, Limits::default());
        expect(&mut bench.client, start).await;
        bench.upstream.write_all(end).await.unwrap();
        expect(&mut bench.client, end).await;
        drop((bench.client, bench.upstream));
        let summary = bench.relay.await.unwrap();
        assert_eq!((summary.closing.by, summary.closing.code), (Some(Side::Upstream), Some(4001)), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_socket_is_cut() {
    let mut bench = bench(b"", Limits { idle: Some(Duration::from_secs(60)), ..Limits::default() });
    tokio::time::sleep(Duration::from_secs(40)).await;
    bench.client.write_all(&[0x81, 0]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(!bench.relay.is_finished());
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(bench.relay.await.unwrap().ending, Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_socket_with_one_side_left_is_cut_when_that_is_silent() {
    let limits = Limits { half_closed: Some(Duration::from_secs(60)), ..Limits::default() };
    for has_another_limit in [false, true] {
        let idle = has_another_limit.then_some(Duration::from_secs(600));
        let mut bench = bench(b"", Limits { idle, ..limits });
        tokio::time::sleep(Duration::from_secs(500)).await;
        bench.client.shutdown().await.unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        bench.upstream.write_all(&[0x81, 0]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        assert!(!bench.relay.is_finished());
        expect(&mut bench.client, &[0x81, 0]).await;
        tokio::time::sleep(Duration::from_secs(21)).await;
        // Whoever still reads is told.
        expect(&mut bench.client, &TO_CLIENT).await;
        expect_end(&mut bench.upstream).await;
        let summary = bench.relay.await.unwrap();
        assert_eq!((summary.ending, summary.closing.by), (Ending::Cut, Some(Side::Gateway)));
    }
}

/// The upstream says something that the client does not take at once, and is reset, since it has not read
/// everything. Meanwhile the client goes on, and `is_stuck` until then, or not.
async fn last_words(is_stuck: bool) -> Summary {
    let (mut client, downstream) = tcp().await;
    let (mut far, upstream) = tcp().await;
    SockRef::from(&downstream).set_send_buffer_size(16 * 1024).unwrap();
    SockRef::from(&client).set_recv_buffer_size(16 * 1024).unwrap();
    let (relay, ..) = start(downstream, upstream, First::default(), Limits::default());
    let empty = [0x82, 0x80, 0, 0, 0, 0].repeat(100);
    client.write_all(&empty).await.unwrap();
    if is_stuck {
        while timeout(Duration::from_millis(300), client.write_all(&empty)).await.is_ok() {}
    }
    let words: Vec<u8> = (0..30).flat_map(|_| [&[0x82, 126, 0x0f, 0xa0][..], &[7; 4000]].concat()).collect();
    far.write_all(&words).await.unwrap();
    far.write_all(&TO_CLIENT).await.unwrap();
    // What has not left by then is lost with the socket.
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(far);
    for _ in 0..20 {
        let _ = timeout(Duration::from_millis(10), client.write_all(&empty)).await;
    }
    assert!(!relay.is_finished());
    expect(&mut client, &words).await;
    expect(&mut client, &TO_CLIENT).await;
    expect_end(&mut client).await;
    drop(client);
    timeout(Duration::from_secs(5), relay).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_last_words_of_an_upstream_that_failed_arrive() {
    for is_stuck in [false, true] {
        let summary = last_words(is_stuck).await;
        assert_eq!((summary.closing.by, summary.closing.code), (Some(Side::Upstream), Some(1012)));
        assert_eq!((summary.closing.messages_sent, summary.ending), (30, Ending::ByItself));
    }
}

#[tokio::test]
async fn a_client_that_stays_behind_a_failed_upstream_is_left() {
    let (mut client, downstream) = tcp().await;
    let (far, upstream) = tcp().await;
    let (relay, departures, _phase) = start(downstream, upstream, First::default(), Limits::default());
    SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
    drop(far);
    expect_end(&mut client).await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    departures.begin(1, Duration::from_secs(1));
    while !relay.is_finished() && began.elapsed() < Duration::from_secs(60) {
        let _ = client.write_all(&[0x82, 0x80, 0, 0, 0, 0]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let took = began.elapsed();
    drop(client);
    let summary = relay.await.unwrap();
    assert_eq!((summary.closing.by, summary.ending), (Some(Side::Upstream), Ending::ByItself));
    // Nor does a drain that begins meanwhile wait for it any longer.
    assert!((5..13).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn a_goodbye_waits_for_both_replies() {
    let mut bench = bench(b"", Limits::default());
    bench.departures.begin(1, Duration::ZERO);
    expect(&mut bench.client, &TO_CLIENT).await;
    expect(&mut bench.upstream, &TO_UPSTREAM).await;
    bench.client.write_all(&[0x81, 0x80, 0, 0, 0, 0]).await.unwrap();
    bench.client.write_all(&TO_UPSTREAM).await.unwrap();
    expect_end(&mut bench.upstream).await;
    assert!(!bench.relay.is_finished());
    bench.upstream.write_all(&TO_CLIENT).await.unwrap();
    expect_end(&mut bench.client).await;
    let summary = bench.relay.await.unwrap();
    assert_eq!((summary.closing.by, summary.closing.code), (Some(Side::Gateway), Some(1012)));
    assert_eq!(summary.ending, Ending::Cut);
}

#[tokio::test]
async fn a_goodbye_stands_between_two_frames() {
    let mut bench = bench(&[0x82, 5, 1, 2], Limits::default());
    expect(&mut bench.client, &[0x82, 5, 1, 2]).await;
    bench.departures.begin(1, Duration::ZERO);
    expect(&mut bench.upstream, &TO_UPSTREAM).await;
    bench.upstream.write_all(&[3, 4, 5, 0x81, 1, 9]).await.unwrap();
    expect(&mut bench.client, &[3, 4, 5]).await;
    expect(&mut bench.client, &TO_CLIENT).await;
    bench.upstream.write_all(&TO_CLIENT).await.unwrap();
    expect_end(&mut bench.client).await;
}

#[tokio::test]
async fn a_closing_handshake_on_its_way_is_left_alone() {
    let mut bench = bench(&[0x88, 2, 0x03, 0xe8], Limits::default());
    expect(&mut bench.client, &[0x88, 2, 0x03, 0xe8]).await;
    bench.departures.begin(1, Duration::ZERO);
    expect(&mut bench.upstream, &TO_UPSTREAM).await;
    drop(bench.upstream);
    expect_end(&mut bench.client).await;
    drop(bench.client);
    let summary = bench.relay.await.unwrap();
    assert_eq!((summary.closing.by, summary.closing.code), (Some(Side::Upstream), Some(1000)));
}

#[tokio::test]
async fn at_the_cut_it_is_over() {
    let mut bench = bench(b"", Limits::default());
    bench.departures.begin(1, Duration::ZERO);
    expect(&mut bench.client, &TO_CLIENT).await;
    bench.phase.send_replace(Phase::Cut);
    assert_eq!(bench.relay.await.unwrap().ending, Ending::Cut);
}

#[tokio::test(start_paused = true)]
async fn a_socket_whose_lifetime_is_over_says_goodbye() {
    let mut bench = bench(b"", Limits { lifetime: Some(Duration::from_secs(60)), ..Limits::default() });
    tokio::time::sleep(Duration::from_secs(60)).await;
    expect(&mut bench.client, &TO_CLIENT).await;
    expect(&mut bench.upstream, &TO_UPSTREAM).await;
    bench.upstream.write_all(&TO_CLIENT).await.unwrap();
    expect_end(&mut bench.client).await;
    // The client never answers, and is cut.
    let summary = bench.relay.await.unwrap();
    assert_eq!((summary.closing.by, summary.ending), (Some(Side::Gateway), Ending::Cut));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_is_taken_out_behind_a_limit_sends_no_more() {
    let (mut client, downstream) = duplex(1024);
    let (mut far, upstream) = duplex(1024);
    let limits = Limits { lifetime: Some(Duration::from_secs(60)), ..Limits::default() };
    let revoked: Revoked = Box::pin(tokio::time::sleep(Duration::from_secs(62)));
    let began = tokio::time::Instant::now();
    let (relay, ..) = start_for(downstream, upstream, First::default(), limits, Some(revoked));
    // A frame that is not over, so that our Close frame has to wait.
    let begun = [0x82, 0x85, 0, 0, 0, 0, 1];
    client.write_all(&begun).await.unwrap();
    expect(&mut far, &begun).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    expect(&mut client, &TO_CLIENT).await;
    assert_eq!(relay.await.unwrap().ending, Ending::Revoked);
    assert!(began.elapsed() < Duration::from_secs(63), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn sockets_leave_one_after_the_other() {
    let mut bench = bench(b"", Limits::default());
    bench.departures.begin(2, Duration::from_millis(20));
    let _first = bench.departures.next();
    let began = tokio::time::Instant::now();
    expect(&mut bench.client, &TO_CLIENT).await;
    assert_eq!(began.elapsed(), Duration::from_millis(10));
}

#[tokio::test]
async fn what_is_not_framing_is_relayed_and_said_so() {
    let mut bench = bench(&[0x81, 1, b'a', 0x83, 0], Limits::default());
    expect(&mut bench.client, &[0x81, 1, b'a', 0x83, 0]).await;
    bench.client.write_all(&[0x82, 0x80, 0, 0, 0, 0]).await.unwrap();
    expect(&mut bench.upstream, &[0x82, 0x80, 0, 0, 0, 0]).await;
    drop((bench.client, bench.upstream));
    let summary = bench.relay.await.unwrap();
    assert!(!summary.closing.is_valid);
    assert_eq!((summary.closing.messages_received, summary.closing.messages_sent), (1, 1));
}

#[tokio::test]
async fn two_ends_at_once_are_somebodys() {
    let bench = bench(b"", Limits::default());
    drop((bench.client, bench.upstream));
    assert_eq!(bench.relay.await.unwrap().closing.by, Some(Side::Client));
}

#[tokio::test]
async fn a_redundant_authentication_message_goes_no_further() {
    let first =
        |early: &[u8]| First { early: Bytes::copy_from_slice(early), may_repeat: true, ..First::default() };
    let message = br#"{"type":"auth","session_api_key":"k"}"#;
    let mut redundant = vec![0x81, 0x80 | 37, 0, 0, 0, 0];
    redundant.extend_from_slice(message);
    let (begin, end) = redundant.split_at(20);
    let mut bench = bench_from(first(begin), Limits::default());
    bench.client.write_all(end).await.unwrap();
    bench.client.write_all(&[0x82, 0x80, 0, 0, 0, 0]).await.unwrap();
    expect(&mut bench.upstream, &[0x82, 0x80, 0, 0, 0, 0]).await;
    drop((bench.client, bench.upstream));
    let summary = bench.relay.await.unwrap();
    assert_eq!((summary.closing.messages_received, summary.received), (1, 49));
    // A goodbye does not wait for the rest of what is held back, and the client's reply is found behind it.
    let mut bench = bench_from(first(begin), Limits::default());
    bench.departures.begin(1, Duration::ZERO);
    expect(&mut bench.upstream, &TO_UPSTREAM).await;
    expect(&mut bench.client, &TO_CLIENT).await;
    bench.client.write_all(end).await.unwrap();
    bench.client.write_all(&TO_UPSTREAM).await.unwrap();
    expect_end(&mut bench.upstream).await;
}
