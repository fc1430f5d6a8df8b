//! The indices: whether they are there, what is in them, under which other names they are found.

use std::time::Duration;

use axum::extract::Extension;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tollhouse_query::Pattern;
use tollhouse_remote::Shelf;
use tollhouse_store::{IndexInfo, StoreError};

use crate::asked::{Asked, Names, warn};
use crate::book::By;
use crate::cluster::uuid;
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::names::Target;
use crate::search::{NAMING, Wanting};

/// Longest wait of a `_refresh`.
pub(crate) const REFRESH_S_MAX: u64 = 10;
/// Parameters of what describes indices.
const DESCRIBING: [&str; 8] = [
    "ignore_unavailable",
    "allow_no_indices",
    "expand_wildcards",
    "local",
    "master_timeout",
    "flat_settings",
    "include_defaults",
    "features",
];

/// What is behind the name of a service in the name of a day's index.
const DATE: usize = "-2026.01.27".len();

/// The other name of a day's index: that of its service, by which all of its days are found.
pub(crate) fn alias_of(index: &str) -> &str {
    Target::parse(index).ok().filter(|target| target.date.is_some()).map_or(index, |_| &index[..index.len() - DATE])
}

/// `GET|HEAD /{indices}`.
pub(crate) async fn describe(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let described = async {
        asked.params.only(&DESCRIBING)?;
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let mut described = Map::new();
        let infos = infos(&elastic, &list).await?;
        let mut mappings = mappings(&elastic, list).await?;
        for info in infos {
            let mut index = json!({"aliases": { alias_of(&info.name): {} }});
            if let Some(Value::Object(mapping)) = mappings.get_mut(&info.name).map(Value::take) {
                index["mappings"] = mapping.get("mappings").cloned().unwrap_or_default();
            }
            index["settings"] = settings_of(&info, asked.params.flag("flat_settings"));
            described.insert(info.name, index);
        }
        Ok(Value::from(described))
    };
    asked.answer(described.await)
}

async fn infos(elastic: &Elastic, list: &[String]) -> Result<Vec<IndexInfo>, ElasticError> {
    let infos = elastic.shelf.indices().await?;
    Ok(infos.into_iter().filter(|info| list.contains(&info.name)).collect())
}

async fn mappings(elastic: &Elastic, list: Vec<String>) -> Result<Map<String, Value>, ElasticError> {
    match elastic.shelf.mapping(list).await? {
        Value::Object(mappings) => Ok(mappings),
        _ => Err(ElasticError::Internal),
    }
}

fn settings_of(info: &IndexInfo, is_flat: bool) -> Value {
    let settings = [
        ("creation_date", info.created_ms.to_string()),
        ("number_of_shards", "1".to_owned()),
        ("number_of_replicas", "0".to_owned()),
        ("uuid", uuid(&info.name)),
        ("provided_name", info.name.clone()),
    ];
    if is_flat {
        let flat = settings.into_iter().map(|(name, value)| (format!("index.{name}"), Value::from(value)));
        return Value::Object(flat.collect());
    }
    let settings: Map<String, Value> =
        settings.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({ "index": settings })
}

/// `PUT /{indices}`: an empty index, today's where the name has no date. What the request says of mappings and settings has
/// no effect.
pub(crate) async fn create(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let has_effect = !asked.json().is_ok_and(|body| body["mappings"].is_object() || body["settings"].is_object());
    let created = async {
        asked.params.only(&["timeout", "master_timeout", "wait_for_active_shards"])?;
        let target = Target::parse(&names.indices)?;
        elastic.scope.check(&names.indices)?;
        if elastic.resolve(&names.indices).await.is_ok() {
            let uuid = uuid(&names.indices);
            return Err(ElasticError::Exists { index: names.indices.clone(), uuid });
        }
        let now_ms = Timestamp::now().as_millisecond();
        elastic.place(&target, None, now_ms).await?;
        let day = target.day(now_ms);
        elastic.shelf.create(target.service, day).await?;
        Ok(json!({"acknowledged": true, "shards_acknowledged": true, "index": names.indices}))
    };
    let mut response = asked.answer(created.await);
    if !has_effect && response.status() == StatusCode::OK {
        warn(&mut response, "mappings and settings have no effect: fields have the types that tollhouse gives them");
    }
    response
}

