use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

use serde_json::Value;

use crate::harness::{Gateway, Upstream, setup::Setup};

/// Runs `hushgate leaktest`.
fn leaktest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hushgate")).arg("leaktest").args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A server that answers 403 to everything, and writes something of each request into a file.
struct Leaky {
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Leaky {
    /// `write` says what of a request is written.
    fn start(write: impl Fn(&str) -> String + Clone + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = folder.path().join("leaky.log");
        fs::write(&log, "a line that was there before\n").unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, write) = (log.clone(), write.clone());
                // Whoever goes away first is not answered.
                thread::spawn(move || drop(answer(stream, &log, &write)));
            }
        });
        Self { address, folder }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("leaky.log")
    }

    fn test(&self, more: &[&str]) -> Output {
        let (url, log) = (format!("http://{}", self.address), self.log());
        let arguments = ["--target", &url, "--watch", log.to_str().unwrap(), "--settle", "500ms"];
        leaktest(&[&arguments, more].concat())
    }
}

fn answer(mut stream: TcpStream, log: &Path, write: &impl Fn(&str) -> String) -> std::io::Result<()> {
    stream.set_read_timeout(Some(std::time::Duration::from_millis(250)))?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 64 * 1024]);
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let Ok(read @ 1..) = stream.read(&mut piece) else { break };
        bytes.extend_from_slice(&piece[..read]);
    }
    let line = write(&String::from_utf8_lossy(&bytes));
    fs::OpenOptions::new().append(true).open(log)?.write_all(line.as_bytes())?;
    stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// The cells of a matrix with this verdict.
fn cells(output: &Output, verdict: &str) -> Vec<Value> {
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(output)));
    let cells = json["cells"].as_array().unwrap();
    cells.iter().filter(|cell| cell["verdict"] == verdict).cloned().collect()
}

#[test]
fn this_program_is_clean_in_every_cell() {
    let output = leaktest(&[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("clean in every cell: ") && !text.contains("skipped"), "{text}");
    assert!(text.contains("our own credential") && text.contains("upstream fields, in require: "), "{text}");
}

#[test]
fn a_leak_is_reported_with_its_place() {
    let leaky = Leaky::start(|request| request.lines().next().unwrap_or_default().to_owned() + "\n");
    let output = leaky.test(&[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let log = leaky.log().display().to_string();
    assert!(
        text.contains(&format!("leaked: query (refused by the upstream) in {log}: line "))
            || text.contains(&format!("leaked: query (answered) in {log}: line ")),
        "{text}"
    );
    assert!(!text.contains("leaked: Cookie"), "only request lines are written:\n{text}");
}

/// What is written of a text.
type Turn = fn(&str) -> String;

#[test]
fn each_form_is_found_in_the_cell_where_it_was_planted() {
    let cookie = |request: &str| {
        let line = request.lines().find(|line| line.starts_with("Cookie: ")).unwrap_or("none");
        let name = "session_api_key=";
        line.split(name).nth(1).unwrap_or_default().to_owned()
    };
    let forms: [(&str, Turn); 5] = [
        ("raw", |canary| canary.to_owned()),
        ("reversed", |canary| canary.chars().rev().collect()),
        ("hex", |canary| canary.bytes().map(|byte| format!("{byte:02x}")).collect()),
        ("percent-encoded", |canary| canary.bytes().map(|byte| format!("%{byte:02X}")).collect()),
        ("base64", |canary| {
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("a{canary}"))
        }),
    ];
    for (form, write) in forms {
        let leaky = Leaky::start(move |request| write(&cookie(request)) + "\n");
        let output = leaky.test(&["--format", "json"]);
        let leaked = cells(&output, "leaked");
        assert!(!leaked.is_empty(), "{form}: {}", text(&output));
        for cell in leaked {
            assert_eq!((&cell["carrier"], &cell["form"]), (&"Cookie".into(), &form.into()), "{cell}");
        }
    }
}

#[test]
fn what_takes_an_upstream_is_named_as_skipped() {
    let leaky = Leaky::start(|_| "silent\n".to_owned());
    let output = leaky.test(&[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for path in ["upstream down", "upstream answers garbage", "upstream times out", "gateway drained"] {
        assert!(text.contains(&format!("skipped: {path}: ")), "{path}:\n{text}");
    }
}

#[test]
fn a_running_gateway_is_clean_with_every_failure_behind_it() {
    // The test wants a port that is free until it listens there itself.
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Setup::before_url(&format!("http://{upstream}"))
        .set("access_log.path", "access.log")
        .set("limits.handshake_timeout", "1s")
        .set("limits.response_timeout", "1s")
        .set("limits.head_timeout", "1s")
        .start();
    let log = gateway.file("access.log");
    let (url, upstream) = (format!("http://{}", gateway.address()), upstream.to_string());
    let output = leaktest(&[
        "--target",
        &url,
        "--watch",
        log.to_str().unwrap(),
        "--upstream",
        &upstream,
        "--settle",
        "500ms",
        "--format",
        "json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(cells(&output, "clean").len() > 1000, "{}", text(&output));
}

#[test]
fn a_log_that_nothing_was_written_to_is_no_result() {
    let upstream = Upstream::answering("HTTP/1.1 403 \r\nContent-Length: 0\r\n\r\n");
    let gateway = Gateway::before(&upstream);
    let elsewhere = gateway.file("elsewhere.log");
    fs::write(&elsewhere, "").unwrap();
    let url = format!("http://{}", gateway.address());
    let output = leaktest(&[
        "--target",
        &url,
        "--watch",
        elsewhere.to_str().unwrap(),
        "--settle",
        "1ms",
        "--patience",
        "500ms",
    ]);
    assert_eq!(output.status.code(), Some(69), "{}", text(&output));
    assert!(
        text(&output).contains("no result: nothing was written to any watched file"),
        "{}",
        text(&output)
    );
}

#[test]
fn a_target_that_cannot_be_reached_is_no_result() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let output = leaktest(&["--target", &format!("http://{free}"), "--watch", log.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(69), "{}", text(&output));
    assert!(text(&output).contains("cannot be reached: connection refused"), "{}", text(&output));
}

#[test]
fn a_file_that_cannot_be_watched_is_no_result() {
    let output = leaktest(&["--target", "http://127.0.0.1:9", "--watch", "/"]);
    assert_eq!(output.status.code(), Some(69), "{}", text(&output));
    assert!(text(&output).contains("--watch: /: it is no regular file"), "{}", text(&output));
}

#[test]
fn a_wrong_command_line_says_what_to_write() {
    for (arguments, says) in [
        (&["--target", "http://127.0.0.1:8080"][..], "--watch"),
        (&["--watch", "a.log"], "--target"),
        (&["--target", "127.0.0.1:8080", "--watch", "a.log"], "write a URL such as http://"),
        (&["--target", "https://localhost", "--watch", "a.log"], "only http is spoken"),
        (&["--target", "http://localhost/sockets", "--watch", "a.log"], "a path belongs into --path"),
        (&["--target", "http://localhost", "--watch", "a.log", "--path", "/a?b"], "write a path without"),
        (&["--target", "http://localhost", "--watch", "a.log", "--field", "A: b"], "write a name of"),
        (&["--format", "xml"], "possible values: text, json"),
    ] {
        let output = leaktest(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{arguments:?}: {}", text(&output));
    }
}
