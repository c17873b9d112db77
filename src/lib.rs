//! hushgate.
pub mod access_log;
pub mod config;
pub mod handshake;
pub mod metrics;
pub mod secret;
