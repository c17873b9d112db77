//! The law of following chunks, stated once. It takes bytes and panics when it does not hold;
//! generated tests and the fuzz target `chunks` share it.

use super::{Chunks, LINE, NotChunks};

#[cfg(test)]
mod generated;

/// How many bytes belong to the body, and whether that is all of it.
fn followed(stream: &[u8], pieces: &[u8]) -> Result<(usize, bool), NotChunks> {
    let mut chunks = Chunks::default();
    let mut lengths = pieces.iter().map(|length| usize::from(*length).max(1)).cycle();
    let (mut rest, mut taken) = (stream, 0);
    while let Some((piece, after)) = lengths.next().and_then(|length| rest.split_at_checked(length)) {
        taken += chunks.follow(piece)?;
        rest = after;
    }
    taken += chunks.follow(rest)?;
    Ok((taken, chunks.is_complete()))
}

/// The law, for any bytes behind a head: how they are split changes nothing, the body ends where a
/// reader of whole lines sees its end, and not a byte behind that is taken.
///
/// # Panics
/// When it does not hold.
pub fn following_is_sound(stream: &[u8], pieces: &[u8]) {
    // Behind so long a line it would be refused, complete or not.
    if stream.len() > LINE {
        return;
    }
    let end = whole_body(stream);
    for pieces in [&[][..], &[1], pieces] {
        let followed = followed(stream, pieces);
        match end {
            Some(end) => assert_eq!(followed, Ok((end, true)), "a body in pieces of {pieces:?}"),
            // It goes on, or is none; where it goes on, all of it belongs to the body.
            None => assert!(followed.is_err() || followed == Ok((stream.len(), false)), "{followed:?}"),
        }
    }
}

/// The length of a body that is all there.
fn whole_body(stream: &[u8]) -> Option<usize> {
    let mut rest = stream;
    loop {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, behind) = rest.split_at_checked(digits)?;
        let size = std::str::from_utf8(size).ok().filter(|size| size.len() <= 16)?;
        let size = usize::from_str_radix(size, 16).ok()?;
        let blanks = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let behind = behind.get(blanks..)?;
        if !matches!(behind.first()?, b'\r' | b';') {
            return None;
        }
        rest = behind_line(behind)?;
        if size == 0 {
            break;
        }
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
    while !rest.starts_with(b"\r\n") {
        rest = behind_line(rest)?;
    }
    Some(stream.len() - rest.len() + 2)
}

/// What stands behind a line of text.
fn behind_line(rest: &[u8]) -> Option<&[u8]> {
    let at = rest.iter().position(|byte| *byte != b'\t' && byte.is_ascii_control())?;
    rest.get(at..)?.strip_prefix(b"\r\n")
}
