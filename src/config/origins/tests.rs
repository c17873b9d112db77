use proptest::prelude::*;

use super::*;

fn origins(patterns: &[&str]) -> Origins {
    Origins::new(patterns.iter().map(|text| pattern(text).unwrap()).collect())
}

#[track_caller]
fn allows(patterns: &[&str], allowed: &[&str], others: &[&str]) {
    let origins = origins(patterns);
    allowed.iter().for_each(|text| assert!(origins.allow(text.as_bytes()), "{text:?} by {patterns:?}"));
    others.iter().for_each(|text| assert!(!origins.allow(text.as_bytes()), "{text:?} by {patterns:?}"));
}

#[test]
fn a_named_origin_is_itself_alone() {
    allows(
        &["https://app.example"],
        &["https://app.example", "https://app.example:443", "HTTPS://App.Example"],
        &[
            "",
            "null",
            "*",
            "https://",
            "http://app.example",
            "https://app.example/",
            "https://app.example/a",
            "https://app.example?",
            "https://app.example#",
            "https://app.example.",
            "https://.app.example",
            "https://app..example",
            "https://app.example.evil.com",
            "https://evilapp.example",
            "https://evil.app.example",
            "https://app.example@evil",
            "https://evil@app.example",
            "https://app.example%00.evil",
            "https://app%2eexample",
            "https://app.example\0",
            "https://app.example\u{3002}evil",
            "https://аpp.example",
            "https://app.example\\.evil",
            "https://app.example:80",
            "https://app.example:",
            "https://app.example:0443",
            "https://app.example:+443",
            "https://app.example:443:443",
            "https://app.example:65979",
            "https://app.example:443/",
            "https:app.example",
            "https:///app.example",
            "://app.example",
            "app.example",
            " https://app.example",
            "https://app.example ",
            "https://app.example\t",
            "\thttps://app.example",
            "https://app.example https://evil.example",
            "https://evil.example https://app.example",
            "https://app.example,https://evil.example",
            "https://app.example\r\n",
            "view-source:https://app.example",
            "blob:https://app.example",
        ],
    );
    assert!(!origins(&["https://app.example"]).allow(b"https://app.example\xff"));
}

#[test]
fn a_port_is_part_of_an_origin() {
    allows(
        &["https://app.example:8443", "http://app.example:80"],
        &["https://app.example:8443", "http://app.example", "http://app.example:80"],
        &["https://app.example", "http://app.example:8443", "https://app.example:18443"],
    );
    allows(
        &["http://localhost:*"],
        &["http://localhost", "http://localhost:3000", "http://localhost:0"],
        &["https://localhost:3000", "http://localhost:*", "http://localhost:", "http://localhost:3000.evil"],
    );
}

#[test]
fn a_wildcard_takes_labels_and_never_none() {
    allows(
        &["https://*.app.example"],
        &[
            "https://a.app.example",
            "https://a.b.app.example:443",
            "https://A.APP.EXAMPLE",
            "https://a_b-c.app.example",
        ],
        &[
            "https://app.example",
            "https://.app.example",
            "https://a..app.example",
            "https://*.app.example",
            "https://evilapp.example",
            "https://a.app.example.",
            "https://a.app.example.evil.com",
            "https://evil.com/.app.example",
            "https://evil.com#.app.example",
            "https://evil.com:80.app.example",
            "https://evil@a.app.example",
            "https://a.app.example:8443",
            "http://a.app.example",
        ],
    );
}

#[test]
fn addresses_are_compared_as_addresses() {
    allows(
        &["http://[::1]:3000", "http://127.0.0.1:*"],
        &["http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000", "http://127.0.0.1:5173", "http://127.0.0.1"],
        &[
            "http://[::1]",
            "http://::1:3000",
            "http://[::1]3000",
            "http://[::1]:3000]",
            "http://[::1%25eth0]:3000",
            "http://127.1",
            "http://0x7f.0.0.1",
            "http://2130706433",
        ],
    );
}

#[test]
fn schemes_beside_the_web_have_hosts_of_their_own() {
    allows(
        &["vscode-webview://*", "chrome-extension://abcdefghijklmnop", "null"],
        &["vscode-webview://1a2b3c-4d", "chrome-extension://abcdefghijklmnop", "null"],
        &[
            "vscode-webview://",
            "vscode-webview://a/b",
            "vscode-webview://a:1",
            "chrome-extension://abcdefghijklmnopq",
            "moz-extension://abcdefghijklmnop",
            "Null",
            "null null",
            "https://null",
        ],
    );
    allows(&[], &[], &["null", "", "https://app.example"]);
}

