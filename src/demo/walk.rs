//! The walk: each case at the agent server alone, then through the gateway.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{
    DemoError, Stage,
    cases::{self, Case},
    print::Printer,
    verdict::{self, Observed},
};

/// How long the gateway's lines may take to be written.
const LINES: Duration = Duration::from_secs(5);

/// Walks through all cases; true if everything held.
pub(super) async fn walk<W: Write>(stage: &Stage, printer: &mut Printer<'_, W>) -> Result<bool, DemoError> {
    printer.introduction()?;
    let cases = cases::all(&stage.keys);
    let mut held = 0;
    let mut log = LogReader::default();
    for (case, number) in cases.iter().zip(1..) {
        let observed = observe(stage, case, &mut log).await;
        let failures = verdict::failures(&case.expected, &observed, &stage.keys);
        held += usize::from(failures.is_empty());
        printer.case(number, case, &observed, &failures)?;
    }
    printer.summary(held, cases.len())?;
    Ok(held == cases.len())
}

/// Tries one case both ways. An attempt that fails shows as an answer that says so.
async fn observe(stage: &Stage, case: &Case, log: &mut LogReader) -> Observed {
    let failed = |error: io::Error| super::client::Answer::failed(&error);
    let alone = case.attempt.make(stage.agent_server.address()).await.unwrap_or_else(failed);
    let received_alone = stage.agent_server.take_received();
    let answer = case.attempt.make(stage.gateway.address()).await.unwrap_or_else(failed);
    let received = stage.agent_server.take_received();
    let gateway_log = log.next(&stage.access_log, verdict::lines_of(&case.expected)).await;
    Observed { alone, received_alone, answer, received, gateway_log }
}

/// Reads a log as it grows.
#[derive(Default)]
struct LogReader {
    read: usize,
}

impl LogReader {
    /// The lines since the last time, as soon as there are `count`, or what there is in the end.
    async fn next(&mut self, log: &Path, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let complete = async {
            while lines.len() < count {
                let text = tokio::fs::read_to_string(log).await.unwrap_or_default();
                lines = text.lines().skip(self.read).map(str::to_owned).collect();
                sleep(Duration::from_millis(5)).await;
            }
        };
        // Too few lines are a finding, not an error.
        let _ = timeout(LINES, complete).await;
        self.read += lines.len();
        lines
    }
}
