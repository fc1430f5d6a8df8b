//! The tasks as the console and `/metrics` see them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tollhouse_config::{ConfigErrors, Problem};
use tollhouse_console::{Changing, Fault, FaultyTask, TaskHouse, TaskTemplate, Unchanged};
use tollhouse_tasks::{Definition, Desk, Kind, Saying, Step};
use tollhouse_telemetry::{Exposition, names};

use super::counts::Counts;
use super::folder::Folder;
use super::hands::Reach;
use super::{facts, templates};
use crate::settings;

/// How long the questions may take to be read for `/metrics`.
const QUESTIONS_TIME_MAX: Duration = Duration::from_secs(2);

/// The tasks at work, if there are any; the console and `/metrics` read it.
#[derive(Default)]
pub(crate) struct Tasked(RwLock<Option<Arc<Office>>>);

impl fmt::Debug for Tasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasked").finish_non_exhaustive()
    }
}

/// Where tasks are kept and defined.
pub(super) struct Office {
    pub(super) desk: Desk,
    pub(super) folder: Arc<Folder>,
    /// Tasks that the configuration itself wants; a file of the same name takes the place of one.
    pub(super) built_in: Vec<Definition>,
    pub(super) reach: RwLock<Arc<Reach>>,
    pub(super) counts: Counts,
}

impl Office {
    pub(super) fn reach(&self) -> Arc<Reach> {
        self.reach.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads what has changed in the folder, and puts it in force. Gives what cannot be used and was not told yet.
    pub(super) async fn renew(&self, is_first: bool) -> anyhow::Result<Vec<FaultyTask>> {
        let folder = self.folder.clone();
        let found = spawn_blocking(move || folder.look()).await?;
        if is_first {
            let mut before = Vec::new();
            for task in self.folder.lost() {
                before.extend(self.desk.definition(&task, None).await.ok());
            }
            self.folder.restore(|task| {
                before.iter().find(|definition| definition.name == task).map(|found| Definition::clone(found))
            });
        }
        if found.is_changed || is_first {
            let mut definitions = self.folder.definitions();
            let is_free = |task: &&Definition| definitions.iter().all(|other| other.name != task.name);
            let own: Vec<Definition> = self.built_in.iter().filter(is_free).cloned().collect();
            definitions.extend(own);
            self.desk.publish(&definitions).await?;
        }
        Ok(found.faulty)
    }
}

impl Tasked {
    pub(super) fn set(&self, office: Option<Arc<Office>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = office;
    }

    fn office(&self) -> Option<Arc<Office>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The tasks' own figures.
    pub(crate) async fn expose(&self, figures: &mut Exposition) {
        let Some(office) = self.office() else { return };
        office.counts.expose(figures);
        if let Ok(Ok(questions)) = tokio::time::timeout(QUESTIONS_TIME_MAX, office.desk.questions()).await {
            figures.count(&names::TASK_QUESTIONS, &[], questions.len() as u64);
        }
    }
}

impl TaskHouse for Tasked {
    fn desk(&self) -> Option<Desk> {
        Some(self.office()?.desk.clone())
    }

    fn folder(&self) -> Option<String> {
        Some(self.office()?.folder.dir.display().to_string())
    }

    fn faulty(&self) -> Vec<FaultyTask> {
        self.office().map(|office| office.folder.faulty()).unwrap_or_default()
    }

    fn templates(&self) -> Vec<TaskTemplate> {
        templates::all()
    }

    fn look(&self, task: &str, text: &str) -> Result<Definition, Vec<Fault>> {
        let path = self.office().map_or_else(|| PathBuf::from(format!("{task}.yaml")), |it| it.folder.path_of(task));
        let definition = read(&path, text).map_err(|errors| settings::faults(&errors))?;
        let mut faults = Vec::new();
        if definition.name != task {
            let what = Saying::OtherTask { name: definition.name.clone(), task: task.to_owned() };
            faults.push(settings::fault(&Problem::new(None, what)));
        }
        if let Some(office) = self.office() {
            faults.extend(out_of_reach(&definition, &office.reach()).iter().map(settings::fault));
        }
        if faults.is_empty() { Ok(definition) } else { Err(faults) }
    }

    fn save<'a>(&'a self, task: &'a str, text: &'a str, version: Option<&'a str>) -> Changing<'a, Definition> {
        Box::pin(async move {
            let office = self.office().ok_or(Unchanged::Off)?;
            let definition = self.look(task, text).map_err(Unchanged::Faulty)?;
            let (folder, name, text) = (office.folder.clone(), task.to_owned(), text.to_owned());
            let wanted = version.map(str::to_owned);
            let saved = spawn_blocking(move || {
                let now = folder.version_of(&name);
                // One that is there is not replaced unseen.
                if now != wanted {
                    return Err(other_now(&name, now.is_some()));
                }
                folder
                    .save(&name, &text)
                    .map_err(|error| Unchanged::Failed(format!("writing the file of the task {name}: {error}")))
            });
            saved.await.map_err(|error| Unchanged::Failed(error.to_string()))??;
            office.renew(false).await.map_err(|error| Unchanged::Failed(format!("{error:#}")))?;
            Ok(definition)
        })
    }

    fn remove<'a>(&'a self, task: &'a str) -> Changing<'a, ()> {
        Box::pin(async move {
            let office = self.office().ok_or(Unchanged::Off)?;
            let path = office.folder.path_of(task);
            match tokio::fs::remove_file(&path).await {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Unchanged::Unknown),
                Err(error) => return Err(Unchanged::Failed(format!("removing {}: {error}", path.display()))),
            }
            office.renew(false).await.map_err(|error| Unchanged::Failed(format!("{error:#}")))?;
            Ok(())
        })
    }

    fn is_channel(&self, name: &str) -> bool {
        self.office().is_some_and(|office| office.reach().has_channel(name))
    }
}

/// Reads a definition as its file is read.
pub(super) fn read(path: &Path, text: &str) -> Result<Definition, ConfigErrors> {
    Definition::read(&path.to_string_lossy(), text)
}

/// What its steps name and could not reach; what a template fills in is only known when it runs.
pub(super) fn out_of_reach(definition: &Definition, reach: &Reach) -> Vec<Problem> {
    let steps = definition.steps.iter().chain(&definition.on_failure);
    steps.filter_map(|step| Some(Problem::of(None, &step.name, wrong(step, reach)?))).collect()
}

fn wrong(step: &Step, reach: &Reach) -> Option<Saying> {
    let text = |name: &str| step.work[name].as_str().filter(|text| !text.contains("{{") && !text.contains("{%"));
    match step.kind {
        Kind::Send => {
            let channel = text("channel")?;
            (!reach.has_channel(channel)).then(|| reach.no_channel(channel))
        }
        Kind::Collect => {
            if let Some(series) = text("forecast") {
                return (!facts::is_forecast(series)).then(|| Saying::NoForecast { name: series.to_owned() });
            }
            let report = text("report")?;
            let is_none = facts::report_kind(report).is_none();
            is_none.then(|| Saying::NoReport { name: report.to_owned() })
        }
        Kind::Run => {
            let name = step.work["command"][0].as_str().filter(|name| !name.contains("{{"))?;
            let is_known = reach.commands.iter().any(|command| command.name == name);
            (!is_known).then(|| Saying::NoCommand { name: name.to_owned() })
        }
        _ => None,
    }
}

fn other_now(task: &str, is_there: bool) -> Unchanged {
    Unchanged::Changed(if is_there {
        format!("the definition of {task} is another one by now; look at it again")
    } else {
        format!("the definition of {task} is not there any more")
    })
}
