use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::harness::{
    CANARY, Gateway, SWITCHING,
    crowd::{self, Entrance, Socket, soon},
    eventually, frames, measured,
    pattern::Pattern,
    setup::Setup,
    tls,
};

/// How many sockets have a reader that has stopped.
const SOCKETS: usize = 200;

/// The most that the gateway may hold for one of them: what it has read and could not write, and of a long
/// frame twice as much.
const PER_SOCKET: u64 = 64 << 10;
const PER_SOCKET_OF_LONG_FRAMES: u64 = 128 << 10;

/// What it may hold besides, for all of them.
const BESIDES: u64 = 16 << 20;

/// How long another socket may wait for its echo meanwhile, on a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

/// How many sockets echo meanwhile, and how often each.
const ECHOING: usize = 50;
const ROUNDS: usize = 40;

/// What goes over each stuck socket in the end: several times what the system and the gateway hold
/// of it. The system's share is kept small at the ends that are ours.
const LENGTH: usize = 16 << 20;
const HELD_AT_AN_END: usize = 64 << 10;

/// Which way the bytes go that nobody reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Down,
    Up,
}

/// What the bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No framing.
    Any,
    /// One long frame, which passes inside the kernel where nothing is encrypted.
    LongFrame,
}

impl Kind {
    /// What comes before the payload.
    fn header(self) -> Vec<u8> {
        match self {
            Self::Any => Vec::new(),
            Self::LongFrame => frames::header(0x82, LENGTH, false),
        }
    }
}

/// What all ends share.
struct Shared {
    way: Way,
    kind: Kind,
    /// Whether the readers read.
    reads: watch::Sender<bool>,
    written: AtomicU64,
    complete: AtomicUsize,
}

impl Shared {
    /// Writes as fast as it can.
    async fn write(&self, to: &mut (impl AsyncWrite + Unpin), number: usize) -> io::Result<()> {
        to.write_all(&self.kind.header()).await?;
        let mut pattern = Pattern::of(number);
        let mut left = LENGTH;
        while left > 0 {
            let bytes = pattern.next(left.min(16 * 1024));
            to.write_all(bytes).await?;
            left -= bytes.len();
            self.written.fetch_add(u64::try_from(bytes.len()).unwrap(), Relaxed);
        }
        to.flush().await
    }

    /// Reads nothing until readers are to read, and then everything.
    async fn read(&self, from: &mut (impl AsyncRead + Unpin), number: usize) -> io::Result<()> {
        self.reads.subscribe().wait_for(|reads| *reads).await.map_err(io::Error::other)?;
        let mut header = self.kind.header();
        from.read_exact(&mut header).await?;
        assert_eq!(header, self.kind.header());
        let mut pattern = Pattern::of(number);
        let mut chunk = vec![0; 64 * 1024];
        let mut left = LENGTH;
        while left > 0 {
            let read = from.read(&mut chunk).await?;
            assert!(read > 0, "{left} bytes are missing");
            pattern.check(&chunk[..read]);
            left -= read;
        }
        self.complete.fetch_add(1, Relaxed);
        Ok(())
    }

    /// The number in a target; an echo's has none.
    fn number(line: &str) -> Option<usize> {
        line.split([' ', '?']).nth(1)?.strip_prefix("/stuck/")?.parse().ok()
    }

    async fn upstream(self: Arc<Self>, mut socket: Socket) -> io::Result<()> {
        let head = socket.take_head().await?;
        let number = Self::number(head.line());
        if number.is_some() {
            socket.hold_little(HELD_AT_AN_END);
        }
        socket.send(SWITCHING).await?;
        match (number, self.way) {
            (None, _) => socket.echo().await,
            (Some(number), Way::Down) => self.write(&mut socket, number).await,
            (Some(number), Way::Up) => self.read(&mut socket, number).await,
        }
    }

    async fn client(self: Arc<Self>, entrance: Entrance, number: usize) -> io::Result<()> {
        let mut socket = entrance.upgrade(&target(&format!("/stuck/{number}"))).await?;
        socket.hold_little(HELD_AT_AN_END);
        match self.way {
            Way::Down => self.read(&mut socket, number).await,
            Way::Up => {
                self.write(&mut socket, number).await?;
                socket.shutdown().await?;
                socket.read(&mut [0]).await.map(drop)
            }
        }
    }
}

fn target(path: &str) -> String {
    format!("{path}?session_api_key={CANARY}")
}

/// Asks and waits for the echo; gives the longest time that one took.
async fn echoes(entrance: Entrance) -> io::Result<Duration> {
    let mut socket = entrance.upgrade(&target("/echo")).await?;
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        let message = [u8::try_from(round).unwrap(); 128];
        let started = Instant::now();
        socket.send(message).await?;
        assert_eq!(socket.receive(message.len()).await?, message);
        longest = longest.max(started.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
    Ok(longest)
}

/// A socket that moves as much as it can both ways, until it is dropped; counts what came back.
async fn streams(entrance: Entrance, moved: Arc<AtomicU64>) -> io::Result<()> {
    let socket = entrance.upgrade(&target("/echo")).await?;
    let (mut reader, mut writer) = tokio::io::split(socket);
    let writing = async {
        let mut pattern = Pattern::of(SOCKETS);
        loop {
            if let Err(error) = writer.write_all(pattern.next(64 * 1024)).await {
                break Err::<(), io::Error>(error);
            }
        }
    };
    let reading = async {
        let mut pattern = Pattern::of(SOCKETS);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = match reader.read(&mut chunk).await {
                Ok(read) => read,
                Err(error) => break Err(error),
            };
            assert!(read > 0, "it ends for no reason");
            pattern.check(&chunk[..read]);
            moved.fetch_add(u64::try_from(read).unwrap(), Relaxed);
        }
    };
    tokio::select! {
        result = writing => result,
        result = reading => result,
    }
}

