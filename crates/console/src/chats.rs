//! Chats: who may chat, what is kept of it, and the answers under way.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/chat` | | the page's title, description and model, and `you`: who may chat here |
//! | `POST /console/api/v1/chat/session` | `{"key"}` | 204 and a cookie; `DELETE` ends it |
//! | `GET /console/api/v1/chat/models` | | the models that may be asked |
//! | `POST /console/api/v1/chat` | as `/v1/chat/completions` | events: the answer as it grows; nothing is kept, and who leaves cancels it |
//! | `GET /console/api/v1/chats?q=` | | `{"chats": […]}`, the latest first, or those with these words |
//! | `POST /console/api/v1/chats` | [`ChatSettings`] | 201, the chat |
//! | `DELETE /console/api/v1/chats` | | `{"removed"}`: all of them |
//! | `GET /console/api/v1/chats/{id}` | | the chat with its `messages`; `PUT` sets it, `DELETE` removes it |
//! | `POST /console/api/v1/chats/{id}/messages` | [`Asked`] | 201 `{"question", "answer"}`; the answer is being written |
//! | `GET /console/api/v1/chats/{id}/answers/{answer}` | | events: the answer as far as it is, then what is added |
//! | `POST /console/api/v1/chats/{id}/answers/{answer}/stop` | | 204; the model is let go at once |
//!
//! Errors are `{"error": message}`.

mod answers;
mod asked;
pub(crate) mod chatter;
mod said;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, body::Body};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tollhouse_state::{CHAT_MESSAGES_MAX, CHATS_MAX, Chat, ChatMessage, ChatSettings, StateError};
use tollhouse_web::Peer;

pub use answers::Answers;
use answers::{Answer, Asking, Now};
pub(crate) use asked::Asked;
use asked::{ATTACHMENTS_BYTES_MAX, check_settings, messages_of, title_of};
use chatter::Chatter;
pub(crate) use said::{End, Said, read_answer};

use crate::Console;
use crate::refusal::{out_of_reach, refused};

/// Longest search in chats, in bytes.
const WORDS_BYTES_MAX: usize = 200;
/// After so long without a word a stream gets a sign of life, and it is looked whether its reader still may read.
const QUIET: Duration = Duration::from_secs(2);
/// Beside attachments, a body has a question and names.
pub(crate) const CHAT_BODY_BYTES_MAX: usize = ATTACHMENTS_BYTES_MAX + 1024 * 1024;

/// How the chat page is set.
#[derive(Clone, Debug)]
pub struct ChatPage {
    /// Its name; the service's when there is none.
    pub title: Option<String>,
    /// What stands below it before the first question.
    pub description: Option<String>,
    /// The model that is chosen at first.
    pub model: Option<String>,
    /// Whether chats may be kept here.
    pub history: bool,
    /// For how many days.
    pub keep_days: u32,
    /// How long an answer goes on while nobody watches it.
    pub unwatched: Duration,
}

/// What the page shows before anybody has shown who they are, and who that is once they have.
pub(crate) async fn about(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let page = &console.inner.settings.chat;
    let you = chatter::of(&console, &headers, peer).await.map(|chatter| {
        let key_id = chatter.caller.key.as_ref().map(|key| key.id.clone());
        json!({"by": chatter.by, "name": chatter.user.or(key_id)})
    });
    Json(json!({
        "service": console.inner.settings.service,
        "title": page.title,
        "description": page.description,
        "model": page.model,
        "history": page.history,
        "keep_days": page.keep_days,
        "unwatched_s": page.unwatched.as_secs(),
        "you": you,
    }))
    .into_response()
}

pub(crate) async fn models(State(console): State<Console>, Extension(chatter): Extension<Chatter>) -> Json<Value> {
    let models = console.inner.gateway.upstreams().models().await;
    let models: Vec<Value> = models
        .iter()
        .filter(|model| chatter.may_ask(&model.name))
        .map(|model| json!({"name": model.name, "demo": model.demo}))
        .collect();
    Json(json!({"models": models}))
}

