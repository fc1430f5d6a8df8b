//! Keeps a running house as it is meant to be: looks after its keys, and puts a changed configuration in force.
//!
//! A configuration is changed all or nothing. Everything that can fail comes first: the file is read and checked, the new
//! address is bound, the new house is built beside the running one. Then the new house takes the running one's place by
//! one exchange of a pointer; requests that are under way end in the house that they came into. What fails leaves the
//! running house as it was. Either way a `config` record tells.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tollhouse_config::{Config, ConfigErrors};
use tollhouse_console::Ask;
use tollhouse_journal::{Level, Record};
use tollhouse_remote::Shelf;
use tollhouse_state::{State, Versions};

use crate::approving::Approving;
use crate::batching::Batching;
use crate::collecting::Collecting;
use crate::edging::Edging;
use crate::ground::Ground;
use crate::house::Current;
use crate::listening::{Bound, Listening, Serving};
use crate::logging::Logging;
use crate::notifying::Notifier;
use crate::probing::{self, Probing};
use crate::ring::Ring;
use crate::shipping::Shipping;
use crate::source::{FileWatch, Source};
use crate::stores::Stores;
use crate::supervising::{self, Supervising};
use crate::tasking::Tasking;
use crate::telling::Telling;
use crate::watching::{self, Watching};
use crate::{content, ps, shelf, up, users, wiring};

/// How often is looked for changed keys and a changed file.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Changed keys of the configuration that one record names.
const CHANGES_MAX: usize = 50;
/// What is opened once, so that a change of it needs a restart.
const FIXED: [&str; 12] = [
    "service",
    "data_dir",
    "logging.file",
    "logging.fields",
    "logging.rotate",
    "logging.keep",
    "logging.compress",
    "logging.sync",
    "logging.content.keep",
    "tags",
    "store",
    "shared",
];
/// What of it needs none all the same.
const LOOSE: [&str; 4] = ["store.login", "store.user", "store.password", "store.api_key"];
/// Where these records come from.
const CALLER: &str = "tollhouse/keeper.rs";

/// A running house and what it needs to become another one.
pub(crate) struct Keeper {
    pub(crate) ground: Ground,
    pub(crate) current: Current,
    pub(crate) config: Config,
    pub(crate) source: Source,
    pub(crate) file: FileWatch,
    pub(crate) serving: Serving,
    pub(crate) listening: Listening,
    /// The same for the address of the Elasticsearch API alone.
    pub(crate) serving_search: Serving,
    pub(crate) listening_search: Option<Listening>,
    pub(crate) edging: Edging,
    pub(crate) collecting: Collecting,
    pub(crate) shipping: Shipping,
    pub(crate) watching: Watching,
    pub(crate) telling: Telling,
    pub(crate) probing: Probing,
    pub(crate) tasking: Tasking,
    pub(crate) batching: Batching,
    pub(crate) approving: Approving,
    pub(crate) supervising: Supervising,
    pub(crate) stores: Stores,
    pub(crate) ring: Ring,
    /// Whoever started the house is told how it is.
    pub(crate) notifier: Notifier,
    pub(crate) logging: Logging,
    /// Servers that take no more connections and let their last requests end.
    pub(crate) draining: JoinSet<()>,
    /// Keys revoked elsewhere that could not be ended here yet.
    pub(crate) owes: bool,
    /// The version up to which each erasure of content has its record.
    pub(crate) erasures: Option<i64>,
}

/// What the system tells the house, heard from the moment of [`Signals::listen`] on.
pub(crate) struct Signals {
    /// SIGTERM: end in order.
    terminate: Signal,
    /// SIGINT: the same.
    interrupt: Signal,
    /// SIGHUP: read the configuration again.
    hangup: Signal,
}

impl Signals {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("listening for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listening for SIGINT")?,
            hangup: signal(SignalKind::hangup()).context("listening for SIGHUP")?,
        })
    }
}

