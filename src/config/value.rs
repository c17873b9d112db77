//! From a value as it was written to a value that is valid, or a sentence that says what to write.
//!
//! The sentences never repeat the value: it may be a secret in the wrong place.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use http::HeaderName;
use ipnet::IpNet;
use toml::value::{Datetime, Offset};
use url::{Host, Url};

use super::{
    Authority, Endpoint,
    document::{Item, Section, Value},
};

/// The longest duration that is accepted: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The first second that cannot be written any more.
const YEAR_10000: u64 = 253_402_300_800;

/// A value, or what is wrong with it and what to write instead.
pub(super) type Parsed<T> = Result<T, String>;

impl Section<'_> {
    /// Reads a string.
    pub(super) fn text<T>(
        &mut self,
        name: &'static str,
        example: &str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        let item = self.take(name)?;
        match item.value {
            Value::Text(text) | Value::Variable(text) => {
                parse(&text).map_err(|problem| self.note(&item.place, name, problem)).ok()
            }
            Value::Date(_) | Value::List(_) | Value::Number(_) | Value::Other(_) | Value::Table(_) => {
                self.wrong_kind(&item, name, "a string in quotes", example);
                None
            }
        }
    }

    /// Reads a number within a range.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        example: u64,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let item = self.take(name)?;
        let number = match &item.value {
            Value::Number(number) => *number,
            Value::Variable(text) => text.parse().ok(),
            Value::Date(_) | Value::List(_) | Value::Other(_) | Value::Table(_) | Value::Text(_) => {
                self.wrong_kind(&item, name, "an integer", &example.to_string());
                return None;
            }
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            self.note(
                &item.place,
                name,
                format!("is not an integer from {least} to {most}; write {example}"),
            );
        }
        number
    }

    /// Reads a moment: a date and a time with an offset, in quotes or without.
    pub(super) fn moment(&mut self, name: &'static str) -> Option<SystemTime> {
        let item = self.take(name)?;
        match &item.value {
            Value::Date(text) | Value::Text(text) | Value::Variable(text) => {
                moment(text).map_err(|problem| self.note(&item.place, name, problem)).ok()
            }
            Value::List(_) | Value::Number(_) | Value::Other(_) | Value::Table(_) => {
                self.wrong_kind(&item, name, "a date and a time", "2027-01-01T00:00:00Z");
                None
            }
        }
    }

    /// Reads a list of strings; in an environment variable they are separated by commas.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        example: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<Vec<T>> {
        let item = self.take(name)?;
        let items = match item.value {
            Value::List(items) => items,
            Value::Variable(text) => text
                .split(',')
                .map(str::trim)
                .filter(|element| !element.is_empty())
                .map(|element| Item::of_variable(item.place.clone(), Value::Text(element.to_owned())))
                .collect(),
            Value::Date(_) | Value::Number(_) | Value::Other(_) | Value::Table(_) | Value::Text(_) => {
                self.wrong_kind(&item, name, "a list", example);
                return None;
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let Value::Text(text) = &item.value else {
                self.wrong_kind(&item, name, "a list of strings in quotes", example);
                continue;
            };
            match parse(text) {
                Ok(value) => values.push(value),
                Err(problem) => self.note(&item.place, name, problem),
            }
        }
        Some(values)
    }

    fn wrong_kind(&self, item: &Item, name: &str, expected: &str, example: &str) {
        let found = item.value.kind();
        self.note(&item.place, name, format!("expected {expected}, found {found}; write {name} = {example}"));
    }
}

/// One of a closed set of words.
pub(super) fn word<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(&str) -> Parsed<T> {
    move |text| {
        let all = || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| format!("is none of the known words; write {}", all()))
    }
}

/// An address to bind.
pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    Err(if text.parse::<std::net::IpAddr>().is_ok() {
        "has no port; write the address and the port, for example \"0.0.0.0:8080\" or \"[::]:8080\""
    } else if text.starts_with(':') {
        "has no address; write \"0.0.0.0\" before the port for all addresses, or \"127.0.0.1\" for this machine only"
    } else {
        "is not an IP address with a port; write for example \"127.0.0.1:8080\" or \"[::1]:8080\""
    }
    .to_owned())
}

/// A block of addresses, or a single one.
pub(super) fn network(text: &str) -> Parsed<IpNet> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map(|net| net.trunc())
        .map_err(|_| {
            "is not a block of addresses; write for example \"10.0.0.0/8\" or \"192.0.2.7\"".to_owned()
        })
}

