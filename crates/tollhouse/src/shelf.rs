//! Where documents are found: in an index of our own, which is then followed, or in a cluster that they are shipped to.

use std::sync::Arc;

use anyhow::Context;
use tollhouse_config::{Config, RemoteStore};
use tollhouse_journal::Journal;
use tollhouse_remote::{Delivery, Remote, Shelf};
use tollhouse_shape::Shaper;
use tollhouse_ship::{Client, Cursor};
use tollhouse_store::{Indexer, Store};

use crate::{shipping, wiring};

/// Opens what is written to. With a cluster there is no index of our own, and nothing that fills one.
pub(crate) fn open(config: &Config, journal: &Journal, shaper: Shaper) -> anyhow::Result<(Shelf, Option<Indexer>)> {
    if let Some(store) = &config.store.remote {
        let cursor = Cursor::path(&shipping::cursors(config), &store.cluster.name);
        let delivered = move || {
            let cursor = Cursor::load(&cursor).ok().flatten();
            cursor.map_or(0, |cursor| cursor.next_seq().saturating_sub(1))
        };
        let delivery = Delivery { written: journal.written(), delivered: Arc::new(delivered) };
        return Ok((Shelf::Far(remote(store, Some(delivery))?), None));
    }
    let store = Store::open(wiring::store_options(config)).context("opening the index")?;
    let indexer = store
        .follow(config.journal_file(), journal.written(), journal.synced(), shaper)
        .context("starting the indexer")?;
    Ok((Shelf::Own(store), Some(indexer)))
}

/// Opens what is there for looking into it, beside a house that may be running.
pub(crate) fn open_read_only(config: &Config) -> anyhow::Result<Shelf> {
    if let Some(store) = &config.store.remote {
        return Ok(Shelf::Far(remote(store, None)?));
    }
    let store = Store::open_read_only(config.data_dir.join("index"), &config.service)
        .context("opening the index; has `tollhouse up` run with this configuration?")?;
    Ok(Shelf::Own(store))
}

/// By what a cluster in place of our own index is asked, where the configuration has one. Reads its authorities, so it blocks.
pub(crate) fn client(config: &Config) -> anyhow::Result<Option<Client>> {
    config.store.remote.as_ref().map(client_of).transpose()
}

fn remote(store: &RemoteStore, delivery: Option<Delivery>) -> anyhow::Result<Remote> {
    Ok(Remote::new(client_of(store)?, &store.indices, delivery))
}

fn client_of(store: &RemoteStore) -> anyhow::Result<Client> {
    let cluster = &store.cluster;
    Client::new(&cluster.name, &cluster.urls, shipping::login(cluster).as_ref(), cluster.ca.as_deref())
        .context("preparing the cluster in which documents are found (`store`)")
}
