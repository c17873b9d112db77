//! What is found where, and what is left alone.

use super::{
    Names,
    properties::{scrubbed, scrubbing_is_sound},
};

/// Each `‹…›` of the text is a credential, everything else is none.
#[track_caller]
fn hides(marked: &str) {
    let text = marked.replace(['‹', '›'], "");
    let mut expected = String::new();
    for piece in marked.split('›') {
        let (kept, hidden) =
            piece.split_once('‹').map_or((piece, None), |(kept, hidden)| (kept, Some(hidden)));
        expected.push_str(kept);
        expected.push_str(if hidden.is_some() { "REDACTED" } else { "" });
    }
    for (before, behind) in [("", ""), ("", "\n"), ("GET /\r\n", "\r\n")] {
        let given = scrubbed(&Names::default(), &[format!("{before}{text}{behind}").as_bytes()]).text;
        assert_eq!(String::from_utf8_lossy(&given), format!("{before}{expected}{behind}"));
    }
}

#[test]
fn parameters_of_a_query() {
    hides("\"GET /sockets/events/7?resend_mode=all&session_api_key=‹k-1› HTTP/1.1\" 101");
    hides("/x?session_api_key=‹k-1›&session_api_key=‹k-2›;a=b#c");
    hides("/x?SESSION-API-KEY=‹k-1›&apiKey=‹k-2›&x_api_key=‹k-3›&access_token=‹k/4+5==›");
    hides("/x?token=‹k-1›&a=b&amp;token=‹k-2›");
    hides("(https://a/?session_api_key=‹k-1›), [/?api_key=‹k-2›], {/?api_key=‹k,2›|curl/8}");
    hides("/x?api_key=‹%41%26b›&c");
}

