//! `_validate/query`: whether a query can be run.

use axum::response::Response;
use serde_json::{Value, json};
use tollhouse_query::Query;
use tollhouse_query::ast::BoolQuery;
use tollhouse_query::dsl;

use crate::asked::{Asked, Names};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::search::{Wanting, counted, with_params};

/// `GET|POST [/{indices}]/_validate/query`.
pub(crate) async fn query(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let answered = async {
        asked.params.only(&[
            "q",
            "df",
            "default_operator",
            "analyze_wildcard",
            "explain",
            "all_shards",
            "rewrite",
            "ignore_unavailable",
            "allow_no_indices",
            "expand_wildcards",
        ])?;
        let body = with_params(asked.json()?, &asked.params)?;
        let indices = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let tried = match dsl::parse_count(&body) {
            Ok(query) => try_out(&elastic, indices.clone(), query).await,
            Err(error) => Err(error.into()),
        };
        let error = match tried {
            Ok(()) => None,
            Err(error) if error.status().is_client_error() => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        let mut answer = json!({"_shards": {"total": 1, "successful": 1, "failed": 0}, "valid": error.is_none()});
        if asked.params.flag("explain") {
            let explained = |index: Option<&String>| {
                let mut explained = json!({"valid": error.is_none()});
                if let Some(index) = index {
                    explained["index"] = index.as_str().into();
                }
                if let Some(error) = &error {
                    explained["error"] = error.as_str().into();
                }
                explained
            };
            let list: Vec<Value> = match &error {
                Some(_) => vec![explained(indices.first())],
                None => indices.iter().map(|index| explained(Some(index))).collect(),
            };
            answer["explanations"] = list.into();
        }
        Ok(answer)
    };
    asked.answer::<Value>(answered.await)
}

/// Plans the query without looking at documents: none of them fulfils the other condition.
async fn try_out(elastic: &Elastic, days: Vec<String>, query: Query) -> Result<(), ElasticError> {
    let both = Query::Bool(BoolQuery { filter: vec![Query::MatchNone, query], ..BoolQuery::default() });
    counted(&elastic.shelf, days, both).await.map(|_| ())
}
