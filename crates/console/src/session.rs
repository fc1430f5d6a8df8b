//! Sessions: a token, or a name with its password, is exchanged for a cookie, once; sessions are listed and ended.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /console/api/v1/session` | `{"token": …}` or `{"name": …, "password": …}` | 204 with the cookie; 401, 429 with `Retry-After` |
//! | `GET /console/api/v1/session` | | whose it is, its role, and what the pages know of the house |
//! | `DELETE /console/api/v1/session` | | 204; the session has ended; `{"location"}` where the browser signs out at a provider, too |
//! | `GET /console/api/v1/sessions` | | `{"sessions": […]}`: one's own; with `?of=all` those of everybody (admin) |
//! | `DELETE /console/api/v1/sessions/{id}` | | 204: one's own, or anybody's (admin); 404 |

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header::{COOKIE, HOST, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE, USER_AGENT};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tollhouse_journal::{Level, Record};
pub(crate) use tollhouse_state::Session;
use tollhouse_state::{OpenedSession, Role, StateError, Visit, Way};
use tollhouse_web::Peer;
use utoipa::ToSchema;

use crate::oidc::{self, GoTo};
use crate::refusal::{out_of_reach, read, refused};
use crate::{Console, guard};

/// How long a signed-in browser stays so.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Longest token, name or password that is looked at, in bytes.
const SECRET_BYTES_MAX: usize = 1024;
/// Where these records come from.
const CALLER: &str = "console/session.rs";
/// Said to a wrong name and to a wrong password alike.
const WRONG_PASSWORD: &str = "wrong name or password";

/// The session that these headers carry, unless it has ended.
pub(crate) async fn of(console: &Console, peer: Peer, headers: &HeaderMap) -> Option<Session> {
    let secret = cookie_named(headers, &cookie_for(console, peer, headers, ""))?;
    let found = console.inner.state.session(secret).await.unwrap_or_else(|error| {
        tracing::error!(error = %error, "looking up a console session");
        None
    });
    let session = found?;
    if session.way != Way::Oidc || console.inner.oidc.is_some() {
        return Some(session);
    }
    // Nobody vouches for its user any more. Ended for good, so that it does not come back with another provider.
    if let Err(error) = console.inner.state.end_session(&session.id, None).await {
        tracing::error!(error = %error, "ending the session of a provider that is gone");
    }
    None
}

/// What the page knows about the house once it is signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionNow)]
pub(crate) struct Shown {
    id: String,
    /// The user's name; nothing where the session was opened by a token.
    user: Option<String>,
    way: Way,
    role: Role,
    service: String,
    version: &'static str,
    /// Whether one of the model servers is the built-in demo.
    demo: bool,
    public_url: Option<String>,
}

pub(crate) async fn show(State(console): State<Console>, Extension(session): Extension<Session>) -> Json<Shown> {
    let settings = &console.inner.settings;
    Json(Shown {
        id: session.id,
        user: session.user,
        way: session.way,
        role: session.role,
        service: settings.service.clone(),
        version: settings.version,
        demo: console.inner.gateway.upstreams().status().iter().any(|upstream| upstream.kind == "demo"),
        public_url: settings.public_url.clone(),
    })
}

/// What the sign-in form sends.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SignIn {
    Token { token: String },
    Password { name: String, password: String },
}

/// Opens a session by a token that was pasted, or by name and password.
pub(crate) async fn open(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let sign_in: SignIn = match read(&body) {
        Ok(sign_in) => sign_in,
        Err(answer) => return answer,
    };
    let opened = match &sign_in {
        SignIn::Token { token } => by_token(&console, token, peer, &headers).await,
        SignIn::Password { name, password } => by_password(&console, name, password, peer, &headers).await,
    };
    match opened {
        Ok(opened) => {
            let cookie = entered(&console, &opened, peer, &headers).await;
            (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response()
        }
        Err(refused) => refused.answer(),
    }
}

/// Opens a session by the token of a tokenised address, and sends the browser to the address without it.
pub(crate) async fn open_by_address(
    console: &Console,
    token: &str,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<Response, Refused> {
    let opened = by_token(console, token, peer, headers).await?;
    let cookie = entered(console, &opened, peer, headers).await;
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, HeaderValue::from_static("/"))]).into_response())
}

