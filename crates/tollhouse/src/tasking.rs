//! Durable tasks: the engine (crate `tasks`) with the house's hands, the folder of definitions, and who is told what it asks.
//!
//! A changed configuration changes what steps may reach at once, and leaves runs alone; only another store or number of workers
//! stops the engine and starts it anew, and then the runs go on where they were.

mod ask;
mod commands;
mod counts;
mod desk;
mod facts;
mod files;
mod folder;
mod hands;
mod questions;
pub(crate) mod room;
mod telling;
pub(crate) mod templates;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use tokio::task::{JoinHandle, spawn_blocking};
use tollhouse_config::{ChannelConfig, Config, Problem, TaskStore, TasksConfig};
use tollhouse_console::FaultyTask;
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_notify::Channel;
use tollhouse_remote::Shelf;
use tollhouse_state::State;
use tollhouse_tasks::{Book, Definition, Desk, Engine, Options, SystemClock};

pub(crate) use self::desk::Tasked;
use self::desk::{Office, out_of_reach};
pub(crate) use self::facts::check_address as check_host;
use self::files::Folders;
use self::folder::Folder;
use self::hands::{HouseHands, Reach};
use self::questions::{Audience, Questions, Teller};
use self::room::Gate;
use crate::{approving, watching};

/// How often is looked for changed definitions.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long steps under way may take to end when the engine stops.
const GRACE: Duration = Duration::from_secs(3);
/// Where these records come from.
const CALLER: &str = "tollhouse/tasking.rs";

/// The tasks at work, where there are any.
pub(crate) struct Tasking {
    parts: Parts,
    running: Option<Running>,
}

/// What of the house the tasks need, over all configurations.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) state: State,
    pub(crate) journal: Journal,
    pub(crate) shelf: Shelf,
    pub(crate) tasked: Arc<Tasked>,
    /// Also asked for batches: each knows the other's questions as none of users.
    pub(crate) gate: Arc<Gate>,
}

/// What a configuration wants, ready.
pub(crate) struct Ready(Option<Box<Wanted>>);

struct Wanted {
    tasks: TasksConfig,
    /// Another book than the one that is open.
    book: Option<Book>,
    reach: Reach,
    audience: Audience,
    /// Tasks that the configuration itself wants.
    built_in: Vec<Definition>,
}

struct Running {
    tasks: TasksConfig,
    book: Book,
    engine: Engine,
    office: Arc<Office>,
    hands: Arc<HouseHands>,
    audience: Arc<RwLock<Arc<Audience>>>,
    looking: JoinHandle<()>,
    telling: JoinHandle<()>,
}

impl Ready {
    /// Makes ready what the first configuration wants.
    pub(crate) async fn first(config: &Config) -> anyhow::Result<Self> {
        Self::new(config, None).await
    }

    async fn new(config: &Config, running: Option<&Running>) -> anyhow::Result<Self> {
        let Some(tasks) = config.tasks.clone() else { return Ok(Self(None)) };
        let is_open = running.is_some_and(|running| running.tasks.store == tasks.store);
        let book = if is_open { None } else { Some(open(config, &tasks).await?) };
        let of_channels = config.channels.clone();
        let channels = spawn_blocking(move || channels(&of_channels)).await??;
        let reach = reach(config, &tasks, channels.clone())?;
        // Its console is known once the house listens.
        let audience = Audience {
            channels,
            notify: tasks.notify.clone(),
            service: config.service.clone(),
            console: String::new(),
        };
        let built_in = config.approvals.iter().map(approving::definition).collect::<anyhow::Result<_>>()?;
        Ok(Self(Some(Box::new(Wanted { tasks, book, reach, audience, built_in }))))
    }
}

impl Tasking {
    /// Begins what was made ready. `console` is the console's address.
    pub(crate) async fn new(parts: Parts, ready: Ready, console: Option<String>) -> anyhow::Result<Self> {
        let mut tasking = Self { parts, running: None };
        if let Some(wanted) = ready.0 {
            tasking.running = Some(tasking.parts.start(*wanted, console).await?);
        }
        Ok(tasking)
    }

    /// Makes ready what another configuration wants.
    pub(crate) async fn prepare(&self, config: &Config) -> anyhow::Result<Ready> {
        Ready::new(config, self.running.as_ref()).await
    }

