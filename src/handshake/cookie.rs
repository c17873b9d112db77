//! The cookie by which browsers ask the agent server for the files of a workspace, where no page can set a field.
//!
//! The agent server makes it of the credential itself, and takes it for nothing but these files. What callers
//! get instead stands for them and can be taken away; it counts there as well, and in an opening handshake.

use super::{Kind, head::Head, query::split_once};
use crate::config::paths::{FEW_DECODINGS, climbs, may_be, path_of};

/// Its name.
pub const NAME: &str = "oh_workspace_session_key";

/// What presents a caller by the cookie, where it counts; of several the last, as for the agent server.
pub(super) fn presented<'a>(head: &Head<'a>, kind: Kind) -> Option<&'a [u8]> {
    let counts = match kind {
        Kind::OpeningHandshake => true,
        Kind::Plain => matches!(head.method, "GET" | "HEAD") && is_of_a_workspace(path_of(head.target)),
    };
    let lines = head.values("cookie").filter(|_| counts);
    lines.flat_map(pairs).filter_map(|pair| value_of(pair)).last()
}

/// The cookies of a field line but for ours; `None` where it has none of ours.
pub(super) fn others(line: &[u8]) -> Option<Vec<u8>> {
    pairs(line).find_map(value_of)?;
    let others: Vec<_> = pairs(line).filter(|pair| value_of(pair).is_none()).collect();
    let others = others.join(&b';');
    Some(others.trim_ascii().to_vec())
}

/// Whether a `Set-Cookie` line (RFC 6265 section 4.1) gives the cookie to a browser, and does not take it back.
pub fn is_given(line: &[u8]) -> bool {
    // Browsers make a pair without a name out of its value (RFC 6265bis section 5.6).
    let pair = pairs(line).next().unwrap_or_default().trim_ascii();
    let given = value_of(pair.strip_prefix(b"=").unwrap_or(pair));
    given.is_some_and(|value| !value.is_empty() && value != b"\"\"")
}

/// What such a line becomes: another value, for so many seconds, and shown to no script. Of what else it says, where it
/// goes on and how safely. `None` for any other line.
pub fn given_instead(line: &[u8], value: &[u8], seconds: u64) -> Option<Vec<u8>> {
    let mut parts = Some(pairs(line)).filter(|_| is_given(line))?;
    parts.next();
    let seconds = seconds.to_string();
    let parts = parts.map(<[u8]>::trim_ascii).filter(|part| {
        let (name, _) = split_once(part, b'=').unwrap_or((part, b""));
        let is = |known: &&str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
        ["path", "samesite", "secure", "partitioned"].iter().any(is)
    });
    let mut out = [NAME.as_bytes(), b"=", value, b"; HttpOnly; Max-Age=", seconds.as_bytes()].concat();
    for part in parts {
        out.extend_from_slice(b"; ");
        out.extend_from_slice(part);
    }
    Some(out)
}

/// What stands between semicolons.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';')
}

/// The value of a pair that is the cookie; without a `=` there is no name.
///
/// Agent servers strip more from a name than blanks, and take a field for Latin-1.
fn value_of(pair: &[u8]) -> Option<&[u8]> {
    let (name, value) = split_once(pair, b'=')?;
    let (before, rest) = name.split_at_checked(memchr::memmem::find(name, NAME.as_bytes())?)?;
    let mut around = before.iter().chain(rest.get(NAME.len()..)?);
    around.all(|byte| matches!(byte, 0..=b' ' | 0x85 | 0xa0)).then(|| value.trim_ascii())
}

