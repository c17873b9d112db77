use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::harness::{CANARY, canary::assert_silent, tls};

/// Runs the built command in `folder`.
fn hushgate(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_hushgate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert_silent("standard output", &output.stdout);
    assert_silent("standard error", &output.stderr);
    output
}

/// What `check` says of this configuration: its exit code, and the lines on standard error.
fn check(text: &str) -> (Option<i32>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    check_in(folder.path(), text, &[])
}

fn check_in(folder: &Path, text: &str, variables: &[(&str, &str)]) -> (Option<i32>, Vec<String>) {
    fs::write(folder.join("gateway.toml"), text).unwrap();
    let output = hushgate(folder, &["check"], variables);
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said.lines().map(str::to_owned).collect())
}

/// One mistake is found at this place, and the message holds every one of `words`.
#[track_caller]
fn finds(text: &str, place: &str, words: &[&str]) {
    let (code, lines) = check(text);
    assert_eq!(code, Some(78), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with(&format!("gateway.toml:{place}: ")), "{}", lines[0]);
    for word in words {
        assert!(lines[0].contains(word), "{word:?} in {}", lines[0]);
    }
    assert_eq!(lines[1], "1 problem found");
}

#[test]
fn a_valid_file_passes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), "").unwrap();
    let output = hushgate(folder.path(), &["check"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "gateway.toml: no problem found\n");
    assert!(output.stderr.is_empty());
}

#[test]
fn two_mistakes_are_found_at_once() {
    let (code, lines) =
        check("[listen]\naddress = \"127.0.0.1\"\n\n[drain]\nclose_cod = 1001\ntimeout = 30\n");
    assert_eq!(code, Some(78));
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("gateway.toml:2:11: listen.address: "), "{lines:?}");
    assert!(
        lines[1].starts_with("gateway.toml:5:1: drain.close_cod: unknown key; did you mean `close_code`?"),
        "{lines:?}"
    );
    assert!(lines[2].starts_with("gateway.toml:6:11: drain.timeout: "), "{lines:?}");
    assert_eq!(lines[3], "3 problems found");
}

#[test]
fn each_mistake_is_named_with_what_to_write() {
    finds(
        "[handshake]\nparameter = [\"token\"]\n",
        "2:1",
        &["handshake.parameter", "did you mean `parameters`?"],
    );
    finds("[listne]\naddress = \"127.0.0.1:80\"\n", "1:2", &["listne", "did you mean `listen`?"]);
    finds("[limits]\nhead_fields = \"many\"\n", "2:15", &["limits.head_fields", "100"]);
    finds("[limits]\nhead_timeout = 15\n", "2:16", &["limits.head_timeout", "\"15s\""]);
    finds("[listen]\naddress = \"127.0.0.1\"\n", "2:11", &["listen.address", "0.0.0.0:8080"]);
    finds("[upstream]\nurl = \"ws://127.0.0.1:8000\"\n", "2:7", &["upstream.url", "http://127.0.0.1:8000"]);
    finds("[listen]\naddress = \"127.0.0.1:80\n", "2:24", &["this is not TOML"]);
    finds("upstream = 5\n", "1:12", &["upstream", "expected a table"]);
}

