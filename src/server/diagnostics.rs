//! What is said on standard error: our own diagnostics, the places of Pingora's, and panics.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering},
};

use tokio::time::Instant;
use tracing_subscriber::EnvFilter;

/// The most reports of libraries in a minute. A peer can provoke them, and standard error may be
/// slow.
const REPORTS: u64 = 20;

/// Sends diagnostics to standard error; `filter` is the value of `RUST_LOG`.
///
/// Whatever `filter` asks for, a line of a library never shows its text: it may hold a request
/// head. Its level and place are shown, which tell a maintainer what it was.
pub fn install(filter: Option<&str>) {
    let filter =
        filter.and_then(|filter| EnvFilter::try_new(filter).ok()).unwrap_or_else(|| EnvFilter::new("info"));
    // A second call, in tests, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .try_init();
    if log::set_logger(&PLACES).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) = panic.location().map_or(("?", 0), |place| (place.file(), place.line()));
        tracing::error!(file, line, "internal error: a task ended; its text is withheld");
    }));
}

/// Shows where a library spoke, and not what it said.
struct Places {
    minute: AtomicU64,
    reports: AtomicU64,
}

static PLACES: Places = Places { minute: AtomicU64::new(0), reports: AtomicU64::new(0) };

impl Places {
    /// How many reports there were in this minute of the process, this one included.
    fn count(&self, minute: u64) -> u64 {
        if self.minute.swap(minute, Ordering::Relaxed) != minute {
            self.reports.store(0, Ordering::Relaxed);
        }
        self.reports.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// The minute of the process.
fn minute() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_secs() / 60
}

impl log::Log for Places {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let count = self.count(minute());
        if count <= REPORTS {
            let (module, line) = (record.module_path_static().unwrap_or("?"), record.line().unwrap_or(0));
            tracing::warn!(level = %record.level(), module, line, "a library reports; its text is withheld");
        }
        if count == REPORTS {
            tracing::warn!("further reports of libraries are left out until the next minute");
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_counted_by_the_minute() {
        let places = Places { minute: AtomicU64::new(0), reports: AtomicU64::new(0) };
        assert_eq!([0, 0, 0].map(|minute| places.count(minute)), [1, 2, 3]);
        assert_eq!([5, 5].map(|minute| places.count(minute)), [1, 2]);
    }
}
