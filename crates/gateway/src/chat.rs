//! What a model answers: chats and texts of every API, from the limits to the sending.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tollhouse_dialect::ollama::generate::at_once;
use tollhouse_dialect::{Api, ChatRequest, Event, Meta};
use tollhouse_limits::Scope;
use tollhouse_upstream::{Context, MayCall, Model, Priority};

use crate::answer::{Sent, TRUNCATED};
use crate::claims::claims;
use crate::guard::Guarded;
use crate::refusal::{Refusal, rate_headers};
use crate::stack::{Passed, Way, cut_name, traceparent};
use crate::talk::Talk;
use crate::{By, Caller, Gateway};

/// Tokens that an answer is expected to have where the client says no limit, and the most that the queue reckons with.
const ANSWER_TOKENS_EXPECTED: u64 = 512;

impl Gateway {
    /// Limits → body → parsed → prompt limits → model → context → tokens reserved → sent → answered.
    pub(crate) async fn chat<B>(&self, way: &mut Way<'_>, body: B, caller: &Caller, api: Api) -> Result<Passed, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let settings = &self.inner.settings;
        // Limits come before the body is read: a flood costs no memory. Only a limit by model has to wait for it.
        if settings.by != By::Model {
            self.enter(way, caller, "").await?;
        }
        let body = self.read_body(way, body).await?;
        let mut request = api.parse(&body, &settings.json).map_err(Refusal::BadRequest)?;
        let deferral = self.deferral(way, api, &request, body)?;

        way.open.record.stream = request.stream;
        note_claims(way, &request);
        way.open.record.prompt_family = settings.families.as_ref().and_then(|families| families.of(&request));
        self.check_chars(way, caller, &request)?;
        let mut model = self.find_model(&request.model, caller, way).await?;
        if settings.by == By::Model {
            self.enter(way, caller, &model.name).await?;
        }
        if let Some(deferral) = deferral {
            return deferral.hand_over(way, caller, model.name).await.map(Passed::Whole);
        }
        request.model.clone_from(&model.name);
        let Guarded { tokens, dropped, elsewhere } = self.inner.guard.fit(&mut request, way, caller).await?;
        if let Some(other) = elsewhere {
            model = other;
            request.model.clone_from(&model.name);
        }
        let answer = request.sampling.limit().map_or(ANSWER_TOKENS_EXPECTED, u64::from);
        self.reserve(way, tokens, answer).await?;
        self.check_recording(way).await?;

        let mut headers = HeaderMap::new();
        if let Some(entered) = &way.open.entered {
            rate_headers(&mut headers, &entered.told());
        }
        if dropped > 0 {
            headers.insert(TRUNCATED, HeaderValue::from_static("gateway"));
        }
        // Few answers become as long as they may: the queue goes by what is usual.
        let context = self.context(way, caller, &model, tokens, answer.min(ANSWER_TOKENS_EXPECTED));
        let quiet_after = request.stream.then_some(settings.keep_alive);
        let request = Arc::new(request);
        let contents = settings.contents.as_ref().filter(|_| !way.is_own);
        way.open.talk = contents.and_then(|contents| contents.talk(request.clone())).map(Box::new);
        let talk = if let Some(events) = self.known_answer(&request, &model) {
            Talk::known(events)
        } else {
            let asking = self.inner.upstreams.chat(request.clone(), context);
            Talk::new(asking, caller.key.as_ref(), quiet_after)
        };
        let meta = Meta {
            id: format!("{}{}", api.id_prefix(), way.id.as_str()),
            created_unix: jiff::Timestamp::now().as_second(),
            include_usage: request.include_usage,
            strip_model: model.strip.iter().any(|field| field == "model"),
            strip_created: model.strip.iter().any(|field| field == "created"),
            model: model.name,
            input_tokens: tokens,
        };
        let stream = request.stream;
        let sent = Sent { api, meta, request, talk, headers };
        if stream {
            let begun = sent.begin(&mut way.open, way.id.as_str()).await?;
            Ok(Passed::Streaming(Box::new(begun)))
        } else {
            sent.whole(&mut way.open).await.map(Passed::Whole)
        }
    }

