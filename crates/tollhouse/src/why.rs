//! `tollhouse why`: the whole story of one request, and a verdict in plain words. It reads the index as it lies on the
//! disk, so it also works while the house is down.

mod story;
mod verdict;

use std::io::{IsTerminal, Write};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tollhouse_query::dsl;
use tollhouse_store::Store;

use crate::cli::WhyArgs;
use crate::search::cell;
use crate::why::story::Story;

/// Records of one request that are looked at; it leaves two of its own and the log lines that name it.
const RECORDS_MAX: usize = 200;
/// Requests around it that are looked at.
const NEIGHBOURS_MAX: usize = 1000;
/// Longest request whose record is looked for after this one ended, in milliseconds.
const REACH_MS: f64 = 15.0 * 60.0 * 1000.0;
/// Columns of the longest bar.
const BAR_COLUMNS: f64 = 40.0;

pub(crate) fn why(args: &WhyArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let store = Store::open_read_only(config.data_dir.join("index"), &config.service)
        .context("opening the index; has `tollhouse up` run with this configuration?")?;
    let own = json!({
        "query": {"term": {"request_id": args.request_id}},
        "sort": [{"seq": "asc"}],
        "size": RECORDS_MAX,
    });
    let records = sources(&store, &own)?;
    if records.is_empty() {
        bail!(
            "no record names the request {}; a record can be found a second after it was written, and until it is older \
             than `store.keep`. The id stands in the answer's header x-request-id",
            args.request_id
        );
    }
    let mut story = Story::new(&args.request_id, records);
    if let Some(query) = neighbours(&story) {
        story.meet(&sources(&store, &query)?);
    }

    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", story.to_json())?;
        return Ok(());
    }
    tell(&mut out, &story, std::io::stdout().is_terminal())?;
    Ok(())
}

fn sources(store: &Store, body: &Value) -> anyhow::Result<Vec<Value>> {
    let request = dsl::parse_search(body).map_err(|error| anyhow!("{error}"))?;
    let mut answer = serde_json::to_value(store.search("*", &request)?)?;
    let hits = answer["hits"]["hits"].as_array_mut().map(std::mem::take).unwrap_or_default();
    Ok(hits.into_iter().map(|mut hit| hit["_source"].take()).collect())
}

/// The search for other requests that ended on the same model server while this one ran or not long after.
fn neighbours(story: &Story) -> Option<Value> {
    let upstream = story.upstream()?;
    let (start_ms, end_ms) = story.span_ms()?;
    Some(json!({
        "query": {"bool": {"filter": [
            {"term": {"kind": "request"}},
            {"term": {"upstream": upstream}},
            {"range": {"@timestamp": {"gte": start_ms, "lte": end_ms + REACH_MS, "format": "epoch_millis"}}},
        ]}},
        "size": NEIGHBOURS_MAX,
    }))
}

fn tell(out: &mut impl Write, story: &Story, colours: bool) -> std::io::Result<()> {
    let verdict = story.verdict();
    let (on, off) = match (colours, verdict.cause) {
        (false, _) => ("", ""),
        (true, "ok") => ("\x1b[32m", "\x1b[0m"),
        (true, _) => ("\x1b[33m", "\x1b[0m"),
    };
    writeln!(out, "request   {}", story.headline())?;
    writeln!(out, "verdict   {on}{}{off}: {}", verdict.cause, verdict.text)?;
    writeln!(out, "          because {} (confidence {:.2})", verdict.rule, verdict.confidence)?;
    let phases = story.phases();
    if !phases.is_empty() {
        writeln!(out, "\n{:<10}  {:>12}  {:>12}", "PHASE", "BEGAN", "TOOK")?;
    }
    let longest = phases.iter().map(|phase| phase.duration_ms).fold(0.0, f64::max);
    for phase in &phases {
        let columns = if longest > 0.0 { (phase.duration_ms / longest * BAR_COLUMNS).round() as usize } else { 0 };
        let (began, took) = (millis(phase.start_ms), millis(phase.duration_ms));
        writeln!(out, "{:<10}  {began:>12}  {took:>12}  {}", phase.name, "█".repeat(columns))?;
    }
    for (name, value) in story.facts() {
        writeln!(out, "{name:<22}  {}", cell(&value, 100))?;
    }
    let lines = story.lines();
    if !lines.is_empty() {
        writeln!(out, "\nlog lines that name it")?;
    }
    for line in lines {
        writeln!(out, "  {}  {}", cell(&line["@timestamp"], 24), cell(&line["msg"], 120))?;
    }
    Ok(())
}

fn millis(ms: f64) -> String {
    if ms >= 10_000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.1} ms") }
}
