//! The laws of reading an answer, stated once. A law takes bytes and panics when it does not hold;
//! generated tests and the fuzz target `answer` share them.

use bytes::{Bytes, BytesMut};

use super::{Answer, Body, LAST_CHUNK, Malformed, chunk};
use crate::{
    access_log::Outcome,
    handshake::{Accept, head::Head},
};

/// From here on how much has come decides what is too long.
const WHOLE: usize = 1000;

/// An answer as far as it was read: its status, its head, and its body, whole or not.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    status: u16,
    head: Vec<u8>,
    body: Vec<u8>,
    is_complete: bool,
    ends_with_connection: bool,
    goes_on_in_chunks: bool,
    rest: Vec<u8>,
}

/// Reads a stream in pieces of the given lengths, over and over; `None` if its head does not end.
fn read(stream: &[u8], pieces: &[u8]) -> Result<Option<Reading>, Outcome> {
    let mut lengths = pieces.iter().map(|length| usize::from(*length).max(1)).cycle();
    let mut pieces = Vec::new();
    let mut rest = stream;
    while let Some((piece, after)) = lengths.next().and_then(|length| rest.split_at_checked(length)) {
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    let mut pieces = pieces.into_iter();
    let mut bytes = BytesMut::new();
    let mut answer = None;
    while answer.is_none() {
        let Some(piece) = pieces.next() else { return Ok(None) };
        bytes.extend_from_slice(piece);
        answer = Answer::parse(&mut bytes)?;
    }
    let Some(Answer { status, head, mut rest, mut body }) = answer else { return Ok(None) };
    assert_eq!(bytes.len(), 0, "what follows the head is the answer's rest");
    let goes_on_in_chunks = body.goes_on_in_chunks();
    let mut taken = take(&mut body, &mut rest)?;
    for piece in pieces {
        rest.extend_from_slice(piece);
        taken.extend_from_slice(&take(&mut body, &mut rest)?);
    }
    let is_complete = body.is_complete();
    let rest = if is_complete { Vec::new() } else { rest.to_vec() };
    let ends_with_connection = body.ends_with_connection();
    Ok(Some(Reading {
        status,
        head,
        body: taken,
        is_complete,
        ends_with_connection,
        goes_on_in_chunks,
        rest,
    }))
}

fn take(body: &mut Body, bytes: &mut BytesMut) -> Result<Vec<u8>, Outcome> {
    body.take(bytes).map(|taken| taken.to_vec()).map_err(|Malformed| Outcome::UpstreamMalformed)
}

/// What agrees to a handshake.
fn accept() -> Option<Accept> {
    let head = b"GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    Head::parse(head, 100).ok().map(|head| Accept::of(&head))
}

/// A 101 that we have select a subprotocol is read as one that selects it, and nothing else is changed; one that
/// had selected something stays as it was.
fn selecting_is_sound(stream: &[u8]) {
    let parsed = || Answer::parse(&mut BytesMut::from(stream)).ok().flatten();
    let (Some(before), Some(mut after)) = (parsed(), parsed()) else { return };
    let selected =
        |answer: &Answer| -> Vec<_> { answer.values("sec-websocket-protocol").map(<[u8]>::to_vec).collect() };
    after.select(b"chat");
    match selected(&before).as_slice() {
        [] => {
            assert_eq!(selected(&after), [b"chat"]);
            let head = before.head.strip_suffix(b"\r\n").unwrap_or_default();
            let is_agreed = accept().is_none_or(|accept| after.is_agreed(&accept));
            assert!(!is_agreed, "a subprotocol that nobody was told of");
            assert_eq!(after.head, [head, b"Sec-WebSocket-Protocol: chat\r\n\r\n"].concat());
        }
        [..] => assert_eq!(after.head, before.head),
    }
    let again = Answer::parse(&mut BytesMut::from(after.head.as_slice())).ok().flatten();
    assert_eq!(again.map(|answer| answer.status), Some(101), "not a 101 any more");
}

/// The laws of reading, for any bytes that an upstream may send: how they are split changes nothing,
/// and the head for the client is one head that says how its body ends.
///
/// # Panics
/// When one does not hold.
pub(crate) fn reading_is_sound(stream: &[u8], pieces: &[u8]) {
    let stream = stream.get(..WHOLE).unwrap_or(stream);
    let whole = read(stream, &[]);
    for pieces in [&[1][..], pieces] {
        assert_eq!(read(stream, pieces), whole, "an answer in pieces of {pieces:?}");
    }
    let Ok(Some(reading)) = whole else { return };
    if reading.status == 101 {
        selecting_is_sound(stream);
    }

    let mut table = [httparse::EMPTY_HEADER; 256];
    let mut response = httparse::Response::new(&mut table);
    let parsed = response.parse(&reading.head);
    assert_eq!(parsed, Ok(httparse::Status::Complete(reading.head.len())), "the head is one head");
    assert_eq!(response.code, Some(reading.status));
    let values = |name: &str| {
        let lines = response.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(name));
        lines.map(|line| line.value).collect::<Vec<_>>()
    };
    let (connection, upgrade): (&[u8], &[&[u8]]) =
        if reading.status == 101 { (b"Upgrade", &[b"websocket"]) } else { (b"close", &[]) };
    assert_eq!(values("connection"), [connection]);
    assert_eq!(values("upgrade"), upgrade);
    for hop_by_hop in ["keep-alive", "proxy-connection", "te", "trailer"] {
        assert!(values(hop_by_hop).is_empty(), "{hop_by_hop} goes on");
    }
    let has_no_body = matches!(reading.status, 101 | 204 | 304);

    // The client can tell where the body ends in one way, and whether it was broken off.
    let (length, codings) = (values("content-length"), values("transfer-encoding"));
    let chunked: &[&[u8]] = if reading.goes_on_in_chunks { &[b"chunked"] } else { &[] };
    assert_eq!(codings, chunked);
    assert!(length.len() <= 1, "two lengths");
    assert!(length.is_empty() || !reading.goes_on_in_chunks, "two ends of one body");
    assert!(reading.goes_on_in_chunks || !reading.ends_with_connection, "no end to be seen");
    assert!(has_no_body || reading.goes_on_in_chunks || !length.is_empty(), "no end to be seen");
    goes_through_chunks(&reading.body, pieces);
    if let (Some(length), true) = (length.first(), reading.is_complete) {
        let is_whole = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
        assert!(has_no_body || is_whole == Some(reading.body.len()), "a body of another length");
    }
}

