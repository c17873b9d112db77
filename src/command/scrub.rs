//! `hushgate scrub`: credentials out of logs, with counts of what was found.

mod digest;
mod files;
mod passage;
mod report;

use std::{
    collections::HashSet,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use hushgate::{
    config::{Handshake, problem::printable},
    scrub::{LONGEST_NAME, Names},
    secret::Digest,
};

use self::{
    files::{Failure, Goal},
    passage::Tools,
    report::Tally,
};

/// Exit codes beside 0.
mod exit {
    /// `--check` found a credential.
    pub(super) const FOUND: u8 = 1;
    /// Something could not be read or written (`EX_IOERR`).
    pub(super) const FAILED: u8 = 74;
}

/// What can be asked of `hushgate scrub`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Logs, plain or gzip, written to standard output in the order given; `-`, or none, is standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write nothing; say where credentials are, and exit with 1 if there is one.
    #[arg(long, conflicts_with = "in_place")]
    check: bool,
    /// Replace each file by its scrubbed form. Files that a server still writes to must be rotated first.
    #[arg(long, requires = "files")]
    in_place: bool,
    /// Count what was found by name and by SHA-256, so that leaked credentials can be rotated.
    #[arg(long)]
    report: bool,
    /// Another name of a parameter, cookie or JSON member to look for; repeatable.
    #[arg(long = "parameter", value_name = "NAME")]
    parameters: Vec<String>,
    /// Another name of a header field to look for; repeatable.
    #[arg(long = "field", value_name = "NAME")]
    fields: Vec<String>,
    /// The SHA-256 of a credential to replace wherever it stands (slower); repeatable.
    #[arg(long = "sha256", value_name = "HEX", value_parser = digest::parse)]
    digests: Vec<Digest>,
    /// A file of such digests, one a line; repeatable.
    #[arg(long = "known", value_name = "FILE")]
    known: Vec<PathBuf>,
}

/// Scrubs what `arguments` name. Of a configuration, the credential's field and parameters are looked
/// for as well.
pub(crate) fn run(arguments: &Arguments, handshake: Option<&Handshake>) -> ExitCode {
    let tools = match tools(arguments, handshake) {
        Ok(tools) => tools,
        Err(refusal) => return refusal,
    };
    let goal = match arguments {
        Arguments { check: true, .. } => Goal::Check,
        Arguments { in_place: true, .. } => Goal::InPlace,
        Arguments { .. } => Goal::Output,
    };
    let mut tally = Tally::new(arguments.report, goal == Goal::Check);
    let mut has_failed = false;
    let standard_input = [PathBuf::from("-")];
    let files = if arguments.files.is_empty() { standard_input.as_slice() } else { &arguments.files };
    for file in files {
        if file == Path::new("-") && io::stdin().is_terminal() {
            say(format_args!("reading standard input, until Ctrl-D"));
        }
        match files::scrub(file, goal, &tools, &mut tally) {
            Ok(()) => {}
            Err(Failure::NobodyReads) => break,
            Err(failure) => {
                say(format_args!("{}: {failure}", file.display()));
                has_failed = true;
            }
        }
    }
    for line in tally.lines(goal) {
        say(format_args!("{line}"));
    }
    match goal {
        _ if has_failed => exit::FAILED.into(),
        Goal::Check if tally.total() > 0 => exit::FOUND.into(),
        Goal::Check | Goal::InPlace | Goal::Output => ExitCode::SUCCESS,
    }
}

/// The names and digests to look for, or the exit code if one cannot be.
fn tools(arguments: &Arguments, handshake: Option<&Handshake>) -> Result<Tools, ExitCode> {
    let mut names = Names::default();
    let configured = handshake
        .into_iter()
        .flat_map(|handshake| handshake.parameters.iter().chain([&handshake.field_spelling]));
    for name in configured.chain(&arguments.parameters).chain(&arguments.fields) {
        if !names.add(name) {
            say(format_args!(
                "a name to look for has letters, digits, `_`, `-` and `.`, at most {LONGEST_NAME} of them, \
                 and ends with a letter or digit; {} has not",
                printable(name)
            ));
            return Err(crate::exit::USAGE.into());
        }
    }
    let mut digests: HashSet<Digest> = arguments.digests.iter().copied().collect();
    for file in &arguments.known {
        match digest::read(file) {
            Ok(read) => digests.extend(read),
            Err((code, problem)) => {
                say(format_args!("{}{problem}", file.display()));
                return Err(code.into());
            }
        }
    }
    Ok(Tools { names, digests })
}

fn say(line: std::fmt::Arguments<'_>) {
    crate::say(io::stderr(), format_args!("hushgate scrub: {line}"));
}
