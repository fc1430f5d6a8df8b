//! From the configuration to what each part wants to know; no decision is made here.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use http::HeaderName;
use tollhouse_access::{AddressList, Digest, Key, OtherSecret, Priority};
use tollhouse_collect::file::{self, Pattern};
use tollhouse_collect::formats::Format;
use tollhouse_collect::net::{ListenOptions, server_tls};
use tollhouse_config::{self as config, Config};
use tollhouse_content::Mode;
use tollhouse_dialect::JsonLimits;
use tollhouse_gateway::{By, DoorSettings, ErrorStyle, ModelSettings, Settings};
use tollhouse_journal::{Holds, Journal};
use tollhouse_limits::{Budget, Period, Rate, Rules};
use tollhouse_shape::{Kinds, OwnKind, Shaper};
use tollhouse_ship::Book;
use tollhouse_state::StoredKey;
use tollhouse_telemetry::Telemetry;
use tollhouse_tokens::Overflow;
use tollhouse_upstream as upstream;
use tollhouse_web::ServeOptions;

/// Bodies come from clients on the same network; more than this is a client that has stalled.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// All sources together hold this part of the connections that the gate may hold, and each one at least so many.
const SENDERS_SHARE: usize = 8;
const SENDERS_MIN: usize = 16;

/// Reads how far was shipped, so it blocks.
pub(crate) fn journal_options(config: &Config) -> tollhouse_journal::Options {
    let logging = &config.logging;
    let mut fields = logging.fields.clone();
    let service = match fields.remove("service") {
        Some(serde_json::Value::String(service)) => service,
        _ => config.service.clone(),
    };
    tollhouse_journal::Options {
        fields,
        rotate_day: logging.rotate.every_day,
        rotate_bytes: logging.rotate.size.0,
        keep_days: logging.keep.days,
        keep_bytes: logging.keep.bytes.0,
        holds: crate::shipping::holds(config),
        compress: match logging.compress {
            config::Compress::Zstd => Some(tollhouse_journal::Packing::Zstd),
            config::Compress::Gzip => Some(tollhouse_journal::Packing::Gzip),
            config::Compress::None => None,
        },
        sync: match logging.sync {
            config::SyncPolicy::Each => tollhouse_journal::Sync::Each,
            config::SyncPolicy::Within(time) => tollhouse_journal::Sync::Within(time),
        },
        ..tollhouse_journal::Options::new(config.journal_file(), service)
    }
}

pub(crate) fn store_options(config: &Config) -> tollhouse_store::StoreOptions {
    tollhouse_store::StoreOptions {
        dir: config.data_dir.join("index"),
        service: config.service.clone(),
        keep_days: config.store.keep.days,
        keep_bytes: config.store.keep.bytes.0,
    }
}

/// What couriers read, and where they keep how far they have come.
pub(crate) fn book(config: &Config, journal: &Journal, shaper: &Shaper, holds: Holds) -> Book {
    Book {
        journal: journal.clone(),
        journal_file: config.journal_file(),
        shaper: shaper.clone(),
        service: config.service.clone(),
        cursors: crate::shipping::cursors(config),
        holds,
    }
}

// Model servers

/// Servers, models and settings, as [`upstream::Upstreams`] takes them.
pub(crate) type UpstreamParts = (Vec<upstream::UpstreamSpec>, Vec<upstream::ModelSpec>, upstream::Settings);

pub(crate) fn upstreams(config: &Config) -> UpstreamParts {
    let specs = config.upstreams.iter().map(|up| upstream::UpstreamSpec {
        name: up.name.clone(),
        kind: match up.kind {
            config::UpstreamKind::Ollama => upstream::Kind::Ollama,
            config::UpstreamKind::OpenAi => upstream::Kind::OpenAi,
            config::UpstreamKind::Anthropic => upstream::Kind::Anthropic,
            config::UpstreamKind::Demo => upstream::Kind::Demo,
        },
        url: up.url.clone(),
        key: up.key.as_ref().map(|key| key.expose().to_owned()),
        parallel: up.parallel,
    });
    let models = config.models.iter().map(|model| upstream::ModelSpec {
        name: model.name.clone(),
        tiers: model.tiers.clone(),
        aliases: model.aliases.clone(),
        context: model.context,
        keep_alive: model.keep_alive.clone(),
        options: model.options.clone(),
        strip: model.strip.clone(),
        fallback: model.fallback.clone(),
    });
    let timeouts = upstream::Timeouts {
        connect: config.timeouts.connect,
        silent: config.timeouts.silent,
        first_byte: config.timeouts.first_byte,
        idle: config.timeouts.idle,
        pause: config.timeouts.pause,
        total: config.timeouts.total,
    };
    let queue = upstream::QueueSpec { depth: config.queue.depth, wait: config.queue.wait };
    let kept = config.supervise.iter().flat_map(|process| process.upstreams.iter().cloned()).collect();
    let settings = upstream::Settings { timeouts, queue, restart: config.timeouts.restart, kept };
    (specs.collect(), models.collect(), settings)
}