/// `DELETE /{indices}`: takes the documents of these indices out of searching, and records that. The journal keeps what was
/// written.
pub(crate) async fn delete(elastic: Elastic, names: Names, by: Option<Extension<By>>, asked: Asked) -> Response {
    let deleted = async {
        asked.params.only(&[&NAMING[..], &["timeout", "master_timeout"]].concat())?;
        if let Shelf::Far(_) = elastic.shelf {
            return Err(ElasticError::Parameter("indices of a cluster (`store.kind`) are deleted there".to_owned()));
        }
        if names.indices.split(',').any(|name| name == "_all" || name.contains('*')) {
            // Elasticsearch's default (`action.destructive_requires_name`).
            return Err(ElasticError::Parameter("Wildcard expressions or all indices are not allowed".to_owned()));
        }
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        if let Some(alias) = names.indices.split(',').find(|name| alias_of(name) == *name && !list.is_empty()) {
            return Err(ElasticError::Parameter(format!(
                "The provided expression [{alias}] matches an alias, specify the corresponding concrete indices instead."
            )));
        }
        if !list.is_empty() {
            let seq = elastic.book()?.delete(list, by.map(|Extension(By(by))| by)).await?;
            if !elastic.shelf.wait(seq, Duration::from_secs(REFRESH_S_MAX)).await {
                return Err(ElasticError::NotIndexed(REFRESH_S_MAX));
            }
        }
        Ok(json!({"acknowledged": true}))
    };
    asked.answer(deleted.await)
}

/// `PUT /_data_stream/{name}`: there is nothing to make; it comes with its first document.
pub(crate) async fn create_data_stream(names: Names, asked: Asked) -> Response {
    let created = || {
        asked.params.only(&["timeout", "master_timeout"])?;
        Target::parse(names.name())?;
        Ok(json!({"acknowledged": true}))
    };
    asked.answer(created())
}

/// `GET [/{indices}]/_settings`.
pub(crate) async fn settings(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let settings = async {
        asked.params.only(&DESCRIBING)?;
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let is_flat = asked.params.flag("flat_settings");
        let infos = infos(&elastic, &list).await?.into_iter();
        let shown = infos.map(|info| (info.name.clone(), json!({"settings": settings_of(&info, is_flat)})));
        Ok(Value::Object(shown.collect()))
    };
    asked.answer(settings.await)
}

/// `GET [/{indices}]/_mapping`.
pub(crate) async fn mapping(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let mapping = async {
        asked.params.only(&DESCRIBING)?;
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        mappings(&elastic, list).await
    };
    asked.answer(mapping.await)
}

/// `GET [/{indices}]/_alias[/{name}]`.
pub(crate) async fn aliases(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let aliases = async {
        asked.params.only(&DESCRIBING)?;
        let wanted = names.name.as_deref().unwrap_or("*");
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let mut found = Map::new();
        for index in list {
            let alias = alias_of(&index);
            if wanted.split(',').any(|name| name == "_all" || Pattern::new(name).is_match(alias)) {
                let shown = json!({"aliases": { alias: {} }});
                found.insert(index, shown);
            }
        }
        if found.is_empty() && names.name.is_some() && !wanted.contains('*') {
            return Err(ElasticError::AliasMissing(wanted.to_owned()));
        }
        Ok(Value::from(found))
    };
    asked.answer::<Value>(aliases.await)
}

/// `GET /_resolve/index/{name}`.
pub(crate) async fn resolve(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let resolved = async {
        asked.params.only(&NAMING)?;
        let all = elastic.resolve("_all").await?;
        let list = Wanting::new(names.name(), &asked.params).list(&elastic).await?;
        let wanted: Vec<Pattern> = names.name().split(',').map(Pattern::new).collect();
        let is_wanted = |name: &str| wanted.iter().any(|pattern| pattern.is_match(name));
        let indices = list.iter().filter(|index| is_wanted(index));
        let shown = indices.map(|index| json!({"name": index, "aliases": [alias_of(index)], "attributes": ["open"]}));
        let mut aliases: Vec<&str> =
            list.iter().map(|index| alias_of(index)).filter(|alias| is_wanted(alias)).collect();
        aliases.dedup();
        let of = |alias: &str| all.iter().filter(|index| alias_of(index) == alias).collect::<Vec<_>>();
        Ok(json!({
            "indices": shown.collect::<Vec<_>>(),
            "aliases": aliases.iter().map(|alias| json!({"name": alias, "indices": of(alias)})).collect::<Vec<_>>(),
            "data_streams": [],
        }))
    };
    asked.answer::<Value>(resolved.await)
}

