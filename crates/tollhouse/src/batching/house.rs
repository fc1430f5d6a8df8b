//! What batches need of the house: the gate, for somebody who does not wait, and webhooks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::RwLock;
use tokio::task::spawn_blocking;
use tollhouse_batches::{Doing, Event, Fate, House, Question, Reply};
use tollhouse_config::WebhooksConfig;
use tollhouse_gateway::{Caller, Entry, Gateway, Progress, ServerFailed};
use tollhouse_notify::{Channel, Message, Phase, Settings, Severity, Url};
use tollhouse_outbound::retry_after;
use tollhouse_web::Peer;

use crate::tasking::check_host;
use crate::tasking::room::Gate;

/// Largest answer that is kept.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Longest address of a webhook, in characters.
const URL_CHARS_MAX: usize = 2_048;

/// The house for batches.
pub(super) struct HouseOfBatches {
    pub(super) gate: Arc<Gate>,
    /// Percent from which on a graphics card has other work.
    pub(super) busy_above: f64,
    pub(super) webhooks: Option<WebhooksConfig>,
    pub(super) service: String,
    pub(super) company: Company,
}

/// Who is at a server at a time: many questions of ours, or one alone that is suspected of breaking it.
#[derive(Default)]
pub(super) struct Company(Mutex<HashMap<String, Arc<RwLock<()>>>>);

impl Company {
    /// A server's. There are as many as servers were ever configured.
    fn at(&self, upstream: &str) -> Arc<RwLock<()>> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        servers.entry(upstream.to_owned()).or_default().clone()
    }
}

impl House for HouseOfBatches {
    fn ask(&self, question: Question) -> Doing<'_, Reply> {
        Box::pin(async move {
            loop {
                self.gate.room_for(&question.model, self.busy_above).await;
                let gateway = self.gate.current.get().gateway.clone();
                let progress = Progress::default();
                let asked = asked(&gateway, &question, progress.clone());
                // The gate itself says what there is to say of a model that nobody has.
                let Some(model) = gateway.upstreams().resolve(&question.model).await else { return asked.await };
                let server = self.company.at(&model.upstream);
                let _alone;
                let _together;
                if question.is_suspect {
                    _alone = server.write_owned().await;
                } else {
                    _together = server.read_owned().await;
                }
                let _under = self.gate.begin(&model.upstream, &progress);
                tokio::select! {
                    reply = asked => return reply,
                    () = self.gate.users_come(&gateway, &model.upstream) => {
                        tracing::debug!(model = question.model, "users come first: asking anew later");
                    }
                }
            }
        })
    }

    fn check_webhook(&self, url: &str) -> Result<(), String> {
        let Some(webhooks) = &self.webhooks else {
            return Err(
                "webhooks are not set up here (`batches.webhooks`): look for the answer at its address".to_owned()
            );
        };
        let uri: Uri = url.parse().map_err(|_| "the webhook is no address".to_owned())?;
        if url.chars().count() > URL_CHARS_MAX || Url::parse(url).is_err() {
            return Err("the webhook is no address that can be told".to_owned());
        }
        check_host(&webhooks.hosts, &uri)
            .map_err(|_| "the webhook's host is not among those that may be told (`batches.webhooks.hosts`)".to_owned())
    }

    fn tell<'a>(&'a self, url: &'a str, event: &'a Event) -> Doing<'a, Result<(), (String, bool)>> {
        Box::pin(async move {
            // What is allowed may have changed since it was asked for.
            self.check_webhook(url).map_err(|message| (message, false))?;
            let secret = self.webhooks.as_ref().map(|webhooks| webhooks.secret.expose().to_owned());
            let url = Url::parse(url).map_err(|error| (error.to_string(), false))?;
            let body = json!({
                "id": "{{id}}", "object": "event", "type": "{{title}}", "created_at": "{{at}}",
                "data": {"id": "{{text}}", "path": "{{link}}"},
            });
            let made =
                spawn_blocking(move || Channel::new("batches", Settings::Webhook { url, secret, body: Some(body) }));
            let channel = made.await.map_err(|error| (error.to_string(), true))?;
            let channel = channel.map_err(|error| (error.to_string(), false))?;
            let now_ms = Timestamp::now().as_millisecond();
            let message = Message {
                title: event.name.clone(),
                text: event.of.clone(),
                link: Some(event.path.clone()),
                ..Message::bare(event.id.clone(), "batches", Severity::Info, Phase::Report, &self.service, now_ms)
            };
            channel.send(&message).await.map(|_| ()).map_err(|trouble| (trouble.text, trouble.is_retryable))
        })
    }
}

