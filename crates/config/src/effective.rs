//! A configuration as YAML, with every default filled in and every secret masked.

mod alerts;
mod batches;
mod console;
mod edge;
mod probes;
mod supervise;
mod tasks;

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};
use tollhouse_units::format_duration;

use crate::{
    config::{
        Auth, By, CallerLimits, Compress, Config, ContentMode, Deny, ErrorStyle, FileRotate, FileSource, HttpSource,
        JournaldSource, KeepFiles, KeyConfig, Listen, ListenSource, ModelConfig, Overflow, Priority, Reopen,
        ShapeConfig, ShipConfig, ShipKind, ShipLogin, SourceConfig, SourceKind, StoreConfig, SyncPolicy, TlsFiles,
        UpstreamConfig, UpstreamKind,
    },
    decode::resolve,
};

impl Config {
    /// The configuration in force: all keys, defaults included, secrets as `***`. `parse` reads it as the same configuration
    /// but for the secrets.
    pub fn effective_yaml(&self) -> String {
        let mut out = String::new();
        self.write_yaml(&mut out).expect("a String takes every text");
        out
    }

    fn write_yaml(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "service: {}", scalar(&self.service))?;
        writeln!(out, "data_dir: {}", scalar(&self.data_dir.to_string_lossy()))?;
        writeln!(out, "listen: {}", listen_yaml(self.listen))?;
        writeln!(out, "public_url: {}", optional(self.public_url.as_deref()))?;
        writeln!(out, "hosts: {}", list(&self.hosts))?;
        writeln!(out, "upstreams:")?;
        for upstream in &self.upstreams {
            writeln!(out, "  {}: {}", key(&upstream.name), upstream_yaml(upstream))?;
        }
        writeln!(out, "models:{}", if self.models.is_empty() { " {}" } else { "" })?;
        for model in &self.models {
            write_model(out, model)?;
        }
        self.write_access(out)?;
        self.write_bounds(out)?;
        self.write_logging(out)?;
        writeln!(out, "sources:{}", if self.sources.is_empty() { " {}" } else { "" })?;
        for source in &self.sources {
            writeln!(out, "  {}: {}", key(&source.name), source_yaml(source))?;
        }
        writeln!(out, "shape:{}", if self.shape.is_empty() { " []" } else { "" })?;
        for shape in &self.shape {
            writeln!(out, "  - {}", shape_yaml(shape))?;
        }
        writeln!(out, "tags:{}", if self.tags.is_empty() { " {}" } else { "" })?;
        for (name, query) in &self.tags {
            writeln!(out, "  {}: {}", key(name), scalar(query))?;
        }
        write_store(out, &self.store)?;
        writeln!(
            out,
            "search:\n  listen: {}",
            optional(self.search.listen.map(|address| address.to_string()).as_deref())
        )?;
        // That of the store stands there.
        let is_stores =
            |destination: &&ShipConfig| self.store.remote.is_some() && destination.name == StoreConfig::DESTINATION;
        let ship: Vec<&ShipConfig> = self.ship.iter().filter(|destination| !is_stores(destination)).collect();
        writeln!(out, "ship:{}", if ship.is_empty() { " {}" } else { "" })?;
        for destination in ship {
            writeln!(out, "  {}: {}", key(&destination.name), ship_yaml(destination))?;
        }
        alerts::write(out, &self.channels, &self.alerts, &self.reports)?;
        self.write_chat(out)?;
        console::write(out, &self.console)?;
        edge::write(out, self.edge.as_ref())?;
        probes::write(out, &self.probes)?;
        supervise::write(out, &self.supervise)?;
        tasks::write(out, self.tasks.as_ref())?;
        batches::write(out, self.batches.as_ref(), self.approvals.as_ref())?;
        self.write_telemetry(out)
    }

    fn write_telemetry(&self, out: &mut String) -> std::fmt::Result {
        let telemetry = &self.telemetry;
        writeln!(out, "telemetry:")?;
        writeln!(out, "  metrics: {}", telemetry.metrics.as_deref().map_or_else(|| "off".to_owned(), scalar))?;
        let otlp = telemetry.otlp.as_ref().map_or_else(
            || "null".to_owned(),
            |otlp| {
                let key = if otlp.key.is_some() { "\"***\"" } else { "null" };
                let ca = optional(otlp.ca.as_ref().map(|ca| ca.to_string_lossy()).as_deref());
                format!("{{url: {}, key: {key}, ca: {ca}}}", scalar(&otlp.url))
            },
        );
        writeln!(out, "  otlp: {otlp}")
    }

    fn write_chat(&self, out: &mut String) -> std::fmt::Result {
        let chat = &self.chat;
        writeln!(out, "chat:")?;
        writeln!(out, "  title: {}", optional(chat.title.as_deref()))?;
        writeln!(out, "  description: {}", optional(chat.description.as_deref()))?;
        writeln!(out, "  model: {}", optional(chat.model.as_deref()))?;
        writeln!(out, "  history: {}", if chat.history { "on" } else { "off" })?;
        writeln!(out, "  keep: {{days: {}, bytes: {}}}", chat.keep.days, chat.keep.bytes)?;
        writeln!(out, "  unwatched: {}", format_duration(chat.unwatched))
    }

    fn write_access(&self, out: &mut String) -> std::fmt::Result {
        let access = &self.access;
        writeln!(out, "access:")?;
        writeln!(out, "  auth: {}", if access.auth == Auth::Keys { "keys" } else { "off" })?;
        writeln!(out, "  header: {}", scalar(&access.header))?;
        writeln!(out, "  keys:{}", if access.keys.is_empty() { " []" } else { "" })?;
        for key in &access.keys {
            writeln!(out, "    - {}", access_key_yaml(key))?;
        }
        writeln!(out, "  allow: {}", list(&access.allow))?;
        writeln!(out, "  deny: {}", if access.deny == Deny::Drop { "drop" } else { "403" })?;
        writeln!(out, "  trusted_proxies: {}", list(&access.trusted_proxies))?;
        writeln!(out, "  user_header: {}", optional(access.user_header.as_deref()))?;
        writeln!(out, "  rate_limit: {}", rate_limit_yaml(&access.limits, Some(access.by)))?;
        writeln!(out, "  budgets: {}", budgets_yaml(&access.limits))
    }

    fn write_bounds(&self, out: &mut String) -> std::fmt::Result {
        let limits = &self.limits;
        writeln!(out, "limits:")?;
        writeln!(out, "  prompt_chars: {}", limits.prompt_chars)?;
        writeln!(out, "  body: {}", limits.body)?;
        writeln!(out, "  messages: {}", limits.messages)?;
        writeln!(out, "  head: {}", limits.head)?;
        writeln!(out, "  json_depth: {}", limits.json_depth)?;
        writeln!(out, "  per_address: {}", limits.per_address)?;
        let timeouts = &self.timeouts;
        writeln!(out, "timeouts:")?;
        writeln!(out, "  connect: {}", format_duration(timeouts.connect))?;
        writeln!(out, "  silent: {}", format_duration(timeouts.silent))?;
        writeln!(out, "  first_byte: {}", format_duration(timeouts.first_byte))?;
        writeln!(out, "  idle: {}", format_duration(timeouts.idle))?;
        writeln!(out, "  pause: {}", timeouts.pause.map_or_else(|| "off".to_owned(), format_duration))?;
        writeln!(out, "  total: {}", format_duration(timeouts.total))?;
        writeln!(out, "  drain: {}", format_duration(timeouts.drain))?;
        writeln!(out, "  restart: {}", format_duration(timeouts.restart))?;
        writeln!(out, "  keep_alive: {}", format_duration(timeouts.keep_alive))?;
        let queue = &self.queue;
        writeln!(out, "queue:")?;
        writeln!(out, "  depth: {}", queue.depth)?;
        writeln!(out, "  wait: {}", format_duration(queue.wait))?;
        writeln!(out, "  fair_by: {}", by_word(queue.fair_by))?;
        writeln!(out, "shared:")?;
        let redis = self.shared.redis.as_ref().map(|url| without_password(url.expose()));
        writeln!(out, "  redis: {}", optional(redis.as_deref()))?;
        writeln!(out, "errors: {}", if self.errors == ErrorStyle::OpenAi { "openai" } else { "plain" })
    }

    fn write_logging(&self, out: &mut String) -> std::fmt::Result {
        let logging = &self.logging;
        let sync = match logging.sync {
            SyncPolicy::Each => "each".to_owned(),
            SyncPolicy::Within(time) => format_duration(time),
        };
        writeln!(out, "logging:")?;
        writeln!(out, "  level: {}", scalar(&logging.level))?;
        writeln!(out, "  file: {}", scalar(&self.journal_file().to_string_lossy()))?;
        writeln!(out, "  json: {}", logging.json)?;
        writeln!(out, "  fields: {}", object(&logging.fields))?;
        let every = if logging.rotate.every_day { "day" } else { "never" };
        writeln!(out, "  rotate: {{every: {every}, size: {}}}", logging.rotate.size)?;
        writeln!(out, "  keep: {{days: {}, bytes: {}}}", logging.keep.days, logging.keep.bytes)?;
        let compress = match logging.compress {
            Compress::Zstd => "zstd",
            Compress::Gzip => "gzip",
            Compress::None => "none",
        };
        writeln!(out, "  compress: {compress}")?;
        writeln!(out, "  sync: {sync}")?;
        let mode = match logging.content.mode {
            ContentMode::Off => "off",
            ContentMode::Redacted => "redacted",
            ContentMode::Full => "full",
        };
        let keep = logging.content.keep;
        let vrl = optional(logging.content.vrl.as_ref().map(|vrl| vrl.text.as_str()));
        writeln!(out, "  content: {{mode: {mode}, vrl: {vrl}, keep: {{days: {}, bytes: {}}}}}", keep.days, keep.bytes)?;
        writeln!(out, "  families: {}", if logging.families { "on" } else { "off" })
    }
}

