//! From the document to a [`Config`]: every key, its default, and what keys demand of each other.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use http::HeaderName;

use super::{
    AccessLog, Admin, Config, Drain, Endpoint, Handshake, Limits, Listen, LogFormat, PlainRequests, Sink,
    TlsFiles, Upstream,
    document::{self, Findings, Section},
    problem::{Place, Problem},
    value,
};

use self::authentication::Decides;

mod authentication;

/// The most field lines of a head that may be configured: Pingora reads 256, and some of those that
/// go on are ours.
const MOST_FIELDS: u64 = 240;

/// A valid configuration, and where each of its keys was written.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    places: BTreeMap<String, Place>,
}

impl Loaded {
    /// A problem with a key that only showed when its value was used, at its place.
    pub fn problem(&self, config_key: &str, text: impl Into<String>) -> Problem {
        let place = self.places.get(config_key).unwrap_or(&Place::File);
        Problem::new(place, config_key, text)
    }
}

impl Config {
    /// Parses a configuration file, with the environment's overrides laid over it.
    ///
    /// Of `variables` only those named `HUSHGATE_TABLE__KEY` count; one without a value is not
    /// UTF-8. An absent key has the default that `gateway.toml` shows.
    ///
    /// # Errors
    /// Every problem there is, in the order of the file.
    pub fn parse(
        text: &str,
        variables: impl IntoIterator<Item = (String, Option<String>)>,
    ) -> Result<Loaded, Vec<Problem>> {
        let findings = Findings::default();
        let config = whole(document::read(text, variables, &findings));
        let (problems, places) = findings.into_parts();
        if problems.is_empty() { Ok(Loaded { config, places }) } else { Err(problems) }
    }
}

/// Reads all tables. Where something is wrong the default stands in, for the sake of the rest.
fn whole(mut root: Section<'_>) -> Config {
    let handshake = handshake(root.section("handshake"));
    let mut authentication = root.section("authentication");
    let decides = authentication::decides(&mut authentication);
    let (upstream, credential_file) = upstream(root.section("upstream"), decides);
    if decides == Decides::Gateway && handshake.plain_requests == PlainRequests::Forward {
        root.unfit(
            "handshake.plain_requests",
            "would take callers' credentials to the agent server's log, which authentication.mode = \"require\" \
             keeps them from; write \"strip\" or \"promote\"",
        );
    }
    if decides == Decides::Gateway && handshake.parameters.iter().any(|name| name == authentication::TICKET) {
        root.unfit(
            "handshake.parameters",
            "has the name by which tickets are presented where authentication.mode = \"require\"; write another",
        );
    }
    let config = Config {
        listen: listen(root.section("listen")),
        upstream,
        authentication: authentication::authentication(authentication, decides, credential_file),
        access_log: access_log(root.section("access_log"), &handshake.parameters),
        admin: Admin { address: admin(root.section("admin")) },
        limits: limits(root.section("limits")),
        drain: drain(root.section("drain")),
        handshake,
    };
    if overlap(config.admin.address, config.listen.address) {
        root.unfit("admin.address", "is taken by listen.address; write another port");
    }
    root.finish();
    config
}

/// Whether only one of two addresses can be bound.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let share = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && share
}

fn listen(mut table: Section<'_>) -> Listen {
    let listen = Listen {
        address: table
            .text("address", "\"127.0.0.1:8080\"", value::address)
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
        tls: table.optional_section("tls").and_then(tls),
        trusted_proxies: table
            .list("trusted_proxies", "[\"10.0.0.0/8\"]", value::network)
            .unwrap_or_default(),
    };
    table.finish();
    listen
}

fn tls(mut table: Section<'_>) -> Option<TlsFiles> {
    let mut file = |name, example| {
        let path = table.text(name, example, value::path);
        if path.is_none() {
            table.missing(name, &format!("is missing; set both files, for example {name} = {example}"));
        }
        path
    };
    let certificate = file("certificate", "\"certificate.pem\"");
    let private_key_file = file("private_key_file", "\"private-key.pem\"");
    table.finish();
    Some(TlsFiles { certificate: certificate?, private_key_file: private_key_file? })
}

/// The agent server, and the file of its credential.
fn upstream(mut table: Section<'_>, decides: Decides) -> (Upstream, Option<PathBuf>) {
    let default = || Endpoint::Tcp(super::Authority { host: "127.0.0.1".to_owned(), port: 8000 });
    let endpoint = table.text("url", "\"http://127.0.0.1:8000\"", value::endpoint).unwrap_or_else(default);
    let ca_file = table.text("ca_file", "\"roots.pem\"", value::path);
    if ca_file.is_some() && !matches!(endpoint, Endpoint::Tls(_)) {
        table.unfit(
            "ca_file",
            "is used only for an https upstream; remove it, or write https in upstream.url",
        );
    }
    let credential_file = authentication::credential_file(&mut table, decides);
    table.finish();
    (Upstream { endpoint, ca_file }, credential_file)
}

