//! Where in a request a credential can stand.
//!
//! A bare path segment is none of them: nothing can tell it from any other, and README says so.
#![expect(clippy::wildcard_enum_match_arm, reason = "what concerns a few carriers names these few")]

use super::{
    canary::Spelling,
    request::{Request, masked_frame},
};
use crate::handshake::{cookie, subprotocol::ENCODED};

/// What carries a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Carrier {
    /// `?session_api_key=C`
    Query,
    /// The same among other parameters.
    QueryAmongOthers,
    /// The first of two; the last counts.
    QueryFirstOfTwo,
    /// The name partly percent-encoded, with capital digits.
    QueryEncodedName,
    /// The whole name percent-encoded, with small digits.
    QueryEncodedNameWhole,
    /// The whole value percent-encoded.
    QueryEncodedValue,
    /// The name percent-encoded twice, which is another name to the agent server.
    QueryEncodedTwice,
    /// `?ticket=C`
    Ticket,
    /// A name that nobody configured.
    QueryOtherName,
    /// No name at all.
    QueryWithoutName,
    /// `?session_api_key=C` on a request that is no opening handshake.
    PlainQuery,
    /// The credential field.
    Field,
    /// The credential field of a request that is no opening handshake.
    PlainField,
    /// The credential field, spelled with underscores.
    FieldUnderscores,
    /// `Authorization: Bearer C`
    Bearer,
    /// The same on a request below `/v1/` that is no opening handshake.
    PlainBearer,
    /// `Authorization: Basic`, in base64.
    Basic,
    /// `Cookie`
    Cookie,
    /// The cookie for the files of a workspace, where they are asked for.
    PlainCookie,
    /// `Sec-WebSocket-Protocol`
    Subprotocol,
    /// The same in base64url behind Kubernetes' prefix.
    SubprotocolEncoded,
    /// A URL with the query in `Referer`.
    Referer,
    /// A URL with the query in `Origin`.
    Origin,
    /// A field that nobody knows.
    OtherField,
    /// A path segment behind `=`.
    PathEquals,
    /// A path parameter.
    PathSemicolon,
    /// An encoded `?` in the path.
    PathPercent,
    /// A fragment, which no target may have.
    Fragment,
    /// User information in an absolute target.
    UserInformation,
    /// User information in `Host`.
    HostUserInformation,
    /// The first message after the 101.
    FirstMessage,
    /// The reason of a Close frame.
    CloseReason,
    /// A body.
    Body,
    /// A trailer field behind a body in chunks.
    Trailer,
    /// The file of the credential that the agent server knows the gateway by.
    OwnCredential,
    /// The file of the keys that cookies are sealed with.
    SigningKey,
    /// A keyring, where the digest of a key has to be.
    KeyringDigest,
    /// A keyring, in the name of a key.
    KeyringName,
    /// A keyring, without quotes.
    KeyringWithoutQuotes,
}

/// When a carrier comes, and on which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the head of an opening handshake.
    Handshake,
    /// In the head of a plain request.
    PlainHead,
    /// Behind the head of a plain request.
    PlainBody,
    /// Behind the 101.
    Message,
    /// In a file beside the configuration, and in no request.
    File,
}

/// What the deployment calls things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The host, as clients name it.
    pub host: String,
    /// The path of a WebSocket.
    pub path: String,
    /// The query parameter that carries the credential.
    pub parameter: String,
    /// The field that carries it.
    pub field: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            path: "/sockets/events/leaktest".to_owned(),
            parameter: "session_api_key".to_owned(),
            field: "X-Session-API-Key".to_owned(),
        }
    }
}

