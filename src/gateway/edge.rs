//! Authentication where it meets a connection: the keyring and our own credential, which a snapshot
//! holds, and what becomes of a request that was judged.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use tokio::time::Instant;

use super::{
    Entry, Gateway, Snapshot,
    callers::Seat,
    cookies,
    own::{self, Own},
    refuse::Aside,
    tickets::Purpose,
};
use crate::{
    access_log::{Event, Outcome},
    authenticate::{Admission, Denial, Denied, Keyring, Known, admit, cookies::SigningKeys, origin},
    config::{MAKES_COOKIES, keyring::Carrier, paths::path_of},
    handshake::{Accept, Admitted, CredentialSource, Examined, Hop, Kind, Passage, Refusal, head::Head},
    secret::Wiped,
};

mod files;

pub use self::files::{Mark, check_files};

/// What decides about callers in `require`.
#[derive(Clone)]
pub(super) struct Edge {
    /// Who may in.
    pub(super) keyring: Arc<Keyring>,
    /// Which version of its file that is.
    mark: Mark,
    /// What the agent server knows us by.
    pub(super) credential: Arc<Wiped>,
    /// What seals cookies, where callers get some.
    pub(super) signing_keys: Option<Arc<SigningKeys>>,
}

/// What becomes of a request that is not stopped.
pub(super) enum Decided {
    /// It was for us.
    Answered(Own),
    /// It goes as far as its first message, which has to say who its caller is.
    Awaits(Accept),
    /// It goes on.
    Goes(Going),
}

/// A request that goes on.
pub(super) struct Going {
    pub(super) admitted: Admitted,
    /// The place of a verified caller's socket.
    pub(super) seat: Option<Seat>,
    /// What a cookie has to do with it.
    pub(super) cookie: cookies::Part,
}

/// A request that does not.
pub(super) struct Stopped {
    pub(super) event: Event,
    pub(super) outcome: Outcome,
    pub(super) aside: Aside,
}

impl Stopped {
    /// A request that is refused before anybody looked at who sent it.
    pub(super) fn refused(event: Event, refusal: Refusal) -> Self {
        Self { event, outcome: Outcome::Refused(refusal), aside: Aside::default() }
    }

    /// A request that is not let in, without a word more than that.
    pub(super) fn denied(event: Event, denial: Denial) -> Self {
        Self { event, outcome: Outcome::Denied(denial), aside: Aside::default() }
    }
}

/// Decides about a request, and writes the head that goes on.
pub(super) fn decide(
    gateway: &Gateway,
    snapshot: &Snapshot,
    head: &Head<'_>,
    examined: &Examined<'_>,
    hop: &Hop<'_>,
    entry: &mut Entry,
) -> Result<Decided, Stopped> {
    let event = match examined.kind {
        Kind::OpeningHandshake => Event::Handshake,
        Kind::Plain => Event::Request,
    };
    let client = entry.client;
    let stop = |denied: Denied| stopped(gateway, snapshot, head, event, &denied, examined, client);
    let rules = &snapshot.config.handshake;
    let find = |presented: &[u8]| known(gateway, snapshot, head, examined, presented);
    let admission = admit(head, examined, &snapshot.config, find, SystemTime::now());
    let passed = admission.and_then(|admission| {
        let (Admission::Caller(caller), Some(carrier)) = (&admission, examined.source.carrier()) else {
            return Ok((admission, None));
        };
        entry.caller = Some(Arc::clone(&caller.entry.name));
        let is_socket = examined.kind == Kind::OpeningHandshake;
        let seat = is_socket.then(|| gateway.callers.seat(caller, carrier, origin(head))).transpose()?;
        Ok((admission, seat))
    });
    let (admission, seat) = passed.map_err(|denied| {
        if let Some(caller) = &denied.entry {
            entry.caller = Some(Arc::clone(&caller.name));
        }
        stop(denied)
    })?;
    if snapshot.decides() && examined.kind == Kind::Plain && own::is_ours(head.target) {
        let aside = aside(snapshot, head);
        match own::answer(gateway, snapshot, head, &admission, &aside) {
            Ok(None) => {}
            Ok(Some(own)) => return Ok(Decided::Answered(own)),
            Err(denied) => return Err(stop(denied)),
        }
    }
    let cookie = part_of_cookie(snapshot, head, examined, &admission).map_err(stop)?;
    let passage = match (&admission, &snapshot.edge) {
        (Admission::Awaited, _) => return Ok(Decided::Awaits(Accept::of(head))),
        (Admission::PassThrough, _) => Passage::AsPresented,
        (Admission::Caller(caller), Some(edge)) => {
            Passage::Verified { credential: &edge.credential, caller: &caller.entry.name }
        }
        (Admission::Open | Admission::Caller(_), _) => Passage::Bare,
    };
    match examined.write(head, rules, hop, &passage) {
        Ok(admitted) => Ok(Decided::Goes(Going { admitted, seat, cookie })),
        Err(refusal) => Err(Stopped::refused(event, refusal)),
    }
}

