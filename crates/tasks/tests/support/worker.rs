//! A worker in a process of its own, to be killed, stopped and cut off; and what is checked of it afterwards.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollhouse_tasks::{
    Ask, Book, Call, Clock, Collect, Command, Definition, Desk, Doing, Engine, Event, File, Filter, Hands, Message,
    Moment, Need, Options, Order, Outcome, Room, RunSummary, Status, StepError, SystemClock, Told,
};

const BOOK: &str = "TOLLHOUSE_TEST_TASKS_BOOK";
const FOLDER: &str = "TOLLHOUSE_TEST_TASKS_FOLDER";
const CLOCK: &str = "TOLLHOUSE_TEST_TASKS_CLOCK";
const WORKER: &str = "TOLLHOUSE_TEST_TASKS_WORKER";
/// While this file is there, steps wait in the middle of their work.
const HOLD: &str = "hold";
/// Steps of the task, and items of the two steps that have a list.
const STEPS: usize = 20;
const ITEMS: usize = 5;

/// The task, with a time that clocks of these tests leap over: twenty steps of all kinds that have effects, two of them with lists.
pub(crate) fn definition() -> Definition {
    let mut text = "{name: long, concurrency: 1000, timeout: 12h, steps: [\n".to_owned();
    for number in 0..STEPS {
        let before = if number == 0 { "begin".to_owned() } else { format!("{{{{ s{} | length }}}}", number - 1) };
        let each = if number == 4 || number == 13 {
            format!("each: 'range({ITEMS}) | list', at_once: 3, ")
        } else {
            String::new()
        };
        let work = match number % 5 {
            0 => format!("ask: {{model: m, prompt: '{before}'}}"),
            1 => format!("run: {{command: [do, '{before}']}}"),
            2 => format!("write: {{path: 'f{number}', text: '{before}'}}"),
            3 => format!("send: {{channel: c, text: '{before}'}}"),
            _ => format!("collect: {{search: '{before}'}}"),
        };
        writeln!(text, "  {{name: s{number}, retries: 3, {each}{work}}},").unwrap();
    }
    text.push_str("]}");
    Definition::read("long.yaml", &text).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The keys of all effects of a run.
fn expected_keys(run: &str) -> BTreeSet<String> {
    let keys = (0..STEPS).flat_map(|step| match step {
        4 | 13 => (0..ITEMS).map(|item| format!("{run}.s{step}.{item}.0")).collect::<Vec<_>>(),
        _ => vec![format!("{run}.s{step}.0")],
    });
    keys.collect()
}

/// Opens a book by the name that a worker is given.
pub(crate) async fn open_book(book: &str) -> Book {
    if book.starts_with("postgres:") {
        return Book::postgres(book).await.unwrap();
    }
    Book::sqlite(Path::new(book)).await.unwrap()
}

/// Orders runs.
pub(crate) async fn order(desk: &Desk, count: usize) -> Vec<String> {
    let mut runs = Vec::new();
    for _ in 0..count {
        let order = Order { task: "long".into(), who: "ann".into(), ..Order::default() };
        runs.push(desk.run(order).await.unwrap());
    }
    runs
}

/// Runs that are not over.
pub(crate) async fn open_runs(desk: &Desk) -> usize {
    open(desk).await.len()
}

/// Until all runs are over, within this time.
pub(crate) async fn until_all_are_over(desk: &Desk, within: Duration) {
    let begun = Instant::now();
    while open_runs(desk).await > 0 {
        assert!(begun.elapsed() < within, "runs do not come to their end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Steps of such runs that are not done.
pub(crate) async fn steps_left(desk: &Desk) -> u32 {
    open(desk).await.iter().map(|run| run.steps - run.steps_done).sum()
}

async fn open(desk: &Desk) -> Vec<RunSummary> {
    let mut open = Vec::new();
    for status in [Status::Queued, Status::Running, Status::Waiting] {
        let filter = Filter { status: Some(status), limit: 100, ..Filter::default() };
        open.extend(desk.list(&filter).await.unwrap().runs);
    }
    open
}

/// Starts a worker of this test binary.
pub(crate) fn spawn(book: &str, folder: &Path, name: &str) -> Child {
    std::fs::create_dir_all(folder.join("sink")).unwrap();
    Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper", "--nocapture"])
        .env(BOOK, book)
        .env(FOLDER, folder)
        .env(WORKER, name)
        .env(CLOCK, folder.join(format!("clock-{name}")))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Sets the clock of a worker so much ahead, or back.
pub(crate) fn step_clock(folder: &Path, name: &str, by_ms: i64) {
    std::fs::write(folder.join(format!("clock-{name}")), by_ms.to_string()).unwrap();
}

/// Lets steps wait in the middle of their work, or go on.
pub(crate) fn hold(folder: &Path, is_held: bool) {
    let file = folder.join(HOLD);
    if is_held { std::fs::write(file, "") } else { std::fs::remove_file(file) }.unwrap();
}

/// What a worker process does: works until it is killed. Does nothing where the test binary was not started as one.
pub(crate) fn work() {
    let Ok(book) = std::env::var(BOOK) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let clock = SteppedClock { file: PathBuf::from(std::env::var_os(CLOCK).unwrap()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let is_alone = !book.starts_with("postgres:");
        let lease = if is_alone { Duration::from_secs(10) } else { Duration::from_millis(1000) };
        let poll = Duration::from_millis(20);
        // All are kept, so that all can be checked.
        let (keep_runs, keep_bytes) = (u32::MAX, u64::MAX);
        let options = Options { workers: 4, is_alone, lease, poll, keep_runs, keep_bytes, ..Options::default() };
        let hands = Arc::new(FileHands { folder, worker: std::env::var(WORKER).unwrap() });
        let book = open_book(&book).await;
        let clock = book.clock(Arc::new(clock)).await.unwrap();
        let _engine = Engine::start(book, clock, hands, options).await.unwrap();
        println!("\nready");
        std::future::pending::<()>().await;
    });
}

/// The system's clock, as much ahead as a file says.
struct SteppedClock {
    file: PathBuf,
}

impl Clock for SteppedClock {
    fn moment(&self) -> Moment {
        let ahead = std::fs::read_to_string(&self.file).ok().and_then(|text| text.trim().parse::<i64>().ok());
        let Moment { now_ms, steady_ms } = SystemClock.moment();
        Moment { now_ms: now_ms + ahead.unwrap_or_default(), steady_ms }
    }

    fn sleep_until(&self, steady_ms: i64) -> Doing<'_, ()> {
        Box::pin(async move { SystemClock.sleep_until(steady_ms).await })
    }
}

/// Hands whose effects are files: one that is there already is not made a second time.
struct FileHands {
    folder: PathBuf,
    worker: String,
}

impl FileHands {
    async fn act(&self, call: Call, value: Value) -> Result<Outcome, StepError> {
        // A kill may cut a line where a page of the file ends: each begins with its own end of line, and says that it is whole.
        let line = format!("\n{} {} {} {} {WHOLE}", call.key, call.fence, SystemClock.now_ms(), self.worker);
        let log = OpenOptions::new().append(true).create(true).open(self.folder.join("attempts"));
        log.unwrap().write_all(line.as_bytes()).unwrap();
        while self.folder.join(HOLD).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // So that a crash finds it before, in the middle of and after its effect.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let made = OpenOptions::new().write(true).create_new(true).open(self.folder.join("sink").join(&call.key));
        let is_surely_once = made.is_ok();
        tokio::time::sleep(Duration::from_millis(1)).await;
        println!("\ndid {}", call.key);
        Ok(Outcome { value, tokens: 1, is_surely_once })
    }
}

impl Hands for FileHands {
    fn ask(&self, call: Call, ask: Ask) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, ask.prompt.into()))
    }

    fn collect(&self, call: Call, collect: Collect) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, collect.search.unwrap_or_default().into()))
    }

    fn run(&self, call: Call, command: Command) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, command.command.join(" ").into()))
    }

    fn write(&self, call: Call, file: File) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, file.text.into()))
    }

    fn send(&self, call: Call, message: Message) -> Doing<'_, Result<Outcome, StepError>> {
        Box::pin(self.act(call, message.text.into()))
    }

    fn room(&self, _need: Need) -> Doing<'_, Room> {
        Box::pin(async { Room::Free })
    }

    fn told(&self, _told: &Told) {}
}

