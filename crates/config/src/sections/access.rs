//! `access`: who may enter, how often, with what.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{name, store::patterns};
use crate::{
    config::{AccessConfig, Auth, By, CallerLimits, Deny, KeyConfig, Priority, Rate},
    decode::{Decoder, Section},
    problem::shown,
    saying::Said,
    tree::{Data, Node},
};

/// Largest share of a busy model server.
const WEIGHT_MAX: u64 = 100;
/// What a key may do.
const ROLES: [&str; 5] = ["user", "logs:read", "logs:write", "metrics:read", "admin"];
/// The words for who shares a count.
pub(super) const BY: [(&str, By); 4] =
    [("key", By::Key), ("user", By::User), ("address", By::Address), ("model", By::Model)];

pub(super) fn access(d: &mut Decoder<'_>, s: &mut Section<'_>, access: &mut AccessConfig, listen: SocketAddr) {
    s.set(d, "auth", &mut access.auth, |d, node| auth(d, node, listen));
    s.set(d, "header", &mut access.header, header);
    s.set(d, "keys", &mut access.keys, keys);
    s.set(d, "allow", &mut access.allow, networks);
    s.set(d, "deny", &mut access.deny, |d, node| d.word(node, &[("drop", Deny::Drop), ("403", Deny::Forbid)]));
    s.set(d, "trusted_proxies", &mut access.trusted_proxies, networks);
    s.set_some(d, "user_header", &mut access.user_header, header);
    let (limits, by) = (&mut access.limits, &mut access.by);
    s.section(d, "rate_limit", |d, s| {
        rates(d, s, limits);
        s.set(d, "by", by, |d, node| d.word(node, &BY));
    });
    s.section(d, "budgets", |d, s| budgets(d, s, limits));
}

/// Loopback is not a credential, but beyond it nobody may enter without one.
fn auth(d: &mut Decoder<'_>, node: &Node, listen: SocketAddr) -> Option<Auth> {
    let auth = d.word(node, &[("keys", Auth::Keys), ("off", Auth::Off)])?;
    if auth == Auth::Off && !listen.ip().to_canonical().is_loopback() {
        d.wrong_hint(
            node,
            Said::filled("everybody who reaches {} could use the models without a key", &[&listen]),
            "auth: keys, since `listen` is not a loopback address",
            "to try it out without keys, write listen: 127.0.0.1:18789",
        );
        return None;
    }
    Some(auth)
}

fn header(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    d.parsed(node, "the name of a header, such as X-Api-Key", |text| {
        match http::HeaderName::from_bytes(text.as_bytes()) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(Said::filled("`{}` is not the name of a header", &[&shown(text)])),
        }
    })
}

