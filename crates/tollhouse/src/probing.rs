//! Looks after what the configuration names: programs, models, disks, certificates, cards.
//!
//! Models are asked through the gate, as a caller that comes behind everybody else: nothing is asked while users wait or have
//! all places, and a question under way is dropped as soon as one comes.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tollhouse_config::{CertificatePlace, Config, ProbesConfig};
use tollhouse_gateway::{Entry, Gateway};
use tollhouse_journal::{Journal, Level, Record};
use tollhouse_probe::{
    About, Board, Book, Boxed, CertificateLook, ClockLook, DiskLook, GpuLimits, Look, MemoryLimits, ModelLook, Models,
    Outcome, PageLook, Prepared, ProcessLook, QualityLook, Question, Report, Said, Spec, Spoken, Teller, Unasked,
};
use tollhouse_state::State;
use tollhouse_upstream::{Progress, UpstreamStatus};
use tollhouse_web::Peer;

use crate::house::Current;
use crate::source::Print;
use crate::speech::Speech;

/// Where these records come from.
const CALLER: &str = "tollhouse/probing.rs";
/// How often is looked whether users came while a question is answered.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Whoever asked so short a time ago is the one who keeps the card busy.
const OWN_WORK: Duration = Duration::from_secs(15);
/// How long looking at what does not ask models may take.
const RESOURCE_WITHIN: Duration = Duration::from_secs(30);

/// The probes at work.
pub(crate) struct Probing {
    rounds: tollhouse_probe::Probing,
    current: Current,
    probed: Arc<Probed>,
    probes: usize,
    /// The file of the tests, as it was when it was read.
    tests: Option<(std::path::PathBuf, Option<Print>)>,
}

/// What a configuration wants to have looked after, ready: from here on nothing fails.
pub(crate) struct Ready {
    prepared: Prepared,
    asking: Asking,
    tests: Option<(std::path::PathBuf, Option<Print>)>,
}

impl Ready {
    /// Makes ready what this configuration wants.
    pub(crate) async fn new(config: &Config) -> anyhow::Result<Self> {
        let tests = match &config.probes.quality {
            // Before it is read: what comes in between is noticed at the next reload.
            Some(quality) if config.probes.on => Some((quality.file.clone(), Print::of(&quality.file).await)),
            _ => None,
        };
        let (specs, asking) = (specs(&config.probes), Asking::of(config));
        let prepared =
            spawn_blocking(move || Prepared::new(specs)).await?.context("preparing the probes (`probes`)")?;
        Ok(Self { prepared, asking, tests })
    }
}

impl Probing {
    /// Begins what was made ready.
    pub(crate) fn new(
        state: State,
        journal: Journal,
        current: Current,
        probed: Arc<Probed>,
        ready: Ready,
    ) -> anyhow::Result<Self> {
        let Ready { prepared, asking, tests } = ready;
        let (probes, models) = (prepared.len(), gate(&current, &probed, asking)?);
        let book = Arc::new(JournalBook { state, journal: Some(journal) });
        let rounds = tollhouse_probe::Probing::start(prepared, models, book);
        let _: Result<(), Board> = probed.0.set(rounds.board().clone());
        Ok(Self { rounds, current, probed, probes, tests })
    }

    /// Paths of the configuration whose files are others than when they were read.
    pub(crate) async fn renewed(&self) -> Vec<String> {
        match &self.tests {
            Some((path, print)) if Print::of(path).await != *print => vec!["probes.quality.file".to_owned()],
            _ => Vec::new(),
        }
    }

    /// Looks after that from now on.
    pub(crate) async fn adopt(&mut self, ready: Ready) {
        let Ready { prepared, asking, tests } = ready;
        (self.probes, self.tests) = (prepared.len(), tests);
        match gate(&self.current, &self.probed, asking) {
            Ok(models) => self.rounds.adopt(prepared, models).await,
            Err(error) => tracing::error!(error = format!("{error:#}"), "taking other probes"),
        }
    }

    /// Ends; runs under way are given a moment.
    pub(crate) async fn end(self) {
        self.rounds.stop().await;
    }

