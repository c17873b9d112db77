//! A credential as a bearer token, which clients of `OpenAI`'s interface present below `/v1/`.

use super::{head::Head, query::split_once};
use crate::config::paths::{FEW_DECODINGS, climbs, may_be, named, path_of, segments};

/// What follows `Bearer` (RFC 6750 section 2.1). It counts below `/v1/`, byte for byte, and nowhere else.
pub(super) fn credential<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    let value = head.values("authorization").next().filter(|_| head.target.starts_with(b"/v1/"))?;
    let (scheme, credential) = split_once(value, b' ').unwrap_or((value, b""));
    scheme.eq_ignore_ascii_case(b"bearer").then(|| credential.trim_ascii())
}

/// Whether a server could read a target as one below `/v1/`, so that a token is not for anybody else.
pub(super) fn may_count(target: &[u8]) -> bool {
    may_be(path_of(target), FEW_DECODINGS, |path| {
        let first = segments(path).map(named).find(|segment| !matches!(*segment, b"" | b"."));
        first.is_some_and(|name| name.eq_ignore_ascii_case(b"v1")) || climbs(path)
    })
}