fn keys(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<KeyConfig>> {
    let mut seen = Seen::default();
    d.list(node, "a list of keys, such as [{id: prod, sha256: \"…\"}]", |d, item| {
        let mut read = None;
        d.section(item, |d, s| read = Some(key(d, s, &mut seen)));
        read
    })
}

/// Lines of the ids and hashes that stand in the list already.
#[derive(Default)]
struct Seen {
    ids: HashMap<String, usize>,
    hashes: HashMap<String, usize>,
}

fn key(d: &mut Decoder<'_>, s: &mut Section<'_>, seen: &mut Seen) -> KeyConfig {
    let id = s.require(d, "id", "a name for the key", |d, node| {
        let id = name(d, node, "a name of letters, digits, `.`, `_` and `-`")?;
        unique(d, node, &id, &mut seen.ids, Said::filled("the id `{}` is given twice", &[&id]))
    });
    let mut hash = |d: &mut Decoder<'_>, node: &Node| {
        let hash = sha256(d, node)?;
        unique(d, node, &hash, &mut seen.hashes, Said::from("the same hash is given twice"))
    };
    let sha256 = s.require(d, "sha256", "the SHA-256 of the key, 64 hexadecimal digits", &mut hash);
    let mut key = KeyConfig {
        id: id.unwrap_or_default(),
        sha256: sha256.unwrap_or_default(),
        also: Vec::new(),
        user: None,
        models: Vec::new(),
        indices: Vec::new(),
        role: "user",
        prompt_chars: None,
        limits: CallerLimits::default(),
        priority: Priority::Normal,
        weight: 1,
        allow: Vec::new(),
        expires_ms: None,
    };
    s.set(d, "also", &mut key.also, |d, node| d.list(node, "a list of SHA-256 hashes", &mut hash));
    s.set_some(d, "user", &mut key.user, |d, node| Some(d.text(node, "the name of a user")?.value));
    s.set(d, "models", &mut key.models, |d, node| {
        d.list(node, "a list of patterns, such as [\"qwen3:*\"]", |d, node| {
            Some(d.text(node, "a pattern such as \"qwen3:*\"")?.value)
        })
    });
    s.set(d, "role", &mut key.role, |d, node| d.one_of(node, &ROLES).map(|index| ROLES[index]));
    if let Some(node) = s.get("indices") {
        // An empty list is what the effective configuration shows where nothing is said.
        if !matches!(&node.data, Data::List(list) if list.is_empty()) {
            key.indices = patterns(d, node).unwrap_or_default();
            if !key.role.starts_with("logs:") {
                d.wrong(
                    node,
                    Said::filled("a key of the role `{}` is not limited to indices", &[&key.role]),
                    "role: logs:read or logs:write",
                );
            }
        }
    }
    s.set_some(d, "prompt_chars", &mut key.prompt_chars, Decoder::size);
    s.section(d, "rate_limit", |d, s| rates(d, s, &mut key.limits));
    s.section(d, "budgets", |d, s| budgets(d, s, &mut key.limits));
    let priorities = [("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)];
    s.set(d, "priority", &mut key.priority, |d, node| d.word(node, &priorities));
    s.set(d, "weight", &mut key.weight, |d, node| d.count(node, WEIGHT_MAX).map(|number| number as u32));
    s.set(d, "allow", &mut key.allow, networks);
    s.set_some(d, "expires", &mut key.expires_ms, moment);
    key
}

/// A moment, in milliseconds since 1970. A date alone means until that day is over, by UTC.
fn moment(d: &mut Decoder<'_>, node: &Node) -> Option<i64> {
    let expected = "a date such as 2026-12-31 or a moment such as 2026-12-31T18:00:00Z";
    d.parsed(node, expected, |text| {
        let end_of = |date: Date| date.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC)).map(|z| z.timestamp());
        let moment = text.parse::<Timestamp>();
        // A moment would also be read as its date.
        let is_date = text.len() == "2026-12-31".len();
        let moment = moment.or_else(|error| if is_date { text.parse().and_then(end_of) } else { Err(error) });
        moment
            .map(Timestamp::as_millisecond)
            .map_err(|_| Said::filled("`{}` is neither a date nor a moment", &[&shown(text)]))
    })
}

/// The value, when none of the list had it before.
fn unique(
    d: &mut Decoder<'_>,
    node: &Node,
    value: &str,
    seen: &mut HashMap<String, usize>,
    twice: Said,
) -> Option<String> {
    if let Some(line) = seen.get(value) {
        d.wrong(node, twice, Said::filled("another one, since it stands in line {} already", &[&line]));
        return None;
    }
    seen.insert(value.to_owned(), node.place.line);
    Some(value.to_owned())
}

fn sha256(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "64 hexadecimal digits";
    let text = d.text(node, expected)?.value;
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(text.to_ascii_lowercase());
    }
    // The value is not repeated: it may be the key itself.
    let what = Said::filled("this is not a SHA-256 ({} characters)", &[&text.chars().count()]);
    d.wrong_hint(node, what, expected, "printf %s 'the key' | sha256sum");
    None
}

pub(super) fn networks(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<IpNet>> {
    d.list(node, "a list of addresses and networks, such as [127.0.0.1, 10.0.0.0/16]", |d, item| {
        d.parsed(item, "an address or a network, such as 127.0.0.1 or 10.0.0.0/16", |text| {
            let network = text.parse::<IpNet>().map(|network| network.trunc());
            let address = || text.parse::<IpAddr>().map(IpNet::from);
            network
                .or_else(|_| address())
                .map_err(|_| Said::filled("`{}` is neither an address nor a network", &[&shown(text)]))
        })
    })
}

/// The keys of a `rate_limit`, but for `by`.
fn rates(d: &mut Decoder<'_>, s: &mut Section<'_>, limits: &mut CallerLimits) {
    let requests = s.get("requests").map(|node| d.count_u32(node).map(u64::from));
    let tokens = s.get("tokens").map(|node| d.tokens(node));
    s.set_some(d, "concurrent", &mut limits.concurrent, Decoder::count_u32);
    let per_node = s.get("per");
    let per = per_node.and_then(|node| d.duration(node));
    let rate = |most: Option<Option<u64>>| most.flatten().zip(per).map(|(most, per)| Rate { most, per });
    (limits.requests, limits.tokens) = (rate(requests), rate(tokens));
    if (requests.is_some() || tokens.is_some()) && per_node.is_none() {
        s.missing(d, "per", "a duration, such as 60s");
    }
}

fn budgets(d: &mut Decoder<'_>, s: &mut Section<'_>, limits: &mut CallerLimits) {
    s.set_some(d, "tokens_per_day", &mut limits.tokens_per_day, Decoder::tokens);
    s.set_some(d, "tokens_per_month", &mut limits.tokens_per_month, Decoder::tokens);
}
