//! What only a gateway in `require` has and does: a keyring, in which the canary of every cell is a key,
//! and a credential of its own, which is a canary too. Both are good, and bad, and change while it runs.

use std::fmt::Write as _;

use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use super::{
    LeaktestError,
    canary::Cell,
    carriers::Carrier,
    drive::Run,
    paths::Path,
    process::{Gateway, PATIENCE, Room},
    report::Report,
    sinks::Sink,
};
use crate::secret::Digest;

/// The cell of what the agent server knows the gateway by.
const OURS: Cell = Cell { carrier: Carrier::OwnCredential, path: Path::Answered };

/// The cell of what cookies are sealed with.
const SEAL: Cell = Cell { carrier: Carrier::SigningKey, path: Path::Answered };

/// The exit code for a configuration that cannot be used.
const CONFIGURATION: i32 = 78;

/// The files beside the configuration.
pub(super) struct Files {
    /// Who may in.
    pub(super) keyring: String,
    /// What the agent server knows the gateway by.
    pub(super) credential: String,
    /// What cookies are sealed with.
    pub(super) signing_keys: String,
}

impl Files {
    /// The good ones, with the keys that are revoked at last, or without them.
    fn good(run: &Run, is_revoked: bool) -> Self {
        let mut files =
            Self { keyring: String::new(), credential: String::new(), signing_keys: String::new() };
        for (cell, canary) in run.canaries() {
            if cell == OURS {
                files.credential = canary;
            } else if cell == SEAL {
                files.signing_keys = signing_key(&canary);
            } else if cell.is_sent() && !(is_revoked && cell.path == Path::KeyRevoked) {
                add(&mut files.keyring, cell, &canary);
            }
        }
        files
    }

    /// Files that cannot be used, with this canary where none may be.
    pub(super) fn bad(carrier: Carrier, canary: &str) -> Self {
        let entry = |name: &str, digest: &str| format!("[[key]]\nname = \"{name}\"\nsha256 = {digest}\n");
        let digest = format!("\"{}\"", Digest::of(canary.as_bytes()));
        let keyring = if carrier == Carrier::KeyringName {
            entry(&format!("session_api_key={canary}"), &digest)
        } else if carrier == Carrier::KeyringDigest {
            entry("leaktest", &format!("\"{canary}\""))
        } else if carrier == Carrier::KeyringWithoutQuotes {
            entry("leaktest", canary)
        } else {
            entry("leaktest", &digest)
        };
        let is_ours = carrier == Carrier::OwnCredential;
        let credential = if is_ours { format!("two words {canary}") } else { "leaktest".to_owned() };
        let seals = carrier == Carrier::SigningKey;
        let signing_keys = if seals { format!("two words {canary}") } else { signing_key("leaktest") };
        Self { keyring, credential, signing_keys }
    }

    fn write(&self, room: &Room<'_>) -> Result<(), LeaktestError> {
        room.write("keyring.toml", &self.keyring)?;
        room.write("signing.key", &self.signing_keys)?;
        room.write("agent-server.key", &self.credential)
    }
}

/// Long enough to be one.
fn signing_key(text: &str) -> String {
    format!("a-signing-key-of-the-leaktest-{text}")
}

/// Adds the entry that a key has on its path, if it has one there.
pub(super) fn add(keyring: &mut String, cell: Cell, canary: &str) {
    let is_query = matches!(cell.carrier, Carrier::Query | Carrier::PlainQuery);
    let other_carrier = if is_query { "carriers = [\"field\"]" } else { "carriers = [\"query\"]" };
    #[expect(clippy::wildcard_enum_match_arm, reason = "what concerns a few paths names these few")]
    let more = match cell.path {
        Path::KeyUnknown | Path::TooManyAttempts => return,
        Path::KeyExpired => "expires = 2020-01-01T00:00:00Z",
        Path::KeyNotYetValid => "not_before = 2100-01-01T00:00:00Z",
        Path::KeyOtherCarrier => other_carrier,
        Path::KeyOtherOrigin => "origins = [\"https://app.example\"]",
        Path::TooManySockets => "max_sockets = 1",
        _ => "",
    };
    let digest = Digest::of(canary.as_bytes());
    // Their names tell nothing.
    let number = keyring.matches("[[key]]").count();
    let _ = writeln!(keyring, "[[key]]\nname = \"leaktest-{number}\"\nsha256 = \"{digest}\"\n{more}");
}

