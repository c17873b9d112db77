use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{Config, Cookies, Endpoint, LogFormat, Mode, PlainRequests, Sink};

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())));
    match Config::parse(text, variables) {
        Ok(loaded) => Ok(loaded.config),
        Err(problems) => {
            Err(problems.iter().map(|problem| problem.render("gateway.toml").to_string()).collect())
        }
    }
}

#[track_caller]
fn problems(text: &str, expected: &[&str]) {
    assert_eq!(parse(text, &[]).unwrap_err(), expected);
}

#[test]
fn an_empty_file_is_the_default() {
    let config = parse("", &[]).unwrap();
    assert_eq!(config.listen.address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.handshake.parameters, ["session_api_key"]);
    assert_eq!((config.limits.idle_timeout, config.limits.lifetime), (None, None));
    assert_eq!(config.limits.vanished_timeout, Some(Duration::from_secs(300)));
    assert_eq!(config.drain.spread, Duration::from_secs(5));
    assert_eq!(config.limits.response_timeout, Duration::from_secs(900));
    assert_eq!(config.access_log.sink, Sink::Stdout);
}

#[test]
fn the_file_of_the_repository_is_the_default_written_out() {
    let text = include_str!("../../gateway.toml");
    assert_eq!(parse(text, &[]).unwrap(), parse("", &[]).unwrap());
}

#[test]
fn every_key_is_read() {
    let config = parse(
        r#"
        [listen]
        address = "[::1]:8443"
        tls = { certificate = "c.pem", private_key_file = "k.pem" }
        trusted_proxies = ["10.1.2.3/8", "192.0.2.7"]
        [upstream]
        url = "https://agent.example"
        ca_file = "roots.pem"
        [handshake]
        field = "Authorization"
        parameters = ["token", "session_api_key"]
        prefix = "Bearer "
        plain_requests = "promote"
        [authentication]
        mode = "pass-through"
        [access_log]
        path = "/var/log/hushgate/access.log"
        format = "text"
        show = ["resend_mode"]
        [admin]
        address = "0.0.0.0:9090"
        [limits]
        head_timeout = "1s"
        head_size = "16KiB"
        head_fields = 50
        connections = 7
        connect_timeout = "2s"
        handshake_timeout = "3s"
        response_timeout = "1h"
        idle_timeout = "10m"
        failed_attempts_per_minute = 0
        [drain]
        delay = "5s"
        timeout = "1m"
        close_code = 1001
        "#,
        &[],
    )
    .unwrap();
    let tls = config.listen.tls.unwrap();
    assert_eq!((tls.certificate, tls.private_key_file), (PathBuf::from("c.pem"), PathBuf::from("k.pem")));
    assert_eq!(config.listen.trusted_proxies[0].to_string(), "10.0.0.0/8");
    assert_eq!(config.listen.trusted_proxies[1].to_string(), "192.0.2.7/32");
    let Endpoint::Tls(agent) = config.upstream.endpoint else { panic!("not https") };
    assert_eq!((agent.host.as_str(), agent.port), ("agent.example", 443));
    assert_eq!(config.handshake.field_spelling, "Authorization");
    assert_eq!(config.handshake.plain_requests, PlainRequests::Promote);
    assert_eq!(config.access_log.format, LogFormat::Text);
    assert_eq!(config.limits.head_size, 16 * 1024);
    assert_eq!(config.limits.idle_timeout, Some(Duration::from_secs(600)));
    assert_eq!(config.drain.close_code, 1001);
}

#[test]
fn all_problems_are_shown_with_their_places() {
    problems(
        "[listen]\naddress = \"0.0.0.0\"\n\n[upsteam]\nurl = \"x\"\n[limits]\nconnections = \"many\"\n  paths = 1\n",
        &[
            "gateway.toml:2:11: listen.address: has no port; write the address and the port, for example \
             \"0.0.0.0:8080\" or \"[::]:8080\"",
            "gateway.toml:4:2: upsteam: unknown key; did you mean `upstream`?",
            "gateway.toml:7:15: limits.connections: expected an integer, found a string; write connections = 10000",
            "gateway.toml:8:3: limits.paths: unknown key; known here: head_timeout, connect_timeout, \
             handshake_timeout, response_timeout, head_size, head_fields, connections, idle_timeout, \
             lifetime, vanished_timeout, failed_attempts_per_minute, unverified_sockets, \
             unverified_sockets_per_address",
        ],
    );
}

