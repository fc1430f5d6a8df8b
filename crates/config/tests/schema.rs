//! The JSON Schema says of a file what the reader says of it, as far as its keys and kinds of values go.

use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};
use tollhouse_config::{Config, parse, reading, schema};

const BYTES_MAX: u64 = 1 << 20;

fn validator() -> Validator {
    jsonschema::validator_for(&schema()).expect("a schema")
}

/// YAML as an editor takes it.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method by its name has one lifetime, and any is asked for"
)]
fn as_json(name: &str, text: &str) -> Value {
    if text.lines().all(|line| line.trim().is_empty() || line.starts_with('#')) {
        return Value::Null;
    }
    reading::read(name, text, BYTES_MAX, |d, node| d.json(node)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("a text")))
        .collect();
    files.sort();
    files
}

/// What is read.
fn accepted() -> Vec<(String, String)> {
    let mut all = files("tests/valid");
    all.extend(files("../../packaging"));
    all.push(("the default".to_owned(), Config::default().effective_yaml()));
    all
}

#[test]
fn every_file_that_is_read_keeps_to_the_schema() {
    let validator = validator();
    let accepted = accepted();
    assert!(accepted.len() > 15);
    for (name, text) in accepted {
        let value = as_json(&name, &text);
        let told = |error: jsonschema::ValidationError<'_>| {
            format!("{}: {}", error.instance_path(), error.to_string().chars().take(300).collect::<String>())
        };
        let said: Vec<String> = validator.iter_errors(&value).map(told).collect();
        assert!(said.is_empty(), "{name}: {said:#?}");
    }
}

#[test]
fn the_schema_itself_keeps_to_the_rules_of_schemas() {
    jsonschema::meta::validate(&schema()).unwrap_or_else(|error| panic!("{error}"));
}

/// All places in a value, as JSON pointers.
fn places(value: &Value, here: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                places(inner, format!("{here}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                places(inner, format!("{here}/{at}"), found);
            }
        }
        _ => {}
    }
    found.push(here);
}

fn is_read(value: &Value) -> bool {
    // JSON is YAML.
    parse(&value.to_string(), "changed.yaml", &|_| Some("1".to_owned())).is_ok()
}

/// A key that nobody knows is put into each mapping in turn: where the reader refuses the file for it, the schema does.
#[test]
fn a_key_that_the_reader_refuses_is_refused_by_the_schema() {
    let (validator, mut refused) = (validator(), 0);
    for (name, text) in files("tests/valid") {
        let whole = as_json(&name, &text);
        let mut found = Vec::new();
        places(&whole, String::new(), &mut found);
        for place in found {
            let mut changed = whole.clone();
            let Some(Value::Object(members)) = changed.pointer_mut(&place) else { continue };
            members.insert("nonsense".to_owned(), json!({"of": ["nobody"]}));
            let text = changed.to_string();
            let Err(errors) = parse(&text, "changed.yaml", &|_| Some("1".to_owned())) else { continue };
            if errors.to_string().contains("unknown key") {
                refused += 1;
                assert!(!validator.is_valid(&changed), "{name}: {place}/nonsense is let through");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// Each value in turn becomes a list in a list: the schema says what the reader says.
#[test]
fn a_value_of_another_kind_is_refused_where_the_reader_refuses_it() {
    let (validator, mut refused) = (validator(), 0);
    for (name, text) in files("tests/valid") {
        let whole = as_json(&name, &text);
        // Some need variables that hold something else than `1`.
        if !is_read(&whole) {
            continue;
        }
        let mut found = Vec::new();
        places(&whole, String::new(), &mut found);
        for place in found {
            let mut changed = whole.clone();
            let Some(value) = changed.pointer_mut(&place) else { continue };
            *value = json!([[[7]]]);
            let (by_reader, by_schema) = (is_read(&changed), validator.is_valid(&changed));
            refused += usize::from(!by_schema);
            assert!(!by_schema || by_reader, "{name}: a list at {place} is let through");
            assert!(by_schema || !by_reader, "{name}: a list at {place} is refused, though it is read");
        }
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn an_editor_can_show_defaults_words_and_what_is_expected() {
    let schema = schema();
    let idle = &schema["properties"]["timeouts"]["properties"]["idle"];
    assert_eq!(idle["default"], json!("1m"), "{idle}");
    let deny = &schema["properties"]["access"]["properties"]["deny"]["anyOf"][0]["enum"];
    assert_eq!(*deny, json!(["403", "drop", 403]));
    let public_url = &schema["properties"]["public_url"]["description"];
    assert_eq!(*public_url, json!("an address such as https://ai.example.com"));
    let kinds = &schema["properties"]["channels"]["additionalProperties"];
    assert!(kinds["allOf"].as_array().is_some_and(|cases| cases.len() == 8), "{kinds}");
}
