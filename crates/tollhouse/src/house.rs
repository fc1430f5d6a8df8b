//! One request to the house: which part of it is meant.

use std::net::IpAddr;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, StatusCode, Uri};
use hyper::body::Incoming;
use tollhouse_access::Role;
use tollhouse_edge::Edge;
use tollhouse_gateway::{Entry, Gateway, Refusal};
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_telemetry::Format;
use tollhouse_web::{Answer, Dropped, HostGuard, Peer, text};
use tower::ServiceExt;

use crate::batching::Batched;
use crate::figures::Figures;
use crate::probing::Probed;
use crate::tasking::Tasked;
use crate::{es, health};

/// From the head of a request to the console or the book to the head of its answer: a body that drips in ends here.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// Everything that answers on the main address.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) service: String,
    pub(crate) began: Instant,
    pub(crate) hosts: HostGuard,
    pub(crate) gateway: Gateway,
    pub(crate) journal: Journal,
    pub(crate) elastic: Router,
    pub(crate) console: Router,
    /// Sites with names of their own, through TLS.
    pub(crate) edge: Option<Arc<Edge>>,
    /// The path of the house's own figures, if they are told.
    pub(crate) metrics: Option<String>,
    pub(crate) figures: Figures,
    pub(crate) probed: Arc<Probed>,
    pub(crate) tasked: Arc<Tasked>,
    pub(crate) batched: Arc<Batched>,
    /// Names of the channels that are told of alerts.
    pub(crate) channels: Vec<String>,
}

/// The house in force; clones share it. It is exchanged as a whole when the configuration changes.
#[derive(Clone, Debug)]
pub(crate) struct Current(Arc<RwLock<Arc<House>>>);

impl Current {
    /// The first house.
    pub(crate) fn new(house: House) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(house))))
    }

    /// The house for a request that comes now; it keeps it to its end.
    pub(crate) fn get(&self) -> Arc<House> {
        self.0.read().expect("no panic while the lock is held").clone()
    }

    /// Puts another house in force, for the next request on.
    pub(crate) fn replace(&self, house: House) {
        let house = Arc::new(house);
        let before = std::mem::replace(&mut *self.0.write().expect("no panic while the lock is held"), house);
        // Outside of the lock: the last holder takes the old house down.
        drop(before);
    }
}

/// Answers one request.
pub(crate) async fn answer(house: Arc<House>, request: Request<Incoming>, peer: Peer) -> Result<Answer, Dropped> {
    if !house.hosts.admits(&request) {
        return Ok(misdirected());
    }
    inside(house, request, peer).await
}

/// Whether the model APIs are meant.
pub(crate) fn is_model_path(path: &str) -> bool {
    path.starts_with("/v1/") || path.starts_with("/api/")
}

/// Answers one request whose host name is one of ours.
pub(crate) async fn inside(house: Arc<House>, request: Request<Incoming>, peer: Peer) -> Result<Answer, Dropped> {
    let path = request.uri().path();
    // The model APIs record their refusals themselves, addresses included.
    if is_model_path(path) {
        // Where no key is asked for, any web page that this machine's browser shows could make the model work.
        if !house.gateway.door().asks_for_keys() && is_from_a_page_elsewhere(&request) {
            return Ok(from_elsewhere());
        }
        return house.gateway.handle(request, peer, Entry::Door).await;
    }
    let client = match admitted(&house, &request, peer)? {
        Ok(client) => client,
        Err(refused) => return Ok(refused),
    };
    match path {
        "/healthz" => Ok(health::alive()),
        "/readyz" => Ok(health::ready(&house)),
        "/health" => Ok(health::summary(&house)),
        path if house.metrics.as_deref() == Some(path) => Ok(metrics(&house, &request, client).await),
        path if path == "/es" || path.starts_with("/es/") => Ok(elastic(&house, request, peer, client, "/es").await),
        _ => Ok(route(&house.console, request, peer).await),
    }
}

/// Answers one request at the address of the Elasticsearch API alone (`search.listen`).
pub(crate) async fn answer_search(
    house: Arc<House>,
    request: Request<Incoming>,
    peer: Peer,
) -> Result<Answer, Dropped> {
    if !house.hosts.admits(&request) {
        return Ok(misdirected());
    }
    match admitted(&house, &request, peer)? {
        Ok(client) => Ok(elastic(&house, request, peer, client, "").await),
        Err(refused) => Ok(refused),
    }
}

/// Whose request this is by its address, if that may come in at all, else what is answered.
pub(crate) fn admitted(
    house: &House,
    request: &Request<Incoming>,
    peer: Peer,
) -> Result<Result<IpAddr, Answer>, Dropped> {
    let door = house.gateway.door();
    let client = door.client_address(peer.0.ip(), request.headers());
    let Err(refusal) = door.check_address(client) else { return Ok(Ok(client)) };
    record_refusal(house, request, client, &refusal);
    if matches!(refusal, Refusal::AddressDropped) {
        return Err(Dropped);
    }
    Ok(Err(text(refusal.status(), "address not allowed\n")))
}

fn misdirected() -> Answer {
    text(StatusCode::MISDIRECTED_REQUEST, "this host name is not served here; add it to `hosts`\n")
}

fn from_elsewhere() -> Answer {
    text(StatusCode::FORBIDDEN, "requests of web pages of other origins are not taken\n")
}

