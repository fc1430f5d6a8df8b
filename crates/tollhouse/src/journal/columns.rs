//! Tables by columns, as Apache Parquet has them: each declared field with its type, and the others as JSON.
//!
//! Nothing is lost: a value that its column cannot hold (a list where there is one value as a rule) stands under its name
//! in the column [`OTHERS`]. Rows are gathered until they are a group of rows, which bounds the memory.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Stored, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};
use tollhouse_query::date::parse_rfc3339;
use tollhouse_query::fields::FieldKind;
use tollhouse_shape::catalogue;

use super::export::value_of;

/// The column of all that has no column of its own.
const OTHERS: &str = "other_fields";
/// The declared field that is a list as a rule.
const LIST: &str = "tags";
/// A group of rows ends with this many rows, or bytes of their texts.
const ROWS_MAX: usize = 65_536;
const BYTES_MAX: usize = 32 << 20;
/// As good as it gets without being slow.
const ZSTD_LEVEL: i32 = 3;

/// A table that is being written.
pub(super) struct Columns<W: Write + Send> {
    file: SerializedFileWriter<W>,
    named: Vec<Column>,
    /// Whether fields that were not asked for are wanted, too.
    wants_all: bool,
    others: Column,
    rows: usize,
    bytes: usize,
}

/// The values of one column that are not written yet.
struct Column {
    /// As it was asked for.
    name: String,
    values: Values,
    /// For each row (for each value of a list): how much of it there is.
    levels: Vec<i16>,
    /// For lists: whether a value belongs to the row before.
    repeats: Option<Vec<i16>>,
}

enum Values {
    Texts(Vec<ByteArray>),
    Json(Vec<ByteArray>),
    Whole(Vec<i64>),
    Times(Vec<i64>),
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
}

