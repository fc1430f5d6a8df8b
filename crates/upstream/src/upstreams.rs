//! All servers and models together: which models there are, who has them, and who answers a chat.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;
use tollhouse_dialect::ChatRequest;
use tollhouse_dialect::ollama::OllamaDefaults;

use crate::client::Client;
use crate::demo::{DEMO_MODEL, Talk};
use crate::error::Cause;
use crate::kind::Listed;
use crate::server::{Answer, Server};
use crate::stream::EventStream;
use crate::{Context, Kind, ModelSpec, Phase, Settings, SetupError, UpstreamError, UpstreamSpec};

/// How old a list of models may be when somebody asks for it.
const LIST_AGE_MAX: Duration = Duration::from_secs(5);
/// How old it may be when a model is not in it: a new model is found soon, and wrong names do not become a load.
const LIST_AGE_MAX_ON_MISS: Duration = Duration::from_secs(1);
/// How many servers are asked for their lists at once.
const LISTS_AT_ONCE_MAX: usize = 16;

/// All model servers and models; cheap to clone.
#[derive(Clone)]
pub struct Upstreams {
    inner: Arc<Inner>,
}

struct Inner {
    backends: Vec<Backend>,
    /// The configured models in their order; empty means that what the servers list is served as it is.
    models: Vec<ModelSpec>,
    /// What each of `models` says to Ollama.
    defaults: Vec<OllamaDefaults>,
    /// Name or alias → place in `models`.
    names: HashMap<String, usize>,
    settings: Settings,
}

enum Backend {
    Remote(Arc<Server>),
    Demo(Arc<str>),
}

/// A model that can be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its public name.
    pub name: String,
    /// The server that is asked first.
    pub upstream: String,
    /// Whether the built-in talker answers.
    pub demo: bool,
    /// The model that this name is another name of.
    pub alias_of: Option<String>,
    /// The configured context length in tokens.
    pub context: Option<u32>,
    /// Fields of answers that are hidden (`model`, `created`).
    pub strip: Vec<String>,
    /// When it was made or changed, seconds of the Unix epoch; 0 when the server does not tell.
    pub created_unix: i64,
    /// What an Ollama server tells of it (`size`, `digest`, `details`, …); else null.
    pub details: Value,
}

/// An answer whose first event is there.
#[derive(Debug)]
pub struct Reply {
    /// The server that answers.
    pub upstream: String,
    /// The public name of the model that answers: another than the asked one when a fallback does.
    pub model: String,
    /// How often a server was asked, this time included.
    pub attempts: u32,
    /// Time in the queue, in ms.
    pub queue_ms: f64,
    /// The place in the queue at first, from 1; `None` when it had not to wait.
    pub queue_position: Option<u32>,
    /// Time to a connection with this server, in ms; near 0 for one that was open.
    pub connect_ms: f64,
    /// Time from sending to the first event, in ms; to the head of the answer where it comes whole.
    pub first_byte_ms: f64,
    /// The context length that the server was asked for, in tokens.
    pub num_ctx: Option<u32>,
    /// The answer. Dropping it closes the connection.
    pub events: EventStream,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Its kind: `ollama`, `openai` or `demo`.
    pub kind: &'static str,
    /// Where it is; empty for the demo.
    pub url: String,
    /// `closed` (requests pass) or `open` (requests are refused until it answers again).
    pub breaker: &'static str,
    /// Why the breaker is open.
    pub reason: Option<String>,
    /// How many requests it is given at once.
    pub parallel: u32,
    /// How many it works on now.
    pub running: u32,
    /// How many wait for it.
    pub waiting: u32,
    /// The models that it has loaded, as far as is known (Ollama only).
    pub loaded: Vec<String>,
    /// How often it has loaded a model for a request.
    pub loads: u64,
    /// How long that took in all, in ms.
    pub load_ms_total: u64,
}

/// Who has a model, in order, and what to ask them.
struct Route<'a> {
    /// Each server with its own name of the model.
    stops: Vec<(&'a Backend, String)>,
    configured: Option<(&'a ModelSpec, &'a OllamaDefaults)>,
}

