//! A client's first message, which may carry its credential (`authentication`).
//!
//! [`FirstMessage`] puts it together where nothing goes on before its sender is known. [`Redundant`]
//! takes it out of a socket whose caller is known already: some versions of the agent server would
//! answer it with an error that repeats it, credential and all.

pub use self::authentication::Authentication;
use self::authentication::Unreadable;
use super::close_for_client;
use crate::secret::Wiped;

mod authentication;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;

/// The longest message that may be one, in bytes, its fragments together.
pub const LONGEST: usize = 4096;

/// The most fragments that it may come in.
const FRAGMENTS: usize = 64;

/// The close code for a peer that breaks the protocol (RFC 6455 section 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;

/// Why what a client sends cannot be such a message: it is binary, too long or in too many fragments,
/// or no valid framing without extensions (RFC 6455 section 5.2).
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit;

/// One frame of a client's that is all there.
struct Frame<'a> {
    opcode: Opcode,
    /// Whether no fragment follows.
    is_last: bool,
    mask: [u8; 4],
    /// As it came, masked.
    payload: &'a [u8],
    /// How many bytes it takes, header and all.
    length: usize,
}

/// What a frame is for, as far as it may come before a message is whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of(first: u8) -> Result<Self, Unfit> {
        match first & 0x0f {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Text),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            _ => Err(Unfit),
        }
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl<'a> Frame<'a> {
    /// The frame that a client's stream begins with, or `None` while it is not all there.
    ///
    /// # Errors
    /// It cannot be part of such a message, which the first bytes of its header tell.
    fn first_of(stream: &'a [u8]) -> Result<Option<Self>, Unfit> {
        let Some((&first, rest)) = stream.split_first() else { return Ok(None) };
        let (opcode, is_last) = (Opcode::of(first)?, first & 0x80 != 0);
        // No extension was agreed upon that could give the reserved bits a meaning.
        if first & 0x70 != 0 || opcode.is_control() && !is_last {
            return Err(Unfit);
        }
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        // A control frame says its length in one byte.
        if second & 0x80 == 0 || second & 0x7f > 125 && opcode.is_control() {
            return Err(Unfit);
        }
        let split = match second & 0x7f {
            126 => rest.split_first_chunk().map(|(wide, rest)| (u16::from_be_bytes(*wide).into(), rest)),
            127 => rest.split_first_chunk().map(|(wide, rest)| (u64::from_be_bytes(*wide), rest)),
            short => Some((u64::from(short), rest)),
        };
        let Some((payload, rest)) = split else { return Ok(None) };
        let payload = usize::try_from(payload).ok().filter(|length| *length <= LONGEST).ok_or(Unfit)?;
        let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let length = stream.len() - rest.len() + payload;
        let payload = rest.get(..payload);
        Ok(payload.map(|payload| Self { opcode, is_last, mask: *mask, payload, length }))
    }

    /// The payload, unmasked (RFC 6455 section 5.3).
    fn unmasked(&self) -> impl Iterator<Item = u8> {
        self.payload.iter().zip(self.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask)
    }
}

/// Puts a client's first message together, frame by frame.
#[derive(Default)]
pub struct FirstMessage {
    text: Wiped,
    fragments: usize,
}

/// What one frame was.
pub enum Step {
    /// A fragment of the message, with more to come.
    Part,
    /// The rest of the message.
    Whole,
    /// A Ping frame, and the Pong frame that answers it.
    Ping(Wiped),
    /// A Pong frame, which asks for nothing.
    Pong,
    /// A Close frame, and the one that replies to it.
    Close(Wiped),
}

impl FirstMessage {
    /// Takes the frame that the stream goes on with: how many bytes it took, and what it was. `None`
    /// while it is not all there.
    ///
    /// # Errors
    /// No such message can come any more.
    pub fn take(&mut self, stream: &[u8]) -> Result<Option<(usize, Step)>, Unfit> {
        let Some(frame) = Frame::first_of(stream)? else { return Ok(None) };
        let step = match frame.opcode {
            Opcode::Text | Opcode::Continuation => self.fragment(&frame)?,
            Opcode::Ping => Step::Ping(pong(&frame)),
            Opcode::Pong => Step::Pong,
            Opcode::Close => Step::Close(reply(&frame)),
        };
        Ok(Some((frame.length, step)))
    }

