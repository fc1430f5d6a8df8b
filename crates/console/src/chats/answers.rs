//! Answers that are being written, whoever watches.
//!
//! An answer to a kept chat belongs to the house, not to a connection: a browser that leaves and comes again finds it where it
//! is (docs/decisions/0009). It ends when the model is done, when its reader presses stop, when nobody has watched it for the
//! configured time, or with the house. An answer of which nothing is kept is written the same way, and ends with its reader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, Request};
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tollhouse_gateway::{Caller, Entry, Gateway, Phase, Progress};
use tollhouse_state::{ChatMessage, State};
use tollhouse_web::{Dropped, Peer};

use super::said::{End, Said, read_answer};

/// Answers under way, of all chats together.
pub(crate) const ANSWERS_MAX: usize = 256;
/// Kept answers under way of one owner.
pub(crate) const ANSWERS_OF_ONE_MAX: usize = 4;
/// Unkept ones: whoever chats without a key is one owner.
const UNKEPT_OF_ONE_MAX: usize = 64;
/// An answer that is longer ends here, as at a length limit.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often it is looked whether anybody watches, and how the wait goes on.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often a growing answer is written down: a kill loses at most so much of it.
const WRITE_EVERY: Duration = Duration::from_secs(2);
/// How often chats that are too old are looked for.
const TRIM_EVERY: Duration = Duration::from_hours(1);
/// After so long the reader is told the end of an answer, written down or not.
const WRITE_MAX: Duration = Duration::from_secs(2);
/// How often it is tried to write down an end.
const WRITE_TRIES: u32 = 5;
/// How long the end of the house waits until every answer is written down.
const END_MAX: Duration = Duration::from_secs(5);

/// All answers under way; clones share them. Opened once, so that a changed configuration ends none.
#[derive(Clone, Debug)]
pub struct Answers {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    running: Mutex<HashMap<String, Arc<Answer>>>,
    /// One of them has ended.
    ended: Notify,
    /// Days and bytes that chats are kept.
    keep: watch::Sender<Option<(Duration, u64)>>,
}

/// One answer under way.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) id: String,
    /// Nothing where it is not kept.
    pub(crate) chat: Option<String>,
    owner: String,
    now: watch::Sender<Now>,
    stop: Notify,
}

/// How far an answer is. Readers send what they have not sent yet: however slow they are, nothing waits for them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Now {
    pub(crate) said: Said,
    /// How it waits, while it does.
    pub(crate) wait: Map<String, Value>,
    /// `running`, or how it ended.
    pub(crate) state: &'static str,
}

/// What an answer is asked with.
pub(crate) struct Asking {
    pub(crate) gateway: Gateway,
    pub(crate) caller: Caller,
    pub(crate) user: Option<String>,
    pub(crate) peer: Peer,
    /// Headers that say who the end user is.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) model: String,
    /// How long it goes on unwatched.
    pub(crate) unwatched: Duration,
}

impl Answers {
    /// Begins with none; those that an earlier run left are marked as interrupted.
    pub async fn open(state: State) -> Result<Self, tollhouse_state::StateError> {
        let interrupted = state.interrupt_answers().await?;
        if interrupted > 0 {
            tracing::info!(interrupted, "answers to chats were cut off by the end of the last run");
        }
        let (keep, kept) = watch::channel(None);
        tokio::spawn(trim(state.clone(), kept));
        Ok(Self { inner: Arc::new(Inner { state, running: Mutex::default(), ended: Notify::new(), keep }) })
    }

    /// From now on chats are kept so long.
    pub fn keep(&self, keep: Duration, bytes_max: u64) {
        self.inner.keep.send_replace(Some((keep, bytes_max)));
    }

    /// Ends all answers and waits until they are written down.
    pub async fn end(&self) {
        for answer in self.running().values() {
            answer.stop.notify_one();
        }
        let all_ended = async {
            loop {
                let ended = self.inner.ended.notified();
                if self.running().is_empty() {
                    return;
                }
                ended.await;
            }
        };
        if tokio::time::timeout(END_MAX, all_ended).await.is_err() {
            tracing::warn!("not every answer to a chat was written down");
        }
    }

    /// Ends the answers of an owner's chat, or of all of their chats.
    pub(crate) fn stop_chat(&self, chat: Option<&str>, owner: &str) {
        let running = self.running();
        let is_of = |of: &String| chat.is_none_or(|chat| of == chat);
        let is_meant = |answer: &&Arc<Answer>| answer.owner == owner && answer.chat.as_ref().is_some_and(is_of);
        running.values().filter(is_meant).for_each(|answer| answer.stop());
    }