/// An answer of which nothing is kept, told as one that is: how it waits, then what is added. Who leaves, cancels it.
pub(crate) async fn unkept(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    Extension(chatter): Extension<Chatter>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut body: Map<String, Value> = match read(&body) {
        Ok(body) => body,
        Err(message) => return refused(StatusCode::BAD_REQUEST, &message),
    };
    let Some(model) = body.get("model").and_then(Value::as_str).map(str::to_owned) else {
        return refused(StatusCode::BAD_REQUEST, "`model` is missing");
    };
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({"include_usage": true}));
    let id = ChatMessage::new(None, "assistant", "running").id;
    let Some(place) = console.inner.answers.begin(&id, None, &chatter.owner) else { return too_many() };
    let asking = Asking { unwatched: Duration::ZERO, ..asking(&console, &chatter, peer, &headers, body.into(), model) };
    let answers = console.inner.answers.clone();
    // Watched from its beginning.
    let events = stream(console, chatter, place.clone());
    answers.write(place, None, asking);
    (event_headers(), Body::from_stream(events)).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    q: String,
}

pub(crate) async fn list(
    State(console): State<Console>,
    Extension(chatter): Extension<Chatter>,
    Query(wanted): Query<Wanted>,
) -> Response {
    if wanted.q.len() > WORDS_BYTES_MAX {
        return refused(StatusCode::BAD_REQUEST, "the words that are searched for are too long");
    }
    match console.inner.state.chats(&chatter.owner, &wanted.q).await {
        Ok(chats) => Json(json!({"chats": chats})).into_response(),
        Err(error) => state_failed(&error),
    }
}

pub(crate) async fn create(
    State(console): State<Console>,
    Extension(chatter): Extension<Chatter>,
    body: Bytes,
) -> Response {
    if !console.inner.settings.chat.history {
        return refused(StatusCode::FORBIDDEN, "no chats are kept here (`chat.history: off`)");
    }
    let settings: ChatSettings = match read(&body) {
        Ok(settings) => settings,
        Err(message) => return refused(StatusCode::BAD_REQUEST, &message),
    };
    if let Err(message) = check_settings(&settings) {
        return refused(StatusCode::BAD_REQUEST, &message);
    }
    match console.inner.state.create_chat(&chatter.owner, &settings).await {
        Ok(Some(chat)) => (StatusCode::CREATED, Json(json!(chat))).into_response(),
        Ok(None) => refused(StatusCode::CONFLICT, &format!("at most {CHATS_MAX} chats are kept; remove some")),
        Err(error) => state_failed(&error),
    }
}

pub(crate) async fn show(
    State(console): State<Console>,
    Extension(chatter): Extension<Chatter>,
    Path(id): Path<String>,
) -> Response {
    match kept(&console, &chatter, &id).await {
        Ok(Some((chat, messages))) => {
            let mut shown = json!(chat);
            shown["messages"] = json!(messages);
            Json(shown).into_response()
        }
        Ok(None) => unknown(),
        Err(error) => state_failed(&error),
    }
}

pub(crate) async fn change(
    State(console): State<Console>,
    Extension(chatter): Extension<Chatter>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let settings: ChatSettings = match read(&body) {
        Ok(settings) => settings,
        Err(message) => return refused(StatusCode::BAD_REQUEST, &message),
    };
    if let Err(message) = check_settings(&settings) {
        return refused(StatusCode::BAD_REQUEST, &message);
    }
    match console.inner.state.change_chat(&chatter.owner, &id, &settings).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => unknown(),
        Err(error) => state_failed(&error),
    }
}

/// Removes a chat; answers under way in it end first, at the model too.
pub(crate) async fn remove(
    State(console): State<Console>,
    Extension(chatter): Extension<Chatter>,
    Path(id): Path<String>,
) -> Response {
    let removed = console.inner.state.remove_chat(&chatter.owner, &id).await;
    if matches!(removed, Ok(true)) {
        console.inner.answers.stop_chat(Some(&id), &chatter.owner);
    }
    match removed {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => unknown(),
        Err(error) => state_failed(&error),
    }
}

pub(crate) async fn remove_all(State(console): State<Console>, Extension(chatter): Extension<Chatter>) -> Response {
    console.inner.answers.stop_chat(None, &chatter.owner);
    match console.inner.state.remove_chats(&chatter.owner).await {
        Ok(removed) => Json(json!({"removed": removed})).into_response(),
        Err(error) => state_failed(&error),
    }
}