/// Has a gateway begin with files that cannot be used, then puts good ones there.
///
/// # Errors
/// A file cannot be written, or the program does not end.
pub(super) async fn prepare(
    room: &Room<'_>,
    run: &Run,
    during: &str,
    report: &mut Report,
) -> Result<(), LeaktestError> {
    for (cell, canary) in run.canaries().filter(|(cell, _)| cell.path == Path::FilesBadAtStart) {
        Files::bad(cell.carrier, &canary).write(room)?;
        report.planted(cell);
        for command in ["check", "run"] {
            let status = Gateway::ended(room, command).await?;
            if status.code() != Some(CONFIGURATION) {
                let label = cell.carrier.label();
                report.troubles.insert(format!("{label}: `hushgate {command}` ended with {status}{during}"));
            }
        }
    }
    Files::good(run, false).write(room)
}

/// Plays what nobody else may be in the way of: too many attempts, files that go bad, and keys that are
/// taken out of the keyring. Returns how many requests were answered.
///
/// # Errors
/// A file cannot be written, or the gateway takes no notice of it.
pub(super) async fn play(
    room: &Room<'_>,
    gateway: &Gateway,
    run: &Run,
    during: &str,
    report: &mut Report,
) -> Result<usize, LeaktestError> {
    let replies = (&Sink::Replies, during);
    let is_limited = |path| path == Path::TooManyAttempts;
    let limited = run.play(gateway.address, is_limited, replies, report).await;
    // These stay open until their keys are revoked.
    let mut revoked = Report::default();
    let open = run.play(gateway.address, |path| path == Path::KeyRevoked, replies, &mut revoked);
    let changing = async {
        // A socket that never opens is a finding of its own.
        let _ = timeout(PATIENCE, run.all_answered()).await;
        let bad = run.canaries().filter(|(cell, _)| cell.path == Path::FilesBadAtReload);
        for ((cell, canary), number) in bad.zip(1..) {
            Files::bad(cell.carrier, &canary).write(room)?;
            gateway.signal(Signal::HUP)?;
            if timeout(PATIENCE, has_refused(gateway, number)).await.is_ok() {
                report.planted(cell);
            } else {
                report.troubles.insert(format!("{} was taken over{during}", cell.carrier.label()));
            }
        }
        Files::good(run, true).write(room)
    };
    let (open, changed) = tokio::join!(open, changing);
    changed?;
    report.merge(revoked);
    Ok(limited + open)
}

/// Waits until a gateway has refused so many configurations.
async fn has_refused(gateway: &Gateway, number: usize) {
    let line = format!("hushgate_config_reloads_total{{result=\"error\"}} {number}\n");
    loop {
        let page = gateway.page("/metrics").await.unwrap_or_default();
        if page.windows(line.len()).any(|window| window == line.as_bytes()) {
            return;
        }
        sleep(PATIENCE / 1000).await;
    }
}

/// Says what the gateway never did, going by its log and by what the upstream received.
pub(super) fn look_at(run: &Run, fields: &[u8], log: &[u8], during: &str, report: &mut Report) {
    report.planted(SEAL);
    if run.holds(fields, OURS) {
        report.planted(OURS);
    } else {
        report.troubles.insert(format!("our own credential never came to the upstream of the test{during}"));
    }
    let log = String::from_utf8_lossy(log);
    for path in Path::ALL {
        if path.outcome().is_some_and(|outcome| !log.contains(&format!("\"outcome\":\"{outcome}\""))) {
            report.troubles.insert(format!("{}: the log knows nothing of it{during}", path.label()));
        }
    }
    let found = run.search.read(fields).unwrap_or_default();
    report.searched(&Sink::UpstreamFields, &found, during);
}