/// Ends the session.
pub(crate) async fn close(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    Extension(session): Extension<Session>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = console.inner.state.end_session(&session.id, None).await {
        return state_failed(&error);
    }
    let record = audit("console session ended", &session, client_of(&console, peer, &headers));
    tell(&console, record.field("session_id", &session.id));
    let gone = [(SET_COOKIE, host_cookie(&console, peer, &headers, "", "", 0))];
    match oidc::end_address(&console, &session).await {
        Some(location) => (gone, Json(GoTo { location })).into_response(),
        None => (StatusCode::NO_CONTENT, gone).into_response(),
    }
}

/// Which sessions are asked for.
#[derive(Deserialize)]
pub(crate) struct Whose {
    of: Option<String>,
}

pub(crate) async fn list(
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    Query(whose): Query<Whose>,
) -> Response {
    let wants_all = whose.of.as_deref() == Some("all");
    if wants_all && session.role < Role::Admin {
        return guard::forbidden(Role::Admin);
    }
    match console.inner.state.sessions().await {
        Ok(mut sessions) => {
            sessions.retain(|other| wants_all || is_own(&session, other));
            Json(json!({"sessions": sessions})).into_response()
        }
        Err(error) => state_failed(&error),
    }
}

pub(crate) async fn end(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    // Another user's session is not told apart from none at all.
    let of_user = if session.role == Role::Admin { None } else { Some(session.user_id.as_deref().unwrap_or("")) };
    match console.inner.state.end_session(&id, of_user).await {
        Ok(true) => {
            let record = audit("console session ended", &session, client_of(&console, peer, &headers));
            tell(&console, record.field("session_id", id));
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => refused(StatusCode::NOT_FOUND, "there is no session with this id"),
        Err(error) => state_failed(&error),
    }
}

/// Why nobody was let in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No such token.
    Token,
    /// No such user, or not this password.
    Password,
    /// Too many wrong ones from this address: how long to wait.
    TooMany(Duration),
    /// The state store, or the places for hashing.
    Failed(StateError),
}

impl Refused {
    pub(crate) fn answer(self) -> Response {
        let later = |status, wait: Duration, message: &str| {
            // Rounded up: whoever waits so long is heard.
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let body = Json(json!({"error": message}));
            (status, [(RETRY_AFTER, seconds.to_string())], body).into_response()
        };
        match self {
            Self::Token => guard::unauthorized(),
            Self::Password => refused(StatusCode::UNAUTHORIZED, WRONG_PASSWORD),
            Self::TooMany(wait) => later(
                StatusCode::TOO_MANY_REQUESTS,
                wait,
                "too many wrong tries from this address, please wait a minute",
            ),
            Self::Failed(StateError::Busy) => {
                let message = "too many sign in at once, please try again";
                later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(1), message)
            }
            Self::Failed(error) => state_failed(&error),
        }
    }
}

async fn by_token(console: &Console, token: &str, peer: Peer, headers: &HeaderMap) -> Result<OpenedSession, Refused> {
    let (token, client) = (token.trim(), client_of(console, peer, headers));
    let failures = console.inner.sign_ins.failures();
    failures.check(client).map_err(Refused::TooMany)?;
    let is_sane = !token.is_empty() && token.len() <= SECRET_BYTES_MAX;
    let opened = if is_sane {
        let visit = visit(client, headers);
        console.inner.state.open_session(token, SESSION_LIFETIME, &visit).await.map_err(Refused::Failed)?
    } else {
        None
    };
    opened.ok_or_else(|| {
        failures.failed(client, token);
        let record = Record::new("audit", Level::Warn, "console sign-in refused: wrong or expired token");
        tell(console, record.caller(CALLER).field("client_ip", client.to_string()));
        Refused::Token
    })
}

