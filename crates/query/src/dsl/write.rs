//! Plans written as search bodies again, for a cluster that is to answer them as our own index would.
//!
//! What a plan leaves to the fields is settled here: aliases and `.keyword` become the field's own name, ids become record
//! numbers, query strings become clauses, and a value that need not fit its field and does not selects nothing. Nothing is
//! scored, as everywhere in the house. Aggregations are passed on as they were written, with these things settled in them.

use serde_json::{Map, Value, json};

use crate::ast::{
    BoolQuery, Bound, Case, DateFormat, FieldAsked, MatchMode, Missing, Query, SearchRequest, Sort, TextMatch,
};
use crate::dsl::{AGGS_DEPTH_MAX, parse_query};
use crate::error::ParseError;
use crate::fields::{FieldKind, Fields};
use crate::matches::validate;
use crate::regexp::Regexp;
use crate::similar::{Fuzziness, Fuzzy};

/// The field of the record's number.
const SEQ: &str = "seq";
/// The field of the id that whoever wrote a document gave it.
const DOC_ID: &str = "doc_id";
const TIMESTAMP: &str = "@timestamp";
/// Words that a beginning or a nearly right word may stand for; a cluster's own bound on the clauses of a query.
const EXPANSIONS_MAX: u32 = 1_024;
/// Buckets that each day gives to the sum of all days: with few, a value that is frequent only in sum would be missed.
const SHARD_SIZE: u64 = 5_000;

/// The body that asks a cluster for the same as this plan. Hits have one more sort value than the plan has keys, the
/// record's number, and tell the field `doc_id` apart.
pub fn write_search(request: &SearchRequest, fields: &Fields) -> Result<Value, ParseError> {
    let writer = Writer { fields, is_lenient: false };
    let mut body = Map::new();
    // All hits have the score 1.
    body.insert("query".into(), json!({"constant_score": {"filter": writer.query(&request.query)}}));
    body.insert("from".into(), request.from.into());
    body.insert("size".into(), request.size.into());
    body.insert("sort".into(), writer.sort(&request.sort));
    body.insert(
        "track_total_hits".into(),
        match request.track_total_hits {
            None => false.into(),
            Some(u64::MAX) => true.into(),
            Some(limit) => limit.into(),
        },
    );
    let source = &request.source;
    let no_source = source.off || request.bare;
    body.insert(
        "_source".into(),
        if no_source { json!(false) } else { json!({"includes": source.includes, "excludes": source.excludes}) },
    );
    if !request.search_after.is_empty() {
        let mut after = request.search_after.clone();
        // Behind all hits with the same values.
        after.push(if newest_first(&request.sort) { i64::MIN.into() } else { i64::MAX.into() });
        body.insert("search_after".into(), after.into());
    }
    if let Some(filter) = &request.post_filter {
        body.insert("post_filter".into(), writer.query(filter));
    }
    if !request.fields.is_empty() {
        body.insert("fields".into(), request.fields.iter().map(asked).collect());
    }
    let mut doc_values: Vec<Value> = request.docvalue_fields.iter().map(asked).collect();
    doc_values.push(json!({"field": DOC_ID}));
    body.insert("docvalue_fields".into(), doc_values.into());
    if !request.aggs.is_empty() {
        body.insert("aggs".into(), writer.aggs(request.aggs_as_given(), 0)?);
    }
    Ok(body.into())
}

/// A clause that selects the same documents of a cluster as this condition.
pub fn write_query(query: &Query, fields: &Fields) -> Value {
    Writer { fields, is_lenient: false }.query(query)
}

/// Whether among hits with the same sort values that with the largest number comes first.
fn newest_first(sort: &[Sort]) -> bool {
    sort.iter().find(|key| key.field != "_score").is_none_or(|key| key.descending)
}

fn asked(asked: &FieldAsked) -> Value {
    match asked.format {
        None => json!({"field": asked.pattern}),
        Some(format) => json!({"field": asked.pattern, "format": format_name(format)}),
    }
}

fn format_name(format: DateFormat) -> &'static str {
    match format {
        DateFormat::Iso => "strict_date_optional_time",
        DateFormat::EpochMillis => "epoch_millis",
        DateFormat::EpochSecond => "epoch_second",
    }
}

#[derive(Clone, Copy)]
struct Writer<'a> {
    fields: &'a Fields,
    /// A value that does not fit its field selects nothing.
    is_lenient: bool,
}

