//! Plain requests on connections that are kept alive, one at a time on each.

use tokio::{io::AsyncReadExt, time::Instant};

use crate::{
    Load,
    client::{Client, Stream, read_head, send},
    results::{self, Tally},
};

async fn one(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>, request: &[u8]) -> Result<(), String> {
    send(stream, request).await.map_err(|error| format!("sending: {}", error.kind()))?;
    let size = read_head(stream, buffer).await?;
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut fields);
    answer.parse(buffer).map_err(|_| "an answer that is not HTTP".to_owned())?;
    if answer.code != Some(200) {
        return Err(format!("an answer with status {:?}", answer.code));
    }
    let length = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length: usize = length
        .and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok())
        .ok_or_else(|| "an answer without a length".to_owned())?;
    while buffer.len() < size + length {
        match stream.read_buf(buffer).await {
            Ok(0) => return Err("cut in the middle of an answer".to_owned()),
            Ok(_) => {}
            Err(error) => return Err(format!("reading an answer: {}", error.kind())),
        }
    }
    buffer.drain(..size + length);
    Ok(())
}

pub(crate) async fn run(load: &Load) {
    let client = Client::new(&load.target);
    let request = client.head("/plain", "Accept: */*\r\n").into_bytes();
    let mut connections = Vec::new();
    for _ in 0..load.sockets {
        let mut stream = client.connect().await.expect("a connection for the measurement");
        let mut buffer = Vec::with_capacity(2048);
        one(&mut stream, &mut buffer, &request).await.expect("a request to warm up");
        connections.push((stream, buffer));
    }
    results::ready().await;
    let began = Instant::now();
    let end = began + load.time;
    let work = connections.into_iter().map(|(mut stream, mut buffer)| {
        let request = request.clone();
        async move {
            let mut tally = Tally::default();
            while tally.goes_on_until(end) {
                let start = Instant::now();
                tally.note(start, one(&mut stream, &mut buffer, &request).await);
            }
            (tally, stream)
        }
    });
    let (tally, _connections) = Tally::gather(work, end).await;
    results::finish(&tally.json(began.elapsed())).await;
}
