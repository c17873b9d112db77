use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Stream, Upstream, eventually, head};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A gateway whose standard error is not the harness's.
struct Unheard {
    process: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Unheard {
    fn start(upstream: &Upstream, stderr: Stdio) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Its lines cannot be read, so its port must be known before.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = format!(
            "listen.address = \"{address}\"\nupstream.url = \"{}\"\nadmin.address = \"127.0.0.1:0\"\n",
            upstream.url()
        );
        std::fs::write(folder.path().join("gateway.toml"), text).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_hushgate"))
            .arg("run")
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        eventually("it listens", || std::net::TcpStream::connect(address).is_ok());
        Self { process, address, folder }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn serves(&self) {
        let mut client = Stream::connect(self.address);
        client.send(head("GET /", &[])).unwrap();
        assert_eq!(client.take_answer().unwrap().status(), 200);
    }

    fn ends_well(&mut self) {
        self.signal(Signal::TERM);
        let mut status = None;
        eventually("it ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0));
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_full_disk_under_standard_error_ends_nothing() {
    let upstream = Upstream::answering(OK);
    let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut gateway = Unheard::start(&upstream, full.into());
    gateway.signal(Signal::HUP);
    gateway.serves();
    gateway.ends_well();
}

/// Reads up to the line that says where it listens, and no further.
fn ready(stderr: ChildStderr) -> BufReader<ChildStderr> {
    let mut reader = BufReader::with_capacity(64, stderr);
    let mut line = String::new();
    while !line.contains("admin on") {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    reader
}

#[test]
fn a_standard_error_that_nobody_reads_stalls_nothing() {
    let upstream = Upstream::answering(OK);
    let mut gateway = Unheard::start(&upstream, Stdio::piped());
    let unread = ready(gateway.process.stderr.take().unwrap());
    let mistakes: String = (0..2_000).map(|number| format!("mistake_number_{number} = 1\n")).collect();
    std::fs::write(gateway.folder.path().join("gateway.toml"), mistakes).unwrap();
    for _ in 0..3 {
        gateway.signal(Signal::HUP);
        std::thread::sleep(Duration::from_millis(200));
        gateway.serves();
    }
    gateway.ends_well();
    drop(unread);
}

#[test]
fn a_closed_standard_error_ends_nothing() {
    let upstream = Upstream::answering(OK);
    let mut gateway = Unheard::start(&upstream, Stdio::piped());
    drop(ready(gateway.process.stderr.take().unwrap()));
    gateway.signal(Signal::HUP);
    gateway.serves();
    gateway.ends_well();
}
