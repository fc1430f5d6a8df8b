//! The program: reads the command line, and does what it says.

mod advise;
mod alert;
mod approving;
mod backup;
mod batching;
mod bench;
mod check;
mod cli;
mod collecting;
mod completions;
mod content;
mod counts;
mod dead;
mod doctor;
mod edging;
mod es;
mod export;
mod figures;
mod ground;
mod handed;
mod health;
mod house;
mod index;
mod init;
mod journal;
mod keeper;
mod keys;
mod listening;
mod logging;
mod logs;
mod manual;
mod notifying;
mod probe;
mod probing;
mod ps;
mod ring;
mod schema;
mod search;
mod settings;
mod shelf;
mod ship;
mod shipping;
mod sieving;
mod source;
mod speech;
mod stores;
mod supervising;
mod table;
mod task;
mod tasking;
mod telling;
mod up;
mod users;
mod watching;
mod why;
mod wiring;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tollhouse_config::Config;

use crate::cli::{Cli, Command, ConfigArgs};

/// It gives memory back after a peak, which the C library's often does not (docs/decisions/0016).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Wrong use or a wrong configuration, as shells know it (sysexits' EX_CONFIG: a supervisor must not restart on it).
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What is kept is for the owner, and for its group to read: records tell who asked what when.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    let error = match run(cli) {
        Ok(code) => return code,
        Err(error) => error,
    };
    if is_enough(&error) {
        return ExitCode::SUCCESS;
    }
    let config_errors = error.downcast_ref::<tollhouse_config::ConfigErrors>().map(ToString::to_string);
    let unreadable = || error.downcast_ref::<init::Unreadable>().map(ToString::to_string);
    let is_unfit = error.downcast_ref::<up::Unfit>().is_some();
    let other = if is_unfit { ExitCode::from(EXIT_CONFIG) } else { ExitCode::FAILURE };
    let (text, code) = match config_errors.or_else(unreadable) {
        Some(errors) => (errors, ExitCode::from(EXIT_CONFIG)),
        None => (format!("tollhouse: {}", tollhouse_units::chain(error.as_ref())), other),
    };
    // If even that cannot be told, the exit status still is.
    let _ = writeln!(io::stderr(), "{text}");
    code
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Up(args) => runtime()?.block_on(up::up(args.source())),
        Command::Init(args) => runtime()?.block_on(init::init(&args)),
        Command::Check(args) => check::check(&args),
        Command::Schema(args) => schema::schema(&args),
        Command::Key(args) => runtime()?.block_on(keys::key(&args)),
        Command::User(args) => runtime()?.block_on(users::user(&args)),
        Command::Token(args) => runtime()?.block_on(keys::token(&args)),
        Command::Logs(args) => runtime()?.block_on(logs::logs(&args)),
        Command::Search(args) => runtime()?.block_on(search::search(&args)),
        // It tells by its exit status how the installation is.
        Command::Doctor(args) => return runtime()?.block_on(doctor::doctor(&args)),
        Command::Advise(args) => runtime()?.block_on(advise::advise_command(&args)),
        Command::Why(args) => runtime()?.block_on(why::why(&args)),
        // It tells by its exit status how the installation did.
        Command::Bench(args) => return runtime()?.block_on(bench::bench(&args)),
        Command::Content(args) => runtime()?.block_on(content::content(&args)),
        // So does this one, of the journal.
        Command::Journal(args) => return journal::journal(&args),
        Command::Index(args) => return index::index(&args),
        Command::Export(args) => export::export(&args),
        // It tells by its exit status whether all that was to be replayed was.
        Command::Dead(args) => return dead::dead(&args),
        // It tells by its exit status whether the cluster has what it should.
        Command::Ship(args) => return runtime()?.block_on(ship::ship(&args)),
        // It tells by its exit status what is not well.
        Command::Probe(args) => return runtime()?.block_on(probe::probe(&args)),
        // It tells by its exit status whether a tried channel works.
        Command::Alert(args) => return runtime()?.block_on(alert::alert(&args)),
        Command::Backup(args) => runtime()?.block_on(backup::backup(&args)),
        Command::Task(args) => return runtime()?.block_on(task::task(&args)),
        Command::Ps(args) => runtime()?.block_on(ps::ps(&args)),
        Command::Start(args) => runtime()?.block_on(ps::order("start", &args)),
        Command::Stop(args) => runtime()?.block_on(ps::order("stop", &args)),
        Command::Restart(args) => runtime()?.block_on(ps::order("restart", &args)),
        Command::Confirm(args) => runtime()?.block_on(ps::order("confirm", &args)),
        Command::Man(args) => manual::man(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Version => say(&format!("tollhouse {}\n", cli::VERSION)),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Gives out what a command was asked for.
fn say(text: &str) -> anyhow::Result<()> {
    io::stdout().write_all(text.as_bytes()).context("writing to standard output")
}

/// Whether it is only that whoever reads what a command says has read enough, such as `head`.
fn is_enough(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")
}

impl ConfigArgs {
    /// Reads the configuration that is meant: the named file, else the first of the default places, else defaults.
    fn load(&self) -> anyhow::Result<Config> {
        match tollhouse_config::find(self.config.as_deref()) {
            Some(path) => Ok(tollhouse_config::load(&path)?),
            None => Ok(Config::default()),
        }
    }
}