impl Upstreams {
    /// Sets up the servers; connects to none and starts nothing. Reads the system's certificates only if a server is
    /// reached by https.
    pub fn new(specs: Vec<UpstreamSpec>, models: Vec<ModelSpec>, settings: Settings) -> Result<Self, SetupError> {
        let timeouts = settings.timeouts;
        let plain = Client::http(timeouts.connect);
        let mut tls: Option<Client> = None;
        let mut backends: Vec<Backend> = Vec::with_capacity(specs.len());
        for spec in specs {
            if backends.iter().any(|backend| backend.name() == spec.name) {
                return Err(SetupError::Duplicate(spec.name));
            }
            backends.push(match spec.kind {
                Kind::Demo => Backend::Demo(spec.name.into()),
                Kind::Ollama | Kind::OpenAi => {
                    let client = if spec.url.starts_with("https:") {
                        match &tls {
                            Some(client) => client.clone(),
                            None => tls.insert(Client::https(timeouts.connect)?).clone(),
                        }
                    } else {
                        plain.clone()
                    };
                    Backend::Remote(Arc::new(Server::new(&spec, client, timeouts)?))
                }
            });
        }
        let mut names = HashMap::new();
        for (place, model) in models.iter().enumerate() {
            for upstream in model.tiers.iter().flatten() {
                if !backends.iter().any(|backend| backend.name() == upstream) {
                    let (model, upstream) = (model.name.clone(), upstream.clone());
                    return Err(SetupError::UnknownUpstream { model, upstream });
                }
            }
            for name in model.aliases.iter().chain([&model.name]) {
                if names.insert(name.clone(), place).is_some() {
                    return Err(SetupError::Duplicate(name.clone()));
                }
            }
        }
        let defaults = models.iter().map(defaults).collect();
        Ok(Self { inner: Arc::new(Inner { backends, models, defaults, names, settings }) })
    }

    /// The same with another configuration, for a reload. Servers whose specs are equal are known as they were.
    pub fn reconfigured(
        &self,
        specs: Vec<UpstreamSpec>,
        models: Vec<ModelSpec>,
        settings: Settings,
    ) -> Result<Self, SetupError> {
        Self::new(specs, models, settings)
    }

    /// All models that can be asked, each name once, aliases after their models. Lists of servers are at most 5 s old,
    /// and a server that does not answer within 1 s keeps its last one.
    pub async fn models(&self) -> Vec<Model> {
        let lists = self.lists(LIST_AGE_MAX).await;
        if self.inner.models.is_empty() {
            return self.listed_models(&lists);
        }
        let mut models = Vec::new();
        for (place, spec) in self.inner.models.iter().enumerate() {
            let route = self.configured_route(place);
            if route.stops.is_empty() {
                continue;
            }
            let model = self.model_of(&route, &spec.name, &lists);
            for alias in &spec.aliases {
                models.push(Model { name: alias.clone(), alias_of: Some(spec.name.clone()), ..model.clone() });
            }
            let before_aliases = models.len() - spec.aliases.len();
            models.insert(before_aliases, model);
        }
        models
    }

    /// The model of this name or alias, under its own name. A model of servers that have never told what they have is
    /// taken on trust: asking it gives the honest error. What only a list tells (`created_unix`, `details`) is left out.
    pub async fn resolve(&self, name: &str) -> Option<Model> {
        let route = self.route(name).await?;
        let public = match route.configured {
            Some((spec, _)) => &spec.name,
            None => &route.stops.first()?.1,
        };
        Some(self.model_of(&route, public, &[]))
    }

    /// Sends the chat to the servers of its model, in order, until one begins to answer.
    ///
    /// Dropping the future, like dropping the reply's events, closes the connection to the server.
    pub fn chat(
        &self,
        request: Arc<ChatRequest>,
        context: Context,
    ) -> impl Future<Output = Result<Reply, UpstreamError>> + Send + use<> {
        let upstreams = self.clone();
        async move { upstreams.send_chat(&request, &context).await }
    }

