//! The console's JSON API: its description, search, fields, models, state of the house.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tollhouse_gateway::Health;

use crate::Console;

/// Fields that are told of; foreign records may have any number.
const FIELDS_MAX: usize = 2000;
/// So long is waited for records that can be found. Short, as the end of the house waits for answers.
const GROWTH_TIME_MAX: Duration = Duration::from_secs(2);

/// Any search over this service's records; what it answers is what `/es` answers.
pub(crate) async fn search(State(console): State<Console>, body: Bytes) -> Response {
    let indices = format!("{}-*", console.inner.settings.service);
    tollhouse_elastic::search(&console.inner.shelf, &indices, &body).await
}

/// The fields that this service's records have, by name, each with its type, as `_mapping` tells them.
pub(crate) async fn fields(State(console): State<Console>) -> Response {
    let indices = format!("{}-*", console.inner.settings.service);
    let mapping = match tollhouse_elastic::mapping(&console.inner.shelf, &indices).await {
        Ok(mapping) => mapping,
        Err(error) => {
            let error = format!("the fields cannot be read right now: {error}");
            return (http::StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": error }))).into_response();
        }
    };
    let mut fields = BTreeMap::new();
    for properties in mapping.as_object().into_iter().flat_map(|days| days.values()) {
        take_fields("", &properties["mappings"]["properties"], &mut fields);
    }
    let fields: Vec<Value> =
        fields.into_iter().take(FIELDS_MAX).map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    Json(json!({"fields": fields})).into_response()
}

/// Takes up the fields below a path; other names of a field are left out.
fn take_fields(path: &str, properties: &Value, fields: &mut BTreeMap<String, String>) {
    for (name, property) in properties.as_object().into_iter().flatten() {
        let name = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        take_fields(&name, &property["properties"], fields);
        if let Some(kind) = property["type"].as_str().filter(|kind| !matches!(*kind, "alias" | "object")) {
            fields.insert(name, kind.to_owned());
        }
    }
}

/// What all calls take and answer.
pub(crate) async fn description() -> Response {
    ([(CONTENT_TYPE, "application/json")], crate::calls::description()).into_response()
}

/// The models that can be chosen in the chat.
pub(crate) async fn models(State(console): State<Console>) -> Json<Value> {
    let models = console.inner.gateway.upstreams().models().await;
    let models: Vec<Value> = models
        .iter()
        .map(|model| json!({"name": model.name, "upstream": model.upstream, "demo": model.demo}))
        .collect();
    Json(json!({"models": models}))
}

/// What a question about the house waits for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Beyond {
    /// Records behind this number.
    beyond: Option<u64>,
}

/// How the house is. Whoever shows records and names the last one learns at once when there are more, and asks for nothing meanwhile.
pub(crate) async fn status(State(console): State<Console>, Query(Beyond { beyond }): Query<Beyond>) -> Json<Value> {
    if let Some(next) = beyond.and_then(|seq| seq.checked_add(1)) {
        console.inner.shelf.wait(next, GROWTH_TIME_MAX).await;
    }
    let health = console.inner.gateway.health();
    let names = match &health {
        Health::SomeSilent(names) | Health::AllSilent(names) => names.join(", "),
        Health::Well | Health::Unkept | Health::Unrecorded => String::new(),
    };
    let (code, reason) = match &health {
        Health::Well => said("house_well", "every model server answers"),
        Health::SomeSilent(_) => said("house_some_silent", format!("not answering: {names}")),
        Health::AllSilent(_) => said("house_all_silent", format!("no model server answers: {names}")),
        Health::Unkept => {
            said("house_unkept", "the disk takes no records; requests are answered, and what is not kept is counted")
        }
        Health::Unrecorded => said("house_unrecorded", "the journal cannot be written; requests are refused"),
    };
    let upstreams = console.inner.gateway.upstreams().status();
    let upstreams: Vec<Value> = upstreams
        .iter()
        .map(|up| {
            json!({
                "name": up.name, "kind": up.kind, "breaker": up.breaker, "reason": up.reason,
                "parallel": up.parallel, "running": up.running, "waiting": up.waiting,
                "loaded": up.loaded, "loads": up.loads, "load_ms_total": up.load_ms_total, "thrashing": up.thrashing,
            })
        })
        .collect();
    Json(json!({
        "status": health.word(),
        "reason": reason,
        "said": [{"code": code, "figures": {"names": names}}],
        "upstreams": upstreams,
        "journal": {
            "seq": *console.inner.journal.written().borrow(),
            "disk": console.inner.journal.disk().borrow().as_str(),
        },
        "index": {"seq": console.inner.shelf.indexed_seq()},
        "limits": console.inner.gateway.sharing(),
        "uptime_s": console.inner.settings.began.elapsed().as_secs(),
        "version": console.inner.settings.version,
    }))
}

/// A sentence with its code, by which pages in other languages say it.
fn said(code: &'static str, sentence: impl Into<String>) -> (&'static str, String) {
    (code, sentence.into())
}
