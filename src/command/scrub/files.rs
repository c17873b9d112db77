//! The files: plain or gzip, to standard output, in place, or only looked at.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Cursor, Read, Write},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    },
    path::Path,
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use rustix::fs::OFlags;

use super::{
    passage::{Broken, Tools, pass},
    report::Tally,
};

/// What becomes of the scrubbed text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Nothing: only the counts are wanted.
    Check,
    /// It replaces the file.
    InPlace,
    /// It goes to standard output.
    Output,
}

/// Why a file was not scrubbed. No text of a log is in it.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be opened or read.
    Read(io::ErrorKind),
    /// Its gzip data is not whole.
    Short,
    /// Its gzip data is damaged, or something else stands behind it.
    Damaged,
    /// The output, or the new file, cannot be written.
    Write(io::ErrorKind),
    /// Whoever read standard output is gone.
    NobodyReads,
    /// It is also the output.
    IsOutput,
    /// It cannot be replaced without harm.
    Irreplaceable(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(kind) => write!(f, "cannot be read: {kind}"),
            Self::Short => f.write_str("the gzip data ends too early: it was cut, or is still being written"),
            Self::Damaged => f.write_str("the gzip data is damaged, or something else follows it"),
            Self::Write(kind) => write!(f, "cannot be written: {kind}"),
            Self::NobodyReads => f.write_str("nobody reads the output"),
            Self::IsOutput => f.write_str("is also the output; write to another file, or use --in-place"),
            Self::Irreplaceable(why) => write!(f, "cannot be replaced: {why}; it is as it was"),
        }
    }
}

/// Scrubs one file, or standard input for `-`.
pub(super) fn scrub(file: &Path, goal: Goal, tools: &Tools, tally: &mut Tally) -> Result<(), Failure> {
    let is_standard_input = file == Path::new("-");
    if goal == Goal::InPlace {
        return if is_standard_input {
            Err(Failure::Irreplaceable("it is standard input; name a file"))
        } else {
            replace(file, tools, tally)
        };
    }
    let input = if is_standard_input { own(io::stdin().as_fd()) } else { File::open(file) };
    let input = input.map_err(|error| Failure::Read(error.kind()))?;
    let read = |error: io::Error| Failure::Read(error.kind());
    if goal == Goal::Check {
        return through(file, input, &mut io::sink(), tools, tally);
    }
    // Not the standard library's, which looks for the ends of lines.
    let mut output = own(io::stdout().as_fd()).map_err(|error| Failure::Write(error.kind()))?;
    let (from, to) = (input.metadata().map_err(read)?, output.metadata().map_err(read)?);
    if from.is_file() && (from.dev(), from.ino()) == (to.dev(), to.ino()) {
        return Err(Failure::IsOutput);
    }
    through(file, input, &mut output, tools, tally)
}

/// A descriptor of our own.
fn own(descriptor: std::os::fd::BorrowedFd<'_>) -> io::Result<File> {
    descriptor.try_clone_to_owned().map(File::from)
}

/// From a reader to a writer; what is gzip stays gzip.
fn through(
    file: &Path,
    input: File,
    output: &mut impl Write,
    tools: &Tools,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut magic = Vec::new();
    (&input).take(2).read_to_end(&mut magic).map_err(|error| Failure::Read(error.kind()))?;
    let is_gzip = magic == [0x1f, 0x8b];
    let input = Cursor::new(magic).chain(input);
    if !is_gzip {
        return pass(file, input, output, tools, tally).map_err(|broken| failure(&broken, false));
    }
    let mut output = GzEncoder::new(BufWriter::new(output), Compression::default());
    let passed = pass(file, MultiGzDecoder::new(input), &mut output, tools, tally);
    // What was written so far is whole, even if what was read was not.
    let ended = output.finish().and_then(|mut output| output.flush());
    passed.and_then(|()| ended.map_err(Broken::Writing)).map_err(|broken| failure(&broken, true))
}

/// What a broken passage means to a reader.
fn failure(broken: &Broken, is_gzip: bool) -> Failure {
    use io::ErrorKind::{BrokenPipe, InvalidData, InvalidInput, UnexpectedEof};
    let (Broken::Reading(error) | Broken::Writing(error)) = broken;
    match (broken, error.kind()) {
        (Broken::Reading(_), UnexpectedEof) if is_gzip => Failure::Short,
        (Broken::Reading(_), InvalidInput | InvalidData) if is_gzip => Failure::Damaged,
        (Broken::Reading(_), kind) => Failure::Read(kind),
        (Broken::Writing(_), BrokenPipe) => Failure::NobodyReads,
        (Broken::Writing(_), kind) => Failure::Write(kind),
    }
}

/// Puts a scrubbed file in place of a file, if there is something to scrub in it. The file is whole
/// at every moment: the new one is written beside it, and takes its name when it is safely on disk.
fn replace(file: &Path, tools: &Tools, tally: &mut Tally) -> Result<(), Failure> {
    let read = |error: io::Error| Failure::Read(error.kind());
    let write = |error: io::Error| Failure::Write(error.kind());
    let is_link = fs::symlink_metadata(file).map_err(read)?.is_symlink();
    if is_link {
        return Err(Failure::Irreplaceable("it is a symbolic link; name the file itself"));
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let input = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(file)
        .map_err(read)?;
    let before = input.metadata().map_err(read)?;
    if !before.is_file() {
        return Err(Failure::Irreplaceable("it is no regular file"));
    } else if before.nlink() > 1 {
        return Err(Failure::Irreplaceable("it has another name, a hard link, which would keep its text"));
    }
    let folder =
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut new = tempfile::Builder::new().prefix(".hushgate-scrub-").tempfile_in(folder).map_err(write)?;
    let found = tally.total();
    through(file, input.try_clone().map_err(read)?, new.as_file_mut(), tools, tally)?;
    if tally.total() == found {
        return Ok(());
    }
    take_after(new.as_file(), &before)?;
    new.as_file().sync_all().map_err(write)?;
    let after = input.metadata().map_err(read)?;
    if (after.len(), after.mtime(), after.mtime_nsec()) != (before.len(), before.mtime(), before.mtime_nsec())
    {
        return Err(Failure::Irreplaceable("it was written to meanwhile; rotate it first"));
    }
    new.persist(file).map_err(|error| Failure::Write(error.error.kind()))?;
    // The name too is on disk, where the file system lets a folder be written out.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Gives a new file the owner, the permissions and the time of the one that it replaces.
fn take_after(new: &File, old: &fs::Metadata) -> Result<(), Failure> {
    let write = |error: io::Error| Failure::Write(error.kind());
    let ours = new.metadata().map_err(write)?;
    if (ours.uid(), ours.gid()) != (old.uid(), old.gid()) {
        fchown(new, Some(old.uid()), Some(old.gid())).map_err(|_| {
            Failure::Irreplaceable("its owner cannot be kept; run this as its owner or as root")
        })?;
    }
    new.set_permissions(old.permissions()).map_err(write)?;
    let times = fs::FileTimes::new().set_modified(old.modified().map_err(write)?);
    new.set_times(times).map_err(write)
}
