//! Is the credential that we forward the one that the agent server would have used itself?
//!
//! Generated queries, with and without a credential field beside them, are judged as opening
//! handshakes, and the real Starlette says what it reads of the handshake as it came and of the head
//! that goes on. Its answer stands; ours must agree with it or be a refusal, and a refusal
//! only of what a field cannot carry. Run by `.ci/differential`, which installs Starlette.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed step is a failed test"
)]

use std::{env, io::Write, thread};

use hushgate::{
    config,
    handshake::{self, CredentialSource, Hop, Refusal, head::Head},
};

use crate::{
    generator::Generator,
    oracle::{Answer, Oracle, Question},
};

mod generator;
mod oracle;

/// Where the generators start. What ever failed once is kept here.
const SEEDS: [u64; 4] = [1, 2, 3, 0x5e55_10a9];

/// How many inputs there are in all, unless `HUSHGATE_DIFFERENTIAL_INPUTS` says otherwise.
const INPUTS: u64 = 1_000_000;

/// What was seen, to tell that the inputs are worth their number.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    inputs: u64,
    forwarded: u64,
    refused: u64,
    repeated: u64,
    overridden: u64,
    by_field: u64,
}

#[test]
fn the_agent_server_reads_what_it_would_have_read() {
    let Some(python) = env::var_os("HUSHGATE_STARLETTE_PYTHON") else {
        let reason = "skipped: differential, no Starlette at hand (run .ci/differential)";
        writeln!(std::io::stderr(), "{reason}").unwrap();
        return;
    };
    let inputs = env::var("HUSHGATE_DIFFERENTIAL_INPUTS").map_or(INPUTS, |count| count.parse().unwrap());
    let each = inputs.div_ceil(u64::try_from(SEEDS.len()).unwrap());
    let all = thread::scope(|scope| {
        let runs = SEEDS.map(|seed| {
            scope.spawn({
                let python = &python;
                move || compare(seed, each, python)
            })
        });
        runs.map(|run| run.join().unwrap_or_else(|failure| std::panic::resume_unwind(failure)))
    });
    let seen = all.into_iter().fold(Seen::default(), |sum, seen| Seen {
        inputs: sum.inputs + seen.inputs,
        forwarded: sum.forwarded + seen.forwarded,
        refused: sum.refused + seen.refused,
        repeated: sum.repeated + seen.repeated,
        overridden: sum.overridden + seen.overridden,
        by_field: sum.by_field + seen.by_field,
    });
    writeln!(std::io::stderr(), "differential: 0 disagreements with Starlette, {seen:?}").unwrap();
    let Seen { inputs, forwarded, refused, repeated, overridden, by_field } = seen;
    for share in [forwarded, refused, repeated, overridden, by_field] {
        assert!(share * 20 >= inputs, "fewer than one input in 20 is of each kind: {seen:?}");
    }
}

/// Runs one generator against an oracle of its own.
fn compare(seed: u64, inputs: u64, python: &std::ffi::OsStr) -> Seen {
    let mut seen = Seen::default();
    let mut generator = Generator::new(seed);
    let questions = (0..inputs).map(move |_| {
        let input = generator.next();
        let outcome = gateway(&input.query, &input.fields);
        let head = outcome.as_ref().ok().map(|(head, _)| head.iter().copied().map(char::from).collect());
        (Question { query: input.query, fields: input.fields, head }, outcome.map(|(_, source)| source))
    });
    Oracle::start(python).ask(questions, |question, outcome, answer| {
        let what_is_wrong = disagreement(outcome, &question, &answer);
        assert!(
            what_is_wrong.is_none(),
            "{}: seed {seed}, input {}: {question:?}; the gateway: {outcome:?}; Starlette: {answer:?}",
            what_is_wrong.unwrap_or_default(),
            seen.inputs,
        );
        seen.inputs += 1;
        seen.forwarded += u64::from(answer.source == "query" && outcome.is_ok());
        seen.refused += u64::from(outcome.is_err());
        seen.repeated += u64::from(answer.occurrences > 1);
        seen.overridden += u64::from(answer.source == "query" && !question.fields.is_empty());
        seen.by_field += u64::from(answer.source == "field");
    });
    seen
}

/// What the gateway makes of an opening handshake: the head that goes on, and whose credential it has.
fn gateway(query: &str, fields: &[String]) -> Result<(Vec<u8>, CredentialSource), Refusal> {
    let mut head = format!(
        "GET /sockets/events/1?{query} HTTP/1.1\r\nHost: agent.example\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )
    .into_bytes();
    for field in fields {
        head.extend_from_slice(b"X-Session-API-Key: ");
        head.extend(field.chars().map(|character| u8::try_from(character).unwrap()));
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let rules = config::Handshake {
        field: "x-session-api-key".parse().unwrap(),
        field_spelling: "X-Session-API-Key".to_owned(),
        parameters: vec!["session_api_key".to_owned()],
        prefix: String::new(),
        plain_requests: config::PlainRequests::Strip,
    };
    let hop = Hop { peer: Some([192, 0, 2, 1].into()), is_tls: false, trusted_proxies: &[] };
    let admitted = handshake::judge(&Head::parse(&head, 100)?, &rules, &hop)?;
    Ok((admitted.head.as_bytes().to_vec(), admitted.source))
}

/// What is wrong, if anything is.
fn disagreement(
    outcome: Result<CredentialSource, Refusal>,
    question: &Question,
    answer: &Answer,
) -> Option<&'static str> {
    let is_unusable = answer.source == "query" && !answer.is_usable;
    match (outcome, &answer.through) {
        (Err(Refusal::UnusableCredential), None) if is_unusable => None,
        (Err(_), _) => Some("refused what can be carried"),
        (Ok(_), _) if is_unusable => Some("forwarded what cannot be carried"),
        (Ok(_), None) => Some("the head that goes on was not read"),
        (Ok(source), Some(through)) => [
            (through.source == "query", "a parameter is left"),
            (through.key != answer.key, "another credential"),
            (through.query != answer.left, "the other segments changed"),
            (source.label() != answer.source, "a credential from elsewhere"),
            (answer.occurrences == 0 && through.query != question.query, "nothing to cut, but something was"),
        ]
        .into_iter()
        .find_map(|(is_wrong, what)| is_wrong.then_some(what)),
    }
}
