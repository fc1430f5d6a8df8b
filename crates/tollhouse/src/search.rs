//! `tollhouse search`: the book in the terminal. It reads the index as it lies on the disk, or asks the cluster in its place,
//! so it also works while the house is down.

use std::io::{IsTerminal, Read, Write};

use anyhow::Context;
use serde_json::{Value, json};
use tollhouse_config::Config;
use tollhouse_elastic::searched_here;
use tollhouse_notify::Table;
use tollhouse_watch::{ReportKind, Span};

use crate::cli::{ReportName, SearchArgs, SearchCommand};
use crate::shelf;

/// Longest cell of a report.
const CELL_CHARS_MAX: usize = 60;
/// Columns of the table: field, heading, width.
const COLUMNS: [(&str, &str, usize); 8] = [
    ("@timestamp", "TIME", 24),
    ("http_status", "STATUS", 6),
    ("model_name", "MODEL", 18),
    ("user_id", "USER", 12),
    ("input_tokens", "IN", 7),
    ("output_tokens", "OUT", 7),
    ("duration_ms", "MS", 10),
    ("request_id", "REQUEST", 29),
];

pub(crate) async fn search(args: &SearchArgs) -> anyhow::Result<()> {
    let config = args.config.load()?;
    if let Some(SearchCommand::Report { report, days, top, as_json }) = &args.command {
        return tell_report(&config, *report, *days, usize::from(*top), *as_json || args.json).await;
    }
    let body = match &args.dsl {
        Some(path) => read_body(path)?,
        None => json!({
            "query": {"query_string": {"query": args.query}},
            "sort": [{"@timestamp": "desc"}],
            "size": args.size,
        }),
    };
    let shelf = shelf::open_read_only(&config)?;
    let answer = serde_json::to_value(searched_here(&shelf, &args.index, &body).await?)?;

    let mut out = std::io::stdout().lock();
    if args.json || args.dsl.is_some() {
        writeln!(out, "{answer:#}")?;
        return Ok(());
    }
    let hits = answer["hits"]["hits"].as_array().cloned().unwrap_or_default();
    table(&mut out, &hits)?;
    eprintln!("{} of {} records", hits.len(), answer["hits"]["total"]["value"]);
    Ok(())
}

/// A report of the last days.
async fn tell_report(
    config: &Config,
    report: ReportName,
    days: u32,
    rows_max: usize,
    as_json: bool,
) -> anyhow::Result<()> {
    let kind = match report {
        ReportName::Errors => ReportKind::Errors,
        ReportName::Slow => ReportKind::Slow,
        ReportName::Tokens => ReportKind::Tokens,
        ReportName::Top => ReportKind::Top,
    };
    let to_ms = jiff::Timestamp::now().as_millisecond();
    let span = Span { from_ms: to_ms - i64::from(days) * 24 * 3_600_000, to_ms };
    let opened = config.clone();
    let shelf = tokio::task::spawn_blocking(move || shelf::open_read_only(&opened)).await??;
    let tables = kind.tables(&shelf, span, rows_max).await.context("asking the stored records")?;
    let mut out = std::io::stdout().lock();
    if as_json {
        writeln!(out, "{:#}", json!({"days": days, "tables": tables}))?;
        return Ok(());
    }
    if tables.is_empty() {
        let last = if days == 1 { "day".to_owned() } else { format!("{days} days") };
        writeln!(out, "nothing of that in the last {last}")?;
    }
    for table in tables {
        let cells = |row: &Vec<String>| row.iter().map(|text| cell(&json!(text), CELL_CHARS_MAX)).collect();
        let shown = Table { rows: table.rows.iter().map(cells).collect(), ..table };
        writeln!(out, "{}\n", shown.text())?;
    }
    Ok(())
}

fn read_body(path: &std::path::Path) -> anyhow::Result<Value> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    }
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// One line a record: requests in columns, other records by their message. Red where a request failed, on a terminal.
fn table(out: &mut impl Write, hits: &[Value]) -> std::io::Result<()> {
    let colours = std::io::stdout().is_terminal();
    let headings: Vec<String> = COLUMNS.iter().map(|(_, heading, width)| format!("{heading:<width$}")).collect();
    writeln!(out, "{}  WHAT", headings.join("  "))?;
    for hit in hits {
        let record = &hit["_source"];
        let cells: Vec<String> =
            COLUMNS.iter().map(|(field, _, width)| format!("{:<width$}", cell(&record[*field], *width))).collect();
        let what = [&record["kind"], &record["msg"], &record["error"]];
        let what: Vec<String> = what.iter().map(|value| cell(value, 120)).filter(|text| text != "-").collect();
        let failed = record["http_status"].as_f64().is_some_and(|status| status >= 400.0);
        let (on, off) = if colours && failed { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
        writeln!(out, "{on}{}  {}{off}", cells.join("  "), what.join(": "))?;
    }
    Ok(())
}

/// A value as one cell, line ends as blanks. Other control characters are shown, not sent to the terminal (attack catalogue, 102).
pub(crate) fn cell(value: &Value, width: usize) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let printable = text.chars().map(|c| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() || is_bidi_control(c) => '\u{fffd}',
        c => c,
    });
    let mut shown: String = printable.clone().take(width).collect();
    if printable.count() > width {
        shown.pop();
        shown.push('…');
    }
    shown
}

/// Characters that reorder what stands around them.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_without_control_characters() {
        assert_eq!(cell(&json!("a\u{1b}[31m\nb"), 20), "a\u{fffd}[31m b");
        assert_eq!(cell(&json!("\u{202e}abc"), 20), "\u{fffd}abc");
        assert_eq!(cell(&json!("abcdef"), 4), "abc…");
        assert_eq!(cell(&Value::Null, 4), "-");
        assert_eq!(cell(&json!(12.5), 4), "12.5");
    }
}
