//! What clients send, and the rules that meet it.

use hushgate::config::{Handshake, PlainRequests};

pub(crate) const PATH: &str = "/sockets/events/7f6e1a52-3c1d-4f0e-9b5a-2f3c4d5e6f70";

/// A query of so many bytes in all, with so many occurrences of the parameter spread over it.
pub(crate) fn target(length: usize, occurrences: usize) -> String {
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

pub(crate) fn rules() -> Handshake {
    Handshake {
        field: "x-session-api-key".parse().unwrap(),
        field_spelling: "X-Session-API-Key".to_owned(),
        parameters: vec!["session_api_key".to_owned()],
        prefix: String::new(),
        plain_requests: PlainRequests::Strip,
    }
}

/// The head that Chromium sends, with this target.
pub(crate) fn opening_handshake(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: agent.example\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
         Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
         (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\n\
         Origin: https://app.example\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\n\
         Accept-Language: en-GB,en;q=0.9\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    )
}