impl Carrier {
    /// All of them, as the matrix shows them.
    pub(super) const ALL: [Self; 39] = [
        Self::Query,
        Self::QueryAmongOthers,
        Self::QueryFirstOfTwo,
        Self::QueryEncodedName,
        Self::QueryEncodedNameWhole,
        Self::QueryEncodedValue,
        Self::QueryEncodedTwice,
        Self::Ticket,
        Self::QueryOtherName,
        Self::QueryWithoutName,
        Self::PlainQuery,
        Self::Field,
        Self::PlainField,
        Self::FieldUnderscores,
        Self::Bearer,
        Self::PlainBearer,
        Self::Basic,
        Self::Cookie,
        Self::PlainCookie,
        Self::Subprotocol,
        Self::SubprotocolEncoded,
        Self::Referer,
        Self::Origin,
        Self::OtherField,
        Self::PathEquals,
        Self::PathSemicolon,
        Self::PathPercent,
        Self::Fragment,
        Self::UserInformation,
        Self::HostUserInformation,
        Self::FirstMessage,
        Self::CloseReason,
        Self::Body,
        Self::Trailer,
        Self::OwnCredential,
        Self::SigningKey,
        Self::KeyringDigest,
        Self::KeyringName,
        Self::KeyringWithoutQuotes,
    ];

