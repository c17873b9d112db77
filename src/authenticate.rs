//! Who is this caller, and may they in?
//!
//! In `require` the keyring decides: [`admit`] takes what normalisation found, and gives back the entry
//! of the caller, or the [`Denial`]. It is pure: no I/O, no clock, no Pingora; what the time is, and which
//! keyring holds, is the caller's to say. Authentication never reads the query: the credential is what
//! [`Examined`] holds.

use std::time::SystemTime;

pub use self::keyring::{IndexKey, Keyring, Listed};
use crate::{
    config::{
        self, FirstMessage, Mode, Origins, Require,
        keyring::{Carrier, Entry},
    },
    handshake::{
        CredentialSource, Examined, Kind,
        head::{Body, Head},
    },
};

pub mod cookies;
mod keyring;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;

/// Why a caller is not let in, as a closed word. A client is never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Denial {
    /// The key's entry does not allow the way in which it was presented.
    Carrier,
    /// The key's time is over.
    Expired,
    /// The first message of a WebSocket that presented nothing before is none that could.
    FirstMessage,
    /// It did not come in time.
    FirstMessageTimeout,
    /// Nothing was presented.
    Missing,
    /// The key's time has not come.
    NotYetValid,
    /// The page's origin is not on the list: everybody's, or the key's.
    Origin,
    /// Nobody gets what is at this path.
    Path,
    /// The time of keys in URLs is over.
    Query,
    /// An address presents wrong keys too often.
    TooManyAttempts,
    /// The caller has as many sockets as it may.
    TooManySockets,
    /// So many sockets as may are waiting for a first message: of this address, or of all.
    TooManyUnverified,
    /// No entry has this credential.
    Unknown,
}

impl Denial {
    /// Every one there is.
    pub const ALL: [Self; 13] = [
        Self::Carrier,
        Self::Expired,
        Self::FirstMessage,
        Self::FirstMessageTimeout,
        Self::Missing,
        Self::NotYetValid,
        Self::Origin,
        Self::Path,
        Self::Query,
        Self::TooManyAttempts,
        Self::TooManySockets,
        Self::TooManyUnverified,
        Self::Unknown,
    ];

    /// The word for the log and for metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Carrier => "carrier_not_allowed",
            Self::Expired => "credential_expired",
            Self::FirstMessage => "first_message_invalid",
            Self::FirstMessageTimeout => "first_message_timeout",
            Self::Missing => "credential_missing",
            Self::NotYetValid => "credential_not_yet_valid",
            Self::Origin => "origin_not_allowed",
            Self::Path => "path_denied",
            Self::Query => "query_refused",
            Self::TooManyAttempts => "too_many_attempts",
            Self::TooManySockets => "too_many_sockets",
            Self::TooManyUnverified => "too_many_unverified",
            Self::Unknown => "credential_unknown",
        }
    }
}

/// Whose a credential is, or what stands for one.
pub struct Known {
    /// The caller's entry.
    pub entry: Listed,
    /// When that ends which stands for the credential, whatever the entry says.
    pub until: Option<SystemTime>,
}

impl From<Listed> for Known {
    fn from(entry: Listed) -> Self {
        Self { entry, until: None }
    }
}

/// How a request gets in.
pub enum Admission {
    /// The agent server decides.
    PassThrough,
    /// As far as its first message, which has to say who the caller is.
    Awaited,
    /// Nobody has to be known for this.
    Open,
    /// The caller was verified.
    Caller(Known),
}

/// What a request is not let in for, and whose key it presented, if that is known.
pub struct Denied {
    /// Why.
    pub denial: Denial,
    /// The entry of the key.
    pub entry: Option<Listed>,
}

impl Denied {
    /// Whether somebody tried a credential that does not let them in.
    pub fn is_failed_attempt(&self) -> bool {
        match self.denial {
            Denial::Carrier | Denial::Expired | Denial::NotYetValid | Denial::Unknown => true,
            // Otherwise the page was not let in, whatever it would have presented.
            Denial::Origin => self.entry.is_some(),
            Denial::FirstMessage
            | Denial::FirstMessageTimeout
            | Denial::Missing
            | Denial::Path
            | Denial::Query
            | Denial::TooManyAttempts
            | Denial::TooManySockets
            | Denial::TooManyUnverified => false,
        }
    }
}

impl From<Denial> for Denied {
    fn from(denial: Denial) -> Self {
        Self { denial, entry: None }
    }
}

/// The `Origin` of a request (RFC 6454 section 7): `None` of a program, and empty, which no list has, of
/// several lines.
pub fn origin<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    let first = head.values("origin").next()?;
    Some(if head.only("origin").is_some() { first } else { b"" })
}

