//! All servers and models together: which models there are, who has them, and who answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;
use tollhouse_dialect::{ChatRequest, EmbedRequest, Embeddings};

use crate::backend::Backend;
use crate::client::Client;
use crate::deadlines::Deadlines;
use crate::error::Cause;
use crate::kept::Known;
use crate::kind::Listed;
use crate::retry::Budget;
use crate::route::{Models, Route, listed_route, trusted_route};
use crate::scheduler::{Scheduler, ServerId};
use crate::server::{Server, ServerState};
use crate::stream::EventStream;
use crate::way::{Done, Way};
use crate::work::{Product, Work};
use crate::{Context, Kind, ModelSpec, Settings, SetupError, UpstreamError, UpstreamSpec};

/// How old a list of models may be when somebody asks for it.
const LIST_AGE_MAX: Duration = Duration::from_secs(5);
/// How old it may be when a model is not in it: a new model is found soon, and wrong names do not become a load.
const LIST_AGE_MAX_ON_MISS: Duration = Duration::from_secs(1);
/// How many servers are asked at once where all are asked.
const SERVERS_AT_ONCE_MAX: usize = 16;

/// All model servers and models; cheap to clone.
#[derive(Clone)]
pub struct Upstreams {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) backends: Vec<Backend>,
    pub(crate) models: Models,
    pub(crate) settings: Settings,
    /// These three are shared by all configurations that follow each other.
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) deadlines: Arc<Deadlines>,
    specs: Vec<UpstreamSpec>,
    plain: Client,
    tls: Option<Client>,
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

/// What a server answered, and how it came: a chat of which the first events are there, or [`Embeddings`].
#[derive(Debug)]
pub struct Reply<A = EventStream> {
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
    /// Time of the exchange with this server, in ms: from its beginning, connecting included, until the first events of
    /// a stream were there, or all of an answer that comes whole.
    pub exchange_ms: f64,
    /// The context length that the server was asked for, in tokens.
    pub num_ctx: Option<u32>,
    /// The answer. Dropping an [`EventStream`] closes the connection, and frees the place at the server.
    pub answer: A,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Its kind: `ollama`, `openai`, `anthropic` or `demo`.
    pub kind: &'static str,
    /// Where it is; empty for the demo.
    pub url: String,
    /// `closed` (requests pass), `half_open` (one at a time passes, on trial), `held` (requests wait, because it may be
    /// restarting) or `open` (requests are refused until it answers again).
    pub breaker: &'static str,
    /// Why the breaker is not closed.
    pub reason: Option<String>,
    /// How many requests it is given at once.
    pub parallel: u32,
    /// How many it works on now.
    pub running: u32,
    /// How many wait that it could serve.
    pub waiting: u32,
    /// The models that it has loaded, as far as is known (Ollama only).
    pub loaded: Vec<String>,
    /// How often it has loaded a model for a request of ours.
    pub loads: u64,
    /// How long that took in all, in ms.
    pub load_ms_total: u64,
    /// Whether it changed from one model to another more than [`SWITCHES_MAX`](crate::SWITCHES_MAX) times within the last
    /// minute.
    pub thrashing: bool,
}

impl Upstreams {
    /// Sets up the servers; connects to none and starts nothing. Reads the system's certificates only if a server is
    /// reached by https.
    pub fn new(specs: Vec<UpstreamSpec>, models: Vec<ModelSpec>, settings: Settings) -> Result<Self, SetupError> {
        let new = Self::build(specs, models, settings, None)?;
        new.inner.backends.iter().filter_map(Backend::server).for_each(Server::takes_over);
        Ok(new)
    }

    /// The same with another configuration, for a reload; must be called within the runtime. A server whose spec is the
    /// same but for `parallel` keeps what is known of it: who has its places and who waits for them, its breaker, its
    /// lists. What was asked of the old configuration goes on under it.
    pub fn reconfigured(
        &self,
        specs: Vec<UpstreamSpec>,
        models: Vec<ModelSpec>,
        settings: Settings,
    ) -> Result<Self, SetupError> {
        let queue = settings.queue;
        let next = Self::build(specs, models, settings, Some(&self.inner))?;
        // Only now that nothing can fail any more.
        next.inner.scheduler.configure(queue);
        for (backend, spec) in next.inner.backends.iter().zip(&next.inner.specs) {
            backend.lane().set_parallel(spec.parallel.unwrap_or(spec.kind.parallel()));
            if let Some(server) = backend.server() {
                server.takes_over();
                server.watch_until_well();
            }
        }
        Ok(next)
    }

