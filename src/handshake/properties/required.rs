//! The laws of the head that goes on where we decide about callers, for any bytes as a request head.

use std::{path::PathBuf, time::Duration};

use super::{
    FIELDS, Setting,
    naive::{self, Message},
};
use crate::{
    config::{Cookies, FirstMessage, PlainRequests, Require},
    handshake::{CredentialSource, Kind, Passage, Refusal, examine, head::Head},
    secret::Wiped,
};

const OURS: &[u8] = b"known-to-us-and-the-agent-server-only";
const COOKIE: &str = "oh_workspace_session_key";
const ENCODED: &str = "base64url.bearer.authorization.k8s.io.";
const PREFIX: &str = "openai-insecure-api-key.";

/// What a gateway decides by that takes every carrier.
fn require() -> Require {
    Require {
        keyring: PathBuf::new(),
        credential_file: PathBuf::new(),
        open_paths: Vec::new(),
        deny_paths: Vec::new(),
        first_message: FirstMessage::Accept,
        subprotocol_prefixes: vec![PREFIX.to_owned()],
        ticket_parameters: vec!["ticket".to_owned()],
        cookies: Some(Cookies { signing_key_file: PathBuf::new(), lifetime: Duration::MAX }),
    }
}

/// The carriers are tried in their order, and whoever presented a credential, it and all others end here: what goes
/// on has ours in its field and the caller's name, and nothing else that could be a credential.
///
/// Returns where the credential was, so that a test can tell that it has seen all of them.
///
/// # Errors
/// What the head was refused for.
///
/// # Panics
/// When a law does not hold.
pub fn deciding_is_sound(bytes: &[u8], setting: &Setting) -> Result<CredentialSource, Refusal> {
    let (require, rules) = (require(), &setting.rules);
    let head = Head::parse(bytes, FIELDS)?;
    let Some(came) = Message::read(bytes) else { return Err(Refusal::MalformedHead) };
    let examined = examine(&head, rules, Some(&require))?;
    assert_eq!(examined.source, source(&came, setting, examined.kind), "the first carrier that is there");
    let presented = examined.credential(rules).unwrap_or_default().to_vec();

    let passage = Passage::Verified { credential: &Wiped::copy_of(OURS), caller: "alice" };
    let admitted = examined.write(&head, rules, &setting.hop(), &passage)?;
    let goes = Message::read(admitted.head.as_bytes());
    assert!(goes.is_some(), "what goes on is not a whole head");
    let Some(goes) = goes else { return Err(Refusal::MalformedHead) };
    assert_eq!(goes.length, admitted.head.as_bytes().len(), "something follows the head that goes on");

    let ours = [rules.prefix.as_bytes(), OURS].concat();
    assert_eq!(naive::lines_like(&goes, rules.field.as_str()), [ours], "our credential, once");
    assert_eq!(naive::lines_like(&goes, "x-hushgate-caller"), [b"alice".to_vec()], "the caller, once");
    let lines = |name: &str| naive::lines_like(&goes, name).into_iter();
    assert!(lines("cookie").all(|line| !has_cookie(&latin1(&line))), "a cookie of ours");
    assert!(
        lines("sec-websocket-protocol").all(|line| !has_subprotocol(&latin1(&line))),
        "a subprotocol with a credential"
    );
    if examined.kind == Kind::OpeningHandshake {
        assert_eq!(lines("sec-websocket-extensions").count(), 0, "an extension");
        for names in [&rules.parameters, &require.ticket_parameters] {
            assert!(naive::normalise(&goes.target, names).credential.is_none(), "a credential in the URL");
        }
    }
    if goes.target.starts_with(b"/v1/") && rules.field != "authorization" {
        assert_eq!(lines("authorization").count(), 0, "a bearer token");
    }
    // What is short is in too much that is none, and only what is visible can be a key: otherwise elements that
    // we join could make one up. What is nobody's field but ours may be like it.
    let is_ours = |name: &str| name == rules.field.as_str() || name == "x-hushgate-caller";
    let holds = |value: &[u8]| value.windows(presented.len()).any(|part| part == presented);
    if presented.len() >= 8 && presented.iter().all(u8::is_ascii_graphic) {
        let held = goes.fields.iter().find(|(name, value)| !is_ours(name) && holds(value));
        assert!(held.is_none(), "what was presented goes on in another field");
    }
    Ok(examined.source)
}

/// Where the credential is, by the order of the carriers.
fn source(came: &Message, setting: &Setting, kind: Kind) -> CredentialSource {
    let is_opening = kind == Kind::OpeningHandshake;
    let all = |name: &str| {
        let named = came.fields.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| latin1(value)).collect::<Vec<_>>()
    };
    let is_in_query = |names: &[String]| naive::normalise(&came.target, names).credential.is_some();
    let target = latin1(&came.target);
    let path = target.split('?').next().unwrap_or_default();
    let is_promoted = setting.rules.plain_requests == PlainRequests::Promote;
    let is_bearer = |line: &String| line.split(' ').next().unwrap_or_default().eq_ignore_ascii_case("bearer");
    let is_read = matches!(came.method.as_str(), "GET" | "HEAD");
    let takes_cookies = is_opening || is_read && is_of_a_workspace(path);
    if (is_opening || is_promoted) && is_in_query(&setting.rules.parameters) {
        CredentialSource::Query
    } else if is_opening && is_in_query(&require().ticket_parameters) {
        CredentialSource::Ticket
    } else if !all(setting.rules.field.as_str()).is_empty() {
        CredentialSource::Field
    } else if is_opening && has_subprotocol(&all("sec-websocket-protocol").join(",")) {
        CredentialSource::Subprotocol
    } else if path.starts_with("/v1/") && all("authorization").first().is_some_and(is_bearer) {
        CredentialSource::Bearer
    } else if takes_cookies && all("cookie").iter().any(|line| has_cookie(line)) {
        CredentialSource::Cookie
    } else {
        CredentialSource::None
    }
}

/// As agent servers read fields.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn has_subprotocol(offered: &str) -> bool {
    let mut entries = offered.split(',').map(|entry| entry.trim_matches([' ', '\t']));
    entries.any(|entry| entry.starts_with(ENCODED) || entry.starts_with(PREFIX))
}

fn has_cookie(line: &str) -> bool {
    let is_blank = |letter: char| letter <= ' ' || letter.is_whitespace();
    let names = line.split(';').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name);
    names.map(|name| name.trim_matches(is_blank)).any(|name| name == COOKIE)
}

fn is_of_a_workspace(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/api/conversations/") else { return false };
    let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let is_id = !id.is_empty() && id.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
    let decoded = |path: &str| percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let climbs = |path: &str| {
        let ends = |letter: char| letter <= ' ' || matches!(letter, ';' | '?' | '#');
        path.split(['/', '\\']).any(|segment| segment.split(ends).next() == Some(".."))
    };
    let (once, twice) = (decoded(path), decoded(&decoded(path)));
    is_id
        && (rest == "workspace" || rest.starts_with("workspace/"))
        && ![path, &once, &twice].into_iter().any(climbs)
        && decoded(&twice) == twice
}