    async fn send_chat(&self, request: &ChatRequest, context: &Context) -> Result<Reply, UpstreamError> {
        let deadline = Instant::now() + self.inner.settings.timeouts.total;
        let unknown = || UpstreamError::new(Cause::unknown_model(&request.model));
        let route = self.route(&request.model).await.ok_or_else(unknown)?;
        let none = OllamaDefaults::default();
        let defaults = route.configured.map_or(&none, |(_, defaults)| defaults);
        let traceparent = context.traceparent.as_deref();
        let mut attempts = 0;
        let mut failure = None;
        for (backend, model) in &route.stops {
            context.progress.enter(Phase::Waiting);
            let answer = match backend {
                Backend::Remote(server) => server.chat(request, model, defaults, traceparent, deadline).await,
                Backend::Demo(_) => Ok(answer_of_demo(request).await),
            };
            match answer {
                Ok(Answer { connect_ms, first_byte_ms, events }) => {
                    context.progress.enter(Phase::Answering);
                    return Ok(Reply {
                        upstream: backend.name().to_owned(),
                        model: route.configured.map_or(model, |(spec, _)| &spec.name).clone(),
                        attempts: attempts + 1,
                        queue_ms: 0.0,
                        queue_position: None,
                        connect_ms,
                        first_byte_ms,
                        num_ctx: defaults.num_ctx.filter(|_| backend.kind() == Kind::Ollama),
                        events,
                    });
                }
                Err(cause) => {
                    // One that was refused here was not asked.
                    attempts += u32::from(!matches!(cause, Cause::Open(_) | Cause::Unsupported { .. }));
                    let error = UpstreamError::of(cause, backend.shared_name()).with_attempts(attempts);
                    if !error.cause().try_next() {
                        return Err(error);
                    }
                    failure = Some(error);
                }
            }
        }
        Err(failure.unwrap_or_else(unknown))
    }

    /// How the servers are, in their order.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        let status = |backend: &Backend| {
            let reason = backend.server().and_then(|server| server.breaker.reason());
            UpstreamStatus {
                name: backend.name().to_owned(),
                kind: backend.kind().name(),
                url: backend.server().map(|server| server.url.clone()).unwrap_or_default(),
                breaker: if reason.is_some() { "open" } else { "closed" },
                reason: reason.map(|reason| reason.to_string()),
                parallel: backend.kind().parallel(),
                running: 0,
                waiting: 0,
                loaded: Vec::new(),
                loads: 0,
                load_ms_total: 0,
            }
        };
        self.inner.backends.iter().map(status).collect()
    }

    async fn lists(&self, age_max: Duration) -> Vec<Option<Arc<[Listed]>>> {
        let asking: Vec<_> = self.inner.backends.iter().map(|backend| backend.list(age_max).boxed()).collect();
        stream::iter(asking).buffered(LISTS_AT_ONCE_MAX).collect().await
    }

    fn known_lists(&self) -> Vec<Option<Arc<[Listed]>>> {
        let known = |backend: &Backend| match backend {
            Backend::Remote(server) => server.known_models().models,
            Backend::Demo(_) => Some(demo_list()),
        };
        self.inner.backends.iter().map(known).collect()
    }

    fn listed_models(&self, lists: &[Option<Arc<[Listed]>>]) -> Vec<Model> {
        let mut models: Vec<Model> = Vec::new();
        for (backend, list) in self.inner.backends.iter().zip(lists) {
            for listed in list.iter().flat_map(|list| list.iter()) {
                if models.iter().all(|model| model.name != listed.name) {
                    models.push(model(backend, &listed.name, None, Some(listed)));
                }
            }
        }
        models
    }

    fn model_of(&self, route: &Route<'_>, public: &str, lists: &[Option<Arc<[Listed]>>]) -> Model {
        let (first, served) = &route.stops[0];
        let place = self.inner.backends.iter().position(|backend| backend.name() == first.name());
        let list = place.and_then(|place| lists.get(place)?.as_ref());
        let listed = list.and_then(|list| list.iter().find(|listed| first.kind().is_name_of(served, &listed.name)));
        model(first, public, route.configured.map(|(spec, _)| spec), listed)
    }

    async fn route(&self, name: &str) -> Option<Route<'_>> {
        if !self.inner.models.is_empty() {
            let place = *self.inner.names.get(name)?;
            return Some(self.configured_route(place)).filter(|route| !route.stops.is_empty());
        }
        // What is known serves at once; only an unknown name makes anybody wait for a list.
        let mut route = self.listed_route(name, &self.known_lists());
        if route.stops.is_empty() {
            let lists = self.lists(LIST_AGE_MAX_ON_MISS).await;
            route = self.listed_route(name, &lists);
            if route.stops.is_empty() {
                let never_told = self.inner.backends.iter().zip(&lists).filter(|(_, list)| list.is_none());
                route.stops = never_told.map(|(backend, _)| (backend, name.to_owned())).collect();
            }
        }
        Some(route).filter(|route| !route.stops.is_empty())
    }

    fn configured_route(&self, place: usize) -> Route<'_> {
        let Inner { backends, models, defaults, .. } = &*self.inner;
        let spec = &models[place];
        let stops = if spec.tiers.is_empty() {
            backends.iter().map(|backend| (backend, spec.name.clone())).collect()
        } else {
            let find = |name: &String| backends.iter().find(|backend| backend.name() == name);
            spec.tiers.iter().flatten().filter_map(find).map(|backend| (backend, spec.name.clone())).collect()
        };
        Route { stops, configured: Some((spec, &defaults[place])) }
    }

    fn listed_route(&self, name: &str, lists: &[Option<Arc<[Listed]>>]) -> Route<'_> {
        let stop = |(backend, list): (&'_ Backend, &Option<Arc<[Listed]>>)| {
            let mut models = list.as_ref()?.iter();
            models.find(|listed| backend.kind().is_name_of(name, &listed.name)).map(|listed| listed.name.clone())
        };
        let stops = self.inner.backends.iter().zip(lists);
        let stops = stops.filter_map(|(backend, list)| Some((backend, stop((backend, list))?))).collect();
        Route { stops, configured: None }
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.status()).finish()
    }
}

