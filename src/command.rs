//! Commands that are no gateway, each in a file of its name.

pub(crate) mod key;
pub(crate) mod leaktest;
pub(crate) mod scrub;
