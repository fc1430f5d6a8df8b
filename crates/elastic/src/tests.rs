//! The API as clients meet it: requests into the router, answers compared.

mod reading;
mod writing;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{Request, StatusCode};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tollhouse_shape::Shaper;
use tollhouse_store::{Indexer, Store, StoreOptions};
use tower::ServiceExt;

use crate::asked::BODY_BYTES_MAX;
use crate::{Book, Elastic, ElasticError, NewDocument};

struct World {
    dir: TempDir,
    router: Router,
    elastic: Elastic,
    store: Store,
    book: Arc<Lines>,
    indexer: Option<Indexer>,
}

impl World {
    /// Six records on two days.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options =
            StoreOptions { dir: dir.path().join("index"), service: "gate".into(), keep_days: 0, keep_bytes: 0 };
        let store = Store::open(options).unwrap();
        let file = dir.path().join("gateway.log");
        let book = Arc::new(Lines::new(file.clone()));
        for (seq, (ts, rest)) in [
            (
                "2026-01-27T10:00:00.000Z",
                r#""kind":"request","status":200,"duration_ms":120.5,"model":"qwen3:32b","msg":"model answered""#,
            ),
            (
                "2026-01-27T10:30:00.000Z",
                r#""kind":"request","status":500,"duration_ms":4000,"model":"qwen3:32b","msg":"model failed""#,
            ),
            (
                "2026-01-27T11:00:00.000Z",
                r#""kind":"request","status":200,"duration_ms":80,"model":"qwen3:4b","msg":"model answered""#,
            ),
            ("2026-01-27T12:00:00.000Z", r#""kind":"probe","msg":"all is well","site":"shanghai""#),
            (
                "2026-01-28T09:00:00.000Z",
                r#""kind":"request","status":200,"duration_ms":90,"model":"qwen3:4b","msg":"model answered""#,
            ),
            ("2026-01-28T09:30:00.000Z", r#""kind":"process","msg":"stopped""#),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(book.line(&format!(r#""ts":"{ts}","level":"info",{rest}"#)), seq as u64 + 1);
        }
        let (written, shaper) = (book.written.subscribe(), Shaper::new(&[]).unwrap());
        let indexer = store.follow(file, written.clone(), written, shaper).unwrap();
        assert!(store.wait_indexed(6, Duration::from_secs(60)).await);
        let elastic = Elastic::new(store.clone(), dir.path().join("definitions.json"), Some(book.clone())).unwrap();
        Self { dir, router: elastic.router(), elastic, store, book, indexer: Some(indexer) }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["x-elastic-product"], "Elasticsearch");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { parts, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, body.to_string()).await
    }

    async fn ask(&self, method: &str, path: &str, body: impl Into<String>) -> Answer {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.into())).unwrap()).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(indexer) = self.indexer.take() {
            let _ = indexer.close();
        }
    }
}

/// A journal without digests: one line for each record.
struct Lines {
    file: Mutex<std::fs::File>,
    written: watch::Sender<u64>,
    is_full: std::sync::atomic::AtomicBool,
}

impl Lines {
    fn new(file: PathBuf) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        Self { file: Mutex::new(file), written: watch::Sender::new(0), is_full: false.into() }
    }

    /// Appends a record with these members.
    fn line(&self, members: &str) -> u64 {
        let mut file = self.file.lock().unwrap();
        let seq = *self.written.borrow() + 1;
        writeln!(file, r#"{{{members},"seq":{seq},"prev":"{seq:032x}"}}"#).unwrap();
        self.written.send_replace(seq);
        seq
    }
}

