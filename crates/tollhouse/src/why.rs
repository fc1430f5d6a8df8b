//! `tollhouse why`: the whole story of one request, and a verdict in plain words. It reads the index as it lies on the
//! disk, or asks the cluster in its place, so it also works while the house is down.

use std::io::{IsTerminal, Write};

use anyhow::bail;
use tollhouse_doctor::{Story, Telling};
use tollhouse_elastic::searched_here;

use crate::cli::WhyArgs;
use crate::search::cell;
use crate::{shelf, wiring};

/// Columns of the longest bar.
const BAR_COLUMNS: f64 = 40.0;

pub(crate) async fn why(args: &WhyArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    let shelf = shelf::open_read_only(&config)?;
    let mut telling = Telling::new(&args.request_id, &wiring::server_sources(&config));
    while let Some(search) = telling.next_search() {
        telling.take(serde_json::to_value(searched_here(&shelf, "*", &search).await?)?);
    }
    let Some(story) = telling.story() else {
        bail!(
            "no record names the request {}; a record can be found a second after it was written, and until it is older \
             than `store.keep`. The id stands in the answer's header x-request-id",
            args.request_id
        );
    };

    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", story.to_json())?;
        return Ok(());
    }
    tell(&mut out, &story, std::io::stdout().is_terminal())?;
    Ok(())
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
        writeln!(out, "\nlines of other programs (joined by request id, trace id, or the time on its server)")?;
    }
    for line in lines {
        let record = &line.record;
        let (when, source) = (cell(&record["@timestamp"], 24), cell(&record["source"], 12));
        writeln!(out, "  {when}  {:<10}  {source:<12}  {}", line.by.as_str(), cell(&record["msg"], 110))?;
    }
    if story.has_more_lines() {
        writeln!(out, "  … and more: tollhouse search shows all")?;
    }
    Ok(())
}

fn millis(ms: f64) -> String {
    if ms >= 10_000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.1} ms") }
}
