//! The laws of following frames, stated once. A law takes bytes and panics when it does not hold;
//! generated tests and the fuzz target `frames` share them.

use super::Frames;

#[cfg(test)]
pub(super) mod generated;

/// Follows a whole stream in pieces of the given lengths, over and over; zero counts as one.
fn followed(stream: &[u8], pieces: &[u8]) -> Frames {
    let mut frames = Frames::default();
    let mut lengths = pieces.iter().map(|length| usize::from(*length).max(1)).cycle();
    let mut rest = stream;
    while let Some((piece, after)) = lengths.next().and_then(|length| rest.split_at_checked(length)) {
        frames.follow(piece);
        rest = after;
    }
    frames.follow(rest);
    frames
}

/// The laws of following, for any bytes as a stream: how it is split changes nothing, and what is
/// found is what a reader of whole frames finds.
///
/// # Panics
/// When one does not hold.
pub fn following_is_sound(stream: &[u8], pieces: &[u8]) {
    let expected = whole_frames(stream);
    for pieces in [&[][..], &[1], pieces] {
        let frames = followed(stream, pieces);
        let close = frames.has_close().then(|| frames.close_code());
        let found = (close, frames.messages(), frames.is_valid());
        assert_eq!(found, expected, "the frames of a stream in pieces of {pieces:?}");
        assert!(frames.has_close() || frames.close_code().is_none(), "a code without a Close frame");
    }
    following_frame_by_frame_is_sound(stream);
    following_headers_alone_is_sound(stream);
}

/// Where payloads are not looked at, a stream is followed to the same end.
fn following_headers_alone_is_sound(stream: &[u8]) {
    let mut frames = Frames::default();
    let mut rest = stream;
    while !rest.is_empty() {
        let length = frames.follow_to_payload(rest);
        rest = rest.get(length..).unwrap_or_default();
        let here = usize::try_from(frames.remaining()).unwrap_or(usize::MAX).min(rest.len());
        assert!(
            frames.remaining() <= frames.payload() && (here > 0 || rest.is_empty()),
            "it goes no further"
        );
        // In two steps, since a payload may come in pieces.
        for step in [here / 2, here - here / 2] {
            frames.skip(u64::try_from(step).unwrap_or(0));
        }
        rest = rest.get(here..).unwrap_or_default();
    }
    assert_eq!(format!("{frames:?}"), format!("{:?}", followed(stream, &[])));
}

/// Frame by frame, a stream is followed to the same end, and each step ends between two frames.
fn following_frame_by_frame_is_sound(stream: &[u8]) {
    let mut frames = Frames::default();
    let mut rest = stream;
    while let Some(first) = rest.first_chunk::<1>() {
        // Between two frames it takes nothing, so the first byte of each frame is given to it.
        frames.follow(first);
        let after = rest.get(1..).unwrap_or_default();
        let length = frames.follow_to_end_of_frame(after);
        assert!(length == after.len() || frames.is_between(), "a step ends inside a frame");
        rest = after.get(length..).unwrap_or_default();
    }
    let whole = followed(stream, &[]);
    assert_eq!((frames.has_close(), frames.close_code()), (whole.has_close(), whole.close_code()));
    assert_eq!((frames.is_between(), frames.is_over()), (whole.is_between(), whole.is_over()));
}

/// What a reader of whole frames finds: the code of the first Close frame, if there is one and it has
/// one; how many messages came before; and whether all of it is framing.
fn whole_frames(stream: &[u8]) -> (Option<Option<u16>>, u64, bool) {
    let (mut rest, mut messages) = (stream, 0);
    while let Some(Header { first, second, length, mask, payload }) = header(rest) {
        let is_control = first & 0x08 != 0;
        let is_unknown = !matches!(first & 0x0f, 0 | 1 | 2 | 8 | 9 | 10);
        // A control frame is whole, and its length is one of the short ones.
        if is_unknown || length > u64::MAX / 2 || (is_control && (first & 0x80 == 0 || second & 0x7f > 125)) {
            return (None, messages, false);
        }
        if first & 0x0f == 8 {
            let code = payload.first_chunk().filter(|_| length >= 2);
            let [high, low, ..] = mask;
            let code = code.map(|[first, second]| u16::from_be_bytes([first ^ high, second ^ low]));
            return (Some(code), messages, true);
        }
        messages += u64::from(!is_control && first & 0x80 != 0);
        let behind = usize::try_from(length).ok().and_then(|length| payload.get(length..));
        rest = behind.unwrap_or_default();
    }
    (None, messages, true)
}

/// A frame's header, and what stands behind it.
pub(super) struct Header<'a> {
    pub(super) first: u8,
    pub(super) second: u8,
    pub(super) length: u64,
    pub(super) mask: [u8; 4],
    pub(super) payload: &'a [u8],
}

/// The header at the beginning of a stream, if all of it is there.
pub(super) fn header(stream: &[u8]) -> Option<Header<'_>> {
    let (&[first, second], rest) = stream.split_first_chunk()?;
    let (length, rest) = match second & 0x7f {
        126 => rest.split_first_chunk().map(|(wide, rest)| (u64::from(u16::from_be_bytes(*wide)), rest))?,
        127 => rest.split_first_chunk().map(|(wide, rest)| (u64::from_be_bytes(*wide), rest))?,
        short => (u64::from(short), rest),
    };
    let (mask, payload) = match second & 0x80 {
        0 => ([0; 4], rest),
        _ => rest.split_first_chunk().map(|(mask, rest)| (*mask, rest))?,
    };
    Some(Header { first, second, length, mask, payload })
}
