//! The task that looks at the rules whenever new records can be found.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tollhouse_journal::Journal;
use tollhouse_notify::{Channel, Message, Table};
use tollhouse_remote::Shelf;
use tollhouse_state::{AlertChanges, AlertIntent, AlertState, Incident, State};
use tollhouse_units::format_duration;

use crate::around;
use crate::ask::{Finding, group, search};
use crate::baseline::Usuals;
use crate::condition::Stage;
use crate::courier::{Courier, Desk};
use crate::error::WatchError;
use crate::expected::{HOUR_MS, expected};
use crate::miner::{Miner, PATTERN_MEMORY};
use crate::report::Report;
use crate::round::{Conditions, Outcome, round};
use crate::rule::Rule;
use crate::telling::{self, Beside, Place};

/// The shortest time between two looks.
const REST_MIN: Duration = Duration::from_secs(1);
/// The longest time between two looks while records come.
const REST_MAX: Duration = Duration::from_secs(8);
/// After a look is rested so many times as long as it took: watching never takes more than a fiftieth of a core.
const REST_FACTOR: u32 = 50;
/// How often is looked at what time alone can change.
const EDGE_MIN: Duration = Duration::from_secs(1);
/// The same, at most.
const EDGE_MAX: Duration = Duration::from_secs(15);
/// How long is waited for new records when nothing else can happen.
const IDLE: Duration = Duration::from_secs(3600);
/// A report that is farther ahead than this was planned by a clock that was set meanwhile.
const REPORT_AHEAD_MS: i64 = 26 * 3_600_000;
/// How long the task may take at the end.
const ENDING_TIME_MAX: Duration = Duration::from_secs(15);

/// Kinds of records that one look tells apart.
const KINDS_MAX: usize = 100;
/// Looks may be so late.
const LATE_MS: i64 = 60_000;
/// How long a link of a message is good.
const LINK_TIME_MS: i64 = 7 * 24 * 3_600_000;
/// What such a link is for, as it is signed.
pub const LINK_PURPOSE: &str = "acknowledge";

/// What is watched, and who is told.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All rules.
    pub rules: Vec<Rule>,
    /// What is told every day.
    pub reports: Vec<Report>,
    /// All channels.
    pub channels: Vec<Arc<Channel>>,
    /// Where the records are, for messages.
    pub place: Place,
    /// How many requests the model servers take at once, where that is known.
    pub places: Option<u32>,
}

impl Plan {
    /// Puts rules behind those that they need: whether those fire is known first.
    fn sort(&mut self) {
        let mut sorted: Vec<Rule> = Vec::with_capacity(self.rules.len());
        let mut rest = std::mem::take(&mut self.rules);
        while !rest.is_empty() {
            let waits = |rule: &Rule| {
                let needs = &rule.settings().needs;
                rest.iter().any(|other| other.name() != rule.name() && needs.iter().any(|need| need == other.name()))
            };
            let (later, now): (Vec<Rule>, Vec<Rule>) = rest.clone().into_iter().partition(waits);
            if now.is_empty() {
                // A circle, which the configuration refuses: any order is as good.
                sorted.extend(later);
                break;
            }
            sorted.extend(now);
            rest = later;
        }
        self.rules = sorted;
    }

    /// Rules that need this one.
    fn dependents(&self, rule: &str) -> Vec<String> {
        let needs = |other: &&Rule| other.settings().needs.iter().any(|need| need == rule);
        self.rules.iter().filter(needs).map(|rule| rule.name().to_owned()).collect()
    }

    /// The channels that a rule or a report names; all where it names none.
    fn wanted<'p>(&'p self, notify: Option<&'p Vec<String>>) -> impl Iterator<Item = &'p str> {
        let names = self.channels.iter().map(|channel| channel.name());
        names.filter(move |name| notify.is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name)))
    }
}

/// Rules that cannot be asked right now, and why; clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<String, String>>>);

impl Troubles {
    /// Why a rule cannot be asked.
    pub fn of(&self, rule: &str) -> Option<String> {
        self.0.lock().expect("no panic while the lock is held").get(rule).cloned()
    }

    /// Whether this is new.
    fn begin(&self, rule: &str, why: String) -> bool {
        self.0.lock().expect("no panic while the lock is held").insert(rule.to_owned(), why).is_none()
    }

    fn end(&self, rule: &str) {
        self.0.lock().expect("no panic while the lock is held").remove(rule);
    }

