//! What stands before every page and call: the session, the origin of changes, and the headers that browsers obey.

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tollhouse_state::Role;
use tollhouse_web::Peer;

use crate::refusal::refused;
use crate::session::{self, Session};
use crate::{Console, UNAUTHORIZED};

/// Every call that changes something carries this header: a form or a plain link of another page cannot send it.
pub(crate) const CONSOLE_HEADER: HeaderName = HeaderName::from_static("x-tollhouse-console");

/// Below here are calls, all else are pages and their files.
const CALLS: &str = "/console/api/";

/// No script, style, picture or call from anywhere else, and no way to put the page into a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; \
                      require-trusted-types-for 'script'";

/// Lets only signed-in callers pass, and notes whose session it is. What streams ends with the session.
pub(crate) async fn signed_in(
    State(console): State<Console>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(session) = session::of(&console, peer, request.headers()).await else { return unauthorized() };
    let id = session.id.clone();
    request.extensions_mut().insert(session);
    let answer = next.run(request).await;
    answer.map(|body| console.inner.sign_ins.bind(&console.inner.state, &id, body))
}

/// Lets only sessions pass that have at least this role: the one place where that is asked. Stands behind [`signed_in`].
pub(crate) async fn role(State(least): State<Role>, request: Request, next: Next) -> Response {
    if request.extensions().get::<Session>().is_some_and(|session| session.role >= least) {
        return next.run(request).await;
    }
    forbidden(least)
}

/// The answer to whoever may not do this.
pub(crate) fn forbidden(least: Role) -> Response {
    let error = format!("this needs a session with the role {}", least.name());
    refused(StatusCode::FORBIDDEN, &error)
}

/// The answer to whoever is not signed in.
pub(crate) fn unauthorized() -> Response {
    refused(StatusCode::UNAUTHORIZED, UNAUTHORIZED)
}

/// Refuses what another page sends in the name of a signed-in browser: changes (cross-site request forgery), and calls whose
/// answers it would listen to, streams above all. Pages themselves may be led to from anywhere.
pub(crate) async fn same_origin(request: Request, next: Next) -> Response {
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if changes && !(request.headers().contains_key(&CONSOLE_HEADER) && is_own(&request)) {
        let error = "changes are only taken from the console itself (same origin, with the header x-tollhouse-console)";
        return refused(StatusCode::FORBIDDEN, error);
    }
    if request.uri().path().starts_with(CALLS) && !is_own(&request) {
        return refused(StatusCode::FORBIDDEN, "calls are only answered to the console itself (same origin)");
    }
    next.run(request).await
}

/// Whether neither the browser nor its `Origin` says that another page sends it; `none` is an address that somebody typed.
fn is_own(request: &Request<Body>) -> bool {
    let headers = request.headers();
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return false;
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    let named = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    named.is_some() && named == host
}

/// Sets the headers on every answer, errors included.
pub(crate) async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
