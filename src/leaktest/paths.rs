//! What can happen to a request: one way to succeed, and the ways to fail.

use super::{
    carriers::{Carrier, Place},
    request::{ANSWER, Request, masked_frame},
};

/// Longer than any head that is let in.
const OVERSIZE: usize = 80 * 1024;

/// More field lines than are let in.
const TOO_MANY: usize = 300;

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
}

/// What the upstream of the test does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    /// 101 or 200, a message, and a Close frame behind the first bytes.
    Agree,
    /// 101 or 200, then nothing until the other side ends.
    Hold,
    /// 403.
    Refuse,
    /// A reset.
    Reset,
    /// An end.
    Close,
    /// A part of a head, and a reset.
    ResetInHead,
    /// A part of a body, and an end.
    CloseInBody,
    /// A 101 or a 200, and a reset.
    ResetOpened,
    /// The request.
    Echo,
    /// A head with the request line where a field has to be.
    MalformedField,
    /// A 101 with the `Sec-WebSocket-Accept` of another request.
    WrongAccept,
    /// The request line in very many fields.
    Oversize,
    /// Nothing.
    Silence,
    /// A part of a body, then nothing.
    Slow,
}

/// What the client does once its request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Reads to the end.
    Reads,
    /// Closes at once.
    Closes,
    /// Resets at once.
    Resets,
    /// Resets when something of an answer has come.
    ResetsWhenAnswered,
    /// Closes when something of an answer has come.
    ClosesWhenAnswered,
}

/// What a client does from its first byte to its end.
pub(super) struct Script {
    /// What is sent at once.
    pub(super) sent: Vec<u8>,
    /// What is sent behind a 101.
    pub(super) opened: Vec<u8>,
    /// How it ends.
    pub(super) end: End,
}

impl Path {
    /// All of them, as the matrix shows them.
    pub(super) const ALL: [Self; 36] = [
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
        }
    }

    /// What the upstream has to do for it; `None` when nothing of it may come so far.
    pub(super) const fn answer(self) -> Option<Answer> {
        Some(match self {
            Self::Answered | Self::NotFraming => Answer::Agree,
            Self::Drained | Self::ResetsOpened | Self::ClosesInFrame => Answer::Hold,
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
        matches!(self, Self::Drained | Self::AskedOfAdmin)
    }

    /// Whether this carrier can come so far on it.
    pub(super) const fn carries(self, carrier: Carrier) -> bool {
        let place = carrier.place();
        match self {
            Self::UpstreamResetsOpened | Self::Drained | Self::ResetsOpened => {
                matches!(place, Place::Handshake | Place::Message)
            }
            Self::Answered => true,
            Self::ClosesInFrame | Self::NotFraming => matches!(carrier, Carrier::FirstMessage),
            Self::NotHttp => matches!(carrier, Carrier::Query),
            Self::OldVersion
            | Self::InvalidHandshake
            | Self::UnsupportedVersion
            | Self::UpstreamWrongAccept => {
                matches!(place, Place::Handshake)
            }
            Self::HeadTimeout | Self::ClosesInHead | Self::ResetsInHead => {
                matches!(place, Place::Handshake | Place::PlainHead)
            }
            _ => !matches!(place, Place::Message),
        }
    }

    /// What a client does with this request on this path.
    pub(super) fn script(self, mut request: Request, canary: &str, field: &str) -> Script {
        if let Some(answer) = self.answer() {
            request.add(ANSWER, answer.label());
        }
        self.spoil(&mut request, canary, field);
        let mut sent = request.head();
        match self {
            Self::NotHttp => sent = format!("\u{1}{canary}\r\n\r\n").into_bytes(),
            // All but the empty line that would end it.
            Self::HeadTimeout | Self::ClosesInHead | Self::ResetsInHead => {
                sent.truncate(sent.len().saturating_sub(2));
            }
            _ => sent.extend_from_slice(&request.body),
        }
        let mut opened = request.opened;
        match self {
            // A peer that answers at all answers this.
            Self::Answered if request.websocket.is_some() => {
                opened.extend(masked_frame(0x8, &1000_u16.to_be_bytes()));
            }
            // A frame that promises more than comes.
            Self::ClosesInFrame => {
                opened = [&[0x81, 0xfd, 0, 0, 0, 0], canary.as_bytes()].concat();
            }
            Self::NotFraming => opened = [&[0xff; 14], canary.as_bytes()].concat(),
            _ => {}
        }
        Script { sent, opened, end: self.end() }
    }

    /// How the client ends.
    const fn end(self) -> End {
        match self {
            Self::ClosesInHead => End::Closes,
            Self::ResetsInHead | Self::ResetsBehindHead => End::Resets,
            Self::ResetsInAnswer | Self::ResetsOpened => End::ResetsWhenAnswered,
            Self::ClosesInFrame => End::ClosesWhenAnswered,
            _ => End::Reads,
        }
    }

    /// Makes the request what this path is called after.
    fn spoil(self, request: &mut Request, canary: &str, field: &str) {
        match self {
            Self::MalformedRequestLine => request.target.push_str(" too many"),
            Self::MalformedVersion => request.version = "HTTP/x.y",
            Self::MalformedField => request.lines.push(format!("no name {canary}").into_bytes()),
            Self::FoldedField => request.add("X-Folded", &format!("a\r\n {canary}")),
            Self::ControlByte => request.target.push('\0'),
            Self::OversizeHead => request.add("X-Long", &"a".repeat(OVERSIZE)),
            Self::TooManyFields => (0..TOO_MANY).for_each(|number| request.add(&format!("X-{number}"), "a")),
            Self::AmbiguousFraming => {
                request.add("Content-Length", "5");
                request.add("Transfer-Encoding", "chunked");
            }
            Self::OldVersion => request.version = "HTTP/1.0",
            Self::InvalidHandshake => request.nonce = "short",
            Self::UnsupportedVersion => request.websocket = Some("8"),
            Self::NominatedField => request.add("Connection", field),
            _ => {}
        }
    }
}

impl Answer {
    /// All of them.
    const ALL: [Self; 14] = [
        Self::Agree,
        Self::Hold,
        Self::Refuse,
        Self::Reset,
        Self::Close,
        Self::ResetInHead,
        Self::CloseInBody,
        Self::ResetOpened,
        Self::Echo,
        Self::MalformedField,
        Self::WrongAccept,
        Self::Oversize,
        Self::Silence,
        Self::Slow,
    ];

    /// The word for it in a request.
    const fn label(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Hold => "hold",
            Self::Refuse => "refuse",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::ResetInHead => "reset-in-head",
            Self::CloseInBody => "close-in-body",
            Self::ResetOpened => "reset-opened",
            Self::Echo => "echo",
            Self::MalformedField => "malformed-field",
            Self::WrongAccept => "wrong-accept",
            Self::Oversize => "oversize",
            Self::Silence => "silence",
            Self::Slow => "slow",
        }
    }

    /// What a request asks for, if it says so.
    pub(super) fn asked(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.label() == label)
    }
}
