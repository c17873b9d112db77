//! Endless bytes of which each position is known, so that whoever reads needs no copy of what was
//! written to tell whether anything was lost, doubled, moved or swapped with another socket's.

use std::sync::OnceLock;

/// A prime, so that no piece of a power of two falls on the same bytes twice.
const PERIOD: usize = 65_521;

/// The most bytes that one call gives.
const MOST: usize = 32 * 1024;

/// The bytes of one direction of one socket, from a position on.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    position: usize,
}

impl Pattern {
    /// The bytes of the direction that has this number.
    pub(crate) fn of(number: usize) -> Self {
        Self { position: number * 7_919 % PERIOD }
    }

    /// The next bytes, at most this many; fewer where that is no less convenient.
    pub(crate) fn next(&mut self, most: usize) -> &'static [u8] {
        let bytes = &block()[self.position..][..most.min(MOST)];
        self.position = (self.position + bytes.len()) % PERIOD;
        bytes
    }

    /// Fails unless these are the next bytes.
    #[track_caller]
    pub(crate) fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = self.next(bytes.len());
            let (here, rest) = bytes.split_at(expected.len());
            assert!(here == expected, "other bytes came out than went in");
            bytes = rest;
        }
    }
}

/// A period, and as much again as one call may give.
fn block() -> &'static [u8] {
    static BLOCK: OnceLock<Vec<u8>> = OnceLock::new();
    BLOCK.get_or_init(|| {
        let mut state: u32 = 0x9e37_79b9;
        let mut bytes: Vec<u8> = (0..PERIOD)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_be_bytes()[0]
            })
            .collect();
        bytes.extend_from_within(..);
        bytes.truncate(PERIOD + MOST);
        bytes
    })
}
