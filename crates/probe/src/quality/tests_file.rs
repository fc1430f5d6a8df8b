//! The file of tests: the tutorial's `{"tests": [{"type", "prompt", "expected_keywords"}]}`, and more ways to say what is right.

use std::path::Path;

use jsonschema::Validator;
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::check::Judged;
use crate::ProbeError;
use crate::model::Spoken;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most tests of a file.
const TESTS_MAX: usize = 500;
/// Longest regular expression, in characters.
const REGEX_CHARS_MAX: usize = 1_000;
/// Memory that one may take once it is compiled.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Types of tests in one file: each is a series of its own.
const TYPES_MAX: usize = 50;

/// One test. All that it says has to be so.
#[derive(Debug)]
pub(crate) struct Test {
    /// What it tests, such as `math`.
    pub(crate) kind: String,
    pub(crate) prompt: String,
    /// At least one of these has to be in the answer.
    pub(crate) any: Vec<String>,
    /// Each of these has to be in it.
    pub(crate) all: Vec<String>,
    pub(crate) regex: Option<Regex>,
    /// The JSON in the answer has to be so.
    pub(crate) json: Option<Validator>,
    pub(crate) numeric: Option<Numeric>,
    pub(crate) tool: Option<Tool>,
    /// What another model has to find so.
    pub(crate) judge: Option<String>,
    pub(crate) samples: Option<u32>,
    pub(crate) tokens_max: Option<u32>,
    /// The test as it is written.
    written: Value,
}

/// The last number of the answer has to be this one.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numeric {
    pub(crate) value: f64,
    #[serde(default)]
    pub(crate) tolerance: f64,
}

/// The model has to call this tool.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) parameters: Value,
    /// With arguments that are so.
    pub(crate) arguments: Option<Validator>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    tests: Vec<Value>,
}

/// A test as it is written; `id`, `name` and `comment` are for people.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestForm {
    r#type: String,
    prompt: String,
    #[serde(default)]
    expected_keywords: Vec<String>,
    #[serde(default)]
    any: Vec<String>,
    #[serde(default)]
    all: Vec<String>,
    regex: Option<String>,
    json: Option<Value>,
    numeric: Option<Numeric>,
    tool: Option<ToolForm>,
    judge: Option<String>,
    samples: Option<u32>,
    max_tokens: Option<u32>,
    #[serde(rename = "id")]
    _id: Option<Value>,
    #[serde(rename = "name")]
    _name: Option<Value>,
    #[serde(rename = "comment")]
    _comment: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolForm {
    name: String,
    #[serde(default = "any_object")]
    parameters: Value,
    arguments: Option<Value>,
}

fn any_object() -> Value {
    json!({"type": "object"})
}

