//! `tollhouse doctor`: the fault-finding chart and the four layers of the defence, run here and now.
//!
//! Everything is gathered side by side, each step with a deadline of its own, so that the whole takes a few seconds whatever is
//! stuck. Judging is `tollhouse-doctor`'s; nothing is changed but by `--fix`.

mod asker;
mod book;
mod edge;
mod gather;
mod machine;
mod servers;
mod sockets;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tollhouse_config::Config;
use tollhouse_doctor::{Check, ConfigFacts, Facts, Findings, Repair, Setup, Status, chart, security};

use crate::cli::{ConfigArgs, VERSION};
use crate::say;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse doctor                       # what is not well, and how it is mended
  tollhouse doctor --all                 # every step of the chart
  tollhouse doctor --security            # what can be reached, encryption, keys, what stands behind
  tollhouse doctor --json | jq -r '.checks[] | select(.status == \"fault\") | .fix'
  tollhouse doctor --fix                 # shows what can be mended without harm, and asks

Works with and without a running house, in at most five seconds. Exit status: 0 healthy, 1 warnings, 2 faults. The ids and codes of
all checks stand in docs/doctor.md.")]
#[expect(clippy::struct_excessive_bools, reason = "options of a command line, each on or off by itself")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Look at the four layers of the defence, from outside in
    #[arg(long)]
    security: bool,
    /// Show every step, not only what is not well
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Mend what can be mended without harm, after showing it: folders that are missing, rights on secret files
    #[arg(long, conflicts_with = "json")]
    fix: bool,
    /// Do not ask before mending
    #[arg(long, requires = "fix")]
    yes: bool,
    /// Look for files of other programs (nginx, OpenClaw, certbot) below this folder
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
}

/// Runs the command; its exit status says how the installation is.
pub(crate) async fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let findings = Box::pin(examined(args)).await?;
    let took = began.elapsed();
    if args.json {
        let mut told = findings.to_json();
        told["took_ms"] = json!(took.as_millis() as u64);
        say(&format!("{told:#}\n"))?;
        return Ok(ExitCode::from(findings.exit_status()));
    }
    say(&told(&findings, args.all, std::io::stdout().is_terminal()))?;
    let text = match findings.troubles().count() {
        0 => "all is well".to_owned(),
        1 => "1 thing is not well".to_owned(),
        count => format!("{count} things are not well"),
    };
    let looked = findings.0.iter().filter(|check| check.status != Status::Skipped).count();
    say(&format!(
        "{text}; {looked} looked at, {} skipped, in {:.1} s\n",
        findings.0.len() - looked,
        took.as_secs_f64()
    ))?;
    if args.fix && mend(&findings, args.yes)? {
        let again = Box::pin(examined(args)).await?;
        say(&format!("after mending: {}\n", again.status().as_str()))?;
        return Ok(ExitCode::from(again.exit_status()));
    }
    Ok(ExitCode::from(findings.exit_status()))
}

/// What the console asks of the doctor, by the configuration in force.
#[derive(Debug)]
pub(crate) struct Physician {
    pub(crate) config: Config,
    /// The configuration's file, where there is one.
    pub(crate) file: Option<PathBuf>,
}

impl tollhouse_console::Doctor for Physician {
    fn examine(&self, is_security: bool) -> tollhouse_console::Examined<'_> {
        let (config, file) = (self.config.clone(), self.file.clone());
        let runtime = tokio::runtime::Handle::current();
        // What is gathered side by side borrows from its asker, so it stays on one thread.
        let looking = tokio::task::spawn_blocking(move || {
            let gathered = runtime.block_on(gather::facts(&config, file.as_deref(), Path::new("/")));
            let mut facts = gathered.map_err(|error| format!("{error:#}"))?;
            VERSION.clone_into(&mut facts.version);
            facts.config = ConfigFacts { file: file.map(|file| file.display().to_string()), problem: None };
            Ok(if is_security { security(&facts) } else { chart(&facts) })
        });
        Box::pin(async { looking.await.unwrap_or_else(|_| Err("the examination broke off".to_owned())) })
    }

    fn setup(&self) -> Setup {
        crate::advise::setup(&self.config, 0.0)
    }
}

/// Gathers and judges.
async fn examined(args: &DoctorArgs) -> anyhow::Result<Findings> {
    let file = tollhouse_config::find(args.config.config.as_deref());
    let loaded = match &file {
        Some(path) => tollhouse_config::load(path).map_err(|errors| errors.to_string()),
        None => Ok(Config::default()),
    };
    let mut facts = match &loaded {
        Ok(config) => Box::pin(gather::facts(config, file.as_deref(), &args.root)).await?,
        Err(_) => Facts::default(),
    };
    VERSION.clone_into(&mut facts.version);
    facts.config = ConfigFacts { file: file.map(|file| file.display().to_string()), problem: loaded.err() };
    if args.security && facts.config.problem.is_none() { Ok(security(&facts)) } else { Ok(chart(&facts)) }
}

/// For people: what is not well, and all else where it is asked for.
fn told(findings: &Findings, all: bool, colours: bool) -> String {
    let mut out = String::new();
    let mut area = None;
    for check in findings.0.iter().filter(|check| all || check.status >= Status::Warn) {
        if area != Some(check.area) {
            area = Some(check.area);
            let _ = writeln!(out, "{}", check.area.as_str().replace('_', " "));
        }
        tell(&mut out, check, colours);
    }
    out
}

fn tell(out: &mut String, check: &Check, colours: bool) {
    let (on, off) = match check.status {
        _ if !colours => ("", ""),
        Status::Ok => ("\x1b[32m", "\x1b[0m"),
        Status::Skipped => ("\x1b[2m", "\x1b[0m"),
        Status::Warn => ("\x1b[33m", "\x1b[0m"),
        Status::Fault => ("\x1b[31m", "\x1b[0m"),
    };
    let subject = check.subject.as_ref().map_or_else(String::new, |subject| format!(" [{subject}]"));
    let _ = writeln!(out, "  {on}{:<7}{off}  {}{subject}: {}", check.status.as_str(), check.id, check.found);
    if check.status >= Status::Warn {
        let _ = writeln!(out, "           looked at: {}", check.looked);
        if let Some(fix) = &check.fix {
            let _ = writeln!(out, "           to mend:   {fix}");
        }
    }
}

/// Shows what can be mended without harm and does it; whether something was done.
fn mend(findings: &Findings, is_agreed: bool) -> anyhow::Result<bool> {
    let mut repairs: Vec<&Repair> = findings.troubles().filter_map(|check| check.repair.as_ref()).collect();
    repairs.dedup();
    if repairs.is_empty() {
        say("nothing of this can be mended from here without harm\n")?;
        return Ok(false);
    }
    say("this would be done:\n")?;
    for repair in &repairs {
        say(&format!("  {repair}\n"))?;
    }
    if !is_agreed && !agrees()? {
        say("nothing was done\n")?;
        return Ok(false);
    }
    for repair in repairs {
        match repair {
            Repair::MakeFolder(path) => {
                std::fs::create_dir_all(path).with_context(|| format!("making the folder {}", path.display()))?;
            }
            Repair::Mode(path, mode) => {
                let rights = std::fs::Permissions::from_mode(*mode);
                std::fs::set_permissions(path, rights)
                    .with_context(|| format!("changing the mode of {}", path.display()))?;
            }
        }
        say(&format!("done: {repair}\n"))?;
    }
    Ok(true)
}

/// Asks on the terminal; where there is none, nobody agrees.
fn agrees() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    say("do it? [y/N] ")?;
    std::io::stdout().flush().context("writing to standard output")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("reading the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
