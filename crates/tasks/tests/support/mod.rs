//! A house for the engine: hands whose work a test scripts, an idempotent sink, and a clock that the test moves.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tollhouse_tasks::{
    Ask, Book, Call, Clock, Collect, Command, Definition, Desk, Doing, Engine, File, Hands, Message, Need, Options,
    Order, Outcome, Room, RunDetail, SimulatedClock, Status, StepError, Told, Turned,
};

/// Nothing here takes nearly as long; a dead-lock ends after it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Going on after a crash, or a loss, takes no longer.
pub(crate) const RESUME_MAX: Duration = Duration::from_secs(11);
/// 2026-03-02T08:00:00Z, a Monday.
pub(crate) const BEGIN_MS: i64 = 1_772_438_400_000;

/// What a hand does in place of its usual work.
pub(crate) type Script = Box<dyn Fn(&Call) -> Option<Result<Outcome, StepError>> + Send + Sync>;

/// Hands of a test.
#[derive(Default)]
pub(crate) struct TestHands {
    /// Every attempt, by key: how often it was made.
    pub(crate) attempts: Mutex<BTreeMap<String, u32>>,
    /// Effects in a sink that knows keys.
    pub(crate) sink: Mutex<BTreeMap<String, Value>>,
    pub(crate) told: Mutex<Vec<Told>>,
    pub(crate) turned: Mutex<Vec<Turned>>,
    scripts: Mutex<HashMap<String, Script>>,
    /// Steps that wait for the test before they do anything.
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    pub(crate) no_room: Mutex<Option<String>>,
    pub(crate) asked_room: Mutex<Vec<Need>>,
    pub(crate) idle: tokio::sync::Notify,
    pub(crate) at_once: AtomicUsize,
    pub(crate) at_once_max: AtomicUsize,
    pub(crate) partial: Mutex<Option<String>>,
}

impl TestHands {
    /// Says what a step does.
    pub(crate) fn script(
        &self,
        step: &str,
        script: impl Fn(&Call) -> Option<Result<Outcome, StepError>> + Send + Sync + 'static,
    ) {
        self.scripts.lock().unwrap().insert(step.to_owned(), Box::new(script));
    }

    /// Lets calls of a step wait until the test lets some through.
    pub(crate) fn gate(&self, step: &str) -> Arc<Semaphore> {
        self.gates.lock().unwrap().entry(step.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
    }

    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.told.lock().unwrap().iter().map(|told| told.entry.event.code()).collect()
    }

    async fn act(&self, call: Call, value: Value, tokens: u64, is_felt: bool) -> Result<Outcome, StepError> {
        *self.attempts.lock().unwrap().entry(call.key.clone()).or_default() += 1;
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once_max.fetch_max(now, Ordering::SeqCst);
        let _less = Less(&self.at_once);
        let partial = self.partial.lock().unwrap().clone();
        if let Some(partial) = partial {
            call.partial.keep(&partial).await;
        }
        let gate = self.gates.lock().unwrap().get(&call.step).cloned();
        match gate {
            Some(gate) => gate.acquire().await.unwrap().forget(),
            None => tokio::task::yield_now().await,
        }
        let scripted = self.scripts.lock().unwrap().get(&call.step).and_then(|script| script(&call));
        if let Some(result) = scripted {
            return result;
        }
        let is_surely_once = is_felt;
        self.sink.lock().unwrap().entry(call.key).or_insert_with(|| value.clone());
        Ok(Outcome { value, tokens, is_surely_once })
    }
}

struct Less<'a>(&'a AtomicUsize);

impl Drop for Less<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hands for TestHands {
    fn ask(&self, call: Call, ask: Ask) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, format!("answer to {}", ask.prompt).into(), 10, false))
    }

    fn collect(&self, call: Call, collect: Collect) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, json!({"search": collect.search}), 0, false))
    }

    fn run(&self, call: Call, command: Command) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, json!({"status": 0, "stdout": command.command.join(" "), "stderr": ""}), 0, false))
    }

    fn write(&self, call: Call, file: File) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, json!({"path": file.path, "bytes": file.text.len()}), 0, true))
    }

    fn send(&self, call: Call, message: Message) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, json!({"channel": message.channel, "text": message.text}), 0, true))
    }

    fn room(&self, need: Need) -> Doing<'_, Room> {
        self.asked_room.lock().unwrap().push(need);
        let no_room = self.no_room.lock().unwrap().clone();
        Box::pin(async move { no_room.map_or(Room::Free, |why| Room::Later { why, after: None }) })
    }

    fn idle(&self) -> Doing<'_, ()> {
        Box::pin(self.idle.notified())
    }

    fn told(&self, told: &Told) {
        self.told.lock().unwrap().push(told.clone());
    }

    fn turned(&self, turned: &Turned) {
        self.turned.lock().unwrap().push(turned.clone());
    }
}

