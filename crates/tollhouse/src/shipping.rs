//! Ships all records to the destinations that the configuration names.
//!
//! A changed configuration leaves those destinations alone that stay as they are; one that changes goes on from the same
//! cursor, once its courier of before has ended.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use tollhouse_config::{self as config, Config, ShipConfig, ShipKind, ShipLogin, SourceKind};
use tollhouse_journal::Holds;
use tollhouse_ship::{Book, Courier, Cursor, Destination, Kind, Login, Settings, Sight, SyslogMessage};

use crate::source::Print;

/// How long couriers that go on with other settings, or are not wanted any more, may take at the end.
const ENDING_TIME_MAX: Duration = Duration::from_secs(10);

/// All destinations at work.
pub(crate) struct Shipping {
    book: Book,
    running: Vec<Running>,
    /// Couriers that are not wanted any more.
    ending: JoinSet<()>,
    shown: Shown,
}

/// How all destinations are, for whoever asks.
pub(crate) type Shown = Arc<Mutex<Vec<Sight>>>;

/// One destination at work.
struct Running {
    config: ShipConfig,
    /// The file of its authorities, as it was when it was read.
    ca: Option<Print>,
    courier: Courier,
}

/// The destinations of a configuration, ready to begin: from here on nothing fails.
pub(crate) struct Prepared(Vec<Wanted>);

enum Wanted {
    /// The running one of this name goes on.
    Same(String),
    /// It begins.
    New { config: ShipConfig, ca: Option<Print>, destination: Box<Destination> },
}

/// Where cursors are kept.
pub(crate) fn cursors(config: &Config) -> PathBuf {
    config.data_dir.join("ship")
}

/// What the journal's retention has to leave from its first moment on. Reads the cursors, so it blocks.
pub(crate) fn holds(config: &Config) -> Holds {
    let holds = Holds::default();
    for ship in &config.ship {
        // One that cannot be read is told by its courier, which then begins with the oldest line.
        let cursor = Cursor::load(&Cursor::path(&cursors(config), &ship.name)).ok().flatten();
        holds.hold(&ship.name, cursor.map_or(1, |cursor| cursor.next_seq()), ship.buffer.0);
    }
    holds
}

/// Who we are to a cluster.
pub(crate) fn login(config: &ShipConfig) -> Option<Login> {
    config.login.as_ref().map(|login| match login {
        ShipLogin::User { name, password } => {
            Login::User { name: name.clone(), password: password.expose().to_owned() }
        }
        ShipLogin::ApiKey(key) if config.kind == ShipKind::Otlp => Login::Bearer(key.expose().to_owned()),
        ShipLogin::ApiKey(key) => Login::ApiKey(key.expose().to_owned()),
    })
}

/// A destination as the configuration describes it. Reads its authorities, so it blocks.
pub(crate) fn destination(config: &ShipConfig) -> anyhow::Result<Destination> {
    let settings = Settings {
        name: config.name.clone(),
        kind: match config.kind {
            ShipKind::Elasticsearch => Kind::Elasticsearch,
            ShipKind::OpenSearch => Kind::OpenSearch,
            ShipKind::Otlp => Kind::Otlp,
            ShipKind::Syslog(config::SyslogMessage::Json) => Kind::Syslog(SyslogMessage::Json),
            ShipKind::Syslog(config::SyslogMessage::Fields) => Kind::Syslog(SyslogMessage::Fields),
        },
        urls: config.urls.clone(),
        login: login(config),
        ca: config.ca.clone(),
        template: config.template,
        buffer_bytes: config.buffer.0,
    };
    Destination::new(settings)
        .with_context(|| format!("preparing the destination {} (`ship.{}`)", config.name, config.name))
}

/// Refuses a destination that is one of our own sources: each record that goes out would come in as another one.
pub(crate) fn check_circle(config: &Config, ship: &ShipConfig) -> anyhow::Result<()> {
    let own = config.sources.iter().filter_map(|source| match &source.kind {
        SourceKind::Listen(listen) => Some((&source.name, listen.address)),
        SourceKind::Http(http) => Some((&source.name, http.address)),
        SourceKind::File(_) | SourceKind::Journald(_) | SourceKind::Stdin(_) | SourceKind::Process(_) => None,
    });
    for (source, address) in own {
        let is_own = |url: &String| {
            let Ok(uri) = url.parse::<http::Uri>() else { return false };
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let is_here = match host.parse::<IpAddr>() {
                Ok(ip) => ip == address.ip() || (ip.is_loopback() && address.ip().is_unspecified()),
                Err(_) => host.eq_ignore_ascii_case("localhost"),
            };
            is_here && uri.port_u16() == Some(address.port())
        };
        anyhow::ensure!(
            !ship.urls.iter().any(is_own),
            "`ship.{}` is our own source `{source}`: each record that goes out would come in as another one",
            ship.name
        );
    }
    Ok(())
}

