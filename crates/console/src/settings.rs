//! The configuration: where each value comes from, and a change of its file from the text to the house in force.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/settings` | | `{"file", "version", "text", "locked", "faults", "pending", "settings"}` |
//! | `POST /console/api/v1/settings/check` | `{"text"}` | `{"faults", "missing", "changed", "restart", "barred", "diff"}` |
//! | `POST /console/api/v1/settings/apply` | `{"text", "version", "later"}` | `{"changed", "restart", "version"}` |
//! | `GET /console/api/v1/settings/history` | | `{"revisions"}`, the newest first |
//! | `GET /console/api/v1/settings/history/{id}` | | a revision with its texts and their difference |
//!
//! All are for admins. Texts hold masks in the place of secrets; a mask that is left standing keeps the secret of the file
//! (docs/decisions/0010). Errors are `{"error": message, "code": word}`; the words are those of [`Refusal::code`].

mod diff;
mod file;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path as PathOf, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tollhouse_state::Revision;
use utoipa::ToSchema;

use self::file::{FileError, FileText};
use crate::Console;
use crate::refusal::{out_of_reach, refused};
use crate::session::{audit, tell};
use crate::users::Doer;

/// Whoever knows what the configuration means.
pub type SettingsKeeper = Arc<dyn SettingsDesk>;

/// What the console asks about the configuration.
pub trait SettingsDesk: Debug + Send + Sync {
    /// The file that the house was started with; `None` where there was none.
    fn file(&self) -> Option<&Path>;
    /// Bytes that such a file may have.
    fn bytes_max(&self) -> u64;
    /// A file's text as it may be shown, or what keeps it from being shown.
    fn masked(&self, text: &str) -> Result<String, Vec<Fault>>;
    /// What a text would come to in the place of the file's `current` one.
    fn look(&self, text: &str, current: &str) -> Proposal;
    /// What is in force, as said by the text of the file.
    fn in_force(&self, text: &str) -> Vec<InForce>;
}

/// Something that is wrong with a text.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Fault {
    /// Line, counted from 1.
    pub line: Option<usize>,
    /// Column in characters, counted from 1.
    pub column: Option<usize>,
    /// Characters that are meant.
    pub width: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What was expected instead.
    pub expected: Option<String>,
    /// Advice that goes further.
    pub hint: Option<String>,
    /// The same by codes.
    pub said: Option<FaultSaid>,
}

/// What is said of a fault, each as `{"code", "figures"}`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct FaultSaid {
    /// The way to the value that it is about; empty for the whole file, `None` where `what` names it.
    pub path: Option<String>,
    /// What is wrong.
    pub what: Value,
    /// What was expected instead.
    pub expected: Option<Value>,
    /// Advice that goes further.
    pub hint: Option<Value>,
}

/// What a text would come to.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Proposal {
    /// The text with its secrets.
    #[serde(skip)]
    pub text: String,
    /// All that is wrong with it.
    pub faults: Vec<Fault>,
    /// Paths of masks that stand where the file has no secret.
    pub missing: Vec<String>,
    /// Paths of what it would change in the running house.
    pub changed: Vec<String>,
    /// Those of them that need a restart.
    pub restart: Vec<String>,
    /// Those of them that are changed in the file only: they say which programs run.
    pub barred: Vec<String>,
}

/// A value in force.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct InForce {
    /// The way to it.
    pub path: String,
    /// The value, secrets masked.
    pub value: String,
    /// `default`, `file` or `environment`.
    pub from: &'static str,
    /// The line of the file, counted from 1.
    pub line: Option<usize>,
    /// The variables of the environment that it is made of.
    pub variables: Vec<String>,
}

/// One change after the other; clones share the turn.
#[derive(Clone, Debug, Default)]
pub struct Turn(Arc<Mutex<()>>);

/// A text to look at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SettingsLook)]
pub(crate) struct Look {
    text: String,
}

