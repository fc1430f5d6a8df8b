//! The text of the file by lines, and the excerpts of it that errors show.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use crate::problem::{Excerpt, Place, Problem, is_unsafe_to_show};

/// Terminal columns of a line that an error shows.
const EXCERPT_COLUMNS: usize = 110;
/// Terminal columns shown before the culprit when a line is too long.
const EXCERPT_COLUMNS_BEFORE: usize = 50;

pub(crate) struct Source<'t> {
    lines: Vec<&'t str>,
    /// What must not be shown; `None` as long as nobody knows where the values are.
    masks: Option<Vec<Mask>>,
}

/// A range of characters from one place to another; the end is not part of it. Lines and columns count from 1.
pub(crate) struct Mask {
    pub(crate) from: (usize, usize),
    pub(crate) to: (usize, usize),
}

impl<'t> Source<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { lines: lines(text), masks: None }
    }

    /// A line without its end; empty beyond the last one.
    pub(crate) fn line(&self, line: usize) -> &'t str {
        line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or_default()
    }

    /// Says what must not be shown. Until then, secrets are guessed from the look of a line.
    pub(crate) fn hide(&mut self, masks: Vec<Mask>) {
        self.masks = Some(masks);
    }

    /// Finds `needle` in the line of `place`, not before it.
    pub(crate) fn find(&self, place: Place, needle: &str) -> Option<Place> {
        let line = self.line(place.line);
        let start = line.char_indices().nth(place.column - 1)?.0;
        let found = start + line[start..].find(needle)?;
        let column = line[..found].chars().count() + 1;
        Some(Place { line: place.line, column, width: needle.chars().count().max(1) })
    }

    /// Gives a problem the line that it is about.
    pub(crate) fn illustrate(&self, problem: &mut Problem) {
        if let Some(place) = &mut problem.place {
            *place = self.inside(*place);
            problem.excerpt = Some(self.excerpt(*place));
        }
    }

    /// Where the text ends too early, the parser names a place behind everything; what is looked for is missing at the end of
    /// the last line with anything in it.
    fn inside(&self, place: Place) -> Place {
        let is_written = |line: &str| !line.trim().is_empty();
        let Some(last) = self.lines.iter().rposition(|line| is_written(line)).map(|index| index + 1) else {
            return Place { line: 1, column: 1, width: 1 };
        };
        if place.line <= last {
            return place;
        }
        Place { line: last, column: self.line(last).trim_end().chars().count() + 1, width: 1 }
    }

    fn excerpt(&self, place: Place) -> Excerpt {
        let cells = self.cells(place.line);
        let culprit = place.column..place.column + place.width;
        // A place beyond the end of the line (something is missing there) is shown right behind its last character.
        let end: usize = cells.iter().map(|cell| cell.width).sum();
        let mut from = end;
        let mut to = end;
        let mut at = 0;
        for cell in &cells {
            if cell.columns.start < culprit.end && culprit.start < cell.columns.end {
                from = from.min(at);
                to = at + cell.width;
            }
            at += cell.width;
        }
        if from == end {
            to = end;
        }

        if end <= EXCERPT_COLUMNS {
            let text = cells.iter().map(|cell| cell.shown.as_ref()).collect();
            return Excerpt { line: None, text, caret_from: from, carets: to.saturating_sub(from).max(1) };
        }
        let window_from = from.saturating_sub(EXCERPT_COLUMNS_BEFORE);
        let window_to = window_from + EXCERPT_COLUMNS;
        let mut text = String::new();
        let mut shown_from = None;
        let mut at = 0;
        for cell in &cells {
            if at >= window_from && at + cell.width <= window_to {
                shown_from.get_or_insert(at);
                text.push_str(&cell.shown);
            }
            at += cell.width;
        }
        let shown_from = shown_from.unwrap_or(from);
        let dots_before = if shown_from > 0 { "…" } else { "" };
        let dots_after = if end > window_to { "…" } else { "" };
        let caret_from = from.saturating_sub(shown_from) + usize::from(shown_from > 0);
        Excerpt {
            line: None,
            text: format!("{dots_before}{text}{dots_after}"),
            caret_from,
            carets: to.min(window_to).saturating_sub(from).max(1),
        }
    }

    /// The line's characters as they are shown: what a terminal would obey or could not align is replaced, secrets are `***`.
    fn cells(&self, line: usize) -> Vec<Cell> {
        let text = self.line(line);
        let ranges: Vec<(usize, usize)> = match &self.masks {
            Some(masks) => masks.iter().filter_map(|mask| mask.on_line(line)).collect(),
            None => secret_range(text).into_iter().collect(),
        };
        let masked = |column: usize| ranges.iter().any(|(from, to)| (*from..*to).contains(&column));

        let mut cells: Vec<Cell> = Vec::new();
        let mut in_mask = false;
        for (index, c) in text.chars().enumerate() {
            let column = index + 1;
            if masked(column) {
                match cells.last_mut() {
                    Some(last) if in_mask => last.columns.end = column + 1,
                    _ => cells.push(Cell { columns: column..column + 1, shown: "***".into(), width: 3 }),
                }
                in_mask = true;
                continue;
            }
            in_mask = false;
            let shown = if is_unsafe_to_show(c) { ' ' } else { c };
            let width = shown.width().unwrap_or(0);
            cells.push(Cell { columns: column..column + 1, shown: shown.to_string().into(), width });
        }
        cells
    }
}