impl Backend {
    fn shared_name(&self) -> &Arc<str> {
        match self {
            Self::Remote(server) => &server.name,
            Self::Demo(name) => name,
        }
    }

    fn name(&self) -> &str {
        self.shared_name()
    }

    fn kind(&self) -> Kind {
        self.server().map_or(Kind::Demo, |server| server.kind)
    }

    async fn list(&self, age_max: Duration) -> Option<Arc<[Listed]>> {
        match self {
            Self::Remote(server) => server.models(age_max).await.models,
            Self::Demo(_) => Some(demo_list()),
        }
    }

    fn server(&self) -> Option<&Arc<Server>> {
        match self {
            Self::Remote(server) => Some(server),
            Self::Demo(_) => None,
        }
    }
}

fn model(backend: &Backend, name: &str, spec: Option<&ModelSpec>, listed: Option<&Listed>) -> Model {
    Model {
        name: name.to_owned(),
        upstream: backend.name().to_owned(),
        demo: backend.kind() == Kind::Demo,
        alias_of: None,
        context: spec.and_then(|spec| spec.context),
        strip: spec.map(|spec| spec.strip.clone()).unwrap_or_default(),
        created_unix: listed.map_or(0, |listed| listed.created_unix),
        details: listed.map(|listed| listed.details.clone()).unwrap_or_default(),
    }
}

fn demo_list() -> Arc<[Listed]> {
    Arc::from([Listed { name: DEMO_MODEL.to_owned(), created_unix: 0, details: Value::Null }])
}

async fn answer_of_demo(request: &ChatRequest) -> Answer {
    let began = Instant::now();
    let mut talk = Talk::new(request);
    talk.begin().await;
    let first_byte_ms = began.elapsed().as_secs_f64() * 1e3;
    Answer { connect_ms: 0.0, first_byte_ms, events: EventStream::demo(talk) }
}

fn defaults(spec: &ModelSpec) -> OllamaDefaults {
    // Ollama takes seconds as a number only, durations as text.
    let keep_alive = |text: &String| text.parse::<i64>().map_or_else(|_| Value::from(text.as_str()), Value::from);
    OllamaDefaults {
        num_ctx: spec.context,
        keep_alive: spec.keep_alive.as_ref().map(keep_alive),
        options: spec.options.clone(),
    }
}
