//! `hushgate key`: credentials made, and entries for the keyring.

mod file;
mod presented;

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    num::NonZeroU32,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::SystemTime,
};

use clap::{Args, Subcommand};
use hushgate::{
    config::keyring::{self, Carrier, Draft},
    secret::{Digest, Wiped, issued},
    server::system,
};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use self::file::Failure;

/// Exit codes beside 0 and those of the whole program.
mod exit {
    /// There is no entry, or no credential: nothing was written.
    pub(super) const FAILED: u8 = 1;
}

/// What can be asked of `hushgate key`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a credential, and the keyring's entry that holds its digest.
    ///
    /// The credential is the first line of standard output. It is shown once and kept nowhere. The entry
    /// follows it, behind an empty line, or goes into the file that --keyring names. What else there is
    /// to say goes to standard error. Exit codes: 0; 1 if it cannot be written; 64 for a wrong command
    /// line; 78 if the keyring cannot be used.
    New(Options),
    /// Read a credential that was made elsewhere from standard input, and make its entry.
    ///
    /// The entry goes to standard output, or into the file that --keyring names; the credential is not
    /// shown. Exit codes as for `new`; 64 also for what cannot be a credential.
    Digest(Options),
}

/// What stands in an entry, and where that goes.
#[derive(Args)]
struct Options {
    /// The caller's name, for the agent server and for the log.
    #[arg(value_name = "NAME", value_parser = keyring::name)]
    name: Arc<str>,
    /// When the credential ceases to count: a duration from now such as 90d, or a date such as
    /// 2027-01-01T00:00:00Z [default: never].
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<SystemTime>,
    /// When it begins to count, a date [default: at once].
    #[arg(long, value_name = "DATE", value_parser = keyring::moment)]
    not_before: Option<SystemTime>,
    /// A way by which it may be presented; repeatable [default: any].
    #[arg(long = "carrier", value_name = "WAY", value_parser = keyring::carrier)]
    carriers: Vec<Carrier>,
    /// An origin whose pages may present it; repeatable [default: any].
    #[arg(long = "origin", value_name = "PATTERN")]
    origins: Vec<String>,
    /// The most WebSockets that it holds open at once [default: any number].
    #[arg(long, value_name = "NUMBER")]
    max_sockets: Option<NonZeroU32>,
    /// The keyring to add the entry to; it is created if there is none.
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
}

/// Does what was asked for, and gives back the exit code.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    system::forbid_core_dumps();
    let done = match &arguments.command {
        Command::New(options) => new(options),
        Command::Digest(options) => digest(options),
    };
    done.map_or_else(|code| code, |()| ExitCode::SUCCESS)
}

fn new(options: &Options) -> Result<(), ExitCode> {
    let mut random = Zeroizing::new([0; issued::RANDOM]);
    SystemRandom::new()
        .fill(random.as_mut_slice())
        .map_err(|_| fail(exit::FAILED, format_args!("the system gives no random bytes")))?;
    let credential = issued::make(issued::PREFIX, &random);
    let draft = draft(options, Digest::of(credential.as_bytes()))?;
    if let Some(file) = &options.keyring {
        append(file, &draft)?;
        show(&credential)?;
        say(format_args!("{}: {} was added", file.display(), draft.name));
        say(format_args!("the credential is shown only now: hand it on, and keep it out of logs"));
    } else {
        show(&credential)?;
        crate::say(io::stdout(), format_args!("\n{}", draft.to_string().trim_end()));
        say(format_args!("the credential is shown only now; put the entry below it into keyring.toml"));
    }
    Ok(())
}

fn digest(options: &Options) -> Result<(), ExitCode> {
    let credential = presented::read()
        .map_err(|problem| fail(crate::exit::USAGE, format_args!("standard input: {problem}")))?;
    let draft = draft(options, Digest::of(credential.as_bytes()))?;
    match &options.keyring {
        Some(file) => {
            append(file, &draft)?;
            say(format_args!("{}: {} was added", file.display(), draft.name));
        }
        None => crate::say(io::stdout(), format_args!("{}", draft.to_string().trim_end())),
    }
    Ok(())
}

/// The entry that was asked for, if a keyring takes it.
fn draft(options: &Options, digest: Digest) -> Result<Draft, ExitCode> {
    let draft = Draft {
        name: options.name.to_string(),
        digest,
        not_before: options.not_before,
        expires: options.expires,
        origins: options.origins.clone(),
        max_sockets: options.max_sockets.map(NonZeroU32::get),
        carriers: options.carriers.clone(),
    };
    let problems = keyring::parse(&draft.to_string()).err().unwrap_or_default();
    for problem in &problems {
        let option = problem.config_key.trim_start_matches("key.");
        say(format_args!("{option}: {}", problem.text));
    }
    if problems.is_empty() { Ok(draft) } else { Err(crate::exit::USAGE.into()) }
}

fn append(file: &Path, draft: &Draft) -> Result<(), ExitCode> {
    file::append(file, draft).map_err(|failure| match failure {
        Failure::Problems(problems) => crate::complain(file, &problems),
        Failure::Unusable(why) => {
            fail(crate::exit::CONFIGURATION, format_args!("{}: {why}; it is as it was", file.display()))
        }
        Failure::Write(kind) => {
            fail(exit::FAILED, format_args!("{}: cannot be written: {kind}; it is as it was", file.display()))
        }
    })
}

/// The one place that shows a credential, since somebody has to get it. Not through the standard library's
/// standard output, which would keep a copy.
fn show(credential: &Wiped) -> Result<(), ExitCode> {
    let mut line = Wiped::copy_of(credential.as_bytes());
    line.append(b"\n");
    let shown = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    shown.and_then(|mut output| output.write_all(line.as_bytes())).map_err(|error| {
        let kind = error.kind();
        fail(
            exit::FAILED,
            format_args!("the credential cannot be shown: {kind}; remove its entry, if it has one"),
        )
    })
}

/// A date, or a duration from now.
fn expiry(text: &str) -> Result<SystemTime, String> {
    let Ok(ahead) = humantime::parse_duration(text) else {
        return keyring::moment(text).map_err(|problem| format!("{problem}, or a duration such as 90d"));
    };
    let mut date = String::new();
    let moment = SystemTime::now().checked_add(ahead);
    // What no date can be written for is out of range.
    match moment.map(|moment| write!(date, "{}", humantime::format_rfc3339_seconds(moment))) {
        Some(Ok(())) => keyring::moment(&date),
        Some(Err(_)) | None => Err("is out of range; write a shorter duration, such as 90d".to_owned()),
    }
}

fn fail(code: u8, line: std::fmt::Arguments<'_>) -> ExitCode {
    say(line);
    code.into()
}

fn say(line: std::fmt::Arguments<'_>) {
    crate::say(io::stderr(), format_args!("hushgate key: {line}"));
}
