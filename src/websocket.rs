//! Frame boundaries (RFC 6455 section 5.2), followed by their headers alone; Close frames; and the first
//! message, where it may carry a credential.

pub mod first_message;
#[cfg(any(test, fuzzing))]
pub mod properties;

/// A Close frame for a client, which must not be masked (RFC 6455 section 5.1).
pub const fn close_for_client(code: u16) -> [u8; 4] {
    let [high, low] = code.to_be_bytes();
    [0x88, 2, high, low]
}

/// A Close frame for a client that says why, for people: 123 bytes of it at most.
pub fn explained_close_for_client(code: u16, reason: &'static str) -> Vec<u8> {
    let [first, second, high, low] = close_for_client(code);
    let reason = reason.get(..reason.floor_char_boundary(123)).unwrap_or_default();
    let length = second.saturating_add(u8::try_from(reason.len()).unwrap_or(0));
    [&[first, length, high, low], reason.as_bytes()].concat()
}

/// A Close frame for a server, which must be masked. The masking key is zero: masking hides what a
/// client's user chooses from intermediaries, and nothing of this is chosen.
pub const fn close_for_server(code: u16) -> [u8; 8] {
    let [high, low] = code.to_be_bytes();
    [0x88, 0x82, 0, 0, 0, 0, high, low]
}

/// Follows the frames of one direction of a relayed socket, whatever pieces they arrive in.
///
/// It never holds a payload, except for the two bytes of a close code.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    state: State,
    header: [u8; 14],
    filled: usize,
    /// Of the last frame whose header has passed.
    payload: u64,
    close_code: Option<u16>,
    has_close: bool,
    messages: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Inside a frame header.
    #[default]
    Header,
    /// Inside a payload with this many bytes to come.
    Payload(u64),
    /// Inside the code of a Close frame; the second value is what follows the code.
    CloseCode(u64),
    /// A Close frame has passed, after which nothing is of interest.
    Closed,
    /// The stream is not valid framing.
    Lost,
}

impl Frames {
    /// Whether a Close frame has passed.
    pub fn has_close(&self) -> bool {
        self.has_close
    }

    /// The code of the Close frame, if one passed and had one (RFC 6455 section 5.5.1).
    pub fn close_code(&self) -> Option<u16> {
        self.close_code
    }

    /// Whether the stream is between two frames, where another frame may be put.
    pub fn is_between(&self) -> bool {
        self.state == State::Header && self.filled == 0
    }

    /// Whether no frame will follow: a Close frame has passed, or this was no framing.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Closed | State::Lost)
    }

    /// Whether everything so far was valid framing.
    pub fn is_valid(&self) -> bool {
        self.state != State::Lost
    }

    /// How many messages have passed, control frames not counted: a message counts once the header of
    /// its last fragment has passed.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The length of the payload of the last frame whose header has passed.
    pub fn payload(&self) -> u64 {
        self.payload
    }

    /// How many bytes of the current payload are still to come.
    pub fn remaining(&self) -> u64 {
        if let State::Payload(remaining) = self.state { remaining } else { 0 }
    }

    /// Follows the stream to where a payload begins, and gives back how many bytes that is; all of them,
    /// if none begins here.
    pub fn follow_to_payload(&mut self, bytes: &[u8]) -> usize {
        bytes.len() - self.follow_while(bytes, |frames| !matches!(frames.state, State::Payload(_)))
    }

    /// Follows so many bytes of the current payload unseen; at most [`remaining`](Self::remaining).
    pub fn skip(&mut self, bytes: u64) {
        if let State::Payload(remaining) = self.state {
            let left = remaining.saturating_sub(bytes);
            self.state = if left == 0 { State::Header } else { State::Payload(left) };
        }
    }

    /// Follows the next bytes of the stream.
    pub fn follow(&mut self, bytes: &[u8]) {
        self.follow_while(bytes, |_| true);
    }

    /// Follows the stream to the end of the current frame, and gives back how many bytes that is;
    /// all of them, if it does not end here.
    pub fn follow_to_end_of_frame(&mut self, bytes: &[u8]) -> usize {
        bytes.len() - self.follow_while(bytes, |frames| !frames.is_between())
    }

    /// Follows as long as `goes_on`, and gives back how many bytes are left.
    fn follow_while(&mut self, mut bytes: &[u8], goes_on: impl Fn(&Self) -> bool) -> usize {
        while let Some((first, rest)) = bytes.split_first().filter(|_| goes_on(self)) {
            match self.state {
                State::Closed | State::Lost => return 0,
                State::Payload(remaining) => {
                    let here = usize::try_from(remaining).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.split_at_checked(here).map_or(&[], |(_, rest)| rest);
                    self.skip(u64::try_from(here).unwrap_or(remaining));
                }
                State::CloseCode(_) | State::Header => {
                    self.take(*first);
                    bytes = rest;
                }
            }
        }
        bytes.len()
    }

    /// Takes one byte of a header, or of a close code behind it.
    fn take(&mut self, byte: u8) {
        let Some(slot) = self.header.get_mut(self.filled) else {
            self.state = State::Lost;
            return;
        };
        *slot = byte;
        self.filled += 1;
        if let State::CloseCode(mask_at) = self.state {
            self.take_close_code(usize::try_from(mask_at).unwrap_or(0));
        } else if let Some(payload) = self.complete_header() {
            self.enter(payload);
        }
    }

    /// The payload's length, once the header is complete.
    fn complete_header(&self) -> Option<u64> {
        let [_, second, rest @ ..] = &self.header;
        if self.filled < 2 {
            return None;
        }
        let wide: usize = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.filled < 2 + wide + mask {
            return None;
        }
        Some(match wide {
            0 => u64::from(second & 0x7f),
            _ => rest.iter().take(wide).fold(0, |length, byte| length << 8 | u64::from(*byte)),
        })
    }

    fn enter(&mut self, payload: u64) {
        let [first, second, ..] = self.header;
        let (opcode, reserved) = (first & 0x0f, matches!(first & 0x0f, 3..=7 | 11..=15));
        let is_control = opcode >= 8;
        let is_fragment = first & 0x80 == 0;
        if reserved || (is_control && (second & 0x7f > 125 || is_fragment)) || payload >> 63 == 1 {
            self.state = State::Lost;
            return;
        }
        if opcode == 8 {
            self.has_close = true;
            // Nothing follows a Close frame, so its code may use up the header's buffer.
            let mask_at = if second & 0x80 == 0 { 0 } else { 2 };
            self.state = if payload >= 2 { State::CloseCode(mask_at) } else { State::Closed };
            return;
        }
        if !is_control && !is_fragment {
            self.messages += 1;
        }
        self.filled = 0;
        self.payload = payload;
        self.state = if payload == 0 { State::Header } else { State::Payload(payload) };
    }

    fn take_close_code(&mut self, mask_at: usize) {
        let start = if mask_at == 0 { 2 } else { 6 };
        let (Some([high, low]), true) = (self.header.get(start..start + 2), self.filled == start + 2) else {
            return;
        };
        let (mut high, mut low) = (*high, *low);
        if let (true, Some([first, second])) = (mask_at != 0, self.header.get(mask_at..mask_at + 2)) {
            high ^= first;
            low ^= second;
        }
        self.close_code = Some(u16::from_be_bytes([high, low]));
        self.state = State::Closed;
    }
}

