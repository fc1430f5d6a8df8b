//! The one plan that Lucene strings and the Elasticsearch query DSL are read into.
//!
//! Names and meanings follow the Elasticsearch query DSL, because that is what users and their tools already know.
//! A plan holds no parsed dates or resolved aliases: both depend on the fields it is run against and on the moment.

mod aggs;

use serde_json::Value;

use crate::fields::FieldKind;
use crate::minimum::Minimum;
use crate::regexp::Regexp;
use crate::similar::Fuzzy;
use crate::text::words;

pub use aggs::*;

/// A condition that a document fulfils or not. Scoring is not part of the plan: logs are sorted by fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Every document.
    MatchAll,
    /// No document.
    MatchNone,
    /// The field holds exactly this value (one of its values, for arrays).
    Term {
        /// Field name or alias.
        field: String,
        /// String, number or boolean.
        value: Value,
        /// How letters are compared.
        case: Case,
    },
    /// The field holds one of these values.
    Terms {
        /// Field name or alias.
        field: String,
        /// Strings, numbers or booleans.
        values: Vec<Value>,
    },
    /// The words of a text.
    Match(TextMatch),
    /// The words of a text, each in any of several fields (`multi_match` of type `cross_fields`).
    CrossFields {
        /// Field names or aliases.
        fields: Vec<String>,
        /// Text that is analysed like each of the fields.
        text: String,
        /// How the words combine.
        mode: MatchMode,
    },
    /// The field's value lies within the bounds.
    Range {
        /// Field name or alias.
        field: String,
        /// Lower bound.
        lower: Bound,
        /// Upper bound.
        upper: Bound,
        /// IANA zone or offset for dates without one and for rounding; UTC when absent.
        time_zone: Option<String>,
    },
    /// The field has any value.
    Exists {
        /// Field name or alias.
        field: String,
    },
    /// The field's value begins with this text.
    Prefix {
        /// Field name or alias.
        field: String,
        /// Beginning of the value.
        value: String,
        /// How letters are compared.
        case: Case,
    },
    /// The field's value fits a pattern of `*` (any characters) and `?` (one character).
    Wildcard {
        /// Field name or alias.
        field: String,
        /// The pattern; `\` makes the next character literal.
        pattern: String,
        /// How letters are compared.
        case: Case,
    },
    /// The whole of the field's value fits a regular expression.
    Regexp {
        /// Field name or alias.
        field: String,
        /// The expression.
        regexp: Regexp,
    },
    /// The field's value is written nearly like this.
    Fuzzy {
        /// Field name or alias.
        field: String,
        /// What it should be.
        value: String,
        /// How far it may be from that.
        fuzzy: Fuzzy,
        /// How letters are compared.
        case: Case,
    },
    /// The document has one of these `_id`s.
    Ids(Vec<String>),
    /// The document's number leaves this remainder: one of `max` parts of all documents, none of which share one.
    Slice {
        /// Which part, from 0.
        id: u64,
        /// How many parts there are; at least 1.
        max: u64,
    },
    /// A combination of conditions.
    Bool(BoolQuery),
    /// The same, where a value that does not fit its field is no error: that condition then holds for no document.
    Lenient(Box<Query>),
}

/// How the letters of a condition are compared with those of a field.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Case {
    /// As they are written.
    #[default]
    Exact,
    /// As the field's own values are brought into form: in lower case for the words of a text. So do query strings.
    AsIndexed,
    /// Letters from A to Z are the same in either case (`case_insensitive`).
    Ignored,
}

/// A condition on the words of a text. On a field that is no text it is one on the whole value.
#[derive(Clone, Debug, PartialEq)]
pub struct TextMatch {
    /// Field name or alias.
    pub field: String,
    /// Text that is analysed like the field; on an exact (keyword) field it is one value.
    pub text: String,
    /// How the words combine.
    pub mode: MatchMode,
    /// Words may be written a little differently; not for phrases.
    pub fuzzy: Option<Fuzzy>,
    /// The last word is the beginning of one (`match_bool_prefix`, `match_phrase_prefix`).
    pub is_open_ended: bool,
    /// A text without words selects every document instead of none (`zero_terms_query`).
    pub empty_selects_all: bool,
}

impl TextMatch {
    /// A condition on whole words as they are written.
    pub fn new(field: impl Into<String>, text: impl Into<String>, mode: MatchMode) -> Self {
        Self {
            field: field.into(),
            text: text.into(),
            mode,
            fuzzy: None,
            is_open_ended: false,
            empty_selects_all: false,
        }
    }

    /// Whether a text field finds no words in it.
    pub(crate) fn is_wordless(&self) -> bool {
        words(&self.text).next().is_none()
    }
}

