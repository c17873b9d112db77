//! What is said on standard error: our own diagnostics, the places of Pingora's, and panics.

use tracing_subscriber::EnvFilter;

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
    if log::set_logger(&Places).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) = panic.location().map_or(("?", 0), |place| (place.file(), place.line()));
        tracing::error!(file, line, "internal error: a task ended; its text is withheld");
    }));
}

/// Shows where a library spoke, and not what it said.
struct Places;

impl log::Log for Places {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let (module, line) = (record.module_path_static().unwrap_or("?"), record.line().unwrap_or(0));
            tracing::warn!(level = %record.level(), module, line, "a library reports; its text is withheld");
        }
    }

    fn flush(&self) {}
}
