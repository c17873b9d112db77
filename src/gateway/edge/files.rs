//! The files of `require`: read whole or not at all, and told apart from their next version.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::Edge;
use crate::{
    authenticate::{
        IndexKey, Keyring,
        cookies::{MOST, NoSigningKeys, SHORTEST, SigningKeys},
    },
    config::{
        Require, keyring,
        problem::{Place, Problem},
    },
    gateway::tls::FileProblem,
    secret::Wiped,
};

/// The longest keyring, in bytes: a hundred thousand entries and more.
const LONGEST_KEYRING: u64 = 64 * 1024 * 1024;

/// The longest file of a credential or of signing keys, in bytes, with its line ends.
const LONGEST_SECRET: usize = 4096;

/// How many seconds a file system may take to give two changes of a file two times.
const GRAIN: u64 = 1;

/// Which version of a file there is; a link that leads elsewhere now is another one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What tells it from others; `None` where it cannot be seen.
    version: Option<Version>,
    /// Whether it had been written so shortly before that a later change might not show.
    is_fresh: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(path: &Path) -> Self {
        let Ok(about) = fs::metadata(path) else { return Self { version: None, is_fresh: false } };
        Self {
            version: Some(Version {
                file: (about.dev(), about.ino()),
                length: about.size(),
                modified: (about.mtime(), about.mtime_nsec()),
                changed: (about.ctime(), about.ctime_nsec()),
            }),
            is_fresh: is_fresh(about.ctime(), SystemTime::now()),
        }
    }

    /// Whether this and another one look at the same version, however fresh it was.
    pub fn is_same_version(self, other: Option<Self>) -> bool {
        other.is_some_and(|other| other.version == self.version)
    }
}

impl Edge {
    /// Reads what `require` needs.
    ///
    /// # Errors
    /// Everything that is wrong with its files.
    pub(in crate::gateway) fn load(require: &Require) -> Result<Self, Vec<FileProblem>> {
        let keyring = read_keyring(&require.keyring);
        let with = |option, path: &Path, problem| FileProblem { option, path: path.to_owned(), problem };
        let file = &require.credential_file;
        let credential =
            read_credential(file).map_err(|problem| with("upstream.credential_file", file, problem));
        let signing_keys = require.cookies.as_ref().map(|cookies| {
            let file = &cookies.signing_key_file;
            read_signing_keys(file).map_err(|problem| with("authentication.signing_key_file", file, problem))
        });
        match (keyring, credential, signing_keys.transpose()) {
            (Ok((keyring, mark)), Ok(credential), Ok(signing_keys)) => Ok(Self {
                keyring: Arc::new(keyring),
                mark,
                credential: Arc::new(credential),
                signing_keys: signing_keys.map(Arc::new),
            }),
            (keyring, credential, signing_keys) => {
                let problems = keyring.err().into_iter().flatten();
                Err(problems.chain(credential.err()).chain(signing_keys.err()).collect())
            }
        }
    }

    /// Reads the keyring again, if its file is another one now, or had just been written when it was read.
    /// A version that was `refused` is not read again, and one that is still being written, or was only
    /// now `looked` at for the first time, is left for the next look. Returns which version there is.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub(in crate::gateway) fn renew(
        &self,
        path: &Path,
        looked: Option<Mark>,
        refused: Option<Mark>,
    ) -> (Mark, Result<Option<Self>, Vec<FileProblem>>) {
        let mark = Mark::of(path);
        let is_known = !mark.is_fresh && (mark == self.mark || Some(mark) == refused);
        if is_known || !mark.is_same_version(looked) {
            return (mark, Ok(None));
        }
        let read = read_keyring(path);
        if !Mark::of(path).is_same_version(Some(mark)) {
            return (mark, Ok(None));
        }
        let renewed =
            read.map(|(keyring, mark)| Some(Self { keyring: Arc::new(keyring), mark, ..self.clone() }));
        (mark, renewed)
    }
}

/// Reads the files of `require`, and gives back everything that is wrong with them.
pub fn check_files(require: &Require) -> Vec<FileProblem> {
    Edge::load(require).err().unwrap_or_default()
}

