//! An opening handshake that presents nothing, in `require`: we answer it ourselves, and nothing goes
//! upstream before its first message has said who the caller is.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Downstream, Entry, Gateway, Place, Snapshot,
    connection::{hold_back, judge, stop, tell_last},
    downstream::Taken,
    edge::{Decided, Going, Stopped},
    takeover::{Gone, Held, agree, relay, revoked, watched},
};
use crate::{
    access_log::{Event, Outcome},
    authenticate::Denial,
    handshake::{Accept, Hop},
    secret::Credential,
    websocket::{
        explained_close_for_client,
        first_message::{FirstMessage, Step},
    },
};

/// How long a client has for its first message, from our answer on: as long as at the agent server.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a client is told that is not let in, as the agent server tells it.
const FAILED: (u16, &str) = (4001, "Authentication failed");

/// What a client is told that may be let in another time (IANA's registry of close codes).
const LATER: (u16, &str) = (1013, "Try again later");

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
        let mut stopped = Stopped::denied(Event::Handshake, Denial::TooManyUnverified);
        stopped.aside.retry_after = Some(DEADLINE.as_secs());
        return stop(&gateway, &snapshot, downstream, entry, stopped).await;
    };
    let counted = gateway.metrics.websocket_unverified();
    let Stranger { head, accept, peer, is_tls, place } = stranger;
    let mut told = Told::Nothing;
    let heard = tokio::select! {
        biased;
        heard = timeout(DEADLINE, hear(&gateway, &mut downstream, &accept, &mut told)) => {
            heard.unwrap_or(Err(Outcome::Denied(Denial::FirstMessageTimeout)))
        }
        () = gateway.draining() => Err(Outcome::Cut),
    };
    drop((waits, counted));
    let hop = Hop { peer, is_tls, trusted_proxies: &snapshot.config.listen.trusted_proxies };
    let going = match heard {
        Ok(credential) => introduce(&gateway, &head, &snapshot, &hop, &mut entry, credential),
        Err(outcome) => Err((outcome, Duration::ZERO)),
    };
    drop(head);
    let opened = match going {
        Ok(Going { admitted, seat, .. }) => {
            let opened = tokio::select! {
                biased;
                () = revoked(seat.as_ref()) => Err(Outcome::Revoked),
                watched = watched(&mut downstream, agree(&snapshot, admitted.head, &accept)) => {
                    watched.unwrap_or_else(|Gone| Err(Outcome::ClientClosed))
                }
                () = gateway.cut() => Err(Outcome::Cut),
            };
            opened.map(|opened| (opened, seat))
        }
        Err((outcome, pause)) => {
            hold_back(&gateway, &snapshot, &mut downstream, &mut entry, pause).await;
            Err(outcome)
        }
    };
    let format = snapshot.config.access_log.format;
    match opened {
        Ok((opened, seat)) => {
            gateway.record(format, &entry.record(Event::Handshake, Some(101), Outcome::Upgraded));
            relay(gateway, &snapshot, downstream, opened, &entry, Held { place, seat });
        }
        Err(outcome) => {
            if told == Told::Whole {
                dismiss(&gateway, &snapshot, &mut downstream, outcome).await;
            }
            let status = (told != Told::Nothing).then_some(101);
            gateway.record(format, &entry.record(Event::Handshake, status, outcome));
            gateway.linger(downstream).await;
        }
    }
}

/// How far what a client is told has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Not even the answer.
    Nothing,
    /// The answer, and whole frames.
    Whole,
    /// The answer, and perhaps a part of a frame, behind which nothing can be said.
    Part,
}

/// Answers the handshake, and waits for a first message that presents a credential. Meanwhile pings are
/// answered.
async fn hear(
    gateway: &Gateway,
    downstream: &mut Downstream,
    accept: &Accept,
    told: &mut Told,
) -> Result<Credential, Outcome> {
    if !gateway.tell(downstream, &accept.answer()).await {
        return Err(Outcome::ClientClosed);
    }
    *told = Told::Whole;
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
            Step::Ping(reply) => {
                *told = Told::Part;
                if !gateway.tell(downstream, reply.as_bytes()).await {
                    return Err(Outcome::ClientClosed);
                }
                *told = Told::Whole;
            }
            Step::Close(reply) => {
                *told = Told::Part;
                let _ = gateway.tell(downstream, reply.as_bytes()).await;
                return Err(Outcome::ClientClosed);
            }
            Step::Whole => {
                let presented = message.authentication().and_then(|said| said.credential);
                return presented.ok_or(Outcome::Denied(Denial::FirstMessage));
            }
        }
    }
}

/// Decides about the handshake again, as if it had presented the credential itself.
///
/// # Errors
/// How it ends, and how long that is held back.
fn introduce(
    gateway: &Gateway,
    head: &[u8],
    snapshot: &Snapshot,
    hop: &Hop<'_>,
    entry: &mut Entry,
    credential: Credential,
) -> Result<Going, (Outcome, Duration)> {
    match judge(gateway, head, snapshot, hop, entry, Some(credential)) {
        Ok(Decided::Goes(going)) => Ok(going),
        Ok(Decided::Answered(_) | Decided::Awaits(_)) => {
            Err((Outcome::Denied(Denial::Missing), Duration::ZERO))
        }
        Err(stopped) => Err((stopped.outcome, stopped.aside.pause)),
    }
}

/// Tells a client that it does not go on.
async fn dismiss(gateway: &Gateway, snapshot: &Snapshot, downstream: &mut Downstream, outcome: Outcome) {
    let (code, reason) = match outcome {
        Outcome::ClientClosed => return,
        Outcome::Cut => (snapshot.config.drain.close_code, ""),
        Outcome::Denied(Denial::TooManySockets)
        | Outcome::Answered
        | Outcome::Closed
        | Outcome::InternalError
        | Outcome::Served
        | Outcome::Upgraded
        | Outcome::UpstreamMalformed
        | Outcome::UpstreamRefused
        | Outcome::UpstreamReset
        | Outcome::UpstreamTimeout
        | Outcome::UpstreamUnreachable
        | Outcome::Withheld => LATER,
        Outcome::Denied(_) | Outcome::Refused(_) | Outcome::Revoked => FAILED,
    };
    let _ = tell_last(gateway, downstream, &explained_close_for_client(code, reason)).await;
}
