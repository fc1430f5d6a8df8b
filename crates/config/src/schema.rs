//! The configuration's JSON Schema, for editors: what the reader itself asked of files in which every key stands.
//!
//! Nothing is said twice: [`forms.yaml`](schema/forms.yaml) shows every key in every form that it may have, the reader reads that and
//! notes which keys it knew and what it took each value for, and that becomes the schema. A key that the reader knows and
//! `forms.yaml` does not show is found by the tests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    config::Config,
    decode::{Decoder, resolve},
    sections,
    source::Source,
    tree::{self, Data, Node},
};

/// Configurations that show every key there is, with `---` between them.
const FORMS: &str = include_str!("schema/forms.yaml");
/// The key that says which others there are.
const KINDS: [&str; 2] = ["kind", "type"];

/// What the reader took a value for.
pub(crate) enum Form {
    /// A mapping with fixed keys.
    Section {
        known: Vec<&'static str>,
        required: Vec<&'static str>,
    },
    /// A mapping whose keys are names given by the user.
    Names(String),
    /// A mapping of anything.
    AnyNames,
    List(String),
    /// A text with what is expected of it.
    Text(String),
    Words(Vec<&'static str>),
    /// A word that means something of its own beside other values, such as `off` beside a time.
    Beside(&'static str),
    Bool,
    Count {
        max: u64,
    },
    Duration,
    Bytes,
    Anything,
}

/// The path of each value that was read, with what it was taken for.
pub(crate) type Seen = BTreeMap<String, Vec<Form>>;

/// A JSON Schema (draft 7, which editors know best) of the whole file.
pub fn schema() -> Value {
    let mut schema = whole().told(&defaults(), "");
    if let Some(root) = schema.as_object_mut() {
        root.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        root.insert("title".to_owned(), json!("tollhouse configuration"));
    }
    schema
}

/// All that a value may be.
#[derive(Default)]
struct Shape {
    /// By the value of the key that says which others there are, where it is written.
    sections: BTreeMap<Option<String>, Keys>,
    names: Option<Box<Shape>>,
    list: Option<Box<Shape>>,
    words: BTreeSet<&'static str>,
    stands_beside: bool,
    /// The largest number.
    count: Option<u64>,
    plain: BTreeSet<Plain>,
    /// What was expected, in the reader's words.
    expected: BTreeSet<String>,
}

/// What needs nothing more to be said of.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Plain {
    Text,
    Bool,
    Duration,
    Bytes,
    Anything,
    AnyNames,
}

#[derive(Default)]
struct Keys {
    of: BTreeMap<&'static str, Shape>,
    required: Option<BTreeSet<&'static str>>,
}

fn whole() -> Shape {
    let mut whole = Shape::default();
    for text in FORMS.split("\n---\n") {
        let source = Source::new(text);
        let (mut problems, env) = (Vec::new(), |_: &str| Some("1".to_owned()));
        let Ok(Some(root)) = tree::read(text, &mut problems) else { continue };
        let mut decoder = Decoder::new(&source, &env, problems);
        decoder.note_forms();
        sections::read(&mut decoder, &root);
        whole.join(Shape::of(&root, &decoder.take_forms()));
    }
    whole
}

/// Values of a configuration that says nothing, by their paths.
fn defaults() -> BTreeMap<String, Value> {
    let text = Config::default().effective_yaml();
    let root = tree::read(&text, &mut Vec::new()).ok().flatten();
    let nodes = root.iter().flat_map(Node::all);
    let value = |node: &Node| match &node.data {
        Data::Scalar { text, plain: true } => resolve(text).filter(|value| !value.is_null()),
        Data::Scalar { text, plain: false } => Some(json!(text)),
        Data::List(_) | Data::Map(_) => None,
    };
    nodes.filter_map(|node| Some((node.path.clone(), value(node)?))).collect()
}

impl Shape {
    fn of(node: &Node, seen: &Seen) -> Self {
        let mut shape = Self::default();
        for form in seen.get(&node.path).into_iter().flatten() {
            match form {
                Form::Section { known, required } => shape.add_section(node, seen, known, required),
                Form::Names(expected) => {
                    shape.expected.insert(expected.clone());
                    let names = shape.names.get_or_insert_default();
                    node.children().for_each(|child| names.join(Self::of(child, seen)));
                }
                Form::AnyNames => {
                    shape.plain.insert(Plain::AnyNames);
                }
                Form::List(expected) => {
                    shape.expected.insert(expected.clone());
                    let items = shape.list.get_or_insert_default();
                    node.children().for_each(|child| items.join(Self::of(child, seen)));
                }
                Form::Text(expected) => {
                    shape.plain.insert(Plain::Text);
                    shape.expected.insert(expected.clone());
                }
                Form::Words(words) => shape.words.extend(words),
                Form::Beside(word) => {
                    shape.words.insert(word);
                    shape.stands_beside = true;
                }
                Form::Bool => {
                    shape.plain.insert(Plain::Bool);
                }
                Form::Count { max } => shape.count = shape.count.max(Some(*max)),
                Form::Duration => {
                    shape.plain.insert(Plain::Duration);
                }
                Form::Bytes => {
                    shape.plain.insert(Plain::Bytes);
                }
                Form::Anything => {
                    shape.plain.insert(Plain::Anything);
                }
            }
        }
        shape
    }

