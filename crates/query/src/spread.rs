//! Conditions whose meaning depends on the kinds of fields, as plainer ones.

use serde_json::Value;

use crate::ast::{BoolQuery, Case, MatchMode, Query, TextMatch};
use crate::fields::{FieldKind, Fields};
use crate::text::words;

impl TextMatch {
    /// The condition on the whole value that it is on a field of some kind other than text; none for what phrases with an
    /// open end cannot be.
    pub fn as_whole(&self, kind: Option<FieldKind>) -> Option<Query> {
        let Self { field, text, mode, fuzzy, is_open_ended, .. } = self;
        // Only strings begin with something.
        let has_beginnings = matches!(kind, None | Some(FieldKind::Keyword));
        match (*is_open_ended && has_beginnings, fuzzy) {
            (true, _) if matches!(mode, MatchMode::Phrase { .. }) => None,
            (true, _) => Some(Query::Prefix { field: field.clone(), value: text.clone(), case: Case::Exact }),
            (false, Some(fuzzy)) => {
                Some(Query::Fuzzy { field: field.clone(), value: text.clone(), fuzzy: *fuzzy, case: Case::Exact })
            }
            (false, None) => {
                Some(Query::Term { field: field.clone(), value: Value::from(text.as_str()), case: Case::Exact })
            }
        }
    }
}

/// A text of which each word may be in any of several fields. Fields that are analysed alike stand together: those of
/// words, and those of whole values.
pub fn in_any_field(names: &[String], text: &str, mode: &MatchMode, fields: &Fields) -> Query {
    let (texts, wholes): (Vec<&String>, Vec<&String>) =
        names.iter().partition(|name| fields.kind(name) == Some(FieldKind::Text));
    let any = |names: &[&String], text: &str| {
        let one = |name: &&String| Query::Match(TextMatch::new(name.as_str(), text, MatchMode::Any));
        Query::Bool(BoolQuery { should: names.iter().map(one).collect(), ..BoolQuery::default() })
    };
    let mut should = Vec::new();
    if !wholes.is_empty() {
        should.push(any(&wholes, text));
    }
    let each: Vec<Query> = words(text).map(|word| any(&texts, &word)).collect();
    if !texts.is_empty() && !each.is_empty() {
        let minimum_should_match = match mode {
            MatchMode::All => each.len(),
            MatchMode::AtLeast(minimum) if each.len() > 1 => minimum.of(each.len()).max(1),
            MatchMode::Any | MatchMode::AtLeast(_) | MatchMode::Phrase { .. } => 1,
        };
        should.push(Query::Bool(BoolQuery {
            should: each,
            minimum_should_match: Some(minimum_should_match),
            ..BoolQuery::default()
        }));
    }
    if should.is_empty() { Query::MatchNone } else { Query::Bool(BoolQuery { should, ..BoolQuery::default() }) }
}
