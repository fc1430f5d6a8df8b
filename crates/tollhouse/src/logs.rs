//! `tollhouse logs`: the newest records as lines, and those that come while it runs. It reads what `search` reads, so it also works
//! while the house is down.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use tollhouse_config::Config;
use tollhouse_elastic::searched_here;

use crate::cli::LogsArgs;
use crate::search::cell;
use crate::shelf;

/// How often is looked for new records: they can be found a second after they were written.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Records that one look takes; the next look takes those behind them.
const LOOK_RECORDS_MAX: usize = 1_000;
/// Longest message of a line.
const MESSAGE_CHARS_MAX: usize = 400;
/// Longest kind, source or name of a rule.
const NAME_CHARS_MAX: usize = 40;

pub(crate) async fn logs(args: &LogsArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let query = json!({"query_string": {"query": args.query}});
    // The newest one says where to go on from, also where none is to be printed.
    let newest = json!({"query": query, "sort": [{"seq": "desc"}], "size": args.lines.max(1)});
    let mut records = find(&config, &newest).await?;
    let mut last = records.first().map_or(0, seq);
    records.truncate(args.lines.into());
    records.reverse();
    print(&records, args.json)?;
    if !args.follow {
        return Ok(());
    }
    loop {
        sleep(LOOK_EVERY).await;
        let behind = json!({"bool": {"filter": [query, {"range": {"seq": {"gt": last}}}]}});
        let look = json!({"query": behind, "sort": [{"seq": "asc"}], "size": LOOK_RECORDS_MAX});
        let records = find(&config, &look).await?;
        last = records.last().map_or(last, seq);
        print(&records, args.json)?;
    }
}

/// The records of an answer. Each look opens the index anew: what the house committed since shows only then.
async fn find(config: &Config, body: &Value) -> anyhow::Result<Vec<Value>> {
    let shelf = shelf::open_read_only(config)?;
    let mut answer = serde_json::to_value(searched_here(&shelf, "*", body).await?)?;
    let hits = answer["hits"]["hits"].as_array_mut().map(std::mem::take).unwrap_or_default();
    Ok(hits.into_iter().map(|mut hit| hit["_source"].take()).collect())
}

fn seq(record: &Value) -> u64 {
    record["seq"].as_u64().unwrap_or_default()
}

fn print(records: &[Value], as_json: bool) -> anyhow::Result<()> {
    let stdout = std::io::stdout();
    let has_colours = stdout.is_terminal();
    let mut out = stdout.lock();
    for record in records {
        if as_json {
            writeln!(out, "{record}")?;
        } else {
            writeln!(out, "{}", line(record, has_colours))?;
        }
    }
    out.flush()?;
    Ok(())
}

/// When, how bad, what kind of record, and what it says.
fn line(record: &Value, has_colours: bool) -> String {
    let level = record["level"].as_str().unwrap_or("info");
    let (on, off) = match level {
        "error" | "critical" if has_colours => ("\x1b[31m", "\x1b[0m"),
        "warn" if has_colours => ("\x1b[33m", "\x1b[0m"),
        _ => ("", ""),
    };
    // A collected line names its source, everything else its kind.
    let whose = if record["kind"] == "log" { &record["source"] } else { &record["kind"] };
    let mut said = vec![cell(&record["msg"], MESSAGE_CHARS_MAX)];
    for (name, shown) in [
        ("http_status", "status"),
        ("model_name", "model"),
        ("user_id", "user"),
        ("duration_ms", "ms"),
        ("request_id", "id"),
        ("error", "error"),
    ] {
        if !record[name].is_null() {
            said.push(format!("{shown}={}", cell(&record[name], MESSAGE_CHARS_MAX)));
        }
    }
    let time = cell(&record["@timestamp"], NAME_CHARS_MAX);
    format!("{time}  {on}{:<5}{off}  {:<10}  {}", cell(&json!(level), 8), cell(whose, NAME_CHARS_MAX), said.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_it_holds() {
        let request = json!({
            "@timestamp": "2026-01-27T08:00:00.000Z", "level": "error", "kind": "request", "msg": "request done",
            "http_status": 502, "model_name": "qwen3:32b", "duration_ms": 12.5, "request_id": "r1",
        });
        assert_eq!(
            line(&request, false),
            "2026-01-27T08:00:00.000Z  error  request     request done status=502 model=qwen3:32b ms=12.5 id=r1"
        );
        assert!(line(&request, true).contains("\x1b[31merror\x1b[0m"));
        let collected = json!({"kind": "log", "source": "nginx", "msg": "a\n\x1b[2Jb"});
        assert_eq!(line(&collected, false), "-  info   nginx       a \u{fffd}[2Jb");
    }
}