fn upstream_yaml(upstream: &UpstreamConfig) -> String {
    let kind = match upstream.kind {
        UpstreamKind::Ollama => "ollama",
        UpstreamKind::OpenAi => "openai",
        UpstreamKind::Anthropic => "anthropic",
        UpstreamKind::Demo => return "{kind: demo}".to_owned(),
    };
    let key = if upstream.key.is_some() { "\"***\"" } else { "null" };
    let parallel = or_null(upstream.parallel);
    format!("{{kind: {kind}, url: {}, key: {key}, parallel: {parallel}}}", scalar(&upstream.url))
}

fn listen_yaml(listen: Listen) -> String {
    let address = scalar(&listen.address.to_string());
    if listen.proxy_protocol { format!("{{address: {address}, proxy_protocol: true}}") } else { address }
}

fn source_yaml(source: &SourceConfig) -> String {
    match &source.kind {
        SourceKind::Listen(ListenSource { address, udp, tls, allow }) => {
            let address = scalar(&address.to_string());
            let tls = or_null(tls.as_ref().map(tls_yaml));
            format!("{{type: listen, address: {address}, udp: {udp}, tls: {tls}, allow: {}}}", list(allow))
        }
        SourceKind::Http(HttpSource { address, tls, allow, format }) => {
            let (address, format) = (scalar(&address.to_string()), scalar(format.as_str()));
            let tls = or_null(tls.as_ref().map(tls_yaml));
            format!("{{type: http, address: {address}, tls: {tls}, allow: {}, format: {format}}}", list(allow))
        }
        SourceKind::File(FileSource { paths, format, begin, rotate }) => {
            let (format, begin) = (scalar(format.as_str()), begin.as_str());
            let rotate = rotate.as_ref().map(rotate_yaml).unwrap_or_default();
            format!("{{type: file, paths: {}, format: {format}, begin: {begin}{rotate}}}", list(paths))
        }
        SourceKind::Journald(JournaldSource { unit, format, begin }) => {
            let (format, begin) = (scalar(format.as_str()), begin.as_str());
            format!("{{type: journald, unit: {}, format: {format}, begin: {begin}}}", optional(unit.as_deref()))
        }
        SourceKind::Stdin(format) => format!("{{type: stdin, format: {}}}", scalar(format.as_str())),
        SourceKind::Process(format) => format!("{{type: process, format: {}}}", scalar(format.as_str())),
    }
}

