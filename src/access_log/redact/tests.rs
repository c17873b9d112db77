use super::RedactedTarget;

#[track_caller]
fn check(target: &str, expected: &str) {
    let show = ["resend_mode".to_owned(), "session_api_key".to_owned()];
    let credential = ["session_api_key".to_owned()];
    assert_eq!(RedactedTarget::of(target.as_bytes(), &show, &credential).as_str(), expected);
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
    assert_eq!(RedactedTarget::of(format!("/{long}").as_bytes(), &[], &[]).as_str().len(), 1024 + "…".len());
    let show = ["resend_mode".to_owned()];
    let value = RedactedTarget::of(format!("/?resend_mode={long}").as_bytes(), &show, &[]);
    assert_eq!(value.as_str(), format!("/?resend_mode={}…", &long[..256]));
    let many = RedactedTarget::of(format!("/?{}", "resend_mode=1&".repeat(500)).as_bytes(), &show, &[]);
    assert!(many.as_str().len() < 1100 && many.as_str().ends_with("&…"), "{many}");
}
