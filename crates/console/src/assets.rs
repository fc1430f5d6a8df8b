//! The built pages, embedded in the program.

use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::extract::{Extension, FromRequestParts, Path, Query, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use serde::Deserialize;

use tollhouse_web::Peer;

use crate::{Console, UNAUTHORIZED, guard, session};

/// WebSocket close code for a policy that was not met (RFC 6455, section 7.4.1).
const POLICY_VIOLATION: u16 = 1008;

/// What `ui/` was built to; checked by the tests to be what its sources give.
#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
struct Built;

/// The tokenised address carries this.
#[derive(Deserialize)]
pub(crate) struct Address {
    token: Option<String>,
}

/// `/`: exchanges a token, turns away WebSockets without one, and else shows the page.
pub(crate) async fn index(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    Query(address): Query<Address>,
    request: Request,
) -> Response {
    let (mut parts, _) = request.into_parts();
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        return turn_away(upgrade);
    }
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if let Some(token) = address.token {
        return match session::open_by_address(&console, &token, peer, &parts.headers).await {
            Ok(response) => response,
            Err(session::Refused::Token) => page_for(&parts.headers, false),
            Err(refused) => refused.answer(),
        };
    }
    page_for(&parts.headers, session::of(&console, peer, &parts.headers).await.is_some())
}

/// The other pages: the same document, which reads the address itself.
pub(crate) async fn page(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let signed_in = session::of(&console, peer, &headers).await.is_some();
    page_for(&headers, signed_in)
}

/// A file whose name holds a hash of its content: it never changes (scenario G15).
pub(crate) async fn asset(Path(path): Path<String>) -> Response {
    let name = format!("assets/{path}");
    let Some(file) = Built::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type(&name))),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, file.data.into_owned()).into_response()
}

/// What is neither page nor API.
pub(crate) async fn nothing() -> Response {
    let error = "no such path; the console is at /, the model APIs at /v1 and /api, the Elasticsearch API at /es";
    (StatusCode::NOT_FOUND, axum::Json(serde_json::json!({"error": error}))).into_response()
}

/// Browsers get the page, which shows its sign-in form when it has to; other programs get the words.
fn page_for(headers: &HeaderMap, signed_in: bool) -> Response {
    let browser =
        headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|accept| accept.contains("text/html"));
    if !browser && !signed_in {
        return guard::unauthorized();
    }
    let Some(page) = Built::get("index.html") else { return StatusCode::NOT_FOUND.into_response() };
    let status = if signed_in { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    (status, [(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], page.data.into_owned())
        .into_response()
}

/// A WebSocket is told by a close frame why it may not stay: its client cannot read a status.
fn turn_away(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        let close = CloseFrame { code: POLICY_VIOLATION, reason: UNAUTHORIZED.into() };
        if let Err(error) = socket.send(Message::Close(Some(close))).await {
            tracing::debug!(error = %error, "turning a WebSocket away");
        }
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        _ => "application/octet-stream",
    }
}