fn rotate_yaml(rotate: &FileRotate) -> String {
    let size = rotate.size.map(|size| format!("size: {size}, ")).unwrap_or_default();
    let reopen = match &rotate.reopen {
        None => String::new(),
        Some(Reopen::Command(command)) => format!(", command: {}", list(command)),
        Some(Reopen::Signal(signal, file)) => {
            format!(", signal: {}, pid_file: {}", signal.as_str(), scalar(&file.to_string_lossy()))
        }
    };
    let (every, method) = (if rotate.every_day { "day" } else { "never" }, rotate.method.as_str());
    let KeepFiles { bytes, days, count } = rotate.keep;
    let keep = format!("{{bytes: {bytes}, days: {days}, count: {}}}", or_null(count));
    format!(", rotate: {{{size}every: {every}, method: {method}{reopen}}}, keep: {keep}")
}

fn shape_yaml(shape: &ShapeConfig) -> String {
    let vrl = optional(shape.vrl.as_ref().map(|vrl| vrl.text.as_str()));
    let fields: Vec<String> =
        shape.fields.iter().map(|(name, kind)| format!("{}: {}", key(name), kind.as_str())).collect();
    let cap = shape.cap.map(|cap| format!("{{lines: {}, per: {}}}", cap.lines, format_duration(cap.per)));
    let (sources, on_abort) = (list(&shape.sources), shape.on_abort.as_str());
    let fields = fields.join(", ");
    format!("{{source: {sources}, vrl: {vrl}, on_abort: {on_abort}, fields: {{{fields}}}, cap: {}}}", or_null(cap))
}