    /// What is looked after.
    pub(crate) fn greeting(&self) -> Option<String> {
        (self.probes > 0).then(|| format!("{} checks run by themselves", self.probes))
    }
}

/// What a configuration wants to have looked after.
pub(crate) fn specs(probes: &ProbesConfig) -> Vec<Spec> {
    if !probes.on {
        return Vec::new();
    }
    let mut specs = Vec::new();
    let mut add = |name: &str, every, within, look| specs.push(Spec { name: name.to_owned(), every, within, look });
    for probe in &probes.processes {
        let look = ProcessLook {
            process: probe.process.clone(),
            host: probe.host.clone(),
            port: probe.port,
            health: probe.health.clone(),
            ready: probe.ready.clone(),
        };
        add(&probe.name, probe.every, probe.within, Look::Process(look));
    }
    for probe in &probes.http {
        let look = PageLook { url: probe.url.clone(), expect: probe.expect.clone(), status: probe.status };
        add(&probe.name, probe.every, probe.within, Look::Http(look));
    }
    for probe in &probes.models {
        let look = ModelLook {
            model: probe.model.clone(),
            prompt: probe.prompt.clone(),
            expect: probe.expect.clone(),
            ttft_above: probe.ttft_above,
        };
        add(&probe.model, probe.every, probe.within, Look::Model(look));
    }
    if let Some(quality) = &probes.quality
        && let Some(model) = quality.model.clone().or_else(|| Some(probes.models.first()?.model.clone()))
    {
        let look = QualityLook {
            file: quality.file.clone(),
            judge: quality.judge.clone().unwrap_or_else(|| model.clone()),
            samples: quality.samples,
            baseline: quality.baseline,
            within: quality.within,
            model: model.clone(),
        };
        add(&model, quality.every, quality.within, Look::Quality(look));
    }
    for probe in &probes.disks {
        let look = DiskLook {
            path: probe.path.clone(),
            above: probe.above,
            inodes_above: probe.inodes_above,
            full_within: probe.full_within,
        };
        add(&probe.path.to_string_lossy(), probe.every, RESOURCE_WITHIN, Look::Disk(look));
    }
    for probe in &probes.certificates {
        let place = match &probe.place {
            CertificatePlace::Served { host, port, server_name } => tollhouse_probe::CertificatePlace::Served {
                host: host.clone(),
                port: *port,
                name: server_name.clone().unwrap_or_else(|| host.clone()),
            },
            CertificatePlace::File(path) => tollhouse_probe::CertificatePlace::File(path.clone()),
        };
        let look = CertificateLook { place, ca: probe.ca.clone(), before: probe.before };
        add(&probe.name, probe.every, RESOURCE_WITHIN, Look::Certificate(look));
    }
    if let Some(gpu) = probes.gpu {
        let limits = GpuLimits {
            memory_above: gpu.memory_above,
            temperature_above: gpu.temperature_above,
            busy_above: gpu.busy_above,
        };
        add("gpu", gpu.every, RESOURCE_WITHIN, Look::Gpu(limits));
    }
    if let Some(memory) = probes.memory {
        let limits = MemoryLimits { above: memory.above, psi_above: memory.psi_above };
        add("memory", memory.every, RESOURCE_WITHIN, Look::Memory(limits));
    }
    if let Some(clock) = &probes.clock {
        let look = ClockLook { urls: clock.urls.clone(), above: clock.above };
        add("clock", clock.every, RESOURCE_WITHIN * 4, Look::Clock(look));
    }
    specs
}

/// What is known of the probes, once they run; the console and `/health` read it.
#[derive(Debug, Default)]
pub(crate) struct Probed(OnceLock<Board>);

impl Probed {
    /// How busy the busiest graphics card was in the last sample, in percent.
    pub(crate) fn busiest_card(&self) -> Option<f64> {
        self.0.get().and_then(Board::busiest_card)
    }

    /// The light of all probes.
    pub(crate) fn light(&self) -> Option<tollhouse_probe::Light> {
        self.0.get().map(Board::light)
    }
}

