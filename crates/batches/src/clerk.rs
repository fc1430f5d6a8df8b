//! Who does all of it: answers the calls, and takes the steps of batches and deferred requests.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{HeaderName, LOCATION, RETRY_AFTER};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tollhouse_dialect::Api;
use tollhouse_gateway::{Asked, BATCH_ORIGIN, Doing, LATER_ORIGIN, Later, Owner, Refusal, Wanted};
use tollhouse_journal::Journal;
use tollhouse_tasks::{Desk, Order, Outcome, StepError};
use tollhouse_web::Answer;

use crate::batch::{Batch, LineAnswer, Status, owner_name};
use crate::cabinet::{Cabinet, new_id, now_ms};
use crate::calls::{self, NewBatch, Query, Route};
use crate::deferred::{self, Deferred, Kind};
use crate::definitions::{BATCH, LATER};
use crate::error::BatchError;
use crate::hands::nothing;
use crate::lines::{self, Item, LineError};
use crate::settings::Settings;
use crate::work::{self, Event, House, Question, Reply, Stop};
use crate::{record, upload};

/// Uploads that come in at the same time, of all keys: each may hold a whole file that is not counted yet.
const UPLOADS_MAX: usize = 4;
/// Entries of a list where nothing is said.
const LIST: u32 = 20;
const FILES_LIST: u32 = 1_000;
/// A deferred request that nobody could answer for so long is given up.
const LATER_WINDOW: Duration = Duration::from_hours(24);
/// When to look again for an answer that is not there yet.
const LOOK_AGAIN_SECONDS: u64 = 1;

/// See the head of this file.
pub(crate) struct Clerk {
    pub(crate) cabinet: Cabinet,
    settings: Settings,
    journal: Journal,
    desk: Desk,
    house: Arc<dyn House>,
    uploads: Semaphore,
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Later for Clerk {
    fn is_on(&self) -> bool {
        true
    }

    fn serve<'a>(&'a self, asked: Asked<'a>) -> Doing<'a> {
        Box::pin(async move { self.answer_call(asked).await.map_err(Refusal::from) })
    }

    fn take<'a>(&'a self, wanted: Wanted) -> Doing<'a> {
        Box::pin(async move { self.defer(wanted).await.map_err(Refusal::from) })
    }
}

impl Clerk {
    pub(crate) fn new(
        cabinet: Cabinet,
        settings: Settings,
        journal: Journal,
        desk: Desk,
        house: Arc<dyn House>,
    ) -> Self {
        Self { cabinet, settings, journal, desk, house, uploads: Semaphore::new(UPLOADS_MAX) }
    }

    /// Removes what was kept long enough.
    pub(crate) async fn tidy(&self) -> Result<(), BatchError> {
        let now_ms = now_ms();
        let files = self.cabinet.remove_old_files(now_ms).await?;
        let batches = self.cabinet.remove_old_batches(now_ms - self.keep_ms()).await?;
        let deferred = self.cabinet.remove_old_deferred(now_ms).await?;
        if files + batches + deferred > 0 {
            tracing::info!(files, batches, deferred, "removed what was kept long enough");
            self.cabinet.shrink().await?;
        }
        Ok(())
    }

    /// Begins runs for all that is open; one that has its run keeps it.
    pub(crate) async fn take_up(&self) -> Result<(), BatchError> {
        for id in self.cabinet.open_batches().await? {
            self.begin(BATCH, &id, "").await?;
        }
        for id in self.cabinet.open_deferred().await? {
            self.begin(LATER, &id, "").await?;
        }
        Ok(())
    }

    async fn begin(&self, task: &str, id: &str, who: &str) -> Result<(), BatchError> {
        let input = Map::from_iter([("id".to_owned(), id.into())]);
        let order = Order { task: task.to_owned(), input, who: who.to_owned(), id: Some(id.to_owned()) };
        self.desk.run(order).await?;
        Ok(())
    }

    fn keep_ms(&self) -> i64 {
        i64::from(self.settings.keep_days) * 86_400_000
    }

    // Calls

