//! Files, batches and requests that are answered later (crate `batches`): what of the house they need, over every change of the
//! configuration.
//!
//! Another configuration of them stops their engine and starts it anew, and what was open goes on where it was.

mod house;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use http::StatusCode;
use tollhouse_batches::{Batches, Overseer, Settings};
use tollhouse_config::{BatchesConfig, Config};
use tollhouse_console::BatchHouse;
use tollhouse_gateway::{Asked, Doing, Later, Refusal, Wanted};
use tollhouse_journal::Journal;
use tollhouse_telemetry::{Exposition, names};
use tollhouse_units::chain;

use self::house::{Company, HouseOfBatches};
use crate::tasking::room::Gate;

/// How long requests under way may take to end when the engine stops.
const GRACE: Duration = Duration::from_secs(3);
/// From which share of a graphics card's time on it has other work, where `tasks` does not say.
const BUSY_ABOVE: f64 = 90.0;

/// How long the figures may take to be read for `/metrics`.
const FIGURES_TIME_MAX: Duration = Duration::from_secs(2);

/// The batches at work, if there are any; gateways, the console and `/metrics` read it, over all configurations.
#[derive(Default)]
pub(crate) struct Batched(RwLock<Option<At>>);

#[derive(Clone)]
struct At {
    later: Arc<dyn Later>,
    overseer: Overseer,
}

impl fmt::Debug for Batched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batched").finish_non_exhaustive()
    }
}

impl Batched {
    fn set(&self, at: Option<At>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn at(&self) -> Option<At> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn get(&self) -> Option<Arc<dyn Later>> {
        Some(self.at()?.later)
    }

    /// Their own figures.
    pub(crate) async fn expose(&self, figures: &mut Exposition) {
        let Some(At { overseer, .. }) = self.at() else { return };
        let now = match tokio::time::timeout(FIGURES_TIME_MAX, overseer.figures()).await {
            Ok(Ok(now)) => now,
            Ok(Err(error)) => return tracing::warn!(error = chain(&error), "reading the figures of batches"),
            Err(_) => return,
        };
        for (event, count) in &now.counts.events {
            figures.count(&names::BATCH_EVENTS, &[event], *count);
        }
        for (status, count) in now.open {
            figures.count(&names::BATCHES, &[status], count);
        }
        for (outcome, count) in [("completed", now.counts.done), ("failed", now.counts.failed)] {
            figures.count(&names::BATCH_REQUESTS, &[outcome], count);
        }
        figures.count(&names::BATCH_WAITING, &[], now.waiting);
        for (status, count) in now.later {
            figures.count(&names::LATER, &[status], count);
        }
        figures.count(&names::BATCH_BYTES, &[], now.bytes);
    }
}

impl BatchHouse for Batched {
    fn overseer(&self) -> Option<Overseer> {
        Some(self.at()?.overseer)
    }
}

impl Later for Batched {
    fn is_on(&self) -> bool {
        self.get().is_some()
    }

    fn serve<'a>(&'a self, asked: Asked<'a>) -> Doing<'a> {
        Box::pin(async move {
            match self.get() {
                Some(later) => later.serve(asked).await,
                None => Err(just_ended()),
            }
        })
    }

    fn take(&self, wanted: Wanted) -> Doing<'_> {
        Box::pin(async move {
            match self.get() {
                Some(later) => later.take(wanted).await,
                None => Err(just_ended()),
            }
        })
    }
}

fn just_ended() -> Refusal {
    let message = "files and batches are not served right now, please try again shortly".to_owned();
    Refusal::Later { status: StatusCode::SERVICE_UNAVAILABLE, message, code: "unavailable", param: None }
}

/// What of the house they need, over all configurations.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) journal: Journal,
    pub(crate) gate: Arc<Gate>,
    pub(crate) batched: Arc<Batched>,
}

/// The batches at work, where there are any.
pub(crate) struct Batching {
    parts: Parts,
    running: Option<Running>,
}

struct Running {
    wanted: Wish,
    batches: Batches,
}

/// Where they are kept.
pub(crate) fn dir(config: &Config) -> PathBuf {
    config.data_dir.join("batches")
}

/// All of a configuration that matters here.
#[derive(Clone, PartialEq)]
struct Wish {
    batches: BatchesConfig,
    dir: PathBuf,
    service: String,
    busy_above: f64,
}

impl Wish {
    fn of(config: &Config) -> Option<Self> {
        Some(Self {
            batches: config.batches.clone()?,
            dir: dir(config),
            service: config.service.clone(),
            busy_above: config.tasks.as_ref().map_or(BUSY_ABOVE, |tasks| tasks.gpu_busy_above),
        })
    }
}

impl Batching {
    /// Begins what the configuration wants.
    pub(crate) async fn new(parts: Parts, config: &Config) -> anyhow::Result<Self> {
        let mut batching = Self { parts, running: None };
        if let Some(wanted) = Wish::of(config) {
            batching.running = Some(batching.parts.start(wanted).await?);
        }
        Ok(batching)
    }

    /// Does what another configuration wants from now on.
    pub(crate) async fn adopt(&mut self, config: &Config) {
        let wanted = Wish::of(config);
        if self.running.as_ref().map(|running| &running.wanted) == wanted.as_ref() {
            return;
        }
        self.stop().await;
        if let Some(wanted) = wanted {
            match self.parts.start(wanted).await {
                Ok(running) => self.running = Some(running),
                Err(error) => tracing::error!(error = format!("{error:#}"), "starting the batches anew"),
            }
        }
    }

    /// Ends; requests under way have a moment, and are asked anew at the next start.
    pub(crate) async fn end(mut self) {
        self.stop().await;
    }

    async fn stop(&mut self) {
        self.parts.batched.set(None);
        if let Some(running) = self.running.take() {
            running.batches.end(GRACE).await;
        }
    }

    /// What there is to do.
    pub(crate) async fn greeting(&self) -> Option<String> {
        let running = self.running.as_ref()?;
        let (batches, later) = running.batches.overseer().open().await.ok()?;
        Some(format!("{batches} open, {later} requests to be answered later  (/v1/files, /v1/batches)"))
    }
}

impl Parts {
    async fn start(&self, wanted: Wish) -> anyhow::Result<Running> {
        let house = HouseOfBatches {
            gate: self.gate.clone(),
            busy_above: wanted.busy_above,
            webhooks: wanted.batches.webhooks.clone(),
            service: wanted.service.clone(),
            company: Company::default(),
        };
        let settings = settings(&wanted.batches);
        let batches = Batches::start(&wanted.dir, settings, self.journal.clone(), Arc::new(house)).await;
        let batches = batches.with_context(|| format!("opening the batches in {}", wanted.dir.display()))?;
        self.batched.set(Some(At { later: batches.later(), overseer: batches.overseer() }));
        Ok(Running { wanted, batches })
    }
}

fn settings(config: &BatchesConfig) -> Settings {
    Settings {
        file_bytes_max: config.file.0,
        files_max: config.files.into(),
        bytes_max: config.bytes.0,
        bytes_max_of_all: config.total.0,
        lines_max: config.lines.into(),
        batches_max: config.open.into(),
        batches_at_once: config.running,
        at_once: config.at_once,
        keep_days: config.keep_days,
        later_max: config.later_open.into(),
        later_at_once: config.later_at_once,
        later_keep: config.later_keep,
    }
}
