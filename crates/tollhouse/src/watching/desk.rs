//! What the console and the command line ask about alerts: how rules stand, incidents, silences, what would have been told.

use std::sync::LazyLock;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tollhouse_config::{AlertConfig, AlertMeasure, ChannelConfig, Config};
use tollhouse_console::{Alerts, AlertsAnswer, AlertsAsk, AlertsRefusal};
use tollhouse_notify::Message;
use tollhouse_remote::Shelf;
use tollhouse_state::{Incident, LinkError, SAVED_RULES_MAX, State, StateError};
use tollhouse_units::{chain, format_duration};
use tollhouse_watch::{
    Backtest, Condition, FORECAST_MEMORY, LINK_PURPOSE, Stage, Troubles, acknowledged, backtest, rule_noted,
};

use super::saved::{self, Rules};
use super::{channel, report, rule};

/// How long a rule is tried for the console.
const BACKTEST_TIME_MAX: Duration = Duration::from_secs(25);
/// Rules that are tried at the same time for the console.
static BACKTESTS: Semaphore = Semaphore::const_new(2);
/// Channels that are tried at the same time for the console.
static TESTS: Semaphore = Semaphore::const_new(2);
/// How long a channel may take to say that it works.
const TEST_TIME_MAX: Duration = Duration::from_secs(30);
/// How long is asked how one objective stands.
const OBJECTIVE_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest name of a rule, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Incidents beside the rules.
const INCIDENTS_SHOWN: i64 = 100;

/// The rules that everybody has until the configuration says otherwise.
static BUILT_IN: LazyLock<Vec<AlertConfig>> = LazyLock::new(|| Config::default().alerts);

/// Answers about the alerts of one configuration.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) config: Config,
    pub(crate) state: State,
    pub(crate) shelf: Shelf,
    pub(crate) troubles: Troubles,
}

impl Alerts for Desk {
    fn answer(&self, ask: AlertsAsk) -> AlertsAnswer<'_> {
        Box::pin(async move {
            match ask {
                AlertsAsk::List => self.list().await,
                AlertsAsk::Incidents { before, limit } => self.incidents(before.as_deref(), limit).await,
                AlertsAsk::Incident(id) => self.incident(&id).await,
                AlertsAsk::Acknowledge { id, by } => self.acknowledge(&id, &by).await,
                AlertsAsk::Silence { rule, time } => self.silence(&rule, time).await,
                AlertsAsk::Backtest { name, rule, days } => self.backtest(&name, rule.as_deref(), days).await,
                AlertsAsk::Save { name, rule, by } => self.save(&name, &rule, &by).await,
                AlertsAsk::Remove { name, by } => self.remove(&name, &by).await,
                AlertsAsk::Test { channel } => self.test(&channel).await,
                AlertsAsk::Objectives => self.objectives().await,
                AlertsAsk::Forecast => self.forecast().await,
                AlertsAsk::Link { token, is_done } => self.link(&token, is_done).await,
            }
        })
    }
}

