//! The pages that may open a WebSocket, by the `Origin` field (RFC 6454 section 7).
//!
//! A browser lets any page open a WebSocket to any server and sends along what it has stored for that
//! server, so the server has to look where the page came from (RFC 6455 section 10.2). Only browsers
//! say so truthfully: the list protects their users, and keeps no program out.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::value::Parsed;

#[cfg(test)]
mod tests;

/// An allow-list of origins; an empty one allows none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Box<[Pattern]>);

impl Origins {
    /// The origins that one of `patterns` covers.
    pub fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns.into())
    }

    /// Whether the value of an `Origin` field is allowed, by its bytes as they came.
    ///
    /// It has to be one origin as browsers serialise it (RFC 6454 section 6.2), or `null` where that is
    /// listed. Of two spellings of one origin, by case or by naming the scheme's own port, each is allowed
    /// if one is. Anything else, a list of origins included, is not.
    pub fn allow(&self, origin: &[u8]) -> bool {
        if origin == b"null" {
            return self.0.contains(&Pattern(Kind::Null));
        }
        let parsed = str::from_utf8(origin).ok().and_then(Origin::parse);
        parsed.is_some_and(|origin| self.0.iter().any(|pattern| pattern.covers(&origin)))
    }
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// The word that stands for an origin nobody may know: a sandboxed frame, a file.
    Null,
    /// Origins of a scheme.
    Of { scheme: String, hosts: Hosts, ports: Ports },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// Any one; only where a scheme's hosts are no names that others can register.
    Any,
    /// Those with one or more labels before this name.
    Below(String),
    /// This name or IPv4 address.
    Named(String),
    /// This address.
    V6(Ipv6Addr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    /// Any one.
    Any,
    /// This one; `None` is that of a scheme which has none.
    Is(Option<u16>),
}

impl Pattern {
    fn covers(&self, origin: &Origin<'_>) -> bool {
        let Kind::Of { scheme, hosts, ports } = &self.0 else { return false };
        scheme.eq_ignore_ascii_case(origin.scheme)
            && hosts.cover(origin.host)
            && (*ports == Ports::Any || *ports == Ports::Is(origin.port))
    }
}

impl Hosts {
    fn cover(&self, host: Host<'_>) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Named(name), Host::Name(host)) => name.eq_ignore_ascii_case(host),
            (Self::Below(name), Host::Name(host)) => {
                let cut = host.len().checked_sub(name.len()).and_then(|at| host.split_at_checked(at));
                cut.is_some_and(|(labels, end)| labels.ends_with('.') && name.eq_ignore_ascii_case(end))
            }
            (Self::V6(address), Host::V6(host)) => *address == host,
            (Self::Named(_) | Self::Below(_), Host::V6(_)) | (Self::V6(_), Host::Name(_)) => false,
        }
    }
}

/// A serialised origin, taken apart.
struct Origin<'a> {
    scheme: &'a str,
    host: Host<'a>,
    /// As it is in effect.
    port: Option<u16>,
}

#[derive(Clone, Copy)]
enum Host<'a> {
    /// Labels that are not empty, between dots.
    Name(&'a str),
    /// An address, without its brackets.
    V6(Ipv6Addr),
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme))?;
        let (host, written) = split_port(authority);
        let port = match written {
            Some(digits) => Some(port(digits)?),
            None => default_port(scheme),
        };
        Some(Self { scheme, host: Host::parse(host)?, port })
    }
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if let Some(inner) = text.strip_prefix('[') {
            return inner.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        text.split('.').all(is_label).then_some(Self::Name(text))
    }
}

/// One configured pattern.
///
/// `*` is a host of a scheme that is no web's, or any port, or one or more labels before a name of at
/// least two: below `com` anybody can have a name. (A public suffix such as `co.uk` has two labels as well;
/// which ones there are changes by the day, so that is left to the operator.)
pub(super) fn pattern(text: &str) -> Parsed<Pattern> {
    const WRITE: &str =
        "write for example \"https://app.example\", \"https://*.app.example\" or \"http://localhost:*\"";
    let wrong = |problem: &str| Err(format!("{problem}; {WRITE}"));
    match text {
        "null" => return Ok(Pattern(Kind::Null)),
        "*" => {
            return Err("would allow every page there is, as a configuration without this key does; leave \
                        authentication.origins out, or write the pages' origins"
                .to_owned());
        }
        _ => {}
    }
    if !text.is_ascii() {
        return wrong(
            "has letters beyond ASCII, and browsers send punycode; write \"xn--…\" for each such label",
        );
    }
    let Some((scheme, authority)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
        return wrong("does not begin with a scheme and `://`");
    };
    let scheme = scheme.to_ascii_lowercase();
    if matches!(scheme.as_str(), "ws" | "wss") {
        return wrong("is where a WebSocket leads, and an origin is where its page came from");
    }
    if let Some(start) = authority.strip_suffix('/')
        && !start.contains(['/', '?', '#'])
    {
        return wrong("ends in a slash, which browsers do not send; remove it");
    }
    if authority.contains(['/', '?', '#']) {
        return wrong("has more than a scheme, a host and a port, and browsers send no more");
    }
    if authority.contains('@') {
        return wrong("holds a user name or a password, which browsers do not send");
    }
    let (host, written) = split_port(authority);
    let ports = match written {
        Some("*") => Ports::Any,
        Some(digits) => match port(digits) {
            Some(port) => Ports::Is(Some(port)),
            None => return wrong("has a port that is neither a number up to 65535 nor `*`"),
        },
        None => Ports::Is(default_port(&scheme)),
    };
    let Some(hosts) = hosts(host, is_of_web(&scheme))? else {
        return wrong("has a host that is neither a name nor an address as browsers send it");
    };
    Ok(Pattern(Kind::Of { scheme, hosts, ports }))
}

/// The hosts of a pattern; `None` if there is no such host.
fn hosts(text: &str, is_of_web: bool) -> Parsed<Option<Hosts>> {
    if text == "*" {
        return if is_of_web {
            Err("would allow every page of that scheme; write the pages' hosts, for example \
                 \"https://app.example\""
                .to_owned())
        } else {
            Ok(Some(Hosts::Any))
        };
    }
    let (is_below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    Ok(match Host::parse(name) {
        Some(Host::V6(address)) if !is_below => Some(Hosts::V6(address)),
        Some(Host::Name(name)) if is_below && !is_number => {
            if !name.contains('.') {
                return Err("has `*` before a single label, below which anybody can have a name; write one \
                            more, for example \"https://*.app.example\""
                    .to_owned());
            }
            Some(Hosts::Below(name.to_ascii_lowercase()))
        }
        // A browser takes a host that ends in a number for an address, and sends it in its usual spelling.
        Some(Host::Name(name)) if !is_below && (!is_number || name.parse::<Ipv4Addr>().is_ok()) => {
            Some(Hosts::Named(name.to_ascii_lowercase()))
        }
        Some(Host::Name(_) | Host::V6(_)) | None => None,
    })
}

/// RFC 3986 section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether anybody can have a page of that scheme.
fn is_of_web(scheme: &str) -> bool {
    default_port(scheme).is_some()
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else {
        None
    }
}

/// A port as it is serialised: no sign, and no zero before it.
fn port(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|_| digits.len() == 1 || !digits.starts_with(['+', '0']))
}

/// Parts a host from the port after it, if there is one.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}
