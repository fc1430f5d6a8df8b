//! What batches need of the house: the gate, for somebody who does not wait, and webhooks.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use jiff::Timestamp;
use serde_json::json;
use tokio::task::spawn_blocking;
use tollhouse_batches::{Doing, Event, House, Question, Reply};
use tollhouse_config::WebhooksConfig;
use tollhouse_gateway::{Caller, Entry, Gateway, Progress};
use tollhouse_notify::{Channel, Message, Phase, Settings, Severity, Url};
use tollhouse_outbound::retry_after;
use tollhouse_web::Peer;

use crate::tasking::check_host;
use crate::tasking::room::Gate;

/// Largest answer that is kept.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Longest address of a webhook, in characters.
const URL_CHARS_MAX: usize = 2_048;

pub(super) struct BatchHouse {
    pub(super) gate: Arc<Gate>,
    /// Percent from which on a graphics card has other work.
    pub(super) busy_above: f64,
    pub(super) webhooks: Option<WebhooksConfig>,
    pub(super) service: String,
}

impl House for BatchHouse {
    fn ask(&self, question: Question) -> Doing<'_, Reply> {
        Box::pin(async move {
            loop {
                self.gate.room_for(&question.model, self.busy_above).await;
                let gateway = self.gate.current.get().gateway.clone();
                let progress = Progress::default();
                let asked = asked(&gateway, &question, progress.clone());
                // The gate itself says what there is to say of a model that nobody has.
                let Some(model) = gateway.upstreams().resolve(&question.model).await else { return asked.await };
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
    let entry = Entry::Deferred { caller, user: owner.user.clone(), origin: question.origin, progress };
    let Ok(answer) = gateway.handle(request, Peer((owner.client, 0).into()), entry).await else {
        return own(503, "server_error", "dropped", "the gate dropped the request");
    };
    let (head, body) = answer.into_parts();
    let id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Reply {
            status: head.status.as_u16(),
            request_id: id,
            retry_after: retry_after(&head.headers),
            body: body.to_bytes(),
        },
        Err(_) => Reply {
            request_id: id,
            ..own(422, "invalid_request_error", "answer_too_large", "the answer is larger than is kept")
        },
    }
}

/// What the house itself says.
fn own(status: u16, kind: &str, code: &str, message: &str) -> Reply {
    let body = json!({"error": {"message": message, "type": kind, "code": code, "param": null}});
    Reply { status, request_id: String::new(), retry_after: None, body: Bytes::from(body.to_string()) }
}