impl Desk {
    async fn list(&self) -> Result<Value, AlertsRefusal> {
        let now_ms = Timestamp::now().as_millisecond();
        let rules = rules(&self.config, &self.state, &self.troubles).await.map_err(failed)?;
        let mut incidents = self.state.open_incidents().await.map_err(failed)?;
        let recent = self.state.incidents_before(i64::MAX, INCIDENTS_SHOWN).await.map_err(failed)?;
        incidents.extend(recent.into_iter().filter(|incident| incident.ended_ms.is_some()));
        incidents.truncate(INCIDENTS_SHOWN as usize * 2);
        let silences = self.state.alert_silences().await.map_err(failed)?;
        let mut channels = Vec::new();
        for channel in &self.config.channels {
            let waiting = self.state.waiting_alerts(&channel.name).await.map_err(failed)?;
            let oldest = waiting.first().map(|waiting| time(waiting.created_ms));
            let kind = channel.kind.name();
            channels.push(json!({"name": channel.name, "kind": kind, "waiting": waiting.len(), "oldest": oldest}));
        }
        let mut reports = Vec::new();
        for config in self.config.reports.iter().filter(|report| report.on) {
            let told = self.state.alert_memory(&format!("report.{}", config.name)).await.map_err(failed)?;
            let next = report(config).ok().and_then(|report| report.next_due(now_ms)).map(time);
            let last = told.and_then(|told| told.parse().ok()).map(time);
            let (at, zone) = (config.at.to_string(), &config.zone);
            reports.push(json!({
                "name": config.name, "report": config.report.as_str(), "at": at, "zone": zone, "next": next, "last": last,
            }));
        }
        Ok(json!({
            "at": time(now_ms),
            "rules": rules,
            "incidents": incidents.iter().map(incident_json).collect::<Vec<_>>(),
            "silences": silences.iter().map(|(rule, until)| json!({"rule": rule, "until": time(*until)})).collect::<Vec<_>>(),
            "channels": channels,
            "reports": reports,
        }))
    }

    async fn incidents(&self, before: Option<&str>, limit: usize) -> Result<Value, AlertsRefusal> {
        let before_ms = match before.map(str::parse::<Timestamp>) {
            None => i64::MAX,
            Some(Ok(at)) => at.as_millisecond(),
            Some(Err(_)) => return Err(wrong("`before` is a moment such as 2026-01-27T08:00:00Z")),
        };
        let mut found = self.state.incidents_before(before_ms, limit as i64 + 1).await.map_err(failed)?;
        let more = found.len() > limit;
        found.truncate(limit);
        Ok(json!({"incidents": found.iter().map(incident_json).collect::<Vec<_>>(), "more": more}))
    }

    async fn incident(&self, id: &str) -> Result<Value, AlertsRefusal> {
        let found = self.state.incident(id).await.map_err(failed)?;
        found.as_ref().map(incident_json).ok_or_else(|| unknown("there is no incident with this id"))
    }

    async fn acknowledge(&self, id: &str, by: &str) -> Result<Value, AlertsRefusal> {
        let seen = acknowledge(&self.state, id, by).await.map_err(failed)?;
        seen.as_ref().map(incident_json).ok_or_else(|| unknown("there is no incident with this id"))
    }

    async fn silence(&self, rule: &str, time_from_now: Duration) -> Result<Value, AlertsRefusal> {
        if !self.rules().await?.alerts.iter().any(|alert| alert.name == rule) {
            return Err(unknown("there is no rule of this name"));
        }
        let span = i64::try_from(time_from_now.as_millis()).unwrap_or(i64::MAX / 2);
        let until_ms = Timestamp::now().as_millisecond() + span;
        self.state.silence_alerts(rule, until_ms).await.map_err(failed)?;
        let until = (!time_from_now.is_zero()).then(|| time(until_ms));
        Ok(json!({"rule": rule, "silenced_until": until}))
    }

