//! `tollhouse export prometheus`: the scrape job, recording rules and alerts for a Prometheus.
//!
//! The objectives are those of Google's workbook for burn rates (14.4 times over an hour, 6 over six, 1 over three days, each with a
//! short window so that the alert ends soon after the cause), and a smallest number of requests and of bad ones, without which
//! two requests of one quiet hour would be a fire.

use std::fmt::Write as _;

use tollhouse_config::{Auth, Config};

use crate::cli::PrometheusArgs;
use crate::keys;

/// A pair of windows in which the budget of errors burns.
struct Burn {
    long: &'static str,
    short: &'static str,
    /// So many times faster than the budget of 30 days allows.
    factor: f64,
    /// Requests that the long window must have, and bad ones.
    requests_min: u32,
    bad_min: u32,
    severity: &'static str,
    hold: &'static str,
}

const BURNS: [Burn; 3] = [
    Burn { long: "1h", short: "5m", factor: 14.4, requests_min: 20, bad_min: 3, severity: "page", hold: "2m" },
    Burn { long: "6h", short: "30m", factor: 6.0, requests_min: 30, bad_min: 3, severity: "page", hold: "5m" },
    Burn { long: "3d", short: "6h", factor: 1.0, requests_min: 50, bad_min: 3, severity: "ticket", hold: "30m" },
];
/// All windows that are recorded.
const WINDOWS: [&str; 6] = ["5m", "30m", "1h", "6h", "3d", "30d"];

/// What is to be kept, and how it is counted.
struct Objective {
    name: &'static str,
    /// Share of requests that has to be good.
    goal: f64,
    /// For people: what a bad one is.
    bad_is: String,
    /// Bad and all requests of a window by model; `W` stands for it.
    bad: String,
    all: String,
}

/// The scrape job, and the rules beside it.
pub(super) struct Files {
    pub(super) scrape: String,
    pub(super) rules: String,
}

pub(super) fn files(config: &Config, args: &PrometheusArgs) -> anyhow::Result<Files> {
    Ok(Files { scrape: scrape(config, args)?, rules: rules(config, args) })
}

fn scrape(config: &Config, args: &PrometheusArgs) -> anyhow::Result<String> {
    let Some(path) = &config.telemetry.metrics else {
        anyhow::bail!("`telemetry.metrics` is off: there is nothing to scrape");
    };
    let target = keys::reachable(config.listen.address);
    let key = match (&args.key_file, config.access.auth) {
        (Some(file), _) => {
            format!("    authorization: {{type: Bearer, credentials_file: {}}}\n", quoted(&file.to_string_lossy()))
        }
        (None, Auth::Off) => String::new(),
        (None, Auth::Keys) => {
            "    # A file with the key alone, made by: tollhouse key create --name prometheus --role metrics:read\n    \
             authorization: {type: Bearer, credentials_file: /etc/prometheus/tollhouse.key}\n"
                .to_owned()
        }
    };
    Ok(format!(
        "\
# Scrapes tollhouse. Written by `tollhouse export prometheus`.
# Put the job into prometheus.yml, or name this file there: scrape_config_files: [tollhouse.yml]
# Requests as examples (exemplars) need: prometheus --enable-feature=exemplar-storage
scrape_configs:
  - job_name: tollhouse
    metrics_path: {}
    scrape_interval: 15s
{key}    static_configs:
      - targets: [{}]
        labels: {{service: {}}}
",
        quoted(path),
        quoted(&target.to_string()),
        quoted(&config.service),
    ))
}

fn objectives(args: &PrometheusArgs) -> Vec<Objective> {
    let of_users = "model!=\"none\",origin=\"user\"";
    // Those that were refused are the client's, and those that were cancelled nobody's.
    let counted = format!("tollhouse_requests_total{{{of_users},outcome=~\"ok|failed\"}}");
    // Prometheus 3 writes whole bounds with a fraction.
    let under = |metric: &str, bound: &str| {
        (
            format!(
                "sum by (model) (increase({metric}_count{{{of_users}}}[W])) - sum by (model) (increase({metric}_bucket{{{of_users},le=~\"{bound}|{bound}.0\"}}[W]))"
            ),
            format!("sum by (model) (increase({metric}_count{{{of_users}}}[W]))"),
        )
    };
    let over = |metric: &str, bound: &str| {
        (
            format!("sum by (model) (increase({metric}_bucket{{{of_users},le=~\"{bound}|{bound}.0\"}}[W]))"),
            format!("sum by (model) (increase({metric}_count{{{of_users}}}[W]))"),
        )
    };
    let (ttft_bad, ttft_all) = under("tollhouse_time_to_first_token_seconds", "2");
    let (speed_bad, speed_all) = over("tollhouse_output_tokens_per_second", "10");
    let (efficiency_bad, efficiency_all) = over("tollhouse_token_efficiency", "0.05");
    vec![
        Objective {
            name: "availability",
            goal: args.availability,
            bad_is: "requests failed".into(),
            bad: format!("sum by (model) (increase(tollhouse_requests_total{{{of_users},outcome=\"failed\"}}[W]))"),
            all: format!("sum by (model) (increase({counted}[W]))"),
        },
        Objective {
            name: "ttft",
            goal: args.ttft,
            bad_is: "first tokens took longer than 2 s".into(),
            bad: ttft_bad,
            all: ttft_all,
        },
        Objective {
            name: "speed",
            goal: args.speed,
            bad_is: "answers were written at less than 10 tokens a second".into(),
            bad: speed_bad,
            all: speed_all,
        },
        Objective {
            name: "token_efficiency",
            goal: args.efficiency,
            bad_is: "answers had less than 0.05 tokens for each token of the prompt".into(),
            bad: efficiency_bad,
            all: efficiency_all,
        },
    ]
}

