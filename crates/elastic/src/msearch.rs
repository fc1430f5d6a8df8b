//! `_msearch`: many searches in one request, each answered or refused by itself.

use std::time::Instant;

use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::asked::{Asked, Names, read_json};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::gate::RUNNING_MAX;
use crate::search::{ALL, Showing, Shown, Wanting, run};

/// Searches in one request.
const SEARCHES_MAX: usize = 256;

/// Members of the line before a search. Those without a use here change neither hits nor aggregations.
const HEADER: [&str; 11] = [
    "index",
    "indices",
    "ignore_unavailable",
    "allow_no_indices",
    "expand_wildcards",
    "search_type",
    "preference",
    "request_cache",
    "allow_partial_search_results",
    "ccs_minimize_roundtrips",
    "routing",
];

/// One of the searches.
struct Search {
    indices: String,
    ignore_unavailable: bool,
    allow_none: bool,
    body: Result<Value, ElasticError>,
}

#[derive(Serialize)]
struct Answers {
    took: u64,
    responses: Vec<Answer>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Found(Shown),
    Refused(Value),
}

/// `GET|POST [/{indices}]/_msearch`.
pub(crate) async fn msearch(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let began = Instant::now();
    let answered = async {
        asked.params.only(&[
            "rest_total_hits_as_int",
            "typed_keys",
            "max_concurrent_searches",
            "max_concurrent_shard_requests",
            "pre_filter_shard_size",
            "search_type",
            "ccs_minimize_roundtrips",
            "ignore_unavailable",
            "allow_no_indices",
            "expand_wildcards",
        ])?;
        let searches = read(&asked.body, &names.indices, &asked)?;
        let showing = Showing::new(&asked.params);
        let answers = stream::iter(searches).map(|search| answer(&elastic, search, showing));
        let responses = answers.buffered(RUNNING_MAX).collect().await;
        Ok(Answers { took: began.elapsed().as_millis() as u64, responses })
    };
    asked.answer(answered.await)
}

async fn answer(elastic: &Elastic, search: Search, showing: Showing) -> Answer {
    let Search { indices, ignore_unavailable, allow_none, body } = search;
    let found = async {
        let wanting = Wanting { names: &indices, ignore_unavailable, allow_none };
        let mut found = run(elastic, wanting, body?).await?;
        found.status = Some(200);
        found.shown(showing)
    };
    match found.await {
        Ok(found) => Answer::Found(found),
        Err(error) => {
            error.log();
            Answer::Refused(error.body())
        }
    }
}

/// Reads the lines two by two. A search that is no JSON is refused alone; a line about one that is wrong refuses all.
fn read(body: &[u8], indices: &str, asked: &Asked) -> Result<Vec<Search>, ElasticError> {
    let mut searches = Vec::new();
    let mut lines = body.split(|byte| *byte == b'\n');
    if lines.next_back().is_some_and(|rest| !rest.trim_ascii().is_empty()) {
        return Err(ElasticError::Parameter("The msearch request must be terminated by a newline [\n]".to_owned()));
    }
    while let Some(header) = lines.next() {
        // An empty line says nothing about the search behind it; at the end there is none.
        let Some(body) = lines.next() else {
            if header.trim_ascii().is_empty() {
                break;
            }
            return Err(ElasticError::Validation("a search has no body"));
        };
        if searches.len() == SEARCHES_MAX {
            return Err(ElasticError::Parameter(format!("more than {SEARCHES_MAX} searches in one request")));
        }
        let mut search = read_header(header, indices, asked)?;
        search.body = read_json(body);
        searches.push(search);
    }
    if searches.is_empty() {
        return Err(ElasticError::Validation("no requests added"));
    }
    Ok(searches)
}

fn read_header(line: &[u8], indices: &str, asked: &Asked) -> Result<Search, ElasticError> {
    let header = match read_json(line)? {
        Value::Null => Map::new(),
        Value::Object(header) => header,
        other => {
            return Err(ElasticError::Parameter(format!("a search of _msearch must have an object, got [{other}]")));
        }
    };
    if let Some(unknown) = header.keys().find(|key| !HEADER.contains(&key.as_str())) {
        return Err(ElasticError::Parameter(format!("key [{unknown}] is not supported in the metadata section")));
    }
    let flag = |name: &str| header.get(name).is_some_and(|value| value == true || value == "true");
    let names = match header.get("index").or_else(|| header.get("indices")) {
        Some(Value::String(names)) if !names.is_empty() => names.clone(),
        Some(Value::Array(names)) if !names.is_empty() => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        _ => indices.to_owned(),
    };
    let allow_none = match header.get("allow_no_indices") {
        None | Some(Value::Null) => asked.params.get("allow_no_indices") != Some("false"),
        Some(value) => value != false && value != "false",
    };
    Ok(Search {
        indices: if names.is_empty() { ALL.to_owned() } else { names },
        ignore_unavailable: flag("ignore_unavailable") || asked.params.flag("ignore_unavailable"),
        allow_none,
        body: Ok(Value::Null),
    })
}
