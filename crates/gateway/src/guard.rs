//! Keeps prompts within the context of their model, so that no server cuts one without a word.
//!
//! Counting tokens exactly is work, and nearly all prompts are so short that it is not needed: a bound that costs next to
//! nothing shows that they fit. Only what may not fit is counted, with the model's own tokenizer where it can be had.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tollhouse_dialect::ChatRequest;
use tollhouse_tokens::{Counter, Fit, Overflow, Tokenizer, allowed, fit};
use tollhouse_upstream::{Model, Upstreams, Window, WindowSource};

use crate::Caller;
use crate::refusal::Refusal;
use crate::stack::{ModelSettings, Way};

/// A tokenizer is waited for so long; after it, and until it is there, tokens are estimated.
const TOKENIZER_WAIT: Duration = Duration::from_secs(3);
/// A tokenizer that could not be had is asked for again after so long.
const TOKENIZER_ASKED_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Models whose tokenizers are kept; past it the longest unused goes. Each takes some tens of MiB.
const TOKENIZERS_MAX: usize = 8;
/// The smallest context that servers give a model when nobody says anything: a prompt that fits into it needs no look.
const CONTEXT_TOKENS_MIN: u64 = 2048;

/// Counts prompts and fits them.
#[derive(Debug)]
pub(crate) struct Guard {
    models: HashMap<String, ModelSettings>,
    upstreams: Upstreams,
    counters: Mutex<HashMap<String, Kept>>,
    /// Counts without a vocabulary, and knows the bounds of every count.
    estimate: Arc<Counter>,
}

/// What has become of asking for a model's tokenizer.
#[derive(Clone, Debug)]
enum Asked {
    Pending,
    /// It counts this model's tokens.
    Had(Arc<Counter>),
    /// There is none, or it cannot be used.
    NotHad,
}

type Counting = watch::Receiver<Asked>;

/// The tokenizer of one model.
#[derive(Debug)]
struct Kept {
    counting: Counting,
    asked: Instant,
    used: Instant,
}

/// A prompt that may be sent.
pub(crate) struct Guarded {
    /// Its tokens, as well as they are known.
    pub(crate) tokens: u64,
    /// How many messages were left out.
    pub(crate) dropped: usize,
    /// The model that is to answer in place of the one asked for.
    pub(crate) elsewhere: Option<Model>,
}

impl Guarded {
    fn as_it_is(tokens: u64) -> Self {
        Self { tokens, dropped: 0, elsewhere: None }
    }
}

impl Guard {
    pub(crate) fn new(models: HashMap<String, ModelSettings>, upstreams: Upstreams) -> Self {
        Self { models, upstreams, counters: Mutex::default(), estimate: Arc::new(Counter::estimate()) }
    }

    /// Fits the request into the context of its model as the configuration says, or refuses it.
    pub(crate) async fn fit(
        &self,
        request: &mut ChatRequest,
        way: &mut Way<'_>,
        caller: &Caller,
    ) -> Result<Guarded, Refusal> {
        let (at_least, at_most) = self.estimate.bound(request);
        // Between the bounds, where most texts are: about four bytes a token.
        let likely = (at_most / 4).clamp(at_least, at_most);
        let wish = request.sampling.num_ctx;
        let Window { tokens: window, source } = self.upstreams.window(&request.model, wish).await;
        way.open.record.context_limit = window;
        if let Some(window) = window.map(u64::from)
            && at_most > allowed(request, window)
        {
            return self.fit_into(window, likely, request, way, caller).await;
        }
        // What a model was made for is not what its server gives it. Counted, the prompt can be compared with what the
        // server says it read.
        let is_sure = !matches!(source, WindowSource::Model | WindowSource::Unknown);
        if is_sure || at_most <= CONTEXT_TOKENS_MIN {
            return Ok(Guarded::as_it_is(likely));
        }
        let counter = self.counter(&request.model).await;
        let count = off_the_runtime(request, move |request| counter.count(request)).await;
        way.open.counted(count);
        Ok(Guarded::as_it_is(count.tokens))
    }

    async fn fit_into(
        &self,
        window: u64,
        likely: u64,
        request: &mut ChatRequest,
        way: &mut Way<'_>,
        caller: &Caller,
    ) -> Result<Guarded, Refusal> {
        let settings = self.models.get(&request.model);
        let policy = settings.map_or_else(Overflow::default, |settings| settings.on_overflow);
        let counter = self.counter(&request.model).await;
        let fitted = off_the_runtime(request, move |request| fit(request, window, &counter, policy)).await;
        let count = match &fitted {
            Fit::Fits { count } => *count,
            Fit::Truncated { count, .. } | Fit::TooLong { count, .. } | Fit::Elsewhere { count } => Some(*count),
        };
        let Some(count) = count else { return Ok(Guarded::as_it_is(likely)) };
        way.open.counted(count);
        let guarded = Guarded::as_it_is(count.tokens);
        match fitted {
            Fit::Fits { .. } => Ok(guarded),
            Fit::Truncated { dropped_messages, .. } => {
                way.open.record.truncated = true;
                way.open.record.truncated_by = Some("gateway");
                Ok(Guarded { dropped: dropped_messages, ..guarded })
            }
            Fit::TooLong { allowed, .. } => Err(Refusal::ContextTooSmall { count, allowed, window }),
            Fit::Elsewhere { .. } => {
                let names = settings.map(|settings| settings.fallback.as_slice()).unwrap_or_default();
                let elsewhere = self.roomy(names, request, count.tokens, caller).await;
                let allowed = allowed(request, window);
                let elsewhere = elsewhere.ok_or(Refusal::ContextTooSmall { count, allowed, window })?;
                Ok(Guarded { elsewhere: Some(elsewhere), ..guarded })
            }
        }
    }

