//! Where leaks are looked for.

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    canary::Cell,
    carriers::Carrier,
    search::{Found, Search},
};

/// A place that is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    /// The gateway's access log.
    AccessLog,
    /// Its standard output, which is the access log where no file is one.
    StandardOutput,
    /// Its standard error.
    StandardError,
    /// Its metrics page.
    Metrics,
    /// Its other admin pages, unknown ones included.
    AdminPages,
    /// What clients are answered.
    Replies,
    /// The request targets that the upstream receives, which are what its log shows.
    UpstreamTarget,
    /// The fields that the upstream receives of a gateway in `require`, which hold no key of a caller.
    UpstreamFields,
    /// A file of the operator's.
    File(PathBuf),
}

impl Sink {
    /// Whether a canary of this cell may be in it, because it is forwarded there as it came.
    pub(super) const fn may_hold(&self, cell: Cell) -> bool {
        let is_told = matches!(self, Self::UpstreamFields) && matches!(cell.carrier, Carrier::OwnCredential);
        is_told || matches!(self, Self::UpstreamTarget) && cell.carrier.stays_in_the_target()
    }

    /// Whether it is searched for the canary of this cell.
    pub(super) const fn concerns(&self, cell: Cell) -> bool {
        !matches!(self, Self::UpstreamFields) || cell.carrier.is_of_require()
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessLog => "access log",
            Self::StandardOutput => "standard output",
            Self::StandardError => "standard error",
            Self::Metrics => "metrics",
            Self::AdminPages => "admin pages",
            Self::Replies => "replies",
            Self::UpstreamTarget => "upstream target",
            Self::UpstreamFields => "upstream fields, in require",
            Self::File(path) => return path.display().fmt(f),
        })
    }
}

/// A file that is searched from where it ended when it was first looked at.
///
/// It is held open, so that what was written before it was renamed is found, and the file that has
/// its name by then is searched too.
pub(super) struct Watched {
    /// Its name.
    pub(super) path: PathBuf,
    /// What had that name, and how long it was.
    was: Option<(File, u64)>,
}

impl Watched {
    /// Begins to watch. A file that is not there yet is searched whole.
    ///
    /// # Errors
    /// It cannot be read, or is no file.
    pub(super) fn from_now(path: PathBuf) -> io::Result<Self> {
        let was = match open(&path) {
            Ok((file, metadata)) => Some((file, metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path, was })
    }

    /// Searches what was written since.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub(super) fn search(self, search: &Search) -> io::Result<Growth> {
        let now = open(&self.path);
        let Some((mut file, length)) = self.was else {
            return Ok(Growth { old: Found::default(), new: search.read(now?.0)?, is_cut: false });
        };
        let metadata = file.metadata()?;
        let is_cut = metadata.len() < length;
        let found = from(&mut file, if is_cut { 0 } else { length }, search)?;
        Ok(match now {
            Ok((new, now)) if (now.dev(), now.ino()) != (metadata.dev(), metadata.ino()) => {
                Growth { old: found, new: search.read(new)?, is_cut }
            }
            Ok(_) => Growth { old: Found::default(), new: found, is_cut },
            // It was moved away, and nothing has been written to a new one so far.
            Err(_) => Growth { old: found, new: Found::default(), is_cut },
        })
    }
}

/// What was found in a file that was watched.
pub(super) struct Growth {
    /// In what had its name and was moved away.
    pub(super) old: Found,
    /// In what has its name.
    pub(super) new: Found,
    /// Whether it was cut short meanwhile, so that some of it may be elsewhere.
    pub(super) is_cut: bool,
}

/// Searches a file from one of its bytes on; hits are counted from its beginning.
fn from(file: &mut File, start: u64, search: &Search) -> io::Result<Found> {
    file.seek(SeekFrom::Start(start))?;
    let mut found = search.read(&mut *file)?;
    if !found.hits.is_empty() {
        file.seek(SeekFrom::Start(0))?;
        let before = search.read(file.take(start))?.lines;
        for hit in &mut found.hits {
            (hit.line, hit.byte) = (hit.line + before, hit.byte + start);
        }
    }
    Ok(found)
}

fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // A pipe would be waited for for ever.
    if std::fs::metadata(path)?.is_file() {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
    }
}
