//! An opening handshake that presents nothing, in `require`: we answer it ourselves, and nothing goes
//! upstream before its first message has said who the caller is.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt, time::timeout};

use super::{
    Downstream, Entry, Gateway, Place, Snapshot,
    connection::{judge, stop},
    downstream::Taken,
    edge::{Decided, Going, Stopped},
    takeover::{Gone, Held, agree, relay, watched},
};
use crate::{
    access_log::{Event, Outcome},
    authenticate::Denial,
    handshake::{Accept, Hop},
    phase::Phase,
    secret::Credential,
    websocket::{
        close_for_client, explained_close_for_client,
        first_message::{FirstMessage, Step},
    },
};

/// How long a client has for its first message, from our answer on: as long as at the agent server.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a client is told that is not let in, as the agent server tells it.
const FAILED: (u16, &str) = (4001, "Authentication failed");

/// What a client is told that may be let in another time (IANA's registry of close codes).
const LATER: (u16, &str) = (1013, "Try again later");

/// How long what a client is told at last may take to be written.
const LAST_WORD: Duration = Duration::from_secs(5);

/// Who has yet to say who it is.
pub(super) struct Stranger {
    /// Its opening handshake, which is judged once more when it has.
    pub(super) head: Taken,
    /// What answers it.
    pub(super) accept: Accept,
    pub(super) peer: Option<IpAddr>,
    pub(super) is_tls: bool,
    pub(super) place: Place,
}

/// Carries such a handshake to its end.
pub(super) async fn run(
    gateway: Arc<Gateway>,
    snapshot: Arc<Snapshot>,
    mut downstream: Downstream,
    stranger: Stranger,
    mut entry: Entry,
) {
    let Some(waits) = gateway.unverified.wait(entry.client, &snapshot.config.limits) else {
        let stopped = Stopped::denied(Event::Handshake, Denial::TooManyUnverified);
        return stop(&gateway, &snapshot, downstream, entry, stopped).await;
    };
    let counted = gateway.metrics.websocket_unverified();
    let Stranger { head, accept, peer, is_tls, place } = stranger;
    let heard = tokio::select! {
        biased;
        heard = timeout(DEADLINE, hear(&gateway, &mut downstream, &accept)) => {
            heard.unwrap_or(Err(Outcome::Denied(Denial::FirstMessageTimeout)))
        }
        () = draining(&gateway) => Err(Outcome::Cut),
    };
    drop((waits, counted));
    let hop = Hop { peer, is_tls, trusted_proxies: &snapshot.config.listen.trusted_proxies };
    let going =
        heard.and_then(|credential| introduce(&gateway, &head, &snapshot, &hop, &mut entry, credential));
    drop(head);
    let opened = match going {
        Ok(Going { admitted, seat }) => {
            let opened = tokio::select! {
                biased;
                watched = watched(&mut downstream, agree(&snapshot, admitted.head, &accept)) => {
                    watched.unwrap_or_else(|Gone| Err(Outcome::ClientClosed))
                }
                () = gateway.cut() => Err(Outcome::Cut),
            };
            opened.map(|opened| (opened, seat))
        }
        Err(outcome) => Err(outcome),
    };
    let format = snapshot.config.access_log.format;
    match opened {
        Ok((opened, seat)) => {
            gateway.record(format, &entry.record(Event::Handshake, Some(101), Outcome::Upgraded));
            relay(gateway, &snapshot, downstream, opened, &entry, Held { place, seat });
        }
        Err(outcome) => {
            dismiss(&snapshot, &mut downstream, outcome).await;
            gateway.record(format, &entry.record(Event::Handshake, Some(101), outcome));
            gateway.linger(downstream).await;
        }
    }
}

/// Answers the handshake, and waits for a first message that presents a credential. Meanwhile pings are
/// answered.
async fn hear(
    gateway: &Gateway,
    downstream: &mut Downstream,
    accept: &Accept,
) -> Result<Credential, Outcome> {
    if !gateway.tell(downstream, &accept.answer()).await {
        return Err(Outcome::ClientClosed);
    }
    let mut message = FirstMessage::default();
    loop {
        let taken = message.take(downstream.ahead()).map_err(|_| Outcome::Denied(Denial::FirstMessage))?;
        let Some((length, step)) = taken else {
            match downstream.read_ahead().await {
                Ok(1..) => continue,
                Ok(0) | Err(_) => return Err(Outcome::ClientClosed),
            }
        };
        let _frame = downstream.take_ahead(length);
        match step {
            Step::Part | Step::Pong => {}
            Step::Ping(pong) => send(downstream, pong.as_bytes()).await?,
            Step::Close(code) => {
                let reply = code.map_or_else(|| vec![0x88, 0], |code| close_for_client(code).to_vec());
                send(downstream, &reply).await?;
                return Err(Outcome::ClientClosed);
            }
            Step::Whole => {
                let presented = message.authentication().and_then(|said| said.credential);
                return presented.ok_or(Outcome::Denied(Denial::FirstMessage));
            }
        }
    }
}

async fn send(downstream: &mut Downstream, frame: &[u8]) -> Result<(), Outcome> {
    let sent = async {
        downstream.write_all(frame).await?;
        downstream.flush().await
    };
    sent.await.map_err(|_| Outcome::ClientClosed)
}

/// Decides about the handshake again, as if it had presented the credential itself.
fn introduce(
    gateway: &Gateway,
    head: &[u8],
    snapshot: &Snapshot,
    hop: &Hop<'_>,
    entry: &mut Entry,
    credential: Credential,
) -> Result<Going, Outcome> {
    match judge(gateway, head, snapshot, hop, entry, Some(credential)) {
        Ok(Decided::Goes(going)) => Ok(going),
        Ok(Decided::Answered(_) | Decided::Awaits(_)) => Err(Outcome::Denied(Denial::Missing)),
        Err(stopped) => Err(stopped.outcome),
    }
}

/// Tells a client that it does not go on.
async fn dismiss(snapshot: &Snapshot, downstream: &mut Downstream, outcome: Outcome) {
    let (code, reason) = match outcome {
        Outcome::ClientClosed => return,
        Outcome::Cut => (snapshot.config.drain.close_code, ""),
        Outcome::Denied(Denial::TooManySockets)
        | Outcome::Answered
        | Outcome::Closed
        | Outcome::InternalError
        | Outcome::Revoked
        | Outcome::Served
        | Outcome::Upgraded
        | Outcome::UpstreamMalformed
        | Outcome::UpstreamRefused
        | Outcome::UpstreamReset
        | Outcome::UpstreamTimeout
        | Outcome::UpstreamUnreachable
        | Outcome::Withheld => LATER,
        Outcome::Denied(_) | Outcome::Refused(_) => FAILED,
    };
    // Whoever does not read it holds its place no longer.
    let frame = explained_close_for_client(code, reason);
    let _ = timeout(LAST_WORD, send(downstream, &frame)).await;
}

/// Ready once the process is on its way to its end.
async fn draining(gateway: &Gateway) {
    let mut phase = gateway.phase();
    drop(phase.wait_for(|phase| *phase >= Phase::Draining).await);
}