impl Book for Lines {
    fn append(&self, documents: Vec<NewDocument>) -> BoxFuture<'_, Vec<Result<u64, ElasticError>>> {
        let write = |document: NewDocument| {
            if self.is_full.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(ElasticError::Unwritable("no room".into()));
            }
            let mut record = json!({"ts": jiff::Timestamp::now().to_string(), "level": "info", "kind": "log",
                "source": "bulk", "index": document.index, "doc_id": document.id});
            let source: Value = serde_json::from_slice(&document.source).unwrap();
            record.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
            let text = record.to_string();
            Ok(self.line(&text[1..text.len() - 1]))
        };
        let results = documents.into_iter().map(write).collect();
        Box::pin(async move { results })
    }

    fn synced(&self, _seq: u64) -> BoxFuture<'_, Result<(), ElasticError>> {
        Box::pin(async { Ok(()) })
    }

    fn delete(&self, indices: Vec<String>, _by: Option<String>) -> BoxFuture<'_, Result<u64, ElasticError>> {
        let now = jiff::Timestamp::now();
        let members = format!(
            r#""ts":"{now}","level":"warn","kind":"{}","index":{}"#,
            tollhouse_store::INDEX_DELETED,
            json!(indices)
        );
        let seq = self.line(&members);
        Box::pin(async move { Ok(seq) })
    }
}

struct Answer {
    parts: axum::http::response::Parts,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn content_type(&self) -> &str {
        self.parts.headers[CONTENT_TYPE].to_str().unwrap()
    }

