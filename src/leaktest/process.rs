//! A gateway of the test's own, as a process.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path as FilePath,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{LeaktestError, drive::Run, report::Report, sinks::Sink};

/// How long anything may take, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The pages that are asked for, metrics apart.
const PAGES: [&str; 4] = ["/livez", "/readyz", "/", "/no/such/page"];

/// Where a gateway runs: a folder that has its configuration and gets all that it writes.
pub(super) struct Room<'a> {
    /// The program.
    pub(super) program: &'a FilePath,
    /// The folder.
    pub(super) folder: &'a FilePath,
    /// What `RUST_LOG` is.
    pub(super) level: Option<&'a str>,
}

impl Room<'_> {
    /// Puts a file there.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), LeaktestError> {
        fs::write(self.folder.join(name), text).map_err(LeaktestError::Folder)
    }

    /// One of the program's commands, whose output is added to what is there.
    ///
    /// # Errors
    /// The output has no place.
    pub(super) fn command(&self, name: &str) -> Result<Command, LeaktestError> {
        let open = |name| File::options().create(true).append(true).open(self.folder.join(name));
        let mut command = Command::new(self.program);
        command
            .args([name, "--config", "gateway.toml"])
            .current_dir(self.folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(open("stdout").map_err(LeaktestError::Folder)?)
            .stderr(open("stderr").map_err(LeaktestError::Folder)?);
        if let Some(level) = self.level {
            command.env("RUST_LOG", level);
        }
        #[cfg(feature = "planted-leaks")]
        command.envs(std::env::var_os(crate::planted::VARIABLE).map(|sink| (crate::planted::VARIABLE, sink)));
        Ok(command)
    }
}

/// A gateway that is running, and is killed when it is dropped.
pub(super) struct Gateway {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Where its admin pages are.
    pub(super) admin: SocketAddr,
}

impl Gateway {
    /// Starts it, and waits until it has said where it listens.
    ///
    /// # Errors
    /// It does not start.
    pub(super) async fn start(room: &Room<'_>) -> Result<Self, LeaktestError> {
        let mut gateway = Self::spawn(room, "run")?;
        let bound = timeout(PATIENCE, bound(&room.folder.join("stderr"))).await;
        (gateway.address, gateway.admin) = bound.map_err(|_| silent())?;
        Ok(gateway)
    }

    /// Searches every admin page.
    ///
    /// # Errors
    /// One is not answered.
    pub(super) async fn keep_pages(
        &self,
        run: &Run,
        during: &str,
        report: &mut Report,
    ) -> Result<(), LeaktestError> {
        let mut pages = Vec::new();
        for page in PAGES {
            pages.extend(self.page(page).await.map_err(LeaktestError::Gateway)?);
        }
        let metrics = self.page("/metrics").await.map_err(LeaktestError::Gateway)?;
        if !metrics.starts_with(b"HTTP/1.1 200 ") {
            report.troubles.insert(format!("there are no metrics{during}"));
        }
        for (sink, bytes) in [(Sink::Metrics, metrics), (Sink::AdminPages, pages)] {
            report.searched(&sink, &run.search.read(bytes.as_slice()).unwrap_or_default(), during);
        }
        Ok(())
    }

    /// What the admin listener answers.
    ///
    /// # Errors
    /// It does not.
    pub(super) async fn page(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.admin).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(answer)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), LeaktestError> {
        kill_process(Pid::from_child(&self.child), signal)
            .map_err(|error| LeaktestError::Gateway(error.into()))
    }

    /// Has it drain, and waits until it is gone.
    ///
    /// # Errors
    /// It stays.
    pub(super) async fn end(&mut self) -> Result<ExitStatus, LeaktestError> {
        self.signal(Signal::TERM)?;
        self.gone().await
    }

    /// What becomes of a command that ends by itself.
    ///
    /// # Errors
    /// It does not begin, or not end.
    pub(super) async fn ended(room: &Room<'_>, command: &str) -> Result<ExitStatus, LeaktestError> {
        Self::spawn(room, command)?.gone().await
    }

    fn spawn(room: &Room<'_>, command: &str) -> Result<Self, LeaktestError> {
        let child = room.command(command)?.spawn().map_err(LeaktestError::Gateway)?;
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Self { child, address: nowhere, admin: nowhere })
    }

    async fn gone(&mut self) -> Result<ExitStatus, LeaktestError> {
        let gone = async {
            loop {
                if let Some(status) = self.child.try_wait().map_err(LeaktestError::Gateway)? {
                    return Ok(status);
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, gone).await.map_err(|_| silent())?
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn silent() -> LeaktestError {
    LeaktestError::Gateway(io::ErrorKind::TimedOut.into())
}

/// The two addresses, once a gateway has said them.
async fn bound(said: &FilePath) -> (SocketAddr, SocketAddr) {
    loop {
        let text = fs::read_to_string(said).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let address = |before| whole.lines().find_map(|line| line.strip_prefix(before)?.parse().ok());
        if let (Some(address), Some(admin)) = (address("hushgate listens on "), address("hushgate admin on "))
        {
            return (address, admin);
        }
        sleep(Duration::from_millis(10)).await;
    }
}