    fn keep(&self, is_known: impl Fn(&str) -> bool) {
        self.0.lock().expect("no panic while the lock is held").retain(|rule, _| is_known(rule));
    }
}

/// The record of an incident that somebody has acknowledged, in the form that [`State::acknowledge_incident`] keeps.
pub fn acknowledged(incident: &str, rule: &str, by: &str) -> String {
    let fields = json!({"alert_event": "acknowledged", "alert_rule": rule, "alert_message": incident, "alert_by": by});
    telling::record("acknowledged", &format!("alert {rule} is looked after by {by}"), &fields)
}

/// The watch at work.
#[derive(Debug)]
pub struct Watch {
    plan: watch::Sender<Arc<Plan>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begins to watch.
    pub fn start(shelf: Shelf, state: State, journal: Journal, troubles: Troubles, mut plan: Plan) -> Self {
        plan.sort();
        let first = Arc::new(plan);
        let (plan, plans) = watch::channel(first.clone());
        let (stop, stopped) = watch::channel(false);
        let task = Task::new(shelf, Desk::new(state, journal), troubles, first);
        let task = tokio::spawn(task.run(plans, stopped));
        Self { plan, stop, task }
    }

    /// Watches something else from now on. What is known of rules that are still there stays.
    pub fn adopt(&self, mut plan: Plan) {
        plan.sort();
        self.plan.send_replace(Arc::new(plan));
    }

    /// Ends after the look and the messages under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if timeout(ENDING_TIME_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

struct Task {
    shelf: Shelf,
    desk: Desk,
    plan: Arc<Plan>,
    couriers: Vec<Courier>,
    /// By rule.
    conditions: BTreeMap<String, Conditions>,
    /// The last record that was looked at.
    seen: Option<u64>,
    troubles: Troubles,
    usuals: Usuals,
    /// When the next incident is to be told to others.
    escalation_ms: Option<i64>,
    /// When a report is due next.
    report_ms: Option<i64>,
    miner: Miner,
    /// The hour of the last forecast.
    forecast_hour: i64,
    /// When records of a kind came last, and whether some are new at this look.
    kinds: BTreeMap<String, (i64, bool)>,
}

impl Task {
    fn new(shelf: Shelf, desk: Desk, troubles: Troubles, plan: Arc<Plan>) -> Self {
        Self {
            shelf,
            desk,
            plan,
            couriers: Vec::new(),
            conditions: BTreeMap::new(),
            seen: None,
            troubles,
            usuals: Usuals::default(),
            escalation_ms: None,
            report_ms: None,
            miner: Miner::default(),
            forecast_hour: 0,
            kinds: BTreeMap::new(),
        }
    }

    async fn run(mut self, mut plans: watch::Receiver<Arc<Plan>>, mut stopped: watch::Receiver<bool>) {
        while let Err(error) = self.remember().await {
            tracing::error!(error = %chain(&error), "reading the states of alerts");
            tokio::select! {
                () = sleep(REST_MAX) => {}
                _ = stopped.changed() => return,
            }
        }
        self.take_plan().await;
        loop {
            let begun = Instant::now();
            if let Err(error) = self.look().await {
                tracing::error!(error = %chain(&error), "watching the records");
            }
            let rest = (begun.elapsed() * REST_FACTOR).clamp(REST_MIN, REST_MAX);
            let seen = self.seen.unwrap_or_default();
            let edge = self.edge();
            let next = async {
                sleep(rest).await;
                // What can be found meanwhile, or what time alone changes.
                self.shelf.wait(seen + 1, edge.saturating_sub(rest)).await
            };
            tokio::select! {
                _ = next => {}
                Ok(()) = plans.changed() => {
                    self.plan = plans.borrow_and_update().clone();
                    self.seen = None;
                    self.take_plan().await;
                }
                _ = stopped.changed() => break,
            }
        }
        for courier in self.couriers {
            courier.stop().await;
        }
    }

    /// What was known before the start.
    async fn remember(&mut self) -> Result<(), WatchError> {
        for kept in self.desk.state.alert_states().await? {
            // A form of a later version: it begins anew.
            let Ok(condition) = serde_json::from_str(&kept.body) else { continue };
            self.conditions.entry(kept.rule).or_default().insert(kept.group, condition);
        }
        self.miner = Miner::remember(self.desk.state.alert_memory(PATTERN_MEMORY).await?.as_deref());
        Ok(())
    }

