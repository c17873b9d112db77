use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    runtime::Runtime,
    time::timeout,
};

use crate::harness::{
    CANARY, Gateway, SWITCHING,
    crowd::{self, Entrance, Socket},
    frames::header,
    measured,
    pattern::Pattern,
    setup::Setup,
    tls,
};

/// How much a large message is.
const LENGTH: usize = 64 << 20;

/// What one may cost in memory.
const FLAT: u64 = 4 << 20;

/// How long one may take, on a busy machine.
const BOUND: Duration = Duration::from_secs(60);

/// How a message is cut into frames: this many, all of the same length.
const SHAPES: [usize; 2] = [1, 4096];

/// The first byte of each frame: text first, then continuations, and FIN on the last.
fn first_byte(index: usize, count: usize) -> u8 {
    let opcode = if index == 0 { 2 } else { 0 };
    if index + 1 == count { 0x80 | opcode } else { opcode }
}

/// Each frame's header with its mask, which hides nothing here.
fn headers(count: usize, is_masked: bool) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(move |index| {
        let mut bytes = header(first_byte(index, count), LENGTH / count, is_masked);
        bytes.extend_from_slice(if is_masked { &[1, 2, 3, 4] } else { &[] });
        bytes
    })
}

/// Sends a message of this many frames.
async fn send(to: &mut (impl AsyncWrite + Unpin), count: usize, is_masked: bool) -> io::Result<()> {
    let mut pattern = Pattern::of(count);
    for header in headers(count, is_masked) {
        to.write_all(&header).await?;
        let mut left = LENGTH / count;
        while left > 0 {
            let bytes = pattern.next(left);
            to.write_all(bytes).await?;
            left -= bytes.len();
        }
    }
    to.flush().await
}

/// Takes that message, and fails unless it is the same.
async fn take(from: &mut (impl AsyncRead + Unpin), count: usize, is_masked: bool) -> io::Result<()> {
    let mut pattern = Pattern::of(count);
    let mut chunk = vec![0; 64 * 1024];
    for header in headers(count, is_masked) {
        from.read_exact(&mut chunk[..header.len()]).await?;
        assert_eq!(chunk[..header.len()], header, "another header");
        let mut left = LENGTH / count;
        while left > 0 {
            let here = left.min(chunk.len());
            let read = from.read(&mut chunk[..here]).await?;
            assert!(read > 0, "{left} bytes of a frame are missing");
            pattern.check(&chunk[..read]);
            left -= read;
        }
    }
    Ok(())
}

/// Takes each shape from the client, and sends each to it; what it says in between is one byte.
async fn upstream(mut socket: Socket) -> io::Result<()> {
    socket.take_head().await?;
    socket.send(SWITCHING).await?;
    for count in SHAPES {
        take(&mut socket, count, true).await?;
        socket.send([1]).await?;
        socket.receive(1).await?;
        send(&mut socket, count, false).await?;
    }
    socket.echo().await
}

async fn client(entrance: Entrance) -> io::Result<()> {
    let mut socket = entrance.upgrade(&format!("/s?session_api_key={CANARY}")).await?;
    for count in SHAPES {
        send(&mut socket, count, true).await?;
        assert_eq!(socket.receive(1).await?, [1], "the upstream has taken it");
        socket.send([1]).await?;
        take(&mut socket, count, false).await?;
    }
    socket.shutdown().await?;
    assert_eq!(socket.read(&mut [0]).await?, 0);
    Ok(())
}

/// Both shapes, each way, with memory flat.
#[track_caller]
fn pass(change: impl FnOnce(Setup) -> Setup) {
    let _alone = crowd::alone();
    let runtime = crowd::runtime();
    let url = runtime.block_on(crowd::upstream(upstream));
    let gateway = change(Setup::before_url(&url)).start();
    let before = gateway.memory();
    let most = most_memory_while(&runtime, &gateway, client(gateway.entrance()));
    let grown = most.saturating_sub(before);
    measured(&format!("large messages: memory grown by {} KiB", grown >> 10));
    assert!(grown <= FLAT, "memory has grown by {grown} bytes");
    let line = gateway.event("close");
    let each_way = |is_masked| {
        SHAPES
            .iter()
            .map(|count| headers(*count, is_masked).map(|bytes| bytes.len()).sum::<usize>())
            .sum::<usize>()
            + SHAPES.len() * (LENGTH + 1)
    };
    assert_eq!(line["bytes_received"], each_way(true));
    assert_eq!(line["bytes_sent"], each_way(false));
}

/// Waits for a future, and gives the most memory that the gateway took meanwhile.
fn most_memory_while(
    runtime: &Runtime,
    gateway: &Gateway,
    future: impl Future<Output = io::Result<()>> + Send + 'static,
) -> u64 {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let task = runtime.spawn(async move {
        let result = timeout(BOUND, future).await;
        over.store(true, Relaxed);
        result
    });
    let mut most = gateway.memory();
    while !is_over.load(Relaxed) && !task.is_finished() {
        most = most.max(gateway.memory());
        std::thread::sleep(Duration::from_millis(5));
    }
    runtime.block_on(task).unwrap().expect("they pass in time").unwrap();
    most
}

#[test]
fn pass_with_memory_flat() {
    pass(|setup| setup);
}

#[test]
fn pass_over_tls_with_memory_flat() {
    let authority = tls::Authority::new();
    let files = authority.issue("gateway", &["127.0.0.1"]);
    pass(|setup| setup.tls(&files, &authority.roots()));
}
