//! The keyring's file, and how an entry gets into it.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::Path,
};

use hushgate::config::{
    keyring::{self, Draft},
    problem::Problem,
};

/// Why an entry was not added. The file is as it was.
pub(super) enum Failure {
    /// The file is no keyring.
    Problems(Vec<Problem>),
    /// It cannot be read, or takes no such entry.
    Unusable(String),
    /// It cannot be written.
    Write(io::ErrorKind),
}

/// Adds an entry to a file, which is created if there is none. The file is whole at every moment: the new
/// one is written beside it, and takes its name when it is safely on disk.
pub(super) fn append(file: &Path, draft: &Draft) -> Result<(), Failure> {
    let unreadable = |error: io::Error| Failure::Unusable(format!("cannot be read: {}", error.kind()));
    let write = |error: io::Error| Failure::Write(error.kind());
    // A link stays: what it leads to is replaced.
    let file = match fs::canonicalize(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
        found => found.map_err(unreadable)?,
    };
    let folder =
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let lock = File::open(folder).map_err(write)?;
    // Two commands at once wait for each other, where the file system knows how.
    let _ = lock.lock();
    let old = match fs::metadata(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        found => Some(found.map_err(unreadable)?),
    };
    if old.as_ref().is_some_and(|old| !old.is_file()) {
        return Err(Failure::Unusable("is no regular file".to_owned()));
    }
    let text = old.as_ref().map_or(Ok(String::new()), |_| fs::read_to_string(&file)).map_err(unreadable)?;
    let text = with_entry(&text, draft)?;
    let mut new = tempfile::Builder::new()
        .prefix(".hushgate-key-")
        // The gateway's group may read it: it holds digests only.
        .permissions(Permissions::from_mode(0o640))
        .tempfile_in(folder)
        .map_err(write)?;
    new.write_all(text.as_bytes()).map_err(write)?;
    if let Some(old) = old {
        take_after(new.as_file(), &old).map_err(write)?;
    }
    new.as_file().sync_all().map_err(write)?;
    new.persist(&file).map_err(|error| Failure::Write(error.error.kind()))?;
    // The name too is on disk, where the file system lets a folder be written out.
    let _ = lock.sync_all();
    Ok(())
}

/// The text of a keyring with another entry at its end.
fn with_entry(text: &str, draft: &Draft) -> Result<String, Failure> {
    let entries = keyring::parse(text).map_err(Failure::Problems)?;
    let unusable = |why: &str| Err(Failure::Unusable(why.to_owned()));
    if entries.iter().any(|entry| *entry.name == *draft.name) {
        return unusable("has an entry of that name; choose another name, or remove that entry");
    }
    if entries.iter().any(|entry| entry.digest == draft.digest) {
        return unusable("has an entry for that credential; make one for each caller");
    }
    let between = match text {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let text = format!("{text}{between}{draft}");
    if keyring::parse(&text).is_err() {
        return unusable("cannot be added to as it is written; write each entry as a table, [[key]]");
    }
    Ok(text)
}

/// Gives a new file the owner and the permissions of the one that it replaces.
fn take_after(new: &File, old: &Metadata) -> io::Result<()> {
    let ours = new.metadata()?;
    if (ours.uid(), ours.gid()) != (old.uid(), old.gid()) {
        fchown(new, Some(old.uid()), Some(old.gid()))?;
    }
    new.set_permissions(old.permissions())
}
