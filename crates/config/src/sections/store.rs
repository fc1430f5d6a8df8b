//! `store` and `search`: where documents are found, and where they are asked for.

use std::net::SocketAddr;

use super::ship;
use crate::{
    config::{Auth, RemoteStore, SearchConfig, ShipConfig, ShipKind, StoreConfig},
    decode::{Decoder, Section},
    problem::Problem,
    saying::Said,
    tree::Node,
};

/// What stands as `kind`.
const KINDS: [(&str, Option<ShipKind>); 3] =
    [("embedded", None), ("elasticsearch", Some(ShipKind::Elasticsearch)), ("opensearch", Some(ShipKind::OpenSearch))];

/// Reads where documents are found.
pub(super) fn store(d: &mut Decoder<'_>, s: &mut Section<'_>, store: &mut StoreConfig, service: &str) {
    let kind = match s.get("kind") {
        None => None,
        Some(node) => match d.word(node, &KINDS) {
            Some(kind) => kind,
            None => return s.allow_all(),
        },
    };
    let Some(kind) = kind else {
        return s.section(d, "keep", |d, s| super::keep(d, s, &mut store.keep));
    };
    if let Some(node) = s.get("keep") {
        d.wrong(node, "a cluster itself looks after what it keeps", "no `keep` beside this `kind`");
    }
    let mut indices = vec![format!("{}-*", service.to_lowercase())];
    s.set(d, "indices", &mut indices, patterns);
    let cluster = ship::of_kind(d, s, StoreConfig::DESTINATION, Some(kind));
    store.remote = cluster.map(|cluster| RemoteStore { cluster, indices });
}

/// Patterns of names of indices.
pub(super) fn patterns(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<String>> {
    let expected = "a list of names of indices with `*`, such as [\"team-a-*\"]";
    let patterns = d.list(node, expected, |d, node| {
        d.parsed(node, "a name of an index with `*`, such as \"team-a-*\"", |text| {
            let may_stand =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '*');
            match text.chars().find(|c| !may_stand(*c)) {
                Some(c) => Err(Said::filled("no index has the character {} in its name", &[&format_args!("{c:?}")])),
                None if text.starts_with(['-', '_', '.']) => Err(Said::from("no index's name begins like that")),
                None => Ok(text.to_owned()),
            }
        })
    })?;
    if patterns.is_empty() {
        d.wrong(node, "the list is empty", expected);
        return None;
    }
    Some(patterns)
}

/// Adds the destination by which a store that is a cluster gets its documents.
pub(super) fn ship_to(d: &mut Decoder<'_>, store: &StoreConfig, ship: &mut Vec<ShipConfig>, node: Option<&Node>) {
    let Some(remote) = &store.remote else { return };
    if ship.iter().any(|destination| destination.name == StoreConfig::DESTINATION) {
        let what = "`ship.store`: documents are brought to the cluster of `store` under this name";
        d.problem(Problem::new(node.map(|node| node.place), what.to_owned()).expected("another name"));
        return;
    }
    ship.push(remote.cluster.clone());
}

/// Reads where else the book is asked.
pub(super) fn search(
    d: &mut Decoder<'_>,
    s: &mut Section<'_>,
    search: &mut SearchConfig,
    auth: Auth,
    house: SocketAddr,
) {
    let Some(node) = s.get("listen") else { return };
    let Some(address) = super::listen_address(d, node) else { return };
    if house.port() != 0 && address == house {
        d.wrong(node, "`listen` has this address already", "another address");
        return;
    }
    if auth == Auth::Off && !address.ip().to_canonical().is_loopback() {
        let what = "nobody is asked for a key, and anybody who reaches this address could read the book";
        d.wrong(node, what, "an address of this machine alone, or access: {auth: keys}");
        return;
    }
    search.listen = Some(address);
}
