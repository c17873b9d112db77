//! Who watches over the keyring: its file, and the time of its keys.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::gateway::{Gateway, Mark, tls::FileProblem};

/// How often: a key that is removed, or whose time is over, ends its sockets within a second.
const PAUSE: Duration = Duration::from_millis(200);

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

/// Takes a keyring over whose file has changed.
async fn watch(gateway: &Arc<Gateway>) {
    let mut refused: Option<Mark> = None;
    loop {
        tokio::time::sleep(PAUSE).await;
        if !gateway.has_keyring() {
            continue;
        }
        let reading = Arc::clone(gateway);
        match tokio::task::spawn_blocking(move || reading.renew_keyring(refused)).await {
            Ok(Ok(true)) => {
                gateway.metrics.keyring_reloaded(true);
                tracing::info!("keyring reloaded");
                refused = None;
            }
            Ok(Err((problems, mark))) => {
                // What was only just written is read twice, and complained of once.
                if !mark.is_same_version(refused) {
                    gateway.metrics.keyring_reloaded(false);
                    complain(&problems);
                }
                refused = Some(mark);
            }
            Ok(Ok(false)) | Err(_) => {}
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
