//! A cluster as this crate meets it: one that answers what it is told to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tollhouse_query::dsl;
use tollhouse_ship::Client;

use crate::remote::service_of;
use crate::{Remote, RemoteError, Shelf, ShelfError};

/// Serves one answer to all searches, and keeps what was asked.
async fn cluster(status: u16, answer: Value) -> (Remote, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    let router = Router::new().fallback(move |uri: Uri, body: String| {
        seen.lock().unwrap().push(format!("{uri}\n{body}"));
        let (status, answer) = if uri.path().starts_with("/_cat") {
            (
                200,
                json!([
                    {"index": "gate-2026.01.28", "docs.count": "2", "store.size": "70", "creation.date": "5"},
                    {"index": "gate-2026.01.27", "docs.count": "1", "store.size": "60", "creation.date": "4"},
                    {"index": "gate-notes", "docs.count": "1", "store.size": "60", "creation.date": "4"},
                ]),
            )
        } else {
            (status, answer.clone())
        };
        async move { (StatusCode::from_u16(status).unwrap(), answer.to_string()) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Remote::new(Client::new("far", &[url], None, None).unwrap(), &["gate-*".into()], None), asked)
}

#[tokio::test]
async fn an_answer_has_the_form_of_our_own() {
    let hit = |id: &str, extra: Value| json!({"_index": "gate-2026.01.27", "_id": id, "_score": 1.0, "_source": {"a": 1}, "fields": extra, "sort": [5, 7]});
    let hits = json!([hit("7-ab12", json!({})), hit("8-cd34", json!({"doc_id": ["mine"]}))]);
    let top = json!({"hits": {"max_score": 1.0, "hits": [{"_id": "9-ef", "_score": 1.0, "sort": [1, 2]}]}});
    let reply = json!({"took": 3, "timed_out": false, "_shards": {"failed": 0}, "status": 200,
        "hits": {"total": {"value": 2, "relation": "eq"}, "hits": hits},
        "aggregations": {"by": {"buckets": [{"key": "a", "top": top}]}}});
    let (remote, asked) = cluster(200, json!({"responses": [reply]})).await;
    let shelf = Shelf::Far(remote);
    let days = shelf.names().await.unwrap();
    assert_eq!(days, ["gate-2026.01.27", "gate-2026.01.28"]);
    let body = json!({"sort": ["status"],
        "aggs": {"by": {"terms": {"field": "model"}, "aggs": {"top": {"top_hits": {}}}}}});
    let found = shelf.search(days, dsl::parse_search(&body).unwrap(), ()).await.unwrap();
    let found = serde_json::to_value(found).unwrap();
    assert_eq!(found["_shards"]["total"], 2);
    assert_eq!(found["hits"]["hits"][0]["_id"], "7");
    assert_eq!(found["hits"]["hits"][0]["sort"], json!([5]));
    assert_eq!(found["hits"]["hits"][0].get("fields"), None);
    assert_eq!(found["hits"]["hits"][1]["_id"], "mine");
    let top = &found["aggregations"]["by"]["buckets"][0]["top"]["hits"]["hits"][0];
    assert_eq!(*top, json!({"_id": "9", "_score": 1.0}));
    let asked = asked.lock().unwrap();
    assert!(asked[1].starts_with("/_msearch\n{\"index\":[\"gate-2026.01.27\",\"gate-2026.01.28\"]"), "{}", asked[1]);
}

#[tokio::test]
async fn what_a_cluster_refuses_is_told_apart_from_one_that_is_away() {
    let search = async |remote: Remote| {
        let request = dsl::parse_search(&Value::Null).unwrap();
        Shelf::Far(remote).search(vec!["gate-2026.01.27".into()], request, ()).await.unwrap_err()
    };
    let error = json!({"type": "query_shard_exception", "reason": "no"});
    let (remote, _) = cluster(200, json!({"responses": [{"status": 400, "error": error}]})).await;
    let refused = search(remote).await;
    assert!(matches!(refused, ShelfError::Remote(RemoteError::Refused { status: 400, .. })), "{refused}");

    let partial = json!({"status": 200, "_shards": {"failed": 1}, "hits": {"hits": []}});
    for (status, answer, part) in [
        (401, json!({"error": {"type": "security_exception", "reason": "who?"}}), "is the login"),
        (503, json!({}), "503"),
        (200, json!({"responses": []}), "one answer"),
        (200, json!({"responses": [partial]}), "some of its shards"),
        (200, json!({"responses": [{"status": 500, "error": {"type": "x", "reason": "y"}}]}), "x: y"),
        (200, json!([]), "cannot be read"),
    ] {
        let (remote, _) = cluster(status, answer).await;
        let away = search(remote).await;
        assert!(matches!(&away, ShelfError::Remote(RemoteError::Away { .. })), "{away}");
        assert!(away.to_string().contains(part) && away.to_string().contains("http://127.0.0.1:"), "{away}");
    }
    let nobody = Client::new("far", &["http://127.0.0.1:1".into()], None, None).unwrap();
    let away = search(Remote::new(nobody, &["gate-*".into()], None)).await;
    assert!(away.to_string().contains("http://127.0.0.1:1"), "{away}");
}

#[test]
fn days_are_told_from_other_indices() {
    assert_eq!(service_of("gate-2026.01.27"), Some("gate"));
    for other in ["gate", "gate-notes", "gate-2026.13.27", "-2026.01.27", ".ds-gate-2026.01.27", "2026.01.27"] {
        assert_eq!(service_of(other), None, "{other}");
    }
}
