//! Alerts in the console: rules and how they stand, incidents, silences, what a rule would have told, what is to be expected.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `GET /console/api/v1/alerts` | | `{"rules": […], "incidents": […], "silences": […], "channels": […], "reports": […]}` |
//! | `GET /console/api/v1/alerts/incidents?before=…&limit=…` | | `{"incidents": […], "more": …}`, newest first |
//! | `GET /console/api/v1/alerts/incidents/{id}` | | one incident; 404 |
//! | `POST /console/api/v1/alerts/incidents/{id}/acknowledge` | | the incident; 404 |
//! | `POST /console/api/v1/alerts/{rule}/silence` | `{"for": "2h"}` | until when; 400, 404 |
//! | `POST /console/api/v1/alerts/{rule}/unsilence` | | the same |
//! | `POST /console/api/v1/alerts/backtest` | `{"name": …, "rule": …, "days": …}` | what it would have told; 400, 404, 503 |
//! | `PUT /console/api/v1/alerts/rules/{rule}` | `{"rule": …}` | the rule as it is in force; 400, 409 |
//! | `DELETE /console/api/v1/alerts/rules/{rule}` | | 404 |
//! | `POST /console/api/v1/alerts/channels/{channel}/test` | | whether the channel took a message; 404, 503 |
//! | `GET /console/api/v1/alerts/objectives` | | what is left of each objective's budget |
//! | `GET /console/api/v1/forecast` | | series with what is to be expected of them |
//!
//! A signed link of a message (`/console/link/{token}`) needs no session: `GET` only shows what it is for, because programs
//! that look at mails follow links; `POST`, which its button sends, does it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tollhouse_state::Session;
use tollhouse_units::parse_duration;
use tollhouse_web::escaped;
use utoipa::ToSchema;

use crate::refusal::refused;
use crate::{Console, confirm};