impl<W: Write + Send> Columns<W> {
    /// A table of these fields; of all that are declared when none are named.
    pub(super) fn new(out: W, fields: &[String]) -> Result<Self, ParquetError> {
        let mut names: Vec<String> = fields.to_vec();
        if names.is_empty() {
            names = catalogue().iter().map(|(name, _)| name.to_owned()).collect();
        }
        let mut columns: Vec<Column> = Vec::with_capacity(names.len());
        for name in names {
            if name != OTHERS && columns.iter().all(|column| column.name != name) {
                columns.push(Column::new(name));
            }
        }
        let others = Column { values: Values::Json(Vec::new()), ..Column::new(OTHERS.to_owned()) };
        let all = columns.iter().chain([&others]).map(Column::schema).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("records").with_fields(all).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_created_by("tollhouse".to_owned());
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build()))?;
        Ok(Self { file, named: columns, wants_all: fields.is_empty(), others, rows: 0, bytes: 0 })
    }

    /// Adds a row.
    pub(super) fn put(&mut self, document: &Map<String, Value>) -> Result<(), ParquetError> {
        let mut others = Map::new();
        if self.wants_all {
            let is_other = |name: &str| self.named.iter().all(|column| column.name != name);
            let fields = document.iter().filter(|(name, _)| is_other(name));
            others.extend(fields.map(|(name, value)| (name.clone(), value.clone())));
        }
        for column in &mut self.named {
            let value = value_of(document, &column.name);
            match column.push(value) {
                Some(bytes) => self.bytes += bytes,
                None => others.extend(value.map(|value| (column.name.clone(), value.clone()))),
            }
        }
        let others = (!others.is_empty()).then(|| Value::from(others));
        self.bytes += self.others.push(others.as_ref()).unwrap_or_default();
        self.rows += 1;
        if self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX { self.write() } else { Ok(()) }
    }

    /// Ends the table, which has its columns even when it has no rows.
    pub(super) fn end(mut self) -> Result<(), ParquetError> {
        if self.rows > 0 {
            self.write()?;
        }
        self.file.close().map(|_| ())
    }

    /// Writes a group of rows.
    fn write(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for column in self.named.iter_mut().chain([&mut self.others]) {
            let writer = group.next_column()?;
            column.write(writer.ok_or_else(|| ParquetError::General(format!("no column {}", column.name)))?)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Column {
    fn new(name: String) -> Self {
        let canonical = catalogue().canonical(&name);
        let values = match catalogue().kind(canonical) {
            Some(FieldKind::Keyword | FieldKind::Text) => Values::Texts(Vec::new()),
            Some(FieldKind::Long) => Values::Whole(Vec::new()),
            Some(FieldKind::Date) => Values::Times(Vec::new()),
            Some(FieldKind::Double) => Values::Numbers(Vec::new()),
            Some(FieldKind::Boolean) => Values::Flags(Vec::new()),
            None => Values::Json(Vec::new()),
        };
        let repeats = (canonical == LIST).then(Vec::new);
        Self { name, values, levels: Vec::new(), repeats }
    }

    fn schema(&self) -> Result<TypePtr, ParquetError> {
        let (stored, logical) = match &self.values {
            Values::Texts(_) => (Stored::BYTE_ARRAY, Some(LogicalType::String)),
            Values::Json(_) => (Stored::BYTE_ARRAY, Some(LogicalType::Json)),
            Values::Whole(_) => (Stored::INT64, None),
            Values::Times(_) => (Stored::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
            Values::Numbers(_) => (Stored::DOUBLE, None),
            Values::Flags(_) => (Stored::BOOLEAN, None),
        };
        let value = |name: &str, repetition| {
            let value = Type::primitive_type_builder(name, stored).with_repetition(repetition);
            value.with_logical_type(logical.clone()).build().map(Arc::new)
        };
        if self.repeats.is_none() {
            return value(&self.name, Repetition::OPTIONAL);
        }
        // A list of three levels, as the format has them.
        let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
        let list = list.with_fields(vec![value("element", Repetition::REQUIRED)?]).build()?;
        let outer = Type::group_type_builder(&self.name).with_repetition(Repetition::OPTIONAL);
        outer.with_logical_type(Some(LogicalType::List)).with_fields(vec![Arc::new(list)]).build().map(Arc::new)
    }

    /// Adds the value of a row, and gives the bytes that it takes; nothing when the column cannot hold it.
    fn push(&mut self, value: Option<&Value>) -> Option<usize> {
        let value = value.filter(|value| !value.is_null());
        if let Some(repeats) = &mut self.repeats {
            return push_list(&mut self.values, &mut self.levels, repeats, value);
        }
        let bytes = value.map_or(Some(0), |value| self.values.push(value));
        self.levels.push(i16::from(value.is_some() && bytes.is_some()));
        bytes
    }

    fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let (levels, repeats) = (Some(&self.levels[..]), self.repeats.as_deref());
        match &mut self.values {
            Values::Texts(values) | Values::Json(values) => {
                writer.typed::<ByteArrayType>().write_batch(values, levels, repeats)?;
                values.clear();
            }
            Values::Whole(values) | Values::Times(values) => {
                writer.typed::<Int64Type>().write_batch(values, levels, repeats)?;
                values.clear();
            }
            Values::Numbers(values) => {
                writer.typed::<DoubleType>().write_batch(values, levels, repeats)?;
                values.clear();
            }
            Values::Flags(values) => {
                writer.typed::<BoolType>().write_batch(values, levels, repeats)?;
                values.clear();
            }
        }
        self.levels.clear();
        self.repeats.iter_mut().for_each(Vec::clear);
        writer.close()
    }
}

impl Values {
    /// Adds a value, and gives the bytes that it takes; nothing when it is of another kind.
    fn push(&mut self, value: &Value) -> Option<usize> {
        match self {
            Self::Texts(texts) => texts.push(value.as_str()?.into()),
            Self::Json(texts) => texts.push(value.to_string().into_bytes().into()),
            Self::Whole(numbers) => numbers.push(value.as_i64()?),
            Self::Times(times) => times.push(parse_rfc3339(value.as_str()?)?),
            Self::Numbers(numbers) => numbers.push(value.as_f64()?),
            Self::Flags(flags) => flags.push(value.as_bool()?),
        }
        let text_bytes = match self {
            Self::Texts(texts) | Self::Json(texts) => texts.last().map_or(0, ByteArray::len),
            _ => 0,
        };
        Some(text_bytes + size_of::<ByteArray>())
    }
}

/// Adds a list, or a single value as a list of one. Level 0: no list, 1: an empty one, 2: a value of one.
fn push_list(
    values: &mut Values,
    levels: &mut Vec<i16>,
    repeats: &mut Vec<i16>,
    value: Option<&Value>,
) -> Option<usize> {
    let items = match value {
        Some(Value::Array(items)) => &items[..],
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    if items.is_empty() || !items.iter().all(Value::is_string) {
        let is_empty = value.is_some() && items.is_empty();
        levels.push(i16::from(is_empty));
        repeats.push(0);
        return (value.is_none() || is_empty).then_some(0);
    }
    let mut bytes = 0;
    for (place, item) in items.iter().enumerate() {
        bytes += values.push(item)?;
        levels.push(2);
        repeats.push(i16::from(place > 0));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    use serde_json::json;

    use super::*;

    fn table(rows: &[Value], fields: &[&str]) -> SerializedFileReader<bytes::Bytes> {
        let fields: Vec<String> = fields.iter().map(|name| (*name).to_owned()).collect();
        let mut out = Vec::new();
        let mut columns = Columns::new(&mut out, &fields).unwrap();
        for row in rows {
            columns.put(row.as_object().unwrap()).unwrap();
        }
        columns.end().unwrap();
        SerializedFileReader::new(bytes::Bytes::from(out)).unwrap()
    }

    #[test]
    fn a_value_is_in_its_column_or_among_the_others() {
        let rows = [
            json!({"@timestamp": "2026-01-27T10:20:30.456+08:00", "status": 1, "http_status": 200, "x": {"y": [1]}}),
            json!({"http_status": [200, 500], "tags": ["a", "b"], "stream": true}),
            json!({"tags": [], "duration_ms": 3}),
        ];
        let reader = table(&rows, &["@timestamp", "status", "stream", "duration_ms", "x.y", "status"]);
        let names: Vec<&str> =
            reader.metadata().file_metadata().schema().get_fields().iter().map(|field| field.name()).collect();
        assert_eq!(names, ["@timestamp", "status", "stream", "duration_ms", "x.y", OTHERS]);
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows[0].get_timestamp_millis(0).unwrap(), 1_769_480_430_456);
        assert_eq!((rows[0].get_long(1).unwrap(), rows[0].get_string(4).unwrap().as_str()), (200, "[1]"));
        assert_eq!(rows[1].get_string(5).unwrap(), r#"{"status":[200,500]}"#);
        assert!(rows[1].get_bool(2).unwrap() && rows[1].get_long(1).is_err());
        assert_eq!(rows[2].get_double(3).unwrap().to_bits(), 3_f64.to_bits());
    }

    #[test]
    fn all_fields_are_there_and_rows_come_in_groups() {
        let row = json!({"msg": "x".repeat(300_000), "own": {"a": 1}, "tags": ["a", "b"]});
        let rows = vec![row; 250];
        let reader = table(&rows, &[]);
        let groups = reader.metadata().row_groups();
        assert_eq!(groups.iter().map(parquet::file::metadata::RowGroupMetaData::num_rows).sum::<i64>(), 250);
        assert!(groups.len() == 3, "{BYTES_MAX} bytes at once at most");
        let columns = reader.metadata().file_metadata().schema().get_fields().len();
        assert_eq!(columns, catalogue().iter().count() + 1);
        assert_eq!(table(&[], &[]).metadata().file_metadata().num_rows(), 0);
    }
}
