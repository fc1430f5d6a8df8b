//! Our index template: which type each declared field has in the cluster.

use serde_json::{Map, Value, json};
use tollhouse_query::FieldKind;
use tollhouse_shape::catalogue;

use crate::settings::Kind;

/// Above what a cluster brings along (100), below what an operator writes to overrule it.
const PRIORITY: u32 = 150;
/// Longer keywords are in the document, and are not found: Lucene's longest term has 32,766 bytes, a character four.
const KEYWORD_CHARS_MAX: u32 = 8_191;
/// The same of undeclared texts, as in our own index.
const EXTRA_CHARS_MAX: u32 = 1_024;
/// Fields of an index, where further ones would have a document refused.
const FIELDS_MAX: u32 = 2_000;

/// The template's name.
pub(crate) fn name(service: &str) -> String {
    format!("tollhouse-{}", service.to_lowercase())
}

/// Patterns of all day indices of this service, and of no other one whose name begins alike: a day begins with a year.
pub(crate) fn patterns(service: &str) -> Vec<String> {
    let service = service.to_lowercase();
    ["0", "1", "2"].iter().map(|first_digit| format!("{service}-{first_digit}*.*.*")).collect()
}

/// The template as `PUT /_index_template/…` takes it. `version`: of the server, as far as it told.
pub(crate) fn template(service: &str, kind: Kind, version: Option<(u32, u32)>) -> Value {
    // A value that is no number stays in the document, and costs that field there instead of the document.
    let mut mapping = json!({"ignore_malformed": true, "total_fields": {"limit": FIELDS_MAX}});
    if kind == Kind::Elasticsearch && version.is_some_and(|version| version >= (8, 14)) {
        mapping["total_fields"]["ignore_dynamic_beyond_limit"] = true.into();
    }
    json!({
        "index_patterns": patterns(service),
        "priority": PRIORITY,
        "_meta": {"managed_by": "tollhouse", "service": service},
        "template": {
            "settings": {"index": {"mapping": mapping}},
            "mappings": {
                // A text that looks like a date in one document is none in the next.
                "date_detection": false,
                "dynamic_templates": [{
                    "texts": {
                        "match_mapping_type": "string",
                        "mapping": {"type": "keyword", "ignore_above": EXTRA_CHARS_MAX},
                    },
                }],
                "properties": properties(),
            },
        },
    })
}

fn properties() -> Map<String, Value> {
    let declared = catalogue().iter().map(|(name, kind)| (name.to_owned(), property(kind)));
    let aliases = catalogue().aliases().map(|(alias, name)| (alias.to_owned(), json!({"type": "alias", "path": name})));
    declared.chain(aliases).collect()
}

fn property(kind: FieldKind) -> Value {
    match kind {
        FieldKind::Keyword => json!({"type": "keyword", "ignore_above": KEYWORD_CHARS_MAX}),
        FieldKind::Text => json!({"type": "text"}),
        FieldKind::Long => json!({"type": "long"}),
        FieldKind::Double => json!({"type": "double"}),
        FieldKind::Boolean => json!({"type": "boolean"}),
        FieldKind::Date => json!({"type": "date"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_declared_field_has_a_type_and_each_alias_its_field() {
        let template = template("Gate", Kind::Elasticsearch, Some((8, 19)));
        assert_eq!(template["index_patterns"], json!(["gate-0*.*.*", "gate-1*.*.*", "gate-2*.*.*"]));
        let properties = &template["template"]["mappings"]["properties"];
        for (field, kind) in [
            ("@timestamp", "date"),
            ("duration_ms", "double"),
            ("http_status", "long"),
            ("model_name", "keyword"),
            ("msg", "text"),
            ("stream", "boolean"),
        ] {
            assert_eq!(properties[field]["type"], kind, "{field}");
        }
        assert_eq!(properties["status"], json!({"type": "alias", "path": "http_status"}));
        let total = |kind, version| {
            super::template("g", kind, version)["template"]["settings"]["index"]["mapping"]["total_fields"].clone()
        };
        assert_eq!(total(Kind::Elasticsearch, Some((8, 13))), json!({"limit": FIELDS_MAX}));
        assert_eq!(total(Kind::OpenSearch, Some((8, 14))), json!({"limit": FIELDS_MAX}));
        assert_eq!(
            total(Kind::Elasticsearch, Some((9, 0))),
            json!({"limit": FIELDS_MAX, "ignore_dynamic_beyond_limit": true})
        );
    }

    #[test]
    fn names_do_not_meet_those_of_another_service() {
        assert_eq!(patterns("clawdbot")[2], "clawdbot-2*.*.*");
        assert!(!"clawdbot-qwen3-2026.01.27".starts_with("clawdbot-2"));
    }
}
