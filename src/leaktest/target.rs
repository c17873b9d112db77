//! The test of a deployment that is running already.

use std::{net::SocketAddr, time::Duration};

use super::{
    LeaktestError, Target,
    canary::Cell,
    drive::{Refused, Run},
    paths::Path,
    report::{Report, Skipped},
    sinks::{Sink, Watched},
    upstream::Upstream,
};

/// Plants canaries in the target, and searches what its files have grown by.
///
/// # Errors
/// There is nothing to test, or nothing to search.
pub(super) async fn test(target: &Target) -> Result<Report, LeaktestError> {
    let address = resolve(&target.authority).await?;
    let mut watched = Vec::new();
    for path in &target.watch {
        let file = Watched::from_now(path.clone());
        watched.push(file.map_err(|error| LeaktestError::Watch(path.clone(), error))?);
    }
    let mut upstream = match target.upstream {
        Some(at) => Some(Upstream::listen(at).await.map_err(|error| LeaktestError::Upstream(at, error))?),
        None => None,
    };
    let mut report = Report::default();
    let paths = choose(upstream.is_some(), &mut report);
    let cells = Cell::all().filter(|cell| cell.is_sent() && paths.contains(&cell.path));
    let run = Run::new(cells, target.names.clone(), target.patience, Refused::Skipped)?;
    let replies = (&Sink::Replies, "");
    run.play(address, |path| path != Path::UpstreamDown, replies, &mut report).await;
    if let Some(upstream) = &mut upstream {
        run.look_at(upstream, "", None, &mut report);
        upstream.go_down().await;
        run.play(address, |path| path == Path::UpstreamDown, replies, &mut report).await;
    }
    // Other hops write when it suits them.
    tokio::time::sleep(target.settle).await;
    let mut grown = 0;
    for file in watched {
        let path = file.path.clone();
        let growth = file.search(&run.search).map_err(|error| LeaktestError::Watch(path.clone(), error))?;
        if growth.is_cut {
            let path = path.display();
            report
                .troubles
                .insert(format!("{path} was cut short meanwhile, so that some of it may be elsewhere"));
        }
        grown += growth.old.bytes + growth.new.bytes;
        let sink = Sink::File(path);
        report.searched(&sink, &growth.new, "");
        report.searched(&sink, &growth.old, ", before it was moved away");
    }
    if grown == 0 {
        report.troubles.insert("nothing was written to any watched file".to_owned());
    }
    Ok(report)
}

/// The paths that can be driven; the report says why the others cannot.
fn choose(has_upstream: bool, report: &mut Report) -> Vec<Path> {
    let mut paths = Vec::new();
    for path in Path::ALL {
        let mut skip = |reason| report.skipped.push(Skipped { carrier: None, path, reason });
        if path.needs_own_gateway() {
            skip("only a gateway of leaktest's own is treated so");
        } else if path.needs_upstream() && !has_upstream {
            skip("it takes an upstream that fails; see --upstream");
        } else {
            paths.push(path);
        }
    }
    paths
}

async fn resolve(authority: &str) -> Result<SocketAddr, LeaktestError> {
    let found = tokio::time::timeout(Duration::from_secs(5), tokio::net::lookup_host(authority)).await;
    let found = found.ok().and_then(Result::ok).and_then(|mut found| found.next());
    found.ok_or_else(|| LeaktestError::Unknown(authority.to_owned()))
}
