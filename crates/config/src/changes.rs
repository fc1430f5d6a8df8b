//! What differs between two configurations, for records and for the decision whether a restart is needed.

use crate::{
    config::{Config, StoreConfig},
    tree::{self, Data, Node},
};

impl Config {
    /// The paths of what `other` says differently, such as `access.rate_limit.requests`; the shortest path where something
    /// was added, taken out or put into another order. Empty only when both are the same. No value is named.
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let mut paths = Vec::new();
        // What is in force by the effective text, so that no key can be forgotten here.
        if let (Some(ours), Some(theirs)) = (self.tree(), other.tree()) {
            compare(&ours, &theirs, &mut paths);
        }
        // All secrets look the same there.
        for upstream in &self.upstreams {
            let same_name = other.upstreams.iter().find(|other| other.name == upstream.name);
            let path = tree::join(&tree::join("upstreams", &upstream.name), "key");
            if same_name.is_some_and(|other| other.key != upstream.key) && !paths.contains(&path) {
                paths.push(path);
            }
        }
        for destination in &self.ship {
            let same_name = other.ship.iter().find(|other| other.name == destination.name);
            let is_stores = self.store.remote.is_some() && destination.name == StoreConfig::DESTINATION;
            let path = if is_stores { "store.login".to_owned() } else { tree::join("ship", &destination.name) };
            let is_told = paths.iter().any(|told| told.starts_with(&path));
            if same_name.is_some_and(|other| other.login != destination.login) && !is_told {
                paths.push(path);
            }
        }
        let binding = |config: &Self| config.edge.as_ref()?.acme.as_ref()?.binding.clone();
        if binding(self) != binding(other) && !paths.iter().any(|path| path.starts_with("edge.acme")) {
            paths.push("edge.acme.binding.key".to_owned());
        }
        for channel in &self.channels {
            let same_name = other.channels.iter().find(|other| other.name == channel.name);
            let path = tree::join("channels", &channel.name);
            let is_told = paths.iter().any(|told| told.starts_with(&path));
            if same_name.is_some_and(|other| other.kind != channel.kind) && !is_told {
                paths.push(path);
            }
        }
        for process in &self.supervise {
            let same_name = other.supervise.iter().find(|other| other.name == process.name);
            let path = tree::join(&tree::join("supervise", &process.name), "env");
            if same_name.is_some_and(|other| other.env != process.env)
                && !paths.iter().any(|told| told.starts_with(&path))
            {
                paths.push(path);
            }
        }
        let webhooks =
            |config: &Self| config.batches.as_ref()?.webhooks.as_ref().map(|webhooks| webhooks.secret.clone());
        if webhooks(self) != webhooks(other) && !paths.iter().any(|path| path.starts_with("batches")) {
            paths.push("batches.webhooks.secret".to_owned());
        }
        let openclaw = |config: &Self| config.approvals.as_ref().map(|openclaw| openclaw.token.clone());
        if openclaw(self) != openclaw(other) && !paths.iter().any(|path| path.starts_with("approvals")) {
            paths.push("approvals.openclaw.token".to_owned());
        }
        if let (Some(tasks), Some(others)) = (&self.tasks, &other.tasks) {
            if tasks.store != others.store && !paths.iter().any(|path| path.starts_with("tasks.store")) {
                paths.push("tasks.store.url".to_owned());
            }
            for command in &tasks.commands {
                let same_name = others.commands.iter().find(|other| other.name == command.name);
                let path = tree::join(&tree::join("tasks.commands", &command.name), "env");
                if same_name.is_some_and(|other| other.env != command.env)
                    && !paths.iter().any(|told| told.starts_with(&path))
                {
                    paths.push(path);
                }
            }
        }
        if self.shared != other.shared && !paths.iter().any(|path| path == "shared.redis") {
            paths.push("shared.redis".to_owned());
        }
        let otlp_key = |config: &Self| config.telemetry.otlp.as_ref().and_then(|otlp| otlp.key.clone());
        if otlp_key(self) != otlp_key(other) && !paths.iter().any(|path| path.starts_with("telemetry.otlp")) {
            paths.push("telemetry.otlp.key".to_owned());
        }
        let oidc_secret = |config: &Self| config.console.oidc.as_ref().and_then(|oidc| oidc.client_secret.clone());
        if oidc_secret(self) != oidc_secret(other) && !paths.iter().any(|path| path.starts_with("console.oidc")) {
            paths.push("console.oidc.client_secret".to_owned());
        }
        if paths.is_empty() && self != other {
            paths.push("the file".to_owned());
        }
        paths
    }

    /// What is in force, as the tree of its effective text.
    pub(crate) fn tree(&self) -> Option<Node> {
        tree::read(&self.effective_yaml(), &mut Vec::new()).ok().flatten()
    }
}