    async fn backtest(&self, name: &str, text: Option<&str>, days: u32) -> Result<Value, AlertsRefusal> {
        let config = self.rules().await?.within(&self.config);
        let alert = match (text, config.alerts.iter().find(|alert| alert.name == name)) {
            (Some(text), _) => saved::read(&config, name, text).map_err(|why| wrong(&why))?,
            (None, Some(alert)) => alert.clone(),
            (None, None) => return Err(unknown("there is no rule of this name")),
        };
        let tried = rule(&alert).map_err(|error| wrong(&format!("{error:#}")))?;
        let busy = || AlertsRefusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "other rules are being tried; try again shortly".to_owned(),
        };
        let _turn = BACKTESTS.try_acquire().map_err(|_| busy())?;
        let run = backtest(&tried, &self.shelf, Timestamp::now().as_millisecond(), days);
        let Ok(result) = timeout(BACKTEST_TIME_MAX, run).await else {
            let error = "it takes too long here; fewer days, or `tollhouse alert backtest`".to_owned();
            return Err(AlertsRefusal { status: StatusCode::SERVICE_UNAVAILABLE, error });
        };
        let Backtest { fired, told, looks } = result.map_err(|error| AlertsRefusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: format!("{:#}", anyhow::Error::from(error)),
        })?;
        let message =
            |told: &tollhouse_watch::Told| json!({"at": time(told.at_ms), "state": told.state, "groups": told.groups});
        Ok(json!({
            "rule": name, "days": days, "fired": fired, "looks": looks, "yaml": alert.yaml(),
            "messages": told.iter().map(message).collect::<Vec<_>>(),
        }))
    }

    /// The rules in force, and those that are saved.
    async fn rules(&self) -> Result<Rules, AlertsRefusal> {
        Ok(Rules::of(&self.config, self.state.saved_rules().await.map_err(failed)?))
    }

    /// Keeps a rule; whoever asked has it put in force.
    async fn save(&self, name: &str, text: &str, by: &str) -> Result<Value, AlertsRefusal> {
        if !is_name(name) {
            return Err(wrong(
                "the name of a rule has letters, digits, `.`, `_` and `-`, 64 at most, and no sign first",
            ));
        }
        if saved::is_in_file(&self.config, name) {
            let error = "the configuration's file has a rule of this name; it is changed there".to_owned();
            return Err(AlertsRefusal { status: StatusCode::CONFLICT, error });
        }
        let mut others = self.state.saved_rules().await.map_err(failed)?;
        others.retain(|saved| saved.name != name);
        let known = Rules::of(&self.config, others).within(&self.config);
        let alert = saved::read(&known, name, text).map_err(|why| wrong(&why))?;
        if !self.state.save_rule(name, text, by).await.map_err(failed)? {
            let error = format!("{SAVED_RULES_MAX} rules are saved already");
            return Err(AlertsRefusal { status: StatusCode::CONFLICT, error });
        }
        self.note("saved", name, by).await?;
        Ok(json!({"rule": name, "yaml": alert.yaml()}))
    }

    async fn remove(&self, name: &str, by: &str) -> Result<Value, AlertsRefusal> {
        if !self.state.remove_rule(name).await.map_err(failed)? {
            return Err(unknown("no rule of this name is saved"));
        }
        self.note("removed", name, by).await?;
        Ok(json!({"rule": name}))
    }

    /// Has the journal told what somebody did with a rule.
    async fn note(&self, event: &str, rule: &str, by: &str) -> Result<(), AlertsRefusal> {
        self.state.alerts_told(&[], &[rule_noted(event, rule, by)]).await.map_err(failed)
    }

    /// Sends a message that shows that a channel works.
    async fn test(&self, name: &str) -> Result<Value, AlertsRefusal> {
        let known = self.config.channels.iter().find(|channel| channel.name == name);
        let wanted = known.cloned().ok_or_else(|| unknown("there is no channel of this name"))?;
        let _turn = TESTS.try_acquire().map_err(|_| AlertsRefusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            error: "another channel is being tried; try again shortly".to_owned(),
        })?;
        Ok(try_channel(&wanted, &self.config.service).await)
    }

    /// How all objectives stand.
    async fn objectives(&self) -> Result<Value, AlertsRefusal> {
        let now_ms = Timestamp::now().as_millisecond();
        let mut told = Vec::new();
        for alert in self.rules().await?.alerts.iter().filter(|alert| alert.on) {
            let AlertMeasure::Burn { bad, goal, over } = &alert.measure else { continue };
            let Ok(rule) = rule(alert) else { continue };
            let standing = timeout(OBJECTIVE_TIME_MAX, rule.standing(&self.shelf, now_ms)).await;
            let (groups, error) = match standing {
                Ok(Ok(groups)) => (groups, None),
                Ok(Err(error)) => (Vec::new(), Some(chain(&error))),
                Err(_) => (Vec::new(), Some("it takes too long".to_owned())),
            };
            told.push(json!({
                "rule": alert.name, "goal": goal, "over": format_duration(*over), "query": alert.query, "bad": bad,
                "group_by": alert.group_by, "groups": groups, "error": error,
            }));
        }
        Ok(json!({"at": time(now_ms), "objectives": told}))
    }

    async fn forecast(&self) -> Result<Value, AlertsRefusal> {
        let kept = self.state.alert_memory(FORECAST_MEMORY).await.map_err(failed)?;
        let kept = kept.and_then(|kept| serde_json::from_str(&kept).ok());
        Ok(kept.unwrap_or_else(|| json!({"at": null, "step": "1h", "interval": null, "series": [], "slots": null})))
    }

    async fn link(&self, token: &str, is_done: bool) -> Result<Value, AlertsRefusal> {
        let now_ms = Timestamp::now().as_millisecond();
        let subject = self.state.read_link(LINK_PURPOSE, token, now_ms).map_err(|error| AlertsRefusal {
            status: match error {
                LinkError::Forged => StatusCode::NOT_FOUND,
                LinkError::Expired => StatusCode::GONE,
            },
            error: error.to_string(),
        })?;
        let (id, channel) = subject.split_once('~').unwrap_or((&subject, ""));
        let by = format!("link of {channel}");
        let mut incident = if is_done { self.acknowledge(id, &by).await? } else { self.incident(id).await? };
        // Whatever else is done by this link is done by the same.
        incident["by"] = json!(by);
        Ok(incident)
    }
}

