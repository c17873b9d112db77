//! Paths with a rule of their own: those open to anybody, and those closed to all; and what a server behind us may
//! make of any path.

use std::borrow::Cow;

use super::value::Parsed;

/// How often a path is decoded at most. What still changes then is nothing that an honest client sends.
const MOST_DECODINGS: usize = 4;

/// The same where a path has to be one that every server reads alike.
pub(crate) const FEW_DECODINGS: usize = 2;

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
        may_be(path_of(target), MOST_DECODINGS, |path| self.covers_plain(path))
    }

    /// Whether a path, with nothing left to decode, may lead there.
    fn covers_plain(&self, path: &[u8]) -> bool {
        let climbs = climbs(path);
        // All ways to read the path at once: bit n says that the pattern's first n segments may have been met.
        let mut met = 1_u64;
        for segment in segments(path) {
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

/// Whether a path is such a one, or may be once a server has decoded it so many times; what is encoded more often
/// may be anything.
pub(crate) fn may_be(path: &[u8], decodings: usize, such: impl Fn(&[u8]) -> bool) -> bool {
    let mut path = Cow::Borrowed(path);
    for _ in 0..=decodings {
        if such(&path) {
            return true;
        }
        let Cow::Owned(decoded) = Cow::from(percent_encoding::percent_decode(&path)) else { return false };
        path = Cow::Owned(decoded);
    }
    true
}

/// Whether a segment leads up again.
pub(crate) fn climbs(path: &[u8]) -> bool {
    segments(path).any(|segment| named(segment) == b"..")
}

/// The segments of a path. Some servers take a backslash for a slash (WHATWG URL).
pub(crate) fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| matches!(byte, b'/' | b'\\'))
}

