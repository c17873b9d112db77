//! Opening handshakes, one after the other on each of some lanes. Each socket carries one message
//! there and back, since a proxy that loses a fresh socket has not done the job.

use tokio::time::{Instant, timeout};

use crate::{
    Load,
    client::Client,
    frame,
    results::{self, Tally},
};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

async fn one(client: &Client, path: &str, frame: &[u8], payload: &[u8]) -> Result<(), String> {
    client.open(path).await?.echo(frame, payload).await
}

pub(crate) async fn run(load: &Load) {
    // The upstream sees by the path how much of the query must be left.
    let client = Client::new(&load.target).with_others(load.others);
    let path = format!("/others/{}", load.others);
    let payload = vec![b'm'; load.size];
    let frame = frame::build(frame::BINARY, &payload, true);
    for _ in 0..200 {
        one(&client, &path, &frame, &payload).await.expect("a handshake to warm up");
    }
    results::ready().await;
    let began = Instant::now();
    let end = began + load.time;
    let lanes = (0..load.sockets).map(|_| {
        let (client, path, frame, payload) = (client.clone(), path.clone(), frame.clone(), payload.clone());
        async move {
            let mut tally = Tally::default();
            while Instant::now() < end {
                let start = Instant::now();
                let turn = timeout(PATIENCE, one(&client, &path, &frame, &payload)).await;
                tally.note(start, turn.unwrap_or_else(|_| Err("a fresh socket got no answer".to_owned())));
            }
            (tally, ())
        }
    });
    let (tally, _) = Tally::gather(lanes, end).await;
    results::finish(&tally.json(began.elapsed())).await;
}