fn handshake(mut table: Section<'_>) -> Handshake {
    let (field, field_spelling) = table
        .text("field", "\"X-Session-API-Key\"", value::field)
        .unwrap_or_else(|| (HeaderName::from_static("x-session-api-key"), "X-Session-API-Key".to_owned()));
    let example = "[\"session_api_key\"]";
    let parameters = table
        .list("parameters", example, value::parameter)
        .unwrap_or_else(|| vec!["session_api_key".to_owned()]);
    if parameters.is_empty() {
        table.unfit("parameters", "has no name that can be used; write parameters = [\"session_api_key\"]");
    }
    let handshake = Handshake {
        field,
        field_spelling,
        parameters,
        prefix: table.text("prefix", "\"Bearer \"", value::prefix).unwrap_or_default(),
        plain_requests: table
            .text(
                "plain_requests",
                "\"strip\"",
                value::word(&[
                    ("strip", PlainRequests::Strip),
                    ("promote", PlainRequests::Promote),
                    ("forward", PlainRequests::Forward),
                ]),
            )
            .unwrap_or(PlainRequests::Strip),
    };
    table.finish();
    handshake
}

fn access_log(mut table: Section<'_>, credential_parameters: &[String]) -> AccessLog {
    let shown = |text: &str| {
        let name = value::parameter(text)?;
        if credential_parameters.contains(&name) {
            return Err(
                "names a parameter that carries the credential, which is never logged; remove it".to_owned()
            );
        }
        Ok(name)
    };
    let log = AccessLog {
        sink: match table.text("path", "\"-\"", value::path) {
            Some(path) if *path != *"-" => Sink::File(path),
            Some(_) | None => Sink::Stdout,
        },
        format: table
            .text("format", "\"json\"", value::word(&[("json", LogFormat::Json), ("text", LogFormat::Text)]))
            .unwrap_or(LogFormat::Json),
        show: table.list("show", "[\"resend_mode\"]", shown).unwrap_or_default(),
    };
    table.finish();
    log
}

fn admin(mut table: Section<'_>) -> SocketAddr {
    let address = table
        .text("address", "\"127.0.0.1:9090\"", value::address)
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9090)));
    table.finish();
    address
}

fn limits(mut table: Section<'_>) -> Limits {
    let seconds = Duration::from_secs;
    let mut some_time =
        |name, example: &str, default| table.text(name, example, value::some_time).unwrap_or(default);
    let head_timeout = some_time("head_timeout", "\"15s\"", seconds(15));
    let connect_timeout = some_time("connect_timeout", "\"5s\"", seconds(5));
    let handshake_timeout = some_time("handshake_timeout", "\"15s\"", seconds(15));
    let response_timeout = some_time("response_timeout", "\"15m\"", seconds(15 * 60));
    let limits = Limits {
        head_timeout,
        head_size: table.text("head_size", "\"64KiB\"", value::size(1024..=512 * 1024)).unwrap_or(64 * 1024),
        head_fields: table.amount("head_fields", 100, 1..=MOST_FIELDS),
        connections: table.amount("connections", 10_000, 1..=1_000_000),
        connect_timeout,
        handshake_timeout,
        response_timeout,
        idle_timeout: table.time_or_never("idle_timeout", Duration::ZERO),
        lifetime: table.time_or_never("lifetime", Duration::ZERO),
        vanished_timeout: table.time_or_never("vanished_timeout", seconds(5 * 60)),
        failed_attempts_per_minute: table
            .number("failed_attempts_per_minute", 20, 0..=u64::from(u32::MAX))
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(20),
        unverified_sockets: table.amount("unverified_sockets", 1000, 1..=1_000_000),
        unverified_sockets_per_address: table.amount("unverified_sockets_per_address", 100, 1..=1_000_000),
    };
    table.finish();
    limits
}

fn drain(mut table: Section<'_>) -> Drain {
    let drain = Drain {
        delay: table.text("delay", "\"0s\"", value::duration).unwrap_or(Duration::ZERO),
        timeout: table.text("timeout", "\"30s\"", value::duration).unwrap_or(Duration::from_secs(30)),
        spread: table.text("spread", "\"5s\"", value::duration).unwrap_or(Duration::from_secs(5)),
        close_code: match table.number("close_code", 1012, 0..=4999) {
            Some(1001) => 1001,
            Some(1012) | None => 1012,
            Some(_) => {
                table.unfit(
                    "close_code",
                    "is neither 1001 (going away) nor 1012 (service restart); write 1012",
                );
                1012
            }
        },
    };
    table.finish();
    drain
}

impl Section<'_> {
    /// Reads a time of which zero means that there is no limit.
    fn time_or_never(&mut self, name: &'static str, default: Duration) -> Option<Duration> {
        let time = self.text(name, "\"0s\"", value::duration).unwrap_or(default);
        (time > Duration::ZERO).then_some(time)
    }

    /// Reads an amount that fits into memory.
    fn amount(&mut self, name: &'static str, default: u32, range: std::ops::RangeInclusive<u64>) -> usize {
        let number = self.number(name, default.into(), range).unwrap_or_else(|| default.into());
        usize::try_from(number).unwrap_or(usize::MAX)
    }
}
