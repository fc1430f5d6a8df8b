//! Runs programs for steps: only those that the configuration names, without a shell, in a group of their own that ends with the
//! step, with little of an environment and bounds on time, output, memory and files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use procfs::process::all_processes;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tollhouse_config::TaskCommand;
use tollhouse_tasks::{Call, Outcome, StepError};

/// By which variable of its environment a program is known, should a house be killed that has started it.
const MARK: &str = "TOLLHOUSE_TASK";
/// Most bytes of standard input.
const STDIN_BYTES_MAX: usize = 4 << 20;
/// Where programs are looked for that a program starts in turn.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// So much of what a program says when it fails stands in the error.
const SAID_CHARS_MAX: usize = 500;

/// Ends everything in a group when the step has ended, however that came.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // One that is gone needs no signal.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

pub(super) async fn run(
    commands: &[TaskCommand],
    files: &Path,
    call: &Call,
    wanted: &tollhouse_tasks::Command,
) -> Result<Outcome, StepError> {
    let config = allowed(commands, wanted)?;
    if call.is_again {
        // A house that was killed leaves its programs: two of one step must not run at once.
        let mark = call.key.clone();
        let _ = tokio::task::spawn_blocking(move || end_marked(&mark)).await;
    }
    std::fs::create_dir_all(files)
        .map_err(|error| StepError::passing(format!("making the folder {}: {error}", files.display())))?;
    let mut child = command(config, files, call, wanted)
        .spawn()
        .map_err(|error| StepError::lasting(format!("starting {}: {error}", config.command[0])))?;
    let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32));
    let pid = pid.ok_or_else(|| StepError::passing(format!("{} was gone at once", config.name)))?;
    let _group = Group(pid);
    limit(config, pid);
    let outcome = timeout(config.within, ended(&mut child, config, wanted.stdin.as_deref())).await;
    outcome.unwrap_or_else(|_| {
        let time = tollhouse_units::format_duration(config.within);
        Err(StepError::passing(format!("{} was ended after {time} (`tasks.commands`)", config.name)))
    })
}

/// The program that a step means, if the step may run it so.
pub(super) fn allowed<'c>(
    commands: &'c [TaskCommand],
    wanted: &tollhouse_tasks::Command,
) -> Result<&'c TaskCommand, StepError> {
    let (name, args) = wanted.command.split_first().ok_or_else(|| StepError::lasting("no command is named"))?;
    let Some(config) = commands.iter().find(|command| command.name == *name) else {
        let known: Vec<&str> = commands.iter().map(|command| command.name.as_str()).collect();
        let known = if known.is_empty() { "none is".to_owned() } else { format!("those are {}", known.join(", ")) };
        return Err(StepError::lasting(format!(
            "the command `{name}` is not among `tasks.commands` of the configuration; {known}"
        )));
    };
    if args.len() > config.args_max as usize {
        return Err(StepError::lasting(format!(
            "{name} takes {} arguments from steps, {} were given (`tasks.commands.{name}.args`)",
            config.args_max,
            args.len()
        )));
    }
    if let Some(option) = args.iter().find(|arg| arg.starts_with('-') || arg.contains('\0')) {
        return Err(StepError::lasting(format!("`{option}` would be an option of {name}, and steps give none")));
    }
    if let Some(name) = wanted.env.keys().find(|name| !config.env.iter().any(|(known, _)| known == *name)) {
        return Err(StepError::lasting(format!(
            "the variable {name} is not among `tasks.commands.{}.env` of the configuration",
            config.name
        )));
    }
    if wanted.stdin.as_ref().is_some_and(|text| text.len() > STDIN_BYTES_MAX) {
        return Err(StepError::lasting(format!("the standard input is larger than {STDIN_BYTES_MAX} bytes")));
    }
    Ok(config)
}

