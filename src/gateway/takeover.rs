//! An opening handshake: our own to the upstream, its answer to the client, then the relay.
//!
//! Nothing of this passes through Pingora. Nothing of the client's but the handshake itself goes
//! upstream before the 101; what it sends early waits in the [`Downstream`] and follows.

use std::{io, pin::pin, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::{Downstream, Entry, Gateway, Snapshot, refuse, upstream::Connection};
use crate::{
    access_log::{Event, Outcome},
    relay::{Goodbye, relay},
};

mod answer;

use self::answer::{Answer, LAST_CHUNK, chunk};

/// The most that is kept of what a client sends before the 101.
const EARLY: usize = 64 * 1024;

/// Carries an opening handshake to its end, and the socket after it.
pub(super) async fn run(
    gateway: &Gateway,
    snapshot: &Snapshot,
    mut downstream: Downstream,
    head: Vec<u8>,
    entry: Entry,
) {
    let result = tokio::select! {
        biased;
        watched = watched(&mut downstream, open(snapshot, head)) => match watched {
            Ok(result) => result,
            Err(Gone) => Err(Outcome::ClientClosed),
        },
        () = gateway.cut() => Err(Outcome::Cut),
    };
    let (answer, upstream) = match result {
        Ok(answered) => answered,
        Err(outcome) => {
            let (status, bytes) = refuse::failed_handshake(outcome);
            let told = outcome != Outcome::ClientClosed && tell(gateway, &mut downstream, bytes).await;
            gateway.record(snapshot, &entry.record(Event::Handshake, told.then_some(status), outcome));
            return gateway.linger(downstream).await;
        }
    };
    let status = Some(answer.status);
    if answer.status != 101 {
        let patience = snapshot.config.limits.handshake_timeout;
        let outcome = tokio::select! {
            biased;
            outcome = pass_on(&mut downstream, answer, upstream, patience) => outcome,
            () = gateway.cut() => Outcome::Cut,
        };
        gateway.record(snapshot, &entry.record(Event::Handshake, status, outcome));
        return gateway.linger(downstream).await;
    }
    if !tell(gateway, &mut downstream, &answer.head).await {
        return gateway.record(snapshot, &entry.record(Event::Handshake, None, Outcome::ClientClosed));
    }
    gateway.record(snapshot, &entry.record(Event::Handshake, status, Outcome::Upgraded));
    tunnel(gateway, snapshot, downstream, upstream, answer.rest, &entry).await;
}

/// Writes to a client, unless it is gone or the process ends first.
async fn tell(gateway: &Gateway, downstream: &mut Downstream, bytes: &[u8]) -> bool {
    let written = async {
        downstream.write_all(bytes).await?;
        downstream.flush().await
    };
    tokio::select! {
        biased;
        written = written => written.is_ok(),
        () = gateway.cut() => false,
    }
}

/// Relays until the socket's end, and writes its line.
async fn tunnel(
    gateway: &Gateway,
    snapshot: &Snapshot,
    mut downstream: Downstream,
    mut upstream: Box<dyn Connection>,
    rest: BytesMut,
    entry: &Entry,
) {
    let open = gateway.metrics.websocket_opened();
    let started = Instant::now();
    downstream.expect_everything();
    let goodbye = Goodbye { phase: gateway.phase.clone(), close_code: snapshot.config.drain.close_code };
    let idle = snapshot.config.limits.idle_timeout;
    let summary = relay(&mut downstream, &mut upstream, rest.to_vec(), idle, goodbye).await;
    drop(open);
    let outcome = if summary.was_cut { Outcome::Cut } else { Outcome::Closed };
    let mut record = entry.record(Event::Close, Some(101), outcome);
    record.duration = started.elapsed();
    record.bytes_received = summary.received;
    record.bytes_sent = summary.sent;
    record.close_code = summary.close_code;
    record.closed_by = summary.closed_by;
    gateway.record(snapshot, &record);
}

/// The client reset the connection.
struct Gone;

/// Waits for the upstream, and meanwhile takes in what the client sends early.
async fn watched<T>(downstream: &mut Downstream, upstream: impl Future<Output = T>) -> Result<T, Gone> {
    let mut upstream = pin!(upstream);
    loop {
        if downstream.ahead().len() >= EARLY {
            return Ok(upstream.await);
        }
        tokio::select! {
            biased;
            answer = &mut upstream => return Ok(answer),
            read = downstream.read_ahead() => match read {
                // The client may have closed its half only; the relay passes that on.
                Ok(0) => return Ok(upstream.await),
                Ok(_) => {}
                // TLS without its close_notify is an end like any other.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(upstream.await),
                Err(_) => return Err(Gone),
            },
        }
    }
}

/// Sends the handshake and reads the answer's head.
async fn open(snapshot: &Snapshot, head: Vec<u8>) -> Result<(Answer, Box<dyn Connection>), Outcome> {
    let mut upstream = snapshot.upstream.connect().await.map_err(|error| {
        if error.kind() == io::ErrorKind::TimedOut {
            Outcome::UpstreamTimeout
        } else {
            Outcome::UpstreamUnreachable
        }
    })?;
    let answered = async {
        let sent = async {
            upstream.write_all(&head).await?;
            upstream.flush().await
        };
        sent.await.map_err(|_| Outcome::UpstreamReset)?;
        let mut bytes = BytesMut::with_capacity(1024);
        loop {
            if let Some(answer) = Answer::parse(&mut bytes)? {
                return Ok(answer);
            }
            match upstream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return Err(Outcome::UpstreamReset),
                Ok(_) => {}
            }
        }
    };
    let answer = timeout(snapshot.config.limits.handshake_timeout, answered)
        .await
        .unwrap_or(Err(Outcome::UpstreamTimeout))?;
    Ok((answer, upstream))
}

/// Passes on an answer that is not a 101, body and all; the body may pause for `patience`.
async fn pass_on(
    downstream: &mut Downstream,
    mut answer: Answer,
    mut upstream: Box<dyn Connection>,
    patience: Duration,
) -> Outcome {
    if downstream.write_all(&answer.head).await.is_err() {
        return Outcome::ClientClosed;
    }
    let in_chunks = answer.body.goes_on_in_chunks();
    let mut has_ended = false;
    loop {
        let Ok(body) = answer.body.take(&mut answer.rest) else { return Outcome::UpstreamMalformed };
        has_ended |= answer.body.is_complete();
        let mut piece = if in_chunks { chunk(&body).into() } else { body };
        if in_chunks && has_ended {
            piece = [&piece, LAST_CHUNK].concat().into();
        }
        if downstream.write_all(&piece).await.is_err() || downstream.flush().await.is_err() {
            return Outcome::ClientClosed;
        }
        if has_ended {
            return Outcome::Served;
        }
        match timeout(patience, upstream.read_buf(&mut answer.rest)).await {
            Ok(Ok(0)) if answer.body.ends_with_connection() => has_ended = true,
            Ok(Ok(0) | Err(_)) => return Outcome::UpstreamReset,
            Ok(Ok(_)) => {}
            Err(_) => return Outcome::UpstreamTimeout,
        }
    }
}
