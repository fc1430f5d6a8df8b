//! Documents by their ids: `_doc`, `_source`, `_mget`.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tollhouse_query::ast::{Missing, Query, SearchRequest, Sort, SourceFilter};
use tollhouse_query::dsl::{self, RESULT_WINDOW_MAX};

use crate::asked::{Asked, Names, Params};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::indices::REFRESH_S_MAX;
use crate::search::{ALL, searched, with_params};

const PARAMETERS: [&str; 8] = [
    "_source",
    "_source_includes",
    "_source_excludes",
    // Documents are found in one way, as they were written.
    "realtime",
    "refresh",
    "preference",
    "routing",
    "version_type",
];

/// A document, or that there is none.
#[derive(Serialize)]
struct Got {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
    #[serde(flatten)]
    version: Option<Version>,
    found: bool,
    #[serde(rename = "_source", skip_serializing_if = "Option::is_none")]
    source: Option<Box<RawValue>>,
}

/// Nothing is ever changed: a document has one version, the one with the number of its record.
#[derive(Serialize)]
struct Version {
    #[serde(rename = "_version")]
    number: u32,
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u32,
}

/// `GET|HEAD /{indices}/_doc/{name}`.
pub(crate) async fn get(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let got = async {
        asked.params.only(&PARAMETERS)?;
        let got = one(&elastic, &names, &asked).await?;
        Ok((if got.found { StatusCode::OK } else { StatusCode::NOT_FOUND }, got))
    };
    asked.answer_with(got.await)
}

/// `GET|HEAD /{indices}/_source/{name}`.
pub(crate) async fn source(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let got = async {
        asked.params.only(&PARAMETERS)?;
        let got = one(&elastic, &names, &asked).await?;
        got.source
            .ok_or_else(|| ElasticError::NotFound(format!("Document not found [{}]/[{}]", names.indices, names.name())))
    };
    asked.answer(got.await)
}

async fn one(elastic: &Elastic, names: &Names, asked: &Asked) -> Result<Got, ElasticError> {
    if let Some(seq) = elastic.claims.seq(names.name()).filter(|seq| *seq > elastic.shelf.indexed_seq()) {
        // It was written a moment ago.
        elastic.shelf.wait(seq, Duration::from_secs(REFRESH_S_MAX)).await;
    }
    let filter = source_of(&Value::Null, &asked.params)?;
    let mut found = find(elastic, &names.indices, vec![names.name().to_owned()], filter).await?;
    Ok(found.remove(names.name()).unwrap_or_else(|| none(&names.indices, names.name())))
}

fn none(index: &str, id: &str) -> Got {
    Got { index: index.to_owned(), id: id.to_owned(), version: None, found: false, source: None }
}

/// `GET|POST [/{indices}]/_mget`.
pub(crate) async fn mget(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let got = async {
        asked.params.only(&PARAMETERS)?;
        let wanted = read(&asked.json()?, &names.indices, &asked.params)?;
        let found = find_all(&elastic, &wanted).await;
        let docs = wanted.into_iter().map(|wanted| match found.get(&wanted.group) {
            Some(Ok(found)) => match found.get(&wanted.id) {
                Some(got) => serde_json::to_value(got).unwrap_or_default(),
                None => serde_json::to_value(none(&wanted.group.0, &wanted.id)).unwrap_or_default(),
            },
            Some(Err(error)) => json!({"_index": wanted.group.0, "_id": wanted.id, "error": error.body()["error"]}),
            None => Value::Null,
        });
        Ok(json!({"docs": docs.collect::<Vec<_>>()}))
    };
    asked.answer::<Value>(got.await)
}

/// Index, and what of the source is wanted: documents that share both are looked up together.
type Group = (String, String);

struct Wanted {
    group: Group,
    id: String,
    source: Value,
}

fn read(body: &Value, indices: &str, params: &Params) -> Result<Vec<Wanted>, ElasticError> {
    let default = source_value(&Value::Null, params)?;
    let wanted = |index: &str, id: &Value, source: Value| {
        let id = match id {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return Err(ElasticError::Validation("id is missing for doc 0")),
        };
        if index == ALL {
            return Err(ElasticError::Validation("index is missing for doc 0"));
        }
        Ok(Wanted { group: (index.to_owned(), source.to_string()), id, source })
    };
    let list: Result<Vec<Wanted>, ElasticError> = match (&body["docs"], &body["ids"]) {
        (Value::Array(docs), _) => docs
            .iter()
            .map(|doc| {
                let source = doc.get("_source").cloned().unwrap_or_else(|| default.clone());
                wanted(doc["_index"].as_str().unwrap_or(indices), &doc["_id"], source)
            })
            .collect(),
        (_, Value::Array(ids)) => ids.iter().map(|id| wanted(indices, id, default.clone())).collect(),
        _ => Ok(Vec::new()),
    };
    let list = list?;
    if list.is_empty() {
        return Err(ElasticError::Validation("no documents to get"));
    }
    if list.len() > RESULT_WINDOW_MAX {
        return Err(ElasticError::Parameter(format!("more than {RESULT_WINDOW_MAX} documents in one request")));
    }
    Ok(list)
}

async fn find_all(elastic: &Elastic, wanted: &[Wanted]) -> HashMap<Group, Result<HashMap<String, Got>, ElasticError>> {
    let mut groups: HashMap<Group, (Vec<String>, &Value)> = HashMap::new();
    for wanted in wanted {
        groups.entry(wanted.group.clone()).or_insert_with(|| (Vec::new(), &wanted.source)).0.push(wanted.id.clone());
    }
    let mut found = HashMap::new();
    for (group, (ids, source)) in groups {
        let got = async {
            let filter = dsl::parse_source(source)?;
            find(elastic, &group.0, ids, filter).await
        };
        let got = got.await;
        found.insert(group, got);
    }
    found
}

/// The documents of these indices with these ids.
async fn find(
    elastic: &Elastic,
    indices: &str,
    ids: Vec<String>,
    source: SourceFilter,
) -> Result<HashMap<String, Got>, ElasticError> {
    let by_number =
        Sort { field: "_doc".into(), descending: false, missing: Missing::Last, unmapped: None, format: None };
    let request = SearchRequest {
        size: ids.len(),
        query: Query::Ids(ids),
        sort: vec![by_number],
        source,
        track_total_hits: None,
        ..dsl::parse_search(&Value::Null)?
    };
    let days = elastic.resolve(indices).await?;
    let found = searched(&elastic.shelf, days, request).await?;
    let got = found.hits.hits.into_iter().map(|hit| {
        let seq_no = hit.sort.iter().flatten().next().and_then(Value::as_u64).unwrap_or_default();
        let version = Some(Version { number: 1, seq_no, primary_term: 1 });
        (hit.id.clone(), Got { index: hit.index, id: hit.id, version, found: true, source: hit.source })
    });
    Ok(got.collect())
}

/// What of the source is wanted, by the address.
fn source_of(body: &Value, params: &Params) -> Result<SourceFilter, ElasticError> {
    Ok(dsl::parse_source(&source_value(body, params)?)?)
}

fn source_value(body: &Value, params: &Params) -> Result<Value, ElasticError> {
    let body = with_params(body.clone(), params)?;
    Ok(body.get("_source").cloned().unwrap_or(Value::Bool(true)))
}

/// What a book that is only added to cannot do: `_update`, `_delete_by_query` and the like.
pub(crate) async fn unchangeable(asked: Asked) -> Response {
    asked.answer::<Value>(Err(ElasticError::Unchangeable))
}
