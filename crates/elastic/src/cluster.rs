//! What clients ask about the server before they write or search: who is there, is it well, what may it be used for.

use axum::response::Response;
use serde_json::{Value, json};

use crate::asked::{Asked, Names};
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::search::Wanting;

/// The version that we speak; clients decide by it what they send.
pub(crate) const VERSION: &str = "8.19.0";
pub(crate) const CLUSTER: &str = "tollhouse";
const NO_BUILD: &str = "0000000000000000000000000000000000000000";

/// `GET|HEAD /`.
pub(crate) async fn root(asked: Asked) -> Response {
    let info = || {
        asked.params.only(&[])?;
        Ok(json!({
            "name": CLUSTER,
            "cluster_name": CLUSTER,
            "cluster_uuid": uuid(CLUSTER),
            "version": {
                "number": VERSION,
                "build_flavor": "default",
                "build_type": "tar",
                "build_hash": NO_BUILD,
                "build_date": "1970-01-01T00:00:00.000000000Z",
                "build_snapshot": false,
                "lucene_version": "9.12.2",
                "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }))
    };
    asked.answer::<Value>(info())
}

/// `GET /_cluster/health[/{indices}]`.
pub(crate) async fn health(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let health = async {
        asked.params.only(&[
            "wait_for_status",
            "wait_for_no_relocating_shards",
            "wait_for_no_initializing_shards",
            "wait_for_active_shards",
            "wait_for_nodes",
            "wait_for_events",
            "timeout",
            "master_timeout",
            "local",
            "level",
            "expand_wildcards",
        ])?;
        if let Some(level) = asked.params.get("level")
            && level != "cluster"
        {
            return Err(ElasticError::Parameter(format!("[level] of [{level}] is not supported, only [cluster]")));
        }
        let shards = Wanting::new(&names.indices, &asked.params).list(&elastic).await?.len();
        Ok(json!({
            "cluster_name": CLUSTER,
            "status": "green",
            "timed_out": false,
            "number_of_nodes": 1,
            "number_of_data_nodes": 1,
            "active_primary_shards": shards,
            "active_shards": shards,
            "relocating_shards": 0,
            "initializing_shards": 0,
            "unassigned_shards": 0,
            "unassigned_primary_shards": 0,
            "delayed_unassigned_shards": 0,
            "number_of_pending_tasks": 0,
            "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0,
            "active_shards_percent_as_number": 100.0,
        }))
    };
    asked.answer::<Value>(health.await)
}

/// `GET /_cluster/settings`: none can be set.
pub(crate) async fn settings(asked: Asked) -> Response {
    let settings = || {
        asked.params.only(&["flat_settings", "include_defaults", "master_timeout", "timeout"])?;
        let mut settings = json!({"persistent": {}, "transient": {}});
        if asked.params.flag("include_defaults") {
            settings["defaults"] = json!({});
        }
        Ok(settings)
    };
    asked.answer::<Value>(settings())
}

/// `GET /_nodes[/…]`: this one, at the address it was asked at, so that clients who look for nodes stay here.
pub(crate) async fn nodes(asked: Asked) -> Response {
    let nodes = || {
        asked.params.only(&["flat_settings", "timeout"])?;
        let mut node = json!({
            "name": CLUSTER,
            "version": VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": NO_BUILD,
            "roles": ["data", "ingest", "master"],
            "attributes": {},
        });
        if let Some(host) = &asked.host {
            let (name, _) = host.rsplit_once(':').unwrap_or((host, ""));
            node["host"] = name.into();
            node["ip"] = name.trim_matches(['[', ']']).into();
            node["http"] = json!({"bound_address": [host], "publish_address": host, "max_content_length_in_bytes":
                crate::asked::BODY_BYTES_MAX});
        }
        Ok(json!({
            "_nodes": {"total": 1, "successful": 1, "failed": 0},
            "cluster_name": CLUSTER,
            "nodes": { uuid(CLUSTER): node },
        }))
    };
    asked.answer::<Value>(nodes())
}

/// `GET /_license`: writers go on when it is a basic one that is active.
pub(crate) async fn license(asked: Asked) -> Response {
    let license = || {
        asked.params.only(&["local", "accept_enterprise"])?;
        Ok(json!({"license": {
            "status": "active",
            "uid": "00000000-0000-0000-0000-000000000000",
            "type": "basic",
            "issue_date": "1970-01-01T00:00:00.000Z",
            "issue_date_in_millis": 0,
            "max_nodes": 1000,
            "max_resource_units": null,
            "issued_to": CLUSTER,
            "issuer": "elasticsearch",
            "start_date_in_millis": -1,
        }}))
    };
    asked.answer::<Value>(license())
}

/// `GET /_xpack`: none of it is here.
pub(crate) async fn xpack(asked: Asked) -> Response {
    let xpack = || {
        asked.params.only(&["categories", "accept_enterprise", "master_timeout"])?;
        let absent = json!({"available": false, "enabled": false});
        let features = ["ilm", "security", "ml", "monitoring", "watcher", "sql", "rollup", "graph", "transform"];
        Ok(json!({
            "build": {"hash": NO_BUILD, "date": "1970-01-01T00:00:00.000000000Z"},
            "license": {
                "uid": "00000000-0000-0000-0000-000000000000",
                "type": "basic",
                "mode": "basic",
                "status": "active",
            },
            "features": features.iter().map(|name| ((*name).to_owned(), absent.clone())).collect::<serde_json::Map<_, _>>(),
            "tagline": "You know, for X",
        }))
    };
    asked.answer::<Value>(xpack())
}

/// `GET /_ilm/status`: days are kept as the configuration of the house says.
pub(crate) async fn lifecycle_status(asked: Asked) -> Response {
    asked.answer(asked.params.only(&[]).map(|()| json!({"operation_mode": "STOPPED"})))
}

/// Something of the form of Elasticsearch's ids, always the same for the same name.
pub(crate) fn uuid(name: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // FNV-1a, once for each half.
    let hash =
        |seed: u64| name.bytes().fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mut bits = (u128::from(hash(0xcbf2_9ce4_8422_2325)) << 64) | u128::from(hash(0x9ae1_6a3b_2f90_404f));
    let mut id = String::with_capacity(22);
    for _ in 0..22 {
        id.push(char::from(DIGITS[(bits & 63) as usize]));
        bits >>= 6;
    }
    id
}
