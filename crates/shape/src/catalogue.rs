//! The fields with a fixed kind, and the other names they are asked for by.

use std::sync::LazyLock;

use tollhouse_query::{FieldKind, Fields};

/// All declared fields. Anything else in a record is kept and searched by the type of its value.
pub fn catalogue() -> &'static Fields {
    static CATALOGUE: LazyLock<Fields> = LazyLock::new(build);
    &CATALOGUE
}

const DECLARED: [(&str, FieldKind); 111] = [
    // Every record.
    ("@timestamp", FieldKind::Date),
    ("seq", FieldKind::Long),
    ("kind", FieldKind::Keyword),
    ("level", FieldKind::Keyword),
    ("msg", FieldKind::Text),
    ("caller", FieldKind::Keyword),
    ("service_name", FieldKind::Keyword),
    ("source", FieldKind::Keyword),
    ("tags", FieldKind::Keyword),
    ("ingest_error", FieldKind::Text),
    // Written by clients: the index they wrote to, and the id they gave.
    ("index", FieldKind::Keyword),
    ("doc_id", FieldKind::Keyword),
    // Who asked for what.
    ("request_id", FieldKind::Keyword),
    ("trace_id", FieldKind::Keyword),
    ("key_id", FieldKind::Keyword),
    ("user_id", FieldKind::Keyword),
    ("client_ip", FieldKind::Keyword),
    ("method", FieldKind::Keyword),
    ("path", FieldKind::Keyword),
    ("model_name", FieldKind::Keyword),
    ("asked_model", FieldKind::Keyword),
    ("claimed_agent", FieldKind::Keyword),
    ("claimed_session", FieldKind::Keyword),
    ("claimed_session_id", FieldKind::Keyword),
    ("stream", FieldKind::Boolean),
    ("prompt_chars", FieldKind::Long),
    ("prompt_family", FieldKind::Keyword),
    ("context_limit", FieldKind::Long),
    ("truncated", FieldKind::Boolean),
    ("truncated_by", FieldKind::Keyword),
    ("prompt_tokens_counted", FieldKind::Long),
    ("counted_by", FieldKind::Keyword),
    ("num_ctx", FieldKind::Long),
    ("queue_position", FieldKind::Long),
    ("cached_tokens", FieldKind::Long),
    // What came of it.
    ("http_status", FieldKind::Long),
    ("error", FieldKind::Keyword),
    ("finish_reason", FieldKind::Keyword),
    ("cancelled", FieldKind::Boolean),
    ("upstream", FieldKind::Keyword),
    ("attempts", FieldKind::Long),
    ("input_tokens", FieldKind::Long),
    ("output_tokens", FieldKind::Long),
    ("usage_source", FieldKind::Keyword),
    ("token_efficiency", FieldKind::Double),
    // What becomes of processes under supervision. `process` itself is an object in what others write (ECS).
    ("process_name", FieldKind::Keyword),
    ("process_state", FieldKind::Keyword),
    ("waits_for_human", FieldKind::Boolean),
    ("exit_code", FieldKind::Long),
    ("exit_signal", FieldKind::Long),
    ("restart_in_ms", FieldKind::Long),
    ("start_ms", FieldKind::Long),
    ("memory_bytes", FieldKind::Long),
    // What becomes of tasks.
    ("task", FieldKind::Keyword),
    ("task_run", FieldKind::Keyword),
    ("task_step", FieldKind::Keyword),
    ("task_event", FieldKind::Keyword),
    ("task_event_number", FieldKind::Long),
    ("task_outcome", FieldKind::Keyword),
    // What the stores of the house take on their disks.
    ("store", FieldKind::Keyword),
    ("store_bytes", FieldKind::Long),
    ("store_limit_bytes", FieldKind::Long),
    // How long it took: milliseconds with a fraction.
    ("duration_ms", FieldKind::Double),
    ("queue_ms", FieldKind::Double),
    ("connect_ms", FieldKind::Double),
    ("gateway_ms", FieldKind::Double),
    ("load_ms", FieldKind::Double),
    ("prefill_ms", FieldKind::Double),
    ("ttft_ms", FieldKind::Double),
    ("decode_ms", FieldKind::Double),
    ("tokens_per_second", FieldKind::Double),
    // What probes found, and samples of resources.
    ("origin", FieldKind::Keyword),
    ("replay_of", FieldKind::Keyword),
    ("probe", FieldKind::Keyword),
    ("probe_kind", FieldKind::Keyword),
    ("layer", FieldKind::Keyword),
    ("outcome", FieldKind::Keyword),
    ("found", FieldKind::Text),
    ("pid", FieldKind::Long),
    ("port", FieldKind::Long),
    ("restarted", FieldKind::Boolean),
    ("health_status", FieldKind::Long),
    ("event_loop_delay_ms", FieldKind::Double),
    ("rss_bytes", FieldKind::Long),
    ("digest", FieldKind::Keyword),
    ("server_version", FieldKind::Keyword),
    ("test_type", FieldKind::Keyword),
    ("score", FieldKind::Double),
    ("baseline_score", FieldKind::Double),
    ("p_value", FieldKind::Double),
    ("samples", FieldKind::Long),
    ("passed", FieldKind::Long),
    ("changed", FieldKind::Keyword),
    ("used_percent", FieldKind::Double),
    ("inodes_percent", FieldKind::Double),
    ("free_bytes", FieldKind::Long),
    ("full_in_days", FieldKind::Double),
    ("days_left", FieldKind::Double),
    ("not_after", FieldKind::Date),
    ("status_code", FieldKind::Long),
    ("answer_ms", FieldKind::Double),
    ("gpu", FieldKind::Keyword),
    ("gpu_memory_used_bytes", FieldKind::Long),
    ("gpu_memory_total_bytes", FieldKind::Long),
    ("gpu_memory_used_percent", FieldKind::Double),
    ("gpu_utilisation", FieldKind::Double),
    ("temperature", FieldKind::Double),
    ("memory_available_bytes", FieldKind::Long),
    ("memory_used_percent", FieldKind::Double),
    ("psi", FieldKind::Double),
    ("skew_ms", FieldKind::Long),
];

