//! The `hushgate` command: arguments, configuration, server, exit code.

mod command;

use std::{
    env, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};
use hushgate::{
    config::{
        Config, Loaded,
        problem::{Place, Problem, printable},
    },
    demo,
    server::{
        self, Server, StartError, diagnostics,
        lifetime::{self, Signals},
        system,
    },
};

/// It gives back what closed sockets held, within seconds; glibc's keeps all of it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The longest configuration, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Exit codes beside 0.
mod exit {
    /// The gateway could not start.
    pub(super) const NOT_STARTED: u8 = 1;
    /// The demo showed something else than it promises.
    pub(super) const NOT_HELD: u8 = 1;
    /// The command line is wrong (`EX_USAGE`).
    pub(super) const USAGE: u8 = 64;
    /// The configuration is wrong (`EX_CONFIG`).
    pub(super) const CONFIGURATION: u8 = 78;
}

/// An authentication gateway that keeps session keys out of URLs and out of every log.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    /// The configuration; variables such as `HUSHGATE_UPSTREAM__URL` override single keys
    /// [default: gateway.toml, but `key` and `scrub` need none].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT; SIGHUP reopens the log and reloads.
    Run,
    /// Say everything that is wrong with the configuration and with the files that it names.
    Check,
    /// Show what hushgate does, with an agent server of its own on loopback, then serve a page.
    Demo {
        /// End after the walk, with exit code 0 if all held.
        #[arg(long)]
        once: bool,
    },
    /// Make a credential for a caller, and the keyring's entry that holds its digest.
    Key(command::key::Arguments),
    /// Plant canaries wherever a credential can stand, and look for them in every output: of a
    /// gateway of its own, or of a running deployment.
    Leaktest(command::leaktest::Arguments),
    /// Logs in, the same lines out with every credential replaced by `REDACTED`.
    Scrub(command::scrub::Arguments),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and the version are answers, not errors.
            if !error.use_stderr() {
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            say(io::stderr(), format_args!("{}", without_strays(&error).trim_end()));
            return exit::USAGE.into();
        }
    };
    let config = arguments.config.as_deref();
    let file = config.unwrap_or_else(|| Path::new("gateway.toml"));
    match arguments.command {
        Command::Run => run(file),
        Command::Check => check(file),
        Command::Demo { once } => demonstrate(once),
        Command::Key(arguments) => command::key::run(&arguments),
        Command::Leaktest(arguments) => command::leaktest::run(arguments),
        Command::Scrub(arguments) => scrub(&arguments, config),
    }
}

/// Of a configuration that was named, the names of the credential are looked for as well.
fn scrub(arguments: &command::scrub::Arguments, config: Option<&Path>) -> ExitCode {
    match config.map(|file| parse(file).map_err(|problems| complain(file, &problems))) {
        None => command::scrub::run(arguments, None),
        Some(Ok(loaded)) => command::scrub::run(arguments, Some(&loaded.config.handshake)),
        Some(Err(code)) => code,
    }
}

/// What is wrong with the command line, without repeating what is no option or command of anybody's: a
/// stray word may be a key that was pasted, and a service's standard error is a log.
fn without_strays(error: &clap::Error) -> String {
    // Elsewhere the argument that clap names is an option of ours.
    let stray = if error.kind() == ErrorKind::UnknownArgument {
        ContextKind::InvalidArg
    } else if error.kind() == ErrorKind::InvalidSubcommand {
        ContextKind::InvalidSubcommand
    } else {
        ContextKind::InvalidValue
    };
    let text = error.render().to_string();
    match error.get(stray) {
        Some(ContextValue::String(word)) if !word.is_empty() => text.replace(word, printable(word)),
        Some(_) | None => text,
    }
}

fn demonstrate(once: bool) -> ExitCode {
    let _diagnostics =
        diagnostics::install(Some(&env::var("RUST_LOG").unwrap_or_else(|_| "warn".to_owned())));
    let options = demo::Options { once, colour: demo::wants_colour() };
    let given = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(demo::run(options, &mut io::stdout())),
        Err(error) => return fail(format_args!("cannot start a runtime: {}", error.kind())),
    };
    match given {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => exit::NOT_HELD.into(),
        Err(error) => fail(format_args!("{error}")),
    }
}

fn check(file: &Path) -> ExitCode {
    match load(file) {
        Ok(_) => {
            say(io::stdout(), format_args!("{}: no problem found", file.display()));
            ExitCode::SUCCESS
        }
        Err(problems) => complain(file, &problems),
    }
}

fn run(file: &Path) -> ExitCode {
    system::forbid_core_dumps();
    let _diagnostics = diagnostics::install(env::var("RUST_LOG").ok().as_deref());
    let loaded = match load(file) {
        Ok(loaded) => loaded,
        Err(problems) => return complain(file, &problems),
    };
    // It accepts, listens to signals and answers probes; connections are served by workers.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(format_args!("cannot start a runtime: {}", error.kind())),
    };
    let ended = runtime.block_on(serve(loaded.config, file));
    // What a drain left behind does not hold the end up.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(format_args!("{error}")),
    }
}

async fn serve(config: Config, file: &Path) -> Result<(), StartError> {
    let signals = Signals::listen().map_err(|error| StartError::Signals { reason: error.kind() })?;
    let tls = if config.listen.tls.is_some() { " (TLS)" } else { "" };
    let server = Server::start(config).await?;
    // Standard output is the access log's.
    say(io::stderr(), format_args!("hushgate listens on {}{tls}", server.address()));
    say(io::stderr(), format_args!("hushgate admin on {}", server.admin_address()));
    let file = file.to_owned();
    let load = move || match load(&file) {
        Ok(loaded) => Some(loaded.config),
        Err(problems) => {
            let name = file.display().to_string();
            problems.iter().for_each(|problem| tracing::error!("{}", problem.render(&name)));
            None
        }
    };
    lifetime::serve(server, signals, load).await;
    Ok(())
}

/// Reads the configuration, and the environment.
fn parse(file: &Path) -> Result<Loaded, Vec<Problem>> {
    let text = read(file).map_err(|text| vec![Problem::new(&Place::File, "", text)])?;
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())));
    Config::parse(&text, variables)
}

/// The same, and every file that they name.
fn load(file: &Path) -> Result<Loaded, Vec<Problem>> {
    let loaded = parse(file)?;
    let problems: Vec<_> = server::check_files(&loaded.config)
        .into_iter()
        .map(|file| loaded.problem(file.option, format!("{}: {}", file.path.display(), file.problem)))
        .collect();
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    match fs::File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text)) {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= LONGEST) => Ok(text),
        Ok(_) => Err(format!("is longer than {LONGEST} bytes; name the file of a configuration")),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err("is not UTF-8".to_owned()),
        Err(error) => Err(format!("cannot be read: {}; name another file with --config", error.kind())),
    }
}

fn complain(file: &Path, problems: &[Problem]) -> ExitCode {
    let file = file.display().to_string();
    for problem in problems {
        say(io::stderr(), format_args!("{}", problem.render(&file)));
    }
    let count =
        if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    say(io::stderr(), format_args!("{count} found"));
    exit::CONFIGURATION.into()
}

fn fail(reason: std::fmt::Arguments<'_>) -> ExitCode {
    say(io::stderr(), format_args!("hushgate: could not start: {reason}"));
    exit::NOT_STARTED.into()
}

/// The one door for what the command says. A closed pipe is nobody's concern.
fn say(mut to: impl Write, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(to, "{line}");
}
