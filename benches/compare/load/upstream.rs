//! The server behind every proxy: it answers at once, and only to what the job should have made of
//! a request.
//!
//! A handshake gets its 101 if the credential field is there exactly once with the right value and
//! the query is clean, else 403. `/echo` sends every message back, `/sink` counts what it gets, and
//! `/source/SIZE/TOGETHER` sends frames of that size, so many in each write. The last two begin with the text `go` and answer the
//! text `end` with the number of payload bytes. `/others/COUNT` is an echo as well; its query must
//! still have so many other parameters.

use std::{io, sync::LazyLock};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{CREDENTIAL, REST, frame, others, results};

const BODY: &[u8] = &[b'x'; 128];

/// As many other parameters as a query may have here, and where those of each number end.
static OTHERS: LazyLock<(String, Vec<usize>)> = LazyLock::new(|| {
    let lengths = (0..=1000).map(|count| others(count).len());
    (others(1000), lengths.collect())
});

pub(crate) async fn serve(ports: &[u16]) {
    let mut listeners = JoinSet::new();
    for port in ports {
        // A port for each proxy, so that none runs out of ports to connect from because of another.
        let listener = TcpListener::bind(("127.0.0.1", *port)).await.unwrap();
        listeners.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(async move {
                    // A peer that goes away is not this side's business.
                    let _gone = connection(stream).await;
                });
            }
        });
    }
    results::print("ready");
    listeners.join_next().await;
}

enum Answer {
    Plain,
    BadQuery,
    Forbidden,
    Upgrade { path: String, accept: String },
}

async fn connection(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let Some((answer, size)) = judge(&buffer)? else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        buffer.drain(..size);
        match answer {
            Answer::Plain => respond(&mut stream, "200 OK", BODY).await?,
            Answer::BadQuery => respond(&mut stream, "400 Bad Request", b"").await?,
            Answer::Forbidden => respond(&mut stream, "403 Forbidden", b"").await?,
            Answer::Upgrade { path, accept } => {
                let head = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).await?;
                let of_source = path.strip_prefix("/source/").and_then(|numbers| numbers.split_once('/'));
                return match of_source.map(|(size, together)| (size.parse(), together.parse())) {
                    Some((Ok(size), Ok(together))) => source(stream, buffer, size, together).await,
                    Some(_) => Ok(()),
                    None if path == "/sink" => sink(stream, &buffer).await,
                    None => echo(stream, buffer).await,
                };
            }
        }
    }
}

async fn respond(stream: &mut TcpStream, status: &str, body: &[u8]) -> io::Result<()> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    stream.write_all(&answer).await
}

/// What a complete head at the beginning of these bytes is answered, and its length.
fn judge(buffer: &[u8]) -> io::Result<Option<(Answer, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let size = match request.parse(buffer) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(io::ErrorKind::InvalidData.into()),
    };
    let values = |name: &str| {
        let lines = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        lines.map(|field| field.value).collect::<Vec<_>>()
    };
    let clean = request.path.and_then(clean_path);
    let answer = match (clean, values("Sec-WebSocket-Key").first()) {
        (Some(_), None) => Answer::Plain,
        (None, None) => Answer::BadQuery,
        (Some(path), Some(nonce)) if values("X-Session-API-Key") == [CREDENTIAL.as_bytes()] => {
            Answer::Upgrade { path: path.to_owned(), accept: derive_accept_key(nonce) }
        }
        (_, Some(_)) => Answer::Forbidden,
    };
    Ok(Some((answer, size)))
}

/// The path of a target whose query is what it should be, byte for byte.
fn clean_path(target: &str) -> Option<&str> {
    let (path, query) = target.split_at(target.find('?')?);
    let count = path.strip_prefix("/others/").map_or(Some(0), |count| count.parse().ok())?;
    let (all, lengths) = &*OTHERS;
    let others = all.get(..*lengths.get::<usize>(count)?)?;
    (query.strip_prefix(REST)? == others).then_some(path)
}

async fn echo(mut stream: TcpStream, mut buffer: Vec<u8>) -> io::Result<()> {
    let mut answer = Vec::new();
    loop {
        let mut done = 0;
        while let Some(header) = frame::Header::parse(&buffer[done..]) {
            let start = done + header.size;
            let end = start + header.payload;
            if buffer.len() < end {
                break;
            }
            if let Some(mask) = header.mask {
                frame::unmask(&mut buffer[start..end], mask);
            }
            answer.extend(frame::build(header.opcode, &buffer[start..end], false));
            done = end;
        }
        buffer.drain(..done);
        if !answer.is_empty() {
            stream.write_all(&answer).await?;
            answer.clear();
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn sink(mut stream: TcpStream, early: &[u8]) -> io::Result<()> {
    let mut follower = frame::Follower::default();
    let mut scratch = vec![0; 256 * 1024];
    follower.follow(early);
    loop {
        if follower.text.take().is_some_and(|text| text == b"end") {
            let total = frame::build(frame::TEXT, follower.bytes.to_string().as_bytes(), false);
            stream.write_all(&total).await?;
        }
        match stream.read(&mut scratch).await? {
            0 => return Ok(()),
            count => follower.follow(&scratch[..count]),
        }
    }
}

async fn source(mut stream: TcpStream, mut early: Vec<u8>, size: usize, together: usize) -> io::Result<()> {
    let frames = frame::build(frame::BINARY, &vec![b'x'; size], false).repeat(together);
    let mut scratch = [0; 256];
    let mut total = 0;
    if early.is_empty() && stream.read_buf(&mut early).await? == 0 {
        return Ok(());
    }
    loop {
        // Once it has begun, any word of the client ends it.
        stream.write_all(&frames).await?;
        total += size * together;
        match stream.try_read(&mut scratch) {
            Ok(0) => return Ok(()),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    stream.write_all(&frame::build(frame::TEXT, total.to_string().as_bytes(), false)).await?;
    while stream.read(&mut scratch).await? > 0 {}
    Ok(())
}
