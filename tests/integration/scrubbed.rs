use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};

use self::samples::{HARMLESS, SAMPLES};
use crate::harness::{
    CANARY,
    canary::{assert_silent, percent_encoded},
};

mod samples;

/// The SHA-256 of the canary, as `sha256sum` prints it.
const CANARY_DIGEST: &str = "78cb96bc45e18270321522db146c7a6253932ce3247d3d8e081c818da01a022e";

/// Runs `hushgate scrub` with these arguments on this input.
fn scrub(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hushgate"))
        .arg("scrub")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_silent("standard output", &output.stdout);
    assert_silent("standard error", &output.stderr);
    output
}

/// On standard input alone, in a folder where nothing is.
fn scrub_input(arguments: &[&str], input: &[u8]) -> Output {
    scrub(tempfile::tempdir().unwrap().path(), arguments, input)
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A sample with credentials in it, and without.
fn filled(sample: &str) -> (String, String) {
    let base64 = URL_SAFE_NO_PAD.encode(format!("user:{CANARY}"));
    let given =
        sample.replace("{K}", CANARY).replace("{E}", &percent_encoded(CANARY)).replace("{B}", &base64);
    // Of user information nothing stays.
    let hidden = sample.replace("user:{K}@", "{K}@").replace("{K}:x-oauth-basic@", "{K}@");
    let hidden = hidden.replace("u%3A{K}%40", "{K}%40");
    (given, hidden.replace("{K}", "REDACTED").replace("{E}", "REDACTED").replace("{B}", "REDACTED"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn a_query_is_scrubbed_and_nothing_else_changes() {
    let line =
        |value: &str| format!("192.0.2.7 \"GET /x?a=b&session_api_key={value}&c HTTP/1.1\" \u{e9}\r\n");
    let output = scrub_input(&[], line(CANARY).as_bytes());
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), line("REDACTED"));
    assert_eq!(said(&output), "hushgate scrub: 1 credential replaced: session_api_key 1\n");
}

#[test]
fn no_product_leaks_and_every_other_byte_stays() {
    for (product, sample) in SAMPLES {
        let (given, expected) = filled(sample);
        let output = scrub_input(&[], given.as_bytes());
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{product}");
        let again = scrub_input(&[], &output.stdout);
        assert_eq!(again.stdout, output.stdout, "{product}");
        assert_eq!(said(&again), "hushgate scrub: 0 credentials replaced\n", "{product}");
    }
}

#[test]
fn what_holds_no_credential_is_the_same_byte_for_byte() {
    let output = scrub_input(&[], HARMLESS);
    assert_eq!(output.stdout, HARMLESS);
    assert_eq!(said(&output), "hushgate scrub: 0 credentials replaced\n");
}

#[test]
fn files_come_out_in_order_and_gzip_stays_gzip() {
    let folder = tempfile::tempdir().unwrap();
    let (given, expected) = filled(SAMPLES[0].1);
    // As log rotation and `cat` make them: of several members.
    let members = [gzip(given.as_bytes()), gzip(HARMLESS)].concat();
    fs::write(folder.path().join("a.log"), &given).unwrap();
    fs::write(folder.path().join("b.log.gz"), &members).unwrap();
    let output = scrub(folder.path(), &["a.log", "-"], HARMLESS);
    assert_eq!(output.stdout, [expected.as_bytes(), HARMLESS].concat());
    for output in [scrub(folder.path(), &["b.log.gz"], b""), scrub(folder.path(), &[], &members)] {
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(gunzip(&output.stdout), [expected.as_bytes(), HARMLESS].concat());
    }
}

#[test]
fn a_gzip_file_that_is_not_whole_is_an_error_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = gzip(filled(SAMPLES[0].1).0.as_bytes());
    let cut = &whole[..whole.len() - 9];
    let mut damaged = whole.clone();
    damaged[whole.len() - 6] ^= 1;
    for (bytes, word) in
        [(cut, "ends too early"), (&damaged, "damaged"), (&[&whole, HARMLESS].concat(), "damaged")]
    {
        fs::write(folder.path().join("a.gz"), bytes).unwrap();
        for arguments in [&["a.gz"][..], &["--in-place", "a.gz"], &["--check", "a.gz"]] {
            let output = scrub(folder.path(), arguments, b"");
            assert_eq!(output.status.code(), Some(74), "{arguments:?}");
            assert!(said(&output).starts_with("hushgate scrub: a.gz: the gzip data "), "{}", said(&output));
            assert!(said(&output).contains(word), "{}", said(&output));
        }
        assert_eq!(fs::read(folder.path().join("a.gz")).unwrap(), bytes);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // What there is of it comes out.
        assert!(gunzip(&scrub(folder.path(), &["a.gz"], b"").stdout).starts_with(b"192.0.2.7 - -"));
    }
}

#[test]
fn check_says_where_and_how_many() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), format!("a\nb\n?api_key={CANARY}&token={CANARY}\nc\n")).unwrap();
    fs::write(folder.path().join("b.log"), HARMLESS).unwrap();
    let output = scrub(folder.path(), &["--check", "a.log", "b.log"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let expected = "hushgate scrub: a.log:3: api_key\nhushgate scrub: a.log:3: token\n\
                    hushgate scrub: 2 credentials found: api_key 1, token 1\n";
    assert_eq!(said(&output), expected);
    let output = scrub(folder.path(), &["--check", "b.log"], b"");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b""[..]));
    assert_eq!(scrub(folder.path(), &["--check", "missing.log"], b"").status.code(), Some(74));
}

