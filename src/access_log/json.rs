//! One JSON object, written member by member: no map, and no string made for each value.

use std::{fmt::Display, io::Write};

use serde::Serialize;

/// Longer than most lines.
const ROOM: usize = 512;

/// An object that is being written.
pub(super) struct Object(Vec<u8>);

impl Object {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(ROOM);
        bytes.push(b'{');
        Self(bytes)
    }

    /// A member whose value is a string.
    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        // Nearly none has anything to escape.
        if value.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
            return self.value(name, value);
        }
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    /// A member whose value is a string that prints without anything to escape.
    pub(super) fn plain(&mut self, name: &'static str, value: impl Display) {
        self.name(name);
        // Writing to memory cannot fail.
        let _ = write!(self.0, "\"{value}\"");
    }

    /// A member with any other value.
    pub(super) fn value(&mut self, name: &'static str, value: impl Serialize) {
        self.name(name);
        // Plain strings and numbers always serialise.
        let _ = serde_json::to_writer(&mut self.0, &value);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn name(&mut self, name: &'static str) {
        self.0.extend_from_slice(if self.0.len() > 1 { b",\"" } else { b"\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}