    /// The answer with this id, while it is under way.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Answer>> {
        self.running().get(id).cloned()
    }

    /// A place for an answer of this owner, in a chat that is kept or without one; `None` when too many are under way.
    pub(crate) fn begin(&self, id: &str, chat: Option<&str>, owner: &str) -> Option<Arc<Answer>> {
        let mut running = self.running();
        let is_alike = |answer: &&Arc<Answer>| answer.owner == owner && answer.chat.is_some() == chat.is_some();
        let most = if chat.is_some() { ANSWERS_OF_ONE_MAX } else { UNKEPT_OF_ONE_MAX };
        if running.len() >= ANSWERS_MAX || running.values().filter(is_alike).count() >= most {
            return None;
        }
        let answer = Arc::new(Answer {
            id: id.to_owned(),
            chat: chat.map(str::to_owned),
            owner: owner.to_owned(),
            now: watch::Sender::new(Now { state: "running", ..Now::default() }),
            stop: Notify::new(),
        });
        running.insert(id.to_owned(), answer.clone());
        Some(answer)
    }

    /// Gives the place back without an answer.
    pub(crate) fn give_up(&self, answer: &Answer) {
        self.running().remove(&answer.id);
        self.inner.ended.notify_one();
    }

    /// Asks the model in a task of its own, and writes down what it says where `message` is kept.
    pub(crate) fn write(&self, answer: Arc<Answer>, message: Option<ChatMessage>, asking: Asking) {
        let answers = self.clone();
        tokio::spawn(async move {
            answers.written(&answer, message, asking).await;
            answers.give_up(&answer);
        });
    }

    async fn written(&self, answer: &Answer, mut message: Option<ChatMessage>, asking: Asking) {
        let (began, mut first) = (Instant::now(), None);
        let (progress, unwatched) = (Progress::default(), asking.unwatched);
        let (gateway, model) = (asking.gateway.clone(), asking.model.clone());
        let mut asked = Box::pin(ask(answer, asking, progress.clone()));
        let (mut look, mut seen, mut written) = (interval(LOOK_EVERY), Instant::now(), Instant::now());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let state = loop {
            tokio::select! {
                biased;
                () = answer.stop.notified() => break "stopped",
                ended = &mut asked => break ended,
                _ = look.tick() => {}
            }
            if answer.now.receiver_count() > 0 {
                seen = Instant::now();
            } else if seen.elapsed() >= unwatched {
                break "left";
            }
            let has_begun = answer.now.borrow().said.len() > 0;
            if has_begun && first.is_none() {
                first = Some(began.elapsed());
            }
            if !has_begun {
                answer.wait(how_it_waits(&gateway, &progress, &model));
            } else if written.elapsed() >= WRITE_EVERY {
                written = Instant::now();
                let Some(message) = &mut message else { continue };
                take(message, &answer.now.borrow());
                // A slow disk does not hold up a stop.
                tokio::select! {
                    biased;
                    () = answer.stop.notified() => break "stopped",
                    _ = self.keep_message(message) => {}
                }
            }
        };
        // The model is let go before anything is written.
        drop(asked);
        let mut last = answer.now.borrow().clone();
        last.state = state;
        last.wait.clear();
        let total = began.elapsed();
        for (name, time) in [("first_ms", first.unwrap_or(total)), ("total_ms", total)] {
            let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            last.said.told.entry(name).or_insert(json!(ms));
        }
        let Some(mut message) = message else {
            answer.now.send_replace(last);
            return;
        };
        take(&mut message, &last);
        let mut kept = Box::pin(self.keep_end(&message));
        // First: whoever hears the end finds all of it kept, unless that takes too long.
        let is_kept = tokio::time::timeout(WRITE_MAX, &mut kept).await.is_ok();
        answer.now.send_replace(last);
        if !is_kept {
            kept.await;
        }
    }

    /// Writes down how an answer ended, in several tries. One whose end is never written is told as interrupted when its chat
    /// is read again.
    async fn keep_end(&self, message: &ChatMessage) {
        for again in 1..=WRITE_TRIES {
            if self.keep_message(message).await {
                return;
            }
            tokio::time::sleep(Duration::from_secs(again.into())).await;
        }
    }

    /// Says whether it was written.
    async fn keep_message(&self, message: &ChatMessage) -> bool {
        let written = self.inner.state.write_answer(message).await;
        if let Err(error) = &written {
            tracing::error!(error = %error, "writing down an answer");
        }
        written.is_ok()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Arc<Answer>>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    /// Whether it belongs to this kept chat.
    pub(crate) fn is_in(&self, chat: &str) -> bool {
        self.chat.as_deref() == Some(chat)
    }

    /// Its reader wants no more of it.
    pub(crate) fn stop(&self) {
        self.stop.notify_one();
    }

    /// For who wants to see it grow.
    pub(crate) fn watch(&self) -> watch::Receiver<Now> {
        self.now.subscribe()
    }

    fn wait(&self, wait: Map<String, Value>) {
        self.now.send_if_modified(|now| {
            let is_news = now.wait != wait;
            now.wait = wait;
            is_news
        });
    }

    /// Adds what came.
    fn hear(&self, hear: impl FnOnce(&mut Said)) {
        self.now.send_modify(|now| {
            hear(&mut now.said);
            now.wait.clear();
        });
    }
}