#[test]
fn a_report_names_digests_and_never_a_credential() {
    let text = format!("?session_api_key={CANARY}\n?session_api_key={CANARY}\n?api_key=short\n");
    let output = scrub_input(&["--report"], text.as_bytes());
    let expected = format!(
        "hushgate scrub: 3 credentials replaced: api_key 1, session_api_key 2\n\
         hushgate scrub:        2 session_api_key sha256:{CANARY_DIGEST}\n\
         hushgate scrub:        1 api_key shorter than 16 bytes; a digest would give it away\n"
    );
    assert_eq!(said(&output), expected);
}

#[test]
fn a_known_credential_is_replaced_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let known = format!("# leaked in November\n\n{CANARY_DIGEST}  -\n");
    fs::write(folder.path().join("known"), known).unwrap();
    let encoded = percent_encoded(CANARY);
    let text = format!("/s/{CANARY}/x {{{CANARY}|a}} q={CANARY}\n{encoded} other=value {CANARY}");
    for arguments in [&["--sha256", CANARY_DIGEST][..], &["--known", "known"]] {
        let output = scrub(folder.path(), arguments, text.as_bytes());
        let expected = "/s/REDACTED/x {REDACTED|a} q=REDACTED\nREDACTED other=value REDACTED";
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert_eq!(said(&output), "hushgate scrub: 5 credentials replaced: known value 5\n");
    }
}

#[test]
fn in_place_keeps_what_a_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.log");
    let (given, expected) = filled(SAMPLES[0].1);
    fs::write(&file, given).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let output = scrub(folder.path(), &["--in-place", "a.log"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(output.stdout.is_empty());
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    let after = fs::metadata(&file).unwrap();
    assert_eq!((after.mode() & 0o7777, after.modified().unwrap()), (0o640, time));
    // Nothing to do: the file is the same one.
    scrub(folder.path(), &["--in-place", "a.log"], b"");
    assert_eq!(fs::metadata(&file).unwrap().ino(), after.ino());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn in_place_refuses_what_it_could_harm() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("?session_api_key={CANARY}\n");
    let file = folder.path().join("a.log");
    fs::write(&file, &text).unwrap();
    symlink("a.log", folder.path().join("link")).unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for (name, word) in [("link", "symbolic link"), ("folder", "regular file"), ("-", "standard input")] {
        let output = scrub(folder.path(), &["--in-place", name], b"");
        assert_eq!(output.status.code(), Some(74));
        assert!(said(&output).contains(word), "{}", said(&output));
    }
    fs::hard_link(&file, folder.path().join("other")).unwrap();
    let output = scrub(folder.path(), &["--in-place", "a.log"], b"");
    assert!(said(&output).contains("hard link"), "{}", said(&output));
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(fs::symlink_metadata(folder.path().join("link")).unwrap().is_symlink());
}

#[test]
fn names_come_from_arguments_and_from_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("?ticket={CANARY}&a=b X-Custom: {CANARY} c\n");
    let expected = "?ticket=REDACTED&a=b X-Custom: REDACTED c\n";
    let configuration = "[handshake]\nparameters = [\"ticket\"]\nfield = \"X-Custom\"\n";
    fs::write(folder.path().join("g.toml"), configuration).unwrap();
    for arguments in [&["--parameter", "ticket", "--field", "X-Custom"][..], &["--config", "g.toml"]] {
        assert_eq!(
            String::from_utf8_lossy(&scrub(folder.path(), arguments, text.as_bytes()).stdout),
            expected
        );
    }
    fs::write(folder.path().join("g.toml"), "[handshake]\nfield = 5\n").unwrap();
    assert_eq!(scrub(folder.path(), &["--config", "g.toml"], b"").status.code(), Some(78));
    for arguments in
        [&["--parameter", "a b"][..], &["--sha256", "abc"], &["--check", "--in-place", "a"], &["--in-place"]]
    {
        assert_eq!(scrub(folder.path(), arguments, b"").status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn a_line_comes_out_as_soon_as_it_is_whole_and_a_reader_may_leave() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hushgate"))
        .arg("scrub")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(format!("?session_api_key={CANARY}\nhalf a li").as_bytes()).unwrap();
    let mut line = [0; 26];
    stdout.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"?session_api_key=REDACTED\n");
    drop(stdout);
    stdin.write_all(b"ne\nand more\n").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(said(&output), "hushgate scrub: 1 credential replaced: session_api_key 1\n");
}