#[test]
fn a_pattern_that_matches_nothing_or_everything_is_refused() {
    for (text, expected) in [
        ("*", "leave authentication.origins out"),
        ("", "does not begin with a scheme"),
        ("app.example", "does not begin with a scheme"),
        ("*://app.example", "does not begin with a scheme"),
        ("https://bücher.example", "punycode"),
        ("wss://app.example", "where its page came from"),
        ("https://app.example/", "ends in a slash"),
        ("https://app.example/a", "has more than a scheme"),
        ("https://app.example/a/", "has more than a scheme"),
        ("https://app.example?a", "has more than a scheme"),
        ("https://app.example#a", "has more than a scheme"),
        ("https://user@app.example", "a user name"),
        ("https://user:pass@app.example", "a user name"),
        ("https://app.example:", "has a port"),
        ("https://app.example:080", "has a port"),
        ("https://app.example:65536", "has a port"),
        ("https://app.example:https", "has a port"),
        ("https://", "has a host that is neither"),
        ("https://*", "every page of that scheme"),
        ("https://*:8443", "every page of that scheme"),
        ("https://*.example", "before a single label"),
        ("https://a*.app.example", "has a host that is neither"),
        ("https://*.*.example", "has a host that is neither"),
        ("https://*.", "has a host that is neither"),
        ("https://*.0.0.1", "has a host that is neither"),
        ("https://*.[::1]", "has a host that is neither"),
        ("https://127.1", "has a host that is neither"),
        ("https://[::1", "has a host that is neither"),
        ("https://app.example.", "has a host that is neither"),
        ("https://app example", "has a host that is neither"),
        ("https://app.example https://b.example", "has more than a scheme"),
        ("file://", "has a host that is neither"),
    ] {
        let found = pattern(text).map_or_else(|found| found, |_| "accepted".to_owned());
        assert!(found.contains(expected) && found.contains("; "), "{text:?}: {found}");
    }
}

proptest! {
    /// The parser of the WHATWG URL standard, which browsers use, is the judge.
    #[test]
    fn what_is_allowed_is_that_origin_in_a_browser(
        start in "(https://|http://|HTTPS://|ws://|https:)",
        host in "([a-c@%/\\\\:#?.\\[\\] \\t]{0,3}|app\\.|a\\.|evil)?(app\\.example|APP\\.example)([.:/@#?%\\\\]?[0-9a-z.]{0,4})?",
    ) {
        let text = format!("{start}{host}");
        let origin = |text: &str| url::Url::parse(text).map(|url| url.origin());
        if origins(&["https://app.example"]).allow(text.as_bytes()) {
            prop_assert_eq!(origin(&text), origin("https://app.example"), "{}", text);
        }
        if origins(&["https://*.app.example:*"]).allow(text.as_bytes()) {
            let url = url::Url::parse(&text).unwrap();
            prop_assert!(url.scheme() == "https" && url.host_str().unwrap().ends_with(".app.example"), "{}", text);
        }
    }

    #[test]
    fn what_a_browser_sends_is_allowed_by_its_own_name(
        host in "[a-z][a-z0-9-]{0,8}(\\.[a-z]{1,5}){0,3}", port in prop::option::of(any::<u16>()), secure: bool,
    ) {
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        let written = format!("{}://{host}{port}", if secure { "https" } else { "http" });
        let Ok(url) = url::Url::parse(&written) else { return Ok(()) };
        let sent = url.origin().ascii_serialization();
        prop_assert!(origins(&[&written]).allow(sent.as_bytes()), "{} by {}", sent, written);
        prop_assert!(origins(&[&sent]).allow(sent.as_bytes()));
        let with_slash = format!("{sent}/");
        prop_assert!(!origins(&[&sent]).allow(with_slash.as_bytes()));
    }

    #[test]
    fn nothing_at_all_can_bring_it_down(origin in prop::collection::vec(any::<u8>(), 0..60), text in ".{0,40}") {
        origins(&["https://*.app.example", "null"]).allow(&origin);
        if let Ok(pattern) = pattern(&text) {
            Origins::new(vec![pattern]).allow(&origin);
        }
    }
}
