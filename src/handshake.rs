//! What a request presents, and what of it may go on.
//!
//! [`examine`] takes the raw head of a request and gives back either the [`Refusal`] to answer it
//! with, or what it presents; once somebody has decided about that, [`Examined::write`] writes the head
//! that goes upstream: the credential moved from the query into the field, the
//! parameter cut out of the target, hop-by-hop and forged fields gone, every other byte of the
//! target and of each field's value as it came. It is pure: no I/O, no clock, no Pingora.

use std::{borrow::Cow, net::IpAddr};

use ipnet::IpNet;

use self::head::{Body, Head};
use crate::{
    config,
    secret::{Credential, Wiped},
};

pub use self::{forward::client, opening::Accept, presented::Presented, source::CredentialSource};

mod bearer;
pub mod chunks;
pub mod cookie;
mod forward;
pub mod head;
mod opening;
mod presented;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod query;
mod source;
pub mod subprotocol;
#[cfg(test)]
mod tests;

/// Why a request was refused, as a closed word. A client is never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Where the body ends could be read in two ways, or not at all.
    AmbiguousFraming,
    /// Nothing of a body came for a minute.
    BodyTimeout,
    /// The head did not end in time.
    HeadTimeout,
    /// The head is longer than allowed.
    HeadTooLarge,
    /// The target is not origin-form, or holds a byte that is not served.
    IllegalTarget,
    /// `websocket` is named in `Upgrade`, and this is not a valid opening handshake.
    InvalidHandshake,
    /// The head is not HTTP/1.x.
    MalformedHead,
    /// The only subprotocol that is offered carries a credential, so that none could be selected.
    NoSubprotocol,
    /// `Connection` names a field that a client must not take away.
    NominatedField,
    /// All connections are taken.
    TooManyConnections,
    /// The head has more field lines than allowed.
    TooManyFields,
    /// An opening handshake of another version of the protocol.
    UnsupportedVersion,
    /// A field cannot carry the credential unchanged.
    UnusableCredential,
}

impl Refusal {
    /// The word for the log and for metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AmbiguousFraming => "ambiguous_framing",
            Self::BodyTimeout => "body_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::HeadTooLarge => "head_too_large",
            Self::IllegalTarget => "illegal_target",
            Self::InvalidHandshake => "invalid_handshake",
            Self::MalformedHead => "malformed_head",
            Self::NoSubprotocol => "no_subprotocol",
            Self::NominatedField => "nominated_field",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFields => "too_many_fields",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnusableCredential => "unusable_credential",
        }
    }
}

/// What kind of request it is. The decision never depends on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A valid opening handshake (RFC 6455 section 4.1).
    OpeningHandshake,
    /// Everything else; never upgraded.
    Plain,
}

/// The connection that a request came by.
#[derive(Clone, Copy)]
pub struct Hop<'a> {
    /// The peer's address, if it has one.
    pub peer: Option<IpAddr>,
    /// Whether the connection is TLS.
    pub is_tls: bool,
    /// The peers whose `X-Forwarded-*` fields are believed.
    pub trusted_proxies: &'a [IpNet],
}

/// A request that may go on.
pub struct Admitted {
    /// What kind of request it is.
    pub kind: Kind,
    /// The head that goes on, from the request line to the empty line.
    pub head: Wiped,
    /// Where the credential in it came from.
    pub source: CredentialSource,
    /// How the body is framed.
    pub body: Body,
    /// The subprotocol to answer with where the upstream selects none: browsers fail a WebSocket that offered
    /// some and got none (RFC 6455 section 4.1), and one that was offered has been taken out.
    pub subprotocol: Option<Box<[u8]>>,
}

/// What a request presents, before anybody has decided about it.
pub struct Examined<'a> {
    /// What kind of request it is.
    pub kind: Kind,
    /// Where its credential stands.
    pub source: CredentialSource,
    /// The target that goes on.
    target: Cow<'a, [u8]>,
    presented: Option<Found<'a>>,
    /// What decides where we do.
    require: Option<&'a config::Require>,
    /// As in [`Admitted`].
    subprotocol: Option<&'a [u8]>,
    /// The fields that `Connection` takes away.
    nominated: Vec<String>,
}