fn command(config: &TaskCommand, files: &Path, call: &Call, wanted: &tollhouse_tasks::Command) -> Command {
    let mut env: BTreeMap<&str, &str> = BTreeMap::from([("PATH", PATH), ("LANG", "C.UTF-8")]);
    let home = files.to_string_lossy();
    env.insert("HOME", &home);
    env.extend(config.env.iter().map(|(name, value)| (name.as_str(), value.expose())));
    env.extend(wanted.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut command = Command::new(&config.command[0]);
    command
        .args(&config.command[1..])
        .args(&wanted.command[1..])
        .env_clear()
        .envs(env)
        .env(MARK, &call.key)
        .current_dir(config.directory.as_deref().unwrap_or(files))
        .stdin(if wanted.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

fn limit(config: &TaskCommand, pid: Pid) {
    let core = (Resource::Core, 0);
    for (resource, most) in [(Resource::As, config.memory.0), (Resource::Nofile, config.files_max), core] {
        if let Err(error) = prlimit(Some(pid), resource, Rlimit { current: Some(most), maximum: Some(most) }) {
            tracing::warn!(command = config.name, error = %error, ?resource, most, "limiting a program of a task");
        }
    }
}

/// Feeds it, and waits for its end.
async fn ended(child: &mut Child, config: &TaskCommand, stdin: Option<&str>) -> Result<Outcome, StepError> {
    let (input, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let (Some(mut input), Some(text)) = (input, stdin) {
            // Whoever does not read it does not need it.
            let _ = input.write_all(text.as_bytes()).await;
        }
        Ok(())
    };
    let ((), stdout, stderr) = tokio::try_join!(feed, said(stdout, config), said(stderr, config))?;
    let status = child.wait().await;
    let status = status.map_err(|error| StepError::passing(format!("waiting for {}: {error}", config.name)))?;
    if status.success() {
        let value = json!({"status": 0, "stdout": stdout, "stderr": stderr});
        return Ok(Outcome { value, ..Outcome::default() });
    }
    let said = if stderr.trim().is_empty() { &stdout } else { &stderr };
    let last: Vec<char> = said.trim().chars().rev().take(SAID_CHARS_MAX).collect();
    let last: String = last.into_iter().rev().collect();
    Err(StepError::passing(format!("{} ended with {status}: {last}", config.name)))
}

/// All that it says on one of its ways.
async fn said(pipe: Option<impl AsyncRead + Unpin>, config: &TaskCommand) -> Result<String, StepError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let read = pipe.take(config.output.0 + 1).read_to_end(&mut bytes).await;
        read.map_err(|error| StepError::passing(format!("reading what {} writes: {error}", config.name)))?;
    }
    if bytes.len() as u64 > config.output.0 {
        let (name, most) = (&config.name, config.output);
        return Err(StepError::lasting(format!("{name} wrote more than {most} and was ended (`tasks.commands`)")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ends what a house before has left of a step. Looks at all processes, so it blocks.
fn end_marked(key: &str) {
    for process in all_processes().into_iter().flatten().flatten() {
        let is_marked = process.environ().is_ok_and(|environ| {
            environ.get(std::ffi::OsStr::new(MARK)).is_some_and(|found| found.as_encoded_bytes() == key.as_bytes())
        });
        if is_marked && let Some(group) = process.stat().ok().and_then(|stat| Pid::from_raw(stat.pgrp)) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tollhouse_config::{Bytes, Secret};
    use tollhouse_tasks::Partial;

    use super::*;

    fn call(key: &str) -> Call {
        Call {
            run: "r".to_owned(),
            task: "t".to_owned(),
            step: "s".to_owned(),
            item: None,
            key: key.to_owned(),
            fence: 1,
            attempt: 1,
            is_again: false,
            who: "test".to_owned(),
            timeout: Duration::from_secs(60),
            partial: Partial::nowhere(),
        }
    }

    fn wanted(command: &[&str]) -> tollhouse_tasks::Command {
        tollhouse_tasks::Command {
            command: command.iter().map(|part| (*part).to_owned()).collect(),
            stdin: None,
            env: BTreeMap::new(),
            idempotent: false,
        }
    }

    fn shell(name: &str, script: &str) -> TaskCommand {
        let command = ["/bin/sh", "-c", script, name].map(str::to_owned).to_vec();
        TaskCommand { args_max: 2, ..TaskCommand::new(name, command) }
    }

    async fn tried(config: TaskCommand, wanted: &tollhouse_tasks::Command) -> Result<Outcome, StepError> {
        let dir = tempfile::tempdir().unwrap();
        run(&[config], dir.path(), &call("k"), wanted).await
    }

    #[tokio::test]
    async fn a_program_gets_what_it_is_given_and_nothing_else() {
        let mut config = shell("show", "cat; echo \"$1 $TOKEN $PLAIN\"; env | sort | cut -d= -f1 | tr '\\n' ' '");
        config.env = vec![("TOKEN".to_owned(), Secret::new("t0")), ("PLAIN".to_owned(), Secret::new("no"))];
        let mut wanted = wanted(&["show", "one"]);
        wanted.stdin = Some("in ".to_owned());
        wanted.env.insert("PLAIN".to_owned(), "yes".to_owned());
        let outcome = tried(config, &wanted).await.unwrap();
        let stdout = outcome.value["stdout"].as_str().unwrap();
        assert!(stdout.starts_with("in one t0 yes\n"), "{stdout}");
        assert!(stdout.contains("HOME LANG PATH PLAIN") && !stdout.contains("CARGO"), "{stdout}");
    }

    #[tokio::test]
    async fn what_is_not_allowed_is_not_run() {
        let config = shell("a", "true");
        for (parts, env) in
            [(&["b"][..], None), (&["a", "1", "2", "3"], None), (&["a", "-rf"], None), (&["a"], Some("LD_PRELOAD"))]
        {
            let mut wanted = wanted(parts);
            wanted.env.extend(env.map(|name| (name.to_owned(), "x".to_owned())));
            let error = tried(config.clone(), &wanted).await.unwrap_err();
            assert!(!error.may_retry && !error.message.is_empty(), "{parts:?}");
        }
        let error = tried(shell("a", "echo gone >&2; exit 3"), &wanted(&["a"])).await.unwrap_err();
        assert!(error.message.contains('3') && error.message.contains("gone"), "{}", error.message);
    }

    #[tokio::test]
    async fn too_much_and_too_long_end_the_whole_group() {
        let began = Instant::now();
        let mut config = shell("a", "sleep 600 & sleep 600");
        config.within = Duration::from_millis(200);
        assert!(tried(config, &wanted(&["a"])).await.unwrap_err().message.contains("ended after"));
        let mut config = shell("a", "sleep 600 & yes");
        config.output = Bytes(1000);
        assert!(tried(config, &wanted(&["a"])).await.unwrap_err().message.contains("more than"));
        assert!(began.elapsed() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn what_a_killed_house_has_left_is_ended_first() {
        let dir = tempfile::tempdir().unwrap();
        let key = format!("left-{}", std::process::id());
        let mut left = Command::new("/bin/sleep").arg("600").env(MARK, &key).process_group(0).spawn().unwrap();
        let again = Call { is_again: true, ..call(&key) };
        run(&[shell("a", "true")], dir.path(), &again, &wanted(&["a"])).await.unwrap();
        let ended = timeout(Duration::from_secs(30), left.wait()).await;
        assert!(ended.is_ok(), "it still runs");
    }
}
