//! Credentials out of a mebibyte of log lines.

use std::hint::black_box;

use hushgate::scrub::{Finding, Names, Scrubber, Sink};

use crate::allocations::Benchmarks;

/// As much as `hushgate scrub` reads at once.
const PIECE: usize = 256 * 1024;

const SIZE: usize = 1024 * 1024;

/// Lines as nginx and Caddy write them; `{}` stands for the parameter.
const COMBINED: &str = "192.0.2.7 - - [25/Nov/2026:13:00:00 +0000] \"GET /sockets/events/7?resend_mode=all{} HTTP/1.1\" \
    101 512 \"https://app.example/conversations/7\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0\"\n";
const JSON: &str = "{\"level\":\"info\",\"ts\":1764075600.123,\"logger\":\"http.log.access\",\"request\":{\"remote_ip\":\
    \"192.0.2.7\",\"proto\":\"HTTP/1.1\",\"method\":\"GET\",\"host\":\"app.example\",\"uri\":\
    \"/sockets/events/7?resend_mode=all{}\",\"headers\":{\"Accept\":[\"*/*\"]}},\"duration\":0.001,\"status\":101}\n";

/// Counts bytes, so that nothing is written.
struct Count(usize);

impl Sink for Count {
    fn text(&mut self, bytes: &[u8]) {
        self.0 += black_box(bytes).len();
    }

    fn found(&mut self, finding: Finding<'_>) {
        self.0 += finding.value.map_or(0, <[u8]>::len);
    }
}

pub(crate) fn scrubbing(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("scrub");
    let carried = "&session_api_key=0123456789abcdef0123456789abcdef";
    for (name, line, parameter) in [
        ("combined, none", COMBINED, ""),
        ("combined, one in each line", COMBINED, carried),
        ("JSON, none", JSON, ""),
        ("JSON, one in each line", JSON, carried),
    ] {
        let line = line.replace("{}", parameter);
        let text: Vec<u8> = line.bytes().cycle().take(SIZE).collect();
        group.bytes(text.len());
        group.bench(name, || {
            let (mut scrubber, mut count) = (Scrubber::new(Names::default()), Count(0));
            text.chunks(PIECE).for_each(|piece| scrubber.feed(piece, &mut count));
            scrubber.finish(&mut count);
            count.0
        });
    }
}