impl Keeper {
    /// Keeps the house until it is told to stop.
    pub(crate) async fn keep(&mut self, mut signals: Signals, mut asks: mpsc::Receiver<Ask>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut revoked = self.ground.limits.revocations().watch();
        // What came before this moment counts as seen, and may have come after the last look.
        revoked.mark_changed();
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return,
                _ = signals.interrupt.recv() => return,
                _ = signals.hangup.recv() => {
                    // What came of it is recorded; whoever sent the signal waits for no answer.
                    let _: anyhow::Result<Vec<String>> = self.reload("signal").await;
                }
                Some(ask) = asks.recv() => self.answer(ask).await,
                Ok(()) = revoked.changed() => {
                    let ids = revoked.borrow_and_update().clone();
                    self.take_over(&ids).await;
                }
                _ = look.tick() => self.look().await,
            }
        }
    }

    /// Ends the serving, running requests last.
    pub(crate) async fn end(mut self) -> Ground {
        // First: a question of ours need not be waited for.
        self.probing.end().await;
        self.approving.end();
        self.batching.end().await;
        self.tasking.end().await;
        let search = async {
            if let Some(listening) = self.listening_search {
                listening.end().await;
            }
        };
        tokio::join!(self.listening.end(), search, self.edging.end());
        // Their last words are collected.
        self.supervising.end().await;
        self.collecting.end().await;
        while self.draining.join_next().await.is_some() {}
        self.watching.end().await;
        self.shipping.end().await;
        self.telling.end().await;
        self.ground
    }

    /// A console that has left needs no answer.
    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Reload(answer) => {
                let result = self.reload("console").await.map_err(|error| error_text(&error));
                let _: Result<(), _> = answer.send(result);
            }
            Ask::Processes(answer) => {
                let _: Result<(), _> = answer.send(self.supervising.list());
            }
            Ask::Order(order, answer) => self.supervising.follow(order, answer),
            Ask::Stores(answer) => {
                let _: Result<(), _> = answer.send(self.stores.list());
            }
            Ask::Rules(answer) => {
                self.take_rules().await;
                let _: Result<(), _> = answer.send(());
            }
            Ask::Keys(answer) => {
                self.look_after_keys().await;
                let _: Result<(), _> = answer.send(());
            }
        }
    }

    async fn take_over(&mut self, ids: &BTreeSet<String>) {
        self.owes = !take_over(&self.ground.state, &self.ring, ids).await;
        self.look_after_keys().await;
    }

    async fn look(&mut self) {
        self.notifier.alive();
        if self.owes {
            let ids = self.ground.limits.revocations().ids();
            self.take_over(&ids).await;
        } else {
            self.look_after_keys().await;
        }
        while self.draining.try_join_next().is_some() {}
        self.collecting.look();
        self.edging.look().await;
        let Versions { erasures, has_audits, .. } = self.ring.seen();
        if self.erasures != Some(erasures) {
            match content::record_erasures(&self.ground.state, &self.ground.journal).await {
                Ok(()) => self.erasures = Some(erasures),
                Err(error) => tracing::error!(error = format!("{error:#}"), "recording that content was erased"),
            }
        }
        if has_audits && let Err(error) = users::record_audits(&self.ground.state, &self.ground.journal).await {
            tracing::error!(error = format!("{error:#}"), "recording what the command line did with users");
        }
        if self.file.changed().await {
            let _: anyhow::Result<Vec<String>> = self.reload("file").await;
        }
    }

    /// Puts saved rules in force, beside those of the configuration.
    async fn take_rules(&mut self) {
        match self.watching.prepare(&self.config).await {
            Ok(watched) => self.watching.adopt(watched, watching::place(&self.config, self.listening.address)),
            Err(error) => tracing::error!(error = format!("{error:#}"), "putting saved rules in force"),
        }
    }

    async fn look_after_keys(&mut self) {
        let house = self.current.get();
        let Ground { state, journal, limits, .. } = &self.ground;
        match self.ring.look(state, house.gateway.door(), journal).await {
            Ok(revoked) => revoked.iter().for_each(|id| limits.revocations().publish(id)),
            Err(error) => tracing::error!(error = format!("{error:#}"), "keeping the keys"),
        }
    }

    /// Reads the configuration again, puts it in force and records that, or why not. Gives what changed.
    async fn reload(&mut self, asked_by: &'static str) -> anyhow::Result<Vec<String>> {
        let result = self.try_reload().await;
        let record = match &result {
            Ok(changed) if changed.is_empty() => Record::new("config", Level::Info, "configuration unchanged"),
            Ok(changed) => {
                let named: Vec<&String> = changed.iter().take(CHANGES_MAX).collect();
                Record::new("config", Level::Info, "configuration reloaded")
                    .field("changed", named)
                    .field("changes", changed.len())
            }
            Err(error) => {
                tracing::error!("the configuration is left as it was: {}", error_text(error));
                Record::new("config", Level::Error, "configuration refused").field("error", first_error(error))
            }
        };
        let record = record.caller(CALLER).field("asked_by", asked_by);
        if let Err(error) = self.ground.journal.append(record).await {
            tracing::error!(error = %error, "recording a change of the configuration");
        }
        result
    }

    async fn try_reload(&mut self) -> anyhow::Result<Vec<String>> {
        self.file.take_as_seen().await;
        let source = self.source.clone();
        let read = move || {
            let config = source.read()?;
            up::check(&config)?;
            anyhow::Ok(config)
        };
        let config = tokio::task::spawn_blocking(read).await.context("reading the configuration")??;
        let mut changed = self.config.changes(&config);
        changed.extend(self.collecting.renewed().await);
        changed.extend(self.shipping.renewed().await);
        changed.extend(self.watching.renewed().await);
        changed.extend(self.probing.renewed().await);
        if changed.is_empty() {
            return Ok(changed);
        }
        refuse_fixed(&changed)?;

        let before = self.current.get();
        let bound = if config.listen.address != self.config.listen.address {
            Some(Bound::new(&config).await?)
        } else if config.listen != self.config.listen {
            Some(self.listening.again()?)
        } else {
            None
        };
        let has_new_search = config.search != self.config.search;
        let bound_search = if has_new_search { Bound::search(&config).await? } else { None };
        let address = bound.as_ref().map_or(self.listening.address, |bound| bound.address);
        let keys = wiring::configured_keys(&config)?;
        let has_keys = !keys.is_empty() || !before.gateway.door().keyring().stored_ids().is_empty();
        up::check_reach(&config, address, has_keys)?;
        if let Some(edge) = &config.edge {
            up::check_reach(&config, edge.https, has_keys)?;
        }
        if let Some(bound) = &bound_search {
            up::check_reach(&config, bound.address, has_keys)?;
        }
        let house = self.ground.house(&config, address, Some(&before))?;
        let sources = self.collecting.prepare(&config).await?;
        let destinations = self.shipping.prepare(&config).await?;
        let watched = self.watching.prepare(&config).await?;
        let told = self.telling.prepare(&config).await?;
        let edged = self.edging.prepare(&config).await?;
        let probed = probing::Ready::new(&config).await?;
        let tasks = self.tasking.prepare(&config).await?;
        let specs = supervising::specs(&config)?;
        let of_store = config.clone();
        let store_client = tokio::task::spawn_blocking(move || shelf::client(&of_store)).await??;
        let edged = edged.serve(&self.edging)?;
        let listening = bound.map(|bound| bound.serve(&config, &self.serving)).transpose()?;
        let listening_search = bound_search.map(|bound| bound.serve_directly(&self.serving_search)).transpose()?;

        // From here on nothing fails.
        self.ring.configure(house.gateway.door(), keys);
        self.current.replace(house);
        if let Some(listening) = listening {
            let old = std::mem::replace(&mut self.listening, listening);
            ps::note_address(&config, self.listening.address);
            self.draining.spawn(old.end());
        }
        if has_new_search && let Some(old) = std::mem::replace(&mut self.listening_search, listening_search) {
            self.draining.spawn(old.end());
        }
        self.edging.adopt(edged, &config, &mut self.draining);
        self.collecting.adopt(sources);
        self.shipping.adopt(destinations);
        if let (Shelf::Far(remote), Some(client)) = (&self.ground.shelf, store_client) {
            remote.renew(client);
        }
        self.telling.adopt(told, &config.service, &self.ground.figures, &self.current);
        let place = watching::place(&config, address);
        let console = place.console.clone();
        self.watching.adopt(watched, place);
        self.probing.adopt(probed).await;
        self.tasking.adopt(tasks, console).await;
        self.batching.adopt(&config).await;
        self.approving.adopt(config.approvals.clone());
        self.supervising.adopt(specs);
        if !self.stores.are_of(&config) {
            self.stores = Stores::new(&config, self.ground.journal.clone(), self.ground.shelf.clone());
        }
        self.serving.configure(wiring::serve_options(&config));
        self.serving_search.configure(wiring::search_options(&config));
        self.edging.configure(&config);
        self.logging.set_level(&config);
        self.config = config;
        Ok(changed)
    }
}

