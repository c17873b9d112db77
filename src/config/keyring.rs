//! The keyring's file: who may in, known by digests alone.
//!
//! ```toml
//! [[key]]
//! name = "ci"
//! sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
//! expires = 2027-01-01T00:00:00Z
//! carriers = ["field"]
//! ```
//!
//! [`parse`] reads it and [`Draft`] writes an entry of it. No environment variable overrides anything in
//! here.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU8,
    sync::Arc,
    time::SystemTime,
};

use super::{
    Origins,
    document::{self, Findings, Section},
    origins,
    problem::{Place, Problem},
    value::{self, Parsed},
};
use crate::secret::{Digest, issued};

mod draft;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;

pub use self::draft::Draft;

/// The longest name of a caller.
const LONGEST_NAME: usize = 64;

/// One entry: who a caller is, and when, how and from where they may in.
// Of thousands, hardly one is in a processor's cache: aligned, it takes two lines of one and not three.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(align(64))]
pub struct Entry {
    /// The caller's name, which goes upstream in a field and into the access log: 1 to 64 letters, digits,
    /// `.`, `_` and `-`.
    pub name: Arc<str>,
    /// The SHA-256 of the credential's bytes.
    pub digest: Digest,
    /// The moment from which on the credential counts.
    pub not_before: Option<SystemTime>,
    /// The moment from which on it does not any more; later than [`Entry::not_before`].
    pub expires: Option<SystemTime>,
    /// The origins whose pages may present it, or `None` for any.
    pub origins: Option<Origins>,
    /// The most WebSockets that it holds open at once, at least 1, or `None` for any number.
    pub max_sockets: Option<u32>,
    /// The ways by which it may be presented, or `None` for any.
    pub carriers: Option<Carriers>,
}

const _: () = assert!(size_of::<Entry>() <= 128);

/// A way by which a credential is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carrier {
    /// A parameter of the URL's query.
    Query,
    /// A ticket in the URL's query, for which the key was presented before.
    Ticket,
    /// The credential field.
    Field,
    /// An entry of `Sec-WebSocket-Protocol`.
    Subprotocol,
    /// `Authorization: Bearer`, below `/v1/`.
    Bearer,
    /// The cookie for the files of a workspace, for which the key was presented before.
    Cookie,
    /// The first message of a WebSocket.
    FirstMessage,
}

impl Carrier {
    /// Every one there is.
    pub const ALL: [Self; 7] = [
        Self::Query,
        Self::Ticket,
        Self::Field,
        Self::Subprotocol,
        Self::Bearer,
        Self::Cookie,
        Self::FirstMessage,
    ];

    /// Its word, as it is configured and logged.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Ticket => "ticket",
            Self::Field => "field",
            Self::Subprotocol => "subprotocol",
            Self::Bearer => "bearer",
            Self::Cookie => "cookie",
            Self::FirstMessage => "first_message",
        }
    }

    /// Its bit among [`Carriers`].
    const fn bit(self) -> u8 {
        match self {
            Self::Query => 1,
            Self::Ticket => 1 << 1,
            Self::Field => 1 << 2,
            Self::Subprotocol => 1 << 3,
            Self::Bearer => 1 << 4,
            Self::Cookie => 1 << 5,
            Self::FirstMessage => 1 << 6,
        }
    }
}

/// Some of the ways by which a credential is presented, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carriers(NonZeroU8);

impl Carriers {
    /// Those of a list; `None` if it is empty.
    pub fn new(list: &[Carrier]) -> Option<Self> {
        NonZeroU8::new(list.iter().fold(0, |bits, carrier| bits | carrier.bit())).map(Self)
    }

    /// Whether this is one of them.
    pub fn contains(self, carrier: Carrier) -> bool {
        self.0.get() & carrier.bit() != 0
    }
}

