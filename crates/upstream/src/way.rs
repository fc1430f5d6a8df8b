//! The way of one request: to its model's servers in turn, each when it has a place, and to other models if they all fail.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tollhouse_dialect::{Event, ServerApi, ServerDefaults};

use crate::backend::Backend;
use crate::demo::Talk;
use crate::error::Cause;
use crate::loads::LOAD_MIN;
use crate::retry::ATTEMPTS_MAX;
use crate::route::Route;
use crate::scheduler::{Ask, Heat, Order, Refused, Slot, Stop};
use crate::server::{AnswerBody, Outbound, Server};
use crate::stream::{EventStream, Total, Writer};
use crate::upstreams::Inner;
use crate::work::{Product, Work};
use crate::{Context, Phase, UpstreamError};

/// How a request went that was answered.
pub(crate) struct Done {
    pub(crate) upstream: String,
    pub(crate) model: String,
    pub(crate) attempts: u32,
    pub(crate) queue: Duration,
    pub(crate) times: Times,
    pub(crate) num_ctx: Option<u32>,
    pub(crate) product: Product,
}

/// How long the exchange with a server took until its answer was handed over, in ms.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) connect_ms: f64,
    pub(crate) exchange_ms: f64,
}

/// A request on its way.
pub(crate) struct Way<'a> {
    inner: &'a Inner,
    work: &'a Work,
    context: &'a Context,
    attempts: u32,
    queue: Duration,
    /// When its time in the queue is over.
    wait_until: Instant,
    /// When the whole answer has to be there; counted from the first place that it gets.
    total: Option<Total>,
}

/// What one server did with the request.
struct Answered {
    times: Times,
    num_ctx: Option<u32>,
    product: Product,
}

/// How long a server is left alone that has lost what works on its model, until it has seen that.
const RUNNER_TIME: Duration = Duration::from_millis(500);

impl<'a> Way<'a> {
    pub(crate) fn new(inner: &'a Inner, work: &'a Work, context: &'a Context) -> Self {
        let wait_until = Instant::now() + inner.settings.queue.wait;
        Self { inner, work, context, attempts: 0, queue: Duration::ZERO, wait_until, total: None }
    }

    /// Goes to the model that is asked for, and if all its servers fail to those that may answer in its place.
    pub(crate) async fn go(mut self) -> Result<Done, UpstreamError> {
        self.inner.budget.request();
        let unknown = || UpstreamError::new(Cause::unknown_model(self.work.model()));
        let route = self.inner.route(self.work.model()).await.ok_or_else(unknown)?;
        let failure = match self.try_servers(&route).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if !failure.cause().falls_back() || self.is_spent(&failure) {
            return Err(failure);
        }
        let inner = self.inner;
        let (mut small, mut asked) = (false, false);
        for name in inner.models.configured(&route).iter().flat_map(|model| &model.spec.fallback) {
            let allowed = (self.context.may_call)(name);
            let Some(other) = inner.models.route(name).filter(|_| allowed && self.attempts < ATTEMPTS_MAX) else {
                continue;
            };
            if !self.has_room(&other).await {
                small = true;
                continue;
            }
            asked = true;
            if let Ok(done) = self.try_servers(&other).await {
                return Ok(done);
            }
        }
        // What is told is what became of the model that was asked for.
        let failure = failure.with_attempts(self.attempts);
        Err(if small && !asked { failure.with_no_room(self.context.prompt_tokens) } else { failure })
    }

    /// Whether the prompt fits into another model, as far as is known: its server would cut it without a word.
    async fn has_room(&self, other: &Route) -> bool {
        // In a box: few requests ever get here, and all would have to hold it.
        let window = Box::pin(self.inner.window(other, self.work.num_ctx())).await;
        window.is_none_or(|(window, _)| self.context.fits(window))
    }