    fn add_section(&mut self, node: &Node, seen: &Seen, known: &[&'static str], required: &[&'static str]) {
        let value = |key: &str| node.entries()?.iter().find(|entry| entry.name == key).map(|entry| &entry.value);
        let kind = KINDS.iter().filter(|kind| known.contains(kind)).find_map(|kind| match &value(kind)?.data {
            Data::Scalar { text, .. } => Some(text.clone()),
            Data::List(_) | Data::Map(_) => None,
        });
        let mut keys = Keys { of: BTreeMap::new(), required: Some(required.iter().copied().collect()) };
        for key in known {
            let shape = value(key).map(|node| Self::of(node, seen)).unwrap_or_default();
            keys.of.entry(key).or_default().join(shape);
        }
        self.sections.entry(kind).or_default().join(keys);
    }

    fn join(&mut self, other: Self) {
        for (kind, keys) in other.sections {
            self.sections.entry(kind).or_default().join(keys);
        }
        if let Some(names) = other.names {
            self.names.get_or_insert_default().join(*names);
        }
        if let Some(list) = other.list {
            self.list.get_or_insert_default().join(*list);
        }
        self.words.extend(other.words);
        self.count = self.count.max(other.count);
        self.stands_beside |= other.stands_beside;
        self.plain.extend(other.plain);
        self.expected.extend(other.expected);
    }

    /// Whether nothing was noted of it.
    fn is_unknown(&self) -> bool {
        self.words.is_empty() && self.has_words_alone()
    }

    fn has_words_alone(&self) -> bool {
        let has_more = self.names.is_some() || self.list.is_some() || self.count.is_some();
        self.plain.is_empty() && !has_more && self.sections.is_empty()
    }

    /// The schema of one value, with what an editor shows beside it.
    fn told(&self, defaults: &BTreeMap<String, Value>, path: &str) -> Value {
        let mut forms = self.forms(defaults, path);
        let mut told = match (forms.len(), forms.pop()) {
            (0, _) => Map::new(),
            (1, Some(Value::Object(only))) => or_null(only),
            (_, last) => {
                forms.extend(last);
                // A key without a value means its default.
                forms.push(json!({"type": "null"}));
                Map::from_iter([("anyOf".to_owned(), Value::Array(forms))])
            }
        };
        if !self.expected.is_empty() {
            let expected: Vec<&str> = self.expected.iter().map(String::as_str).collect();
            told.insert("description".to_owned(), json!(expected.join("; or ")));
        }
        if let Some(default) = defaults.get(path) {
            told.insert("default".to_owned(), default.clone());
        }
        Value::Object(told)
    }

