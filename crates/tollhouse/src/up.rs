//! `tollhouse up`: builds every part in order, serves, and stops them in the reverse order.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollhouse_config::{Auth, Config, SourceConfig, SourceKind};
use tollhouse_console::{Answers, AskKeeper, SignIns, Turn};
use tollhouse_elastic::Elastic;
use tollhouse_gateway::Door;
use tollhouse_journal::{Journal, Level, Opened, Record, Recovery};
use tollhouse_limits::{Failures, Limits};
use tollhouse_shape::Shaper;
use tollhouse_state::State;
use tollhouse_store::Indexer;
use tollhouse_upstream::Upstreams;
use tollhouse_watch::Troubles;

use crate::approving::{self, Approving};
use crate::batching::{self, Batching};
use crate::collecting::shaping::Shapes;
use crate::collecting::{Collecting, Prepared};
use crate::counts::Counts;
use crate::edging::visits::Visits;
use crate::edging::{self, Edging};
use crate::es::JournalBook;
use crate::figures::Figures;
use crate::ground::Ground;
use crate::house::Current;
use crate::keeper::{Keeper, Signals};
use crate::listening::{Bound, Serving};
use crate::logging::Logging;
use crate::notifying::Notifier;
use crate::probing::Probing;
use crate::ring::Ring;
use crate::shipping::Shipping;
use crate::source::{FileWatch, Source};
use crate::stores::Stores;
use crate::supervising::{self, Supervising};
use crate::tasking::Tasking;
use crate::tasking::room::Gate;
use crate::telling::Telling;
use crate::watching::Watching;
use crate::{cli, keeper, keys, probing, ps, shelf, shipping, sieving, tasking, telling, watching, wiring};

/// Says a line on standard error, as `eprintln!` does, but the house does not end where that cannot be written: it may lead into
/// a file on a full disk.
macro_rules! tell {
    ($($text:tt)*) => {{
        let _: std::io::Result<()> = writeln!(std::io::stderr(), $($text)*);
    }};
}

/// How long the address printed at the start opens the console.
const TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the end waits for Redis to take what was used.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);
/// Where these records come from.
const CALLER: &str = "tollhouse/up.rs";

/// What stands before the reason where a configuration is well-formed and cannot be used: it ends the program with the status of
/// configurations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unfit;

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the configuration cannot be used")
    }
}

