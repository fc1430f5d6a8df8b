//! Figures of the engine: steps a second with full durability, the time to go on after a crash, many waiting runs, long lists.
//!
//! `cargo run --release -p tollhouse-tasks --example figures -- tasks.db|postgres://… [RUNS] [WAITING] [ENDED]`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tollhouse_tasks::{
    Ask, Book, Call, Collect, Command, Definition, Desk, Doing, Engine, File, Filter, Hands, Message, Need, Options,
    Order, Outcome, Room, Status, StepError, SystemClock, TaskError, Told,
};

/// Steps of the task that is measured.
const STEPS: usize = 20;
/// Runs that are ordered at a time.
const AT_ONCE: usize = 5_000;
/// How often a list is asked for.
const LOOKS: usize = 21;
/// Bytes of events of a run of one step, about.
const RUN_BYTES: u64 = 290;

/// Hands that do nothing, at once.
struct Idle;

type Done<'a> = Doing<'a, Result<Outcome, StepError>>;

fn done<'a>() -> Done<'a> {
    Box::pin(async { Ok(Outcome { value: Value::Bool(true), tokens: 0, is_surely_once: true }) })
}

impl Hands for Idle {
    fn ask(&self, _: Call, _: Ask) -> Done<'_> {
        done()
    }

    fn collect(&self, _: Call, _: Collect) -> Done<'_> {
        done()
    }

    fn run(&self, _: Call, _: Command) -> Done<'_> {
        done()
    }

    fn write(&self, _: Call, _: File) -> Done<'_> {
        done()
    }

    fn send(&self, _: Call, _: Message) -> Done<'_> {
        done()
    }

    fn room(&self, _: Need) -> Doing<'_, Room> {
        Box::pin(async { Room::Free })
    }

    fn told(&self, _: &Told) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let place = arguments.first().ok_or("where is the book: a file, or postgres://…")?;
    let count = |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (runs, waiting, ended) = (count(1, 100)?, count(2, 10_000)?, count(3, 10_000)?);
    let book = if place.starts_with("postgres:") {
        Book::postgres(place).await?
    } else {
        Book::sqlite(Path::new(place)).await?
    };
    let desk = Desk::new(book.clone(), Arc::new(SystemClock));
    let steps: Vec<String> = (0..STEPS).map(|n| format!("{{name: s{n}, write: {{path: p, text: t}}}}")).collect();
    let texts = [
        ("many", format!("{{concurrency: 10000, steps: [{}]}}", steps.join(", "))),
        ("one", "{concurrency: 10000, steps: [{name: s, write: {path: p, text: t}}]}".to_owned()),
        ("wait", "{concurrency: 10000, timeout: 720h, steps: [{name: w, wait: {for: 700h}}]}".to_owned()),
    ];
    let mut definitions = Vec::new();
    for (name, text) in &texts {
        definitions.push(Definition::read(&format!("{name}.yaml"), text).map_err(|errors| errors.to_string())?);
    }
    desk.publish(&definitions).await?;
    for workers in [1, 8] {
        order(&desk, "many", runs).await?;
        let took = until_done(&book, &desk, workers).await?;
        println!(
            "{workers} workers: {:.0} steps/s ({runs} runs of {STEPS} steps)",
            (runs * STEPS) as f64 / took.as_secs_f64()
        );
    }
    let mut took = Duration::ZERO;
    for begun in (0..ended).step_by(AT_ONCE) {
        order(&desk, "one", AT_ONCE.min(ended - begun)).await?;
        took += until_done(&book, &desk, 8).await?;
    }
    println!("8 workers: {:.0} runs of one step a second ({ended} runs)", ended as f64 / took.as_secs_f64());
    order(&desk, "wait", waiting).await?;
    let engine = start(&book, 8).await?;
    while count_of(&desk, Status::Queued).await? + count_of(&desk, Status::Running).await? > 0 {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (cpu, begun) = (cpu_seconds(), Instant::now());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let share = (cpu_seconds() - cpu) / begun.elapsed().as_secs_f64() * 100.0;
    println!("{waiting} waiting runs: {share:.2} % of a CPU, {} KiB resident", resident_kib());
    drop(engine);
    for (what, filter) in [
        ("newest 50", Filter::default()),
        ("of a task", Filter { task: Some("one".into()), ..Filter::default() }),
        ("words that are nowhere", Filter { text: Some("nowhere at all".into()), ..Filter::default() }),
    ] {
        let mut times = Vec::new();
        for _ in 0..LOOKS {
            let begun = Instant::now();
            desk.list(&filter).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let (median, worst) = (times[LOOKS / 2], times[LOOKS - 1]);
        println!("list, {what}, of {} runs: {median:.1} ms, worst of {LOOKS} {worst:.1}", 2 * runs + ended + waiting);
    }
    let begun = Instant::now();
    order(&desk, "one", 1).await?;
    until_done(&book, &desk, 1).await?;
    println!("a new engine on this book finishes one more run after {:?}", begun.elapsed());
    let bytes = |what: &str| {
        if let Ok(file) = std::fs::metadata(place) {
            println!("the file, {what}: {:.1} MiB", file.len() as f64 / f64::from(1 << 20));
        }
    };
    bytes("with all of them");
    for (what, keep_runs, keep_bytes) in
        [("half of the bytes", u32::MAX, ended as u64 * RUN_BYTES / 2), ("1,000 of each task", 1_000, u64::MAX)]
    {
        let begun = Instant::now();
        let mut removed = 0;
        // As many rounds as the engine would take.
        loop {
            let gone = desk.retain(keep_runs, 90, keep_bytes).await?;
            removed += gone;
            if gone == 0 {
                break;
            }
        }
        println!("down to {what}: {removed} runs removed in {:?}", begun.elapsed());
        bytes("after that");
    }
    Ok(())
}

async fn order(desk: &Desk, task: &str, count: usize) -> Result<(), TaskError> {
    for _ in 0..count {
        desk.run(Order { task: task.to_owned(), who: "figures".to_owned(), ..Order::default() }).await?;
    }
    Ok(())
}

async fn start(book: &Book, workers: u32) -> Result<Engine, TaskError> {
    let options = Options { workers, is_alone: true, keep_runs: u32::MAX, keep_bytes: u64::MAX, ..Options::default() };
    Engine::start(book.clone(), Arc::new(SystemClock), Arc::new(Idle), options).await
}

/// How long it takes until nothing is left to be done.
async fn until_done(book: &Book, desk: &Desk, workers: u32) -> Result<Duration, TaskError> {
    let begun = Instant::now();
    let engine = start(book, workers).await?;
    while count_of(desk, Status::Queued).await? + count_of(desk, Status::Running).await? > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = begun.elapsed();
    engine.stop(Duration::from_secs(5)).await;
    Ok(took)
}

async fn count_of(desk: &Desk, status: Status) -> Result<usize, TaskError> {
    let filter = Filter { status: Some(status), limit: 1, ..Filter::default() };
    Ok(desk.list(&filter).await?.runs.len())
}

/// CPU time of this process so far.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