/// Passes the gate as the owner, who may be what the key in force now allows.
async fn asked(gateway: &Gateway, question: &Question, progress: Progress) -> Reply {
    let owner = &question.owner;
    let key = match &owner.key_id {
        Some(id) => {
            let now_ms = Timestamp::now().as_millisecond();
            let key = gateway.door().keyring().get(id).cloned();
            match key.filter(|key| key.expires_ms.is_none_or(|end_ms| now_ms < end_ms)) {
                Some(key) => Some(key),
                None => return own(401, "authentication_error", "invalid_api_key", "the key has ended"),
            }
        }
        None if gateway.door().asks_for_keys() => {
            return own(401, "authentication_error", "invalid_api_key", "a key is asked for now");
        }
        None => None,
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(question.path.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(question.body.clone()));
    let Ok(request) = request else { return own(400, "invalid_request_error", "invalid_url", "no such path") };
    let caller = Caller { key, key_id: owner.key_id.clone() };
    let (user, purpose, is_suspect) = (owner.user.clone(), question.purpose.clone(), question.is_suspect);
    let entry = Entry::Deferred { caller, user, purpose, is_suspect, progress };
    let Ok(answer) = gateway.handle(request, Peer((owner.client, 0).into()), entry).await else {
        return own(503, "server_error", "dropped", "the gate dropped the request");
    };
    let (head, body) = answer.into_parts();
    let request_id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let fate = fate(head.status.as_u16(), head.extensions.get::<ServerFailed>());
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Reply {
            status: head.status.as_u16(),
            fate,
            request_id,
            retry_after: retry_after(&head.headers),
            body: body.to_bytes(),
        },
        Err(error) if error.is::<LengthLimitError>() => Reply {
            request_id,
            ..own(422, "invalid_request_error", "answer_too_large", "the answer is larger than is kept")
        },
        Err(_) => Reply {
            request_id,
            fate: Fate::Failed("broken_answer"),
            ..own(502, "server_error", "broken_answer", "the answer broke off")
        },
    }
}

/// What an answer of the gate means for the question.
fn fate(status: u16, failed: Option<&ServerFailed>) -> Fate {
    match (status, failed) {
        (429, _) | (503, None) => Fate::Untaken,
        (500..=599, Some(failed)) => Fate::Failed(failed.reason),
        (408 | 500..=599, None) => Fate::Failed("no_answer"),
        _ => Fate::Stays,
    }
}

/// What the house itself says.
fn own(status: u16, kind: &str, code: &str, message: &str) -> Reply {
    let body = json!({"error": {"message": message, "type": kind, "code": code, "param": null}});
    let body = Bytes::from(body.to_string());
    Reply { status, fate: fate(status, None), request_id: String::new(), retry_after: None, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_takes_nothing_is_told_from_one_that_fails() {
        let failed = ServerFailed { reason: "lost" };
        assert_eq!(fate(503, Some(&failed)), Fate::Failed("lost"));
        assert_eq!(fate(503, None), Fate::Untaken);
        assert_eq!(fate(429, None), Fate::Untaken);
        assert_eq!(fate(502, None), Fate::Failed("no_answer"));
        for stays in [200, 400, 401, 404, 422] {
            assert_eq!(fate(stays, None), Fate::Stays);
        }
    }
}
