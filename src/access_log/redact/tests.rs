use super::RedactedTarget;
use crate::handshake::{Presented, Refusal, head::Head, properties::Setting};

#[track_caller]
fn check(target: &str, expected: &str) {
    let show = ["resend_mode".to_owned(), "session_api_key".to_owned()];
    let credential = ["session_api_key".to_owned()];
    assert_eq!(
        RedactedTarget::of(target.as_bytes(), &show, &credential, &Presented::default()).as_str(),
        expected
    );
}

#[test]
fn shows_the_path_and_listed_parameters_only() {
    check("/a", "/a");
    check("/a?", "/a?");
    check("/a?x=1", "/a?…");
    check("/a?resend_mode=all&k=v&z", "/a?resend_mode=all&…");
    check("/a?k=v&resend%5Fmode=all", "/a?…&resend_mode=all");
    check("/a?session_api_key=secret", "/a?…");
    check("/a?session%5Fapi_key=secret", "/a?…");
    check("/a?resend_mode=a%20b", "/a?resend_mode=a…");
}

#[test]
fn ends_the_path_where_a_value_could_begin() {
    check("/a;k=v/b", "/a…");
    check("/x%3Fsession_api_key=k", "/x…");
    check("/a=b?c", "/a…");
    check("/a#b", "/a…");
}

#[test]
fn escapes_what_could_break_a_line() {
    check("/a\"\\\u{1b}[2J", "/a\\x22\\x5c\\x1b[2J");
    check("http://host/x?k=v", "…");
    check("*", "…");
}

#[test]
fn a_line_has_an_end() {
    let long = "a".repeat(5000);
    assert_eq!(
        RedactedTarget::of(format!("/{long}").as_bytes(), &[], &[], &Presented::default()).as_str().len(),
        1024 + "…".len()
    );
    let show = ["resend_mode".to_owned()];
    let value =
        RedactedTarget::of(format!("/?resend_mode={long}").as_bytes(), &show, &[], &Presented::default());
    assert_eq!(value.as_str(), format!("/?resend_mode={}…", &long[..256]));
    let many = RedactedTarget::of(
        format!("/?{}", "resend_mode=1&".repeat(500)).as_bytes(),
        &show,
        &[],
        &Presented::default(),
    );
    assert!(many.as_str().len() < 1100 && many.as_str().ends_with("&…"), "{many}");
}

/// What is shown of a target, checked against what its own request presents.
#[track_caller]
fn check_own(target: &str, fields: &str, expected: &str) {
    let rules = Setting::numbered(0).rules;
    let head = format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    let head = Head::parse(head.as_bytes(), 100).map_err(Refusal::label).unwrap();
    let presented = Presented::of(&head, &rules, None);
    let show = ["limit".to_owned()];
    let text = RedactedTarget::of(head.target, &show, &rules.parameters, &presented);
    assert_eq!(text.as_str(), expected);
}

#[test]
fn what_a_request_presents_is_not_shown_of_it() {
    check_own("/a/0123456789/b", "", "/a/0123456789/b");
    check_own("/a/0123456789/b", "X-Session-API-Key: 0123456789\r\n", "/a/…");
    check_own("/a/0123456789/b", "X-Session-API-Key: x\r\nX-Session-API-Key: 0123456789\r\n", "/a/…");
    check_own("/a/0123456789/b?session_api_key=0123456789", "", "/a/…");
    check_own("/a/0123456789/b?session_api_key=01234%3567%389&session_api_key=", "", "/a/…");
    check_own("/a/0123456789?limit=1", "Authorization: Bearer 0123456789\r\n", "/a/…?limit=1");
    check_own("/a/0123456789", "Cookie: a=b; Session-Key=0123456789\r\n", "/a/…");
    check_own("/a/0123456789", "Sec-WebSocket-Protocol: x, 0123456789\r\n", "/a/…");
    let encoded = "base64url.bearer.authorization.k8s.io.MDEyMzQ1Njc4OQ";
    check_own("/a/0123456789", &format!("Sec-WebSocket-Protocol: x, {encoded}\r\n"), "/a/…");
    check_own("/a?limit=x-0123456789-y", "X-Session-API-Key: 0123456789\r\n", "/a?limit=x-…");
}

#[test]
fn what_is_shown_of_a_credential_that_is_cut_is_looked_for_too() {
    check_own("/a/0123456789=", "X-Session-API-Key: 0123456789=\r\n", "/a/…");
    check_own("/a/0123456789%2Fx", "X-Session-API-Key: 0123456789\r\n", "/a/…");
    let long = "a".repeat(1015);
    let shown = format!("/{long}…");
    check_own(&format!("/{long}0123456789"), "X-Session-API-Key: 0123456789\r\n", &shown);
}

#[test]
fn what_reaches_from_one_part_into_the_next_is_not_shown() {
    check_own("/a/0123?limit=45678", "X-Session-API-Key: 0123?limit=45678\r\n", "/a/…");
    check_own("/a?limit=0123&limit=45678", "X-Session-API-Key: 0123&limit=4\r\n", "/a?limit=…");
    // Not even what was put there in its place.
    check_own("/a/0123=?limit=0123", "X-Session-API-Key: 0123…?limit=\r\n", "/a/…");
}

#[test]
fn what_is_too_short_to_be_a_credential_hides_nothing() {
    check_own("/sockets/events/1", "X-Session-API-Key: sockets\r\nCookie: key=1\r\n", "/sockets/events/1");
    check_own("/sockets/events/1", "Cookie: theme=/sockets/\r\n", "/sockets/events/1");
}
