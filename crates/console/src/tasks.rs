//! Tasks in the console: what there is, how runs stand, the verbs of humans, and definitions with what is wrong with them.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/tasks` | | the board: tasks, questions to humans, files that cannot be used, templates |
//! | `GET /console/api/v1/tasks/runs?task=&status=&text=&before=&limit=` | | runs, the newest first |
//! | `GET /console/api/v1/tasks/runs/{id}` | | a run with its steps, their inputs and outputs, and its history |
//! | `POST /console/api/v1/tasks/runs/{id}/pause`, `resume`, `cancel` | | the run as it is then |
//! | `POST /console/api/v1/tasks/runs/{id}/approve`, `reject` | `{"comment", "number", "edits"}` | the same |
//! | `POST /console/api/v1/tasks/runs/{id}/retry` | `{"step", "edits"}` | the same |
//! | `GET /console/api/v1/tasks/definitions/{task}?version=` | | the definition's text |
//! | `PUT /console/api/v1/tasks/definitions/{task}` | `{"text", "version"}` | the text in force; 400 with `faults` |
//! | `DELETE /console/api/v1/tasks/definitions/{task}` | | 204; its runs stay |
//! | `POST /console/api/v1/tasks/definitions/{task}/check` | `{"text"}` | what is wrong with it, and its steps |
//! | `POST /console/api/v1/tasks/definitions/{task}/run` | `{"input"}` | 201, the new run's id |
//! | `POST /console/api/v1/tasks/definitions/{task}/hold`, `release` | | the task; its schedule stands still or goes on |
//!
//! Errors are `{"error": message}`, with a `code` where the editor of a definition meets them: 404 for what there is not, 409 for what does not fit the state, 400 for what makes no sense,
//! 503 while there are no tasks or their book cannot be reached. Who did it stands in the run's history, as `console: NAME`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tollhouse_state::{Role, Session};
use tollhouse_tasks::{
    Answer, Asked, Definition, Desk, Edits, Filter, Order, Page, RunDetail, Status, StepSummary, TaskError, TaskSummary,
};
use utoipa::ToSchema;

use crate::Console;
use crate::description::answers::FaultSaid;
use crate::refusal::{read, refused, refused_as};
use crate::session::{audit, tell};
use crate::settings::Fault;
use crate::users::Doer;

/// Longest comment to an answer, in characters.
const COMMENT_CHARS_MAX: usize = 2_000;
/// Longest name of a task that is looked for.
const NAME_CHARS_MAX: usize = 100;
/// What is said while no tasks are configured.
const OFF: &str = "there are no tasks here: the configuration has no `tasks`";

/// What the house does for the tasks in the console.
pub trait TaskHouse: fmt::Debug + Send + Sync {
    /// The desk of the tasks; none while there are no tasks.
    fn desk(&self) -> Option<Desk>;

    /// Where definitions are, for people.
    fn folder(&self) -> Option<String>;

    /// Files that cannot be used.
    fn faulty(&self) -> Vec<FaultyTask>;

    /// Definitions to begin with.
    fn templates(&self) -> Vec<TaskTemplate>;

    /// Reads a text as the definition of a task, and looks whether its steps can reach what they name.
    fn look(&self, task: &str, text: &str) -> Result<Definition, Vec<Fault>>;

    /// Puts a text in the place of a task's file and in force, if the file has still this version.
    fn save<'a>(&'a self, task: &'a str, text: &'a str, version: Option<&'a str>) -> Changing<'a, Definition>;

    /// Removes a task's file.
    fn remove<'a>(&'a self, task: &'a str) -> Changing<'a, ()>;

    /// Whether a name is that of a channel: such a name among those who may answer says who is told, not who may.
    fn is_channel(&self, name: &str) -> bool;
}

/// By which the console reaches them.
pub type TaskKeeper = Arc<dyn TaskHouse>;

/// A change of a definition that is under way.
pub type Changing<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unchanged>> + Send + 'a>>;

/// Why a definition was not changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unchanged {
    /// It has faults.
    Faulty(Vec<Fault>),
    /// There is no such file.
    Unknown,
    /// There are no tasks.
    Off,
    /// The file is another one by now.
    Changed(String),
    /// The file could not be written.
    Failed(String),
}

/// A file that cannot be used; the definition of before stays in force.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct FaultyTask {
    /// The file.
    pub file: String,
    /// All that is wrong with it.
    pub error: String,
}

/// A definition to begin with.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct TaskTemplate {
    /// Its name.
    pub name: String,
    /// What it does, in one line.
    pub title: String,
    /// The file.
    pub text: String,
}