/// Whether this is the path of a workspace's files, to every server: no segment leads out of it again.
fn is_of_a_workspace(path: &[u8]) -> bool {
    let mut segments = path.split(|byte| *byte == b'/');
    let begins = [&b""[..], b"api", b"conversations"].into_iter().all(|known| segments.next() == Some(known));
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let names_one = |name: &[u8]| !name.is_empty() && name.iter().all(is_plain);
    begins
        && segments.next().is_some_and(names_one)
        && segments.next() == Some(b"workspace")
        && !may_be(path, FEW_DECODINGS, climbs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_cookies_stay_as_they_came() {
        let others = |line: &str| others(line.as_bytes()).map(|line| String::from_utf8(line).unwrap());
        assert_eq!(others("a=1; b=2"), None);
        assert_eq!(others("oh_workspace_session_key=k").as_deref(), Some(""));
        assert_eq!(others("a=1;  b=\"2\"; oh_workspace_session_key=k").as_deref(), Some("a=1;  b=\"2\""));
        assert_eq!(others("oh_workspace_session_key=k; a=1;b").as_deref(), Some("a=1;b"));
        assert_eq!(
            others("a=1; \toh_workspace_session_key =k;oh_workspace_session_key=; b=2").as_deref(),
            Some("a=1; b=2")
        );
        // Names have a case, and end at the first sign of equality.
        assert_eq!(
            others("OH_workspace_session_key=k; a=oh_workspace_session_key=k; oh_workspace_session_key"),
            None
        );
        assert!(super::others(b"\x85oh_workspace_session_key\xa0=k").is_some());
    }

    #[test]
    fn what_is_given_says_the_rest_as_the_agent_server_does() {
        let given = |line: &str| {
            given_instead(line.as_bytes(), b"ours", 60).map(|line| String::from_utf8(line).unwrap())
        };
        let theirs = "oh_workspace_session_key=secret-one; HttpOnly; Max-Age=315360000; Path=/api/conversations; SameSite=none; Secure; Partitioned";
        let ours = "oh_workspace_session_key=ours; HttpOnly; Max-Age=60; Path=/api/conversations; SameSite=none; Secure; Partitioned";
        assert_eq!(given(theirs).as_deref(), Some(ours));
        assert_eq!(
            given(
                "=oh_workspace_session_key=\"k;expires = Fri, 01 Jan 2100 00:00:00 GMT;;MAX-AGE=1;Domain=a"
            )
            .as_deref(),
            Some("oh_workspace_session_key=ours; HttpOnly; Max-Age=60")
        );
        for taken_back in [
            "oh_workspace_session_key=\"\"; Max-Age=0",
            "oh_workspace_session_key=; Max-Age=0",
            "oh_app_backend_session=x",
            "a",
        ] {
            assert_eq!(given(taken_back), None, "{taken_back}");
        }
    }

    #[test]
    fn a_workspace_is_where_its_path_begins_and_stays() {
        for path in ["", "/", "/a/b.html", "/a%20b", "/..a/b..", "/%2541"] {
            let path = format!("/api/conversations/0f-1/workspace{path}");
            assert!(is_of_a_workspace(path.as_bytes()), "{path}");
        }
        for path in [
            "/api/conversations/0f-1",
            "/api/conversations/0f-1/workspaces",
            "/api/conversations//workspace/a",
            "/api/conversations/%2e%2e/workspace",
            "/api/conversations/../workspace/a",
            "/x/api/conversations/0f-1/workspace/a",
            "//api/conversations/0f-1/workspace/a",
            "/api/conversations/0f-1/workspace/../events",
            "/api/conversations/0f-1/workspace/%2e%2E/events",
            "/api/conversations/0f-1/workspace/%252e%252e/events",
            "/api/conversations/0f-1/workspace/a%5c..%5Cb",
            "/api/conversations/0f-1/workspace/..;a/b",
            "/api/conversations/0f-1/workspace/..%23/b",
            "/api/conversations/0f-1/workspace/..%00/b",
            "/api/conversations/0f-1/workspace%2Fa",
            "/api/Conversations/0f-1/workspace/a",
            "/api/conversations/0f-1/workspace/%25252525252541",
        ] {
            assert!(!is_of_a_workspace(path.as_bytes()), "{path}");
        }
    }
}
