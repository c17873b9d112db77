//! Is this a valid opening handshake (RFC 6455 section 4.2.1)? And what agrees to it.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest;

use super::{
    Kind, Refusal,
    head::{Body, Head, elements, names},
};

/// Tells an opening handshake from a plain request.
///
/// # Errors
/// What names `websocket` in `Upgrade` and is not a valid opening handshake is refused: a server
/// behind us could read it differently.
pub(super) fn classify(head: &Head<'_>) -> Result<Kind, Refusal> {
    let names_websocket = elements(head.values("upgrade")).any(is_websocket);
    if !names_websocket {
        return Ok(Kind::Plain);
    }
    let is_handshake = head.method == "GET"
        && head.is_http_11
        && head.only("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && names(head.values("connection"), b"upgrade")
        && head.only("sec-websocket-key").is_some_and(is_nonce)
        && head.body == Body::Length(0)
        && head.values("expect").next().is_none();
    match (is_handshake, head.only("sec-websocket-version")) {
        (true, Some(b"13")) => Ok(Kind::OpeningHandshake),
        (true, Some(_)) => Err(Refusal::UnsupportedVersion),
        (true, None) | (false, _) => Err(Refusal::InvalidHandshake),
    }
}

/// What agrees to an opening handshake (RFC 6455 section 4.2.2, item 5.4).
pub struct Accept(String);

impl Accept {
    /// What agrees to a handshake that is valid.
    pub fn of(head: &Head<'_>) -> Self {
        const FOR_ALL: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(head.only("sec-websocket-key").unwrap_or_default());
        context.update(FOR_ALL);
        Self(STANDARD.encode(context.finish()))
    }

    /// The value of the field.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A whole answer that agrees, to no subprotocol and no extension.
    pub fn answer(&self) -> Vec<u8> {
        let Self(accept) = self;
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes()
    }
}

/// `websocket`, also where a version follows (RFC 9110 section 7.8).
fn is_websocket(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or(protocol);
    name.trim_ascii().eq_ignore_ascii_case(b"websocket")
}

/// Sixteen bytes in base64 (RFC 6455 section 4.1, item 7).
fn is_nonce(value: &[u8]) -> bool {
    let mut bytes = [0; 18];
    value.len() == 24 && STANDARD.decode_slice(value, &mut bytes) == Ok(16)
}
