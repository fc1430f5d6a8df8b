//! Conditions: a query is resolved once against the fields and the present moment, then run over each segment as sets
//! of documents.
//!
//! The meaning is that of [`tollhouse_query::matches`], value for value; the tests hold the two against each other.

mod cache;
mod planner;
mod reduce;
mod segment;
mod values;
mod words;

use jiff::Timestamp;
use tollhouse_query::ast::{Bound, Query};
use tollhouse_query::fields::Fields;
use tollhouse_query::{Fit, validate};

use crate::column::{Number, NumberKind};
use crate::error::StoreError;
use crate::field::FieldRef;
pub(crate) use cache::FilterCache;
use planner::Planner;
pub(crate) use segment::SegmentFilter;
pub(crate) use values::boolean;

/// The present, for `now` in dates; one moment for a whole request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now_ms: i64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { now_ms: Timestamp::now().as_millisecond() }
    }
}

/// A query with its fields and dates resolved.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    All,
    None,
    /// A value in a column fulfils a test.
    Values {
        field: FieldRef,
        test: Test,
    },
    /// A word in a text fulfils a test.
    Words {
        field: FieldRef,
        test: WordTest,
    },
    /// There is a value.
    Exists(FieldRef),
    /// The record's number leaves a remainder: `id` of `max`.
    Slice {
        id: u64,
        max: u64,
    },
    /// All of the required and none of the forbidden, and so many of the optional.
    Bool {
        required: Vec<Filter>,
        forbidden: Vec<Filter>,
        optional: Vec<Filter>,
        minimum: usize,
    },
}

/// What a value must be, for each type of column that the field can have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Test {
    numbers: Vec<NumberRange>,
    is_false: bool,
    is_true: bool,
    texts: Option<TextTest>,
}

/// Limits with whether they lie inside themselves.
#[derive(Clone, Copy, Debug)]
struct NumberRange {
    low: Option<(Number, bool)>,
    high: Option<(Number, bool)>,
}

#[derive(Clone, Debug)]
pub(crate) enum TextTest {
    OneOf(Vec<String>),
    Between(Bound, Bound),
    Fits(Fit),
}

#[derive(Clone, Debug)]
pub(crate) enum WordTest {
    /// One word that fulfils this.
    One(TextTest),
    /// Words that fulfil at least so many of these.
    AtLeast(Vec<TextTest>, usize),
    /// These words at these distances.
    Phrase(Vec<(usize, String)>),
    /// Words that fulfil these, at these places or moved by so many in all.
    Near(Vec<(usize, TextTest)>, u32),
}

impl Filter {
    /// Resolves a query; errors tell values that do not fit their fields.
    pub(crate) fn plan(query: &Query, fields: &Fields, moment: Moment) -> Result<Self, StoreError> {
        validate(query, fields, moment.now_ms)?;
        Planner { fields, moment, is_lenient: false }.plan(query)
    }

    /// Rough cost, so that cheap conditions are tried first and may spare the others.
    fn cost(&self) -> u8 {
        match self {
            Filter::All | Filter::None => 0,
            Filter::Values { test: Test { texts: None, .. }, .. } => 1,
            Filter::Values { test: Test { texts: Some(TextTest::Fits(fit)), .. }, .. } if !fit.is_prefix() => 4,
            Filter::Values { .. } | Filter::Words { .. } => 2,
            Filter::Exists(_) | Filter::Slice { .. } => 3,
            Filter::Bool { .. } => 5,
        }
    }
}

impl NumberRange {
    fn point(number: Number) -> Self {
        Self { low: Some((number, true)), high: Some((number, true)) }
    }

    /// The raw values of a column of this kind.
    fn raw(self, kind: NumberKind) -> Option<(u64, u64)> {
        let low = self.low.map_or(Some(0), |(bound, inclusive)| kind.raw_from(bound, inclusive))?;
        let high = self.high.map_or(Some(u64::MAX), |(bound, inclusive)| kind.raw_to(bound, inclusive))?;
        (low <= high).then_some((low, high))
    }
}
