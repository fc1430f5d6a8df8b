//! A record on its way to the journal: serialised where it is made, so that the one writer thread only copies bytes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tollhouse_members::{mark, text_end, value_end};

use crate::line::UNCUT_BYTES_MAX;

/// Most fields one record carries; further ones are dropped and counted in `fields_dropped`.
pub(crate) const FIELDS_MAX: usize = 1000;
/// Room for the fields of a request's record.
const OBJECT_BYTES: usize = 1024;
const NAMES: usize = 40;
/// Names the journal itself gives; a record's own field of that name gets an underscore in front.
const RESERVED: [&str; 9] = ["ts", "level", "kind", "msg", "caller", "service", "seq", "prev", "fields_dropped"];

/// How much a record matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step, for the one who looks for a bug.
    Trace,
    /// Details, for the one who looks for a cause.
    Debug,
    /// What happened.
    Info,
    /// Somebody should look when there is time.
    Warn,
    /// Something did not work.
    Error,
}

impl Level {
    /// The word in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    /// Reads the word that [`Level::as_str`] gives; the error says which words there are.
    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|level| level.as_str() == word)
            .ok_or_else(|| format!("unknown level {word:?}, expected trace, debug, info, warn or error"))
    }
}

/// One event, to become one line. `ts`, `service`, `seq` and `prev` are added by the writer.
#[derive(Debug, Clone)]
pub struct Record {
    pub(crate) kind: &'static str,
    pub(crate) level: Level,
    pub(crate) msg: Cow<'static, str>,
    pub(crate) caller: Cow<'static, str>,
    /// `,"name":value` for each field, without a line feed anywhere.
    pub(crate) body: Vec<u8>,
    /// Where the names, with their quotes, are in `body`.
    pub(crate) names: Vec<Range<usize>>,
    /// The marks of the names.
    marks: u64,
    pub(crate) dropped: usize,
    /// Which of the names is that of the field that is kept uncut.
    pub(crate) uncut: Option<usize>,
    /// Whoever appends it tries again until it is kept.
    pub(crate) comes_again: bool,
}

impl Record {
    /// A record without fields. `kind` is one of the words of the design, such as `request` or `process`.
    pub fn new(kind: &'static str, level: Level, msg: impl Into<Cow<'static, str>>) -> Self {
        let (body, names) = (Vec::new(), Vec::new());
        let caller = Cow::Borrowed("");
        let (msg, marks, dropped, uncut, comes_again) = (msg.into(), 0, 0, None, false);
        Self { kind, level, msg, caller, body, names, marks, dropped, uncut, comes_again }
    }

    /// A record with the fields of `object`, in its order. What is not an object becomes the field `value`; what cannot
    /// be serialised becomes the field `unserialisable` with the reason: a record is never lost for its form.
    pub fn with(kind: &'static str, level: Level, msg: impl Into<Cow<'static, str>>, object: &impl Serialize) -> Self {
        let mut record = Self::new(kind, level, msg);
        let mut json = Vec::with_capacity(OBJECT_BYTES);
        if let Err(error) = serde_json::to_writer(&mut json, object) {
            return record.field("unserialisable", error.to_string());
        }
        if let Some((names, marks)) = plain_names(&json) {
            // As it stands: only the braces are not wanted.
            json.pop();
            match json.first_mut() {
                Some(brace) if !names.is_empty() => *brace = b',',
                _ => json.clear(),
            }
            (record.body, record.names, record.marks) = (json, names, marks);
            return record;
        }
        let Ok(Fields(fields)) = serde_json::from_slice(&json) else {
            return record.field("value", object);
        };
        fields.into_iter().fold(record, |record, (name, value)| record.field(&name.0, value))
    }

    /// Which part of the program speaks, as in `gateway/stack.rs`.
    #[must_use]
    pub fn caller(mut self, caller: impl Into<Cow<'static, str>>) -> Self {
        self.caller = caller.into();
        self
    }

    /// Says that whoever appends this record tries again until it is kept, as with a line that stays in its file: when the disk does
    /// not take it, it is not lost, and no `gap` record counts it.
    #[must_use]
    pub fn comes_again(mut self) -> Self {
        self.comes_again = true;
        self
    }

    /// Makes room for the fields to come: the bytes of their names and values, and how many they are.
    #[must_use]
    pub fn room(mut self, bytes: usize, fields: usize) -> Self {
        self.body.reserve(bytes);
        self.names.reserve(fields);
        self
    }