#[test]
fn no_value_is_ever_shown() {
    for text in [
        format!("[listen]\naddress = \"{CANARY}\"\n"),
        format!("[upstream]\nurl = \"http://user:{CANARY}@127.0.0.1:8000\"\n"),
        format!("[upstream]\nurl = \"{CANARY}\"\n"),
        format!("[handshake]\nfield = \"X {CANARY}\"\nparameters = [\"\", 5, \"{CANARY}\", \"{CANARY}\"]\n"),
        format!("[handshake]\nplain_requests = \"{CANARY}\"\nprefix = \"\\u0000{CANARY}\"\n"),
        format!("[limits]\nhead_timeout = \"{CANARY}\"\nhead_size = \"{CANARY}\"\n"),
        format!("[access_log]\nformat = \"{CANARY}\"\nshow = [\"session_api_key\"]\n"),
        format!("[listen]\naddress = \"{CANARY}\n"),
        format!("= \"{CANARY}\"\n"),
        format!("[listen]\ntls = \"{CANARY}\"\ntrusted_proxies = [\"{CANARY}\"]\n"),
        format!("[authentication]\nmode = \"{CANARY}\"\n"),
        format!("[authentication]\nopen_paths = [\"{CANARY}\"]\ndeny_paths = [\"/{CANARY}/\"]\n"),
        format!("[authentication]\norigins = [\"https://{CANARY}/\"]\nrefuse_query_after = \"{CANARY}\"\n"),
    ] {
        let (code, lines) = check(&text);
        assert_eq!(code, Some(78), "{lines:?}");
    }
}

#[test]
fn tls_files_are_read() {
    let authority = tls::Authority::new();
    let (one, two) = (authority.issue("one", &["localhost"]), authority.issue("two", &["localhost"]));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty.pem"), format!("{CANARY}\n")).unwrap();
    let with = |certificate: &Path, private_key: &Path| {
        check_in(
            folder.path(),
            &format!(
                "[listen.tls]\ncertificate = {:?}\nprivate_key_file = {:?}\n",
                certificate.to_str().unwrap(),
                private_key.to_str().unwrap()
            ),
            &[],
        )
    };
    assert_eq!(with(&one.certificate, &one.private_key).0, Some(0));
    let missing = PathBuf::from("missing.pem");
    let empty = folder.path().join("empty.pem");
    for (certificate, private_key, place, config_key, what) in [
        (&missing, &one.private_key, "2:15", "listen.tls.certificate", "cannot read it: entity not found"),
        (
            &one.certificate,
            &missing,
            "3:20",
            "listen.tls.private_key_file",
            "cannot read it: entity not found",
        ),
        (&empty, &one.private_key, "2:15", "listen.tls.certificate", "no certificate in PEM form"),
        (&one.certificate, &empty, "3:20", "listen.tls.private_key_file", "no private key in PEM form"),
        (
            &one.certificate,
            &two.private_key,
            "3:20",
            "listen.tls.private_key_file",
            "not the private key of the first certificate",
        ),
        (&one.private_key, &one.private_key, "2:15", "listen.tls.certificate", "no certificate in PEM form"),
    ] {
        let (code, lines) = with(certificate, private_key);
        assert_eq!(code, Some(78), "{lines:?}");
        assert!(lines[0].starts_with(&format!("gateway.toml:{place}: {config_key}: ")), "{lines:?}");
        assert!(lines[0].contains(what), "{lines:?}");
    }
    let (code, lines) = check_in(folder.path(), "[listen]\ntls = { certificate = \"a.pem\" }\n", &[]);
    assert_eq!(code, Some(78));
    assert!(lines[0].contains("listen.tls.private_key_file: is missing"), "{lines:?}");
    let text = "[upstream]\nurl = \"https://127.0.0.1:1\"\nca_file = \"missing.pem\"\n";
    let (code, lines) = check_in(folder.path(), text, &[]);
    assert_eq!(code, Some(78));
    assert!(lines[0].starts_with("gateway.toml:3:11: upstream.ca_file: missing.pem: "), "{lines:?}");
}

#[test]
fn a_variable_overrides_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let broken = "[upstream]\nurl = \"nonsense\"\n";
    let good = ("HUSHGATE_UPSTREAM__URL", "http://127.0.0.1:1");
    assert_eq!(check_in(folder.path(), broken, &[good]).0, Some(0));
    let unrelated = [("HUSHGATE_PORT", CANARY), ("HUSHGATE_SERVICE_HOST", CANARY)];
    assert_eq!(check_in(folder.path(), "", &unrelated).0, Some(0));
    let (code, lines) = check_in(folder.path(), "", &[("HUSHGATE_LIMITS__HEAD_TIMEOUT", CANARY)]);
    assert_eq!(code, Some(78));
    assert!(lines[0].starts_with("HUSHGATE_LIMITS__HEAD_TIMEOUT: limits.head_timeout: "), "{lines:?}");
    let (code, lines) = check_in(folder.path(), "", &[("HUSHGATE_LIMIT__HEAD_TIMEOUT", "1s")]);
    assert_eq!(code, Some(78), "an override that overrides nothing is a mistake");
    assert!(lines[0].contains("did you mean `limits`?"), "{lines:?}");
}

