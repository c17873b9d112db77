//! Cookies: the agent server gives its own credential to browsers, and callers get something else instead.

use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::{By, ask, field, key, revoked, server};
use crate::harness::{
    CANARY, Gateway, OURS, Upstream, canary::assert_without, eventually, head, http::Answer, opening,
    setup::Setup,
};

/// What a cookie is for.
pub(super) const FILE: &str = "/api/conversations/1/workspace/a.html";

const SIGNING_KEY: &str = "a-signing-key-of-the-tests-0123456789";
const MAKES: &str = "/api/auth/workspace-session";
const PAGE: &str = "Origin: https://app.example";

/// What the agent server answers who asks for a cookie with this credential.
pub(super) fn answer(credential: &str) -> String {
    format!(
        "HTTP/1.1 204 No Content\r\nSet-Cookie: other=1; Path=/\r\nSet-Cookie: oh_workspace_session_key={credential}; \
         HttpOnly; Max-Age=315360000; Path=/api/conversations; SameSite=none; Secure; Partitioned\r\n\r\n"
    )
}

/// Gives callers cookies.
pub(super) fn served(setup: Setup) -> Setup {
    setup
        .file("signing.key", &format!("{SIGNING_KEY}\n"))
        .set("authentication.signing_key_file", "signing.key")
}

fn gateway(upstream: &Upstream, more: &str) -> Gateway {
    served(Setup::before(upstream).requiring(&key("alice", CANARY, more)))
        .set("authentication.origins", vec!["https://app.example"])
        .start()
}

fn asked(gateway: &Gateway, credential: &str, fields: &[&str]) -> Answer {
    let key = field(credential);
    gateway.exchange(head(&format!("POST {MAKES}"), &[&[key.as_str(), "Content-Length: 0"], fields].concat()))
}

/// The line that sets the cookie.
fn line(answer: &Answer) -> String {
    assert_eq!(answer.status(), 204);
    let [other, ours] = answer.head.values("set-cookie")[..] else { panic!("{:?}", answer.head) };
    assert_eq!(other, "other=1; Path=/");
    ours.to_owned()
}

/// A cookie of whoever has this credential.
fn made(gateway: &Gateway, credential: &str) -> String {
    let line = line(&asked(gateway, credential, &[]));
    let value = line.strip_prefix("oh_workspace_session_key=").unwrap();
    value.split(';').next().unwrap().to_owned()
}

/// A cookie that a replica made.
pub(super) fn made_elsewhere(upstream: &Upstream) -> String {
    made(&gateway(upstream, ""), CANARY)
}

fn shown(gateway: &Gateway, cookie: &str, fields: &[&str]) -> u16 {
    ask(gateway, false, By::Cookie, cookie, fields).status()
}

#[test]
fn a_browser_gets_a_cookie_of_ours_and_the_agent_server_sees_its_own_credential() {
    let upstream = server();
    let gateway = gateway(&upstream, "");
    let answer = asked(&gateway, CANARY, &[]);
    assert_eq!(answer.head.value("cache-control"), Some("no-store"));
    let line = line(&answer);
    let (cookie, attributes) = line.split_once("; ").unwrap();
    assert_eq!(
        attributes,
        "HttpOnly; Max-Age=43200; Path=/api/conversations; SameSite=none; Secure; Partitioned"
    );
    let cookie = cookie.strip_prefix("oh_workspace_session_key=hgc_").unwrap();
    for secret in [OURS, CANARY] {
        assert_without("the browser", secret, answer.head.0.as_bytes());
    }
    let answer = ask(&gateway, false, By::Cookie, &format!("hgc_{cookie}"), &["Cookie: a=1"]);
    assert_eq!(answer.status(), 200);
    let all = upstream.received().concat();
    let (_, received) = all.split_once(&format!("GET {FILE} HTTP/1.1\r\n")).unwrap();
    assert!(received.contains(&format!("\r\nX-Session-API-Key: {OURS}\r\n")), "{received}");
    assert!(received.contains("\r\nX-Hushgate-Caller: alice\r\n"), "{received}");
    assert!(received.contains("\r\nCookie: a=1\r\n") && !received.contains("oh_workspace"), "{received}");
    assert_eq!(answer.head.value("cache-control"), Some("private, no-cache"));
    let line = &gateway.events("request", 2)[1];
    assert_eq!((&line["caller"], &line["credential_source"]), (&"alice".into(), &"cookie".into()));
    assert!(!gateway.log_text().contains(cookie) && !gateway.diagnostics().contains(cookie));
}