    fn ids(&self) -> Vec<String> {
        let hits = self.json()["hits"]["hits"].clone();
        hits.as_array().unwrap().iter().map(|hit| hit["_id"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn greets_like_elasticsearch() {
    let world = World::new().await;
    let answer = world.get("/").await;
    assert_eq!(answer.parts.status, StatusCode::OK);
    assert_eq!(answer.content_type(), "application/json");
    let info = answer.json();
    assert_eq!(info["tagline"], "You Know, for Search");
    assert_eq!(info["version"]["number"], "8.19.0");
    assert_eq!(info["version"]["build_flavor"], "default");
    let head = world.send(Request::head("/").body(Body::empty()).unwrap()).await;
    assert_eq!(head.parts.status, StatusCode::OK);
    assert_eq!(head.text, "");
    let health = world.get("/_cluster/health?wait_for_status=yellow").await.json();
    assert_eq!((&health["status"], &health["active_shards"]), (&json!("green"), &json!(2)));
}

#[tokio::test]
async fn media_types_of_clients_are_given_back() {
    let world = World::new().await;
    for (accept, expected) in [
        (
            "application/vnd.elasticsearch+json; compatible-with=8",
            "application/vnd.elasticsearch+json;compatible-with=8",
        ),
        (
            "application/vnd.elasticsearch+json; compatible-with=9",
            "application/vnd.elasticsearch+json;compatible-with=9",
        ),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ] {
        let content_type = if accept == "*/*" { "application/json" } else { accept };
        let request = Request::post("/_search").header(ACCEPT, accept).header(CONTENT_TYPE, content_type);
        let answer = world.send(request.body(Body::from("{\"size\":0}")).unwrap()).await;
        assert_eq!((answer.parts.status, answer.content_type()), (StatusCode::OK, expected));
    }
    let request = Request::get("/").header(ACCEPT, "application/vnd.elasticsearch+json; compatible-with=7");
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["error"]["type"], "media_type_header_exception");
    let request = Request::post("/_search").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = world.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.parts.status, StatusCode::NOT_ACCEPTABLE);
    let expected =
        json!({"error": "Content-Type header [application/x-www-form-urlencoded] is not supported", "status": 406});
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn searches_by_body_and_by_address() {
    let world = World::new().await;
    let body = json!({"query": {"bool": {"filter": [{"term": {"kind": "request"}}, {"range": {"status": {"gte": 500}}}]}},
        "aggs": {"models": {"terms": {"field": "model"}}}});
    let found = world.post("/gate-*/_search", &body).await.json();
    assert_eq!(found["hits"]["total"], json!({"value": 1, "relation": "eq"}));
    assert_eq!(found["_shards"], json!({"total": 2, "successful": 2, "skipped": 0, "failed": 0}));
    assert_eq!(found["timed_out"], false);
    let hit = &found["hits"]["hits"][0];
    assert_eq!((&hit["_index"], &hit["_id"], &hit["_score"]), (&json!("gate-2026.01.27"), &json!("2"), &json!(1.0)));
    assert_eq!(hit["_source"]["http_status"], 500);
    assert_eq!(found["aggregations"]["models"]["buckets"], json!([{"key": "qwen3:32b", "doc_count": 1}]));

    for (path, expected) in [
        ("/_search", vec!["6", "5", "4", "3", "2", "1"]),
        ("/_search?q=kind:request&sort=duration_ms:desc&size=2", vec!["2", "1"]),
        ("/_search?q=kind:request&sort=duration_ms:desc&size=2&from=2", vec!["5", "3"]),
        ("/_search?q=model+failed&default_operator=AND", vec!["2"]),
        ("/_search?q=shanghai&df=site", vec!["4"]),
        ("/gate-2026.01.28/_search?sort=_doc", vec!["5", "6"]),
        ("/gate-2026.01.28,gate-2020.01.01/_search?ignore_unavailable=true&sort=_doc", vec!["5", "6"]),
        ("/gate-2020.01.01/_search?ignore_unavailable=true", vec![]),
        ("/nothing-*/_search", vec![]),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.ids(), expected, "{path}: {}", answer.text);
    }
    let answer = world
        .get("/_search?size=1&_source_includes=kind,model*&sort=_doc&rest_total_hits_as_int=true&track_total_hits=true")
        .await;
    assert_eq!(answer.json()["hits"]["total"], 6);
    assert_eq!(answer.json()["hits"]["hits"][0]["_source"], json!({"kind": "request", "model_name": "qwen3:32b"}));
    let answer = world.get("/_search?size=1&_source=false&filter_path=hits.hits._id,hits.hits._source").await;
    assert_eq!(answer.json(), json!({"hits": {"hits": [{"_id": "6"}]}}));

    let direct = crate::search(&world.elastic.shelf, "gate-*", b"{\"size\":0}").await;
    assert_eq!(direct.headers()["x-elastic-product"], "Elasticsearch");
    let direct = crate::search(&world.elastic.shelf, "gate-*", b"{\"size\":").await;
    assert_eq!(direct.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn counts_maps_and_refreshes() {
    let world = World::new().await;
    let shards = json!({"total": 2, "successful": 2, "skipped": 0, "failed": 0});
    assert_eq!(world.get("/_count").await.json(), json!({"count": 6, "_shards": shards}));
    assert_eq!(world.get("/_count?q=status:500").await.json()["count"], 1);
    let body = json!({"query": {"exists": {"field": "site"}}});
    assert_eq!(world.post("/gate-*/_count", &body).await.json()["count"], 1);
    let mapping = world.get("/gate-2026.01.27/_mapping").await.json();
    assert_eq!(
        mapping["gate-2026.01.27"]["mappings"]["properties"]["model"],
        json!({"type": "alias", "path": "model_name"})
    );
    let answer = world.post("/_refresh", &json!({})).await;
    assert_eq!(answer.json(), json!({"_shards": {"total": 2, "successful": 2, "failed": 0}}));
}

#[tokio::test]
async fn draws_the_table_of_indices() {
    let world = World::new().await;
    let answer = world.get("/_cat/indices?v&h=health,status,index,pri,rep,docs.count,docs.deleted").await;
    assert_eq!(answer.content_type(), "text/plain; charset=UTF-8");
    assert_eq!(
        answer.text,
        "health status index           pri rep docs.count docs.deleted\n\
         green  open   gate-2026.01.27   1   0          4            0\n\
         green  open   gate-2026.01.28   1   0          2            0\n"
    );
    let head = world.get("/_cat/indices?v").await.text;
    let head: Vec<&str> = head.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        head,
        [
            "health",
            "status",
            "index",
            "uuid",
            "pri",
            "rep",
            "docs.count",
            "docs.deleted",
            "store.size",
            "pri.store.size",
            "dataset.size"
        ]
    );
    let answer = world.get("/_cat/indices/gate-*?h=i,dc&s=dc:asc").await;
    assert_eq!(answer.text, "gate-2026.01.28 2\ngate-2026.01.27 4\n");
    let answer = world.get("/_cat/indices/gate-*?h=i,docs.c*&v").await;
    assert_eq!(answer.text.lines().next(), Some("i               docs.count"));
    let answer = world.get("/_cat/indices?format=json&h=index,store.size&bytes=b&s=index:desc").await;
    assert_eq!(answer.content_type(), "application/json");
    let rows = answer.json();
    assert_eq!(rows[0]["index"], "gate-2026.01.28");
    assert!(rows[0]["store.size"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    let answer = world.get("/_cat/indices?s=nothing").await;
    assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn errors_have_the_bodies_of_elasticsearch() {
    let world = World::new().await;
    let cause = json!({"type": "index_not_found_exception", "reason": "no such index [gate-2020.01.01]",
        "resource.type": "index_or_alias", "resource.id": "gate-2020.01.01", "index_uuid": "_na_", "index": "gate-2020.01.01"});
    let mut error = cause.clone();
    error["root_cause"] = json!([cause]);
    let answer = world.get("/gate-2020.01.01/_search").await;
    assert_eq!(answer.parts.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json(), json!({"error": error, "status": 404}));

    let answer = world.get("/_nothing/here?a=b").await;
    assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json(), json!({"error": "no handler found for uri [/_nothing/here?a=b] and method [GET]"}));

    let answer = world.send(Request::delete("/_search").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.parts.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.parts.headers[ALLOW], "GET, POST");
    let expected = "Incorrect HTTP method for uri [/_search] and method [DELETE], allowed: [GET, POST]";
    assert_eq!(answer.json(), json!({"error": expected, "status": 405}));

    for (body, kind, reason) in [
        (json!({"query": {"mtch": {}}}), "parsing_exception", "mtch"),
        (json!({"from": 10_000, "size": 1}), "illegal_argument_exception", "Result window is too large"),
        (json!({"collapse": {"field": "kind"}}), "parsing_exception", "collapse"),
        (json!({"query": {"term": {"status": "many"}}}), "search_phase_execution_exception", "all shards failed"),
        (json!({"sort": ["msg"]}), "search_phase_execution_exception", "all shards failed"),
        (
            json!({"aggs": {"t": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1ms"}}}}),
            "search_phase_execution_exception",
            "",
        ),
    ] {
        let answer = world.post("/_search", &body).await;
        let found = answer.json();
        assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST, "{body}: {found}");
        assert_eq!(found["status"], 400);
        assert_eq!(found["error"]["type"], kind, "{body}: {found}");
        assert!(found["error"]["reason"].as_str().unwrap().contains(reason), "{body}: {found}");
    }
    let request = Request::post("/_search").header(CONTENT_TYPE, "application/json");
    let answer = world.send(request.body(Body::from("{\"size\": 1,\n oops}")).unwrap()).await;
    assert_eq!(answer.json()["error"]["type"], "x_content_parse_exception");
    assert!(answer.json()["error"]["reason"].as_str().unwrap().starts_with("[2:"), "{}", answer.text);

    let answer = world.get("/_search?scrol=1m").await;
    assert_eq!(answer.json()["error"]["reason"], "request [/_search] contains unrecognized parameter: [scrol]");
    let answer = world.get("/_search?size=many").await;
    assert_eq!(answer.json()["error"]["type"], "illegal_argument_exception");

    let request = Request::post("/_search").header(CONTENT_TYPE, "application/json");
    let answer = world.send(request.body(Body::from(vec![b' '; BODY_BYTES_MAX + 1])).unwrap()).await;
    assert_eq!(answer.parts.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn pretty_answers_have_lines() {
    let world = World::new().await;
    let answer = world.get("/gate-2020.01.01/_count?pretty").await;
    assert!(answer.text.starts_with("{\n  \"error\" : {\n    \"root_cause\" : [\n      {\n"), "{}", answer.text);
    let answer = world.get("/_search?pretty&size=1&sort=_doc&filter_path=hits.hits._source.kind").await;
    let expected = "{\n  \"hits\" : {\n    \"hits\" : [\n      {\n        \"_source\" : {\n          \"kind\" : \"request\"\n        }\n      }\n    ]\n  }\n}\n";
    assert_eq!(answer.text, expected);
}