/// The credential that decides, as it was found.
enum Found<'a> {
    /// What follows `Bearer`.
    Bearer(&'a [u8]),
    /// The value of the cookie.
    Cookie(&'a [u8]),
    /// The value of a field line.
    Field(&'a [u8]),
    /// What the first message presented.
    FirstMessage(Credential),
    /// The decoded value of a parameter.
    Query(Credential),
    /// What an entry carries, decoded.
    Subprotocol(Credential),
    /// The decoded value of the parameter for tickets.
    Ticket(Credential),
}

impl Found<'_> {
    const fn source(&self) -> CredentialSource {
        match self {
            Self::Bearer(_) => CredentialSource::Bearer,
            Self::Cookie(_) => CredentialSource::Cookie,
            Self::Field(_) => CredentialSource::Field,
            Self::FirstMessage(_) => CredentialSource::FirstMessage,
            Self::Query(_) => CredentialSource::Query,
            Self::Subprotocol(_) => CredentialSource::Subprotocol,
            Self::Ticket(_) => CredentialSource::Ticket,
        }
    }
}

/// Which credential goes upstream.
pub enum Passage<'a> {
    /// The one that the client presented, if any: the agent server decides.
    AsPresented,
    /// None: nobody has to be known for this.
    Bare,
    /// Ours, since the caller was verified.
    Verified {
        /// What the agent server knows us by, without the prefix.
        credential: &'a Wiped,
        /// The caller's name, for `X-Hushgate-Caller`.
        caller: &'a str,
    },
}

/// Judges one request by its head, where the agent server decides about callers.
///
/// # Errors
/// The [`Refusal`] to answer with.
pub fn judge(head: &Head<'_>, rules: &config::Handshake, hop: &Hop<'_>) -> Result<Admitted, Refusal> {
    examine(head, rules, None)?.write(head, rules, hop, &Passage::AsPresented)
}

/// Finds out what kind of request it is, and what it presents; by more carriers where we decide about
/// callers, as `require` says.
///
/// # Errors
/// The [`Refusal`] to answer with.
pub fn examine<'a>(
    head: &Head<'a>,
    rules: &config::Handshake,
    require: Option<&'a config::Require>,
) -> Result<Examined<'a>, Refusal> {
    let nominated = forward::nominated(head, rules)?;
    let kind = opening::classify(head)?;
    if kind == Kind::Plain && head.values("host").any(|host| host.contains(&b'@')) {
        // Pingora serves no host with a user (RFC 9110 section 4.2.4).
        return Err(Refusal::MalformedHead);
    }
    let from_field = head.values(rules.field.as_str()).next().map(Found::Field);
    let (target, presented) = match (kind, rules.plain_requests) {
        (Kind::Plain, config::PlainRequests::Forward) => (head.target.into(), from_field),
        (Kind::Plain, config::PlainRequests::Strip) => {
            (query::cut(head.target, &rules.parameters).target, from_field)
        }
        (Kind::Plain, config::PlainRequests::Promote) | (Kind::OpeningHandshake, _) => {
            let cut = query::cut(head.target, &rules.parameters);
            (cut.target, cut.credential.map(Found::Query).or(from_field))
        }
    };
    let mut examined = Examined {
        kind,
        source: CredentialSource::None,
        target,
        presented,
        require,
        subprotocol: None,
        nominated,
    };
    if let Some(require) = require {
        examined.look_further(head, require)?;
    }
    examined.source = examined.presented.as_ref().map_or(CredentialSource::None, Found::source);
    Ok(examined)
}

impl<'a> Examined<'a> {
    /// Looks for a credential where only we look for one. The first that is there decides alone.
    fn look_further(&mut self, head: &Head<'a>, require: &'a config::Require) -> Result<(), Refusal> {
        if self.kind == Kind::OpeningHandshake {
            let cut = query::cut(&self.target, &require.ticket_parameters);
            if let Some(ticket) = cut.credential {
                self.target = Cow::Owned(cut.target.into_owned());
                // It comes before the field, and behind the query.
                if !matches!(self.presented, Some(Found::Query(_))) {
                    self.presented = Some(Found::Ticket(ticket));
                }
            }
            let offer = subprotocol::Offer::of(head, &require.subprotocol_prefixes);
            if let Some(credential) = offer.credential {
                self.subprotocol = Some(offer.first_other.ok_or(Refusal::NoSubprotocol)?);
                self.presented.get_or_insert(Found::Subprotocol(credential));
            }
        }
        let in_the_end = || {
            let cookie = || require.cookies.as_ref().and_then(|_| cookie::presented(head, self.kind));
            bearer::credential(head).map(Found::Bearer).or_else(|| cookie().map(Found::Cookie))
        };
        self.presented = self.presented.take().or_else(in_the_end);
        Ok(())
    }

