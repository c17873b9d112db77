//! Where lines go: a bounded queue, and one thread that empties it.
//!
//! A request hands its line over and goes on. A blocked pipe, a full disk or a missing file costs
//! lines, which are counted, and never a request.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::Record;
use crate::config::{LogFormat, Sink};

/// The most lines that wait for the sink.
const QUEUE: usize = 8192;

/// The most bytes that are written at once.
const BATCH: usize = 64 * 1024;

/// The one door for request lines.
#[derive(Debug)]
pub struct AccessLog {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    reopen: AtomicBool,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Answered when every line before it was written or dropped.
    Flush(SyncSender<()>),
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
        let (queue, lines) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer { file, path, is_torn: false, shared: Arc::clone(&shared) };
        thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run(&lines))?;
        Ok(Self { queue, shared })
    }

    /// Hands one record over. Never blocks: a line that finds the queue full is dropped and counted.
    pub fn write(&self, record: &Record, format: LogFormat) {
        match self.queue.try_send(Message::Line(record.line(format))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Has the file opened anew before the next line; after a rotation.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
    }

    /// How many lines were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until every line handed over so far is written, at most `patience`.
    pub fn flush(&self, patience: Duration) {
        const PAUSE: Duration = Duration::from_millis(5);
        let (done, wait) = sync_channel(1);
        let mut message = Message::Flush(done);
        let mut waited = Duration::ZERO;
        // The queue may be full of lines that are still being written.
        while let Err(TrySendError::Full(again)) = self.queue.try_send(message) {
            if waited >= patience {
                return;
            }
            message = again;
            thread::sleep(PAUSE);
            waited += PAUSE;
        }
        let _ = wait.recv_timeout(patience.saturating_sub(waited));
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
    fn run(mut self, queue: &Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let first = match queue.recv_timeout(Duration::from_millis(500)) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            let mut lines = 0;
            let mut flushed = None;
            for message in first.into_iter().chain(queue.try_iter()) {
                match message {
                    Message::Line(line) => {
                        batch.extend_from_slice(&line);
                        lines += 1;
                    }
                    Message::Flush(done) => flushed = Some(done),
                }
                if batch.len() >= BATCH || flushed.is_some() {
                    break;
                }
            }
            self.write(&batch, lines);
            batch.clear();
            if let Some(done) = flushed {
                let _ = done.try_send(());
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
        let (queue, lines) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer { file, path: None, is_torn: false, shared: Arc::clone(&shared) };
        thread::spawn(move || writer.run(&lines));
        AccessLog { queue, shared }
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
        for _ in 0..QUEUE / 2 {
            log.write(&record(Event::Request), LogFormat::Json);
        }
        log.flush(Duration::from_secs(5));
        assert_eq!(log.dropped(), 0);
        drop(log);
        assert_eq!(reader.join().unwrap(), QUEUE / 2);
    }

    #[test]
    fn a_blocked_pipe_stalls_nobody() {
        let (reader, writer) = io::pipe().unwrap();
        let log = log_to(File::from(std::os::fd::OwnedFd::from(writer)));
        for _ in 0..3 * QUEUE {
            log.write(&record(Event::Request), LogFormat::Json);
        }
        assert!(log.dropped() > 0, "the queue is bounded");
        drop(reader);
    }
}
