//! An opening handshake: our own to the upstream, its answer to the client, then the relay.
//!
//! Nothing of this passes through Pingora. Nothing of the client's but the handshake itself goes
//! upstream before the 101; what it sends early waits in the [`Downstream`] and follows.

use std::{
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

use super::{
    Downstream, Entry, Gateway, Place, Snapshot, Transport, callers::Seat, connection::watch_for_lost_peer,
    cookies, refuse,
};
use crate::{
    access_log::{Event, Outcome, Record},
    config::LogFormat,
    handshake::{Accept, CredentialSource},
    relay::{Ending, First, Goodbye, Limits, Relay, Revoked, Stream, Summary},
    secret::Wiped,
};

mod answer;

use self::answer::{Answer, LAST_CHUNK, chunk};

/// The most that is kept of what a client sends before the 101.
const EARLY: usize = 64 * 1024;

/// An opening handshake that goes on.
pub(super) struct Opening {
    /// Its head.
    pub(super) head: Wiped,
    /// What the client is told to be selected where the upstream selects nothing.
    pub(super) subprotocol: Option<Box<[u8]>>,
}

/// Carries an opening handshake to its end. The socket after it is relayed by a task of its own, which
/// keeps nothing of what a request needed.
pub(super) async fn run(
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    mut downstream: Downstream,
    opening: Opening,
    entry: Entry,
    held: Held,
) {
    let Opening { head, subprotocol } = opening;
    #[cfg(feature = "planted-leaks")]
    let head = crate::planted::into_head(head);
    let format = snapshot.config.access_log.format;
    let result = tokio::select! {
        biased;
        () = revoked(held.seat.as_ref()) => Err(Outcome::Revoked),
        watched = watched(&mut downstream, open(&snapshot, head)) => match watched {
            Ok(result) => result,
            Err(Gone) => Err(Outcome::ClientClosed),
        },
        () = gateway.cut() => Err(Outcome::Cut),
    };
    let (mut answer, upstream) = match result {
        Ok(answered) => answered,
        Err(outcome) => {
            let answer = refuse::Answer::to(outcome, Event::Handshake);
            let bytes = answer.bytes(&refuse::Aside::default());
            let told = outcome != Outcome::ClientClosed && gateway.tell(&mut downstream, &bytes).await;
            gateway.record(format, &entry.record(Event::Handshake, told.then_some(answer.status), outcome));
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
        gateway.record(format, &entry.record(Event::Handshake, status, outcome));
        return gateway.linger(downstream).await;
    }
    if let Some(subprotocol) = &subprotocol {
        answer.select(subprotocol);
    }
    if !gateway.tell(&mut downstream, &answer.head).await {
        return gateway.record(format, &entry.record(Event::Handshake, None, Outcome::ClientClosed));
    }
    gateway.record(format, &entry.record(Event::Handshake, status, Outcome::Upgraded));
    relay(gateway, &snapshot, downstream, Opened { upstream, lead: answer.rest }, &entry, held);
}

/// Ready once a verified caller is not let in any more.
pub(super) async fn revoked(seat: Option<&Seat>) {
    match seat {
        Some(seat) => seat.revoked().await,
        None => std::future::pending().await,
    }
}

/// A socket that the upstream has agreed to.
pub(super) struct Opened {
    pub(super) upstream: Box<dyn Stream>,
    /// What was read of it behind its answer's head.
    pub(super) lead: BytesMut,
}

/// Relays a socket in a task of its own.
pub(super) fn relay(
    gateway: Arc<Gateway>,
    snapshot: &Snapshot,
    downstream: Downstream,
    opened: Opened,
    entry: &Entry,
    held: Held,
) {
    // What the first message presented is not presented once more.
    let may_repeat = held.seat.is_some() && entry.source != CredentialSource::FirstMessage;
    let revoked = held.seat.map(|seat| -> Revoked { Box::pin(async move { seat.revoked().await }) });
    let config = &snapshot.config;
    let limits = Limits {
        idle: config.limits.idle_timeout,
        lifetime: config.limits.lifetime,
        half_closed: config.limits.vanished_timeout,
    };
    let (transport, early) = downstream.into_parts();
    let lead = Bytes::copy_from_slice(&opened.lead);
    let tunnel = Tunnel {
        goodbye: Goodbye {
            phase: gateway.phase(),
            departures: gateway.departures.clone(),
            close_code: config.drain.close_code,
        },
        gateway,
        record: entry.record(Event::Close, Some(101), Outcome::Closed),
        format: config.access_log.format,
        _place: held.place,
    };
    let first = First { early, lead, may_repeat };
    match transport {
        Transport::Tcp(client) => {
            watch_for_lost_peer(&client, config.limits.vanished_timeout);
            tunnel.spawn(Relay::new(client, opened.upstream, first, limits), revoked);
        }
        Transport::Tls(client) => {
            watch_for_lost_peer(client.transport(), config.limits.vanished_timeout);
            tunnel.spawn(Relay::new(client, opened.upstream, first, limits), revoked);
        }
    }
}

/// The places of a connection, given back when its socket is gone.
pub(super) struct Held {
    pub(super) place: Place,
    /// Among the sockets of its caller, where we verified one.
    pub(super) seat: Option<Seat>,
}

/// What stays of a request while its socket is relayed.
struct Tunnel {
    gateway: Arc<Gateway>,
    goodbye: Goodbye,
    /// The line to be written at its end.
    record: Record,
    format: LogFormat,
    _place: Place,
}

impl Tunnel {
    /// Relays in a task of its own, counts the socket meanwhile, and writes its line.
    fn spawn<D>(mut self, mut relay: Relay<D, Box<dyn Stream>>, revoked: Option<Revoked>)
    where
        D: Stream + 'static,
    {
        tokio::spawn(async move {
            let open = self.gateway.metrics.websocket_opened();
            let started = Instant::now();
            let summary = relay.run(&self.goodbye, revoked).await;
            drop(open);
            self.record.duration = started.elapsed();
            self.finish(&summary);
        });
    }

    /// Writes the line.
    fn finish(&mut self, summary: &Summary) {
        let record = &mut self.record;
        record.outcome = match summary.ending {
            Ending::ByItself => Outcome::Closed,
            Ending::Cut => Outcome::Cut,
            Ending::Revoked => Outcome::Revoked,
        };
        record.time = SystemTime::now();
        record.bytes_received = summary.received;
        record.bytes_sent = summary.sent;
        record.closing = Some(summary.closing);
        self.gateway.record(self.format, record);
    }
}

/// The client reset the connection.
pub(super) struct Gone;

/// Waits for the upstream, and meanwhile takes in what the client sends early.
pub(super) async fn watched<T>(
    downstream: &mut Downstream,
    upstream: impl Future<Output = T>,
) -> Result<T, Gone> {
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
async fn open(snapshot: &Snapshot, head: Wiped) -> Result<(Answer, Box<dyn Stream>), Outcome> {
    let mut upstream = snapshot.upstream.connect().await.map_err(|error| {
        if error.kind() == io::ErrorKind::TimedOut {
            Outcome::UpstreamTimeout
        } else {
            Outcome::UpstreamUnreachable
        }
    })?;
    let answered = async {
        let sent = async {
            upstream.write_all(head.as_bytes()).await?;
            upstream.flush().await
        };
        sent.await.map_err(|_| Outcome::UpstreamReset)?;
        drop(head);
        let mut bytes = BytesMut::with_capacity(1024);
        loop {
            if let Some(answer) = Answer::parse(&mut bytes)? {
                let is_given_away = snapshot.decides()
                    && (snapshot.is_given_away_in(&answer.head) || cookies::are_given_in(&answer.head));
                return if is_given_away { Err(Outcome::Withheld) } else { Ok(answer) };
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

/// Has the upstream agree to what we have agreed to.
pub(super) async fn agree(snapshot: &Snapshot, head: Wiped, accept: &Accept) -> Result<Opened, Outcome> {
    let (answer, upstream) = open(snapshot, head).await?;
    if answer.status != 101 {
        return Err(Outcome::UpstreamRefused);
    }
    if !answer.is_agreed(accept) {
        return Err(Outcome::UpstreamMalformed);
    }
    Ok(Opened { upstream, lead: answer.rest })
}

/// Passes on an answer that is not a 101, body and all; the body may pause for `patience`.
async fn pass_on(
    downstream: &mut Downstream,
    mut answer: Answer,
    mut upstream: Box<dyn Stream>,
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
