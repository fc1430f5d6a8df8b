//! What a look leads to: first it is kept, then it is told. Incidents, their links, who is told later, reports, the forecast.

use serde_json::json;
use tollhouse_notify::{Message, Table};
use tollhouse_state::{AlertChanges, AlertIntent, AlertState, Incident};
use tollhouse_units::format_duration;

use super::Task;
use crate::around;
use crate::ask::{Finding, line};
use crate::condition::Stage;
use crate::courier::Courier;
use crate::error::WatchError;
use crate::expected::{HOUR_MS, expected};
use crate::report::Report;
use crate::round::{Outcome, round};
use crate::rule::Rule;
use crate::telling::{self, Beside, Newest};

/// A report that is farther ahead than this was planned by a clock that was set meanwhile.
const REPORT_AHEAD_MS: i64 = 26 * 3_600_000;
/// How long a link of a message is good.
const LINK_TIME_MS: i64 = 7 * 24 * 3_600_000;
/// What such a link is for, as it is signed.
pub const LINK_PURPOSE: &str = "acknowledge";

/// The record of an incident that somebody has acknowledged, in the form that [`State::acknowledge_incident`] keeps.
pub fn acknowledged(incident: &str, rule: &str, by: &str) -> String {
    let fields = json!({"alert_event": "acknowledged", "alert_rule": rule, "alert_message": incident, "alert_by": by});
    telling::record("acknowledged", &format!("alert {rule} is looked after by {by}"), &fields)
}

/// The record of what somebody did with a rule (`saved`, `removed`), in the same form.
pub fn rule_noted(event: &str, rule: &str, by: &str) -> String {
    let fields = json!({"alert_event": event, "alert_rule": rule, "alert_by": by});
    telling::record(event, &format!("rule {rule} was {event} by {by}"), &fields)
}

impl Task {
    /// The rule that keeps this one from being told: one that it needs, and that is an alert or about to become one.
    fn held_by(&self, rule: &Rule) -> Option<String> {
        let is_up = |name: &&String| {
            let conditions = self.conditions.get(*name);
            conditions.is_some_and(|groups| groups.values().any(|condition| condition.stage != Stage::Calm))
        };
        rule.settings().needs.iter().find(is_up).cloned()
    }

    /// Keeps what became of a rule and what is to be told of it, and has it told.
    pub(super) async fn take(
        &mut self,
        rule: &Rule,
        findings: &[Finding],
        now_ms: i64,
        is_silenced: bool,
    ) -> Result<(), WatchError> {
        let mut conditions = self.conditions.get(rule.name()).cloned().unwrap_or_default();
        let id = format!("{}.{now_ms:x}", rule.name());
        let held_by = self.held_by(rule);
        let is_held = is_silenced || held_by.is_some() || rule.is_quiet(now_ms);
        let outcome = round(rule, &mut conditions, findings, now_ms, is_held, &id);
        if outcome == Outcome::default() {
            return Ok(());
        }
        let mut changes = self.intents(rule, &outcome, &id, now_ms).await;
        if let Some(by) = held_by {
            let held = outcome.held.iter().map(|change| telling::held(rule, change, &by));
            changes.intents.extend(held.map(|body| AlertIntent { channel: String::new(), body }));
        }
        for group in &outcome.changed {
            let body = serde_json::to_string(&conditions[group]).unwrap_or_default();
            changes.changed.push(AlertState { rule: rule.name().to_owned(), group: group.clone(), body });
        }
        changes.forgotten = outcome.forgotten.iter().map(|group| (rule.name().to_owned(), group.clone())).collect();
        changes.ended = outcome.ended;
        self.keep(&changes).await?;
        // Only what is kept is so.
        self.conditions.insert(rule.name().to_owned(), conditions);
        Ok(())
    }

    /// Keeps changes, and has told what is to be told.
    pub(super) async fn keep(&self, changes: &AlertChanges) -> Result<(), WatchError> {
        let dropped = self.desk.state.keep_alerts(changes).await?;
        if dropped > 0 {
            tracing::warn!(dropped, "too many messages wait; the oldest were dropped");
        }
        self.couriers.iter().for_each(Courier::wake);
        Ok(())
    }