    async fn answer_call(&self, asked: Asked<'_>) -> Result<Answer, BatchError> {
        let Asked { owner, method, path, query, headers, body } = asked;
        let name = owner_name(&owner);
        match Route::of(method, path)? {
            Route::Upload => {
                let busy = |_| BatchError::TooMuch("too many files are uploaded at once, try again shortly".to_owned());
                let _place = self.uploads.try_acquire().map_err(busy)?;
                let file = upload::upload(&self.cabinet, &self.settings, &owner, headers, body).await?;
                record::file(&self.journal, &owner, &file, "uploaded");
                Ok(calls::json_answer(200, &file.shown()))
            }
            Route::Files => {
                let query = Query::read(query, FILES_LIST)?;
                let (files, has_more) = self.cabinet.files(name, query.purpose.as_deref(), &query.part).await?;
                Ok(calls::list(files.iter().map(|file| file.shown()).collect(), has_more))
            }
            Route::File(id) => Ok(calls::json_answer(200, &self.cabinet.file(name, id).await?.shown())),
            Route::RemoveFile(id) => {
                let file = self.cabinet.file(name, id).await?;
                self.cabinet.remove_file(name, id).await?;
                record::file(&self.journal, &owner, &file, "deleted");
                Ok(calls::json_answer(200, &json!({"id": file.id, "object": "file", "deleted": true})))
            }
            Route::Content(id) => {
                let file = self.cabinet.file(name, id).await?;
                let answer = calls::content(&file, &self.cabinet.file_path(&file.id)).await?;
                record::file(&self.journal, &owner, &file, "read");
                Ok(answer)
            }
            Route::CreateBatch => {
                let new = NewBatch::read(&calls::whole(body).await?)?;
                let batch = self.create(&owner, new).await?;
                Ok(calls::json_answer(200, &batch.shown()))
            }
            Route::Batches => {
                let query = Query::read(query, LIST)?;
                let (batches, has_more) = self.cabinet.batches(name, &query.part).await?;
                Ok(calls::list(batches.iter().map(Batch::shown).collect(), has_more))
            }
            Route::Batch(id) => Ok(calls::json_answer(200, &self.cabinet.own_batch(name, id).await?.shown())),
            Route::CancelBatch(id) => {
                self.cabinet.own_batch(name, id).await?;
                let batch = self.cabinet.change_batch(id, cancel).await?;
                record::batch(&self.journal, &batch, "cancelling");
                Ok(calls::json_answer(200, &self.cabinet.batch(id).await?.shown()))
            }
            Route::Deferred(kind, id) => {
                let (found, answer) = self.cabinet.own_deferred(name, kind, id).await?;
                Ok(shown(&found, answer.as_deref()))
            }
            Route::CancelDeferred(kind, id) => {
                self.cabinet.own_deferred(name, kind, id).await?;
                let keep_ms = self.later_keep_ms();
                let cancelled = self.cabinet.change_deferred(id, None, |deferred| {
                    if deferred.status.is_over() {
                        return Err(BatchError::NotNow(format!("it is {} already", deferred.status.word())));
                    }
                    end(deferred, deferred::Status::Cancelled, keep_ms);
                    Ok(())
                });
                let cancelled = cancelled.await?;
                record::deferred(&self.journal, &cancelled, "cancelled", None);
                Ok(shown(&cancelled, None))
            }
            Route::ForgetDeferred(kind, id) => {
                let (found, _) = self.cabinet.own_deferred(name, kind, id).await?;
                self.cabinet.forget_deferred(name, id).await?;
                record::deferred(&self.journal, &found, "deleted", None);
                let object = if kind == Kind::Chat { "chat.completion.deleted" } else { "response.deleted" };
                Ok(calls::json_answer(200, &json!({"id": id, "object": object, "deleted": true})))
            }
        }
    }

    async fn create(&self, owner: &Owner, new: NewBatch) -> Result<Batch, BatchError> {
        let file = self.cabinet.file(owner_name(owner), &new.input_file_id).await?;
        if file.purpose != crate::files::FOR_BATCH {
            let message = format!("the file was not uploaded for a batch: its purpose is {}", file.purpose);
            return Err(BatchError::wrong(message, "input_file_id"));
        }
        let created_ms = now_ms();
        let batch = Batch {
            id: new_id("batch_"),
            key_id: owner.key_id.clone(),
            user: owner.user.clone(),
            client: owner.client,
            endpoint: new.endpoint,
            input_file_id: file.id.clone(),
            completion_window: new.completion_window,
            metadata: new.metadata,
            status: Status::Validating,
            created_ms,
            expires_ms: created_ms + new.window.as_millis() as i64,
            in_progress_ms: None,
            finalizing_ms: None,
            cancelling_ms: None,
            ended_ms: None,
            output_file_id: None,
            error_file_id: None,
            errors: Vec::new(),
            total: 0,
            completed: 0,
            failed: 0,
        };
        // A second name for the same content: the file may be deleted, and its bytes stay for the batch.
        let (from, to) = (self.cabinet.file_path(&file.id), self.cabinet.input_path(&batch.id));
        tokio::fs::hard_link(&from, &to).await.map_err(BatchError::file(&from))?;
        if let Err(error) = self.cabinet.add_batch(&batch, self.settings.batches_max).await {
            self.cabinet.let_go(&batch.id).await?;
            return Err(error);
        }
        record::batch(&self.journal, &batch, "created");
        self.begin(BATCH, &batch.id, owner_name(owner)).await?;
        Ok(batch)
    }

