//! What is usable of `shape`: what becomes of collected lines before they are kept.

use std::time::Duration;

use crate::problem::{ConfigErrors, Excerpt, Place, Problem};
use crate::saying::Said;

/// What becomes of the lines of some sources.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeConfig {
    /// Names of sources, or patterns of them in which `*` stands for any characters.
    pub sources: Vec<String>,
    /// The program that each line goes through.
    pub vrl: Option<Vrl>,
    /// What becomes of a line when its program says `abort`.
    pub on_abort: OnAbort,
    /// Kinds of fields, by name.
    pub fields: Vec<(String, FieldKind)>,
    /// How many lines of one pattern are kept in a time.
    pub cap: Option<LineCap>,
}

impl ShapeConfig {
    /// Whether it is about the source of this name.
    pub fn is_about(&self, source: &str) -> bool {
        self.sources.iter().any(|pattern| is_like(pattern, source))
    }
}

/// A VRL program, as it was written.
#[derive(Clone, Debug)]
pub struct Vrl {
    /// The program.
    pub text: String,
    /// Where it stands, so that what is wrong with it can be told; two programs of the same text are equal.
    pub(crate) place: Place,
    pub(crate) path: String,
    pub(crate) file: String,
}

impl PartialEq for Vrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What is wrong at one place of a program.
#[derive(Clone, Debug)]
pub struct ProgramFault {
    /// What.
    pub message: String,
    /// Line of the program, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub width: usize,
    /// That line.
    pub text: String,
    /// Advice.
    pub hint: Option<String>,
}

impl Vrl {
    /// Where it stands in the configuration, such as `shape[0].vrl`.
    pub fn name(&self) -> &str {
        &self.path
    }

    /// What is wrong with programs, told as everything that is wrong with a configuration: the place of the program in the file,
    /// and in it the line with carets.
    pub fn errors<'a>(faults: impl IntoIterator<Item = (&'a Self, ProgramFault)>) -> Option<ConfigErrors> {
        let mut file = None;
        let problems: Vec<Problem> = faults
            .into_iter()
            .map(|(program, fault)| {
                file.get_or_insert(&program.file);
                program.problem(fault)
            })
            .collect();
        Some(ConfigErrors::new(file?, problems, 0, |_| {}))
    }

    fn problem(&self, fault: ProgramFault) -> Problem {
        let ProgramFault { message, line, column, width, text, hint } = fault;
        let what = format!("{message}, in line {line}, column {column} of the program");
        let mut problem = Problem::of(Some(self.place), &self.path, what);
        problem.hint = hint.map(Said::from);
        problem.excerpt = Some(Excerpt::of_program(line, &text, column, width));
        problem
    }
}

/// What becomes of a line when its program says `abort`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnAbort {
    /// It is kept as a dead letter.
    #[default]
    DeadLetter,
    /// It is left out on purpose, and counted.
    Drop,
}

impl OnAbort {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 2] = [("dead_letter", Self::DeadLetter), ("drop", Self::Drop)];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        if self == Self::Drop { "drop" } else { "dead_letter" }
    }
}

/// The kind of a field of lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldKind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A time.
    Date,
}

impl FieldKind {
    /// Words in the configuration.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("text", Self::Text),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("date", Self::Date),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// At most so many lines of one pattern in a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LineCap {
    /// How many, at least 1.
    pub lines: u64,
    /// In how long, at least a second.
    pub per: Duration,
}

/// Whether a name is like a pattern in which `*` stands for any characters.
fn is_like(pattern: &str, name: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(name) = name.strip_prefix(before) else { return false };
    name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| is_like(rest, &name[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_names() {
        for (pattern, name, expected) in [
            ("*", "app", true),
            ("app", "app", true),
            ("app", "app2", false),
            ("app-*", "app-1", true),
            ("*-log", "app-log", true),
            ("a*b*c", "axxbc", true),
            ("a*b*c", "acb", false),
            ("app*", "app", true),
            ("*é", "é", true),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