fn tls_yaml(files: &TlsFiles) -> String {
    let path = |path: &Path| scalar(&path.to_string_lossy());
    let client_ca = or_null(files.client_ca.as_deref().map(path));
    format!("{{cert: {}, key: {}, client_ca: {client_ca}}}", path(&files.cert), path(&files.key))
}

fn write_store(out: &mut String, store: &StoreConfig) -> std::fmt::Result {
    let Some(remote) = &store.remote else {
        let keep = store.keep;
        return writeln!(out, "store:\n  kind: embedded\n  keep: {{days: {}, bytes: {}}}", keep.days, keep.bytes);
    };
    let cluster = ship_yaml(&remote.cluster);
    let cluster = cluster.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(&cluster);
    writeln!(out, "store: {{indices: {}, {cluster}}}", list(&remote.indices))
}

fn ship_yaml(destination: &ShipConfig) -> String {
    let kind = destination.kind.as_str();
    let login = match &destination.login {
        None => String::new(),
        Some(ShipLogin::User { name, .. }) => format!("user: {}, password: \"***\", ", scalar(name)),
        Some(ShipLogin::ApiKey(_)) => "api_key: \"***\", ".to_owned(),
    };
    let ca = destination.ca.as_deref().map(Path::to_string_lossy);
    let (urls, ca) = (list(&destination.urls), optional(ca.as_deref()));
    let own = match destination.kind {
        ShipKind::Elasticsearch | ShipKind::OpenSearch => format!("template: {}, ", destination.template),
        ShipKind::Otlp => String::new(),
        ShipKind::Syslog(message) => format!("format: rfc5424, message: {}, ", message.as_str()),
    };
    format!("{{kind: {kind}, urls: {urls}, {login}ca: {ca}, {own}buffer: {}}}", destination.buffer)
}

/// A URL without what stands before its `@`.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => url.to_owned(),
    }
}

fn write_model(out: &mut String, model: &ModelConfig) -> std::fmt::Result {
    writeln!(out, "  {}:", key(&model.name))?;
    writeln!(out, "    upstreams: {}", tiers_yaml(&model.tiers))?;
    writeln!(out, "    aliases: {}", list(&model.aliases))?;
    writeln!(out, "    context: {}", or_null(model.context))?;
    let on_overflow = match model.on_overflow {
        Overflow::Refuse => "refuse",
        Overflow::Truncate => "truncate",
        Overflow::Route => "route",
    };
    writeln!(out, "    on_overflow: {on_overflow}")?;
    let tokenizer = model.tokenizer.as_ref().map(|path| path.to_string_lossy());
    writeln!(out, "    tokenizer: {}", optional(tokenizer.as_deref()))?;
    writeln!(out, "    fallback: {}", list(&model.fallback))?;
    writeln!(out, "    keep_alive: {}", optional(model.keep_alive.as_deref()))?;
    writeln!(out, "    options: {}", object(&model.options))?;
    writeln!(out, "    strip: {}", list(&model.strip))
}

