//! What a client does on each path, from its first byte to its end.
#![expect(clippy::wildcard_enum_match_arm, reason = "what concerns a few paths names these few")]

use super::{
    paths::Path,
    request::{ANSWER, Request, masked_frame},
};

/// Longer than any head that is let in.
const OVERSIZE: usize = 80 * 1024;

/// How many failed attempts an address has in a minute: more than there are cells that fail once.
pub(super) const ATTEMPTS: usize = 60;

/// More field lines than are let in.
const TOO_MANY: usize = 300;

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
    /// Closes when something has come behind the answer.
    ClosesWhenTold,
}

/// What a client does from its first byte to its end.
pub(super) struct Script {
    /// How often the same is sent before, each time on another connection.
    pub(super) before: usize,
    /// Whether that goes to its end, also behind a 101.
    pub(super) to_the_end: bool,
    /// What is sent at once.
    pub(super) sent: Vec<u8>,
    /// What is sent behind a 101.
    pub(super) opened: Vec<u8>,
    /// How it ends.
    pub(super) end: End,
}

impl Path {
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
        let before = match self {
            Self::TooManySockets => 1,
            Self::TooManyAttempts => ATTEMPTS,
            _ => 0,
        };
        let to_the_end = matches!(self, Self::TooManyAttempts);
        Script { before, to_the_end, sent, opened, end: self.end() }
    }

    /// How the client ends.
    const fn end(self) -> End {
        match self {
            Self::ClosesInHead => End::Closes,
            Self::ResetsInHead | Self::ResetsBehindHead => End::Resets,
            Self::ResetsInAnswer | Self::ResetsOpened => End::ResetsWhenAnswered,
            Self::ClosesInFrame => End::ClosesWhenAnswered,
            Self::KeyRevoked => End::ClosesWhenTold,
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
            Self::KeyOtherOrigin => request.add("Origin", "https://evil.example"),
            Self::NominatedField => request.add("Connection", field),
            _ => {}
        }
    }
}