/// A text to put in the place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SettingsApply)]
pub(crate) struct Apply {
    text: String,
    version: String,
    /// Whether to keep what needs a restart until there is one.
    #[serde(default)]
    later: bool,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the house was started without a configuration file; restart it with one")]
    NoFile,
    #[error(transparent)]
    File(#[from] FileError),
    #[error("the text has errors")]
    Faulty(Vec<Fault>),
    #[error("secrets have to be entered anew at {}", .0.join(", "))]
    Missing(Vec<String>),
    #[error("which programs run is changed in the file only, not here: {}", .0.join(", "))]
    Barred(Vec<String>),
    #[error("a change of {} needs a restart", .0.join(", "))]
    Restart(Vec<String>),
    #[error("nothing was changed")]
    Nothing,
    #[error("the house refused it, and the file is as it was: {0}")]
    Refused(String),
    #[error("the house refused it ({0}), and the file could not be put back: {1}")]
    Stuck(String, FileError),
}

impl Refusal {
    /// A stable word for each.
    fn code(&self) -> &'static str {
        match self {
            Self::NoFile => "no_file",
            Self::File(FileError::Changed) => "changed_on_disk",
            Self::File(FileError::System { .. }) => "locked",
            Self::Faulty(_) => "faulty",
            Self::Missing(_) => "secrets",
            Self::Barred(_) => "barred",
            Self::Restart(_) => "restart",
            Self::Nothing => "unchanged",
            Self::Refused(_) => "refused",
            Self::Stuck(..) => "stuck",
        }
    }

    fn answer(&self) -> Response {
        let status = match self {
            Self::Faulty(_) | Self::Missing(_) | Self::Nothing => StatusCode::BAD_REQUEST,
            Self::Barred(_) => StatusCode::FORBIDDEN,
            Self::NoFile | Self::File(_) | Self::Restart(_) | Self::Refused(_) => StatusCode::CONFLICT,
            Self::Stuck(..) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let paths: &[String] = match self {
            Self::Missing(paths) | Self::Barred(paths) | Self::Restart(paths) => paths,
            _ => &[],
        };
        let faults: &[Fault] = if let Self::Faulty(faults) = self { faults } else { &[] };
        let body = json!({"error": self.to_string(), "code": self.code(), "paths": paths, "faults": faults});
        (status, Json(body)).into_response()
    }
}

pub(crate) async fn show(State(console): State<Console>) -> Response {
    match in_the_background(move || shown(&*console.inner.settings.desk)).await {
        Ok(shown) => Json(shown).into_response(),
        Err(refusal) => refusal.answer(),
    }
}

fn shown(desk: &dyn SettingsDesk) -> Result<Value, Refusal> {
    let Some(path) = desk.file() else {
        let settings = desk.in_force("");
        return Ok(json!({"file": null, "version": "", "text": "", "faults": [], "pending": [], "settings": settings,
                         "locked": Refusal::NoFile.to_string()}));
    };
    let FileText { text, version } = file::read(path, desk.bytes_max())?;
    let locked = file::check_writable(path).err().map(|error| error.to_string());
    let (shown, mut faults) = match desk.masked(&text) {
        Ok(shown) => (Some(shown), Vec::new()),
        Err(faults) => (None, faults),
    };
    let now = desk.look(&text, &text);
    faults.extend(now.faults);
    faults.dedup();
    Ok(json!({
        "file": path, "version": version, "text": shown, "locked": locked, "faults": faults,
        "pending": now.changed, "settings": desk.in_force(&text),
    }))
}

pub(crate) async fn check(State(console): State<Console>, body: Bytes) -> Response {
    let look: Look = match serde_json::from_slice(&body) {
        Ok(look) => look,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    match in_the_background(move || checked(&*console.inner.settings.desk, &look.text)).await {
        Ok(checked) => Json(checked).into_response(),
        Err(refusal) => refusal.answer(),
    }
}

fn checked(desk: &dyn SettingsDesk, text: &str) -> Result<Value, Refusal> {
    let current = current(desk)?.1;
    let masked = desk.masked(&current.text).map_err(Refusal::Faulty)?;
    let proposal = desk.look(text, &current.text);
    let mut told = json!(proposal);
    told["diff"] = json!(diff::diff(&masked, text));
    Ok(told)
}

fn current(desk: &dyn SettingsDesk) -> Result<(PathBuf, FileText), Refusal> {
    let path = desk.file().ok_or(Refusal::NoFile)?;
    Ok((path.to_owned(), file::read(path, desk.bytes_max())?))
}

pub(crate) async fn apply(State(console): State<Console>, doer: Doer, body: Bytes) -> Response {
    let wanted: Apply = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    // Goes on when the browser leaves: a file that is written is also put in force, or put back.
    let task = tokio::spawn(async move { applied(console, doer, wanted).await });
    match task.await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(error = %error, "applying a change of the configuration");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "the change was not completed; the log has the reason")
        }
    }
}

