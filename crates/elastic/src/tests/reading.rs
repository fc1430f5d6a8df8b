//! What is read besides searches.

use std::io::{Read as _, Write as _};

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, WARNING};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::*;

/// All ids of a scroll, page by page.
async fn scrolled(world: &World, first: Answer) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut answer = first;
    loop {
        let page = answer.ids();
        assert_eq!(answer.json()["hits"]["total"]["value"], 6, "{}", answer.text);
        if page.is_empty() {
            return pages;
        }
        pages.push(page);
        let body = json!({"scroll": "1m", "scroll_id": answer.json()["_scroll_id"]});
        answer = world.post("/_search/scroll", &body).await;
    }
}

#[tokio::test]
async fn a_scroll_gives_everything_once() {
    let world = World::new().await;
    for (sort, has_late, expected) in [
        (json!(["_doc"]), false, vec![vec!["1", "2"], vec!["3", "4"], vec!["5", "6"]]),
        // Many hits have the same value.
        (json!([{"kind": "desc"}]), true, vec![vec!["5", "3"], vec!["2", "1"], vec!["6", "4"]]),
        (json!([]), true, vec![vec!["6", "5"], vec!["4", "3"], vec!["2", "1"]]),
    ] {
        let query = json!({"bool": {"must_not": {"term": {"kind": "log"}}}});
        let query = if has_late { query } else { json!({"match_all": {}}) };
        let body = json!({"query": query, "size": 2, "sort": sort, "aggs": {"k": {"terms": {"field": "kind"}}}});
        let first = world.post("/gate-*/_search?scroll=1m", &body).await;
        assert_eq!(first.json()["aggregations"]["k"]["buckets"].as_array().unwrap().len(), 3, "{}", first.text);
        let hit = &first.json()["hits"]["hits"][0];
        let keys = sort.as_array().unwrap().len();
        assert_eq!(hit.get("sort").map(|sort| sort.as_array().unwrap().len()), (keys > 0).then_some(keys));
        assert_eq!(hit["_score"].is_null(), keys > 0);
        // What comes later is not in it.
        world.book.line(r#""ts":"2026-01-28T10:00:00Z","level":"info","kind":"log","msg":"late""#);
        world.store.refresh(Duration::from_secs(60)).await;
        let id = first.json()["_scroll_id"].as_str().unwrap().to_owned();
        let pages = scrolled(&world, first).await;
        assert_eq!(pages, expected, "{sort}");
        let closed = world.ask("DELETE", "/_search/scroll", json!({"scroll_id": [id]}).to_string()).await;
        assert_eq!(closed.json(), json!({"succeeded": true, "num_freed": 1}));
        let closed = world.ask("DELETE", &format!("/_search/scroll/{id}"), "").await;
        assert_eq!((closed.parts.status, closed.json()["num_freed"].clone()), (StatusCode::NOT_FOUND, json!(0)));
        let gone = world.post("/_search/scroll", &json!({"scroll_id": id})).await;
        assert_eq!(gone.parts.status, StatusCode::NOT_FOUND);
        assert_eq!(gone.json()["error"]["root_cause"][0]["type"], "search_context_missing_exception");
    }
    for (path, body) in [
        ("/_search?scroll=1m&from=1", json!({})),
        ("/_search?scroll=1m&size=0", json!({})),
        ("/_search?scroll=1m", json!({"track_total_hits": false})),
        ("/_search?scroll=2d", json!({})),
        ("/_search?scroll=soon", json!({})),
        ("/_search/scroll", json!({"scroll_id": "none"})),
        ("/_search/scroll", json!({})),
    ] {
        let answer = world.post(path, &body).await;
        assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST, "{path} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_point_in_time_stays() {
    let world = World::new().await;
    let opened = world.post("/gate-*/_pit?keep_alive=1m", &json!(null)).await.json();
    let id = opened["id"].as_str().unwrap();
    assert_eq!(opened["_shards"]["total"], 2);
    world.book.line(r#""ts":"2026-01-28T10:00:00Z","level":"info","kind":"request","msg":"late""#);
    world.store.refresh(Duration::from_secs(60)).await;
    assert_eq!(world.get("/_count").await.json()["count"], 7);

    let mut seen = Vec::new();
    let mut body = json!({"pit": {"id": id, "keep_alive": "1m"}, "size": 2, "sort": {"kind": "asc"}});
    loop {
        let answer = world.post("/_search", &body).await;
        let found = answer.json();
        assert_eq!((&found["pit_id"], &found["hits"]["total"]["value"]), (&json!(id), &json!(6)), "{}", answer.text);
        let Some(last) = found["hits"]["hits"].as_array().unwrap().last().cloned() else { break };
        assert_eq!(last["sort"].as_array().unwrap().len(), 2, "with a tiebreaker");
        seen.extend(answer.ids());
        body["search_after"] = last["sort"].clone();
    }
    assert_eq!(seen, ["4", "6", "1", "2", "3", "5"]);

    let answer = world.post("/gate-*/_search", &json!({"pit": {"id": id}})).await;
    assert_eq!(answer.json()["error"]["type"], "action_request_validation_exception");
    let close = json!({ "id": id }).to_string();
    assert_eq!(world.ask("DELETE", "/_pit", close.clone()).await.json(), json!({"succeeded": true, "num_freed": 1}));
    assert_eq!(world.ask("DELETE", "/_pit", close).await.parts.status, StatusCode::NOT_FOUND);
    assert_eq!(world.post("/_search", &json!({"pit": {"id": id}})).await.parts.status, StatusCode::NOT_FOUND);
    assert_eq!(world.post("/gate-*/_pit", &json!(null)).await.parts.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn each_of_many_searches_is_answered_by_itself() {
    let world = World::new().await;
    let lines = [
        r#"{"index":"gate-2026.01.27,gate-2020.01.01","ignore_unavailable":true,"search_type":"query_then_fetch"}"#,
        r#"{"size":0}"#,
        r#"{"index":"gate-2020.01.01"}"#,
        r#"{"size":0}"#,
        "{}",
        r#"{"query":{"mtch":{}}}"#,
        r#"{"index":["gate-*"]}"#,
        r#"{"size":1,"highlight":{"fields":{"*":{}}},"query":{"term":{"status":500}}}"#,
        "",
        "{oops",
        "",
    ];
    let answer = world.ask("POST", "/_msearch?max_concurrent_shard_requests=5", lines.join("\n")).await;
    assert_eq!(answer.parts.status, StatusCode::OK, "{}", answer.text);
    let responses = answer.json()["responses"].clone();
    let statuses: Vec<u64> = responses.as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 404, 400, 200, 400]);
    assert_eq!(responses[0]["hits"]["total"]["value"], 4);
    assert_eq!(responses[1]["error"]["type"], "index_not_found_exception");
    assert_eq!(responses[3]["hits"]["hits"][0]["_id"], "2");
    assert_eq!(responses[3]["hits"]["hits"][0].get("highlight"), None, "no word of a text was looked for");
    for (body, kind) in [
        ("{}\n{}", "illegal_argument_exception"),
        ("", "action_request_validation_exception"),
        ("{\"nothing\":1}\n{}\n", "illegal_argument_exception"),
        ("[]\n{}\n", "illegal_argument_exception"),
    ] {
        let answer = world.ask("POST", "/_msearch", body).await;
        assert_eq!(
            (answer.parts.status, &answer.json()["error"]["type"]),
            (StatusCode::BAD_REQUEST, &json!(kind)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn documents_by_id() {
    let world = World::new().await;
    let got = world.get("/gate-2026.01.27/_doc/2?_source=http_status").await.json();
    let expected = json!({"_index": "gate-2026.01.27", "_id": "2", "_version": 1, "_seq_no": 2, "_primary_term": 1,
        "found": true, "_source": {"http_status": 500}});
    assert_eq!(got, expected);
    let missing = world.get("/gate-2026.01.27/_doc/5").await;
    let expected = json!({"_index": "gate-2026.01.27", "_id": "5", "found": false});
    assert_eq!((missing.parts.status, missing.json()), (StatusCode::NOT_FOUND, expected));
    assert_eq!(world.ask("HEAD", "/gate-2026.01.27/_doc/2", "").await.parts.status, StatusCode::OK);
    assert_eq!(world.ask("HEAD", "/gate-2026.01.27/_doc/5", "").await.parts.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/gate-2026.01.27/_source/2").await.json()["http_status"], 500);
    let missing = world.get("/gate-2026.01.27/_source/5").await;
    assert_eq!(missing.json()["error"]["type"], "resource_not_found_exception");
    // A service stands for all of its days.
    assert_eq!(world.get("/gate/_doc/5").await.json()["_index"], "gate-2026.01.28");

    let body = json!({"docs": [
        {"_index": "gate-2026.01.27", "_id": "1", "_source": ["kind"]},
        {"_index": "gate-2026.01.27", "_id": 6},
        {"_index": "gate-2020.01.01", "_id": "1"},
        {"_index": "gate-2026.01.28", "_id": "5", "_source": false},
    ]});
    let docs = world.post("/_mget", &body).await.json()["docs"].clone();
    assert_eq!(docs[0]["_source"], json!({"kind": "request"}));
    assert_eq!(docs[1]["found"], false);
    assert_eq!(docs[2]["error"]["type"], "index_not_found_exception");
    assert_eq!((&docs[3]["found"], docs[3].get("_source")), (&json!(true), None));
    let docs = world.post("/gate-2026.01.27/_mget", &json!({"ids": ["3", "9"]})).await.json()["docs"].clone();
    assert_eq!((&docs[0]["found"], &docs[1]["found"]), (&json!(true), &json!(false)));
    for body in [json!({}), json!({"docs": [{"_id": "1"}]}), json!({"docs": [{"_index": "a"}]})] {
        assert_eq!(world.post("/_mget", &body).await.parts.status, StatusCode::BAD_REQUEST, "{body}");
    }
}

#[tokio::test]
async fn fields_and_what_they_can() {
    let world = World::new().await;
    let caps = world.get("/_field_caps?fields=msg,site,model,no_such*").await.json();
    assert_eq!(caps["indices"], json!(["gate-2026.01.27", "gate-2026.01.28"]));
    let text = json!({"text": {"type": "text", "metadata_field": false, "searchable": true, "aggregatable": false}});
    assert_eq!(caps["fields"]["msg"], text);
    assert_eq!(caps["fields"]["site"]["keyword"]["aggregatable"], true);
    assert_eq!(caps["fields"]["model"]["keyword"]["type"], "keyword");
    assert_eq!(caps["fields"].as_object().unwrap().len(), 3);
    let caps = world.get("/_field_caps?fields=site&include_unmapped=true").await.json();
    assert_eq!(caps["fields"]["site"]["unmapped"]["indices"], json!(["gate-2026.01.28"]));
    let body = json!({"fields": ["*"], "index_filter": {"term": {"http_status": 500}}});
    let caps = world.post("/gate-*/_field_caps", &body).await.json();
    assert_eq!(caps["indices"], json!(["gate-2026.01.27"]));
    assert_eq!(world.get("/_field_caps").await.parts.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn indices_are_described() {
    let world = World::new().await;
    let index = &world.get("/gate-2026.01.28").await.json()["gate-2026.01.28"];
    assert_eq!(index["aliases"], json!({"gate": {}}));
    assert_eq!(index["mappings"]["properties"]["msg"]["type"], "text");
    assert_eq!(index["settings"]["index"]["number_of_shards"], "1");
    for (path, status) in [
        ("/gate-2026.01.28", 200),
        ("/gate", 200),
        ("/gate-2020.01.01", 404),
        ("/_alias/gate", 200),
        ("/_alias/x", 404),
    ] {
        assert_eq!(world.ask("HEAD", path, "").await.parts.status.as_u16(), status, "{path}");
    }
    let flat = world.get("/gate-2026.01.28/_settings?flat_settings=true").await.json();
    assert_eq!(flat["gate-2026.01.28"]["settings"]["index.provided_name"], "gate-2026.01.28");
    assert_eq!(world.get("/gate-*/_alias").await.json()["gate-2026.01.27"], json!({"aliases": {"gate": {}}}));
    assert_eq!(world.get("/_alias/x").await.json(), json!({"error": "alias [x] missing", "status": 404}));
    let resolved = world.get("/_resolve/index/gate*").await.json();
    assert_eq!(resolved["indices"].as_array().unwrap().len(), 2);
    assert_eq!(resolved["aliases"], json!([{"name": "gate", "indices": ["gate-2026.01.27", "gate-2026.01.28"]}]));
    assert_eq!(world.get("/_stats").await.json()["_all"]["primaries"]["docs"]["count"], 6);
    assert_eq!(
        world.get("/gate-2026.01.28/_stats/docs").await.json()["indices"]["gate-2026.01.28"]["total"]["docs"]["count"],
        2
    );
    let stream = &world.get("/_data_stream/gate").await.json()["data_streams"][0];
    assert_eq!((&stream["name"], stream["indices"].as_array().unwrap().len()), (&json!("gate"), 2));
    assert_eq!(world.get("/gate/_count").await.json()["count"], 6);
}

#[tokio::test]
async fn the_server_is_described() {
    let world = World::new().await;
    assert_eq!(world.get("/_license").await.json()["license"]["status"], "active");
    assert_eq!(world.get("/_xpack").await.json()["features"]["ilm"]["enabled"], false);
    assert_eq!(world.get("/_cluster/settings").await.json(), json!({"persistent": {}, "transient": {}}));
    let request = Request::get("/_nodes/http").header("host", "logs.example:9200").body(Body::empty()).unwrap();
    let nodes = world.send(request).await.json();
    let node = nodes["nodes"].as_object().unwrap().values().next().unwrap();
    assert_eq!(node["http"]["publish_address"], "logs.example:9200");
    assert_eq!(world.get("/_cluster/health/gate-2026.01.28").await.json()["active_shards"], 1);
    let valid = world.get("/_validate/query?q=kind:request").await.json();
    assert_eq!(valid, json!({"_shards": {"total": 1, "successful": 1, "failed": 0}, "valid": true}));
    for body in [json!({"query": {"mtch": {}}}), json!({"query": {"term": {"http_status": "many"}}})] {
        let answer = world.post("/gate-*/_validate/query?explain=true", &body).await.json();
        assert_eq!(answer["valid"], false, "{body}");
        assert!(answer["explanations"][0]["error"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn tables() {
    let world = World::new().await;
    for (path, expected) in [
        ("/_cat/count?h=count", "6\n"),
        ("/_cat/count/gate-2026.01.28?h=count&v", "count\n    2\n"),
        ("/_cat/health?h=status,node.total,pri&v", "status node.total pri\ngreen           1   2\n"),
        ("/_cat/aliases?h=alias,index", "gate gate-2026.01.27\ngate gate-2026.01.28\n"),
        ("/_cat/shards?h=index,shard,state,docs&s=docs", "gate-2026.01.28 0 STARTED 2\ngate-2026.01.27 0 STARTED 4\n"),
        ("/_cat/nodes?h=master,name", "* tollhouse\n"),
        ("/_cat/templates", ""),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.text, expected, "{path}");
    }
    let help = world.get("/_cat/count?help").await.text;
    assert!(help.starts_with("epoch     | t,time"), "{help}");
    let health = world.get("/_cat/health?format=json&ts=false").await.json();
    assert_eq!((&health[0]["status"], health[0].get("epoch")), (&json!("green"), None));
    assert_eq!(world.get("/_cat/health?format=yaml").await.parts.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/_search?format=yaml").await.parts.status, StatusCode::BAD_REQUEST);
    assert!(world.get("/_cat").await.text.contains("/_cat/indices"));
}

#[tokio::test]
async fn definitions_are_kept_and_have_no_effect() {
    let world = World::new().await;
    for (path, body, list) in [
        ("/_index_template/logs", json!({"index_patterns": ["logs-*"], "priority": 5}), "/_index_template"),
        ("/_component_template/part", json!({"template": {}}), "/_component_template"),
        ("/_template/old", json!({"index_patterns": ["old-*"], "order": 1}), "/_template"),
        ("/_ilm/policy/short", json!({"policy": {"phases": {}}}), "/_ilm/policy"),
    ] {
        assert_eq!(world.get(path).await.parts.status, StatusCode::NOT_FOUND, "{path}");
        let made = world.ask("PUT", path, body.to_string()).await;
        assert_eq!(made.json(), json!({"acknowledged": true}));
        assert!(made.parts.headers[WARNING].to_str().unwrap().contains("without effect"), "{path}");
        assert_eq!(world.ask("HEAD", path, "").await.parts.status, StatusCode::OK, "{path}");
        let name = path.rsplit('/').next().unwrap();
        assert!(world.get(list).await.text.contains(name), "{path}");
    }
    let kept = world.get("/_index_template/l*").await.json();
    assert_eq!(kept["index_templates"][0]["index_template"]["priority"], 5);
    assert_eq!(
        world.get("/_cat/templates?h=name,index_patterns,order").await.text,
        "logs [logs-*] 5\nold  [old-*]  1\n"
    );
    let again = Elastic::new(world.store.clone(), world.dir.path().join("definitions.json"), None).unwrap();
    assert_eq!(
        again.definitions.find(crate::definitions::Sort::Policy, Some("short")).len(),
        1,
        "also after a restart"
    );
    assert_eq!(world.ask("DELETE", "/_template/old", "").await.json(), json!({"acknowledged": true}));
    assert_eq!(world.ask("DELETE", "/_template/old", "").await.parts.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn gzip_both_ways() {
    let world = World::new().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(br#"{"query":{"match_all":{}},"size":6}"#).unwrap();
    let packed = Bytes::from(encoder.finish().unwrap());
    let request = || {
        let request =
            Request::post("/_search").header(CONTENT_TYPE, "application/json").header(ACCEPT_ENCODING, "gzip");
        request.header(CONTENT_ENCODING, "gzip").body(Body::from(packed.clone())).unwrap()
    };
    let response = world.router.clone().oneshot(request()).await.unwrap();
    assert_eq!((response.status(), &response.headers()[CONTENT_ENCODING]), (StatusCode::OK, &"gzip".parse().unwrap()));
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let mut text = String::new();
    GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["hits"]["hits"].as_array().unwrap().len(), 6);
    let request = Request::post("/_search").header(CONTENT_TYPE, "application/json").header(CONTENT_ENCODING, "br");
    let answer = world.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.parts.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn words_found_are_marked() {
    let world = World::new().await;
    let body = r#"{"query":{"query_string":{"query":"ANSWERED"}},"sort":["seq"],"_source":["kind"],"fields":["kind"],
        "highlight":{"fields":{"*":{}},"pre_tags":["<"],"post_tags":[">"],"number_of_fragments":0}}"#;
    let found = world.ask("POST", "/gate-*/_search", body).await.json();
    let hit = &found["hits"]["hits"][0];
    assert_eq!(hit["highlight"], json!({"msg": ["model <answered>"]}));
    assert_eq!(hit["fields"], json!({"kind": ["request"]}), "only what was asked for");
    for wrong in [r#"{"highlight":{"fieldz":{}}}"#, r#"{"highlight":{"fields":{"a":{"no_match_size":3}}}}"#] {
        let refused = world.ask("POST", "/_search", wrong).await;
        assert_eq!(refused.parts.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    }
}

#[tokio::test]
async fn names_of_aggregations_have_types_where_they_are_wanted() {
    let world = World::new().await;
    let body = r#"{"size":0,"aggs":{"by":{"terms":{"field":"model"},"aggs":{"slow":{"max":{"field":"duration_ms"}}}},
        "codes":{"terms":{"field":"status"}},"none":{"terms":{"field":"nothing"}}}}"#;
    let found = world.ask("POST", "/gate-*/_search?typed_keys=true", body).await.json();
    let aggs = &found["aggregations"];
    assert_eq!(aggs["sterms#by"]["buckets"][0]["max#slow"]["value"], 4000.0, "{found}");
    assert!(aggs["lterms#codes"].is_object() && aggs["sterms#none"].is_object(), "{found}");
}

#[tokio::test]
async fn slices_leave_nothing_out_and_share_nothing() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for id in 0..3 {
        let body = format!(r#"{{"size":1,"slice":{{"id":{id},"max":3}}}}"#);
        let mut page = world.ask("POST", "/gate-*/_search?scroll=1m", body).await.json();
        while let Some(hit) = page["hits"]["hits"].get(0) {
            ids.push(hit["_id"].as_str().unwrap().to_owned());
            let next = format!(r#"{{"scroll":"1m","scroll_id":{}}}"#, page["_scroll_id"]);
            page = world.ask("POST", "/_search/scroll", next).await.json();
        }
    }
    ids.sort();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6"]);
    for wrong in [r#"{"id":0,"max":1}"#, r#"{"id":3,"max":3}"#, r#"{"id":-1,"max":3}"#, r#"{"id":1,"max":2000}"#] {
        let body = format!(r#"{{"slice":{wrong}}}"#);
        let refused = world.ask("POST", "/gate-*/_search?scroll=1m", body).await;
        assert_eq!(refused.parts.status, StatusCode::BAD_REQUEST, "{wrong}: {}", refused.text);
    }
    let alone = world.ask("POST", "/_search", r#"{"slice":{"id":0,"max":2}}"#).await;
    assert!(alone.text.contains("can only be used with"), "{}", alone.text);
}
