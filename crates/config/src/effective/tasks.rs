//! `tasks` as YAML.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use tollhouse_units::format_duration;

use super::{key, list, optional, scalar, without_password};
use crate::config::{TaskCommand, TaskStore, TasksConfig};

pub(super) fn write(out: &mut String, tasks: Option<&TasksConfig>) -> std::fmt::Result {
    let Some(tasks) = tasks else { return writeln!(out, "tasks: off") };
    writeln!(out, "tasks:")?;
    writeln!(out, "  dir: {}", path(&tasks.dir))?;
    let store = match &tasks.store {
        TaskStore::Sqlite => "{kind: sqlite}".to_owned(),
        TaskStore::Postgres(url) => format!("{{kind: postgres, url: {}}}", scalar(&without_password(url.expose()))),
    };
    writeln!(out, "  store: {store}")?;
    writeln!(out, "  workers: {}", tasks.workers)?;
    writeln!(out, "  gpu_busy_above: {}%", tasks.gpu_busy_above)?;
    writeln!(out, "  gpu_retry: {}", format_duration(tasks.gpu_retry))?;
    writeln!(out, "  commands:{}", if tasks.commands.is_empty() { " {}" } else { "" })?;
    for command in &tasks.commands {
        writeln!(out, "    {}: {}", key(&command.name), command_yaml(command))?;
    }
    writeln!(out, "  files: {}", path(&tasks.files))?;
    writeln!(out, "  read: {}", paths(&tasks.read))?;
    writeln!(out, "  write: {}", paths(&tasks.write))?;
    writeln!(out, "  hosts: {}", list(&tasks.hosts))?;
    writeln!(out, "  notify: {}", list(&tasks.notify))?;
    writeln!(out, "  keep: {{days: {}, runs: {}, bytes: {}}}", tasks.keep_days, tasks.keep_runs, tasks.keep_bytes)
}

fn command_yaml(command: &TaskCommand) -> String {
    let env: Vec<String> = command.env.iter().map(|(name, _)| format!("{}: \"***\"", key(name))).collect();
    let directory = command.directory.as_deref().map(Path::to_string_lossy);
    [
        format!("{{command: {}", list(&command.command)),
        // As nothing says it: none.
        if command.args_max == 0 { "args: null".to_owned() } else { format!("args: {}", command.args_max) },
        format!("env: {{{}}}", env.join(", ")),
        format!("directory: {}", optional(directory.as_deref())),
        format!("within: {}", format_duration(command.within)),
        format!("output: {}", command.output),
        format!("memory: {}", command.memory),
        format!("open_files: {}}}", command.files_max),
    ]
    .join(", ")
}

fn path(path: &Path) -> String {
    scalar(&path.to_string_lossy())
}

fn paths(paths: &[PathBuf]) -> String {
    let texts: Vec<String> = paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    list(&texts)
}