/// How many requests all model servers take at once.
pub(crate) fn places(config: &Config) -> u32 {
    let (specs, ..) = upstreams(config);
    specs.iter().map(|spec| spec.parallel.unwrap_or_else(|| spec.kind.parallel())).fold(0, u32::saturating_add)
}

// The gateway

pub(crate) fn gateway_settings(config: &Config) -> Settings {
    Settings {
        limits: Arc::new(rules(&config.access.limits)),
        by: by(config.access.by),
        fair_by: by(config.queue.fair_by),
        prompt_chars_max: config.limits.prompt_chars,
        body_bytes_max: config.limits.body.0,
        body_timeout: BODY_TIMEOUT,
        json: JsonLimits { depth: config.limits.json_depth, messages: config.limits.messages },
        errors: match config.errors {
            config::ErrorStyle::OpenAi => ErrorStyle::Dialect,
            config::ErrorStyle::Plain => ErrorStyle::Plain,
        },
        keep_alive: config.timeouts.keep_alive,
        models: config
            .models
            .iter()
            .map(|model| (model.name.clone(), model_settings(model)))
            .collect::<HashMap<_, _>>(),
        contents: None,
        families: None,
        telemetry: Telemetry::new(),
        later: None,
    }
}

/// How the chat page is set.
pub(crate) fn chat_page(config: &Config) -> tollhouse_console::ChatPage {
    let chat = &config.chat;
    tollhouse_console::ChatPage {
        title: chat.title.clone(),
        description: chat.description.clone(),
        model: chat.model.clone(),
        history: chat.history,
        keep_days: chat.keep.days,
        unwatched: chat.unwatched,
    }
}

/// The provider at which users of the console sign in.
pub(crate) fn oidc(config: &Config) -> Option<tollhouse_console::OidcSettings> {
    let oidc = config.console.oidc.as_ref()?;
    let rule = |(role, values): &(config::ConsoleRole, Vec<String>)| tollhouse_console::RoleRule {
        role: match role {
            config::ConsoleRole::Viewer => tollhouse_state::Role::Viewer,
            config::ConsoleRole::Operator => tollhouse_state::Role::Operator,
            config::ConsoleRole::Admin => tollhouse_state::Role::Admin,
        },
        values: values.clone(),
    };
    Some(tollhouse_console::OidcSettings {
        name: oidc.name.clone(),
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret: oidc.client_secret.as_ref().map(|secret| secret.expose().to_owned()),
        ca: oidc.ca.clone(),
        scopes: oidc.scopes.clone(),
        name_claim: oidc.name_claim.clone(),
        role_claim: oidc.role_claim.clone(),
        roles: oidc.roles.iter().map(rule).collect(),
        domains: oidc.domains.clone(),
        session: oidc.session,
        // The configuration asks for it.
        public_url: config.public_url.clone()?,
    })
}

/// Whether prompts and answers are kept.
pub(crate) fn content_mode(config: &Config) -> Mode {
    match config.logging.content.mode {
        config::ContentMode::Off => Mode::Off,
        config::ContentMode::Redacted => Mode::Redacted,
        config::ContentMode::Full => Mode::Full,
    }
}

/// Where prompts and answers lie, and for how long.
pub(crate) fn content_options(config: &Config) -> tollhouse_content::Options {
    let keep = config.logging.content.keep;
    tollhouse_content::Options {
        file: config.data_dir.join("content/content.log"),
        service: config.service.clone(),
        keep_days: keep.days,
        keep_bytes: keep.bytes.0,
    }
}