/// Adds a question to a chat, or takes up one that is there, and lets the answer be written.
pub(crate) async fn ask(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    Extension(chatter): Extension<Chatter>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !console.inner.settings.chat.history {
        return refused(StatusCode::FORBIDDEN, "no chats are kept here (`chat.history: off`)");
    }
    let asked: Asked = match read(&body).and_then(|asked: Asked| asked.check().map(|()| asked)) {
        Ok(asked) => asked,
        Err(message) => return refused(StatusCode::BAD_REQUEST, &message),
    };
    let (chat, messages) = match console.inner.state.chat(&chatter.owner, &id).await {
        Ok(Some(found)) => found,
        Ok(None) => return unknown(),
        Err(error) => return state_failed(&error),
    };
    if messages.len() + 2 > CHAT_MESSAGES_MAX {
        let words = format!("a chat has at most {CHAT_MESSAGES_MAX} messages; begin another one");
        return refused(StatusCode::CONFLICT, &words);
    }
    let is_known = |id: &String| messages.iter().any(|message| message.id == *id);
    if !asked.parent.as_ref().is_none_or(is_known) {
        return refused(StatusCode::BAD_REQUEST, "`parent` is no message of this chat");
    }
    let again = asked.again();
    let question = (!again).then(|| asked.question());
    let last = question.as_ref().or_else(|| messages.iter().find(|message| Some(&message.id) == asked.parent.as_ref()));
    let Some(last) = last.filter(|last| last.role == "user") else {
        return refused(StatusCode::BAD_REQUEST, "only a question can be answered again");
    };
    let model = asked.model.clone().unwrap_or_else(|| chat.settings.model.clone());
    let mut answer = ChatMessage::new(Some(last.id.clone()), "assistant", "running");
    answer.told.insert("model".into(), model.clone().into());
    let body = messages_of(&chat.settings, &model, &messages, last);
    let asking = asking(&console, &chatter, peer, &headers, body, model);
    let Some(place) = console.inner.answers.begin(&answer.id, Some(&id), &chatter.owner) else { return too_many() };
    let added: Vec<&ChatMessage> = question.iter().chain([&answer]).collect();
    if let Err(error) = console.inner.state.add_to_chat(&id, &added, &title_of(&last.text)).await {
        console.inner.answers.give_up(&place);
        return state_failed(&error);
    }
    console.inner.answers.write(place, Some(answer.clone()), asking);
    (StatusCode::CREATED, Json(json!({"question": question, "answer": answer}))).into_response()
}

/// What a model is asked with for somebody who chats.
fn asking(console: &Console, chatter: &Chatter, peer: Peer, headers: &HeaderMap, body: Value, model: String) -> Asking {
    Asking {
        gateway: console.inner.gateway.clone(),
        caller: chatter.caller.clone(),
        user: chatter.user.clone(),
        peer,
        headers: who(headers),
        body,
        model,
        unwatched: console.inner.settings.chat.unwatched,
    }
}