async fn applied(console: Console, doer: Doer, wanted: Apply) -> Response {
    let turn = console.inner.settings.turn.clone();
    let _turn = turn.0.lock().await;
    let writing = console.clone();
    let written = match in_the_background(move || write(&*writing.inner.settings.desk, &wanted)).await {
        Ok(written) => written,
        Err(refusal) => return refusal.answer(),
    };
    let is_later = !written.proposal.restart.is_empty();
    if !is_later && let Some(Err(message)) = console.inner.keeper.reload().await {
        return put_back(&console, written, message).await.answer();
    }
    let Written { proposal, version, before, after, .. } = written;
    let record = audit("configuration changed", &doer.session, doer.client).field("changed", &proposal.changed);
    tell(&console, record.field("needs_restart", &proposal.restart));
    let revision = Revision {
        by: doer.session.name().to_owned(),
        role: doer.session.role.name().to_owned(),
        client: doer.client.to_string(),
        changed: proposal.changed.clone(),
        restart: proposal.restart.clone(),
        before,
        after,
        ..Revision::default()
    };
    // It is in force, and recorded; only undoing it by a click is lost.
    if let Err(error) = console.inner.state.add_revision(&revision).await {
        tracing::error!(error = %error, "keeping a change of the configuration");
    }
    Json(json!({"changed": proposal.changed, "restart": proposal.restart, "version": version})).into_response()
}

/// What was written.
struct Written {
    proposal: Proposal,
    path: PathBuf,
    version: String,
    /// The file as it was.
    old: String,
    /// The texts before and after as they may be shown.
    before: String,
    after: String,
}

fn write(desk: &dyn SettingsDesk, wanted: &Apply) -> Result<Written, Refusal> {
    let (path, FileText { text: old, version }) = current(desk)?;
    if version != wanted.version {
        return Err(FileError::Changed.into());
    }
    let proposal = desk.look(&wanted.text, &old);
    if !proposal.missing.is_empty() {
        return Err(Refusal::Missing(proposal.missing));
    }
    if !proposal.faults.is_empty() {
        return Err(Refusal::Faulty(proposal.faults));
    }
    if !proposal.barred.is_empty() {
        return Err(Refusal::Barred(proposal.barred));
    }
    if !proposal.restart.is_empty() && !wanted.later {
        return Err(Refusal::Restart(proposal.restart));
    }
    if proposal.text == old {
        return Err(Refusal::Nothing);
    }
    let before = desk.masked(&old).map_err(Refusal::Faulty)?;
    let after = desk.masked(&proposal.text).map_err(Refusal::Faulty)?;
    let version = file::replace(&path, &version, &proposal.text, desk.bytes_max())?.version;
    Ok(Written { proposal, path, version, old, before, after })
}

/// The house would not have it: the file is as it was again, unless somebody else has changed it since.
async fn put_back(console: &Console, written: Written, message: String) -> Refusal {
    let bytes_max = console.inner.settings.desk.bytes_max();
    let Written { path, version, old, .. } = written;
    let put = in_the_background(move || Ok(file::replace(&path, &version, &old, bytes_max)?)).await;
    match put {
        Ok(_) => Refusal::Refused(message),
        Err(Refusal::File(error)) => Refusal::Stuck(message, error),
        Err(other) => other,
    }
}

pub(crate) async fn history(State(console): State<Console>) -> Response {
    match console.inner.state.revisions().await {
        Ok(revisions) => Json(json!({"revisions": revisions})).into_response(),
        Err(error) => out_of_reach("the history of the configuration", &error),
    }
}

pub(crate) async fn revision(State(console): State<Console>, PathOf(id): PathOf<String>) -> Response {
    let unknown = || refused(StatusCode::NOT_FOUND, "there is no such change");
    let Ok(id) = id.parse() else { return unknown() };
    match console.inner.state.revision(id).await {
        Ok(Some(revision)) => {
            let mut told = json!(revision);
            told["before"] = json!(revision.before);
            told["after"] = json!(revision.after);
            told["diff"] = json!(diff::diff(&revision.before, &revision.after));
            Json(told).into_response()
        }
        Ok(None) => unknown(),
        Err(error) => out_of_reach("the history of the configuration", &error),
    }
}

/// Files are read and programs compiled where waiting holds nobody up.
async fn in_the_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(error = %error, "looking at a configuration");
            Err(Refusal::Refused("looking at it failed; the log has the reason".to_owned()))
        }
    }
}
