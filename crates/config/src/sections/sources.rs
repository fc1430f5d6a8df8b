//! `sources`: whose log lines are collected.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::{access::networks, check_name, listen_address};
use crate::{
    config::{ListenSource, SourceConfig, SourceKind, TlsFiles},
    decode::{Decoder, Section},
    problem::{Problem, shown},
    tree::Node,
};

/// How a `type` is read.
type ReadKind = fn(&mut Decoder<'_>, &mut Section<'_>) -> Option<SourceKind>;

/// What stands as `type`.
const TYPES: [(&str, ReadKind); 1] = [("listen", listen)];

/// Reads all sources. `house` is where the house itself listens.
pub(super) fn sources(d: &mut Decoder<'_>, node: &Node, house: SocketAddr) -> Option<Vec<SourceConfig>> {
    let entries = d.entries(node, "names with settings, such as network: {type: listen, address: 127.0.0.1:5044}")?;
    let mut taken = HashMap::from([(house, "`listen`".to_owned())]);
    let mut sources = Vec::new();
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::new(Some(entry.name_place), format!("`sources`: {what}"));
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        let mut kind = None;
        d.section(&entry.value, |d, s| kind = source(d, s));
        let Some(kind) = kind else { continue };
        let SourceKind::Listen(ListenSource { address, .. }) = &kind;
        // Port 0 is a port of the system's choice, each time another one.
        let other = (address.port() != 0).then(|| taken.insert(*address, format!("source `{}`", entry.name))).flatten();
        if let Some(other) = other {
            d.wrong(&entry.value, &format!("{address} belongs to {} already", shown(&other)), "an address of its own");
        }
        sources.push(SourceConfig { name: entry.name.clone(), kind });
    }
    Some(sources)
}

fn source(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<SourceKind> {
    let known: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
    let index = s.require(d, "type", &format!("one of: {}", known.join(", ")), |d, node| d.one_of(node, &known));
    let Some(index) = index else {
        // Which keys there are depends on it: one message is enough.
        s.allow_all();
        return None;
    };
    TYPES[index].1(d, s)
}

fn listen(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<SourceKind> {
    let expected = "an IP address and a port, such as 127.0.0.1:5044";
    let address_node = s.get("address");
    let address = address_node.and_then(|node| listen_address(d, node));
    if address_node.is_none() {
        s.missing(d, "address", expected);
    }
    let mut udp = false;
    s.set(d, "udp", &mut udp, Decoder::bool);
    let tls = s.get("tls").map(|node| tls(d, node));
    let mut allow = Vec::new();
    let allow_node = s.get("allow");
    if let Some(read) = allow_node.and_then(|node| networks(d, node)) {
        allow = read;
    }
    if let Some((address, node)) = address.zip(address_node) {
        let knows_clients = tls.as_ref().is_some_and(|tls| tls.as_ref().is_none_or(|tls| tls.client_ca.is_some()));
        let names_networks = allow_node.is_some_and(|node| !node.is_empty());
        check_reach(d, node, address, udp, knows_clients, names_networks);
    }
    Some(SourceKind::Listen(ListenSource {
        address: address?,
        udp,
        tls: tls.map_or(Some(None), |tls| tls.map(Some))?,
        allow,
    }))
}

/// Whoever may send can fill the journal and say what it likes: beyond this machine it must be said who that is.
fn check_reach(
    d: &mut Decoder<'_>,
    node: &Node,
    address: SocketAddr,
    udp: bool,
    knows_clients: bool,
    names_networks: bool,
) {
    if address.ip().is_loopback() || names_networks {
        return;
    }
    let expected = "`allow` with the networks of those who may send";
    if !knows_clients {
        let hint = "allow: [10.0.0.0/16], or tls: {cert: …, key: …, client_ca: …} to know them by their certificates";
        d.wrong_hint(node, &"anybody who reaches this address could send", expected, hint);
    } else if udp {
        d.wrong_hint(
            node,
            &"over UDP nobody shows a certificate, and anybody who reaches this address could send",
            expected,
            "allow: [10.0.0.0/16], or udp: false",
        );
    }
}

fn tls(d: &mut Decoder<'_>, node: &Node) -> Option<TlsFiles> {
    let mut files = None;
    d.section(node, |d, s| {
        let cert = s.require(d, "cert", "the file of the certificate and its chain (PEM)", Decoder::path);
        let key = s.require(d, "key", "the file of the private key (PEM)", Decoder::path);
        let mut client_ca = None;
        let client_ca_node = s.get("client_ca");
        if let Some(node) = client_ca_node {
            client_ca = d.path(node);
        }
        // Without the one that was meant, anybody would be let in.
        let is_complete = client_ca.is_some() == client_ca_node.is_some();
        files = cert.zip(key).filter(|_| is_complete).map(|(cert, key)| TlsFiles { cert, key, client_ca });
    });
    files
}
