//! How far the process is on its way to its end.

/// A stage of the process's life; it only ever goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everything is served.
    Serving,
    /// Everything is served, and whoever asks is told that this will end.
    Unready,
    /// What is open may finish; nothing new begins.
    Draining,
    /// What is still open ends now.
    Cut,
}
