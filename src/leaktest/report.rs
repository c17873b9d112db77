//! What a test found: the matrix, for people and for machines. It never shows a canary.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use serde::Serialize;

use super::{
    Verdict,
    canary::{Cell, Form},
    carriers::Carrier,
    paths::Path,
    search::Found,
    sinks::Sink,
};

/// Everything that a test found.
#[derive(Default)]
pub(super) struct Report {
    /// The cells whose canary was sent.
    planted: BTreeSet<Cell>,
    /// How many canaries were sent, in all runs.
    canaries: usize,
    sinks: Vec<Searched>,
    leaks: Vec<Leak>,
    /// What was not driven.
    pub(super) skipped: Vec<Skipped>,
    /// Why there is no result, or not a whole one.
    pub(super) troubles: BTreeSet<String>,
}

/// A path that was not driven, with one carrier or with any.
pub(super) struct Skipped {
    /// What would have carried the canary, if others were driven there.
    pub(super) carrier: Option<Carrier>,
    /// What would have happened.
    pub(super) path: Path,
    /// Why not.
    pub(super) reason: &'static str,
}

/// A sink that was searched.
struct Searched {
    sink: Sink,
    bytes: u64,
}

/// A leak.
struct Leak {
    cell: Option<Cell>,
    sink: Sink,
    form: Form,
    place: String,
}

/// A cell as JSON has it.
#[derive(Serialize)]
struct JsonCell<'a> {
    carrier: Option<&'static str>,
    path: Option<&'static str>,
    sink: String,
    verdict: &'static str,
    form: Option<&'static str>,
    place: Option<&'a str>,
}

/// A report as JSON has it.
#[derive(Serialize)]
struct Json<'a> {
    verdict: &'static str,
    canaries: usize,
    cells: Vec<JsonCell<'a>>,
    sinks: Vec<JsonSink>,
    skipped: Vec<JsonSkipped>,
    troubles: &'a BTreeSet<String>,
}

/// A sink as JSON has it.
#[derive(Serialize)]
struct JsonSink {
    sink: String,
    bytes: u64,
}

/// A path that was not driven, as JSON has it.
#[derive(Serialize)]
struct JsonSkipped {
    carrier: Option<&'static str>,
    path: &'static str,
    reason: &'static str,
}

impl Skipped {
    fn json(&self) -> JsonSkipped {
        JsonSkipped {
            carrier: self.carrier.map(Carrier::label),
            path: self.path.label(),
            reason: self.reason,
        }
    }
}

impl Report {
    /// Notes that a canary was sent.
    pub(super) fn planted(&mut self, cell: Cell) {
        self.planted.insert(cell);
        self.canaries += 1;
    }

    /// Notes what a search found in a sink; `during` says when, where there is more than one run.
    pub(super) fn searched(&mut self, sink: &Sink, found: &Found, during: &str) {
        match self.sinks.iter_mut().find(|known| known.sink == *sink) {
            Some(known) => known.bytes += found.bytes,
            None => self.sinks.push(Searched { sink: sink.clone(), bytes: found.bytes }),
        }
        for hit in &found.hits {
            if hit.cell.is_some_and(|cell| sink.may_hold(cell)) {
                continue;
            }
            let place = format!("line {}, byte {}{during}", hit.line, hit.byte);
            self.leaked(Leak { cell: hit.cell, sink: sink.clone(), form: hit.form, place });
        }
    }

    /// Notes the first leak of a cell into a sink.
    fn leaked(&mut self, leak: Leak) {
        if !self.leaks.iter().any(|known| known.cell == leak.cell && known.sink == leak.sink) {
            self.leaks.push(leak);
        }
    }

    /// Adds what another run found.
    pub(super) fn merge(&mut self, other: Self) {
        self.planted.extend(other.planted);
        self.canaries += other.canaries;
        for searched in other.sinks {
            self.searched(&searched.sink, &Found { bytes: searched.bytes, ..Found::default() }, "");
        }
        other.leaks.into_iter().for_each(|leak| self.leaked(leak));
        self.skipped.extend(other.skipped);
        self.troubles.extend(other.troubles);
    }

    /// Says that there is no result if nothing was driven.
    pub(super) fn verdict(&self) -> Verdict {
        if !self.leaks.is_empty() {
            Verdict::Leaked
        } else if self.troubles.is_empty() && !self.planted.is_empty() && !self.sinks.is_empty() {
            Verdict::Clean
        } else {
            Verdict::NoResult
        }
    }

