//! An upload: a form with a file in it (RFC 7578), written to the disk as it comes.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyDataStream;
use multer::{Constraints, Field, Multipart, SizeLimit};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tollhouse_gateway::{LaterBody, Owner};

use crate::batch::owner_name;
use crate::cabinet::{Cabinet, new_id, now_ms};
use crate::error::BatchError;
use crate::files::{FOR_BATCH, KeptFile};
use crate::settings::Settings;

/// How long the next piece may take to come.
const PIECE_TIME_MAX: Duration = Duration::from_secs(60);
/// How long an upload may take.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(3600);
/// Bytes of a form beside its file.
const FORM_BYTES_MAX: u64 = 64 << 10;
/// Bytes of a field that is no file.
const FIELD_BYTES_MAX: u64 = 4 << 10;
/// Fields of a form.
const FIELDS_MAX: usize = 16;
/// Characters of a file's name.
const NAME_CHARS_MAX: usize = 255;

/// A file that is being written; it goes away with this unless it is kept.
struct PartFile {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is at the next start.
            let _: std::io::Result<()> = std::fs::remove_file(&self.path);
        }
    }
}

/// What has come of a form.
#[derive(Default)]
struct Form {
    purpose: Option<String>,
    expires_after: Option<i64>,
    file: Option<(String, u64)>,
}

/// Takes an upload.
pub(crate) async fn upload(
    cabinet: &Cabinet,
    settings: &Settings,
    owner: &Owner,
    headers: &HeaderMap,
    body: LaterBody<'_>,
) -> Result<KeptFile, BatchError> {
    let form_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(form_type).map_err(|_| BatchError::Wrong {
        message: "a file is uploaded as multipart/form-data with the fields purpose and file".to_owned(),
        param: None,
    })?;
    cabinet.check_room(owner_name(owner), 0, settings).await?;
    let whole = settings.file_bytes_max.saturating_add(FORM_BYTES_MAX);
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > whole) {
        return Err(too_large(settings));
    }
    let limits =
        SizeLimit::new().whole_stream(whole).per_field(FIELD_BYTES_MAX).for_field("file", settings.file_bytes_max);
    let constraints = Constraints::new().size_limit(limits);
    let mut form = Multipart::with_constraints(BodyDataStream::new(body), boundary, constraints);
    let id = new_id("file-");
    let mut part = PartFile { path: cabinet.part_path(&id), is_kept: false };
    let read = timeout(UPLOAD_TIME_MAX, read(&mut form, &part.path, settings)).await;
    let Form { purpose, expires_after, file } = read.map_err(|_| late())??;
    match purpose.as_deref() {
        Some(FOR_BATCH) => {}
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            return Err(BatchError::wrong(format!("purpose has to be batch, not '{other}'"), "purpose"));
        }
        None => return Err(BatchError::wrong("the form has no purpose: it has to be batch", "purpose")),
    }
    let (name, bytes) = file.ok_or_else(|| BatchError::wrong("the form has no file", "file"))?;
    if bytes == 0 {
        return Err(BatchError::wrong("the file is empty", "file"));
    }
    let (created_ms, keep_ms) = (now_ms(), i64::from(settings.keep_days) * 86_400_000);
    let lasts_ms = expires_after.map_or(keep_ms, |seconds| seconds.saturating_mul(1000).min(keep_ms));
    let file = KeptFile {
        owner: owner_name(owner).to_owned(),
        user: owner.user.clone(),
        purpose: FOR_BATCH.to_owned(),
        name,
        bytes,
        created_ms,
        expires_ms: created_ms + lasts_ms,
        id,
    };
    let path = cabinet.file_path(&file.id);
    tokio::fs::rename(&part.path, &path).await.map_err(BatchError::file(&path))?;
    part.path.clone_from(&path);
    cabinet.add_file(&file, settings).await?;
    part.is_kept = true;
    Ok(file)
}

async fn read(form: &mut Multipart<'_>, path: &std::path::Path, settings: &Settings) -> Result<Form, BatchError> {
    let mut read = Form::default();
    for _ in 0..FIELDS_MAX {
        let next = timeout(PIECE_TIME_MAX, form.next_field()).await.map_err(|_| late())?;
        let Some(mut field) = next.map_err(|error| trouble(&error, settings))? else { return Ok(read) };
        match field.name() {
            Some("file") if read.file.is_none() => {
                let name = shown(field.file_name().unwrap_or("file"));
                read.file = Some((name, save(&mut field, path, settings).await?));
            }
            Some("file") => return Err(BatchError::wrong("the form has two files", "file")),
            Some("purpose") => read.purpose = Some(text(&mut field, settings).await?),
            Some("expires_after[seconds]") => {
                let seconds = text(&mut field, settings).await?.parse().ok().filter(|seconds| *seconds >= 3600);
                let wrong = || BatchError::wrong("expires_after[seconds] has to be 3600 or more", "expires_after");
                read.expires_after = Some(seconds.ok_or_else(wrong)?);
            }
            _ => {
                text(&mut field, settings).await?;
            }
        }
    }
    Err(BatchError::Wrong { message: format!("the form has more than {FIELDS_MAX} fields"), param: None })
}

async fn save(field: &mut Field<'_>, path: &std::path::Path, settings: &Settings) -> Result<u64, BatchError> {
    let mut file = File::create_new(path).await.map_err(BatchError::file(path))?;
    let mut bytes = 0;
    while let Some(piece) = piece(field, settings).await? {
        file.write_all(&piece).await.map_err(BatchError::file(path))?;
        bytes += piece.len() as u64;
    }
    file.sync_all().await.map_err(BatchError::file(path))?;
    Ok(bytes)
}

async fn text(field: &mut Field<'_>, settings: &Settings) -> Result<String, BatchError> {
    let mut text = Vec::new();
    while let Some(piece) = piece(field, settings).await? {
        text.extend_from_slice(&piece);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn piece(field: &mut Field<'_>, settings: &Settings) -> Result<Option<bytes::Bytes>, BatchError> {
    let piece = timeout(PIECE_TIME_MAX, field.chunk()).await.map_err(|_| late())?;
    piece.map_err(|error| trouble(&error, settings))
}

fn too_large(settings: &Settings) -> BatchError {
    BatchError::TooLarge(format!("a file may have {} bytes, and the other fields few", settings.file_bytes_max))
}

fn late() -> BatchError {
    BatchError::Wrong { message: "the upload did not arrive in time".to_owned(), param: None }
}

fn trouble(error: &multer::Error, settings: &Settings) -> BatchError {
    match error {
        multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => too_large(settings),
        _ => BatchError::Wrong { message: format!("the form cannot be read: {error}"), param: None },
    }
}

/// The name by which the client calls it, as it can be shown: its last part, without control characters.
fn shown(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    if name.is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path() {
        for (name, shown_as) in [
            ("a.jsonl", "a.jsonl"),
            ("../../etc/passwd", "passwd"),
            ("C:\\x\\b.jsonl", "b.jsonl"),
            ("/", "file"),
            ("a\r\nX: y", "aX: y"),
        ] {
            assert_eq!(shown(name), shown_as);
        }
    }
}
