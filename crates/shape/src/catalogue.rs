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

/// A declared field: its place among all, its name in the index, and its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Declared {
    pub(crate) place: usize,
    pub(crate) name: &'static str,
    pub(crate) kind: FieldKind,
}

/// Names of the declared fields in the index, by the places that [`Member`](crate::Member)s tell.
pub fn declared_names() -> impl Iterator<Item = &'static str> {
    DECLARED.iter().map(|(name, _)| *name)
}

/// How many places there are.
pub(crate) const PLACES: usize = DECLARED.len();

/// What a name in journal records stands for; nothing for an undeclared one.
pub(crate) fn declared(name: &str) -> Option<Declared> {
    /// By a mark that few names share: comparing them costs less than hashing.
    type ByMark = Vec<Vec<(&'static str, Declared)>>;
    static DECLARED_BY_MARK: LazyLock<ByMark> = LazyLock::new(|| {
        let own =
            |(place, (name, kind)): (usize, &(&'static str, FieldKind))| (*name, Declared { place, name, kind: *kind });
        let mut all: Vec<(&'static str, Declared)> = DECLARED.iter().enumerate().map(own).collect();
        for (old, new) in RENAMED {
            let renamed = all.iter().find(|(name, _)| *name == new).map(|(_, declared)| (old, *declared));
            all.extend(renamed);
        }
        let mut by_mark = vec![Vec::new(); MARKS];
        for (name, declared) in all {
            by_mark[mark(name)].push((name, declared));
        }
        by_mark
    });
    let same_mark = &DECLARED_BY_MARK[mark(name)];
    same_mark.iter().find(|(known, _)| *known == name).map(|(_, declared)| *declared)
}

/// How many marks there are.
const MARKS: usize = 1024;

/// What equal names share, and few others.
fn mark(name: &str) -> usize {
    let (length, bytes) = (name.len(), name.as_bytes());
    let byte = |at: usize| bytes.get(at).copied().map_or(0, usize::from);
    (37 * length + byte(0) + 11 * byte(length / 2) + 101 * byte(length.wrapping_sub(1))) % MARKS
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
        for (place, (name, kind)) in DECLARED.into_iter().enumerate() {
            assert_eq!(declared(name), Some(Declared { place, name, kind }));
        }
        for (old, new) in RENAMED {
            assert_eq!(declared(old), declared(new));
            assert!(declared(old).is_some_and(|declared| declared.name == new));
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
