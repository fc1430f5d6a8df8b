//! Batches and answers that come later in the console: those of everybody, how they stand, and their end.
//!
//! | call | answer |
//! |---|---|
//! | `GET /console/api/v1/batches?limit=&after=` | batches, the newest first, and what is kept altogether |
//! | `POST /console/api/v1/batches/{id}/cancel` | the batch as it is then |
//! | `GET /console/api/v1/later?limit=&after=` | requests that are answered later, the newest first |
//! | `POST /console/api/v1/later/{id}/cancel` | the request as it is then |
//!
//! Nothing here shows a prompt or an answer: those belong to the keys that sent and got them. Errors are `{"error": message}`: 404
//! for what there is not, 409 for what is over, 503 while there are no batches.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tollhouse_batches::{BatchError, BatchUse, ConsoleBatch, ConsoleLater, Overseer};
use tollhouse_units::chain;
use utoipa::ToSchema;

use crate::Console;
use crate::refusal::refused;
use crate::session::{audit, tell};
use crate::users::Doer;

/// Entries of a page where nothing is said.
const PAGE: u32 = 50;
/// What is said while there are no batches.
const OFF: &str = "there are no batches here: the configuration has no `batches`";

/// What the house does for the batches in the console.
pub trait BatchHouse: fmt::Debug + Send + Sync {
    /// Who sees them all; nobody while there are none.
    fn overseer(&self) -> Option<Overseer>;
}

/// By which the console reaches them.
pub type BatchKeeper = Arc<dyn BatchHouse>;

/// A page of batches.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct BatchPage {
    /// Whether there are any: the configuration says `batches`.
    on: bool,
    batches: Vec<ConsoleBatch>,
    /// There are older ones.
    has_more: bool,
    /// What is kept altogether.
    r#use: Option<BatchUse>,
}

/// A page of requests that are answered later.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct LaterPage {
    /// Whether there are any: the configuration says `batches`.
    on: bool,
    later: Vec<ConsoleLater>,
    /// There are older ones.
    has_more: bool,
}

#[derive(Deserialize)]
pub(crate) struct Wanted {
    after: Option<String>,
    limit: Option<u32>,
}

pub(crate) async fn list(State(console): State<Console>, Query(wanted): Query<Wanted>) -> Response {
    let Some(overseer) = console.inner.settings.batches.overseer() else {
        return Json(BatchPage::default()).into_response();
    };
    let page = async {
        let (batches, has_more) = overseer.batches(wanted.after, wanted.limit.unwrap_or(PAGE)).await?;
        Ok(BatchPage { on: true, batches, has_more, r#use: Some(overseer.used().await?) })
    };
    answered(page.await)
}

pub(crate) async fn cancel(State(console): State<Console>, doer: Doer, Path(id): Path<String>) -> Response {
    let Some(overseer) = console.inner.settings.batches.overseer() else { return off() };
    let cancelled = overseer.cancel(&id).await;
    if cancelled.is_ok() {
        tell(&console, audit("batch cancelled", &doer.session, doer.client).field("batch", id));
    }
    answered(cancelled)
}

pub(crate) async fn later(State(console): State<Console>, Query(wanted): Query<Wanted>) -> Response {
    let Some(overseer) = console.inner.settings.batches.overseer() else {
        return Json(LaterPage::default()).into_response();
    };
    let page = async {
        let (later, has_more) = overseer.later(wanted.after, wanted.limit.unwrap_or(PAGE)).await?;
        Ok(LaterPage { on: true, later, has_more })
    };
    answered(page.await)
}

pub(crate) async fn cancel_later(State(console): State<Console>, doer: Doer, Path(id): Path<String>) -> Response {
    let Some(overseer) = console.inner.settings.batches.overseer() else { return off() };
    let cancelled = overseer.cancel_later(&id).await;
    if cancelled.is_ok() {
        tell(&console, audit("deferred request cancelled", &doer.session, doer.client).field("batch", id));
    }
    answered(cancelled)
}

fn off() -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, OFF)
}

fn answered<T: Serialize>(answer: Result<T, BatchError>) -> Response {
    let error = match answer {
        Ok(answer) => return Json(answer).into_response(),
        Err(error) => error,
    };
    let (status, _) = error.told();
    if status.is_server_error() {
        tracing::error!(error = chain(&error), "asking what is kept of batches");
        return refused(StatusCode::SERVICE_UNAVAILABLE, "what is kept of batches cannot be reached right now");
    }
    refused(status, &error.to_string())
}