#[test]
fn a_cookie_opens_nothing_but_files_and_the_sockets_of_listed_pages() {
    let upstream = server();
    let gateway = gateway(&upstream, "");
    let cookie = made(&gateway, CANARY);
    let line = format!("Cookie: oh_workspace_session_key={cookie}");
    let before = upstream.received().len();
    for request in [
        head(&format!("POST {FILE}"), &[&line, "Content-Length: 0"]),
        head(&format!("DELETE {FILE}"), &[&line]),
        head("GET /api/conversations/1", &[&line]),
        head("GET /api/conversations/1/workspace/%2e%2e/events", &[&line]),
        head(&format!("POST {MAKES}"), &[&line, "Content-Length: 0"]),
        head("POST /.hushgate/tickets?path=/s", &[&line, "Content-Length: 0"]),
        // Of several, the last.
        head(&format!("GET {FILE}"), &[&line, "Cookie: oh_workspace_session_key=x"]),
        // A page that is not listed could read what it gets.
        head(&format!("GET {FILE}"), &[&line, "Origin: https://evil.example"]),
        head(&format!("GET {FILE}"), &[&line, "Origin: null"]),
        // One of another origin could run what it cannot read.
        head(&format!("GET {FILE}"), &[&line, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: script"]),
        head(&format!("GET {FILE}"), &[&line, "Sec-Fetch-Site: same-site", "Sec-Fetch-Dest: empty"]),
    ] {
        let answer = gateway.exchange(&request);
        assert_eq!((answer.status(), answer.text()), (401, "{\"detail\":\"Unauthorized\"}"), "{request}");
    }
    let open = |fields: &[&str]| gateway.send(opening("/s", fields)).take_head().unwrap().status();
    assert_eq!(open(&[&line]), 403, "whoever names no page");
    assert_eq!(open(&[&line, "Origin: https://evil.example"]), 403);
    assert_eq!(upstream.received().len(), before);
    for fields in [
        &[PAGE][..],
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: iframe"],
        &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image"],
        &["Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: script"],
    ] {
        assert_eq!(shown(&gateway, &cookie, fields), 200, "{fields:?}");
    }
    assert!(revoked::is_alive(&mut gateway.upgrade(&opening("/s", &[&line, PAGE]))));
}

#[test]
fn where_no_pages_are_listed_none_may_use_a_cookie() {
    let upstream = server();
    let gateway = served(Setup::before(&upstream).requiring(&key("alice", CANARY, ""))).start();
    let cookie = made(&gateway, CANARY);
    assert_eq!((shown(&gateway, &cookie, &[]), shown(&gateway, &cookie, &[PAGE])), (200, 401));
    let line = format!("Cookie: oh_workspace_session_key={cookie}");
    assert_eq!(gateway.send(opening("/s", &[&line, PAGE])).take_head().unwrap().status(), 403);
}

#[test]
fn a_cookie_ends_with_its_key() {
    let upstream = server();
    // Waiting for a keyring to be taken over is trying again and again.
    let setup = served(Setup::before(&upstream).requiring(&key("alice", CANARY, "")));
    let setup = setup.set("authentication.origins", vec!["https://app.example"]);
    let gateway = setup.set("limits.failed_attempts_per_minute", 0).start();
    let cookie = made(&gateway, CANARY);
    let line = format!("Cookie: oh_workspace_session_key={cookie}");
    for more in [None, Some("expires = 2020-01-01T00:00:00Z"), Some("carriers = [\"field\"]")] {
        revoked::replace(&gateway, &key("alice", CANARY, ""));
        eventually("it is let in", || shown(&gateway, &cookie, &[]) == 200);
        let mut socket = gateway.upgrade(&opening("/s", &[&line, PAGE]));
        revoked::replace(&gateway, &more.map(|more| key("alice", CANARY, more)).unwrap_or_default());
        assert_eq!(socket.take(4).unwrap(), [0x88, 2, 0x0f, 0xa1]);
        assert_eq!(shown(&gateway, &cookie, &[]), 401, "{more:?}");
    }
}

#[test]
fn a_cookie_counts_no_longer_than_its_key_or_its_lifetime() {
    let upstream = server();
    let expires = humantime::format_rfc3339_seconds(SystemTime::now() + Duration::from_secs(3600));
    let gateway = gateway(&upstream, &format!("expires = {expires}"));
    let line = line(&asked(&gateway, CANARY, &[]));
    let age: u64 = line.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&age), "{line}");
}

