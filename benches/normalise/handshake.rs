//! From a head as it came to the head that goes on.

use std::hint::black_box;

use hushgate::{
    handshake::{Hop, head::Head, judge, query},
    secret::{Credential, Wiped},
};

use crate::{
    allocations::Benchmarks,
    samples::{PATH, opening_handshake, rules, target},
};

pub(crate) fn normalising(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("normalise");
    let parameters = rules().parameters;
    let sized = [(0, 0), (64, 1), (1024, 0), (1024, 1), (1024, 10), (32_768, 1), (32_768, 500)];
    let sized = sized.map(|(length, occurrences)| {
        let target = if length == 0 { PATH.to_owned() } else { target(length, occurrences) };
        (format!("{occurrences} of it/{length} bytes"), occurrences, target)
    });
    // Others' names of the parameter's length, and with escapes, have to be looked at closer.
    let others = "session_api_kex=1&session%5Fapi%5Fkez=2&session+api+key=3&%73ession_api_ke=4";
    let others = ("0 of it/names like it".to_owned(), 0, format!("{PATH}?{others}"));
    for (name, occurrences, target) in sized.into_iter().chain([others]) {
        group.bytes(target.len());
        let run = || query::cut(black_box(target.as_bytes()), &parameters).target.len();
        if occurrences == 0 {
            group.bench_without_allocation(&name, run);
        } else {
            group.bench(&name, run);
        }
    }
}

pub(crate) fn checking_a_credential(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("credential");
    for (name, value) in [
        ("32 bytes", "0123456789abcdef".repeat(2)),
        ("32 bytes, above ASCII", "0123456é89abcdeé".repeat(2)),
        ("32 bytes, refused at the last", format!("{}\u{7f}", "0123456789abcdef".repeat(2).split_at(31).0)),
        ("4 KiB", "0123456789abcdef".repeat(256)),
    ] {
        let size = value.len();
        let credential = Credential::new(value.into_bytes());
        group.bench(name, || {
            let mut field = Wiped::with_capacity(size);
            black_box(&credential).append_latin1(&mut field)
        });
    }
}

pub(crate) fn judging(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("judge");
    let rules = rules();
    let hop = Hop { peer: Some([192, 0, 2, 1].into()), is_tls: false, trusted_proxies: &[] };
    let plain = format!("GET {PATH} HTTP/1.1\r\nHost: agent.example\r\nX-Session-API-Key: k\r\n\r\n");
    for (name, head) in [
        ("opening handshake, field", opening_handshake(PATH).replace("Pragma", "X-Session-API-Key")),
        ("opening handshake, query", opening_handshake(&target(64, 1))),
        ("plain request", plain),
    ] {
        group.bench(name, || {
            let head = Head::parse(black_box(head.as_bytes()), 100).expect("a head");
            judge(&head, &rules, &hop).map(|admitted| admitted.head.as_bytes().len())
        });
    }
}