impl tollhouse_console::Probes for Probed {
    fn board(&self) -> Value {
        self.0.get().map_or_else(|| json!({"light": null, "probes": [], "resources": []}), Board::to_json)
    }

    fn run<'a>(&'a self, id: &'a str, wait: Duration) -> Boxed<'a, Option<Value>> {
        Box::pin(async move { self.0.get()?.run(id, wait).await })
    }
}

/// Where findings go: the journal, and for what is kept between runs the state.
#[derive(Debug)]
pub(crate) struct JournalBook {
    pub(crate) state: State,
    /// `None` on the command line, which records nothing.
    pub(crate) journal: Option<Journal>,
}

impl JournalBook {
    async fn append(&self, record: Record) {
        let Some(journal) = &self.journal else { return };
        if let Err(error) = journal.append(record.caller(CALLER)).await {
            tracing::error!(error = %error, "recording what a probe found");
        }
    }
}

impl Book for JournalBook {
    fn tell<'a>(&'a self, reports: &'a [Report]) -> Boxed<'a, ()> {
        Box::pin(async move {
            for report in reports {
                let level = match report.finding.outcome {
                    Outcome::Ok | Outcome::Skipped => Level::Info,
                    Outcome::Warn => Level::Warn,
                    Outcome::Fault => Level::Error,
                };
                self.append(Record::with("probe", level, report.sentence(), &report.fields())).await;
            }
        })
    }

    fn sample<'a>(&'a self, fields: &'a Map<String, Value>) -> Boxed<'a, ()> {
        Box::pin(self.append(Record::with("resource", Level::Info, "resources sampled", fields)))
    }

    fn keep<'a>(&'a self, id: &'a str, body: &'a Value) -> Boxed<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.state.keep_for_probe(id, &body.to_string()).await {
                tracing::error!(error = %error, probe = id, "keeping what a probe knows");
            }
        })
    }

    fn kept<'a>(&'a self, id: &'a str) -> Boxed<'a, Option<Value>> {
        Box::pin(async move {
            let kept = self.state.kept_by_probes().await;
            let kept = kept.inspect_err(|error| tracing::error!(error = %error, "reading what probes know")).ok()?;
            let (_, body) = kept.into_iter().find(|(kept, _)| kept == id)?;
            serde_json::from_str(&body).ok()
        })
    }
}

/// What of a configuration has to do with asking.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asking {
    /// Percent at which a card has other work.
    busy_above: Option<f64>,
    /// Settings that each configured model is asked with.
    options: Vec<(String, String)>,
}

impl Asking {
    pub(crate) fn of(config: &Config) -> Self {
        let options = config.models.iter().map(|model| {
            let told = json!({"context": model.context, "options": model.options});
            (model.name.clone(), told.to_string())
        });
        Self { busy_above: config.probes.gpu.map(|gpu| gpu.busy_above), options: options.collect() }
    }

    pub(crate) fn options(&self, model: &str) -> String {
        let own = self.options.iter().find(|(name, _)| name == model);
        own.map_or_else(|| "{}".to_owned(), |(_, options)| options.clone())
    }
}

fn gate(current: &Current, probed: &Arc<Probed>, asking: Asking) -> anyhow::Result<Arc<dyn Models>> {
    let teller = Teller::new().context("preparing the probes")?;
    let (current, probed) = (current.clone(), probed.clone());
    Ok(Arc::new(Gate { current, probed, asking, teller, last_asked: Mutex::default() }))
}

/// Asks models through the gate.
struct Gate {
    current: Current,
    probed: Arc<Probed>,
    asking: Asking,
    teller: Teller,
    last_asked: Mutex<Option<Instant>>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("asking", &self.asking).finish_non_exhaustive()
    }
}

impl Models for Gate {
    fn ask<'a>(&'a self, question: &'a Question) -> Boxed<'a, Result<Spoken, Unasked>> {
        Box::pin(async move {
            let gateway = self.current.get().gateway.clone();
            let Some(model) = gateway.upstreams().resolve(&question.model).await else {
                return Err(Unasked::Failed("no model server has this model".to_owned()));
            };
            if let Some(why) = self.in_the_way(&gateway, &model.upstream) {
                return Err(Unasked::GaveWay(why));
            }
            let progress = Progress::default();
            let spoken = tokio::select! {
                spoken = ask(&gateway, question, progress.clone()) => spoken.map_err(Unasked::Failed),
                why = users_come(&gateway, &model.upstream, &progress) => Err(Unasked::GaveWay(why)),
            };
            *self.last_asked.lock().expect("no panic while the lock is held") = Some(Instant::now());
            spoken
        })
    }