fn compare(ours: &Node, theirs: &Node, paths: &mut Vec<String>) {
    match (&ours.data, &theirs.data) {
        (Data::Map(a), Data::Map(b)) => {
            let common_order = |from: &[tree::Entry], of: &[tree::Entry]| -> Vec<String> {
                let is_common = |name: &String| of.iter().any(|entry| entry.name == *name);
                from.iter().map(|entry| entry.name.clone()).filter(is_common).collect()
            };
            if common_order(a, b) != common_order(b, a) {
                paths.push(ours.path.clone());
            }
            for entry in a {
                match b.iter().find(|other| other.name == entry.name) {
                    Some(other) => compare(&entry.value, &other.value, paths),
                    None => paths.push(entry.value.path.clone()),
                }
            }
            let added = b.iter().filter(|entry| a.iter().all(|other| other.name != entry.name));
            paths.extend(added.map(|entry| entry.value.path.clone()));
        }
        (Data::List(a), Data::List(b)) if a.len() == b.len() => {
            a.iter().zip(b).for_each(|(a, b)| compare(a, b, paths));
        }
        (Data::Scalar { text: a, plain: x }, Data::Scalar { text: b, plain: y }) if (a, x) == (b, y) => {}
        _ => paths.push(ours.path.clone()),
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;

    const FILE: &str = "
service: gate
upstreams:
  a: {kind: openai, url: http://a, key: sk-1}
  b: {kind: demo}
models: {one: {context: 5, aliases: [x, y]}, two: {}}
access: {keys: [{id: k, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}]}
shared: {redis: 'redis://:one@h'}
channels: {ops: {kind: slack, url: 'https://s/one'}}
ship: {es: {kind: elasticsearch, url: 'http://e', user: u, password: p1}, os: {kind: opensearch, url: 'http://o', api_key: k1}}
sources: {net: {type: listen, address: '127.0.0.1:5044'}, tls: {type: listen, address: '127.0.0.1:6514', tls: {cert: a, key: b}}}
";

    #[test]
    fn each_difference_is_named_once_and_no_value() {
        let cases: [(&str, &str, &[&str]); 18] = [
            ("gate", "gate", &[]),
            ("service: gate", "service: gate2", &["service"]),
            ("sk-1", "sk-2", &["upstreams.a.key"]),
            (", key: sk-1", "", &["upstreams.a.key"]),
            (":5044", ":5045", &["sources.net.address"]),
            ("key: b", "key: c", &["sources.tls.tls.key"]),
            ("net: {type: listen, address: '127.0.0.1:5044'}, ", "", &["sources.net"]),
            (":one@", ":two@", &["shared.redis"]),
            ("p1", "p2", &["ship.es"]),
            ("https://s/one", "https://s/two", &["channels.ops"]),
            ("k1", "k2", &["ship.os"]),
            ("http://e", "http://f", &["ship.es.urls[0]"]),
            (", api_key: k1", "", &["ship.os.api_key"]),
            ("context: 5", "context: 6", &["models.one.context"]),
            ("[x, y]", "[x, z]", &["models.one.aliases[1]"]),
            ("[x, y]", "[x]", &["models.one.aliases"]),
            ("two: {}", "three: {}", &["models.two", "models.three"]),
            ("one: {context: 5, aliases: [x, y]}, two: {}", "two: {}, one: {context: 5, aliases: [x, y]}", &["models"]),
        ];
        let read = |text: &str| parse(text, "x.yaml", &|_| None).expect("valid");
        for (from, to, expected) in cases {
            let changes = read(FILE).changes(&read(&FILE.replace(from, to)));
            assert_eq!(changes, expected, "{from} -> {to}");
        }
    }
}