    async fn defer(&self, wanted: Wanted) -> Result<Answer, BatchError> {
        let Wanted { owner, api, model, body, webhook } = wanted;
        if let Some(url) = &webhook {
            self.house.check_webhook(url).map_err(|message| BatchError::wrong(message, "x-tollhouse-webhook"))?;
        }
        let kind = if api == Api::OpenAiResponses { Kind::Response } else { Kind::Chat };
        let created_ms = now_ms();
        let new = Deferred {
            id: new_id(kind.id_prefix()),
            kind,
            key_id: owner.key_id.clone(),
            user: owner.user.clone(),
            client: owner.client,
            model,
            status: deferred::Status::Queued,
            created_ms,
            ended_ms: None,
            // Beyond the time that it may take: what nobody answers is given up before.
            expires_ms: created_ms + 2 * LATER_WINDOW.as_millis() as i64 + self.later_keep_ms(),
            http_status: None,
            webhook,
        };
        self.cabinet.defer(&new, &body, self.settings.later_max).await?;
        record::deferred(&self.journal, &new, "taken", None);
        self.begin(LATER, &new.id, owner_name(&owner)).await?;
        let (_, body) = new.shown(None);
        let mut answer = calls::json_answer(202, &body);
        let headers = answer.headers_mut();
        headers.insert(HeaderName::from_static("preference-applied"), HeaderValue::from_static("respond-async"));
        if let Ok(location) = HeaderValue::from_str(&new.location()) {
            headers.insert(LOCATION, location);
        }
        headers.insert(RETRY_AFTER, HeaderValue::from(LOOK_AGAIN_SECONDS));
        Ok(answer)
    }

    fn later_keep_ms(&self) -> i64 {
        self.settings.later_keep.as_millis() as i64
    }

    // Steps of a batch

    /// Reads the input: what is wrong with it ends the batch, else its parts are the step's value.
    pub(crate) async fn read(&self, id: &str) -> Result<Value, BatchError> {
        let batch = self.cabinet.batch(id).await?;
        if batch.status.is_over() || batch.status == Status::Cancelling {
            return Ok(nothing());
        }
        let (path, endpoint, lines_max) = (self.cabinet.input_path(id), batch.endpoint, self.settings.lines_max);
        let scan = blocking(path, move |path| lines::scan(path, &endpoint, lines_max)).await?;
        let now_ms = now_ms();
        let batch = self.cabinet.change_batch(id, |batch| {
            if batch.status != Status::Validating {
                return Ok(());
            }
            batch.total = scan.items;
            if scan.errors.is_empty() {
                batch.status = Status::InProgress;
                batch.in_progress_ms = Some(now_ms);
            } else {
                batch.errors.clone_from(&scan.errors);
                batch.end(Status::Failed, now_ms);
            }
            Ok(())
        });
        let batch = batch.await?;
        match batch.status {
            Status::Failed => {
                self.cabinet.let_go(id).await?;
                record::batch(&self.journal, &batch, "failed");
                Ok(nothing())
            }
            Status::Cancelling => Ok(nothing()),
            _ => {
                record::batch(&self.journal, &batch, "in_progress");
                Ok(json!({"parts": scan.parts}))
            }
        }
    }

