//! `ship`: the clusters that documents are brought to.

use super::{base_url, check_name};
use crate::{
    config::{ShipConfig, ShipKind, ShipLogin},
    decode::{Decoder, Section},
    problem::Problem,
    tree::Node,
};
use tollhouse_units::Bytes;

/// What stands as `kind`.
const KINDS: [(&str, ShipKind); 2] = [("elasticsearch", ShipKind::Elasticsearch), ("opensearch", ShipKind::OpenSearch)];
/// Held back for a destination where nothing is said.
const BUFFER: Bytes = Bytes(4 << 30);
/// What a URL has to be.
const URL: &str = "an address such as http://127.0.0.1:9200";

/// Reads all destinations.
pub(super) fn destinations(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<ShipConfig>> {
    let expected = "names with settings, such as es: {kind: elasticsearch, url: http://127.0.0.1:9200}";
    let mut destinations = Vec::new();
    for entry in d.entries(node, expected)? {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::new(Some(entry.name_place), format!("`ship`: {what}"));
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        d.section(&entry.value, |d, s| destinations.extend(destination(d, s, &entry.name)));
    }
    Some(destinations)
}

fn destination(d: &mut Decoder<'_>, s: &mut Section<'_>, name: &str) -> Option<ShipConfig> {
    let kind = s.require(d, "kind", "elasticsearch or opensearch", |d, node| d.word(node, &KINDS));
    let urls = urls(d, s);
    let login = login(d, s);
    let mut ca = None;
    let ca_node = s.get("ca");
    if let Some(node) = ca_node {
        ca = d.path(node);
        if urls.as_ref().is_some_and(|urls| urls.iter().all(|url| !url.starts_with("https:"))) {
            d.wrong(node, &"nothing is encrypted, so no certificate is looked at", "a url that begins with https://");
        }
    }
    let (mut template, mut buffer) = (true, BUFFER);
    s.set(d, "template", &mut template, Decoder::bool);
    s.set(d, "buffer", &mut buffer, Decoder::bytes);
    Some(ShipConfig { name: name.to_owned(), kind: kind?, urls: urls?, login, ca, template, buffer })
}

/// `url`, or `urls` where there are several.
fn urls(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<Vec<String>> {
    match (s.get("url"), s.get("urls")) {
        (Some(one), None) => Some(vec![d.parsed(one, URL, base_url)?]),
        (None, Some(several)) => {
            let urls = d.list(several, "a list of addresses", |d, node| d.parsed(node, URL, base_url))?;
            if several.is_empty() {
                d.wrong(several, &"the list is empty", URL);
            }
            Some(urls)
        }
        (Some(_), Some(several)) => {
            d.wrong(several, &"`url` says where it is already", "one of `url` and `urls`");
            None
        }
        (None, None) => {
            s.missing(d, "url", URL);
            None
        }
    }
}

/// `user` and `password`, or `api_key`. An empty secret is none.
fn login(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<ShipLogin> {
    let (user, password, api_key) = (s.get("user"), s.get("password"), s.get("api_key"));
    if let Some(node) = api_key {
        if user.or(password).is_some() {
            d.wrong(node, &"`user` and `password` stand here already", "one of both ways to log in");
        }
        return d.secret(node).map(ShipLogin::ApiKey);
    }
    match (user, password) {
        (Some(user), Some(password)) => {
            let name = d.parsed(user, "the name of a user", |text| {
                let has_colon = text.contains(':');
                if has_colon { Err("a name with a colon in it cannot be sent") } else { Ok(text.to_owned()) }
            });
            let password = d.secret(password)?;
            Some(ShipLogin::User { name: name?, password })
        }
        (None, None) => None,
        (Some(_), None) => {
            s.missing(d, "password", "the password of `user`, \"${NAME}\" or file:/path");
            None
        }
        (None, Some(_)) => {
            s.missing(d, "user", "the name of the user whose `password` stands here");
            None
        }
    }
}