fn model_settings(model: &config::ModelConfig) -> ModelSettings {
    ModelSettings {
        on_overflow: match model.on_overflow {
            config::Overflow::Refuse => Overflow::Refuse,
            config::Overflow::Truncate => Overflow::Truncate,
            config::Overflow::Route => Overflow::Route,
        },
        tokenizer: model.tokenizer.clone(),
        fallback: model.fallback.clone(),
    }
}

fn by(by: config::By) -> By {
    match by {
        config::By::Key => By::Key,
        config::By::User => By::User,
        config::By::Address => By::Address,
        config::By::Model => By::Model,
    }
}

fn rules(limits: &config::CallerLimits) -> Rules {
    let rate = |rate: config::Rate| Some(Rate { most: NonZeroU64::new(rate.most)?, per: rate.per });
    Rules {
        requests: limits.requests.and_then(rate),
        tokens: limits.tokens.and_then(rate),
        concurrent: limits.concurrent.and_then(NonZeroU32::new),
        budgets: budgets(limits.tokens_per_day, limits.tokens_per_month),
    }
}

fn budgets(day: Option<u64>, month: Option<u64>) -> Vec<Budget> {
    let both = [(day, Period::Day), (month, Period::Month)];
    both.into_iter().filter_map(|(tokens, period)| Some(Budget { tokens: tokens?, period })).collect()
}

// The door

pub(crate) fn door_settings(config: &Config) -> anyhow::Result<DoorSettings> {
    let access = &config.access;
    let header = |name: &str| HeaderName::try_from(name).with_context(|| format!("{name} is not a header's name"));
    Ok(DoorSettings {
        keys_asked: access.auth == config::Auth::Keys,
        header: header(&access.header)?,
        allow: AddressList::new(access.allow.clone()),
        drop_others: access.deny == config::Deny::Drop,
        trusted_proxies: AddressList::new(access.trusted_proxies.clone()),
        // A name that is listened for without encryption too says nothing.
        encrypted_hosts: edge_hosts(config).filter(|host| !host_names(config).contains(host)).collect(),
        user_header: access.user_header.as_deref().map(header).transpose()?,
    })
}

/// The names of the edge's sites.
fn edge_hosts(config: &Config) -> impl Iterator<Item = String> {
    config.edge.iter().flat_map(|edge| &edge.sites).flat_map(|site| site.names().cloned())
}

/// The keys of the file as a keyring takes them.
pub(crate) fn configured_keys(config: &Config) -> anyhow::Result<Vec<(Digest, Key)>> {
    config.access.keys.iter().map(configured_key).collect()
}

fn configured_key(key: &config::KeyConfig) -> anyhow::Result<(Digest, Key)> {
    let hash = |text: &str| digest(text).with_context(|| format!("a sha256 of key {} is not 64 digits", key.id));
    let mut made = Key::new(&key.id, key.role);
    made.user.clone_from(&key.user);
    made.models.clone_from(&key.models);
    made.indices.clone_from(&key.indices);
    made.prompt_chars = key.prompt_chars;
    made.rules = rules(&key.limits);
    made.priority = match key.priority {
        config::Priority::Low => Priority::Low,
        config::Priority::Normal => Priority::Normal,
        config::Priority::High => Priority::High,
    };
    made.weight = key.weight;
    made.allow = AddressList::new(key.allow.clone());
    made.expires_ms = key.expires_ms;
    let also = key.also.iter().map(|text| Ok(OtherSecret { digest: hash(text)?, until_ms: None }));
    made.also = also.collect::<anyhow::Result<_>>()?;
    Ok((hash(&key.sha256)?, made))
}