impl Writer<'_> {
    fn query(&self, query: &Query) -> Value {
        let is_one = !matches!(query, Query::Bool(_) | Query::Lenient(_));
        // Now stands for any moment: what matters is whether a value can be read.
        if self.is_lenient && is_one && validate(query, self.fields, 0).is_err() {
            return none();
        }
        match query {
            Query::MatchAll => json!({"match_all": {}}),
            Query::MatchNone => none(),
            Query::Term { field, value, case } => self.term(field, value, *case),
            Query::Terms { field, values } => json!({"terms": { self.name(field): values }}),
            Query::Match(wanted) => self.words(wanted),
            Query::CrossFields { fields, text, mode } => {
                let names: Vec<&str> = fields.iter().map(|field| self.name(field)).collect();
                let mut options = json!({"query": text, "type": "cross_fields", "fields": names});
                set_mode(&mut options, mode);
                self.set_lenient(&mut options);
                json!({ "multi_match": options })
            }
            Query::Range { field, lower, upper, time_zone } => self.range(field, lower, upper, time_zone.as_deref()),
            Query::Exists { field } => json!({"exists": {"field": self.name(field)}}),
            Query::Prefix { field, value, case } => self.pattern("prefix", field, value, *case, json!({})),
            Query::Wildcard { field, pattern, case } => self.pattern("wildcard", field, pattern, *case, json!({})),
            Query::Fuzzy { field, value, fuzzy, case } => {
                let mut options = json!({"max_expansions": EXPANSIONS_MAX});
                set_fuzzy(&mut options, *fuzzy, "transpositions");
                self.pattern("fuzzy", field, value, *case, options)
            }
            Query::Regexp { field, regexp } => self.regexp(field, regexp),
            Query::Ids(ids) => Self::ids(ids),
            Query::Slice { id, max } => json!({"script": {"script": {
                "source": "doc['seq'].size() > 0 && doc['seq'].value % params.max == params.id",
                "params": {"id": id, "max": max},
            }}}),
            Query::Bool(query) => self.bool(query),
            Query::Lenient(query) => Writer { is_lenient: true, ..*self }.query(query),
        }
    }

    /// The field behind a name, as the cluster has it.
    fn name<'n>(&'n self, name: &'n str) -> &'n str {
        if matches!(name, "_id" | "_seq") { SEQ } else { self.fields.canonical(name) }
    }

    fn kind(&self, name: &str) -> Option<FieldKind> {
        self.fields.kind(self.name(name))
    }

    fn term(&self, field: &str, value: &Value, case: Case) -> Value {
        if field == "_id" {
            return value.as_str().map_or_else(|| Self::ids(&[value.to_string()]), |id| Self::ids(&[id.to_owned()]));
        }
        if self.is_lenient && self.kind(field).is_none() && case == Case::Exact {
            // What a field is that nobody declared is known to the cluster alone.
            return json!({"match": { self.name(field): {"query": value, "lenient": true} }});
        }
        let value = match (case, value) {
            (Case::AsIndexed, Value::String(text)) if self.kind(field) == Some(FieldKind::Text) => {
                text.to_lowercase().into()
            }
            _ => value.clone(),
        };
        let mut options = json!({ "value": value });
        if case == Case::Ignored {
            options["case_insensitive"] = true.into();
        }
        json!({"term": { self.name(field): options }})
    }

    fn words(&self, wanted: &TextMatch) -> Value {
        let TextMatch { field, text, mode, fuzzy, is_open_ended, empty_selects_all } = wanted;
        let mut options = json!({ "query": text });
        let clause = match (mode, is_open_ended) {
            (MatchMode::Phrase { slop }, false) => {
                options["slop"] = (*slop).into();
                "match_phrase"
            }
            (MatchMode::Phrase { slop }, true) => {
                options["slop"] = (*slop).into();
                options["max_expansions"] = EXPANSIONS_MAX.into();
                "match_phrase_prefix"
            }
            (mode, is_open_ended) => {
                set_mode(&mut options, mode);
                if let Some(fuzzy) = fuzzy {
                    set_fuzzy(&mut options, *fuzzy, "fuzzy_transpositions");
                    options["max_expansions"] = EXPANSIONS_MAX.into();
                }
                if *is_open_ended { "match_bool_prefix" } else { "match" }
            }
        };
        if *empty_selects_all && clause != "match_bool_prefix" {
            options["zero_terms_query"] = "all".into();
        }
        if clause == "match" {
            self.set_lenient(&mut options);
        }
        json!({ clause: { self.name(field): options } })
    }

    fn set_lenient(&self, options: &mut Value) {
        if self.is_lenient {
            options["lenient"] = true.into();
        }
    }

    fn range(&self, field: &str, lower: &Bound, upper: &Bound, time_zone: Option<&str>) -> Value {
        let mut options = Map::new();
        for (bound, [inclusive, exclusive]) in [(lower, ["gte", "gt"]), (upper, ["lte", "lt"])] {
            let (key, value) = match bound {
                Bound::Open => continue,
                Bound::Inclusive(value) => (inclusive, value),
                Bound::Exclusive(value) => (exclusive, value),
            };
            options.insert(key.into(), value.clone());
        }
        // Elsewhere it would be refused.
        if let Some(zone) = time_zone.filter(|_| self.kind(field) == Some(FieldKind::Date)) {
            options.insert("time_zone".into(), zone.into());
        }
        json!({"range": { self.name(field): options }})
    }

    /// Patterns are of texts; from query strings they find nothing elsewhere.
    fn pattern(&self, clause: &str, field: &str, text: &str, case: Case, mut options: Value) -> Value {
        let kind = self.kind(field);
        let is_text = matches!(kind, Some(FieldKind::Keyword | FieldKind::Text) | None);
        if !is_text && (self.is_lenient || case == Case::AsIndexed) {
            return none();
        }
        let is_lowered = case == Case::AsIndexed && kind == Some(FieldKind::Text);
        let text = if is_lowered { text.to_lowercase() } else { text.to_owned() };
        options["value"] = text.into();
        if case == Case::Ignored {
            options["case_insensitive"] = true.into();
        }
        json!({ clause: { self.name(field): options } })
    }

    fn regexp(&self, field: &str, regexp: &Regexp) -> Value {
        let is_text = matches!(self.kind(field), Some(FieldKind::Keyword | FieldKind::Text) | None);
        if !is_text && self.is_lenient {
            return none();
        }
        let options = regexp.options();
        let flags = [
            (options.complement, "COMPLEMENT"),
            (options.intersection, "INTERSECTION"),
            (options.interval, "INTERVAL"),
            (options.any_string, "ANYSTRING"),
            (options.empty, "EMPTY"),
        ];
        let on: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        let flags = if on.is_empty() { "NONE".to_owned() } else { on.join("|") };
        let mut options = json!({"value": regexp.text(), "flags": flags, "case_insensitive": options.ignores_case});
        if options["case_insensitive"] == false
            && let Some(options) = options.as_object_mut()
        {
            options.shift_remove("case_insensitive");
        }
        json!({"regexp": { self.name(field): options }})
    }

    /// A document has the id that its writer gave it, else the number of its record.
    fn ids(ids: &[String]) -> Value {
        let is_number = |id: &&String| id.parse::<u64>().is_ok_and(|seq| seq.to_string() == **id);
        let seqs: Vec<u64> = ids.iter().filter(is_number).filter_map(|id| id.parse().ok()).collect();
        let unnamed = json!({"bool": {
            "filter": [{"terms": { SEQ: seqs }}], "must_not": [{"exists": {"field": DOC_ID}}],
        }});
        json!({"bool": {"should": [{"terms": { DOC_ID: ids }}, unnamed]}})
    }

    fn bool(&self, query: &BoolQuery) -> Value {
        let BoolQuery { must, filter, should, must_not, minimum_should_match } = query;
        let mut written = Map::new();
        for (key, queries) in [("must", must), ("filter", filter), ("should", should), ("must_not", must_not)] {
            if !queries.is_empty() {
                written.insert(key.into(), queries.iter().map(|query| self.query(query)).collect());
            }
        }
        if let Some(minimum) = minimum_should_match {
            written.insert("minimum_should_match".into(), (*minimum).into());
        }
        json!({ "bool": written })
    }

    /// The keys, and behind them the record's number, by which no two hits are the same.
    fn sort(&self, sort: &[Sort]) -> Value {
        let mut keys: Vec<Value> = sort.iter().map(|key| self.sort_key(key)).collect();
        if keys.is_empty() {
            keys.push(json!({ TIMESTAMP: "desc" }));
        }
        keys.push(json!({ SEQ: if newest_first(sort) { "desc" } else { "asc" } }));
        keys.into()
    }

    fn sort_key(&self, key: &Sort) -> Value {
        let order = if key.descending { "desc" } else { "asc" };
        if key.field == "_score" {
            return json!({"_score": {"order": order}});
        }
        let name = if matches!(key.field.as_str(), "_doc" | "_shard_doc") { SEQ } else { self.name(&key.field) };
        let mut options = json!({ "order": order });
        match &key.missing {
            Missing::Last => {}
            Missing::First => options["missing"] = "_first".into(),
            Missing::Value(value) => options["missing"] = value.clone(),
        }
        if let Some(kind) = key.unmapped {
            options["unmapped_type"] = kind_name(kind).into();
        }
        if let Some(format) = key.format {
            options["format"] = format_name(format).into();
        }
        json!({ name: options })
    }

    /// Aggregations as they were given, with fields by their own names and conditions as clauses.
    fn aggs(&self, given: &Value, depth: usize) -> Result<Value, ParseError> {
        let mut written = Map::new();
        for (name, body) in given.as_object().into_iter().flatten() {
            let mut agg = Map::new();
            for (kind, options) in body.as_object().into_iter().flatten() {
                let options = match kind.as_str() {
                    "aggs" | "aggregations" if depth < AGGS_DEPTH_MAX => self.aggs(options, depth + 1)?,
                    "filter" => self.query(&parse_query(options)?),
                    "meta" => options.clone(),
                    _ => self.agg(kind, options)?,
                };
                agg.insert(kind.clone(), options);
            }
            written.insert(name.clone(), agg.into());
        }
        Ok(written.into())
    }

    fn agg(&self, kind: &str, options: &Value) -> Result<Value, ParseError> {
        let Value::Object(given) = options else { return Ok(options.clone()) };
        let mut written = Map::new();
        for (key, value) in given {
            let value = match (kind, key.as_str()) {
                (_, "field") => value.as_str().map_or_else(|| value.clone(), |name| self.name(name).into()),
                ("filters" | "adjacency_matrix", "filters") => self.conditions(value)?,
                ("significant_terms", "background_filter") => self.query(&parse_query(value)?),
                ("composite", "sources")
                | ("multi_terms", "terms")
                | ("top_metrics", "metrics")
                | ("weighted_avg", "value" | "weight") => self.named_fields(value),
                _ => value.clone(),
            };
            written.insert(key.clone(), value);
        }
        match kind {
            "terms" | "multi_terms" | "significant_terms" => {
                let wanted = given.get("shard_size").and_then(Value::as_u64).unwrap_or_default();
                let size = given.get("size").and_then(Value::as_u64).unwrap_or_default();
                written.insert("shard_size".into(), wanted.max(size).max(SHARD_SIZE).into());
            }
            "top_hits" | "top_metrics" => {
                let sort = given.get("sort").map_or(Ok(Vec::new()), super::parse_sort)?;
                if kind == "top_hits" {
                    written.insert("sort".into(), self.sort(&sort));
                    written.insert("track_scores".into(), true.into());
                } else {
                    written.insert("sort".into(), sort.iter().map(|key| self.sort_key(key)).collect());
                }
            }
            _ => {}
        }
        Ok(written.into())
    }

    fn conditions(&self, given: &Value) -> Result<Value, ParseError> {
        let written = |clause: &Value| Ok::<_, ParseError>(self.query(&parse_query(clause)?));
        Ok(match given {
            Value::Array(list) => list.iter().map(written).collect::<Result<_, _>>()?,
            Value::Object(named) => {
                let named = named.iter().map(|(name, clause)| Ok((name.clone(), written(clause)?)));
                Value::Object(named.collect::<Result<_, ParseError>>()?)
            }
            other => other.clone(),
        })
    }

    /// The same, with each `field` by its own name, however deep it stands.
    fn named_fields(&self, given: &Value) -> Value {
        match given {
            Value::Array(list) => list.iter().map(|value| self.named_fields(value)).collect(),
            Value::Object(members) => {
                let named = members.iter().map(|(key, value)| {
                    let value = match value {
                        Value::String(name) if key == "field" => self.name(name).into(),
                        value => self.named_fields(value),
                    };
                    (key.clone(), value)
                });
                Value::Object(named.collect())
            }
            other => other.clone(),
        }
    }
}

