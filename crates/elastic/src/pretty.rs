//! JSON as Elasticsearch writes it with `?pretty`: two spaces a level, ` : ` between name and value, `[ ]` for nothing.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// Writes a value with line breaks, and one at the end.
pub(crate) fn to_pretty(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, Elastic::default());
    // A value has no keys that are not strings, and memory does not fail to be written.
    let written = value.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "{written:?}");
    bytes.push(b'\n');
    bytes
}

#[derive(Default)]
struct Elastic {
    inner: PrettyFormatter<'static>,
    is_empty: bool,
}

impl Formatter for Elastic {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.is_empty = true;
        self.inner.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if std::mem::take(&mut self.is_empty) {
            writer.write_all(b" ")?;
        }
        self.inner.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.is_empty = false;
        self.inner.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.is_empty = false;
        self.inner.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.is_empty = true;
        self.inner.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if std::mem::take(&mut self.is_empty) {
            writer.write_all(b" ")?;
        }
        self.inner.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.is_empty = false;
        self.inner.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.is_empty = false;
        self.inner.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn looks_like_elasticsearch() {
        let value = json!({"took": 3, "hits": {"hits": [], "sort": [1, "a"], "source": {}}});
        let expected = "{\n  \"took\" : 3,\n  \"hits\" : {\n    \"hits\" : [ ],\n    \"sort\" : [\n      1,\n      \"a\"\n    ],\n    \"source\" : { }\n  }\n}\n";
        assert_eq!(String::from_utf8(to_pretty(&value)).unwrap(), expected);
    }
}
