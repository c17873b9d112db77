//! The way of long frames: from socket to socket inside the kernel, by way of a pipe (splice(2)).
//!
//! Copying into the program and out again is most of what a long frame costs. Its header says how many
//! bytes need not be looked at.

use std::{
    io::{Error, ErrorKind, Result},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use rustix::{
    io::read,
    net::{RecvFlags, recv},
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest},
    net::{TcpStream, UnixStream},
};

#[cfg(test)]
mod tests;

/// What a relay moves bytes from and to.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket, if nothing lies between its bytes and the stream's.
    fn socket(&self) -> Option<Socket<'_>> {
        None
    }
}

impl Stream for TcpStream {
    fn socket(&self) -> Option<Socket<'_>> {
        Some(Socket::Tcp(self))
    }
}

impl Stream for UnixStream {
    fn socket(&self) -> Option<Socket<'_>> {
        Some(Socket::Unix(self))
    }
}

impl<S: Stream + ?Sized> Stream for Box<S> {
    fn socket(&self) -> Option<Socket<'_>> {
        (**self).socket()
    }
}

/// Both ends in memory.
#[cfg(test)]
impl Stream for tokio::io::DuplexStream {}

/// A socket whose bytes may pass inside the kernel.
#[derive(Clone, Copy, Debug)]
pub enum Socket<'a> {
    /// Over TCP.
    Tcp(&'a TcpStream),
    /// On this machine.
    Unix(&'a UnixStream),
}

impl<'a> Socket<'a> {
    /// Looks at what comes next without taking it; no bytes are the end.
    pub(super) fn poll_peek<'b>(self, cx: &mut Context<'_>, into: &'b mut [u8]) -> Poll<Result<&'b [u8]>> {
        let peek = |socket: BorrowedFd<'_>| Ok(recv(socket, &mut *into, RecvFlags::PEEK)?.1);
        let length = ready!(self.poll_io(cx, Interest::READABLE, peek))?;
        Poll::Ready(Ok(into.get(..length).unwrap_or_default()))
    }

    /// Does `io` once it does not block.
    fn poll_io<T>(
        self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut io: impl FnMut(BorrowedFd<'a>) -> Result<T>,
    ) -> Poll<Result<T>> {
        loop {
            ready!(match (self, interest.is_writable()) {
                (Self::Tcp(socket), false) => socket.poll_read_ready(cx),
                (Self::Tcp(socket), true) => socket.poll_write_ready(cx),
                (Self::Unix(socket), false) => socket.poll_read_ready(cx),
                (Self::Unix(socket), true) => socket.poll_write_ready(cx),
            })?;
            let done = match self {
                Self::Tcp(socket) => socket.try_io(interest, || io(socket.as_fd())),
                Self::Unix(socket) => socket.try_io(interest, || io(socket.as_fd())),
            };
            match done {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

/// The most bytes moved at once, and so the most that is kept for a receiver that takes none.
const MOST: usize = 128 * 1024;

/// The size of a pipe, in bytes: 128 pages.
const ROOM: usize = 512 * 1024;

/// A pipe that belongs to a thread, and is empty between two polls.
#[derive(Default)]
pub(super) struct Pipe {
    ends: Option<(OwnedFd, OwnedFd)>,
    /// The system does not let us.
    is_refused: bool,
}

/// What came of moving.
pub(super) enum Moved {
    /// So many bytes were taken of the sender, none at its end; the receiver did not take these of them.
    Bytes(usize, Bytes),
    /// The system does not let us, now or ever; nothing was taken.
    Refused,
}

/// Whose socket failed.
pub(super) enum Failed {
    Sender,
    Receiver,
}

impl Pipe {
    /// Whether the system does not let us, so that nobody need try.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Moves at most `most` bytes.
    pub(super) fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        from: Socket<'_>,
        to: Socket<'_>,
        most: usize,
    ) -> Poll<std::result::Result<Moved, Failed>> {
        let Some(ends) = self.take() else { return Poll::Ready(Ok(Moved::Refused)) };
        let most = most.min(MOST);
        let (exit, entrance) = (ends.0.as_fd(), ends.1.as_fd());
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let enter = |from: BorrowedFd<'_>| Ok(splice(from, None, entrance, None, most, flags)?);
        let taken = match from.poll_io(cx, Interest::READABLE, enter) {
            Poll::Ready(Ok(taken)) => taken,
            Poll::Ready(Err(error)) if is_refusal(&error) => {
                self.is_refused = true;
                return Poll::Ready(Ok(Moved::Refused));
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Err(Failed::Sender)),
            Poll::Pending => {
                self.ends = Some(ends);
                return Poll::Pending;
            }
        };
        let mut left = taken;
        while left > 0 {
            let leave = |to: BorrowedFd<'_>| Ok(splice(exit, None, to, None, left, flags)?);
            match to.poll_io(cx, Interest::WRITABLE, leave) {
                Poll::Ready(Ok(gone @ 1..)) => left = left.saturating_sub(gone),
                Poll::Ready(Err(error)) if is_refusal(&error) => {
                    self.is_refused = true;
                    break;
                }
                Poll::Ready(Ok(_) | Err(_)) => return Poll::Ready(Err(Failed::Receiver)),
                Poll::Pending => break,
            }
        }
        let Some(kept) = drain(exit, left) else { return Poll::Ready(Err(Failed::Receiver)) };
        self.ends = Some(ends);
        Poll::Ready(Ok(Moved::Bytes(taken, kept)))
    }

    /// The pipe, to be put back once it is empty again; a pipe that may not be empty is closed, since
    /// the next socket's bytes would follow this one's. Nothing where the system has none left.
    fn take(&mut self) -> Option<(OwnedFd, OwnedFd)> {
        self.ends.take().or_else(|| {
            let ends = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            // Each of its pages holds a segment of the network at most. It works with fewer, too.
            let _ = fcntl_setpipe_size(&ends.1, ROOM);
            Some(ends)
        })
    }
}

/// Takes what is left out of the pipe.
fn drain(exit: BorrowedFd<'_>, left: usize) -> Option<Bytes> {
    let mut kept = vec![0; left];
    let mut room = &mut *kept;
    while !room.is_empty() {
        let count = read(exit, &mut *room).ok().filter(|count| *count > 0)?;
        room = room.get_mut(count..)?;
    }
    Some(kept.into())
}

/// Whether a system, or what stands guard over it, has no splice(2) for these sockets.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::PermissionDenied)
}
