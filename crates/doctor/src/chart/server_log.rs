//! What the model servers and the kernel wrote in the last hour: lines that mean trouble, by a table.

use crate::check::{Area, Check, Status, Step};
use crate::facts::{Facts, LineFacts};

/// What a line says, and what that means: `data/lines.tsv`.
const TABLE: &str = include_str!("../data/lines.tsv");

/// One row of the table.
struct Row {
    code: &'static str,
    status: Status,
    /// Parts that all have to be in the line, in lower case.
    parts: Vec<&'static str>,
    meaning: &'static str,
    fix: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (code, status, parts, meaning, fix) = (cell(), cell(), cell(), cell(), cell());
        let status = if status == "warn" { Status::Warn } else { Status::Fault };
        Row { code, status, parts: parts.split(" … ").collect(), meaning, fix }
    })
}

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let step = || Step::new(Area::ServerLog, "log.lines", "the lines of model servers and the kernel in the last hour");
    if !facts.lines_read {
        return vec![
            step().skipped("no source collects the lines of a model server; name one under `sources` (format: ollama)"),
        ];
    }
    let mut checks = Vec::new();
    let mut taken = vec![false; facts.lines.len()];
    for row in rows() {
        let is_so = |line: &LineFacts| {
            let text = line.text.to_lowercase();
            row.parts.iter().all(|part| text.contains(part))
        };
        let mut hits = 0;
        let mut last = None;
        for (line, taken) in facts.lines.iter().zip(&mut taken).filter(|(_, taken)| !**taken) {
            if is_so(line) {
                *taken = true;
                hits += 1;
                last = Some(line);
            }
        }
        let Some(line) = last else { continue };
        let found = format!("{} ({hits} times, last at {} by {}): {}", row.meaning, line.at, line.source, line.text);
        let step = step().of(line.source.clone());
        checks.push(match row.status {
            Status::Warn => step.warn(row.code, found, row.fix),
            _ => step.fault(row.code, found, row.fix),
        });
    }
    if checks.is_empty() {
        checks.push(step().ok(format!("{} lines, none of them of a known trouble", facts.lines.len())));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole_and_documented() {
        const DOC: &str = include_str!("../../../../docs/doctor.md");
        for row in rows() {
            assert!(!row.code.is_empty() && !row.meaning.is_empty() && !row.fix.is_empty(), "{}", row.code);
            assert!(row.parts.iter().all(|part| *part == part.to_lowercase()), "{}", row.code);
            assert!(DOC.contains(&format!("`{}`", row.code)), "{} is not in docs/doctor.md", row.code);
        }
    }
}
