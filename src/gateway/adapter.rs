//! Pingora's hooks, for plain requests. One short method a phase.

use std::{
    any::Any,
    io,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, StatusCode, Version, header};
use pingora::{
    Error, ErrorSource, ErrorType, Result,
    http::{RequestHeader, ResponseHeader},
    modules::http::HttpModules,
    proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session},
    upstreams::peer::{HttpPeer, Peer},
};

use super::{Gateway, Snapshot, cookies, downstream::Counters, refuse};
use crate::{
    access_log::{Event, Outcome},
    handshake::{Refusal, head::elements},
};

/// What a plain request carries through Pingora, and what Pingora made of it.
pub(super) struct Exchange {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) gateway: Arc<Gateway>,
    counters: Arc<Counters>,
    /// What a cookie has to do with it.
    cookie: cookies::Part,
    result: Mutex<Answered>,
}

/// What Pingora made of a request so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answered {
    /// The status that the client got.
    pub(super) status: Option<u16>,
    /// How it ended, or `None` when Pingora never reached its end.
    pub(super) outcome: Option<Outcome>,
}

impl Exchange {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        gateway: Arc<Gateway>,
        counters: Arc<Counters>,
        cookie: cookies::Part,
    ) -> Self {
        Self { snapshot, gateway, counters, cookie, result: Mutex::default() }
    }

    pub(super) fn answered(&self) -> Answered {
        self.result.lock().map_or_else(|_| Answered::default(), |result| *result)
    }

    fn note(&self, status: Option<u16>, outcome: Option<Outcome>) {
        if let Ok(mut result) = self.result.lock() {
            result.status = status.or(result.status);
            result.outcome = outcome.or(result.outcome);
        }
    }

    /// What an error means; the client's own chunks are followed by us.
    fn outcome_of(&self, error: &Error) -> Outcome {
        if *error.esource() == ErrorSource::Downstream && self.counters.saw_broken_body() {
            return Outcome::Refused(Refusal::AmbiguousFraming);
        }
        outcome_of(error)
    }
}

/// The hooks. It holds nothing: a request brings its own [`Exchange`].
pub(super) struct Adapter;

#[async_trait]
impl ProxyHttp for Adapter {
    type CTX = Option<Arc<Exchange>>;

    fn new_ctx(&self) -> Self::CTX {
        None
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    fn on_connection_reuse(&self, _: &mut Session, ctx: &mut Self::CTX, context: Box<dyn Any + Send + Sync>) {
        *ctx = context.downcast::<Arc<Exchange>>().ok().map(|exchange| *exchange);
    }

    async fn upstream_peer(&self, _: &mut Session, ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        let Some(exchange) = ctx else { return Err(Error::new_in(ErrorType::InternalError)) };
        match exchange.snapshot.upstream.peer().await {
            Ok(peer) => Ok(Box::new(peer)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(Error::new_up(ErrorType::ConnectTimedout))
            }
            Err(_) => Err(Error::new_up(ErrorType::ConnectError)),
        }
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        // The rest of what Pingora's own policy would look for has gone before Pingora read the head.
        for name in [&header::CONNECTION, &header::PROXY_AUTHENTICATE, &header::PROXY_AUTHORIZATION] {
            let _field = request.remove_header(name);
        }
        // Pingora sends HTTP/1.1, which must have a `Host`; a client of HTTP/1.0 need not have sent one.
        if let Some(exchange) = ctx
            && !request.headers.contains_key(&header::HOST)
        {
            request.insert_header(header::HOST, exchange.snapshot.upstream.host())?;
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        // Nothing was sent, so another address may be tried whatever the method, if there is time.
        let another = ctx.as_ref().zip(peer.address().as_inet());
        let another = another.is_some_and(|(exchange, address)| exchange.snapshot.upstream.failed(*address));
        error.set_retry(another && *error.etype() != ErrorType::ConnectTimedout);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Self::CTX) -> FailToProxy {
        let outcome = ctx.as_ref().map_or_else(|| outcome_of(error), |exchange| exchange.outcome_of(error));
        let status = refuse::Answer::to(outcome, Event::Request).status;
        session.set_keepalive(None);
        if outcome != Outcome::ClientClosed
            && session.response_written().is_none_or(|answer| answer.status.is_informational())
            && let Ok(mut answer) = ResponseHeader::build(status, Some(1))
            && answer.insert_header(header::CONTENT_LENGTH, 0).is_ok()
        {
            // It fails only when the client is gone.
            let _ = session.write_response_header(Box::new(answer), true).await;
        }
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        if let Some(exchange) = ctx
            && exchange.snapshot.decides()
        {
            let settled = cookies::settle(response, &exchange.snapshot, &exchange.cookie);
            if settled.is_err() || is_given_away_in(response, &exchange.snapshot) {
                return Err(Error::new_up(WITHHELD));
            }
        }
        // Nobody asked for another protocol; Pingora would pass it on as an interim answer.
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::new_up(ErrorType::InvalidHTTPHeader));
        }
        remove_hop_by_hop(response);
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Self::CTX,
    ) -> Result<()> {
        // Who was promised another request on this connection would send it into its end.
        if ctx.as_ref().is_some_and(|exchange| exchange.gateway.is_draining()) {
            session.set_keepalive(None);
        }
        if session.req_header().version == Version::HTTP_10 {
            // Its client knows no chunks, and so the end of the connection ends the body.
            let _coding = response.remove_header(&header::TRANSFER_ENCODING);
            session.set_keepalive(None);
        }
        // The version is that of the hop (RFC 9110 section 2.5), and the client's hop is ours.
        response.set_version(Version::HTTP_11);
        if let (Some(exchange), false) = (ctx, response.status.is_informational()) {
            exchange.note(Some(response.status.as_u16()), None);
        }
        Ok(())
    }