    /// Asks the requests of one part that have no answer yet, one after the other.
    pub(crate) async fn ask(&self, id: &str, part: &str) -> Result<Value, BatchError> {
        let batch = self.cabinet.batch(id).await?;
        if self.stop(&batch).is_some() {
            return Ok(Value::Null);
        }
        let (path, endpoint, at) = (self.cabinet.input_path(id), batch.endpoint.clone(), part.to_owned());
        let items = blocking(path, move |path| lines::part(path, &endpoint, &at)).await?;
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return Ok(Value::Null) };
        let done = self.cabinet.answered(id, first.line, last.line).await?;
        for item in items {
            if done.contains(&item.line) {
                continue;
            }
            let question = Question {
                owner: batch.owner(),
                origin: BATCH_ORIGIN,
                path: batch.endpoint.clone(),
                model: item.model.clone(),
                body: Bytes::from(item.body.clone()),
            };
            let stopped = || async {
                let batch = self.cabinet.batch_status(id).await;
                batch.ok().and_then(|(status, expires_ms)| stop(status, expires_ms))
            };
            match work::answer(&*self.house, &question, stopped).await {
                Ok(reply) => self.cabinet.keep_answer(id, &line_answer(&item, &reply)).await?,
                Err(_) => break,
            }
        }
        Ok(Value::Null)
    }

    /// Writes the answers, and ends the batch.
    pub(crate) async fn finish(&self, id: &str) -> Result<Value, BatchError> {
        let now = now_ms();
        let batch = self.cabinet.change_batch(id, |batch| {
            if batch.status == Status::InProgress {
                batch.status = Status::Finalizing;
                batch.finalizing_ms = Some(now);
            }
            Ok(())
        });
        let batch = batch.await?;
        if batch.status.is_over() {
            return Ok(Value::Null);
        }
        let has_all = {
            let counted = self.cabinet.batch(id).await?;
            counted.completed + counted.failed == counted.total
        };
        let status = match batch.status {
            Status::Cancelling => Status::Cancelled,
            _ if has_all => Status::Completed,
            _ => Status::Expired,
        };
        let batch = self.cabinet.finish(batch, status, self.keep_ms()).await?;
        let event = match status {
            Status::Cancelled => "cancelled",
            Status::Expired => "expired",
            _ => "completed",
        };
        record::batch(&self.journal, &batch, event);
        Ok(Value::Null)
    }

    /// Ends a batch at which the house itself fails.
    pub(crate) async fn give_up(&self, id: &str, error: &str) -> Result<Value, BatchError> {
        let message = "the house could not go on with this batch; its operator finds why in the log".to_owned();
        let error_of_house = LineError { code: "internal_error".to_owned(), message, param: None, line: None };
        tracing::error!(batch = id, error, "giving up a batch");
        let batch = self.cabinet.change_batch(id, |batch| {
            batch.errors = vec![error_of_house];
            batch.end(Status::Failed, now_ms());
            Ok(())
        });
        let batch = batch.await?;
        self.cabinet.let_go(id).await?;
        record::batch(&self.journal, &batch, "failed");
        Ok(Value::Null)
    }

    fn stop(&self, batch: &Batch) -> Option<Stop> {
        stop(batch.status, batch.expires_ms)
    }

    // Steps of a deferred request

    /// Asks, and keeps the answer.
    pub(crate) async fn answer(&self, id: &str) -> Result<Value, BatchError> {
        let begun = self.cabinet.change_deferred(id, None, |deferred| {
            if deferred.status == deferred::Status::Queued {
                deferred.status = deferred::Status::InProgress;
            }
            Ok(())
        });
        let begun = begun.await?;
        if begun.status.is_over() {
            return Ok(Value::Null);
        }
        let question = Question {
            owner: begun.owner(),
            origin: LATER_ORIGIN,
            path: begun.kind.path().to_owned(),
            model: begun.model.clone(),
            body: plain(&self.cabinet.deferred_request(id).await?),
        };
        let until_ms = begun.created_ms + LATER_WINDOW.as_millis() as i64;
        let stopped = || async {
            match self.cabinet.deferred(id).await {
                Ok(deferred) if deferred.status.is_over() => Some(Stop::Cancelled),
                Err(BatchError::Unknown { .. }) => Some(Stop::Cancelled),
                _ => (now_ms() >= until_ms).then_some(Stop::Expired),
            }
        };
        let reply = match work::answer(&*self.house, &question, stopped).await {
            Ok(reply) => reply,
            // Whoever gave up on it has its record; nobody is told.
            Err(Stop::Cancelled) => return Ok(Value::Null),
            Err(Stop::Expired) => Reply {
                status: 504,
                request_id: String::new(),
                retry_after: None,
                body: json!({"error": {"message": "no model server answered in time", "type": "server_error", "code": "expired"}})
                    .to_string()
                    .into(),
            },
        };
        let keep_ms = self.later_keep_ms();
        let is_ok = (200..300).contains(&reply.status);
        let ended = self.cabinet.change_deferred(id, Some(&reply.body), |deferred| {
            if !deferred.status.is_over() {
                deferred.http_status = Some(reply.status);
                let status = if is_ok { deferred::Status::Completed } else { deferred::Status::Failed };
                end(deferred, status, keep_ms);
            }
            Ok(())
        });
        let ended = ended.await?;
        record::deferred(&self.journal, &ended, if is_ok { "completed" } else { "failed" }, None);
        Ok(Value::Null)
    }

    /// Tells by the webhook that it is over.
    pub(crate) async fn tell(&self, id: &str) -> Result<Outcome, StepError> {
        let Ok(deferred) = self.cabinet.deferred(id).await else { return Ok(Outcome::default()) };
        let Some(url) = deferred.webhook.clone().filter(|_| deferred.status != deferred::Status::Cancelled) else {
            return Ok(Outcome::default());
        };
        let event = Event {
            id: format!("event-{id}"),
            name: deferred.kind.event(deferred.status),
            of: id.to_owned(),
            path: deferred.location(),
        };
        self.house.tell(&url, &event).await.map_err(|(message, may_retry)| StepError {
            message,
            may_retry,
            retry_after: None,
        })?;
        record::deferred(&self.journal, &deferred, "told", None);
        Ok(Outcome::default())
    }

    /// Notes that a step failed for good: the answer stays where it can be fetched, or says that there is none.
    pub(crate) async fn untold(&self, id: &str, error: &str) -> Result<Value, BatchError> {
        let keep_ms = self.later_keep_ms();
        let deferred = self.cabinet.change_deferred(id, None, |deferred| {
            if !deferred.status.is_over() {
                end(deferred, deferred::Status::Failed, keep_ms);
            }
            Ok(())
        });
        let deferred = deferred.await?;
        record::deferred(&self.journal, &deferred, "untold", Some(error.chars().take(500).collect()));
        Ok(Value::Null)
    }
}

