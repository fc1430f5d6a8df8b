//! What only an Ollama server tells: what is loaded, what a model is, and which context length it was loaded with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};

use super::{LIST_BYTES_MAX, LIST_LIMIT, Server};
use crate::kept::Kept;
use crate::{Kind, WindowSource};

/// How old the list of what is loaded may be where somebody decides by it.
pub(crate) const RUNNING_AGE_MAX: Duration = Duration::from_secs(5);
/// Largest description of a model with its vocabulary, in bytes; a quarter of a million tokens with their merges are 15 MiB.
pub const VOCABULARY_BYTES_MAX: usize = 64 << 20;
/// How long a description of a model may take, and one with the vocabulary.
const SHOW_LIMIT: Duration = Duration::from_secs(3);
const VOCABULARY_LIMIT: Duration = Duration::from_secs(30);
/// How long the unloading of a model may take.
const UNLOAD_LIMIT: Duration = Duration::from_secs(10);
/// How old a description of a model may be.
const SHOW_AGE_MAX: Duration = Duration::from_mins(1);
/// Most models of one server of which something is remembered; then all is learnt anew.
const MODELS_MAX: usize = 256;
/// How old the server's version may be.
const VERSION_AGE_MAX: Duration = Duration::from_mins(1);
/// Largest context that a client's wish may make, in tokens; less where the model was trained for less.
pub const NUM_CTX_MAX: u32 = 131_072;
/// Smallest context that a client's wish may make, in tokens: what Ollama gives a model by default on a small machine.
pub const NUM_CTX_MIN: u32 = 4096;

/// A model's description as the server tells it.
pub(crate) type Shown = Map<String, Value>;

/// What is remembered of an Ollama server.
#[derive(Debug, Default)]
pub(super) struct Memory {
    running: Arc<Kept<[Running]>>,
    version: Arc<Kept<str>>,
    shown: Mutex<HashMap<Arc<str>, Arc<Kept<Shown>>>>,
    /// The context length that each model is asked for with, where no configuration says it; only grows.
    num_ctx: Mutex<HashMap<Arc<str>, u32>>,
}

/// A model that is loaded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Running {
    /// The server's name of it.
    pub(crate) name: Arc<str>,
    pub(crate) context_length: Option<u32>,
    /// All that the server tells of it.
    pub(crate) row: Map<String, Value>,
}

impl Server {
    /// What is loaded, heard again if that is longer ago than `age_max`; empty for other kinds of servers.
    pub(crate) async fn running(&self, age_max: Duration) -> Arc<[Running]> {
        if self.kind != Kind::Ollama || self.state.breaker.refuses().is_some() {
            return Arc::default();
        }
        self.state.ollama.running.fresh(age_max, self.ask_running()).await.told.unwrap_or_default()
    }

    /// What is loaded as last heard, heard again in the background if that is long ago, and waited for a moment where it
    /// cannot be believed.
    async fn running_soon(self: &Arc<Self>) -> Arc<[Running]> {
        let server = Arc::clone(self);
        let ask = || async move { server.ask_running().await };
        self.state.ollama.running.soon(RUNNING_AGE_MAX, ask).await.told.unwrap_or_default()
    }

    /// Hears in the background what is loaded: at once after a load, else if it is long ago.
    pub(crate) fn look_what_runs(self: &Arc<Self>, after_load: bool) {
        if self.kind != Kind::Ollama {
            return;
        }
        let age_max = if after_load { Duration::ZERO } else { RUNNING_AGE_MAX };
        let server = Arc::clone(self);
        self.state.ollama.running.now(age_max, || async move { server.ask_running().await });
    }

    async fn ask_running(&self) -> Option<Arc<[Running]>> {
        let uri = self.uri("/api/ps").ok()?;
        let changes = self.state.lane.changes();
        let body = self.ask(Method::GET, &uri, Bytes::new(), LIST_LIMIT, LIST_BYTES_MAX).await?;
        let running: Arc<[Running]> = parse_running(&body)?.into();
        let names: Vec<Arc<str>> = running.iter().map(|running| Arc::clone(&running.name)).collect();
        self.state.lane.told_loaded(&names, changes);
        Some(running)
    }

    /// Has it unload all models that it has loaded; which ones it has unloaded.
    pub(crate) async fn unload(&self) -> Vec<String> {
        let mut unloaded = Vec::new();
        let Ok(uri) = self.uri("/api/generate") else { return unloaded };
        for running in self.running(Duration::ZERO).await.iter() {
            // A prompt of none with no time to keep it: what Ollama's own `stop` sends.
            let body = json!({"model": &*running.name, "keep_alive": 0}).to_string();
            if self.ask(Method::POST, &uri, body.into(), UNLOAD_LIMIT, LIST_BYTES_MAX).await.is_some() {
                unloaded.push(running.name.to_string());
            }
        }
        self.state.ollama.expire();
        unloaded
    }

