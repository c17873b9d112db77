use crate::harness::{
    CANARY, Gateway, NONCE, SWITCHING, Upstream, canary::percent_encoded, head, opening, setup::Setup,
};

/// What the upstream sees of an opening handshake.
#[track_caller]
fn forwarded(target: &str, fields: &[&str]) -> String {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    drop(gateway.upgrade(&opening(target, fields)));
    upstream.received_up_to("\r\n\r\n")
}

/// What the upstream sees of the credential: the target, and every credential field line.
#[track_caller]
fn presented(target: &str, fields: &[&str]) -> (String, Vec<String>) {
    let seen = forwarded(target, fields);
    let head = crate::harness::http::Head(seen);
    let lines = head.values("X-Session-API-Key").into_iter().map(str::to_owned).collect();
    (head.line().split(' ').nth(1).unwrap().to_owned(), lines)
}

#[test]
fn the_upstream_sees_exactly_these_bytes() {
    let fields = [
        "Origin: https://app.example",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "Sec-WebSocket-Protocol: chat, superchat",
        "X-Session-API-Key: other",
        "Cookie: a=b",
        "x-session-api-key: another",
        "User-Agent: curl/8",
        "X_Session_API_Key: third",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "X-Hushgate-Caller: root",
    ];
    let seen = forwarded(&format!("/sockets/events/1?a=%2B&session_api_key={CANARY}&b"), &fields);
    let nonce = NONCE;
    assert_eq!(
        seen,
        format!(
            "GET /sockets/events/1?a=%2B&b HTTP/1.1\r\n\
             Host: agent.example\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {nonce}\r\n\
             Origin: https://app.example\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
             Sec-WebSocket-Protocol: chat, superchat\r\n\
             Cookie: a=b\r\n\
             User-Agent: curl/8\r\n\
             X-Forwarded-For: 127.0.0.1\r\n\
             X-Forwarded-Proto: http\r\n\
             X-Forwarded-Host: agent.example\r\n\
             X-Session-API-Key: {CANARY}\r\n\
             Connection: Upgrade\r\n\
             Upgrade: websocket\r\n\r\n"
        )
    );
}

#[test]
fn the_parameter_becomes_the_field_in_every_spelling() {
    let encoded = percent_encoded(CANARY);
    for query in [
        format!("session_api_key={CANARY}"),
        format!("session_api_key={encoded}"),
        format!("{}={}", percent_encoded("session_api_key"), encoded.to_lowercase()),
        format!("session%5fapi_key=x&session_api_key={CANARY}"),
        format!("session_api_key=&%73ession_api_key={encoded}"),
    ] {
        assert_eq!(presented(&format!("/s?{query}"), &[]), ("/s".to_owned(), vec![CANARY.to_owned()]));
    }
}

#[test]
fn of_the_field_the_first_line_goes_on() {
    let first = format!("X-Session-API-Key: {CANARY}");
    assert_eq!(
        presented("/s?a=1", &[&first, "X-Session-API-Key: b"]),
        ("/s?a=1".to_owned(), vec![CANARY.to_owned()])
    );
    assert_eq!(
        presented("/s", &["X-Session-API-Key:", &first]),
        ("/s".to_owned(), vec![String::new()]),
        "empty is present"
    );
}

#[test]
fn without_a_credential_the_handshake_goes_on_without_one() {
    assert_eq!(presented("/s?SESSION_API_KEY=a&session-api-key=b", &[]).1, Vec::<String>::new());
    assert_eq!(presented("/s", &["X_Session_API_Key: a", "X-Session_API-Key: b"]).1, Vec::<String>::new());
}

#[test]
fn the_credential_is_latin_1_on_the_wire() {
    let (_, lines) = presented("/s?session_api_key=cl%C3%A9-%C3%BC", &[]);
    assert_eq!(lines, ["cl\u{e9}-\u{fc}"], "read back as Latin-1");
}

