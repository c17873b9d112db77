use rustix::process::Signal;

use crate::harness::{CANARY, Gateway, Stream, Upstream, head, http::Head, opening, setup::Setup, tls};

/// Answers with the head that it received.
fn mirror() -> Upstream {
    Upstream::playing(|stream, _| {
        loop {
            let head = stream.take_head()?;
            if !head.values("upgrade").is_empty() {
                return crate::harness::upstream::echo_on(stream, crate::harness::SWITCHING);
            }
            stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", head.0.len(), head.0))?;
        }
    })
}

const DONE: &str = "configuration reloaded";
const KEPT: &str = "configuration not taken over, the old one stays";

fn target_seen(gateway: &Gateway, query: &str) -> String {
    let answer = gateway.exchange(head(&format!("GET /a?{query}"), &[]));
    Head(answer.text().to_owned()).line().split(' ').nth(1).unwrap().to_owned()
}

fn reloads(gateway: &Gateway, result: &str) -> Option<f64> {
    gateway.metric(&format!("hushgate_config_reloads_total{{result=\"{result}\"}}"))
}

#[test]
fn another_parameter_takes_effect_and_sockets_survive() {
    let upstream = mirror();
    let mut gateway = Gateway::before(&upstream);
    let mut socket = gateway.upgrade(&opening(&format!("/s?session_api_key={CANARY}"), &[]));
    let mut kept: Stream = gateway.send(head("GET /a", &[]));
    kept.take_answer().unwrap();
    let query = format!("session_api_key=x&token={CANARY}");
    assert_eq!(target_seen(&gateway, "session_api_key=x&token=y"), "/a?token=y");
    gateway.reload(|setup| setup.set("handshake.parameters", vec!["token"]), DONE);
    assert_eq!(target_seen(&gateway, &query), "/a?session_api_key=x");
    kept.send(head(&format!("GET /a?{query}"), &[])).unwrap();
    let answer = kept.take_answer().unwrap();
    assert!(
        answer.text().starts_with("GET /a?session_api_key=x "),
        "a kept connection sees it: {}",
        answer.text()
    );
    socket.send("alive").unwrap();
    assert_eq!(socket.take(5).unwrap(), b"alive");
    assert_eq!((reloads(&gateway, "ok"), reloads(&gateway, "error")), (Some(1.0), Some(0.0)));
}

#[test]
fn another_upstream_takes_effect() {
    let (first, second) = (mirror(), mirror());
    let mut gateway = Gateway::before(&first);
    target_seen(&gateway, "1");
    gateway.reload(|setup| setup.set("upstream.url", second.url()), DONE);
    target_seen(&gateway, "2");
    assert_eq!((first.received().len(), second.received().len()), (1, 1));
}

#[test]
fn a_bad_file_keeps_the_old_configuration_and_says_so() {
    let upstream = mirror();
    let gateway = Gateway::before(&upstream);
    let mut socket = gateway.upgrade(&opening("/s", &[]));
    for (text, problem) in [
        (format!("[listen]\naddress = \"{CANARY}\"\n"), "gateway.toml:2:11: listen.address: "),
        (format!("{CANARY} = 1 = 2\n"), "gateway.toml:1:"),
        ("[handshake]\nparameter = [\"token\"]\n".to_owned(), "did you mean `parameters`?"),
    ] {
        gateway.reload_text(&text, KEPT);
        gateway.says(problem, 1);
        assert_eq!(target_seen(&gateway, "session_api_key=x&token=y"), "/a?token=y");
    }
    std::fs::remove_file(gateway.file("gateway.toml")).unwrap();
    gateway.signal(Signal::HUP);
    gateway.says(KEPT, 4);
    socket.send("alive").unwrap();
    assert_eq!(socket.take(5).unwrap(), b"alive");
    assert_eq!((reloads(&gateway, "ok"), reloads(&gateway, "error")), (Some(0.0), Some(4.0)));
}

#[test]
fn what_needs_a_restart_is_named() {
    let upstream = mirror();
    let mut gateway = Gateway::before(&upstream);
    gateway.reload(
        |setup| setup.set("listen.address", "127.0.0.1:1").set("limits.connections", 7),
        "a restart is needed for the keys that wait",
    );
    gateway.says("listen.address, limits.connections", 1);
    assert_eq!(target_seen(&gateway, "x"), "/a?x");
}

#[test]
fn replaced_certificate_files_take_effect() {
    let (old, new) = (tls::Authority::new(), tls::Authority::new());
    let upstream = mirror();
    let files = old.issue("gateway", &["127.0.0.1"]);
    let mut gateway = Setup::before(&upstream).tls(&files, &old.roots()).start();
    let mut kept = gateway.upgrade(&opening(&format!("/s?session_api_key={CANARY}"), &[]));
    let replacement = new.issue("gateway", &["127.0.0.1"]);
    // A certificate without its private key is a mistake in the making: nothing changes.
    std::fs::copy(&replacement.certificate, &files.certificate).unwrap();
    gateway.reload(|setup| setup, KEPT);
    drop(gateway.upgrade(&opening("/s", &[])));
    std::fs::copy(&replacement.private_key, &files.private_key).unwrap();
    gateway.reload(|setup| setup.tls(&files, &new.roots()), DONE);
    drop(gateway.upgrade(&opening("/s", &[])));
    kept.send("alive").unwrap();
    assert_eq!(kept.take(5).unwrap(), b"alive", "the old session goes on");
    assert!(
        tls::connect(gateway.address(), &old.roots()).send("GET").is_err(),
        "the old certificate is gone"
    );
}

#[test]
fn reloads_under_load_lose_no_handshake() {
    let upstream = mirror();
    let mut gateway = Gateway::before(&upstream);
    for round in 0..20 {
        let mut clients: Vec<_> =
            (0..5).map(|_| gateway.send(opening("/s?session_api_key=x", &[]))).collect();
        let parameters =
            if round % 2 == 0 { vec!["session_api_key", "token"] } else { vec!["session_api_key"] };
        gateway.reload(|setup| setup.set("handshake.parameters", parameters), DONE);
        for client in &mut clients {
            assert_eq!(client.take_head().unwrap().status(), 101);
        }
    }
    assert_eq!(gateway.events("handshake", 100).len(), 100);
}
