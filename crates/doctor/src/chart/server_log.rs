//! What the model servers and the kernel wrote in the last hour: lines that mean trouble, by a table.

use serde_json::json;

use crate::check::{Area, Check, Status, Step};
use crate::facts::{Facts, LineFacts};
use crate::said::Said;
use crate::sentence::Sentence;

/// What a line says, and what that means: `data/lines.tsv`.
const TABLE: &str = include_str!("../data/lines.tsv");

/// One row of the table.
struct Row {
    code: &'static str,
    status: Status,
    /// Parts that all have to be in the line, in lower case.
    parts: Vec<&'static str>,
    meaning: Words,
    fix: Words,
}

/// A cell for people: its code, and what it says in English.
struct Words {
    code: &'static str,
    english: &'static str,
}

impl Words {
    fn sentence(&self) -> Sentence {
        Sentence::by(self.english, vec![json!({"code": self.code, "figures": {}})])
    }
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| {
        let mut cells = line.split('\t');
        let mut cell = || cells.next().unwrap_or_default();
        let (code, status, parts) = (cell(), cell(), cell());
        let mut words = || Words { code: cell(), english: cell() };
        let (meaning, fix) = (words(), words());
        let status = if status == "warn" { Status::Warn } else { Status::Fault };
        Row { code, status, parts: parts.split(" … ").collect(), meaning, fix }
    })
}

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let step = || Step::new(Area::ServerLog, "log.lines", Said::AtLines {});
    if !facts.lines_read {
        return vec![step().skipped(Said::LinesUnread {})];
    }
    let mut checks = Vec::new();
    let mut taken = vec![false; facts.lines.len()];
    for row in rows() {
        let is_so = |line: &LineFacts| {
            let text = line.text.to_lowercase();
            row.parts.iter().all(|part| text.contains(part))
        };
        let mut count = 0;
        let mut last = None;
        for (line, taken) in facts.lines.iter().zip(&mut taken).filter(|(_, taken)| !**taken) {
            if is_so(line) {
                *taken = true;
                count += 1;
                last = Some(line);
            }
        }
        let Some(LineFacts { source, at, text }) = last.cloned() else { continue };
        let step = step().of(source.clone());
        let found = row.meaning.sentence().and(Said::LineLast { count, at, source, line: text });
        checks.push(match row.status {
            Status::Warn => step.warn(row.code, found, row.fix.sentence()),
            _ => step.fault(row.code, found, row.fix.sentence()),
        });
    }
    if checks.is_empty() {
        checks.push(step().ok(Said::LinesCalm { count: facts.lines.len() }));
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
            let is_said = |words: &Words, start: &str| words.code.starts_with(start) && !words.english.is_empty();
            assert!(!row.code.is_empty() && is_said(&row.meaning, "line_") && is_said(&row.fix, "do_"), "{}", row.code);
            assert!(row.parts.iter().all(|part| *part == part.to_lowercase()), "{}", row.code);
            assert!(DOC.contains(&format!("`{}`", row.code)), "{} is not in docs/doctor.md", row.code);
        }
    }
}
