//! What the servers tell about their models: description, context window, vocabulary, what is loaded.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::Upstreams;
use crate::backend::Backend;
use crate::error::Cause;
use crate::route::Route;
use crate::server::{RUNNING_AGE_MAX, Running, Server};
use crate::upstreams::{Inner, at_once};
use crate::{Kind, UpstreamError};

/// Fields of a description that show how the server's disk looks, or are long and of no use to clients.
const NOT_SHOWN: &[&str] = &["license", "modelfile", "tensors"];

/// How old the windows that a server lists may be: they are set when it starts.
const WINDOW_AGE_MAX: Duration = Duration::from_mins(1);

/// How many tokens a model works on at once, prompt and answer together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The number; `None` when nobody tells.
    pub tokens: Option<u32>,
    /// Who says so.
    pub source: WindowSource,
}

/// Who says how large a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSource {
    /// The configuration: `context`, or a `num_ctx` among the model's options.
    Configured,
    /// The server has the model loaded with it, or is asked to.
    Loaded,
    /// The server's list or the model's own settings.
    Server,
    /// What the model was trained for: the server may give it less.
    Model,
    /// Nobody.
    Unknown,
}

impl WindowSource {
    /// Its name in records and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Loaded => "loaded",
            Self::Server => "server",
            Self::Model => "model",
            Self::Unknown => "unknown",
        }
    }
}

impl Upstreams {
    /// How many tokens fit into the model of this name, at the server that is asked first, for a client that wishes for a
    /// context of `wish` tokens. Told from what is known: a server is waited for no longer than
    /// [`KNOWN_WAIT_MAX`](crate::KNOWN_WAIT_MAX).
    pub async fn window(&self, name: &str, wish: Option<u32>) -> Window {
        let found = match self.inner.route(name).await {
            Some(route) => self.inner.window(&route, wish).await,
            None => None,
        };
        let (tokens, source) = found.map_or((None, WindowSource::Unknown), |(tokens, source)| (Some(tokens), source));
        Window { tokens, source }
    }

    /// The description of a model in the form of Ollama's `/api/show`: an Ollama server's own, without what only its
    /// operator is to see, else one made of what is known.
    pub async fn show(&self, name: &str) -> Result<Value, UpstreamError> {
        let unknown = || UpstreamError::new(Cause::unknown_model(name));
        let route = self.inner.route(name).await.ok_or_else(unknown)?;
        for stop in route.stops.iter() {
            let Some(server) = self.inner.backend(stop.server).and_then(Backend::server) else { continue };
            if let Some(shown) = server.shown(&stop.model).await {
                let mut shown = Map::clone(&shown);
                shown.retain(|field, _| !NOT_SHOWN.contains(&field.as_str()));
                return Ok(Value::Object(shown));
            }
        }
        let window = self.window(name, None).await.tokens;
        let architecture = "unknown";
        let mut info = json!({"general.architecture": architecture, "general.basename": *route.public});
        if let Some((info, window)) = info.as_object_mut().zip(window) {
            info.insert(format!("{architecture}.context_length"), window.into());
        }
        let details = json!({"parent_model": "", "format": "", "family": "", "families": [], "parameter_size": "", "quantization_level": ""});
        Ok(json!({"details": details, "model_info": info, "capabilities": ["completion"]}))
    }

    /// What is loaded, in rows of Ollama's `/api/ps` under the public names; models that are not served are left out.
    pub async fn running(&self) -> Vec<Value> {
        let servers = self.inner.backends.iter().filter_map(Backend::server);
        let asking = servers.map(|server| async move { (server, server.running(RUNNING_AGE_MAX).await) });
        let told: Vec<(&Arc<Server>, Arc<[Running]>)> = at_once(asking).await;
        let mut rows = Vec::new();
        for (server, running) in &told {
            for running in running.iter() {
                let Some(name) = self.inner.public_name(server, &running.name) else { continue };
                let mut row = running.row.clone();
                row.insert("name".to_owned(), name.clone().into());
                row.insert("model".to_owned(), name.into());
                rows.push(Value::Object(row));
            }
        }
        rows
    }

    /// The version of the first Ollama server that has told it, as it was some time ago.
    pub async fn version(&self) -> Option<Arc<str>> {
        let servers = self.inner.backends.iter().filter_map(Backend::server);
        at_once(servers.map(Server::version)).await.into_iter().flatten().next()
    }

    /// What an Ollama server knows of the model's tokens: `model_info` of a verbose description, with keys such as
    /// `tokenizer.ggml.tokens`. Up to [`VOCABULARY_BYTES_MAX`](crate::VOCABULARY_BYTES_MAX) are read; nothing is kept.
    pub async fn vocabulary(&self, name: &str) -> Option<Map<String, Value>> {
        let route = self.inner.route(name).await?;
        for stop in route.stops.iter() {
            let server = self.inner.backend(stop.server).and_then(Backend::server);
            let Some(server) = server.filter(|server| server.state.breaker.refuses().is_none()) else { continue };
            if let Some(vocabulary) = server.vocabulary(&stop.model).await {
                return Some(vocabulary);
            }
        }
        None
    }
}

impl Inner {
    /// The window at the first of the route's servers, if anybody tells.
    pub(crate) async fn window(&self, route: &Route, wish: Option<u32>) -> Option<(u32, WindowSource)> {
        if let Some(tokens) = self.configured_window(route) {
            return Some((tokens, WindowSource::Configured));
        }
        let stop = route.stops.first()?;
        let server = self.backend(stop.server).and_then(Backend::server)?;
        if server.kind == Kind::Ollama {
            return server.window(&stop.model, wish).await;
        }
        let listed = server.models_soon(WINDOW_AGE_MAX).await.told?;
        let listed = listed.iter().find(|listed| *listed.name == *stop.model)?;
        Some((listed.window?, WindowSource::Server))
    }

    fn configured_window(&self, route: &Route) -> Option<u32> {
        let defaults = &self.models.configured(route)?.defaults;
        let option = defaults.options.get("num_ctx").and_then(Value::as_u64).and_then(|tokens| tokens.try_into().ok());
        defaults.num_ctx.or(option)
    }

    /// The public name of what a server calls so, if it is served.
    fn public_name(&self, server: &Server, listed: &str) -> Option<String> {
        if self.models.is_empty() {
            return Some(listed.to_owned());
        }
        let id = server.state.lane.id();
        let is_it = |stop: &crate::scheduler::Stop| stop.server == id && server.kind.is_name_of(&stop.model, listed);
        let found = self.models.all.iter().find(|model| model.stops.iter().any(is_it))?;
        Some(found.spec.name.clone())
    }
}