/// 64 hexadecimal digits as bytes.
fn digest(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// A stored key as a keyring takes it.
pub(crate) fn stored_key(key: StoredKey) -> (Digest, Key) {
    let settings = key.settings;
    let limits = settings.limits;
    let rate = |(most, per_ms)| Some(Rate { most: NonZeroU64::new(most)?, per: Duration::from_millis(per_ms) });
    let mut made = Key::new(key.id, &settings.role);
    made.user = Some(settings.user.unwrap_or(settings.name));
    made.models = settings.models;
    made.indices = settings.indices;
    made.prompt_chars = settings.prompt_chars;
    made.rules = Rules {
        requests: limits.requests.and_then(|(most, per_ms)| rate((most.into(), per_ms))),
        tokens: limits.tokens.and_then(rate),
        concurrent: limits.concurrent.and_then(NonZeroU32::new),
        budgets: budgets(limits.tokens_per_day, limits.tokens_per_month),
    };
    made.priority = Priority::parse(&settings.priority).unwrap_or_default();
    made.weight = settings.weight;
    // What could not be read would else be left out, and an empty list lets everybody in.
    let networks = settings.allow.iter().map(|text| crate::keys::parse_network(text));
    made.allow = AddressList::new(networks.collect::<Result<_, _>>().unwrap_or_else(|_| nowhere()));
    made.expires_ms = settings.expires_ms;
    made.also = key.old.iter().map(|old| OtherSecret { digest: old.hash, until_ms: Some(old.until_ms) }).collect();
    (key.hash, made)
}

/// A network from which nobody comes (RFC 6666, the discard prefix).
fn nowhere() -> Vec<config::IpNet> {
    vec!["100::/128".parse().expect("a network")]
}

// Listening

/// Raises the soft limit on open files to the hard one and shares it out: a connection of a client may need one to a model
/// server, and the journal and the index must never find none left.
pub(crate) fn connections_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(error = %error, "raising the limit on open files");
            limit.current
        }
    };
    let most = ServeOptions::default().connections_max;
    files.map_or(most, |files| most.min(usize::try_from(files / 5 * 2).unwrap_or(most)).max(1))
}

pub(crate) fn serve_options(config: &Config) -> ServeOptions {
    ServeOptions {
        connections_max: connections_max(),
        per_address_max: config.limits.per_address,
        trusted: config.access.trusted_proxies.clone(),
        head_bytes_max: usize::try_from(config.limits.head.0).unwrap_or(usize::MAX),
        drain: config.timeouts.drain,
        ..ServeOptions::default()
    }
}

/// Bounds of the address of the Elasticsearch API alone: those of the house, but with a share of its connections.
pub(crate) fn search_options(config: &Config) -> ServeOptions {
    let options = serve_options(config);
    let connections_max = (options.connections_max / SENDERS_SHARE).max(SENDERS_MIN);
    ServeOptions { connections_max, ..options }
}

/// Bounds of a source that listens, one of so many. Reads the files of its TLS, so it blocks.
pub(crate) fn listen_options(source: &config::ListenSource, sources: usize) -> anyhow::Result<ListenOptions> {
    let tls = source.tls.as_ref().map(|files| server_tls(&files.cert, &files.key, files.client_ca.as_deref()));
    // They need files too, and must leave the gate its own.
    let connections_max = connections_max() / SENDERS_SHARE / sources.max(1);
    let options = ListenOptions::default();
    Ok(ListenOptions {
        tls: tls.transpose()?,
        allow: source.allow.clone(),
        connections_max: options.connections_max.min(connections_max.max(SENDERS_MIN)),
        ..options
    })
}

/// Bounds of a source that takes requests of HTTP, one of so many; the others are those of the house. Reads the files of its TLS,
/// so it blocks.
pub(crate) fn http_options(
    source: &config::HttpSource,
    sources: usize,
    house: &ServeOptions,
) -> anyhow::Result<ServeOptions> {
    let tls = source.tls.as_ref().map(|files| server_tls(&files.cert, &files.key, files.client_ca.as_deref()));
    let connections_max = (connections_max() / SENDERS_SHARE / sources.max(1)).max(SENDERS_MIN);
    // Nobody stands in for others here: an address is that of the connection.
    Ok(ServeOptions { tls: tls.transpose()?, connections_max, trusted: Vec::new(), ..house.clone() })
}

/// What a source of files reads.
pub(crate) fn file_options(source: &config::FileSource) -> anyhow::Result<file::Options> {
    let patterns: Result<Vec<Pattern>, _> = source.paths.iter().map(|path| Pattern::new(path)).collect();
    let begin = match source.begin {
        config::Begin::Start => file::Begin::Start,
        config::Begin::End => file::Begin::End,
    };
    Ok(file::Options::new(patterns?).begin(begin))
}

