use std::{
    fs::OpenOptions,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::harness::{
    CANARY, Gateway, SWITCHING,
    crowd::{self, Entrance, Socket, soon},
    frames,
    gateway::websockets_open,
    head, is_slow_run, measured, opening,
    setup::Setup,
};

/// How many clients come and go at the same time.
const WORKERS: usize = 50;

/// By how much memory and descriptors may differ between a quarter of the time and its end: this part
/// of a hundred, and a little that is chance.
const PERCENT: u64 = 5;
const MEMORY_NOISE: u64 = 1 << 20;
/// Each client may be on its way with two, and that all are is chance. A leak grows beyond any such
/// number, and none may be left at the end.
const DESCRIPTOR_NOISE: u64 = 2 * 50;

/// The most that the access log grows to before it is emptied.
const LOG: u64 = 8 << 20;

/// How long: `HUSHGATE_CHURN_SECONDS`, or else 20 minutes in the long form.
fn duration() -> Duration {
    let seconds = std::env::var("HUSHGATE_CHURN_SECONDS").ok();
    let seconds = seconds.filter(|_| is_slow_run()).map(|seconds| seconds.parse().expect("a number"));
    Duration::from_secs(seconds.unwrap_or_else(|| if is_slow_run() { 20 * 60 } else { 6 }))
}

/// The ways in which a client comes and goes.
const WAYS: u64 = 8;

/// One client, from its connection to its end.
async fn come_and_go(entrance: &Entrance, way: u64) -> io::Result<()> {
    let target = format!("/s?session_api_key={CANARY}");
    match way {
        // Gone in the middle of its head, by a reset or not, and behind it before the answer.
        0..=2 => {
            let mut socket = entrance.connect().await?;
            let text = opening(&target.replace("/s", "/late"), &[]);
            let length = if way == 2 { text.len() } else { text.len() / 2 };
            socket.send(&text[..length]).await?;
            if way > 0 {
                socket.end_by_reset();
            }
            Ok(())
        }
        // Requests on one connection.
        3 => {
            let mut socket = entrance.connect().await?;
            for _ in 0..3 {
                socket.send(head(&format!("GET /plain?session_api_key={CANARY}"), &[])).await?;
                assert_eq!(socket.take_head().await?.status(), 200);
                assert_eq!(socket.receive(2).await?, b"ok");
            }
            Ok(())
        }
        // The upstream resets.
        4 => {
            let mut socket = entrance.upgrade(&target.replace("/s", "/reset")).await?;
            socket.send([0]).await?;
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest).await;
            assert_eq!(rest, b"");
            Ok(())
        }
        _ => {
            let mut socket = entrance.upgrade(&target).await?;
            // The last one passes inside the kernel.
            for length in [100, 5_000, 40_000] {
                let message = frames::masked(0x82, &vec![u8::try_from(way).unwrap(); length]);
                socket.send(&message).await?;
                assert!(socket.receive(message.len()).await? == message, "the echo differs");
            }
            match way {
                // It goes without a word, by a reset.
                5 => socket.end_by_reset(),
                // Half-closed, and the rest taken.
                6 => {
                    let last = frames::text("last");
                    socket.send(&last).await?;
                    socket.shutdown().await?;
                    let mut rest = Vec::new();
                    socket.read_to_end(&mut rest).await?;
                    assert_eq!(rest, last);
                }
                // A closing handshake.
                _ => {
                    let close = [0x88, 0x82, 0, 0, 0, 0, 3, 0xe8];
                    socket.send(close).await?;
                    assert_eq!(socket.receive(close.len()).await?, close);
                }
            }
            Ok(())
        }
    }
}

/// Answers until it is over.
async fn upstream(socket: Socket, mut is_over: watch::Receiver<bool>) -> io::Result<()> {
    tokio::select! {
        result = answer(socket) => result,
        _ = is_over.wait_for(|over| *over) => Ok(()),
    }
}

