//! What can happen to a request: one way to succeed, and the ways to fail.
#![expect(clippy::wildcard_enum_match_arm, reason = "what concerns a few paths names these few")]

use super::{
    answers::Answer,
    carriers::{Carrier, Place},
};
use crate::authenticate::Denial;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Path {
    /// The upstream agrees; messages pass, and a closing handshake.
    Answered,
    /// The upstream answers 403.
    Refused,
    /// Nobody listens upstream.
    UpstreamDown,
    /// The upstream resets the connection instead of answering.
    UpstreamResets,
    /// The upstream closes the connection instead of answering.
    UpstreamCloses,
    /// The upstream resets the connection inside its answer's head.
    UpstreamResetsInHead,
    /// The upstream closes the connection inside its answer's body.
    UpstreamClosesInBody,
    /// The upstream resets the connection behind a 101.
    UpstreamResetsOpened,
    /// The upstream sends the request back, which is no answer.
    UpstreamGarbage,
    /// The upstream's answer has a field line that is none and holds the request line.
    UpstreamMalformedField,
    /// The upstream agrees with a wrong `Sec-WebSocket-Accept`.
    UpstreamWrongAccept,
    /// The upstream's head is longer than anybody reads, and repeats the request line.
    UpstreamOversize,
    /// The upstream says nothing until time is up.
    UpstreamSilent,
    /// The request line has a word too many.
    MalformedRequestLine,
    /// The protocol's version is none.
    MalformedVersion,
    /// A field line has no name, and holds the canary.
    MalformedField,
    /// A field line is folded, and holds the canary.
    FoldedField,
    /// A NUL stands in the request target.
    ControlByte,
    /// The canary and nothing else, which is no HTTP.
    NotHttp,
    /// The head is longer than any that is let in.
    OversizeHead,
    /// There are more field lines than are let in.
    TooManyFields,
    /// Two lengths contradict each other.
    AmbiguousFraming,
    /// An opening handshake of HTTP/1.0.
    OldVersion,
    /// An opening handshake without a valid `Sec-WebSocket-Key`.
    InvalidHandshake,
    /// An opening handshake for another version of the protocol.
    UnsupportedVersion,
    /// `Connection` names the credential field.
    NominatedField,
    /// The head stays unfinished until time is up.
    HeadTimeout,
    /// The client closes inside its head.
    ClosesInHead,
    /// The client resets inside its head.
    ResetsInHead,
    /// The client resets behind its head.
    ResetsBehindHead,
    /// The client resets while the answer comes.
    ResetsInAnswer,
    /// The client resets behind the 101 and its first message.
    ResetsOpened,
    /// The client closes inside a frame.
    ClosesInFrame,
    /// The client sends the canary where a frame has to be.
    NotFraming,
    /// The gateway is told to end while the socket is open.
    Drained,
    /// The request goes to the admin listener.
    AskedOfAdmin,
    /// The key is in no keyring.
    KeyUnknown,
    /// The key's time is over.
    KeyExpired,
    /// The key's time has not come.
    KeyNotYetValid,
    /// The key may be presented by another carrier only.
    KeyOtherCarrier,
    /// The key is presented by a page that may not.
    KeyOtherOrigin,
    /// The key holds as many sockets as it may.
    TooManySockets,
    /// The key is wrong, and so were those before it from this address.
    TooManyAttempts,
    /// The key is taken out of the keyring while its socket is open.
    KeyRevoked,
    /// The keyring or the credential of the gateway cannot be used when it starts.
    FilesBadAtStart,
    /// The keyring or the credential of the gateway cannot be used when they are read again.
    FilesBadAtReload,
}