    /// Does that from now on.
    pub(crate) async fn adopt(&mut self, ready: Ready, console: Option<String>) {
        let before = self.running.take();
        let Some(wanted) = ready.0 else {
            if let Some(running) = before {
                running.end(&self.parts.tasked).await;
            }
            return;
        };
        let wanted = match before {
            Some(mut running) if wanted.book.is_none() && running.is_as(&wanted) => {
                running.adopt(*wanted, console);
                self.running = Some(running);
                return;
            }
            Some(running) => {
                let book = wanted.book.clone().unwrap_or_else(|| running.book.clone());
                let is_other = wanted.book.is_some();
                let old = running.book.clone();
                running.end(&self.parts.tasked).await;
                if is_other {
                    old.close().await;
                }
                Wanted { book: Some(book), ..*wanted }
            }
            None => *wanted,
        };
        match self.parts.start(wanted, console).await {
            Ok(running) => self.running = Some(running),
            Err(error) => tracing::error!(error = format!("{error:#}"), "starting the tasks anew"),
        }
    }

    /// Ends; steps under way have a moment, and go on at the next start.
    pub(crate) async fn end(self) {
        if let Some(running) = self.running {
            let book = running.book.clone();
            running.end(&self.parts.tasked).await;
            book.close().await;
        }
    }

    /// What there is to do.
    pub(crate) fn greeting(&self) -> Option<String> {
        let running = self.running.as_ref()?;
        let folder = &running.office.folder;
        Some(format!("{} in {}  (tollhouse task list)", folder.definitions().len(), folder.dir.display()))
    }
}

impl Parts {
    async fn start(&self, wanted: Wanted, console: Option<String>) -> anyhow::Result<Running> {
        let Wanted { tasks, book, reach, mut audience, built_in } = wanted;
        let book = book.context("the book of runs is not open")?;
        audience.console = console.unwrap_or_default();
        let (reach, audience) = (Arc::new(reach), Arc::new(RwLock::new(Arc::new(audience))));
        let clock = book.clock(Arc::new(SystemClock)).await.context("asking the server of the tasks for the time")?;
        let desk = Desk::new(book.clone(), clock.clone());
        let folder = Arc::new(Folder::new(tasks.dir.clone()));
        let counts = counts::Counts::default();
        let office = Arc::new(Office {
            desk: desk.clone(),
            folder,
            built_in,
            reach: RwLock::new(reach.clone()),
            counts: counts.clone(),
        });
        for faulty in office.renew(true).await.context("putting the definitions of tasks in force")? {
            tell_faulty(&self.journal, &faulty);
        }
        let is_alone = tasks.store == TaskStore::Sqlite;
        let (questions, heard) = Questions::channel();
        let gate = self.gate.clone();
        let hands = HouseHands::new(
            reach,
            gate,
            self.shelf.clone(),
            self.state.clone(),
            self.journal.clone(),
            questions,
            counts,
        );
        let hands = Arc::new(hands);
        let options = Options {
            workers: tasks.workers,
            node: node(),
            is_alone,
            room_retry: tasks.gpu_retry,
            keep_runs: tasks.keep_runs,
            keep_days: tasks.keep_days,
            keep_bytes: tasks.keep_bytes.0,
            ..Options::default()
        };
        let engine = Engine::start(book.clone(), clock, hands.clone(), options).await;
        let engine = engine.context("starting the tasks")?;
        let (state, journal) = (self.state.clone(), self.journal.clone());
        let teller = Teller { desk, state, journal, audience: audience.clone(), is_alone };
        let telling = teller.start(heard);
        let looking = tokio::spawn(look(office.clone(), self.journal.clone()));
        self.tasked.set(Some(office.clone()));
        Ok(Running { tasks, book, engine, office, hands, audience, looking, telling })
    }
}

impl Running {
    /// Whether the engine needs not be started anew for this.
    fn is_as(&self, wanted: &Wanted) -> bool {
        let tasks = &wanted.tasks;
        let print = |tasks: &TasksConfig| {
            (tasks.workers, tasks.keep_days, tasks.keep_runs, tasks.keep_bytes, tasks.gpu_retry, tasks.dir.clone())
        };
        let versions = |built_in: &[Definition]| built_in.iter().map(|task| task.version.clone()).collect::<Vec<_>>();
        print(&self.tasks) == print(tasks) && versions(&self.office.built_in) == versions(&wanted.built_in)
    }