/// All tasks.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskBoard {
    /// Whether there are any: the configuration says `tasks`.
    on: bool,
    /// The folder of the definitions.
    dir: Option<String>,
    tasks: Vec<TaskSummary>,
    faulty: Vec<FaultyTask>,
    /// What humans are asked.
    questions: Vec<Asked>,
    templates: Vec<TaskTemplate>,
}

pub(crate) async fn board(State(console): State<Console>) -> Response {
    let house = &console.inner.settings.tasks;
    let Some(desk) = house.desk() else {
        let (tasks, faulty, questions, templates) = (Vec::new(), Vec::new(), Vec::new(), house.templates());
        return Json(TaskBoard { on: false, dir: None, tasks, faulty, questions, templates }).into_response();
    };
    let known = async {
        let (tasks, questions) = (desk.tasks().await?, desk.questions().await?);
        let (dir, faulty, templates) = (house.folder(), house.faulty(), house.templates());
        Ok(TaskBoard { on: true, dir, tasks, faulty, questions, templates })
    };
    answered(known.await)
}

// Runs

#[derive(Deserialize)]
pub(crate) struct Wanted {
    task: Option<String>,
    status: Option<String>,
    text: Option<String>,
    before: Option<String>,
    limit: Option<u32>,
}

pub(crate) async fn runs(State(console): State<Console>, Query(wanted): Query<Wanted>) -> Response {
    let status = match wanted.status.as_deref().filter(|word| !word.is_empty()) {
        None => None,
        Some(word) => match Status::of(word) {
            Some(status) => Some(status),
            None => return refused(StatusCode::BAD_REQUEST, &format!("`{}` is no state of a run", short(word))),
        },
    };
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let filter = Filter {
        task: some(wanted.task),
        status,
        text: some(wanted.text),
        before: some(wanted.before),
        limit: wanted.limit.unwrap_or(0),
    };
    with_desk(&console, async |desk| desk.list(&filter).await).await
}

pub(crate) async fn run(State(console): State<Console>, Path(id): Path<String>) -> Response {
    with_desk(&console, async |desk| desk.show(&id).await).await
}

pub(crate) async fn pause(console: State<Console>, session: Extension<Session>, id: Path<String>) -> Response {
    let (who, id) = (who(&session), id.0);
    changed(&console, &id, async |desk| desk.pause(&id, &who).await).await
}

pub(crate) async fn resume(console: State<Console>, session: Extension<Session>, id: Path<String>) -> Response {
    let (who, id) = (who(&session), id.0);
    changed(&console, &id, async |desk| desk.resume(&id, &who).await).await
}

pub(crate) async fn cancel(console: State<Console>, session: Extension<Session>, id: Path<String>) -> Response {
    let (who, id) = (who(&session), id.0);
    changed(&console, &id, async |desk| desk.cancel(&id, &who).await).await
}

/// An answer to a question.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TaskAnswer {
    /// What one has to say.
    comment: String,
    /// Which question is meant; refused when another is asked by now.
    number: Option<i64>,
    edits: Edits,
}

pub(crate) async fn approve(
    console: State<Console>,
    session: Extension<Session>,
    id: Path<String>,
    body: Bytes,
) -> Response {
    answer(&console, &session, &id, &body, true).await
}

pub(crate) async fn reject(
    console: State<Console>,
    session: Extension<Session>,
    id: Path<String>,
    body: Bytes,
) -> Response {
    answer(&console, &session, &id, &body, false).await
}

async fn answer(console: &Console, session: &Session, id: &str, body: &[u8], is_yes: bool) -> Response {
    let given: TaskAnswer = match read_or_default(body) {
        Ok(given) => given,
        Err(refusal) => return refusal,
    };
    if given.comment.chars().count() > COMMENT_CHARS_MAX {
        return refused(StatusCode::BAD_REQUEST, &format!("the comment is longer than {COMMENT_CHARS_MAX} characters"));
    }
    let Some(desk) = console.inner.settings.tasks.desk() else { return off() };
    match desk.show(id).await {
        Ok(RunDetail { question: Some(question), .. }) if !may_answer(console, session, &question) => {
            let error = format!("this question is for {}", question.by.join(", "));
            return refused(StatusCode::FORBIDDEN, &error);
        }
        Ok(_) => {}
        Err(error) => return failed(&error),
    }
    let answer = Answer { who: who(session), comment: given.comment, edits: given.edits, number: given.number };
    let answered = async |desk: &Desk| {
        if is_yes { desk.approve(id, answer).await } else { desk.reject(id, answer).await }
    };
    changed(console, id, answered).await
}

