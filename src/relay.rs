//! Two streams after a 101: bytes pass both ways unchanged.
//!
//! An idle socket holds no buffer. What is read goes into a scratch that belongs to the thread, and
//! from there to the receiver at once; long frames pass from socket to socket inside the kernel. Only
//! what the receiver does not take is kept, and until that is gone nothing more is read, so a slow
//! reader stops the writer. The end of one direction is passed on and the other goes on: half-close. What an
//! upstream has said before it failed reaches the client; a client that fails ends both.
//! When the socket has to end, each side is told by a Close frame between two frames, and its reply is
//! waited for.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};

pub use self::{
    departures::Departures,
    splice::{Socket, Stream},
    summons::Summons,
    timers::Limits,
};
use self::{
    direction::{Broken, Direction},
    overture::Overture,
    splice::Pipe,
    timers::Timers,
};
use crate::{
    access_log::{Closing, Side},
    phase::Phase,
};

mod departures;
mod direction;
mod overture;
mod splice;
mod summons;
#[cfg(test)]
mod tests;
mod timers;

/// The most bytes moved at once: reads of this length are what large messages need.
const SCRATCH: usize = 64 * 1024;

/// How long both sides have for the closing handshake when a limit of one socket has ended it.
const GRACE: Duration = Duration::from_secs(10);

/// How long a frame that is on its way may take once its caller is not let in any more.
const LAST_FRAME: Duration = Duration::from_millis(700);

/// The code of the Close frame for a caller who is not let in any more, as the agent server has it.
const REVOKED: u16 = 4001;

/// Ready once the caller of a socket is not let in any more.
pub type Revoked = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    static SHARED: RefCell<Shared> = RefCell::new(Shared { scratch: vec![0; SCRATCH], pipe: Pipe::default() });
}

/// What the sockets of a thread share.
struct Shared {
    /// What every socket is read into. What one poll leaves in it, the next overwrites and none looks at.
    scratch: Vec<u8>,
    /// The way of long frames.
    pipe: Pipe,
}

/// How a relay went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes from the client, frame headers and control frames included.
    pub received: u64,
    /// Bytes to the client, counted alike.
    pub sent: u64,
    /// What else passed, and how it ended.
    pub closing: Closing,
    /// Whether it ended by itself.
    pub ending: Ending,
}

/// How a socket came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// One of its sides ended it.
    ByItself,
    /// We did: it reached a limit, or the process was draining.
    Cut,
    /// We did: its caller is not let in any more.
    Revoked,
}

/// How a relay learns that the process ends, and what it then says.
#[derive(Clone, Debug)]
pub struct Goodbye {
    /// When both sides are told.
    pub departures: Departures,
    /// At [`Phase::Cut`] it is over.
    pub phase: watch::Receiver<Phase>,
    /// The code of the Close frame.
    pub close_code: u16,
}

/// How the two streams of a socket begin.
#[derive(Default)]
pub struct First {
    /// What was already read of the client.
    pub early: Bytes,
    /// What was already read of the upstream.
    pub lead: Bytes,
    /// Whether the client's first message may present the credential once more, and then goes no further.
    pub may_repeat: bool,
}

/// The two streams of a socket, and what is known of them.
///
/// It is awaited by reference: a future that is moved into another one takes its place twice.
pub struct Relay<D, U> {
    downstream: D,
    upstream: U,
    up: Direction,
    down: Direction,
    timers: Option<Box<Timers>>,
    /// How long nothing may move once one side has ended, until that is so.
    half_closed: Option<Duration>,
    /// Whether the upstream failed.
    is_lost: bool,
    /// Who sent the first Close frame.
    first_close: Option<Side>,
    /// Whose stream ended first.
    first_end: Option<Side>,
}

/// Why a socket has to leave.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    Draining,
    Limit,
    Revoked,
}

/// Why a relay goes no further.
enum End {
    /// A limit was reached.
    Limit,
    /// Both directions have ended, or one failed.
    Over,
}