#[test]
fn what_is_not_toml_is_placed() {
    let found = parse("[listen]\naddress = \n[drain]\ntimeout = 5\n", &[]).unwrap_err();
    assert!(found[0].starts_with("gateway.toml:2:11: this is not TOML: "), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("gateway.toml:4:11: drain.timeout: ")), "{found:?}");
    problems("[drain]\n[drain]\n", &["gateway.toml:2:2: this is not TOML: duplicate key"]);
}

#[test]
fn a_problem_never_repeats_a_value() {
    for line in [
        "[listen]\naddress = \"s3cr3t\"",
        "[listen]\ntls = \"s3cr3t\"",
        "[listen]\ntrusted_proxies = [\"s3cr3t\", 5]",
        "[upstream]\nurl = \"http://u:s3cr3t@h\"",
        "[upstream]\nurl = \"s3cr3t\"",
        "[upstream]\ncredential_file = \"s3cr3t\"",
        "[handshake]\nfield = \"s3cr3t s3cr3t\"",
        "[handshake]\nplain_requests = \"s3cr3t\"",
        "[handshake]\nprefix = \" s3cr3t\"",
        "[authentication]\nmode = \"s3cr3t\"",
        "[authentication]\norigins = [\"https://s3cr3t@s3cr3t/\"]",
        "[authentication]\nopen_paths = [\"s3cr3t\"]",
        "[authentication]\ndeny_paths = [\"/s3cr3t/\"]",
        "[authentication]\nrefuse_query_after = \"s3cr3t\"",
        "[access_log]\nshow = \"s3cr3t\"",
        "[limits]\nhead_size = \"s3cr3t\"",
        "[limits]\nhead_timeout = \"s3cr3t\"",
        "[drain]\nclose_code = \"s3cr3t\"",
        "x = \"s3cr3t\"\"",
        "[listen]\naddress = s3cr3t",
    ] {
        let found = parse(line, &[]).unwrap_err().join("\n");
        assert!(!found.contains("s3cr3t") && found.contains(';') | found.contains("TOML"), "{found}");
    }
}

#[test]
fn values_that_cannot_be_served_are_named() {
    let found = |table: &str, line: &str| {
        let found = parse(&format!("[{table}]\n{line}"), &[]);
        found.map_or_else(|found| found.join("\n"), |_| "accepted".to_owned())
    };
    for (table, line, expected) in [
        ("listen", "address = \":8080\"", "has no address"),
        ("listen", "address = \"localhost:8080\"", "is not an IP address with a port"),
        ("listen", "tls = { certificate = \"c\" }", "listen.tls.private_key_file: is missing"),
        (
            "listen",
            "tls = { certificate = \"c\", private_key_fil = \"k\" }",
            "did you mean `private_key_file`?",
        ),
        ("upstream", "url = \"ftp://h\"", "a scheme that is not served"),
        ("upstream", "url = \"http://h/base\"", "has more than a scheme"),
        ("upstream", "url = \"https://a*.example\"", "has a host that is no name"),
        ("upstream", "url = \"unix:socket\"", "names no absolute path"),
        ("upstream", "ca_file = \"c\"", "only for an https upstream"),
        ("handshake", "field = \"Host\"", "a meaning of its own"),
        ("handshake", "field = \"X_Key\"", "write it with `-`"),
        ("handshake", "parameters = []", "has no name that can be used"),
        ("handshake", "parameters = [\"\"]", "is empty"),
        ("authentication", "mode = \"required\"", "write \"pass-through\" or \"require\""),
        ("authentication", "mode = \"require\"", "authentication.keyring: is missing"),
        ("authentication", "mode = \"require\"", "write credential_file = \"agent-server-credential\""),
        ("authentication", "keyring = \"k\"", "only with authentication.mode = \"require\""),
        ("authentication", "open_paths = []", "only with authentication.mode = \"require\""),
        ("authentication", "deny_paths = []", "only with authentication.mode = \"require\""),
        ("authentication", "signing_key_file = \"k\"", "only with authentication.mode = \"require\""),
        ("authentication", "cookie_lifetime = \"1h\"", "only with authentication.mode = \"require\""),
        ("authentication", "cookie_lifetime = \"1ms\"", "shorter than a second"),
        (
            "authentication",
            "signing_key_file = \"s\"\ndeny_paths = [\"/api/auth\"]",
            "where callers get cookies",
        ),
        ("authentication", "first_message = \"accept\"", "only with authentication.mode = \"require\""),
        ("authentication", "origins = [\"*\"]", "leave authentication.origins out"),
        ("authentication", "refuse_query_after = 2027-01-01T00:00:00", "does not say where on Earth"),
        ("authentication", "refuse_query_after = 2027-01-01", "only one of a date and a time"),
        ("authentication", "refuse_query_after = \"soon\"", "is not a date and a time"),
        ("authentication", "refuse_query_after = 5", "found an integer; write refuse_query_after = 2027"),
        ("authentication", "mode = 2027-01-01T00:00:00Z", "found a date"),
        ("upstream", "credential_file = \"c\"", "only with authentication.mode = \"require\""),
        ("access_log", "show = [\"session_api_key\"]", "is never logged"),
        ("admin", "address = \"127.0.0.1:8080\"", "is taken by listen.address"),
        ("limits", "connect_timeout = \"0s\"", "is no time at all"),
        ("limits", "connect_timeout = 5", "expected a string in quotes, found an integer"),
        ("limits", "response_timeout = \"3000d\"", "longer than a year"),
        ("limits", "head_size = \"64KB\"", "is not a size"),
        ("limits", "head_size = \"9GiB\"", "is out of range"),
        ("limits", "head_fields = 0", "from 1 to 240"),
        ("limits", "connections = -1", "from 1 to"),
        ("drain", "close_code = 1005", "is neither 1001"),
        ("nonsense", "a = 1", "known here: "),
    ] {
        let found = found(table, line);
        assert!(found.contains(expected), "{table} {line}: {found}");
    }
}