    fn build(
        specs: Vec<UpstreamSpec>,
        models: Vec<ModelSpec>,
        settings: Settings,
        old: Option<&Inner>,
    ) -> Result<Self, SetupError> {
        let connect = settings.timeouts.connect;
        // Clients are kept too, and the connections with them, unless they would wait differently.
        let old_clients = old.filter(|old| old.settings.timeouts.connect == connect);
        let plain = old_clients.map_or_else(|| Client::http(connect), |old| old.plain.clone());
        let mut tls = old_clients.and_then(|old| old.tls.clone());
        let scheduler = old.map_or_else(|| Scheduler::new(settings.queue), |old| Arc::clone(&old.scheduler));
        let budget = old.map_or_else(|| Arc::new(Budget::new()), |old| Arc::clone(&old.budget));
        let deadlines = old.map_or_else(Arc::default, |old| Arc::clone(&old.deadlines));
        let mut backends: Vec<Backend> = Vec::with_capacity(specs.len());
        for spec in &specs {
            if backends.iter().any(|backend| **backend.name() == *spec.name) {
                return Err(SetupError::Duplicate(spec.name.clone()));
            }
            let kept = old.and_then(|old| old.backend_of(spec));
            let lane = || scheduler.add(spec.parallel.unwrap_or(spec.kind.parallel()), spec.kind.swaps());
            if spec.kind == Kind::Demo {
                let lane = match kept {
                    Some(Backend::Demo { lane, .. }) => Arc::clone(lane),
                    _ => Arc::new(lane()),
                };
                backends.push(Backend::Demo { name: spec.name.as_str().into(), lane });
                continue;
            }
            let client = match &tls {
                _ if !spec.url.starts_with("https:") => plain.clone(),
                Some(client) => client.clone(),
                None => tls.insert(Client::https(connect)?).clone(),
            };
            let kept = kept.and_then(Backend::server).map(|server| Arc::clone(&server.state));
            let state = kept.unwrap_or_else(|| ServerState::new(lane()));
            backends.push(Backend::Remote(Arc::new(Server::new(spec, client, &settings, state)?)));
        }
        let models = Models::new(models, &backends)?;
        let inner = Inner { backends, models, settings, scheduler, budget, deadlines, specs, plain, tls };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// All models that can be asked, each name once, aliases after their models. Lists of servers are at most 5 s old,
    /// and a server that does not answer within 1 s keeps its last one.
    pub async fn models(&self) -> Vec<Model> {
        let lists = self.inner.lists(LIST_AGE_MAX).await;
        if self.inner.models.is_empty() {
            return self.inner.listed_models(&lists);
        }
        let mut models = Vec::new();
        for (place, configured) in self.inner.models.all.iter().enumerate() {
            let Some(route) = self.inner.models.route_at(place) else { continue };
            let Some(model) = self.inner.model_of(&route, &lists) else { continue };
            models.push(model.clone());
            for alias in &configured.spec.aliases {
                models.push(Model { name: alias.clone(), alias_of: Some(model.name.clone()), ..model.clone() });
            }
        }
        models
    }

    /// The model of this name or alias, under its own name. A model of servers that have never told what they have is
    /// taken on trust: asking it gives the honest error. What only a list tells (`created_unix`, `details`) is left out.
    pub async fn resolve(&self, name: &str) -> Option<Model> {
        let route = self.inner.route(name).await?;
        self.inner.model_of(&route, &[])
    }

    /// Sends the chat to the servers of its model, and waits until one of them begins to answer: for its turn in the
    /// queue, and through the failures of others. [`Context::progress`] tells where it is.
    ///
    /// Dropping the future leaves the queue or closes the connection to the server; so does dropping the reply's events.
    pub fn chat(
        &self,
        request: Arc<ChatRequest>,
        context: Context,
    ) -> impl Future<Output = Result<Reply, UpstreamError>> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        // In a box, so that it is on the heap only until the answer begins, and not in the futures of those who wait.
        Box::pin(async move {
            let work = Work::Chat(request);
            let done = Way::new(&inner, &work, &context).go().await?;
            reply(done, &context).try_map(|product| match product {
                Product::Events(events) => Ok(events),
                Product::Embeddings(_) => Ok(EventStream::ready(Vec::new())),
            })
        })
    }

    /// Sends texts to the servers of an embedding model, as [`chat`](Self::chat) does, and waits for the whole answer.
    pub fn embed(
        &self,
        request: Arc<EmbedRequest>,
        context: Context,
    ) -> impl Future<Output = Result<Reply<Embeddings>, UpstreamError>> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let work = Work::Embed(request);
            let done = Way::new(&inner, &work, &context).go().await?;
            reply(done, &context).try_map(|product| match product {
                Product::Embeddings(embeddings) => Ok(embeddings),
                Product::Events(_) => Err(UpstreamError::new(Cause::Read("no embeddings".to_owned()))),
            })
        })
    }

    /// How the servers are, in their order.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        self.inner.backends.iter().map(status).collect()
    }
}

fn reply(done: Done, context: &Context) -> Reply<Product> {
    Reply {
        upstream: done.upstream,
        model: done.model,
        attempts: done.attempts,
        queue_ms: done.queue.as_secs_f64() * 1e3,
        queue_position: context.progress.first_position(),
        connect_ms: done.times.connect_ms,
        exchange_ms: done.times.exchange_ms,
        num_ctx: done.num_ctx,
        answer: done.product,
    }
}

