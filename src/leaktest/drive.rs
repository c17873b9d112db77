//! Plants the canaries of one run: every cell's request, many at once.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream};

use super::{
    LeaktestError,
    attempt::{self, Made},
    canary::{Canaries, Cell},
    carriers::{Carrier, Names},
    paths::Path,
    report::Report,
    search::Search,
    sinks::Sink,
    upstream::Upstream,
};

/// How many requests are under way at once.
const AT_ONCE: usize = 64;

/// One run: canaries of its own, and what is known of them.
pub(super) struct Run {
    canaries: Canaries,
    /// Finds them.
    pub(super) search: Search,
    names: Names,
    patience: Duration,
}

impl Run {
    /// Makes the canaries of the cells of these paths.
    ///
    /// # Errors
    /// There are no random bytes.
    pub(super) fn new(paths: &[Path], names: Names, patience: Duration) -> Result<Self, LeaktestError> {
        let cells = paths.iter().flat_map(|path| {
            let carriers = Carrier::ALL.into_iter().filter(|carrier| path.carries(*carrier));
            carriers.map(|carrier| Cell { carrier, path: *path })
        });
        let canaries = Canaries::new(cells)?;
        let search = Search::of(&canaries)?;
        Ok(Self { canaries, search, names, patience })
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
        let mut cells: Vec<_> = self.canaries.all().filter(|(cell, _)| choose(cell.path)).collect();
        // What waits for a timeout begins first.
        cells.sort_by_key(|(cell, _)| !matches!(cell.path, Path::HeadTimeout | Path::UpstreamSilent));
        let made = cells.into_iter().map(async |(cell, canary)| {
            let request = cell.carrier.request(&canary, &self.names);
            let script = cell.path.script(request, &canary, &self.names.field);
            (cell, attempt::make(at, &script, self.patience).await)
        });
        let mut made = stream::iter(made).buffer_unordered(AT_ONCE);
        let mut answered = 0;
        let mut replies = Vec::new();
        while let Some((cell, made)) = made.next().await {
            match made {
                Ok(Made { sent, reply }) if self.holds(&sent, cell) => {
                    report.planted(cell);
                    answered += usize::from(!reply.is_empty());
                    replies.extend_from_slice(&reply);
                    replies.push(b'\n');
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

    /// Every cell, with its canary.
    #[cfg(test)]
    pub(super) fn canaries(&self) -> impl Iterator<Item = (Cell, String)> {
        self.canaries.all()
    }

    fn holds(&self, bytes: &[u8], cell: Cell) -> bool {
        let found = self.search.read(bytes).unwrap_or_default();
        found.hits.iter().any(|hit| hit.cell == Some(cell))
    }

    /// Searches what the upstream received, where `may_arrive` is no leak, and says which failures it was
    /// never asked for.
    pub(super) fn look_at(
        &self,
        upstream: &Upstream,
        paths: &[Path],
        during: &str,
        may_arrive: Option<Carrier>,
        report: &mut Report,
    ) {
        let mut found = self.search.read(upstream.lines().as_slice()).unwrap_or_default();
        found.hits.retain(|hit| may_arrive.is_none() || hit.cell.map(|cell| cell.carrier) != may_arrive);
        report.searched(&Sink::UpstreamTarget, &found, during);
        for path in paths {
            if path.answer().is_some_and(|answer| !upstream.has_given(answer)) {
                let label = path.label();
                report.troubles.insert(format!("{label}: no request came to the upstream of the test"));
            }
        }
    }
}
