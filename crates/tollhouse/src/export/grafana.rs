//! `tollhouse export grafana`: data sources and a dashboard as files that Grafana provisions itself with.

use serde_json::{Value, json};
use tollhouse_config::Config;

use crate::keys;

/// Names of the data sources, by which the dashboard finds them.
const PROMETHEUS: &str = "tollhouse-prometheus";
const RECORDS: &str = "tollhouse-records";
/// The form of dashboards that Grafana 10 and later read.
const SCHEMA: u32 = 38;

/// Both data sources: figures from a Prometheus that scrapes the house, records from the house's own Elasticsearch API.
pub(super) fn data_sources(config: &Config) -> String {
    let place =
        config.public_url.clone().unwrap_or_else(|| format!("http://{}", keys::reachable(config.listen.address)));
    let url = Value::from(format!("{place}/es"));
    let index = Value::from(format!("[{}-]YYYY.MM.DD", config.service.to_lowercase()));
    format!(
        "\
# Data sources for Grafana. Written by `tollhouse export grafana`; belongs into provisioning/datasources/.
# Grafana reads both variables from its environment:
#   TOLLHOUSE_KEY   a key of the role logs:read:  tollhouse key create --name grafana --role logs:read
#   PROMETHEUS_URL  where the Prometheus is that scrapes tollhouse, such as http://127.0.0.1:9090
apiVersion: 1
datasources:
  - name: tollhouse figures
    uid: {PROMETHEUS}
    type: prometheus
    access: proxy
    url: $PROMETHEUS_URL
    jsonData: {{httpMethod: POST, timeInterval: 15s}}
  - name: tollhouse records
    uid: {RECORDS}
    type: elasticsearch
    access: proxy
    url: {url}
    jsonData:
      index: {index}
      interval: Daily
      timeField: \"@timestamp\"
      logMessageField: msg
      logLevelField: level
      maxConcurrentShardRequests: 5
      httpHeaderName1: Authorization
    secureJsonData:
      httpHeaderValue1: Bearer $TOLLHOUSE_KEY
"
    )
}

/// Where Grafana finds the dashboard.
pub(super) fn provider() -> String {
    "\
# Where Grafana finds the dashboard. Written by `tollhouse export grafana`; belongs into provisioning/dashboards/, and
# tollhouse.json into the folder that path names.
apiVersion: 1
providers:
  - name: tollhouse
    type: file
    options: {path: /etc/grafana/dashboards/tollhouse}
"
    .to_owned()
}

/// The dashboard.
pub(super) fn dashboard(config: &Config) -> String {
    let of = "model=~\"$model\",model!=\"none\",origin=\"user\"";
    let quantile = |metric: &str, share: &str| {
        format!("histogram_quantile({share}, sum by (le, model) (rate({metric}_bucket{{{of}}}[$__rate_interval])))")
    };
    let ratio = format!(
        "sum by (model) (increase(tollhouse_tokens_total{{{of},type=\"output\"}}[$__range])) / \
         (sum by (model) (increase(tollhouse_tokens_total{{{of},type=\"input\"}}[$__range])) > 0)"
    );
    let mut grid = Grid::default();
    let panels = vec![
        grid.figures("stat", 6, 4, "Requests a minute", "none", &[(&format!("sum(rate(tollhouse_requests_total{{{of}}}[$__rate_interval])) * 60"), "")]),
        grid.figures("stat", 6, 4, "Failed", "percentunit", &[(&format!("sum(increase(tollhouse_requests_total{{{of},outcome=\"failed\"}}[$__range])) / (sum(increase(tollhouse_requests_total{{{of},outcome=~\"ok|failed\"}}[$__range])) > 0)"), "")]),
        grid.figures("stat", 6, 4, "Waiting", "none", &[("sum(tollhouse_queue_length)", "")]),
        grid.figures("stat", 6, 4, "Running", "none", &[("tollhouse_requests_running", "")]),
        grid.figures("timeseries", 12, 8, "Requests by outcome", "reqps", &[(&format!("sum by (outcome) (rate(tollhouse_requests_total{{{of}}}[$__rate_interval]))"), "{{outcome}}")]),
        grid.figures("timeseries", 12, 8, "Refusals by reason", "reqps", &[("sum by (reason) (rate(tollhouse_refusals_total[$__rate_interval])) > 0", "{{reason}}")]),
        grid.figures("timeseries", 12, 8, "Time to first token", "s", &[
            (&quantile("tollhouse_time_to_first_token_seconds", "0.5"), "{{model}} median"),
            (&quantile("tollhouse_time_to_first_token_seconds", "0.95"), "{{model}} 95 %"),
        ]),
        grid.figures("timeseries", 12, 8, "Tokens a second, of an answer", "none", &[(&quantile("tollhouse_output_tokens_per_second", "0.5"), "{{model}} median")]),
        grid.figures("timeseries", 12, 8, "Tokens", "none", &[(&format!("sum by (model, type) (rate(tollhouse_tokens_total{{{of}}}[$__rate_interval]))"), "{{model}} {{type}}")]),
        grid.figures("bargauge", 12, 8, "Token efficiency: answer / prompt", "none", &[(&ratio, "{{model}}")]),
        grid.figures("timeseries", 8, 7, "Queue and places", "none", &[
            ("tollhouse_queue_length", "{{upstream}} waiting"),
            ("tollhouse_upstream_running", "{{upstream}} running"),
            ("tollhouse_upstream_slots", "{{upstream}} places"),
        ]),
        grid.figures("timeseries", 8, 7, "Index and shipping behind", "none", &[
            ("tollhouse_index_lag_records", "index"),
            ("tollhouse_ship_lag_records", "{{destination}}"),
        ]),
        grid.figures("timeseries", 8, 7, "Memory", "bytes", &[("tollhouse_process_resident_memory_bytes", "resident")]),
        grid.records(),
    ];
    let dashboard = json!({
        "uid": "tollhouse",
        "title": format!("tollhouse · {}", config.service),
        "tags": ["tollhouse", "llm"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timepicker": {},
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": [{
            "name": "model",
            "label": "Model",
            "type": "query",
            "datasource": {"type": "prometheus", "uid": PROMETHEUS},
            "definition": "label_values(tollhouse_requests_total, model)",
            "query": {"query": "label_values(tollhouse_requests_total, model)", "refId": "model"},
            "refresh": 2,
            "includeAll": true,
            "multi": true,
            "allValue": ".+",
            "current": {"text": ["All"], "value": ["$__all"]},
            "options": [],
            "hide": 0,
            "sort": 1,
            "regex": "",
            "skipUrlSync": false,
        }]},
        "panels": panels,
    });
    format!("{dashboard:#}\n")
}

