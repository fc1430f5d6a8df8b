//! Appends records of collected lines as a source of files does, for counting what that costs without the rest of the house:
//! `cargo run --release -p tollhouse-journal --example together FOLDER LINES`.

use std::path::Path;

use tollhouse_journal::{Journal, Level, Options, Record};

/// Records that are made before they are appended.
const AT_ONCE: u64 = 1_024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, lines] = arguments.as_slice() else { return Err("FOLDER LINES".into()) };
    let lines: u64 = lines.parse()?;
    let opened = Journal::open(Options::new(Path::new(folder).join("gateway.log"), "bench"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    runtime.block_on(async {
        for first in (0..lines).step_by(AT_ONCE as usize) {
            let records = (first..lines.min(first + AT_ONCE)).map(line).collect();
            if let Some(error) = opened.journal.append_all(records).await.error {
                return Err(error);
            }
        }
        Ok(())
    })?;
    opened.writer.close()?;
    Ok(())
}

/// What becomes of a usual line.
fn line(n: u64) -> Record {
    let (request_id, millis) = (format!("\"{n:016x}\""), n % 1000);
    Record::new("log", Level::Info, "request done".to_owned())
        .room(600, 20)
        .caller("collect/file")
        .field("source", "gateway")
        .field("time", format!("2026-01-27T10:20:30.{millis:03}Z"))
        .field("file", "/var/log/gateway/gateway.log")
        .field("file_mark", [1, 328 * n, 256, n])
        .json("own_caller", "\"gateway/handler.go:123\"")
        .json("own_service", "\"clawdbot-qwen3\"")
        .json("model", "\"qwen3:32b\"")
        .json("method", "\"POST\"")
        .json("path", "\"/v1/chat/completions\"")
        .json("status", "200")
        .json("duration_ms", "912.3")
        .json("input_tokens", "812")
        .json("output_tokens", "120")
        .json("user_id", "\"user-0042\"")
        .json("request_id", &request_id)
}
