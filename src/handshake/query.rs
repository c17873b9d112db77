//! Splitting, decoding and cutting a raw query.
//!
//! Works on raw bytes and never re-serialises: what is not cut keeps every byte. The rules are
//! those of the agent server (Starlette's `QueryParams`): `&` alone separates, a name ends at the
//! first `=`, `+` is a space, each valid `%XX` is decoded once, and an invalid escape stands as it
//! is. Splitting follows the `application/x-www-form-urlencoded` parser of the WHATWG URL standard.

use std::borrow::Cow;

use crate::secret::Credential;

/// A request target without its credential parameters.
pub struct Cut<'a> {
    /// The target that goes on. Borrowed when nothing was cut.
    pub target: Cow<'a, [u8]>,
    /// The decoded value of the last occurrence; a segment without `=` counts as empty.
    pub credential: Option<Credential>,
}

/// Cuts every segment whose decoded name is one of `parameters` out of the query of `target`.
///
/// Several parameters are aliases of each other: the last occurrence of any of them counts. If
/// nothing of the query is left, its `?` goes too.
pub fn cut<'a>(target: &'a [u8], parameters: &[String]) -> Cut<'a> {
    let Some((path, query)) = split_once(target, b'?') else {
        return Cut { target: Cow::Borrowed(target), credential: None };
    };
    let mut last = None;
    for segment in segments(query) {
        if segment.is_named(parameters) {
            last = Some(segment);
        }
    }
    let Some(last) = last else {
        return Cut { target: Cow::Borrowed(target), credential: None };
    };
    let mut kept = Vec::with_capacity(target.len());
    kept.extend_from_slice(path);
    let mut separator = b'?';
    for segment in segments(query).filter(|segment| !segment.is_named(parameters)) {
        kept.push(separator);
        kept.extend_from_slice(segment.raw);
        separator = b'&';
    }
    Cut { target: Cow::Owned(kept), credential: Some(Credential::new(decode(last.value).into_owned())) }
}

/// One `&`-separated piece of a query.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// The whole segment.
    pub raw: &'a [u8],
    /// What stands before the first `=`, or all of it.
    pub name: &'a [u8],
    /// What stands after the first `=`, or nothing.
    pub value: &'a [u8],
}

impl Segment<'_> {
    /// Whether the decoded name equals one of `names`, byte for byte.
    pub fn is_named(&self, names: &[String]) -> bool {
        if names.iter().all(|name| self.name.len() < name.len()) {
            return false;
        }
        if !is_encoded(self.name) {
            return names.iter().any(|name| name.as_bytes() == self.name);
        }
        // Compared as it is decoded: a name that is another's costs no memory.
        names.iter().any(|name| decoded(self.name).eq(name.bytes()))
    }
}

/// The segments of a query, in order, empty ones included.
pub fn segments(query: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    query.split(|byte| *byte == b'&').map(|raw| {
        let (name, value) = split_once(raw, b'=').unwrap_or((raw, b""));
        Segment { raw, name, value }
    })
}

/// Decodes a name or a value: `+` is a space, and each valid `%XX` is decoded once.
pub fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    if !is_encoded(raw) {
        return Cow::Borrowed(raw);
    }
    // Never longer than it was, so what may be a credential is not left behind by a growing vector.
    let mut out = Vec::with_capacity(raw.len());
    out.extend(decoded(raw));
    Cow::Owned(out)
}

/// Whether decoding changes anything of it, or might.
fn is_encoded(raw: &[u8]) -> bool {
    raw.iter().any(|byte| matches!(byte, b'+' | b'%'))
}

/// The decoded bytes, one after the other. No escape reaches across a `+`, so what stands between
/// two is decoded by itself, and a decoded `%2B` stays a plus.
fn decoded(raw: &[u8]) -> impl Iterator<Item = u8> {
    let mut pieces = raw.split(|byte| *byte == b'+').map(percent_encoding::percent_decode);
    let first = pieces.next().into_iter().flatten();
    first.chain(pieces.flat_map(|piece| std::iter::once(b' ').chain(piece)))
}

/// Splits at the first `separator`, which belongs to neither side.
pub fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    let (before, rest) = bytes.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}