/// The path of a request target.
pub(crate) fn path_of(target: &[u8]) -> &[u8] {
    target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

/// A segment without its parameters, and without what may end a path where it is decoded first: `?` and
/// `#` where that is done twice, a line feed where routes are matched by regular expressions that end in `$`.
pub(crate) fn named(segment: &[u8]) -> &[u8] {
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

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;

    const CREDENTIALS: &str = "/api/conversations/*/runtime/credentials";

    fn denied(text: &str) -> DeniedPath {
        denied_path(text).unwrap()
    }

    #[test]
    fn an_open_path_has_one_spelling() {
        let open = open_path("/alive").unwrap();
        assert!(open.is_of(b"/alive") && open.is_of(b"/alive?a=b") && open.is_of(b"/alive?"));
        for target in
            ["/alive/", "//alive", "/Alive", "/%61live", "/alive;a", "/alive/../api", "/", "/alive%3F"]
        {
            assert!(!open.is_of(target.as_bytes()), "{target}");
        }
    }

    #[test]
    fn no_spelling_dodges_a_denial() {
        for target in [
            "/api/vscode/url",
            "/api/vscode/url?session_api_key=x",
            "/api/vscode/url/",
            "/api/vscode/url/below",
            "//api///vscode//url",
            "/./api/./vscode/./url/.",
            "/API/VsCode/URL",
            "/api/x/../vscode/url",
            "/x/../api/y/z/../../vscode/url",
            "/../../api/vscode/url",
            "/api//../vscode/url",
            "/api/vscode/x/%2e%2E/url",
            "/api/x/..;a=b/vscode/url",
            "/api;a/vscode;b=c/url;d",
            "/api/;/vscode/;a/url",
            "/%61pi/%76scode/%75rl",
            "/api%2Fvscode%2furl",
            "/api%252Fvscode%25252furl",
            "/%2561pi/vscode/url",
            "/api/vscode/url%3Fa=b",
            "/api/vscode/url%23",
            "/api/vscode/url%0A",
            "/api/vscode/url%00",
            "/api/vscode/url%20",
            "/api/vscode/url%ff/../url",
            "/runtime/42/api/vscode/url",
            "/api/vscode/%25252525252525252525url",
        ] {
            assert!(denied("/api/vscode/url").covers(target.as_bytes()), "{target}");
        }
        for target in [
            "/api/conversations/1/runtime/credentials",
            "/api/conversations/1/runtime/credentials/vscode",
            "/api/conversations/../runtime/credentials",
            "/api/conversations/%2e/runtime/credentials",
            "/api/conversations/./runtime/credentials",
            "/./api/conversations/;a/runtime/credentials",
            "/api/conversations/%0A/runtime/credentials",
            "/api/conversations//./1/runtime/./credentials",
            "/api/conversations/1%2Fruntime/credentials",
        ] {
            assert!(denied(CREDENTIALS).covers(target.as_bytes()), "{target}");
        }
    }

    #[test]
    fn what_is_not_denied_passes() {
        for target in [
            "/",
            "/api",
            "/api/vscode",
            "/api/vscode/status",
            "/api/vscode/url2",
            "/api/vscodeurl",
            "/api/x/vscode/url",
            "/api/file/download?path=/api/vscode/url",
            "/api/files/..%2Fsecret",
            "/api/vscode/%75r%6",
            "*",
            "",
        ] {
            assert!(!denied("/api/vscode/url").covers(target.as_bytes()), "{target}");
        }
        for target in [
            "/api/conversations/runtime/credentials",
            "/api/conversations/1/2/runtime/credentials",
            "/api/conversations/1/runtime",
            "/api/conversations//runtime/credentials",
        ] {
            assert!(!denied(CREDENTIALS).covers(target.as_bytes()), "{target}");
        }
    }

    #[test]
    fn a_path_that_is_meant_otherwise_is_refused() {
        for (text, expected) in [
            ("", "does not begin with `/`"),
            ("api", "does not begin with `/`"),
            ("/", "has an empty segment"),
            ("/api/", "has an empty segment"),
            ("/api//x", "has an empty segment"),
            ("/api?x", "has more than a path"),
            ("/api#x", "has more than a path"),
            ("/ap i", "is not visible ASCII"),
            ("/apé", "is not visible ASCII"),
            ("/%61pi", "is encoded or has parameters"),
            ("/api;x", "is encoded or has parameters"),
            ("/api/../x", "has a segment of dots"),
            ("/api/x*", "has `*` within a segment"),
            ("/*/*", "names no segment"),
            (&"/a".repeat(64), "has more than 63 segments"),
        ] {
            let found = denied_path(text).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
        assert!(denied(&"/a".repeat(63)).covers("/a".repeat(63).as_bytes()));
        assert!(!denied(&"/a".repeat(63)).covers("/a".repeat(62).as_bytes()));
        assert!(open_path("/").is_ok() && open_path("alive").is_err() && open_path("/alive?").is_err());
    }

    #[test]
    fn a_long_path_is_read_in_no_time() {
        for piece in ["%25", "/..", "/.", "/a", "%2525/"] {
            denied(CREDENTIALS).covers(piece.repeat(512 * 1024 / piece.len()).as_bytes());
        }
    }

    /// One way to write a segment so that a server may still read the same.
    fn respell(segment: &str, how: &[(u8, Index)]) -> String {
        let mut text = segment.to_owned();
        for (way, at) in how {
            let at = at.index(text.len());
            let byte = text.as_bytes()[at];
            match way % 3 {
                0 if byte.is_ascii() && text.is_char_boundary(at) => {
                    text.replace_range(at..=at, &format!("%{byte:02X}"));
                }
                1 => text = text.to_ascii_uppercase(),
                _ => text = text.to_ascii_lowercase(),
            }
        }
        text
    }

    proptest! {
        #[test]
        fn any_respelling_of_a_denied_path_is_denied(
            names in prop::collection::vec("[a-z]{1,6}|\\*", 1..6),
            filled in "[A-Za-z0-9_.~-]{1,8}",
            how in prop::collection::vec(prop::collection::vec((any::<u8>(), any::<Index>()), 0..4), 6),
            between in prop::collection::vec(
                prop::sample::select(vec!["/", "//", "/./", "/;a/", "/%2e/", "/x/../", "/x/%2E./", "%2F", "/%2f/", ";b/"]),
                7,
            ),
            more in "(/[a-z]{0,3}){0,3}(\\?[a-z=/]{0,9})?",
        ) {
            prop_assume!(names.iter().any(|name| name != "*"));
            let pattern = denied(&format!("/{}", names.join("/")));
            let mut target = "/".to_owned();
            for ((name, how), between) in names.iter().zip(&how).zip(&between) {
                target.push_str(between.trim_start_matches(";b"));
                target.push_str(&respell(if name == "*" { &filled } else { name }, how));
            }
            target.push_str(&more);
            prop_assert!(pattern.covers(target.as_bytes()), "{target}");
        }

        #[test]
        fn nothing_at_all_can_bring_it_down(target in prop::collection::vec(any::<u8>(), 0..200)) {
            denied(CREDENTIALS).covers(&target);
        }

        #[test]
        fn a_pattern_denies_itself(text in "(/([a-z]{1,3}|\\*|\\.|%41|a\\*)){1,5}/?") {
            if let Ok(pattern) = denied_path(&text) {
                prop_assert!(pattern.covers(text.as_bytes()));
            }
        }
    }
}
