//! A credential on standard input: no command line, and so no list of processes, holds one.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    os::fd::AsFd,
};

use hushgate::secret::{Wiped, issued};
use zeroize::Zeroizing;

/// What is shorter, in visible ASCII, has less than 128 bits and may be guessed from its digest.
const SHORTEST: usize = 20;

/// The longest that a request's head has room for.
const LONGEST: usize = 4096;

/// Reads the credential, without the end of its line.
///
/// # Errors
/// Why there is none that could be used.
pub(super) fn read() -> Result<Wiped, String> {
    let input = io::stdin();
    if input.is_terminal() {
        super::say(format_args!("reading the credential from standard input, until Ctrl-D"));
    }
    // With room for all of it, so that nothing is left behind in memory by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX) + 2;
    input
        .as_fd()
        .try_clone_to_owned()
        .and_then(|input| File::from(input).take(most).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let credential = line.strip_suffix(b"\r").unwrap_or(line);
    usable(credential).map_err(str::to_owned)?;
    Ok(Wiped::copy_of(credential))
}

/// Whether a credential can be used.
fn usable(credential: &[u8]) -> Result<(), &'static str> {
    if credential.is_empty() {
        return Err("is empty; write the credential to it");
    }
    if !credential.iter().all(u8::is_ascii_graphic) {
        return Err("holds a blank, or something else that is not visible ASCII and cannot be presented");
    }
    if credential.len() < SHORTEST {
        return Err("is shorter than 20 characters, and could be guessed from its digest; use a longer one");
    }
    if credential.len() > LONGEST {
        return Err("is longer than 4096 characters; use a shorter one");
    }
    if credential.starts_with(issued::PREFIX.as_bytes()) && !issued::is_ours(credential) {
        return Err("begins as what `hushgate key new` makes, but was mistyped or cut");
    }
    Ok(())
}
