//! Everything in a head that may be a credential of its sender.
//!
//! It is for one purpose: what is written down of a request is checked against it, as the last line of
//! defence. So it takes in more than decides about anything: every occurrence of the parameter, and fields
//! that only other servers look at.

use std::borrow::Cow;

use super::{
    head::{Head, elements},
    query::{self, Segment},
    subprotocol,
};
use crate::{
    config,
    secret::{Credential, Wiped},
};

/// What is shorter is found in too much that is none, and is no credential that could protect anything.
const SHORTEST: usize = 8;

/// A cookie whose name holds one of these words carries a credential.
const WORDS: [&[u8]; 7] = [b"auth", b"credential", b"key", b"password", b"secret", b"session", b"token"];

/// What one request presents. It can be looked for, and not be read.
#[derive(Default)]
pub struct Presented<'a>(Vec<Value<'a>>);

enum Value<'a> {
    AsItCame(&'a [u8]),
    Decoded(Wiped),
    Presented(Credential),
}

impl Value<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::AsItCame(bytes) => bytes,
            Self::Decoded(bytes) => bytes.as_bytes(),
            Self::Presented(credential) => credential.as_bytes(),
        }
    }
}

impl<'a> Presented<'a> {
    /// Gathers what a head presents: the parameter, raw and decoded; the credential field, without
    /// its prefix; `Authorization` without its scheme; entries of `Sec-WebSocket-Protocol`, and
    /// what is behind a prefix in them or decoded; and cookies by their name. Where we decide, a ticket too. What
    /// is shorter than eight bytes is left out.
    pub fn of(head: &Head<'a>, rules: &config::Handshake, require: Option<&config::Require>) -> Self {
        let mut found = Self::default();
        let query = query::split_once(head.target, b'?').map_or(&[][..], |(_, query)| query);
        let (tickets, prefixes) = require.map_or((&[][..], &[][..]), |require| {
            (&*require.ticket_parameters, &*require.subprotocol_prefixes)
        });
        let is_carrier =
            |segment: &Segment<'_>| segment.is_named(&rules.parameters) || segment.is_named(tickets);
        for segment in query::segments(query).filter(is_carrier) {
            found.add(segment.value);
            if let Cow::Owned(decoded) = query::decode(segment.value) {
                found.push(Value::Decoded(Wiped::new(decoded)));
            }
        }
        for value in head.values(rules.field.as_str()) {
            found.add(value.strip_prefix(rules.prefix.as_bytes()).unwrap_or(value));
        }
        for value in head.values("authorization") {
            let after = query::split_once(value, b' ');
            after.into_iter().for_each(|(_, value)| found.add(value.trim_ascii()));
        }
        for entry in elements(head.values("sec-websocket-protocol")) {
            found.add(entry);
            if let Some(credential) = subprotocol::credential(entry, prefixes) {
                found.push(Value::Presented(credential));
            }
        }
        let cookies = head.values("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
        for (name, value) in cookies.filter_map(|cookie| query::split_once(cookie, b'=')) {
            if WORDS.iter().any(|word| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))) {
                found.add(value.trim_ascii());
            }
        }
        found
    }

    /// Adds what was presented behind the head.
    pub fn with(mut self, credential: Option<&'a Credential>) -> Self {
        credential.into_iter().for_each(|credential| self.add(credential.as_bytes()));
        self
    }

    /// Where the first of it begins in what would be shown, if it is there.
    ///
    /// What would be shown never goes past a byte that `ends` it, so neither does what is looked for.
    pub fn first_in(&self, shown: &[u8], ends: impl Fn(u8) -> bool) -> Option<usize> {
        let positions = self.0.iter().filter_map(|value| {
            let bytes = value.bytes();
            let length = bytes.iter().position(|byte| ends(*byte)).unwrap_or(bytes.len());
            let begin = bytes.get(..length).filter(|begin| begin.len() >= SHORTEST)?;
            memchr::memmem::find(shown, begin)
        });
        positions.min()
    }

    fn add(&mut self, value: &'a [u8]) {
        self.push(Value::AsItCame(value));
    }

    fn push(&mut self, value: Value<'a>) {
        if value.bytes().len() >= SHORTEST {
            self.0.push(value);
        }
    }
}
