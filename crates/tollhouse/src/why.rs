//! `tollhouse why`: the whole story of one request, and a verdict in plain words. It reads the index as it lies on the
//! disk, or asks the cluster in its place, so it also works while the house is down.

use std::io::{IsTerminal, Write};

use anyhow::bail;
use tollhouse_doctor::{Story, Telling};
use tollhouse_elastic::searched_here;

use crate::cli::WhyArgs;
use crate::search::cell;
use crate::{shelf, wiring};

/// Columns of the whole time.
const LINE_COLUMNS: f64 = 50.0;
/// Things that happened meanwhile, told one by one.
const EVENTS_TOLD_MAX: usize = 20;

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
    let name = verdict.name;
    writeln!(out, "          because {} (rule {name}, confidence {:.2})", verdict.rule, verdict.confidence)?;
    time_line(out, story)?;
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

/// Each stretch at its place in the whole time, and what happened meanwhile below.
fn time_line(out: &mut impl Write, story: &Story) -> std::io::Result<()> {
    let phases = story.phases();
    let total_ms = phases.iter().map(|phase| phase.start_ms + phase.duration_ms).fold(0.0, f64::max);
    let column = |ms: f64| ((ms / total_ms).clamp(0.0, 1.0) * LINE_COLUMNS).round() as usize;
    if total_ms > 0.0 {
        writeln!(
            out,
            "\n{:<10}  {:>12}  {:>12}  0{:>width$}",
            "PHASE",
            "BEGAN",
            "TOOK",
            millis(total_ms),
            width = LINE_COLUMNS as usize - 1
        )?;
    }
    for phase in &phases {
        let (from, to) = (column(phase.start_ms), column(phase.start_ms + phase.duration_ms));
        // What is too short to be seen is seen.
        let bar = format!("{}{}", " ".repeat(from.min(LINE_COLUMNS as usize - 1)), "█".repeat((to - from).max(1)));
        writeln!(out, "{:<10}  {:>12}  {:>12}  {bar}", phase.name, millis(phase.start_ms), millis(phase.duration_ms))?;
    }
    for event in story.events().iter().filter(|event| event.is_news()).take(EVENTS_TOLD_MAX) {
        let kind = cell(&event.record["kind"], 10);
        let mark = if total_ms > 0.0 && (0.0..=total_ms).contains(&event.at_ms) {
            format!("{}▲ ", " ".repeat(column(event.at_ms).min(LINE_COLUMNS as usize - 1)))
        } else {
            String::new()
        };
        writeln!(out, "{kind:<10}  {:>12}  {:>12}  {mark}{}", millis(event.at_ms), "", cell(&event.record["msg"], 90))?;
    }
    Ok(())
}

fn millis(ms: f64) -> String {
    if ms.abs() >= 10_000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.1} ms") }
}
