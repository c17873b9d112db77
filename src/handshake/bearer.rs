//! A credential as a bearer token, which clients of `OpenAI`'s interface present below `/v1/`.

use std::borrow::Cow;

use super::{head::Head, query::split_once};

/// How often a path is decoded in search of what a server could read it as.
const DECODINGS: usize = 3;

/// What follows `Bearer` (RFC 6750 section 2.1). It counts below `/v1/`, byte for byte, and nowhere else.
pub(super) fn credential<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    let value = head.values("authorization").next().filter(|_| head.target.starts_with(b"/v1/"))?;
    let (scheme, credential) = split_once(value, b' ').unwrap_or((value, b""));
    scheme.eq_ignore_ascii_case(b"bearer").then(|| credential.trim_ascii())
}

/// Whether a server could read a target as one below `/v1/`, so that a token is not for anybody else.
pub(super) fn may_count(target: &[u8]) -> bool {
    let mut path = Cow::Borrowed(split_once(target, b'?').map_or(target, |(path, _)| path));
    for _ in 0..DECODINGS {
        let segments = || path.split(|byte| matches!(byte, b'/' | b'\\'));
        let first = segments().find(|segment| !matches!(*segment, b"" | b"."));
        let name = first.and_then(|first| first.split(|byte| *byte == b';').next()).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"v1") || segments().any(|segment| segment == b"..") {
            return true;
        }
        let Cow::Owned(decoded) = Cow::from(percent_encoding::percent_decode(&path)) else { return false };
        path = Cow::Owned(decoded);
    }
    true
}
