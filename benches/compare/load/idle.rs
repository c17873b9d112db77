//! Sockets that have carried one message and then are quiet, but for a message on each of them
//! whenever the driver asks.

use tokio::time::{Duration, Instant};

use crate::{
    Load,
    client::{Client, Socket},
    frame,
    results::{self, Tally},
};

/// How many sockets are worked on at a time.
const LANES: usize = 32;

/// For how long all sockets may take to open, or to carry one message each.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn run(load: &Load) {
    let client = Client::new(&load.target);
    let payload = vec![b'm'; load.size];
    let frame = frame::build(frame::BINARY, &payload, true);
    // What a proxy needs only once is not the sockets'.
    let mut first = client.open_all("/echo", LANES).await;
    for socket in &mut first {
        socket.echo(&frame, &payload).await.expect("a message to warm up");
    }
    drop(first);
    results::ready().await;
    let began = Instant::now();
    let work = (0..LANES).map(|lane| {
        let (client, frame, payload) = (client.clone(), frame.clone(), payload.clone());
        let share = (load.sockets + lane) / LANES;
        async move {
            let mut tally = Tally::default();
            let mut sockets = Vec::new();
            for _ in 0..share {
                match client.open("/echo").await {
                    Ok(socket) => carry(socket, &frame, &payload, &mut sockets, &mut tally).await,
                    Err(why) => tally.fail(why),
                }
            }
            (tally, sockets)
        }
    });
    let (tally, mut sockets) = Tally::gather(work, began + PATIENCE).await;
    let mut done = tally.json(began.elapsed());
    while results::again(&done).await {
        let began = Instant::now();
        let work = sockets.into_iter().map(|open: Vec<Socket>| {
            let (frame, payload) = (frame.clone(), payload.clone());
            async move {
                let mut tally = Tally::default();
                let mut sockets = Vec::new();
                for socket in open {
                    carry(socket, &frame, &payload, &mut sockets, &mut tally).await;
                }
                (tally, sockets)
            }
        });
        let (tally, kept) = Tally::gather(work, began + PATIENCE).await;
        sockets = kept;
        done = tally.json(began.elapsed());
    }
}

/// Sends one message there and back, and keeps the socket if that went well.
async fn carry(mut socket: Socket, frame: &[u8], payload: &[u8], kept: &mut Vec<Socket>, tally: &mut Tally) {
    match socket.echo(frame, payload).await {
        Ok(()) => {
            tally.count += 1;
            socket.buffer = Vec::new();
            kept.push(socket);
        }
        Err(why) => tally.fail(why),
    }
}
