//! Cookies of ours in the place of those that the agent server makes of its own credential.

use std::time::{Duration, SystemTime};

use http::{HeaderValue, header::SET_COOKIE};
use pingora::http::ResponseHeader;

use super::{Snapshot, edge::Edge};
use crate::{
    config::{Mode, keyring::Entry},
    handshake::cookie,
    secret::Wiped,
};

/// Gives a caller a cookie of its own wherever an answer would give it the agent server's. Where nothing can be given
/// instead, all stays as it is, to be withheld for what it gives away.
pub(super) fn give_ours(response: &mut ResponseHeader, snapshot: &Snapshot, caller: Option<&Entry>) {
    let Some(caller) = caller else { return };
    let lines = response.headers.get_all(SET_COOKIE);
    if !lines.iter().any(|line| cookie::is_given(line.as_bytes())) {
        return;
    }
    let Some((ours, seconds)) = made(snapshot, caller) else { return };
    let given = |line: &HeaderValue| {
        let given = cookie::given_instead(line.as_bytes(), ours.as_bytes(), seconds);
        given.and_then(|given| HeaderValue::from_bytes(&given).ok()).unwrap_or_else(|| line.clone())
    };
    let lines: Vec<_> = lines.iter().map(given).collect();
    response.remove_header(&SET_COOKIE);
    for line in lines {
        // It fails only where there is no room for as many fields as there were.
        let _ = response.append_header(SET_COOKIE, line);
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