    fn about<'a>(&'a self, model: &'a str) -> Boxed<'a, About> {
        Box::pin(async move {
            let gateway = self.current.get().gateway.clone();
            let server = match gateway.upstreams().resolve(model).await {
                Some(found) => server_of(&gateway, &found.upstream),
                None => None,
            };
            let about = match server {
                Some(server) if server.kind == "ollama" => self.teller.ollama(&server.url, model).await,
                _ => About::default(),
            };
            About { options: Some(self.asking.options(model)), ..about }
        })
    }
}

impl Gate {
    /// Why nothing is asked now.
    fn in_the_way(&self, gateway: &Gateway, upstream: &str) -> Option<Said> {
        let server = server_of(gateway, upstream)?;
        // A server that is away is no busy one: asking tells so.
        if server.breaker != "closed" {
            return None;
        }
        if server.waiting > 0 {
            return Some(Said::RequestsWait { count: server.waiting as usize, upstream: upstream.to_owned() });
        }
        if server.running >= server.parallel {
            return Some(Said::RequestsRun { count: server.running as usize, upstream: upstream.to_owned() });
        }
        let last = *self.last_asked.lock().expect("no panic while the lock is held");
        let is_own = last.is_some_and(|last| last.elapsed() < OWN_WORK);
        let (busy, limit) = (self.probed.busiest_card()?, self.asking.busy_above?);
        (!is_own && busy > limit && is_here(&server.url)).then_some(Said::CardBusy { busy_percent: busy })
    }
}

/// Resolves when a user would have to wait for us.
async fn users_come(gateway: &Gateway, upstream: &str, progress: &Progress) -> Said {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(server) = server_of(gateway, upstream).filter(|server| server.breaker == "closed") else { continue };
        if progress.position().is_some() || server.waiting > 0 {
            return Said::UsersCame { upstream: upstream.to_owned() };
        }
    }
}

pub(crate) fn server_of(gateway: &Gateway, upstream: &str) -> Option<UpstreamStatus> {
    gateway.upstreams().status().into_iter().find(|server| server.name == upstream)
}

/// Whether a model server is on this machine.
pub(crate) fn is_here(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|here| host.starts_with(here))
}

/// What a question is as a request.
pub(crate) fn body(question: &Question) -> Value {
    let mut body = json!({
        "model": question.model,
        "messages": [{"role": "user", "content": question.prompt}],
        "max_tokens": question.tokens_max,
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    if let Some(tools) = &question.tools {
        body["tools"] = tools.clone();
    }
    body
}

/// Asks through the gate, on the way of every request. The error says why there is no answer.
async fn ask(gateway: &Gateway, question: &Question, progress: Progress) -> Result<Spoken, String> {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/v1/chat/completions")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(body(question).to_string()))
        .map_err(|error| error.to_string())?;
    let mut speech = Speech::new();
    let peer = Peer(([127, 0, 0, 1], 0).into());
    let answer = gateway.handle(request, peer, Entry::Probe(progress)).await;
    let answer = answer.map_err(|tollhouse_web::Dropped| "the gate dropped it".to_owned())?;
    let (head, mut body) = answer.into_parts();
    if !head.status.is_success() {
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Err(format!("{}: {}", head.status.as_u16(), error_of(&body)));
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("the answer broke off: {error}"))?;
        if let Ok(data) = frame.into_data() {
            speech.take(&data)?;
        }
    }
    speech.end()
}

/// The message of an error in any of the shapes that the gate gives.
pub(crate) fn error_of(body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| {
        json.pointer("/error/message").or_else(|| json.get("error")).and_then(Value::as_str).map(str::to_owned)
    });
    message.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}