/// Takes clauses without words out of those that are all required, as query strings do, unless none would be left. On a
/// field that is no text they stay what they are.
pub(crate) fn pass_over_wordless(must: &mut [Query], others: usize) {
    let is_wordless = |query: &Query| matches!(query, Query::Match(wanted) if wanted.is_wordless());
    if others == 0 && must.iter().all(is_wordless) {
        return;
    }
    for query in must {
        if let Query::Match(wanted) = query
            && wanted.is_wordless()
        {
            wanted.empty_selects_all = true;
        }
    }
}

/// All of `must` and `filter`, none of `must_not`, and at least `minimum_should_match` of `should`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BoolQuery {
    /// Conditions that must all hold.
    pub must: Vec<Query>,
    /// Conditions that must all hold (kept apart from `must` as the DSL does).
    pub filter: Vec<Query>,
    /// Conditions of which some must hold.
    pub should: Vec<Query>,
    /// Conditions that must not hold.
    pub must_not: Vec<Query>,
    /// How many of `should` must hold. `None` is Elasticsearch's default: 1 without `must` and `filter`, else 0.
    pub minimum_should_match: Option<usize>,
}

/// How the words of a [`TextMatch`] combine.
#[derive(Clone, Debug, PartialEq)]
pub enum MatchMode {
    /// One word is enough.
    Any,
    /// Each word must be there, in any place.
    All,
    /// So many of the words must be there.
    AtLeast(Minimum),
    /// The words must follow one another.
    Phrase {
        /// By how many places in all they may have been moved; two that changed places were moved by two.
        slop: u32,
    },
}

impl MatchMode {
    /// Words right behind one another.
    pub const PHRASE: Self = Self::Phrase { slop: 0 };
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// No limit.
    Open,
    /// The value itself lies inside.
    Inclusive(Value),
    /// The value itself lies outside.
    Exclusive(Value),
}

/// A whole `_search` body.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchRequest {
    /// Which documents.
    pub query: Query,
    /// How many hits are skipped.
    pub from: usize,
    /// How many hits are returned.
    pub size: usize,
    /// Order of the hits; empty means newest first is not promised (Elasticsearch would sort by score, all equal here).
    pub sort: Vec<Sort>,
    /// Named aggregations over all matching documents, in the order given.
    pub aggs: Vec<(String, Agg)>,
    /// The body that all of this was read from, to ask others for its aggregations, or for all of it again.
    pub as_given: Value,
    /// Which parts of the document are returned.
    pub source: SourceFilter,
    /// Up to how many hits are counted exactly; `None` counts none.
    pub track_total_hits: Option<u64>,
    /// Only hits behind one with these sort values, one for each key of `sort`; empty means from the first on.
    pub search_after: Vec<Value>,
    /// Which of the documents are hits; aggregations are over all that fulfil `query`.
    pub post_filter: Option<Query>,
    /// Fields of the documents that are returned as lists of values, as the documents have them.
    pub fields: Vec<FieldAsked>,
    /// The same, as the index has them.
    pub docvalue_fields: Vec<FieldAsked>,
    /// Hits tell neither their id nor their source (`stored_fields: "_none_"`).
    pub bare: bool,
}

impl SearchRequest {
    /// The aggregations in the words of the body that they were read from.
    pub fn aggs_as_given(&self) -> &Value {
        let body = &self.as_given;
        body.get("aggs").or_else(|| body.get("aggregations")).unwrap_or(&Value::Null)
    }
}

/// A field that is returned with hits.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldAsked {
    /// Its name, alias, or a pattern of names.
    pub pattern: String,
    /// How its dates are written.
    pub format: Option<DateFormat>,
}

/// How a date is written in hits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DateFormat {
    /// RFC 3339 in UTC with milliseconds.
    Iso,
    /// Milliseconds since 1970.
    EpochMillis,
    /// Seconds since 1970.
    EpochSecond,
}

/// One sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// Field name or alias, or `_doc`, `_score`.
    pub field: String,
    /// Largest first.
    pub descending: bool,
    /// Where documents without the field come.
    pub missing: Missing,
    /// What kind of field this is where no document has it (`unmapped_type`); without it that is an error.
    pub unmapped: Option<FieldKind>,
    /// How dates are written in the sort values of hits; milliseconds since 1970 without it.
    pub format: Option<DateFormat>,
}

/// Where documents without a sort key's field come.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Missing {
    /// Behind all others, whatever the order.
    #[default]
    Last,
    /// Before all others, whatever the order.
    First,
    /// Where one with this number or date would.
    Value(Value),
}

/// `_source` of a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceFilter {
    /// No source at all (`_source: false`).
    pub off: bool,
    /// Patterns of fields that are returned; empty means all.
    pub includes: Vec<String>,
    /// Patterns of fields that are left out.
    pub excludes: Vec<String>,
}

/// Width of a time bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Interval {
    /// A fixed number of milliseconds.
    Fixed(u64),
    /// A unit of the calendar in the aggregation's zone.
    Calendar(CalendarUnit),
}

/// Units of the calendar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum CalendarUnit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}