#[test]
fn a_cookie_that_is_over_ends_its_sockets_and_no_others() {
    let upstream = server();
    let setup = served(Setup::before(&upstream).requiring(&key("alice", CANARY, "")));
    let setup = setup.set("authentication.origins", vec!["https://app.example", "null"]);
    let gateway = setup.set("authentication.cookie_lifetime", "3s").start();
    let open = |cookie: &str| {
        gateway.upgrade(&opening("/s", &[&format!("Cookie: oh_workspace_session_key={cookie}"), PAGE]))
    };
    let first = made(&gateway, CANARY);
    let (mut socket, mut other) = (open(&first), gateway.upgrade(&opening("/s", &[&field(CANARY)])));
    std::thread::sleep(Duration::from_millis(1500));
    let mut later = open(&made(&gateway, CANARY));
    assert_eq!(socket.take(4).unwrap(), [0x88, 2, 0x0f, 0xa1]);
    assert!(revoked::is_alive(&mut later), "its cookie is another one");
    assert_eq!(shown(&gateway, &first, &[]), 401);
    let line = &gateway.events("request", 3)[2];
    assert_eq!((&line["outcome"], &line["caller"]), (&"credential_expired".into(), &"alice".into()));
    assert_eq!(later.take(4).unwrap(), [0x88, 2, 0x0f, 0xa1]);
    assert!(revoked::is_alive(&mut other));
    // Nobody knows who `null` is, though it is listed.
    let line = format!("Cookie: oh_workspace_session_key={}", made(&gateway, CANARY));
    assert_eq!(gateway.send(opening("/s", &[&line, "Origin: null"])).take_head().unwrap().status(), 403);
}

#[test]
fn another_lifetime_is_for_cookies_that_were_made_before() {
    let upstream = server();
    let mut gateway = gateway(&upstream, "");
    let cookie = made(&gateway, CANARY);
    assert_eq!(shown(&gateway, &cookie, &[]), 200);
    std::thread::sleep(Duration::from_millis(2100));
    gateway.reload(|setup| setup.set("authentication.cookie_lifetime", "1s"), "configuration reloaded");
    assert_eq!(shown(&gateway, &cookie, &[]), 401);
    gateway.reload(|setup| setup.set("authentication.cookie_lifetime", "1h"), "configuration reloaded");
    assert_eq!(shown(&gateway, &cookie, &[]), 200);
}

#[test]
fn a_cookie_that_does_not_count_is_no_guess() {
    let upstream = server();
    let gateway = gateway(&upstream, "");
    for _ in 0..30 {
        assert_eq!(shown(&gateway, "hgc_0123", &[]), 401, "a page has many images");
    }
    assert_eq!(ask(&gateway, false, By::Field, "wrong-credential", &[]).status(), 401);
}

/// Whatever the value is, and however it is quoted: nobody asked for a cookie of theirs.
#[test]
fn no_cookie_of_the_agent_server_passes_anywhere() {
    let quoted = "oh_workspace_session_key=\"a key\\054 quoted\"; Path=/; Domain=app.example";
    let given = format!("HTTP/1.1 204 No Content\r\nSet-Cookie: {quoted}\r\n\r\n");
    let failed = format!("HTTP/1.1 500 No\r\nSet-Cookie: {quoted}\r\nContent-Length: 0\r\n\r\n");
    for (answer, request) in [
        (&given, head(&format!("PUT {MAKES}"), &[&field(CANARY), "Content-Length: 0"])),
        (&given, head("POST /api/auth/workspace%2Dsession", &[&field(CANARY), "Content-Length: 0"])),
        (&given, head("GET /alive", &[])),
        (&failed, head(&format!("POST {MAKES}"), &[&field(CANARY), "Content-Length: 0"])),
        (&failed, opening("/s", &[&field(CANARY)])),
    ] {
        let upstream = Upstream::answering(answer.clone());
        let gateway = gateway(&upstream, "");
        let answer = gateway.send(&request).take_head().unwrap();
        assert_eq!((answer.status(), answer.value("set-cookie")), (502, None), "{request}");
        let line = &gateway.log_lines(1)[0];
        assert_eq!(line["outcome"], "withheld");
    }
    let upstream = Upstream::answering(given);
    let gateway = gateway(&upstream, "");
    let asked = asked(&gateway, CANARY, &[]);
    let line = asked.head.value("set-cookie").unwrap();
    assert!(line.starts_with("oh_workspace_session_key=hgc_") && line.ends_with("; Path=/"), "{line}");
}

