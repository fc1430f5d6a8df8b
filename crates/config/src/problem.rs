//! What is wrong with a configuration, and how it is told.

use std::fmt;

use crate::saying::Said;

/// How many problems are kept; more help nobody.
pub(crate) const PROBLEMS_MAX: usize = 50;

/// A place in the file.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub width: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where; `None` when it is about the file as a whole.
    pub place: Option<Place>,
    /// The way to the value that it is about, empty for the whole file; `None` where `what` names it.
    pub path: Option<String>,
    /// What is wrong.
    pub what: Said,
    /// What was expected instead.
    pub expected: Option<Said>,
    /// Advice that goes further.
    pub hint: Option<Said>,
    /// The line, made safe to show.
    pub(crate) excerpt: Option<Excerpt>,
}

/// A line of the file as it is shown: without control characters, with secrets masked, cut to a width.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Excerpt {
    /// The number of the line, where it is not the one of the place: of a program inside of the file.
    pub(crate) line: Option<usize>,
    pub(crate) text: String,
    /// Terminal columns before the first caret.
    pub(crate) caret_from: usize,
    /// Number of carets.
    pub(crate) carets: usize,
}

impl Problem {
    /// One without advice.
    pub fn new(place: Option<Place>, what: impl Into<Said>) -> Self {
        Self { place, path: None, what: what.into(), expected: None, hint: None, excerpt: None }
    }

    /// One of a value, by the way to it.
    pub fn of(place: Option<Place>, path: &str, what: impl Into<Said>) -> Self {
        Self { path: Some(printable(&shown(path))), ..Self::new(place, what) }
    }

    /// Says what was expected.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<Said>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says how to go on.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Said>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong with what, in English.
    pub fn message(&self) -> String {
        match &self.path {
            Some(path) => format!("{}: {}", named(path), self.what.words()),
            None => self.what.words().to_owned(),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file. Its `Display` is meant for a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigErrors {
    file: String,
    problems: Vec<Problem>,
    left_out: usize,
}

impl ConfigErrors {
    /// Puts problems in the order of the file and lets `illustrate` give those that are kept their lines. `left_out` counts
    /// those that were found but not kept.
    pub(crate) fn new(
        file: &str,
        mut problems: Vec<Problem>,
        left_out: usize,
        illustrate: impl FnMut(&mut Problem),
    ) -> Self {
        problems.sort_by_key(|problem| problem.place);
        let left_out = left_out + problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        problems.iter_mut().for_each(illustrate);
        Self { file: file.to_owned(), problems, left_out }
    }

    /// One that is found once the file has been read; `file` as it was named.
    pub fn of(file: &str, problem: Problem) -> Self {
        Self::new(file, vec![problem], 0, |_| {})
    }

    /// The file as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The problems, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            write_problem(f, &self.file, problem)?;
        }
        match self.problems.len() + self.left_out {
            1 => write!(f, "1 error in {}", self.file),
            count => write!(f, "{count} errors in {}", self.file),
        }?;
        if self.left_out > 0 {
            write!(f, ", the first {} are shown", self.problems.len())?;
        }
        Ok(())
    }
}

fn write_problem(f: &mut fmt::Formatter<'_>, file: &str, problem: &Problem) -> fmt::Result {
    let mut gutter = 0;
    match problem.place {
        Some(place) => {
            writeln!(f, "{file}:{}:{}: {}", place.line, place.column, problem.message())?;
            let line = problem.excerpt.as_ref().and_then(|excerpt| excerpt.line).unwrap_or(place.line);
            gutter = line.to_string().len();
            if let Some(Excerpt { text, caret_from, carets, .. }) = &problem.excerpt {
                writeln!(f, " {line} | {text}")?;
                writeln!(f, " {:gutter$} | {:caret_from$}{:^<carets$}", "", "", "")?;
            }
        }
        None => writeln!(f, "{file}: {}", problem.message())?,
    }
    if let Some(expected) = &problem.expected {
        writeln!(f, " {:gutter$} = expected {}", "", expected.words())?;
    }
    if let Some(hint) = &problem.hint {
        writeln!(f, " {:gutter$} = hint: {}", "", hint.words())?;
    }
    writeln!(f)
}

/// How much of a value is repeated in a message.
const SHOWN_CHARS: usize = 60;

/// A value as it is repeated in a message.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// A path as messages name it.
pub(crate) fn named(path: &str) -> String {
    if path.is_empty() { "the file".to_owned() } else { format!("`{}`", shown(path)) }
}

pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if is_unsafe_to_show(c) { ' ' } else { c }).collect()
}

/// What a terminal would obey instead of showing it: control characters, and those that change the direction of text or have
/// no width.
pub(crate) fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
