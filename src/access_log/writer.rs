//! Where lines go: a bounded buffer, and one thread that empties it.
//!
//! A request puts its line behind the others and goes on. A blocked pipe, a full disk or a missing file
//! costs lines, which are counted, and never a request. The thread is woken by the first line of many,
//! not by each.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::Record;
use crate::config::{LogFormat, Sink};

/// The most bytes that wait for the sink.
const MOST: usize = 1024 * 1024;

/// A buffer larger than this is given back once it is empty.
const USUAL: usize = 64 * 1024;

/// How long the thread lets lines gather after it has written some.
const GATHER: Duration = Duration::from_millis(10);

/// The one door for request lines.
#[derive(Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    waiting: Mutex<Waiting>,
    /// Told when something begins to wait.
    begun: Condvar,
    /// Told when what waited was written or dropped.
    written: Condvar,
}

/// What the thread has not taken yet.
#[derive(Debug, Default)]
struct Waiting {
    /// Whole lines.
    bytes: Vec<u8>,
    lines: u64,
    /// The file is to be opened anew before the next line.
    reopen: bool,
    pace: Pace,
    /// Whether the thread is writing just now.
    is_writing: bool,
}

/// How the thread goes about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pace {
    /// It lets lines gather.
    #[default]
    Gather,
    /// Somebody waits for everything to be written.
    Haste,
    /// The log is gone, and so is the thread once everything is written.
    End,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.reopen && self.pace != Pace::End
    }
}

impl Shared {
    /// What waits. A thread that panicked while it held it left whole lines.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessLog {
    /// Opens the sink and starts the thread that writes to it.
    ///
    /// # Errors
    /// The sink cannot be opened, or the system has no thread left.
    pub fn open(sink: &Sink) -> io::Result<Self> {
        let (file, path) = match sink {
            Sink::File(path) => (append_to(path)?, Some(path.clone())),
            // A descriptor of its own: no lock to wait for, and no second buffer.
            Sink::Stdout => (File::from(io::stdout().as_fd().try_clone_to_owned()?), None),
        };
        Self::start(file, path)
    }

    fn start(file: File, path: Option<PathBuf>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Writer { file, path, is_torn: false, shared: Arc::clone(&shared) };
        thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
        Ok(Self { shared })
    }