    /// The server's description of a model, at most a minute old.
    pub(crate) async fn shown(&self, model: &str) -> Option<Arc<Shown>> {
        if self.kind != Kind::Ollama || self.state.breaker.refuses().is_some() {
            return None;
        }
        self.state.ollama.shown(model).fresh(SHOW_AGE_MAX, self.ask_shown(model)).await.told
    }

    /// The same as last heard, heard again in the background if that is long ago, and waited for a moment where it cannot
    /// be believed.
    async fn shown_soon(self: &Arc<Self>, model: &str) -> Option<Arc<Shown>> {
        let (server, name) = (Arc::clone(self), model.to_owned());
        let ask = || async move { server.ask_shown(&name).await };
        self.state.ollama.shown(model).soon(SHOW_AGE_MAX, ask).await.told
    }

    async fn ask_shown(&self, model: &str) -> Option<Arc<Shown>> {
        self.show(model, false, SHOW_LIMIT, LIST_BYTES_MAX).await.map(Arc::new)
    }

    /// The server's description of a model with its whole vocabulary; large, and not kept.
    pub(crate) async fn vocabulary(&self, model: &str) -> Option<Map<String, Value>> {
        if self.kind != Kind::Ollama {
            return None;
        }
        let mut shown = self.show(model, true, VOCABULARY_LIMIT, VOCABULARY_BYTES_MAX).await?;
        match shown.shift_remove("model_info") {
            Some(Value::Object(info)) => Some(info),
            _ => None,
        }
    }

    async fn show(&self, model: &str, verbose: bool, limit: Duration, bytes_max: usize) -> Option<Shown> {
        let uri = self.uri("/api/show").ok()?;
        let asked = json!({"model": model, "verbose": verbose}).to_string();
        let body = self.ask(Method::POST, &uri, asked.into(), limit, bytes_max).await?;
        serde_json::from_slice(&body).ok()
    }

    /// The server's version.
    pub(crate) async fn version(self: &Arc<Self>) -> Option<Arc<str>> {
        if self.kind != Kind::Ollama || self.state.breaker.refuses().is_some() {
            return None;
        }
        let server = Arc::clone(self);
        self.state.ollama.version.soon(VERSION_AGE_MAX, || async move { server.ask_version().await }).await.told
    }

    async fn ask_version(&self) -> Option<Arc<str>> {
        let body = self.ask(Method::GET, &self.health, Bytes::new(), LIST_LIMIT, LIST_BYTES_MAX).await?;
        let told: Map<String, Value> = serde_json::from_slice(&body).ok()?;
        Some(told.get("version")?.as_str()?.into())
    }

    /// The context length that a request for this model is to ask for. A model that is asked for with another length
    /// than before is loaded anew, so there is one for everybody, and it only grows: to what a client wishes, in powers of
    /// two so that a few loads are all that wishes can cause, within what the model can, and never below what is loaded.
    pub(crate) async fn num_ctx(self: &Arc<Self>, model: &str, wish: Option<u32>) -> Option<u32> {
        if self.kind != Kind::Ollama {
            return None;
        }
        let now = self.state.ollama.wished(model);
        let Some(wish) = wish.filter(|wish| now.is_none_or(|now| *wish > now)) else { return now };
        // In a box: few requests ever get here, and all would have to hold it.
        let told = Box::pin(self.told(model)).await;
        let mut all = lock(&self.state.ollama.num_ctx);
        make_room(&mut all, model);
        let one = all.entry(model.into()).or_default();
        *one = told.grown(*one, wish);
        Some(*one)
    }

    /// How many tokens fit into this model for a client with this wish, as [`num_ctx`](Self::num_ctx) will ask for it.
    pub(crate) async fn window(self: &Arc<Self>, model: &str, wish: Option<u32>) -> Option<(u32, WindowSource)> {
        let now = self.state.ollama.wished(model);
        let wish = wish.filter(|wish| now.is_none_or(|now| *wish > now));
        if let (Some(now), None) = (now, wish) {
            return Some((now, WindowSource::Loaded));
        }
        let told = self.told(model).await;
        if let Some(wish) = wish {
            return Some((told.grown(now.unwrap_or_default(), wish), WindowSource::Loaded));
        }
        let Told { loaded, set, trained } = told;
        let loaded = loaded.map(|tokens| (tokens, WindowSource::Loaded));
        let set = set.map(|tokens| (tokens, WindowSource::Server));
        loaded.or(set).or(trained.map(|tokens| (tokens, WindowSource::Model)))
    }

