//! What the process asks of the system at its start: no core dumps, and enough descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything but clients: listeners, the log, probes, pooled connections.
const RESERVE: u64 = 128;

/// Keeps the process's memory, which holds credentials, out of core dumps.
pub fn forbid_core_dumps() {
    // A limit can always be lowered to nothing.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Raises the limit of descriptors as far as the system lets us, and says so if that is not enough
/// for this many connections: each takes two, one on either side.
pub fn allow_descriptors(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(RESERVE);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < wanted) {
        tracing::warn!(
            allowed,
            wanted,
            "the system allows fewer descriptors than limits.connections needs; raise LimitNOFILE, or lower the limit"
        );
    }
}
