//! The laws of scrubbing, stated once. A law takes bytes and panics when it does not hold; generated
//! tests and the fuzz target `scrub` share them.

use super::{
    AHEAD, BEHIND, Finding, Names, Scrubber, Sink,
    known::{Judge, Known},
};

#[cfg(test)]
mod generated;

/// A credential that stands in no text of its own accord, and of no characters with a meaning.
pub const PLANTED: &str = "Zq7-planted.9x~Kw_4";

/// What came of a text.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// The text.
    pub text: Vec<u8>,
    /// What was found, as `carrier=value`, or the carrier alone for a value that is too long.
    pub found: Vec<String>,
}

impl Sink for Scrubbed {
    fn text(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    fn found(&mut self, finding: Finding<'_>) {
        let value = finding.value.map(|value| format!("={}", String::from_utf8_lossy(value)));
        self.found.push(format!("{}{}", finding.carrier, value.unwrap_or_default()));
    }
}

/// Scrubs a text that comes in these pieces.
pub fn scrubbed(names: &Names, pieces: &[&[u8]]) -> Scrubbed {
    let mut scrubber = Scrubber::new(names.clone());
    let mut given = Scrubbed::default();
    pieces.iter().for_each(|piece| scrubber.feed(piece, &mut given));
    scrubber.finish(&mut given);
    given
}

/// Cuts a text into pieces of these lengths, over and over.
fn cut<'a>(text: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut rest = text;
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle().take(text.len()) {
        let (piece, behind) = rest.split_at(rest.len().min(usize::from(*length).max(1)));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    pieces
}

/// The laws of scrubbing for any bytes as a text, cut into pieces of these lengths.
///
/// # Panics
/// When one does not hold.
pub fn scrubbing_is_sound(text: &[u8], lengths: &[u8]) {
    let names = Names::default();
    let whole = scrubbed(&names, &[text]);
    assert_eq!(whole, scrubbed(&names, &cut(text, lengths)), "how a text is cut makes a difference");
    if whole.found.is_empty() {
        assert_eq!(whole.text, text, "a text without a credential is not as it was");
    }
    let again = scrubbed(&names, &[&whole.text]);
    assert_eq!(again.found, [""; 0], "something is found in a scrubbed text");
    assert_eq!(again.text, whole.text, "a scrubbed text is changed again");
    let line_ends = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(line_ends(text), line_ends(&whole.text), "a line was lost");
    // Of a long line not all is there when a decision is made. So the text is fed with as much behind it
    // as a decision waits for, and what comes then, piece by piece, has it decided piece by piece.
    let long = [vec![b'.'; 2 * BEHIND], text.to_vec(), vec![b'.'; AHEAD]].concat();
    let whole = scrubbed(&names, &[&long]);
    let (first, rest) = long.split_at(long.len() - text.len());
    let pieces = [vec![first], cut(rest, lengths)].concat();
    assert_eq!(whole, scrubbed(&names, &pieces), "how a long line is cut makes a difference");
}

/// What may carry a credential; `@` stands for it.
const CARRIERS: [&str; 16] = [
    "?session_api_key=@&x=1",
    "?a=b&session%5Fapi%5Fkey=@ HTTP/1.1",
    "%3F%73ession_api_key%3D@%26x",
    "%253Fsession_api_key%253D@%2526x",
    "\\u0026session_api_key=@\\u0026x",
    "\\x22session_api_key\\x22:\\x22@\\x22",
    "\"session_api_key\": \"@\"",
    "\\\"session_api_key\\\":\\\"@\\\"",
    "\"Authorization\":[\"Bearer @\"]",
    "'x-session-api-key', '@'",
    " x-session-api-key: @ ",
    "Authorization: Bearer @",
    " Cookie: oh_workspace_session_key=@; a=b",
    "https://user:@@host/",
    "base64url.bearer.authorization.k8s.io.@, b",
    " Bearer @ ",
];

/// A credential that is planted on a line of its own is gone, whatever the lines around it are.
///
/// # Panics
/// When it is still there.
pub fn what_is_planted_is_gone(text: &[u8], carrier: u8) {
    let is_in = |text: &[u8]| text.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes());
    if is_in(text) {
        // There it may stand where nothing tells that it is a credential.
        return;
    }
    let names = Names::default();
    let carrier = CARRIERS.get(usize::from(carrier) % CARRIERS.len()).copied().unwrap_or_default();
    // The last one stands for it: user information ends with one.
    let at = carrier.find('@').unwrap_or_default();
    let planted = [carrier.get(..at), Some(PLANTED), carrier.get(at + 1..)].map(Option::unwrap_or_default);
    let text = [text, b"\n", planted.concat().as_bytes(), b"\n", text].concat();
    let given = scrubbed(&names, &[&text]);
    assert!(!is_in(&given.text), "a credential survived in {carrier}");
    assert!(given.found.iter().any(|found| found.contains(PLANTED)), "a credential was not counted");
}

/// A judge that knows one token.
struct One<'a>(&'a [u8], Vec<u8>);

impl Judge for One<'_> {
    fn is_known(&mut self, token: &[u8]) -> bool {
        token == self.0
    }

    fn text(&mut self, bytes: &[u8]) {
        self.1.extend_from_slice(bytes);
    }
}

/// The laws of replacing what is known, for any bytes as a text, cut into pieces of these lengths.
///
/// # Panics
/// When one does not hold.
pub fn replacing_is_sound(text: &[u8], lengths: &[u8]) {
    let replaced = |text: &[u8], lengths: &[u8]| {
        let (mut known, mut judge) = (Known::default(), One(PLANTED.as_bytes(), Vec::new()));
        cut(text, lengths).into_iter().for_each(|piece| known.feed(piece, &mut judge));
        known.finish(&mut judge);
        judge.1
    };
    let is_there = |text: &[u8]| text.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes());
    let whole = replaced(text, &[255]);
    assert_eq!(whole, replaced(text, lengths), "how a text is cut makes a difference");
    assert!(is_there(text) || whole == text, "a text without a known credential is not as it was");
    let planted = [b"\"", PLANTED.as_bytes(), b"\""].concat();
    let given = replaced(&[text, &planted, text].concat(), lengths);
    assert_eq!(given, [&whole, b"\"REDACTED\"".as_slice(), &whole].concat(), "a known credential survived");
}