async fn answer(mut socket: Socket) -> io::Result<()> {
    loop {
        let head = socket.take_head().await?;
        if head.line().starts_with("GET /plain") {
            socket.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
            continue;
        }
        if head.line().starts_with("GET /late") {
            sleep(Duration::from_millis(30)).await;
        }
        socket.send(SWITCHING).await?;
        if head.line().starts_with("GET /reset") {
            socket.receive(1).await?;
            socket.end_by_reset();
            return Ok(());
        }
        return socket.echo().await;
    }
}

/// Comes and goes until it is over, in every way, with pauses that keep the number of connections a
/// second below what the ports of one address allow.
async fn worker(entrance: Entrance, number: u64, is_over: Arc<AtomicBool>, count: Arc<AtomicU64>) {
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while !is_over.load(Relaxed) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let way = random % WAYS;
        let result = soon("a client is served", come_and_go(&entrance, way)).await;
        result.unwrap_or_else(|error| panic!("way {way}: {error}"));
        count.fetch_add(1, Relaxed);
        sleep(Duration::from_millis(20 + random % 40)).await;
    }
}

/// What is held during some seconds: the median of memory, and the fewest descriptors.
fn held(gateway: &Gateway, time: Duration) -> (u64, u64) {
    let until = Instant::now() + time;
    let (mut memory, mut descriptors) = (Vec::new(), Vec::new());
    while Instant::now() < until {
        memory.push(gateway.memory());
        descriptors.push(u64::try_from(gateway.descriptors()).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    memory.sort_unstable();
    (memory[memory.len() / 2], descriptors.into_iter().min().unwrap())
}

/// Waits, and empties the log when it is large: the gateway appends to it.
fn wait_until(time: Instant, gateway: &Gateway) {
    while Instant::now() < time {
        let log = OpenOptions::new().write(true).open(gateway.file("access.log")).unwrap();
        if log.metadata().unwrap().len() > LOG {
            log.set_len(0).unwrap();
        }
        std::thread::sleep(Duration::from_millis(200).min(time.saturating_duration_since(Instant::now())));
    }
}

#[track_caller]
fn assert_flat(what: &str, early: u64, late: u64, noise: u64) {
    let allowed = early / 100 * PERCENT + noise;
    assert!(late.abs_diff(early) <= allowed, "{what} went from {early} to {late}");
}

#[test]
fn memory_and_descriptors_stay_flat() {
    let _alone = crowd::alone();
    let runtime = crowd::runtime();
    let (over, is_over) = watch::channel(false);
    let url = runtime.block_on(crowd::upstream(move |socket| upstream(socket, is_over.clone())));
    let gateway = Setup::before_url(&url).set("access_log.path", "access.log").start();
    let at_first = gateway.descriptors();
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (started, duration) = (Instant::now(), duration());
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        let number = u64::try_from(number).unwrap();
        let work = worker(gateway.entrance(), number, Arc::clone(&stop), Arc::clone(&count));
        workers.spawn_on(work, runtime.handle());
    }
    let window = duration / 10;
    wait_until(started + duration / 4, &gateway);
    let early = held(&gateway, window);
    wait_until(started + duration - window, &gateway);
    let late = held(&gateway, window);
    stop.store(true, Relaxed);
    runtime.block_on(async {
        while let Some(worker) = soon("a worker ends", workers.join_next()).await {
            worker.unwrap();
        }
    });
    measured(&format!(
        "{} clients in {} s: {} and then {} KiB, {} and then {} descriptors",
        count.load(Relaxed),
        duration.as_secs(),
        early.0 >> 10,
        late.0 >> 10,
        early.1,
        late.1
    ));
    assert_flat("memory", early.0, late.0, MEMORY_NOISE);
    assert_flat("the number of descriptors", early.1, late.1, DESCRIPTOR_NOISE);
    websockets_open(&gateway, 0.0);
    // The upstream closes what the gateway keeps for later requests.
    over.send_replace(true);
    gateway.gives_descriptors_back(at_first);
}
