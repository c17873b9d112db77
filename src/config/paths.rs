//! Paths with a rule of their own: those open to anybody, and those closed to all.

use std::borrow::Cow;

use super::value::Parsed;

/// How often a path is decoded at most. What still changes then is nothing that an honest client sends.
const MOST_DECODINGS: usize = 4;

/// The most segments of a [`DeniedPath`]: one bit of a `u64` each, and one for none.
const MOST_SEGMENTS: usize = 63;

/// A path that is open to anybody: exactly these bytes before the query, in no other spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPath(String);

impl OpenPath {
    /// Whether the path of a request target (RFC 9112 section 3.2.1) is this one.
    pub fn is_of(&self, target: &[u8]) -> bool {
        path_of(target) == self.0.as_bytes()
    }
}

/// One path that is open to anybody.
pub(super) fn open_path(text: &str) -> Parsed<OpenPath> {
    origin_form(text, "write for example \"/alive\"")?;
    Ok(OpenPath(text.to_owned()))
}

/// A path that is closed to all, with everything below it. A segment `*` stands for any one segment.
///
/// A denial may be too broad, never too narrow: whatever a server makes of a path, if it may arrive
/// at what is denied, the path is covered. So a path is read as it is and decoded, once as agent servers
/// do and again until nothing changes. Letters are compared without their case. Empty segments, `.`,
/// parameters (`;…`) and what follows a control character count as if they were there and as if they
/// were not. Where there is a `..`, any segment may be gone. And since an agent server may serve its
/// paths below a prefix as well (`root_path` in ASGI), the pattern may begin at any segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedPath(Vec<Segment>);

/// A segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// Any one that is not empty.
    Any,
    /// This one.
    Named(String),
}

impl DeniedPath {
    /// Whether a request target may lead to this path or below it.
    pub fn covers(&self, target: &[u8]) -> bool {
        let mut path = Cow::Borrowed(path_of(target));
        for _ in 0..=MOST_DECODINGS {
            if self.covers_plain(&path) {
                return true;
            }
            let Cow::Owned(decoded) = Cow::from(percent_encoding::percent_decode(&path)) else {
                return false;
            };
            path = Cow::Owned(decoded);
        }
        true
    }

    /// Whether a path, with nothing left to decode, may lead there.
    fn covers_plain(&self, path: &[u8]) -> bool {
        let segments = || path.split(|byte| *byte == b'/');
        let climbs = segments().any(|segment| named(segment) == b"..");
        // All ways to read the path at once: bit n says that the pattern's first n segments may have been met.
        let mut met = 1_u64;
        for segment in segments() {
            let may_be_gone = climbs || matches!(named(segment), b"" | b".");
            let mut next = if may_be_gone { met | 1 } else { 1 };
            for (number, wanted) in self.0.iter().enumerate() {
                if met >> number & 1 == 1 && wanted.is_met_by(segment) {
                    next |= 2 << number;
                }
            }
            met = next;
            if met >> self.0.len() & 1 == 1 {
                return true;
            }
        }
        false
    }
}

impl Segment {
    fn is_met_by(&self, segment: &[u8]) -> bool {
        match self {
            Self::Any => !segment.is_empty(),
            Self::Named(name) => name.as_bytes().eq_ignore_ascii_case(named(segment)),
        }
    }
}

/// One path that is closed to all.
pub(super) fn denied_path(text: &str) -> Parsed<DeniedPath> {
    const WRITE: &str =
        "write for example \"/api/vscode/url\" or \"/api/conversations/*/runtime/credentials\"";
    origin_form(text, WRITE)?;
    if text.contains(['%', ';']) {
        return Err(format!("is encoded or has parameters; write the path as it is meant, {WRITE}"));
    }
    let segment = |text: &str| match text {
        "" => Err(format!(
            "has an empty segment, and a denial covers what is below it; write it without a slash at its end, {WRITE}"
        )),
        "." | ".." => Err(format!("has a segment of dots; write the path that is meant, {WRITE}")),
        "*" => Ok(Segment::Any),
        text if text.contains('*') => {
            Err(format!("has `*` within a segment, and it stands for a whole one; {WRITE}"))
        }
        text => Ok(Segment::Named(text.to_owned())),
    };
    let segments = text.split('/').skip(1).map(segment).collect::<Parsed<Vec<_>>>()?;
    if segments.len() > MOST_SEGMENTS {
        return Err(format!("has more than {MOST_SEGMENTS} segments; write a shorter path above it"));
    }
    if segments.iter().all(|segment| *segment == Segment::Any) {
        return Err(format!("names no segment, and so would deny any path; {WRITE}"));
    }
    Ok(DeniedPath(segments))
}

/// The path of a request target.
fn path_of(target: &[u8]) -> &[u8] {
    target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

/// A segment without its parameters, and without what may end a path where it is decoded first: `?` and
/// `#` where that is done twice, a line feed where routes are matched by regular expressions that end in `$`.
fn named(segment: &[u8]) -> &[u8] {
    segment.split(|byte| matches!(byte, 0..=b' ' | b';' | b'?' | b'#')).next().unwrap_or_default()
}

/// Whether this can be the path of a request target.
fn origin_form(text: &str, write: &str) -> Parsed<()> {
    if !text.starts_with('/') {
        return Err(format!("does not begin with `/`; {write}"));
    }
    if text.contains(['?', '#']) {
        return Err(format!("has more than a path; {write}"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("is not visible ASCII; {write}"));
    }
    Ok(())
}
