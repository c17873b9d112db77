//! Sealed bytes that the transport has not taken yet, and who waits for it.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

/// It exists only while there is something to keep.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: BytesMut,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Who polls: the halves of a stream may belong to different tasks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// Whoever reads, which gets out what a writer left behind.
    Reader,
    /// Whoever writes, flushes or ends.
    Writer,
}

impl Backlog {
    /// Puts more behind it.
    pub(super) fn push(&mut self, sealed: &[u8]) {
        self.bytes.extend_from_slice(sealed);
    }

    /// How much room it takes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Ready when all of it was taken.
    ///
    /// A transport knows only the last who asked. So that neither half takes the other's turn away,
    /// it wakes both where they differ.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        half: Half,
        transport: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        let (own, other) = match half {
            Half::Reader => (&mut self.reader, &mut self.writer),
            Half::Writer => (&mut self.writer, &mut self.reader),
        };
        let both = other
            .as_ref()
            .filter(|other| !other.will_wake(cx.waker()))
            .map(|other| Waker::from(Arc::new(Both(cx.waker().clone(), other.clone()))));
        let mut waking = Context::from_waker(both.as_ref().unwrap_or_else(|| cx.waker()));
        while !self.bytes.is_empty() {
            let Poll::Ready(written) = Pin::new(&mut *transport).poll_write(&mut waking, &self.bytes) else {
                *own = Some(cx.waker().clone());
                return Poll::Pending;
            };
            match written? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.bytes.advance(written.min(self.bytes.len())),
            }
        }
        if let Some(other) = other.take() {
            other.wake();
        }
        Poll::Ready(Ok(()))
    }
}

/// Wakes both halves.
struct Both(Waker, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}
