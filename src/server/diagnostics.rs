//! What is said on standard error: our own diagnostics, the places of Pingora's, and panics.
//!
//! Lines leave through a bounded queue and a thread of their own. A pipe that nobody reads, or a
//! full disk, costs lines and never a request.

use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Sends diagnostics to standard error; `filter` is the value of `RUST_LOG`. What was said when the
/// guard is dropped is still written.
///
/// Whatever `filter` asks for, a line of a library never shows its text: it may hold a request
/// head. Its level and place are shown, which tell a maintainer what it was.
pub fn install(filter: Option<&str>) -> WorkerGuard {
    let filter =
        filter.and_then(|filter| EnvFilter::try_new(filter).ok()).unwrap_or_else(|| EnvFilter::new("info"));
    let (writer, guard) = NonBlocking::new(std::io::stderr());
    let lines = fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .with_target(false)
        // It would say so on standard error, which is what has just failed.
        .log_internal_errors(false)
        .with_filter(filter)
        .with_filter(filter_fn(|line| line.target().starts_with("hushgate")));
    // A second call, in tests, changes nothing.
    let _ = tracing_subscriber::registry().with(lines).try_init();
    if log::set_logger(&PLACES).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) = panic.location().map_or(("?", 0), |place| (place.file(), place.line()));
        tracing::error!(file, line, "internal error: a task ended; its text is withheld");
    }));
    guard
}

static PLACES: Places = Places { budget: Mutex::new(Budget { since: None, left: LINES, withheld: 0 }) };

/// The most lines of libraries in each [`WINDOW`]: a client may be able to provoke them.
const LINES: u32 = 20;

/// How long [`LINES`] have to last.
const WINDOW: Duration = Duration::from_secs(60);

/// Shows where a library spoke, and not what it said.
struct Places {
    budget: Mutex<Budget>,
}

struct Budget {
    since: Option<Instant>,
    left: u32,
    withheld: u64,
}

impl Budget {
    /// How many lines were withheld before this one, or `None` if it is withheld too.
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            self.since = Some(now);
            self.left = LINES;
        }
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            Some(std::mem::take(&mut self.withheld))
        } else {
            self.withheld += 1;
            None
        }
    }
}

impl log::Log for Places {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(withheld) = budget.take(Instant::now()) {
            let (module, line) = (record.module_path_static().unwrap_or("?"), record.line().unwrap_or(0));
            tracing::warn!(level = %record.level(), module, line, withheld, "a library reports; its text is withheld");
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_short_and_counted() {
        let mut budget = Budget { since: None, left: LINES, withheld: 0 };
        let now = Instant::now();
        let shown = (0..100).filter(|_| budget.take(now).is_some()).count();
        assert_eq!(shown, 20);
        assert_eq!(budget.take(now + WINDOW), Some(80));
        assert_eq!(budget.take(now + WINDOW), Some(0));
    }
}
