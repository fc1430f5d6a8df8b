//! `tollhouse journal verify`: the chain, the gaps, the index, and a cluster that is shipped to.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tollhouse_config::Config;
use tollhouse_journal::{Report, verify_each};
use tollhouse_ship::Comparison;

use super::args::VerifyArgs;
use super::recount::{Findings, Recount};
use crate::ship;

/// Faults of one sort that are printed; all are counted.
const PRINTED_MAX: usize = 20;

pub(super) fn verify(config: &Config, args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        !args.index || config.store.remote.is_none(),
        "there is no index of our own beside `store.kind`; whether the cluster has all: journal verify --against store"
    );
    let file = config.journal_file();
    let mut recount = args.index.then(|| Recount::open(config)).transpose()?;
    let report = verify_each(&file, |line, seq| {
        if let Some(recount) = &mut recount {
            recount.take(line, seq.unwrap_or(line.seq));
        }
    })
    .with_context(|| format!("reading the journal {}", file.display()))?;
    ensure!(
        report.lines > 0,
        "there is no record in {} or beside it; is this the right configuration?",
        file.display()
    );
    let findings = recount.map(Recount::end);
    let compare = |name: &String| crate::runtime()?.block_on(ship::compared(config, name));
    let cluster = args.against.as_ref().map(compare).transpose()?;
    let is_sound = report.is_sound()
        && findings.as_ref().is_none_or(Findings::is_sound)
        && cluster.as_ref().is_none_or(Comparison::is_equal);

    let mut out = std::io::stdout().lock();
    if args.json {
        let index = findings.as_ref().map(Findings::to_json);
        let cluster = cluster.as_ref().map(ship::comparison_json);
        let all = json!({"sound": is_sound, "journal": to_json(&report), "index": index, "cluster": cluster});
        writeln!(out, "{all:#}")?;
    } else {
        writeln!(out, "journal   {}", file.display())?;
        print(&mut out, &report)?;
        if let Some(findings) = &findings {
            print_index(&mut out, findings)?;
        }
        if let (Some(name), Some(compared)) = (&args.against, &cluster) {
            write!(out, "cluster   {}", ship::comparison_text(name, compared))?;
        }
        writeln!(out, "{}", if is_sound { "all is well" } else { "something is wrong" })?;
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let (first, last) = (report.first_seq.unwrap_or_default(), report.last_seq.unwrap_or_default());
    writeln!(out, "records   {}, seq {first} to {last}", report.lines)?;
    if report.breaks_total == 0 {
        writeln!(out, "chain     whole")?;
    } else {
        writeln!(out, "chain     broken at {} lines", report.breaks_total)?;
        for broken in report.breaks.iter().take(PRINTED_MAX) {
            let seq = broken.seq.map_or_else(|| "?".to_owned(), |seq| seq.to_string());
            writeln!(out, "          seq {seq}, the line that ends at byte {} of {}", broken.end, broken.file)?;
        }
    }
    if report.gaps_total == 0 {
        writeln!(out, "gaps      none")?;
    } else {
        writeln!(out, "gaps      {}", report.gaps_total)?;
        for gap in report.gaps.iter().take(PRINTED_MAX) {
            writeln!(out, "          after seq {} comes seq {}", gap.after, gap.next)?;
        }
    }
    if report.strays_total > 0 {
        writeln!(out, "strays    {} lines that are no records", report.strays_total)?;
        for strays in report.strays.iter().take(PRINTED_MAX) {
            let place =
                strays.after.map_or_else(|| "before the first seq".to_owned(), |seq| format!("after seq {seq}"));
            writeln!(out, "          {} {place} in {}", strays.lines, strays.file)?;
        }
    }
    if let Some(half) = &report.half_line {
        let (bytes, file) = (half.bytes, &half.file);
        writeln!(
            out,
            "half line {bytes} bytes at the end of {file}: a crash left them, or a house is writing them; no fault"
        )?;
    }
    for error in report.unreadable.iter().take(PRINTED_MAX) {
        writeln!(out, "damaged   {error}")?;
    }
    if report.gap_records > 0 {
        let kinds: Vec<String> = report.not_kept.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let count: u64 = report.not_kept.values().sum();
        writeln!(out, "not kept  {count}, as {} gap records tell: {}", report.gap_records, kinds.join(", "))?;
    }
    Ok(())
}

fn print_index(out: &mut impl Write, findings: &Findings) -> std::io::Result<()> {
    writeln!(out, "index     {} documents, compared up to seq {}", findings.documents, findings.judged_to)?;
    if findings.not_yet > 0 {
        writeln!(out, "          {} later records have no document yet; a running house makes it", findings.not_yet)?;
    }
    if findings.dropped > 0 {
        writeln!(out, "          {} records are of indices that are not kept any more", findings.dropped)?;
    }
    writeln!(out, "missing   {}", findings.missing)?;
    writeln!(out, "doubled   {}", findings.doubled)?;
    if !findings.unknown.is_empty() {
        writeln!(out, "unknown   {} (documents of no record)", findings.unknown)?;
    }
    Ok(())
}

fn to_json(report: &Report) -> Value {
    let gaps: Vec<Value> = report.gaps.iter().map(|gap| json!({"after": gap.after, "next": gap.next})).collect();
    let breaks: Vec<Value> =
        report.breaks.iter().map(|line| json!({"file": line.file, "end": line.end, "seq": line.seq})).collect();
    let strays: Vec<Value> = report
        .strays
        .iter()
        .map(|strays| json!({"file": strays.file, "after": strays.after, "lines": strays.lines}))
        .collect();
    let half_line = report.half_line.as_ref().map(|half| json!({"file": half.file, "bytes": half.bytes}));
    json!({
        "records": report.lines,
        "first_seq": report.first_seq,
        "last_seq": report.last_seq,
        "gaps": {"total": report.gaps_total, "listed": gaps},
        "breaks": {"total": report.breaks_total, "listed": breaks},
        "strays": {"total": report.strays_total, "listed": strays},
        "half_line": half_line,
        "damaged": report.unreadable.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "gap_records": report.gap_records,
        "not_kept": report.not_kept,
    })
}