/// Where the next panel stands: from left to right, then below; Grafana's pages are 24 wide.
#[derive(Default)]
struct Grid {
    x: u32,
    y: u32,
    row: u32,
    id: u32,
}

impl Grid {
    fn place(&mut self, w: u32, h: u32) -> Value {
        if self.x + w > 24 {
            (self.x, self.y, self.row) = (0, self.y + self.row, 0);
        }
        let place = json!({"x": self.x, "y": self.y, "w": w, "h": h});
        (self.x, self.row, self.id) = (self.x + w, self.row.max(h), self.id + 1);
        place
    }

    /// A panel of figures: expressions, each with what it is called.
    fn figures(&mut self, kind: &str, w: u32, h: u32, title: &str, unit: &str, queries: &[(&str, &str)]) -> Value {
        let place = self.place(w, h);
        let source = json!({"type": "prometheus", "uid": PROMETHEUS});
        let targets: Vec<Value> = ('A'..)
            .zip(queries)
            .map(|(letter, (expr, legend))| {
                let is_moment = kind != "timeseries";
                json!({"refId": letter.to_string(), "datasource": source, "expr": expr, "legendFormat": legend,
                       "instant": is_moment, "range": !is_moment})
            })
            .collect();
        json!({
            "id": self.id, "type": kind, "title": title, "gridPos": place, "datasource": source, "targets": targets,
            "fieldConfig": {"defaults": {"unit": unit}, "overrides": []}, "options": {},
        })
    }

    /// The last slow and failed requests, as the house's own records have them.
    fn records(&mut self) -> Value {
        let place = self.place(24, 10);
        let source = json!({"type": "elasticsearch", "uid": RECORDS});
        json!({
            "id": self.id, "type": "logs", "title": "Slow and failed requests", "gridPos": place, "datasource": source,
            "targets": [{
                "refId": "A", "datasource": source, "timeField": "@timestamp",
                "query": "kind:request AND (tags:slow_request OR tags:error_request)",
                "metrics": [{"id": "1", "type": "logs", "settings": {"limit": "200"}}], "bucketAggs": [],
            }],
            "fieldConfig": {"defaults": {}, "overrides": []},
            "options": {"showTime": true, "wrapLogMessage": true, "sortOrder": "Descending", "enableLogDetails": true},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_stand_beside_and_below_each_other() {
        let dashboard: Value = serde_json::from_str(&dashboard(&Config::default())).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let mut taken = std::collections::HashSet::new();
        for panel in panels {
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{panel}");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{} covers another panel", panel["title"]);
                }
            }
        }
        let ids: std::collections::HashSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len());
    }
}
