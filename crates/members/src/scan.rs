//! Where names and values begin and end.

use memchr::memchr2;

/// Gives names and values of an object in their order, values as they stand; false where this cannot be told at a glance, and then
/// what was given is worth nothing. Names come without their quotes, and may come more than once.
#[must_use]
pub fn each_member<'a>(object: &'a str, mut take: impl FnMut(&'a str, &'a str)) -> bool {
    let bytes = object.as_bytes();
    // Without a branch for each byte: there are none as a rule.
    let least = bytes.iter().fold(u8::MAX, |least, byte| least.min(*byte));
    if bytes.first() != Some(&b'{') || least < b' ' {
        return false;
    }
    let mut at = 0;
    loop {
        // At the brace or comma before a name.
        let Some((name, value, end)) = member(object, at + 1) else { return false };
        take(name, value);
        match bytes.get(end) {
            Some(b',') => at = end,
            Some(b'}') => return end + 1 == bytes.len(),
            _ => return false,
        }
    }
}

/// Name and value of the member before which this place is, and where the comma or brace behind it is.
fn member(object: &str, from: usize) -> Option<(&str, &str, usize)> {
    let bytes = object.as_bytes();
    let from = behind_spaces(bytes, from);
    if bytes.get(from) != Some(&b'"') {
        return None;
    }
    // Names are short.
    let length = bytes[from + 1..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    let name_end = from + 1 + length;
    if bytes[name_end] != b'"' {
        return None;
    }
    let colon = behind_spaces(bytes, name_end + 1);
    if bytes.get(colon) != Some(&b':') {
        return None;
    }
    let begin = behind_spaces(bytes, colon + 1);
    let end = value_end(bytes, begin)?;
    let value = &object[begin..end];
    // Texts, arrays and objects end where they end.
    let value = if matches!(bytes[begin], b'"' | b'[' | b'{') { value } else { value.trim_end_matches(' ') };
    if value.is_empty() {
        return None;
    }
    Some((&object[from + 1..name_end], value, behind_spaces(bytes, end)))
}

fn behind_spaces(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    at
}

/// Where the value ends that begins here and stands in an object or an array: behind its quote, brace or bracket, or at the comma,
/// brace or bracket behind it.
#[must_use]
pub fn value_end(bytes: &[u8], from: usize) -> Option<usize> {
    match bytes.get(from)? {
        b'"' => text_end(bytes, from),
        b'{' | b'[' => deep_end(bytes, from),
        _ => Some(from + bytes[from..].iter().position(|byte| matches!(byte, b',' | b'}' | b']'))?),
    }
}

/// Behind the text that begins here, its closing quote included.
#[must_use]
pub fn text_end(bytes: &[u8], from: usize) -> Option<usize> {
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

    fn members(object: &str) -> Option<Vec<(&str, &str)>> {
        let mut found = Vec::new();
        each_member(object, |name, value| found.push((name, value))).then_some(found)
    }

    #[test]
    fn what_is_not_surely_in_form_is_left() {
        for object in [
            "",
            "{",
            "{}",
            "[]",
            "{\"a\":1} ",
            " {\"a\":1}",
            "{\"a\\n\":1}",
            "{\"a\":}",
            "{\"a\": }",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{\"a\":1]",
            "{\"a\":\"\t\"}",
            "{\"a\":1,\n\"b\":2}",
            "{\"a\":1}{\"b\":2}",
        ] {
            assert_eq!(members(object), None, "{object}");
        }
        let object = r#"{"a":1,"b":"x\\\"}","c":{"d":["}",{}]},"e":null}"#;
        let expected = [("a", "1"), ("b", r#""x\\\"}""#), ("c", r#"{"d":["}",{}]}"#), ("e", "null")];
        assert_eq!(members(object).unwrap(), expected);
        assert_eq!(members(r#"{ "a" : 1 , "b" : [ 2 ] }"#).unwrap(), [("a", "1"), ("b", "[ 2 ]")]);
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
        fn any_object_is_found_whole(
            values in prop::collection::vec(("[a-c]{1,3}", any_value()), 1..6), spaces in 0_usize..3,
        ) {
            let object: Map<String, Value> = values.into_iter().collect();
            let space = " ".repeat(spaces);
            let members_text: Vec<String> =
                object.iter().map(|(name, value)| format!("{space}{}{space}:{space}{value}{space}", json!(name))).collect();
            let text = format!("{{{}}}", members_text.join(","));
            let found = members(&text).unwrap();
            prop_assert_eq!(found.len(), object.len());
            for ((name, value), (expected, own)) in found.into_iter().zip(&object) {
                prop_assert_eq!((name, value.to_owned()), (expected.as_str(), own.to_string()));
            }
        }

        /// What is found is what is there, and what is no object is found by nobody who reads the values too.
        #[test]
        fn nothing_is_found_that_is_not_there(object in "[{}\\[\\]\"\\\\,: 1a中]{0,24}") {
            let Some(found) = members(&object) else { return Ok(()) };
            let values: Result<Vec<Value>, _> = found.iter().map(|(_, value)| serde_json::from_str(value)).collect();
            let read: Result<Value, _> = serde_json::from_str(&object);
            prop_assert_eq!(values.is_ok(), read.is_ok(), "{}", object);
        }
    }
}