impl Path {
    /// All of them, as the matrix shows them.
    pub(super) const ALL: [Self; 46] = [
        Self::Answered,
        Self::Refused,
        Self::UpstreamDown,
        Self::UpstreamResets,
        Self::UpstreamCloses,
        Self::UpstreamResetsInHead,
        Self::UpstreamClosesInBody,
        Self::UpstreamResetsOpened,
        Self::UpstreamGarbage,
        Self::UpstreamMalformedField,
        Self::UpstreamWrongAccept,
        Self::UpstreamOversize,
        Self::UpstreamSilent,
        Self::MalformedRequestLine,
        Self::MalformedVersion,
        Self::MalformedField,
        Self::FoldedField,
        Self::ControlByte,
        Self::NotHttp,
        Self::OversizeHead,
        Self::TooManyFields,
        Self::AmbiguousFraming,
        Self::OldVersion,
        Self::InvalidHandshake,
        Self::UnsupportedVersion,
        Self::NominatedField,
        Self::HeadTimeout,
        Self::ClosesInHead,
        Self::ResetsInHead,
        Self::ResetsBehindHead,
        Self::ResetsInAnswer,
        Self::ResetsOpened,
        Self::ClosesInFrame,
        Self::NotFraming,
        Self::Drained,
        Self::AskedOfAdmin,
        Self::KeyUnknown,
        Self::KeyExpired,
        Self::KeyNotYetValid,
        Self::KeyOtherCarrier,
        Self::KeyOtherOrigin,
        Self::TooManySockets,
        Self::TooManyAttempts,
        Self::KeyRevoked,
        Self::FilesBadAtStart,
        Self::FilesBadAtReload,
    ];