/// Takes into a message what was said so far, and how it is.
fn take(message: &mut ChatMessage, now: &Now) {
    message.text.clone_from(&now.said.text);
    message.thinking.clone_from(&now.said.thinking);
    message.told.clone_from(&now.said.told);
    now.state.clone_into(&mut message.state);
}

/// One request through the gate, to its end; says how that was. Dropping it cancels it at the model.
async fn ask(answer: &Answer, asking: Asking, progress: Progress) -> &'static str {
    let began = Instant::now();
    let mut request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    if let Some(headers) = request.headers_mut() {
        headers.extend(asking.headers);
    }
    let failed = |words: &str| {
        answer.hear(|said| drop(said.told.insert("error".into(), words.into())));
        "failed"
    };
    let Ok(request) = request.body(Body::from(asking.body.to_string())) else {
        return failed("the request cannot be made");
    };
    let entry = Entry::Known { caller: asking.caller, user: asking.user, progress };
    let reply = match asking.gateway.handle(request, asking.peer, entry).await {
        Ok(reply) => reply,
        Err(Dropped) => return failed("address not allowed"),
    };
    let (head, body) = reply.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    answer.hear(|said| {
        for (name, from) in
            [("request_id", "x-request-id"), ("model", "x-tollhouse-model"), ("upstream", "x-tollhouse-upstream")]
        {
            said.told.extend(header(from).map(|value| (name.to_owned(), value.into())));
        }
        let queue_ms = header("x-tollhouse-queue-ms").and_then(|value| value.parse::<f64>().ok());
        said.told.extend(queue_ms.map(|ms| ("queue_ms".to_owned(), json!(ms))));
    });
    let ended = read_answer(head.status, body, |lines, data| {
        let mut goes_on = true;
        answer.hear(|said| {
            let before = said.len();
            goes_on = lines.push(data, said);
            if before == 0 && said.len() > 0 {
                let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                said.told.insert("first_ms".into(), json!(ms));
            }
            if said.len() > ANSWER_BYTES_MAX {
                said.told.insert("finish".into(), "length".into());
                goes_on = false;
            }
        });
        goes_on
    });
    match ended.await {
        End::Whole => {}
        End::Enough => return "done",
        End::Refused(why) => return failed(&why),
    }
    let (is_whole, has_failed) = {
        let now = answer.now.borrow();
        (now.said.whole, now.said.told.contains_key("error"))
    };
    match (has_failed, is_whole) {
        (true, _) => "failed",
        (false, true) => "done",
        (false, false) => failed("the answer broke off"),
    }
}

/// What there is to say while nothing has come yet.
fn how_it_waits(gateway: &Gateway, progress: &Progress, model: &str) -> Map<String, Value> {
    let mut wait = Map::new();
    let phase = match progress.phase() {
        Phase::Queued => "queued",
        Phase::Connecting => "connecting",
        Phase::Answering => "answering",
        Phase::Waiting => {
            let servers = gateway.upstreams().status();
            let mut ollamas = servers.iter().filter(|server| server.kind == "ollama").peekable();
            let is_loaded = |name: &String| name == model || name.strip_suffix(":latest") == Some(model);
            let unloaded = ollamas.peek().is_some() && !ollamas.any(|server| server.loaded.iter().any(is_loaded));
            if unloaded { "loading" } else { "reading" }
        }
    };
    wait.insert("phase".into(), phase.into());
    wait.extend(progress.position().map(|position| ("position".to_owned(), json!(position))));
    wait
}

/// Removes chats that are too old or too many, at once after a change and then each hour.
async fn trim(state: State, mut keep: watch::Receiver<Option<(Duration, u64)>>) {
    loop {
        let now = *keep.borrow_and_update();
        if let Some((time, bytes)) = now {
            match state.trim_chats(time, bytes).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "removed chats beyond what is kept"),
                Err(error) => tracing::error!(error = %error, "removing old chats"),
            }
        }
        tokio::select! {
            changed = keep.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(TRIM_EVERY) => {}
        }
    }
}