/// What is passed on in chunks, piece by piece, is read as the same body.
fn goes_through_chunks(body: &[u8], pieces: &[u8]) {
    let length = usize::from(pieces.first().copied().unwrap_or(7)).max(1);
    // A read may give nothing; that is not the end.
    let pieces = [Bytes::new()].into_iter().chain(body.chunks(length).map(Bytes::copy_from_slice));
    let mut bytes: BytesMut =
        pieces.flat_map(|piece| chunk(&piece)).chain(LAST_CHUNK.iter().copied()).collect();
    let mut read = Body::Chunk(0);
    assert_eq!(take(&mut read, &mut bytes).as_deref(), Ok(body), "the body in chunks");
    assert!(read.is_complete(), "the last chunk");
}

#[cfg(test)]
mod generated {
    use proptest::{collection::vec, prelude::*, sample::select, test_runner::FileFailurePersistence};

    use super::reading_is_sound;

    const PIECES: [&str; 25] = [
        "HTTP/1.1 043 x\r\n",
        "HTTP/1.1 403 \r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: h2c\r\n",
        "HTTP/1.0 200\r\n",
        "Content-Length: 5\r\n",
        "content-length: 5\r\n",
        "Content-Length: 0\r\n",
        "Content-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Connection: close, Server\r\n",
        "Keep-Alive: 5\r\n",
        "Server: u\r\n",
        "\r\n",
        "\r\n",
        "5\r\n",
        "hello",
        "\r\n0\r\n\r\n",
        "5;x=y\r\nhello\r\n",
        "\u{1}",
        "x",
    ];

    fn answer() -> impl Strategy<Value = Vec<u8>> {
        let body = select(&["", "hello", "5\r\nhello\r\n0\r\n\r\n", "A;x\r\n0123456789\r\n0\r\n\r\n"][..]);
        let start = (select(&PIECES[..5]), vec(select(&PIECES[8..17]), 0..4), body)
            .prop_map(|(line, fields, body)| format!("{line}{}\r\n{body}", fields.concat()));
        let loose = vec(select(&PIECES[..]), 0..10).prop_map(|pieces| pieces.concat());
        prop_oneof![3 => start, 1 => loose].prop_map(String::into_bytes)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 1024,
            failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
            ..ProptestConfig::default()
        })]

        #[test]
        fn reading_holds_for_answers(answer in answer(), pieces in vec(0..40_u8, 1..6)) {
            reading_is_sound(&answer, &pieces);
        }

        #[test]
        fn reading_holds_for_damaged_answers(
            mut answer in answer(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
            pieces in vec(0..40_u8, 1..6),
        ) {
            if !answer.is_empty() {
                let at = at.index(answer.len());
                answer[at] = byte;
            }
            reading_is_sound(&answer, &pieces);
        }
    }
}
