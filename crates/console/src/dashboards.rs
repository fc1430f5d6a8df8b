//! Dashboards in the console: listed, kept, changed, removed, and taken over from Kibana.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/dashboards` | | `{"dashboards": […]}`, by name |
//! | `POST /console/api/v1/dashboards` | [`Dashboard`] | 201, the dashboard with its `id` |
//! | `PUT /console/api/v1/dashboards/{id}` | [`Dashboard`] | the dashboard as it is now |
//! | `DELETE /console/api/v1/dashboards/{id}` | | 204 |
//! | `POST /console/api/v1/dashboards/import` | saved objects of Kibana (NDJSON), or a dashboard as JSON | `{"dashboards", "notes"}`: what it would be; nothing is kept |
//!
//! Errors are `{"error": message}`: 400 for what makes no sense, 404 for an unknown id, 409 for a name that is taken and
//! when no more are kept.

mod kibana;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use tollhouse_state::{DASHBOARDS_MAX, Dashboard};

use crate::Console;
use crate::named::Named;
use crate::refusal::refused;
use crate::session::Session;

const DASHBOARDS: Named = Named { one: "dashboard", many: "dashboards", all: "the dashboards", max: DASHBOARDS_MAX };

pub(crate) async fn list(State(console): State<Console>) -> Response {
    match console.inner.state.dashboards().await {
        Ok(dashboards) => Json(json!({"dashboards": dashboards})).into_response(),
        Err(error) => DASHBOARDS.failed(&error),
    }
}

pub(crate) async fn create(
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    body: Bytes,
) -> Response {
    match read(&body) {
        Ok(dashboard) => {
            DASHBOARDS.answer(StatusCode::CREATED, console.inner.state.keep_dashboard(&dashboard, session.name()).await)
        }
        Err(message) => refused(StatusCode::BAD_REQUEST, &message),
    }
}

pub(crate) async fn change(
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    match read(&body) {
        Ok(dashboard) => DASHBOARDS
            .answer(StatusCode::OK, console.inner.state.change_dashboard(&id, &dashboard, session.name()).await),
        Err(message) => refused(StatusCode::BAD_REQUEST, &message),
    }
}

pub(crate) async fn remove(State(console): State<Console>, Path(id): Path<String>) -> Response {
    DASHBOARDS.removed(console.inner.state.remove_dashboard(&id).await)
}

/// Says what a file would become; whoever likes it keeps it by another call.
pub(crate) async fn import(body: Bytes) -> Response {
    let Ok(text) = std::str::from_utf8(&body) else { return refused(StatusCode::BAD_REQUEST, "the file is no text") };
    // Our own export is one object; Kibana's has one a line.
    if let Ok(dashboard) = read(&body) {
        return Json(json!({"dashboards": [dashboard], "notes": []})).into_response();
    }
    match kibana::read(text) {
        Ok(read) => Json(json!({"dashboards": read.dashboards, "notes": read.notes})).into_response(),
        Err(message) => refused(StatusCode::BAD_REQUEST, &message),
    }
}

fn read(body: &[u8]) -> Result<Dashboard, String> {
    let mut dashboard: Dashboard = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    dashboard.name = dashboard.name.trim().to_owned();
    dashboard.check()?;
    Ok(dashboard)
}