    /// Counts the request for its caller.
    pub(crate) async fn enter(&self, way: &mut Way<'_>, caller: &Caller, model: &str) -> Result<(), Refusal> {
        let settings = &self.inner.settings;
        // What the house asks for itself uses up nobody's share.
        if way.is_own {
            return Ok(());
        }
        let scopes = way.who(caller).scopes(&settings.limits, settings.by, model);
        let tokens = |scope: &Scope| scope.rules.tokens.map(|rate| rate.most.get());
        way.tokens_most = scopes.iter().filter_map(tokens).min();
        if !scopes.is_empty() {
            way.open.entered = Some(self.inner.limits.enter(&scopes).await.map_err(Refusal::Denied)?);
        }
        Ok(())
    }

    /// A prompt without text asks an Ollama server to load or unload its model. Others hold one model always, so the
    /// answer is known.
    fn known_answer(&self, request: &ChatRequest, model: &Model) -> Option<[Event; 2]> {
        let events = at_once(request)?;
        let servers = self.inner.upstreams.status();
        let is_ollama = servers.iter().any(|server| server.name == model.upstream && server.kind == "ollama");
        (!is_ollama).then_some(events)
    }

    pub(crate) fn check_chars(&self, way: &mut Way<'_>, caller: &Caller, request: &ChatRequest) -> Result<(), Refusal> {
        way.note_user(request.user());
        let chars = request.prompt_chars();
        way.open.record.prompt_chars = Some(chars);
        let max = self.chars_max(caller);
        if chars > max {
            way.open.record.model = Some(cut_name(&request.model));
            return Err(Refusal::PromptTooLong { max });
        }
        Ok(())
    }

    /// Characters that a prompt of this caller may have.
    pub(crate) fn chars_max(&self, caller: &Caller) -> usize {
        let own = caller.key.as_ref().and_then(|key| key.prompt_chars);
        own.unwrap_or(self.inner.settings.prompt_chars_max)
    }

    /// Sets the request's tokens aside in the windows and budgets of its caller: those of the prompt and those expected
    /// of the answer.
    pub(crate) async fn reserve(&self, way: &mut Way<'_>, prompt: u64, answer: u64) -> Result<(), Refusal> {
        // What is expected of the answer is a guess: a small limit is no reason to refuse a small prompt.
        let most = way.tokens_most.unwrap_or(u64::MAX);
        let reserved = (prompt + answer).min(most).max(prompt);
        way.open.prompt_tokens = prompt;
        match &mut way.open.entered {
            Some(entered) => entered.reserve(reserved).await.map_err(Refusal::Denied),
            None => Ok(()),
        }
    }

    /// What goes with the request to the model servers.
    pub(crate) fn context(&self, way: &Way<'_>, caller: &Caller, model: &Model, prompt: u64, answer: u64) -> Context {
        // Who works for this request works below our span, where we tell of one.
        let own = way.open.trace.map(|trace| trace.traceparent());
        let traceparent = own.or_else(|| traceparent(way.head).map(str::to_owned));
        let key = caller.key.clone();
        let (weight, mut priority) =
            key.as_ref().map_or((1, Priority::Normal), |key| (key.weight, priority(key.priority)));
        if way.is_last {
            priority = Priority::Low;
        }
        let may_call: MayCall = Arc::new(move |name| key.as_ref().is_none_or(|key| key.allows_model(name)));
        let flow = way.who(caller).name(self.inner.settings.fair_by, &model.name);
        let progress = way.progress.clone();
        Context {
            traceparent,
            flow,
            weight,
            priority,
            tokens: prompt + answer,
            prompt_tokens: prompt,
            may_call,
            is_sent_once: way.is_suspect,
            progress,
        }
    }
}

fn priority(priority: tollhouse_access::Priority) -> Priority {
    match priority {
        tollhouse_access::Priority::Low => Priority::Low,
        tollhouse_access::Priority::Normal => Priority::Normal,
        tollhouse_access::Priority::High => Priority::High,
    }
}

fn note_claims(way: &mut Way<'_>, request: &ChatRequest) {
    let claims = claims(request);
    let record = &mut way.open.record;
    record.claimed_agent = claims.agent;
    record.claimed_session = claims.session;
    record.claimed_session_id = claims.session_id;
}