/// Names in journal records, and what they are called in the index. The old name stays good in queries.
pub(crate) const RENAMED: [(&str, &str); 5] = [
    ("ts", "@timestamp"),
    ("status", "http_status"),
    ("model", "model_name"),
    ("service", "service_name"),
    ("tag", "tags"),
];

/// The name in the index of a declared field of a journal record, and its kind; nothing for an undeclared one.
pub(crate) fn declared(name: &str) -> Option<(&'static str, FieldKind)> {
    /// By the length of the name: few are of the same, and comparing them costs less than hashing.
    type ByLength = Vec<Vec<(&'static str, &'static str, FieldKind)>>;
    static DECLARED_BY_LENGTH: LazyLock<ByLength> = LazyLock::new(|| {
        let renamed = RENAMED.iter().filter_map(|(old, new)| Some((*old, *new, catalogue().kind(new)?)));
        let all = DECLARED.iter().map(|(name, kind)| (*name, *name, *kind)).chain(renamed);
        let mut by_length = ByLength::new();
        for (name, in_index, kind) in all {
            by_length.resize_with(by_length.len().max(name.len() + 1), Vec::new);
            by_length[name.len()].push((name, in_index, kind));
        }
        by_length
    });
    let same_length = DECLARED_BY_LENGTH.get(name.len())?;
    same_length.iter().find(|(known, ..)| *known == name).map(|(_, in_index, kind)| (*in_index, *kind))
}

fn build() -> Fields {
    let mut fields = Fields::default();
    for (name, kind) in DECLARED {
        fields.declare(name, kind);
    }
    for (alias, name) in RENAMED {
        fields.alias(alias, name);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollhouse_query::lucene::DEFAULT_FIELDS;

    #[test]
    fn each_declared_field_is_found() {
        for (name, kind) in DECLARED {
            assert_eq!(declared(name), Some((name, kind)));
        }
        for (old, new) in RENAMED {
            assert_eq!(declared(old), catalogue().kind(new).map(|kind| (new, kind)));
        }
        for name in ["", "x", "model_name.keyword", "a name that is longer than all of those that are declared"] {
            assert_eq!(declared(name), None, "{name}");
        }
    }

    #[test]
    fn aliases_and_default_fields_are_declared() {
        for (alias, name) in RENAMED {
            assert_eq!(catalogue().canonical(alias), name);
            assert!(catalogue().kind(alias).is_some(), "{alias}");
        }
        for field in DEFAULT_FIELDS {
            assert!(catalogue().kind(field).is_some(), "{field}");
        }
        assert_eq!(catalogue().canonical("model_name.keyword"), "model_name");
        assert_eq!(catalogue().kind("model.keyword"), Some(FieldKind::Keyword));
    }
}