    /// What the server has told of a model's context; both questions are waited for at once.
    async fn told(self: &Arc<Self>, model: &str) -> Told {
        if self.state.breaker.refuses().is_some() {
            return Told::default();
        }
        let (running, shown) = tokio::join!(self.running_soon(), self.shown_soon(model));
        let loaded = running.iter().find(|running| self.kind.is_name_of(model, &running.name));
        Told {
            loaded: loaded.and_then(|running| running.context_length),
            set: shown.as_deref().and_then(set_window),
            trained: shown.as_deref().and_then(trained_window),
        }
    }
}

impl Memory {
    /// The context length that clients' wishes have made of a model's, if there were any.
    fn wished(&self, model: &str) -> Option<u32> {
        lock(&self.num_ctx).get(model).copied()
    }

    fn shown(&self, model: &str) -> Arc<Kept<Shown>> {
        let mut shown = lock(&self.shown);
        make_room(&mut shown, model);
        Arc::clone(shown.entry(model.into()).or_default())
    }

    /// The models may be others now.
    pub(super) fn expire(&self) {
        self.running.expire();
        lock(&self.shown).clear();
    }
}

/// Forgets all models if there is no room for this one.
fn make_room<T>(models: &mut HashMap<Arc<str>, T>, model: &str) {
    if models.len() >= MODELS_MAX && !models.contains_key(model) {
        models.clear();
    }
}

/// What a server has told of a model's context, in tokens.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    /// It has the model loaded with this.
    loaded: Option<u32>,
    /// The model's own file sets this.
    set: Option<u32>,
    /// The model was trained for this.
    trained: Option<u32>,
}

impl Told {
    /// What a wish makes of the context length `now` (0 for none).
    fn grown(self, now: u32, wish: u32) -> u32 {
        let most = self.trained.unwrap_or(NUM_CTX_MAX).min(NUM_CTX_MAX);
        let wish = wish.max(NUM_CTX_MIN).checked_next_power_of_two().unwrap_or(most).min(most);
        let without = self.loaded.or(self.set).unwrap_or_default();
        wish.max(without).max(now)
    }
}

/// The context length that a model was trained for.
fn trained_window(shown: &Shown) -> Option<u32> {
    let info = shown.get("model_info")?.as_object()?;
    let architecture = info.get("general.architecture").and_then(Value::as_str);
    let named = architecture.and_then(|architecture| info.get(&format!("{architecture}.context_length")));
    let value = named.or_else(|| info.iter().find(|(key, _)| key.ends_with(".context_length")).map(|(_, value)| value));
    u32::try_from(value?.as_u64()?).ok()
}

/// The context length that a model's own file sets.
fn set_window(shown: &Shown) -> Option<u32> {
    let parameters = shown.get("parameters")?.as_str()?;
    parameters.lines().find_map(|line| line.trim().strip_prefix("num_ctx")?.trim().parse().ok())
}

fn parse_running(body: &[u8]) -> Option<Vec<Running>> {
    let mut told: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let rows = match told.shift_remove("models") {
        Some(Value::Array(rows)) => rows,
        _ => Vec::new(),
    };
    let running = |row| {
        let Value::Object(row) = row else { return None };
        let name = row.get("name").or_else(|| row.get("model"))?.as_str()?.into();
        let context_length =
            row.get("context_length").and_then(Value::as_u64).and_then(|tokens| tokens.try_into().ok());
        Some(Running { name, context_length, row })
    };
    Some(rows.into_iter().filter_map(running).take(MODELS_MAX).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_forgotten_only_for_a_new_one() {
        let mut models: HashMap<Arc<str>, usize> =
            (0..MODELS_MAX).map(|place| (place.to_string().into(), place)).collect();
        make_room(&mut models, "7");
        assert_eq!(models.len(), MODELS_MAX);
        make_room(&mut models, "new");
        assert!(models.is_empty());
    }

    #[test]
    fn what_ollama_tells_is_read() {
        let body = br#"{"models":[{"name":"a:latest","model":"a:latest","size":5,"context_length":4096},{"size":1},{"name":"b"}]}"#;
        let running = parse_running(body).expect("JSON");
        assert_eq!(
            (&*running[0].name, running[0].context_length, running[0].row["size"].as_u64()),
            ("a:latest", Some(4096), Some(5))
        );
        assert_eq!((running.len(), running[1].context_length), (2, None));
        let shown = json!({
            "parameters": "stop \"x\"\nnum_ctx                        8192",
            "model_info": {"general.architecture": "qwen3", "clip.context_length": 77, "qwen3.context_length": 40960}
        });
        let shown = shown.as_object().expect("object");
        assert_eq!((trained_window(shown), set_window(shown)), (Some(40960), Some(8192)));
        assert_eq!((trained_window(&Map::new()), set_window(&Map::new())), (None, None));
    }
}
