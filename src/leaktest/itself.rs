//! The test of this very program: a gateway of its own for each log level and form of the log.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path as FilePath,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use futures_util::future::try_join_all;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{
    LeaktestError,
    carriers::{Carrier, Names},
    drive::{Refused, Run},
    paths::Path,
    report::Report,
    sinks::Sink,
    upstream::Upstream,
};
use crate::folder::Folder;

/// What `RUST_LOG` is, from nothing to everything.
const LEVELS: [Option<&str>; 5] = [None, Some("warn"), Some("info"), Some("debug"), Some("trace")];

/// How many gateways are tested at once.
const AT_ONCE: usize = 2;

/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The pages that are asked for, metrics apart.
const PAGES: [&str; 4] = ["/livez", "/readyz", "/", "/no/such/page"];

/// How the access log looks, and what becomes of the query of plain requests.
#[derive(Clone, Copy)]
enum Form {
    /// Every default.
    Json,
    /// The other form; and the query stays, so that it reaches the proxy's library.
    Text,
}

impl Form {
    /// The values of `handshake.plain_requests` and `access_log.format`.
    const fn settings(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("strip", "json"),
            Self::Text => ("forward", "text"),
        }
    }

    /// What goes on in the request target because it was configured so.
    const fn may_arrive(self) -> Option<Carrier> {
        match self {
            Self::Json => None,
            Self::Text => Some(Carrier::PlainQuery),
        }
    }
}

/// Tests this program.
///
/// # Errors
/// A gateway could not be started, or there are no random bytes.
pub(super) async fn test(program: &FilePath) -> Result<Report, LeaktestError> {
    let folder = Folder::new("leaktest").map_err(LeaktestError::Folder)?;
    let places = Semaphore::new(AT_ONCE);
    let runs = LEVELS.into_iter().flat_map(|level| [(level, Form::Json), (level, Form::Text)]);
    let runs = runs.enumerate().map(|(number, (level, form))| {
        let (folder, places) = (folder.path().join(number.to_string()), &places);
        async move {
            let _place = places.acquire().await;
            fs::create_dir(&folder).map_err(LeaktestError::Folder)?;
            run(program, &folder, level, form).await
        }
    });
    let mut report = Report::default();
    for one in try_join_all(runs).await? {
        report.merge(one);
    }
    Ok(report)
}

/// Tests one gateway from its start to its end.
async fn run(
    program: &FilePath,
    folder: &FilePath,
    level: Option<&str>,
    form: Form,
) -> Result<Report, LeaktestError> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut upstream = Upstream::listen(free).await.map_err(|error| LeaktestError::Upstream(free, error))?;
    let mut gateway = Gateway::start(program, folder, level, form, upstream.address()).await?;
    let run = Run::new(&Path::ALL, Names::default(), PATIENCE, Refused::Trouble)?;
    let (_, format) = form.settings();
    let level_name = level.map_or_else(|| "no RUST_LOG".to_owned(), |level| format!("RUST_LOG={level}"));
    let during = format!(", with {level_name} and a log as {format}");
    let replies = (&Sink::Replies, during.as_str());
    let mut report = Report::default();
    let is_late = |path| matches!(path, Path::Drained | Path::UpstreamDown | Path::AskedOfAdmin);
    let mut answered = run.play(gateway.address, |path| !is_late(path), replies, &mut report).await;
    let asked = (&Sink::AdminPages, during.as_str());
    run.play(gateway.admin, |path| path == Path::AskedOfAdmin, asked, &mut report).await;
    // These stay open until the gateway is told to end, when nobody listens upstream any more.
    let mut drained = Report::default();
    let draining = run.play(gateway.address, |path| path == Path::Drained, replies, &mut drained);
    let ending = async {
        // A socket that never opens is a finding of its own.
        let _ = timeout(PATIENCE, run.all_answered()).await;
        run.look_at(&upstream, &Path::ALL, &during, form.may_arrive(), &mut report);
        upstream.go_down().await;
        let down = |path| path == Path::UpstreamDown;
        let answered = run.play(gateway.address, down, replies, &mut report).await;
        gateway.keep_pages(&run, &during, &mut report).await?;
        gateway.end().await.map(|status| (status, answered))
    };
    let (open, ended) = tokio::join!(draining, ending);
    let (status, without_upstream) = ended?;
    answered += open + without_upstream;
    report.merge(drained);
    if !status.success() {
        report.troubles.insert(format!("a gateway ended badly{during}: {status}"));
    }
    look_at_files(&run, folder, &during, answered, &mut report)?;
    Ok(report)
}