    /// The credential's own bytes, without the field's prefix; empty where a field has another one.
    ///
    /// This door is open for whoever takes its digest.
    pub fn credential(&self, rules: &config::Handshake) -> Option<&[u8]> {
        self.presented.as_ref().map(|found| match found {
            Found::Field(value) => value.strip_prefix(rules.prefix.as_bytes()).unwrap_or_default(),
            Found::Bearer(credential) | Found::Cookie(credential) => credential,
            Found::FirstMessage(credential)
            | Found::Query(credential)
            | Found::Subprotocol(credential)
            | Found::Ticket(credential) => credential.as_bytes(),
        })
    }

    /// Takes in what the first message presented, where the head had presented nothing.
    pub fn present(&mut self, credential: Credential) {
        if self.presented.is_none() {
            self.source = CredentialSource::FirstMessage;
            self.presented = Some(Found::FirstMessage(credential));
        }
    }

    /// Writes the head that goes on.
    ///
    /// # Errors
    /// [`Refusal::UnusableCredential`] where the client's credential goes on and a field cannot carry it.
    pub fn write(
        &self,
        head: &Head<'_>,
        rules: &config::Handshake,
        hop: &Hop<'_>,
        passage: &Passage<'_>,
    ) -> Result<Admitted, Refusal> {
        let value = self.value(rules, passage)?;
        let mut out = forward::Writer::new(head, &self.target);
        let replaced = match passage {
            Passage::Verified { .. } => self.credential(rules),
            // Nobody's key is as short as that, and nobody has said whose it is.
            Passage::Bare => self.credential(rules).filter(|credential| credential.len() >= 8),
            Passage::AsPresented => None,
        };
        let kept = forward::Kept {
            kind: self.kind,
            nominated: &self.nominated,
            withheld: &self.withheld(),
            replaced,
            require: self.require,
        };
        out.end_to_end(head, rules, hop, &kept);
        out.forwarding(head, hop, &kept);
        if let Passage::Verified { caller, .. } = passage {
            out.line("X-Hushgate-Caller", caller.as_bytes());
        }
        if let Some(value) = value {
            out.line(&rules.field_spelling, value.as_bytes());
        }
        Ok(Admitted {
            kind: self.kind,
            head: out.finish(head, self.kind),
            source: self.source,
            body: head.body,
            subprotocol: self.subprotocol.map(Into::into),
        })
    }

    /// The fields that go no further where we have decided: those of a handshake whose offers nobody may take up,
    /// since a compressed message could not be read, and where we have answered already; and another carrier.
    fn withheld(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.require.is_none() {
            return names;
        }
        if bearer::may_count(&self.target) {
            names.push("authorization");
        }
        if self.kind == Kind::OpeningHandshake {
            names.push("sec-websocket-extensions");
        }
        if self.source == CredentialSource::FirstMessage {
            names.push("sec-websocket-protocol");
        }
        names
    }

    /// The value of the one credential field line that goes on.
    fn value(&self, rules: &config::Handshake, passage: &Passage<'_>) -> Result<Option<Wiped>, Refusal> {
        let prefixed = |length| {
            let mut value = Wiped::with_capacity(rules.prefix.len() + length);
            value.append(rules.prefix.as_bytes());
            value
        };
        match (passage, &self.presented) {
            (Passage::AsPresented, Some(Found::Field(value))) => Ok(Some(Wiped::copy_of(value))),
            (
                Passage::AsPresented,
                Some(
                    Found::Bearer(_)
                    | Found::Cookie(_)
                    | Found::FirstMessage(_)
                    | Found::Subprotocol(_)
                    | Found::Ticket(_),
                ),
            ) => {
                // Only we look for these, and then ours goes on.
                Ok(None)
            }
            (Passage::AsPresented, Some(Found::Query(credential))) => {
                let mut value = prefixed(credential.as_bytes().len());
                if credential.append_latin1(&mut value) {
                    Ok(Some(value))
                } else {
                    Err(Refusal::UnusableCredential)
                }
            }
            (Passage::AsPresented, None) | (Passage::Bare, _) => Ok(None),
            (Passage::Verified { credential, .. }, _) => {
                let mut value = prefixed(credential.as_bytes().len());
                value.append(credential.as_bytes());
                Ok(Some(value))
            }
        }
    }
}