/// Nor does our own credential in what is said of a status.
#[test]
fn a_reason_that_gives_our_credential_away_is_withheld() {
    let upstream = Upstream::answering(format!("HTTP/1.1 200 {OURS}\r\nContent-Length: 0\r\n\r\n"));
    let gateway = gateway(&upstream, "");
    let answer = gateway.exchange(head("GET /a", &[&field(CANARY)]));
    assert_eq!(answer.status(), 502);
    assert_without("the client", OURS, answer.head.0.as_bytes());
}

#[test]
fn restarts_and_replicas_agree_and_signing_keys_change_without_a_stop() {
    let upstream = server();
    let one = gateway(&upstream, "");
    let cookie = made(&one, CANARY);
    let other = gateway(&upstream, "");
    assert_eq!(shown(&other, &cookie, &[]), 200);
    let reload = |file: &str, count: f64| {
        std::fs::write(one.file("signing.key"), file).unwrap();
        one.signal(Signal::HUP);
        eventually("it is reloaded", || {
            one.metric("hushgate_config_reloads_total{result=\"ok\"}") == Some(count)
        });
    };
    reload(&format!("another-signing-key-0123456789abcdef\n{SIGNING_KEY}\n"), 1.0);
    assert_eq!(shown(&one, &cookie, &[]), 200, "the old key still opens");
    let newer = made(&one, CANARY);
    assert_eq!((shown(&one, &newer, &[]), shown(&other, &newer, &[])), (200, 401));
    reload("another-signing-key-0123456789abcdef\n", 2.0);
    assert_eq!((shown(&one, &newer, &[]), shown(&one, &cookie, &[])), (200, 401));
    // A bad file keeps what there was, and says so.
    std::fs::write(one.file("signing.key"), "short\n").unwrap();
    one.signal(Signal::HUP);
    one.says("authentication.signing_key_file: signing.key: line 1: is not 32 or more characters", 1);
    assert_eq!(shown(&one, &newer, &[]), 200);
}

#[test]
fn only_whoever_may_present_a_cookie_gets_one() {
    let upstream = server();
    let gateway = gateway(&upstream, "carriers = [\"field\"]");
    assert_eq!(asked(&gateway, CANARY, &[]).status(), 401);
    assert_eq!(asked(&gateway, "wrong-credential", &[]).status(), 401);
    upstream.assert_untouched();
    assert_eq!(gateway.events("request", 2)[0]["outcome"], "carrier_not_allowed");
    // By another way to the same place it gets nothing either: what the agent server gives is withheld.
    let other = Upstream::answering(answer(OURS));
    let gateway = self::gateway(&other, "carriers = [\"field\"]");
    let answer = gateway.exchange(head(&format!("PUT {MAKES}"), &[&field(CANARY), "Content-Length: 0"]));
    assert_eq!(answer.status(), 502);
    assert_without("the client", OURS, answer.head.0.as_bytes());
}

#[test]
fn a_cookie_that_is_taken_back_stays_as_it_is() {
    let gone = "oh_workspace_session_key=\"\"; HttpOnly; Max-Age=0; Path=/api/conversations; SameSite=none";
    let upstream = Upstream::answering(format!("HTTP/1.1 204 No Content\r\nSet-Cookie: {gone}\r\n\r\n"));
    let gateway = gateway(&upstream, "");
    let answer = gateway.exchange(head(&format!("DELETE {MAKES}"), &[&field(CANARY)]));
    assert_eq!((answer.status(), answer.head.value("set-cookie")), (204, Some(gone)));
}

/// What the agent server gave a browser itself, before there was a gateway: its own credential.
#[test]
fn a_cookie_of_the_agent_server_presents_nobody() {
    let upstream = server();
    let gateway = gateway(&upstream, "");
    assert_eq!(shown(&gateway, OURS, &[]), 401);
    assert_eq!(shown(&gateway, CANARY, &[]), 401, "a key itself is no cookie");
    upstream.assert_untouched();
}