fn none() -> Value {
    json!({"match_none": {}})
}

fn set_mode(options: &mut Value, mode: &MatchMode) {
    match mode {
        MatchMode::Any | MatchMode::Phrase { .. } => {}
        MatchMode::All => options["operator"] = "and".into(),
        MatchMode::AtLeast(minimum) => options["minimum_should_match"] = minimum.to_string().into(),
    }
}

fn set_fuzzy(options: &mut Value, fuzzy: Fuzzy, transpositions: &str) {
    options["fuzziness"] = match fuzzy.fuzziness {
        Fuzziness::Auto(low, high) => format!("AUTO:{low},{high}").into(),
        Fuzziness::Edits(edits) => edits.to_string().into(),
    };
    options["prefix_length"] = fuzzy.prefix_length.into();
    options[transpositions] = fuzzy.transpositions.into();
}

fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Keyword | FieldKind::Text => "keyword",
        FieldKind::Long => "long",
        FieldKind::Double => "double",
        FieldKind::Boolean => "boolean",
        FieldKind::Date => "date",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsl::parse_search;

    fn fields() -> Fields {
        let mut fields = Fields::default();
        for (name, kind) in [
            ("@timestamp", FieldKind::Date),
            ("http_status", FieldKind::Long),
            ("model_name", FieldKind::Keyword),
            ("msg", FieldKind::Text),
            ("seq", FieldKind::Long),
        ] {
            fields.declare(name, kind);
        }
        fields.alias("status", "http_status");
        fields
    }

    fn written(body: &Value) -> Value {
        write_search(&parse_search(body).unwrap(), &fields()).unwrap()
    }

    fn clause(query: &Value) -> Value {
        written(&json!({ "query": query }))["query"]["constant_score"]["filter"].clone()
    }

    #[test]
    fn clauses_name_fields_and_values_as_a_cluster_knows_them() {
        for (query, expected) in [
            (json!({"term": {"status": 200}}), json!({"term": {"http_status": {"value": 200}}})),
            (json!({"term": {"model_name.keyword": "a"}}), json!({"term": {"model_name": {"value": "a"}}})),
            (json!({"exists": {"field": "status"}}), json!({"exists": {"field": "http_status"}})),
            (
                json!({"range": {"@timestamp": {"gte": "now-1h", "time_zone": "+08:00"}}}),
                json!({"range": {"@timestamp": {"gte": "now-1h", "time_zone": "+08:00"}}}),
            ),
            (json!({"query_string": {"query": "status:x", "lenient": true}}), json!({"match_none": {}})),
            (
                json!({"match": {"msg": {"query": "a b", "minimum_should_match": "2<75%"}}}),
                json!({"match": {"msg": {"query": "a b", "minimum_should_match": "2<75%"}}}),
            ),
            (
                json!({"regexp": {"model_name": {"value": "a.*", "flags": "NONE"}}}),
                json!({"regexp": {"model_name": {"value": "a.*", "flags": "NONE"}}}),
            ),
        ] {
            assert_eq!(clause(&query), expected, "{query}");
        }
        let ids = clause(&json!({"ids": {"values": ["7", "007", "a"]}}));
        assert_eq!(ids["bool"]["should"][0], json!({"terms": {"doc_id": ["7", "007", "a"]}}));
        assert_eq!(ids["bool"]["should"][1]["bool"]["filter"], json!([{"terms": {"seq": [7]}}]));
    }

    #[test]
    fn hits_have_one_order() {
        let sort = |body: Value| written(&body)["sort"].clone();
        assert_eq!(sort(json!({})), json!([{"@timestamp": "desc"}, {"seq": "desc"}]));
        assert_eq!(
            sort(json!({"sort": [{"status": "asc"}]})),
            json!([{"http_status": {"order": "asc"}}, {"seq": "asc"}])
        );
        let body = written(&json!({"sort": [{"status": "desc"}], "search_after": [500]}));
        assert_eq!(body["search_after"], json!([500, i64::MIN]));
    }

    #[test]
    fn aggregations_stay_as_they_are_but_for_names_and_conditions() {
        let body = json!({"aggs": {
            "a": {"terms": {"field": "status", "size": 3}, "aggs": {
                "top": {"top_hits": {"size": 1}},
                "some": {"filter": {"query_string": {"query": "status:200"}}},
            }},
            "c": {"composite": {"sources": [{"x": {"terms": {"field": "status"}}}]}},
            "f": {"filters": {"filters": {"one": {"term": {"status": 1}}}}, "meta": {"field": "status"}},
        }});
        let aggs = &written(&body)["aggs"];
        assert_eq!(aggs["a"]["terms"], json!({"field": "http_status", "size": 3, "shard_size": SHARD_SIZE}));
        assert_eq!(aggs["a"]["aggs"]["top"]["top_hits"]["sort"], json!([{"@timestamp": "desc"}, {"seq": "desc"}]));
        let filter = aggs["a"]["aggs"]["some"]["filter"].to_string();
        assert!(filter.contains("http_status") && !filter.contains("query_string"), "{filter}");
        assert_eq!(aggs["c"]["composite"]["sources"][0]["x"]["terms"]["field"], "http_status");
        assert_eq!(aggs["f"]["filters"]["filters"]["one"], json!({"term": {"http_status": {"value": 1}}}));
        assert_eq!(aggs["f"]["meta"], json!({"field": "status"}));
    }
}
