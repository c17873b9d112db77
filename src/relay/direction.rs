//! One direction of a relayed socket.

use std::{
    io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, ReadBuf};

use super::{
    Shared, Stream,
    overture::Overture,
    splice::{Failed, Moved},
};
use crate::{
    access_log::Side,
    secret::Wiped,
    websocket::{Frames, close_for_client, close_for_server},
};

/// How often one direction reads before everybody else on the thread has a turn.
const READS: usize = 4;

/// How long a payload has to be for its frame to pass inside the kernel: that saves a fifth of the
/// processor time here, and costs more than to copy with half the length.
const LONG: u64 = 32 * 1024;

/// Bytes on their way from one side to the other.
pub(super) struct Direction {
    sender: Side,
    /// The frames that have been passed on.
    frames: Frames,
    /// What may be taken out of the stream before.
    overture: Overture,
    /// Read, and not yet taken by the receiver. Nothing more is read until it is empty.
    kept: Bytes,
    /// How many bytes of the sender have come that were not said behind our goodbye.
    bytes: u64,
    stage: Stage,
    farewell: Farewell,
    /// Whether something was written since the receiver was last flushed.
    is_unflushed: bool,
    /// Whether something was moved since that was last asked.
    has_moved: bool,
}

/// How far the stream has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// More may come.
    Open,
    /// It has ended, and the receiver is to be told.
    Ending,
    /// The receiver failed. What comes is read and thrown away until it ends.
    Refused,
    /// Nothing is left to do.
    Over,
}

/// What one direction has to do with the end of the socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// The socket does not end.
    Unasked,
    /// A Close frame of this code is to be put at the next boundary.
    Due(u16),
    /// None can be put: one has passed, or this is no framing.
    Needless,
    /// It was put. Nothing more goes this way; what comes is read until the sender's own Close frame.
    Said,
}

/// Why a direction cannot go on: this side failed.
pub(super) struct Broken(pub(super) Side);

impl Direction {
    /// From `sender`, of whom `first` has been read already.
    pub(super) fn new(sender: Side, first: Bytes, mut overture: Overture) -> Self {
        let mut frames = Frames::default();
        let bytes = u64::try_from(first.len()).unwrap_or(u64::MAX);
        let passed = if first.is_empty() { None } else { overture.pass(&first) };
        let first = passed.map_or(first, |passed| Bytes::copy_from_slice(passed.as_bytes()));
        frames.follow(&first);
        Self {
            sender,
            frames,
            overture,
            bytes,
            kept: first,
            stage: Stage::Open,
            farewell: Farewell::Unasked,
            is_unflushed: false,
            has_moved: false,
        }
    }

    /// The frames of the sender so far.
    pub(super) fn frames(&self) -> &Frames {
        &self.frames
    }

    /// How many bytes have come of the sender, those behind our goodbye left out.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing more of the sender goes on.
    pub(super) fn has_ended(&self) -> bool {
        self.stage != Stage::Open
    }

    /// Whether everything that goes on has gone, a Close frame of ours behind it.
    pub(super) fn has_delivered_goodbye(&self) -> bool {
        self.has_said_goodbye() && self.kept.is_empty()
    }

    /// Whether a Close frame of ours was put here.
    pub(super) fn has_said_goodbye(&self) -> bool {
        self.farewell == Farewell::Said
    }

    /// Asks for a Close frame at the next boundary.
    pub(super) fn say_goodbye(&mut self, code: u16) {
        self.farewell = Farewell::Due(code);
    }