/// What a cookie has to do with a request of whoever is `admitted`.
///
/// # Errors
/// It asks for a cookie that its caller may not present.
fn part_of_cookie(
    snapshot: &Snapshot,
    head: &Head<'_>,
    examined: &Examined<'_>,
    admitted: &Admission,
) -> Result<cookies::Part, Denied> {
    let (Admission::Caller(caller), Some(edge)) = (admitted, &snapshot.edge) else {
        return Ok(cookies::Part::None);
    };
    if examined.source == CredentialSource::Cookie {
        return Ok(cookies::Part::Presents);
    }
    let asks = head.method == "POST" && path_of(head.target) == MAKES_COOKIES.as_bytes();
    if !asks || edge.signing_keys.is_none() {
        return Ok(cookies::Part::None);
    }
    let entry = &caller.entry;
    match entry.admits(SystemTime::now(), Carrier::Cookie, origin(head)) {
        Ok(()) => Ok(cookies::Part::IsAskedFor(entry.clone())),
        Err(denial) => Err(Denied { denial, entry: Some(entry.clone()) }),
    }
}

/// Whose it is what a request presents.
fn known(
    gateway: &Gateway,
    snapshot: &Snapshot,
    head: &Head<'_>,
    examined: &Examined<'_>,
    presented: &[u8],
) -> Option<Known> {
    let Edge { keyring, signing_keys, .. } = snapshot.edge.as_ref()?;
    let mut until = None;
    let found = match examined.source {
        CredentialSource::Ticket => {
            let path = path_of(head.target).into();
            let purpose = Purpose { path, origin: origin(head).map(Into::into) };
            keyring.of_digest(&gateway.tickets.redeem(presented, &purpose, Instant::now())?)
        }
        CredentialSource::Cookie => {
            let (digest, made) = signing_keys.as_ref()?.open(presented, SystemTime::now())?;
            until = Some(made.checked_add(cookies::lifetime(snapshot)?)?);
            keyring.of_digest(&digest)
        }
        CredentialSource::Bearer
        | CredentialSource::Field
        | CredentialSource::FirstMessage
        | CredentialSource::None
        | CredentialSource::Query
        | CredentialSource::Subprotocol => keyring.find(presented),
    };
    Some(Known { entry: found?, until })
}

/// What an answer to a request says beside itself.
fn aside(snapshot: &Snapshot, head: &Head<'_>) -> Aside {
    Aside { is_head_only: head.method == "HEAD", origin: readable_by(snapshot, head), ..Aside::default() }
}

/// What a denied request is answered with.
fn stopped(
    gateway: &Gateway,
    snapshot: &Snapshot,
    head: &Head<'_>,
    event: Event,
    denied: &Denied,
    examined: &Examined<'_>,
    client: Option<IpAddr>,
) -> Stopped {
    let mut aside = aside(snapshot, head);
    let per_minute = snapshot.config.limits.failed_attempts_per_minute;
    // Browsers send a cookie unasked, for as many images as a page has; and nobody guesses a seal.
    let is_attempt = denied.is_failed_attempt() && examined.source != CredentialSource::Cookie;
    let attempt = client.filter(|_| is_attempt);
    let limited = attempt.map(|client| gateway.limiter.failed(client, gateway.started.elapsed(), per_minute));
    let denial = if let Some(Err(limited)) = limited {
        aside.retry_after = Some(limited.retry_after);
        aside.pause = limited.pause;
        Denial::TooManyAttempts
    } else {
        denied.denial
    };
    Stopped { event, outcome: Outcome::Denied(denial), aside }
}

/// The origin whose pages may read an answer of ours: one that is on the list.
fn readable_by(snapshot: &Snapshot, head: &Head<'_>) -> Option<Box<str>> {
    let (origins, origin) = (snapshot.config.authentication.origins.as_ref()?, origin(head)?);
    std::str::from_utf8(origin).ok().filter(|_| origins.allow(origin)).map(Into::into)
}