/// Runs the house until it is told to stop (SIGTERM, SIGINT).
pub(crate) async fn up(source: Source) -> anyhow::Result<()> {
    // Before it is read: what changes from here on is noticed.
    let file = FileWatch::new(source.path.clone()).await;
    let config = if source.path.is_some() { source.read()? } else { source.adapted(Config::default()) };
    let logging = Logging::start(&config);
    let shaper = shaper(&config).context(Unfit)?;
    check(&config).context(Unfit)?;
    // The port first: whoever finds it taken should not have touched the data.
    let bound = Bound::new(&config).await?;
    let bound_search = Bound::search(&config).await?;
    let edged = edging::first(&config).await?;
    let sources = Prepared::first(&config).await?;
    let destinations = shipping::Prepared::first(&config).await?;
    let mut telling = Telling::default();
    let told = telling.prepare(&config).await?;
    let probes = probing::Ready::new(&config).await?;
    let specs = supervising::specs(&config)?;
    let state = State::open(&config.data_dir).await?;
    let tasks = tasking::Ready::first(&config).await?;
    let watched = watching::Prepared::first(&config, &state).await?;
    let configured = wiring::configured_keys(&config)?;
    let has_keys = !configured.is_empty() || state.keys().await?.iter().any(|key| key.revoked_ms.is_none());
    check_reach(&config, bound.address, has_keys)?;
    if let Some(edge) = &config.edge {
        check_reach(&config, edge.https, has_keys)?;
    }
    if let Some(bound) = &bound_search {
        check_reach(&config, bound.address, has_keys)?;
    }

    let options = wiring::journal_options(&config);
    let holds = options.holds.clone();
    let Opened { journal, writer, recovery } = tokio::task::spawn_blocking(move || Journal::open(options)).await??;
    tell_recovery(&journal, recovery).await?;
    let started = Record::new("process", Level::Info, "started").caller(CALLER);
    journal.tell(started.field("version", cli::VERSION).field("pid", std::process::id())).await?;

    let shipping = Shipping::new(wiring::book(&config, &journal, &shaper, holds), destinations);
    let (shelf, indexer) = shelf::open(&config, &journal, shaper)?;

    let book = std::sync::Arc::new(JournalBook(journal.clone()));
    let elastic = Elastic::new(shelf.clone(), config.data_dir.join("elastic.json"), Some(book))
        .context("preparing the Elasticsearch API")?;

    let (ask_keeper, asks) = AskKeeper::channel();
    let limits = limits(&config)?;
    let (failures, began) = (Failures::new(), Instant::now());
    let contents = OnceLock::new();
    let (keeper, sign_ins) = (ask_keeper, SignIns::default());
    let answers = Answers::open(state.clone()).await?;
    let (troubles, visits) = (Troubles::default(), Visits::new(journal.clone()));
    let figures = Figures::new(journal.clone(), shelf.clone(), state.clone());
    let ground = Ground {
        figures,
        state,
        shelf,
        elastic,
        journal,
        limits,
        failures,
        began,
        troubles,
        keeper,
        source: source.clone(),
        turn: Turn::default(),
        sign_ins,
        answers,
        probed: std::sync::Arc::default(),
        tasked: std::sync::Arc::default(),
        batched: std::sync::Arc::default(),
        edge: std::sync::Arc::default(),
        visits,
        contents,
    };
    let house = ground.house(&config, bound.address, None)?;
    let mut ring = Ring::default();
    let revoked = ring.look(&ground.state, house.gateway.door(), &ground.journal).await?;
    ring.configure(house.gateway.door(), configured);
    let mut counts = Counts::new(&ground);
    counts.restore(config.journal_file(), house.gateway.clone()).await?;
    // After that: what this node knows is told when Redis has lost its memory.
    for id in &revoked {
        ground.limits.revocations().publish(id);
    }
    ground.limits.connect().await;
    // Before the first request: what other nodes have revoked while this one was away.
    let owes = !keeper::take_over(&ground.state, &ring, &ground.limits.revocations().ids()).await;
    ring.look(&ground.state, house.gateway.door(), &ground.journal).await?;

    // Before the first answer: whoever sees that the house answers may also tell it to end, and expects it to end in order.
    let signals = Signals::listen()?;
    let (door, upstreams) = (house.gateway.door().clone(), house.gateway.upstreams().clone());
    let current = Current::new(house);
    // Before the first answer: whoever sees that the house answers may also ask for an answer that comes later.
    let gate = std::sync::Arc::new(Gate::new(current.clone(), ground.probed.clone()));
    let parts =
        batching::Parts { journal: ground.journal.clone(), gate: gate.clone(), batched: ground.batched.clone() };
    let batching = Batching::new(parts, &config).await?;
    let serving = Serving::new(&config, current.clone(), ground.journal.clone());
    let serving_search = Serving::search(&config, current.clone(), ground.journal.clone());
    let mut draining = JoinSet::new();
    let mut edging = Edging::new(&config, &current, &ground)?;
    let edged = edged.serve(&edging)?;
    edging.adopt(edged, &config, &mut draining);
    let listening = bound.serve(&config, &serving)?;
    let listening_search = bound_search.map(|bound| bound.serve_directly(&serving_search)).transpose()?;
    let collecting = Collecting::new(
        ground.journal.clone(),
        config.journal_file(),
        config.data_dir.join("collect"),
        current.clone(),
        sources,
    );
    let (journal, house) = (ground.journal.clone(), current.clone());
    let supervising = Supervising::new(&config, journal, house, collecting.lines(), specs)?;
    ground.figures.show(shipping.shown(), collecting.shown());
    telling.adopt(told, &config.service, &ground.figures, &current);
    let place = watching::place(&config, listening.address);
    let console = place.console.clone();
    let watching = Watching::new(
        ground.shelf.clone(),
        ground.state.clone(),
        ground.journal.clone(),
        ground.troubles.clone(),
        watched,
        place,
    );
    let (state, journal) = (ground.state.clone(), ground.journal.clone());
    let probing = Probing::new(state, journal, current.clone(), ground.probed.clone(), probes)?;
    let parts = tasking::Parts {
        state: ground.state.clone(),
        journal: ground.journal.clone(),
        shelf: ground.shelf.clone(),
        tasked: ground.tasked.clone(),
        gate,
    };
    let tasking = Tasking::new(parts, tasks, console).await?;
    let parts = approving::Parts { journal: ground.journal.clone(), tasked: ground.tasked.clone() };
    let approving = Approving::new(parts, config.approvals.clone());
    let stores = Stores::new(&config, ground.journal.clone(), ground.shelf.clone());
    let mut parts = greeting(&edging, &collecting, &shipping, &watching, &supervising, &probing, &tasking);
    parts.extend(batching.greeting().await.map(|line| format!("batches    {line}")));
    ps::note_address(&config, listening.address);
    greet(&config, &ground.state, listening.address, &door, &upstreams, &parts).await;
    if let Some(listening) = &listening_search {
        tell!("  search     http://{}  (Elasticsearch)", keys::reachable(listening.address));
    }
    drop((door, upstreams));

    let (stop, stopped) = watch::channel(false);
    let counting = tokio::spawn(counts.keep(stopped));
    let mut keeper = Keeper {
        ground,
        current,
        config,
        source,
        file,
        serving,
        listening,
        serving_search,
        listening_search,
        edging,
        collecting,
        shipping,
        watching,
        telling,
        supervising,
        stores,
        probing,
        tasking,
        batching,
        approving,
        ring,
        notifier: Notifier::from_environment(),
        logging,
        draining,
        owes,
        erasures: None,
    };
    keeper.notifier.ready();
    keeper.keep(signals, asks).await;
    keeper.notifier.stopping();

    tell!("stopping: running requests may end within {:?}", keeper.config.timeouts.drain);
    let mut ground = Box::pin(keeper.end()).await;
    ground.answers.end().await;
    if let Some(contents) = ground.contents.take() {
        contents.end().await;
    }
    stop.send_replace(true);
    counting.await.context("keeping what was used of the limits")?;
    if tokio::time::timeout(FLUSH_TIME_MAX, ground.limits.flush()).await.is_err() {
        tracing::warn!("other nodes were not told all that was used here");
    }
    ground.journal.tell(Record::new("process", Level::Info, "stopped").caller(CALLER)).await?;
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        // The journal first: the indexer reads on to its last line before it ends.
        writer.close().context("closing the journal")?;
        indexer.map_or(Ok(()), Indexer::close).context("closing the index")
    })
    .await??;
    ground.state.close().await;
    Ok(())
}

