//! What is usable of `tasks`: long jobs, where they are defined and kept, and what their steps may reach.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tollhouse_units::Bytes;

use crate::secret::Secret;

/// Long jobs that go on where they were, whatever happens in between.
#[derive(Clone, Debug, PartialEq)]
pub struct TasksConfig {
    /// Folder of the definitions, a file for each task.
    pub dir: PathBuf,
    /// Where runs and the results of their steps are kept.
    pub store: TaskStore,
    /// Steps that are worked on at the same time.
    pub workers: u32,
    /// Percent of a graphics card's time from which on no task begins that needs it.
    pub gpu_busy_above: f64,
    /// When such a task is tried again, unless the card is seen idle before.
    pub gpu_retry: Duration,
    /// Programs that steps may run, by name; no others.
    pub commands: Vec<TaskCommand>,
    /// Folder in which relative paths of steps begin. They may read and write there.
    pub files: PathBuf,
    /// Other folders whose files steps may read.
    pub read: Vec<PathBuf>,
    /// Other folders in which steps may read and write files.
    pub write: Vec<PathBuf>,
    /// Hosts that steps may ask by HTTP, each as it stands in addresses: a name or an IP address, with a port where it is
    /// not the usual one. `*.` in front stands for any name below.
    pub hosts: Vec<String>,
    /// Channels that are told of tasks that wait for a human, where a task does not say whom; all when none is named.
    pub notify: Vec<String>,
    /// For how many days runs are kept that have ended.
    pub keep_days: u32,
    /// How many of them for each task.
    pub keep_runs: u32,
    /// How much of what happened in them, of all tasks together; the oldest go first.
    pub keep_bytes: Bytes,
}

/// Where runs are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskStore {
    /// In a file of the data directory, for one node.
    Sqlite,
    /// In a `PostgreSQL` that several nodes share. The URL may hold a password.
    Postgres(Secret),
}

/// A program that steps may run.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskCommand {
    /// By what steps call it.
    pub name: String,
    /// The program and its arguments; at least the program.
    pub command: Vec<String>,
    /// How many arguments a step may add behind these. None of them can be an option: they never begin with `-`.
    pub args_max: u32,
    /// All that it gets of an environment beside `PATH`, `HOME` and `LANG`. Values may be secrets.
    pub env: Vec<(String, Secret)>,
    /// Where it works; in the folder of the tasks' files when absent.
    pub directory: Option<PathBuf>,
    /// After so long it is ended with all that it started.
    pub within: Duration,
    /// So much of what it writes is kept; more ends it.
    pub output: Bytes,
    /// Most memory that each of its processes may ask for.
    pub memory: Bytes,
    /// Most open files of each of its processes.
    pub files_max: u64,
}

impl TasksConfig {
    /// What `tasks: {}` means, with this directory for data.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            dir: PathBuf::from("./tasks"),
            store: TaskStore::Sqlite,
            workers: 2,
            gpu_busy_above: 90.0,
            gpu_retry: Duration::from_mins(15),
            commands: Vec::new(),
            files: data_dir.join("files"),
            read: Vec::new(),
            write: Vec::new(),
            hosts: Vec::new(),
            notify: Vec::new(),
            keep_days: 90,
            keep_runs: 1_000,
            keep_bytes: Bytes(1 << 30),
        }
    }
}

impl TaskCommand {
    /// One of which only the command is said.
    pub fn new(name: &str, command: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            command,
            args_max: 0,
            env: Vec::new(),
            directory: None,
            within: Duration::from_mins(10),
            output: Bytes(1 << 20),
            memory: Bytes(4 << 30),
            files_max: 1024,
        }
    }
}
