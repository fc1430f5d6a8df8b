//! The table of all metrics. Names and labels are a contract with whoever draws and alerts by them; `docs/metrics.md` says the
//! same for people, and a test compares both.

use crate::metric::Kind::{Counter, Gauge, Histogram};
use crate::metric::{Kind, Metric};

/// Who answers for whom: the model by its public name, the server by its name, and whether users or our own probes asked.
const ASKED: &[&str] = &["model", "upstream", "origin"];

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal $unit:literal $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: Metric = metric($kind, $name, $unit, $labels, $help);
        )*
        /// All of them, in the order in which they are told.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

const fn metric(
    kind: Kind,
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, unit, help, labels }
}

metrics! {
    BUILD = Gauge "tollhouse_build_info" "1" &["version"], "Always 1; the label has the version.";
    START_TIME = Gauge "tollhouse_process_start_time_seconds" "s" &[], "When the process started, in seconds since 1970.";

    REQUESTS = Counter "tollhouse_requests_total" "{request}" &["model", "upstream", "origin", "outcome", "status"], "Requests to the model APIs that have ended.";
    RUNNING = Gauge "tollhouse_requests_running" "{request}" &[], "Requests to the model APIs that have come and not ended.";
    REFUSALS = Counter "tollhouse_refusals_total" "{request}" &["reason"], "Requests that were refused, failed or broke off, by the reason.";
    LIMITS_HIT = Counter "tollhouse_limits_hit_total" "{request}" &["limit"], "Requests that a limit stood in the way of, by the limit.";
    LEFT = Counter "tollhouse_requests_cancelled_total" "{request}" &[], "Requests whose client left before the end.";
    DURATION = Histogram "tollhouse_request_duration_seconds" "s" ASKED, "From the complete head of a request to the last byte of its answer; refused requests are left out.";
    FIRST_TOKEN = Histogram "tollhouse_time_to_first_token_seconds" "s" ASKED, "From the complete head of a request to the first token given out.";
    PER_TOKEN = Histogram "tollhouse_time_per_output_token_seconds" "s" ASKED, "Time of writing the answer for each token after the first.";
    TOKENS_PER_SECOND = Histogram "tollhouse_output_tokens_per_second" "{token}/s" ASKED, "Tokens of an answer for each second of writing it.";
    QUEUE_WAIT = Histogram "tollhouse_queue_wait_seconds" "s" ASKED, "How long a request waited for its turn at a model server.";
    TOKENS = Counter "tollhouse_tokens_total" "{token}" &["model", "upstream", "origin", "type"], "Tokens of prompts (input), answers (output) and of prompts that a server's cache had (cached).";
    REQUEST_TOKENS = Histogram "tollhouse_request_tokens" "{token}" &["model", "upstream", "origin", "type"], "Tokens of one request's prompt (input) or answer (output).";
    EFFICIENCY = Histogram "tollhouse_token_efficiency" "1" ASKED, "Tokens of the answer for each token of the prompt, request by request.";
    FOLDED = Counter "tollhouse_label_values_folded_total" "1" &[], "Times that a request was counted under model and server `other`, because too many are known.";

    UPSTREAM_SLOTS = Gauge "tollhouse_upstream_slots" "{request}" &["upstream"], "Requests that a model server is given at once.";
    UPSTREAM_RUNNING = Gauge "tollhouse_upstream_running" "{request}" &["upstream"], "Requests that a model server works on now.";
    QUEUE_LENGTH = Gauge "tollhouse_queue_length" "{request}" &["upstream"], "Requests that wait for a place at a model server; one that several could serve is counted at each.";
    BREAKER = Gauge "tollhouse_upstream_breaker_state" "1" &["upstream", "state"], "1 for the state that the breaker of a model server is in, 0 for the others.";
    LOADS = Counter "tollhouse_upstream_model_loads_total" "1" &["upstream"], "How often a model server has loaded a model for a request of ours.";
    LOAD_SECONDS = Counter "tollhouse_upstream_model_load_seconds_total" "s" &["upstream"], "How long that took in all.";
    THRASHING = Gauge "tollhouse_upstream_thrashing" "1" &["upstream"], "1 while a model server changes from one model to another all the time.";
    SHARING = Gauge "tollhouse_limits_sharing_state" "1" &["state"], "Whether limits are counted together with other nodes: 1 for local, shared or away (Redis does not answer).";

    JOURNAL_SEQ = Gauge "tollhouse_journal_seq" "{record}" &[], "Number of the last record in the journal.";
    JOURNAL_SYNCED = Gauge "tollhouse_journal_synced_seq" "{record}" &[], "Number of the last record that is known to be on the disk.";
    JOURNAL_LINES = Counter "tollhouse_journal_records_total" "{record}" &[], "Records written.";
    JOURNAL_BYTES = Counter "tollhouse_journal_written_bytes_total" "By" &[], "Bytes written.";
    JOURNAL_QUEUED = Gauge "tollhouse_journal_queued" "{record}" &[], "Records that wait for the journal's writer.";
    JOURNAL_FSYNC = Histogram "tollhouse_journal_fsync_seconds" "s" &[], "How long the disk took to confirm what was written.";
    JOURNAL_DISK = Gauge "tollhouse_journal_disk_state" "1" &["state"], "1 for the state that the journal's disk is in, 0 for the others.";
    JOURNAL_NOT_KEPT = Counter "tollhouse_journal_records_not_kept_total" "{record}" &["reason"], "Records that the disk or the full queue did not take; gap records tell of them.";
    JOURNAL_CUT = Counter "tollhouse_journal_records_cut_total" "{record}" &[], "Records that were too long and were cut.";
    JOURNAL_ERRORS = Counter "tollhouse_journal_errors_total" "1" &["operation"], "Failures to write, sync, rotate or keep journal files.";
    JOURNAL_REMOVED = Counter "tollhouse_journal_files_removed_total" "{file}" &[], "Closed journal files removed by age or room.";

    INDEX_SEQ = Gauge "tollhouse_index_seq" "{record}" &[], "Number of the last record that can be found.";
    INDEX_LAG = Gauge "tollhouse_index_lag_records" "{record}" &[], "Records of the journal that cannot be found yet.";
    INDEX_ANSWERS = Counter "tollhouse_index_answers_total" "1" &["from"], "Answers of segments of the index that searches put together: out of memory, or collected from the documents.";
    INDEX_ANSWER_BYTES = Gauge "tollhouse_index_answers_bytes" "By" &[], "Answers of segments of the index that are remembered.";
    SHIP_LAG = Gauge "tollhouse_ship_lag_records" "{record}" &["destination", "type"], "Records that wait to be brought to a destination.";
    SHIP_LAG_SECONDS = Gauge "tollhouse_ship_lag_seconds" "s" &["destination", "type"], "Age of the oldest record that waits to be brought to a destination.";
    SHIP_STATE = Gauge "tollhouse_ship_state" "1" &["destination", "state"], "1 for the state that a destination is in, 0 for the others.";
    SHIP_DELIVERED = Counter "tollhouse_ship_delivered_total" "{record}" &["destination"], "Records that a destination has taken.";
    SHIP_RETRIES = Counter "tollhouse_ship_retries_total" "1" &["destination"], "Requests to a destination that had to be sent again.";
    SHIP_MISSED = Counter "tollhouse_ship_missed_total" "{record}" &["destination"], "Records that were gone from the journal before they were brought to a destination.";
    DEAD_LETTERS = Counter "tollhouse_dead_letters_total" "{record}" &["stage", "name"], "Lines that a program failed on (stage shape, by source) and documents that a destination refused (stage ship).";
    COLLECTED = Counter "tollhouse_collected_lines_total" "{line}" &["source"], "Lines that a source has brought and that became records.";
    LEFT_OUT = Counter "tollhouse_collected_lines_left_out_total" "{line}" &["source", "reason"], "Lines of a source that have no record: dropped by a program, or suppressed by its cap.";

    ALERTS = Gauge "tollhouse_alerts" "1" &["rule", "state"], "Groups of an alert rule that are pending or firing.";
    INCIDENTS = Gauge "tollhouse_incidents" "1" &["severity", "state"],
        "Incidents that are not over: open, or acknowledged by somebody.";
    ALERTS_WAITING = Gauge "tollhouse_alert_messages_waiting" "1" &["channel"],
        "Messages that wait to be taken by a channel.";
    PROBE_OUTCOME = Gauge "tollhouse_probe_outcome" "1" &["probe", "kind", "outcome"],
        "1 for what a probe found at its last run, 0 for what else it may find.";
    PROBE_SECONDS = Gauge "tollhouse_probe_duration_seconds" "s" &["probe", "kind"],
        "How long the last run of a probe took.";
    PROBE_TIME = Gauge "tollhouse_probe_last_run_timestamp_seconds" "s" &["probe", "kind"],
        "When a probe ran last, in seconds since 1970.";
    LIGHT = Gauge "tollhouse_light" "1" &["layer", "colour"],
        "1 for the colour that the light of a layer has, 0 for the others; the layer all is the light of them all.";

    TASK_EVENTS = Counter "tollhouse_task_events_total" "1" &["event"], "What happened to runs of tasks, by the event.";
    TASK_STEPS = Counter "tollhouse_task_steps_total" "1" &["kind"], "Steps of tasks that were begun, by what they do.";
    TASK_TOKENS = Counter "tollhouse_task_tokens_total" "{token}" &[], "Tokens that steps of tasks have used.";
    TASK_PUT_OFF = Counter "tollhouse_task_put_off_total" "1" &[], "Times that a step was put off, because users or the graphics card had to come first.";
    TASK_QUESTIONS = Gauge "tollhouse_task_questions" "1" &[], "Questions of tasks that wait for a human.";
    BATCHES = Gauge "tollhouse_batches" "1" &["status"], "Batches that are not over, by their state.";
    BATCH_WAITING = Gauge "tollhouse_batch_requests_waiting" "1" &[], "Requests of those batches that have no answer yet.";
    BATCH_REQUESTS = Counter "tollhouse_batch_requests_total" "1" &["outcome"], "Requests of batches that came to their end, by the file in which they stand: completed, failed.";
    BATCH_EVENTS = Counter "tollhouse_batch_events_total" "1" &["event"], "What happened to files, batches and answers that come later, by the event of its record.";
    LATER = Gauge "tollhouse_later" "1" &["status"], "Requests that are answered later and have no answer yet, by their state.";
    BATCH_BYTES = Gauge "tollhouse_batch_bytes" "By" &[], "What is kept of files, batches and answers that come later.";

    SPANS_WAITING = Gauge "tollhouse_otlp_requests_waiting" "{request}" &[], "Traces that wait to be brought to the receiver of OpenTelemetry.";
    SPANS_SENT = Counter "tollhouse_otlp_requests_sent_total" "{request}" &[], "Traces that the receiver has taken.";
    SPANS_DROPPED = Counter "tollhouse_otlp_requests_dropped_total" "{request}" &["reason"], "Traces that were given up: queue (it was full) or refused (by the receiver).";
    OTLP_FAILURES = Counter "tollhouse_otlp_failures_total" "1" &["signal"], "Requests to the receiver that failed; traces are sent again.";

    CPU = Counter "tollhouse_process_cpu_seconds_total" "s" &[], "CPU time of the process.";
    MEMORY = Gauge "tollhouse_process_resident_memory_bytes" "By" &[], "Memory of the process that is in RAM.";
    DESCRIPTORS = Gauge "tollhouse_process_open_fds" "{descriptor}" &[], "Open file descriptors of the process.";
    DESCRIPTORS_MAX = Gauge "tollhouse_process_max_fds" "{descriptor}" &[], "File descriptors that the process may have.";
    THREADS = Gauge "tollhouse_process_threads" "{thread}" &[], "Threads of the process.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(name.starts_with("tollhouse_"), "{name}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Counter, "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\', '|']), "{name}");
            assert!(!metric.labels.iter().any(|label| ["le", "quantile"].contains(label)), "{name}");
            assert!(seen.insert(metric.family()), "{name} is there twice");
        }
    }

    /// The table of the documentation, cell by cell.
    fn documented(text: &str) -> Vec<Vec<String>> {
        let rows = text.lines().filter(|line| line.starts_with("| `tollhouse_"));
        let cell = |cell: &str| cell.trim().replace('`', "");
        rows.map(|row| row.trim_matches('|').split('|').map(cell).collect()).collect()
    }

    #[test]
    fn the_documentation_says_the_same() {
        let text = include_str!("../../../docs/metrics.md");
        let expected: Vec<Vec<String>> = ALL
            .iter()
            .map(|metric| {
                let labels = if metric.labels.is_empty() { "–".to_owned() } else { metric.labels.join(", ") };
                vec![
                    metric.name.into(),
                    metric.kind.as_str().into(),
                    metric.unit.into(),
                    labels,
                    metric.help.replace('`', ""),
                ]
            })
            .collect();
        for (told, meant) in documented(text).iter().zip(&expected) {
            assert_eq!(told, meant);
        }
        let rows: Vec<String> = ALL
            .iter()
            .map(|metric| {
                let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
                let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
                format!(
                    "| `{}` | {} | `{}` | {labels} | {} |",
                    metric.name,
                    metric.kind.as_str(),
                    metric.unit,
                    metric.help
                )
            })
            .collect();
        assert_eq!(documented(text).len(), expected.len(), "docs/metrics.md should have:\n{}", rows.join("\n"));
    }
}