/// Sends a message that shows that a channel works: what became of it.
pub(crate) async fn try_channel(wanted: &ChannelConfig, service: &str) -> Value {
    let (name, kind) = (wanted.name.clone(), wanted.kind.name());
    let wanted = wanted.clone();
    let ready = spawn_blocking(move || channel(&wanted)).await;
    let (error, is_retryable, refused) = match ready {
        Err(error) => (Some(error.to_string()), false, Vec::new()),
        Ok(Err(error)) => (Some(format!("{error:#}")), false, Vec::new()),
        Ok(Ok(channel)) => match timeout(TEST_TIME_MAX, channel.send(&Message::test(&name, service))).await {
            Ok(Ok(delivered)) => (None, false, delivered.refused),
            Ok(Err(trouble)) => (Some(trouble.text), trouble.is_retryable, Vec::new()),
            Err(_) => (Some("no answer in time".to_owned()), true, Vec::new()),
        },
    };
    json!({
        "channel": name, "kind": kind, "ok": error.is_none(), "error": error, "retryable": is_retryable, "refused": refused,
    })
}

/// Whether a rule may be called this.
fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.len() <= NAME_BYTES_MAX && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain)
}

/// Notes that somebody looks after an incident.
pub(crate) async fn acknowledge(state: &State, id: &str, by: &str) -> Result<Option<Incident>, StateError> {
    let Some(known) = state.incident(id).await? else { return Ok(None) };
    state.acknowledge_incident(id, by, &acknowledged(id, &known.rule, by)).await
}

/// All rules of a configuration, and how they stand.
pub(crate) async fn rules(config: &Config, state: &State, troubles: &Troubles) -> Result<Vec<Value>, StateError> {
    let (kept, silences) = (state.alert_states().await?, state.alert_silences().await?);
    let mut conditions: Vec<(String, String, Condition)> = Vec::with_capacity(kept.len());
    for kept in kept {
        if let Ok(condition) = serde_json::from_str(&kept.body) {
            conditions.push((kept.rule, kept.group, condition));
        }
    }
    let is_up =
        |name: &String| conditions.iter().any(|(rule, _, condition)| rule == name && condition.stage != Stage::Calm);
    let in_force = Rules::of(config, state.saved_rules().await?);
    let told = in_force.alerts.iter().map(|alert| {
        let groups: Vec<_> = conditions.iter().filter(|(rule, ..)| *rule == alert.name).collect();
        let silence = silences.iter().find(|(rule, _)| *rule == alert.name).map(|(_, until)| *until);
        let held_by = alert.needs.iter().find(|name| is_up(name));
        rule_json(alert, &groups, silence, held_by, troubles.of(&alert.name).as_deref())
    });
    let mut told: Vec<Value> = told.collect();
    for saved in &in_force.saved {
        tell_saved(&mut told, saved);
    }
    Ok(told)
}

