//! Values that are known only by a digest, wherever they stand.
//!
//! The text is taken apart into tokens, and each is shown to a judge that knows the digests. That is
//! much slower than looking for names, since every token has to be hashed.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::REDACTED;

/// The shortest token that is shown to the judge. Whatever is shorter can be guessed from its digest.
pub const SHORTEST: usize = 8;

/// The longest token that is shown to the judge, in raw bytes.
pub const LONGEST: usize = 4096;

/// What knows the digests, and takes the text.
pub trait Judge {
    /// Whether a token is a known credential. If so, `REDACTED` is handed on for it.
    fn is_known(&mut self, token: &[u8]) -> bool;

    /// Takes a piece of the text.
    fn text(&mut self, bytes: &[u8]);
}

/// Replaces known tokens in a text that comes in pieces.
///
/// A token is a longest run of letters, digits and `-._~`, or of these and `+/=%`; of the latter also
/// what stands behind its first `=`. The judge sees it as it is, and with percent-encoding undone.
#[derive(Default)]
pub struct Known {
    /// The run that has not ended yet, if it is not too long.
    run: Vec<u8>,
    /// Whether the run is too long to be a credential, and its beginning was handed on.
    is_too_long: bool,
}

impl Known {
    /// Takes a piece, and hands on what is certain.
    pub fn feed(&mut self, piece: &[u8], judge: &mut impl Judge) {
        let mut rest = piece;
        while !rest.is_empty() {
            let length = rest.iter().take_while(|byte| is_wide(**byte)).count();
            let (run, behind) = rest.split_at_checked(length).unwrap_or((rest, b""));
            self.extend(run, judge);
            if behind.is_empty() {
                return;
            }
            self.end(judge);
            let length = behind.iter().take_while(|byte| !is_wide(**byte)).count();
            let (between, behind) = behind.split_at_checked(length).unwrap_or((behind, b""));
            judge.text(between);
            rest = behind;
        }
    }

    /// Takes the end of the text.
    pub fn finish(&mut self, judge: &mut impl Judge) {
        self.end(judge);
    }

    fn extend(&mut self, run: &[u8], judge: &mut impl Judge) {
        if !self.is_too_long && self.run.len() + run.len() <= LONGEST {
            self.run.extend_from_slice(run);
            return;
        }
        self.is_too_long = true;
        judge.text(&self.run);
        judge.text(run);
        self.run.clear();
    }

    fn end(&mut self, judge: &mut impl Judge) {
        let run = std::mem::take(&mut self.run);
        if !std::mem::take(&mut self.is_too_long) && run.len() >= SHORTEST {
            replace(&run, judge);
        } else {
            judge.text(&run);
        }
        // Its room is used again.
        self.run = run;
        self.run.clear();
    }
}

/// Hands a run on without what is known of it.
fn replace(run: &[u8], judge: &mut impl Judge) {
    if is_known(run, judge) {
        return judge.text(REDACTED);
    }
    if let Some(equals) = run.iter().position(|byte| *byte == b'=')
        && let Some((name, value)) = run.split_at_checked(equals + 1)
        && is_known(value, judge)
    {
        judge.text(name);
        return judge.text(REDACTED);
    }
    for token in run.chunk_by(|one, other| is_narrow(*one) == is_narrow(*other)) {
        let is_token = token.first().copied().is_some_and(is_narrow) && token.len() < run.len();
        let is_known = is_token && is_known(token, judge);
        judge.text(if is_known { REDACTED } else { token });
    }
}

fn is_known(token: &[u8], judge: &mut impl Judge) -> bool {
    token.len() >= SHORTEST
        && (judge.is_known(token)
            || token.contains(&b'%') && judge.is_known(&Cow::from(percent_decode(token))))
}

const fn is_narrow(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_wide(byte: u8) -> bool {
    is_narrow(byte) || matches!(byte, b'+' | b'/' | b'=' | b'%')
}
