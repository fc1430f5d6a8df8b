//! The tables that there are, and their rows.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;
use tollhouse_query::{Pattern, dsl};
use tollhouse_store::IndexInfo;

use super::bytes::Bytes;
use super::table::{Cell, Column, Table, answer};
use crate::asked::{Asked, Names};
use crate::cluster::{CLUSTER, VERSION, uuid};
use crate::definitions::Sort;
use crate::elastic::Elastic;
use crate::error::ElasticError;
use crate::indices::alias_of;
use crate::search::{NAMING, Wanting, counted, with_params};

const INDICES: [Column; 13] = [
    Column::text("health", &["h"], "current health status"),
    Column::text("status", &["s"], "open/close status"),
    Column::text("index", &["i", "idx"], "index name"),
    Column::text("uuid", &["id", "uuid"], "index uuid"),
    Column::number("pri", &["p", "shards.primary", "shardsPrimary"], "number of primary shards"),
    Column::number("rep", &["r", "shards.replica", "shardsReplica"], "number of replica shards"),
    Column::number("docs.count", &["dc", "docsCount"], "available docs"),
    Column::number("docs.deleted", &["dd", "docsDeleted"], "deleted docs"),
    Column::number("creation.date", &["cd"], "index creation date (millisecond value)").hidden(),
    Column::number("creation.date.string", &["cds"], "index creation date (as string)").hidden(),
    Column::number("store.size", &["ss", "storeSize"], "store size of primaries & replicas"),
    Column::number("pri.store.size", &[], "store size of primaries"),
    Column::number("dataset.size", &[], "total size of dataset"),
];

/// `_cat/indices`.
pub(crate) async fn indices(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let found = async {
        let own = [&NAMING[..], &["health", "pri", "include_unloaded_segments"]].concat();
        let table = Table::new(&INDICES, &asked.params, &own)?;
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        // All of them are well.
        let is_wanted = asked.params.get("health").is_none_or(|health| health == "green");
        let infos = infos(&elastic).await?;
        let infos = infos.iter().filter(|info| is_wanted && list.contains(&info.name));
        let rows = infos.map(|info| index_row(info, table.bytes)).collect();
        Ok((table, rows))
    };
    answer(&asked, found.await)
}

/// The cells of an index, in the order of [`INDICES`].
fn index_row(info: &IndexInfo, bytes: Bytes) -> Vec<Cell> {
    let size = || Cell::size(info.bytes, bytes);
    let created = Timestamp::from_millisecond(info.created_ms).unwrap_or_default();
    vec![
        Cell::text("green"),
        Cell::text("open"),
        Cell::text(&info.name),
        Cell::text(uuid(&info.name)),
        Cell::number(1),
        Cell::number(0),
        Cell::number(info.docs),
        Cell::number(0),
        Cell::number(info.created_ms.unsigned_abs()),
        Cell::text(format!("{created:.3}")),
        size(),
        size(),
        size(),
    ]
}

async fn infos(elastic: &Elastic) -> Result<Vec<IndexInfo>, ElasticError> {
    Ok(elastic.shelf.indices().await?)
}

const HEALTH: [Column; 15] = [
    Column::number("epoch", &["t", "time"], "seconds since 1970-01-01 00:00:00"),
    Column::text("timestamp", &["ts", "hms", "hhmmss"], "time in HH:MM:SS"),
    Column::text("cluster", &["cl"], "cluster name"),
    Column::text("status", &["st"], "health status"),
    Column::number("node.total", &["nt", "nodeTotal"], "total number of nodes"),
    Column::number("node.data", &["nd", "nodeData"], "number of nodes that can store data"),
    Column::number("shards", &["t", "sh", "shards.total", "shardsTotal"], "total number of shards"),
    Column::number("pri", &["p", "shards.primary", "shardsPrimary"], "number of primary shards"),
    Column::number("relo", &["r", "shards.relocating", "shardsRelocating"], "number of relocating nodes"),
    Column::number("init", &["i", "shards.initializing", "shardsInitializing"], "number of initializing nodes"),
    Column::number("unassign", &["u", "shards.unassigned", "shardsUnassigned"], "number of unassigned shards"),
    Column::number("unassign.pri", &["up", "shards.unassigned.primary"], "number of unassigned primary shards"),
    Column::number("pending_tasks", &["pt", "pendingTasks"], "number of pending tasks"),
    Column::number("max_task_wait_time", &["mtwt", "maxTaskWaitTime"], "wait time of longest task pending"),
    Column::number("active_shards_percent", &["asp", "activeShardsPercent"], "active number of shards in percent"),
];

