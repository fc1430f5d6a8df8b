//! `highlight`: pieces of the fields of hits, with the words in them marked that were looked for.
//!
//! Done here, over the values that hits tell, so that our own index and a cluster mark alike. The pieces are those of
//! Elasticsearch's `plain` highlighter, whatever `type` is asked for.

use serde_json::{Map, Value};
use tollhouse_query::ast::{FieldAsked, SearchRequest};
use tollhouse_query::highlight::{Highlighter, Marking};
use tollhouse_query::{FieldKind, Pattern, Query, dsl};
use tollhouse_shape::catalogue;
use tollhouse_store::{Hit, SearchResponse};

use crate::error::ElasticError;

/// Fields that are marked in one search, as far as the body names them.
const FIELDS_MAX: usize = 100;
/// Elasticsearch's defaults.
const PIECE_CHARS: usize = 100;
const PIECES: usize = 5;
/// Characters of a text that are looked at; Elasticsearch's `index.highlight.max_analyzed_offset`.
const TEXT_BYTES_MAX: usize = 1_000_000;

/// Keys for all fields and for one.
const OPTIONS: [&str; 17] = [
    "pre_tags",
    "post_tags",
    "fragment_size",
    "number_of_fragments",
    "require_field_match",
    "highlight_query",
    // Which pieces there are is that of the plain highlighter in any case.
    "type",
    "fragmenter",
    "boundary_scanner",
    "boundary_chars",
    "boundary_max_scan",
    "boundary_scanner_locale",
    "phrase_limit",
    "max_analyzed_offset",
    "order",
    "force_source",
    "no_match_size",
];

/// What of hits is marked, and how.
pub(crate) struct Highlight {
    fields: Vec<Asked>,
}

struct Asked {
    /// A name, or a pattern of names.
    name: String,
    marking: Marking,
    in_any_field: bool,
    /// In place of the search's own.
    query: Option<Query>,
}

#[derive(Clone)]
struct Options {
    marking: Marking,
    in_any_field: bool,
    query: Option<Query>,
}

impl Highlight {
    /// Takes it out of a search body.
    pub(crate) fn take(body: &mut Value) -> Result<Option<Self>, ElasticError> {
        let highlight = body.as_object_mut().and_then(|body| body.shift_remove("highlight"));
        let Some(highlight) = highlight.filter(|highlight| !highlight.is_null()) else { return Ok(None) };
        let wrong = |what: &str| ElasticError::Parameter(format!("[highlight] {what}"));
        let Value::Object(highlight) = highlight else { return Err(wrong("must be an object")) };
        let mut common = Options {
            marking: Marking {
                before: "<em>".to_owned(),
                behind: "</em>".to_owned(),
                piece_chars: PIECE_CHARS,
                pieces: PIECES,
                is_html: false,
            },
            in_any_field: false,
            query: None,
        };
        match highlight.get("encoder").and_then(Value::as_str) {
            None | Some("default") => {}
            Some("html") => common.marking.is_html = true,
            Some(other) => return Err(wrong(&format!("has an unknown encoder [{other}]"))),
        }
        common.read(&highlight, &["fields", "encoder"])?;
        let named: Vec<(&String, &Value)> = match highlight.get("fields") {
            Some(Value::Object(fields)) => fields.iter().collect(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_object).flatten().collect(),
            _ => Vec::new(),
        };
        if named.len() > FIELDS_MAX {
            return Err(wrong(&format!("names more than {FIELDS_MAX} fields")));
        }
        let field = |(name, options): (&String, &Value)| {
            let mut own = common.clone();
            if let Value::Object(options) = options {
                own.read(options, &[])?;
            }
            let Options { marking, in_any_field, query } = own;
            Ok(Asked { name: name.clone(), marking, in_any_field, query })
        };
        let fields = named.into_iter().map(field).collect::<Result<_, ElasticError>>()?;
        Ok(Some(Self { fields }))
    }

    /// Has hits tell the values that are to be marked.
    pub(crate) fn ask(&self, request: &mut SearchRequest) {
        let asked = |asked: &Asked| FieldAsked { pattern: asked.name.clone(), format: None };
        request.fields.extend(self.fields.iter().map(asked));
    }

    /// Marks them, and takes out what was asked for besides `before`, the request as it was.
    pub(crate) fn mark(&self, before: &SearchRequest, response: &mut SearchResponse) {
        let own: Vec<Pattern> =
            before.fields.iter().chain(&before.docvalue_fields).map(|asked| Pattern::new(&asked.pattern)).collect();
        for hit in &mut response.hits.hits {
            hit.highlight = self.of(hit, &before.query);
            if own.is_empty() {
                hit.fields = None;
            } else if let Some(fields) = &mut hit.fields {
                fields.retain(|name, _| own.iter().any(|pattern| pattern.is_match(name)));
            }
        }
    }

    fn of(&self, hit: &Hit, query: &Query) -> Option<Map<String, Value>> {
        let values = hit.fields.as_ref()?;
        let mut shown = Map::new();
        for asked in &self.fields {
            let pattern = Pattern::new(&asked.name);
            for (name, texts) in values.iter().filter(|(name, _)| pattern.is_match(name)) {
                let kind = catalogue().kind(name);
                // Other names of a field say the same a second time where all are asked for.
                let is_alias = asked.name.contains('*') && catalogue().canonical(name) != name;
                if is_alias || !matches!(kind, Some(FieldKind::Text | FieldKind::Keyword) | None) {
                    continue;
                }
                let query = asked.query.as_ref().unwrap_or(query);
                let highlighter = Highlighter::new(query, name, catalogue(), asked.in_any_field);
                if highlighter.is_empty() {
                    continue;
                }
                let texts = texts.as_array().into_iter().flatten().filter_map(Value::as_str);
                let mut pieces: Vec<Value> = texts
                    .map(|text| &text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
                    .flat_map(|text| highlighter.pieces(text, &asked.marking))
                    .map(Value::from)
                    .collect();
                pieces.truncate(asked.marking.pieces.max(1));
                if !pieces.is_empty() {
                    shown.insert(name.clone(), pieces.into());
                }
            }
        }
        (!shown.is_empty()).then_some(shown)
    }
}

impl Options {
    fn read(&mut self, options: &Map<String, Value>, besides: &[&str]) -> Result<(), ElasticError> {
        let wrong = |what: String| ElasticError::Parameter(format!("[highlight] {what}"));
        for (key, value) in options {
            let number = || {
                let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
                number
                    .and_then(|number| usize::try_from(number).ok())
                    .ok_or_else(|| wrong(format!("[{key}] is no number")))
            };
            let first = || match value {
                Value::Array(tags) => tags.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            match key.as_str() {
                "pre_tags" => self.marking.before = first(),
                "post_tags" => self.marking.behind = first(),
                // 0 is Elasticsearch's word for the whole text.
                "fragment_size" => {
                    let chars = number()?;
                    self.marking.piece_chars = if chars == 0 { usize::MAX } else { chars };
                }
                "number_of_fragments" => self.marking.pieces = number()?,
                "require_field_match" => self.in_any_field = *value == false || *value == "false",
                "highlight_query" => self.query = Some(dsl::parse_query(value)?),
                "no_match_size" if number()? > 0 => {
                    return Err(wrong("[no_match_size] other than 0 is not supported".to_owned()));
                }
                known if OPTIONS.contains(&known) || besides.contains(&known) => {}
                unknown => return Err(wrong(format!("unknown field [{unknown}]"))),
            }
        }
        Ok(())
    }
}
