//! The pure rooms of hushgate, compiled from its own sources, and the laws over bytes in them.

pub use crate::sources::{access_log, authenticate, config, gateway, handshake, scrub, secret, websocket};

#[path = "../../src"]
mod sources {
    pub mod access_log;
    pub mod authenticate;
    pub mod config;
    pub mod handshake;
    pub mod scrub;
    pub mod secret;
    pub mod websocket;

    pub mod gateway {
        pub mod properties;
        pub mod takeover {
            mod answer;

            /// See [`answer::properties::reading_is_sound`].
            pub fn reading_is_sound(stream: &[u8], pieces: &[u8]) {
                answer::properties::reading_is_sound(stream, pieces);
            }
        }
    }
}

/// An input whose first line says how the rest of it is to be taken.
pub fn first_line(input: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = input.splitn(2, |byte| *byte == b'\n');
    (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
}

/// Lengths of pieces, written as letters or as anything else: up to 32 bytes each.
pub fn pieces(line: &[u8]) -> Vec<u8> {
    line.iter().map(|byte| byte % 32).collect()
}

/// The setting that a first line chooses.
pub fn setting(line: &[u8]) -> handshake::properties::Setting {
    let number = line.iter().fold(0_u16, |number, byte| number.wrapping_mul(31).wrapping_add((*byte).into()));
    handshake::properties::Setting::numbered(number)
}
