//! Processes under supervision: listed, started, stopped, restarted, and confirmed where they wait for a human; and what the
//! house's stores take on their disks.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/processes` | | `{"processes": [Process, …]}`, in the order of the configuration |
//! | `POST /console/api/v1/processes/{name}/start`, `stop`, `restart`, `confirm` | nothing, or `{"from": "command line"}` | the Process as it is then |
//! | `GET /console/api/v1/stores` | | `{"at", "stores": [Store, …], "disks": [Disk, …]}` as measured last |
//!
//! A Process is `{name, state, since, pid, starts, reason, why, asked, next_start, memory_bytes, memory_soft_bytes, memory_hard_bytes,
//! pressure, pressure_limit, stop_ms, drain_ms, command, needs, upstreams, critical}`; `command` is the program with its arguments, or the name of the unit of systemd; `why` is the reason as a word that does not
//! change (`code`) with its figures, `asked` why a human is asked (`critical`, `often`); `state` is one of `stopped`, `waiting`, `starting`, `ready`, `draining`, `stopping`, `backoff`,
//! `paused`, `failed`. Errors are `{"error": message}`: 404 for an unknown name, 409 for what does not fit the state, 503 when the
//! house is busy.
//!
//! A Store is `{name, path, bytes, files, cut, limit_bytes, limit_in_days, disk}`: what it takes, its budget if it has one, in how many
//! days that is used up as things go (then the oldest goes), and the id of its disk. A Disk is `{id, total_bytes, free_bytes,
//! store_bytes, may_grow_bytes, fits, full_in_days}`: `may_grow_bytes` is what all budgets on it still allow, `fits` whether that is free.

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::Console;
use crate::keeper::{NotFollowed, ProcessOrder};
use crate::refusal::refused;
use crate::session::Session;

/// By what the order was given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderFrom)]
pub(crate) struct From {
    from: Way,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = OrderWay)]
enum Way {
    #[serde(rename = "command line")]
    CommandLine,
}

pub(crate) async fn list(State(console): State<Console>) -> Response {
    match console.inner.keeper.processes().await {
        Some(processes) => Json(json!({ "processes": processes })).into_response(),
        None => busy(),
    }
}

pub(crate) async fn start(
    console: State<Console>,
    session: Extension<Session>,
    name: Path<String>,
    body: Bytes,
) -> Response {
    order("start", console, session, name, body).await
}

pub(crate) async fn stop(
    console: State<Console>,
    session: Extension<Session>,
    name: Path<String>,
    body: Bytes,
) -> Response {
    order("stop", console, session, name, body).await
}

pub(crate) async fn restart(
    console: State<Console>,
    session: Extension<Session>,
    name: Path<String>,
    body: Bytes,
) -> Response {
    order("restart", console, session, name, body).await
}

pub(crate) async fn confirm(
    console: State<Console>,
    session: Extension<Session>,
    name: Path<String>,
    body: Bytes,
) -> Response {
    order("confirm", console, session, name, body).await
}

async fn order(
    order: &'static str,
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    Path(process): Path<String>,
    body: Bytes,
) -> Response {
    let mut by = format!("console: {}", session.name());
    if !body.is_empty() && body.as_ref() != b"{}" {
        match serde_json::from_slice(&body) {
            Ok(From { from: Way::CommandLine }) => "command line".clone_into(&mut by),
            Err(error) => return refused(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }
    match console.inner.keeper.order(ProcessOrder { process, order, by }).await {
        Some(Ok(process)) => Json(process).into_response(),
        Some(Err(NotFollowed::Unknown(message))) => refused(StatusCode::NOT_FOUND, &message),
        Some(Err(NotFollowed::Refused(message))) => refused(StatusCode::CONFLICT, &message),
        None => busy(),
    }
}

pub(crate) async fn stores(State(console): State<Console>) -> Response {
    match console.inner.keeper.stores().await {
        Some(stores) => Json(stores).into_response(),
        None => busy(),
    }
}

fn busy() -> Response {
    refused(
        StatusCode::SERVICE_UNAVAILABLE,
        "the house is busy or stopping; records of kind process tell what comes of it",
    )
}