    async fn intents(&self, rule: &Rule, outcome: &Outcome, id: &str, now_ms: i64) -> AlertChanges {
        let record = |body: String| AlertIntent { channel: String::new(), body };
        let mut changes = AlertChanges::default();
        changes.intents.extend(outcome.fired.iter().map(|change| record(telling::changed(rule, "firing", change))));
        changes
            .intents
            .extend(outcome.resolved.iter().map(|change| record(telling::changed(rule, "resolved", change))));
        let notify = rule.settings().notify.as_ref();
        if !outcome.tell_resolved.is_empty() && rule.settings().tells_end {
            let id = format!("{id}.end");
            let message = telling::resolved(rule, &self.plan.place, &id, &outcome.tell_resolved, now_ms);
            changes.intents.extend(self.plan.wanted(notify).map(|channel| intent(channel, &message)));
        }
        if !outcome.tell_firing.is_empty() {
            let beside = self.beside(rule, outcome, now_ms).await;
            let message = telling::firing(rule, &self.plan.place, id, &outcome.tell_firing, beside, now_ms);
            let to = self.plan.wanted(notify);
            changes.intents.extend(to.map(|channel| intent(channel, &self.with_link(&message, channel, now_ms))));
            let groups = outcome.tell_firing.iter().map(|change| change.group.clone()).collect();
            let after = rule.settings().escalate.as_ref().map(|escalate| escalate.after);
            let escalate_ms =
                after.map(|after| now_ms.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)));
            let body = serde_json::to_string(&message).unwrap_or_default();
            changes.opened.push(Incident::new(id, rule.name(), body, groups, now_ms, escalate_ms));
        }
        changes
    }

    /// What stands beside a message; without it, that is still worth telling.
    async fn beside(&self, rule: &Rule, outcome: &Outcome, now_ms: i64) -> Beside {
        let groups: Vec<&str> = outcome.tell_firing.iter().map(|change| change.group.as_str()).collect();
        let is_below = rule.settings().limit.to_string().starts_with('<');
        let chart = match around::worst_of(&outcome.tell_firing, is_below) {
            Some(change) => rule.chart(&self.shelf, now_ms, change).await.ok().flatten(),
            None => None,
        };
        let lookback = telling::lookback_ms(rule, &outcome.tell_firing);
        let left = match &outcome.tell_firing[..] {
            [one] => self.left(rule, &one.group, now_ms).await,
            _ => None,
        };
        let worst = rule.worst(&self.shelf, (now_ms.saturating_sub(lookback), now_ms), &groups).await;
        let worst = worst.unwrap_or_default();
        Beside {
            left,
            newest: worst.first().and_then(Newest::of),
            worst: worst.iter().map(line).collect(),
            timeline: rule.timeline(&self.shelf, now_ms).await.unwrap_or_default(),
            chart,
            holds: self.plan.dependents(rule.name()),
        }
    }

    /// The share of an objective's budget that is left in a group.
    async fn left(&self, rule: &Rule, group: &str, now_ms: i64) -> Option<f64> {
        let standing = rule.standing(&self.shelf, now_ms).await.ok()?;
        standing.into_iter().find(|standing| standing.group == group).map(|standing| standing.left)
    }

    /// The message with a link for this channel, by which it is acknowledged.
    fn with_link(&self, message: &Message, channel: &str, now_ms: i64) -> Message {
        let incident = message.id.trim_end_matches(".escalated");
        let token = self.desk.state.sign_link(LINK_PURPOSE, &format!("{incident}~{channel}"), now_ms + LINK_TIME_MS);
        Message { acknowledge: telling::acknowledge_link(&self.plan.place, &token), ..message.clone() }
    }

    /// Tells others of incidents that nobody has acknowledged in time.
    pub(super) async fn escalate(&mut self, now_ms: i64) -> Result<(), WatchError> {
        for incident in self.desk.state.incidents_to_escalate(now_ms).await? {
            let rule = self.plan.rules.iter().find(|rule| rule.name() == incident.rule);
            let Some((rule, escalate)) = rule.and_then(|rule| Some((rule, rule.settings().escalate.as_ref()?))) else {
                continue;
            };
            // Afterwards, if it is still so.
            if rule.is_quiet(now_ms) {
                continue;
            }
            let Ok(told) = serde_json::from_str::<Message>(&incident.body) else { continue };
            let message = telling::escalated(&told, &format_duration(escalate.after), now_ms);
            let to = self.plan.wanted(Some(&escalate.notify));
            let mut intents: Vec<AlertIntent> =
                to.map(|channel| intent(channel, &self.with_link(&message, channel, now_ms))).collect();
            let fields = json!({
                "alert_event": "escalated", "alert_rule": incident.rule, "alert_message": incident.id,
                "alert_channels": escalate.notify,
            });
            let msg = format!("nobody has acknowledged {}; others are told", incident.id);
            intents.push(AlertIntent { channel: String::new(), body: telling::record("escalated", &msg, &fields) });
            self.keep(&AlertChanges { intents, escalated: vec![incident.id], ..AlertChanges::default() }).await?;
        }
        self.escalation_ms = self.desk.state.next_escalation_ms().await?;
        Ok(())
    }

    /// Tells the reports that are due. One that was due while the house was away is told late, and only the last one.
    pub(super) async fn report(&mut self, now_ms: i64) -> Result<(), WatchError> {
        if self.report_ms.is_some_and(|due| now_ms < due && due - now_ms <= REPORT_AHEAD_MS) {
            return Ok(());
        }
        let plan = self.plan.clone();
        let mut next = None;
        for report in &plan.reports {
            let name = format!("report.{}", report.name);
            let told = self.desk.state.alert_memory(&name).await?.and_then(|told| told.parse::<i64>().ok());
            let Some((due, span)) = report.last_due(now_ms) else { continue };
            let mut changes = AlertChanges { memory: vec![(name, due.to_string())], ..AlertChanges::default() };
            // A house that has just begun has no yesterday.
            if told.is_some_and(|told| told < due) {
                let tables = report.kind.tables(&self.shelf, span, report.rows_max).await?;
                changes.intents = self.report_intents(report, tables, due, now_ms);
            }
            if told.is_none_or(|told| told < due) {
                self.keep(&changes).await?;
            }
            next = [next, report.next_due(now_ms)].into_iter().flatten().min();
        }
        self.report_ms = Some(next.unwrap_or(now_ms + REPORT_AHEAD_MS));
        Ok(())
    }

    /// Makes the forecast once an hour.
    pub(super) async fn expect(&mut self, now_ms: i64) -> Result<(), WatchError> {
        let hour = now_ms.div_euclid(HOUR_MS);
        if hour == self.forecast_hour {
            return Ok(());
        }
        // Whatever comes of it: the next one is made in an hour.
        self.forecast_hour = hour;
        let changes = expected(&self.shelf, now_ms, self.plan.places).await?;
        self.keep(&changes).await
    }

    fn report_intents(&self, report: &Report, tables: Vec<Table>, due_ms: i64, now_ms: i64) -> Vec<AlertIntent> {
        let fields = json!({"alert_event": "report", "alert_rule": report.name, "alert_tables": tables.len()});
        let body = telling::record("report", &format!("report {} of the day before", report.name), &fields);
        let mut intents = vec![AlertIntent { channel: String::new(), body }];
        if !tables.is_empty() {
            let message = telling::report(&self.plan.place, &report.name, tables, due_ms, now_ms);
            intents.extend(self.plan.wanted(report.notify.as_ref()).map(|channel| intent(channel, &message)));
        }
        intents
    }
}

fn intent(channel: &str, message: &Message) -> AlertIntent {
    AlertIntent { channel: channel.to_owned(), body: serde_json::to_string(message).unwrap_or_default() }
}