/// Whether a count has not moved for a while.
fn stands_still(count: &AtomicU64) -> bool {
    let before = count.load(Relaxed);
    std::thread::sleep(Duration::from_millis(700));
    before > 0 && before == count.load(Relaxed)
}

/// Stops 200 readers, looks at what the gateway holds and whom it still serves, and lets them go on.
#[track_caller]
fn stop_nobody_else(way: Way, kind: Kind, change: impl FnOnce(Setup) -> Setup) {
    let _alone = crowd::alone();
    crowd::most_descriptors();
    let runtime = crowd::runtime();
    let shared = Arc::new(Shared {
        way,
        kind,
        reads: watch::Sender::new(false),
        written: AtomicU64::new(0),
        complete: AtomicUsize::new(0),
    });
    let upstreams = Arc::clone(&shared);
    let url = runtime.block_on(crowd::upstream(move |socket| Arc::clone(&upstreams).upstream(socket)));
    let gateway = change(Setup::before_url(&url)).start();
    let entrance = gateway.entrance();
    let (before, pipes) = (gateway.memory(), gateway.pipes());
    let mut stuck = JoinSet::new();
    for number in 0..SOCKETS {
        stuck.spawn_on(Arc::clone(&shared).client(entrance.clone(), number), runtime.handle());
    }
    eventually("all writers are stopped", || stands_still(&shared.written));
    let taken = shared.written.load(Relaxed) / u64::try_from(SOCKETS).unwrap();
    assert!(taken < u64::try_from(LENGTH).unwrap() / 4 * 3, "{taken} bytes of each were taken");
    if kind == Kind::LongFrame {
        assert!(gateway.pipes() > pipes, "they pass inside the kernel");
    }
    let grown = gateway.memory().saturating_sub(before);
    measured(&format!(
        "stopped readers: {} KiB of each were taken, memory grown by {} KiB",
        taken >> 10,
        grown >> 10
    ));
    let per_socket = if kind == Kind::LongFrame { PER_SOCKET_OF_LONG_FRAMES } else { PER_SOCKET };
    let most = per_socket * u64::try_from(SOCKETS).unwrap() + BESIDES;
    assert!(grown <= most, "memory has grown by {grown} bytes, and {most} are allowed");
    others_are_served(&runtime, &gateway);
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown <= most, "memory has grown by {grown} bytes in the end, and {most} are allowed");
    shared.reads.send_replace(true);
    runtime.block_on(async {
        while let Some(client) = soon("the next socket is complete", stuck.join_next()).await {
            client.unwrap().unwrap();
        }
    });
    eventually("every byte arrives", || shared.complete.load(Relaxed) == SOCKETS);
    let field = if way == Way::Down { "bytes_sent" } else { "bytes_received" };
    let lines = gateway.events("close", SOCKETS + ECHOING + 1);
    let length = kind.header().len() + LENGTH;
    assert_eq!(lines.iter().filter(|line| line[field] == length).count(), SOCKETS);
}

/// While some are stuck and one streams as fast as it can, others get their echo in time.
fn others_are_served(runtime: &tokio::runtime::Runtime, gateway: &Gateway) {
    let moved = Arc::new(AtomicU64::new(0));
    let firehose = runtime.spawn(streams(gateway.entrance(), Arc::clone(&moved)));
    eventually("the firehose runs", || moved.load(Relaxed) > 1 << 20);
    let longest = runtime.block_on(async {
        let mut echoing = JoinSet::new();
        for _ in 0..ECHOING {
            echoing.spawn(echoes(gateway.entrance()));
        }
        let mut longest = Duration::ZERO;
        while let Some(time) = soon("the next has its echoes", echoing.join_next()).await {
            longest = longest.max(time.unwrap().unwrap());
        }
        longest
    });
    let so_far = moved.load(Relaxed);
    eventually("the firehose still runs", || moved.load(Relaxed) > so_far);
    firehose.abort();
    assert!(longest < PROMPT, "an echo took {longest:?}");
}

#[test]
fn hold_little_and_stop_nobody_else_downwards() {
    stop_nobody_else(Way::Down, Kind::Any, |setup| setup);
}

#[test]
fn hold_little_and_stop_nobody_else_upwards() {
    stop_nobody_else(Way::Up, Kind::Any, |setup| setup);
}

#[test]
fn hold_little_and_stop_nobody_else_in_long_frames() {
    for way in [Way::Down, Way::Up] {
        stop_nobody_else(way, Kind::LongFrame, |setup| setup);
    }
}

#[test]
fn hold_little_and_stop_nobody_else_over_tls() {
    let authority = tls::Authority::new();
    let files = authority.issue("gateway", &["127.0.0.1"]);
    for way in [Way::Down, Way::Up] {
        stop_nobody_else(way, Kind::Any, |setup| setup.tls(&files, &authority.roots()));
    }
}
