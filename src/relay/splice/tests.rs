use std::future::poll_fn;

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::watch,
    task::JoinHandle,
    time::{Duration, timeout},
};

use super::{Failed, Moved, Pipe, Socket, Stream};
use crate::{
    access_log::Side,
    phase::Phase,
    relay::{
        Departures, Ending, First, Limits, SHARED, Summary,
        tests::{TO_CLIENT, TO_UPSTREAM, expect, expect_end, start, tcp},
    },
};

/// Relays on this thread.
fn relay(
    client: impl Stream + 'static,
    upstream: impl Stream + 'static,
) -> (JoinHandle<Summary>, Departures, watch::Sender<Phase>) {
    start(client, upstream, First::default(), Limits::default())
}

/// A frame that no client sends, of so many bytes that differ from each other.
fn frame(length: u32, seed: u8) -> Vec<u8> {
    let header = [&[0x82, 127][..], &u64::from(length).to_be_bytes()].concat();
    header.into_iter().chain((0..length).map(|at| u8::try_from(at % 251).unwrap() ^ seed)).collect()
}

fn has_pipe() -> bool {
    SHARED.with_borrow(|shared| shared.pipe.ends.is_some())
}

#[tokio::test]
async fn long_frames_pass_inside_the_kernel() {
    let (mut client, downstream) = tcp().await;
    let (mut far, upstream) = UnixStream::pair().unwrap();
    let (relay, ..) = relay(downstream, upstream);
    let frames =
        [frame(40_000, 1), frame(300_000, 2), frame(10, 3), frame(32_768, 4), frame(99_999, 5)].concat();
    let write = async { far.write_all(&frames).await.unwrap() };
    tokio::join!(write, expect(&mut client, &frames));
    assert!(has_pipe());
    // The other way, and byte by byte where headers are.
    let (start, rest) = frames.split_at(40_000 + 10);
    client.write_all(start).await.unwrap();
    expect(&mut far, start).await;
    let (header, rest) = rest.split_at(10);
    for byte in header {
        client.write_all(&[*byte]).await.unwrap();
        expect(&mut far, &[*byte]).await;
    }
    let write = async { client.write_all(rest).await.unwrap() };
    tokio::join!(write, expect(&mut far, rest));
    drop((client, far));
    let summary = relay.await.unwrap();
    assert_eq!((summary.closing.messages_received, summary.closing.messages_sent), (5, 5));
    assert!(summary.closing.is_valid);
    let length = u64::try_from(frames.len()).unwrap();
    assert_eq!((summary.received, summary.sent), (length, length));
}

#[tokio::test]
async fn what_a_receiver_does_not_take_is_kept_and_follows() {
    let (mut client, downstream) = tcp().await;
    let (mut far, upstream) = tcp().await;
    SockRef::from(&downstream).set_send_buffer_size(128 * 1024).unwrap();
    SockRef::from(&client).set_recv_buffer_size(128 * 1024).unwrap();
    let (relay, ..) = relay(downstream, upstream);
    let frames: Vec<u8> = (0..20).flat_map(|seed| frame(150_000, seed)).collect();
    let write = async {
        far.write_all(&frames).await.unwrap();
        far.shutdown().await.unwrap();
    };
    let read = async {
        for piece in frames.chunks(50_000) {
            tokio::task::yield_now().await;
            expect(&mut client, piece).await;
        }
    };
    tokio::join!(write, read);
    assert!(has_pipe());
    drop(client);
    assert_eq!(relay.await.unwrap().closing.messages_sent, 20);
}

#[tokio::test]
async fn nothing_of_a_broken_socket_reaches_the_next() {
    let mut pipe = Pipe::default();
    let (mut far, from) = tcp().await;
    let (_client, to) = tcp().await;
    far.write_all(b"for nobody else").await.unwrap();
    // What cannot be written any more is in the pipe by then.
    SockRef::from(&to).shutdown(std::net::Shutdown::Write).unwrap();
    let moved = poll_fn(|cx| pipe.poll_move(cx, Socket::Tcp(&from), Socket::Tcp(&to), 100)).await;
    assert!(matches!(moved, Err(Failed::Receiver)));

    let (mut far, from) = tcp().await;
    let (mut client, to) = tcp().await;
    far.write_all(b"mine").await.unwrap();
    let moved = poll_fn(|cx| pipe.poll_move(cx, Socket::Tcp(&from), Socket::Tcp(&to), 100)).await;
    assert!(matches!(moved, Ok(Moved::Bytes(4, kept)) if kept.is_empty()));
    expect(&mut client, b"mine").await;
}

#[tokio::test]
async fn a_goodbye_stands_between_two_long_frames() {
    let (mut client, downstream) = tcp().await;
    let (mut far, upstream) = tcp().await;
    let (relay, departures, _phase) = relay(downstream, upstream);
    let (first, second) = (frame(100_000, 1), frame(100_000, 2));
    far.write_all(&first).await.unwrap();
    expect(&mut client, &first).await;
    let (start, rest) = second.split_at(60_000);
    far.write_all(start).await.unwrap();
    expect(&mut client, start).await;
    departures.begin(1, Duration::ZERO);
    expect(&mut far, &TO_UPSTREAM).await;
    far.write_all(&[rest, &first, &TO_CLIENT].concat()).await.unwrap();
    expect(&mut client, &[rest, &TO_CLIENT].concat()).await;
    client.write_all(&TO_UPSTREAM).await.unwrap();
    let mut nothing = Vec::new();
    client.read_to_end(&mut nothing).await.unwrap();
    assert!(nothing.is_empty());
    assert_eq!(relay.await.unwrap().ending, Ending::Cut);
}

#[tokio::test]
async fn where_the_system_refuses_frames_are_read() {
    SHARED.with_borrow_mut(|shared| shared.pipe.is_refused = true);
    let (mut client, downstream) = tcp().await;
    let (mut far, upstream) = tcp().await;
    let _relay = relay(downstream, upstream);
    let frames = [frame(50_000, 1), frame(100_000, 2), frame(100_000, 3)].concat();
    let write = async { far.write_all(&frames).await.unwrap() };
    tokio::join!(write, expect(&mut client, &frames));
    assert!(!has_pipe());
}

#[tokio::test]
async fn a_sender_that_resets_inside_a_long_frame_ends_both() {
    let (mut client, downstream) = tcp().await;
    let (mut far, upstream) = tcp().await;
    let (relay, ..) = relay(downstream, upstream);
    let mut start = frame(100_000, 1);
    start.truncate(70_000);
    far.write_all(&start).await.unwrap();
    expect(&mut client, &start).await;
    SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
    drop(far);
    expect_end(&mut client).await;
    drop(client);
    let summary = timeout(Duration::from_secs(10), relay).await.unwrap().unwrap();
    assert_eq!((summary.closing.by, summary.sent), (Some(Side::Upstream), 70_000));
}
