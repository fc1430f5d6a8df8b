//! Who does all of it: answers the calls here, and takes the steps of batches and deferred requests.

mod steps;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::header::{HeaderName, LOCATION, RETRY_AFTER};
use serde_json::{Map, Value, json};
use tollhouse_dialect::Api;
use tollhouse_gateway::{Asked, Doing, Later, Owner, Refusal, Wanted};
use tollhouse_journal::Journal;
use tollhouse_tasks::{Desk, Order};
use tollhouse_web::Answer;

use crate::batch::{Batch, Status, owner_name};
use crate::cabinet::{Cabinet, new_id, now_ms};
use crate::calls::{self, NewBatch, Query, Route};
use crate::deferred::{self, Deferred, Kind};
use crate::definitions::{BATCH, LATER};
use crate::error::BatchError;
use crate::files::{FOR_BATCH, KeptFile};
use crate::record::Records;
use crate::settings::Settings;
use crate::upload;
use crate::work::{Answered, House};

/// Uploads that come in at the same time, of all keys and of one: each may hold a whole file that is not counted yet.
const UPLOADS_MAX: usize = 8;
const UPLOADS_OF_KEY_MAX: usize = 2;
/// Bytes of a request that is answered later.
const LATER_BYTES_MAX: usize = 4 << 20;
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
    pub(crate) settings: Settings,
    pub(crate) records: Records,
    desk: Desk,
    house: Arc<dyn House>,
    answered: Answered,
    /// Whose uploads are coming in.
    uploads: Mutex<Vec<String>>,
}

/// A place for an upload; it is free again when this is dropped.
struct UploadPlace<'a>(&'a Clerk, &'a str);