fn rules(config: &Config, args: &PrometheusArgs) -> String {
    let mut out = String::from(
        "\
# Objectives of tollhouse: recording rules and alerts by burn rate. Written by `tollhouse export prometheus`.
# Name this file under rule_files in prometheus.yml.
groups:
  - name: tollhouse-objectives
    interval: 1m
    rules:
",
    );
    let objectives = objectives(args);
    for objective in &objectives {
        for window in WINDOWS {
            for (what, expr) in [("bad", &objective.bad), ("all", &objective.all)] {
                let _ = writeln!(out, "      - record: tollhouse:{}_{what}:increase{window}", objective.name);
                let _ = writeln!(out, "        expr: {}", expr.replace("[W]", &format!("[{window}]")));
            }
            let name = objective.name;
            let _ = writeln!(out, "      - record: tollhouse:{name}_error_ratio:{window}");
            let _ = writeln!(
                out,
                "        expr: tollhouse:{name}_bad:increase{window} / (tollhouse:{name}_all:increase{window} > 0)"
            );
        }
        let (name, budget) = (objective.name, short(1.0 - objective.goal));
        let _ = writeln!(out, "      - record: tollhouse:{name}_budget_left:30d");
        let _ = writeln!(out, "        expr: 1 - tollhouse:{name}_error_ratio:30d / {budget}");
    }
    out.push_str("  - name: tollhouse-burn-rates\n    rules:\n");
    for objective in &objectives {
        for burn in &BURNS {
            out.push_str(&burn_alert(config, objective, burn));
        }
    }
    out.push_str("  - name: tollhouse-house\n    rules:\n");
    for (name, expr, hold, severity, summary) in HOUSE {
        let _ = write!(
            out,
            "      - alert: {name}\n        expr: {expr}\n        for: {hold}\n        labels: {{severity: {severity}}}\n        \
             annotations:\n          summary: {}\n",
            quoted(summary)
        );
    }
    out
}

fn burn_alert(config: &Config, objective: &Objective, burn: &Burn) -> String {
    let (name, Burn { long, short: brief, factor, requests_min, bad_min, severity, hold }) = (objective.name, burn);
    let bound = short(factor * (1.0 - objective.goal));
    let place =
        config.public_url.clone().unwrap_or_else(|| format!("http://{}", keys::reachable(config.listen.address)));
    let summary = format!(
        "{{{{ $labels.model }}}}: {{{{ $value | humanizePercentage }}}} of {} within {long}; the goal is at most {}",
        objective.bad_is,
        percent(1.0 - objective.goal)
    );
    format!(
        "      - alert: TollhouseBurn{}{}
        expr: |-
          tollhouse:{name}_error_ratio:{long} > {bound}
          and tollhouse:{name}_error_ratio:{brief} > {bound}
          and tollhouse:{name}_all:increase{long} >= {requests_min}
          and tollhouse:{name}_bad:increase{long} >= {bad_min}
        for: {hold}
        labels: {{severity: {severity}, objective: {name}, window: {long}}}
        annotations:
          summary: {}
          dashboard: {}
",
        camel(name),
        long,
        quoted(&summary),
        quoted(&format!("{place}/requests")),
    )
}

/// What is told of the house itself: name, expression, for how long, severity, summary.
const HOUSE: [(&str, &str, &str, &str, &str); 7] = [
    ("TollhouseDown", "up{job=\"tollhouse\"} == 0", "2m", "page", "tollhouse does not answer"),
    (
        "TollhouseUpstreamAway",
        "tollhouse_upstream_breaker_state{state=\"open\"} == 1",
        "2m",
        "page",
        "the model server {{ $labels.upstream }} does not answer",
    ),
    (
        "TollhouseQueueLong",
        "tollhouse_queue_length > 4 * tollhouse_upstream_slots",
        "5m",
        "ticket",
        "{{ $value }} requests wait for {{ $labels.upstream }}",
    ),
    (
        "TollhouseJournalDisk",
        "tollhouse_journal_disk_state{state=~\"full|recovering\"} == 1",
        "0m",
        "page",
        "the journal's disk takes no records",
    ),
    (
        "TollhouseRecordsNotKept",
        "increase(tollhouse_journal_records_not_kept_total[10m]) > 0",
        "0m",
        "page",
        "{{ $value }} records were not kept",
    ),
    (
        "TollhouseShipLag",
        "tollhouse_ship_lag_seconds > 600",
        "10m",
        "ticket",
        "{{ $labels.destination }} is {{ $value | humanizeDuration }} behind",
    ),
    (
        "TollhouseDeadLetters",
        "increase(tollhouse_dead_letters_total[1h]) > 0",
        "0m",
        "ticket",
        "{{ $value }} lines of {{ $labels.name }} could not be shaped or delivered: tollhouse dead list",
    ),
];

/// A text as a YAML value: JSON's quotes are YAML's, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A number without the dust of binary fractions.
fn short(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn percent(share: f64) -> String {
    format!("{} %", short(share * 100.0))
}

fn camel(name: &str) -> String {
    let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(upper).collect()
}