/// Incidents of one answer.
const INCIDENTS_MAX: usize = 200;
/// The longest silence.
const SILENCE_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
/// Longest text of a rule, in bytes.
const RULE_BYTES_MAX: usize = 16 * 1024;
/// Days that a rule is tried with here; the command line goes farther.
const DAYS_MAX: u32 = 31;
/// The page of a link loads nothing, and its button may only lead back to it.
const LINK_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is asked of whoever keeps the alerts.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertsAsk {
    /// Rules, open incidents, silences, channels, reports.
    List,
    /// Incidents that began before a moment (RFC 3339; now when absent), at most so many.
    Incidents {
        /// The moment.
        before: Option<String>,
        /// How many.
        limit: usize,
    },
    /// One incident.
    Incident(String),
    /// Somebody looks after an incident.
    Acknowledge {
        /// Which one.
        id: String,
        /// Who.
        by: String,
    },
    /// Nothing is told of a rule for so long; told again when that is zero.
    Silence {
        /// The rule.
        rule: String,
        /// For how long.
        time: Duration,
    },
    /// What a rule would have told.
    Backtest {
        /// Its name.
        name: String,
        /// Its settings as YAML; those in force when absent.
        rule: Option<String>,
        /// Of how many days.
        days: u32,
    },
    /// Keeps a rule in place of the one of its name.
    Save {
        /// Its name.
        name: String,
        /// Its settings as YAML.
        rule: String,
        /// Who.
        by: String,
    },
    /// Forgets a saved rule.
    Remove {
        /// Its name.
        name: String,
        /// Who.
        by: String,
    },
    /// Whether a channel works.
    Test {
        /// Its name.
        channel: String,
    },
    /// What is left of each objective's budget.
    Objectives,
    /// What is to be expected.
    Forecast,
    /// What a signed link is for, and with `by` set, doing it.
    Link {
        /// Its token.
        token: String,
        /// Whether to do it.
        is_done: bool,
    },
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AlertsRefusal {
    /// The status.
    pub status: StatusCode,
    /// What is wrong.
    pub error: String,
}

/// An answer that is under way.
pub type AlertsAnswer<'a> = Pin<Box<dyn Future<Output = Result<Value, AlertsRefusal>> + Send + 'a>>;

/// Whoever keeps the alerts: the console itself knows nothing of them.
pub trait Alerts: fmt::Debug + Send + Sync {
    /// Answers one question.
    fn answer(&self, ask: AlertsAsk) -> AlertsAnswer<'_>;
}

/// The keeper of the alerts, as the console holds it.
pub type AlertsKeeper = Arc<dyn Alerts>;

async fn asked(console: &Console, ask: AlertsAsk) -> Response {
    match console.inner.settings.alerts.answer(ask).await {
        Ok(answer) => Json(answer).into_response(),
        Err(AlertsRefusal { status, error }) => refused(status, &error),
    }
}

pub(crate) async fn list(State(console): State<Console>) -> Response {
    asked(&console, AlertsAsk::List).await
}

pub(crate) async fn objectives(State(console): State<Console>) -> Response {
    asked(&console, AlertsAsk::Objectives).await
}

pub(crate) async fn test(State(console): State<Console>, Path(channel): Path<String>) -> Response {
    asked(&console, AlertsAsk::Test { channel }).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleText {
    /// The rule's settings as YAML, or `off`.
    rule: String,
}

pub(crate) async fn save(
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    let by = format!("console: {}", session.name());
    match serde_json::from_slice::<RuleText>(&body) {
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
        Ok(RuleText { rule }) if rule.len() > RULE_BYTES_MAX => {
            refused(StatusCode::BAD_REQUEST, &format!("the rule is longer than {RULE_BYTES_MAX} bytes"))
        }
        Ok(RuleText { rule }) => changed(&console, AlertsAsk::Save { name, rule, by }).await,
    }
}

pub(crate) async fn remove(
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
) -> Response {
    let by = format!("console: {}", session.name());
    changed(&console, AlertsAsk::Remove { name, by }).await
}

/// Answers when what was changed is in force.
async fn changed(console: &Console, ask: AlertsAsk) -> Response {
    let answer = asked(console, ask).await;
    if answer.status().is_success() {
        console.inner.keeper.rules_changed().await;
    }
    answer
}

pub(crate) async fn forecast(State(console): State<Console>) -> Response {
    asked(&console, AlertsAsk::Forecast).await
}

#[derive(Deserialize)]
pub(crate) struct Older {
    before: Option<String>,
    limit: Option<usize>,
}

pub(crate) async fn incidents(State(console): State<Console>, Query(older): Query<Older>) -> Response {
    let limit = older.limit.unwrap_or(50).clamp(1, INCIDENTS_MAX);
    asked(&console, AlertsAsk::Incidents { before: older.before, limit }).await
}

pub(crate) async fn incident(State(console): State<Console>, Path(id): Path<String>) -> Response {
    asked(&console, AlertsAsk::Incident(id)).await
}

pub(crate) async fn acknowledge(
    State(console): State<Console>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Response {
    let by = format!("console: {}", session.name());
    asked(&console, AlertsAsk::Acknowledge { id, by }).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Silence {
    r#for: String,
}

pub(crate) async fn silence(State(console): State<Console>, Path(rule): Path<String>, body: Bytes) -> Response {
    let time = serde_json::from_slice::<Silence>(&body)
        .map_err(|error| error.to_string())
        .and_then(|silence| parse_duration(&silence.r#for).map_err(|error| error.to_string()));
    match time {
        Ok(time) if time.is_zero() || time > SILENCE_MAX => {
            refused(StatusCode::BAD_REQUEST, "`for` is a time above 0 and at most 90d")
        }
        Ok(time) => asked(&console, AlertsAsk::Silence { rule, time }).await,
        Err(error) => refused(StatusCode::BAD_REQUEST, &error),
    }
}

pub(crate) async fn unsilence(State(console): State<Console>, Path(rule): Path<String>) -> Response {
    asked(&console, AlertsAsk::Silence { rule, time: Duration::ZERO }).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backtest {
    name: String,
    rule: Option<String>,
    days: u32,
}

pub(crate) async fn backtest(State(console): State<Console>, body: Bytes) -> Response {
    match serde_json::from_slice::<Backtest>(&body) {
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
        Ok(asked) if asked.days == 0 || asked.days > DAYS_MAX => {
            refused(StatusCode::BAD_REQUEST, &format!("`days` is from 1 to {DAYS_MAX}"))
        }
        Ok(asked) if asked.rule.as_ref().is_some_and(|rule| rule.len() > RULE_BYTES_MAX) => {
            refused(StatusCode::BAD_REQUEST, &format!("the rule is longer than {RULE_BYTES_MAX} bytes"))
        }
        Ok(Backtest { name, rule, days }) => asked_backtest(&console, name, rule, days).await,
    }
}

async fn asked_backtest(console: &Console, name: String, rule: Option<String>, days: u32) -> Response {
    asked(console, AlertsAsk::Backtest { name, rule, days }).await
}

/// Shows what a link is for.
pub(crate) async fn show_link(State(console): State<Console>, Path(token): Path<String>) -> Response {
    let answer = console.inner.settings.alerts.answer(AlertsAsk::Link { token, is_done: false }).await;
    let more = match &answer {
        Ok(incident) => confirm::offer(&console, incident).await,
        Err(_) => String::new(),
    };
    link_page(&answer, &more)
}

/// Does what a link is for: says that somebody looks after the incident, and first confirms the process that the form names.
pub(crate) async fn follow_link(State(console): State<Console>, Path(token): Path<String>, body: Bytes) -> Response {
    let ask = |is_done| AlertsAsk::Link { token: token.clone(), is_done };
    let alerts = &console.inner.settings.alerts;
    let mut more = String::new();
    if let Some(name) = confirm::named(&body)
        && let Ok(incident) = alerts.answer(ask(false)).await
    {
        more = confirm::confirm(&console, &incident, &name).await;
    }
    link_page(&alerts.answer(ask(true)).await, &more)
}

fn link_page(answer: &Result<Value, AlertsRefusal>, more: &str) -> Response {
    let (status, body) = match answer {
        Err(AlertsRefusal { status, error }) => (*status, format!("<h1>{}</h1>", escaped(error))),
        Ok(incident) => (StatusCode::OK, incident_page(incident) + more),
    };
    page(status, &body)
}

/// A page of its own for whoever follows a link: nothing is loaded, and its address goes nowhere.
pub(crate) fn page(status: StatusCode, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>tollhouse</title><meta name=\"viewport\" \
         content=\"width=device-width\"><style>:root{{color-scheme:light dark}}\
         body{{font-family:sans-serif;line-height:1.5;max-width:40rem;margin:3rem auto;padding:0 1rem}}\
         button{{font-size:1.1rem;padding:.6rem 1.2rem}}</style></head><body>{body}</body></html>"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, LINK_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The address is a right: it goes nowhere else.
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, page).into_response()
}

fn incident_page(incident: &Value) -> String {
    let text = |name: &str| escaped(incident[name].as_str().unwrap_or_default());
    let state = match (&incident["acknowledged"], incident["state"].as_str()) {
        (Value::Object(seen), _) => {
            let part = |name: &str| escaped(seen.get(name).and_then(Value::as_str).unwrap_or_default());
            let (by, at) = (part("by"), part("at"));
            format!("<p>{by} looks after it since {at}.</p><p lang=\"zh-CN\">{by} 自 {at} 起负责处理。</p>")
        }
        (_, Some("ended")) => "<p>It is over.</p><p lang=\"zh-CN\">已结束。</p>".to_owned(),
        _ => "<p>Nobody has said yet that they look after it.</p><p lang=\"zh-CN\">还没有人表示在处理。</p>\
              <form method=\"post\"><button>I look after it · <span lang=\"zh-CN\">我来处理</span></button></form>"
            .to_owned(),
    };
    format!("<h1>{}</h1><p>{} · since {}</p>{state}", text("title"), text("rule"), text("began"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_links_page_shows_a_button_only_while_it_can_do_something() {
        let incident = json!({
            "title": "<b>slow</b>", "rule": "slow-model", "began": "2026-01-27T08:00:00Z", "state": "open",
            "acknowledged": null,
        });
        let page = incident_page(&incident);
        assert!(page.contains("<button>") && page.contains("&lt;b&gt;slow") && !page.contains("<b>"));
        let mut seen = incident.clone();
        seen["acknowledged"] = json!({"by": "link of ops", "at": "2026-01-27T08:01:00Z"});
        assert!(!incident_page(&seen).contains("<button>") && incident_page(&seen).contains("link of ops"));
        let mut over = incident;
        over["state"] = json!("ended");
        assert!(!incident_page(&over).contains("<button>"));
        let refused = AlertsRefusal { status: StatusCode::GONE, error: "this link has expired".to_owned() };
        assert_eq!(link_page(&Err(refused), "").status(), StatusCode::GONE);
    }
}
