//! What other programs ask to know how the house is.

use http::StatusCode;
use serde_json::json;
use tollhouse_web::{Answer, json as json_answer, text};

use crate::house::House;

/// `/healthz`: the process answers.
pub(crate) fn alive() -> Answer {
    text(StatusCode::OK, "ok\n")
}

/// `/readyz`: the journal takes lines and at least one model server is thought to answer.
pub(crate) fn ready(house: &House) -> Answer {
    if !house.gateway.records() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the journal cannot be written\n");
    }
    let upstreams = house.gateway.upstreams().status();
    if upstreams.iter().any(|upstream| upstream.breaker == "closed") {
        return text(StatusCode::OK, "ready\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, "no model server answers\n")
}

/// `/health`: a summary. It names no address and no reason: it is open to everybody who may connect.
pub(crate) fn summary(house: &House) -> Answer {
    let upstreams = house.gateway.upstreams().status();
    let answering = upstreams.iter().filter(|upstream| upstream.breaker == "closed").count();
    let (code, status) = match answering {
        _ if !house.gateway.records() => (StatusCode::SERVICE_UNAVAILABLE, "fault"),
        0 => (StatusCode::SERVICE_UNAVAILABLE, "fault"),
        some if some < upstreams.len() => (StatusCode::OK, "warn"),
        _ => (StatusCode::OK, "ok"),
    };
    let body = json!({
        "status": status,
        "service": house.service,
        "version": crate::cli::VERSION,
        "upstreams": {"answering": answering, "configured": upstreams.len()},
        "uptime_s": house.began.elapsed().as_secs(),
    });
    json_answer(code, body.to_string())
}
