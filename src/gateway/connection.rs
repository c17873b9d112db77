//! One downstream connection, request after request.

use std::{
    io::Write,
    net::{IpAddr, TcpStream},
    os::fd::AsFd,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::BytesMut;
use pingora::{
    apps::HttpServerApp,
    protocols::http::{ServerSession, v1::server::HttpSession},
    proxy::HttpProxy,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::{
    Downstream, Entry, Gateway, Place, Snapshot, Transport,
    adapter::{Adapter, Answered, Exchange},
    downstream::Taken,
    edge::{self, Decided, Going, Stopped},
    first_message::{self, Stranger},
    own::Own,
    refuse::{Answer, Aside},
    takeover::{self, Held, Opening},
};
use crate::{
    access_log::{Event, Method, Outcome, RedactedTarget},
    config::{Limits, Mode},
    handshake::{
        self, Admitted, Hop, Kind, Presented, Refusal,
        head::{Body, Head},
    },
    phase::Phase,
    relay,
    secret::{Credential, Wiped},
};

/// How long a refusal may take to be written.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// How long a client may pause inside a body.
const BODY_PAUSE: Duration = Duration::from_secs(60);

/// How long a connection may wait for its next request.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How long a client may take nothing of an answer. A relayed socket has a limit of its own.
pub const ANSWER_PAUSE: Duration = Duration::from_secs(60);

/// Frees both sides within about a minute and a half when an idle peer vanishes without a word.
pub fn watch_for_vanished_peer<S: AsFd>(socket: &S) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    // Where the system has no such option, the connection is served without it.
    let _ = SockRef::from(socket).set_tcp_keepalive(&keepalive);
}

/// Frees both sides when a peer vanishes with bytes on their way to it, or reads nothing for `patience`
/// although there is something to read.
pub fn watch_for_lost_peer<S: AsFd>(socket: &S, patience: Option<Duration>) {
    // As above. The system's own patience, without one of ours, is about a quarter of an hour.
    let _ = SockRef::from(socket).set_tcp_user_timeout(patience);
}

/// Serves a connection until its end.
pub async fn serve(gateway: Arc<Gateway>, transport: Transport, peer: Option<IpAddr>, place: Place) {
    let is_tls = matches!(transport, Transport::Tls(_));
    let mut downstream = Downstream::new(transport);
    let (end, draining) = (gateway.phase(), Arc::clone(&gateway));
    let mut interruptions = Interruptions {
        timer: pin!(sleep_until(Instant::now())),
        draining: pin!(async { draining.draining().await }),
        cut: pin!(relay::cut(&end)),
    };
    let mut wait = None;
    loop {
        let limits = gateway.snapshot.load().config.limits;
        let mut entry = Entry::new(peer, downstream.counters());
        let read = read_head(&mut downstream, &limits, wait, &mut entry.started, &mut interruptions).await;
        let head = match read {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(unread) => return abandon(&gateway, downstream, entry, unread).await,
        };
        #[cfg(feature = "planted-leaks")]
        crate::planted::see(&head);
        // One snapshot for everything that follows.
        let snapshot = gateway.snapshot.load_full();
        let hop = Hop { peer, is_tls, trusted_proxies: &snapshot.config.listen.trusted_proxies };
        let judged = judge(&gateway, &head, &snapshot, &hop, &mut entry, None);
        let Going { admitted, seat, cookie } = match judged {
            Ok(Decided::Goes(going)) => {
                drop(head);
                going
            }
            Ok(Decided::Answered(own)) => return answer(&gateway, &snapshot, downstream, entry, own).await,
            Ok(Decided::Awaits(accept)) => {
                let stranger = Stranger { head, accept, peer, is_tls, place };
                // In a box, since few connections are such, and all would have room for one.
                let run = Box::pin(first_message::run(gateway, snapshot, downstream, stranger, entry));
                return run.await;
            }
            Err(stopped) => return stop(&gateway, &snapshot, downstream, entry, stopped).await,
        };
        let Admitted { kind, head, body, subprotocol, .. } = admitted;
        downstream = match kind {
            Kind::OpeningHandshake => {
                let opening = Opening { head, subprotocol };
                return takeover::run(gateway, snapshot, downstream, opening, entry, Held { place, seat })
                    .await;
            }
            Kind::Plain => {
                let proxy = snapshot.proxies.get(place.worker);
                let cut = interruptions.cut.as_mut();
                let counters = downstream.counters();
                let exchange = Exchange::new(Arc::clone(&snapshot), Arc::clone(&gateway), counters, cookie);
                match plain(Arc::new(exchange), proxy, downstream, (head, body), &entry, cut).await {
                    Some(downstream) => downstream,
                    None => return,
                }
            }
        };
        wait = Some(KEEP_ALIVE);
    }
}

/// What can end the waiting for a client, whichever request is next. It is made once for all of a
/// connection's requests, since each such future takes a place in a list that threads share.
struct Interruptions<'a> {
    /// Only ever moved on, mostly to later.
    timer: Pin<&'a mut Sleep>,
    draining: Pin<&'a mut (dyn Future<Output = ()> + Send)>,
    cut: Pin<&'a mut (dyn Future<Output = ()> + Send)>,
}