/// What deciding at the gateway takes.
const REQUIRE: &str =
    "[upstream]\ncredential_file = \"c\"\n[authentication]\nmode = \"require\"\nkeyring = \"k\"\n";

#[test]
fn the_parameter_of_tickets_is_no_other() {
    let text = format!("[handshake]\nparameters = [\"session_api_key\", \"ticket\"]\n{REQUIRE}");
    let found = parse(&text, &[]).unwrap_err();
    assert!(found[0].contains("handshake.parameters: has the name by which tickets"), "{found:?}");
    assert!(parse("[handshake]\nparameters = [\"ticket\"]", &[]).is_ok());
}

#[test]
fn the_gateway_decides_by_files() {
    let Mode::Require(require) = parse(REQUIRE, &[]).unwrap().authentication.mode else {
        panic!("it does not")
    };
    assert_eq!((require.keyring, require.credential_file), (PathBuf::from("k"), PathBuf::from("c")));
    assert!(require.open_paths.iter().any(|path| path.is_of(b"/server_info?x")));
    assert_eq!((require.open_paths.len(), require.deny_paths.len()), (4, 4));
    assert_eq!(require.cookies, None);
    let Mode::Require(require) =
        parse(&format!("{REQUIRE}signing_key_file = \"s\""), &[]).unwrap().authentication.mode
    else {
        panic!("it does not")
    };
    let lifetime = Duration::from_secs(12 * 3600);
    assert_eq!(require.cookies, Some(Cookies { signing_key_file: PathBuf::from("s"), lifetime }));
    assert!(!require.deny_paths.iter().any(|path| path.covers(b"/api/auth/workspace-session")));
    for (more, expected) in [
        ("signing_key_file = \"c\"", "is upstream.credential_file"),
        ("cookie_lifetime = \"1h\"", "only with authentication.signing_key_file"),
    ] {
        let found = parse(&format!("{REQUIRE}{more}"), &[]).unwrap_err();
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
    let more = format!("{REQUIRE}open_paths = []\ndeny_paths = [\"/api/vscode/url\"]\norigins = []\n");
    let authentication = parse(&more, &[]).unwrap().authentication;
    assert!(!authentication.origins.unwrap().allow(b"https://app.example"), "an empty list allows nobody");
    let Mode::Require(require) = authentication.mode else { panic!("it does not") };
    assert!(require.open_paths.is_empty() && require.deny_paths[0].covers(b"/api/vscode/url"));
    assert_eq!(
        parse(&format!("[handshake]\nplain_requests = \"forward\"\n{REQUIRE}"), &[]).unwrap_err(),
        [
            "gateway.toml:2:18: handshake.plain_requests: would take callers' credentials to the agent server's log, \
          which authentication.mode = \"require\" keeps them from; write \"strip\" or \"promote\""
        ]
    );
    problems(
        "[upstream]\n[authentication]\nmode = \"require\"\n",
        &[
            "gateway.toml:1:2: upstream.credential_file: is missing, and the agent server gets no other credential \
             than this file's; write credential_file = \"agent-server-credential\"",
            "gateway.toml:2:2: authentication.keyring: is missing, and callers are verified against this file's \
             entries; write keyring = \"keyring.toml\"",
        ],
    );
}

#[test]
fn a_moment_is_the_same_however_it_is_written() {
    let refused = |value: &str| {
        let text = format!("[authentication]\nrefuse_query_after = {value}\n");
        parse(&text, &[]).unwrap().authentication.refuse_query_after.unwrap()
    };
    let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_798_761_600);
    for value in [
        "2027-01-01T00:00:00Z",
        "2027-01-01 00:00:00z",
        "2027-01-01T00:00Z",
        "2027-01-01T02:30:00+02:30",
        "2026-12-31T19:00:00.000-05:00",
        "\"2027-01-01T00:00:00Z\"",
        "\"2027-01-01T01:00:00+01:00\"",
    ] {
        assert_eq!(refused(value), expected, "{value}");
    }
    let variable = [("HUSHGATE_AUTHENTICATION__REFUSE_QUERY_AFTER", "2027-01-01T00:00:00Z")];
    assert_eq!(parse("", &variable).unwrap().authentication.refuse_query_after, Some(expected));
    for value in ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "2027-02-30T00:00:00Z"] {
        assert!(
            parse(&format!("[authentication]\nrefuse_query_after = \"{value}\""), &[]).is_err(),
            "{value}"
        );
    }
}

