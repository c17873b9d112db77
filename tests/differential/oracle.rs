//! The judge: `oracle.py` in a process of its own, asked by JSON lines over a pipe.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::sync_channel,
    thread,
};

use serde::{Deserialize, Serialize};

/// How many questions may be under way; more than the pipes hold.
const UNDER_WAY: usize = 10_000;

#[derive(Debug, Serialize)]
pub(crate) struct Question {
    pub(crate) query: String,
    /// The values of the client's credential field lines, a character a byte.
    pub(crate) fields: Vec<String>,
    /// The head that goes on, a character a byte; none if the handshake is refused.
    pub(crate) head: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    /// What the handshake as it came presents: `query`, `field` or `none`.
    pub(crate) source: String,
    pub(crate) key: Option<String>,
    /// Whether a field can carry the key unchanged.
    pub(crate) is_usable: bool,
    /// How many segments are the parameter.
    pub(crate) occurrences: usize,
    /// The other segments.
    pub(crate) left: String,
    /// What the head that goes on presents.
    pub(crate) through: Option<Through>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Through {
    pub(crate) source: String,
    pub(crate) key: Option<String>,
    pub(crate) query: String,
}

pub(crate) struct Oracle(Child);

impl Oracle {
    pub(crate) fn start(python: &OsStr) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/oracle.py");
        let mut command = Command::new(python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap_or_else(|error| panic!("{}: {error}", python.display())))
    }

    /// Asks all questions and hears all answers, in order.
    pub(crate) fn ask<T: Send>(
        mut self,
        questions: impl Iterator<Item = (Question, T)> + Send,
        mut hear: impl FnMut(Question, T, Answer),
    ) {
        let mut input = BufWriter::new(self.0.stdin.take().unwrap());
        let mut answers = BufReader::new(self.0.stdout.take().unwrap()).lines();
        let (under_way, asked) = sync_channel(UNDER_WAY);
        thread::scope(|scope| {
            scope.spawn(move || {
                for (question, about) in questions {
                    // A pipe that breaks, or nobody who listens, is the other side's failure.
                    let is_written = serde_json::to_writer(&mut input, &question).is_ok();
                    if !is_written || writeln!(input).is_err() || under_way.send((question, about)).is_err() {
                        return;
                    }
                }
            });
            // Both ends fall with this closure, so a disagreement ends the oracle and the thread above.
            let hear_all = move || {
                for (question, about) in asked {
                    let answer = answers.next().expect("the oracle ended").unwrap();
                    hear(question, about, serde_json::from_str(&answer).unwrap());
                }
                assert!(answers.next().is_none(), "an answer that nobody asked for");
            };
            hear_all();
        });
        assert!(self.0.wait().unwrap().success());
    }
}
