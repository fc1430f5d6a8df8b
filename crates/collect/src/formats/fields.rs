//! The fields of a line: so many, so large, under names that the house does not need itself.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::map::Entry;
use serde_json::{Map, Value};

use super::beginning;

/// Most fields of a line; the others are in its overflow.
pub const FIELDS_MAX: usize = 64;
/// Longest name of a field, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Largest value of a field, in bytes of JSON.
pub const FIELD_BYTES_MAX: usize = 32 << 10;
/// Largest sum of names and values.
pub const FIELDS_BYTES_MAX: usize = 64 << 10;
/// What is kept of the fields that have no room, in bytes.
pub const OVERFLOW_BYTES_MAX: usize = 16 << 10;

/// Names that a record of the house gives itself, or that Elasticsearch keeps for itself: a line's own field of such a name
/// gets `own_` in front, and the latter lose their underscore.
pub const HOUSE_NAMES: [&str; 43] = [
    "ts",
    "level",
    "kind",
    "msg",
    "caller",
    "service",
    "seq",
    "prev",
    "fields_dropped",
    "ingest_error",
    "source",
    "time",
    "peer",
    "cut",
    "left_out_bytes",
    "utf8",
    "parse_error",
    "overflow",
    "file",
    "file_id",
    "offset",
    "index",
    "doc_id",
    "file_mark",
    "file_note",
    "journald_cursor",
    "line_flaws",
    "lines_joined",
    "certificate_sha256",
    "_id",
    "_index",
    "_source",
    "_type",
    "_version",
    "_routing",
    "_score",
    "_size",
    "_ignored",
    "_field_names",
    "_nested_path",
    "_seq_no",
    "_primary_term",
    "_doc_count",
];

/// Collects fields until there is no room.
#[derive(Debug, Default)]
pub(super) struct Fields {
    map: Map<String, Value>,
    /// Of names and values.
    bytes: usize,
    /// Members of a JSON object, without its braces.
    overflow: String,
    /// Not even the overflow had room.
    is_cut: bool,
}

impl Fields {
    /// Beside fields that had no room before.
    pub(super) fn beside(overflow: &str) -> Self {
        let (kept, is_cut) = beginning(overflow, OVERFLOW_BYTES_MAX);
        Self { overflow: kept.to_owned(), is_cut, ..Self::default() }
    }

    /// Makes room for so many, where there are none yet.
    pub(super) fn expect(&mut self, fields: usize) {
        if self.map.is_empty() {
            self.map = Map::with_capacity(fields.min(FIELDS_MAX));
        }
    }

    /// Adds a field. Where the name has a value already, that one keeps it.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        let name = name.strip_prefix('@').unwrap_or(name);
        let bytes = name.len() + size_of(&value);
        let fits = !name.is_empty()
            && name.len() <= NAME_BYTES_MAX
            && self.map.len() < FIELDS_MAX
            && bytes <= FIELD_BYTES_MAX
            && self.bytes + bytes <= FIELDS_BYTES_MAX;
        if fits && let Entry::Vacant(place) = self.map.entry(own_name(name).into_owned()) {
            place.insert(value);
            self.bytes += bytes;
            return;
        }
        self.overflow(name, &value);
    }

    /// The text of a field that was added.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.map.get(name)?.as_str()
    }

    fn overflow(&mut self, name: &str, value: &Value) {
        let mut member = String::new();
        // A String takes every text.
        let _: std::fmt::Result = write!(member, "{}:{value}", Value::from(name));
        let comma = usize::from(!self.overflow.is_empty());
        let room = OVERFLOW_BYTES_MAX.saturating_sub(self.overflow.len() + comma);
        let (kept, is_cut) = beginning(&member, room);
        self.is_cut |= is_cut;
        if !kept.is_empty() {
            self.overflow.push_str(&","[..comma]);
            self.overflow.push_str(kept);
        }
    }

    /// The fields, and whether something had to be left out altogether.
    pub(super) fn finish(mut self) -> (Map<String, Value>, bool) {
        if !self.overflow.is_empty() {
            self.map.insert("overflow".to_owned(), self.overflow.into());
        }
        (self.map, self.is_cut)
    }
}

/// The name that a field has in its record.
pub(super) fn own_name(name: &str) -> Cow<'_, str> {
    if !is_of_the_house(name) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(["own_", name.strip_prefix('_').unwrap_or(name)].concat())
}

fn is_of_the_house(name: &str) -> bool {
    /// Few are of the same length.
    static BY_LENGTH: LazyLock<Vec<Vec<&'static str>>> = LazyLock::new(|| {
        let longest = HOUSE_NAMES.iter().map(|name| name.len()).max().unwrap_or_default();
        let of = |length| HOUSE_NAMES.into_iter().filter(|name| name.len() == length).collect();
        (0..=longest).map(of).collect()
    });
    BY_LENGTH.get(name.len()).is_some_and(|same| same.contains(&name))
}

/// About how many bytes a value takes as JSON; never fewer than there are in its texts.
pub(super) fn size_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size_of(item) + 1).sum::<usize>() + 2,
        Value::Object(members) => {
            members.iter().map(|(name, value)| name.len() + 4 + size_of(value)).sum::<usize>() + 2
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put_all(fields: &[(&str, Value)]) -> (Value, bool) {
        let mut all = Fields::default();
        for (name, value) in fields {
            all.put(name, value.clone());
        }
        let (map, is_cut) = all.finish();
        (map.into(), is_cut)
    }

    #[test]
    fn names_of_the_house_are_kept_free() {
        let fields = put_all(&[
            ("status", json!(200)),
            ("kind", json!("x")),
            ("_id", json!(7)),
            ("id", json!(8)),
            ("_PID", json!("9")),
            ("@version", json!("1")),
        ]);
        let expected = json!({"status": 200, "own_kind": "x", "own_id": 7, "id": 8, "_PID": "9", "version": "1"});
        assert_eq!(fields, (expected, false));
    }

    #[test]
    fn what_has_no_room_is_in_the_overflow() {
        let long = "n".repeat(NAME_BYTES_MAX + 1);
        let large = "v".repeat(FIELD_BYTES_MAX);
        let (fields, is_cut) = put_all(&[
            ("a", json!(1)),
            ("a", json!({"b": "\""})),
            (&long, json!(2)),
            ("", json!(null)),
            ("large", json!(large)),
            ("later", json!(3)),
        ]);
        assert_eq!((&fields["a"], &fields["later"], is_cut), (&json!(1), &json!(3), true));
        let overflow = fields["overflow"].as_str().unwrap();
        assert!(overflow.starts_with(&format!(r#""a":{{"b":"\""}},"{long}":2,"":null,"large":"vvv"#)), "{overflow}");
        assert_eq!(overflow.len(), OVERFLOW_BYTES_MAX);

        let many: Vec<(String, Value)> = (0..100).map(|number| (format!("f{number}"), json!(number))).collect();
        let many: Vec<(&str, Value)> = many.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let (fields, is_cut) = put_all(&many);
        assert_eq!((fields.as_object().unwrap().len(), is_cut), (FIELDS_MAX + 1, false));
        let rest: Value = serde_json::from_str(&format!("{{{}}}", fields["overflow"].as_str().unwrap())).unwrap();
        assert_eq!((rest.as_object().unwrap().len(), &rest["f99"]), (100 - FIELDS_MAX, &json!(99)));
    }
}