#[test]
fn another_field_with_a_prefix_and_aliases() {
    let upstream = Upstream::echoing();
    let gateway = Setup::before(&upstream)
        .set("handshake.field", "Authorization")
        .set("handshake.prefix", "Bearer ")
        .set("handshake.parameters", vec!["token", "access_token"])
        .start();
    drop(gateway.upgrade(&opening(
        &format!("/s?access_token=x&token={CANARY}&session_api_key=kept"),
        &["Authorization: Basic abc"],
    )));
    let seen = upstream.received_up_to("\r\n\r\n");
    assert!(seen.starts_with("GET /s?session_api_key=kept HTTP/1.1\r\n"), "{seen}");
    assert_eq!(seen.matches("Authorization:").count(), 1, "{seen}");
    assert!(seen.contains(&format!("Authorization: Bearer {CANARY}\r\n")), "{seen}");
}

#[test]
fn an_unusable_credential_is_refused_as_the_agent_server_does() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    let unusable =
        ["", "%20", "a%20", "+a", "a%00", "a%0D%0AX-Evil:1", "a%09b", "%7F", "%FF", "%C4%80", "%C2%A0a"];
    for value in unusable {
        let request = opening(
            &format!("/s?session_api_key={CANARY}&session_api_key={value}"),
            &[&format!("X-Session-API-Key: {CANARY}")],
        );
        let answer = gateway.send(request).take_all().unwrap();
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "HTTP/1.1 403 \r\ncontent-length: 0\r\n\r\n",
            "for {value:?}"
        );
    }
    upstream.assert_untouched();
    for line in gateway.events("handshake", unusable.len()) {
        assert_eq!(
            (&line["outcome"], &line["status"], &line["credential_source"]),
            (&"unusable_credential".into(), &403.into(), &"query".into())
        );
    }
}

#[test]
fn a_connection_list_with_close_is_an_opening_handshake_as_well() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    let text = opening(&format!("/s?session_api_key={CANARY}"), &["Connection: close", "X-Secret: 1"])
        .replace("Connection: Upgrade", "connection: keep-alive,x-secret , UPGRADE")
        .replace("Upgrade: websocket", "UPGRADE: WebSocket");
    drop(gateway.upgrade(&text));
    let seen = upstream.received_up_to("\r\n\r\n");
    assert_eq!(seen.to_lowercase().matches("connection:").count(), 1, "{seen}");
    assert!(seen.ends_with("Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), "{seen}");
    assert!(!seen.contains("X-Secret"), "a nominated field ends here: {seen}");
}

#[test]
fn the_decision_never_depends_on_the_path() {
    for path in ["/", "/sockets/events/1", "/api/x;y=z", "/%2e%2e/a", "//x"] {
        assert_eq!(
            presented(&format!("{path}?session_api_key={CANARY}"), &[]),
            (path.to_owned(), vec![CANARY.to_owned()])
        );
    }
}

#[test]
fn every_other_byte_of_the_target_goes_on() {
    let rest = "??x=1&&=&a=%zz&b=%&resend_mode=since&after_timestamp=2026-01-01T00:00:00%2B00:00&c;d={}|^~[]";
    let target = format!("/a/..//b;c?{rest}&session_api_key={CANARY}&");
    assert_eq!(presented(&target, &[]).0, format!("/a/..//b;c?{rest}&"));
}

#[test]
fn a_credential_that_is_split_over_segments_arrives_whole() {
    let upstream = Upstream::echoing();
    let gateway = Gateway::before(&upstream);
    let text = opening(&format!("/s?session_api_key={CANARY}"), &[]);
    let mut client = gateway.connect();
    for piece in text.as_bytes().chunks(7) {
        client.send(piece).unwrap();
    }
    assert_eq!(client.take_head().unwrap().status(), 101);
    assert!(upstream.received_up_to("\r\n\r\n").contains(CANARY));
}

#[test]
fn each_handshake_has_a_connection_of_its_own() {
    let upstream = Upstream::playing(|stream, _| {
        let head = stream.take_head()?;
        if head.values("upgrade").is_empty() {
            stream.send("HTTP/1.1 204 No Content\r\n\r\n")?;
        } else {
            stream.send(SWITCHING)?;
        }
        stream.take_all().map(drop)
    });
    let gateway = Gateway::before(&upstream);
    assert_eq!(gateway.exchange(head("GET /a", &[])).status(), 204);
    drop(gateway.upgrade(&opening("/s", &[])));
    assert_eq!(upstream.received().len(), 2, "the pool of plain requests is not used");
}