    /// The tokens of a request, for those who ask for nothing else.
    pub(crate) async fn count(&self, request: &mut ChatRequest) -> u64 {
        let counter = self.counter(&request.model).await;
        off_the_runtime(request, move |request| counter.count(request)).await.tokens
    }

    /// The first of these models that the caller may use and whose context has room.
    async fn roomy(&self, names: &[String], request: &ChatRequest, tokens: u64, caller: &Caller) -> Option<Model> {
        for name in names {
            if !caller.key.as_ref().is_none_or(|key| key.allows_model(name)) {
                continue;
            }
            let window = self.upstreams.window(name, request.sampling.num_ctx).await.tokens;
            if window.is_some_and(|window| allowed(request, window.into()) >= tokens) {
                return self.upstreams.resolve(name).await;
            }
        }
        None
    }

    /// The way of counting for a model: its own tokenizer when it is there in time.
    async fn counter(&self, model: &str) -> Arc<Counter> {
        let mut counting = self.counting(model);
        let known = timeout(TOKENIZER_WAIT, counting.wait_for(|asked| !matches!(asked, Asked::Pending))).await;
        match known.ok().and_then(Result::ok).as_deref() {
            Some(Asked::Had(counter)) => counter.clone(),
            _ => self.estimate.clone(),
        }
    }

    /// Starts to get the tokenizer at the first call, and again some time after it could not be had.
    fn counting(&self, model: &str) -> Counting {
        let now = Instant::now();
        let mut counters = self.counters.lock().expect("no panic while the lock is held");
        if let Some(kept) = counters.get_mut(model) {
            let failed = matches!(*kept.counting.borrow(), Asked::NotHad);
            if !failed || now < kept.asked + TOKENIZER_ASKED_AGAIN_AFTER {
                kept.used = now;
                return kept.counting.clone();
            }
        } else if counters.len() >= TOKENIZERS_MAX {
            let longest_unused = counters.iter().min_by_key(|(_, kept)| kept.used).map(|(model, _)| model.clone());
            longest_unused.and_then(|model| counters.remove(&model));
        }
        let (ready, counting) = watch::channel(Asked::Pending);
        counters.insert(model.to_owned(), Kept { counting: counting.clone(), asked: now, used: now });
        let file = self.models.get(model).and_then(|settings| settings.tokenizer.clone());
        tokio::spawn(load(model.to_owned(), file, self.upstreams.clone(), ready));
        counting
    }
}

/// Gets the tokenizer of a model: from its file, else from its server.
async fn load(model: String, file: Option<PathBuf>, upstreams: Upstreams, ready: watch::Sender<Asked>) {
    let vocabulary = match file {
        Some(_) => None,
        None => upstreams.vocabulary(&model).await,
    };
    let made = tokio::task::spawn_blocking(move || match (file, vocabulary) {
        (Some(file), _) => Tokenizer::from_file(&file).map(Some),
        (None, Some(vocabulary)) => Tokenizer::from_ggml(&vocabulary).map(Some),
        (None, None) => Ok(None),
    });
    let tokenizer = match made.await {
        Ok(Ok(tokenizer)) => tokenizer,
        Ok(Err(error)) => {
            tracing::warn!(model, error = %error, "tokens of this model are estimated: its tokenizer cannot be used");
            None
        }
        Err(_) => None,
    };
    ready.send_replace(tokenizer.map_or(Asked::NotHad, |tokenizer| Asked::Had(Arc::new(Counter::exact(tokenizer)))));
}

/// Runs a long computation on the request where it holds up nobody else.
async fn off_the_runtime<T: Send + 'static>(
    request: &mut ChatRequest,
    work: impl FnOnce(&mut ChatRequest) -> T + Send + 'static,
) -> T {
    /// As many at once as there are cores, however many clients ask.
    static CORES: LazyLock<Semaphore> =
        LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
    let _core = CORES.acquire().await.expect("the semaphore is never closed");
    let mut taken = std::mem::take(request);
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&mut taken);
        (taken, result)
    });
    let (taken, result) = done.await.expect("counting does not panic");
    *request = taken;
    result
}
