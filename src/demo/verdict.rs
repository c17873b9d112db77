//! Did a case hold? Judged by what was observed on both sides, never by what was sent.

use serde_json::Value;

use super::{cases::Expected, client::Answer, keys::Keys, story::Received};

/// What was observed of one case.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// The agent server's answer without hushgate.
    pub(super) alone: Answer,
    /// What the agent server received without hushgate.
    pub(super) received_alone: Vec<Received>,
    /// The answer through hushgate.
    pub(super) answer: Answer,
    /// What the agent server received through hushgate.
    pub(super) received: Vec<Received>,
    /// The lines that hushgate's log wrote.
    pub(super) gateway_log: Vec<String>,
}

/// What did not hold, in words; empty when all did.
pub(super) fn failures(expected: &Expected, observed: &Observed, keys: &Keys) -> Vec<&'static str> {
    let Observed { alone, received_alone, answer, received, gateway_log } = observed;
    let reached: Vec<_> = received.iter().map(|one| (one.target.as_str(), one.fields.as_slice())).collect();
    let wanted: Vec<_> =
        expected.received.iter().map(|(target, field)| (*target, field.as_slice())).collect();
    let used = received.first().and_then(|one| one.used.as_ref());
    let leaked_alone = received_alone.iter().any(|one| keys.appear_in(&one.log_line));
    let checks = [
        (alone.status == expected.status, "the agent server alone does not answer as it should"),
        (leaked_alone == expected.leaks_alone, "the agent server alone does not log what it should"),
        (answer == alone, "the answer is not the one that the agent server gives alone"),
        (reached == wanted, "the agent server did not receive the clean target and the one field line"),
        (used == expected.used.as_ref(), "the agent server did not judge by the expected key"),
        (!received.iter().any(|one| keys.appear_in(&one.log_line)), "the agent server's log shows a key"),
        (!gateway_log.iter().any(|line| keys.appear_in(line)), "hushgate's log shows a key"),
        (are_lines_of(expected, gateway_log), "hushgate's log does not say what happened"),
    ];
    checks.into_iter().filter(|(held, _)| !held).map(|(_, failure)| failure).collect()
}

/// How many lines hushgate writes about a case: the handshake, and the end of what it opened.
pub(super) fn lines_of(expected: &Expected) -> usize {
    if expected.status.starts_with("101") { 2 } else { 1 }
}

/// Whether hushgate's log has the expected lines, saying the expected things.
fn are_lines_of(expected: &Expected, lines: &[String]) -> bool {
    let events = ["handshake", "close"];
    lines.len() == lines_of(expected)
        && lines.iter().zip(events).all(|(line, event)| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            let says = |member: &str| line.get(member).and_then(Value::as_str);
            let status = line.get("status").and_then(Value::as_u64).unwrap_or_default();
            says("event") == Some(event)
                && says("credential_source") == Some(expected.credential_source)
                && expected.status.starts_with(&status.to_string())
        })
}

#[cfg(test)]
mod tests;
