//! `tollhouse task`: runs of durable tasks, begun, looked at, answered and turned; definitions, checked and begun from templates.
//! It works on the book of runs itself, so it also works while the house is down; a running house notices within a second.

mod args;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tollhouse_config::{Config, TasksConfig};
use tollhouse_tasks::{
    Answer, Asked, Definition, Desk, Edits, Filter, Order, RunDetail, RunSummary, Status, StepDetail, SystemClock,
    TaskSummary,
};

pub(crate) use self::args::TaskArgs;
use self::args::{AnswerArgs, EditArgs, TaskCommand, TurnArgs};
use crate::search::cell;
use crate::table::aligned;
use crate::{say, tasking};

/// Who does it by this command.
const WHO: &str = "command line";
/// How often is looked whether a run that is waited for has ended.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest value that is shown of a step, in characters.
const VALUE_CHARS_MAX: usize = 400;

/// Runs the command.
pub(crate) async fn task(args: &TaskArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    match &args.command {
        TaskCommand::Check { files } => return check(&config, files).map(|()| ExitCode::SUCCESS),
        TaskCommand::New { template, name, model, channel, print } => {
            let wanted = Wanted { name: name.as_deref(), model: model.as_deref(), channel: channel.as_deref() };
            return new(&config, template.as_deref(), &wanted, *print).map(|()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    let tasks = config.tasks.as_ref().context("the configuration has no `tasks`; write `tasks: {dir: ./tasks}`")?;
    let book = tasking::open(&config, tasks).await?;
    let desk = Desk::new(book.clone(), book.clock(Arc::new(SystemClock)).await?);
    let done = asked(&desk, tasks, &args.command).await;
    book.close().await;
    done
}

async fn asked(desk: &Desk, tasks: &TasksConfig, command: &TaskCommand) -> anyhow::Result<ExitCode> {
    match command {
        TaskCommand::Run { task, input, id, wait, timeout, json } => {
            publish(desk, tasks).await?;
            let order = Order { task: task.clone(), input: values(input), who: WHO.to_owned(), id: id.clone() };
            let run = desk.run(order).await?;
            return begun(desk, &run, wait.then_some(*timeout), *json).await;
        }
        TaskCommand::List { runs: false, json, .. } => {
            publish(desk, tasks).await?;
            let (tasks, questions) = (desk.tasks().await?, desk.questions().await?);
            if *json {
                say(&format!("{:#}\n", json!({"tasks": tasks, "questions": questions})))?;
            } else {
                say(&task_table(&tasks, &questions))?;
            }
        }
        TaskCommand::List { task, status, text, before, limit, json, .. } => {
            let filter = Filter {
                task: task.clone(),
                status: *status,
                text: text.clone(),
                before: before.clone(),
                limit: *limit,
            };
            let page = desk.list(&filter).await?;
            if *json { say(&format!("{:#}\n", json!(page)))? } else { say(&run_table(&page.runs))? }
        }
        TaskCommand::Show { run, json } => show(desk, &whole_id(desk, run).await?, *json).await?,
        TaskCommand::Pause(turn) if turn.schedule => schedule(desk, turn, true).await?,
        TaskCommand::Resume(turn) if turn.schedule => schedule(desk, turn, false).await?,
        TaskCommand::Pause(turn) => {
            let run = whole_id(desk, &turn.name).await?;
            desk.pause(&run, WHO).await?;
            turned(desk, &run, turn.json).await?;
        }
        TaskCommand::Resume(turn) => {
            let run = whole_id(desk, &turn.name).await?;
            desk.resume(&run, WHO).await?;
            turned(desk, &run, turn.json).await?;
        }
        TaskCommand::Cancel(turn) => {
            if turn.schedule {
                bail!("a schedule is not ended; `tollhouse task pause --schedule {}` lets it stand still", turn.name);
            }
            let run = whole_id(desk, &turn.name).await?;
            desk.cancel(&run, WHO).await?;
            turned(desk, &run, turn.json).await?;
        }
        TaskCommand::Approve(given) => {
            let run = whole_id(desk, &given.run).await?;
            desk.approve(&run, answer(given)).await?;
            turned(desk, &run, given.json).await?;
        }
        TaskCommand::Reject(given) => {
            let run = whole_id(desk, &given.run).await?;
            desk.reject(&run, answer(given)).await?;
            turned(desk, &run, given.json).await?;
        }
        TaskCommand::Retry { run, from, edits: changed, json } => {
            let run = whole_id(desk, run).await?;
            desk.retry(&run, from.as_deref(), WHO, edits(changed)).await?;
            turned(desk, &run, *json).await?;
        }
        TaskCommand::Check { .. } | TaskCommand::New { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// A book that no house has opened yet knows no task.
async fn publish(desk: &Desk, tasks: &TasksConfig) -> anyhow::Result<()> {
    if !desk.tasks().await?.is_empty() {
        return Ok(());
    }
    let read = files(&tasks.dir)?.into_iter().filter_map(|path| read(&path).ok());
    let definitions: Vec<Definition> = read.collect();
    if !definitions.is_empty() {
        desk.publish(&definitions).await?;
    }
    Ok(())
}

/// The run whose id begins so.
async fn whole_id(desk: &Desk, beginning: &str) -> anyhow::Result<String> {
    let filter = Filter { text: Some(beginning.to_owned()), limit: 500, ..Filter::default() };
    let runs = desk.list(&filter).await?.runs;
    let mut found = runs.into_iter().map(|run| run.id).filter(|id| id.starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (Some(id), Some(_)) if id == beginning => Ok(id),
        (Some(_), Some(_)) => bail!("several runs begin with {beginning}; tollhouse task list --runs shows them"),
        (None, _) => Ok(beginning.to_owned()),
    }
}

/// Tells of a run that was begun, and waits for its end.
async fn begun(desk: &Desk, run: &str, wait: Option<Duration>, as_json: bool) -> anyhow::Result<ExitCode> {
    let Some(time) = wait else {
        say(&if as_json { format!("{:#}\n", json!({"id": run})) } else { format!("{run}\n") })?;
        return Ok(ExitCode::SUCCESS);
    };
    let until = std::time::Instant::now() + time;
    loop {
        let status = desk.show(run).await?.summary.status;
        if status.is_over() || matches!(status, Status::Asking | Status::Paused) || std::time::Instant::now() >= until {
            show(desk, run, as_json).await?;
            return Ok(if status == Status::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn turned(desk: &Desk, run: &str, as_json: bool) -> anyhow::Result<()> {
    let run = desk.show(run).await?;
    say(&if as_json { format!("{:#}\n", json!(run)) } else { run_table(&[run.summary]) })
}

async fn schedule(desk: &Desk, turn: &TurnArgs, is_held: bool) -> anyhow::Result<()> {
    if is_held {
        desk.hold(&turn.name, WHO).await?;
    } else {
        desk.release(&turn.name, WHO).await?;
    }
    let tasks: Vec<TaskSummary> = desk.tasks().await?.into_iter().filter(|task| task.name == turn.name).collect();
    say(&if turn.json { format!("{:#}\n", json!(tasks.first())) } else { task_table(&tasks, &[]) })
}

fn answer(given: &AnswerArgs) -> Answer {
    Answer { who: WHO.to_owned(), comment: given.comment.clone(), edits: edits(&given.edits), number: None }
}

fn edits(given: &EditArgs) -> Edits {
    Edits { values: values(&given.set), work: values(&given.edit) }
}

/// JSON where it is some, else the text.
fn values(pairs: &[(String, String)]) -> Map<String, Value> {
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
    pairs.iter().map(|(name, text)| (name.clone(), value(text))).collect()
}

// Shown

fn task_table(tasks: &[TaskSummary], questions: &[Asked]) -> String {
    if tasks.is_empty() {
        return "there are no tasks; `tollhouse task new` has some to begin with\n".to_owned();
    }
    let rows = tasks.iter().map(|task| {
        let last = task.last_run.as_ref();
        let next = match (task.is_held, task.next_ms) {
            (true, _) => "held".to_owned(),
            (false, next) => time(next),
        };
        [
            task.name.clone(),
            task.schedule.clone().unwrap_or_else(|| "-".to_owned()),
            next,
            last.map_or_else(|| "-".to_owned(), |run| run.status.word().to_owned()),
            time(last.and_then(|run| run.ended_ms.or(run.started_ms))),
        ]
    });
    let mut text = aligned(["TASK", "SCHEDULE", "NEXT", "LAST", "AT"], rows);
    for question in questions {
        let what = cell(&json!(question.text), 80);
        let _ = writeln!(text, "\n{} {} asks at {}: {what}", question.task, question.run, question.step);
        let _ = writeln!(text, "  tollhouse task approve {0}   or   tollhouse task reject {0}", question.run);
    }
    text
}

fn run_table(runs: &[RunSummary]) -> String {
    if runs.is_empty() {
        return "no runs\n".to_owned();
    }
    let rows = runs.iter().map(|run| {
        let why = run.error.as_ref().or(run.waiting.as_ref());
        [
            run.id.clone(),
            run.task.clone(),
            run.status.word().to_owned(),
            format!("{}/{}", run.steps_done, run.steps),
            time(Some(run.created_ms)),
            why.map_or_else(|| run.step.clone().unwrap_or_else(|| "-".to_owned()), |why| cell(&json!(why), 80)),
        ]
    });
    aligned(["RUN", "TASK", "STATUS", "STEPS", "CREATED", "WHERE, WHY"], rows)
}

async fn show(desk: &Desk, run: &str, as_json: bool) -> anyhow::Result<()> {
    let run = desk.show(run).await?;
    say(&if as_json { format!("{:#}\n", json!(run)) } else { told(&run) })
}

fn told(run: &RunDetail) -> String {
    let mut text = run_table(std::slice::from_ref(&run.summary));
    text.push('\n');
    for step in &run.steps {
        tell_step(&mut text, step);
    }
    if let Some(question) = &run.question {
        let _ = writeln!(text, "\nIt asks: {}", question.text);
        let _ = writeln!(text, "  tollhouse task approve {0}   or   tollhouse task reject {0}", question.run);
    }
    let _ = writeln!(text, "\nWhat happened:");
    for entry in &run.history {
        let _ = writeln!(text, "  {}  {}", time(Some(entry.at_ms)), entry.event.sentence());
    }
    text
}

fn tell_step(text: &mut String, step: &StepDetail) {
    let progress = json!(step.progress);
    let progress = progress.as_str().unwrap_or_default();
    let of_failure = if step.step.on_failure { "  (on failure)" } else { "" };
    let _ = writeln!(text, "{progress:<8} {:<20} {}{of_failure}", step.step.name, step.step.kind.key());
    for item in &step.items {
        let marked = if item.maybe_twice { "  maybe twice" } else { "" };
        if let Some(error) = &item.error {
            let _ = writeln!(text, "         ! {}{marked}", cell(&json!(error), VALUE_CHARS_MAX));
        } else if !marked.is_empty() {
            let _ = writeln!(text, "        {marked}");
        }
    }
    if let Some(value) = &step.value {
        let _ = writeln!(text, "         = {}", cell(value, VALUE_CHARS_MAX));
    }
}

fn time(ms: Option<i64>) -> String {
    let time = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"))
}

// Definitions

fn check(config: &Config, wanted: &[PathBuf]) -> anyhow::Result<()> {
    let dir = config.tasks.as_ref().map(|tasks| tasks.dir.clone());
    let paths = match (wanted, &dir) {
        ([], Some(dir)) => files(dir)?,
        ([], None) => bail!("the configuration has no `tasks`; name the files to check"),
        (wanted, _) => wanted.to_vec(),
    };
    let (mut said, mut wrong) = (String::new(), Vec::new());
    for path in &paths {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        match tasking::check(config, path, &text) {
            Ok(definition) => {
                let steps = definition.steps.len() + definition.on_failure.len();
                let _ = writeln!(said, "{}: task {}, {steps} steps, right", path.display(), definition.name);
            }
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    say(&said)?;
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n\n")) }
}

/// What a template is made into.
struct Wanted<'a> {
    name: Option<&'a str>,
    model: Option<&'a str>,
    channel: Option<&'a str>,
}

fn new(config: &Config, template: Option<&str>, wanted: &Wanted<'_>, is_printed: bool) -> anyhow::Result<()> {
    let templates = tasking::templates::all();
    let Some(template) = template else {
        let rows = templates.into_iter().map(|template| [template.name, template.title]);
        return say(&aligned(["TEMPLATE", "WHAT IT DOES"], rows));
    };
    let Some(found) = templates.iter().find(|known| known.name == template) else {
        let known: Vec<&str> = templates.iter().map(|known| known.name.as_str()).collect();
        bail!("there is no template {template}; there are {}", known.join(", "));
    };
    let text = made(&found.text, wanted);
    let name = wanted.name.unwrap_or(template);
    Definition::read(&format!("{name}.yaml"), &text)?;
    if is_printed {
        return say(&text);
    }
    let dir = config.tasks.as_ref().map_or_else(|| PathBuf::from("./tasks"), |tasks| tasks.dir.clone());
    std::fs::create_dir_all(&dir).with_context(|| format!("making the folder {}", dir.display()))?;
    let path = dir.join(format!("{name}.yaml"));
    let file = std::fs::File::options().write(true).create_new(true).open(&path);
    let mut file = file.with_context(|| format!("writing {} (choose another with --name)", path.display()))?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    say(&format!("{}\n", path.display()))?;
    if config.tasks.is_none() {
        eprintln!("write `tasks: {{dir: {}}}` into the configuration, so that it is run", dir.display());
    }
    Ok(())
}

/// A template with one's own model and channel, which stand in the line of its `input`.
fn made(text: &str, wanted: &Wanted<'_>) -> String {
    let quoted = |value: &str| json!(value).to_string();
    let line = |line: &str| -> String {
        if !line.starts_with("input:") {
            return line.to_owned();
        }
        let mut line = line.to_owned();
        if let Some(model) = wanted.model {
            line = line.replace("model: \"qwen3:32b\"", &format!("model: {}", quoted(model)));
        }
        if let Some(channel) = wanted.channel {
            line = line.replace("channel: ops", &format!("channel: {}", quoted(channel)));
        }
        line
    };
    text.lines().map(|it| line(it) + "\n").collect()
}

fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading the folder {}", dir.display())),
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"));
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> anyhow::Result<Definition> {
    let text = std::fs::read_to_string(path)?;
    Ok(Definition::read(&path.to_string_lossy(), &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_takes_ones_own_model_and_channel() {
        let wanted = Wanted { name: None, model: Some("tiny:1"), channel: Some("team") };
        let all = tasking::templates::all();
        let text = made(&all.iter().find(|template| template.name == "daily-report").unwrap().text, &wanted);
        let definition = Definition::read("daily-report.yaml", &text).unwrap();
        assert_eq!(definition.input["model"], "tiny:1");
        assert_eq!(definition.input["channel"], "team");
    }

    #[test]
    fn values_are_json_or_texts() {
        let pairs = [("a", "1"), ("b", "two words"), ("c", "[1, \"x\"]")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(Value::from(values(&pairs)), json!({"a": 1, "b": "two words", "c": [1, "x"]}));
    }
}
