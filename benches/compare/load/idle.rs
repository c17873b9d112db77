//! Sockets that have carried one message and then are quiet.

use tokio::time::{Duration, Instant};

use crate::{
    Load,
    client::Client,
    frame,
    results::{self, Tally},
};

/// How many sockets are being opened at a time.
const LANES: usize = 32;

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
                let opened = async {
                    let mut socket = client.open("/echo").await?;
                    socket.echo(&frame, &payload).await?;
                    Ok::<_, String>(socket)
                };
                match opened.await {
                    Ok(mut socket) => {
                        tally.count += 1;
                        socket.buffer = Vec::new();
                        sockets.push(socket);
                    }
                    Err(why) => tally.fail(why),
                }
            }
            (tally, sockets)
        }
    });
    let (tally, _sockets) = Tally::gather(work, began + Duration::from_secs(20)).await;
    results::finish(&tally.json(began.elapsed())).await;
}
