//! From the configuration to what each part wants to know; no decision is made here.

use std::num::NonZeroU32;
use std::sync::Arc;

use anyhow::Context;
use http::HeaderName;
use tollhouse_access::{AddressList, Digest, Key, Keyring, RateLimit};
use tollhouse_config::{self as config, Config};
use tollhouse_dialect::JsonLimits;
use tollhouse_gateway::{Door, DoorSettings, ErrorStyle, RateBy, Settings};
use tollhouse_state::{State, StoredKey};
use tollhouse_upstream as upstream;
use tollhouse_web::ServeOptions;

/// Bodies come from clients on the same network; more than this is a client that has stalled.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

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
        compress: logging.compress == config::Compress::Zstd,
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

pub(crate) fn upstreams(config: &Config) -> anyhow::Result<upstream::Upstreams> {
    let specs = config.upstreams.iter().map(|up| upstream::UpstreamSpec {
        name: up.name.clone(),
        kind: match up.kind {
            config::UpstreamKind::Ollama => upstream::Kind::Ollama,
            // Until the upstream crate speaks it, taken for the nearest kind.
            config::UpstreamKind::OpenAi | config::UpstreamKind::Anthropic => upstream::Kind::OpenAi,
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
        total: config.timeouts.total,
    };
    let queue = upstream::QueueSpec { depth: config.queue.depth, wait: config.queue.wait };
    let settings = upstream::Settings { timeouts, queue, restart: config.timeouts.restart };
    upstream::Upstreams::new(specs.collect(), models.collect(), settings).context("preparing the model servers")
}

pub(crate) fn gateway_settings(config: &Config) -> Settings {
    Settings {
        rate_limit: config.access.limits.requests.and_then(rate_limit),
        rate_by: match config.access.by {
            config::By::User => RateBy::User,
            config::By::Address => RateBy::Address,
            config::By::Model => RateBy::Model,
            config::By::Key => RateBy::Key,
        },
        prompt_chars_max: config.limits.prompt_chars,
        body_bytes_max: config.limits.body.0,
        body_timeout: BODY_TIMEOUT,
        json: JsonLimits { depth: config.limits.json_depth, messages: config.limits.messages },
        errors: match config.errors {
            config::ErrorStyle::OpenAi => ErrorStyle::Dialect,
            config::ErrorStyle::Plain => ErrorStyle::Plain,
        },
    }
}

fn rate_limit(limit: config::Rate) -> Option<RateLimit> {
    Some(RateLimit { requests: NonZeroU32::new(u32::try_from(limit.most).ok()?)?, per: limit.per })
}

pub(crate) async fn door(config: &Config, state: &State) -> anyhow::Result<Arc<Door>> {
    let access = &config.access;
    let header = |name: &str| HeaderName::try_from(name).with_context(|| format!("{name} is not a header's name"));
    let settings = DoorSettings {
        keys_asked: access.auth == config::Auth::Keys,
        header: header(&access.header)?,
        allow: AddressList::new(access.allow.clone()),
        drop_others: access.deny == config::Deny::Drop,
        trusted_proxies: AddressList::new(access.trusted_proxies.clone()),
        user_header: access.user_header.as_deref().map(header).transpose()?,
    };
    let configured = access.keys.iter().map(configured_key).collect::<anyhow::Result<Vec<_>>>()?;
    let pepper = state.pepper().clone();
    let keyring = Keyring::new(configured, [], Arc::new(move |secret| pepper.digest(secret)));
    let keyring = keyring.with_stored(hashed(keys_in_force(state).await?));
    Ok(Arc::new(Door::new(settings, keyring)))
}

fn configured_key(key: &config::KeyConfig) -> anyhow::Result<(Digest, Arc<Key>)> {
    let mut hash = Digest::default();
    for (index, byte) in hash.iter_mut().enumerate() {
        let digits = key.sha256.get(index * 2..index * 2 + 2);
        *byte = digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .with_context(|| format!("the sha256 of key {} is not 64 hexadecimal digits", key.id))?;
    }
    let mut made = Key::new(&key.id, key.role);
    made.user.clone_from(&key.user);
    made.models.clone_from(&key.models);
    made.prompt_chars = key.prompt_chars;
    made.rate_limit = key.limits.requests.and_then(rate_limit);
    Ok((hash, Arc::new(made)))
}

/// The keys of the state store that have not been revoked.
pub(crate) async fn keys_in_force(state: &State) -> anyhow::Result<Vec<StoredKey>> {
    let mut keys = state.keys().await.context("reading the keys")?;
    keys.retain(|key| key.revoked_ms.is_none());
    Ok(keys)
}

/// Stored keys as a keyring takes them.
pub(crate) fn hashed(keys: Vec<StoredKey>) -> impl Iterator<Item = (Digest, Key)> {
    keys.into_iter().map(|key| (key.hash, stored_key(key)))
}

fn stored_key(key: StoredKey) -> Key {
    let rate_limit = key.rate_limit.and_then(|(requests, per_ms)| {
        Some(RateLimit { requests: NonZeroU32::new(requests)?, per: std::time::Duration::from_millis(per_ms) })
    });
    let mut made = Key::new(key.id, &key.role);
    made.user = Some(key.user.unwrap_or(key.name));
    made.models = key.models;
    made.rate_limit = rate_limit;
    made.prompt_chars = key.prompt_chars;
    made.expires_ms = key.expires_ms;
    made
}

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
        head_bytes_max: usize::try_from(config.limits.head.0).unwrap_or(usize::MAX),
        drain: config.timeouts.drain,
        ..ServeOptions::default()
    }
}

/// The names this house answers to besides loopback and addresses.
pub(crate) fn host_names(config: &Config) -> Vec<String> {
    let public = config.public_url.as_deref().and_then(|url| url.parse::<http::Uri>().ok());
    let public = public.as_ref().and_then(|url| url.host()).map(str::to_owned);
    config.hosts.iter().cloned().chain(public).collect()
}
