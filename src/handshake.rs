//! What a request presents, and what of it may go on.
//!
//! [`judge`] takes the raw head of a request and gives back either the [`Refusal`] to answer it
//! with, or the head that goes upstream: the credential moved from the query into the field, the
//! parameter cut out of the target, hop-by-hop and forged fields gone, every other byte of the
//! target and of each field's value as it came. It is pure: no I/O, no clock, no Pingora.

use std::net::IpAddr;

use ipnet::IpNet;

use self::head::{Body, Head};
use crate::{config, secret::Wiped};

pub use self::{forward::client, presented::Presented};

pub mod chunks;
mod forward;
pub mod head;
mod opening;
mod presented;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod query;
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
    /// `Connection` names a field that a client must not take away.
    NominatedField,
    /// All connections are taken.
    TooManyConnections,
    /// The head has more field lines than allowed.
    TooManyFields,
    /// An opening handshake of another version of the protocol.
    UnsupportedVersion,
    /// A field cannot carry the credential unchanged; it is an opening handshake's.
    UnusableCredential,
    /// A field cannot carry the credential unchanged; it is a plain request's.
    UnusablePlainCredential,
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
            Self::NominatedField => "nominated_field",
            Self::TooManyConnections => "too_many_connections",
            Self::TooManyFields => "too_many_fields",
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnusableCredential | Self::UnusablePlainCredential => "unusable_credential",
        }
    }
}

/// Where the credential that goes on came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// The credential field.
    Field,
    /// Nothing was presented in the head.
    None,
    /// A query parameter.
    Query,
}

impl CredentialSource {
    /// The word for the log and for metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::None => "none",
            Self::Query => "query",
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
}

/// Judges one request by its head.
///
/// # Errors
/// The [`Refusal`] to answer with.
pub fn judge(head: &Head<'_>, rules: &config::Handshake, hop: &Hop<'_>) -> Result<Admitted, Refusal> {
    let nominated = forward::nominated(head, rules)?;
    let kind = opening::classify(head)?;
    if kind == Kind::Plain && head.values("host").any(|host| host.contains(&b'@')) {
        // Pingora serves no host with a user (RFC 9110 section 4.2.4).
        return Err(Refusal::MalformedHead);
    }
    let (target, source, field) = choose(head, rules, kind)?;
    let mut out = forward::Writer::new(head, &target);
    out.end_to_end(head, rules, kind, &nominated, hop);
    out.forwarding(head, hop);
    if let Some(line) = field {
        out.line(&rules.field_spelling, line.as_bytes());
    }
    Ok(Admitted { kind, head: out.finish(head, kind), source, body: head.body })
}

/// The target that goes on, where the credential came from, and the value of the one credential
/// field line that goes on.
type Choice<'a> = (std::borrow::Cow<'a, [u8]>, CredentialSource, Option<Wiped>);

fn choose<'a>(head: &Head<'a>, rules: &config::Handshake, kind: Kind) -> Result<Choice<'a>, Refusal> {
    let first_line = head.values(rules.field.as_str()).next();
    let from_field = if first_line.is_some() { CredentialSource::Field } else { CredentialSource::None };
    let promotes = match (kind, rules.plain_requests) {
        (Kind::Plain, config::PlainRequests::Forward) => {
            return Ok((head.target.into(), from_field, first_line.map(Wiped::copy_of)));
        }
        (Kind::Plain, config::PlainRequests::Strip) => false,
        (Kind::Plain, config::PlainRequests::Promote) | (Kind::OpeningHandshake, _) => true,
    };
    let cut = query::cut(head.target, &rules.parameters);
    match cut.credential {
        Some(credential) if promotes => {
            let mut value = Wiped::with_capacity(head.target.len() + rules.prefix.len());
            value.append(rules.prefix.as_bytes());
            if !credential.append_latin1(&mut value) {
                return Err(match kind {
                    Kind::OpeningHandshake => Refusal::UnusableCredential,
                    Kind::Plain => Refusal::UnusablePlainCredential,
                });
            }
            Ok((cut.target, CredentialSource::Query, Some(value)))
        }
        Some(_) | None => Ok((cut.target, from_field, first_line.map(Wiped::copy_of))),
    }
}