/// Reads the file, so it blocks.
pub(crate) fn read_tests(path: &Path) -> Result<Vec<Test>, ProbeError> {
    let wrong = |what: String| ProbeError::Tests { path: path.to_owned(), what };
    let size = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(wrong(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    parse_tests(&text).map_err(wrong)
}

fn parse_tests(text: &str) -> Result<Vec<Test>, String> {
    let form: FileForm = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if form.tests.is_empty() || form.tests.len() > TESTS_MAX {
        return Err(format!("it has {} tests; from 1 to {TESTS_MAX} can be asked", form.tests.len()));
    }
    let test = |(at, written): (usize, Value)| test(written).map_err(|what| format!("test {}: {what}", at + 1));
    let tests = form.tests.into_iter().enumerate().map(test).collect::<Result<Vec<_>, _>>()?;
    let mut types: Vec<&str> = tests.iter().map(|test| test.kind.as_str()).collect();
    types.sort_unstable();
    types.dedup();
    if types.len() > TYPES_MAX {
        return Err(format!("it has {} types of tests; at most {TYPES_MAX} can be followed", types.len()));
    }
    Ok(tests)
}

fn test(written: Value) -> Result<Test, String> {
    let form: TestForm = serde_json::from_value(written.clone()).map_err(|error| error.to_string())?;
    let any: Vec<String> = form.expected_keywords.into_iter().chain(form.any).collect();
    let says_nothing = any.is_empty()
        && form.all.is_empty()
        && form.regex.is_none()
        && form.json.is_none()
        && form.numeric.is_none()
        && form.tool.is_none()
        && form.judge.is_none();
    if says_nothing {
        return Err("it does not say what is right: expected_keywords, any, all, regex, json, numeric, tool or judge"
            .to_owned());
    }
    if any.iter().chain(&form.all).any(|word| word.trim().is_empty()) {
        return Err("an empty keyword is in every answer".to_owned());
    }
    if form.samples == Some(0) {
        return Err("samples: at least 1".to_owned());
    }
    let schema =
        |what: &str, schema: &Value| jsonschema::validator_for(schema).map_err(|error| format!("{what}: {error}"));
    let tool = |tool: ToolForm| {
        let arguments = tool.arguments.as_ref().map(|arguments| schema("tool.arguments", arguments)).transpose()?;
        Ok::<_, String>(Tool { name: tool.name, parameters: tool.parameters, arguments })
    };
    Ok(Test {
        kind: crate::finding::cut(&form.r#type, 100),
        prompt: form.prompt,
        any,
        all: form.all,
        regex: form.regex.as_deref().map(regex).transpose()?,
        json: form.json.as_ref().map(|json| schema("json", json)).transpose()?,
        numeric: form.numeric,
        tool: form.tool.map(tool).transpose()?,
        judge: form.judge,
        samples: form.samples,
        tokens_max: form.max_tokens,
        written,
    })
}

fn regex(text: &str) -> Result<Regex, String> {
    if text.chars().count() > REGEX_CHARS_MAX {
        return Err(format!("regex: longer than {REGEX_CHARS_MAX} characters"));
    }
    let built = RegexBuilder::new(text).case_insensitive(true).size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|error| format!("regex: {error}"))
}

/// Tells the tests of a type apart from changed ones, for which the old baseline says nothing.
pub(crate) fn fingerprint(tests: &[Test], kind: &str, samples: u32) -> String {
    let mine: Vec<&Value> = tests.iter().filter(|test| test.kind == kind).map(|test| &test.written).collect();
    // FNV-1a: this is no secret and nobody's adversary.
    let text = json!({"tests": mine, "samples": samples}).to_string();
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

impl Test {
    /// The tool that the model is offered, in OpenAI's form.
    pub(crate) fn tools(&self) -> Option<Value> {
        let tool = self.tool.as_ref()?;
        Some(json!([{"type": "function", "function": {"name": tool.name, "parameters": tool.parameters}}]))
    }

    /// Whether all that can be checked here is so; a judge is asked only then.
    pub(crate) fn judge(&self, spoken: &Spoken) -> Judged {
        let text = super::check::without_thoughts(&spoken.text);
        let lower = text.to_lowercase();
        let has = |word: &String| lower.contains(&word.to_lowercase());
        let is_right = (self.any.is_empty() || self.any.iter().any(has))
            && self.all.iter().all(has)
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(text))
            && self
                .json
                .as_ref()
                .is_none_or(|schema| super::check::json_in(text).is_some_and(|json| schema.is_valid(&json)))
            && self.numeric.is_none_or(|wanted| {
                super::check::last_number(text)
                    .is_some_and(|n| (n - wanted.value).abs() <= wanted.tolerance.abs() + 1e-9)
            })
            && self.tool.as_ref().is_none_or(|tool| tool.is_called(spoken));
        if is_right { Judged::Right } else { Judged::Wrong }
    }
}

impl Tool {
    fn is_called(&self, spoken: &Spoken) -> bool {
        let mut calls = spoken.calls.iter().filter(|(name, _)| *name == self.name);
        calls.any(|(_, arguments)| self.arguments.as_ref().is_none_or(|schema| schema.is_valid(arguments)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tutorials_file_is_taken_as_it_is() {
        let text = r#"{"tests": [
            {"type": "math", "prompt": "计算 15 * 12", "expected_keywords": ["180"]},
            {"type": "logic", "prompt": "所有的猫都是动物…", "expected_keywords": ["是", "动物"]}
        ]}"#;
        let tests = parse_tests(text).unwrap();
        let says = |text: &str| Spoken { text: text.to_owned(), ..Spoken::default() };
        assert_eq!(tests[0].judge(&says("结果是 180。")), Judged::Right);
        assert_eq!(tests[0].judge(&says("170")), Judged::Wrong);
        assert_eq!(tests[1].judge(&says("它是动物")), Judged::Right);
        assert_eq!(tests[1].judge(&says("它叫")), Judged::Wrong, "any of them, and none is there");
    }

    #[test]
    fn every_way_to_say_what_is_right() {
        let cases = [
            (r#""any": ["Paris"]"#, "<think>London?</think>PARIS it is", "London"),
            (r#""any": ["London"]"#, "London", "<think>London?</think>Paris"),
            (r#""all": ["red", "blue"]"#, "Blue and red", "red"),
            (r#""regex": "^\\d{3}$""#, "180", "1800"),
            (r#""json": {"type": "object", "required": ["a"]}"#, "Here: ```json\n{\"a\": 1}\n```", "{\"b\": 1}"),
            (r#""numeric": {"value": 3.5, "tolerance": 0.01}"#, "So it is 7/2 = 3.501", "3.5 + 1 = 4.5"),
            (r#""numeric": {"value": -1200}"#, "That makes -1,200.", "1200"),
            (r#""any": ["a"], "all": ["b"], "regex": "c""#, "abc", "ab"),
        ];
        for (says, right, wrong) in cases {
            let text = format!(r#"{{"tests": [{{"type": "t", "prompt": "p", {says}}}]}}"#);
            let test = parse_tests(&text).unwrap().remove(0);
            let spoken = |text: &str| Spoken { text: text.to_owned(), ..Spoken::default() };
            assert_eq!(test.judge(&spoken(right)), Judged::Right, "{says}: {right}");
            assert_eq!(test.judge(&spoken(wrong)), Judged::Wrong, "{says}: {wrong}");
        }
        let text = r#"{"tests": [{"type": "t", "prompt": "p", "tool": {"name": "weather",
            "arguments": {"type": "object", "required": ["city"]}}}]}"#;
        let test = parse_tests(text).unwrap().remove(0);
        let calls =
            |name: &str, arguments: Value| Spoken { calls: vec![(name.to_owned(), arguments)], ..Spoken::default() };
        assert_eq!(test.judge(&calls("weather", json!({"city": "Paris"}))), Judged::Right);
        assert_eq!(test.judge(&calls("weather", json!({}))), Judged::Wrong);
        assert_eq!(test.judge(&calls("time", json!({"city": "Paris"}))), Judged::Wrong);
        assert_eq!(test.tools().unwrap()[0]["function"]["name"], "weather");
    }

    #[test]
    fn what_cannot_be_tested_is_said() {
        for (text, part) in [
            ("{}", "missing field `tests`"),
            (r#"{"tests": []}"#, "it has 0 tests"),
            (r#"{"tests": [{"type": "t", "prompt": "p"}]}"#, "test 1: it does not say what is right"),
            (r#"{"tests": [{"type": "t", "prompt": "p", "expected_keyword": ["a"]}]}"#, "unknown field"),
            (r#"{"tests": [{"type": "t", "prompt": "p", "regex": "("}]}"#, "regex:"),
            (r#"{"tests": [{"type": "t", "prompt": "p", "json": {"type": 5}}]}"#, "json:"),
            (r#"{"tests": [{"type": "t", "prompt": "p", "any": [" "]}]}"#, "an empty keyword"),
        ] {
            let error = parse_tests(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
