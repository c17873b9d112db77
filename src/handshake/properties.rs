//! The laws of normalisation and of the judged head, stated once.
//!
//! Each law takes bytes, as a peer sends them, and panics when it does not hold. Generated tests
//! and the fuzz targets (`tests/fuzz`) share them. What is expected is worked out by `naive`, a
//! second and slower reading of the rules that shares no code with the first.

use std::{borrow::Cow, net::IpAddr};

use ipnet::IpNet;

use self::naive::Message;
use super::{Admitted, CredentialSource, Hop, Kind, Refusal, client, head::Head, judge, query};
use crate::{
    config::{Handshake, PlainRequests},
    secret::Wiped,
};

#[cfg(test)]
mod generated;
mod naive;
mod required;

pub use self::required::{deciding_is_sound, giving_is_sound};

/// The most field lines that the laws let in.
pub const FIELDS: usize = 100;

/// A configuration and a connection to judge under.
#[derive(Debug)]
pub struct Setting {
    /// How a credential is presented.
    pub rules: Handshake,
    /// The peer's address, if it has one.
    pub peer: Option<IpAddr>,
    /// Whether the connection is TLS.
    pub is_tls: bool,
    /// The peers whose `X-Forwarded-*` fields are believed.
    pub trusted_proxies: Vec<IpNet>,
}

impl Setting {
    /// One of a closed set that has every combination of choices that matters.
    pub fn numbered(number: u16) -> Self {
        let choice = |shift: u16, of: u16| (number >> shift) % of;
        let (field, prefix) = match choice(2, 4) {
            0 | 1 => ("X-Session-API-Key", ""),
            2 => ("Authorization", "Bearer "),
            _ => ("X_Api_Key", ""),
        };
        let parameters: &[&str] = match choice(4, 2) {
            0 => &["session_api_key"],
            _ => &["session_api_key", "k", "cl\u{e9}"],
        };
        let rules = Handshake {
            field: field.parse().unwrap_or(http::header::AUTHORIZATION),
            field_spelling: field.to_owned(),
            parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
            prefix: prefix.to_owned(),
            plain_requests: match choice(0, 4) {
                0 | 1 => PlainRequests::Strip,
                2 => PlainRequests::Promote,
                _ => PlainRequests::Forward,
            },
        };
        let peer = match choice(5, 4) {
            0 | 1 => Some([192, 0, 2, 1].into()),
            2 => Some(IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201])),
            _ => None,
        };
        let trusted_proxies = match choice(7, 2) {
            0 => Vec::new(),
            _ => vec![IpNet::from(IpAddr::from([192, 0, 2, 1]))],
        };
        Self { rules, peer, is_tls: choice(8, 2) == 1, trusted_proxies }
    }

    /// The connection, as judging takes it.
    pub fn hop(&self) -> Hop<'_> {
        Hop { peer: self.peer, is_tls: self.is_tls, trusted_proxies: &self.trusted_proxies }
    }

    fn believes_its_peer(&self) -> bool {
        self.peer.is_some() && !self.trusted_proxies.is_empty()
    }
}

/// The laws of normalisation, for any bytes as a request target.
///
/// # Panics
/// When one does not hold.
pub fn normalising_is_sound(target: &[u8], parameters: &[String]) {
    let expected = naive::normalise(target, parameters);
    let cut = query::cut(target, parameters);

    // Every segment that is the parameter goes, every other byte stays, in order.
    assert_eq!(cut.target, expected.target, "what is left is not the other segments, byte for byte");
    let again = naive::normalise(&cut.target, parameters);
    assert!(again.credential.is_none(), "an occurrence of the parameter is left");
    // Nothing removed: the target is untouched.
    let is_untouched = matches!(cut.target, Cow::Borrowed(_));
    assert_eq!(is_untouched, cut.credential.is_none(), "what has no parameter is untouched, and only that");
    let twice = query::cut(&cut.target, parameters);
    assert!(matches!(twice.target, Cow::Borrowed(_)) && twice.credential.is_none(), "not idempotent");

    // The last occurrence counts, and is carried unchanged or not at all.
    assert_eq!(cut.credential.is_some(), expected.credential.is_some(), "the presence of a credential");
    if let (Some(credential), Some(value)) = (cut.credential, expected.credential) {
        let mut line = Wiped::copy_of(b"before");
        let is_carried = credential.append_latin1(&mut line);
        let usable = naive::field_value(&value);
        assert_eq!(
            is_carried,
            usable.is_some(),
            "a value is refused if no field can carry it, and only then"
        );
        assert_eq!(
            line.as_bytes(),
            [b"before", usable.unwrap_or_default().as_slice()].concat(),
            "the credential's bytes"
        );
    }
}