impl Drop for UploadPlace<'_> {
    fn drop(&mut self) {
        let mut uploads = self.0.uploads();
        if let Some(at) = uploads.iter().position(|owner| owner == self.1) {
            uploads.swap_remove(at);
        }
    }
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

    fn take(&self, wanted: Wanted) -> Doing<'_> {
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
        let (records, answered, uploads) = (Records::new(journal), Answered::default(), Mutex::default());
        Self { cabinet, settings, records, desk, house, answered, uploads }
    }

    /// Removes what was kept long enough, and records what was erased.
    pub(crate) async fn tidy(&self) -> Result<(), BatchError> {
        for (number, erased) in self.cabinet.erasures().await? {
            self.records.erased(&erased).await?;
            self.cabinet.erasure_recorded(number).await?;
        }
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
                let _place = self.upload_place(name)?;
                let file = upload::upload(&self.cabinet, &self.settings, &owner, headers, body).await?;
                self.records.file(&owner, &file, "uploaded");
                Ok(calls::json_answer(200, &file.shown()))
            }
            Route::Files => {
                let query = Query::read(query, FILES_LIST)?;
                let (files, has_more) = self.cabinet.files(name, query.purpose.as_deref(), &query.part).await?;
                let files: Vec<Value> = files.iter().map(KeptFile::shown).collect();
                Ok(calls::list(&files, has_more))
            }
            Route::File(id) => Ok(calls::json_answer(200, &self.cabinet.file(name, id).await?.shown())),
            Route::RemoveFile(id) => {
                let file = self.cabinet.file(name, id).await?;
                self.cabinet.remove_file(name, id).await?;
                self.records.file(&owner, &file, "deleted");
                Ok(calls::json_answer(200, &json!({"id": file.id, "object": "file", "deleted": true})))
            }
            Route::Content(id) => {
                let file = self.cabinet.file(name, id).await?;
                let answer = calls::content(&file, &self.cabinet.file_path(&file.id)).await?;
                self.records.file(&owner, &file, "read");
                Ok(answer)
            }
            Route::CreateBatch => {
                let new = NewBatch::read(&calls::whole(body).await?)?;
                let batch = self.create(&owner, new).await?;
                Ok(calls::json_answer(200, &batch.shown()))
            }
            Route::Batches => {
                let query = Query::read(query, LIST)?;
                let (batches, has_more) = self.cabinet.batches(Some(name), &query.part).await?;
                let batches: Vec<Value> = batches.iter().map(Batch::shown).collect();
                Ok(calls::list(&batches, has_more))
            }
            Route::Batch(id) => Ok(calls::json_answer(200, &self.cabinet.own_batch(name, id).await?.shown())),
            Route::CancelBatch(id) => {
                self.cabinet.own_batch(name, id).await?;
                Ok(calls::json_answer(200, &self.cancel_batch(id).await?.shown()))
            }
            Route::Deferred(kind, id) => {
                let (found, answer) = self.cabinet.own_deferred(name, kind, id).await?;
                Ok(shown(&found, answer.as_deref()))
            }
            Route::CancelDeferred(kind, id) => {
                self.cabinet.own_deferred(name, kind, id).await?;
                let cancelled = self.cancel_deferred(id).await?;
                Ok(shown(&cancelled, None))
            }
            Route::ForgetDeferred(kind, id) => {
                let (found, _) = self.cabinet.own_deferred(name, kind, id).await?;
                self.cabinet.forget_deferred(name, id).await?;
                self.records.deferred(&found, "deleted", None);
                let object = if kind == Kind::Chat { "chat.completion.deleted" } else { "response.deleted" };
                Ok(calls::json_answer(200, &json!({"id": id, "object": object, "deleted": true})))
            }
        }
    }

    /// Ends a batch, whoever's it is; gives it with its counts as they are now.
    pub(crate) async fn cancel_batch(&self, id: &str) -> Result<Batch, BatchError> {
        let batch = self.cabinet.change_batch(id, cancel).await?;
        self.records.batch(&batch, "cancelling");
        self.cabinet.batch(id).await
    }

    /// Gives up on a request that is answered later, whoever's it is.
    pub(crate) async fn cancel_deferred(&self, id: &str) -> Result<Deferred, BatchError> {
        let keep_ms = self.later_keep_ms();
        let cancelled = self.cabinet.change_deferred(id, None, |deferred| {
            if deferred.status.is_over() {
                return Err(BatchError::NotNow(format!("it is {} already", deferred.status.word())));
            }
            end(deferred, deferred::Status::Cancelled, keep_ms);
            Ok(())
        });
        let cancelled = cancelled.await?;
        self.records.deferred(&cancelled, "cancelled", None);
        Ok(cancelled)
    }

    fn upload_place<'a>(&'a self, owner: &'a str) -> Result<UploadPlace<'a>, BatchError> {
        let mut uploads = self.uploads();
        let own = uploads.iter().filter(|other| *other == owner).count();
        if uploads.len() >= UPLOADS_MAX || own >= UPLOADS_OF_KEY_MAX {
            return Err(BatchError::TooMuch("too many files are uploaded at once, try again shortly".to_owned()));
        }
        uploads.push(owner.to_owned());
        Ok(UploadPlace(self, owner))
    }

    fn uploads(&self) -> MutexGuard<'_, Vec<String>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn create(&self, owner: &Owner, new: NewBatch) -> Result<Batch, BatchError> {
        let file = self.cabinet.file(owner_name(owner), &new.input_file_id).await?;
        if file.purpose != FOR_BATCH {
            let message = format!("the file was not uploaded for a batch: its purpose is {}", file.purpose);
            return Err(BatchError::wrong(message, "input_file_id"));
        }
        // Its answers will be files, too.
        self.cabinet.check_room(owner_name(owner), 0, &self.settings).await?;
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
        if let Err(error) = self.cabinet.add_batch(&batch, file.bytes, &self.settings).await {
            self.cabinet.let_go(&batch.id).await?;
            return Err(error);
        }
        self.records.batch(&batch, "created");
        self.begin(BATCH, &batch.id, owner_name(owner)).await?;
        Ok(batch)
    }

    async fn defer(&self, wanted: Wanted) -> Result<Answer, BatchError> {
        let Wanted { owner, api, model, body, webhook } = wanted;
        if body.len() > LATER_BYTES_MAX {
            let message = format!("a request that is answered later may have {LATER_BYTES_MAX} bytes");
            return Err(BatchError::TooLarge(message));
        }
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
            failures: 0,
        };
        self.cabinet.defer(&new, &body, &self.settings).await?;
        self.records.deferred(&new, "taken", None);
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
}

fn cancel(batch: &mut Batch) -> Result<(), BatchError> {
    match batch.status {
        Status::Validating | Status::InProgress => {
            batch.status = Status::Cancelling;
            batch.cancelling_ms = Some(now_ms());
            Ok(())
        }
        Status::Cancelling => Ok(()),
        over => Err(BatchError::NotNow(format!("a batch that is {} cannot be cancelled any more", over.word()))),
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
