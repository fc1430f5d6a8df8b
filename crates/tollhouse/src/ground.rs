//! What stays while the configuration changes, and how a house is built upon it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use tollhouse_access::Keyring;
use tollhouse_config::Config;
use tollhouse_console::{AskKeeper, Console};
use tollhouse_elastic::Elastic;
use tollhouse_gateway::{Door, Gateway};
use tollhouse_journal::Journal;
use tollhouse_limits::{Failures, Limits};
use tollhouse_state::State;
use tollhouse_store::Store;
use tollhouse_upstream::Upstreams;
use tollhouse_web::HostGuard;

use crate::house::House;
use crate::{cli, wiring};

/// The parts that are opened once: what they count, keep and write goes on over every change of the configuration.
pub(crate) struct Ground {
    pub(crate) state: State,
    pub(crate) store: Store,
    pub(crate) elastic: Elastic,
    pub(crate) journal: Journal,
    pub(crate) limits: Limits,
    pub(crate) failures: Failures,
    pub(crate) began: Instant,
    /// By which the console asks for what it cannot change itself.
    pub(crate) keeper: AskKeeper,
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
        let gateway =
            Gateway::new(wiring::gateway_settings(config), door, self.limits.clone(), upstreams, self.journal.clone());
        let settings = tollhouse_console::Settings {
            service: config.service.clone(),
            version: cli::VERSION,
            public_url: config.public_url.clone(),
            port: address.port(),
            began: self.began,
        };
        let console = Console::new(
            settings,
            self.state.clone(),
            self.store.clone(),
            gateway.clone(),
            self.journal.clone(),
            self.keeper.clone(),
        );
        Ok(House {
            service: config.service.clone(),
            began: self.began,
            hosts: HostGuard::new(wiring::host_names(config)),
            gateway,
            journal: self.journal.clone(),
            elastic: self.elastic.router(),
            console: tollhouse_console::router(console),
        })
    }

    fn no_keys(&self) -> Keyring {
        let pepper = self.state.pepper().clone();
        Keyring::new([], [], Arc::new(move |secret| pepper.digest(secret)))
    }
}