    // Pingora's own lines hold heads and error texts; ours is the access record.
    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Self::CTX, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }

    fn request_summary(&self, _: &Session, _: &Self::CTX) -> String {
        String::new()
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Self::CTX) {
        let Some(exchange) = ctx else { return };
        let status = session.response_written().map(|response| response.status.as_u16());
        let outcome = error.map_or(Outcome::Served, |error| exchange.outcome_of(error));
        exchange.note(status, Some(outcome));
    }
}

/// Whether an answer's head has our own credential in it.
fn is_given_away_in(response: &ResponseHeader, snapshot: &Snapshot) -> bool {
    let reason = response.get_reason_phrase().unwrap_or_default();
    let values = response.headers.values().map(HeaderValue::as_bytes);
    values.chain([reason.as_bytes()]).any(|part| snapshot.is_given_away_in(part))
}

/// Fields of the upstream's connection, beside those that it nominates.
static HOP_BY_HOP: [HeaderName; 4] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRAILER,
    header::UPGRADE,
];

/// Ends the journey of the fields that belong to the upstream's connection (RFC 9110 section 7.6.1).
/// Those that frame the body stay: Pingora reads them next, and writes its own.
fn remove_hop_by_hop(response: &mut ResponseHeader) {
    let nominated: Vec<HeaderName> =
        elements(response.headers.get_all(&header::CONNECTION).iter().map(HeaderValue::as_bytes))
            .filter_map(|name| HeaderName::from_bytes(name).ok())
            .filter(|name| !matches!(*name, header::CONTENT_LENGTH | header::TRANSFER_ENCODING))
            .collect();
    for name in nominated.iter().chain(&HOP_BY_HOP) {
        let _field = response.remove_header(name);
    }
    if response.status == StatusCode::NO_CONTENT {
        // It has no body, whatever it says (RFC 9112 section 6.1).
        let _coding = response.remove_header(&header::TRANSFER_ENCODING);
    }
}

/// An answer that has our own credential in its head, or gives a cookie that is made of it.
const WITHHELD: ErrorType = ErrorType::Custom("withheld");

/// What an error of Pingora's means, by its closed type and source: its text may hold a head.
fn outcome_of(error: &Error) -> Outcome {
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Outcome::Refused(Refusal::BodyTimeout),
        // A head that we had let pass, or a body that Pingora reads otherwise than we.
        (ErrorSource::Downstream, ErrorType::InvalidHTTPHeader | ErrorType::Custom(_)) => {
            Outcome::Refused(Refusal::MalformedHead)
        }
        (ErrorSource::Downstream, _) => Outcome::ClientClosed,
        (
            ErrorSource::Upstream,
            ErrorType::ConnectTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
            | ErrorType::TLSHandshakeTimedout,
        ) => Outcome::UpstreamTimeout,
        (
            ErrorSource::Upstream,
            ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed,
        ) => Outcome::UpstreamReset,
        (
            ErrorSource::Upstream,
            ErrorType::BindError
            | ErrorType::ConnectError
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectRefused
            | ErrorType::HandshakeError
            | ErrorType::InvalidCert
            | ErrorType::SocketError
            | ErrorType::TLSHandshakeFailure,
        ) => Outcome::UpstreamUnreachable,
        (ErrorSource::Upstream, kind) if *kind == WITHHELD => Outcome::Withheld,
        (ErrorSource::Upstream, _) => Outcome::UpstreamMalformed,
        (ErrorSource::Internal | ErrorSource::Unset, _) => Outcome::InternalError,
    }
}
