//! What the embedded agent server received, kept to be shown.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

/// The most opening handshakes that are kept.
const KEPT: usize = 256;

/// One opening handshake, as it reached the agent server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Received {
    /// The request target, byte for byte.
    pub(super) target: String,
    /// The lines of the credential field.
    pub(super) fields: Vec<String>,
    /// The first message, where that was to bring the key.
    pub(super) first_message: Option<String>,
    /// The key that the agent server judged by, once there was one.
    pub(super) used: Option<String>,
    /// The line in the agent server's own log.
    pub(super) log_line: String,
}

/// The line that uvicorn would write: it shows the whole target, query and all.
pub(super) fn log_line(peer: SocketAddr, target: &str, is_accepted: bool) -> String {
    format!("{peer} - \"WebSocket {target}\" {}", if is_accepted { "[accepted]" } else { "403" })
}

/// Every opening handshake of late, oldest first.
#[derive(Debug, Default)]
pub(super) struct Story(Mutex<Chapters>);

#[derive(Debug, Default)]
struct Chapters {
    kept: VecDeque<(u64, Received)>,
    next: u64,
}

impl Story {
    fn chapters(&self) -> MutexGuard<'_, Chapters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one; the number names it to [`Story::first_message`].
    pub(super) fn add(&self, received: Received) -> u64 {
        let mut chapters = self.chapters();
        if chapters.kept.len() >= KEPT {
            chapters.kept.pop_front();
        }
        let number = chapters.next;
        chapters.next += 1;
        chapters.kept.push_back((number, received));
        number
    }

    /// Notes a first message, and the key in it if it has one.
    pub(super) fn first_message(&self, number: u64, text: String, key: Option<String>) {
        if let Some((_, received)) = self.chapters().kept.iter_mut().find(|(known, _)| *known == number) {
            (received.first_message, received.used) = (Some(text), key);
        }
    }

    /// Those for one path.
    pub(super) fn of(&self, path: &str) -> Vec<Received> {
        let is_of_path = |target: &str| target.split('?').next() == Some(path);
        let chapters = self.chapters();
        let kept = chapters.kept.iter().map(|(_, received)| received);
        kept.filter(|received| is_of_path(&received.target)).cloned().collect()
    }

    /// All of them, which are then forgotten.
    pub(super) fn take(&self) -> Vec<Received> {
        self.chapters().kept.drain(..).map(|(_, received)| received).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(target: &str) -> Received {
        let peer = SocketAddr::from(([127, 0, 0, 1], 5));
        let log_line = log_line(peer, target, true);
        Received { target: target.to_owned(), fields: Vec::new(), first_message: None, used: None, log_line }
    }

    #[test]
    fn a_story_is_told_by_path_and_is_bounded() {
        let story = Story::default();
        for number in 0..2 * KEPT {
            story.add(received(&format!("/sockets/events/{number}?a=1")));
        }
        let last = story.add(received("/sockets/events/last"));
        story.first_message(last, "m".to_owned(), Some("k".to_owned()));
        assert_eq!(story.of("/sockets/events/last")[0].used.as_deref(), Some("k"));
        assert_eq!(story.of("/sockets/events/511").len(), 1);
        assert_eq!(story.of("/sockets/events/0"), []);
        assert_eq!(story.take().len(), KEPT);
        assert_eq!(story.take(), []);
    }

    #[test]
    fn the_log_line_is_uvicorns() {
        assert_eq!(received("/s?k=1").log_line, r#"127.0.0.1:5 - "WebSocket /s?k=1" [accepted]"#);
    }
}