/// Each upstream by itself where it is alone in its tier.
fn tiers_yaml(tiers: &[Vec<String>]) -> String {
    let tiers: Vec<String> = tiers
        .iter()
        .map(|tier| match &tier[..] {
            [upstream] => scalar(upstream),
            equal => list(equal),
        })
        .collect();
    format!("[{}]", tiers.join(", "))
}

fn access_key_yaml(key: &KeyConfig) -> String {
    let priority = match key.priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    };
    let expires = key.expires_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    [
        format!("{{id: {}, sha256: {}", scalar(&key.id), scalar(&key.sha256)),
        format!("also: {}", list(&key.also)),
        format!("user: {}", optional(key.user.as_deref())),
        format!("models: {}", list(&key.models)),
        format!("indices: {}", list(&key.indices)),
        format!("role: {}", scalar(key.role)),
        format!("prompt_chars: {}", or_null(key.prompt_chars)),
        format!("rate_limit: {}", rate_limit_yaml(&key.limits, None)),
        format!("budgets: {}", budgets_yaml(&key.limits)),
        format!("priority: {priority}, weight: {}", key.weight),
        format!("allow: {}", list(&key.allow)),
        format!("expires: {}}}", or_null(expires)),
    ]
    .join(", ")
}

/// Requests and tokens have the same time: it is written once for both.
fn rate_limit_yaml(limits: &CallerLimits, by: Option<By>) -> String {
    let most = |rate: Option<crate::config::Rate>| or_null(rate.map(|rate| rate.most));
    let per = limits.requests.or(limits.tokens).map(|rate| format_duration(rate.per));
    let by = by.map_or_else(String::new, |by| format!(", by: {}", by_word(by)));
    format!(
        "{{requests: {}, tokens: {}, concurrent: {}, per: {}{by}}}",
        most(limits.requests),
        most(limits.tokens),
        or_null(limits.concurrent),
        or_null(per),
    )
}

fn budgets_yaml(limits: &CallerLimits) -> String {
    let (day, month) = (or_null(limits.tokens_per_day), or_null(limits.tokens_per_month));
    format!("{{tokens_per_day: {day}, tokens_per_month: {month}}}")
}

fn by_word(by: By) -> &'static str {
    match by {
        By::Key => "key",
        By::User => "user",
        By::Address => "address",
        By::Model => "model",
    }
}

/// For values that are plain in YAML.
fn or_null<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), scalar)
}

fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| scalar(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

fn object(map: &Map<String, Value>) -> String {
    let entries: Vec<String> = map.iter().map(|(name, value)| format!("{}: {}", key(name), json(value))).collect();
    format!("{{{}}}", entries.join(", "))
}

fn json(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Object(map) => object(map),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A text as a YAML value that is read back as the same text.
pub(crate) fn scalar(text: &str) -> String {
    // Otherwise it would be taken for a variable.
    key(&text.replace("${", "$${"))
}

/// A text as a YAML key: plain where that is safe anywhere, else in double quotes.
pub(crate) fn key(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_');
    let first_is_safe = text.starts_with(safe);
    let all_safe = text.chars().all(|c| safe(c) || matches!(c, '-' | ':' | '*' | '+' | '@'));
    let is_text = matches!(resolve(text), Some(Value::String(_)));
    if first_is_safe && all_safe && is_text && !text.ends_with(':') && text != "..." {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            ' '..='~' | '\u{a1}'..='\u{1fff}' | '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{fdff}' | '\u{10000}'.. => {
                quoted.push(c);
            }
            // Control characters, breaks, marks without width and the like, for the reader's sake.
            _ => write!(quoted, "\\u{:04x}", c as u32).expect("a String takes every text"),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_plain_only_where_that_is_safe() {
        for text in ["gate", "./data", "/var/log/a.log", "http://127.0.0.1:11434", "qwen3:32b", "30m", "127.0.0.1:1"] {
            assert_eq!(scalar(text), text);
        }
        for (text, quoted) in [
            ("", "\"\""),
            ("7", "\"7\""),
            ("true", "\"true\""),
            ("null", "\"null\""),
            ("*", "\"*\""),
            ("a: b", "\"a: b\""),
            ("a\"\\\n\u{7f}\u{202e}", "\"a\\\"\\\\\\n\\u007f\\u202e\""),
            ("模型", "\"模型\""),
            ("${A}", "\"$${A}\""),
        ] {
            assert_eq!(scalar(text), quoted);
        }
    }
}