impl Shipping {
    /// Begins what was prepared.
    pub(crate) fn new(book: Book, prepared: Prepared) -> Self {
        let mut shipping = Self { book, running: Vec::new(), ending: JoinSet::new(), shown: Shown::default() };
        shipping.adopt(prepared);
        shipping
    }

    /// Makes ready what a configuration wants; what stays the same is only named.
    pub(crate) async fn prepare(&self, config: &Config) -> anyhow::Result<Prepared> {
        Prepared::new(config, &self.running).await
    }

    /// Paths of the configuration whose files are others than when they were read.
    pub(crate) async fn renewed(&self) -> Vec<String> {
        let mut renewed = Vec::new();
        for running in &self.running {
            if running.ca != print(running.config.ca.as_deref()).await {
                renewed.push(format!("ship.{}.ca", running.config.name));
            }
        }
        renewed
    }

    /// Begins what is new, ends what is not wanted any more, and lets what changed go on from where it was.
    pub(crate) fn adopt(&mut self, prepared: Prepared) {
        while self.ending.try_join_next().is_some() {}
        let mut before = std::mem::take(&mut self.running);
        for wanted in prepared.0 {
            let name = match &wanted {
                Wanted::Same(name) => name,
                Wanted::New { config, .. } => &config.name,
            };
            let place = before.iter().position(|running| running.config.name == *name);
            let running = place.map(|place| before.remove(place));
            match wanted {
                Wanted::Same(_) => self.running.extend(running),
                Wanted::New { config, ca, destination } => {
                    let courier =
                        Courier::start(*destination, self.book.clone(), running.map(|running| running.courier));
                    self.running.push(Running { config, ca, courier });
                }
            }
        }
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) =
            self.running.iter().map(|running| running.courier.sight()).collect();
        for running in before {
            let holds = self.book.holds.clone();
            self.ending.spawn(async move {
                running.courier.stop().await;
                holds.release(&running.config.name);
            });
        }
    }

    /// How all destinations are, those of later configurations included.
    pub(crate) fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// Ends after the requests under way.
    pub(crate) async fn end(mut self) {
        for running in self.running {
            self.ending.spawn(running.courier.stop());
        }
        let all = async { while self.ending.join_next().await.is_some() {} };
        if timeout(ENDING_TIME_MAX, all).await.is_err() {
            tracing::warn!("not all destinations were left in order; what they may not have is sent again");
        }
    }

    /// What is shipped where, a line each.
    pub(crate) fn greeting(&self) -> Vec<String> {
        let line = |running: &Running| {
            let status = running.courier.status();
            format!("{} at {}  ({})", status.name, status.url, status.kind)
        };
        self.running.iter().map(line).collect()
    }
}

impl Prepared {
    /// Makes ready what this configuration wants, when nothing runs yet.
    pub(crate) async fn first(config: &Config) -> anyhow::Result<Self> {
        Self::new(config, &[]).await
    }

    async fn new(config: &Config, running: &[Running]) -> anyhow::Result<Self> {
        let mut wanted = Vec::with_capacity(config.ship.len());
        for ship in &config.ship {
            // Before it is read: what comes in between is noticed at the next reload.
            let ca = print(ship.ca.as_deref()).await;
            if running.iter().any(|running| running.config == *ship && running.ca == ca) {
                wanted.push(Wanted::Same(ship.name.clone()));
                continue;
            }
            let config = ship.clone();
            let destination = spawn_blocking(move || destination(&config)).await??;
            wanted.push(Wanted::New { config: ship.clone(), ca, destination: Box::new(destination) });
        }
        Ok(Self(wanted))
    }
}

async fn print(path: Option<&Path>) -> Option<Print> {
    Print::of(path?).await
}