    /// Adds a field whose value is given as JSON, which the caller knows to be one whole value in one line: it is copied into the
    /// journal as it stands.
    #[must_use]
    pub fn json(mut self, name: &str, json: &str) -> Self {
        debug_assert!(serde_json::from_str::<&RawValue>(json).is_ok(), "{json} is not one value");
        debug_assert!(memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_none(), "{json} is not one line");
        if self.names.len() == FIELDS_MAX {
            self.dropped += 1;
            return self;
        }
        self.push_name(name);
        self.body.extend_from_slice(json.as_bytes());
        self
    }

    /// Adds a field; see [`Record::with`] for values that cannot be serialised and the crate's page for taken names.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Serialize) -> Self {
        if self.names.len() == FIELDS_MAX {
            self.dropped += 1;
            return self;
        }
        self.push_name(name);
        let start = self.body.len();
        let written = serde_json::to_writer(&mut self.body, &value);
        // A raw value is copied as it was written, perhaps over several lines; a line must stay one line.
        let reason = match written {
            Ok(()) if memchr::memchr2(b'\n', b'\r', &self.body[start..]).is_none() => return self,
            Ok(()) => match serde_json::from_slice::<serde_json::Value>(&self.body[start..]) {
                Ok(value) => value,
                Err(error) => error.to_string().into(),
            },
            Err(error) => format!("unserialisable: {error}").into(),
        };
        self.body.truncate(start);
        self.body.extend_from_slice(reason.to_string().as_bytes());
        self
    }

    /// Adds a field whose text is kept whole where others are cut because the record is too long. One field of a record may be so, and has
    /// at most [`UNCUT_BYTES_MAX`](crate::UNCUT_BYTES_MAX) as JSON with its name; else it is a field as others are.
    #[must_use]
    pub fn uncut(self, name: &str, text: &str) -> Self {
        let (is_first, place, before) = (self.uncut.is_none(), self.names.len(), self.body.len());
        let mut record = self.field(name, text);
        if is_first && place < record.names.len() && record.body.len() - before <= UNCUT_BYTES_MAX {
            record.uncut = Some(place);
        }
        record
    }

    /// What the field that is kept uncut takes in the line.
    pub(crate) fn uncut_bytes(&self) -> usize {
        let Some(place) = self.uncut else { return 0 };
        let begin_of = |name: &Range<usize>| name.start - 1;
        let end = self.names.get(place + 1).map_or(self.body.len(), begin_of);
        self.names.get(place).map_or(0, |name| end - begin_of(name))
    }

    /// Appends `,"name":` with the first form of the name that is free.
    fn push_name(&mut self, name: &str) {
        let mut name = Cow::Borrowed(name);
        let start = self.body.len();
        loop {
            self.body.push(b',');
            push_json(&mut self.body, &*name);
            let (earlier, quoted) = self.body.split_at(start + 1);
            let mark = mark(name.as_bytes());
            let is_taken = (RESERVED_MARKS & mark != 0 && RESERVED.contains(&&*name))
                || (self.marks & mark != 0 && self.names.iter().any(|other| earlier[other.clone()] == *quoted));
            if !is_taken {
                self.marks |= mark;
                break;
            }
            self.body.truncate(start);
            name = Cow::Owned(format!("_{name}"));
        }
        self.names.push(start + 1..self.body.len());
        self.body.push(b':');
    }

    /// Whether a field with this name, given as JSON with its quotes, is there.
    pub(crate) fn has(&self, quoted: &[u8]) -> bool {
        self.names.iter().any(|name| self.body[name.clone()] == *quoted)
    }
}

/// Appends the JSON form of a text or another value that cannot fail to serialise.
pub(crate) fn push_json(out: &mut Vec<u8>, value: impl Serialize) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, &value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Where the names, with their quotes, are in a JSON object that can be taken over as it stands: as `serde_json` writes it,
/// without spaces, in one line, and with names that are all different, free to be given, and not too many. With their marks.
///
/// A record's object is as a rule; parsing it again and copying it field by field would cost more than writing it.
fn plain_names(json: &[u8]) -> Option<(Vec<Range<usize>>, u64)> {
    let inner = json.strip_prefix(b"{")?.strip_suffix(b"}")?;
    if memchr::memchr2(b'\n', b'\r', inner).is_some() {
        return None;
    }
    let mut names: Vec<Range<usize>> = Vec::with_capacity(NAMES);
    let mut marks = 0;
    let mut at = 1;
    while at < json.len() - 1 {
        let name = at..text_end(json, at)?;
        let quoted = &json[name.clone()];
        let bare = &quoted[1..quoted.len() - 1];
        // Most names are told apart from all others by one bit each, without comparing them.
        let mark = mark(bare);
        let is_taken = (RESERVED_MARKS & mark != 0 && RESERVED.iter().any(|reserved| reserved.as_bytes() == bare))
            || (marks & mark != 0 && names.iter().any(|other| json[other.clone()] == *quoted));
        marks |= mark;
        if is_taken || memchr::memchr(b'\\', bare).is_some() || names.len() == FIELDS_MAX || json[name.end] != b':' {
            return None;
        }
        at = value_end(json, name.end + 1)? + 1;
        names.push(name);
    }
    Some((names, marks))
}