    fn forms(&self, defaults: &BTreeMap<String, Value>, path: &str) -> Vec<Value> {
        if self.plain.contains(&Plain::Anything) || self.is_unknown() {
            return Vec::new();
        }
        let mut forms = Vec::new();
        if !self.sections.is_empty() {
            forms.push(self.section(defaults, path));
        }
        if let Some(names) = &self.names {
            forms.push(json!({"type": "object", "additionalProperties": names.told(defaults, &format!("{path}.*"))}));
        }
        if self.plain.contains(&Plain::AnyNames) {
            forms.push(json!({"type": "object"}));
        }
        if let Some(list) = &self.list {
            forms.push(json!({"type": "array", "items": list.told(defaults, &format!("{path}[]"))}));
        }
        if self.plain.contains(&Plain::Text) {
            forms.push(json!({"type": ["string", "number", "boolean"]}));
        } else {
            self.add_scalars(&mut forms);
        }
        forms
    }

    fn add_scalars(&self, forms: &mut Vec<Value>) {
        const VARIABLE: &str = r"\$\{";
        let before = forms.len();
        if !self.words.is_empty() {
            // `403` is a word here, and a number for whoever reads YAML.
            let as_read = self.words.iter().filter_map(|word| resolve(word).filter(|value| !value.is_string()));
            let words: Vec<Value> = self.words.iter().map(|word| json!(word)).chain(as_read).collect();
            forms.push(json!({"enum": words}));
        }
        if self.plain.contains(&Plain::Bool) {
            forms.push(json!({"type": "boolean"}));
        }
        if let Some(max) = self.count {
            forms.push(json!({"type": "integer", "minimum": 1, "maximum": max}));
        }
        if self.plain.contains(&Plain::Duration) {
            let pattern = format!("^[0-9]+(ms|s|m|h|d)$|{VARIABLE}");
            forms.push(json!({"type": "string", "pattern": pattern, "description": "a duration such as 250ms, 30s, 5m or 24h"}));
        }
        if self.plain.contains(&Plain::Bytes) {
            let pattern = format!("^[0-9]+([KMGTkmgt][Ii]?)?[Bb]?$|{VARIABLE}");
            forms.push(json!({"type": "integer", "minimum": 1}));
            forms
                .push(json!({"type": "string", "pattern": pattern, "description": "a size such as 512, 8MiB or 12GB"}));
        }
        if forms.len() > before && !self.plain.contains(&Plain::Duration) && !self.plain.contains(&Plain::Bytes) {
            forms.push(
                json!({"type": "string", "pattern": VARIABLE, "description": "a variable of the environment: ${NAME}"}),
            );
        }
    }

    fn section(&self, defaults: &BTreeMap<String, Value>, path: &str) -> Value {
        let by_kind: Vec<(&Option<String>, Value)> =
            self.sections.iter().map(|(kind, keys)| (kind, self.keys(keys, defaults, path))).collect();
        let all_alike = by_kind.windows(2).all(|pair| pair[0].1 == pair[1].1);
        if let (true, Some((_, keys))) = (all_alike, by_kind.first()) {
            return keys.clone();
        }
        let of_kind = |kind: &&str| self.sections.values().any(|keys| keys.of.contains_key(*kind));
        let name = KINDS.iter().find(|kind| of_kind(kind)).unwrap_or(&KINDS[0]);
        let mut all = Shape::default();
        let ways = self.sections.values().filter_map(|keys| keys.of.get(name));
        ways.for_each(|shape| all.words.extend(&shape.words));
        let cases: Vec<Value> = by_kind
            .into_iter()
            .map(|(kind, keys)| {
                let when = match kind {
                    Some(kind) => json!({"required": [name], "properties": {*name: {"const": kind}}}),
                    None => json!({"not": {"required": [name]}}),
                };
                json!({"if": when, "then": keys})
            })
            .collect();
        let mut section = json!({"type": "object", "properties": {*name: all.told(defaults, "")}, "allOf": cases});
        let is_required = |keys: &Keys| keys.required.iter().any(|required| required.contains(name));
        if self.sections.values().all(is_required) {
            section["required"] = json!([name]);
        }
        section
    }

