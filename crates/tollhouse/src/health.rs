//! What other programs ask to know how the house is.

use http::StatusCode;
use serde_json::json;
use tollhouse_gateway::Health;
use tollhouse_web::{Answer, json as json_answer, text};

use crate::house::House;

/// `/healthz`: the process answers.
pub(crate) fn alive() -> Answer {
    text(StatusCode::OK, "ok\n")
}

/// `/readyz`: the journal takes lines and at least one model server is thought to answer.
pub(crate) fn ready(house: &House) -> Answer {
    match house.gateway.health() {
        Health::Well | Health::SomeSilent(_) | Health::Unkept => text(StatusCode::OK, "ready\n"),
        Health::AllSilent(_) => text(StatusCode::SERVICE_UNAVAILABLE, "no model server answers\n"),
        Health::Unrecorded => text(StatusCode::SERVICE_UNAVAILABLE, "the journal cannot be written\n"),
    }
}

/// The colour of each layer, as the probes found them: process, answer, quality, resource.
fn layers(house: &House) -> serde_json::Map<String, serde_json::Value> {
    let layers = house.probed.light().map(|light| light.layers).unwrap_or_default();
    layers.iter().map(|layer| (layer.layer.as_str().to_owned(), layer.colour.as_str().into())).collect()
}

/// `/health`: a summary. It names no address and no reason: it is open to everybody who may connect.
pub(crate) fn summary(house: &House) -> Answer {
    let health = house.gateway.health();
    let upstreams = house.gateway.upstreams().status();
    let answering = upstreams.iter().filter(|upstream| upstream.breaker != "open").count();
    let body = json!({
        "status": health.word(),
        "service": house.service,
        "version": crate::cli::VERSION,
        "upstreams": {"answering": answering, "configured": upstreams.len()},
        "journal": {"disk": house.journal.disk().borrow().as_str()},
        "layers": layers(house),
        "uptime_s": house.began.elapsed().as_secs(),
    });
    let code = if health.can_serve() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_answer(code, body.to_string())
}