/// Ends a connection whose head did not come.
async fn abandon(gateway: &Gateway, mut downstream: Downstream, entry: Entry, unread: Unread) {
    // What came of it counts as its own.
    let length = downstream.ahead().len();
    let _unread_head = downstream.take_ahead(length);
    let snapshot = gateway.snapshot.load_full();
    match unread {
        Unread::Refused(refusal) => {
            stop(gateway, &snapshot, downstream, entry, Stopped::refused(Event::Request, refusal)).await;
        }
        Unread::Cut | Unread::Gone => {
            let outcome = if matches!(unread, Unread::Cut) { Outcome::Cut } else { Outcome::ClientClosed };
            gateway.record(snapshot.config.access_log.format, &entry.record(Event::Request, None, outcome));
        }
    }
}

/// Why there is no head to judge.
enum Unread {
    /// The process ends.
    Cut,
    /// The client went away in the middle of it.
    Gone,
    /// It is too long, or was too slow.
    Refused(Refusal),
}

/// Reads up to the end of a head, and notes when it `began`; `None` when the connection ends before.
///
/// The limit of time is for the whole head, however slowly it drips: from its first byte, or from
/// the start of the connection.
async fn read_head(
    downstream: &mut Downstream,
    limits: &Limits,
    keep_alive: Option<Duration>,
    began: &mut Instant,
    interruptions: &mut Interruptions<'_>,
) -> Result<Option<Taken>, Unread> {
    let mut deadline = *began + keep_alive.unwrap_or(limits.head_timeout);
    let mut has_begun = false;
    let mut searched = 0;
    loop {
        // Empty lines before a request line are skipped (RFC 9112 section 2.2).
        while let Some(length) = line_end(downstream.ahead()) {
            let _empty_line = downstream.take_ahead(length);
        }
        let ahead = downstream.ahead();
        if !ahead.is_empty() && !std::mem::replace(&mut has_begun, true) {
            *began = Instant::now();
            deadline = *began + limits.head_timeout;
        }
        if let Some(end) = head_end(ahead, searched) {
            if end > limits.head_size {
                return Err(Unread::Refused(Refusal::HeadTooLarge));
            }
            return Ok(Some(downstream.take_ahead(end)));
        }
        searched = ahead.len().saturating_sub(3);
        if ahead.len() >= limits.head_size {
            return Err(Unread::Refused(Refusal::HeadTooLarge));
        }
        interruptions.timer.as_mut().reset(deadline);
        let read = tokio::select! {
            biased;
            read = downstream.read_ahead() => Some(read),
            () = interruptions.timer.as_mut() => None,
            () = interruptions.draining.as_mut(), if !has_begun => return Ok(None),
            () = interruptions.cut.as_mut(), if has_begun => return Err(Unread::Cut),
        };
        match (read, has_begun) {
            (Some(Ok(1..)), _) => {}
            (Some(Ok(0) | Err(_)) | None, false) => return Ok(None),
            (Some(Ok(0) | Err(_)), true) => return Err(Unread::Gone),
            (None, true) => return Err(Unread::Refused(Refusal::HeadTimeout)),
        }
    }
}