#[test]
fn names_in_every_encoding() {
    hides("/x?session%5Fapi_key=‹k-1›&%73ession_api_key=‹k-2›&%73%65ssion%5f%61%70%69_ke%79=‹k-3›&z");
    hides("next=%2Fx%3Fsession_api_key%3D‹k-1›%26b%3D1&c=2");
    hides("next=%252Fx%253Fsession%255Fapi%255Fkey%253D‹k-1%25252641›%2526b%253D1%26d&c=2");
    hides(r#"{"uri":"/x?a=1\u0026session_api_key=‹k-1›\u0026b=2","n":1}"#);
    hides(r#"{"uri":"\/x?\u0073ession_api_key\u003d‹k\/1›\u0026b=2","n":1}"#);
    hides(r"/x?\x73ession_api_key\x3D‹k-1›\x26b=2 \x22session_api_key\x22:\x22‹k-2›\x22,\x22a\x22:1");
}

#[test]
fn members_of_json() {
    hides(r#"{"type":"auth","session_api_key":"‹k-1›","a":"b"}"#);
    hides(r#"{"type": "auth", "session_api_key": "‹k \"1\" ›\\", "a": "b"}"#);
    hides(r#"{"log":"{\"type\":\"auth\",\"session_api_key\":\"‹k-\\\"1›\"}","n":1}"#);
    hides("frame=%7B%22type%22%3A%22auth%22%2C%22session_api_key%22%3A%22‹k-1›%22%7D");
    hides(r#"{"name":"X-Session-API-Key","value":"‹k-1›"},{"a":1}"#);
    hides(
        r#"{"Authorization":["Bearer ‹k-1›","Basic ‹k-2›"],"X-Session-Api-Key":["REDACTED", "‹k-3›"],"A":["b"]}"#,
    );
}

#[test]
fn a_number_becomes_a_string() {
    let given = scrubbed(&Names::default(), &[b"{\"api_key\":123,\"access_token\": 5e3}"]).text;
    assert_eq!(given, b"{\"api_key\":\"REDACTED\",\"access_token\": \"REDACTED\"}");
}

#[test]
fn field_lines() {
    hides("X-Session-API-Key: ‹a key with blanks›");
    hides("> X-Session-API-Key: ‹a key with blanks›");
    hides("curl -H 'X-Session-API-Key: ‹a key›' -H \"Authorization: Bearer ‹k-1›\" https://a/");
    hides(r#"b"GET / HTTP/1.1\r\nX-Session-API-Key: ‹k-1›\r\nProxy-Authorization: Basic ‹k-2›\r\nHost: a""#);
    hides("got X-Session-API-Key: ‹k-1› from 192.0.2.1, authorization: ‹Foo k-2›");
    hides("'x-session-api-key', '‹k-1›'");
    hides("headers: [(b'x-session-api-key', b'‹k-1›'), (b'host', b'a')]");
    hides("map[Host:[a] X-Session-Api-Key:[‹k-1 k-2›] Accept:[*/*]]");
    hides("Cookie: a=b; oh_workspace_session_key=‹k-1›; c=d");
    hides("set-cookie: session_api_key=\"‹k-1›\"; Path=/; HttpOnly");
}

#[test]
fn credentials_without_a_name() {
    hides("{Bearer ‹k-12345678›|curl/8} {Basic ‹dXNlcjprLTE=›}");
    hides("Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.‹ay0x›, graphql-ws");
    hides("protocols=realtime,openai-insecure-api-key.‹sk-1›");
    hides("wss://‹user:k-1›@host/x https%3A%2F%2F‹user%3Ak-1›%40host%2Fx redis://‹:p@ss›@host:6379/0");
    // Where a name stands before it, all of the value goes.
    hides("authorization:‹//user:k-1@host›");
    hides("authorization%3A‹%2F%2Fuser%3Ak-1%40host›");
    hides("https:\\/\\/‹user:k-1›@host\\/x https://‹ghp_0123456789abcdef0123›@github.com/a/b");
}

#[test]
fn what_we_made_ourselves_stands_anywhere() {
    let made = "hgk_000000000000000000000000000000000QKVBn2";
    for text in ["{}", "see {}.", "/ws/{}/events", "a.{},b", "x%3D{}%26y", "\\\"{}\\\"", "the key {}: wrong"]
    {
        hides(&text.replace("{}", &format!("‹{made}›")));
    }
    hides("\"GET /x?k=‹hgk_0123456789abcdef› HTTP/1.1\" Bearer ‹hgk_0123456789abcdef0›");
    hides(
        "GET /s?ticket=‹hgt_000000000000000000000000000000000QKVBn2›&a=1 {\"ticket\":\"‹hgt_0123456789abcdef0›\"}",
    );
    hides("a ‹hgc_0123456789abcdef0123456789abcdef0123456789abcdef› cookie");
    let given = scrubbed(&Names::default(), &[made.as_bytes()]);
    assert_eq!(given.found, [format!("hgk_={made}")]);
}

#[test]
fn what_was_scrubbed_once_is_not_changed_again() {
    let long = "Z".repeat(42);
    for text in [
        "httpsAuthorization%3A%2F%2Fu%3Ak%40l {Bearer ",
        &format!("Basic {long}_session_api_key=k"),
        &format!("Basic {long}session%5Fapi_key=k"),
        "w://on_api_key%3Dk-%226@host",
        "w://1-ai-gateway-auth.k@host",
    ] {
        scrubbing_is_sound(text.as_bytes(), &[1]);
    }
}

#[test]
fn what_is_no_credential_is_left_alone() {
    for text in [
        "hgk_short hgk_0123456789abcde xhgk_0123456789abcdef0123 hgk_... hgk_",
        "12:00:00 GET /x?resend_mode=all&after=2026-01-01T00:00:00%2B00:00 \"Mozilla/5.0 (X11; rv:1)\"",
        "/x?mysessionapikey=1&sessionapikeys=2&token_count=3&next_page_token=4&tokens=5",
        "session_api_key= api_key=& access_token=\"\" {\"api_key\":null,\"api_key\":\"\",\"token\":\"t\"}",
        "api_key=REDACTED api_key=[REDACTED] api_key=**** Authorization: Bearer REDACTED x-api-key: -",
        "ssh://git@github.com/a https://org@dev.azure.com/org https://a/@b mailto:a@b.c oci://a@sha256:b",
        "bearer authentication is required; basic authentication; Bearer realm=\"a\"",
        "session_api_key is not set; if api_key == other: api_key = os.environ",
        "C:\\users\\x: 50% = half, \\x4g \\u00zz %zz %",
    ] {
        let given = scrubbed(&Names::default(), &[text.as_bytes()]);
        assert_eq!(String::from_utf8_lossy(&given.text), text);
        assert!(given.found.is_empty());
    }
}

#[test]
fn names_can_be_added() {
    let mut names = Names::default();
    assert!(names.add("ticket") && names.add("token") && names.add("X-Custom.Key2"));
    for name in ["", "_", "a b", "ticket=", "my-redacted-name", "é", &"a".repeat(65)] {
        assert!(!names.add(name), "{name}");
    }
    let given = scrubbed(&names, &[b"ticket=abc&token: def x-custom-key2=5"]);
    assert_eq!(given.text, b"ticket=REDACTED&token: REDACTED x-custom-key2=REDACTED");
    assert_eq!(given.found, ["ticket=abc", "token=def", "X-Custom.Key2=5"]);
}

#[test]
fn a_value_without_an_end_takes_no_memory() {
    let endless = vec![b'k'; 1 << 16];
    let mut pieces: Vec<&[u8]> = vec![b"?session_api_key="];
    pieces.extend((0..64).map(|_| endless.as_slice()));
    pieces.push(b" HTTP/1.1\n");
    let given = scrubbed(&Names::default(), &pieces);
    assert_eq!(given.text, b"?session_api_key=REDACTED HTTP/1.1\n");
    assert_eq!(given.found, ["session_api_key"]);
}
