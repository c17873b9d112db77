use super::*;
use crate::demo::cases::{self, Case};

fn keys() -> Keys {
    Keys { right: "right-0a1b2c".to_owned(), wrong: "wrong-3d4e5f".to_owned() }
}

/// The first case, and how it looks when it holds.
fn query() -> (Case, Observed) {
    let case = cases::all(&keys()).remove(0);
    let answer = Answer { status: case.expected.status.to_owned(), ..Answer::default() };
    let received = |target: &str| Received {
        target: target.to_owned(),
        fields: vec!["X-Session-API-Key: right-0a1b2c".to_owned()],
        first_message: None,
        used: Some("right-0a1b2c".to_owned()),
        log_line: crate::demo::story::log_line(([127, 0, 0, 1], 5).into(), target, true),
    };
    let line = |event: &str| {
        format!(
            r#"{{"event":"{event}","target":"/sockets/events/1?…","status":101,"credential_source":"query"}}"#
        )
    };
    let observed = Observed {
        alone: answer.clone(),
        received_alone: vec![received(&case.attempt.target)],
        answer,
        received: vec![received("/sockets/events/1")],
        gateway_log: vec![line("handshake"), line("close")],
    };
    (case, observed)
}

/// The one thing that does not hold after a change to what was observed.
#[track_caller]
fn failure(change: impl FnOnce(&mut Observed)) -> &'static str {
    let (case, mut observed) = query();
    change(&mut observed);
    let failures = failures(&case.expected, &observed, &keys());
    assert_eq!(failures.len(), 1, "{failures:?}");
    failures[0]
}

#[test]
fn what_is_as_it_should_be_holds() {
    let (case, observed) = query();
    assert_eq!(failures(&case.expected, &observed, &keys()), [""; 0]);
}

#[test]
fn a_key_in_a_log_does_not_hold() {
    for spelling in ["right-0a1b2c", "right%2D0a1b2c", "%72ight-0%611b2c", "wrong-3d4e5f"] {
        let line = spelling.to_owned();
        assert_eq!(
            failure(|seen| seen.gateway_log[1] = seen.gateway_log[1].replace('…', &line)),
            "hushgate's log shows a key"
        );
        assert_eq!(
            failure(|seen| seen.received[0].log_line.push_str(&line)),
            "the agent server's log shows a key"
        );
    }
}

#[test]
fn another_key_or_target_does_not_hold() {
    assert_eq!(
        failure(|seen| seen.received[0].used = Some(keys().wrong)),
        "the agent server did not judge by the expected key"
    );
    let not_clean = "the agent server did not receive the clean target and the one field line";
    assert_eq!(failure(|seen| seen.received[0].target.push('?')), not_clean);
    assert_eq!(failure(|seen| seen.received[0].fields.push("X-Session-API-Key: x".to_owned())), not_clean);
    assert_eq!(failure(|seen| seen.received.push(seen.received[0].clone())), not_clean);
}

#[test]
fn another_answer_does_not_hold() {
    assert_eq!(
        failure(|seen| seen.answer.close_code = Some(1006)),
        "the answer is not the one that the agent server gives alone"
    );
    assert_eq!(
        failure(|seen| {
            seen.alone.status = "403 ".to_owned();
            seen.answer.status = "403 ".to_owned();
        }),
        "the agent server alone does not answer as it should"
    );
}

#[test]
fn missing_lines_do_not_hold() {
    let silent = "hushgate's log does not say what happened";
    assert_eq!(failure(|seen| seen.gateway_log.clear()), silent);
    assert_eq!(failure(|seen| seen.gateway_log[0] = seen.gateway_log[0].replace("query", "field")), silent);
    assert_eq!(
        failure(|seen| seen.received_alone.clear()),
        "the agent server alone does not log what it should"
    );
}
