//! The client of the test: it sends one script and keeps what came back.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    script::{End, Script},
    upstream::reset,
};

/// The most that is kept of an answer.
const LONGEST: usize = 1024 * 1024;

/// What came of an attempt.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Everything that was sent.
    pub(super) sent: Vec<u8>,
    /// Everything that came back.
    pub(super) reply: Vec<u8>,
    /// What came back to the same on the connections before.
    pub(super) earlier: Vec<u8>,
}

impl Made {
    /// Whether it led to a WebSocket.
    pub(super) fn is_open(&self) -> bool {
        is_open(&self.reply)
    }
}

fn is_open(reply: &[u8]) -> bool {
    reply.starts_with(b"HTTP/1.1 101")
}

/// Plays a script against an address, and calls `heard` when an answer has come or never will. That it
/// breaks off is kept as what was not sent and did not come.
///
/// # Errors
/// Nobody can be connected to.
pub(super) async fn make(
    at: SocketAddr,
    script: &Script,
    patience: Duration,
    heard: impl Fn(),
) -> io::Result<Made> {
    let mut made = Made::default();
    // Open until the end, so that there are too many.
    let mut before = Vec::new();
    for _ in 0..script.before {
        let mut stream = connect(at, patience).await?;
        let mut reply = Vec::new();
        let _ = timeout(patience, async {
            stream.write_all(&script.sent).await?;
            read_head(&mut stream, &mut reply).await?;
            if script.to_the_end && is_open(&reply) {
                stream.write_all(&script.opened).await?;
                read_to_end(&mut stream, &mut reply).await?;
            }
            io::Result::Ok(())
        })
        .await;
        made.earlier.append(&mut reply);
        before.push(stream);
    }
    let mut stream = connect(at, patience).await?;
    let _ = timeout(patience, play(&mut stream, script, &mut made, heard)).await;
    Ok(made)
}

async fn connect(at: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let connecting = timeout(patience, TcpStream::connect(at)).await;
    let stream = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn play(stream: &mut TcpStream, script: &Script, made: &mut Made, heard: impl Fn()) -> io::Result<()> {
    let sent = send(stream, &script.sent, &mut made.sent).await;
    match script.end {
        End::Closes => return stream.shutdown().await,
        End::Resets => return reset(stream),
        End::Reads | End::ClosesWhenAnswered | End::ClosesWhenTold | End::ResetsWhenAnswered => {}
    }
    // Who is refused before all is sent has an answer all the same.
    let answered = read_head(stream, &mut made.reply).await;
    let opened = if made.is_open() { send(stream, &script.opened, &mut made.sent).await } else { Ok(()) };
    heard();
    sent.and(answered).and(opened)?;
    match script.end {
        End::ResetsWhenAnswered => {
            // What was sent is on its way before the reset overtakes it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            reset(stream)
        }
        End::ClosesWhenAnswered => stream.shutdown().await,
        End::ClosesWhenTold => {
            stream.read_buf(&mut made.reply).await?;
            stream.shutdown().await
        }
        End::Closes | End::Reads | End::Resets => read_to_end(stream, &mut made.reply).await,
    }
}

/// Sends all, and notes how much of it was.
async fn send(stream: &mut TcpStream, mut bytes: &[u8], sent: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = stream.write(bytes).await?;
        let (done, rest) = bytes.split_at_checked(written).unwrap_or((bytes, &[]));
        sent.extend_from_slice(done);
        bytes = rest;
    }
    Ok(())
}

async fn read_head(stream: &mut TcpStream, reply: &mut Vec<u8>) -> io::Result<()> {
    while !reply.windows(4).any(|window| window == b"\r\n\r\n") {
        if reply.len() > LONGEST || stream.read_buf(reply).await? == 0 {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads to the end, or to a Close frame at the end of what came.
async fn read_to_end(stream: &mut TcpStream, reply: &mut Vec<u8>) -> io::Result<()> {
    while reply.len() <= LONGEST && stream.read_buf(reply).await? > 0 {}
    Ok(())
}