/// The length of the line end that these bytes begin with.
fn line_end(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(b"\n") {
        Some(1)
    } else if bytes.starts_with(b"\r\n") {
        Some(2)
    } else {
        None
    }
}

/// Where the empty line that ends a head stops, looking from `from` on. A line may end in a bare LF
/// (RFC 9112 section 2.2).
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').find_map(|(at, _)| {
        let line_end = line_end(rest.get(at + 1..)?)?;
        Some(from + at + 1 + line_end)
    })
}

/// Parses and judges a head, decides about its sender, and notes what may be written down of it.
///
/// A credential that the first message presented counts where the head presented none.
pub(super) fn judge(
    gateway: &Gateway,
    head: &[u8],
    snapshot: &Snapshot,
    hop: &Hop<'_>,
    entry: &mut Entry,
    first_message: Option<Credential>,
) -> Result<Decided, Stopped> {
    let config = &snapshot.config;
    let head = Head::parse(head, config.limits.head_fields)
        .map_err(|refusal| Stopped::refused(Event::Request, refusal))?;
    entry.method = Method::of(head.method);
    let (show, rules) = (&config.access_log.show, &config.handshake);
    let require = match &config.authentication.mode {
        Mode::PassThrough => None,
        Mode::Require(require) => Some(require),
    };
    let presented = Presented::of(&head, rules, require).with(first_message.as_ref());
    entry.target = RedactedTarget::of(head.target, show, &rules.parameters, &presented);
    entry.client = handshake::client(&head, hop);
    let mut examined = handshake::examine(&head, rules, require).map_err(|refusal| {
        let asks_upgrade = head.values("upgrade").next().is_some();
        Stopped::refused(if asks_upgrade { Event::Handshake } else { Event::Request }, refusal)
    })?;
    if let Some(credential) = first_message {
        examined.present(credential);
    }
    entry.source = examined.source;
    edge::decide(gateway, snapshot, &head, &examined, hop, entry)
}

/// Answers a request that goes no further, and ends the connection.
pub(super) async fn stop(
    gateway: &Gateway,
    snapshot: &Snapshot,
    mut downstream: Downstream,
    mut entry: Entry,
    stopped: Stopped,
) {
    let Stopped { event, outcome, aside } = stopped;
    hold_back(gateway, snapshot, &mut downstream, &mut entry, aside.pause).await;
    let answer = Answer::to(outcome, event);
    let told = tell_last(gateway, &mut downstream, &answer.bytes(&aside)).await;
    let status = told.then_some(answer.status);
    gateway.record(snapshot.config.access_log.format, &entry.record(event, status, outcome));
    gateway.linger(downstream).await;
}

/// The part of all connections that may be held back at once: one in so many.
const HELD_BACK: usize = 10;

/// Holds an answer back for a while, which is not counted as the request's. Not where too many are held back already,
/// or the client is gone, or the process ends: nobody's place is worth it.
pub(super) async fn hold_back(
    gateway: &Gateway,
    snapshot: &Snapshot,
    downstream: &mut Downstream,
    entry: &mut Entry,
    pause: Duration,
) {
    if pause == Duration::ZERO {
        return;
    }
    let began = Instant::now();
    let counted = Counted(&gateway.held_back);
    if counted.0.fetch_add(1, Relaxed) < snapshot.config.limits.connections / HELD_BACK {
        // Whether the client is gone is found out again when it is answered.
        drop(takeover::watched(downstream, timeout(pause, gateway.draining())).await);
    }
    entry.started += began.elapsed();
}