/// Parses the file of a keyring. An empty one lets nobody in.
///
/// No two entries have the same name or the same digest.
///
/// # Errors
/// Every problem there is, in the order of the file.
pub fn parse(text: &str) -> Result<Vec<Entry>, Vec<Problem>> {
    let findings = Findings::default();
    let mut root = document::read(text, [], &findings);
    let mut seen = Seen::default();
    let entries = root.sections("key").into_iter().filter_map(|table| entry(table, &mut seen)).collect();
    root.finish();
    let (problems, _) = findings.into_parts();
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

/// Where the names and digests of the entries before stand.
#[derive(Default)]
struct Seen {
    names: BTreeMap<Arc<str>, Place>,
    digests: HashMap<Digest, Place>,
}

fn entry(mut table: Section<'_>, seen: &mut Seen) -> Option<Entry> {
    for name in ["name", "sha256"] {
        table.require(name, "is missing; `hushgate key new` prints a whole entry");
    }
    let name = table.text("name", "\"ci\"", name);
    let digest = table.text("sha256", "\"…\"", digest);
    let not_before = table.moment("not_before");
    let expires = table.moment("expires");
    let origins = table.list("origins", "[\"https://app.example\"]", origins::pattern).map(Origins::new);
    let max_sockets = table.number("max_sockets", 100, 1..=u64::from(u32::MAX));
    let carriers = table.list("carriers", "[\"field\"]", carrier);
    if let Some(name) = &name
        && let Some(line) = line_of_other(seen.names.insert(name.clone(), table.place().clone()))
    {
        table.unfit("name", &format!("is also the name of the entry in line {line}; write another"));
    }
    if let Some(digest) = digest
        && let Some(line) = line_of_other(seen.digests.insert(digest, table.place().clone()))
    {
        table.unfit(
            "sha256",
            &format!("is also the digest of the entry in line {line}; make a credential for each caller"),
        );
    }
    if let (Some(from), Some(to)) = (not_before, expires)
        && to <= from
    {
        table.unfit("expires", "is not after not_before; write a later moment");
    }
    if carriers.as_ref().is_some_and(Vec::is_empty) {
        table.unfit("carriers", "has no way that can be used; remove it to allow any");
    }
    table.finish();
    Some(Entry {
        name: name?,
        digest: digest?,
        not_before,
        expires,
        origins,
        max_sockets: max_sockets.and_then(|number| u32::try_from(number).ok()),
        carriers: match carriers {
            None => None,
            Some(list) => Some(Carriers::new(&list)?),
        },
    })
}

fn line_of_other(place: Option<Place>) -> Option<usize> {
    match place? {
        Place::Line { line, .. } => Some(line),
        Place::File | Place::Variable(_) => None,
    }
}

/// A caller's name.
///
/// # Errors
/// What to write instead.
pub fn name(text: &str) -> Parsed<Arc<str>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(is_plain) {
        return Err(format!(
            "is not 1 to {LONGEST_NAME} letters, digits, `.`, `_` and `-`; write for example \"ci\""
        ));
    }
    // Names are logged.
    if issued::is_ours(text.as_bytes()) {
        return Err("is a credential, which must stand nowhere; write a name, and make a new one".to_owned());
    }
    Ok(text.into())
}

fn digest(text: &str) -> Parsed<Digest> {
    let digest: Digest = text.parse().map_err(|_| {
        "is not 64 hexadecimal digits; write the digest that `hushgate key new` prints, never the \
         credential itself"
            .to_owned()
    })?;
    // What a shell makes of a variable that is not set.
    if [&b""[..], b"\n"].iter().any(|nothing| Digest::of(nothing) == digest) {
        return Err("is the digest of nothing; write the one that `hushgate key new` prints".to_owned());
    }
    Ok(digest)
}

/// One of the words for [`Carrier`]s.
///
/// # Errors
/// The words that there are.
pub fn carrier(text: &str) -> Parsed<Carrier> {
    value::word(&Carrier::ALL.map(|carrier| (carrier.label(), carrier)))(text)
}

/// A moment, such as `2027-01-01T00:00:00Z`.
///
/// # Errors
/// What to write instead.
pub fn moment(text: &str) -> Parsed<SystemTime> {
    value::moment(text)
}