/// What was saved of a rule, beside what is in force.
fn tell_saved(told: &mut Vec<Value>, saved: &saved::Saved) {
    let kept = &saved.rule;
    let problem = saved.problem.as_ref().map(saved::Problem::text);
    let about = json!({"text": kept.body, "by": kept.owner, "at": time(kept.changed_ms), "problem": problem});
    if let Some(rule) = told.iter_mut().find(|rule| rule["name"] == kept.name.as_str()) {
        rule["saved"] = about;
        return;
    }
    // Nothing of this name is in force: its problem is all there is to tell.
    let mut rule = rule_json(&AlertConfig::nothing(&kept.name), &[], None, None, problem.as_deref());
    rule["saved"] = about;
    told.push(rule);
}

fn rule_json(
    alert: &AlertConfig,
    groups: &[&(String, String, Condition)],
    silence: Option<i64>,
    held_by: Option<&String>,
    error: Option<&str>,
) -> Value {
    let measure = rule(alert).ok().map(|rule| rule.settings().measure.clone());
    let shown = |value: f64| measure.as_ref().map_or_else(|| value.to_string(), |measure| measure.shown(value));
    let group = |(_, group, condition): &&(String, String, Condition)| {
        let (state, since) = stage(condition);
        json!({
            "group": group,
            "state": state,
            "since": since.map(time),
            "value": condition.value,
            "shown": condition.value.map(shown),
            "usual": condition.usual,
            "last_told": condition.told_ms.map(time),
            "incident": condition.told,
        })
    };
    let has = |wanted| groups.iter().any(|(_, _, condition)| stage(condition).0 == wanted);
    let state = match (alert.on, error, has("firing"), has("pending")) {
        (false, ..) => "off",
        (true, Some(_), ..) => "failing",
        (true, None, true, _) if held_by.is_some() => "held",
        (true, None, true, _) => "firing",
        (true, None, false, true) => "pending",
        (true, None, false, false) => "calm",
    };
    let quiet = alert
        .quiet
        .as_ref()
        .map(|quiet| json!({"from": quiet.from.to_string(), "to": quiet.to.to_string(), "zone": quiet.zone}));
    let escalate = alert.escalate.as_ref();
    json!({
        "name": alert.name,
        "on": alert.on,
        "origin": alert.origin.as_str(),
        "saved": null,
        "objective": objective_json(alert),
        "built_in": BUILT_IN.iter().any(|default| default.name == alert.name),
        "state": state,
        "error": error,
        "held_by": held_by.filter(|_| alert.on),
        "severity": alert.severity.as_str(),
        "query": alert.query,
        "measured": measure.as_ref().map(tollhouse_watch::Measure::named),
        "limit": if alert.baseline.is_some() { format!("{}%", alert.limit) } else { alert.limit.clone() },
        "baseline": alert.baseline.map(format_duration),
        "within": format_duration(alert.within),
        "group_by": alert.group_by,
        "for": format_duration(alert.hold),
        "samples": alert.samples,
        "cooldown": format_duration(alert.cooldown),
        "resolve": alert.resolve.map(format_duration),
        "quiet": quiet,
        "needs": alert.needs,
        "notify": alert.notify,
        "escalate": escalate.map(|to| json!({"after": format_duration(to.after), "notify": to.notify})),
        "runbook": alert.runbook,
        "runbook_said": runbook_said(&alert.name, alert.runbook.as_deref()),
        "silenced_until": silence.map(time),
        "yaml": alert.yaml(),
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
    })
}