    /// Asks the model's servers until one begins to answer, each as soon as it has a place.
    async fn try_servers(&mut self, route: &Route) -> Result<Done, UpstreamError> {
        let mut stops = Arc::clone(&route.stops);
        let prefix = if stops.len() > 1 { self.work.prefix() } else { None };
        let (mut again, mut lost, mut failure): (Option<Order>, bool, Option<UpstreamError>) = (None, false, None);
        loop {
            let slot = match self.wait(&stops, prefix, again).await {
                Ok(slot) => slot,
                // What a server said before tells more than that there is no other.
                Err(refused) => return Err(failure.unwrap_or_else(|| self.refused(refused, &stops))),
            };
            let (server, order) = (slot.stop().server, slot.order());
            let Some(backend) = self.inner.backend(server) else { continue };
            let began = Instant::now();
            let cause = match self.ask(backend, slot, route).await {
                Ok(answered) => return Ok(self.done(backend, route, answered)),
                Err(cause) => cause,
            };
            self.context.progress.failed(backend.name(), began, cause.reason());
            let unsupported = matches!(cause, Cause::Unsupported { .. });
            // Whoever takes one back sees to the server: that is no try of ours.
            let recalled = matches!(cause, Cause::Recalled(_));
            self.attempts += u32::from(!unsupported && !recalled);
            // A server that may be restarting is waited for; one that lost the request has it once more at most.
            let waits = recalled
                || (backend.server().is_some_and(|server| server.is_held())
                    && (matches!(cause, Cause::Connect(_) | Cause::Silent)
                        || (matches!(cause, Cause::Lost(_) | Cause::Gone(_)) && !lost)));
            // So it is with one that lost what works on its model, and starts that again by itself.
            let without_runner = !lost && cause.is_lost_runner();
            if without_runner {
                Box::pin(sleep(RUNNER_TIME)).await;
            }
            let waits = waits || without_runner;
            lost |= without_runner || matches!(cause, Cause::Lost(_) | Cause::Gone(_));
            let try_next = cause.try_next() || unsupported;
            let error = UpstreamError::of(cause, backend.name()).with_attempts(self.attempts);
            if !waits {
                stops = stops.iter().filter(|stop| stop.server != server).cloned().collect();
            }
            if waits {
                // It was at the server, and not in the queue.
                self.wait_until += began.elapsed();
            }
            let may_retry = unsupported || waits || self.inner.budget.retry();
            let is_spent = self.attempts >= ATTEMPTS_MAX || self.is_spent(&error);
            if !try_next || is_spent || stops.is_empty() || !may_retry {
                return Err(error);
            }
            (again, failure) = (Some(order), Some(error));
        }
    }

    /// Whether it was sent as often as it may be because a server failed at it.
    fn is_spent(&self, failure: &UpstreamError) -> bool {
        self.context.is_sent_once && failure.was_under_way()
    }

    async fn wait(&mut self, stops: &Arc<[Stop]>, prefix: Option<u64>, again: Option<Order>) -> Result<Slot, Refused> {
        let Context { flow, weight, priority, tokens, progress, .. } = self.context;
        let ask = Ask { flow, weight: *weight, class: *priority, tokens: *tokens, stops, prefix, again };
        let began = Instant::now();
        let placed = self.inner.scheduler.place(ask, self.wait_until, progress).await;
        self.queue += began.elapsed();
        placed
    }

    /// One server's turn. The slot goes into the answer's stream, or is free again when this returns.
    async fn ask(&mut self, backend: &Backend, slot: Slot, route: &Route) -> Result<Answered, Cause> {
        self.context.progress.enter(Phase::Connecting);
        let limit = self.inner.settings.timeouts.total;
        let total = *self.total.get_or_insert_with(|| Total { at: Instant::now() + limit, limit });
        let none = ServerDefaults::default();
        let defaults = self.inner.models.configured(route).map_or(&none, |model| &model.defaults);
        match backend.server().zip(backend.kind().api()) {
            // In boxes, so that a request that waits in the queue holds nothing of what it needs later.
            Some((server, api)) => Box::pin(self.ask_server(server, api, slot, defaults, total)).await,
            None => Box::pin(self.ask_demo(backend, slot, total)).await,
        }
    }

    async fn ask_server(
        &self,
        server: &Arc<Server>,
        api: ServerApi,
        mut slot: Slot,
        defaults: &ServerDefaults,
        total: Total,
    ) -> Result<Answered, Cause> {
        let model = Arc::clone(&slot.stop().model);
        let defaults = with_num_ctx(server, &model, self.work.num_ctx(), defaults).await;
        let outbound = Outbound {
            outgoing: self.work.write(api, &model, &defaults)?,
            model: &model,
            loads: slot.heat() != Heat::Loaded,
            keeps_back: self.work.offers_tools(),
            streamed: self.work.streamed(),
            traceparent: self.context.traceparent.as_deref(),
            deadline: total.at,
            progress: &self.context.progress,
        };
        let answer = server.send(outbound).await?;
        let loaded_for_it = slot.heat() != Heat::Loaded;
        if loaded_for_it || slot.has_rivals() {
            server.look_what_runs(loaded_for_it);
        }
        slot.answers();
        self.context.progress.enter(Phase::Answering);
        let product = match (answer.body, self.work) {
            (AnswerBody::Live(live), _) => Product::Events(self.stream(Writer::Live(live), slot, &server.name, total)),
            (AnswerBody::Whole(body), Work::Chat(_)) => {
                let events = api.parse_answer(&body)?;
                server.note_load(&slot, &events);
                Product::Events(EventStream::ready(events))
            }
            (AnswerBody::Whole(body), Work::Embed(request)) => {
                let embeddings = api.parse_embeddings(&body)?;
                request.check(&embeddings)?;
                server.note_load_ms(&slot, embeddings.load_ms);
                Product::Embeddings(embeddings)
            }
        };
        let times = Times { connect_ms: answer.connect_ms, exchange_ms: answer.exchange_ms };
        Ok(Answered { times, num_ctx: defaults.num_ctx.filter(|_| api == ServerApi::Ollama), product })
    }

