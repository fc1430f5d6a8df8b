//! What is written.

use axum::http::header::WARNING;

use super::*;

fn bulk(lines: &[Value]) -> String {
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

/// Status of each item.
fn statuses(answer: &Answer) -> Vec<u64> {
    let items = answer.json()["items"].clone();
    let status = |item: &Value| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap();
    items.as_array().unwrap_or_else(|| panic!("{}", answer.text)).iter().map(status).collect()
}

#[tokio::test]
async fn each_document_is_written_or_refused_by_itself() {
    let world = World::new().await;
    let lines = bulk(&[
        json!({"index": {"_index": "logs-2026.01.27"}}),
        json!({"msg": "first"}),
        json!({"create": {"_index": "logs", "_id": "a"}}),
        json!({"@timestamp": "2026-01-28T10:00:00Z", "msg": "second"}),
        json!({"create": {"_index": "logs", "_id": "a"}}),
        json!({"@timestamp": "2026-01-28T11:00:00Z", "msg": "the same id"}),
        json!({"delete": {"_index": "logs", "_id": "a"}}),
        json!({"update": {"_index": "logs", "_id": "a"}}),
        json!({"doc": {}}),
        json!({"index": {"_index": "Wrong"}}),
        json!({}),
        json!({"index": {"_index": "logs"}}),
        json!(["no object"]),
        json!({"index": {"_index": "logs"}}),
        json!({"@timestamp": "someday"}),
        json!({"index": {"_index": "logs-2099.01.01"}}),
        json!({}),
        json!({"index": {"_index": "logs", "_id": "x".repeat(513)}}),
        json!({}),
        json!({"index": {"_index": "logs", "pipeline": "p"}}),
        json!({}),
    ]);
    let answer = world.ask("POST", "/_bulk?refresh=true", lines).await;
    assert_eq!(statuses(&answer), [201, 201, 409, 400, 400, 400, 400, 400, 400, 400, 400], "{}", answer.text);
    let items = &answer.json()["items"];
    assert_eq!(answer.json()["errors"], true);
    let created = &items[1]["create"];
    assert_eq!((&created["_index"], &created["_id"]), (&json!("logs-2026.01.28"), &json!("a")));
    assert_eq!((&created["result"], &created["forced_refresh"]), (&json!("created"), &json!(true)));
    assert_eq!(items[2]["create"]["error"]["type"], "version_conflict_engine_exception");
    assert_eq!(items[5]["index"]["error"]["type"], "invalid_index_name_exception");
    assert_eq!(items[6]["index"]["error"]["type"], "document_parsing_exception");

    // They are found at once, under their names and that of their service.
    assert_eq!(world.get("/logs/_count").await.json()["count"], 2);
    assert_eq!(world.get("/logs-2026.01.28/_search").await.ids(), ["a"]);
    let hit = &world.get("/logs/_search?q=_id:a").await.json()["hits"]["hits"][0];
    assert_eq!((&hit["_id"], &hit["_source"]["msg"]), (&json!("a"), &json!("second")));
    assert_eq!(world.get("/logs/_doc/a").await.json()["_source"]["msg"], "second");
    assert_eq!(world.get("/gate/_count").await.json()["count"], 6);
    assert!(world.get("/_cat/indices?h=i").await.text.contains("logs-2026.01.27"));

    // Also when it is in the index already.
    let again = bulk(&[json!({"index": {"_id": "a"}}), json!({"@timestamp": "2026-01-28T10:00:00Z"})]);
    assert_eq!(statuses(&world.ask("POST", "/logs/_bulk", again).await), [409]);
}

#[tokio::test]
async fn a_bulk_that_cannot_be_read_is_refused() {
    let world = World::new().await;
    for (body, kind) in [
        ("", "action_request_validation_exception"),
        ("{\"index\":{}}\n{}\n", "action_request_validation_exception"),
        ("{\"index\":{\"_index\":\"a\"}}\n", "action_request_validation_exception"),
        ("{\"insert\":{\"_index\":\"a\"}}\n{}\n", "illegal_argument_exception"),
        ("[]\n{}\n", "illegal_argument_exception"),
        ("{oops\n{}\n", "x_content_parse_exception"),
    ] {
        let answer = world.ask("POST", "/_bulk", body).await;
        assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
        assert_eq!(answer.json()["error"]["type"], kind, "{body}");
    }
    let answer = world.ask("POST", "/_bulk?pipeline=x", "").await;
    assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST);
    world.book.is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    let document = bulk(&[json!({"create": {"_index": "logs", "_id": "a"}}), json!({})]);
    assert_eq!(statuses(&world.ask("POST", "/_bulk", document.clone()).await), [503]);
    world.book.is_full.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(statuses(&world.ask("POST", "/_bulk", document).await), [201], "its id is free again");
}

