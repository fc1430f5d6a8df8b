//! `tollhouse up`: builds every part in order, serves, and stops them in the reverse order.

use std::collections::BTreeSet;
use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tollhouse_config::{Auth, Config};
use tollhouse_console::Console;
use tollhouse_gateway::{Door, Gateway};
use tollhouse_journal::{Journal, Level, Opened, Record};
use tollhouse_shape::Shaper;
use tollhouse_state::State;
use tollhouse_store::Store;
use tollhouse_upstream::Upstreams;
use tollhouse_web::HostGuard;

use crate::house::{self, House};
use crate::{cli, keys, wiring};

/// How often the house looks whether the command line changed the keys; revocation is in force within a second.
const KEYS_LOOKED_AT_EVERY: Duration = Duration::from_millis(500);
/// How long the address printed at the start opens the console.
const TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// Where these records come from.
const CALLER: &str = "tollhouse/up.rs";

/// Runs the house until it is told to stop (SIGTERM, SIGINT).
pub(crate) async fn up(config: Config) -> anyhow::Result<()> {
    start_logging(&config);
    let shaper = shaper(&config)?;
    // The port first: whoever finds it taken should not have touched the data.
    let listener = TcpListener::bind(config.listen.address).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => "; is a tollhouse or OpenClaw running there? `listen` chooses another port",
            ErrorKind::PermissionDenied => "; ports below 1024 need the right to bind them: choose another in `listen`",
            ErrorKind::AddrNotAvailable => "; this machine does not have that address: see `listen`",
            _ => "",
        };
        anyhow::Error::new(error).context(format!("listening on {}{hint}", config.listen.address))
    })?;
    let address = listener.local_addr().context("asking for the address listened on")?;
    let state = State::open(&config.data_dir).await?;

    let door = wiring::door(&config, &state).await?;
    check_reach(&config, address, &door)?;

    let options = wiring::journal_options(&config);
    let Opened { journal, writer, recovery } = tokio::task::spawn_blocking(move || Journal::open(options)).await??;
    close_interrupted(&journal, recovery.unfinished).await?;
    let started = Record::new("process", Level::Info, "started").caller(CALLER);
    journal.append(started.field("version", cli::VERSION).field("pid", std::process::id())).await?;

    let store = Store::open(wiring::store_options(&config)).context("opening the index")?;
    let indexer = store
        .follow(config.journal_file(), journal.written(), journal.synced(), shaper)
        .context("starting the indexer")?;

    let upstreams = wiring::upstreams(&config)?;
    let gateway = Gateway::new(wiring::gateway_settings(&config), door.clone(), upstreams.clone(), journal.clone());
    let console = Console::new(
        tollhouse_console::Settings {
            service: config.service.clone(),
            version: cli::VERSION,
            public_url: config.public_url.clone(),
            port: address.port(),
        },
        state.clone(),
        store.clone(),
        gateway.clone(),
        journal.clone(),
    );
    let house = Arc::new(House {
        service: config.service.clone(),
        began: Instant::now(),
        hosts: HostGuard::new(wiring::host_names(&config)),
        gateway,
        journal: journal.clone(),
        elastic: tollhouse_elastic::router(store.clone()),
        console: tollhouse_console::router(console),
    });

    let (stop, stopped) = watch::channel(false);
    let watcher = tokio::spawn(watch_keys(state.clone(), door.clone(), journal.clone(), stopped.clone()));
    let server = tokio::spawn(tollhouse_web::serve(listener, wiring::serve_options(&config), stopped, {
        let house = house.clone();
        move |request, peer| house::answer(house.clone(), request, peer)
    }));
    greet(&config, &state, address, &door, &upstreams).await;
    wait_for_stop().await?;

    eprintln!("stopping: running requests may end within {:?}", config.timeouts.drain);
    stop.send_replace(true);
    server.await.context("serving")?;
    watcher.await.context("watching the keys")?;
    drop(house);
    journal.append(Record::new("process", Level::Info, "stopped").caller(CALLER)).await?;
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        // The journal first: the indexer reads on to its last line before it ends.
        writer.close().context("closing the journal")?;
        indexer.close().context("closing the index")
    })
    .await??;
    state.close().await;
    Ok(())
}

