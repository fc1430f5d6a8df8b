//! Strict reading of JSON (no duplicate keys, bounded depth and size) and cheap writing of it.

use std::cell::Cell;

use serde::Serialize;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Value};

use crate::RequestError;

/// Most values (scalars, arrays and objects together) in one body: bounds memory where many tiny values fit in few bytes.
pub const NODES_MAX: usize = 100_000;

/// How much structure a request body may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonLimits {
    /// Nesting of arrays and objects; more than 127 is cut to 127.
    pub depth: usize,
    /// Messages in one chat.
    pub messages: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { depth: 64, messages: 2048 }
    }
}

/// Reads one JSON object strictly and in one pass.
///
/// Servers differ in which of two equal keys they take, so a duplicate is an error and never a choice.
pub(crate) fn object(body: &[u8], depth: usize) -> Result<Map<String, Value>, RequestError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let (line, column) = position(&body[..error.valid_up_to()]);
        RequestError::Json { line, column, message: "not UTF-8".to_owned() }
    })?;
    let nodes = Cell::new(0);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth_left: depth, depth, nodes: &nodes }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| syntax(&error))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(RequestError::Json { line: 1, column: 1, message: "expected an object".to_owned() }),
    }
}

fn position(before: &[u8]) -> (usize, usize) {
    let line = before.split(|byte| *byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

fn syntax(error: &serde_json::Error) -> RequestError {
    let mut message = error.to_string();
    // serde_json appends the position, which our own text puts first.
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    RequestError::Json { line: error.line(), column: error.column(), message }
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth_left: usize,
    depth: usize,
    nodes: &'a Cell<usize>,
}

impl Strict<'_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(E::custom(format_args!("nested deeper than {} levels", self.depth))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let nodes = self.nodes.get() + 1;
        if nodes > NODES_MAX {
            return Err(D::Error::custom(format_args!("more than {NODES_MAX} values")));
        }
        self.nodes.set(nodes);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            match map.entry(key) {
                Entry::Occupied(entry) => {
                    let key: String = entry.key().chars().take(40).collect();
                    return Err(A::Error::custom(format_args!("duplicate key {key:?}")));
                }
                Entry::Vacant(entry) => {
                    entry.insert(entries.next_value_seed(inner)?);
                }
            }
        }
        Ok(Value::Object(map))
    }
}

/// Refuses an unknown key that a lenient server would take for a known one: Go's JSON ignores case, so `Model` would
/// override the `model` that was checked here.
pub(crate) fn refuse_lookalike(key: &str, known: &[&str], place: &str) -> Result<(), RequestError> {
    let fold = |letter: char| match letter {
        // The two letters beyond ASCII that Go folds onto ASCII ones.
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    for name in known {
        if name.len() <= key.len() && key.chars().map(fold).eq(name.chars()) {
            return Err(RequestError::field(
                format!("{place}{key}"),
                format!("is not a known field, did you mean {name:?}?"),
            ));
        }
    }
    Ok(())
}

/// Writes one JSON object field by field, straight into the outgoing buffer.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Starts the field `key`, one of our own constants; the caller writes the value.
    pub(crate) fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, key: &'static str, item: &T) {
        value(self.key(key), item);
    }

    /// Puts a text, faster than [`put`](Self::put) where it is long.
    pub(crate) fn text(&mut self, key: &'static str, item: &str) {
        text(self.key(key), item);
    }

    pub(crate) fn put_some<T: Serialize>(&mut self, key: &'static str, item: Option<&T>) {
        if let Some(item) = item {
            self.put(key, item);
        }
    }

    /// Writes fields that were carried along, except those in `but`.
    pub(crate) fn rest(&mut self, rest: &Map<String, Value>, but: &[&str]) {
        for (key, item) in rest {
            if but.contains(&key.as_str()) {
                continue;
            }
            self.comma();
            value(self.out, key);
            self.out.push(b':');
            value(self.out, item);
        }
    }

    pub(crate) fn close(self) {
        self.out.push(b'}');
    }

    fn comma(&mut self) {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
    }
}

