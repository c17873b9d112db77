//! A client of the walk. It writes its own head, so that what is shown is what was sent.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

/// How long one attempt may take, from the connection to its end.
const PATIENCE: Duration = Duration::from_secs(15);

/// The nonce of every attempt, RFC 6455's own example: equal questions have equal answers.
const NONCE: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// What the client says once it is in.
const GREETING: &str = "hello";

/// Fields of an answer that belong to one connection or one moment.
const NOT_COMPARED: [&str; 4] = ["connection", "date", "keep-alive", "upgrade"];

/// What a client sends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The request target.
    pub(super) target: String,
    /// The value of the credential field, if it is sent.
    pub(super) field: Option<String>,
    /// The message that is sent before all others.
    pub(super) first_message: Option<String>,
}

/// What a client gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status line, without its version.
    pub(super) status: String,
    /// The end-to-end fields, in order.
    pub(super) fields: Vec<String>,
    /// What follows the head of an answer that is no 101.
    pub(super) body: Vec<u8>,
    /// The messages that came.
    pub(super) messages: Vec<String>,
    /// The code of the Close frame that came.
    pub(super) close_code: Option<u16>,
}

impl Attempt {
    /// The field line of the credential, if there is one.
    pub(super) fn field_line(&self) -> Option<String> {
        self.field.as_ref().map(|value| format!("{}: {value}", super::authentication::FIELD))
    }

    /// Makes the attempt, and says hello if it succeeds.
    ///
    /// # Errors
    /// The connection fails, or what comes is no HTTP.
    pub(super) async fn make(&self, at: SocketAddr) -> io::Result<Answer> {
        timeout(PATIENCE, self.make_in_time(at)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn make_in_time(&self, at: SocketAddr) -> io::Result<Answer> {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(self.head().as_bytes()).await?;
        let mut bytes = Vec::new();
        let end = loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let mut rest = bytes.split_off(end);
        let mut answer = Answer::of_head(&bytes);
        if answer.status.starts_with("101") {
            let socket = WebSocketStream::from_partially_read(stream, rest, Role::Client, None).await;
            self.talk(socket, &mut answer).await;
        } else {
            stream.read_to_end(&mut rest).await?;
            answer.body = rest;
        }
        Ok(answer)
    }

    fn head(&self) -> String {
        let mut head = format!(
            "GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {NONCE}\r\n",
            self.target
        );
        if let Some(line) = self.field_line() {
            head.push_str(&line);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        head
    }

    /// Says what there is to say, hears one answer to each, and ends. Whatever fails here is seen
    /// by what is missing in the answer.
    async fn talk(&self, mut socket: WebSocketStream<TcpStream>, answer: &mut Answer) {
        let mut said = VecDeque::from([Message::text(GREETING)]);
        said.push_back(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })));
        if let Some(first) = &self.first_message
            && socket.send(Message::text(first)).await.is_err()
        {
            return;
        }
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(frame) = &message {
                answer.close_code = frame.as_ref().map(|frame| u16::from(frame.code));
            }
            if let Message::Text(text) = message {
                answer.messages.push(text.to_string());
                if let Some(next) = said.pop_front() {
                    // When it fails the next read fails too.
                    let _ = socket.send(next).await;
                }
            }
        }
    }
}

impl Answer {
    /// Splits a head that ends in an empty line.
    fn of_head(head: &[u8]) -> Self {
        let head = super::authentication::latin1(head);
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let status = lines.next().unwrap_or_default();
        let status = status.strip_prefix("HTTP/1.1 ").unwrap_or(status).to_owned();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim()));
        let fields = fields.filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str()));
        Self {
            status,
            fields: fields.map(|(name, value)| format!("{name}: {value}")).collect(),
            ..Self::default()
        }
    }

    /// What stands for an answer that did not come.
    pub(super) fn failed(error: &io::Error) -> Self {
        Self { status: format!("no answer ({})", error.kind()), ..Self::default() }
    }

    /// The answer in a few words.
    pub(super) fn in_words(&self) -> String {
        let mut words = match self.status.trim_end() {
            "403" => "403 with an empty body".to_owned(),
            status => status.to_owned(),
        };
        if let Some(last) = self.messages.last() {
            words.push_str(&format!(", then \"{last}\""));
        }
        if let Some(code) = self.close_code.filter(|code| *code != 1000) {
            words.push_str(&format!(", closed with {code}"));
        }
        words
    }
}