/// What says who and where the end user is; a cookie or a key is none of the model request's business.
fn who(headers: &HeaderMap) -> HeaderMap {
    const LEFT_OUT: [&str; 9] = [
        "cookie",
        "authorization",
        "x-api-key",
        "content-length",
        "content-type",
        "host",
        "connection",
        "transfer-encoding",
        "x-request-id",
    ];
    let kept = headers.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

pub(crate) async fn stop(
    State(console): State<Console>,
    Extension(chatter): Extension<Chatter>,
    Path((id, answer)): Path<(String, String)>,
) -> Response {
    match console.inner.state.chat(&chatter.owner, &id).await {
        Ok(Some(_)) => {}
        Ok(None) => return unknown(),
        Err(error) => return state_failed(&error),
    }
    if let Some(answer) = console.inner.answers.find(&answer).filter(|answer| answer.is_in(&id)) {
        answer.stop();
    }
    StatusCode::NO_CONTENT.into_response()
}

/// Whoever comes, comes again or comes late gets all of the answer, then what is added.
pub(crate) async fn events(
    State(console): State<Console>,
    Extension(chatter): Extension<Chatter>,
    Path((id, answer)): Path<(String, String)>,
) -> Response {
    // Looked for first: an answer that ends now is found in one place or the other.
    let running = console.inner.answers.find(&answer).filter(|running| running.is_in(&id));
    let messages = match kept(&console, &chatter, &id).await {
        Ok(Some((_, messages))) => messages,
        Ok(None) => return unknown(),
        Err(error) => return state_failed(&error),
    };
    let body = match running {
        Some(running) => Body::from_stream(stream(console, chatter, running)),
        None => match messages.into_iter().find(|message| message.id == answer) {
            Some(message) => Body::from(event(&json!({
                "whole": true, "text": message.text, "thinking": message.thinking, "told": message.told,
                "state": message.state,
            }))),
            None => return unknown(),
        },
    };
    (event_headers(), body).into_response()
}

fn event_headers() -> [(HeaderName, HeaderValue); 2] {
    [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // nginx in front of us must not hold the pieces back.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ]
}

/// A chat as it is. An answer whose end could not be written down is under way in the store for ever, and here no longer.
async fn kept(console: &Console, chatter: &Chatter, id: &str) -> Result<Option<(Chat, Vec<ChatMessage>)>, StateError> {
    let Some((chat, messages)) = console.inner.state.chat(&chatter.owner, id).await? else { return Ok(None) };
    let is_gone = |one: &&ChatMessage| one.state == "running" && console.inner.answers.find(&one.id).is_none();
    let gone: Vec<String> = messages.iter().filter(is_gone).map(|one| one.id.clone()).collect();
    if gone.is_empty() {
        return Ok(Some((chat, messages)));
    }
    // Read again: most of them ended between the two looks, and how is written by now.
    let Some((chat, mut messages)) = console.inner.state.chat(&chatter.owner, id).await? else { return Ok(None) };
    for lost in messages.iter_mut().filter(|one| one.state == "running" && gone.contains(&one.id)) {
        "interrupted".clone_into(&mut lost.state);
    }
    Ok(Some((chat, messages)))
}

/// How much of an answer its reader has.
struct Reading {
    console: Console,
    chatter: Chatter,
    now: watch::Receiver<Now>,
    text: usize,
    thinking: usize,
    begun: bool,
    /// Held, so that the answer's last words are there to be read.
    _answer: Arc<Answer>,
}

fn stream(
    console: Console,
    chatter: Chatter,
    answer: Arc<Answer>,
) -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
    let mut now = answer.watch();
    now.mark_changed();
    let reading = Reading { console, chatter, now, text: 0, thinking: 0, begun: false, _answer: answer };
    futures_util::stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        let piece = match tokio::time::timeout(QUIET, reading.now.changed()).await {
            Ok(Ok(())) => reading.news(),
            Err(_) if reading.chatter.still_may(&reading.console).await => Bytes::from_static(b":\n\n"),
            // The answer is gone, or its reader may no longer read.
            Ok(Err(_)) | Err(_) => return None,
        };
        let is_over = reading.now.borrow().state != "running";
        Some((Ok(piece), (!is_over).then_some(reading)))
    })
}

impl Reading {
    /// What came since the last time.
    fn news(&mut self) -> Bytes {
        let now = self.now.borrow_and_update();
        let mut news = Map::new();
        if !std::mem::replace(&mut self.begun, true) {
            news.insert("whole".into(), true.into());
        }
        for (name, said, sent) in
            [("text", &now.said.text, &mut self.text), ("thinking", &now.said.thinking, &mut self.thinking)]
        {
            if said.len() > *sent {
                news.insert(name.into(), said[*sent..].into());
                *sent = said.len();
            }
        }
        if !now.wait.is_empty() {
            news.insert("wait".into(), Value::Object(now.wait.clone()));
        }
        news.insert("told".into(), Value::Object(now.said.told.clone()));
        news.insert("state".into(), now.state.into());
        event(&Value::Object(news))
    }
}

fn event(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn too_many() -> Response {
    refused(StatusCode::TOO_MANY_REQUESTS, "too many answers are being written; wait for one, or stop one")
}

fn unknown() -> Response {
    refused(StatusCode::NOT_FOUND, "there is no such chat")
}

fn state_failed(error: &StateError) -> Response {
    out_of_reach("the chats", error)
}
