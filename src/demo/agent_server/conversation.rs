//! What is said on a socket: who comes without a key says it first, then everything is echoed.

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::Shared;
use crate::demo::authentication::in_first_message;

/// What an admitted client gets first, which tells it that it was admitted.
const WELCOME: &str = r#"{"kind":"ConversationStateUpdateEvent","key":"execution_status","value":"idle"}"#;

/// What stands before every message that comes back.
const ECHO: &str = "echo: ";

/// The longest message.
const MESSAGE_SIZE: usize = 1024 * 1024;

/// Holds a conversation until one side ends it.
pub(super) async fn hold(
    stream: TcpStream,
    shared: &Shared,
    number: u64,
    is_admitted: bool,
    mut ending: watch::Receiver<bool>,
) {
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_SIZE));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let speaking = async {
        if !is_admitted {
            let said = timeout(shared.patience, first_message(&mut socket)).await.ok().flatten();
            let key = said.as_deref().and_then(in_first_message);
            let is_right = key.as_ref().is_some_and(|key| shared.keys.right == *key);
            if let Some(text) = said {
                shared.story.first_message(number, text, key);
            }
            if !is_right {
                return Some(close_frame(4001, "Authentication failed"));
            }
        }
        socket.send(Message::text(WELCOME)).await.ok()?;
        // Pings are answered, and a Close frame too, by reading on.
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                socket.send(Message::text(format!("{ECHO}{text}"))).await.ok()?;
            }
        }
        None
    };
    let last = tokio::select! {
        last = speaking => last,
        _ = ending.wait_for(|is_ending| *is_ending) => Some(close_frame(1012, "")),
    };
    if last.is_some() {
        // The other side may be gone, and then needs no telling.
        let _ = socket.close(last).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
}

/// The first text message.
async fn first_message(socket: &mut WebSocketStream<TcpStream>) -> Option<String> {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Text(text) = message {
            return Some(text.to_string());
        }
    }
    None
}

fn close_frame(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame { code: CloseCode::from(code), reason: reason.into() }
}
