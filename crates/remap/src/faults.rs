//! What the compiler has to say of a program, with places that people find.

use std::fmt;

use vrl::diagnostic::{Diagnostic, DiagnosticList, Note};

use crate::functions::why_denied;

/// Most faults of one program that are told.
const FAULTS_MAX: usize = 10;
/// The compiler's number for a function that it does not know.
const UNDEFINED_FUNCTION: usize = 105;

/// One thing that is wrong with a program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// What.
    pub message: String,
    /// Line of the program, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// How many characters of the line are meant, at least 1.
    pub width: usize,
    /// That line.
    pub text: String,
    /// Advice.
    pub hint: Option<String>,
}

/// All that is wrong with a program, at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Faults(pub Vec<Fault>);

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}line {}, column {}: {}", fault.line, fault.column, fault.message)?;
        }
        Ok(())
    }
}

impl Faults {
    pub(crate) fn of(program: &str, diagnostics: &DiagnosticList) -> Self {
        let wrong = diagnostics.iter().filter(|diagnostic| diagnostic.is_problem());
        let faults: Vec<Fault> = wrong.take(FAULTS_MAX).map(|diagnostic| fault(program, diagnostic)).collect();
        if faults.is_empty() { Self::whole(program, "the program cannot be compiled") } else { Self(faults) }
    }

    /// A fault of the program as a whole.
    pub(crate) fn whole(program: &str, message: &str) -> Self {
        Self(vec![at(program, 0, 0, message, None)])
    }
}

fn fault(program: &str, diagnostic: &Diagnostic) -> Fault {
    let labels = diagnostic.labels();
    let primary = labels.iter().find(|label| label.primary).or(labels.first());
    let (start, end) = primary.map_or((0, 0), |label| (label.span.start(), label.span.end()));
    let named = program.get(start..end).unwrap_or_default();
    if diagnostic.code == UNDEFINED_FUNCTION
        && let Some(why) = why_denied(named)
    {
        let message = format!("programs have no function `{named}`: it {why}");
        return at(program, start, end, &message, Some("the functions there are: docs/shaping.md".to_owned()));
    }
    let message = match primary {
        Some(label) if label.message != diagnostic.message() => {
            format!("{}: {}", diagnostic.message(), label.message)
        }
        _ => diagnostic.message().to_owned(),
    };
    let mut hints: Vec<String> =
        labels.iter().filter(|label| !label.primary).map(|label| label.message.clone()).collect();
    hints.extend(diagnostic.notes().iter().filter_map(hint));
    let hint = hints.join("; ");
    at(program, start, end, &message, (!hint.is_empty()).then_some(hint))
}

fn hint(note: &Note) -> Option<String> {
    match note {
        Note::Hint(hint) => Some(hint.clone()),
        Note::Example(example) => Some(format!("such as {example}")),
        Note::Basic(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        // Addresses of pages about the language as a whole.
        _ => None,
    }
}

/// A fault of a range of bytes.
fn at(program: &str, start: usize, end: usize, message: &str, hint: Option<String>) -> Fault {
    let start = program.floor_char_boundary(start);
    let before = &program[..start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let text = program[line_start..].lines().next().unwrap_or_default();
    let line_end = line_start + text.len();
    let end = program.floor_char_boundary(end).clamp(start, line_end.max(start));
    Fault {
        message: message.split_whitespace().collect::<Vec<_>>().join(" "),
        line: before.matches('\n').count() + 1,
        column: program[line_start..start].chars().count() + 1,
        width: program[start..end].chars().count().max(1),
        text: text.to_owned(),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Program;

    fn first(program: &str) -> Fault {
        Program::compile(program).unwrap_err().0.remove(0)
    }

    #[test]
    fn faults_have_places() {
        for (program, line, column, width, message, hint) in [
            (".a = 1\n.b = get_env_var!(\"HOME\")", 2, 6, 11, "it reads the environment", "docs/shaping.md"),
            (".\"é\" = dns_lookup!(.a)", 1, 8, 10, "it reaches the network", "docs/shaping.md"),
            (".a = upcas(.b)", 1, 6, 5, "undefined function", "upcase"),
            (".a = to_int(.b)", 1, 1, 15, "", ""),
            (".a = ", 1, 1, 1, "", ""),
            (".a = foo", 1, 6, 3, "undefined variable", ""),
        ] {
            let fault = first(program);
            assert_eq!(fault.line, line, "{program}: {fault:?}");
            assert!(fault.message.contains(message), "{program}: {fault:?}");
            assert!(fault.hint.as_deref().unwrap_or_default().contains(hint), "{program}: {fault:?}");
            if !message.is_empty() {
                assert_eq!((fault.column, fault.width), (column, width), "{program}: {fault:?}");
            }
            assert_eq!(fault.text, program.lines().nth(line - 1).unwrap());
        }
    }

    #[test]
    fn places_never_leave_the_program() {
        for (start, end) in [(0, 0), (3, 400), (500, 2), (4, 5), (7, 7)] {
            let fault = at("aé\nbö", start, end, "m", None);
            assert!((1..=2).contains(&fault.line) && fault.width >= 1, "{fault:?}");
        }
        assert_eq!(at("", 9, 9, "", None).line, 1);
    }
}