/// Reads the tags' queries.
pub(crate) fn shaper(config: &Config) -> anyhow::Result<Shaper> {
    Shaper::new(&config.tags).map_err(|error| anyhow::anyhow!("reading `tags` of the configuration: {error}"))
}

/// Loopback is not a credential, and beyond it a house without keys is either useless or open: neither is started.
fn check_reach(config: &Config, address: SocketAddr, door: &Door) -> anyhow::Result<()> {
    if address.ip().is_loopback() || config.access.auth == Auth::Off || !door.keyring().is_empty() {
        return Ok(());
    }
    bail!(
        "listening on {address}, beyond this machine, with no key made; make one first: tollhouse key create --name NAME"
    )
}

/// The program's own remarks go to standard error; what happens to requests is in the journal.
fn start_logging(config: &Config) {
    let own = format!("warn,tollhouse={level}", level = config.logging.level);
    let filter =
        tracing_subscriber::EnvFilter::try_new(own).unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let subscriber = subscriber.with_ansi(std::io::stderr().is_terminal());
    if let Err(error) = subscriber.try_init() {
        eprintln!("tollhouse: starting its own log: {error}");
    }
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
        journal.append(record).await.context("closing the record of an interrupted request")?;
    }
    Ok(())
}

/// Puts keys in force as the command line makes and revokes them, and records each change.
async fn watch_keys(state: State, door: Arc<Door>, journal: Journal, mut stop: watch::Receiver<bool>) {
    // Nothing is taken as seen: a key made between the opening of the door and now is found at the first look.
    let mut seen = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(KEYS_LOOKED_AT_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let version = match state.keys_version().await {
            Ok(version) => version,
            Err(error) => {
                tracing::error!(error = %error, "looking for changed keys");
                continue;
            }
        };
        if seen == Some(version) {
            continue;
        }
        match wiring::keys_in_force(&state).await {
            Ok(keys) => {
                let before = door.keyring();
                let after = before.with_stored(wiring::hashed(keys));
                record_changes(&journal, &before.stored_ids(), &after.stored_ids());
                door.replace_keyring(after);
                seen = Some(version);
            }
            Err(error) => tracing::error!(error = %error, "reading changed keys"),
        }
    }
}

fn record_changes(journal: &Journal, before: &BTreeSet<&str>, after: &BTreeSet<&str>) {
    let made = after.difference(before).map(|id| (id, "key created"));
    let ended = before.difference(after).map(|id| (id, "key revoked"));
    for (id, what) in made.chain(ended) {
        let record = Record::new("audit", Level::Info, what).caller(CALLER).field("key_id", *id);
        if let Err(error) = journal.enqueue(record) {
            tracing::error!(error = %error, key_id = %id, "recording a change of keys");
        }
    }
}

/// Tells whoever started the house what it does and how to go on.
async fn greet(config: &Config, state: &State, address: SocketAddr, door: &Door, upstreams: &Upstreams) {
    let base = format!("http://{}", keys::reachable(address));
    eprintln!("tollhouse {} · {}", cli::VERSION, config.service);
    eprintln!("  listening  {base}  (OpenAI at /v1, Ollama at /api, Elasticsearch at /es)");
    match keys::console_address(state, config, address, TOKEN_LIFETIME).await {
        Ok(console) => eprintln!("  console    {console}"),
        // A house that cannot make a token can still serve.
        Err(error) => eprintln!("  console    no address now ({error:#}); later: tollhouse token"),
    }
    for upstream in upstreams.status() {
        if upstream.kind == "demo" {
            eprintln!(
                "  model      demo: a built-in talker, not a model; name a model server under `upstreams` for a real one"
            );
        } else {
            eprintln!("  model      {} ({} at {})", upstream.name, upstream.kind, upstream.url);
        }
    }
    eprintln!("  journal    {}", config.journal_file().display());
    if config.access.auth == Auth::Off {
        eprintln!("  keys       nobody is asked for one (access.auth: off)");
    } else if door.keyring().is_empty() {
        eprintln!("  keys       none yet: nobody can pass. Make one: tollhouse key create --name me");
    }
}

async fn wait_for_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
