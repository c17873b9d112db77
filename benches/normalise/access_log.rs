//! From a request target to a line of the access log.

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use hushgate::{
    access_log::{Closing, Event, Method, Outcome, Record, RedactedTarget, RequestId, Side},
    config::LogFormat,
    handshake::{CredentialSource, Presented, head::Head},
};

use crate::{
    allocations::Benchmarks,
    samples::{PATH, opening_handshake, rules},
};

fn typical_target() -> String {
    format!("{PATH}?resend_mode=all&session_api_key=0123456789abcdef0123456789abcdef")
}

pub(crate) fn redacting(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("redact");
    let (credential, show) = (rules().parameters, ["resend_mode".to_owned()]);
    let typical = typical_target();
    let nothing: &[String] = &[];
    for (name, target, show) in
        [("path", PATH, nothing), ("nothing shown", &typical, nothing), ("one shown", &typical, &show)]
    {
        let none = Presented::default();
        group.bench(name, || RedactedTarget::of(black_box(target.as_bytes()), show, &credential, &none));
    }
    let (head, rules) = (opening_handshake(&typical), rules());
    let head = Head::parse(head.as_bytes(), 100).expect("a head");
    group.bench("nothing shown, against what is presented", || {
        RedactedTarget::of(head.target, nothing, &credential, &Presented::of(black_box(&head), &rules, None))
    });
}

/// The whole way: from what is known of an event to the bytes that are handed to the writer.
pub(crate) fn writing_a_line(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("line");
    let credential = rules().parameters;
    let target = typical_target();
    for (name, event, format) in [
        ("handshake, JSON", Event::Handshake, LogFormat::Json),
        ("close, JSON", Event::Close, LogFormat::Json),
        ("handshake, text", Event::Handshake, LogFormat::Text),
    ] {
        let is_close = event == Event::Close;
        group.bench(name, || {
            let record = Record {
                time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
                event,
                request_id: RequestId::next(),
                client: Some([192, 0, 2, 1].into()),
                method: Method::of("GET"),
                target: RedactedTarget::of(
                    black_box(target.as_bytes()),
                    &[],
                    &credential,
                    &Presented::default(),
                ),
                status: (!is_close).then_some(101),
                outcome: if is_close { Outcome::Closed } else { Outcome::Upgraded },
                credential_source: CredentialSource::Query,
                caller: None,
                duration: Duration::from_micros(6_113),
                bytes_received: 402,
                bytes_sent: 129,
                closing: is_close.then_some(Closing {
                    code: Some(1000),
                    by: Some(Side::Client),
                    messages_received: 3,
                    messages_sent: 14,
                    is_valid: true,
                }),
            };
            record.line(format)
        });
    }
}