/// The laws of the judged head, for any bytes as a request head.
///
/// Returns what was decided, so that a test can tell that it did not only see refusals.
///
/// # Errors
/// What the head was refused for.
///
/// # Panics
/// When a law does not hold.
pub fn judging_is_sound(bytes: &[u8], setting: &Setting) -> Result<Kind, Refusal> {
    let head = Head::parse(bytes, FIELDS)?;
    let came = Message::read(bytes);
    let came = came.as_ref();
    assert!(came.is_some(), "a head was read that a second reading refuses");
    let Some(came) = came else { return Err(Refusal::MalformedHead) };
    assert!(naive::is_legal_target(&came.method, &came.target), "an illegal target was read");
    normalising_is_sound(&came.target, &setting.rules.parameters);

    assert_eq!(client(&head, &setting.hop()), naive::client(came, setting), "who sent it");
    let decided = judge(&head, &setting.rules, &setting.hop());
    if naive::takes_away_what_is_ours(came, &setting.rules) {
        let refusal = decided.err();
        assert!(matches!(refusal, Some(Refusal::NominatedField | Refusal::MalformedHead)), "{refusal:?}");
        return Err(Refusal::NominatedField);
    }
    let kind = naive::kind(came);
    let expected = kind.and_then(|kind| naive::present(came, &setting.rules, kind).map(|what| (kind, what)));
    match (decided, expected) {
        (Err(refusal), expected) => {
            assert_eq!(Some(refusal), expected.err(), "refused for what the rules do not say");
            Err(refusal)
        }
        (Ok(admitted), expected) => {
            assert_eq!(expected.as_ref().err(), None, "admitted what the rules refuse");
            if let Ok((kind, presented)) = expected {
                assert_eq!(admitted.kind, kind, "an opening handshake and a plain request are told apart");
                goes_on_as_expected(came, &admitted, &presented, setting);
            }
            Ok(admitted.kind)
        }
    }
}

/// The head that goes on is one head, of exactly the expected target and fields.
fn goes_on_as_expected(came: &Message, admitted: &Admitted, presented: &naive::Presented, setting: &Setting) {
    let goes = Message::read(admitted.head.as_bytes());
    assert!(goes.is_some(), "what goes on is not a whole head");
    let Some(goes) = goes else { return };
    assert_eq!(goes.length, admitted.head.as_bytes().len(), "something follows the head that goes on");
    assert_eq!((&goes.method, goes.version), (&came.method, came.version), "the request line");
    assert_eq!(goes.target, presented.target, "the target");
    assert_eq!(admitted.source, presented.source, "where the credential came from");

    // The credential is alone: the query's or the first line's, and under no other spelling.
    let spellings = |message: &Message| naive::lines_like(message, setting.rules.field.as_str());
    let expected: Vec<_> = presented.line.iter().cloned().collect();
    assert_eq!(spellings(&goes), expected, "one credential field line, if any");
    if admitted.source == CredentialSource::None {
        assert!(expected.is_empty(), "a credential out of nowhere");
    }

    let fields = naive::fields(came, admitted.kind, presented, setting);
    assert_eq!(goes.fields, fields, "the field lines");
    is_stable(admitted, setting);
}

/// What was judged once is judged alike again, and not changed, where nothing is added by hops
/// that believe each other.
fn is_stable(admitted: &Admitted, setting: &Setting) {
    if setting.believes_its_peer() {
        return;
    }
    let head = Head::parse(admitted.head.as_bytes(), FIELDS + 8);
    assert!(head.is_ok(), "a head that goes on is not read again");
    let again = head.and_then(|head| judge(&head, &setting.rules, &setting.hop()));
    assert_eq!(again.as_ref().err(), None, "a head that goes on is refused");
    if let Ok(again) = again {
        assert_eq!((again.kind, again.body), (admitted.kind, admitted.body));
        assert!(
            again.head.as_bytes() == admitted.head.as_bytes(),
            "a head that goes on changes when judged again"
        );
    }
}
