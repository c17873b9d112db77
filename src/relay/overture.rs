//! The beginning of what a verified client sends, where its first message may present the credential
//! once more.

use crate::{
    secret::Wiped,
    websocket::first_message::{Look, Redundant},
};

/// Takes such a message out. A client that says nothing costs nothing.
#[derive(Default)]
pub(super) enum Overture {
    /// Everything goes on.
    #[default]
    Over,
    /// Nothing has come.
    Expected,
    /// Something has come, and none of it tells yet.
    Begun(Box<Redundant>),
}

impl Overture {
    /// What goes on of the next bytes of the stream, none of which are its end; `None` where all of them do. What is
    /// held back then is part of a message that never ends, and goes no further.
    pub(super) fn pass(&mut self, read: &[u8]) -> Option<Wiped> {
        let mut begun = match std::mem::take(self) {
            Self::Over => return None,
            Self::Expected => Box::default(),
            Self::Begun(begun) => begun,
        };
        let mut on = Wiped::default();
        if !read.is_empty() && begun.pass(read, &mut on) == Look::Further {
            *self = Self::Begun(begun);
        }
        Some(on)
    }

    /// Ends it, and gives back what was held back.
    pub(super) fn end(&mut self) -> Wiped {
        match std::mem::take(self) {
            Self::Over | Self::Expected => Wiped::default(),
            Self::Begun(begun) => begun.into_held(),
        }
    }
}