    /// Couriers for the plan's channels; rules that are gone are forgotten, and what waits for channels that are gone is dropped.
    async fn take_plan(&mut self) {
        let plan = self.plan.clone();
        let mut before = std::mem::take(&mut self.couriers);
        for channel in &plan.channels {
            if let Some(place) = before.iter().position(|courier| Arc::ptr_eq(&courier.channel, channel)) {
                self.couriers.push(before.remove(place));
                continue;
            }
            // The one of this name that was there before must not send the same at the same time.
            if let Some(place) = before.iter().position(|courier| courier.channel.name() == channel.name()) {
                before.remove(place).stop().await;
            }
            self.couriers.push(Courier::start(channel.clone(), self.desk.clone()));
        }
        for courier in before {
            courier.stop().await;
        }
        if let Err(error) = self.forget().await {
            tracing::error!(error = %chain(&error), "forgetting rules and channels that are gone");
        }
    }

    async fn forget(&mut self) -> Result<(), WatchError> {
        let plan = self.plan.clone();
        let is_known = |name: &str| plan.rules.iter().any(|rule| rule.name() == name);
        let mut gone = Vec::new();
        for (rule, conditions) in self.conditions.iter().filter(|(rule, _)| !is_known(rule)) {
            gone.extend(conditions.keys().map(|group| (rule.clone(), group.clone())));
        }
        self.conditions.retain(|rule, _| is_known(rule));
        self.troubles.keep(is_known);
        self.desk.state.keep_alerts(&AlertChanges { forgotten: gone, ..AlertChanges::default() }).await?;
        let known: Vec<&str> = plan.rules.iter().map(Rule::name).collect();
        self.desk.state.end_incidents_but_of(&known).await?;
        for channel in self.desk.state.channels_waited_for().await? {
            if plan.channels.iter().any(|known| known.name() == channel) {
                continue;
            }
            let waiting = self.desk.state.waiting_alerts(&channel).await?;
            let numbers: Vec<i64> = waiting.iter().map(|waiting| waiting.number).collect();
            let fields = json!({"alert_event": "dropped", "alert_channel": channel, "alert_messages": numbers.len()});
            let msg = format!("the channel {channel} is gone, and what waited for it");
            self.desk.state.alerts_told(&numbers, &[telling::record("dropped", &msg, &fields)]).await?;
        }
        self.desk.record().await
    }

