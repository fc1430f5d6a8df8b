//! The form of a webhook's body: any JSON, in whose texts `{{name}}` stands for a part of the message.
//!
//! The form is read as JSON before anything is put in, so that no message can change its structure.

use serde_json::{Map, Value};

use crate::error::NotifyError;
use crate::message::Message;
use crate::text;

/// What can stand between the braces.
const NAMES: [&str; 14] = [
    "id", "rule", "severity", "state", "title", "headline", "text", "figures", "worst", "link", "runbook", "service",
    "at", "message",
];

/// A form that only names what a message has.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Value);

impl Template {
    /// Checks all names in it.
    pub fn new(form: Value) -> Result<Self, NotifyError> {
        check(&form)?;
        Ok(Self(form))
    }

    /// The body for a message. A text that is nothing but `{{figures}}`, `{{worst}}` or `{{message}}` becomes that list or
    /// object itself.
    pub(crate) fn fill(&self, message: &Message) -> Value {
        let whole = serde_json::to_value(message).unwrap_or_default();
        fill(&self.0, message, &whole)
    }
}

fn check(form: &Value) -> Result<(), NotifyError> {
    match form {
        Value::String(text) => {
            for (name, _) in placeholders(text) {
                if !NAMES.contains(&name) {
                    return Err(NotifyError::Placeholder { name: name.to_owned(), known: NAMES.to_vec() });
                }
            }
            Ok(())
        }
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(map) => map.values().try_for_each(check),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Each name, and what stands before it.
fn placeholders(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        found.push((name.trim(), before));
        rest = behind;
    }
    found
}

fn fill(form: &Value, message: &Message, whole: &Value) -> Value {
    match form {
        Value::String(text) => fill_text(text, message, whole),
        Value::Array(items) => items.iter().map(|item| fill(item, message, whole)).collect(),
        Value::Object(map) => {
            let filled: Map<String, Value> =
                map.iter().map(|(name, value)| (name.clone(), fill(value, message, whole))).collect();
            filled.into()
        }
        other => other.clone(),
    }
}

fn fill_text(form: &str, message: &Message, whole: &Value) -> Value {
    if let Some(name) = form.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
        match name.trim() {
            "message" => return whole.clone(),
            name @ ("figures" | "worst") => return whole[name].clone(),
            _ => {}
        }
    }
    let mut filled = String::with_capacity(form.len());
    let mut rest = form;
    for (name, before) in placeholders(form) {
        filled.push_str(before);
        filled.push_str(&part(name, message, whole));
        let behind = rest[before.len()..].find("}}").map_or(rest.len(), |end| before.len() + end + 2);
        rest = &rest[behind..];
    }
    filled.push_str(rest);
    Value::String(filled)
}

fn part(name: &str, message: &Message, whole: &Value) -> String {
    match name {
        "headline" => message.headline(),
        "figures" => text::figures(message),
        "worst" => message.worst.join("\n"),
        "at" => message.at().to_string(),
        "message" => whole.to_string(),
        name => match &whole[name] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::channel::tests::message;

    #[test]
    fn texts_are_filled_and_structure_stays() {
        let form = json!({"a": "{{ severity }}: {{title}}!", "b": ["{{figures}}", 7, "{{at}}"], "c": "{x} }} {{"});
        let filled = Template::new(form).unwrap().fill(&message());
        assert_eq!(filled["a"], "critical: \"quoted\" <b> 模型 is slow!");
        assert_eq!(filled["b"][0][0], json!({"name": "requests", "value": "5"}));
        assert_eq!(filled["b"][2], "2026-01-27T08:00:00Z");
        assert_eq!(filled["c"], "{x} }} {{");
    }

    #[test]
    fn an_unknown_name_is_told() {
        let error = Template::new(json!({"a": ["{{titel}}"]})).unwrap_err();
        assert!(error.to_string().starts_with("a message has no `titel`; it has: id, rule"), "{error}");
    }
}