/// Refuses files whose lines would tell of themselves: those of our own journal.
pub(crate) fn check_files(source: &config::FileSource, config: &Config) -> anyhow::Result<()> {
    let own = std::path::absolute(config.journal_file()).context("finding our own journal")?;
    for path in &source.paths {
        anyhow::ensure!(
            !Pattern::new(path)?.means(&own),
            "{path} is our own journal: each line that is read of it would add another one"
        );
    }
    Ok(())
}

/// The sources that collect what model servers write, as far as the configuration shows it: by their format, their unit, or the name
/// of an upstream.
pub(crate) fn server_sources(config: &Config) -> Vec<String> {
    const UNITS: [&str; 4] = ["ollama", "llama", "vllm", "sglang"];
    let of_server = |format| matches!(format, config::LineFormat::Ollama | config::LineFormat::LlamaCpp);
    let is_one = |source: &&config::SourceConfig| {
        let by_kind = match &source.kind {
            config::SourceKind::File(file) => of_server(file.format),
            config::SourceKind::Http(http) => of_server(http.format),
            config::SourceKind::Stdin(format) | config::SourceKind::Process(format) => of_server(*format),
            config::SourceKind::Journald(journald) => {
                let unit = journald.unit.as_deref().unwrap_or_default();
                of_server(journald.format) || UNITS.iter().any(|name| unit.starts_with(name))
            }
            config::SourceKind::Listen(_) => false,
        };
        by_kind || config.upstreams.iter().any(|upstream| upstream.name == source.name)
    };
    config.all_sources().iter().filter(is_one).map(|source| source.name.clone()).collect()
}

/// Declared kinds of fields of lines.
pub(crate) fn kinds(fields: &[(String, config::FieldKind)]) -> anyhow::Result<Kinds> {
    let kind = |kind: config::FieldKind| match kind {
        config::FieldKind::Text => OwnKind::Text,
        config::FieldKind::Integer => OwnKind::Integer,
        config::FieldKind::Number => OwnKind::Number,
        config::FieldKind::Boolean => OwnKind::Boolean,
        config::FieldKind::Date => OwnKind::Date,
    };
    Kinds::new(fields.iter().map(|(name, declared)| (name.clone(), kind(*declared))))
        .context("reading `fields` of `shape`")
}

/// How lines are read; none where they show it themselves.
pub(crate) fn line_format(format: config::LineFormat) -> Option<Format> {
    Some(match format {
        config::LineFormat::Auto => return None,
        config::LineFormat::Json => Format::Json,
        config::LineFormat::Openclaw | config::LineFormat::Clawdbot => Format::Openclaw,
        config::LineFormat::Nginx => Format::Nginx,
        config::LineFormat::Ollama => Format::Ollama,
        config::LineFormat::LlamaCpp => Format::LlamaCpp,
        config::LineFormat::Syslog => Format::Syslog,
        config::LineFormat::Logfmt => Format::Logfmt,
        config::LineFormat::Plain => Format::Plain,
    })
}

/// The names this house answers to besides loopback and addresses.
pub(crate) fn host_names(config: &Config) -> Vec<String> {
    let public = config.public_url.as_deref().and_then(|url| url.parse::<http::Uri>().ok());
    let public = public.as_ref().and_then(|url| url.host()).map(str::to_owned);
    config.hosts.iter().cloned().chain(public).collect()
}

#[cfg(test)]
mod tests {
    use tollhouse_state::KeySettings;

    use super::*;

    #[test]
    fn a_network_that_cannot_be_read_admits_nobody() {
        let settings = KeySettings { allow: vec!["10.0.0.0/16".into(), "x".into()], ..KeySettings::default() };
        let key = StoredKey { id: "a".into(), hash: [0; 32], old: vec![], settings, created_ms: 0, revoked_ms: None };
        let (_, key) = stored_key(key);
        for address in ["10.0.0.1", "127.0.0.1", "::1"] {
            assert!(!key.allow.admits(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn hashes_are_read_whole() {
        assert_eq!(digest(&"0a".repeat(32)), Some([10; 32]));
        assert_eq!(digest(&"0a".repeat(31)), None);
        assert_eq!(digest(&"0x".repeat(32)), None);
    }
}