/// Whether this session is among those who are asked. Admins always are; others where nobody is named, or where only channels
/// are, or where their name or a role that they have is.
fn may_answer(console: &Console, session: &Session, question: &Asked) -> bool {
    let mut people = question.by.iter().filter(|name| !console.inner.settings.tasks.is_channel(name)).peekable();
    if session.role == Role::Admin || people.peek().is_none() {
        return true;
    }
    let roles = [Role::Viewer, Role::Operator, Role::Admin];
    people.any(|name| {
        session.user.as_ref() == Some(name)
            || roles.into_iter().any(|role| role.name() == name.as_str() && session.role >= role)
    })
}

/// From where a run goes on.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TaskRetry {
    /// The step; the one at which it failed when absent.
    step: Option<String>,
    edits: Edits,
}

pub(crate) async fn retry(
    State(console): State<Console>,
    session: Extension<Session>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let wanted: TaskRetry = match read_or_default(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal,
    };
    let who = who(&session);
    changed(&console, &id, async |desk| desk.retry(&id, wanted.step.as_deref(), &who, wanted.edits).await).await
}

// Definitions

#[derive(Deserialize)]
pub(crate) struct OfVersion {
    version: Option<String>,
}

/// A definition.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskText {
    task: String,
    /// Made of its text.
    version: String,
    text: String,
    /// Whether new runs go by it.
    is_in_force: bool,
}

pub(crate) async fn definition(
    State(console): State<Console>,
    Path(task): Path<String>,
    Query(of): Query<OfVersion>,
) -> Response {
    with_desk(&console, async |desk| {
        let found = desk.definition(&task, of.version.as_deref()).await?;
        let in_force = desk.tasks().await?.into_iter().find(|known| known.name == task).map(|known| known.version);
        Ok(text_of(&found, in_force.as_ref() == Some(&found.version)))
    })
    .await
}

fn text_of(definition: &Definition, is_in_force: bool) -> TaskText {
    let Definition { name, version, text, .. } = definition;
    TaskText { task: name.clone(), version: version.clone(), text: text.clone(), is_in_force }
}

/// A text for a definition.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskEdit {
    text: String,
    /// The version that was changed; refused when the file is another by now.
    #[serde(default)]
    version: Option<String>,
}

/// What a text would be.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskCheck {
    #[schema(value_type = Vec<TaskFault>)]
    faults: Vec<Fault>,
    steps: Vec<StepSummary>,
}

/// Something that is wrong with the text of a task.
#[expect(dead_code, reason = "what is sent is a fault as the settings have it; this says what it is")]
#[derive(ToSchema)]
pub(crate) struct TaskFault {
    line: Option<usize>,
    column: Option<usize>,
    width: Option<usize>,
    message: String,
    expected: Option<String>,
    hint: Option<String>,
    said: Option<FaultSaid>,
}

pub(crate) async fn check(State(console): State<Console>, Path(task): Path<String>, body: Bytes) -> Response {
    let edit: TaskEdit = match read(&body) {
        Ok(edit) => edit,
        Err(refusal) => return refusal,
    };
    let checked = match console.inner.settings.tasks.look(&task, &edit.text) {
        Ok(definition) => TaskCheck { faults: Vec::new(), steps: definition.summary_steps() },
        Err(faults) => TaskCheck { faults, steps: Vec::new() },
    };
    Json(checked).into_response()
}

pub(crate) async fn save(
    State(console): State<Console>,
    doer: Doer,
    Path(task): Path<String>,
    body: Bytes,
) -> Response {
    let edit: TaskEdit = match read(&body) {
        Ok(edit) => edit,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = wrong_name(&task) {
        return refusal;
    }
    match console.inner.settings.tasks.save(&task, &edit.text, edit.version.as_deref()).await {
        Ok(definition) => {
            let record = audit("definition of a task saved", &doer.session, doer.client).field("task", task);
            tell(&console, record.field("task_version", definition.version.as_str()));
            Json(text_of(&definition, true)).into_response()
        }
        Err(unchanged) => unchanged.into_response(),
    }
}

pub(crate) async fn remove(State(console): State<Console>, doer: Doer, Path(task): Path<String>) -> Response {
    if let Some(refusal) = wrong_name(&task) {
        return refusal;
    }
    match console.inner.settings.tasks.remove(&task).await {
        Ok(()) => {
            let record = audit("definition of a task removed", &doer.session, doer.client);
            tell(&console, record.field("task", task));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(unchanged) => unchanged.into_response(),
    }
}

/// The name becomes that of a file.
fn wrong_name(task: &str) -> Option<Response> {
    let is_right = !task.is_empty()
        && task.len() <= NAME_CHARS_MAX
        && task.starts_with(|c: char| c.is_ascii_alphanumeric())
        && task.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    let error = "a task's name has letters, digits, `_` and `-`, and begins with a letter or digit";
    (!is_right).then(|| refused_as(StatusCode::BAD_REQUEST, "task_name", error))
}

impl IntoResponse for Unchanged {
    fn into_response(self) -> Response {
        match self {
            Self::Faulty(faults) => {
                let body = json!({"error": "the text has errors", "code": "faulty", "faults": faults});
                (StatusCode::BAD_REQUEST, Json(body)).into_response()
            }
            Self::Unknown => refused_as(StatusCode::NOT_FOUND, "task_gone", "there is no file of this task"),
            Self::Off => off(),
            Self::Changed(error) => refused_as(StatusCode::CONFLICT, "task_changed", &error),
            Self::Failed(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error),
        }
    }
}

/// What a run is given.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TaskOrder {
    #[schema(value_type = Object)]
    input: Map<String, Value>,
}

/// A run that was begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskBegun {
    id: String,
}

