//! `_field_caps`: which fields there are, of which types, in which indices.

use std::collections::BTreeMap;

use axum::response::Response;
use serde_json::{Map, Value, json};
use tollhouse_query::dsl;
use tollhouse_query::{Pattern, Query};
use tollhouse_remote::Shelf;

use crate::asked::{Asked, Names};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::search::{Wanting, counted};

/// By name of the field, then by type: the indices that have it so.
type Found = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// `GET|POST [/{indices}]/_field_caps`.
pub(crate) async fn caps(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let caps = async {
        asked.params.only(&[
            "fields",
            "include_unmapped",
            "include_empty_fields",
            "types",
            "filters",
            "ignore_unavailable",
            "allow_no_indices",
            "expand_wildcards",
        ])?;
        let body = asked.json()?;
        let asked_for = patterns(&body, asked.params.get("fields"))?;
        let types: Option<Vec<&str>> = asked.params.get("types").map(|types| types.split(',').collect());
        check_filters(asked.params.get("filters"))?;
        let indices = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let indices = with_matches(&elastic.shelf, indices, &body).await?;
        let mut found = collect(&elastic.shelf.mapping(indices.clone()).await?, &asked_for);
        if let Some(types) = types {
            for by_type in found.values_mut() {
                by_type.retain(|kind, _| types.contains(&kind.as_str()));
            }
            found.retain(|_, by_type| !by_type.is_empty());
        }
        let fields = shown(found, &indices, asked.params.flag("include_unmapped"));
        Ok(json!({"indices": indices, "fields": fields}))
    };
    asked.answer::<Value>(caps.await)
}

/// The indices in which documents fulfil `index_filter`, all when there is none.
pub(crate) async fn with_matches(
    shelf: &Shelf,
    indices: Vec<String>,
    body: &Value,
) -> Result<Vec<String>, ElasticError> {
    let query = match &body["index_filter"] {
        Value::Null => return Ok(indices),
        filter => dsl::parse_query(filter)?,
    };
    if query == Query::MatchAll {
        return Ok(indices);
    }
    let mut kept = Vec::with_capacity(indices.len());
    for index in indices {
        if counted(shelf, vec![index.clone()], query.clone()).await? > 0 {
            kept.push(index);
        }
    }
    Ok(kept)
}

fn patterns(body: &Value, param: Option<&str>) -> Result<Vec<Pattern>, ElasticError> {
    let names: Vec<&str> = match (&body["fields"], param) {
        (Value::Array(names), _) => names.iter().filter_map(Value::as_str).collect(),
        (Value::String(names), _) => names.split(',').collect(),
        (_, Some(names)) => names.split(',').collect(),
        _ => Vec::new(),
    };
    if names.is_empty() {
        return Err(ElasticError::Validation("no fields specified"));
    }
    Ok(names.into_iter().map(|name| Pattern::new(name.trim())).collect())
}

/// Which fields are left out by kind: of those kinds that there are, none is here.
fn check_filters(filters: Option<&str>) -> Result<(), ElasticError> {
    const KNOWN: [&str; 6] = ["-metadata", "-parent", "-nested", "-multifield", "+metadata", ""];
    match filters.into_iter().flat_map(|filters| filters.split(',')).find(|filter| !KNOWN.contains(filter)) {
        Some(other) => Err(ElasticError::Parameter(format!("[filters] of [{other}] is not supported"))),
        None => Ok(()),
    }
}

fn collect(mapping: &Value, asked_for: &[Pattern]) -> Found {
    let mut found = Found::new();
    for (index, described) in mapping.as_object().into_iter().flatten() {
        let properties = &described["mappings"]["properties"];
        for (name, kind) in leaves(properties) {
            if asked_for.iter().any(|pattern| pattern.is_match(&name)) {
                found.entry(name).or_default().entry(kind).or_default().push(index.clone());
            }
        }
    }
    found
}

/// All fields of a mapping with their types, objects among them; an alias has the type of what it stands for.
fn leaves(properties: &Value) -> Vec<(String, String)> {
    fn walk(prefix: &str, properties: &Value, leaves: &mut Vec<(String, String)>, aliases: &mut Vec<(String, String)>) {
        for (name, property) in properties.as_object().into_iter().flatten() {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            match (property["type"].as_str(), property["path"].as_str()) {
                (Some("alias"), Some(target)) => aliases.push((path.clone(), target.to_owned())),
                (Some(kind), _) => leaves.push((path.clone(), kind.to_owned())),
                (None, _) => leaves.push((path.clone(), "object".to_owned())),
            }
            walk(&path, &property["properties"], leaves, aliases);
        }
    }
    let (mut found, mut aliases) = (Vec::new(), Vec::new());
    walk("", properties, &mut found, &mut aliases);
    let kinds: BTreeMap<String, String> = found.iter().cloned().collect();
    found.extend(aliases.into_iter().filter_map(|(alias, target)| Some((alias, kinds.get(&target)?.clone()))));
    found
}

fn shown(found: Found, indices: &[String], with_unmapped: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, mut by_type) in found {
        if with_unmapped {
            let has = |index: &&String| by_type.values().any(|having| having.contains(index));
            let without: Vec<String> = indices.iter().filter(|index| !has(index)).cloned().collect();
            if !without.is_empty() {
                by_type.insert("unmapped".to_owned(), without);
            }
        }
        let tells_indices = by_type.len() > 1;
        let mut types = Map::new();
        for (kind, having) in by_type {
            let is_searchable = !matches!(kind.as_str(), "object" | "unmapped");
            let mut caps = json!({
                "type": kind,
                "metadata_field": false,
                "searchable": is_searchable,
                "aggregatable": is_searchable && kind != "text",
            });
            if tells_indices {
                caps["indices"] = having.into();
            }
            types.insert(kind, caps);
        }
        fields.insert(name, types.into());
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_differ_tell_where() {
        let field = |kind: &str| {
            json!({"mappings": {"properties": {"a": {"properties": {"b": {"type": kind}}},
            "c": {"type": "alias", "path": "a.b"}}}})
        };
        let mapping = json!({"one": field("long"), "two": field("keyword"), "three": field("long")});
        let indices = ["one", "two", "three", "four"].map(str::to_owned);
        let caps = shown(collect(&mapping, &[Pattern::new("*")]), &indices, false);
        assert_eq!(caps["a"]["object"]["searchable"], false);
        assert_eq!(caps["a.b"]["long"]["indices"], json!(["one", "three"]));
        assert_eq!(caps["c"]["keyword"]["indices"], json!(["two"]));
        let caps = shown(collect(&mapping, &[Pattern::new("a")]), &indices, true);
        assert_eq!(caps["a"]["unmapped"]["indices"], json!(["four"]));
        assert_eq!(caps.len(), 1);
    }
}
