//! A compiled program, and its runs.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};
use thiserror::Error;
use vrl::compiler::runtime::{Runtime, Terminate};
use vrl::compiler::state::{ExternalEnv, RuntimeState};
use vrl::compiler::{CompileConfig, TargetValueRef, TimeZone, compile_with_external};
use vrl::value::{ObjectMap, Secrets, Value};

use crate::faults::Faults;
use crate::functions::allowed;
use crate::values::{self, TooDeep};

/// Longest text of a program, in bytes.
pub const PROGRAM_BYTES_MAX: usize = 64 << 10;
/// Brackets that may be open at once in a program: the compiler goes into each.
const BRACKETS_MAX: usize = 64;
/// Longest expression, counted in operators that stand between two line ends or semicolons: the compiler goes into each.
const OPERATORS_MAX: usize = 120;
/// Expressions that one run may work out.
pub const STEPS_MAX: u32 = 100_000;
/// How long one run may take. A program that only makes texts longer reaches it before it has taken all memory.
pub const TIME_MAX: Duration = Duration::from_millis(100);
/// Longest reason that is told, in bytes.
const REASON_BYTES_MAX: usize = 1 << 10;

/// A program, compiled.
#[derive(Clone)]
pub struct Program(vrl::compiler::Program);

/// Why a program left nothing.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Stopped {
    /// It said `abort`, with or without words.
    #[error("{0}")]
    Aborted(String),
    /// Something that it did failed, such as reading a number that is none.
    #[error("{0}")]
    Failed(String),
    /// It reached [`STEPS_MAX`] or [`TIME_MAX`].
    #[error("the program took more than {STEPS_MAX} steps or {} ms", TIME_MAX.as_millis())]
    TooLong,
    /// It left no object.
    #[error("the program left {0} in place of an object")]
    NoObject(&'static str),
    /// It left an object with more than [`crate::DEPTH_MAX`] levels.
    #[error("the program left an object with more than {} levels", crate::DEPTH_MAX)]
    TooDeep,
}

impl Stopped {
    /// The function that failed and the byte of the program at which it stands, where that is known. Unlike the text of the failure,
    /// this holds nothing of the event.
    pub fn function(&self) -> Option<(&str, usize)> {
        let Self::Failed(reason) = self else { return None };
        let (name, rest) = reason.strip_prefix("function call error for \"")?.split_once("\" at (")?;
        Some((name, rest.split_once(':')?.0.parse().ok()?))
    }
}

impl Program {
    /// Compiles a program, or says all that is wrong with it.
    pub fn compile(text: &str) -> Result<Self, Faults> {
        if text.len() > PROGRAM_BYTES_MAX {
            return Err(Faults::whole(text, &format!("the program is longer than {PROGRAM_BYTES_MAX} bytes")));
        }
        if is_too_nested(text) {
            return Err(Faults::whole(text, "the program is nested too deeply, or has too long an expression"));
        }
        let config = CompileConfig::default();
        match compile_with_external(text, &allowed(), &ExternalEnv::default(), config) {
            Ok(compiled) => Ok(Self(compiled.program)),
            Err(diagnostics) => Err(Faults::of(text, &diagnostics)),
        }
    }

    /// Runs it on an event, and gives what it left of that.
    pub fn run(&self, event: Map<String, Json>) -> Result<Map<String, Json>, Stopped> {
        // Functions of a library read what anybody may have written: a mistake of theirs must not end the collecting.
        let ran = catch_unwind(AssertUnwindSafe(|| self.run_on(event)));
        ran.unwrap_or_else(|_| Err(Stopped::Failed("a function of the program broke off on this line".to_owned())))
    }

    fn run_on(&self, event: Map<String, Json>) -> Result<Map<String, Json>, Stopped> {
        let mut value = Value::Object(values::object(event));
        let (mut metadata, mut secrets) = (Value::Object(ObjectMap::new()), Secrets::default());
        let mut target = TargetValueRef { value: &mut value, metadata: &mut metadata, secrets: &mut secrets };
        let mut runtime = Runtime::new(RuntimeState::default());
        let (began, mut steps) = (Instant::now(), 0_u32);
        let mut control = || {
            steps += 1;
            if steps > STEPS_MAX || began.elapsed() > TIME_MAX {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let utc = TimeZone::parse("UTC").unwrap_or_default();
        match runtime.resolve_with_control(&mut target, &self.0, &utc, &mut control) {
            Ok(_) => {}
            Err(Terminate::Interrupted) => return Err(Stopped::TooLong),
            Err(Terminate::Abort(error)) => return Err(Stopped::Aborted(reason(&error))),
            Err(Terminate::Error(error)) => return Err(Stopped::Failed(reason(&error))),
        }
        match value {
            Value::Object(object) => values::map(object).map_err(|TooDeep| Stopped::TooDeep),
            other => Err(Stopped::NoObject(kind(&other))),
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Program")
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "an array",
        Value::Null => "null",
        Value::Boolean(_) => "a truth value",
        Value::Integer(_) | Value::Float(_) => "a number",
        _ => "a text",
    }
}

fn reason(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    text[..text.floor_char_boundary(REASON_BYTES_MAX)].to_owned()
}

/// Whether the compiler, which goes into expressions by recursion, could run out of stack.
fn is_too_nested(text: &str) -> bool {
    let (mut open, mut operators) = (0_usize, 0_usize);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'#' => drop(bytes.find(|byte| *byte == b'\n')),
            b'"' | b'\'' => skip_quoted(&mut bytes, byte),
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            b'\n' | b';' | b',' => operators = 0,
            b'+' | b'-' | b'*' | b'/' | b'!' | b'|' | b'&' | b'?' | b'=' | b'<' | b'>' => operators += 1,
            _ => {}
        }
        if open > BRACKETS_MAX || operators > OPERATORS_MAX {
            return true;
        }
    }
    false
}

fn skip_quoted(bytes: &mut std::str::Bytes<'_>, quote: u8) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            byte if byte == quote => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn run(program: &str, event: Json) -> Result<Json, Stopped> {
        let Json::Object(event) = event else { unreachable!() };
        Program::compile(program).unwrap_or_else(|faults| panic!("{program}: {faults}")).run(event).map(Json::from)
    }

