//! Cookies of ours in the place of those that the agent server makes of its own credential.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{
    HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};
use pingora::http::ResponseHeader;

use super::{Snapshot, edge::Edge};
use crate::{
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
    IsAskedFor(Arc<Entry>),
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
            give_ours(response, &made(snapshot, caller).ok_or(GivesAway)?);
            say(response, "no-store");
        }
        Part::None | Part::Presents | Part::IsAskedFor(_) if is_given => return Err(GivesAway),
        // No cache between us and the browser sees who asks, and the browser's own has to ask again.
        Part::Presents if !response.status.is_informational() => say(response, "private, no-cache"),
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

/// Says what caches may do with an answer. It fails only where there is no room for another field.
fn say(response: &mut ResponseHeader, caches: &'static str) {
    drop(response.insert_header(CACHE_CONTROL, caches));
}

/// Gives a cookie in the place of each that is given.
fn give_ours(response: &mut ResponseHeader, (ours, seconds): &(Wiped, u64)) {
    let given = |line: &HeaderValue| {
        let given = cookie::given_instead(line.as_bytes(), ours.as_bytes(), *seconds);
        given.and_then(|given| HeaderValue::from_bytes(&given).ok()).unwrap_or_else(|| line.clone())
    };
    let lines: Vec<_> = response.headers.get_all(SET_COOKIE).iter().map(given).collect();
    response.remove_header(&SET_COOKIE);
    for line in lines {
        // As above: there were as many before.
        drop(response.append_header(SET_COOKIE, line));
    }
}

/// A cookie for a caller, and for how many seconds: no longer than its key counts.
fn made(snapshot: &Snapshot, caller: &Entry) -> Option<(Wiped, u64)> {
    let (Some(Edge { signing_keys: Some(keys), .. }), Mode::Require(require)) =
        (&snapshot.edge, &snapshot.config.authentication.mode)
    else {
        return None;
    };
    let now = SystemTime::now();
    let lifetime = require.cookies.as_ref()?.lifetime;
    let left = caller.expires.map(|end| end.duration_since(now).unwrap_or_default());
    let lifetime = Duration::from_secs(left.unwrap_or(lifetime).min(lifetime).as_secs());
    Some((keys.seal(&caller.digest, now.checked_add(lifetime)?)?, lifetime.as_secs()))
}
