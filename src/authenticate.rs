//! Who a caller is, and whether they may in: what the gateway decides by where it decides itself
//! ([`Mode::Require`](crate::config::Mode::Require)). Nothing in here does I/O or reads a clock; whoever
//! asks says what was presented, from where, and what time it is.

pub mod limiter;
