//! One message at a time on every socket, there and back.

use tokio::time::Instant;

use crate::{
    Load,
    client::Client,
    frame,
    results::{self, Tally},
};

pub(crate) async fn run(load: &Load) {
    let client = Client::new(&load.target);
    let payload = vec![b'm'; load.size];
    let frame = frame::build(frame::BINARY, &payload, true);
    let sockets = client.open_all("/echo", load.sockets).await;
    results::ready().await;
    let began = Instant::now();
    let end = began + load.time;
    let work = sockets.into_iter().map(|mut socket| {
        let (frame, payload) = (frame.clone(), payload.clone());
        async move {
            let mut tally = Tally::default();
            while tally.goes_on_until(end) {
                let start = Instant::now();
                tally.note(start, socket.echo(&frame, &payload).await);
            }
            (tally, socket)
        }
    });
    let (tally, _sockets) = Tally::gather(work, end).await;
    results::finish(&tally.json(began.elapsed())).await;
}
