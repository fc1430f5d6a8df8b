//! Finds the members of a line as the journal writes it, without reading their values.
//!
//! Only what is surely in that form is found here: an object without spaces between its tokens and without control characters.
//! Anything else is left to whoever reads all of JSON. A value is not checked, but for where it ends.

use std::borrow::Cow;

use memchr::memchr2;

use crate::shaper::MEMBERS;

/// Names and values of an object in their order, values as they stand; nothing where this cannot be told at a glance.
pub(crate) fn members(line: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let bytes = line.as_bytes();
    // Without a branch for each byte: there are none as a rule.
    let least = bytes.iter().fold(u8::MAX, |least, byte| least.min(*byte));
    if bytes.first() != Some(&b'{') || least < b' ' {
        return None;
    }
    let mut members = Vec::with_capacity(MEMBERS);
    let mut at = 0;
    loop {
        // At the brace or comma before a name.
        if bytes.get(at + 1) != Some(&b'"') {
            return None;
        }
        // Names are short.
        let length = bytes[at + 2..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let name = &line[at + 2..at + 2 + length];
        if !bytes[at + 2 + length..].starts_with(b"\":") {
            return None;
        }
        let from = at + length + 4;
        at = match bytes.get(from)? {
            b'"' => text_end(bytes, from)?,
            b'{' | b'[' => deep_end(bytes, from)?,
            _ => from + memchr2(b',', b'}', &bytes[from..])?,
        };
        if from == at || bytes[from] == b' ' || bytes[at - 1] == b' ' {
            return None;
        }
        members.push((Cow::Borrowed(name), &line[from..at]));
        match bytes.get(at)? {
            b',' => {}
            b'}' if at + 1 == bytes.len() => return Some(members),
            _ => return None,
        }
    }
}

/// Behind the text that begins here.
fn text_end(bytes: &[u8], from: usize) -> Option<usize> {
    if bytes.get(from) != Some(&b'"') {
        return None;
    }
    let mut at = from + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Behind the array or object that begins here.
fn deep_end(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut depth) = (from, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = text_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    #[test]
    fn what_is_not_surely_in_form_is_left() {
        for line in [
            "",
            "{",
            "{}",
            "[]",
            "{\"a\": 1}",
            "{\"a\":1} ",
            "{\"a\":1 }",
            "{\"a\\n\":1}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":\"\t\"}",
        ] {
            assert_eq!(members(line), None, "{line}");
        }
        let line = r#"{"a":1,"b":"x\\\"}","c":{"d":["}",{}]},"e":null}"#;
        let found: Vec<(String, &str)> =
            members(line).unwrap().into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        let expected = [("a", "1"), ("b", r#""x\\\"}""#), ("c", r#"{"d":["}",{}]}"#), ("e", "null")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a\"\\\\{}\\[\\],:中\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c\"\\\\]{0,2}", inner), 0..4)
                    .prop_map(|members| Value::from(members.into_iter().collect::<Map<String, Value>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_object_is_found_whole(values in prop::collection::vec(("[a-c]{1,3}", any_value()), 1..6)) {
            let object: Map<String, Value> = values.into_iter().collect();
            let line = json!(object).to_string();
            let found = members(&line).unwrap();
            prop_assert_eq!(found.len(), object.len());
            for ((name, value), (expected, own)) in found.into_iter().zip(&object) {
                prop_assert_eq!((name.as_ref(), value.to_owned()), (expected.as_str(), own.to_string()));
            }
        }

        #[test]
        fn nothing_panics(line in "[{}\\[\\]\"\\\\,:1a中]{0,24}") {
            let _ = members(&line);
        }
    }
}
