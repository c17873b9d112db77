//! One text on its way from a reader to a writer.

use std::{
    collections::HashSet,
    io::{self, Read, Write},
    path::Path,
};

use hushgate::{
    scrub::{
        Finding, Names, Scrubber, Sink,
        known::{Judge, Known},
    },
    secret::Digest,
};

use super::report::Tally;

/// So much is read at once.
const PIECE: usize = 256 * 1024;

/// What is looked for.
pub(super) struct Tools {
    pub(super) names: Names,
    /// Digests of credentials to replace wherever they stand.
    pub(super) digests: HashSet<Digest>,
}

/// Which of the two ends of a passage failed.
pub(super) enum Broken {
    Reading(io::Error),
    Writing(io::Error),
}

/// Scrubs all of `input` into `output`, and counts in `tally` what was found in `file`.
///
/// If reading fails, what was read before is scrubbed and written nevertheless.
pub(super) fn pass(
    file: &Path,
    mut input: impl Read,
    output: &mut impl Write,
    tools: &Tools,
    tally: &mut Tally,
) -> Result<(), Broken> {
    let mut scrubber = Scrubber::new(tools.names.clone());
    let known = (!tools.digests.is_empty()).then(Known::default);
    let text = Text { file, digests: &tools.digests, text: Vec::new(), tally };
    let mut collector = Collector { known, text };
    collector.text.tally.begin_file();
    let mut piece = vec![0; PIECE];
    let ended = loop {
        let count = match input.read(&mut piece) {
            Ok(0) => break Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => break Err(Broken::Reading(error)),
        };
        scrubber.feed(piece.get(..count).unwrap_or_default(), &mut collector);
        collector.text.write(output)?;
    };
    scrubber.finish(&mut collector);
    collector.finish();
    collector.text.write(output)?;
    output.flush().map_err(Broken::Writing)?;
    ended
}

/// What the scrubber gives, on its way through the known values, if there are any.
struct Collector<'a> {
    known: Option<Known>,
    text: Text<'a>,
}

impl Collector<'_> {
    fn finish(&mut self) {
        if let Some(known) = &mut self.known {
            known.finish(&mut self.text);
        }
    }
}

impl Sink for Collector<'_> {
    fn text(&mut self, bytes: &[u8]) {
        match &mut self.known {
            Some(known) => known.feed(bytes, &mut self.text),
            None => self.text.text.extend_from_slice(bytes),
        }
    }

    fn found(&mut self, finding: Finding<'_>) {
        self.text.found(finding.carrier, finding.value);
    }
}

/// What was scrubbed and is not written yet.
struct Text<'a> {
    file: &'a Path,
    digests: &'a HashSet<Digest>,
    text: Vec<u8>,
    tally: &'a mut Tally,
}

impl Text<'_> {
    fn write(&mut self, output: &mut impl Write) -> Result<(), Broken> {
        let written = output.write_all(&self.text).and_then(|()| output.flush());
        self.tally.count_lines(&self.text);
        self.text.clear();
        written.map_err(Broken::Writing)
    }

    fn found(&mut self, carrier: &str, value: Option<&[u8]>) {
        self.tally.found(self.file, &self.text, carrier, value);
    }
}

impl Judge for Text<'_> {
    fn is_known(&mut self, token: &[u8]) -> bool {
        let is_known = self.digests.contains(&Digest::of(token));
        if is_known {
            self.found("known value", Some(token));
        }
        is_known
    }

    fn text(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }
}