/// Why nothing further of a batch is asked.
fn stop(status: Status, expires_ms: i64) -> Option<Stop> {
    if status.is_over() || status == Status::Cancelling {
        return Some(Stop::Cancelled);
    }
    (now_ms() >= expires_ms).then_some(Stop::Expired)
}

fn cancel(batch: &mut Batch) -> Result<(), BatchError> {
    match batch.status {
        Status::Validating | Status::InProgress => {
            batch.status = Status::Cancelling;
            batch.cancelling_ms = Some(now_ms());
            Ok(())
        }
        Status::Cancelling => Ok(()),
        _ => {
            let status = serde_json::to_value(batch.status).unwrap_or_default();
            let status = status.as_str().unwrap_or_default();
            Err(BatchError::NotNow(format!("a batch that is {status} cannot be cancelled any more")))
        }
    }
}

fn end(deferred: &mut Deferred, status: deferred::Status, keep_ms: i64) {
    let now_ms = now_ms();
    deferred.status = status;
    deferred.ended_ms = Some(now_ms);
    deferred.expires_ms = now_ms + keep_ms;
}

fn shown(deferred: &Deferred, answer: Option<&[u8]>) -> Answer {
    let (status, body) = deferred.shown(answer);
    let mut answer = calls::json_answer(status, &body);
    if !deferred.status.is_over() {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(LOOK_AGAIN_SECONDS));
    }
    answer
}

/// The same request without the wish to be answered later.
fn plain(body: &Bytes) -> Bytes {
    match serde_json::from_slice::<Map<String, Value>>(body) {
        Ok(mut fields) => {
            fields.shift_remove("background");
            serde_json::to_vec(&fields).map_or_else(|_| body.clone(), Bytes::from)
        }
        Err(_) => body.clone(),
    }
}

/// The line of an output file (OpenAI's API, "batch request output object").
fn line_answer(item: &Item, reply: &Reply) -> LineAnswer {
    let body = serde_json::from_slice::<Value>(&reply.body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&reply.body).into_owned().into());
    let line = json!({
        "id": new_id("batch_req_"),
        "custom_id": item.custom_id,
        "response": {"status_code": reply.status, "request_id": reply.request_id, "body": body},
        "error": null,
    });
    LineAnswer { line: item.line, is_ok: (200..300).contains(&reply.status), body: line.to_string() }
}

/// Reads a file of ours where it holds up nobody else.
async fn blocking<T: Send + 'static>(
    path: PathBuf,
    read: impl FnOnce(&PathBuf) -> std::io::Result<T> + Send + 'static,
) -> Result<T, BatchError> {
    let at = path.clone();
    let read = spawn_blocking(move || read(&at)).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    read.map_err(BatchError::file(&path))
}