#[tokio::test]
async fn documents_one_by_one() {
    let world = World::new().await;
    let made = world.ask("PUT", "/logs-2026.01.27/_doc/one", r#"{"msg":"x"}"#).await;
    assert_eq!((made.parts.status, made.json()["_id"].clone()), (StatusCode::CREATED, json!("one")));
    // Before it is in the index.
    assert_eq!(world.get("/logs-2026.01.27/_doc/one").await.json()["_source"]["msg"], "x");
    let again = world.ask("PUT", "/logs-2026.01.27/_create/one", "{}").await;
    assert_eq!(
        (again.parts.status, &again.json()["error"]["type"]),
        (StatusCode::CONFLICT, &json!("version_conflict_engine_exception"))
    );
    let made = world.ask("POST", "/logs-2026.01.27/_doc?refresh=wait_for", "{}").await.json();
    let id = made["_id"].as_str().unwrap();
    assert_eq!(world.get(&format!("/logs-2026.01.27/_doc/{id}")).await.json()["found"], true);
    for (method, path) in [
        ("DELETE", "/logs-2026.01.27/_doc/one"),
        ("POST", "/logs-2026.01.27/_update/one"),
        ("POST", "/logs-2026.01.27/_delete_by_query"),
        ("POST", "/_reindex"),
    ] {
        let answer = world.ask(method, path, "{}").await;
        assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST, "{method} {path}");
        assert!(answer.text.contains("append-only"), "{method} {path}");
    }
    assert_eq!(world.ask("POST", "/logs/_doc", "").await.parts.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.ask("POST", "/logs/_doc", "[]").await.parts.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn indices_are_made_and_taken_away() {
    let world = World::new().await;
    let made = world.ask("PUT", "/notes-2026.01.27", r#"{"mappings":{"properties":{}}}"#).await;
    assert_eq!(made.json(), json!({"acknowledged": true, "shards_acknowledged": true, "index": "notes-2026.01.27"}));
    assert!(made.parts.headers[WARNING].to_str().unwrap().contains("no effect"));
    let again = world.ask("PUT", "/notes-2026.01.27", "").await;
    assert_eq!(again.json()["error"]["type"], "resource_already_exists_exception");
    assert_eq!(world.ask("HEAD", "/notes-2026.01.27", "").await.parts.status, StatusCode::OK);
    assert_eq!(world.ask("PUT", "/Notes", "").await.json()["error"]["type"], "invalid_index_name_exception");

    world.ask("POST", "/notes-2026.01.27/_doc?refresh=true", r#"{"msg":"x"}"#).await;
    assert_eq!(world.get("/notes/_count").await.json()["count"], 1);
    for refused in ["/notes", "/notes-*", "/_all"] {
        assert_eq!(world.ask("DELETE", refused, "").await.parts.status, StatusCode::BAD_REQUEST, "{refused}");
    }
    let gone = world.ask("DELETE", "/notes-2026.01.27,gate-2026.01.28", "").await;
    assert_eq!(gone.json(), json!({"acknowledged": true}), "{}", gone.text);
    assert_eq!(world.get("/notes-2026.01.27").await.parts.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/gate-2026.01.*/_count").await.json()["count"], 4);
    assert_eq!(world.ask("DELETE", "/notes-2026.01.27", "").await.parts.status, StatusCode::NOT_FOUND);
    // What is written from now on is there.
    world.ask("POST", "/notes-2026.01.27/_doc?refresh=true", r#"{"msg":"y"}"#).await;
    assert_eq!(world.get("/notes-2026.01.27/_search").await.json()["hits"]["hits"][0]["_source"]["msg"], "y");
    assert_eq!(world.store.resolve("notes").unwrap(), ["notes-2026.01.27"]);
}
