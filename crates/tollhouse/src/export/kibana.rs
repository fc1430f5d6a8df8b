//! `tollhouse export kibana`: the four views and saved searches as saved objects, which Kibana imports.
//!
//! Imports go forward only, so everything has the form of an early Kibana 8 (Lens as of 8.6): 8.8 and later take it. Kibana itself
//! asks a real Elasticsearch, to which `ship` brings the records.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tollhouse_config::Config;

/// The version of the form of all objects, and of those that have another one.
const CORE: &str = "8.8.0";
const VIEW: &str = "8.0.0";
const LENS: &str = "8.6.0";
const DASHBOARD: &str = "8.7.0";
/// Ids are the same each time, so that an import replaces what an earlier one brought.
const DATA_VIEW: &str = "tollhouse-records";

/// A saved search: id, title, query, columns, order.
type Saved = (&'static str, &'static str, &'static str, &'static [&'static str], [&'static str; 2]);

const SEARCHES: [Saved; 5] = [
    (
        "efficiency",
        "Requests by token efficiency",
        "kind: request and token_efficiency: *",
        &["model_name", "input_tokens", "output_tokens", "token_efficiency", "duration_ms"],
        ["token_efficiency", "asc"],
    ),
    (
        "slow",
        "Slow requests",
        "tags: \"slow_request\"",
        &["model_name", "http_status", "duration_ms", "ttft_ms", "queue_ms", "request_id"],
        ["@timestamp", "desc"],
    ),
    (
        "errors",
        "Failed and refused requests",
        "tags: \"error_request\"",
        &["http_status", "model_name", "error", "key_id", "request_id"],
        ["@timestamp", "desc"],
    ),
    (
        "truncated",
        "Truncated prompts",
        "tags: \"truncated_prompt\"",
        &["model_name", "truncated_by", "prompt_chars", "context_limit", "request_id"],
        ["@timestamp", "desc"],
    ),
    ("lines", "Collected lines", "kind: log", &["source", "level", "msg"], ["@timestamp", "desc"]),
];

/// All objects, one a line.
pub(super) fn objects(config: &Config) -> String {
    let mut objects = vec![data_view(config), rate(), heat_map()];
    objects.extend(SEARCHES.iter().map(|(id, title, query, columns, sort)| search(id, title, query, columns, *sort)));
    objects.push(dashboard(config));
    let count = objects.len();
    objects.push(json!({"excludedObjects": [], "excludedObjectsCount": 0, "exportedCount": count,
                        "missingRefCount": 0, "missingReferences": []}));
    objects.iter().fold(String::new(), |mut text, object| {
        let _ = writeln!(text, "{object}");
        text
    })
}

fn object(kind: &str, id: &str, version: &str, attributes: &Value, references: &[Value]) -> Value {
    json!({"type": kind, "id": id, "attributes": attributes, "references": references, "managed": false,
           "coreMigrationVersion": CORE, "typeMigrationVersion": version})
}

fn data_view(config: &Config) -> Value {
    let title = format!("{}-*", config.service.to_lowercase());
    let formats = json!({
        "duration_ms": {"id": "number", "params": {"pattern": "0,0.[0]"}},
        "token_efficiency": {"id": "number", "params": {"pattern": "0.00"}},
    });
    let attributes = json!({
        "title": title, "name": format!("tollhouse: {title}"), "timeFieldName": "@timestamp", "fields": "[]",
        "fieldAttrs": "{}", "fieldFormatMap": formats.to_string(), "runtimeFieldMap": "{}", "sourceFilters": "[]",
        "typeMeta": "{}",
    });
    object("index-pattern", DATA_VIEW, VIEW, &attributes, &[])
}

fn view_reference(name: &str) -> Value {
    json!({"type": "index-pattern", "id": DATA_VIEW, "name": name})
}

/// Requests of each minute, as an area; what stands out is seen against a line at the 95th percentile's place in the house's own pages.
fn rate() -> Value {
    let columns = json!({
        "time": {"label": "@timestamp", "dataType": "date", "operationType": "date_histogram", "sourceField": "@timestamp",
                 "isBucketed": true, "scale": "interval",
                 "params": {"interval": "1m", "includeEmptyRows": true, "dropPartials": false}},
        "count": {"label": "Requests a minute", "dataType": "number", "operationType": "count", "isBucketed": false,
                  "scale": "ratio", "sourceField": "___records___", "customLabel": true, "params": {"emptyAsNull": false}},
    });
    let visualization = json!({
        "preferredSeriesType": "area", "legend": {"isVisible": true, "position": "right"}, "valueLabels": "hide",
        "fittingFunction": "Zero", "axisTitlesVisibilitySettings": {"x": false, "yLeft": true, "yRight": true},
        "layers": [{"layerId": "layer", "layerType": "data", "seriesType": "area", "xAccessor": "time",
                    "accessors": ["count"], "yConfig": [{"forAccessor": "count", "color": "#d36086"}]}],
    });
    lens("rate", "Requests a minute", "lnsXY", &columns, &["time", "count"], &visualization)
}