    /// Prints it for machines, as one JSON object.
    ///
    /// # Errors
    /// `out` cannot be written to.
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        let mut cells = Vec::new();
        for cell in &self.planted {
            let sinks = self.sinks.iter().filter(|searched| searched.sink.concerns(*cell));
            cells.extend(sinks.map(|searched| self.json_cell(*cell, &searched.sink)));
        }
        // What is too short to tell its cell is a leak all the same.
        cells.extend(self.leaks.iter().filter(|leak| leak.cell.is_none()).map(|leak| JsonCell {
            carrier: None,
            path: None,
            sink: leak.sink.to_string(),
            verdict: "leaked",
            form: Some(leak.form.label()),
            place: Some(&leak.place),
        }));
        let sinks = self.sinks.iter();
        let skipped = self.skipped.iter();
        let json = Json {
            verdict: self.verdict().label(),
            canaries: self.canaries,
            cells,
            sinks: sinks.map(|known| JsonSink { sink: known.sink.to_string(), bytes: known.bytes }).collect(),
            skipped: skipped.map(Skipped::json).collect(),
            troubles: &self.troubles,
        };
        serde_json::to_writer(&mut *out, &json)?;
        writeln!(out)
    }

    fn json_cell(&self, cell: Cell, sink: &Sink) -> JsonCell<'_> {
        let leak = self.leaks.iter().find(|leak| leak.cell == Some(cell) && leak.sink == *sink);
        let clean = if sink.may_hold(cell) { "forwarded" } else { "clean" };
        JsonCell {
            carrier: Some(cell.carrier.label()),
            path: Some(cell.path.label()),
            sink: sink.to_string(),
            verdict: if leak.is_some() { "leaked" } else { clean },
            form: leak.map(|leak| leak.form.label()),
            place: leak.map(|leak| leak.place.as_str()),
        }
    }

    /// Prints it for people: a row for each carrier, and a line for each leak.
    ///
    /// # Errors
    /// `out` cannot be written to.
    pub(super) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        for (searched, number) in self.sinks.iter().zip(1..) {
            writeln!(out, "[{number}] {}: {} bytes searched", searched.sink, searched.bytes)?;
        }
        write!(out, "\n{:28}{:>5}", "carrier", "paths")?;
        for (_, number) in self.sinks.iter().zip(1..) {
            write!(out, "{:>11}", format!("[{number}]"))?;
        }
        writeln!(out)?;
        for carrier in Carrier::ALL {
            self.row(carrier, out)?;
        }
        writeln!(out)?;
        for leak in &self.leaks {
            let (carrier, path) = leak.cell.map_or(("a piece of a canary", "unknown path"), |cell| {
                (cell.carrier.label(), cell.path.label())
            });
            let (sink, form, place) = (&leak.sink, leak.form.label(), &leak.place);
            writeln!(out, "leaked: {carrier} ({path}) in {sink}: {place}, {form}")?;
        }
        for Skipped { carrier, path, reason } in &self.skipped {
            let carrier = carrier.map_or_else(String::new, |carrier| format!(", {}", carrier.label()));
            writeln!(out, "skipped: {}{carrier}: {reason}", path.label())?;
        }
        for trouble in &self.troubles {
            writeln!(out, "no result: {trouble}")?;
        }
        let (canaries, leaks) = (self.canaries, self.leaks.len());
        match self.verdict() {
            Verdict::Clean => writeln!(out, "clean in every cell: {canaries} canaries planted, none found"),
            Verdict::Leaked => writeln!(out, "leaked in {leaks} cells: {canaries} canaries planted"),
            Verdict::NoResult => writeln!(out, "no result, although {canaries} canaries were planted"),
        }
    }

    fn row(&self, carrier: Carrier, out: &mut impl Write) -> io::Result<()> {
        let cells: Vec<Cell> = self.planted.iter().filter(|cell| cell.carrier == carrier).copied().collect();
        if cells.is_empty() {
            return Ok(());
        }
        write!(out, "{:28}{:>5}", carrier.label(), cells.len())?;
        for Searched { sink, .. } in &self.sinks {
            let is_in =
                |leak: &&Leak| leak.sink == *sink && leak.cell.is_some_and(|it| it.carrier == carrier);
            let word = match self.leaks.iter().filter(is_in).count() {
                0 if cells.iter().all(|cell| sink.may_hold(*cell) || !sink.concerns(*cell)) => "-".to_owned(),
                0 => "clean".to_owned(),
                leaks => format!("LEAKED {leaks}"),
            };
            write!(out, "{word:>11}")?;
        }
        writeln!(out)
    }
}
