//! `filter_path`: which parts of an answer are sent.

use serde_json::{Map, Value};
use tollhouse_query::Pattern;

/// The paths that are kept and those that are left out: `*` is any name, `**` any number of levels, `-` in front leaves out.
pub(crate) struct FilterPath {
    includes: Vec<Vec<String>>,
    excludes: Vec<Vec<String>>,
}

impl FilterPath {
    pub(crate) fn new(text: &str) -> Self {
        let path = |text: &str| text.split('.').map(str::to_owned).collect();
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let (excludes, includes): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.starts_with('-'));
        Self {
            includes: includes.into_iter().map(path).collect(),
            excludes: excludes.into_iter().map(|part| path(&part[1..])).collect(),
        }
    }

    pub(crate) fn apply(&self, value: Value) -> Value {
        let states = |paths: &'_ [Vec<String>]| -> Vec<Vec<String>> { paths.to_vec() };
        let value = if self.excludes.is_empty() { value } else { without(value, &states(&self.excludes)) };
        if self.includes.is_empty() {
            return value;
        }
        only(value, &states(&self.includes)).unwrap_or_else(|| Value::Object(Map::new()))
    }
}

/// Which paths lead on from a name, and whether one ends there.
fn step(paths: &[Vec<String>], name: &str) -> (bool, Vec<Vec<String>>) {
    let mut next = Vec::new();
    let mut ends = false;
    for path in paths {
        let mut rest = path.as_slice();
        // `**` stands for this level too, or for none.
        while let [first, more @ ..] = rest {
            if first == "**" {
                ends |= more.is_empty();
                next.push(rest.to_vec());
                rest = more;
                continue;
            }
            if Pattern::new(first).is_match(name) {
                ends |= more.is_empty();
                if !more.is_empty() {
                    next.push(more.to_vec());
                }
            }
            break;
        }
    }
    (ends, next)
}

fn only(value: Value, paths: &[Vec<String>]) -> Option<Value> {
    match value {
        Value::Object(object) => {
            let mut kept = Map::new();
            for (name, value) in object {
                let (ends, next) = step(paths, &name);
                let value = if ends { Some(value) } else { only(value, &next) };
                if let Some(value) = value {
                    kept.insert(name, value);
                }
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<Value> = items.into_iter().filter_map(|item| only(item, paths)).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn without(value: Value, paths: &[Vec<String>]) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter_map(|(name, value)| {
                let (ends, next) = step(paths, &name);
                (!ends).then(|| (name, without(value, &next)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(|item| without(item, paths)).collect()),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn filter_paths() {
        let value = json!({"took": 1, "hits": {"total": {"value": 2}, "hits": [{"_id": "1", "_source": {"a": 1, "b": 2}}, {"_id": "2"}]}});
        for (filter, expected) in [
            ("took", json!({"took": 1})),
            ("hits.total", json!({"hits": {"total": {"value": 2}}})),
            ("hits.hits._id", json!({"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}})),
            ("hits.hits._source.a", json!({"hits": {"hits": [{"_source": {"a": 1}}]}})),
            ("**.value", json!({"hits": {"total": {"value": 2}}})),
            ("t*,hits.*.value", json!({"took": 1, "hits": {"total": {"value": 2}}})),
            ("-hits", json!({"took": 1})),
            ("hits,-hits.hits", json!({"hits": {"total": {"value": 2}}})),
            ("nothing", json!({})),
        ] {
            assert_eq!(FilterPath::new(filter).apply(value.clone()), expected, "{filter}");
        }
    }
}
