//! The pure rooms: what a request costs before anything of it is sent anywhere. See README.md.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed step is a failed benchmark")]

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hushgate::{
    access_log::RedactedTarget,
    config::{Handshake, PlainRequests},
    handshake::{Hop, head::Head, judge, query},
    websocket::Frames,
};

const PATH: &str = "/sockets/events/7f6e1a52-3c1d-4f0e-9b5a-2f3c4d5e6f70";

/// A query of so many bytes in all, with so many occurrences of the parameter spread over it.
fn target(length: usize, occurrences: usize) -> String {
    let parameter = "session%5Fapi_key=0123456789abcdef0123456789abcdef";
    let fill = length.saturating_sub(occurrences * (parameter.len() + 1));
    let others: Vec<_> =
        (0..fill.div_ceil(17)).map(|number| format!("name{number:04}=value{:02}", number % 100)).collect();
    let each = others.len().div_ceil(occurrences.max(1)).max(1);
    let mut segments: Vec<&str> = Vec::new();
    let mut placed = 0;
    for others in others.chunks(each) {
        segments.extend(others.iter().map(String::as_str));
        if placed < occurrences {
            segments.push(parameter);
            placed += 1;
        }
    }
    segments.extend((placed..occurrences).map(|_| parameter));
    format!("{PATH}?{}", segments.join("&"))
}

fn rules() -> Handshake {
    Handshake {
        field: "x-session-api-key".parse().unwrap(),
        field_spelling: "X-Session-API-Key".to_owned(),
        parameters: vec!["session_api_key".to_owned()],
        prefix: String::new(),
        plain_requests: PlainRequests::Strip,
    }
}

/// The head that Chromium sends, with this target.
fn opening_handshake(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: agent.example\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
         Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
         (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\n\
         Origin: https://app.example\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\n\
         Accept-Language: en-GB,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    )
}

fn normalising(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normalise");
    let parameters = rules().parameters;
    for (length, occurrences) in
        [(0, 0), (64, 1), (1024, 0), (1024, 1), (1024, 10), (32_768, 1), (32_768, 500)]
    {
        let target = if length == 0 { PATH.to_owned() } else { target(length, occurrences) };
        group.throughput(Throughput::Bytes(u64::try_from(target.len()).unwrap()));
        let id = BenchmarkId::new(format!("{occurrences} of it"), format!("{length} bytes"));
        group.bench_with_input(id, target.as_bytes(), |bencher, target| {
            bencher.iter(|| query::cut(black_box(target), &parameters).target.len());
        });
    }
    group.finish();
}

fn redacting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("redact");
    let (credential, show) = (rules().parameters, ["resend_mode".to_owned()]);
    let typical = format!("{PATH}?resend_mode=all&session_api_key=0123456789abcdef0123456789abcdef");
    let nothing: &[String] = &[];
    for (name, target, show) in
        [("path", PATH, nothing), ("nothing shown", &typical, nothing), ("one shown", &typical, &show)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| RedactedTarget::of(black_box(target.as_bytes()), show, &credential));
        });
    }
    group.finish();
}

fn judging(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge");
    let rules = rules();
    let hop = Hop { peer: Some([192, 0, 2, 1].into()), is_tls: false, trusted_proxies: &[] };
    let plain = format!("GET {PATH} HTTP/1.1\r\nHost: agent.example\r\nX-Session-API-Key: k\r\n\r\n");
    for (name, head) in [
        ("opening handshake, field", opening_handshake(PATH).replace("Pragma", "X-Session-API-Key")),
        ("opening handshake, query", opening_handshake(&target(64, 1))),
        ("plain request", plain),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let head = Head::parse(black_box(head.as_bytes()), 100).expect("a head");
                judge(&head, &rules, &hop).map(|admitted| admitted.head.len())
            });
        });
    }
    group.finish();
}

fn following(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("follow");
    for (header, payload) in
        [(&[0x82, 16][..], 16), (&[0x82, 126, 4, 0], 1024), (&[0x82, 126, 0xea, 0x60], 60_000)]
    {
        let frame = [header, &vec![b'x'; payload]].concat();
        // What a relay reads at once.
        let stream: Vec<u8> = frame.iter().copied().cycle().take(16 * 1024).collect();
        group.throughput(Throughput::Bytes(u64::try_from(stream.len()).unwrap()));
        group.bench_function(BenchmarkId::from_parameter(format!("{payload} bytes each")), |bencher| {
            bencher.iter(|| {
                let mut frames = Frames::default();
                frames.follow(black_box(&stream));
                frames.is_between()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = normalising, redacting, judging, following
}
criterion_main!(benches);
