//! hushgate: an authentication gateway in front of an agent server.
pub mod access_log;
pub mod config;
pub mod gateway;
pub mod handshake;
pub mod metrics;
pub mod relay;
pub mod secret;
pub mod server;
pub mod websocket;