/// A book with a clock, hands and a desk; engines come and go.
pub(crate) struct House {
    pub(crate) book: Book,
    pub(crate) clock: SimulatedClock,
    pub(crate) hands: Arc<TestHands>,
    pub(crate) desk: Desk,
}

impl House {
    pub(crate) fn new(book: Book) -> Self {
        let clock = SimulatedClock::new(BEGIN_MS);
        let desk = Desk::new(book.clone(), Arc::new(clock.clone()));
        Self { book, clock, hands: Arc::default(), desk }
    }

    pub(crate) async fn publish(&self, texts: &[(&str, &str)]) {
        let read = |(name, text): &(&str, &str)| {
            Definition::read(&format!("{name}.yaml"), text).unwrap_or_else(|errors| panic!("{errors}"))
        };
        self.desk.publish(&texts.iter().map(read).collect::<Vec<_>>()).await.unwrap();
    }

    pub(crate) async fn engine(&self) -> Engine {
        self.engine_with(|_| {}).await
    }

    pub(crate) async fn engine_with(&self, change: impl FnOnce(&mut Options)) -> Engine {
        let mut options = Options { is_alone: true, poll: Duration::from_millis(5), ..Options::default() };
        change(&mut options);
        Engine::start(self.book.clone(), Arc::new(self.clock.clone()), self.hands.clone(), options).await.unwrap()
    }

    pub(crate) async fn run(&self, task: &str) -> String {
        self.run_with(task, json!({})).await
    }

    pub(crate) async fn run_with(&self, task: &str, input: Value) -> String {
        let Value::Object(input) = input else { unreachable!() };
        let order = Order { task: task.to_owned(), input, who: "ann".to_owned(), id: None };
        self.desk.run(order).await.unwrap()
    }

    pub(crate) async fn show(&self, run: &str) -> RunDetail {
        self.desk.show(run).await.unwrap()
    }

    /// Waits until a run is in a state.
    pub(crate) async fn until(&self, run: &str, status: Status) -> RunDetail {
        let begun = Instant::now();
        loop {
            let detail = self.show(run).await;
            // As it is in the history too, where that alone says so.
            if detail.summary.status == status {
                return detail;
            }
            assert!(begun.elapsed() < PATIENCE, "{run} is {:?}, not {status:?}: {:#?}", detail.summary, detail.history);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until something is so.
    pub(crate) async fn wait_for(&self, what: &str, is_so: impl AsyncFnMut() -> bool) {
        self.wait_within(PATIENCE, what, is_so).await;
    }

    /// Waits until something is so, which has to be soon.
    pub(crate) async fn wait_within(&self, time: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < time, "waiting for {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until so many attempts were made at steps, within the time that going on may take.
    pub(crate) async fn until_attempts(&self, count: u32) {
        let made = async || self.hands.attempts.lock().unwrap().values().sum::<u32>() >= count;
        self.wait_within(RESUME_MAX, &format!("{count} attempts"), made).await;
    }

    /// Waits until nothing is being done.
    pub(crate) async fn until_idle(&self) {
        self.wait_for("steps to be dropped", async || self.hands.at_once.load(Ordering::SeqCst) == 0).await;
    }

    /// Moves the clock.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}

/// The value of a step.
pub(crate) fn value(detail: &RunDetail, step: &str) -> Value {
    let found = detail.steps.iter().find(|shown| shown.step.name == step);
    found.and_then(|shown| shown.value.clone()).unwrap_or_default()
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => panic!("no object"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as scripts give it")]
pub(crate) fn fails(message: &str) -> Option<Result<Outcome, StepError>> {
    Some(Err(StepError::passing(message)))
}

#[expect(clippy::unnecessary_wraps, reason = "as scripts give it")]
pub(crate) fn gives(value: impl Into<Value>) -> Option<Result<Outcome, StepError>> {
    Some(Ok(Outcome { value: value.into(), tokens: 10, is_surely_once: false }))
}
