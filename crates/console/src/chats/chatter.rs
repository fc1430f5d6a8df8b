//! Who chats: a session of the console, a browser that showed a key, a program with a key, or anybody where no key is asked for.

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tollhouse_gateway::Caller;
use tollhouse_journal::{Level, Record};
use tollhouse_web::Peer;
use utoipa::ToSchema;

use crate::refusal::read;
use crate::session::{cookie_for, cookie_named, host_cookie};
use crate::{Console, guard, session};

/// How long a browser that showed a key may chat.
const CHAT_SESSION_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Longest key that is looked at.
const KEY_CHARS_MAX: usize = 256;
/// The purpose of the cookie.
const COOKIE: &str = "chat_";

/// Who chats.
#[derive(Clone, Debug)]
pub(crate) struct Chatter {
    /// Whose chats these are.
    pub(crate) owner: String,
    /// As whom the model is asked.
    pub(crate) caller: Caller,
    /// Their name, where they have one: for that user the request is counted.
    pub(crate) user: Option<String>,
    /// How that was shown: `session`, `key` or `open`.
    pub(crate) by: &'static str,
    /// By which it is looked up again while a stream goes on.
    shown: Arc<HeaderMap>,
    peer: Peer,
}

impl Chatter {
    /// Whether they still may: sessions end, and keys are revoked.
    pub(crate) async fn still_may(&self, console: &Console) -> bool {
        of(console, &self.shown, self.peer).await.is_some_and(|now| now.owner == self.owner)
    }

    /// Whether they may ask this model.
    pub(crate) fn may_ask(&self, model: &str) -> bool {
        self.caller.key.as_ref().is_none_or(|key| key.allows_model(model))
    }
}

/// Lets those pass who may chat, and notes who they are.
pub(crate) async fn may_chat(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(chatter) = of(&console, request.headers(), peer).await else { return guard::unauthorized() };
    let session = session::of(&console, peer, request.headers()).await;
    request.extensions_mut().insert(chatter);
    let answer = next.run(request).await;
    // What streams ends with the session, a chat that is not kept too.
    match session {
        Some(session) => answer.map(|body| console.inner.sign_ins.bind(&console.inner.state, &session.id, body)),
        None => answer,
    }
}

/// Who sends these headers, if they may chat.
pub(crate) async fn of(console: &Console, headers: &HeaderMap, peer: Peer) -> Option<Chatter> {
    let client = session::client_of(console, peer, headers);
    let chatter = |owner: String, caller: Caller, user: Option<String>, by: &'static str| {
        Some(Chatter { owner, caller, user, by, shown: Arc::new(headers.clone()), peer })
    };
    if let Some(session) = session::of(console, peer, headers).await {
        let caller = Caller { key: None, key_id: Some("console".to_owned()) };
        return chatter(format!("console:{}", session.owner()), caller, session.user, "session");
    }
    let door = console.inner.gateway.door();
    let caller = match key_of_cookie(console, headers, peer).await {
        Some(caller) => caller,
        // A key in a header, or nothing where none is asked for. Wrong ones are counted there.
        None => door.identify(headers, client, jiff::Timestamp::now().as_millisecond()).ok()?,
    };
    let Some(key) = caller.key.clone() else { return chatter("anybody".to_owned(), caller, None, "open") };
    if !key.role.may_call_models() {
        return None;
    }
    // Behind a key that many share, each user whom a trusted client names has their own.
    let user = door.user(&caller, headers, peer.0.ip());
    let owner = match user.as_ref().filter(|user| key.user.as_ref() != Some(user)) {
        Some(user) => format!("key:{}:{user}", key.id),
        None => format!("key:{}", key.id),
    };
    chatter(owner, caller, user, "key")
}

/// The key that a browser showed before, while it is in force and may be used from here.
async fn key_of_cookie(console: &Console, headers: &HeaderMap, peer: Peer) -> Option<Caller> {
    let client = session::client_of(console, peer, headers);
    let secret = cookie(console, headers, peer)?;
    let id = console.inner.state.chat_session(secret).await.unwrap_or_else(|error| {
        tracing::error!(error = %error, "looking up who chats");
        None
    })?;
    let key = console.inner.gateway.door().keyring().get(&id)?.clone();
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let in_force = key.expires_ms.is_none_or(|end| end > now_ms) && key.allow.admits(client);
    in_force.then(|| Caller { key_id: Some(key.id.clone()), key: Some(key) })
}

/// What the form sends.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ShowKey {
    key: String,
}

/// `POST /console/api/v1/chat/session`: a key becomes a cookie that scripts cannot read.
pub(crate) async fn open(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let shown: ShowKey = match read(&body) {
        Ok(shown) => shown,
        Err(answer) => return answer,
    };
    let client = session::client_of(&console, peer, &headers);
    let Some(id) = key_id(&console, shown.key.trim(), client) else {
        tell(&console, Level::Warn, "chat sign-in refused: wrong key", client, None);
        let error = json!({"error": "invalid api key"});
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    };
    match console.inner.state.open_chat_session(&id, CHAT_SESSION_LIFETIME).await {
        Ok(secret) => {
            tell(&console, Level::Info, "chat session opened", client, Some(&id));
            let cookie = host_cookie(&console, peer, &headers, COOKIE, &secret, CHAT_SESSION_LIFETIME.as_secs());
            (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
        }
        Err(error) => {
            tracing::error!(error = %error, "opening a chat session");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// The id of this key, by the door's own rules: guesses are counted there.
fn key_id(console: &Console, key: &str, client: IpAddr) -> Option<String> {
    if key.is_empty() || key.len() > KEY_CHARS_MAX {
        return None;
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::from_str(key).ok()?);
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let key = console.inner.gateway.door().identify(&headers, client, now_ms).ok()?.key?;
    key.role.may_call_models().then(|| key.id.clone())
}

/// `DELETE /console/api/v1/chat/session`
pub(crate) async fn close(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    if let Some(secret) = cookie(&console, &headers, peer)
        && let Err(error) = console.inner.state.close_chat_session(secret).await
    {
        tracing::error!(error = %error, "ending a chat session");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let gone = host_cookie(&console, peer, &headers, COOKIE, "", 0);
    (StatusCode::NO_CONTENT, [(SET_COOKIE, gone)]).into_response()
}

fn tell(console: &Console, level: Level, msg: &'static str, client: IpAddr, key_id: Option<&str>) {
    let mut record = Record::new("audit", level, msg).caller("console/chats.rs").field("client_ip", client.to_string());
    if let Some(id) = key_id {
        record = record.field("key_id", id);
    }
    session::tell(console, record);
}

fn cookie<'a>(console: &Console, headers: &'a HeaderMap, peer: Peer) -> Option<&'a str> {
    cookie_named(headers, &cookie_for(console, peer, headers, COOKIE))
}