pub(crate) async fn begin(
    State(console): State<Console>,
    session: Extension<Session>,
    Path(task): Path<String>,
    body: Bytes,
) -> Response {
    let TaskOrder { input } = match read_or_default(&body) {
        Ok(order) => order,
        Err(refusal) => return refusal,
    };
    let Some(desk) = console.inner.settings.tasks.desk() else { return off() };
    match desk.run(Order { task, input, who: who(&session), id: None }).await {
        Ok(id) => (StatusCode::CREATED, Json(TaskBegun { id })).into_response(),
        Err(error) => failed(&error),
    }
}

pub(crate) async fn hold(console: State<Console>, doer: Doer, task: Path<String>) -> Response {
    schedule(&console, &doer, &task, true).await
}

pub(crate) async fn release(console: State<Console>, doer: Doer, task: Path<String>) -> Response {
    schedule(&console, &doer, &task, false).await
}

async fn schedule(console: &Console, doer: &Doer, task: &str, is_held: bool) -> Response {
    with_desk(console, async |desk| {
        let what = if is_held {
            desk.hold(task, &who(&doer.session)).await?;
            "schedule of a task held"
        } else {
            desk.release(task, &who(&doer.session)).await?;
            "schedule of a task released"
        };
        tell(console, audit(what, &doer.session, doer.client).field("task", task));
        let tasks = desk.tasks().await?;
        tasks.into_iter().find(|known| known.name == task).ok_or_else(|| TaskError::NoTask(task.to_owned()))
    })
    .await
}

// What all have in common

fn who(session: &Session) -> String {
    format!("console: {}", session.name())
}

/// Asks the desk, if there is one.
async fn with_desk<T: Serialize>(console: &Console, ask: impl AsyncFnOnce(Desk) -> Result<T, TaskError>) -> Response {
    match console.inner.settings.tasks.desk() {
        Some(desk) => answered(ask(desk).await),
        None => off(),
    }
}

/// Changes a run; gives it as it is then.
async fn changed(console: &Console, id: &str, change: impl AsyncFnOnce(&Desk) -> Result<(), TaskError>) -> Response {
    with_desk(console, async |desk| {
        change(&desk).await?;
        desk.show(id).await
    })
    .await
}

fn answered<T: Serialize>(answer: Result<T, TaskError>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &TaskError) -> Response {
    match status_of(error) {
        StatusCode::SERVICE_UNAVAILABLE => {
            tracing::error!(error = tollhouse_units::chain(error), "asking the book of tasks");
            refused(StatusCode::SERVICE_UNAVAILABLE, "the book of tasks cannot be reached right now")
        }
        status => refused(status, &error.to_string()),
    }
}

/// Whose fault it is.
pub(crate) fn status_of(error: &TaskError) -> StatusCode {
    match error {
        TaskError::NoRun(_) | TaskError::NoTask(_) => StatusCode::NOT_FOUND,
        TaskError::NotNow { .. } | TaskError::Changed => StatusCode::CONFLICT,
        TaskError::Wrong(_) | TaskError::TooMuch { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn off() -> Response {
    refused_as(StatusCode::SERVICE_UNAVAILABLE, "tasks_off", OFF)
}

#[expect(clippy::result_large_err, reason = "it is what the call answers")]
fn read_or_default<T: Default + serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Response> {
    if body.is_empty() { Ok(T::default()) } else { read(body) }
}

fn short(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

/// Runs as they are listed, for their description.
pub(crate) type RunPage = Page;