/// What the line of an attempt ends with.
const WHOLE: &str = "noted";

/// One attempt, as its worker noted it when it began.
pub(crate) struct Attempt {
    pub(crate) key: String,
    pub(crate) fence: i64,
    pub(crate) at_ms: i64,
    pub(crate) worker: String,
}

/// All attempts; one that was cut off while it was noted has done nothing.
pub(crate) fn attempts(folder: &Path) -> Vec<Attempt> {
    let text = std::fs::read_to_string(folder.join("attempts")).unwrap_or_default();
    let parse = |line: &str| {
        let mut words = line.split(' ');
        let number = |word: Option<&str>| word.unwrap().parse::<i64>().unwrap();
        Attempt {
            key: words.next().unwrap().to_owned(),
            fence: number(words.next()),
            at_ms: number(words.next()),
            worker: words.next().unwrap().to_owned(),
        }
    };
    text.lines().filter(|line| line.ends_with(WHOLE)).map(parse).collect()
}

/// Every run is done, each of its steps has one result, and each effect is there exactly once.
pub(crate) async fn check(desk: &Desk, folder: &Path, runs: &[String]) {
    let sink: BTreeSet<String> = std::fs::read_dir(folder.join("sink"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let expected: BTreeSet<String> = runs.iter().flat_map(|run| expected_keys(run)).collect();
    assert_eq!(sink, expected, "an effect is missing, or one has two keys");
    for run in runs {
        let detail = desk.show(run).await.unwrap();
        assert_eq!(detail.summary.status, Status::Done, "{:?}", detail.summary);
        let mut results = BTreeMap::new();
        let mut resumed = BTreeSet::new();
        for entry in &detail.history {
            match &entry.event {
                Event::Finished { step, item, maybe_twice, .. } => {
                    *results.entry(format!("{step} {item:?}")).or_insert(0) += 1;
                    let was_felt = matches!(step.trim_start_matches('s').parse::<usize>().unwrap() % 5, 1 | 3);
                    assert!(!maybe_twice || (was_felt && resumed.contains(&(step.clone(), *item))), "{entry:?}");
                }
                Event::Resumed { step, item, .. } => {
                    resumed.insert((step.clone(), *item));
                }
                _ => {}
            }
        }
        assert_eq!(results.len(), STEPS - 2 + 2 * ITEMS, "{results:?}");
        assert!(results.values().all(|count| *count == 1), "{results:?}");
        let twentieth = detail.steps.last().unwrap().value.clone().unwrap();
        assert_eq!(twentieth, json!("1"), "values flowed from step to step");
    }
}