    /// Looks at the rules: all when there are new records, else at those that time alone can change.
    async fn look(&mut self) -> Result<(), WatchError> {
        let indexed = self.shelf.indexed_seq();
        let has_new = self.seen != Some(indexed);
        let now_ms = Timestamp::now().as_millisecond();
        let mut has_lines = false;
        if has_new {
            let kinds = self.new_kinds().await?;
            has_lines = kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind == "log"));
            self.note(kinds, now_ms);
        }
        let is_due = |rule: &&Rule| (has_new && self.can_change(rule, now_ms)) || self.is_restless(rule);
        let due: Vec<Rule> = self.plan.rules.iter().filter(is_due).cloned().collect();
        if !due.is_empty() {
            let silences = self.desk.state.alert_silences().await?;
            for rule in due {
                let found = rule.found(&self.shelf, now_ms, &mut self.usuals).await;
                let is_silenced = silences.iter().any(|(silenced, _)| silenced == rule.name());
                match found {
                    Ok(findings) => {
                        self.troubles.end(rule.name());
                        self.take(&rule, &findings, now_ms, is_silenced).await?;
                    }
                    Err(error) => self.tell_failing(&rule, &error),
                }
            }
        }
        if has_lines && let Some((miner, changes)) = self.miner.look(&self.shelf).await? {
            self.keep(&changes).await?;
            self.miner = miner;
        }
        self.seen = Some(indexed);
        self.escalate(now_ms).await?;
        self.report(now_ms).await?;
        self.expect(now_ms).await?;
        self.desk.record().await
    }

    /// The kinds of the records that came since the last look; none where that is not known.
    async fn new_kinds(&self) -> Result<Option<Vec<String>>, WatchError> {
        let Some(seen) = self.seen else { return Ok(None) };
        let terms = json!({"terms": {"field": "kind", "size": KINDS_MAX}});
        let body = json!({"size": 0, "query": {"range": {"seq": {"gt": seen}}}, "aggs": {"groups": terms}});
        let answer = search(&self.shelf, "kinds", &body).await?;
        let buckets = answer["aggregations"]["groups"]["buckets"].as_array().cloned().unwrap_or_default();
        Ok((buckets.len() < KINDS_MAX).then(|| buckets.iter().map(group).collect()))
    }

    /// Notes when records of which kind came last; of all kinds now, where that is not known.
    fn note(&mut self, kinds: Option<Vec<String>>, now_ms: i64) {
        let all = || self.plan.rules.iter().filter_map(|rule| rule.kind().map(str::to_owned)).collect();
        let kinds: Vec<String> = kinds.unwrap_or_else(all);
        self.kinds.retain(|_, (_, is_new)| {
            *is_new = false;
            true
        });
        for kind in kinds {
            if self.kinds.len() < 2 * KINDS_MAX || self.kinds.contains_key(&kind) {
                self.kinds.insert(kind, (now_ms, true));
            }
        }
    }

    /// Whether new records can have changed what a rule finds: some of its kind came, or some may leave the time that it looks
    /// at.
    fn can_change(&self, rule: &Rule, now_ms: i64) -> bool {
        let Some(kind) = rule.kind() else { return true };
        if self.troubles.of(rule.name()).is_some() {
            return true;
        }
        match self.kinds.get(kind) {
            Some((_, true)) => true,
            Some((last_ms, false)) => !rule.grows() && now_ms - last_ms <= rule.within_ms().saturating_add(LATE_MS),
            None => rule.is_timed(),
        }
    }

    fn tell_failing(&mut self, rule: &Rule, error: &WatchError) {
        let why = chain(error);
        if self.troubles.begin(rule.name(), why.clone()) {
            tracing::error!(rule = rule.name(), error = %why, "asking a rule");
        }
    }

    /// The rule that keeps this one from being told: one that it needs, and that is an alert or about to become one.
    fn held_by(&self, rule: &Rule) -> Option<String> {
        let is_up = |name: &&String| {
            let conditions = self.conditions.get(*name);
            conditions.is_some_and(|groups| groups.values().any(|condition| condition.stage != Stage::Calm))
        };
        rule.settings().needs.iter().find(is_up).cloned()
    }

    /// Keeps what became of a rule and what is to be told of it, and has it told.
    async fn take(
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
    async fn keep(&self, changes: &AlertChanges) -> Result<(), WatchError> {
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
        Beside {
            worst: rule.worst(&self.shelf, now_ms, &groups).await.unwrap_or_default(),
            timeline: rule.timeline(&self.shelf, now_ms).await.unwrap_or_default(),
            chart,
            holds: self.plan.dependents(rule.name()),
        }
    }

    /// The message with a link for this channel, by which it is acknowledged.
    fn with_link(&self, message: &Message, channel: &str, now_ms: i64) -> Message {
        let incident = message.id.trim_end_matches(".escalated");
        let token = self.desk.state.sign_link(LINK_PURPOSE, &format!("{incident}~{channel}"), now_ms + LINK_TIME_MS);
        Message { acknowledge: telling::acknowledge_link(&self.plan.place, &token), ..message.clone() }
    }

    /// Tells others of incidents that nobody has acknowledged in time.
    async fn escalate(&mut self, now_ms: i64) -> Result<(), WatchError> {
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
    async fn report(&mut self, now_ms: i64) -> Result<(), WatchError> {
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
    async fn expect(&mut self, now_ms: i64) -> Result<(), WatchError> {
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

    /// Whether time alone can change something of this rule.
    fn is_restless(&self, rule: &Rule) -> bool {
        let has_unrest = self
            .conditions
            .get(rule.name())
            .is_some_and(|conditions| conditions.values().any(crate::condition::Condition::is_unrest));
        has_unrest || rule.is_timed()
    }

    /// When to look next, should no record come.
    fn edge(&self) -> Duration {
        let restless = self.plan.rules.iter().filter(|rule| self.is_restless(rule));
        let edge = |rule: &Rule| (rule.settings().within / 20).clamp(EDGE_MIN, EDGE_MAX);
        let now_ms = Timestamp::now().as_millisecond();
        let until = |at: i64| Duration::from_millis(u64::try_from(at - now_ms).unwrap_or_default()).max(EDGE_MIN);
        let dates = [self.escalation_ms, self.report_ms].into_iter().flatten().map(until);
        restless.map(edge).chain(dates).min().unwrap_or(IDLE).min(IDLE)
    }
}

fn intent(channel: &str, message: &Message) -> AlertIntent {
    AlertIntent { channel: channel.to_owned(), body: serde_json::to_string(message).unwrap_or_default() }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
