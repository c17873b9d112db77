//! What the process asks of the system at its start: no core dumps, and enough descriptors.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Descriptors for everything but clients: listeners, the log, probes, and the 128 connections that
/// Pingora may keep idle. Where there are few, a quarter of them.
const RESERVE: u64 = 192;

/// Keeps the process's memory, which holds credentials, out of core dumps.
pub fn forbid_core_dumps() {
    // The limit alone does not hold where the kernel pipes dumps to a program (core(5)).
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // A limit can always be lowered to nothing.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Raises the limit of descriptors as far as the system lets us, and gives back for how many of
/// these connections it is enough: each takes two, one on either side.
pub fn allow_descriptors(connections: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let Some(allowed) = allowed else { return connections };
    let places = connections.min(places(allowed));
    if places < connections {
        tracing::warn!(
            descriptors = allowed,
            connections = places,
            "the system allows too few descriptors for limits.connections; raise LimitNOFILE, or lower the limit"
        );
    }
    places
}

/// How many connections so many descriptors are enough for.
fn places(descriptors: u64) -> usize {
    let for_clients = descriptors - RESERVE.min(descriptors / 4);
    usize::try_from(for_clients / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn a_few_descriptors_are_kept_back() {
        assert_eq!([2, 64, 1024, 20_192].map(places), [1, 24, 416, 10_000]);
    }
}
