//! The search of every byte of a sink for the canaries of a run, in bounded memory.

use std::{
    collections::HashMap,
    io::{self, Read},
};

use aho_corasick::AhoCorasick;

use super::{
    LeaktestError,
    canary::{Canaries, Cell, Form, Needle, Spelling},
};

/// How much is searched at once.
const PIECE: usize = 256 * 1024;

/// What is kept on either side, so that a canary is seen whole: more than its longest spelling.
const MARGIN: usize = 256;

/// Knows the canaries of one run in all their spellings.
pub(super) struct Search {
    automaton: AhoCorasick,
    needles: Vec<Needle>,
    codes: HashMap<(Spelling, Vec<u8>), Cell>,
}

/// A canary, or a piece of one, where it should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Where it was planted; `None` when too little of it is left to tell.
    pub(super) cell: Option<Cell>,
    /// What it was turned into.
    pub(super) form: Form,
    /// The line that it is in, from 1.
    pub(super) line: u64,
    /// Where it begins, from 0.
    pub(super) byte: u64,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The first hit of each cell.
    pub(super) hits: Vec<Hit>,
    /// How many bytes were searched.
    pub(super) bytes: u64,
    /// How many lines.
    pub(super) lines: u64,
}

impl Search {
    /// Prepares the search for these canaries.
    ///
    /// # Errors
    /// The search cannot be built, which is a mistake of ours.
    pub(super) fn of(canaries: &Canaries) -> Result<Self, LeaktestError> {
        let needles = canaries.needles();
        let automaton = AhoCorasick::new(needles.iter().map(|needle| &needle.bytes))
            .map_err(|_| LeaktestError::Search)?;
        let mut codes = HashMap::new();
        for spelling in Spelling::all() {
            codes.extend(canaries.codes(spelling).map(|(code, cell)| ((spelling, code), cell)));
        }
        Ok(Self { automaton, needles, codes })
    }

    /// Searches bytes to their end.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn read(&self, mut from: impl Read) -> io::Result<Found> {
        let mut found = Found::default();
        // Behind what is decided stands a margin that was, before it bytes that are still undecided.
        let mut buffer: Vec<u8> = Vec::new();
        let (mut decided, mut at, mut line) = (0, 0, 1);
        loop {
            let read =
                from.by_ref().take(u64::try_from(PIECE).unwrap_or(u64::MAX)).read_to_end(&mut buffer)?;
            found.bytes += u64::try_from(read).unwrap_or(0);
            let is_end = read == 0;
            let until = if is_end { buffer.len() } else { buffer.len().saturating_sub(MARGIN) };
            self.decide(&buffer, decided..until.max(decided), (at, line), &mut found);
            if is_end {
                found.lines = line - 1 + newlines(&buffer);
                return Ok(found);
            }
            let dropped = until.saturating_sub(MARGIN);
            line += newlines(buffer.get(..dropped).unwrap_or_default());
            at += u64::try_from(dropped).unwrap_or(0);
            buffer.drain(..dropped);
            decided = until.max(decided) - dropped;
        }
    }

    /// Adds the hits that begin in `range` of a buffer that begins `at` this byte and line.
    fn decide(
        &self,
        buffer: &[u8],
        range: std::ops::Range<usize>,
        (at, line): (u64, u64),
        found: &mut Found,
    ) {
        let from = range.start;
        for matched in self.automaton.find_overlapping_iter(buffer.get(from..).unwrap_or_default()) {
            let start = from + matched.start();
            let Some(needle) = self.needles.get(matched.pattern().as_usize()) else { continue };
            if !range.contains(&start) {
                continue;
            }
            let cell = self.cell(buffer, start, needle);
            if !found.hits.iter().any(|known| known.cell == cell) {
                let form = needle.spelling.form();
                let line = line + newlines(buffer.get(..start).unwrap_or_default());
                found.hits.push(Hit { cell, form, line, byte: at + u64::try_from(start).unwrap_or(0) });
            }
        }
    }

    /// The cell that the code beside a mark tells.
    fn cell(&self, buffer: &[u8], start: usize, needle: &Needle) -> Option<Cell> {
        let code =
            if needle.is_before { start.checked_sub(needle.distance)? } else { start + needle.distance };
        let code = buffer.get(code..code + needle.length)?;
        self.codes.get(&(needle.spelling, code.to_vec())).copied()
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(0)
}
