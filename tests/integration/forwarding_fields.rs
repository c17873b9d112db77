use crate::harness::{Gateway, SWITCHING, Upstream, head, http::Head, opening, setup::Setup, tls};

const CLAIMS: [&str; 9] = [
    "X-Forwarded-For: 203.0.113.7, 10.0.0.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Prefix: /evil",
    "X_Forwarded_For: 203.0.113.9",
    "Forwarded: for=203.0.113.7",
    "X-Real-IP: 203.0.113.7",
    "X-Forwarded-Port: 1",
    "X-Hushgate-Caller: root",
];

fn upstream() -> Upstream {
    Upstream::playing(|stream, _| {
        let head = stream.take_head()?;
        let is_handshake = !head.values("upgrade").is_empty();
        stream.send(if is_handshake { SWITCHING } else { "HTTP/1.1 204 No Content\r\n\r\n" })?;
        stream.take_all().map(drop)
    })
}

/// The forwarding fields that the upstream sees, for a handshake and for a plain request alike.
#[track_caller]
fn seen(gateway: &Gateway, upstream: &Upstream, fields: &[&str]) -> Vec<String> {
    gateway.exchange(head("GET /a", fields));
    gateway.exchange(opening("/s", fields));
    let mut seen: Vec<Vec<String>> = upstream
        .received()
        .into_iter()
        .map(|bytes| {
            Head(bytes)
                .fields()
                .into_iter()
                .filter(|line| {
                    let line = line.replace('_', "-");
                    ["x-forwarded-", "forwarded", "x-real-ip", "x-hushgate-"]
                        .iter()
                        .any(|name| line.starts_with(name))
                })
                .collect()
        })
        .collect();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1], "both kinds of request");
    seen.remove(0)
}

#[test]
fn a_clients_claims_are_not_believed() {
    let upstream = upstream();
    let gateway = Gateway::before(&upstream);
    assert_eq!(
        seen(&gateway, &upstream, &CLAIMS),
        ["x-forwarded-for: 127.0.0.1", "x-forwarded-host: agent.example", "x-forwarded-proto: http"]
    );
    for event in ["request", "handshake"] {
        assert_eq!(gateway.event(event)["client"], "127.0.0.1");
    }
}

#[test]
fn a_trusted_proxy_is_believed() {
    let upstream = upstream();
    let gateway =
        Setup::before(&upstream).set("listen.trusted_proxies", vec!["10.0.0.0/8", "127.0.0.0/8"]).start();
    assert_eq!(
        seen(&gateway, &upstream, &CLAIMS[..3]),
        [
            "x-forwarded-for: 203.0.113.7, 10.0.0.1, 127.0.0.1",
            "x-forwarded-host: evil.example",
            "x-forwarded-proto: https",
        ]
    );
    for event in ["request", "handshake"] {
        assert_eq!(gateway.event(event)["client"], "203.0.113.7", "the right-most that is no proxy");
    }
}

#[test]
fn a_trusted_proxy_that_says_nothing_is_the_client() {
    let upstream = upstream();
    let gateway = Setup::before(&upstream).set("listen.trusted_proxies", vec!["127.0.0.1/32"]).start();
    assert_eq!(
        seen(&gateway, &upstream, &[]),
        ["x-forwarded-for: 127.0.0.1", "x-forwarded-host: agent.example", "x-forwarded-proto: http"]
    );
    assert_eq!(gateway.event("request")["client"], "127.0.0.1");
}

#[test]
fn nonsense_of_a_trusted_proxy_reaches_no_log() {
    let upstream = upstream();
    let gateway = Setup::before(&upstream).set("listen.trusted_proxies", vec!["127.0.0.1/32"]).start();
    let nonsense = format!("X-Forwarded-For: 203.0.113.7, {}", crate::harness::CANARY);
    seen(&gateway, &upstream, &[&nonsense]);
    assert_eq!(gateway.event("request")["client"], "127.0.0.1", "what is no address ends the chain");
}

#[test]
fn over_tls_the_scheme_is_https() {
    let authority = tls::Authority::new();
    let upstream = upstream();
    let gateway =
        Setup::before(&upstream).tls(&authority.issue("gateway", &["127.0.0.1"]), &authority.roots()).start();
    assert!(seen(&gateway, &upstream, &CLAIMS).contains(&"x-forwarded-proto: https".to_owned()));
}

#[test]
fn the_host_goes_on_as_it_came() {
    let upstream = upstream();
    let gateway = Gateway::before(&upstream);
    gateway.exchange(head("GET /a", &[]).replace("agent.example", "Agent.Example:8443"));
    assert_eq!(Head(upstream.received().concat()).values("host"), ["Agent.Example:8443"]);
}
