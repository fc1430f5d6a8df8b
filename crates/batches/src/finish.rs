//! The end of a batch: its answers in the order of their lines, in files of their own, committed together with its status.

use std::collections::VecDeque;
use std::path::PathBuf;

use serde_json::{Value, json};
use sqlx::Row;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::task::spawn_blocking;

use crate::batch::{self, Batch, LineAnswer, Status, output_line};
use crate::cabinet::{Cabinet, new_id, now_ms, remove};
use crate::error::BatchError;
use crate::files::{KeptFile, OF_BATCH};
use crate::lines;

/// Answers that are in memory at a time.
const PAGE: u32 = 100;

/// A file that is being written.
struct Output {
    id: String,
    part: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    lines: u64,
}

impl Output {
    async fn new(cabinet: &Cabinet) -> Result<Self, BatchError> {
        let id = new_id("file-");
        let part = cabinet.part_path(&id);
        let file = File::create_new(&part).await.map_err(BatchError::file(&part))?;
        Ok(Self { id, part, file: BufWriter::new(file), bytes: 0, lines: 0 })
    }

    async fn line(&mut self, text: &str) -> Result<(), BatchError> {
        let written = async {
            self.file.write_all(text.as_bytes()).await?;
            self.file.write_all(b"\n").await
        };
        written.await.map_err(BatchError::file(&self.part))?;
        self.bytes += text.len() as u64 + 1;
        self.lines += 1;
        Ok(())
    }

    /// Puts it where it belongs; one without a line is nothing.
    async fn close(
        mut self,
        cabinet: &Cabinet,
        name: String,
        batch: &Batch,
        expires_ms: i64,
    ) -> Result<Option<KeptFile>, BatchError> {
        let path = cabinet.file_path(&self.id);
        let closed = async {
            self.file.flush().await?;
            if self.lines == 0 {
                return tokio::fs::remove_file(&self.part).await;
            }
            self.file.get_ref().sync_all().await?;
            tokio::fs::rename(&self.part, &path).await
        };
        closed.await.map_err(BatchError::file(&self.part))?;
        Ok((self.lines > 0).then(|| KeptFile {
            id: self.id,
            owner: batch.key_id.clone().unwrap_or_default(),
            user: batch.user.clone(),
            purpose: OF_BATCH.to_owned(),
            name,
            bytes: self.bytes,
            created_ms: now_ms(),
            expires_ms,
        }))
    }
}

impl Cabinet {
    /// Writes the files of a batch whose lines are asked no further, and ends it with this status.
    pub(crate) async fn finish(&self, batch: Batch, status: Status, keep_ms: i64) -> Result<Batch, BatchError> {
        let (input, endpoint) = (self.input_path(&batch.id), batch.endpoint.clone());
        let at = input.clone();
        let names = spawn_blocking(move || lines::names(&at, &endpoint)).await;
        let names =
            names.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(BatchError::file(&input))?;
        let (mut good, mut bad) = (Output::new(self).await?, Output::new(self).await?);
        let mut page: VecDeque<LineAnswer> = VecDeque::new();
        let mut last = 0;
        for (line, custom_id) in names {
            if page.is_empty() {
                page = self.answers(&batch.id, last, PAGE).await?.into();
            }
            match page.front() {
                Some(answer) if answer.line == line => {
                    let output = if answer.is_ok { &mut good } else { &mut bad };
                    output.line(&answer.body).await?;
                    last = line;
                    page.pop_front();
                }
                _ => bad.line(&unasked(&custom_id, status)).await?,
            }
        }
        let expires_ms = now_ms() + keep_ms;
        let (completed, failed) = (good.lines, bad.lines);
        let good = good.close(self, format!("{}_output.jsonl", batch.id), &batch, expires_ms).await?;
        let bad = bad.close(self, format!("{}_error.jsonl", batch.id), &batch, expires_ms).await?;

        let files: Vec<KeptFile> = [&good, &bad].into_iter().flatten().cloned().collect();
        let ended = self.end_with(&batch.id, &files, |now| {
            now.output_file_id = good.map(|file| file.id);
            now.error_file_id = bad.map(|file| file.id);
            (now.total, now.completed, now.failed) = (completed + failed, completed, failed);
            now.end(status, now_ms());
        });
        let ended = ended.await;
        if ended.is_err() {
            // Nobody knows them: the batch is gone meanwhile, or this is done again.
            for file in &files {
                remove(&self.file_path(&file.id)).await?;
            }
        }
        let ended = ended?;
        self.let_go(&ended.id).await?;
        Ok(ended)
    }

    /// Commits the end of a batch with the files that it has written.
    async fn end_with(
        &self,
        id: &str,
        files: &[KeptFile],
        end: impl FnOnce(&mut Batch) + Send,
    ) -> Result<Batch, BatchError> {
        let mut tx = self.write.begin_with("BEGIN IMMEDIATE").await?;
        let row = sqlx::query("SELECT doc FROM batches WHERE id = $1").bind(id).fetch_optional(&mut *tx).await?;
        let mut batch: Batch = serde_json::from_str(row.ok_or_else(|| batch::unknown(id))?.get("doc"))?;
        for file in files {
            file.insert(&mut tx).await?;
        }
        end(&mut batch);
        let update = sqlx::query("UPDATE batches SET doc = $2, is_open = 0 WHERE id = $1").bind(id);
        update.bind(serde_json::to_string(&batch)?).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM answers WHERE batch = $1").bind(id).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM failures WHERE batch = $1").bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(batch)
    }

    /// Lets go of a batch's input.
    pub(crate) async fn let_go(&self, batch: &str) -> Result<(), BatchError> {
        remove(&self.input_path(batch)).await
    }
}

/// What stands for a line that was not asked.
fn unasked(custom_id: &str, status: Status) -> String {
    let (code, message) = match status {
        Status::Expired => {
            ("batch_expired", "This request could not be executed before the completion window expired.")
        }
        Status::Cancelled => ("batch_cancelled", "This request was not executed: the batch was cancelled."),
        _ => ("batch_failed", "This request was not executed: the batch failed."),
    };
    output_line(custom_id, &Value::Null, &json!({"code": code, "message": message}))
}
