//! What stays while the configuration changes, and how a house is built upon it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinHandle;
use tollhouse_access::Keyring;
use tollhouse_config::Config;
use tollhouse_console::{Answers, AskKeeper, Console, KeptContent, SignIns, Turn};
use tollhouse_content::{Contents, Mode};
use tollhouse_edge::Kept;
use tollhouse_elastic::Elastic;
use tollhouse_gateway::{Door, Families, Gateway, Settings};
use tollhouse_journal::Journal;
use tollhouse_limits::{Failures, Limits};
use tollhouse_remote::Shelf;
use tollhouse_state::State;
use tollhouse_upstream::Upstreams;
use tollhouse_watch::Troubles;
use tollhouse_web::HostGuard;

use crate::batching::Batched;
use crate::edging::visits::Visits;
use crate::figures::Figures;
use crate::house::House;
use crate::probing::Probed;
use crate::source::Source;
use crate::tasking::Tasked;
use crate::watching::desk::Desk;
use crate::{cli, doctor, edging, settings, sieving, wiring};

/// How long what waits to be kept may take at the end.
const CONTENTS_END_MAX: Duration = Duration::from_secs(10);

/// The parts that are opened once: what they count, keep and write goes on over every change of the configuration.
pub(crate) struct Ground {
    pub(crate) state: State,
    pub(crate) shelf: Shelf,
    pub(crate) elastic: Elastic,
    pub(crate) journal: Journal,
    pub(crate) limits: Limits,
    pub(crate) failures: Failures,
    pub(crate) began: Instant,
    /// Rules that cannot be asked right now.
    pub(crate) troubles: Troubles,
    /// The house's own figures.
    pub(crate) figures: Figures,
    /// By which the console asks for what it cannot change itself.
    pub(crate) keeper: AskKeeper,
    /// Where the configuration is read.
    pub(crate) source: Source,
    /// Whose turn it is to change it in the console.
    pub(crate) turn: Turn,
    /// Who signs in to the console.
    pub(crate) sign_ins: SignIns,
    /// Answers to chats that are being written.
    pub(crate) answers: Answers,
    /// What is known of the probes.
    pub(crate) probed: Arc<Probed>,
    /// The tasks at work.
    pub(crate) tasked: Arc<Tasked>,
    /// The batches at work.
    pub(crate) batched: Arc<Batched>,
    /// Servers behind the sites of the edge, and answers to authorities that look at its names.
    pub(crate) edge: Arc<Kept>,
    /// Visits of those sites that are not in the journal yet.
    pub(crate) visits: Arc<Visits>,
    /// Prompts and answers, once a configuration wanted them kept.
    pub(crate) contents: OnceLock<OpenContents>,
}

/// The open file of prompts and answers, and the task that fills it.
#[derive(Debug)]
pub(crate) struct OpenContents {
    contents: Contents,
    task: JoinHandle<()>,
}

impl OpenContents {
    /// Keeps what waits, and closes the file, once nobody else has a handle.
    pub(crate) async fn end(self) {
        drop(self.contents);
        if tokio::time::timeout(CONTENTS_END_MAX, self.task).await.is_err() {
            tracing::warn!("not all prompts and answers were kept");
        }
    }
}

impl Ground {
    /// A house as `config` describes it, listening on `address`. Built beside the one `before` it, it takes over that one's
    /// model servers as far as they are the same, and its keys.
    pub(crate) fn house(&self, config: &Config, address: SocketAddr, before: Option<&House>) -> anyhow::Result<House> {
        let (specs, models, settings) = wiring::upstreams(config);
        let upstreams = match before {
            Some(before) => before.gateway.upstreams().reconfigured(specs, models, settings),
            None => Upstreams::new(specs, models, settings),
        };
        let upstreams = upstreams.context("preparing the model servers")?;
        let keyring = before.map_or_else(|| self.no_keys(), |before| (*before.gateway.door().keyring()).clone());
        let door = Arc::new(Door::new(wiring::door_settings(config)?, keyring, self.failures.clone()));
        let gateway_settings = Settings {
            contents: self.contents(config)?,
            families: self.families(config),
            telemetry: self.figures.telemetry().clone(),
            later: Some(self.batched.clone()),
            ..wiring::gateway_settings(config)
        };
        let gateway = Gateway::new(gateway_settings, door, self.limits.clone(), upstreams, self.journal.clone());
        let settings = tollhouse_console::Settings {
            service: config.service.clone(),
            version: cli::VERSION,
            public_url: config.public_url.clone(),
            port: address.port(),
            began: self.began,
            server_sources: wiring::server_sources(config),
            alerts: Arc::new(Desk {
                config: config.clone(),
                state: self.state.clone(),
                shelf: self.shelf.clone(),
                troubles: self.troubles.clone(),
            }),
            chat: wiring::chat_page(config),
            oidc: wiring::oidc(config),
            content: KeptContent {
                file: wiring::content_options(config).file,
                is_on: wiring::content_mode(config) != Mode::Off,
            },
            doctor: Arc::new(doctor::Physician { config: config.clone(), file: self.source.path.clone() }),
            desk: Arc::new(settings::Desk { config: config.clone(), source: self.source.clone() }),
            turn: self.turn.clone(),
            probes: self.probed.clone(),
            tasks: self.tasked.clone(),
            batches: self.batched.clone(),
        };
        let console = Console::new(
            settings,
            self.state.clone(),
            self.shelf.clone(),
            gateway.clone(),
            self.journal.clone(),
            self.keeper.clone(),
            self.sign_ins.clone(),
            self.answers.clone(),
        );
        let keep = config.chat.keep;
        self.answers.keep(Duration::from_hours(24 * u64::from(keep.days)), keep.bytes.0);
        Ok(House {
            service: config.service.clone(),
            began: self.began,
            hosts: HostGuard::new(wiring::host_names(config)),
            gateway,
            journal: self.journal.clone(),
            elastic: self.elastic.router(),
            console: tollhouse_console::router(console),
            metrics: config.telemetry.metrics.clone(),
            figures: self.figures.clone(),
            probed: self.probed.clone(),
            tasked: self.tasked.clone(),
            batched: self.batched.clone(),
            channels: config.channels.iter().map(|channel| channel.name.clone()).collect(),
            edge: edging::edge(config, &self.visits, &self.edge)?,
        })
    }

    /// Where the prompts and answers of this configuration are kept.
    fn contents(&self, config: &Config) -> anyhow::Result<Option<Contents>> {
        let mode = wiring::content_mode(config);
        if mode == Mode::Off {
            return Ok(None);
        }
        if self.contents.get().is_none() {
            let opened = Contents::open(wiring::content_options(config), self.state.clone());
            let (contents, task) = opened.context("opening the file of prompts and answers (`logging.content`)")?;
            let _: Result<(), OpenContents> = self.contents.set(OpenContents { contents, task });
        }
        let sieve = sieving::sieve(config, &self.journal)?;
        Ok(self.contents.get().map(|open| open.contents.kept_as(mode, sieve)))
    }

    /// Names families of prompts under the house's own secret, unless the configuration does not want it.
    fn families(&self, config: &Config) -> Option<Families> {
        let pepper = self.state.pepper().clone();
        config.logging.families.then(|| Families::new(move |text| pepper.digest(text)))
    }

    fn no_keys(&self) -> Keyring {
        let pepper = self.state.pepper().clone();
        Keyring::new([], [], Arc::new(move |secret| pepper.digest(secret)))
    }
}
