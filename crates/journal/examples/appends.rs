//! Measures appends: `cargo run --release -p tollhouse-journal --example appends [tasks] [appends per task]`.

use std::time::{Duration, Instant};

use tollhouse_journal::{Journal, JournalError, Level, Options, Reader, Record, Sync, verify};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let tasks = arguments.next().transpose()?.unwrap_or(200);
    let each = arguments.next().transpose()?.unwrap_or(2000);
    println!("{:<12} {:>12} {:>10} {:>10} {:>12}", "sync", "appends/s", "p50 us", "p99 us", "read lines/s");
    for (name, sync) in [("100ms", Sync::Within(Duration::from_millis(100))), ("each", Sync::Each)] {
        measure(name, sync, tasks, each)?;
    }
    Ok(())
}

fn measure(name: &str, sync: Sync, tasks: u64, each: u64) -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut options = Options::new(dir.path().join("gateway.log"), "bench");
    options.sync = sync;
    let opened = Journal::open(options.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let begin = Instant::now();
    let mut waits = runtime.block_on(async {
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..tasks {
            let journal = opened.journal.clone();
            running.spawn(async move {
                let mut waits = Vec::new();
                for n in 0..each {
                    let begin = Instant::now();
                    journal.append(request(n)).await?;
                    waits.push(begin.elapsed());
                }
                Ok::<_, JournalError>(waits)
            });
        }
        running.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    opened.writer.close()?;
    let mut waits: Vec<Duration> = waits.drain(..).flatten().collect();
    waits.sort_unstable();

    let begin = Instant::now();
    let mut reader = Reader::open(&options.file, None)?;
    let mut lines = Vec::new();
    let mut read = 0;
    loop {
        lines.clear();
        match reader.next_batch(1000, &mut lines)? {
            0 => break,
            count => read += count,
        }
    }
    let read_seconds = begin.elapsed().as_secs_f64();
    let sound = verify(&options.file)?.is_sound();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_micros();
    let per_second = (tasks * each) as f64 / seconds;
    println!("{name:<12} {per_second:>12.0} {:>10} {:>10} {:>12.0}", at(0.5), at(0.99), read as f64 / read_seconds);
    if sound { Ok(()) } else { Err("the journal is not sound".into()) }
}

/// The fields of a usual request.
fn request(n: u64) -> Record {
    Record::new("request", Level::Info, "request completed")
        .caller("gateway/record.rs")
        .field("request_id", format!("req-{n:012}"))
        .field("method", "POST")
        .field("path", "/v1/chat/completions")
        .field("status", 200)
        .field("duration_ms", 1234.5)
        .field("input_tokens", 512)
        .field("output_tokens", 128)
        .field("user_id", "user-42")
        .field("model", "qwen3:32b")
}
