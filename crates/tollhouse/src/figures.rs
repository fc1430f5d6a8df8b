//! The house's own figures, gathered from all its parts when somebody asks.
//!
//! What requests count is in memory already; all else is read here, at that moment. Nothing that a request passes waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tollhouse_console::Probes as _;
use tollhouse_journal::{DiskState, Journal, SYNC_BOUNDS_US, Stats};
use tollhouse_remote::Shelf;
use tollhouse_ship::{Sight, State as ShipState};
use tollhouse_state::State;
use tollhouse_telemetry::{Exposition, Measured, Telemetry, expose_process, names};

use crate::house::House;
use crate::{cli, collecting, shipping};

/// How long the states of alerts may take to be read.
const ALERTS_TIME_MAX: Duration = Duration::from_secs(2);
/// [`SYNC_BOUNDS_US`] in seconds.
static SYNC_BOUNDS: [f64; SYNC_BOUNDS_US.len()] = {
    let mut bounds = [0.0; SYNC_BOUNDS_US.len()];
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] = SYNC_BOUNDS_US[at] as f64 / 1e6;
        at += 1;
    }
    bounds
};

/// Where figures come from; clones are the same.
#[derive(Clone)]
pub(crate) struct Figures(Arc<Inner>);

struct Inner {
    telemetry: Telemetry,
    journal: Journal,
    shelf: Shelf,
    state: State,
    shipped: OnceLock<shipping::Shown>,
    collected: OnceLock<collecting::Shown>,
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

impl Figures {
    pub(crate) fn new(journal: Journal, shelf: Shelf, state: State) -> Self {
        let (shipped, collected) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { telemetry: Telemetry::new(), journal, shelf, state, shipped, collected }))
    }

    /// Shows these from now on; they begin after the house.
    pub(crate) fn show(&self, shipped: shipping::Shown, collected: collecting::Shown) {
        let _ = self.0.shipped.set(shipped);
        let _ = self.0.collected.set(collected);
    }

    /// What requests are counted with.
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.0.telemetry
    }

    /// All figures of this moment.
    pub(crate) async fn now(&self, house: &House) -> Exposition {
        let mut figures = Exposition::new();
        figures.number(&names::BUILD, &[cli::VERSION], 1.0);
        self.0.telemetry.expose(&mut figures);
        upstreams(&mut figures, house);
        self.0.journal(&mut figures);
        self.0.lines(&mut figures);
        self.0.alerts(&mut figures).await;
        self.0.incidents(&mut figures, house).await;
        probes(&mut figures, &house.probed.board());
        house.tasked.expose(&mut figures).await;
        house.batched.expose(&mut figures).await;
        expose_process(&mut figures);
        figures
    }
}

fn upstreams(figures: &mut Exposition, house: &House) {
    for upstream in house.gateway.upstreams().status() {
        let name = [upstream.name.as_str()];
        figures.number(&names::UPSTREAM_SLOTS, &name, f64::from(upstream.parallel));
        figures.number(&names::UPSTREAM_RUNNING, &name, f64::from(upstream.running));
        figures.number(&names::QUEUE_LENGTH, &name, f64::from(upstream.waiting));
        figures.state(&names::BREAKER, &name, &["closed", "half_open", "held", "open"], upstream.breaker);
        figures.count(&names::LOADS, &name, upstream.loads);
        figures.number(&names::LOAD_SECONDS, &name, upstream.load_ms_total as f64 / 1e3);
        figures.number(&names::THRASHING, &name, f64::from(u8::from(upstream.thrashing)));
    }
    figures.state(&names::SHARING, &[], &["local", "shared", "away"], house.gateway.sharing());
}

impl Inner {
    fn journal(&self, figures: &mut Exposition) {
        let stats = self.journal.stats();
        figures.count(&names::JOURNAL_SEQ, &[], stats.written_seq);
        figures.count(&names::JOURNAL_SYNCED, &[], stats.synced_seq);
        figures.count(&names::JOURNAL_LINES, &[], stats.lines);
        figures.count(&names::JOURNAL_BYTES, &[], stats.bytes);
        figures.count(&names::JOURNAL_QUEUED, &[], stats.queued);
        figures.histogram(&names::JOURNAL_FSYNC, &[], syncs(&stats));
        let states = [DiskState::Ok, DiskState::Tight, DiskState::Full, DiskState::Recovering].map(DiskState::as_str);
        let now = self.journal.disk().borrow().as_str();
        figures.state(&names::JOURNAL_DISK, &[], &states, now);
        figures.count(&names::JOURNAL_NOT_KEPT, &["disk"], stats.lost);
        figures.count(&names::JOURNAL_NOT_KEPT, &["queue"], stats.full);
        figures.count(&names::JOURNAL_CUT, &[], stats.cut);
        for (operation, errors) in [
            ("write", stats.write_errors),
            ("sync", stats.sync_errors),
            ("rotate", stats.rotate_errors),
            ("keep", stats.keep_errors),
        ] {
            figures.count(&names::JOURNAL_ERRORS, &[operation], errors);
        }
        figures.count(&names::JOURNAL_REMOVED, &[], stats.removed_files);
        let indexed = self.shelf.indexed_seq();
        figures.count(&names::INDEX_SEQ, &[], indexed);
        figures.count(&names::INDEX_LAG, &[], stats.written_seq.saturating_sub(indexed));
        if let Shelf::Own(store) = &self.shelf {
            let stats = store.stats();
            figures.count(&names::INDEX_ANSWERS, &["memory"], stats.answers_recalled);
            figures.count(&names::INDEX_ANSWERS, &["documents"], stats.answers_collected);
            figures.number(&names::INDEX_ANSWER_BYTES, &[], stats.answers_bytes as f64);
        }
    }