impl Excerpt {
    /// A line of a program that stands in the file.
    pub(crate) fn of_program(line: usize, text: &str, column: usize, width: usize) -> Self {
        let mut source = Source::new(text);
        // It is a program, in which no value is a secret's.
        source.hide(Vec::new());
        let excerpt = source.excerpt(Place { line: 1, column, width });
        Self { line: Some(line), ..excerpt }
    }
}

/// A piece of a shown line.
struct Cell {
    columns: std::ops::Range<usize>,
    shown: Cow<'static, str>,
    width: usize,
}

impl Mask {
    fn on_line(&self, line: usize) -> Option<(usize, usize)> {
        if line < self.from.0 || line > self.to.0 {
            return None;
        }
        let from = if line == self.from.0 { self.from.1 } else { 1 };
        let to = if line == self.to.0 { self.to.1 } else { usize::MAX };
        Some((from, to))
    }
}

/// Whether a key's value is likely to be secret, whatever key of ours its writer had in mind.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    ["key", "secret", "token", "passw", "credential"].iter().any(|word| name.ends_with(word))
        || ["passw", "secret"].iter().any(|word| name.contains(word))
}

/// What follows a key that looks like a secret's, up to the end of the line. Needed where a text could not be parsed, so that
/// nobody knows where its values are; it rather hides too much.
pub(crate) fn secret_range(line: &str) -> Option<(usize, usize)> {
    let mut rest = line;
    let mut passed = 0;
    while let Some(colon) = rest.find(':') {
        let before = rest[..colon].trim_end_matches([' ', '"', '\'']);
        let name_start = before.rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).map_or(0, |at| at + 1);
        let name_start = (name_start..=before.len()).find(|at| before.is_char_boundary(*at)).unwrap_or(before.len());
        passed += rest[..=colon].chars().count();
        rest = &rest[colon + 1..];
        let value = rest.trim_start_matches([' ', '"', '\'']);
        let is_reference = reference_len(value).is_some();
        if is_secret_name(&before[name_start..])
            && !value.is_empty()
            && !value.starts_with(['{', '[', '#'])
            && !is_reference
        {
            let gap = rest.chars().count() - rest.trim_start().chars().count();
            return Some((passed + gap + 1, usize::MAX));
        }
    }
    None
}

/// Length of the `${NAME}` or `file:/path` that a value begins with. It may be shown, since it only tells where the secret is;
/// a default that is written into it is none.
pub(crate) fn reference_len(value: &str) -> Option<usize> {
    if value.starts_with("file:") {
        return Some(value.len());
    }
    let inside = &value.strip_prefix("${")?[..value.find('}')? - 2];
    let has_default = inside.split_once(":-").is_some_and(|(_, default)| !default.is_empty());
    (!has_default).then_some(inside.len() + 3)
}

/// Splits a text where YAML does: at LF, CR and CR LF.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        lines.extend(line.split('\r'));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str, column: usize, width: usize) -> String {
        let Excerpt { text, caret_from, carets, .. } = Source::new(line).excerpt(Place { line: 1, column, width });
        format!("{text}\n{:caret_from$}{:^<carets$}", "", "")
    }

    #[test]
    fn carets_stand_under_wide_characters() {
        assert_eq!(show("名: 值", 4, 1), "名: 值\n    ^^");
        assert_eq!(show("a\tb", 3, 1), "a b\n  ^");
        assert_eq!(show("a\u{1b}[31mb", 7, 1), "a [31mb\n      ^");
    }

    #[test]
    fn a_place_behind_the_line_is_shown_at_its_end() {
        assert_eq!(show("ab", 9, 1), "ab\n  ^");
        assert_eq!(show("", 1, 5), "\n^");
    }

    #[test]
    fn long_lines_are_cut_around_the_culprit() {
        let line = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = show(&line, 501, 1);
        let (text, caret) = shown.split_once('\n').expect("two lines");
        assert!(text.chars().count() <= EXCERPT_COLUMNS + 2);
        assert_eq!(text.chars().position(|c| c == 'X'), caret.find('^'));
    }

    #[test]
    fn secrets_are_masked_even_in_lines_that_nobody_could_parse() {
        for line in [
            "key: sk-1",
            "a: {api_key: \"sk-1\", b: ]",
            "KEY : sk-1",
            "x: {password: sk-1",
            "\"key\": sk-1",
            "key: \"${A:-sk-1}",
        ] {
            assert!(!show(line, 1, 1).contains("sk-1"), "{line}");
        }
        for line in
            ["key: ${NAME}", "key: \"${NAME:-}\"", "key: file:/run/key", "keys: [a]", "max_tokens: 5", "é: x, key:"]
        {
            assert!(show(line, 1, 1).starts_with(line), "{line}");
        }
        let mut source = Source::new("a\nbcd\ne");
        source.hide(vec![Mask { from: (2, 2), to: (2, 4) }]);
        assert_eq!(source.excerpt(Place { line: 2, column: 3, width: 1 }).text, "b***");
    }

    #[test]
    fn lines_end_as_in_yaml() {
        assert_eq!(lines("a\nb\r\nc\rd"), ["a", "b", "c", "d"]);
    }
}