/// `GET [/{indices}]/_stats`: documents and sizes; what else Elasticsearch counts is on `/metrics`.
pub(crate) async fn stats(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let stats = async {
        asked.params.only(&[&NAMING[..], &["level", "metric", "forbid_closed_indices"]].concat())?;
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let infos = infos(&elastic, &list).await?;
        let counts = |docs: u64, bytes: u64| {
            json!({"docs": {"count": docs, "deleted": 0},
                "store": {"size_in_bytes": bytes, "total_data_set_size_in_bytes": bytes, "reserved_in_bytes": 0}})
        };
        let both = |counts: Value| json!({"primaries": counts.clone(), "total": counts});
        let sum = |value: fn(&IndexInfo) -> u64| infos.iter().map(value).sum();
        let all = both(counts(sum(|info| info.docs), sum(|info| info.bytes)));
        let indices = infos.iter().map(|info| {
            let mut shown = both(counts(info.docs, info.bytes));
            shown["uuid"] = uuid(&info.name).into();
            shown["health"] = "green".into();
            shown["status"] = "open".into();
            (info.name.clone(), shown)
        });
        let indices: Map<String, Value> = indices.collect();
        Ok(json!({"_shards": shards(infos.len()), "_all": all, "indices": indices}))
    };
    asked.answer::<Value>(stats.await)
}

fn shards(number: usize) -> Value {
    json!({"total": number, "successful": number, "failed": 0})
}

/// `GET|POST [/{indices}]/_refresh`: answers when what is written by now can be found.
pub(crate) async fn refresh(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let refreshed = async {
        asked.params.only(&NAMING)?;
        if !elastic.shelf.refresh(Duration::from_secs(REFRESH_S_MAX)).await {
            return Err(ElasticError::NotIndexed(REFRESH_S_MAX));
        }
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        Ok(json!({"_shards": shards(list.len())}))
    };
    asked.answer::<Value>(refreshed.await)
}

/// `GET|POST [/{indices}]/_flush`: what was acknowledged is on the disk anyway.
pub(crate) async fn flush(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let flushed = async {
        asked.params.only(&[&NAMING[..], &["force", "wait_if_ongoing"]].concat())?;
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        Ok(json!({"_shards": shards(list.len())}))
    };
    asked.answer::<Value>(flushed.await)
}

/// `GET|HEAD /_data_stream[/{name}]`: a service is one, its days are what lies behind it.
pub(crate) async fn data_streams(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let found = async {
        asked.params.only(&["expand_wildcards", "include_defaults", "master_timeout", "verbose"])?;
        let wanted = names.name.as_deref().unwrap_or("*");
        let patterns: Vec<Pattern> = wanted.split(',').map(Pattern::new).collect();
        let mut streams: Map<String, Value> = Map::new();
        for index in elastic.resolve("_all").await? {
            let alias = alias_of(&index);
            if !patterns.iter().any(|pattern| pattern.is_match(alias)) {
                continue;
            }
            let stream = streams.entry(alias).or_insert_with(|| {
                json!({"name": alias, "timestamp_field": {"name": "@timestamp"}, "indices": [], "generation": 0,
                    "status": "GREEN", "template": alias, "hidden": false, "system": false, "replicated": false})
            });
            stream["generation"] = (stream["generation"].as_u64().unwrap_or_default() + 1).into();
            if let Some(indices) = stream["indices"].as_array_mut() {
                indices.push(json!({"index_name": index, "index_uuid": uuid(&index)}));
            }
        }
        if streams.is_empty() && names.name.is_some() && !wanted.contains('*') {
            return Err(StoreError::IndexNotFound { index: wanted.to_owned() }.into());
        }
        let streams: Vec<Value> = streams.into_iter().map(|(_, stream)| stream).collect();
        Ok((StatusCode::OK, json!({"data_streams": streams})))
    };
    asked.answer_with::<Value>(found.await)
}