/// What is wrong with a configuration beyond its form, as far as that shows without opening a port or the data. For who will not
/// begin to serve it: who does reads the certificates of sites then.
pub(crate) fn check_all(config: &Config) -> anyhow::Result<()> {
    check(config)?;
    edging::check_certificates(config)
}

/// The same without the certificates of sites.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    shaper(config)?;
    Shapes::compile(config)?;
    sieving::compile(config)?;
    limits(config)?;
    wiring::door_settings(config)?;
    wiring::configured_keys(config)?;
    for source in &config.sources {
        check_source(config, source).with_context(|| format!("preparing source {}", source.name))?;
    }
    for ship in &config.ship {
        shipping::destination(ship)?;
        shipping::check_circle(config, ship)?;
    }
    if let Some(otlp) = &config.telemetry.otlp {
        telling::client(otlp)?;
    }
    watching::rules(config)?;
    tollhouse_probe::Prepared::new(probing::specs(&config.probes)).context("preparing the probes (`probes`)")?;
    supervising::specs(config)?;
    edging::check(config)?;
    for channel in &config.channels {
        watching::channel(channel)?;
    }
    for model in &config.models {
        if let Some(path) = &model.tokenizer {
            // Opened, not only looked at: it may be there and not for us.
            let file = std::fs::File::open(path).and_then(|file| file.metadata());
            let file = file.with_context(|| format!("opening the tokenizer of {}: {}", model.name, path.display()))?;
            anyhow::ensure!(file.is_file(), "the tokenizer of {} is no file: {}", model.name, path.display());
        }
    }
    Ok(())
}

/// What is wrong with a source.
fn check_source(config: &Config, source: &SourceConfig) -> anyhow::Result<()> {
    match &source.kind {
        SourceKind::Listen(listen) => {
            let options = wiring::listen_options(listen, config.sources.len());
            options.with_context(|| format!("reading `sources.{}.tls`", source.name))?;
        }
        SourceKind::Http(http) => {
            let options = wiring::http_options(http, config.sources.len(), &wiring::serve_options(config));
            options.with_context(|| format!("reading `sources.{}.tls`", source.name))?;
        }
        SourceKind::File(file) => wiring::check_files(file, config)?,
        SourceKind::Journald(_) | SourceKind::Stdin(_) | SourceKind::Process(_) => {}
    }
    Ok(())
}

/// Limits of this node alone, or of all nodes of the service that have the same Redis.
fn limits(config: &Config) -> anyhow::Result<Limits> {
    match &config.shared.redis {
        Some(url) => Limits::shared(url.expose(), &config.service).context("sharing the limits (`shared.redis`)"),
        None => Ok(Limits::local()),
    }
}

