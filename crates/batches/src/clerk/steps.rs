//! The steps of batches and deferred requests. Each may be taken a second time after a crash, and does then what is left of it.

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tollhouse_gateway::Purpose;
use tollhouse_tasks::{Outcome, StepError};
use tollhouse_units::chain;

use super::{Clerk, LATER_WINDOW, end};
use crate::batch::{LineAnswer, Status, output_line};
use crate::cabinet::{Cabinet, now_ms};
use crate::deferred;
use crate::error::BatchError;
use crate::hands::nothing;
use crate::lines::{self, Item, LineError};
use crate::work::{self, Case, Event, Fate, Question, Reply, Stop};

impl Clerk {
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
                self.records.batch(&batch, "failed");
                Ok(nothing())
            }
            Status::Cancelling => Ok(nothing()),
            _ => {
                self.records.batch(&batch, "in_progress");
                Ok(json!({"parts": scan.parts}))
            }
        }
    }

    /// Asks the requests of one part that have no answer yet, one after the other.
    pub(crate) async fn ask(&self, id: &str, part: &str) -> Result<Value, BatchError> {
        let batch = self.cabinet.batch(id).await?;
        if stop(batch.status, batch.expires_ms).is_some() {
            return Ok(Value::Null);
        }
        let (path, endpoint, at) = (self.cabinet.input_path(id), batch.endpoint.clone(), part.to_owned());
        let items = blocking(path, move |path| lines::part(path, &endpoint, &at)).await?;
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return Ok(Value::Null) };
        let done = self.cabinet.answered(id, first.line, last.line).await?;
        let mut bytes = self.cabinet.answer_bytes(id).await?;
        for item in items {
            if done.contains(&item.line) {
                continue;
            }
            if bytes > self.settings.bytes_max {
                self.cabinet.keep_answer(id, &no_room(&item)).await?;
                self.records.line(false);
                continue;
            }
            let question = Question {
                owner: batch.owner(),
                purpose: Purpose::Line { batch: id.to_owned(), line: item.line },
                path: batch.endpoint.clone(),
                model: item.model.clone(),
                body: Bytes::from(item.body.clone()),
                is_suspect: false,
            };
            let failures = self.cabinet.failures(id, item.line).await?;
            let case = LineCase { cabinet: &self.cabinet, batch: id, line: item.line };
            match work::answer(&*self.house, &self.answered, &question, failures, &case).await {
                Ok(reply) => {
                    let answer = line_answer(&item, &reply);
                    bytes += answer.body.len() as u64;
                    self.cabinet.keep_answer(id, &answer).await?;
                    self.records.line(answer.is_ok);
                }
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
        self.records.batch(&batch, status.word());
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
        self.records.batch(&batch, "failed");
        Ok(Value::Null)
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
            purpose: Purpose::Later { id: id.to_owned() },
            path: begun.kind.path().to_owned(),
            model: begun.model.clone(),
            body: plain(&self.cabinet.deferred_request(id).await?),
            is_suspect: false,
        };
        let until_ms = begun.created_ms + LATER_WINDOW.as_millis() as i64;
        let case = DeferredCase { cabinet: &self.cabinet, id, until_ms };
        let reply = match work::answer(&*self.house, &self.answered, &question, begun.failures, &case).await {
            Ok(reply) => reply,
            // Whoever gave up on it has its record; nobody is told.
            Err(Stop::Cancelled) => return Ok(Value::Null),
            Err(Stop::Expired) => Reply {
                status: 504,
                fate: Fate::Stays,
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
        // One that was cancelled at the last moment has its record.
        if ended.status != deferred::Status::Cancelled {
            self.records.deferred(&ended, ended.status.word(), None);
        }
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
        self.records.deferred(&deferred, "told", None);
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
        self.records.deferred(&deferred, "untold", Some(error.chars().take(500).collect()));
        Ok(Value::Null)
    }
}

/// A line whose answer is sought.
struct LineCase<'a> {
    cabinet: &'a Cabinet,
    batch: &'a str,
    line: u64,
}

impl Case for LineCase<'_> {
    async fn stopped(&self) -> Option<Stop> {
        match self.cabinet.batch_status(self.batch).await {
            Ok((status, expires_ms)) => stop(status, expires_ms),
            // Erased meanwhile.
            Err(BatchError::Unknown { .. }) => Some(Stop::Cancelled),
            Err(_) => None,
        }
    }

    async fn failed(&self, failures: u32) {
        if let Err(error) = self.cabinet.keep_failures(self.batch, self.line, failures).await {
            tracing::warn!(batch = self.batch, line = self.line, error = chain(&error), "counting a failure at a line");
        }
    }
}

/// A deferred request whose answer is sought.
struct DeferredCase<'a> {
    cabinet: &'a Cabinet,
    id: &'a str,
    until_ms: i64,
}

impl Case for DeferredCase<'_> {
    async fn stopped(&self) -> Option<Stop> {
        match self.cabinet.deferred(self.id).await {
            Ok(deferred) if deferred.status.is_over() => Some(Stop::Cancelled),
            Err(BatchError::Unknown { .. }) => Some(Stop::Cancelled),
            _ => (now_ms() >= self.until_ms).then_some(Stop::Expired),
        }
    }

    async fn failed(&self, failures: u32) {
        let kept = self.cabinet.change_deferred(self.id, None, |deferred| {
            deferred.failures = failures;
            Ok(())
        });
        if let Err(error) = kept.await {
            tracing::warn!(request = self.id, error = chain(&error), "counting a failure at a deferred request");
        }
    }
}

/// Why nothing further of a batch is asked.
fn stop(status: Status, expires_ms: i64) -> Option<Stop> {
    if status.is_over() || status == Status::Cancelling {
        return Some(Stop::Cancelled);
    }
    (now_ms() >= expires_ms).then_some(Stop::Expired)
}

/// The same request without the wish to be answered later.
fn plain(body: &Bytes) -> Bytes {
    match serde_json::from_slice::<Map<String, Value>>(body) {
        Ok(mut fields) if fields.contains_key("background") => {
            fields.shift_remove("background");
            serde_json::to_vec(&fields).map_or_else(|_| body.clone(), Bytes::from)
        }
        _ => body.clone(),
    }
}

fn line_answer(item: &Item, reply: &Reply) -> LineAnswer {
    let body = serde_json::from_slice::<Value>(&reply.body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&reply.body).into_owned().into());
    let response = json!({"status_code": reply.status, "request_id": reply.request_id, "body": body});
    let error = match reply.fate {
        Fate::Failed(reason) => json!({
            "code": "server_failed",
            "message": format!("a model server failed each time that it worked on this request ({reason}); it is asked no further"),
        }),
        Fate::Stays | Fate::Untaken => Value::Null,
    };
    let line = output_line(&item.custom_id, &response, &error);
    LineAnswer { line: item.line, is_ok: (200..300).contains(&reply.status), body: line }
}

/// What stands for a line that is not asked, since the answers before it are as large as all files of a key may be.
fn no_room(item: &Item) -> LineAnswer {
    let message = "the answers of this batch are larger than the files of a key may be together";
    let error = json!({"code": "output_too_large", "message": message});
    LineAnswer { line: item.line, is_ok: false, body: output_line(&item.custom_id, &Value::Null, &error) }
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
