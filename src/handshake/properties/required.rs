//! The laws of the head that goes on where we decide about callers, for any bytes as a request head.

use std::{path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    FIELDS, Setting,
    naive::{self, Message},
};
use crate::{
    config::{Cookies, FirstMessage, PlainRequests, Require},
    handshake::{CredentialSource, Kind, Passage, Refusal, cookie as given, examine, head::Head},
    secret::Wiped,
};

const OURS: &[u8] = b"known-to-us-and-the-agent-server-only";
const COOKIE: &str = "oh_workspace_session_key";
const ENCODED: &str = "base64url.bearer.authorization.k8s.io.";
const PREFIX: &str = "openai-insecure-api-key.";

/// The longest value that we write into a field ourselves: `keep-alive`.
const LONGEST_OF_OURS: usize = 10;

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
    let (source, expected) = presented(&came, setting, examined.kind);
    assert_eq!(examined.source, source, "the first carrier that is there");
    let presented = examined.credential(rules).unwrap_or_default().to_vec();
    // What is no UTF-8 is nobody's key; the second reading cannot say it.
    if !expected.contains('\u{fffd}') {
        let expected = if source == CredentialSource::Query || source == CredentialSource::Ticket {
            expected.into_bytes()
        } else {
            expected.chars().filter_map(|letter| u8::try_from(letter).ok()).collect()
        };
        assert_eq!(presented, expected, "the credential, of all that are there");
    }

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
    assert!(lines("cookie").all(|line| cookie(&latin1(&line)).is_none()), "a cookie of ours");
    assert!(
        lines("sec-websocket-protocol").all(|line| subprotocol(&latin1(&line)).is_none()),
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
    // Only what is visible can be a key: otherwise elements that we join could make one up. What is as short as what
    // we write ourselves, such as the peer's address and `websocket`, stands in that too.
    let is_ours = |name: &str| name == rules.field.as_str() || name == "x-hushgate-caller";
    let holds = |value: &[u8]| value.windows(presented.len()).any(|part| part == presented);
    if presented.len() > LONGEST_OF_OURS && presented.iter().all(u8::is_ascii_graphic) {
        let held = goes.fields.iter().find(|(name, value)| !is_ours(name) && holds(value));
        assert!(held.is_none(), "what was presented goes on in another field");
    }
    Ok(examined.source)
}

/// The laws of a cookie that is given instead of the agent server's, for any bytes as a `Set-Cookie` line.
///
/// # Panics
/// When one does not hold.
pub fn giving_is_sound(line: &[u8]) {
    let text = latin1(line);
    let pair = text.split(';').next().unwrap_or_default();
    let value = cookie(pair).or_else(|| {
        cookie(pair.trim_matches(|letter: char| letter.is_ascii_whitespace()).strip_prefix('=')?)
    });
    let is_given = value.is_some_and(|value| !value.is_empty() && value != "\"\"");
    assert_eq!(given::is_given(line), is_given, "whether it gives one");
    let Some(given) = given::given_instead(line, b"ours", 60) else {
        assert!(!is_given, "one that is given passes");
        return;
    };
    let text = latin1(&given).to_ascii_lowercase();
    let mut parts = text.split("; ");
    assert_eq!(parts.next(), Some("oh_workspace_session_key=ours"), "what is given");
    assert_eq!((parts.next(), parts.next()), (Some("httponly"), Some("max-age=60")), "how");
    let known = ["path", "samesite", "secure", "partitioned"];
    assert!(
        parts.all(|part| known.contains(&part.split('=').next().unwrap_or_default().trim())),
        "what else: {text}"
    );
    assert_eq!(given::given_instead(&given, b"ours", 60).as_ref(), Some(&given), "not stable");
}

/// Where the credential is, by the order of the carriers, and what it is: in Latin-1 but for the query's.
fn presented(came: &Message, setting: &Setting, kind: Kind) -> (CredentialSource, String) {
    let is_opening = kind == Kind::OpeningHandshake;
    let all = |name: &str| {
        let named = came.fields.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| latin1(value)).collect::<Vec<_>>()
    };
    let in_query = |names: &[String]| naive::normalise(&came.target, names).credential;
    let target = latin1(&came.target);
    let path = target.split('?').next().unwrap_or_default();
    let is_promoted = setting.rules.plain_requests == PlainRequests::Promote;
    let is_read = matches!(came.method.as_str(), "GET" | "HEAD");
    let of_handshake = |found: Option<String>| found.filter(|_| is_opening);
    let query = in_query(&setting.rules.parameters).filter(|_| is_opening || is_promoted);
    let field = all(setting.rules.field.as_str()).into_iter().next();
    let field = field.map(|value| value.strip_prefix(&setting.rules.prefix).unwrap_or_default().to_owned());
    let authorization = all("authorization").into_iter().next().filter(|_| path.starts_with("/v1/"));
    let cookies = all("cookie").into_iter().filter_map(|line| cookie(&line)).next_back();
    let found = [
        (CredentialSource::Query, query),
        (CredentialSource::Ticket, of_handshake(in_query(&require().ticket_parameters))),
        (CredentialSource::Field, field),
        (CredentialSource::Subprotocol, of_handshake(subprotocol(&all("sec-websocket-protocol").join(",")))),
        (CredentialSource::Bearer, authorization.and_then(|value| bearer(&value))),
        (CredentialSource::Cookie, cookies.filter(|_| is_opening || is_read && is_of_a_workspace(path))),
    ];
    let first = found.into_iter().find_map(|(source, value)| Some((source, value?)));
    first.unwrap_or((CredentialSource::None, String::new()))
}

fn bearer(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    let is_blank = |letter: char| letter.is_ascii_whitespace();
    scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim_matches(is_blank).to_owned())
}

/// As agent servers read fields.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// What the first entry that carries one carries.
fn subprotocol(offered: &str) -> Option<String> {
    let mut entries = offered.split(',').map(|entry| entry.trim_matches([' ', '\t']));
    entries.find_map(|entry| match entry.strip_prefix(ENCODED) {
        Some(encoded) => Some(latin1(&URL_SAFE_NO_PAD.decode(encoded).unwrap_or_default())),
        None => entry.strip_prefix(PREFIX).map(str::to_owned),
    })
}

/// The value of the last cookie of the name.
fn cookie(line: &str) -> Option<String> {
    let is_blank = |letter: char| letter <= ' ' || letter.is_whitespace();
    let pairs = line.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| name.trim_matches(is_blank) == COOKIE);
    named
        .next_back()
        .map(|(_, value)| value.trim_matches(|letter: char| letter.is_ascii_whitespace()).to_owned())
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