    /// The words for people and for machines.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::QueryAmongOthers => "query, among others",
            Self::QueryFirstOfTwo => "query, first of two",
            Self::QueryEncodedName => "query, name partly encoded",
            Self::QueryEncodedNameWhole => "query, name encoded",
            Self::QueryEncodedValue => "query, value encoded",
            Self::QueryEncodedTwice => "query, name encoded twice",
            Self::Ticket => "ticket",
            Self::QueryOtherName => "query, another name",
            Self::QueryWithoutName => "query, no name",
            Self::PlainQuery => "query of a plain request",
            Self::Field => "field",
            Self::PlainField => "field of a plain request",
            Self::FieldUnderscores => "field, with underscores",
            Self::Bearer => "Authorization: Bearer",
            Self::PlainBearer => "Authorization: Bearer, below /v1/",
            Self::Basic => "Authorization: Basic",
            Self::Cookie => "Cookie",
            Self::PlainCookie => "Cookie, of a workspace",
            Self::Subprotocol => "subprotocol",
            Self::SubprotocolEncoded => "subprotocol, encoded",
            Self::Referer => "Referer",
            Self::Origin => "Origin",
            Self::OtherField => "another field",
            Self::PathEquals => "path behind =",
            Self::PathSemicolon => "path behind ;",
            Self::PathPercent => "path behind %",
            Self::Fragment => "fragment",
            Self::UserInformation => "user information",
            Self::HostUserInformation => "user information in Host",
            Self::FirstMessage => "first message",
            Self::CloseReason => "close reason",
            Self::Body => "body",
            Self::Trailer => "trailer",
            Self::OwnCredential => "our own credential",
            Self::SigningKey => "signing key of cookies",
            Self::KeyringDigest => "keyring, as a digest",
            Self::KeyringName => "keyring, in a name",
            Self::KeyringWithoutQuotes => "keyring, without quotes",
        }
    }

    /// When it comes, and on which way.
    pub(super) const fn place(self) -> Place {
        match self {
            Self::FirstMessage | Self::CloseReason => Place::Message,
            Self::Body | Self::Trailer => Place::PlainBody,
            Self::PlainQuery | Self::PlainField | Self::PlainBearer | Self::PlainCookie => Place::PlainHead,
            Self::OwnCredential
            | Self::SigningKey
            | Self::KeyringDigest
            | Self::KeyringName
            | Self::KeyringWithoutQuotes => Place::File,
            _ => Place::Handshake,
        }
    }

    /// Whether a gateway in `require` is asked with it: it carries a key there, or what such a gateway is
    /// configured with.
    pub(super) const fn is_of_require(self) -> bool {
        matches!(
            self,
            Self::Query
                | Self::Ticket
                | Self::PlainQuery
                | Self::Field
                | Self::PlainField
                | Self::PlainBearer
                | Self::PlainCookie
                | Self::SubprotocolEncoded
                | Self::FirstMessage
        ) || matches!(self.place(), Place::File)
    }

    /// Whether what stands in the request target goes on upstream as it came, because it is no
    /// spelling of the parameter.
    pub(super) const fn stays_in_the_target(self) -> bool {
        matches!(
            self,
            Self::QueryEncodedTwice
                | Self::Ticket
                | Self::QueryOtherName
                | Self::QueryWithoutName
                | Self::PathEquals
                | Self::PathSemicolon
                | Self::PathPercent
                | Self::Fragment
                | Self::UserInformation
        )
    }

    /// A request that carries `canary` here, and is valid but for that; what stands in a file is in none.
    pub(super) fn request(self, canary: &str, names: &Names) -> Request {
        let Names { host, path, parameter, field } = names;
        let mut request = match self.place() {
            Place::Handshake | Place::Message => Request::handshake(host, path),
            Place::PlainHead | Place::PlainBody | Place::File => Request::plain(host, path),
        };
        let target = match self {
            Self::Query | Self::PlainQuery => format!("{path}?{parameter}={canary}"),
            Self::QueryAmongOthers => format!("{path}?a=1&{parameter}={canary}&b"),
            Self::QueryFirstOfTwo => format!("{path}?{parameter}={canary}&{parameter}=another"),
            Self::QueryEncodedName => {
                let (first, rest) = parameter.split_at_checked(1).unwrap_or((parameter, ""));
                format!("{path}?{}{rest}={canary}", encoded(first))
            }
            Self::QueryEncodedNameWhole => {
                format!("{path}?{}={canary}", encoded(parameter).to_ascii_lowercase())
            }
            Self::QueryEncodedValue => format!("{path}?{parameter}={}", encoded(canary)),
            Self::QueryEncodedTwice => {
                format!("{path}?{}={canary}", encoded(parameter).replace('%', "%25"))
            }
            Self::Ticket => format!("{path}?ticket={canary}"),
            Self::QueryOtherName => format!("{path}?token={canary}"),
            Self::QueryWithoutName => format!("{path}?{canary}"),
            Self::PathEquals => format!("{path}/{parameter}={canary}"),
            Self::PathSemicolon => format!("{path};{parameter}={canary}"),
            Self::PathPercent => format!("{path}%3F{parameter}%3D{canary}"),
            Self::Fragment => format!("{path}#{parameter}={canary}"),
            Self::PlainBearer => "/v1/models".to_owned(),
            Self::PlainCookie => "/api/conversations/leaktest/workspace/a.html".to_owned(),
            Self::UserInformation => format!("http://user:{canary}@{host}{path}"),
            _ => path.clone(),
        };
        request.target = target;
        match self {
            Self::Field | Self::PlainField => request.add(field, canary),
            Self::FieldUnderscores => request.add(&field.replace('-', "_"), canary),
            Self::Bearer | Self::PlainBearer => request.add("Authorization", &format!("Bearer {canary}")),
            Self::Basic => {
                let user = Spelling::Base64 { shift: 0, is_for_urls: false };
                let user = user.write(format!("user:{canary}").as_bytes());
                request.add("Authorization", &format!("Basic {}", String::from_utf8_lossy(&user)));
            }
            Self::Cookie => request.add("Cookie", &format!("a=1; {parameter}={canary}")),
            Self::PlainCookie => request.add("Cookie", &format!("a=1; {}={canary}", cookie::NAME)),
            Self::Subprotocol => request.add("Sec-WebSocket-Protocol", &format!("leaktest, {canary}")),
            Self::SubprotocolEncoded => {
                let encoded = Spelling::Base64 { shift: 0, is_for_urls: true }.write(canary.as_bytes());
                let encoded = String::from_utf8_lossy(&encoded);
                request.add("Sec-WebSocket-Protocol", &format!("{ENCODED}{encoded}, leaktest"));
            }
            Self::Referer => request.add("Referer", &format!("http://{host}{path}?{parameter}={canary}")),
            Self::Origin => request.add("Origin", &format!("http://{host}?{parameter}={canary}")),
            Self::OtherField => request.add("X-Unknown", canary),
            Self::HostUserInformation => request.host = format!("user:{canary}@{host}"),
            Self::FirstMessage => {
                let message = format!(r#"{{"type":"auth","{parameter}":"{canary}"}}"#);
                request.opened = masked_frame(0x1, message.as_bytes());
            }
            Self::CloseReason => {
                request.opened = masked_frame(0x8, &[&1000_u16.to_be_bytes(), canary.as_bytes()].concat());
            }
            Self::Body => request.put_body(format!("{parameter}={canary}").as_bytes()),
            Self::Trailer => request.put_trailer(field, canary),
            _ => {}
        }
        request
    }
}

/// Every byte percent-encoded, with capital digits.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
