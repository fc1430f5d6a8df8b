//! The words of `tollhouse task`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use tollhouse_tasks::Status;

use crate::cli::ConfigArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollhouse task new daily-report --model 'qwen3:32b' --channel ops
  tollhouse task check
  tollhouse task run daily-report --wait
  tollhouse task list                                # tasks, and what waits for a human
  tollhouse task list --runs --status failed
  tollhouse task show 01JX2Z
  tollhouse task approve 01JX2Z
  tollhouse task retry 01JX2Z --from draft --edit prompt='Write it shorter: ...'

A run may be named by the beginning of its id, where only one begins so. The book of runs is read as it lies on the disk (or in the
Postgres of `tasks.store`), so all of it works while the house is down, too; a run then begins at the next start. Who did what stands in
the run's history. Exit status: 0 done, 1 refused or, with --wait, not done, 78 the configuration is wrong.")]
pub(crate) struct TaskArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(subcommand)]
    pub(crate) command: TaskCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Begin a run of a task
    #[command(after_help = "\
Examples:
  tollhouse task run daily-report
  tollhouse task run daily-report --input channel=team --wait
  tollhouse task run import --id import-2026-01-27     # the same id twice is the same run")]
    Run {
        /// The task
        task: String,
        /// What it is given; JSON, or a text as it is; may be given several times
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        input: Vec<(String, String)>,
        /// A name of one's own for the run: asking for it twice begins it once
        #[arg(long)]
        id: Option<String>,
        /// Wait until it has ended or asks a human
        #[arg(long)]
        wait: bool,
        /// How long to wait
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = tollhouse_units::parse_duration)]
        timeout: Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List tasks, or runs, the newest first
    #[command(after_help = "\
Examples:
  tollhouse task list
  tollhouse task list --runs --task daily-report --limit 20
  tollhouse task list --runs --status asking --json | jq -r '.runs[].id'
  tollhouse task list --runs --text timeout")]
    List {
        /// List runs
        #[arg(long)]
        runs: bool,
        /// Of this task only
        #[arg(long, requires = "runs")]
        task: Option<String>,
        /// In this state only: queued, running, waiting, asking, paused, done, failed, cancelled
        #[arg(long, requires = "runs", value_parser = status)]
        status: Option<Status>,
        /// With this text in the run's id, task, step or error
        #[arg(long, requires = "runs")]
        text: Option<String>,
        /// Older than this run
        #[arg(long, requires = "runs", value_name = "RUN")]
        before: Option<String>,
        /// How many, up to 500
        #[arg(long, requires = "runs", default_value_t = 50)]
        limit: u32,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a run: its steps, what went into them and what came of them, and its history
    #[command(after_help = "\
Examples:
  tollhouse task show 01JX2Z
  tollhouse task show 01JX2Z --json | jq '.steps[] | {name, progress}'")]
    Show {
        /// The run
        run: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Begin nothing further in a run; or let the schedule of a task stand still
    #[command(after_help = TURN_EXAMPLES)]
    Pause(TurnArgs),
    /// Go on with a paused run, or with the schedule of a task
    #[command(after_help = TURN_EXAMPLES)]
    Resume(TurnArgs),
    /// End a run
    #[command(after_help = TURN_EXAMPLES)]
    Cancel(TurnArgs),
    /// Say yes to what a run asks
    #[command(after_help = ANSWER_EXAMPLES)]
    Approve(AnswerArgs),
    /// Say no to what a run asks
    #[command(after_help = ANSWER_EXAMPLES)]
    Reject(AnswerArgs),
    /// Go on with a run from an earlier step, or from where it failed
    #[command(after_help = ANSWER_EXAMPLES)]
    Retry {
        /// The run
        run: String,
        /// The step [default: where it failed]
        #[arg(long, value_name = "STEP")]
        from: Option<String>,
        #[command(flatten)]
        edits: EditArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check definitions: those of the folder `tasks.dir`, or these files
    #[command(after_help = "\
Examples:
  tollhouse task check
  tollhouse task check tasks/daily-report.yaml")]
    Check {
        /// Files to check instead
        files: Vec<PathBuf>,
    },
    /// Write a definition to begin with; without a name, list those that come along
    #[command(after_help = "\
Examples:
  tollhouse task new
  tollhouse task new daily-report --model 'qwen3:32b' --channel ops
  tollhouse task new daily-report --name morning --print | less")]
    New {
        /// The template
        template: Option<String>,
        /// The name of the task [default: that of the template]
        #[arg(long)]
        name: Option<String>,
        /// The model that it asks
        #[arg(long)]
        model: Option<String>,
        /// The channel that it tells
        #[arg(long)]
        channel: Option<String>,
        /// Print it instead
        #[arg(long)]
        print: bool,
    },
}

/// Of the commands that turn a run.
const TURN_EXAMPLES: &str = "\
Examples:
  tollhouse task pause 01JX2Z
  tollhouse task resume 01JX2Z
  tollhouse task cancel 01JX2Z
  tollhouse task pause --schedule daily-report     # no further runs by themselves
  tollhouse task resume --schedule daily-report";

#[derive(Debug, Args)]
pub(crate) struct TurnArgs {
    /// The run; with --schedule, the task
    pub(crate) name: String,
    /// The schedule of a task is meant
    #[arg(long)]
    pub(crate) schedule: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Of the commands that answer a run.
const ANSWER_EXAMPLES: &str = "\
Examples:
  tollhouse task approve 01JX2Z
  tollhouse task approve 01JX2Z --set draft='A better text'    # later steps see this instead
  tollhouse task reject 01JX2Z --comment 'wrong figures'
  tollhouse task retry 01JX2Z --from draft --edit prompt='Write it shorter'";

#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The run
    pub(crate) run: String,
    /// What there is to say of it
    #[arg(long, default_value = "")]
    pub(crate) comment: String,
    #[command(flatten)]
    pub(crate) edits: EditArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// Another value of a step; JSON, or a text as it is; may be given several times
    #[arg(long, value_name = "STEP=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Another value of a key of the step that is done again, such as its prompt; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) edit: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a name, `=` and a value, such as channel=ops")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn status(word: &str) -> Result<Status, String> {
    Status::of(word).ok_or_else(|| Status::ALL.map(|(word, _)| word).join(", "))
}