impl<A> Reply<A> {
    fn try_map<B, E>(self, map: impl FnOnce(A) -> Result<B, E>) -> Result<Reply<B>, E> {
        let Self { upstream, model, attempts, queue_ms, queue_position, connect_ms, exchange_ms, num_ctx, answer } =
            self;
        let answer = map(answer)?;
        Ok(Reply { upstream, model, attempts, queue_ms, queue_position, connect_ms, exchange_ms, num_ctx, answer })
    }
}

impl Inner {
    pub(crate) fn backend(&self, server: ServerId) -> Option<&Backend> {
        self.backends.iter().find(|backend| backend.id() == server)
    }

    /// The backend that was made from this spec, whatever its `parallel`.
    fn backend_of(&self, spec: &UpstreamSpec) -> Option<&Backend> {
        let is_same = |old: &UpstreamSpec| UpstreamSpec { parallel: spec.parallel, ..old.clone() } == *spec;
        let place = self.specs.iter().position(is_same)?;
        self.backends.get(place)
    }

    /// The way to the model of this name.
    pub(crate) async fn route(&self, name: &str) -> Option<Route> {
        if !self.models.is_empty() {
            return self.models.route(name);
        }
        // What is known serves at once; only an unknown name, or a server that turned out not to have what it listed,
        // makes anybody wait for a list.
        let known: Vec<_> = self.backends.iter().map(|backend| backend.list_now(LIST_AGE_MAX)).collect();
        let known = if known.iter().any(Known::is_expired) {
            at_once(self.backends.iter().map(|backend| backend.list_soon(LIST_AGE_MAX))).await
        } else {
            known.into_iter().map(|known| known.told).collect()
        };
        if let Some(route) = listed_route(name, &self.backends, &known) {
            return Some(route);
        }
        let lists = self.lists(LIST_AGE_MAX_ON_MISS).await;
        listed_route(name, &self.backends, &lists).or_else(|| trusted_route(name, &self.backends, &lists))
    }

    async fn lists(&self, age_max: Duration) -> Vec<Option<Arc<[Listed]>>> {
        at_once(self.backends.iter().map(|backend| backend.list(age_max))).await
    }

    fn listed_models(&self, lists: &[Option<Arc<[Listed]>>]) -> Vec<Model> {
        let mut models: Vec<Model> = Vec::new();
        for (backend, list) in self.backends.iter().zip(lists) {
            for listed in list.iter().flat_map(|list| list.iter()) {
                if models.iter().all(|model| model.name != listed.name) {
                    models.push(model(backend, &listed.name, None, Some(listed)));
                }
            }
        }
        models
    }

    fn model_of(&self, route: &Route, lists: &[Option<Arc<[Listed]>>]) -> Option<Model> {
        let first = route.stops.first()?;
        let place = self.backends.iter().position(|backend| backend.id() == first.server)?;
        let backend = &self.backends[place];
        let list = lists.get(place).and_then(Option::as_ref);
        let is_it = |listed: &&Listed| backend.kind().is_name_of(&first.model, &listed.name);
        let listed = list.and_then(|list| list.iter().find(is_it));
        let spec = self.models.configured(route).map(|configured| &configured.spec);
        Some(model(backend, &route.public, spec, listed))
    }
}

impl fmt::Debug for Upstreams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.status()).finish()
    }
}

/// What all these come to, in their order; some are waited for at once.
pub(crate) async fn at_once<'a, T>(all: impl Iterator<Item = impl Future<Output = T> + Send + 'a>) -> Vec<T> {
    let all: Vec<_> = all.map(FutureExt::boxed).collect();
    stream::iter(all).buffered(SERVERS_AT_ONCE_MAX).collect().await
}

fn status(backend: &Backend) -> UpstreamStatus {
    let (server, seen) = (backend.server(), backend.lane().seen());
    let breaker = server.map(|server| server.state.breaker.state());
    let loads = server.map(|server| server.state.loads.told(Instant::now()));
    UpstreamStatus {
        name: backend.name().to_string(),
        kind: backend.kind().name(),
        url: server.map(|server| server.url.clone()).unwrap_or_default(),
        breaker: breaker.as_ref().map_or("closed", |state| state.name()),
        reason: breaker.and_then(|state| state.reason().map(ToString::to_string)),
        parallel: seen.parallel,
        running: seen.running,
        waiting: seen.waiting,
        loaded: seen.loaded.iter().filter(|_| backend.kind().swaps()).map(ToString::to_string).collect(),
        loads: loads.map_or(0, |loads| loads.count),
        load_ms_total: loads.map_or(0, |loads| loads.total.as_millis() as u64),
        thrashing: loads.is_some_and(|loads| loads.thrashes),
    }
}

fn model(backend: &Backend, name: &str, spec: Option<&ModelSpec>, listed: Option<&Listed>) -> Model {
    Model {
        name: name.to_owned(),
        upstream: backend.name().to_string(),
        demo: backend.kind() == Kind::Demo,
        alias_of: None,
        context: spec.and_then(|spec| spec.context),
        strip: spec.map(|spec| spec.strip.clone()).unwrap_or_default(),
        created_unix: listed.map_or(0, |listed| listed.created_unix),
        details: listed.map(|listed| listed.details.clone()).unwrap_or_default(),
    }
}
