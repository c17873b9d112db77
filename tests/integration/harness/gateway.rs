//! The built gateway as a child process, whose every output is kept and searched.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{
    PATIENCE, Stream, Upstream, canary, capture::Capture, eventually, http::Answer, setup::Setup, tls,
};

mod measured;

/// The fields of an access line, which are fixed.
const FIELDS: [&str; 13] = [
    "bytes_received",
    "bytes_sent",
    "caller",
    "client",
    "credential_source",
    "duration_ms",
    "event",
    "method",
    "outcome",
    "request_id",
    "status",
    "target",
    "time",
];

/// A running gateway. When it is dropped it has to end by SIGTERM, and everything that it wrote
/// has to be silent about the canary.
pub(crate) struct Gateway {
    setup: Setup,
    folder: tempfile::TempDir,
    child: Child,
    status: Option<ExitStatus>,
    unread_log: Option<ChildStdout>,
    log: Option<Capture>,
    diagnostics: Capture,
    address: SocketAddr,
    admin_address: SocketAddr,
    pages: Vec<u8>,
}

impl Gateway {
    /// With nothing but the defaults.
    #[track_caller]
    pub(crate) fn before(upstream: &Upstream) -> Self {
        Setup::before(upstream).start()
    }

    #[track_caller]
    pub(super) fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gateway.toml"), setup.text()).unwrap();
        for (name, text) in &setup.files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut child = command(setup.descriptors)
            .args(["run", "--config", "gateway.toml"])
            .current_dir(folder.path())
            .env_clear()
            .envs([("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let diagnostics = Capture::of(child.stderr.take().unwrap());
        let log = child.stdout.take().unwrap();
        let (log, unread_log) =
            if setup.is_log_read { (Some(Capture::of(log)), None) } else { (None, Some(log)) };
        let bound = diagnostics.wait_for(|text| {
            let address = |before: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(before))?;
                line.split(' ').next()?.parse().ok()
            };
            Some((address("hushgate listens on ")?, address("hushgate admin on ")?))
        });
        let Some((address, admin_address)) = bound else {
            let _ = child.kill();
            panic!("the gateway did not start:\n{}", diagnostics.text());
        };
        let (status, pages) = (None, Vec::new());
        Self { setup, folder, child, status, unread_log, log, diagnostics, address, admin_address, pages }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where probes connect.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// A file in the folder that it runs in.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new connection of a client, with TLS where it is served.
    pub(crate) fn connect(&self) -> Stream {
        match &self.setup.roots {
            Some(roots) => tls::connect(self.address, roots),
            None => Stream::connect(self.address),
        }
    }

    /// Sends something on a new connection, and gives the connection back.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) -> Stream {
        let mut client = self.connect();
        client.send(bytes).unwrap();
        client
    }