/// Whether a file's inode changed, in seconds since 1970, within [`GRAIN`] before now, or after it. Nobody
/// can set that time, other than that of a modification; only the clock may have gone back.
fn is_fresh(changed: i64, now: SystemTime) -> bool {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    u64::try_from(changed).unwrap_or_default().abs_diff(now) <= GRAIN
}

/// Opens a file, and nothing that could be waited for, such as a pipe.
fn open(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn read_keyring(path: &Path) -> Result<(Keyring, Mark), Vec<FileProblem>> {
    let problem =
        |problem: String| FileProblem { option: "authentication.keyring", path: path.to_owned(), problem };
    let unread = |error: io::Error| {
        vec![problem(format!("cannot be read: {}; make one with `hushgate key new`", error.kind()))]
    };
    // Looked at before it is read: whatever changes later is seen to be newer.
    let mark = Mark::of(path);
    let mut text = String::new();
    let length = open(path).and_then(|file| file.take(LONGEST_KEYRING + 1).read_to_string(&mut text));
    if u64::try_from(length.map_err(unread)?).is_ok_and(|length| length > LONGEST_KEYRING) {
        return Err(vec![problem("is longer than 64 MiB; name the file of a keyring".to_owned())]);
    }
    let entries = keyring::parse(&text)
        .map_err(|problems| -> Vec<_> { problems.iter().map(|found| problem(placed(found))).collect() })?;
    let mut random = Zeroizing::new([0; 32]);
    let filled = SystemRandom::new().fill(random.as_mut_slice());
    filled.map_err(|_| vec![problem("cannot be indexed: the system gives no random numbers".to_owned())])?;
    Ok((Keyring::new(entries, &IndexKey::new(&random)), mark))
}

/// What the agent server knows us by: one line of visible ASCII, which every carrier could carry.
fn read_credential(path: &Path) -> Result<Wiped, String> {
    let bytes = read_secret(path, "put the agent server's key into it")?;
    let line = bytes.as_bytes().trim_ascii_end();
    if line.is_empty() || bytes.as_bytes().len() > LONGEST_SECRET {
        return Err(
            "does not hold a credential; put the agent server's key into it, and nothing else".to_owned()
        );
    }
    if !line.iter().all(u8::is_ascii_graphic) {
        return Err(
            "holds more than one line of visible ASCII; put the agent server's key alone into it".to_owned()
        );
    }
    Ok(Wiped::copy_of(line))
}

/// What seals cookies: one key a line.
fn read_signing_keys(path: &Path) -> Result<SigningKeys, String> {
    const WRITE: &str = "make one with `openssl rand -base64 32`";
    let bytes = read_secret(path, WRITE)?;
    if bytes.as_bytes().len() > LONGEST_SECRET {
        return Err(format!("is longer than {LONGEST_SECRET} bytes; write one key a line, and {WRITE}"));
    }
    SigningKeys::parse(bytes.as_bytes()).map_err(|problem| match problem {
        NoSigningKeys::Empty => format!("holds no key; {WRITE}"),
        NoSigningKeys::TooMany => {
            format!("holds more than {MOST} keys; leave those out that no cookie is sealed with any more")
        }
        NoSigningKeys::Line(number) => {
            format!("line {number}: is not {SHORTEST} or more characters of visible ASCII; {WRITE}")
        }
    })
}

/// Reads a small file that is wiped, or a little more than the longest there may be.
fn read_secret(path: &Path, write: &str) -> Result<Wiped, String> {
    // Room for more than is read: it never grows, so that nothing of it is left behind.
    let mut bytes = Vec::with_capacity(2 * LONGEST_SECRET);
    let most = u64::try_from(LONGEST_SECRET + 1).unwrap_or(u64::MAX);
    let read = open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    let bytes = Wiped::new(bytes);
    read.map_err(|error| format!("cannot be read: {}; {write}", error.kind()))?;
    Ok(bytes)
}

/// A problem inside a keyring, behind the name of its file.
fn placed(problem: &Problem) -> String {
    let Problem { place, config_key, text } = problem;
    match place {
        Place::Line { line, column } => format!("line {line}, column {column}: {config_key}: {text}"),
        Place::File | Place::Variable(_) => format!("{config_key}: {text}"),
    }
}