/// Writes an array, one call of `write` per item.
pub(crate) fn array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Appends a JSON string as serde_json writes it, but looks at many bytes at once: prompts and pictures are long and
/// have little to escape.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_bytes(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            control => out.extend_from_slice(format!("\\u{control:04x}").as_bytes()),
        }
        rest = after;
    }
    out.push(b'"');
}

/// How many bytes from the first on stand in a JSON string as they are.
fn plain_bytes(bytes: &[u8]) -> usize {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // No early exit inside a block, so that the compiler makes vector instructions of it.
    let is_plain = |block: &&[u8; 32]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let (blocks, _) = bytes.as_chunks::<32>();
    let plain = blocks.iter().take_while(is_plain).count() * 32;
    let rest = &bytes[plain..];
    plain + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

pub(crate) fn value<T: Serialize + ?Sized>(out: &mut Vec<u8>, item: &T) {
    serde_json::to_writer(out, item).expect("strings, numbers and JSON values always serialise into memory");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &[u8]) -> String {
        object(body, 4).expect_err("must be refused").to_string()
    }

    #[test]
    fn faults_are_told_with_their_position() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "invalid JSON at line 1 column 0: EOF while parsing a value"),
            (b"[]", "invalid JSON at line 1 column 1: expected an object"),
            (br#"{"model":"a","b":}"#, "invalid JSON at line 1 column 18: expected value"),
            (b"{\"a\":1,\n \"a\":2}", "invalid JSON at line 2 column 4: duplicate key \"a\""),
            (br#"{"a":1,"\u0061":2}"#, "invalid JSON at line 1 column 15: duplicate key \"a\""),
            (b"{\"a\":[[[[1]]]]}", "invalid JSON at line 1 column 9: nested deeper than 4 levels"),
            (b"{} {}", "invalid JSON at line 1 column 4: trailing characters"),
            (b"\xef\xbb\xbf{}", "invalid JSON at line 1 column 1: expected value"),
            (b"{\"a\":NaN}", "invalid JSON at line 1 column 6: expected value"),
            (b"{\"a\":1e400}", "invalid JSON at line 1 column 10: number out of range"),
            (b"{\"a\":\"\xff\"}", "invalid JSON at line 1 column 7: not UTF-8"),
            (b"{\"a\":\"\0\"}", "control character (\\u0000-\\u001F) found while parsing a string"),
            (br#"{"a":"\ud800"}"#, "unexpected end of hex escape"),
        ];
        for (body, expected) in cases {
            let found = error(body);
            assert!(found.contains(expected), "{}: {found}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn depth_is_bounded_without_touching_the_stack() {
        let deep = [b"{\"a\":".as_slice(), &vec![b'['; 1_000_000]].concat();
        assert!(object(&deep, 64).expect_err("too deep").to_string().contains("deeper than 64"));
        assert!(object(&deep, 100_000).expect_err("too deep").to_string().contains("recursion limit"));
    }

    #[test]
    fn many_tiny_values_are_bounded() {
        let many = format!("{{\"a\":[{}0]}}", "0,".repeat(NODES_MAX));
        assert!(object(many.as_bytes(), 64).expect_err("too many").to_string().contains("more than 100000 values"));
    }

    proptest::proptest! {
        #[test]
        fn a_text_is_written_as_serde_json_does(long in "[ -~]{0,80}", any in "(?s).{0,80}", control in "[\\x00-\\x7f]{0,40}") {
            for text in [[&*long, &*control, &*any].concat(), control] {
                let mut found = Vec::new();
                super::text(&mut found, &text);
                proptest::prop_assert_eq!(String::from_utf8(found).expect("UTF-8"), serde_json::to_string(&text).expect("JSON"));
            }
        }
    }

    #[test]
    fn lookalikes_are_refused() {
        for key in ["Model", "MODEL", "message\u{17f}"] {
            assert!(refuse_lookalike(key, &["model", "messages"], "").is_err(), "{key}");
        }
        assert!(refuse_lookalike("models", &["model"], "").is_ok());
    }
}