/// Decides about a request. `find` knows the callers of `require` by what they present.
///
/// # Errors
/// What it is not let in for.
pub fn admit(
    head: &Head<'_>,
    examined: &Examined<'_>,
    rules: &config::Config,
    find: impl FnOnce(&[u8]) -> Option<Known>,
    now: SystemTime,
) -> Result<Admission, Denied> {
    let authentication = &rules.authentication;
    // First of all: a page that may not even ask.
    if examined.kind == Kind::OpeningHandshake
        && let Some(list) = &authentication.origins
        && !is_allowed(origin(head), Some(list))
    {
        return Err(Denial::Origin.into());
    }
    let Mode::Require(require) = &authentication.mode else {
        return refuse_late_query(examined, authentication, now).map(|()| Admission::PassThrough);
    };
    let is_denied = require.deny_paths.iter().any(|path| path.covers(head.target));
    if !is_denied && is_open(head, examined.kind, require) {
        return Ok(Admission::Open);
    }
    refuse_late_query(examined, authentication, now)?;
    let (Some(credential), Some(carrier)) =
        (examined.credential(&rules.handshake), examined.source.carrier())
    else {
        let is_awaited = examined.kind == Kind::OpeningHandshake
            && require.first_message == FirstMessage::Accept
            && !is_denied;
        return if is_awaited { Ok(Admission::Awaited) } else { Err(Denial::Missing.into()) };
    };
    if carrier == Carrier::Cookie && !may_use_cookies(head, examined.kind, authentication) {
        return Err(Denial::Origin.into());
    }
    // Visible ASCII, so that a digest means the same by every carrier.
    let is_usable = !credential.is_empty() && credential.iter().all(u8::is_ascii_graphic);
    let Some(Known { entry, until }) = Some(credential).filter(|_| is_usable).and_then(find) else {
        return Err(Denial::Unknown.into());
    };
    let is_over = until.is_some_and(|end| now >= end);
    let admitted = if is_over { Err(Denial::Expired) } else { entry.admits(now, carrier, origin(head)) };
    match admitted.and(if is_denied { Err(Denial::Path) } else { Ok(()) }) {
        Ok(()) => Ok(Admission::Caller(Known { entry, until })),
        Err(denial) => Err(Denied { denial, entry: Some(entry) }),
    }
}

impl Entry {
    /// Whether this entry lets its caller in at this moment.
    ///
    /// No origin is allowed by any entry: only browsers send one. What they present unasked, a cookie, is
    /// for [`admit`] to look at more closely.
    ///
    /// # Errors
    /// The first reason why it does not.
    pub fn admits(&self, now: SystemTime, carrier: Carrier, origin: Option<&[u8]>) -> Result<(), Denial> {
        if self.not_before.is_some_and(|from| now < from) {
            return Err(Denial::NotYetValid);
        }
        if self.expires.is_some_and(|to| now >= to) {
            return Err(Denial::Expired);
        }
        if self.carriers.is_some_and(|carriers| !carriers.contains(carrier)) {
            return Err(Denial::Carrier);
        }
        if is_allowed(origin, self.origins.as_ref()) { Ok(()) } else { Err(Denial::Origin) }
    }
}

/// Whether a list of origins lets a request in. What no page has sent needs no permission.
pub fn is_allowed(origin: Option<&[u8]>, list: Option<&Origins>) -> bool {
    match (list, origin) {
        (Some(list), Some(origin)) => list.allow(origin),
        (None, _) | (_, None) => true,
    }
}

/// Whether a page may use the cookie of its browser, which sends it unasked, whatever page there is.
///
/// A page that could read what it gets, or talk on, has to be on the list, and have a name. Where no origin is
/// named, files are shown, as in a frame or as an image; a page of another origin cannot have them run as its
/// own scripts or styles (Fetch Metadata Request Headers, sections 2.1 and 2.4).
fn may_use_cookies(head: &Head<'_>, kind: Kind, rules: &config::Authentication) -> bool {
    let field = |name| head.values(name).next().unwrap_or_default();
    match origin(head) {
        Some(page) => page != b"null" && rules.origins.as_ref().is_some_and(|list| list.allow(page)),
        None if kind == Kind::OpeningHandshake => false,
        None => match field("sec-fetch-site") {
            b"cross-site" | b"same-site" => matches!(
                field("sec-fetch-dest"),
                b"audio" | b"document" | b"embed" | b"frame" | b"iframe" | b"image" | b"object" | b"video"
            ),
            _ => true,
        },
    }
}

/// What anybody may ask: the open paths, and the question of a browser whether a page may ask (Fetch,
/// section 3.2.2), which never carries a credential.
fn is_open(head: &Head<'_>, kind: Kind, require: &Require) -> bool {
    let is_preflight = head.method == "OPTIONS"
        && head.only("origin").is_some()
        && head.only("access-control-request-method").is_some()
        && head.body == Body::Length(0);
    let is_read = matches!(head.method, "GET" | "HEAD");
    kind == Kind::Plain
        && (is_preflight || is_read && require.open_paths.iter().any(|path| path.is_of(head.target)))
}

fn refuse_late_query(
    examined: &Examined<'_>,
    rules: &config::Authentication,
    now: SystemTime,
) -> Result<(), Denied> {
    let is_over = rules.refuse_query_after.is_some_and(|end| now >= end);
    if is_over && examined.source == CredentialSource::Query { Err(Denial::Query.into()) } else { Ok(()) }
}
