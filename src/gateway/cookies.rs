//! Cookies of ours in the place of those that the agent server makes of its own credential.

use std::time::{Duration, SystemTime};

use http::{
    HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};
use pingora::http::ResponseHeader;

use super::Snapshot;
use crate::{
    authenticate::Listed,
    config::{Mode, keyring::Entry},
    handshake::{cookie, query::split_once},
    secret::Wiped,
};

/// What a cookie has to do with a request.
pub(super) enum Part {
    /// Nothing.
    None,
    /// It presents the caller.
    Presents,
    /// This caller asks for one.
    IsAskedFor(Listed),
}

/// An answer gives away what nobody may have.
pub(super) struct GivesAway;

/// Settles what an answer says of cookies, for a gateway that decides about callers.
///
/// # Errors
/// It gives a cookie of the agent server's to a browser, and ours cannot be given instead. Whatever the value is
/// made of and however it is quoted, it is that server's own credential.
pub(super) fn settle(
    response: &mut ResponseHeader,
    snapshot: &Snapshot,
    part: &Part,
) -> Result<(), GivesAway> {
    let is_given = response.headers.get_all(SET_COOKIE).iter().any(|line| cookie::is_given(line.as_bytes()));
    match part {
        Part::IsAskedFor(caller) if is_given && response.status.is_success() => {
            give_ours(response, &made(snapshot, caller).ok_or(GivesAway)?)?;
            say(response, "no-store");
        }
        Part::None | Part::Presents | Part::IsAskedFor(_) if is_given => return Err(GivesAway),
        // No cache between us and the browser sees who asks, and the browser's own has to ask again.
        Part::Presents if !response.status.is_informational() => {
            let stays = |line: &HeaderValue| {
                line.as_bytes().to_ascii_lowercase().windows(8).any(|word| word == b"no-store")
            };
            let is_stored = !response.headers.get_all(CACHE_CONTROL).iter().any(stays);
            say(response, if is_stored { "private, no-cache" } else { "no-store" });
        }
        Part::None | Part::Presents | Part::IsAskedFor(_) => {}
    }
    Ok(())
}

/// Whether the head of an answer gives such a cookie.
pub(super) fn are_given_in(head: &[u8]) -> bool {
    let is_given = |line: &[u8]| {
        let (name, value) = split_once(line, b':')?;
        Some(name.eq_ignore_ascii_case(SET_COOKIE.as_str().as_bytes()) && cookie::is_given(value))
    };
    head.split(|byte| *byte == b'\n').any(|line| is_given(line) == Some(true))
}

/// Says what caches may do with an answer, and takes away what some of them would rather hear (RFC 9213).
fn say(response: &mut ResponseHeader, caches: &'static str) {
    for name in ["cdn-cache-control", "surrogate-control"] {
        response.remove_header(name);
    }
    // It fails only where there is no room for another field.
    drop(response.insert_header(CACHE_CONTROL, caches));
}

/// Gives a cookie in the place of each that is given.
fn give_ours(response: &mut ResponseHeader, (ours, seconds): &(Wiped, u64)) -> Result<(), GivesAway> {
    let given = |line: &HeaderValue| match cookie::given_instead(line.as_bytes(), ours.as_bytes(), *seconds) {
        Some(given) => HeaderValue::from_bytes(&given).map_err(|_| GivesAway),
        None => Ok(line.clone()),
    };
    let lines = response.headers.get_all(SET_COOKIE).iter().map(given).collect::<Result<Vec<_>, _>>()?;
    response.remove_header(&SET_COOKIE);
    for line in lines {
        // As above: there were as many before.
        drop(response.append_header(SET_COOKIE, line));
    }
    Ok(())
}

/// A cookie for a caller, and for how many seconds: no longer than its key counts.
fn made(snapshot: &Snapshot, caller: &Entry) -> Option<(Wiped, u64)> {
    let now = SystemTime::now();
    let lifetime = lifetime(snapshot)?;
    let left = caller.expires.map(|end| end.duration_since(now).unwrap_or_default());
    let keys = snapshot.edge.as_ref()?.signing_keys.as_ref()?;
    Some((keys.seal(&caller.digest, now)?, left.unwrap_or(lifetime).min(lifetime).as_secs()))
}

/// How long a cookie counts, where callers get some.
pub(super) fn lifetime(snapshot: &Snapshot) -> Option<Duration> {
    match &snapshot.config.authentication.mode {
        Mode::Require(require) => require.cookies.as_ref().map(|cookies| cookies.lifetime),
        Mode::PassThrough => None,
    }
}
