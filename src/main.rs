//! The `hushgate` command.
fn main() {}