/// `_cat/health`.
pub(crate) async fn health(elastic: Elastic, asked: Asked) -> Response {
    let found = async {
        let mut table = Table::new(&HEALTH, &asked.params, &["ts"])?;
        if asked.params.get("ts") == Some("false") {
            table = table.without(&["epoch", "timestamp"], &asked.params);
        }
        let shards = elastic.resolve("_all").await?.len() as u64;
        let [epoch, timestamp] = now();
        let row = vec![
            epoch,
            timestamp,
            Cell::text(CLUSTER),
            Cell::text("green"),
            Cell::number(1),
            Cell::number(1),
            Cell::number(shards),
            Cell::number(shards),
            Cell::number(0),
            Cell::number(0),
            Cell::number(0),
            Cell::number(0),
            Cell::number(0),
            Cell::text("-"),
            Cell::text("100.0%"),
        ];
        Ok((table, vec![row]))
    };
    answer(&asked, found.await)
}

/// Seconds since 1970, and the time of the day in UTC.
fn now() -> [Cell; 2] {
    let now = Timestamp::now();
    [Cell::number(now.as_second().unsigned_abs()), Cell::text(now.strftime("%H:%M:%S").to_string())]
}

const COUNT: [Column; 3] = [
    Column::number("epoch", &["t", "time"], "seconds since 1970-01-01 00:00:00"),
    Column::text("timestamp", &["ts", "hms", "hhmmss"], "time in HH:MM:SS"),
    Column::number("count", &["dc", "docs.count", "docsCount"], "the document count"),
];

/// `_cat/count`.
pub(crate) async fn count(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let found = async {
        let own = [&NAMING[..], &["q", "df", "default_operator", "analyze_wildcard"]].concat();
        let table = Table::new(&COUNT, &asked.params, &own)?;
        let body = with_params(asked.json()?, &asked.params)?;
        let query = dsl::parse_count(&body)?;
        let days = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let count = counted(&elastic.shelf, days, query).await?;
        let [epoch, timestamp] = now();
        Ok((table, vec![vec![epoch, timestamp, Cell::number(count)]]))
    };
    answer(&asked, found.await)
}

const ALIASES: [Column; 6] = [
    Column::text("alias", &["a"], "alias name"),
    Column::text("index", &["i", "idx"], "index alias points to"),
    Column::text("filter", &["f", "fi"], "filter"),
    Column::text("routing.index", &["ri", "routingIndex"], "index routing"),
    Column::text("routing.search", &["rs", "routingSearch"], "search routing"),
    Column::text("is_write_index", &["w", "isWriteIndex"], "write index"),
];

/// `_cat/aliases`.
pub(crate) async fn aliases(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let found = async {
        let table = Table::new(&ALIASES, &asked.params, &["expand_wildcards"])?;
        let wanted = names.name.as_deref().unwrap_or("*");
        let patterns: Vec<_> = wanted.split(',').map(Pattern::new).collect();
        let mut rows = Vec::new();
        for index in elastic.resolve("_all").await? {
            let alias = alias_of(&index);
            if patterns.iter().any(|pattern| pattern.is_match(alias)) {
                let nothing = || Cell::text("-");
                rows.push(vec![Cell::text(alias), Cell::text(&index), nothing(), nothing(), nothing(), nothing()]);
            }
        }
        Ok((table, rows))
    };
    answer(&asked, found.await)
}

const NODES: [Column; 13] = [
    Column::text("id", &["id", "nodeId"], "unique node id").hidden(),
    Column::text("ip", &["i"], "ip address"),
    Column::number("heap.percent", &["hp", "heapPercent"], "used heap ratio"),
    Column::number("ram.percent", &["rp", "ramPercent"], "used machine memory ratio"),
    Column::number("cpu", &["cpu"], "recent cpu usage"),
    Column::number("load_1m", &["l"], "1m load avg"),
    Column::number("load_5m", &[], "5m load avg"),
    Column::number("load_15m", &[], "15m load avg"),
    Column::text("node.role", &["r", "role", "nodeRole"], "m:master eligible node, d:data node"),
    Column::text("master", &["m"], "*:current master"),
    Column::text("name", &["n"], "node name"),
    Column::text("version", &["v"], "es version").hidden(),
    Column::text("build", &["b"], "es build hash").hidden(),
];