impl<D, U> Relay<D, U>
where
    D: Stream,
    U: Stream,
{
    /// Takes both streams, and what was already read of them.
    pub fn new(downstream: D, upstream: U, first: First, limits: Limits) -> Self {
        let overture = if first.may_repeat { Overture::Expected } else { Overture::Over };
        Self {
            downstream,
            upstream,
            up: Direction::new(Side::Client, first.early, overture),
            down: Direction::new(Side::Upstream, first.lead, Overture::Over),
            timers: Timers::start(limits),
            half_closed: limits.half_closed,
            is_lost: false,
            first_close: None,
            first_end: None,
        }
    }

    /// Relays until both directions have ended, one of them failed, a limit is reached, its caller is
    /// `revoked`, or the process has drained for long enough.
    pub async fn run(&mut self, goodbye: &Goodbye, revoked: Option<Revoked>) -> Summary {
        let mut revoked = revoked.unwrap_or_else(never);
        let ended = {
            let mut begun = pin!(goodbye.departures.begun());
            let event = pin!(poll_fn(|cx| match begun.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Leave::Draining),
                Poll::Pending => revoked.as_mut().poll(cx).map(|()| Leave::Revoked),
            }));
            self.until(event).await
        };
        let why = match ended {
            Err(End::Over) => return self.summary(None),
            Err(End::Limit) => Leave::Limit,
            Ok(why) => why,
        };
        // In a box, since few sockets of many are ever on their way out.
        let left = Box::pin(self.leave(why, revoked, goodbye)).await;
        self.summary(Some(left))
    }

    /// Relays until `event`, or until it has ended before.
    fn until<T>(
        &mut self,
        mut event: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    ) -> impl Future<Output = Result<T, End>> {
        poll_fn(move |cx| {
            if let Poll::Ready(end) = self.poll(cx) {
                return Poll::Ready(Err(end));
            }
            event.as_mut().poll(cx).map(Ok)
        })
    }

    /// Moves what there is to move, either way.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let (up, down) = SHARED.with_borrow_mut(|shared| {
            let up = self.up.poll(cx, &mut self.downstream, &mut self.upstream, shared);
            let down = self.down.poll(cx, &mut self.upstream, &mut self.downstream, shared);
            (up, down)
        });
        let has_failed = |side| [failed(&up), failed(&down)].contains(&Some(side));
        self.notice_ends(has_failed(Side::Client));
        if has_failed(Side::Client) {
            return Poll::Ready(End::Over);
        } else if has_failed(Side::Upstream) {
            self.lose_upstream(failed(&down).is_some());
            cx.waker().wake_by_ref();
        } else if up.is_ready() && down.is_ready() {
            return Poll::Ready(End::Over);
        }
        if self.first_end.is_some()
            && let Some(limit) = self.half_closed.take()
        {
            Timers::allow_silence(&mut self.timers, limit);
        }
        let has_moved = self.up.take_moved() | self.down.take_moved();
        match &mut self.timers {
            Some(timers) => {
                timers.poll(cx, has_moved).map(|()| if self.is_lost { End::Over } else { End::Limit })
            }
            None => Poll::Pending,
        }
    }

    /// Keeps in mind who says goodbye and whose stream ends, if nobody did before.
    fn notice_ends(&mut self, has_client_failed: bool) {
        if self.first_close.is_none() {
            self.first_close = if self.up.has_said_goodbye() || self.down.has_said_goodbye() {
                Some(Side::Gateway)
            } else if self.up.frames().has_close() {
                Some(Side::Client)
            } else {
                self.down.frames().has_close().then_some(Side::Upstream)
            };
        }
        if has_client_failed || self.up.has_ended() {
            self.first_end.get_or_insert(Side::Client);
        } else if self.down.has_ended() {
            self.first_end.get_or_insert(Side::Upstream);
        }
    }

    /// The upstream failed. What it said before may still be on its way to the client, who has a while to take it, and
    /// then to go.
    fn lose_upstream(&mut self, is_read: bool) {
        self.first_end.get_or_insert(Side::Upstream);
        self.up.refuse();
        if is_read {
            self.down.end();
        }
        if !std::mem::replace(&mut self.is_lost, true) {
            Timers::allow(&mut self.timers, GRACE);
        }
    }

    /// Says goodbye to both sides and waits for their replies.
    async fn leave(&mut self, mut why: Leave, mut revoked: Revoked, goodbye: &Goodbye) -> Left {
        let mut code = goodbye.close_code;
        let leave = async {
            if why == Leave::Draining {
                let mut moment = pin!(sleep_until(goodbye.departures.next()));
                let event = pin!(poll_fn(|cx| match moment.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Leave::Draining),
                    Poll::Pending => revoked.as_mut().poll(cx).map(|()| Leave::Revoked),
                }));
                match self.until(event).await {
                    Err(End::Over) => return false,
                    Err(End::Limit) => {}
                    Ok(now) => why = now,
                }
            }
            self.half_closed = None;
            // Who has lost the upstream has its own time, which is shorter.
            if !self.is_lost {
                self.timers = None;
            }
            if why == Leave::Revoked {
                code = REVOKED;
            }
            self.up.say_goodbye(code);
            self.down.say_goodbye(code);
            let mut limit = pin!(sleep(GRACE));
            if why != Leave::Revoked {
                // The end of a drain is everybody's, and not ours.
                let event = pin!(poll_fn(|cx| match revoked.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Leave::Revoked),
                    Poll::Pending if why == Leave::Limit => limit.as_mut().poll(cx).map(|()| Leave::Limit),
                    Poll::Pending => Poll::Pending,
                }));
                match self.until(event).await {
                    Ok(Leave::Revoked) => why = Leave::Revoked,
                    ended => return ended.is_ok(),
                }
            }
            if why == Leave::Revoked {
                if let Err(End::Over) = self.until(pin!(sleep(LAST_FRAME))).await {
                    return false;
                }
                // Whoever still sends something that goes on has had its time.
                if !(self.up.has_delivered_goodbye() && self.down.has_delivered_goodbye()) {
                    return true;
                }
            }
            self.until(limit).await.is_ok()
        };
        let was_cut = tokio::select! {
            biased;
            was_cut = leave => was_cut,
            () = cut(&goodbye.phase) => true,
        };
        Left { why, was_cut, code }
    }

    /// What came of it.
    fn summary(&self, left: Option<Left>) -> Summary {
        let was_cut = left.is_some_and(|left| left.was_cut) || self.first_close == Some(Side::Gateway);
        let ending = match left.map(|left| left.why) {
            Some(Leave::Revoked) if was_cut => Ending::Revoked,
            Some(_) if was_cut => Ending::Cut,
            Some(_) | None => Ending::ByItself,
        };
        let (up, down) = (self.up.frames(), self.down.frames());
        let closing = Closing {
            code: match self.first_close {
                Some(Side::Client) => up.close_code(),
                Some(Side::Gateway) => left.map(|left| left.code),
                Some(Side::Upstream) => down.close_code(),
                None => None,
            },
            by: self.first_close.or(if was_cut { Some(Side::Gateway) } else { self.first_end }),
            messages_received: up.messages(),
            messages_sent: down.messages(),
            is_valid: up.is_valid() && down.is_valid(),
        };
        Summary { received: self.up.bytes(), sent: self.down.bytes(), closing, ending }
    }
}

/// How a socket left.
#[derive(Clone, Copy)]
struct Left {
    /// Why it had to.
    why: Leave,
    /// Whether we ended it without a closing handshake.
    was_cut: bool,
    /// The code of our Close frame.
    code: u16,
}

/// Whose stream failed in one direction, if one did.
fn failed(moved: &Poll<Result<(), Broken>>) -> Option<Side> {
    match moved {
        Poll::Ready(Err(Broken(side))) => Some(*side),
        Poll::Ready(Ok(())) | Poll::Pending => None,
    }
}

/// Nobody's permission is ever taken away where nobody decides about it. It costs no memory.
fn never() -> Revoked {
    Box::pin(std::future::pending())
}

/// Ready once what is still open has to end.
pub(crate) async fn cut(phase: &watch::Receiver<Phase>) {
    let mut phase = phase.clone();
    if phase.wait_for(|now| *now == Phase::Cut).await.is_err() {
        std::future::pending::<()>().await;
    }
}