    #[test]
    fn programs_change_events() {
        for (program, event, left) in [
            ("", json!({"a": 1}), json!({"a": 1})),
            ("del(.secret)", json!({"secret": 1, "b": [2]}), json!({"b": [2]})),
            (". = parse_json!(.msg)", json!({"msg": "{\"x\": {\"y\": 1.5}}"}), json!({"x": {"y": 1.5}})),
            (". |= parse_key_value!(.msg)", json!({"msg": "a=1 b=x"}), json!({"a": "1", "b": "x", "msg": "a=1 b=x"})),
            (
                ".time = to_unix_timestamp(parse_timestamp!(.t, \"%+\"))",
                json!({"t": "2026-01-27T10:20:30Z"}),
                json!({"t": "2026-01-27T10:20:30Z", "time": 1_769_509_230}),
            ),
            (
                ".t = parse_timestamp!(.t, \"%F %T\")",
                json!({"t": "2026-01-27 10:20:30"}),
                json!({"t": "2026-01-27T10:20:30Z"}),
            ),
            (
                ".msg = redact!(.msg, filters: [r'\\d{11}'])",
                json!({"msg": "call 13812345678"}),
                json!({"msg": "call [REDACTED]"}),
            ),
            ("%x = 1\n.a = 2", json!({}), json!({"a": 2})),
            ("return {}", json!({"a": 1}), json!({"a": 1})),
        ] {
            assert_eq!(run(program, event), Ok(left), "{program}");
        }
    }

    #[test]
    fn what_stops_a_program_is_told() {
        assert_eq!(run("abort \"not mine\"", json!({})), Err(Stopped::Aborted("not mine".to_owned())));
        assert_eq!(run("abort", json!({})), Err(Stopped::Aborted("aborted".to_owned())));
        let Err(Stopped::Failed(reason)) = run(".a = to_int!(.a)", json!({"a": "x"})) else { panic!("it ran") };
        assert!(reason.contains("to_int"), "{reason}");
        assert_eq!(Stopped::Failed(reason).function(), Some(("to_int", 5)));
        assert_eq!(run(". = [1]", json!({})), Err(Stopped::NoObject("an array")));
    }

    #[test]
    fn runs_have_bounds() {
        let counting = "x = 0\nfor_each(range!(0, 90000)) -> |_i, n| { x = x + n }\n.x = x";
        assert_eq!(run(counting, json!({})), Err(Stopped::TooLong));
        let growing = "x = string!(.a)\nfor_each(range!(0, 90000)) -> |_i, _n| { x = x + x }\n.x = strlen(x)";
        assert_eq!(run(growing, json!({"a": "x".repeat(10)})), Err(Stopped::TooLong));
        let nesting = "x = []\nfor_each(range!(0, 100)) -> |_i, _n| { x = [x] }\n.x = x";
        assert_eq!(run(nesting, json!({})), Err(Stopped::TooDeep));
    }

    #[test]
    fn programs_have_bounds() {
        for program in [
            format!(".a = {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
            format!(".a = 1{}", " + 1".repeat(9_000)),
            "#".repeat(70_000),
        ] {
            assert!(Program::compile(&program).is_err());
        }
        assert!(Program::compile(&format!(".a = 1{}", " + 1".repeat(OPERATORS_MAX - 2))).is_ok());
        let nested = BRACKETS_MAX - 1;
        assert!(Program::compile(&format!(".a = {}1{}", "(".repeat(nested), ")".repeat(nested))).is_ok());
        // What stands in quotes and comments is no expression.
        let quoted = format!("# don't {{{{{{\n.a = \"{0}\"\n.b = match(\"x\", r'{0}')", "(a|b)?".repeat(100));
        assert!(Program::compile(&quoted).is_ok());
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            (-1e9_f64..1e9).prop_map(Json::from),
            ".{0,12}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inside| {
            prop_oneof![
                prop::collection::vec(inside.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map("[a-c]{1,2}", inside, 0..4)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_compiles_or_is_told(text in "[a-z .=!(){}\\[\\]|\"'0-9\n_>?-]{0,60}") {
            if let Err(Faults(faults)) = Program::compile(&text) {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(fault.line <= text.lines().count().max(1) + 1 && fault.width >= 1);
                }
            }
        }

        #[test]
        fn an_event_that_nothing_touches_stays(event in prop::collection::btree_map("[a-d]{1,3}", any_json(), 0..6)) {
            let event: Map<String, Json> = event.into_iter().collect();
            let program = Program::compile("x = 1\n.zzzz = x\ndel(.zzzz)").unwrap();
            prop_assert_eq!(program.run(event.clone()), Ok(event));
        }
    }
}
