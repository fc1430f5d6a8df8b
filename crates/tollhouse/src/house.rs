//! One request to the house: which part of it is meant.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use http::header::{HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::uri::PathAndQuery;
use http::{Request, StatusCode, Uri};
use hyper::body::Incoming;
use serde_json::json;
use tollhouse_gateway::{Entry, Gateway, Refusal};
use tollhouse_web::{Answer, Dropped, HostGuard, Peer, json as json_answer, text};
use tower::ServiceExt;

use crate::health;

/// Everything that answers on the main address.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) service: String,
    pub(crate) began: Instant,
    pub(crate) hosts: HostGuard,
    pub(crate) gateway: Gateway,
    pub(crate) elastic: Router,
    pub(crate) console: Router,
}

/// Answers one request.
pub(crate) async fn answer(house: Arc<House>, request: Request<Incoming>, peer: Peer) -> Result<Answer, Dropped> {
    if !house.hosts.admits(&request) {
        return Ok(text(StatusCode::MISDIRECTED_REQUEST, "this host name is not served here; add it to `hosts`\n"));
    }
    let path = request.uri().path();
    // The model APIs record their refusals themselves, addresses included.
    if path.starts_with("/v1/") || path.starts_with("/api/") {
        return house.gateway.handle(request, peer, Entry::Door).await;
    }
    let door = house.gateway.door();
    let client = door.client_address(peer.0.ip(), request.headers());
    match door.check_address(client) {
        Ok(()) => {}
        Err(Refusal::AddressDropped) => return Err(Dropped),
        Err(refusal) => return Ok(text(refusal.status(), "address not allowed\n")),
    }
    match path {
        "/healthz" => Ok(health::alive()),
        "/readyz" => Ok(health::ready(&house)),
        "/health" => Ok(health::summary(&house)),
        "/es" => Ok(elastic(&house, request).await),
        path if path.starts_with("/es/") => Ok(elastic(&house, request).await),
        _ => Ok(route(&house.console, request, peer).await),
    }
}

/// The Elasticsearch-compatible API: for keys that may read the book.
async fn elastic(house: &House, mut request: Request<Incoming>) -> Answer {
    if let Err(refusal) = house.gateway.door().check_reader(request.headers(), jiff::Timestamp::now().as_millisecond())
    {
        return elastic_refusal(&refusal);
    }
    *request.uri_mut() = without_prefix(request.uri(), "/es");
    route(&house.elastic, request, Peer(([0, 0, 0, 0], 0).into())).await
}

/// A refusal as Elasticsearch's security layer words it.
fn elastic_refusal(refusal: &Refusal) -> Answer {
    let status = refusal.status();
    let reason = match refusal {
        Refusal::InvalidKey => "missing or invalid api key (send it as `Authorization: Bearer …` or `X-Api-Key: …`)",
        _ => "this key may not read the records: role logs:read or admin is needed",
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
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"security\""));
    }
    answer
}

async fn route(router: &Router, mut request: Request<Incoming>, peer: Peer) -> Answer {
    request.extensions_mut().insert(peer);
    let answer = router.clone().oneshot(request.map(axum::body::Body::new)).await;
    let answer = answer.unwrap_or_else(|never| match never {});
    answer.map(tollhouse_web::end_on_error)
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
    fn the_prefix_goes_and_the_query_stays() {
        for (from, to) in [("/es", "/"), ("/es/", "/"), ("/es/_search?q=a", "/_search?q=a"), ("/es?pretty", "/?pretty")]
        {
            assert_eq!(without_prefix(&from.parse().unwrap(), "/es").to_string(), to, "{from}");
        }
    }
}