    fn keys(&self, keys: &Keys, defaults: &BTreeMap<String, Value>, path: &str) -> Value {
        let mut properties = Map::new();
        for (key, shape) in &keys.of {
            let path = tree::join(path, key);
            // What one kind's example lacks, another's shows.
            let elsewhere =
                || self.sections.values().filter_map(|keys| keys.of.get(key)).find(|shape| !shape.is_unknown());
            let shape = if shape.is_unknown() { elsewhere().unwrap_or(shape) } else { shape };
            properties.insert((*key).to_owned(), shape.told(defaults, &path));
        }
        let mut section = json!({"type": "object", "properties": properties, "additionalProperties": false});
        if let Some(required) = keys.required.as_ref().filter(|required| !required.is_empty()) {
            section["required"] = json!(required);
        }
        section
    }
}

/// The same, or no value: a key without one means its default.
fn or_null(mut form: Map<String, Value>) -> Map<String, Value> {
    match form.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(one) => *one = json!([one, "null"]),
        None => {}
    }
    form
}

impl Keys {
    fn join(&mut self, other: Self) {
        for (key, shape) in other.of {
            self.of.entry(key).or_default().join(shape);
        }
        self.required = match (self.required.take(), other.required) {
            (Some(one), Some(other)) => Some(one.intersection(&other).copied().collect()),
            (one, other) => one.or(other),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths of which the reader knows and `forms.yaml` shows nothing.
    fn missing(shape: &Shape, path: &str, found: &mut BTreeSet<String>) {
        for keys in shape.sections.values() {
            for key in keys.of.keys() {
                let all = || shape.sections.values().filter_map(|keys| keys.of.get(key));
                let path = tree::join(path, key);
                let is_half =
                    |shape: &Shape| shape.has_words_alone() && (shape.stands_beside || shape.words.is_empty());
                if all().all(is_half) {
                    found.insert(path.clone());
                }
                all().for_each(|shape| missing(shape, &path, found));
            }
        }
        for (inner, path) in [(&shape.names, format!("{path}.*")), (&shape.list, format!("{path}[]"))] {
            if let Some(inner) = inner {
                if inner.is_unknown() {
                    found.insert(path.clone());
                }
                missing(inner, &path, found);
            }
        }
    }

    #[test]
    fn every_form_is_a_configuration() {
        for text in FORMS.split("\n---\n") {
            if let Err(errors) = crate::parse(text, "forms.yaml", &|_| Some("1".to_owned())) {
                panic!("{errors}");
            }
        }
    }

    #[test]
    fn every_key_that_the_reader_knows_has_a_form() {
        let mut found = BTreeSet::new();
        missing(&whole(), "", &mut found);
        assert!(found.is_empty(), "show these keys in crates/config/src/schema/forms.yaml: {found:#?}");
    }

    /// A kind without an example would be let through unlooked at.
    #[test]
    fn every_kind_has_a_form() {
        fn look(shape: &Shape, path: &str) {
            if shape.sections.len() > 1 {
                let kinds = KINDS.iter().flat_map(|kind| shape.sections.values().filter_map(|keys| keys.of.get(*kind)));
                let words: BTreeSet<&str> = kinds.flat_map(|shape| shape.words.iter().copied()).collect();
                let shown: BTreeSet<&str> = shape.sections.keys().filter_map(Option::as_deref).collect();
                assert!(words.is_subset(&shown), "{path}: {words:?} are there, {shown:?} are shown");
            }
            for (key, shape) in shape.sections.values().flat_map(|keys| &keys.of) {
                look(shape, &tree::join(path, key));
            }
            shape.names.iter().chain(&shape.list).for_each(|inner| look(inner, path));
        }
        look(&whole(), "");
    }
}