async fn by_password(
    console: &Console,
    name: &str,
    password: &str,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<OpenedSession, Refused> {
    let client = client_of(console, peer, headers);
    let failures = console.inner.sign_ins.failures();
    // Before anything is looked at: the answer tells nothing of the name.
    failures.check(client).map_err(Refused::TooMany)?;
    let is_sane = name.len() <= SECRET_BYTES_MAX && password.len() <= SECRET_BYTES_MAX;
    let user = if is_sane {
        console.inner.state.user_with_password(name, password).await.map_err(Refused::Failed)?
    } else {
        None
    };
    let Some(user) = user else {
        failures.failed(client, &format!("{name}\n{password}"));
        // Without the name: a password that was typed into the wrong field would stand here.
        let record = Record::new("audit", Level::Warn, "console sign-in refused: wrong name or password");
        tell(console, record.caller(CALLER).field("client_ip", client.to_string()));
        return Err(Refused::Password);
    };
    let visit = visit(client, headers);
    let opened = console.inner.state.open_user_session(&user, Way::Password, SESSION_LIFETIME, &visit).await;
    opened.map_err(Refused::Failed)
}

/// Records a new session, ends the one that this browser had before, and gives the cookie.
pub(crate) async fn entered(console: &Console, opened: &OpenedSession, peer: Peer, headers: &HeaderMap) -> HeaderValue {
    let client = client_of(console, peer, headers);
    if let Some(before) = of(console, peer, headers).await
        && let Err(error) = console.inner.state.end_session(&before.id, None).await
    {
        tracing::error!(error = %error, "ending a console session for another one");
    }
    let session = &opened.session;
    let record = audit("console session opened", session, client);
    tell(console, record.field("session_id", &session.id).field("way", session.way.name()));
    let lasts_s = u64::try_from((session.expires_ms - session.created_ms) / 1000).unwrap_or_default();
    host_cookie(console, peer, headers, "", &opened.secret, lasts_s)
}

/// Whether another session is one's own: of the same user, or, for those that came by a token, itself.
fn is_own(session: &Session, other: &Session) -> bool {
    other.id == session.id || (session.user_id.is_some() && other.user_id == session.user_id)
}

pub(crate) fn visit(client: IpAddr, headers: &HeaderMap) -> Visit {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    Visit { address: client.to_string(), agent: agent.to_owned() }
}

/// The client's address, behind trusted proxies too.
pub(crate) fn client_of(console: &Console, peer: Peer, headers: &HeaderMap) -> IpAddr {
    console.inner.gateway.door().client_address(peer.0.ip(), headers)
}

/// An audit record of what somebody did in a session.
pub(crate) fn audit(what: &'static str, session: &Session, client: IpAddr) -> Record {
    let record = Record::new("audit", Level::Info, what).caller(CALLER).field("by", session.name());
    record.field("role", session.role.name()).field("client_ip", client.to_string())
}

/// Hands a record to the journal.
pub(crate) fn tell(console: &Console, record: Record) {
    if let Err(error) = console.inner.journal.enqueue(record) {
        tracing::error!(error = %error, "recording what was done in the console");
    }
}

/// Whether the browser's connection is encrypted: a trusted proxy says so, or this is the public address.
fn is_encrypted(console: &Console, peer: Peer, headers: &HeaderMap) -> bool {
    if console.inner.gateway.door().came_encrypted(peer.0.ip(), headers) {
        return true;
    }
    let Some(public) = console.inner.settings.public_url.as_deref().and_then(|url| url.parse::<Uri>().ok()) else {
        return false;
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    public.scheme_str() == Some("https") && host.is_some() && public.authority().map(Authority::as_str) == host
}

/// The name of this house's cookie for a purpose, such as `chat_`; the session's has none. `__Host-` binds a cookie to this
/// very host and to encrypted connections; without encryption browsers do not take it.
pub(crate) fn cookie_for(console: &Console, peer: Peer, headers: &HeaderMap, purpose: &str) -> String {
    let prefix = if is_encrypted(console, peer, headers) { "__Host-" } else { "" };
    format!("{prefix}tollhouse_{purpose}{}", console.inner.settings.port)
}

/// A cookie that no script reads and no other site's form brings along; one that lasts 0 seconds is forgotten.
pub(crate) fn host_cookie(
    console: &Console,
    peer: Peer,
    headers: &HeaderMap,
    purpose: &str,
    secret: &str,
    lasts_s: u64,
) -> HeaderValue {
    let name = cookie_for(console, peer, headers, purpose);
    let secure = if is_encrypted(console, peer, headers) { "; Secure" } else { "" };
    let cookie = format!("{name}={secret}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(cookie).expect("secrets are letters and digits")
}

/// The value of a cookie.
pub(crate) fn cookie_named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs =
        headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(found, _)| *found == name).map(|(_, secret)| secret)
}

pub(crate) fn state_failed(error: &StateError) -> Response {
    out_of_reach("users and sessions", error)
}