/// A path that is not empty.
pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        return Err("is not a path; write the path of a file".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// Where the agent server listens.
pub(super) fn endpoint(text: &str) -> Parsed<Endpoint> {
    const WRITE: &str =
        "write for example \"http://127.0.0.1:8000\", \"https://agent.example\" or \"unix:/run/agent.sock\"";
    if let Some(socket) = text.strip_prefix("unix:") {
        let socket = socket.strip_prefix("//").unwrap_or(socket);
        return if socket.starts_with('/') && !socket.contains('\0') {
            Ok(Endpoint::Unix(PathBuf::from(socket)))
        } else {
            Err(format!("names no absolute path of a socket; {WRITE}"))
        };
    }
    let wrong = |problem: &str| Err(format!("{problem}; {WRITE}"));
    let Ok(url) = Url::parse(text) else { return wrong("is not a URL") };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("holds a user name or a password, and nothing secret may stand here");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return wrong(
            "has more than a scheme, a host and a port, and a request's target is forwarded as it came",
        );
    }
    let (is_tls, default_port) = match url.scheme() {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => return wrong("has a scheme that is not served"),
    };
    let host = match url.host() {
        // What a URL may have beyond that, no name system and no certificate has.
        Some(Host::Domain(name))
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) =>
        {
            return wrong("has a host that is no name");
        }
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return wrong("has no host"),
    };
    let authority = Authority { host, port: url.port().unwrap_or(default_port) };
    Ok(if is_tls { Endpoint::Tls(authority) } else { Endpoint::Tcp(authority) })
}

/// The name of the credential field, and its spelling for the wire.
pub(super) fn field(text: &str) -> Parsed<(HeaderName, String)> {
    const RESERVED: [&str; 16] = [
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "origin",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let Ok(name) = HeaderName::try_from(text) else {
        return Err(
            "is not a field name (RFC 9110 section 5.1); write for example \"X-Session-API-Key\"".to_owned()
        );
    };
    if name.as_str().contains('_') {
        return Err("contains `_`, which servers fold into `-`; write it with `-`".to_owned());
    }
    let is_ours = super::OUR_PREFIXES.iter().any(|start| name.as_str().starts_with(start));
    if is_ours || RESERVED.contains(&name.as_str()) {
        return Err(
            "is a field with a meaning of its own; write one that carries only the credential".to_owned()
        );
    }
    Ok((name, text.to_owned()))
}

/// What stands before the credential in the field.
pub(super) fn prefix(text: &str) -> Parsed<String> {
    if text.starts_with(' ') || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(
            "is not visible ASCII that a field can begin with; write for example \"Bearer \"".to_owned()
        );
    }
    Ok(text.to_owned())
}

/// How a subprotocol begins that carries a credential: characters of a token (RFC 9110 section 5.6.2).
pub(super) fn subprotocol_prefix(text: &str) -> Parsed<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err(
            "is no beginning of a subprotocol, which has neither spaces nor commas; write for example \
                    \"openai-insecure-api-key.\""
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// The decoded name of a query parameter.
pub(super) fn parameter(text: &str) -> Parsed<String> {
    if text.is_empty() {
        return Err(
            "is empty; write the name of a query parameter, for example \"session_api_key\"".to_owned()
        );
    }
    Ok(text.to_owned())
}

/// A duration that may be zero.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    const WRITE: &str = "write a number and a unit, for example \"500ms\", \"15s\" or \"1h 30m\"";
    let duration = humantime::parse_duration(text).map_err(|_| format!("is not a duration; {WRITE}"))?;
    if duration > LONGEST {
        return Err("is longer than a year; write a shorter duration, for example \"24h\"".to_owned());
    }
    Ok(duration)
}

/// A duration that is not zero.
pub(super) fn some_time(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        Duration::ZERO => Err("is no time at all; write a longer duration, for example \"15s\"".to_owned()),
        duration => Ok(duration),
    }
}

/// A size in bytes within a range.
pub(super) fn size(range: RangeInclusive<usize>) -> impl Fn(&str) -> Parsed<usize> {
    const UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
    move |text| {
        let parsed = UNITS.iter().find_map(|(unit, bytes)| {
            let number: usize = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(*bytes)
        });
        match parsed {
            Some(size) if range.contains(&size) => Ok(size),
            Some(_) => Err(format!(
                "is out of range; write a size from \"{}B\" to \"{}B\"",
                range.start(),
                range.end()
            )),
            None => {
                Err("is not a size; write a number and B, KiB, MiB or GiB, for example \"64KiB\"".to_owned())
            }
        }
    }
}

/// A moment (RFC 3339 section 5.6): a date, a time and its offset from UTC, from 1970 to 9999.
pub(super) fn moment(text: &str) -> Parsed<SystemTime> {
    const WRITE: &str = "write a date, a time and an offset, for example 2027-01-01T00:00:00Z";
    let written: Datetime = text.parse().map_err(|_| format!("is not a date and a time; {WRITE}"))?;
    let (Some(_), Some(mut time)) = (written.date, written.time) else {
        return Err(format!("is only one of a date and a time; {WRITE}"));
    };
    let minutes = match written.offset {
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => minutes,
        None => return Err(format!("does not say where on Earth it is that time; {WRITE}")),
    };
    time.second.get_or_insert(0);
    // It is written to the second.
    time.nanosecond = None;
    let there = Datetime { time: Some(time), offset: Some(Offset::Z), ..written };
    let there = humantime::parse_rfc3339(&there.to_string())
        .map_err(|_| format!("is not in the calendar from 1970 to 9999; {WRITE}"))?;
    let offset = Duration::from_secs(u64::from(minutes.unsigned_abs()) * 60);
    // East of Greenwich it was that time earlier.
    let moment = if minutes < 0 { there.checked_add(offset) } else { there.checked_sub(offset) };
    moment
        .filter(|moment| {
            moment.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() < YEAR_10000)
        })
        .ok_or_else(|| format!("is not in the calendar from 1970 to 9999; {WRITE}"))
}