/// Reads the tags' queries.
pub(crate) fn shaper(config: &Config) -> anyhow::Result<Shaper> {
    Shaper::new(&config.tags).map_err(|error| anyhow::anyhow!("reading `tags` of the configuration: {error}"))
}

/// Loopback is not a credential, and beyond it a house without keys is either useless or open: neither is started.
pub(crate) fn check_reach(config: &Config, address: SocketAddr, has_keys: bool) -> anyhow::Result<()> {
    if address.ip().is_loopback() || config.access.auth == Auth::Off || has_keys {
        return Ok(());
    }
    bail!(
        "listening on {address}, beyond this machine, with no key made; make one first: tollhouse key create --name NAME"
    )
}

/// Tells what was cut off the end of the journal, and closes the requests that have no end.
pub(crate) async fn tell_recovery(journal: &Journal, recovery: Recovery) -> anyhow::Result<()> {
    if recovery.torn_bytes > 0 {
        let torn =
            Record::new("log", Level::Warn, "a half line at the end of the journal was moved away").caller(CALLER);
        let torn = torn
            .field("torn_bytes", recovery.torn_bytes)
            .field("dropped_bytes", recovery.dropped_bytes)
            .field("file", recovery.quarantine.to_string_lossy().as_ref());
        journal.tell(torn).await.context("telling that the end of the journal was torn")?;
    }
    close_interrupted(journal, recovery.unfinished).await
}

/// Closes the records of requests that a crash cut off, so that each has an end.
async fn close_interrupted(journal: &Journal, unfinished: Vec<Map<String, Value>>) -> anyhow::Result<()> {
    const KEPT: [&str; 9] =
        ["method", "path", "request_id", "user_id", "model", "key_id", "trace_id", "client_ip", "stream"];
    for mut start in unfinished {
        let mut record = Record::new("request", Level::Error, "request interrupted").caller(CALLER);
        for name in KEPT {
            if let Some(value) = start.remove(name) {
                record = record.field(name, value);
            }
        }
        let record = record.field("status", 503).field("error", "interrupted").field("cancelled", false);
        journal.tell(record).await.context("closing the record of an interrupted request")?;
    }
    Ok(())
}

/// What the parts behind the gate do, a line each.
fn greeting(
    edging: &Edging,
    collecting: &Collecting,
    shipping: &Shipping,
    watching: &Watching,
    supervising: &Supervising,
    probing: &Probing,
    tasking: &Tasking,
) -> Vec<String> {
    let edged = edging.greeting().into_iter().map(|line| format!("site       {line}"));
    let collected = collecting.greeting().into_iter().map(|line| format!("collect    {line}"));
    let shipped = shipping.greeting().into_iter().map(|line| format!("ship       {line}"));
    let watched = watching.greeting().into_iter().map(|line| format!("alerts     {line}"));
    let supervised = supervising.greeting().into_iter().map(|line| format!("supervise  {line}"));
    let probed = probing.greeting().into_iter().map(|line| format!("probes     {line}"));
    let tasks = tasking.greeting().into_iter().map(|line| format!("tasks      {line}"));
    edged.chain(collected).chain(shipped).chain(watched).chain(supervised).chain(probed).chain(tasks).collect()
}

/// Tells whoever started the house what it does and how to go on.
async fn greet(
    config: &Config,
    state: &State,
    address: SocketAddr,
    door: &Door,
    upstreams: &Upstreams,
    parts: &[String],
) {
    let base = format!("http://{}", keys::reachable(address));
    tell!("tollhouse {} · {}", cli::VERSION, config.service);
    tell!("  listening  {base}  (OpenAI at /v1, Ollama at /api, Elasticsearch at /es)");
    match keys::console_address(state, config, address, TOKEN_LIFETIME).await {
        Ok(console) => tell!("  console    {console}"),
        // A house that cannot make a token can still serve.
        Err(error) => tell!("  console    no address now ({error:#}); later: tollhouse token"),
    }
    for upstream in upstreams.status() {
        if upstream.kind == "demo" {
            tell!(
                "  model      demo: a built-in talker, not a model; name a model server under `upstreams` for a real one"
            );
        } else {
            tell!("  model      {} ({} at {})", upstream.name, upstream.kind, upstream.url);
        }
    }
    for line in parts {
        tell!("  {line}");
    }
    tell!("  journal    {}", config.journal_file().display());
    if config.access.auth == Auth::Off {
        tell!("  keys       nobody is asked for one (access.auth: off)");
    } else if door.keyring().is_empty() {
        tell!("  keys       none yet: nobody can pass. Make one: tollhouse key create --name me");
    }
}
