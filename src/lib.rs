//! hushgate.
pub mod config;
