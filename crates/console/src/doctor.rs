//! Doctor and advice in the console, for operators: what is wrong with this installation, and what the records advise.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /console/api/v1/doctor` | `{"security": true}` | what `tollhouse doctor --json` prints; 409, 503 |
//! | `POST /console/api/v1/advise` | `{"days": 7}` | what `tollhouse advise --json` prints; 400, 409, 503 |
//!
//! Both only look. One of each runs at a time: a second one is told so.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use tollhouse_doctor::{Findings, Setup, advice_json, advise as advice_of, hours_seen, questions};
use utoipa::ToSchema;

use crate::Console;
use crate::refusal::{read, refused};

/// How far back the records may be looked at.
const DAYS_MAX: u32 = 90;
const DAY_MS: i64 = 86_400_000;
const BUSY: &str = "one is under way already; try again when it has ended";
static EXAMINATIONS: Semaphore = Semaphore::const_new(1);
static ADVICES: Semaphore = Semaphore::const_new(1);

/// What is found, or why nothing can be.
pub type Examined<'a> = Pin<Box<dyn Future<Output = Result<Findings, String>> + Send + 'a>>;

/// Whoever looks at this installation.
pub trait Doctor: fmt::Debug + Send + Sync {
    /// The fault-finding chart, or the four layers of the defence.
    fn examine(&self, security: bool) -> Examined<'_>;

    /// How it is set up, as far as advice depends on it; of how many hours there are records is not known to it.
    fn setup(&self) -> Setup;
}

/// By which the console reaches it.
pub type DoctorKeeper = Arc<dyn Doctor>;

/// What is to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Examination {
    /// The four layers of the defence in place of the chart.
    #[serde(default)]
    security: bool,
}

/// Which records are to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdviceWanted {
    /// Those of so many days, up to 90.
    days: u32,
}

/// Looks at the installation.
pub(crate) async fn examine(State(console): State<Console>, body: Bytes) -> Response {
    let wanted: Examination = match read(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal,
    };
    let Ok(_place) = EXAMINATIONS.try_acquire() else { return refused(StatusCode::CONFLICT, BUSY) };
    let began = Instant::now();
    match console.inner.settings.doctor.examine(wanted.security).await {
        Ok(findings) => {
            let mut told = findings.to_json();
            told["took_ms"] = json!(began.elapsed().as_millis() as u64);
            Json(told).into_response()
        }
        Err(error) => refused(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

/// What the records advise.
pub(crate) async fn advise(State(console): State<Console>, body: Bytes) -> Response {
    let AdviceWanted { days } = match read(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal,
    };
    if !(1..=DAYS_MAX).contains(&days) {
        return refused(StatusCode::BAD_REQUEST, &format!("days must be 1 to {DAYS_MAX}"));
    }
    let Ok(_place) = ADVICES.try_acquire() else { return refused(StatusCode::CONFLICT, BUSY) };
    let now_ms = Timestamp::now().as_millisecond();
    let questions = questions(now_ms - i64::from(days) * DAY_MS);
    let indices = format!("{}-*", console.inner.settings.service);
    let mut answers = Vec::with_capacity(questions.len());
    for question in &questions {
        let found = tollhouse_elastic::searched_here(&console.inner.shelf, &indices, &question.search).await;
        let answer = found.map_err(|error| error.to_string());
        match answer.and_then(|found| serde_json::to_value(found).map_err(|error| error.to_string())) {
            Ok(answer) => answers.push(answer),
            Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, &error),
        }
    }
    let hours = hours_seen(&answers, f64::from(days) * 24.0, now_ms);
    let all = advice_of(&answers, &Setup { hours, ..console.inner.settings.doctor.setup() });
    Json(advice_json(&all, &questions)).into_response()
}
