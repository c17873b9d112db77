use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::harness::{
    CANARY, Gateway, SWITCHING,
    crowd::{self, Entrance, Socket, each},
    frames,
    gateway::websockets_open,
    is_slow_run, measured,
    pattern::Pattern,
    setup::Setup,
    tls,
};

/// What an idle socket may cost in a release build, without and with TLS.
const IDLE: u64 = 2 << 10;
const IDLE_WITH_TLS: u64 = 14 << 10;

/// Futures of a debug build are larger, and hold what an optimised one does not: twice as much is
/// allowed there. Only a release build tells whether the promise is kept.
const IN_THIS_BUILD: u64 = if cfg!(debug_assertions) { 2 } else { 1 };

/// What the process may keep when all sockets are gone.
const KEPT: u64 = (10 << 20) * IN_THIS_BUILD;

/// What any process grows by when it begins to work; among a few hundred sockets that is much.
const BEGINNING: u64 = 4 << 20;

/// A socket that has carried a small message and a large one.
async fn used(entrance: Entrance, number: usize) -> io::Result<Socket> {
    let mut socket = entrance.upgrade(&format!("/s/{number}?session_api_key={CANARY}")).await?;
    let mut pattern = Pattern::of(number);
    let small = pattern.next(128).to_vec();
    let large = [pattern.next(32 << 10), pattern.next(32 << 10)].concat();
    for payload in [small, large] {
        let message = frames::masked(0x82, &payload);
        let length = message.len();
        let (mut reader, mut writer) = tokio::io::split(socket);
        let mut back = vec![0; length];
        tokio::try_join!(writer.write_all(&message), async { reader.read_exact(&mut back).await.map(drop) })?;
        assert!(back == message, "the echo of {number} differs");
        socket = reader.unsplit(writer);
    }
    Ok(socket)
}

/// Opens many sockets, looks at what they cost while nothing moves, and closes them.
#[track_caller]
fn cost_little_and_leave_nothing(limit: u64, change: impl FnOnce(Setup) -> Setup) {
    let _alone = crowd::alone();
    // A socket has two ends here, and two in the gateway.
    let possible = crowd::most_descriptors().saturating_sub(1_000) / 2;
    let count = if is_slow_run() { 9_000 } else { 500 }.min(possible);
    let runtime = crowd::runtime();
    let url = runtime.block_on(crowd::upstream(|mut socket| async {
        socket.take_head().await?;
        socket.send(SWITCHING).await?;
        socket.echo().await
    }));
    let gateway = change(Setup::before_url(&url)).set("access_log.path", "access.log").start();
    let (memory, descriptors) = (gateway.memory(), gateway.descriptors());
    let entrance = gateway.entrance();
    let sockets = runtime.block_on(each(count, move |number| used(entrance.clone(), number)));
    let held = gateway.memory().saturating_sub(memory);
    let count = u64::try_from(count).unwrap();
    runtime.block_on(async { drop(sockets) });
    websockets_open(&gateway, 0.0);
    gateway.gives_descriptors_back(descriptors);
    let kept = kept_in_the_end(&gateway, memory);
    measured(&format!(
        "{count} idle sockets: {} bytes each, {} KiB kept behind them",
        held / count,
        kept >> 10
    ));
    let beginning = if is_slow_run() { 0 } else { BEGINNING };
    let most = limit * IN_THIS_BUILD * count + beginning;
    assert!(held <= most, "{count} idle sockets hold {held} bytes, and {most} are allowed");
    assert!(kept <= KEPT, "the process keeps {kept} bytes, and {KEPT} are allowed");
}

/// What the process still has above `before` once the allocator has had time to give back what nobody
/// uses any more: jemalloc does so ten seconds later, bit by bit.
fn kept_in_the_end(gateway: &Gateway, before: u64) -> u64 {
    let until = Instant::now() + Duration::from_secs(45);
    loop {
        let kept = gateway.memory().saturating_sub(before);
        if kept <= KEPT || Instant::now() > until {
            return kept;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn idle_sockets_cost_little_and_leave_nothing() {
    cost_little_and_leave_nothing(IDLE, |setup| setup);
}

#[test]
fn idle_sockets_cost_little_and_leave_nothing_with_tls() {
    let authority = tls::Authority::new();
    let files = authority.issue("gateway", &["127.0.0.1"]);
    cost_little_and_leave_nothing(IDLE_WITH_TLS, |setup| setup.tls(&files, &authority.roots()));
}