    fn adopt(&mut self, wanted: Wanted, console: Option<String>) {
        let Wanted { tasks, reach, mut audience, .. } = wanted;
        audience.console = console.unwrap_or_default();
        let reach = Arc::new(reach);
        self.hands.adopt(reach.clone());
        *self.office.reach.write().unwrap_or_else(PoisonError::into_inner) = reach;
        *self.audience.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(audience);
        self.tasks = tasks;
    }

    async fn end(self, tasked: &Tasked) {
        tasked.set(None);
        self.looking.abort();
        self.engine.stop(GRACE).await;
        self.telling.abort();
    }
}

/// Looks for changed definitions for as long as there are tasks.
async fn look(office: Arc<Office>, journal: Journal) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match office.renew(false).await {
            Ok(faulty) => faulty.iter().for_each(|faulty| tell_faulty(&journal, faulty)),
            Err(error) => tracing::error!(error = format!("{error:#}"), "putting changed definitions in force"),
        }
    }
}

fn tell_faulty(journal: &Journal, FaultyTask { file, error }: &FaultyTask) {
    tracing::error!(file, "the definition of a task is left as it was: {error}");
    let first = error.lines().next().unwrap_or_default();
    let record = Record::new("task", Level::Error, "definition of a task refused")
        .caller(CALLER)
        .field("task_event", "refused")
        .field("file", file.as_str())
        .field("error", first);
    if let Err(error) = journal.enqueue(record) {
        tracing::error!(error = %error, "recording a definition that cannot be used");
    }
}

/// The book of runs that a configuration names.
pub(crate) async fn open(config: &Config, tasks: &TasksConfig) -> anyhow::Result<Book> {
    match &tasks.store {
        TaskStore::Sqlite => {
            let path = config.data_dir.join("tasks").join("tasks.db");
            let book = Book::sqlite(&path).await;
            book.with_context(|| format!("opening the book of runs, {}", path.display()))
        }
        // The URL may hold a password.
        TaskStore::Postgres(url) => {
            Book::postgres(url.expose()).await.context("opening the book of runs (`tasks.store.url`)")
        }
    }
}

/// The channels that steps may send by. Reads certificates, so it blocks.
fn channels(configs: &[ChannelConfig]) -> anyhow::Result<Vec<Arc<Channel>>> {
    configs.iter().map(|config| Ok(Arc::new(watching::channel(config)?))).collect()
}

/// What steps may reach.
fn reach(config: &Config, tasks: &TasksConfig, channels: Vec<Arc<Channel>>) -> anyhow::Result<Reach> {
    let whole = |path: &PathBuf| std::path::absolute(path).context("finding the folders of `tasks`");
    let all = |paths: &[PathBuf]| paths.iter().map(whole).collect::<anyhow::Result<Vec<_>>>();
    let folders = Folders { files: whole(&tasks.files)?, read: all(&tasks.read)?, write: all(&tasks.write)? };
    Ok(Reach {
        service: config.service.clone(),
        folders,
        commands: tasks.commands.clone(),
        hosts: tasks.hosts.clone(),
        channels,
        gpu_busy_above: tasks.gpu_busy_above,
        gpu_retry: tasks.gpu_retry,
    })
}

/// Reads a definition, and says all that is wrong with it, also that its steps name what the configuration does not have.
pub(crate) fn check(config: &Config, path: &Path, text: &str) -> anyhow::Result<Definition> {
    let definition = desk::read(path, text)?;
    if let Some(tasks) = &config.tasks {
        let reach = reach(config, tasks, channels(&config.channels)?)?;
        let faults: Vec<String> = out_of_reach(&definition, &reach).iter().map(Problem::message).collect();
        anyhow::ensure!(faults.is_empty(), "{}: {}", path.display(), faults.join("\n"));
    }
    Ok(definition)
}

/// By which this house is told from others that work on the same book.
fn node() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", name.trim(), std::process::id())
}
