//! Everything that a child writes to one of its outputs, while it is written.

use std::{
    io::Read,
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
};

use super::PATIENCE;

/// The bytes so far, and whether more can come.
#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    is_over: bool,
}

/// A thread that reads an output to its end.
pub(crate) struct Capture {
    state: Arc<(Mutex<State>, Condvar)>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    /// Begins to read.
    pub(crate) fn of(mut output: impl Read + Send + 'static) -> Self {
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        let reader = thread::spawn(move || {
            let mut chunk = [0; 8192];
            loop {
                let read = output.read(&mut chunk).unwrap_or(0);
                let mut state = shared.0.lock().unwrap();
                state.bytes.extend_from_slice(&chunk[..read]);
                state.is_over = read == 0;
                shared.1.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self { state, reader: Some(reader) }
    }

    /// What was written so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.state.0.lock().unwrap().bytes).into_owned()
    }

    /// Waits until `find` finds something in what was written; `None` when it never does.
    pub(crate) fn wait_for<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut state = self.state.0.lock().unwrap();
        loop {
            if let Some(found) = find(&String::from_utf8_lossy(&state.bytes)) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(tokio::time::Instant::now())?;
            if state.is_over {
                return None;
            }
            state = self.state.1.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for the end, and gives everything.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.state.0.lock().unwrap().bytes.clone()
    }
}