/// Searches what a gateway has written.
fn look_at_files(
    run: &Run,
    folder: &FilePath,
    during: &str,
    answered: usize,
    report: &mut Report,
) -> Result<(), LeaktestError> {
    let mut lines = 0;
    for (name, sink) in
        [("access.log", Sink::AccessLog), ("stdout", Sink::StandardOutput), ("stderr", Sink::StandardError)]
    {
        let file = File::open(folder.join(name)).map_err(LeaktestError::Folder)?;
        let found = run.search.read(file).map_err(LeaktestError::Folder)?;
        if sink == Sink::AccessLog {
            lines = found.lines;
        }
        report.searched(&sink, &found, during);
    }
    // Whatever is answered is written down.
    if lines < u64::try_from(answered).unwrap_or(u64::MAX) {
        report.troubles.insert(format!("{answered} answers but {lines} lines in the log{during}"));
    }
    Ok(())
}

/// A gateway that is running, and is killed when it is dropped.
struct Gateway {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    async fn start(
        program: &FilePath,
        folder: &FilePath,
        level: Option<&str>,
        form: Form,
        upstream: SocketAddr,
    ) -> Result<Self, LeaktestError> {
        let (plain, format) = form.settings();
        let text = format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[upstream]\nurl = \"http://{upstream}\"\n\
             [handshake]\nplain_requests = \"{plain}\"\n\
             [access_log]\npath = \"access.log\"\nformat = \"{format}\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [limits]\nhead_timeout = \"1s\"\nhandshake_timeout = \"1s\"\nresponse_timeout = \"1s\"\n\
             [drain]\ntimeout = \"1s\"\n"
        );
        let create = |name| File::create(folder.join(name));
        fs::write(folder.join("gateway.toml"), text).map_err(LeaktestError::Folder)?;
        let mut command = Command::new(program);
        command
            .args(["run", "--config", "gateway.toml"])
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(create("stdout").map_err(LeaktestError::Folder)?)
            .stderr(create("stderr").map_err(LeaktestError::Folder)?);
        if let Some(level) = level {
            command.env("RUST_LOG", level);
        }
        #[cfg(feature = "planted-leaks")]
        command.envs(std::env::var_os(crate::planted::VARIABLE).map(|sink| (crate::planted::VARIABLE, sink)));
        let child = command.spawn().map_err(LeaktestError::Gateway)?;
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut gateway = Self { child, address: nowhere, admin: nowhere };
        let bound = timeout(PATIENCE, bound(&folder.join("stderr"))).await;
        let silent = |_| LeaktestError::Gateway(io::ErrorKind::TimedOut.into());
        (gateway.address, gateway.admin) = bound.map_err(silent)?;
        Ok(gateway)
    }

    /// Searches every admin page.
    async fn keep_pages(&self, run: &Run, during: &str, report: &mut Report) -> Result<(), LeaktestError> {
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

    async fn page(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.admin).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(answer)
    }

    /// Has it drain, and waits until it is gone.
    async fn end(&mut self) -> Result<ExitStatus, LeaktestError> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .map_err(|error| LeaktestError::Gateway(error.into()))?;
        let gone = async {
            loop {
                if let Some(status) = self.child.try_wait().map_err(LeaktestError::Gateway)? {
                    return Ok(status);
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let silent = |_| LeaktestError::Gateway(io::ErrorKind::TimedOut.into());
        timeout(PATIENCE, gone).await.map_err(silent)?
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
