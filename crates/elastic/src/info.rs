//! What clients ask before they search: who is there, is it well, which fields are there.

use axum::response::Response;
use serde_json::{Value, json};
use tollhouse_store::Store;

use crate::asked::Asked;
use crate::error::ElasticError;
use crate::search::{blocking, indices_of};

/// The version that we speak; clients decide by it what they send.
const VERSION: &str = "8.19.0";
const CLUSTER: &str = "tollhouse";
/// Longest wait of a `_refresh`.
const REFRESH_S_MAX: u64 = 10;

/// `GET /`.
pub(crate) fn root(asked: &Asked) -> Response {
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
                "build_hash": "0000000000000000000000000000000000000000",
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

/// `GET /_cluster/health`.
pub(crate) async fn health(store: &Store, asked: &Asked) -> Response {
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
        ])?;
        if let Some(level) = asked.params.get("level")
            && level != "cluster"
        {
            return Err(ElasticError::Parameter(format!("[level] of [{level}] is not supported, only [cluster]")));
        }
        let shards = store.resolve("_all")?.len();
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

/// `GET /_mapping`.
pub(crate) async fn mapping(store: &Store, indices: &str, asked: &Asked) -> Response {
    let mapping = async {
        asked.params.only(&[
            "ignore_unavailable",
            "allow_no_indices",
            "expand_wildcards",
            "local",
            "master_timeout",
        ])?;
        let indices = indices_of(store, indices, &asked.params)?;
        let store = store.clone();
        blocking(move || Ok(store.mapping(&indices)?)).await
    };
    asked.answer(mapping.await)
}

/// `POST /_refresh`: answers when what is written by now can be found.
pub(crate) async fn refresh(store: &Store, indices: &str, asked: &Asked) -> Response {
    let refreshed = async {
        asked.params.only(&["ignore_unavailable", "allow_no_indices", "expand_wildcards"])?;
        if !store.refresh(std::time::Duration::from_secs(REFRESH_S_MAX)).await {
            return Err(ElasticError::NotIndexed(REFRESH_S_MAX));
        }
        let shards = store.resolve(&indices_of(store, indices, &asked.params)?)?.len();
        Ok(json!({"_shards": {"total": shards, "successful": shards, "failed": 0}}))
    };
    asked.answer::<Value>(refreshed.await)
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
