//! What a server behind us may make of a path.

use std::borrow::Cow;

use super::query::split_once;

/// How often a path is decoded in search of what a server could read it as.
const DECODINGS: usize = 3;

/// The path of a request target.
pub fn of(target: &[u8]) -> &[u8] {
    split_once(target, b'?').map_or(target, |(path, _)| path)
}

/// Whether a path is such a one, or may be once a server has decoded it, however often.
pub(super) fn may_be(path: &[u8], such: impl Fn(&[u8]) -> bool) -> bool {
    let mut path = Cow::Borrowed(path);
    for _ in 0..DECODINGS {
        if such(&path) {
            return true;
        }
        let Cow::Owned(decoded) = Cow::from(percent_encoding::percent_decode(&path)) else { return false };
        path = Cow::Owned(decoded);
    }
    true
}

/// The segments of a path, to servers that take a backslash for a slash, without their parameters, and without what
/// may end a path that was decoded first.
pub(super) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let segments = path.split(|byte| matches!(byte, b'/' | b'\\'));
    let ends = |byte: &u8| matches!(byte, 0..=b' ' | b';' | b'?' | b'#');
    segments.map(move |segment| segment.split(ends).next().unwrap_or_default())
}

/// Whether a segment leads up again.
pub(super) fn climbs(path: &[u8]) -> bool {
    segments(path).any(|segment| segment == b"..")
}