    /// The sender failed: what came before is its end.
    pub(super) fn end(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Ending;
        }
    }

    /// The receiver failed: nothing goes on any more, and what comes is thrown away. A socket that is closed with
    /// something unread is reset, and what was said to it last is lost.
    pub(super) fn refuse(&mut self) {
        (self.kept, self.is_unflushed) = (Bytes::new(), false);
        drop(self.overture.end());
        self.stage = match self.stage {
            Stage::Open | Stage::Refused => Stage::Refused,
            Stage::Ending | Stage::Over => Stage::Over,
        };
    }

    /// Whether anything was moved since this was asked before.
    pub(super) fn take_moved(&mut self) -> bool {
        mem::take(&mut self.has_moved)
    }

    /// Moves bytes by way of what the thread's sockets share, and passes their end on; ready when that is
    /// done.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        shared: &mut Shared,
    ) -> Poll<Result<(), Broken>>
    where
        R: Stream,
        W: Stream,
    {
        for _ in 0..READS {
            self.put_close_frame();
            ready!(self.poll_deliver(cx, to))?;
            if self.stage == Stage::Over {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_splice(cx, from, to, shared))? {
                continue;
            }
            let mut read = ReadBuf::new(&mut shared.scratch);
            match ready!(Pin::new(&mut *from).poll_read(cx, &mut read)) {
                Ok(()) => {}
                // TLS without its close_notify is an end like any other.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(_) => return Poll::Ready(Err(Broken(self.sender))),
            }
            self.take(cx, to, read.filled())?;
        }
        // Everybody else comes first, and then this again.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves a long frame, or what there is of it, inside the kernel. False, and nothing is done, where
    /// the stream has to be read.
    fn poll_splice<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &R,
        to: &W,
        shared: &mut Shared,
    ) -> Poll<Result<bool, Broken>>
    where
        R: Stream,
        W: Stream,
    {
        // Behind a long frame another one is likely.
        let goes_on = self.stage != Stage::Refused && self.farewell != Farewell::Said;
        if self.frames.payload() < LONG || !goes_on || shared.pipe.is_refused() {
            return Poll::Ready(Ok(false));
        }
        let (Some(from), Some(to)) = (from.socket(), to.socket()) else { return Poll::Ready(Ok(false)) };
        let mut header = [0; 14];
        let mut header: &[u8] = if self.frames.is_between() {
            ready!(from.poll_peek(cx, &mut header)).map_err(|_| Broken(self.sender))?
        } else {
            &[]
        };
        let mut ahead = self.frames.clone();
        header = header.get(..ahead.follow_to_payload(header)).unwrap_or_default();
        if ahead.payload() < LONG || ahead.remaining() == 0 {
            return Poll::Ready(Ok(false));
        }
        let most = usize::try_from(ahead.remaining()).unwrap_or(usize::MAX).saturating_add(header.len());
        match ready!(shared.pipe.poll_move(cx, from, to, most)) {
            Ok(Moved::Refused | Moved::Bytes(0, _)) => Poll::Ready(Ok(false)),
            Ok(Moved::Bytes(taken, kept)) => {
                let of_header = taken.min(header.len());
                self.frames.follow(header.get(..of_header).unwrap_or_default());
                self.frames.skip(u64::try_from(taken - of_header).unwrap_or(0));
                self.bytes += u64::try_from(taken).unwrap_or(0);
                self.has_moved = true;
                self.kept = kept;
                Poll::Ready(Ok(true))
            }
            Err(Failed::Sender) => Poll::Ready(Err(Broken(self.sender))),
            Err(Failed::Receiver) => Poll::Ready(Err(Broken(self.receiver()))),
        }
    }

    /// Follows what was read, and passes on what may go on.
    fn take<W>(&mut self, cx: &mut Context<'_>, to: &mut W, read: &[u8]) -> Result<(), Broken>
    where
        W: AsyncWrite + Unpin,
    {
        let has_ended = read.is_empty();
        if self.stage == Stage::Refused {
            if has_ended {
                self.stage = Stage::Over;
            }
            return Ok(());
        }
        self.has_moved |= !has_ended;
        let passed = self.overture.pass(read);
        if let Some(passed) = &passed {
            // What does not go on has come all the same, and what was held back was counted when it came.
            self.bytes += u64::try_from(read.len()).unwrap_or(0);
            self.bytes = self.bytes.saturating_sub(u64::try_from(passed.as_bytes().len()).unwrap_or(0));
        }
        let read = passed.as_ref().map_or(read, Wiped::as_bytes);
        match self.farewell {
            Farewell::Unasked | Farewell::Needless => {
                self.frames.follow(read);
                self.pass_on(cx, to, read)?;
            }
            Farewell::Due(_) => {
                let end = self.frames.follow_to_end_of_frame(read);
                let (last, rest) = read.split_at_checked(end).unwrap_or((read, &[]));
                self.pass_on(cx, to, last)?;
                self.put_close_frame();
                self.frames.follow(rest);
            }
            Farewell::Said => self.frames.follow(read),
        }
        if has_ended || self.farewell == Farewell::Said && self.frames.has_close() {
            self.stage = Stage::Ending;
        }
        Ok(())
    }

    /// Puts our Close frame behind everything that goes on, if one is due and this is a boundary.
    fn put_close_frame(&mut self) {
        let Farewell::Due(code) = self.farewell else { return };
        if self.has_ended() || self.frames.is_over() {
            self.farewell = Farewell::Needless;
        } else if self.frames.is_between() {
            match self.sender {
                Side::Client => self.keep(&close_for_server(code)),
                Side::Gateway | Side::Upstream => self.keep(&close_for_client(code)),
            }
            self.farewell = Farewell::Said;
            // What was held back does not go on any more, but what is read begins behind it.
            self.frames.follow(self.overture.end().as_bytes());
        }
    }

    /// Keeps bytes behind those that are kept already.
    fn keep(&mut self, bytes: &[u8]) {
        self.kept = if self.kept.is_empty() {
            Bytes::copy_from_slice(bytes)
        } else {
            [&self.kept, bytes].concat().into()
        };
    }

    /// Writes what was just read, and keeps what the receiver does not take.
    fn pass_on<W>(&mut self, cx: &mut Context<'_>, to: &mut W, mut bytes: &[u8]) -> Result<(), Broken>
    where
        W: AsyncWrite + Unpin,
    {
        self.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        while !bytes.is_empty() {
            let Poll::Ready(written) = self.poll_write(cx, to, bytes)? else {
                self.keep(bytes);
                break;
            };
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Writes everything that is kept, and the end of the stream, if it has come.
    fn poll_deliver<W>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<Result<(), Broken>>
    where
        W: AsyncWrite + Unpin,
    {
        while !self.kept.is_empty() {
            let kept = self.kept.clone();
            let written = ready!(self.poll_write(cx, to, &kept)?);
            self.kept.advance(written);
        }
        // An empty one may still hold what was written.
        self.kept = Bytes::new();
        if self.is_unflushed {
            ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(|_| Broken(self.receiver()))?;
            self.is_unflushed = false;
        }
        if self.stage == Stage::Ending {
            // It fails only where the receiver is gone, of which the other direction learns.
            let _ = ready!(Pin::new(to).poll_shutdown(cx));
            self.stage = Stage::Over;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write<W>(&mut self, cx: &mut Context<'_>, to: &mut W, bytes: &[u8]) -> Poll<Result<usize, Broken>>
    where
        W: AsyncWrite + Unpin,
    {
        match ready!(Pin::new(to).poll_write(cx, bytes)) {
            Ok(written @ 1..) => {
                (self.is_unflushed, self.has_moved) = (true, true);
                Poll::Ready(Ok(written))
            }
            Ok(0) | Err(_) => Poll::Ready(Err(Broken(self.receiver()))),
        }
    }

    fn receiver(&self) -> Side {
        if self.sender == Side::Client { Side::Upstream } else { Side::Client }
    }
}