    /// Lines that come in, and records that go out.
    fn lines(&self, figures: &mut Exposition) {
        if let Some(collected) = self.collected.get() {
            let collected = collected.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for (source, shaping) in collected {
                let Some(counts) = shaping.upgrade().map(|shaping| shaping.counts()) else { continue };
                figures.count(&names::COLLECTED, &[&source], counts.lines);
                figures.count(&names::LEFT_OUT, &[&source, "dropped"], counts.dropped);
                figures.count(&names::LEFT_OUT, &[&source, "suppressed"], counts.suppressed);
                figures.count(&names::DEAD_LETTERS, &["shape", &source], counts.dead_letters);
            }
        }
        let Some(shipped) = self.shipped.get() else { return };
        let shipped = shipped.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for status in shipped.iter().map(Sight::status) {
            let (name, kind) = (status.name.as_str(), status.kind);
            figures.count(&names::SHIP_LAG, &[name, kind], status.behind);
            figures.number(&names::SHIP_LAG_SECONDS, &[name, kind], status.behind_s);
            let states = [
                ShipState::Starting,
                ShipState::Connected,
                ShipState::Busy,
                ShipState::Unreachable,
                ShipState::Rejected,
            ];
            figures.state(&names::SHIP_STATE, &[name], &states.map(ShipState::as_str), status.state);
            figures.count(&names::SHIP_DELIVERED, &[name], status.delivered);
            figures.count(&names::SHIP_RETRIES, &[name], status.retries);
            figures.count(&names::SHIP_MISSED, &[name], status.missed);
            figures.count(&names::DEAD_LETTERS, &["ship", name], status.dead_letters);
        }
    }

    /// What is open, and what waits to be told. The same holds as for alerts.
    async fn incidents(&self, figures: &mut Exposition, house: &House) {
        let asked = async {
            let open = self.state.open_incidents().await.ok()?;
            let mut waiting = Vec::with_capacity(house.channels.len());
            for channel in &house.channels {
                waiting.push((channel, self.state.waiting_alerts(channel).await.ok()?.len()));
            }
            Some((open, waiting))
        };
        let Ok(Some((open, waiting))) = tokio::time::timeout(ALERTS_TIME_MAX, asked).await else { return };
        let mut counts: BTreeMap<(String, &str), f64> = BTreeMap::new();
        for incident in open {
            let told: Value = serde_json::from_str(&incident.body).unwrap_or_default();
            let severity = told["severity"].as_str().unwrap_or("warning").to_owned();
            let state = if incident.acknowledged.is_some() { "acknowledged" } else { "open" };
            *counts.entry((severity, state)).or_default() += 1.0;
        }
        for ((severity, state), count) in &counts {
            figures.number(&names::INCIDENTS, &[severity, state], *count);
        }
        for (channel, count) in waiting {
            figures.count(&names::ALERTS_WAITING, &[channel], count as u64);
        }
    }

    /// Groups of alert rules that are not calm. When the store of states is busy for long they are left out this time.
    async fn alerts(&self, figures: &mut Exposition) {
        let Ok(Ok(states)) = tokio::time::timeout(ALERTS_TIME_MAX, self.state.alert_states()).await else { return };
        for state in states {
            let body: Value = serde_json::from_str(&state.body).unwrap_or_default();
            if let Some(stage @ ("pending" | "firing")) = body["stage"].as_str() {
                figures.number(&names::ALERTS, &[&state.rule, stage], 1.0);
            }
        }
    }
}

/// What probes found last, and the light of that.
fn probes(figures: &mut Exposition, board: &Value) {
    const OUTCOMES: [&str; 4] = ["ok", "warn", "fault", "skipped"];
    const COLOURS: [&str; 4] = ["green", "yellow", "red", "grey"];
    fn text<'v>(value: &'v Value, name: &str) -> &'v str {
        value[name].as_str().unwrap_or_default()
    }
    for probe in board["probes"].as_array().into_iter().flatten() {
        let (labels, last) = ([text(probe, "name"), text(probe, "kind")], &probe["last"]);
        // One that has not run yet has found nothing.
        let Some(at) = last["at"].as_str().and_then(|at| at.parse::<Timestamp>().ok()) else { continue };
        figures.state(&names::PROBE_OUTCOME, &labels, &OUTCOMES, text(last, "outcome"));
        figures.number(&names::PROBE_SECONDS, &labels, last["duration_ms"].as_f64().unwrap_or_default() / 1e3);
        figures.number(&names::PROBE_TIME, &labels, at.as_millisecond() as f64 / 1e3);
    }
    let light = &board["light"];
    if light.is_object() {
        figures.state(&names::LIGHT, &["all"], &COLOURS, text(light, "colour"));
    }
    for layer in light["layers"].as_array().into_iter().flatten() {
        figures.state(&names::LIGHT, &[text(layer, "layer")], &COLOURS, text(layer, "colour"));
    }
}

fn syncs(stats: &Stats) -> Measured {
    Measured {
        bounds: &SYNC_BOUNDS,
        counts: stats.syncs.to_vec(),
        sum: stats.sync_us as f64 / 1e6,
        exemplars: Vec::new(),
    }
}