/// One that is counted until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Answers a request that was for us, and ends the connection.
async fn answer(gateway: &Gateway, snapshot: &Snapshot, mut downstream: Downstream, entry: Entry, own: Own) {
    let told = tell_last(gateway, &mut downstream, own.bytes.as_bytes()).await;
    let outcome = if told { Outcome::Answered } else { Outcome::ClientClosed };
    let record = entry.record(Event::Request, told.then_some(own.status), outcome);
    gateway.record(snapshot.config.access_log.format, &record);
    gateway.linger(downstream).await;
}

/// Writes the last that a client is told. Who does not even read it holds its place no longer.
pub(super) async fn tell_last(gateway: &Gateway, downstream: &mut Downstream, bytes: &[u8]) -> bool {
    timeout(LAST_ANSWER, gateway.tell(downstream, bytes)).await.unwrap_or(false)
}

/// Hands a plain request to Pingora; gives the connection back when it may serve another.
async fn plain(
    exchange: Arc<Exchange>,
    proxy: Option<&Arc<HttpProxy<Adapter>>>,
    mut downstream: Downstream,
    (head, body): (Wiped, Body),
    entry: &Entry,
    cut: Pin<&mut (dyn Future<Output = ()> + Send)>,
) -> Option<Downstream> {
    let proxy = proxy?;
    let (gateway, snapshot) = (&exchange.gateway, &exchange.snapshot);
    downstream.expect_body(body);
    let mut session = HttpSession::new(Box::new(downstream));
    session.set_pipelined_prefix(BytesMut::from(head.as_bytes()));
    drop(head);
    session.set_read_timeout(Some(BODY_PAUSE));
    let mut session = ServerSession::H1(session);
    session.set_keepalive((!gateway.is_draining()).then_some(KEEP_ALIVE.as_secs()));
    session.set_connection_user_context(Some(Box::new(Arc::clone(&exchange))));
    let reused = tokio::select! {
        biased;
        reused = proxy.process_new_http(session, &gateway.never) => reused,
        () = cut => None,
    };
    let Answered { status, outcome } = exchange.answered();
    let (status, outcome) = match outcome {
        Some(outcome) => (status, outcome),
        None if *gateway.phase.borrow() == Phase::Cut => (status, Outcome::Cut),
        // Pingora refused a head that we had let pass.
        None => (Some(400), Outcome::Refused(Refusal::MalformedHead)),
    };
    gateway.record(snapshot.config.access_log.format, &entry.record(Event::Request, status, outcome));
    let (stream, _) = reused?.consume();
    stream.into_any().downcast::<Downstream>().ok().map(|downstream| *downstream)
}

/// Ends a connection that finds all places taken, with an answer if it can be given.
pub fn turn_away(gateway: &Gateway, mut stream: &TcpStream, peer: IpAddr) {
    let snapshot = gateway.snapshot.load_full();
    // Nobody can be told anything before a TLS handshake, which would cost what there is none of.
    let can_be_told = snapshot.acceptor.is_none() && stream.set_nonblocking(true).is_ok();
    let refusal = Refusal::TooManyConnections;
    let answer = Answer::to(Outcome::Refused(refusal), Event::Request);
    let bytes = answer.bytes(&Aside::default());
    let sent = if can_be_told { stream.write(&bytes).unwrap_or(0) } else { 0 };
    let entry = Entry::new(Some(peer), Arc::default());
    let status = (sent > 0).then_some(answer.status);
    let mut record = entry.record(Event::Request, status, Outcome::Refused(refusal));
    record.bytes_sent = u64::try_from(sent).unwrap_or(0);
    gateway.record(snapshot.config.access_log.format, &record);
}
