//! Plants the canaries of one run: every cell's request, many at once.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, stream};

use super::{
    LeaktestError,
    attempt::{self, Made},
    canary::{Canaries, Cell},
    carriers::{Carrier, Names, Place},
    paths::Path,
    report::{Report, Skipped},
    search::Search,
    sinks::Sink,
    upstream::Upstream,
};

/// How many requests are under way at once.
const AT_ONCE: usize = 64;

/// What it is when a canary cannot be sent behind a 101, because there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The target's right: it knows no key of ours.
    Skipped,
    /// A mistake: the upstream is ours.
    Trouble,
}

/// One run: canaries of its own, and what is known of them.
pub(super) struct Run {
    canaries: Canaries,
    /// Finds them.
    pub(super) search: Search,
    names: Names,
    patience: Duration,
    refused: Refused,
    /// How many of the cells that are played have not been answered yet.
    waiting: AtomicUsize,
}

impl Run {
    /// Makes the canaries of these cells.
    ///
    /// # Errors
    /// There are no random bytes.
    pub(super) fn new(
        cells: impl IntoIterator<Item = Cell>,
        names: Names,
        patience: Duration,
        refused: Refused,
    ) -> Result<Self, LeaktestError> {
        let canaries = Canaries::new(cells)?;
        let search = Search::of(&canaries)?;
        Ok(Self { canaries, search, names, patience, refused, waiting: AtomicUsize::new(0) })
    }

    /// Plays the cells of the paths that `choose` chooses, and notes what was sent and answered there.
    /// Returns how many were answered.
    pub(super) async fn play(
        &self,
        at: SocketAddr,
        choose: impl Fn(Path) -> bool,
        (sink, during): (&Sink, &str),
        report: &mut Report,
    ) -> usize {
        let chosen = |cell: &Cell| cell.is_sent() && choose(cell.path);
        let mut cells: Vec<_> = self.canaries.all().filter(|(cell, _)| chosen(cell)).collect();
        // What waits for a timeout begins first.
        cells.sort_by_key(|(cell, _)| !matches!(cell.path, Path::HeadTimeout | Path::UpstreamSilent));
        self.waiting.store(cells.len(), Ordering::Relaxed);
        let heard = || {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        };
        let made = cells.into_iter().map(async |(cell, canary)| {
            let request = cell.carrier.request(&canary, &self.names);
            let script = cell.path.script(request, &canary, &self.names.field);
            (cell, attempt::make(at, &script, self.patience, heard).await)
        });
        let mut made = stream::iter(made).buffer_unordered(AT_ONCE);
        let mut answered = 0;
        let mut replies = Vec::new();
        while let Some((cell, made)) = made.next().await {
            match made {
                Ok(Made { sent, reply, earlier }) if self.holds(&sent, cell) => {
                    report.planted(cell);
                    answered += usize::from(!reply.is_empty());
                    replies.extend_from_slice(&earlier);
                    replies.extend_from_slice(&reply);
                    replies.push(b'\n');
                }
                Ok(made)
                    if self.refused == Refused::Skipped
                        && cell.carrier.place() == Place::Message
                        && !made.is_open() =>
                {
                    let (carrier, path) = (Some(cell.carrier), cell.path);
                    report.skipped.push(Skipped { carrier, path, reason: "no WebSocket was opened" });
                }
                Ok(_) => {
                    let (carrier, path) = (cell.carrier.label(), cell.path.label());
                    report.troubles.insert(format!("{carrier} ({path}): its canary could not be sent"));
                }
                Err(error) => {
                    report.troubles.insert(format!("{at} cannot be reached: {}", error.kind()));
                }
            }
        }
        // Memory can always be read.
        let found = self.search.read(replies.as_slice()).unwrap_or_default();
        report.searched(sink, &found, during);
        answered
    }

    /// Waits until everything that is being played has been answered.
    pub(super) async fn all_answered(&self) {
        while self.waiting.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every cell, with its canary.
    pub(super) fn canaries(&self) -> impl Iterator<Item = (Cell, String)> {
        self.canaries.all()
    }

    /// Whether these bytes hold the canary of this cell.
    pub(super) fn holds(&self, bytes: &[u8], cell: Cell) -> bool {
        let found = self.search.read(bytes).unwrap_or_default();
        found.hits.iter().any(|hit| hit.cell == Some(cell))
    }

    /// Searches what the upstream received, where `may_arrive` is no leak, and says which failures it was
    /// never asked for.
    pub(super) fn look_at(
        &self,
        upstream: &Upstream,
        during: &str,
        may_arrive: Option<Carrier>,
        report: &mut Report,
    ) {
        let mut found = self.search.read(upstream.lines().as_slice()).unwrap_or_default();
        found.hits.retain(|hit| may_arrive.is_none() || hit.cell.map(|cell| cell.carrier) != may_arrive);
        report.searched(&Sink::UpstreamTarget, &found, during);
        let paths: BTreeSet<_> = self.canaries.all().map(|(cell, _)| cell.path).collect();
        for path in paths {
            if path.answer().is_some_and(|answer| !upstream.has_given(answer)) {
                let label = path.label();
                report.troubles.insert(format!("{label}: no request came to the upstream of the test"));
            }
        }
    }
}