/// Ends keys that were revoked on other nodes, here too and for good; in force at the ring's next look. Whether that was
/// possible for all of them.
pub(crate) async fn take_over(state: &State, ring: &Ring, ids: &BTreeSet<String>) -> bool {
    let mut is_done = true;
    for id in ring.unknown(ids) {
        if let Err(error) = state.revoke_id(&id).await {
            tracing::error!(error = %error, key_id = %id, "revoking a key that was revoked on another node");
            is_done = false;
        }
    }
    is_done
}

/// Whether a change at this path is only made by a restart.
pub(crate) fn needs_restart(path: &str) -> bool {
    let is_below =
        |fixed: &&str| path.strip_prefix(*fixed).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    FIXED.iter().any(is_below) && !LOOSE.contains(&path)
}

/// Names the first change that needs a restart.
fn refuse_fixed(changed: &[String]) -> anyhow::Result<()> {
    if let Some(path) = changed.iter().find(|path| needs_restart(path)) {
        bail!("a change of `{path}` needs a restart; nothing was changed");
    }
    Ok(())
}

/// The first thing that is wrong, in one line.
fn first_error(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ConfigErrors>() {
        Some(errors) => match errors.problems().first() {
            Some(problem) => match problem.place {
                Some(place) => format!("{}:{}:{}: {}", errors.file(), place.line, place.column, problem.message()),
                None => format!("{}: {}", errors.file(), problem.message()),
            },
            None => errors.to_string(),
        },
        None => format!("{error:#}"),
    }
}

/// All that is wrong.
fn error_text(error: &anyhow::Error) -> String {
    error.downcast_ref::<ConfigErrors>().map_or_else(|| format!("{error:#}"), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let refused = |path: &str| refuse_fixed(&[path.to_owned()]).is_err();
        for path in [
            "service",
            "logging.content.keep.days",
            "logging.rotate.size",
            "tags.slow",
            "store.keep.days",
            "shared.redis",
            "logging.fields",
        ] {
            assert!(refused(path), "{path}");
        }
        for path in [
            "services",
            "logging.content.mode",
            "logging.level",
            "access.keys[0]",
            "models.store",
            "listen",
            "limits.head",
            "store.login",
        ] {
            assert!(!refused(path), "{path}");
        }
        let error = refuse_fixed(&["listen".to_owned(), "data_dir".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "a change of `data_dir` needs a restart; nothing was changed");
    }
}