/// `_cat/nodes`: this one. What the machine does is told by `/metrics`, not here.
pub(crate) async fn nodes(asked: Asked) -> Response {
    let found = || {
        let table = Table::new(&NODES, &asked.params, &["full_id", "include_unloaded_segments"])?;
        let nothing = || Cell::text("-");
        let row = vec![
            Cell::text(uuid(CLUSTER)),
            Cell::text("127.0.0.1"),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            Cell::text("dm"),
            Cell::text("*"),
            Cell::text(CLUSTER),
            Cell::text(VERSION),
            nothing(),
        ];
        Ok((table, vec![row]))
    };
    answer(&asked, found())
}

const SHARDS: [Column; 9] = [
    Column::text("index", &["i", "idx"], "index name"),
    Column::text("shard", &["s", "sh"], "shard name"),
    Column::text("prirep", &["p", "pr", "primaryOrReplica"], "primary or replica"),
    Column::text("state", &["st"], "shard state"),
    Column::number("docs", &["d", "dc"], "number of docs in shard"),
    Column::number("store", &["sto"], "store size of shard"),
    Column::number("dataset", &[], "total size of dataset"),
    Column::text("ip", &[], "ip of node where it lives"),
    Column::text("node", &["n"], "name of node where it lives"),
];

/// `_cat/shards`: one for each index.
pub(crate) async fn shards(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let found = async {
        let table = Table::new(&SHARDS, &asked.params, &NAMING)?;
        let list = Wanting::new(&names.indices, &asked.params).list(&elastic).await?;
        let infos = infos(&elastic).await?;
        let row = |info: &IndexInfo| {
            vec![
                Cell::text(&info.name),
                Cell::text("0"),
                Cell::text("p"),
                Cell::text("STARTED"),
                Cell::number(info.docs),
                Cell::size(info.bytes, table.bytes),
                Cell::size(info.bytes, table.bytes),
                Cell::text("127.0.0.1"),
                Cell::text(CLUSTER),
            ]
        };
        let rows = infos.iter().filter(|info| list.contains(&info.name)).map(row).collect();
        Ok((table, rows))
    };
    answer(&asked, found.await)
}

const TEMPLATES: [Column; 5] = [
    Column::text("name", &["n"], "template name"),
    Column::text("index_patterns", &["t"], "template index patterns"),
    Column::text("order", &["o", "p"], "template application order/priority number"),
    Column::text("version", &["v"], "version"),
    Column::text("composed_of", &["c"], "component templates comprising index template"),
];

/// `_cat/templates`.
pub(crate) async fn templates(elastic: Elastic, names: Names, asked: Asked) -> Response {
    let found = || {
        let table = Table::new(&TEMPLATES, &asked.params, &[])?;
        let find = |sort| elastic.definitions.find(sort, names.name.as_deref());
        let list = |value: &Value| {
            let items: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            format!("[{}]", items.join(", "))
        };
        let plain = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
        let all = find(Sort::IndexTemplate).into_iter().chain(find(Sort::LegacyTemplate));
        let rows = all.map(|(name, body)| {
            let order = if body["priority"].is_null() { &body["order"] } else { &body["priority"] };
            vec![
                Cell::text(name),
                Cell::text(list(&body["index_patterns"])),
                Cell::text(plain(order)),
                Cell::text(plain(&body["version"])),
                Cell::text(if body["composed_of"].is_null() { String::new() } else { list(&body["composed_of"]) }),
            ]
        });
        let rows = rows.collect();
        Ok((table, rows))
    };
    answer(&asked, found())
}

/// `_cat`: which tables there are.
pub(crate) async fn help(asked: Asked) -> Response {
    let tables = [
        "=^.^=",
        "/_cat/aliases",
        "/_cat/count",
        "/_cat/health",
        "/_cat/indices",
        "/_cat/nodes",
        "/_cat/shards",
        "/_cat/templates",
        "",
    ];
    asked.answer_text(Ok(tables.join("\n")))
}