/// What an objective says.
fn objective_json(alert: &AlertConfig) -> Value {
    match &alert.measure {
        AlertMeasure::Burn { bad, goal, over } => json!({"bad": bad, "goal": goal, "over": format_duration(*over)}),
        _ => Value::Null,
    }
}

fn stage(condition: &Condition) -> (&'static str, Option<i64>) {
    match condition.stage {
        Stage::Calm => ("calm", None),
        Stage::Pending { since_ms } => ("pending", Some(since_ms)),
        Stage::Firing { since_ms, .. } => ("firing", Some(since_ms)),
    }
}

/// An incident with what its message said.
pub(crate) fn incident_json(incident: &Incident) -> Value {
    let message: Option<Message> = serde_json::from_str(&incident.body).ok();
    let told = serde_json::to_value(&message).unwrap_or_default();
    let mut timeline =
        vec![json!({"at": time(incident.began_ms), "text": "told", "said": [said("moment_told", json!({}))]})];
    let mut add = |at: Option<i64>, text: String, said: Value| {
        timeline.extend(at.map(|at| json!({"at": time(at), "text": text, "said": [said]})));
    };
    let escalated = "nobody had acknowledged it: others were told".to_owned();
    add(incident.escalated_ms, escalated, said("moment_escalated", json!({})));
    if let Some((at, by)) = &incident.acknowledged {
        add(Some(*at), format!("acknowledged by {by}"), said("moment_acknowledged", json!({"by": by})));
    }
    add(incident.ended_ms, "over".to_owned(), said("moment_over", json!({})));
    timeline.sort_by_key(|entry| entry["at"].to_string());
    json!({
        "id": incident.id,
        "rule": incident.rule,
        "severity": told["severity"],
        "state": if incident.ended_ms.is_some() { "ended" } else { "open" },
        "title": told["title"],
        "title_said": told.get("title_told").cloned().unwrap_or_else(|| json!([])),
        "text": told["text"],
        "text_said": told.get("text_told").cloned().unwrap_or_else(|| json!([])),
        "groups": incident.open,
        "figures": told["figures"],
        "worst": told["worst"],
        "around": told["timeline"],
        "runbook": told["runbook"],
        "runbook_said": runbook_said(&incident.rule, told["runbook"].as_str()),
        "link": told["link"],
        "began": time(incident.began_ms),
        "ended": incident.ended_ms.map(time),
        "acknowledged": incident.acknowledged.as_ref().map(|(at, by)| json!({"at": time(*at), "by": by})),
        "escalated": incident.escalated_ms.map(time),
        "timeline": timeline,
    })
}

/// What to do by a code, `runbook_` and the name of the rule, where it is what that rule says from the start; nothing where
/// somebody has written it.
fn runbook_said(rule: &str, runbook: Option<&str>) -> Vec<Value> {
    let is_own = |default: &&AlertConfig| default.name == rule && default.runbook.as_deref() == runbook;
    let own = BUILT_IN.iter().find(is_own).filter(|_| runbook.is_some());
    own.map(|rule| said(&format!("runbook_{}", rule.name.replace('-', "_")), json!({}))).into_iter().collect()
}

/// One thing that is said, by a code that does not change.
#[expect(clippy::needless_pass_by_value, reason = "made for it where it is called")]
fn said(code: &str, figures: Value) -> Value {
    json!({"code": code, "figures": figures})
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn failed(error: StateError) -> AlertsRefusal {
    tracing::error!(error = %error, "reading or changing what is known of alerts");
    let error = "what is known of alerts cannot be reached right now".to_owned();
    AlertsRefusal { status: StatusCode::SERVICE_UNAVAILABLE, error }
}

fn wrong(error: &str) -> AlertsRefusal {
    AlertsRefusal { status: StatusCode::BAD_REQUEST, error: error.to_owned() }
}

fn unknown(error: &str) -> AlertsRefusal {
    AlertsRefusal { status: StatusCode::NOT_FOUND, error: error.to_owned() }
}
