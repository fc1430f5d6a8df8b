//! What is known of the probes, for pages: what each found last, the latest samples, the light of it all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use tollhouse_units::sentence;

use crate::finding::{Finding, Kind};
use crate::light::{Known, Light, light};
use crate::said::{Said, said_json};
use crate::watch::Wish;

/// Samples of resources that pages are shown: cards, and memory.
const SAMPLES_SHOWN_MAX: usize = 65;

/// What is known of the probes; clones see the same.
#[derive(Clone, Debug)]
pub struct Board {
    wishes: mpsc::Sender<Wish>,
    shown: Arc<Mutex<Shown>>,
}

/// What pages are shown.
#[derive(Debug, Default)]
struct Shown {
    probes: Vec<Row>,
    resources: Vec<Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) about: Vec<Said>,
    pub(crate) every: Duration,
    pub(crate) is_running: bool,
    pub(crate) next_ms: Option<i64>,
    pub(crate) since_ms: Option<i64>,
    pub(crate) last: Option<Last>,
}

#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub(crate) at_ms: i64,
    pub(crate) finding: Finding,
    pub(crate) duration_ms: f64,
}

impl Board {
    /// A board without anything on it; `wishes` is where runs are wished for.
    pub(crate) fn new(wishes: mpsc::Sender<Wish>) -> Self {
        Self { wishes, shown: Arc::default() }
    }

    /// Puts these probes in place of the ones before; `rows` makes them from what was known.
    pub(crate) fn replace(&self, rows: impl FnOnce(&[Row]) -> Vec<Row>) {
        let mut shown = self.shown();
        shown.probes = rows(&shown.probes);
        shown.resources.clear();
    }

    /// Changes the row of a probe.
    pub(crate) fn note(&self, id: &str, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.shown().probes.iter_mut().find(|row| row.id == id) {
            change(row);
        }
    }

    /// Shows these samples of resources in place of the ones before.
    pub(crate) fn show(&self, samples: Vec<Map<String, Value>>) {
        let at = time(Timestamp::now().as_millisecond());
        let dated = samples.into_iter().take(SAMPLES_SHOWN_MAX).map(|mut fields| {
            fields.insert("at".to_owned(), at.clone().into());
            Value::Object(fields)
        });
        self.shown().resources = dated.collect();
    }

    /// All probes with what was found last, the latest samples, and the light of it all.
    pub fn to_json(&self) -> Value {
        let shown = self.shown();
        json!({
            "light": light_json(&shown.light()),
            "probes": shown.probes.iter().map(Row::to_json).collect::<Vec<_>>(),
            "resources": shown.resources,
        })
    }

    /// The light of all probes.
    pub fn light(&self) -> Light {
        self.shown().light()
    }

    /// How busy the busiest graphics card was in the last sample, in percent.
    pub fn busiest_card(&self) -> Option<f64> {
        let shown = self.shown();
        let busy = shown.resources.iter().filter_map(|sample| sample.get("gpu_utilisation")?.as_f64());
        busy.max_by(f64::total_cmp)
    }

    /// Runs a probe now, or joins the run under way, and waits so long for its end. Gives what is known of it then; `None`
    /// when there is no such probe.
    pub async fn run(&self, id: &str, wait: Duration) -> Option<Value> {
        self.row(id)?;
        let (done, ended) = oneshot::channel();
        let asked = async {
            self.wishes.send(Wish::Run(id.to_owned(), done)).await.ok()?;
            ended.await.ok()
        };
        // Without an answer in time it goes on by itself.
        let _: Result<Option<()>, _> = tokio::time::timeout(wait, asked).await;
        self.row(id).map(|row| row.to_json())
    }

    fn row(&self, id: &str) -> Option<Row> {
        self.shown().probes.iter().find(|row| row.id == id).cloned()
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown {
    fn light(&self) -> Light {
        let known: Vec<Known<'_>> = self
            .probes
            .iter()
            .map(|row| Known {
                name: &row.name,
                layer: row.kind.layer(),
                last: row.last.as_ref().map(|last| (last.finding.outcome, last.finding.said.as_slice())),
                since_ms: row.since_ms,
            })
            .collect();
        light(&known)
    }
}

impl Row {
    fn to_json(&self) -> Value {
        let last = self.last.as_ref().map(|last| {
            json!({
                "at": time(last.at_ms), "outcome": last.finding.outcome.as_str(), "found": last.finding.found(),
                "said": said_json(&last.finding.said),
                "duration_ms": last.duration_ms, "fields": last.finding.fields,
            })
        });
        json!({
            "id": self.id, "name": self.name, "kind": self.kind.as_str(), "layer": self.kind.layer().as_str(),
            "about": sentence(&self.about), "looks": said_json(&self.about), "every_s": self.every.as_secs_f64(), "running": self.is_running,
            "next": self.next_ms.filter(|_| !self.is_running).map(time), "since": self.since_ms.map(time), "last": last,
        })
    }
}

/// The light as pages and `/health` are told it.
pub fn light_json(light: &Light) -> Value {
    let layers: Vec<Value> = light
        .layers
        .iter()
        .map(|layer| {
            json!({
                "layer": layer.layer.as_str(), "colour": layer.colour.as_str(), "reason": layer.reason(),
                "said": said_json(&layer.said), "probes": layer.probes, "since": layer.since_ms.map(time),
            })
        })
        .collect();
    json!({
        "colour": light.colour.as_str(), "layer": light.layer.map(crate::Layer::as_str), "reason": light.reason(),
        "said": said_json(&light.said), "layers": layers,
    })
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default()
}