    /// Hands one record over. Never waits for the sink: a line for which there is no room is dropped and
    /// counted.
    pub fn write(&self, record: &Record, format: LogFormat) {
        let line = record.line(format);
        #[cfg(feature = "planted-leaks")]
        let line = [line, crate::planted::leak("access log").unwrap_or_default().into_bytes()].concat();
        let mut waiting = self.shared.waiting();
        if waiting.bytes.len() + line.len() > MOST {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_first = waiting.is_empty();
        waiting.bytes.extend_from_slice(&line);
        waiting.lines += 1;
        drop(waiting);
        if is_first {
            self.shared.begun.notify_one();
        }
    }

    /// Has the file opened anew before the next line; after a rotation.
    pub fn reopen(&self) {
        self.shared.waiting().reopen = true;
        self.shared.begun.notify_one();
    }

    /// How many lines were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until every line handed over so far is written, at most `patience`.
    pub fn flush(&self, patience: Duration) {
        let mut waiting = self.shared.waiting();
        waiting.pace = Pace::Haste;
        self.shared.begun.notify_one();
        let is_unwritten = |waiting: &mut Waiting| !waiting.is_empty() || waiting.is_writing;
        let waited = self.shared.written.wait_timeout_while(waiting, patience, is_unwritten);
        waited.unwrap_or_else(PoisonError::into_inner).0.pace = Pace::Gather;
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.shared.waiting().pace = Pace::End;
        self.shared.begun.notify_one();
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    // Opening a named pipe that nobody reads would block. Writing may: it has a thread of its own.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().create(true).append(true).mode(0o640).custom_flags(flags).open(path)?;
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

struct Writer {
    file: File,
    path: Option<PathBuf>,
    /// The last write ended in the middle of a line.
    is_torn: bool,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut batch = Vec::new();
        loop {
            let waiting = shared.waiting();
            let waited = shared.begun.wait_while(waiting, |waiting| waiting.is_empty());
            let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut waiting.bytes, &mut batch);
            waiting.is_writing = true;
            let lines = std::mem::take(&mut waiting.lines);
            let reopen = std::mem::take(&mut waiting.reopen);
            let has_ended = waiting.pace == Pace::End;
            drop(waiting);
            if reopen {
                self.reopen();
            }
            self.write(&batch, lines);
            batch.clear();
            batch.shrink_to(USUAL);
            let mut waiting = shared.waiting();
            waiting.is_writing = false;
            shared.written.notify_all();
            if has_ended {
                return;
            }
            // Whoever is in haste, and a buffer that fills, do not wait.
            let goes_on = |waiting: &mut Waiting| waiting.pace == Pace::Gather;
            if waiting.bytes.len() < MOST / 8 {
                let _ = shared.begun.wait_timeout_while(waiting, GATHER, goes_on);
            }
        }
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append_to(path) {
            Ok(file) => {
                self.file = file;
                self.is_torn = false;
            }
            Err(error) => {
                tracing::warn!(reason = %error.kind(), "access log not reopened, the old file is kept");
            }
        }
    }

    /// Writes whole lines, or counts them as dropped.
    fn write(&mut self, batch: &[u8], lines: u64) {
        if batch.is_empty() {
            return;
        }
        // A line that was cut off must not run into the next one.
        if self.is_torn && self.file.write_all(b"\n").is_ok() {
            self.is_torn = false;
        }
        if let Err(error) = self.file.write_all(batch) {
            self.is_torn = true;
            let before = self.shared.dropped.fetch_add(lines, Ordering::Relaxed);
            if before == 0 {
                tracing::warn!(reason = %error.kind(), "access log not writable; dropped lines are counted in hushgate_access_log_dropped_total");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{Event, tests::record};

    fn log_to(file: File) -> AccessLog {
        AccessLog::start(file, None).unwrap()
    }

    #[test]
    fn lines_reach_a_rotated_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = AccessLog::open(&Sink::File(path.clone())).unwrap();
        log.write(&record(Event::Request), LogFormat::Json);
        log.flush(Duration::from_secs(5));
        std::fs::rename(&path, folder.path().join("old.log")).unwrap();
        log.reopen();
        log.write(&record(Event::Close), LogFormat::Json);
        log.flush(Duration::from_secs(5));
        assert!(std::fs::read_to_string(folder.path().join("old.log")).unwrap().contains("\"request\""));
        assert!(std::fs::read_to_string(&path).unwrap().contains("\"close\""));
        assert_eq!(log.dropped(), 0);
    }

    #[test]
    fn a_full_disk_costs_lines_only() {
        let log = log_to(OpenOptions::new().write(true).open("/dev/full").unwrap());
        for _ in 0..10 {
            log.write(&record(Event::Request), LogFormat::Json);
        }
        log.flush(Duration::from_secs(5));
        assert_eq!(log.dropped(), 10);
    }

    #[test]
    fn a_slow_reader_of_a_named_pipe_gets_every_line() {
        const LINES: usize = 4096;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let unread = AccessLog::open(&Sink::File(path.clone())).unwrap_err();
        assert_eq!(unread.raw_os_error(), Some(rustix::io::Errno::NXIO.raw_os_error()));
        let reader = {
            let path = path.clone();
            thread::spawn(move || {
                let mut lines = 0;
                let mut pipe = io::BufReader::new(File::open(path).unwrap());
                let mut line = String::new();
                while io::BufRead::read_line(&mut pipe, &mut line).unwrap() > 0 {
                    assert!(line.starts_with('{') && line.ends_with("}\n"), "{line}");
                    lines += 1;
                    line.clear();
                    if lines % 512 == 0 {
                        thread::sleep(Duration::from_millis(5));
                    }
                }
                lines
            })
        };
        let log = loop {
            if let Ok(log) = AccessLog::open(&Sink::File(path.clone())) {
                break log;
            }
            thread::yield_now();
        };
        for _ in 0..LINES {
            log.write(&record(Event::Request), LogFormat::Json);
        }
        log.flush(Duration::from_secs(5));
        assert_eq!(log.dropped(), 0);
        drop(log);
        assert_eq!(reader.join().unwrap(), LINES);
    }

    #[test]
    fn a_blocked_pipe_stalls_nobody() {
        let (reader, writer) = io::pipe().unwrap();
        let log = log_to(File::from(std::os::fd::OwnedFd::from(writer)));
        for _ in 0..3 * MOST / 256 {
            log.write(&record(Event::Request), LogFormat::Json);
        }
        assert!(log.dropped() > 0, "what waits is bounded");
        drop(reader);
    }
}
