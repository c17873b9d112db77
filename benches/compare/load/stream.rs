//! Frames as fast as they are taken. The clock stops when the last byte has arrived, and both ends
//! must have counted the same.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{
    Load,
    client::{Client, Socket, send},
    frame::{self, Follower},
    results::{self, Tally},
};

/// Reads until a text frame is complete, and returns what it says.
async fn total(socket: &mut Socket, follower: &mut Follower, scratch: &mut [u8]) -> Result<u64, String> {
    loop {
        if let Some(text) = follower.text.take() {
            return String::from_utf8_lossy(&text).parse().map_err(|_| "not a number of bytes".to_owned());
        }
        match socket.stream.read(scratch).await {
            Ok(0) => return Err("cut in the middle of a stream".to_owned()),
            Ok(count) => follower.follow(&scratch[..count]),
            Err(error) => return Err(format!("reading a stream: {}", error.kind())),
        }
    }
}

fn compare(tally: &mut Tally, here: u64, there: Result<u64, String>) {
    match there {
        Ok(there) if there == here => tally.bytes = here,
        Ok(_) => tally.fail("bytes were lost or added"),
        Err(why) => tally.fail(why),
    }
}

pub(crate) async fn up(load: &Load) {
    let client = Client::new(&load.target);
    let frames = frame::build(frame::BINARY, &vec![b'm'; load.size], true).repeat(load.together);
    let size = u64::try_from(load.size * load.together).unwrap();
    let sockets = client.open_all("/sink", load.sockets).await;
    results::ready().await;
    let began = Instant::now();
    let end = began + load.time;
    let work = sockets.into_iter().map(|mut socket| {
        let frames = frames.clone();
        async move {
            let mut tally = Tally::default();
            let mut sent = 0;
            let mut written = Ok(());
            while written.is_ok() && Instant::now() < end {
                written = socket.stream.write_all(&frames).await;
                sent += size;
            }
            if written.is_ok() {
                written = send(&mut socket.stream, &frame::build(frame::TEXT, b"end", true)).await;
            }
            let there = match written {
                Ok(()) => total(&mut socket, &mut Follower::default(), &mut [0; 256]).await,
                Err(error) => Err(format!("writing a stream: {}", error.kind())),
            };
            compare(&mut tally, sent, there);
            (tally, socket)
        }
    });
    let (tally, _sockets) = Tally::gather(work, end).await;
    results::finish(&tally.json(began.elapsed())).await;
}

pub(crate) async fn down(load: &Load) {
    let client = Client::new(&load.target);
    let path = format!("/source/{}/{}", load.size, load.together);
    let sockets = client.open_all(&path, load.sockets).await;
    results::ready().await;
    let began = Instant::now();
    let end = began + load.time;
    let work = sockets.into_iter().map(|mut socket| async move {
        let mut tally = Tally::default();
        let mut follower = Follower::default();
        let mut scratch = vec![0; 256 * 1024];
        let there = receive(&mut socket, &mut follower, &mut scratch, end).await;
        compare(&mut tally, follower.bytes, there);
        (tally, socket)
    });
    let (tally, _sockets) = Tally::gather(work, end).await;
    results::finish(&tally.json(began.elapsed())).await;
}

async fn receive(
    socket: &mut Socket,
    follower: &mut Follower,
    scratch: &mut [u8],
    end: Instant,
) -> Result<u64, String> {
    let broken = |error: std::io::Error| format!("in a stream: {}", error.kind());
    send(&mut socket.stream, &frame::build(frame::TEXT, b"go", true)).await.map_err(broken)?;
    while Instant::now() < end {
        match socket.stream.read(scratch).await.map_err(broken)? {
            0 => return Err("cut in the middle of a stream".to_owned()),
            count => follower.follow(&scratch[..count]),
        }
    }
    send(&mut socket.stream, &frame::build(frame::TEXT, b"end", true)).await.map_err(broken)?;
    total(socket, follower, scratch).await
}
