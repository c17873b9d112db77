//! Who watches over the keyring: its file, and the time of its keys.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::timeout;

use crate::gateway::{Gateway, Mark, Renewal, tls::FileProblem};

/// How often: a key that is removed, or whose time is over, ends its sockets within a second.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a look at the file may take before somebody is told.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watches until the process ends.
pub(super) async fn keep(gateway: Arc<Gateway>) {
    let reading = Arc::clone(&gateway);
    // Each by itself: a file system that does not answer makes no key last longer.
    tokio::join!(expire(&gateway), watch(&reading));
}

async fn expire(gateway: &Gateway) {
    loop {
        tokio::time::sleep(PAUSE).await;
        gateway.expire(SystemTime::now());
    }
}

/// Takes a keyring over whose file has changed, once it has not been written to between two looks.
async fn watch(gateway: &Arc<Gateway>) {
    let (mut looked, mut refused) = (None::<Mark>, None::<Mark>);
    loop {
        tokio::time::sleep(PAUSE).await;
        if !gateway.has_keyring() {
            continue;
        }
        let reading = Arc::clone(gateway);
        let mut look = tokio::task::spawn_blocking(move || reading.renew_keyring(looked, refused));
        let seen = match timeout(PATIENCE, &mut look).await {
            Ok(seen) => seen,
            Err(_) => {
                gateway.metrics.keyring_reloaded(false);
                tracing::error!("the file system of the keyring does not answer; the old one stays");
                look.await
            }
        };
        let Ok(Some((mark, renewal))) = seen else { continue };
        looked = Some(mark);
        match renewal {
            Renewal::Same => {}
            Renewal::Taken { callers } => {
                gateway.metrics.keyring_reloaded(true);
                tracing::info!(callers, "keyring reloaded");
                refused = None;
            }
            Renewal::Refused(problems) => {
                // What was only just written is read twice, and complained of once.
                if !mark.is_same_version(refused) {
                    gateway.metrics.keyring_reloaded(false);
                    complain(&problems);
                }
                refused = Some(mark);
            }
        }
    }
}

/// A problem names places in the file, and nothing of what stands there.
fn complain(problems: &[FileProblem]) {
    for problem in problems {
        tracing::error!("{problem}");
    }
    tracing::error!("keyring not taken over, the old one stays");
}