/// Whether a browser sends this for a page of another origin (Fetch Metadata; `Origin` for browsers without it).
fn is_from_a_page_elsewhere<B>(request: &Request<B>) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    match (header("sec-fetch-site"), header("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            // HTTP/2 names the host in the target; where both do, they are the same.
            let host = header("host").or_else(|| request.uri().authority().map(Authority::as_str));
            host.is_none() || origin.split_once("://").map(|(_, host)| host) != host
        }
        (None, None) => false,
    }
}

/// The house's own figures: for keys that may read them. Being on this machine is no credential.
async fn metrics(house: &House, request: &Request<Incoming>, client: IpAddr) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed here\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let door = house.gateway.door();
    if !door.asks_for_keys() && is_from_a_page_elsewhere(request) {
        return from_elsewhere();
    }
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let headers = es::with_bearer(request.headers());
    if let Err(refusal) = door.check_role(&headers, client, now_ms, Role::may_read_metrics, "metrics:read") {
        record_refusal(house, request, client, &refusal);
        let mut answer = text(refusal.status(), format!("{refusal}\n"));
        if refusal.status() == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"metrics\""));
        }
        return answer;
    }
    let format = Format::of(request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()));
    let mut answer = text(StatusCode::OK, house.figures.now(house).await.write(format));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    answer
}

/// The Elasticsearch-compatible API: for keys that may read or write the book.
/// `prefix` is where it is mounted.
async fn elastic(house: &House, mut request: Request<Incoming>, peer: Peer, client: IpAddr, prefix: &str) -> Answer {
    // As with the models: a page of another origin could write into the book.
    if !house.gateway.door().asks_for_keys() && is_from_a_page_elsewhere(&request) {
        return from_elsewhere();
    }
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let uri = without_prefix(request.uri(), prefix);
    match es::check(house.gateway.door(), &request, uri.path(), client, now_ms) {
        Ok(caller) => es::introduce(&mut request, &caller),
        Err(refusal) => {
            record_refusal(house, &request, client, &refusal);
            return es::refusal(&refusal);
        }
    }
    *request.uri_mut() = uri;
    route(&house.elastic, request, peer).await
}

/// Whoever is turned away from the book or the console leaves a record; the model APIs write theirs themselves.
fn record_refusal(house: &House, request: &Request<Incoming>, client: IpAddr, refusal: &Refusal) {
    let record = Record::new("access", Level::Warn, "access refused")
        .caller("tollhouse/house.rs")
        .field("method", request.method().as_str())
        .field("path", told_path(request))
        .field("status", refusal.status().as_u16())
        .field("client_ip", client.to_string())
        .field("error", refusal.to_string());
    if let Err(error) = house.journal.enqueue(record) {
        tracing::error!(error = %error, "recording a refusal");
    }
}

/// The path as records tell it.
pub(crate) fn told_path(request: &Request<Incoming>) -> String {
    const PATH_CHARS_MAX: usize = 256;
    request.uri().path().chars().take(PATH_CHARS_MAX).collect()
}

async fn route(router: &Router, mut request: Request<Incoming>, peer: Peer) -> Answer {
    request.extensions_mut().insert(peer);
    let answer = router.clone().oneshot(request.map(axum::body::Body::new));
    match tokio::time::timeout(ANSWER_TIME_MAX, answer).await {
        Ok(answer) => answer.unwrap_or_else(|never| match never {}).map(tollhouse_web::end_on_error),
        Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the request did not arrive in full\n"),
    }
}

/// The same address without its first part; `/es` alone becomes `/`.
fn without_prefix(uri: &Uri, prefix: &str) -> Uri {
    let rest = uri.path().strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or("/");
    let target = match uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    match PathAndQuery::try_from(target) {
        Ok(target) => Uri::from(target),
        Err(_) => Uri::from_static("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_this_house_is_known_over_http1_and_http2() {
        let own = [("origin", "http://localhost:9400")];
        for (target, fields, is_elsewhere) in [
            ("/v1/chat/completions", &[("host", "localhost:9400"), own[0]][..], false),
            ("http://localhost:9400/v1/chat/completions", &own, false),
            ("http://localhost:9400/v1/chat/completions", &[("origin", "http://elsewhere.example")], true),
            ("http://localhost:9400/v1/chat/completions", &[("origin", "null")], true),
            ("/v1/chat/completions", &[("host", "localhost:9400"), ("origin", "http://localhost:9401")], true),
            ("/v1/chat/completions", &[("origin", "null")], true),
            ("/v1/chat/completions", &[("sec-fetch-site", "same-site"), own[0]], true),
            ("/v1/chat/completions", &[("sec-fetch-site", "same-origin"), ("origin", "null")], false),
            ("/v1/chat/completions", &[], false),
        ] {
            let mut request = Request::builder().uri(target);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let request = request.body(()).unwrap();
            assert_eq!(is_from_a_page_elsewhere(&request), is_elsewhere, "{target} {fields:?}");
        }
    }

    #[test]
    fn the_prefix_goes_and_the_query_stays() {
        for (from, to) in [("/es", "/"), ("/es/", "/"), ("/es/_search?q=a", "/_search?q=a"), ("/es?pretty", "/?pretty")]
        {
            assert_eq!(without_prefix(&from.parse().unwrap(), "/es").to_string(), to, "{from}");
        }
    }
}
