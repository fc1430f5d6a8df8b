//! Resolves a query against the fields and the present moment.

use std::borrow::Cow;

use serde_json::Value;
use tollhouse_query::ast::{BoolQuery, Bound, Case, MatchMode, Query, TextMatch};
use tollhouse_query::date::Zone;
use tollhouse_query::fields::{FieldKind, Fields};
use tollhouse_query::{Fit, in_any_field, positioned_words};

use super::values::{boolean, in_texts, number, number_range, text};
use super::{Filter, Moment, NumberRange, Test, TextTest, WordTest};
use crate::column::Number;
use crate::error::StoreError;
use crate::field::{DOC_ID, FieldRef, SEQ};

pub(super) struct Planner<'a> {
    pub(super) fields: &'a Fields,
    pub(super) moment: Moment,
    /// A condition whose value does not fit its field holds for no document.
    pub(super) is_lenient: bool,
}

impl Planner<'_> {
    pub(super) fn plan(&self, query: &Query) -> Result<Filter, StoreError> {
        match self.resolve(query) {
            Err(_) if self.is_lenient => Ok(Filter::None),
            resolved => resolved,
        }
    }

    fn resolve(&self, query: &Query) -> Result<Filter, StoreError> {
        Ok(match query {
            Query::MatchAll => Filter::All,
            Query::MatchNone => Filter::None,
            Query::Prefix { field, .. }
            | Query::Wildcard { field, .. }
            | Query::Regexp { field, .. }
            | Query::Fuzzy { field, .. }
            | Query::Term { field, case: Case::Ignored, .. } => self.pattern(field, query),
            Query::Term { field, value, .. } => self.terms(field, std::slice::from_ref(value))?,
            Query::Terms { field, values } => self.terms(field, values)?,
            Query::Match(wanted) => self.words(wanted)?,
            Query::CrossFields { fields, text, mode } => self.plan(&in_any_field(fields, text, mode, self.fields))?,
            Query::Range { field, lower, upper, time_zone } => self.range(field, lower, upper, time_zone.as_deref())?,
            Query::Exists { field } => Filter::Exists(self.field(field)),
            Query::Lenient(query) => Planner { is_lenient: true, ..*self }.plan(query)?,
            Query::Ids(ids) => self.ids(ids),
            Query::Slice { id, max } => Filter::Slice { id: *id, max: (*max).max(1) },
            Query::Bool(query) => self.bool(query)?,
        })
    }

    /// A document has the id that its writer gave it, else the number of its record.
    fn ids(&self, ids: &[String]) -> Filter {
        // `007` is not the id of document 7.
        let seqs = ids.iter().filter_map(|id| id.parse::<u64>().ok().filter(|seq| seq.to_string() == *id));
        let numbers = seqs.map(|seq| NumberRange::point(Number::U64(seq))).collect();
        let numbered = Filter::Values { field: self.field(SEQ), test: Test { numbers, ..Test::default() } };
        let texts = Some(TextTest::OneOf(ids.to_vec()));
        let named = Filter::Values { field: self.field(DOC_ID), test: Test { texts, ..Test::default() } };
        let unnamed = Filter::Bool {
            required: vec![numbered],
            forbidden: vec![Filter::Exists(self.field(DOC_ID))],
            optional: Vec::new(),
            minimum: 0,
        };
        Filter::Bool { required: Vec::new(), forbidden: Vec::new(), optional: vec![named, unnamed], minimum: 1 }
    }

    fn field(&self, name: &str) -> FieldRef {
        FieldRef::resolve(name, self.fields)
    }

    fn bool(&self, query: &BoolQuery) -> Result<Filter, StoreError> {
        let BoolQuery { must, filter, should, must_not, minimum_should_match } = query;
        let all = |queries: &[Query]| queries.iter().map(|query| self.plan(query)).collect::<Result<Vec<_>, _>>();
        let mut required = all(must)?;
        required.extend(all(filter)?);
        required.sort_by_key(Filter::cost);
        let minimum = minimum_should_match.unwrap_or(usize::from(required.is_empty() && !should.is_empty()));
        Ok(Filter::Bool { required, forbidden: all(must_not)?, optional: all(should)?, minimum })
    }

    fn terms(&self, name: &str, values: &[Value]) -> Result<Filter, StoreError> {
        let field = self.field(name);
        let texts = || values.iter().filter_map(text).map(Cow::into_owned).collect::<Vec<_>>();
        if name == "_id" {
            return Ok(self.ids(&texts()));
        }
        let numbers = || values.iter().filter_map(number).map(NumberRange::point).collect();
        let is = |wanted: bool| values.iter().any(|value| boolean(value) == Some(wanted));
        let test = match field.kind {
            Some(FieldKind::Text) => {
                return Ok(Filter::Words { field, test: WordTest::One(TextTest::OneOf(texts())) });
            }
            Some(FieldKind::Keyword) => Test { texts: Some(TextTest::OneOf(texts())), ..Test::default() },
            Some(FieldKind::Long | FieldKind::Double) => Test { numbers: numbers(), ..Test::default() },
            Some(FieldKind::Boolean) => Test { is_false: is(false), is_true: is(true), ..Test::default() },
            // A day means all of the day.
            Some(FieldKind::Date) => {
                let days = values.iter().map(|value| {
                    let bound = Bound::Inclusive(value.clone());
                    self.dates(&bound, &bound, None)
                });
                Test { numbers: days.collect::<Result<_, _>>()?, ..Test::default() }
            }
            None => Test {
                numbers: numbers(),
                is_false: is(false),
                is_true: is(true),
                texts: Some(TextTest::OneOf(texts())),
            },
        };
        Ok(Filter::Values { field, test })
    }

    fn words(&self, wanted: &TextMatch) -> Result<Filter, StoreError> {
        let TextMatch { field, text, mode, fuzzy, is_open_ended, empty_selects_all } = wanted;
        let field = self.field(field);
        if field.kind != Some(FieldKind::Text) {
            return wanted.as_whole(field.kind).map_or(Ok(Filter::None), |query| self.plan(&query));
        }
        let wanted: Vec<(usize, String)> = positioned_words(text).collect();
        let Some(last) = wanted.len().checked_sub(1) else {
            return Ok(if *empty_selects_all { Filter::All } else { Filter::None });
        };
        if *mode == MatchMode::PHRASE && !is_open_ended && fuzzy.is_none() && last > 0 {
            return Ok(Filter::Words { field, test: WordTest::Phrase(wanted) });
        }
        let mut tests: Vec<(usize, TextTest)> = wanted
            .into_iter()
            .enumerate()
            .map(|(index, (place, word))| match fuzzy {
                _ if *is_open_ended && index == last => (place, TextTest::Fits(Fit::prefix(word))),
                Some(fuzzy) => (place, TextTest::Fits(Fit::similar(&word, *fuzzy))),
                None => (place, TextTest::OneOf(vec![word])),
            })
            .collect();
        let needed = match mode {
            MatchMode::Phrase { slop } if last > 0 => {
                return Ok(Filter::Words { field, test: WordTest::Near(tests, *slop) });
            }
            // A single word is asked for whatever is said of several.
            _ if last == 0 => {
                return Ok(Filter::Words { field, test: WordTest::One(tests.remove(0).1) });
            }
            MatchMode::Any => 1,
            MatchMode::All | MatchMode::Phrase { .. } => tests.len(),
            MatchMode::AtLeast(minimum) => minimum.of(tests.len()).max(1),
        };
        let tests = tests.into_iter().map(|(_, test)| test).collect();
        Ok(Filter::Words { field, test: WordTest::AtLeast(tests, needed) })
    }

    fn range(&self, name: &str, lower: &Bound, upper: &Bound, zone: Option<&str>) -> Result<Filter, StoreError> {
        let field = self.field(name);
        let texts = TextTest::Between(lower.clone(), upper.clone());
        let numbers = || number_range(lower, upper).into_iter().collect();
        let test = match field.kind {
            Some(FieldKind::Text) => return Ok(Filter::Words { field, test: WordTest::One(texts) }),
            Some(FieldKind::Keyword) => Test { texts: Some(texts), ..Test::default() },
            Some(FieldKind::Long | FieldKind::Double) => Test { numbers: numbers(), ..Test::default() },
            Some(FieldKind::Date) => Test { numbers: vec![self.dates(lower, upper, zone)?], ..Test::default() },
            // Booleans are compared by their names.
            Some(FieldKind::Boolean) => Test {
                is_false: in_texts("false", lower, upper),
                is_true: in_texts("true", lower, upper),
                ..Test::default()
            },
            None => Test {
                numbers: numbers(),
                is_false: in_texts("false", lower, upper),
                is_true: in_texts("true", lower, upper),
                texts: Some(texts),
            },
        };
        Ok(Filter::Values { field, test })
    }

    /// `gt` and `lte` mean the end of the unit that was written, `gte` and `lt` its beginning.
    fn dates(&self, lower: &Bound, upper: &Bound, zone: Option<&str>) -> Result<NumberRange, StoreError> {
        let zone = zone.map_or(Ok(Zone::utc()), Zone::parse)?;
        let read = |bound: &Bound, round_up: bool| -> Result<_, StoreError> {
            Ok(match bound {
                Bound::Open => None,
                Bound::Inclusive(value) => {
                    Some((Number::I64(zone.parse_date(value, round_up, self.moment.now_ms)?), true))
                }
                Bound::Exclusive(value) => {
                    Some((Number::I64(zone.parse_date(value, round_up, self.moment.now_ms)?), false))
                }
            })
        };
        let low = read(lower, matches!(lower, Bound::Exclusive(_)))?;
        let high = read(upper, matches!(upper, Bound::Inclusive(_)))?;
        Ok(NumberRange { low, high })
    }

    /// A pattern is one of words in a text, and of whole strings elsewhere.
    fn pattern(&self, name: &str, query: &Query) -> Filter {
        let field = self.field(name);
        let Some(fit) = Fit::of(query, field.kind == Some(FieldKind::Text)) else { return Filter::None };
        let test = TextTest::Fits(fit);
        match field.kind {
            Some(FieldKind::Text) => Filter::Words { field, test: WordTest::One(test) },
            Some(FieldKind::Keyword) | None => {
                Filter::Values { field, test: Test { texts: Some(test), ..Test::default() } }
            }
            Some(FieldKind::Long | FieldKind::Double | FieldKind::Boolean | FieldKind::Date) => Filter::None,
        }
    }
}