/// The marks of the names in [`RESERVED`].
const RESERVED_MARKS: u64 = {
    let (mut marks, mut at) = (0, 0);
    while at < RESERVED.len() {
        marks |= mark(RESERVED[at].as_bytes());
        at += 1;
    }
    marks
};

/// The members of a JSON object, their values left as text.
struct Fields<'a>(Vec<(Name<'a>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(record: &Record, expected: &serde_json::Value) {
        let text = String::from_utf8(record.body.clone()).unwrap();
        let text = format!("{{{}}}", text.strip_prefix(',').unwrap_or(""));
        assert!(!text.contains(['\n', '\r']), "{text:?}");
        assert_eq!(&serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
    }

    #[test]
    fn fields_keep_order_and_give_way() {
        let record = Record::new("access", Level::Info, "m").field("a", 1).field("seq", 2).field("a", "x\ny");
        check(&record, &json!({"a": 1, "_seq": 2, "_a": "x\ny"}));
        assert!(record.has(b"\"_seq\"") && !record.has(b"\"seq\""));
    }

    #[test]
    fn objects_of_all_forms() {
        let raw: Box<RawValue> = serde_json::from_str("{\n \"q\\\"\": [1,\r\n 2],\n \"msg\": {\"x\": null}}").unwrap();
        check(&Record::with("log", Level::Warn, "m", &raw), &json!({"q\"": [1, 2], "_msg": {"x": null}}));
        check(&Record::with("log", Level::Warn, "m", &[1, 2]), &json!({"value": [1, 2]}));
        let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
        let record = Record::with("log", Level::Warn, "m", &odd);
        assert!(String::from_utf8_lossy(&record.body).starts_with(",\"unserialisable\":\""));
    }

    #[test]
    fn what_cannot_stay_as_it_stands_is_written_anew() {
        for (json, expected) in [
            (r"{}", Some(0)),
            (r#"{"a":1,"b":"x,\"}","c":[{"d":[]},"]"],"e":{}}"#, Some(4)),
            (r#"{"a":1,"a":2}"#, None),
            (r#"{"a":1,"seq":2}"#, None),
            (r#"{"\u0073eq":2}"#, None),
            (r#"{"a" :2}"#, None),
            (r#"{ "a":2}"#, None),
            ("{\"a\":[\n]}", None),
            (r"[]", None),
            (r"7", None),
        ] {
            assert_eq!(plain_names(json.as_bytes()).map(|(names, _)| names.len()), expected, "{json}");
        }
    }

    proptest! {
        /// Both ways of making a record give the same one.
        #[test]
        fn objects_become_fields(
            members in prop::collection::vec(("[a-c\"\\\\é]{0,2}|seq|_seq|msg", ".{0,8}", 0_i64..4), 0..8),
        ) {
            let mut text = String::from("{");
            for (place, (name, value, kind)) in members.iter().enumerate() {
                let value = match kind {
                    0 => json!(value),
                    1 => json!([value, {"x": value}]),
                    2 => json!({value.as_str(): [[], null]}),
                    _ => json!(-1.5),
                };
                let comma = if place == 0 { "" } else { "," };
                let _ = write!(text, "{comma}{}:{value}", json!(name));
            }
            text.push('}');
            let raw: Box<RawValue> = serde_json::from_str(&text).unwrap();
            let record = Record::with("log", Level::Info, "m", &raw);
            let Fields(fields) = serde_json::from_str(&text).unwrap();
            let other = fields
                .into_iter()
                .fold(Record::new("log", Level::Info, "m"), |record, (name, value)| record.field(&name.0, value));
            prop_assert_eq!(&record.body, &other.body);
            prop_assert_eq!(&record.names, &other.names);
            prop_assert_eq!(record.dropped, other.dropped);
        }
    }

    #[test]
    fn too_many_fields_are_counted() {
        let object: serde_json::Map<_, _> = (0..FIELDS_MAX + 5).map(|i| (format!("f{i}"), json!(i))).collect();
        let record = Record::with("log", Level::Info, "m", &object);
        assert_eq!((record.names.len(), record.dropped), (FIELDS_MAX, 5));
    }

    #[test]
    fn levels_are_words() {
        assert_eq!("warn".parse(), Ok(Level::Warn));
        assert!("WARN".parse::<Level>().is_err() && Level::Debug < Level::Error);
    }
}
