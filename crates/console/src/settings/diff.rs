//! What differs between two texts, by lines.

use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// Unchanged lines around a change.
const AROUND: usize = 3;
/// Lines that are told.
const LINES_MAX: usize = 5_000;
/// After so long a coarser answer has to do.
const TIME_MAX: Duration = Duration::from_millis(500);

/// A line of a difference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Line {
    /// `same`, `out`, `in`, or `gap` where unchanged lines are left out.
    pub(crate) what: &'static str,
    /// Its number in the text before, from 1.
    pub(crate) before: Option<usize>,
    /// Its number in the text after.
    pub(crate) after: Option<usize>,
    /// The line, without its end.
    pub(crate) text: String,
}

/// The changed lines and those around them; nothing where the texts are the same.
pub(crate) fn diff(before: &str, after: &str) -> Vec<Line> {
    let diff = TextDiff::configure().timeout(TIME_MAX).diff_lines(before, after);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(AROUND) {
        if !lines.is_empty() {
            lines.push(Line { what: "gap", before: None, after: None, text: String::new() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let what = match change.tag() {
                ChangeTag::Equal => "same",
                ChangeTag::Delete => "out",
                ChangeTag::Insert => "in",
            };
            let number = |index: Option<usize>| index.map(|index| index + 1);
            lines.push(Line {
                what,
                before: number(change.old_index()),
                after: number(change.new_index()),
                text: change.value().trim_end_matches(['\n', '\r']).to_owned(),
            });
        }
    }
    lines.truncate(LINES_MAX);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_come_with_their_numbers() {
        let before = (1..=20).map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat();
        let after = before.replace("line 2\n", "").replace("line 18\n", "line 18\nnew\n");
        let told: Vec<String> = diff(&before, &after)
            .iter()
            .filter(|line| line.what != "same")
            .map(|line| format!("{} {:?} {:?} {}", line.what, line.before, line.after, line.text))
            .collect();
        assert_eq!(told, ["out Some(2) None line 2", "gap None None ", "in None Some(18) new"]);
        assert!(diff(&before, &before).is_empty());
    }
}
