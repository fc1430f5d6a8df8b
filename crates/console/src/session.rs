//! Sessions: a token is exchanged for a cookie, once.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::header::{COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tollhouse_journal::{Level, Record};
use tollhouse_state::Role;
use tollhouse_web::Peer;

use crate::{Console, guard};

/// How long a signed-in browser stays so.
const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longest token that is looked at.
const TOKEN_CHARS_MAX: usize = 256;

/// A session that has not ended; an extension of every request behind `guard::signed_in`.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) role: Role,
}

impl Session {
    /// Whose it is, in records and as the owner of what is kept.
    pub(crate) fn owner(&self) -> &str {
        self.role.name()
    }
}

/// The session that these headers carry, unless it has ended. Whoever has a token of the console is an administrator:
/// only one can make it.
pub(crate) async fn of(console: &Console, headers: &HeaderMap) -> Option<Session> {
    is_signed_in(console, headers).await.then_some(Session { role: Role::Admin })
}

/// What the page knows about the house once it is signed in.
pub(crate) async fn show(State(console): State<Console>, Extension(session): Extension<Session>) -> Json<Value> {
    let settings = &console.inner.settings;
    Json(json!({
        "service": settings.service,
        "version": settings.version,
        "role": session.role.name(),
        "demo": console.inner.gateway.upstreams().status().iter().any(|upstream| upstream.kind == "demo"),
        "public_url": settings.public_url,
    }))
}

/// What the sign-in form sends.
#[derive(Deserialize)]
pub(crate) struct SignIn {
    token: String,
}

/// Opens a session by a token that was pasted.
pub(crate) async fn open(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(sign_in): Json<SignIn>,
) -> Response {
    match open_session(&console, &sign_in.token, client_of(&console, peer, &headers)).await {
        Some(cookie) => (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response(),
        None => guard::unauthorized(),
    }
}

/// Opens a session by the token of a tokenised address, and sends the browser to the address without it.
pub(crate) async fn open_by_address(console: &Console, token: &str, client: IpAddr) -> Option<Response> {
    let cookie = open_session(console, token, client).await?;
    Some((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, HeaderValue::from_static("/"))]).into_response())
}

/// Ends the session.
pub(crate) async fn close(State(console): State<Console>, headers: HeaderMap) -> Response {
    if let Some(secret) = cookie(&console, &headers)
        && let Err(error) = console.inner.state.close_session(secret).await
    {
        tracing::error!(error = %error, "ending a console session");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let gone = format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax", cookie_name(&console));
    (StatusCode::NO_CONTENT, [(SET_COOKIE, gone)]).into_response()
}

/// Whether these headers carry a session that has not ended.
pub(crate) async fn is_signed_in(console: &Console, headers: &HeaderMap) -> bool {
    let Some(secret) = cookie(console, headers) else { return false };
    match console.inner.state.session_valid(secret).await {
        Ok(valid) => valid,
        Err(error) => {
            tracing::error!(error = %error, "looking up a console session");
            false
        }
    }
}

/// The client's address, behind trusted proxies too.
pub(crate) fn client_of(console: &Console, peer: Peer, headers: &HeaderMap) -> IpAddr {
    console.inner.gateway.door().client_address(peer.0.ip(), headers)
}

async fn open_session(console: &Console, token: &str, client: IpAddr) -> Option<HeaderValue> {
    let token = token.trim();
    let opened = if token.is_empty() || token.len() > TOKEN_CHARS_MAX {
        None
    } else {
        console.inner.state.open_session(token, SESSION_LIFETIME).await.unwrap_or_else(|error| {
            tracing::error!(error = %error, "opening a console session");
            None
        })
    };
    let record = match opened {
        Some(_) => Record::new("audit", Level::Info, "console session opened"),
        None => Record::new("audit", Level::Warn, "console sign-in refused: wrong or expired token"),
    };
    let record = record.caller("console/session.rs").field("client_ip", client.to_string());
    if let Err(error) = console.inner.journal.enqueue(record) {
        tracing::error!(error = %error, "recording a sign-in");
    }
    let max_age = SESSION_LIFETIME.as_secs();
    let cookie = format!("{}={}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax", cookie_name(console), opened?);
    HeaderValue::from_str(&cookie).ok()
}

fn cookie_name(console: &Console) -> String {
    format!("tollhouse_{}", console.inner.settings.port)
}

fn cookie<'a>(console: &Console, headers: &'a HeaderMap) -> Option<&'a str> {
    let name = cookie_name(console);
    let pairs =
        headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(found, _)| *found == name).map(|(_, secret)| secret)
}