/// Status by model, coloured by the mean duration.
fn heat_map() -> Value {
    let top = |label: &str, field: &str, kind: &str| {
        json!({"label": label, "dataType": kind, "operationType": "terms", "sourceField": field, "isBucketed": true,
               "scale": "ordinal",
               "params": {"size": 20, "orderBy": {"type": "alphabetical", "fallback": false}, "orderDirection": "asc",
                          "otherBucket": false, "missingBucket": false, "parentFormat": {"id": "terms"}}})
    };
    let columns = json!({
        "model": top("model_name", "model_name", "string"),
        "status": top("http_status", "http_status", "number"),
        "duration": {"label": "Mean duration (ms)", "dataType": "number", "operationType": "average",
                     "sourceField": "duration_ms", "isBucketed": false, "scale": "ratio", "customLabel": true,
                     "params": {"emptyAsNull": true}},
    });
    let visualization = json!({
        "shape": "heatmap", "layerId": "layer", "layerType": "data", "xAccessor": "model", "yAccessor": "status",
        "valueAccessor": "duration", "legend": {"isVisible": true, "position": "right", "type": "heatmap_legend"},
        "gridConfig": {"type": "heatmap_grid", "isCellLabelVisible": true, "isYAxisLabelVisible": true,
                       "isXAxisLabelVisible": true, "isYAxisTitleVisible": true, "isXAxisTitleVisible": true},
        "palette": {"type": "palette", "name": "temperature", "accessor": "duration",
                    "params": {"continuity": "above", "reverse": false}},
    });
    lens(
        "heat-map",
        "Status by model, coloured by mean duration",
        "lnsHeatmap",
        &columns,
        &["model", "status", "duration"],
        &visualization,
    )
}

fn lens(id: &str, title: &str, kind: &str, columns: &Value, order: &[&str], visualization: &Value) -> Value {
    let layer = json!({"columns": columns, "columnOrder": order, "incompleteColumns": {}, "sampling": 1});
    let attributes = json!({
        "title": title, "description": "", "visualizationType": kind,
        "state": {
            "datasourceStates": {"formBased": {"layers": {"layer": layer}}},
            "visualization": visualization,
            "query": {"language": "kuery", "query": "kind: request and not origin: (probe or replay)"},
            "filters": [], "internalReferences": [], "adHocDataViews": {},
        },
    });
    let reference = view_reference("indexpattern-datasource-layer-layer");
    object("lens", &format!("tollhouse-{id}"), LENS, &attributes, &[reference])
}

fn search(id: &str, title: &str, query: &str, columns: &[&str], sort: [&str; 2]) -> Value {
    let source = json!({"query": {"language": "kuery", "query": query}, "filter": [], "highlightAll": true,
                        "version": true, "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index"});
    let attributes = json!({
        "title": title, "description": "", "columns": columns, "sort": [sort], "grid": {}, "hideChart": false,
        "isTextBasedQuery": false, "timeRestore": false,
        "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
    });
    let reference = view_reference("kibanaSavedObjectMeta.searchSourceJSON.index");
    object("search", &format!("tollhouse-{id}"), VIEW, &attributes, &[reference])
}

fn dashboard(config: &Config) -> Value {
    // Kind, id, and where it stands on a page that is 48 wide.
    let panels = [
        ("lens", "rate", 0, 0, 48, 12),
        ("lens", "heat-map", 0, 12, 24, 15),
        ("search", "slow", 24, 12, 24, 15),
        ("search", "efficiency", 0, 27, 48, 18),
    ];
    let (mut shown, mut references) = (Vec::new(), Vec::new());
    for (number, (kind, id, x, y, w, h)) in (1..).zip(panels) {
        let number = number.to_string();
        let name = format!("panel_{number}");
        shown.push(json!({"type": kind, "panelIndex": number, "embeddableConfig": {"enhancements": {}},
                          "gridData": {"x": x, "y": y, "w": w, "h": h, "i": number}, "panelRefName": name}));
        references.push(json!({"type": kind, "id": format!("tollhouse-{id}"), "name": format!("{number}:{name}")}));
    }
    let source = json!({"query": {"language": "kuery", "query": ""}, "filter": []});
    let options = json!({"useMargins": true, "syncColors": false, "syncCursor": true, "syncTooltips": false, "hidePanelTitles": false});
    let attributes = json!({
        "title": format!("tollhouse: {}", config.service), "description": "Written by `tollhouse export kibana`.",
        "panelsJSON": Value::from(shown).to_string(), "optionsJSON": options.to_string(), "version": 1,
        "timeRestore": true, "timeFrom": "now-24h", "timeTo": "now", "refreshInterval": {"pause": false, "value": 30_000},
        "kibanaSavedObjectMeta": {"searchSourceJSON": source.to_string()},
    });
    object("dashboard", "tollhouse-dashboard", DASHBOARD, &attributes, &references)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn whatever_is_referred_to_is_there() {
        let text = objects(&Config::default());
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (told, objects) = lines.split_last().unwrap();
        assert_eq!(told["exportedCount"], objects.len());
        let key = |object: &Value| (object["type"].to_string(), object["id"].to_string());
        let there: BTreeSet<_> = objects.iter().map(key).collect();
        assert_eq!(there.len(), objects.len());
        for object in objects {
            for reference in object["references"].as_array().unwrap() {
                assert!(there.contains(&key(reference)), "{reference}");
            }
            for (name, value) in object["attributes"].as_object().unwrap() {
                // What has JSON in its name has JSON in its text.
                if name.ends_with("JSON") {
                    let _: Value = serde_json::from_str(value.as_str().unwrap()).unwrap();
                }
            }
        }
    }
}