    async fn ask_demo(&self, backend: &Backend, mut slot: Slot, total: Total) -> Result<Answered, Cause> {
        let Work::Chat(request) = self.work else {
            return Err(Cause::Unsupported { message: "the demo makes no embeddings".to_owned() });
        };
        self.context.progress.enter(Phase::Waiting);
        let began = Instant::now();
        let mut talk = Talk::new(request);
        talk.begin().await;
        slot.answers();
        self.context.progress.enter(Phase::Answering);
        let times = Times { connect_ms: 0.0, exchange_ms: began.elapsed().as_secs_f64() * 1e3 };
        let events = self.stream(Writer::Demo(Box::new(talk)), slot, backend.name(), total);
        Ok(Answered { times, num_ctx: None, product: Product::Events(events) })
    }

    fn stream(&self, writer: Writer, slot: Slot, upstream: &Arc<str>, total: Total) -> EventStream {
        EventStream::written(writer, slot, upstream, total, &self.inner.deadlines)
    }

    fn done(&self, backend: &Backend, route: &Route, answered: Answered) -> Done {
        let Answered { times, num_ctx, product } = answered;
        Done {
            upstream: backend.name().to_string(),
            model: route.public.to_string(),
            attempts: self.attempts + 1,
            queue: self.queue,
            times,
            num_ctx,
            product,
        }
    }

    /// What it means that there was no place.
    fn refused(&self, refused: Refused, stops: &[Stop]) -> UpstreamError {
        let backends = stops.iter().filter_map(|stop| self.inner.backend(stop.server));
        let why_shut =
            |backend: &Backend| Some((backend.server()?.state.breaker.refuses()?, Arc::clone(backend.name())));
        let wait = self.inner.settings.queue.wait;
        let cause = match refused {
            Refused::Shut => {
                let shut = backends.clone().find_map(why_shut);
                // One that closed again since: it is worth trying again at once.
                let (reason, upstream) = shut.unwrap_or_else(|| ("it has just failed".into(), "".into()));
                let error = if upstream.is_empty() {
                    UpstreamError::new(Cause::Open(reason))
                } else {
                    UpstreamError::of(Cause::Open(reason), &upstream)
                };
                return error.with_attempts(self.attempts);
            }
            Refused::Resting(time) => {
                Cause::busy(format!("the upstream asked to be left alone for {time:?} more"), Some(time))
            }
            Refused::Full(time) => Cause::busy("the queue is full".to_owned(), time),
            Refused::Late(time) => Cause::busy(format!("no turn within {wait:?} in the queue"), time),
        };
        let upstream = backends.map(Backend::name).next();
        let error =
            upstream.map_or_else(|| UpstreamError::new(cause.clone()), |name| UpstreamError::of(cause.clone(), name));
        error.with_attempts(self.attempts)
    }
}

impl Server {
    /// Counts a load that an answer tells of.
    pub(crate) fn note_load(&self, slot: &Slot, events: &[Event]) {
        for event in events {
            if let Event::Usage(usage) = event {
                self.note_load_ms(slot, usage.load_ms);
            }
        }
    }

    pub(crate) fn note_load_ms(&self, slot: &Slot, load_ms: Option<f64>) {
        let load = load_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok()).unwrap_or_default();
        let model = &slot.stop().model;
        if load >= LOAD_MIN {
            self.state.lane.was_loaded(model);
        }
        if self.state.loads.took(model, slot.began(), load) {
            tracing::warn!(
                upstream = &*self.name,
                model = &**model,
                "this upstream loads one model after another: they do not fit together, and each load keeps everybody waiting"
            );
        }
    }
}

/// What the server is told by default, with the one context length that everybody asks this model for.
async fn with_num_ctx<'a>(
    server: &Arc<Server>,
    model: &str,
    wish: Option<u32>,
    defaults: &'a ServerDefaults,
) -> Cow<'a, ServerDefaults> {
    if defaults.num_ctx.is_some() || defaults.options.contains_key("num_ctx") {
        return Cow::Borrowed(defaults);
    }
    match server.num_ctx(model, wish).await {
        None => Cow::Borrowed(defaults),
        num_ctx => Cow::Owned(ServerDefaults { num_ctx, ..defaults.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Settings, Upstreams};

    #[test]
    fn a_request_in_the_queue_is_small() {
        let upstreams = Upstreams::new(Vec::new(), Vec::new(), Settings::default()).expect("set up");
        let (work, context) = (Work::Chat(Arc::default()), Context::default());
        let waits = Way::new(&upstreams.inner, &work, &context).go();
        assert!(size_of_val(&waits) <= 2048, "{} bytes", size_of_val(&waits));
    }
}