    /// The words for people and for machines.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused by the upstream",
            Self::UpstreamDown => "upstream down",
            Self::UpstreamResets => "upstream resets",
            Self::UpstreamCloses => "upstream closes",
            Self::UpstreamResetsInHead => "upstream resets inside its head",
            Self::UpstreamClosesInBody => "upstream closes inside its body",
            Self::UpstreamResetsOpened => "upstream resets behind its answer",
            Self::UpstreamGarbage => "upstream answers garbage",
            Self::UpstreamMalformedField => "upstream's head malformed",
            Self::UpstreamWrongAccept => "upstream's handshake wrong",
            Self::UpstreamOversize => "upstream's head oversize",
            Self::UpstreamSilent => "upstream times out",
            Self::MalformedRequestLine => "request line malformed",
            Self::MalformedVersion => "version malformed",
            Self::MalformedField => "field line malformed",
            Self::FoldedField => "field line folded",
            Self::ControlByte => "control byte in the target",
            Self::NotHttp => "no HTTP",
            Self::OversizeHead => "head oversize",
            Self::TooManyFields => "too many fields",
            Self::AmbiguousFraming => "framing ambiguous",
            Self::OldVersion => "handshake of HTTP/1.0",
            Self::InvalidHandshake => "handshake invalid",
            Self::UnsupportedVersion => "handshake of another version",
            Self::NominatedField => "field named by Connection",
            Self::HeadTimeout => "head times out",
            Self::ClosesInHead => "client closes inside its head",
            Self::ResetsInHead => "client resets inside its head",
            Self::ResetsBehindHead => "client resets behind its head",
            Self::ResetsInAnswer => "client resets inside the answer",
            Self::ResetsOpened => "client resets behind the 101",
            Self::ClosesInFrame => "client closes inside a frame",
            Self::NotFraming => "no framing behind the 101",
            Self::Drained => "gateway drained",
            Self::AskedOfAdmin => "asked of the admin listener",
            Self::KeyUnknown => "key unknown",
            Self::KeyExpired => "key expired",
            Self::KeyNotYetValid => "key not yet valid",
            Self::KeyOtherCarrier => "key by another carrier",
            Self::KeyOtherOrigin => "key from another page",
            Self::TooManySockets => "too many sockets",
            Self::TooManyAttempts => "too many attempts",
            Self::KeyRevoked => "key revoked",
            Self::FilesBadAtStart => "files bad at a start",
            Self::FilesBadAtReload => "files bad at a reload",
        }
    }

    /// What the upstream has to do for it; `None` when nothing of it may come so far.
    pub(super) const fn answer(self) -> Option<Answer> {
        Some(match self {
            Self::Answered | Self::NotFraming => Answer::Agree,
            Self::Drained
            | Self::ResetsOpened
            | Self::ClosesInFrame
            | Self::TooManySockets
            | Self::KeyRevoked => Answer::Hold,
            Self::Refused => Answer::Refuse,
            Self::UpstreamResets => Answer::Reset,
            Self::UpstreamCloses => Answer::Close,
            Self::UpstreamResetsInHead => Answer::ResetInHead,
            Self::UpstreamClosesInBody => Answer::CloseInBody,
            Self::UpstreamResetsOpened => Answer::ResetOpened,
            Self::UpstreamGarbage => Answer::Echo,
            Self::UpstreamMalformedField => Answer::MalformedField,
            Self::UpstreamWrongAccept => Answer::WrongAccept,
            Self::UpstreamOversize => Answer::Oversize,
            Self::UpstreamSilent | Self::ResetsBehindHead => Answer::Silence,
            Self::ResetsInAnswer => Answer::Slow,
            _ => return None,
        })
    }

    /// Whether only an upstream of ours can drive it, and not the deployment's own.
    pub(super) const fn needs_upstream(self) -> bool {
        match self.answer() {
            Some(Answer::Agree | Answer::Hold) | None => matches!(self, Self::UpstreamDown),
            Some(_) => !matches!(self, Self::ResetsBehindHead),
        }
    }

    /// Whether it can be driven with a gateway only that is ours to configure and to end.
    pub(super) const fn needs_own_gateway(self) -> bool {
        matches!(self, Self::Drained | Self::AskedOfAdmin) || self.needs_require()
    }

    /// Whether only a gateway in `require` treats anybody so.
    pub(super) const fn needs_require(self) -> bool {
        self.outcome().is_some() || matches!(self, Self::FilesBadAtStart | Self::FilesBadAtReload)
    }

    /// What the access log of a gateway in `require` says of it.
    pub(super) const fn outcome(self) -> Option<&'static str> {
        Some(match self {
            Self::KeyUnknown => Denial::Unknown.label(),
            Self::KeyExpired => Denial::Expired.label(),
            Self::KeyNotYetValid => Denial::NotYetValid.label(),
            Self::KeyOtherCarrier => Denial::Carrier.label(),
            Self::KeyOtherOrigin => Denial::Origin.label(),
            Self::TooManySockets => Denial::TooManySockets.label(),
            Self::TooManyAttempts => Denial::TooManyAttempts.label(),
            Self::KeyRevoked => "revoked",
            _ => return None,
        })
    }

    /// Whether this carrier can come so far on it.
    pub(super) const fn carries(self, carrier: Carrier) -> bool {
        let place = carrier.place();
        match self {
            Self::UpstreamResetsOpened | Self::Drained | Self::ResetsOpened => {
                matches!(place, Place::Handshake | Place::Message)
            }
            // The agent server gets the gateway's own credential with every request, and with these at least.
            Self::Answered => {
                !matches!(place, Place::File)
                    || matches!(carrier, Carrier::OwnCredential | Carrier::SigningKey)
            }
            Self::KeyUnknown
            | Self::KeyExpired
            | Self::KeyNotYetValid
            | Self::KeyOtherCarrier
            | Self::KeyOtherOrigin
            | Self::TooManyAttempts => {
                matches!(
                    carrier,
                    Carrier::Query
                        | Carrier::Field
                        | Carrier::PlainField
                        | Carrier::PlainBearer
                        | Carrier::SubprotocolEncoded
                        | Carrier::FirstMessage
                )
            }
            Self::TooManySockets => {
                matches!(carrier, Carrier::Query | Carrier::Field | Carrier::SubprotocolEncoded)
            }
            Self::KeyRevoked => matches!(
                carrier,
                Carrier::Query | Carrier::Field | Carrier::SubprotocolEncoded | Carrier::FirstMessage
            ),
            Self::FilesBadAtStart | Self::FilesBadAtReload => matches!(place, Place::File),
            Self::ClosesInFrame | Self::NotFraming => matches!(carrier, Carrier::FirstMessage),
            Self::NotHttp => matches!(carrier, Carrier::Query),
            Self::OldVersion
            | Self::InvalidHandshake
            | Self::UnsupportedVersion
            | Self::UpstreamWrongAccept => {
                matches!(place, Place::Handshake)
            }
            Self::HeadTimeout
            | Self::ClosesInHead
            | Self::ResetsInHead
            | Self::OversizeHead
            | Self::TooManyFields => {
                matches!(place, Place::Handshake | Place::PlainHead)
            }
            _ => !matches!(place, Place::Message | Place::File),
        }
    }
}
