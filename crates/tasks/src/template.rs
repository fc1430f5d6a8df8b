//! Fills in templates and works out expressions: the same values give the same text, always.
//!
//! There is no clock, no random number and no file in a template, and its work, its output and its depth are bounded.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::OnceLock;

use minijinja::value::{Value as Known, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use serde_json::{Map, Value};

/// Steps of work that one template may take.
const FUEL: u64 = 1_000_000;
/// How deep values may be nested where they are written into a text.
const DEPTH_MAX: usize = 64;
/// Longest text that a template may give, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// The values that templates see, by name.
pub(crate) type Names = Map<String, Value>;

/// Fills in a template.
pub(crate) fn fill(template: &str, names: &Names) -> Result<String, String> {
    let template = environment().template_from_str(template).map_err(|error| told(&error))?;
    let mut text = Bounded(Vec::new());
    template.render_captured_to(names, &mut text).map_err(|error| told(&error))?;
    Ok(String::from_utf8_lossy(&text.0).into_owned())
}

/// Works out an expression.
pub(crate) fn value_of(expression: &str, names: &Names) -> Result<Value, String> {
    let expression = environment().compile_expression(expression).map_err(|error| told(&error))?;
    let value = expression.eval(names).map_err(|error| told(&error))?;
    if value.is_undefined() {
        return Err("the value is not known".to_owned());
    }
    serde_json::to_value(value).map_err(|error| error.to_string())
}

/// Whether an expression is true as templates see it.
pub(crate) fn is_true(expression: &str, names: &Names) -> Result<bool, String> {
    let expression = environment().compile_expression(expression).map_err(|error| told(&error))?;
    Ok(expression.eval(names).map_err(|error| told(&error))?.is_true())
}

/// Fills in all texts of a value. A text that is nothing but one `{{ … }}` becomes what stands in it, of whatever kind it is,
/// where `keeps_kinds` says so.
pub(crate) fn fill_all(value: &Value, names: &Names, keeps_kinds: bool) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match whole_expression(text).filter(|_| keeps_kinds) {
            Some(expression) => value_of(expression, names)?,
            None => Value::String(fill(text, names)?),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| fill_all(item, names, keeps_kinds)).collect::<Result<_, _>>()?)
        }
        Value::Object(members) => {
            let filled = members.iter().map(|(name, value)| Ok((name.clone(), fill_all(value, names, keeps_kinds)?)));
            Value::Object(filled.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

/// The names that a template or expression needs to know.
pub(crate) fn needs(text: &str, is_expression: bool) -> Result<HashSet<String>, String> {
    if is_expression {
        let expression = environment().compile_expression(text).map_err(|error| told(&error))?;
        return Ok(expression.undeclared_variables(false));
    }
    let template = environment().template_from_str(text).map_err(|error| told(&error))?;
    Ok(template.undeclared_variables(false))
}

fn whole_expression(text: &str) -> Option<&str> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    (!inside.contains("{{") && !inside.contains("}}")).then_some(inside)
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        // A name that is misspelt is an error, not an empty place in a report.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(write_value);
        environment.add_filter("flatten", flatten);
        environment
    })
}

/// One list of the items of several: `[[1, 2], [3]] | flatten` is `[1, 2, 3]`.
fn flatten(lists: &Known) -> Result<Vec<Known>, Error> {
    let mut flat = Vec::new();
    for list in lists.try_iter()? {
        flat.extend(list.try_iter()?);
    }
    Ok(flat)
}

/// Lists and objects are written as JSON, nothing as nothing, everything else as it is.
fn write_value(out: &mut Output<'_>, state: &State<'_, '_>, value: &Known) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            let text = serde_json::to_string(value)
                .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            out.write_str(&text).map_err(Error::from)
        }
        ValueKind::None => Ok(()),
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// What went wrong, in one line.
fn told(error: &Error) -> String {
    let mut text = error.kind().to_string();
    if let Some(detail) = error.detail() {
        text = format!("{text}: {detail}");
    }
    match error.line() {
        Some(line) if line > 1 => format!("{text} (line {line} of the text)"),
        _ => text,
    }
}

/// Takes so many bytes and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > TEXT_BYTES_MAX {
            return Err(io::Error::other("the text becomes longer than 1 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a value is nested too deep to be written or compared without exhausting the stack.
pub(crate) fn is_too_deep(value: &Value) -> bool {
    let mut waiting = vec![(value, 0)];
    while let Some((value, depth)) = waiting.pop() {
        if depth > DEPTH_MAX {
            return true;
        }
        match value {
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => waiting.extend(members.values().map(|value| (value, depth + 1))),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names() -> Names {
        let Value::Object(names) = json!({"facts": [{"n": 1}, {"n": 2}], "draft": "<b>", "n": 3}) else {
            unreachable!()
        };
        names
    }

    #[test]
    fn texts_are_filled_in_and_structures_are_written_as_json() {
        let cases = [
            ("{{ facts }}", r#"[{"n":1},{"n":2}]"#),
            ("{{ draft }} & {{ n }}", "<b> & 3"),
            ("{% for f in facts %}{{ f.n }};{% endfor %}", "1;2;"),
            ("{{ facts | length }}", "2"),
            ("{{ facts | tojson }}", r#"[{"n":1},{"n":2}]"#),
        ];
        for (template, expected) in cases {
            assert_eq!(fill(template, &names()).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_text_that_is_one_expression_keeps_its_kind_where_that_is_wanted() {
        let work = json!({"list": "{{ facts }}", "text": "n = {{ n }}", "number": 7});
        assert_eq!(
            fill_all(&work, &names(), true),
            Ok(json!({"list": [{"n": 1}, {"n": 2}], "text": "n = 3", "number": 7}))
        );
        assert_eq!(fill_all(&json!("{{ n }}"), &names(), false), Ok(json!("3")));
    }

    #[test]
    fn what_is_misspelt_or_endless_is_an_error() {
        assert!(fill("{{ fact }}", &names()).unwrap_err().contains("undefined"));
        assert!(fill("{{ facts[0].m }}", &names()).unwrap_err().contains("undefined"));
        let endless = "{% for a in range(10000) %}{% for b in range(10000) %}{{ a }}{% endfor %}{% endfor %}";
        let error = fill(endless, &names()).unwrap_err();
        assert!(error.contains("fuel") || error.contains("1 MiB"), "{error}");
        assert!(fill("{{ 'x' * 2000000 }}", &names()).is_err());
        assert!(fill("{% if %}", &names()).is_err());
        assert!(value_of("n +", &names()).is_err());
    }

    #[test]
    fn the_names_that_are_needed_are_known_before() {
        let mut needed: Vec<String> =
            needs("{% for f in facts %}{{ f.n }}{{ draft }}{% endfor %}", false).unwrap().into_iter().collect();
        needed.sort();
        assert_eq!(needed, ["draft", "facts"]);
        assert_eq!(needs("n > 2", true).unwrap().into_iter().collect::<Vec<_>>(), ["n"]);
        assert!(is_true("n > 2 and facts | length == 2", &names()).unwrap());
    }
}
