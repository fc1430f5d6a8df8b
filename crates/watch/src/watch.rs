//! The task that looks at the rules whenever new records can be found.

mod outcome;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
pub use outcome::{LINK_PURPOSE, acknowledged, rule_noted};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tollhouse_journal::Journal;
use tollhouse_remote::Shelf;
use tollhouse_state::{AlertChanges, State};
use tollhouse_units::chain;

use crate::ask::{group, search};
use crate::baseline::Usuals;
use crate::courier::{Courier, Desk};
use crate::error::WatchError;
use crate::miner::{Miner, PATTERN_MEMORY};
use crate::plan::{Plan, Troubles};
use crate::round::Conditions;
use crate::rule::Rule;
use crate::telling;

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

/// Kinds of records that one look tells apart.
const KINDS_MAX: usize = 100;
/// Looks may be so late.
const LATE_MS: i64 = 60_000;

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
    /// Rules that are not looked at each time: when they were, and whether they wait for another look.
    paced: BTreeMap<String, (i64, bool)>,
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
            paced: BTreeMap::new(),
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
        self.paced.retain(|rule, _| is_known(rule));
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
        let plan = self.plan.clone();
        let due: Vec<bool> = plan.rules.iter().map(|rule| is_due(&rule)).collect();
        let due = plan.rules.iter().zip(due).filter(|(rule, is_due)| self.is_turn(rule, *is_due, now_ms));
        let due: Vec<Rule> = due.map(|(rule, _)| rule.clone()).collect();
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

    /// Whether it is the turn of a rule that is due, or was due when it was not yet its turn.
    fn is_turn(&mut self, rule: &Rule, is_due: bool, now_ms: i64) -> bool {
        let pace_ms = rule.pace().as_millis() as i64;
        if pace_ms == 0 {
            return is_due;
        }
        let (last_ms, waits) = self.paced.entry(rule.name().to_owned()).or_default();
        let wants = is_due || *waits;
        let is_turn = wants && !(*last_ms..last_ms.saturating_add(pace_ms)).contains(&now_ms);
        *waits = wants && !is_turn;
        if is_turn {
            *last_ms = now_ms;
        }
        is_turn
    }

    fn tell_failing(&mut self, rule: &Rule, error: &WatchError) {
        let why = chain(error);
        if self.troubles.begin(rule.name(), why.clone()) {
            tracing::error!(rule = rule.name(), error = %why, "asking a rule");
        }
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
        let paced = self.plan.rules.iter().filter(|rule| self.paced.get(rule.name()).is_some_and(|(_, waits)| *waits));
        restless.map(edge).chain(paced.map(Rule::pace)).chain(dates).min().unwrap_or(IDLE).min(IDLE)
    }
}
