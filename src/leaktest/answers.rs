//! How the upstream of the test can answer, and what a request asks it by.

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
    pub(super) const fn label(self) -> &'static str {
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
