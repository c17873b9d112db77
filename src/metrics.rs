//! What is counted, in Prometheus' text form. Every label value is a closed word of ours.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::access_log::{Event, Record, Side};

/// The families of this process.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    handshakes: IntCounterVec,
    durations: HistogramVec,
    open: IntGauge,
    unverified: IntGauge,
    closed: IntCounterVec,
    messages: IntCounterVec,
    bytes: IntCounterVec,
    dropped: IntCounter,
    reloads: IntCounterVec,
    keyring_reloads: IntCounterVec,
    scrape: Arc<Mutex<()>>,
}

/// Counts one WebSocket for as long as it lives, or waits.
pub struct OpenSocket(IntGauge);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Registers the families.
    ///
    /// # Errors
    /// None in practice: the names are constants and differ.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            requests: counters(
                "hushgate_requests_total",
                "Requests answered, by kind and outcome.",
                &["kind", "outcome"],
            )?,
            handshakes: counters(
                "hushgate_handshakes_total",
                "Opening handshakes answered, by where the credential came from and outcome.",
                &["credential_source", "outcome"],
            )?,
            durations: HistogramVec::new(
                HistogramOpts::new(
                    "hushgate_request_duration_seconds",
                    "From a head's first byte to the end of its answer.",
                )
                .buckets(vec![0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0]),
                &["kind"],
            )?,
            open: IntGauge::new("hushgate_websockets_open", "WebSockets being relayed.")?,
            unverified: IntGauge::new(
                "hushgate_websockets_unverified",
                "WebSockets whose first message has yet to present a credential.",
            )?,
            closed: counters(
                "hushgate_websockets_closed_total",
                "Relayed WebSockets that have ended, by who closed them and with which code.",
                &["closed_by", "close_code"],
            )?,
            messages: counters(
                "hushgate_websocket_messages_total",
                "Messages that passed on WebSockets, counted when a socket ends.",
                &["direction"],
            )?,
            bytes: counters(
                "hushgate_websocket_bytes_total",
                "Bytes that passed on WebSockets, counted when a socket ends.",
                &["direction"],
            )?,
            dropped: IntCounter::new(
                "hushgate_access_log_dropped_total",
                "Access log lines that could not be written.",
            )?,
            reloads: counters(
                "hushgate_config_reloads_total",
                "Reloads of the configuration, by result.",
                &["result"],
            )?,
            keyring_reloads: counters(
                "hushgate_keyring_reloads_total",
                "Changes of the keyring's file, by result.",
                &["result"],
            )?,
            registry,
            scrape: Arc::default(),
        };
        // What an alert watches exists from the start, as zero.
        for succeeded in [true, false] {
            let _at_zero = metrics.reloads.with_label_values(&[result(succeeded)]);
            let _at_zero = metrics.keyring_reloads.with_label_values(&[result(succeeded)]);
        }
        let build =
            IntCounterVec::new(Opts::new("hushgate_build_info", "The running version."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).inc();
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.handshakes.clone()))?;
        metrics.registry.register(Box::new(metrics.durations.clone()))?;
        metrics.registry.register(Box::new(metrics.open.clone()))?;
        metrics.registry.register(Box::new(metrics.unverified.clone()))?;
        metrics.registry.register(Box::new(metrics.closed.clone()))?;
        metrics.registry.register(Box::new(metrics.messages.clone()))?;
        metrics.registry.register(Box::new(metrics.bytes.clone()))?;
        metrics.registry.register(Box::new(metrics.dropped.clone()))?;
        metrics.registry.register(Box::new(metrics.reloads.clone()))?;
        metrics.registry.register(Box::new(metrics.keyring_reloads.clone()))?;
        metrics.registry.register(Box::new(build))?;
        Ok(metrics)
    }

    /// Counts one record.
    pub fn observe(&self, record: &Record) {
        let (kind, outcome) = (record.event.label(), record.outcome.label());
        match record.event {
            Event::Close => return self.closed(record),
            Event::Handshake => {
                self.handshakes.with_label_values(&[record.credential_source.label(), outcome]).inc();
            }
            Event::Request => {}
        }
        self.requests.with_label_values(&[kind, outcome]).inc();
        self.durations.with_label_values(&[kind]).observe(record.duration.as_secs_f64());
    }

    fn closed(&self, record: &Record) {
        let Some(closing) = record.closing else { return };
        let by = closing.by.map_or("none", Side::label);
        self.closed.with_label_values(&[by, code(closing.code)]).inc();
        for (direction, messages, bytes) in [
            ("received", closing.messages_received, record.bytes_received),
            ("sent", closing.messages_sent, record.bytes_sent),
        ] {
            self.messages.with_label_values(&[direction]).inc_by(messages);
            self.bytes.with_label_values(&[direction]).inc_by(bytes);
        }
    }

    /// Counts a relayed socket until the guard is dropped.
    pub fn websocket_opened(&self) -> OpenSocket {
        self.open.inc();
        OpenSocket(self.open.clone())
    }

    /// Counts a socket that waits for its first message, until the guard is dropped.
    pub fn websocket_unverified(&self) -> OpenSocket {
        self.unverified.inc();
        OpenSocket(self.unverified.clone())
    }

    /// How many sockets are being relayed.
    pub fn websockets_open(&self) -> u32 {
        u32::try_from(self.open.get()).unwrap_or(0)
    }

    /// Counts a reload.
    pub fn config_reloaded(&self, succeeded: bool) {
        self.reloads.with_label_values(&[result(succeeded)]).inc();
    }

    /// Counts a change of the keyring's file.
    pub fn keyring_reloaded(&self, succeeded: bool) {
        self.keyring_reloads.with_label_values(&[result(succeeded)]).inc();
    }

    /// The text exposition of everything counted; `dropped` is the access log's own count.
    pub fn render(&self, dropped: u64) -> String {
        {
            // Two scrapes at once must not both add the difference.
            let _turn = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
            self.dropped.inc_by(dropped.saturating_sub(self.dropped.get()));
        }
        let mut text = Vec::new();
        // Writing to memory cannot fail, and the families were checked when registered.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

/// The label of a close code: a peer can send any, so those that it may choose freely share one.
const fn code(code: Option<u16>) -> &'static str {
    match code {
        None => "none",
        Some(1000) => "1000",
        Some(1001) => "1001",
        Some(1002) => "1002",
        Some(1003) => "1003",
        Some(1007) => "1007",
        Some(1008) => "1008",
        Some(1009) => "1009",
        Some(1011) => "1011",
        Some(1012) => "1012",
        Some(1013) => "1013",
        Some(4001) => "4001",
        Some(_) => "other",
    }
}

const fn result(succeeded: bool) -> &'static str {
    if succeeded { "ok" } else { "error" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::Record;

    #[test]
    fn counts_by_closed_labels() {
        let metrics = Metrics::new().unwrap();
        let open = metrics.websocket_opened();
        metrics.config_reloaded(false);
        let record: Record = crate::access_log::sample(Event::Handshake);
        metrics.observe(&record);
        metrics.observe(&crate::access_log::sample(Event::Close));
        let text = metrics.render(3);
        for line in [
            r#"hushgate_requests_total{kind="handshake",outcome="upgraded"} 1"#,
            r#"hushgate_handshakes_total{credential_source="query",outcome="upgraded"} 1"#,
            "hushgate_websockets_open 1",
            r#"hushgate_websockets_closed_total{close_code="1000",closed_by="client"} 1"#,
            r#"hushgate_websocket_messages_total{direction="sent"} 3"#,
            r#"hushgate_websocket_bytes_total{direction="received"} 10"#,
            "hushgate_access_log_dropped_total 3",
            r#"hushgate_config_reloads_total{result="error"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        drop(open);
        assert!(metrics.render(3).contains("hushgate_websockets_open 0"));
    }
}