    /// The answer to one request on a new connection.
    #[track_caller]
    pub(crate) fn exchange(&self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).take_answer().unwrap()
    }

    /// An open WebSocket.
    #[track_caller]
    pub(crate) fn upgrade(&self, opening: &str) -> Stream {
        let mut client = self.send(opening);
        assert_eq!(client.take_head().unwrap().status(), 101);
        client
    }

    /// What an admin page answers.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        let mut client = Stream::connect(self.admin_address);
        client.send(super::head(&format!("GET {path}"), &[])).unwrap();
        client.take_answer().unwrap()
    }

    /// The value of one metric with its labels; `None` when it does not exist.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let page = self.admin("/metrics");
        let line = page.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }

    fn log(&self) -> &Capture {
        self.log.as_ref().expect("the log of this gateway is not read yet")
    }

    /// The raw text of the access log so far.
    pub(crate) fn log_text(&self) -> String {
        self.log().text()
    }

    /// The access lines that `choose` chooses, once there are `count` of them, in the order in which
    /// their requests came: those of two connections may be written the other way round.
    #[track_caller]
    fn lines(&self, count: usize, choose: impl Fn(&Value) -> bool) -> Vec<Value> {
        let found = self.log().wait_for(|text| {
            let whole = text.rsplit_once('\n')?.0;
            let mut lines: Vec<Value> = whole.lines().map(parse_line).filter(&choose).collect();
            lines.sort_by_key(|line| line["request_id"].as_str().unwrap().to_owned());
            (lines.len() >= count).then_some(lines)
        });
        found.unwrap_or_else(|| panic!("{count} such lines did not come:\n{}", self.log_text()))
    }

    /// All access lines, once there are `count` of them.
    #[track_caller]
    pub(crate) fn log_lines(&self, count: usize) -> Vec<Value> {
        self.lines(count, |_| true)
    }

    /// The access lines of one event, once there are `count` of them.
    #[track_caller]
    pub(crate) fn events(&self, event: &str, count: usize) -> Vec<Value> {
        self.lines(count, |line| line["event"] == event)
    }

    /// The only access line of one event.
    #[track_caller]
    pub(crate) fn event(&self, event: &str) -> Value {
        let mut lines = self.events(event, 1);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    /// Starts to read the pipe of the access log.
    pub(crate) fn read_log(&mut self) {
        self.log = self.unread_log.take().map(Capture::of);
    }

    /// Closes the pipe of an access log that was never read.
    pub(crate) fn close_log(&mut self) {
        drop(self.unread_log.take());
    }

    /// Waits until the diagnostics hold `text` this many times.
    #[track_caller]
    pub(crate) fn says(&self, text: &str, times: usize) {
        let found = self.diagnostics.wait_for(|all| (all.matches(text).count() >= times).then_some(()));
        assert!(found.is_some(), "{text:?} was not said {times} times:\n{}", self.diagnostics.text());
    }

    /// The diagnostics so far.
    pub(crate) fn diagnostics(&self) -> String {
        self.diagnostics.text()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Has another configuration read, which the gateway has to say something about.
    #[track_caller]
    pub(crate) fn reload(&mut self, change: impl FnOnce(Setup) -> Setup, says: &str) {
        self.setup = change(self.setup.clone());
        self.reload_text(&self.setup.text(), says);
    }

    /// Has this text read as its configuration.
    #[track_caller]
    pub(crate) fn reload_text(&self, text: &str, says: &str) {
        let before = self.diagnostics().matches(says).count();
        fs::write(self.file("gateway.toml"), text).unwrap();
        self.signal(Signal::HUP);
        self.says(says, before + 1);
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// The processor time that it took so far.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let behind_name = stat.rsplit_once(") ").unwrap().1;
        let ticks: u64 =
            behind_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// The status it ends with.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.status = Some(status);
                return status;
            }
            assert!(tokio::time::Instant::now() < deadline, "the gateway does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Keeps what the admin pages say, for the search.
    fn keep_pages(&mut self) {
        for path in ["/livez", "/readyz", "/metrics", "/"] {
            let answer = self.admin(path);
            self.pages.extend_from_slice(answer.head.0.as_bytes());
            self.pages.extend_from_slice(&answer.body);
        }
    }

    /// Ends it, and looks at everything that it wrote.
    fn finish(&mut self) {
        if self.status.is_none() {
            self.keep_pages();
            self.signal(Signal::TERM);
            if self.log.is_none() {
                self.read_log();
            }
            assert_eq!(self.wait().code(), Some(0), "{}", self.diagnostics.text());
        }
        let log = self.log.as_mut().map(Capture::finish).unwrap_or_default();
        let diagnostics = self.diagnostics.finish();
        canary::assert_silent("the access log", &log);
        canary::assert_silent("the diagnostics", &diagnostics);
        canary::assert_silent("an admin page", &self.pages);
        if let Some(path) = self.setup.get("access_log.path") {
            canary::assert_silent("the log file", &fs::read(self.folder.path().join(path)).unwrap());
        }
        let diagnostics = String::from_utf8_lossy(&diagnostics);
        assert!(!diagnostics.contains("internal error"), "a task panicked:\n{diagnostics}");
        if self.setup.get("access_log.format") != Some("text") {
            String::from_utf8(log).unwrap().lines().for_each(|line| drop(parse_line(line)));
        }
    }
}

/// The command, with the system's limit of descriptors lowered where a test wants that.
fn command(descriptors: Option<u32>) -> Command {
    let program = env!("CARGO_BIN_EXE_hushgate");
    let Some(most) = descriptors else { return Command::new(program) };
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\""), program]);
    shell
}

/// An access line, whose fields have to be those that are fixed.
fn parse_line(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not a line of JSON: {line}"));
    let mut fields = FIELDS.to_vec();
    if value["event"] == "close" {
        fields.extend(["close_code", "closed_by", "framing", "messages_received", "messages_sent"]);
    }
    let mut found: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, fields, "{line}");
    value
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            if let Some(log) = &mut self.log {
                show("access log", &log.finish());
            }
            show("diagnostics", &self.diagnostics.finish());
            return;
        }
        self.finish();
    }
}

#[expect(clippy::print_stderr, reason = "a failed test shows what the gateway wrote")]
fn show(what: &str, output: &[u8]) {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<_> = text.lines().collect();
    let last = lines.len().saturating_sub(30);
    eprintln!("--- {what}, from line {}\n{}", last + 1, lines[last..].join("\n"));
}

/// Waits until a socket of the gateway's is no longer counted.
#[track_caller]
pub(crate) fn websockets_open(gateway: &Gateway, count: f64) {
    eventually("the number of open WebSockets", || gateway.metric("hushgate_websockets_open") == Some(count));
}
