//! Values that hits tell by name (`fields`, `docvalue_fields`), each as a list.

use serde_json::{Map, Value};
use tollhouse_query::Pattern;
use tollhouse_query::ast::{DateFormat, FieldAsked, SearchRequest};
use tollhouse_query::date::Zone;
use tollhouse_query::fields::{FieldKind, Fields};

use crate::error::StoreError;
use crate::sort::date_json;

/// Which values of documents are told.
pub(crate) struct Shown<'a> {
    fields: &'a Fields,
    asked: Vec<Asked<'a>>,
}

struct Asked<'a> {
    /// A name without wildcards is looked up instead of compared.
    name: Option<&'a str>,
    pattern: Pattern,
    format: Option<DateFormat>,
}

impl<'a> Shown<'a> {
    /// What a request asks for; texts have no values in the index.
    pub(crate) fn new(request: &'a SearchRequest, fields: &'a Fields) -> Result<Self, StoreError> {
        for asked in &request.docvalue_fields {
            if fields.kind(&asked.pattern) == Some(FieldKind::Text) {
                return Err(StoreError::text_has_no_values(&asked.pattern));
            }
        }
        let asked = |asked: &'a FieldAsked| Asked {
            name: (!asked.pattern.contains('*')).then_some(asked.pattern.as_str()),
            pattern: Pattern::new(&asked.pattern),
            format: asked.format,
        };
        Ok(Self { fields, asked: request.fields.iter().chain(&request.docvalue_fields).map(asked).collect() })
    }

    /// The values of one document.
    pub(crate) fn of(&self, source: &Map<String, Value>) -> Map<String, Value> {
        let mut leaves = Vec::new();
        collect("", source, &mut leaves);
        let mut shown = Map::new();
        for asked in &self.asked {
            if let Some(name) = asked.name {
                let canonical = self.fields.canonical(name);
                if let Some((_, values)) = leaves.iter().find(|(path, _)| path == canonical) {
                    shown.insert(name.to_owned(), self.told(canonical, values, asked.format));
                }
                continue;
            }
            for (path, values) in &leaves {
                let aliases = self.fields.aliases().filter(|(_, name)| name == path).map(|(alias, _)| alias);
                for name in aliases.chain([path.as_str()]).filter(|name| asked.pattern.is_match(name)) {
                    shown.insert(name.to_owned(), self.told(path, values, asked.format));
                }
            }
        }
        shown
    }

    fn told(&self, name: &str, values: &[Value], format: Option<DateFormat>) -> Value {
        let format = format.filter(|_| self.fields.kind(name) == Some(FieldKind::Date));
        let value = |value: &Value| match format {
            None => value.clone(),
            Some(format) => {
                Zone::utc().parse_date(value, false, 0).map_or_else(|_| value.clone(), |ms| date_json(ms, format))
            }
        };
        values.iter().map(value).collect()
    }
}

/// All values below an object, by their paths.
fn collect(prefix: &str, object: &Map<String, Value>, leaves: &mut Vec<(String, Vec<Value>)>) {
    for (key, value) in object {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) => collect(&path, inner, leaves),
            Value::Null => {}
            Value::Array(values) => leaves.push((path, values.clone())),
            value => leaves.push((path, vec![value.clone()])),
        }
    }
}
