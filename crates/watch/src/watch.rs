//! The task that looks at the rules whenever new records can be found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tollhouse_journal::Journal;
use tollhouse_notify::{Channel, Message};
use tollhouse_remote::Shelf;
use tollhouse_state::{AlertIntent, AlertState, State};

use crate::ask::Finding;
use crate::courier::{Courier, Desk};
use crate::error::WatchError;
use crate::round::{Conditions, Outcome, round};
use crate::rule::Rule;
use crate::telling::{self, Place};

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
/// How long the task may take at the end.
const ENDING_TIME_MAX: Duration = Duration::from_secs(15);

/// What is watched, and who is told.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All rules.
    pub rules: Vec<Rule>,
    /// All channels.
    pub channels: Vec<Arc<Channel>>,
    /// Where the records are, for messages.
    pub place: Place,
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
    pub fn start(shelf: Shelf, state: State, journal: Journal, plan: Plan) -> Self {
        let first = Arc::new(plan);
        let (plan, plans) = watch::channel(first.clone());
        let (stop, stopped) = watch::channel(false);
        let task = Task::new(shelf, Desk::new(state, journal), first);
        let task = tokio::spawn(task.run(plans, stopped));
        Self { plan, stop, task }
    }

    /// Watches something else from now on. What is known of rules that are still there stays.
    pub fn adopt(&self, plan: Plan) {
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
    /// Rules whose search failed at the last look: told once.
    failing: BTreeSet<String>,
}

impl Task {
    fn new(shelf: Shelf, desk: Desk, plan: Arc<Plan>) -> Self {
        Self {
            shelf,
            desk,
            plan,
            couriers: Vec::new(),
            conditions: BTreeMap::new(),
            seen: None,
            failing: BTreeSet::new(),
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
        self.desk.state.keep_alerts(&[], &gone, &[]).await?;
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
        let due: Vec<Rule> = self.plan.rules.iter().filter(|rule| has_new || self.is_restless(rule)).cloned().collect();
        if !due.is_empty() {
            let silences = self.desk.state.alert_silences().await?;
            for rule in due {
                let found = rule.found(&self.shelf, now_ms).await;
                let is_silenced = silences.iter().any(|(silenced, _)| silenced == rule.name());
                match found {
                    Ok(findings) => {
                        self.failing.remove(rule.name());
                        self.take(&rule, &findings, now_ms, is_silenced).await?;
                    }
                    Err(error) => self.tell_failing(&rule, &error),
                }
            }
        }
        self.seen = Some(indexed);
        self.desk.record().await
    }

    fn tell_failing(&mut self, rule: &Rule, error: &WatchError) {
        if self.failing.insert(rule.name().to_owned()) {
            tracing::error!(rule = rule.name(), error = %chain(error), "asking a rule");
        }
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
        let is_held = is_silenced || rule.is_quiet(now_ms);
        let outcome = round(rule, &mut conditions, findings, now_ms, is_held, &id);
        if outcome == Outcome::default() {
            return Ok(());
        }
        let intents = self.intents(rule, &outcome, &id, now_ms).await;
        let mut changed = Vec::new();
        for group in &outcome.changed {
            let body = serde_json::to_string(&conditions[group]).unwrap_or_default();
            changed.push(AlertState { rule: rule.name().to_owned(), group: group.clone(), body });
        }
        let forgotten: Vec<(String, String)> =
            outcome.forgotten.iter().map(|group| (rule.name().to_owned(), group.clone())).collect();
        let dropped = self.desk.state.keep_alerts(&changed, &forgotten, &intents).await?;
        if dropped > 0 {
            tracing::warn!(rule = rule.name(), dropped, "too many messages wait; the oldest were dropped");
        }
        // Only what is kept is so.
        self.conditions.insert(rule.name().to_owned(), conditions);
        self.couriers.iter().for_each(Courier::wake);
        Ok(())
    }

    async fn intents(&self, rule: &Rule, outcome: &Outcome, id: &str, now_ms: i64) -> Vec<AlertIntent> {
        let record = |body: String| AlertIntent { channel: String::new(), body };
        let mut intents: Vec<AlertIntent> = Vec::new();
        intents.extend(outcome.fired.iter().map(|change| record(telling::changed(rule, "firing", change))));
        intents.extend(outcome.resolved.iter().map(|change| record(telling::changed(rule, "resolved", change))));
        let mut messages: Vec<Message> = Vec::new();
        if !outcome.tell_resolved.is_empty() && rule.settings().tells_end {
            let id = format!("{id}.end");
            messages.push(telling::resolved(rule, &self.plan.place, &id, &outcome.tell_resolved, now_ms));
        }
        if !outcome.tell_firing.is_empty() {
            let groups: Vec<&str> = outcome.tell_firing.iter().map(|change| change.group.as_str()).collect();
            // Without them the message is still worth telling.
            let worst = rule.worst(&self.shelf, now_ms, &groups).await.unwrap_or_default();
            messages.push(telling::firing(rule, &self.plan.place, id, &outcome.tell_firing, worst, now_ms));
        }
        for message in &messages {
            let body = serde_json::to_string(message).unwrap_or_default();
            let channels = self.plan.channels.iter().map(|channel| channel.name());
            let wanted =
                |name: &&str| rule.settings().notify.as_ref().is_none_or(|names| names.iter().any(|n| n == name));
            intents.extend(
                channels.filter(wanted).map(|channel| AlertIntent { channel: channel.to_owned(), body: body.clone() }),
            );
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
        restless.map(edge).min().unwrap_or(IDLE)
    }
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