#[test]
fn a_file_that_is_not_there_is_a_configuration_mistake() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["check", "run"] {
        let output = hushgate(folder.path(), &[command, "--config", "missing.toml"], &[]);
        assert_eq!(output.status.code(), Some(78));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with("missing.toml: cannot be read: entity not found; "), "{text}");
    }
    fs::write(folder.path().join("latin.toml"), b"# caf\xe9\n").unwrap();
    let output = hushgate(folder.path(), &["check", "--config", "latin.toml"], &[]);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn run_makes_the_same_check() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gateway.toml"), format!("[listen]\naddress = \"{CANARY}\"\n")).unwrap();
    let output = hushgate(folder.path(), &["run"], &[("RUST_LOG", "trace")]);
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("gateway.toml:2:11: listen.address: "));
}

#[test]
fn a_wrong_command_line_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["frobnicate"][..], &["check", "--frobnicate"], &[], &["run", "--config"]] {
        assert_eq!(hushgate(folder.path(), arguments, &[]).status.code(), Some(64), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let output = hushgate(folder.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty());
    }
    let version = String::from_utf8(hushgate(folder.path(), &["--version"], &[]).stdout).unwrap();
    assert_eq!(version, format!("hushgate {}\n", env!("CARGO_PKG_VERSION")));
}

/// An option's own name is no secret, and what was wrong with it has to be said.
#[test]
fn a_wrong_command_line_names_the_option() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, words) in [
        (["run", "--config"].as_slice(), "--config <FILE>"),
        (&["leaktest", "--format", "xml"], "invalid value 'xml' for '--format <FORMAT>'"),
        (&["scrub", "--check", "--in-place", "x"], "'--check' cannot be used with '--in-place'"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
    ] {
        let text = String::from_utf8(hushgate(folder.path(), arguments, &[]).stderr).unwrap();
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn what_was_pasted_into_the_wrong_place_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("--{CANARY}={CANARY}");
    let named = format!("session_api_key={CANARY}");
    let stray: [&[&str]; 4] = [&[CANARY], &["run", CANARY], &["check", &long], &["demo", "--once", CANARY]];
    for arguments in stray {
        let output = hushgate(folder.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains('…') && text.contains("Usage:") && !text.contains(CANARY), "{text}");
    }
    // Enough letters for a key that nobody can guess.
    let letters = "qwertzuiopasdfghjklyxcvbnmqwer";
    let values =
        [["leaktest", "--format", letters], ["leaktest", "--settle", letters], ["scrub", "--field", &named]];
    for arguments in values.iter().map(<[&str; 3]>::as_slice).chain([[letters].as_slice()]) {
        let output = hushgate(folder.path(), arguments, &[]);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains('…') && !text.contains(CANARY) && !text.contains(letters), "{text}");
    }
    let name = format!("HUSHGATE_{CANARY}__X");
    for text in [
        format!("\"{CANARY}\" = 1\n[limits]\n\"{CANARY}\" = 2\n"),
        format!("\"{CANARY}\" = 1\n\"{CANARY}\" = 2\n"),
        format!("[listen]\naddress = {CANARY}\n"),
    ] {
        fs::write(folder.path().join("gateway.toml"), text).unwrap();
        let output = hushgate(folder.path(), &["check"], &[(&name, CANARY)]);
        assert_eq!(output.status.code(), Some(78));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("gateway.toml:") && !text.contains(CANARY), "{text}");
    }
}
