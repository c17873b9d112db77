//! The test of this very program: a gateway of its own for each log level and form of the log.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::Path as FilePath,
};

use futures_util::future::try_join_all;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    LeaktestError,
    canary::Cell,
    carriers::{Carrier, Names},
    drive::{Refused, Run},
    paths::Path,
    process::{Gateway, PATIENCE, Room},
    report::Report,
    require,
    script::ATTEMPTS,
    sinks::Sink,
    upstream::Upstream,
};
use crate::folder::Folder;

/// What `RUST_LOG` is, from nothing to everything.
const LEVELS: [Option<&str>; 5] = [None, Some("warn"), Some("info"), Some("debug"), Some("trace")];

/// How many gateways are tested at once.
const AT_ONCE: usize = 2;

/// What a gateway is configured for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Every default.
    Json,
    /// The other form of the access log; and the query stays, so that it reaches the proxy's library.
    Text,
    /// It decides itself who may in.
    Require,
}

impl Form {
    /// All of them.
    const ALL: [Self; 3] = [Self::Json, Self::Text, Self::Require];

    /// The levels that it is tested at. Each has all that those before it say, so that the default and the
    /// last are enough for what only `require` adds.
    const fn levels(self) -> &'static [Option<&'static str>] {
        match self {
            Self::Json | Self::Text => &LEVELS,
            Self::Require => &[None, Some("trace")],
        }
    }

    /// The values of `handshake.plain_requests` and `access_log.format`.
    const fn settings(self) -> (&'static str, &'static str) {
        match self {
            Self::Json | Self::Require => ("strip", "json"),
            Self::Text => ("forward", "text"),
        }
    }

    /// How a report tells what was found with it from the rest.
    fn during(self, level: Option<&str>) -> String {
        let level = level.map_or_else(|| "no RUST_LOG".to_owned(), |level| format!("RUST_LOG={level}"));
        let (_, format) = self.settings();
        let mode = if self == Self::Require { ", in require" } else { "" };
        format!(", with {level} and a log as {format}{mode}")
    }

    /// The whole configuration.
    fn configuration(self, upstream: SocketAddr) -> String {
        let (plain, format) = self.settings();
        let (credential, authentication) = match self {
            Self::Json | Self::Text => ("", ""),
            Self::Require => (
                "credential_file = \"agent-server.key\"\n",
                "[authentication]\nmode = \"require\"\nkeyring = \"keyring.toml\"\nsigning_key_file = \"signing.key\"\n",
            ),
        };
        format!(
            "[listen]\naddress = \"127.0.0.1:0\"\n[upstream]\nurl = \"http://{upstream}\"\n{credential}\
             [handshake]\nplain_requests = \"{plain}\"\n{authentication}\
             [access_log]\npath = \"access.log\"\nformat = \"{format}\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [limits]\nhead_timeout = \"3s\"\nhandshake_timeout = \"3s\"\nresponse_timeout = \"3s\"\n\
             failed_attempts_per_minute = {ATTEMPTS}\n[drain]\ntimeout = \"1s\"\n"
        )
    }

    /// Whether this cell is played.
    fn plays(self, cell: Cell) -> bool {
        match self {
            Self::Json | Self::Text => cell.is_sent() && !cell.path.needs_require(),
            Self::Require => cell.carrier.is_of_require(),
        }
    }

    /// What goes on in the request target because it was configured so.
    const fn may_arrive(self) -> Option<Carrier> {
        match self {
            Self::Json | Self::Require => None,
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
    let runs = Form::ALL.into_iter().flat_map(|form| form.levels().iter().map(move |level| (*level, form)));
    let runs = runs.enumerate().map(|(number, (level, form))| {
        let (folder, places) = (folder.path().join(number.to_string()), &places);
        async move {
            let _place = places.acquire().await;
            fs::create_dir(&folder).map_err(LeaktestError::Folder)?;
            run(&Room { program, folder: &folder, level }, form).await
        }
    });
    let mut report = Report::default();
    for one in try_join_all(runs).await? {
        report.merge(one);
    }
    Ok(report)
}

/// Tests one gateway from its start to its end.
async fn run(room: &Room<'_>, form: Form) -> Result<Report, LeaktestError> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut upstream = Upstream::listen(free).await.map_err(|error| LeaktestError::Upstream(free, error))?;
    let cells = Cell::all().filter(|cell| form.plays(*cell));
    let run = Run::new(cells, Names::default(), PATIENCE, Refused::Trouble)?;
    let during = form.during(room.level);
    let mut report = Report::default();
    room.write("gateway.toml", &form.configuration(upstream.address()))?;
    if form == Form::Require {
        require::prepare(room, &run, &during, &mut report).await?;
    }
    let mut gateway = Gateway::start(room).await?;
    let replies = (&Sink::Replies, during.as_str());
    let mut answered = run.play(gateway.address, |path| !is_late(path), replies, &mut report).await;
    let asked = (&Sink::AdminPages, during.as_str());
    run.play(gateway.admin, |path| path == Path::AskedOfAdmin, asked, &mut report).await;
    if form == Form::Require {
        answered += require::play(room, &gateway, &run, &during, &mut report).await?;
    }
    // These stay open until the gateway is told to end, when nobody listens upstream any more.
    let mut drained = Report::default();
    let draining = run.play(gateway.address, |path| path == Path::Drained, replies, &mut drained);
    let ending = async {
        // A socket that never opens is a finding of its own.
        let _ = timeout(PATIENCE, run.all_answered()).await;
        run.look_at(&upstream, &during, form.may_arrive(), &mut report);
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
    look_at_files(&run, room.folder, &during, answered, &mut report)?;
    if form == Form::Require {
        let log = fs::read(room.folder.join("access.log")).map_err(LeaktestError::Folder)?;
        require::look_at(&run, &upstream.fields(), &log, &during, &mut report);
    }
    Ok(report)
}

/// What is not played together with everything else.
const fn is_late(path: Path) -> bool {
    matches!(
        path,
        Path::Drained | Path::UpstreamDown | Path::AskedOfAdmin | Path::TooManyAttempts | Path::KeyRevoked
    )
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