#[test]
fn a_long_file_is_read_in_no_time() {
    let text: String = (0..20_000).map(|number| format!("key{number} = 1\n")).collect();
    let found = parse(&text, &[]).unwrap_err();
    assert_eq!(found.len(), 20_000);
    assert!(found.last().unwrap().starts_with("gateway.toml:20000:"), "{:?}", found.last());
}

#[test]
fn the_environment_overrides_single_keys() {
    let config = parse(
        "[upstream]\nurl = \"http://a:1\"\n[limits]\nconnections = 5\n",
        &[
            ("HUSHGATE_UPSTREAM__URL", "http://[::1]:2"),
            ("HUSHGATE_LIMITS__CONNECTIONS", "6"),
            ("HUSHGATE_LISTEN__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7"),
            ("HUSHGATE_LISTEN__TLS__CERTIFICATE", "c"),
            ("HUSHGATE_LISTEN__TLS__PRIVATE_KEY_FILE", "k"),
            ("HUSHGATE_PORT", "tcp://10.0.0.1:80"),
            ("HUSHGATE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ],
    )
    .unwrap();
    let Endpoint::Tcp(agent) = config.upstream.endpoint else { panic!("not http") };
    assert_eq!((agent.host.as_str(), agent.port), ("::1", 2));
    assert_eq!(config.limits.connections, 6);
    assert_eq!(config.listen.trusted_proxies.len(), 2);
    assert!(config.listen.tls.is_some());
    assert_eq!(
        parse("", &[("HUSHGATE_LIMITS__CONECTIONS", "6"), ("HUSHGATE_LISTEN__ADDRESS", "nowhere")])
            .unwrap_err(),
        [
            "HUSHGATE_LIMITS__CONECTIONS: limits.conections: unknown key; did you mean `connections`?",
            "HUSHGATE_LISTEN__ADDRESS: listen.address: is not an IP address with a port; write for example \
             \"127.0.0.1:8080\" or \"[::1]:8080\"",
        ]
    );
    let deep = format!("HUSHGATE_A{}", "__A".repeat(20_000));
    assert!(parse("", &[(&deep, "")]).unwrap_err()[0].ends_with("names no key; write HUSHGATE_TABLE__KEY"));
    let not_utf8 = Config::parse("", [("HUSHGATE_UPSTREAM__URL".to_owned(), None)]).unwrap_err();
    assert_eq!(
        not_utf8[0].render("gateway.toml").to_string(),
        "HUSHGATE_UPSTREAM__URL: upstream.url: the value is not UTF-8"
    );
}