#[cfg(test)]
mod tests {
    use super::{Frames, close_for_client, close_for_server};

    #[track_caller]
    fn check(stream: &[u8], has_close: bool, code: Option<u16>) {
        for piece in 1..=stream.len() {
            let mut frames = Frames::default();
            stream.chunks(piece).for_each(|bytes| frames.follow(bytes));
            assert_eq!((frames.has_close(), frames.close_code()), (has_close, code), "in pieces of {piece}");
        }
    }

    #[test]
    fn finds_the_close_code_behind_other_frames() {
        let mut stream = vec![0x81, 3, b'a', b'b', b'c', 0x89, 0];
        stream.extend([0x82, 126, 0, 200]);
        stream.extend([0x88; 200]);
        stream.extend([0x88, 2, 0x03, 0xe8]);
        check(&stream, true, Some(1000));
    }

    #[test]
    fn stops_at_the_end_of_a_frame() {
        let mut frames = Frames::default();
        assert!(frames.is_between());
        assert_eq!(frames.follow_to_end_of_frame(&[0x81, 1, b'a']), 0);
        frames.follow(&[0x81]);
        assert_eq!(frames.follow_to_end_of_frame(&[2, b'a']), 2);
        assert!(!frames.is_between());
        assert_eq!(frames.follow_to_end_of_frame(&[b'b', 0x81, 0]), 1);
        assert!(frames.is_between() && !frames.is_over());
    }

    #[test]
    fn reads_its_own_close_frames() {
        for code in [1001, 1012] {
            check(&close_for_client(code), true, Some(code));
            check(&close_for_server(code), true, Some(code));
        }
    }

    #[test]
    fn unmasks_a_clients_close_code() {
        check(
            &[0x81, 0x81, 1, 2, 3, 4, 9, 0x88, 0x84, 9, 8, 7, 6, 0x0f ^ 9, 0xa1 ^ 8, 7, 6],
            true,
            Some(4001),
        );
    }

    #[test]
    fn a_close_frame_may_have_no_code() {
        check(&[0x88, 0x00], true, None);
    }

    #[test]
    fn what_is_not_framing_is_given_up() {
        check(b"GET / HTTP/1.1\r\n", false, None);
        check(&[0x83, 0, 0x88, 2, 3, 0xe8], false, None);
        // A control frame is never long, and says so in one byte.
        check(&[0x88, 126, 0, 2, 3, 0xe8], false, None);
        check(&[0x89, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0x88, 0], false, None);
        let mut frames = Frames::default();
        frames.follow(&[0x81, 0, 0x83]);
        assert!(frames.is_valid());
        frames.follow(&[0, 0x81, 0]);
        assert_eq!((frames.is_valid(), frames.is_over(), frames.messages()), (false, true, 1));
    }

    #[test]
    fn counts_messages_and_not_fragments_or_control_frames() {
        let mut frames = Frames::default();
        frames.follow(&[0x81, 1, b'a', 0x01, 1, b'b', 0x89, 0, 0x00, 0, 0x80, 0, 0x82, 0, 0x88, 0, 0x81, 0]);
        assert_eq!((frames.messages(), frames.is_valid(), frames.is_over()), (3, true, true));
    }
}