    /// What the message says, once it is whole.
    pub fn authentication(&self) -> Option<Authentication> {
        Authentication::parse(self.text.as_bytes()).ok().flatten()
    }

    /// Whether a server could take it for an authentication message: some read as JSON what is none.
    fn may_authenticate(&self) -> bool {
        let text = self.text.as_bytes();
        let holds = |word: &[u8]| memchr::memmem::find(text, word).is_some();
        match Authentication::parse(text) {
            Ok(found) => found.is_some(),
            Err(Unreadable) => {
                text.trim_ascii_start().starts_with(b"{")
                    && holds(b"\"auth\"")
                    && holds(b"\"session_api_key\"")
            }
        }
    }

    fn fragment(&mut self, frame: &Frame<'_>) -> Result<Step, Unfit> {
        let is_first = self.fragments == 0;
        let is_too_much = self.fragments >= FRAGMENTS
            || self.text.as_bytes().len().saturating_add(frame.payload.len()) > LONGEST;
        if is_first != (frame.opcode == Opcode::Text) || is_too_much {
            return Err(Unfit);
        }
        self.fragments += 1;
        self.text.extend(frame.payload.len(), frame.unmasked());
        Ok(if frame.is_last { Step::Whole } else { Step::Part })
    }
}

/// The Pong frame for a Ping frame, which repeats its payload (RFC 6455 section 5.5.3).
fn pong(ping: &Frame<'_>) -> Wiped {
    let mut frame = Wiped::with_capacity(2 + ping.payload.len());
    frame.append(&[0x8a, u8::try_from(ping.payload.len()).unwrap_or(0)]);
    frame.extend(ping.payload.len(), ping.unmasked());
    frame
}

/// The Close frame that replies to one (RFC 6455 sections 5.5.1 and 7.4): with its code, or with 1002 where that is
/// none which may stand in a frame.
fn reply(close: &Frame<'_>) -> Wiped {
    let mut code = close.unmasked();
    let code = match (code.next(), code.next()) {
        (None, _) => return Wiped::copy_of(&[0x88, 0]),
        (Some(high), Some(low)) => u16::from_be_bytes([high, low]),
        (Some(_), None) => PROTOCOL_ERROR,
    };
    let may_stand = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    Wiped::copy_of(&close_for_client(if may_stand { code } else { PROTOCOL_ERROR }))
}

/// Takes an authentication message out of a client's stream, if that is the first there is.
///
/// Everything else goes on as it came; only control frames that stand between the fragments of what
/// turns out to be another message go on before it, and fragments of a message that never ends do not.
#[derive(Default)]
pub struct Redundant {
    message: FirstMessage,
    /// Fragments of the message, as they came.
    held: Wiped,
    /// The beginning of a frame that is not all there.
    unread: Wiped,
}

/// Whether more has to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// What follows, too.
    Further,
    /// Nothing any more: everything goes on.
    Enough,
}

impl Redundant {
    /// Takes what was read, and appends what goes on of it, and of what was held back, to `on`.
    pub fn pass(&mut self, read: &[u8], on: &mut Wiped) -> Look {
        let mut unread = std::mem::take(&mut self.unread);
        unread.append(read);
        let mut rest = unread.as_bytes();
        loop {
            let (length, step) = match self.message.take(rest) {
                Ok(Some(taken)) => taken,
                Ok(None) => {
                    self.unread.append(rest);
                    return Look::Further;
                }
                Err(Unfit) => break,
            };
            let (frame, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            match step {
                Step::Ping(_) | Step::Pong => on.append(frame),
                Step::Part => self.held.append(frame),
                Step::Whole if self.message.may_authenticate() => {
                    on.append(behind);
                    return Look::Enough;
                }
                Step::Whole => break,
                // No message follows, and none ends.
                Step::Close(_) => {
                    on.append(rest);
                    return Look::Enough;
                }
            }
            rest = behind;
        }
        on.append(self.held.as_bytes());
        on.append(rest);
        Look::Enough
    }

    /// What is held back.
    pub fn into_held(self) -> Wiped {
        let mut held = self.held;
        held.append(self.unread.as_bytes());
        held
    }
}
