//! The Elasticsearch-compatible API at `/es`: who may do what there, and how documents that clients write become records.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Request, StatusCode};
use serde_json::json;
use tokio::task::coop::consume_budget;
use tollhouse_access::Role;
use tollhouse_collect::formats;
use tollhouse_elastic::{Book, By, ElasticError, NewDocument, Right, Scope};
use tollhouse_gateway::{Caller, Door, Refusal, role_needed};
use tollhouse_journal::{Appended, Journal, JournalError, Level, Record};
use tollhouse_store::INDEX_DELETED;
use tollhouse_web::{Answer, json as json_answer};

use crate::collecting::lines;

/// How long written documents may wait for their fsync.
const SYNC_TIME_MAX: Duration = Duration::from_secs(30);
/// Where these records come from.
const CALLER: &str = "collect/bulk";
/// The `source` of documents that clients write.
const SOURCE: &str = "bulk";

/// Who sends a request to `/es`, if the key may do what it asks for; `path` is relative to it.
pub(crate) fn check<B>(
    door: &Door,
    request: &Request<B>,
    path: &str,
    client: IpAddr,
    now_ms: i64,
) -> Result<Caller, Refusal> {
    let (may, role): (fn(Role) -> bool, &'static str) = match Right::of(request.method(), path) {
        Right::Any => (|role| role.may_read_logs() || role.may_write_logs(), "logs:read, logs:write"),
        Right::Read => (Role::may_read_logs, "logs:read"),
        Right::Write => (Role::may_write_logs, "logs:write"),
        Right::Manage => (Role::may_manage, "admin"),
    };
    door.check_role(&with_bearer(request.headers()), client, now_ms, may, role)
}

/// Says with a request who sends it, and which indices that key may use.
pub(crate) fn introduce<B>(request: &mut Request<B>, caller: &Caller) {
    if let Some(id) = &caller.key_id {
        request.extensions_mut().insert(By(id.clone()));
    }
    if let Some(key) = &caller.key {
        request.extensions_mut().insert(Scope::new(&key.indices));
    }
}

/// The head with the key where the door looks for it. Clients of Elasticsearch send it as the password of a user, or as an
/// API key: `base64(id:key)`.
pub(crate) fn with_bearer(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(secret) = text.and_then(secret_of)
        && let Ok(bearer) = HeaderValue::try_from(format!("Bearer {secret}"))
    {
        headers.insert(AUTHORIZATION, bearer);
    }
    headers
}

/// The secret of `Basic` and `ApiKey`; nothing for other schemes.
fn secret_of(authorization: &str) -> Option<String> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    let pair = || String::from_utf8(STANDARD.decode(token).ok()?).ok();
    let behind_name = |pair: String| pair.split_once(':').map(|(_, secret)| secret.to_owned());
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => pair().and_then(behind_name),
        // A key of ours, written as it is.
        "apikey" => pair().and_then(behind_name).or_else(|| Some(token.to_owned())),
        _ => None,
    }
}

/// A refusal as Elasticsearch's security layer words it.
pub(crate) fn refusal(refusal: &Refusal) -> Answer {
    let status = refusal.status();
    let reason = match refusal {
        Refusal::InvalidKey => {
            "missing or invalid api key (send it as `Authorization: Bearer …`, `ApiKey …`, the password of `Basic …`, or \
             as `X-Api-Key: …`)"
                .to_owned()
        }
        Refusal::RoleNotAllowed(role) => role_needed(role),
        other => other.to_string(),
    };
    let cause = json!({"type": "security_exception", "reason": reason});
    let body = json!({
        "error": {"root_cause": [cause], "type": "security_exception", "reason": reason},
        "status": status.as_u16(),
    });
    let mut answer = json_answer(status, body.to_string());
    let headers = answer.headers_mut();
    headers.insert(HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));
    if status == StatusCode::UNAUTHORIZED {
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"security\", charset=\"UTF-8\""));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"security\""));
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("ApiKey"));
    }
    answer
}

/// The journal, as the place where clients' documents go.
#[derive(Debug)]
pub(crate) struct JournalBook(pub(crate) Journal);

impl Book for JournalBook {
    fn append(&self, documents: Vec<NewDocument>) -> BoxFuture<'_, Vec<Result<u64, ElasticError>>> {
        Box::pin(async move {
            let wanted = documents.len();
            let mut records = Vec::with_capacity(wanted);
            for document in documents {
                // Hundreds may be there at once: others have their turn in between.
                consume_budget().await;
                records.push(record(document));
            }
            let Appended { seqs, error, .. } = self.0.append_all(records).await;
            let Some(error) = error else { return seqs.into_iter().map(Ok).collect() };
            // What is written and not known to be on the disk is not confirmed.
            let written = if matches!(error, JournalError::Unsynced) { Vec::new() } else { seqs };
            let refused = std::iter::repeat_with(|| Err(unwritable(&error))).take(wanted - written.len());
            written.into_iter().map(Ok).chain(refused).collect()
        })
    }

    fn synced(&self, seq: u64) -> BoxFuture<'_, Result<(), ElasticError>> {
        let mut synced = self.0.synced();
        Box::pin(async move {
            let reached = tokio::time::timeout(SYNC_TIME_MAX, synced.wait_for(|synced| *synced >= seq)).await;
            match reached {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(_)) => Err(ElasticError::Unwritable("it is closed".to_owned())),
                Err(_) => Err(ElasticError::Unwritable("what is written is not known to be on the disk".to_owned())),
            }
        })
    }

    fn delete(&self, indices: Vec<String>, by: Option<String>) -> BoxFuture<'_, Result<u64, ElasticError>> {
        let mut record = Record::new(INDEX_DELETED, Level::Warn, "indices taken out of searching")
            .caller("tollhouse/es.rs")
            .field("index", indices);
        if let Some(by) = by {
            record = record.field("key_id", by);
        }
        Box::pin(async move { self.0.append_synced(record).await.map_err(|error| unwritable(&error)) })
    }
}

fn unwritable(error: &JournalError) -> ElasticError {
    ElasticError::Unwritable(error.to_string())
}

/// The record of a document: the same as that of the event in it would be, had it come from a Beat.
fn record(document: NewDocument) -> Record {
    let NewDocument { index, id, source } = document;
    let mut entry = formats::beats(&source);
    let service = entry.fields.shift_remove("service_name");
    let record = lines::record(CALLER, SOURCE, entry, |record| {
        let record = record.field("index", index);
        match id {
            Some(id) => record.field("doc_id", id),
            None => record,
        }
    });
    match service {
        // A document that was in a book before brings its service under the name that fields have there.
        Some(service) => record.field("own_service", service),
        None => record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_the_ways_of_elasticsearch() {
        for (authorization, secret) in [
            // elastic:th_s3cret
            ("Basic ZWxhc3RpYzp0aF9zM2NyZXQ=", Some("th_s3cret")),
            ("basic ZWxhc3RpYzp0aF9zM2NyZXQ=", Some("th_s3cret")),
            ("ApiKey ZWxhc3RpYzp0aF9zM2NyZXQ=", Some("th_s3cret")),
            ("ApiKey th_s3cret", Some("th_s3cret")),
            ("Basic th_s3cret", None),
            ("Bearer th_s3cret", None),
            ("", None),
        ] {
            assert_eq!(secret_of(authorization).as_deref(), secret, "{authorization}");
        }
    }
}
