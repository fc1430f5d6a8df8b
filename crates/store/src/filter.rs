//! Conditions: a query is resolved once against the fields and the present moment, then run over each segment as sets
//! of documents.
//!
//! The meaning is that of [`tollhouse_query::matches`], value for value; the tests hold the two against each other.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Number as JsonNumber, Value};
use tantivy::columnar::{Dictionary, TermOrdHit};
use tantivy::query::{EnableScoring, PhraseQuery, Query as _};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, InvertedIndexReader, SegmentReader, TERMINATED, Term};
use tollhouse_query::ast::{BoolQuery, Bound, MatchMode, Query};
use tollhouse_query::date::Zone;
use tollhouse_query::fields::{FieldKind, Fields};
use tollhouse_query::{Pattern, positioned_words, validate};

use crate::bits::{Bits, Docs};
use crate::column::{Columns, Number, NumberKind, ValueColumn, ValueKind};
use crate::error::StoreError;
use crate::field::{EXTRA, FieldRef, SEQ};

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
    Prefix(String),
    Fits { pattern: Pattern, beginning: String },
}

#[derive(Clone, Debug)]
pub(crate) enum WordTest {
    /// One word that fulfils this.
    One(TextTest),
    /// Each of these words.
    All(Vec<String>),
    /// These words at these distances.
    Phrase(Vec<(usize, String)>),
}

impl Filter {
    /// Resolves a query; errors tell values that do not fit their fields.
    pub(crate) fn plan(query: &Query, fields: &Fields, moment: Moment) -> Result<Self, StoreError> {
        validate(query, fields, moment.now_ms)?;
        Planner { fields, moment }.plan(query)
    }

    /// Rough cost, so that cheap conditions are tried first and may spare the others.
    fn cost(&self) -> u8 {
        match self {
            Filter::All | Filter::None => 0,
            Filter::Values { test: Test { texts: None, .. }, .. } => 1,
            Filter::Values { test: Test { texts: Some(TextTest::Fits { .. }), .. }, .. } => 4,
            Filter::Values { .. } | Filter::Words { .. } => 2,
            Filter::Exists(_) => 3,
            Filter::Bool { .. } => 5,
        }
    }
}

struct Planner<'a> {
    fields: &'a Fields,
    moment: Moment,
}

impl Planner<'_> {
    fn plan(&self, query: &Query) -> Result<Filter, StoreError> {
        Ok(match query {
            Query::MatchAll => Filter::All,
            Query::MatchNone => Filter::None,
            Query::Term { field, value } => self.terms(field, std::slice::from_ref(value))?,
            Query::Terms { field, values } => self.terms(field, values)?,
            Query::Match { field, text, mode } => self.words(field, text, *mode)?,
            Query::Range { field, lower, upper, time_zone } => self.range(field, lower, upper, time_zone.as_deref())?,
            Query::Exists { field } => Filter::Exists(self.field(field)),
            Query::Prefix { field, value } => self.pattern(field, |is_words| {
                TextTest::Prefix(if is_words { value.to_lowercase() } else { value.clone() })
            }),
            Query::Wildcard { field, pattern } => self.pattern(field, |is_words| {
                let pattern = if is_words { pattern.to_lowercase() } else { pattern.clone() };
                let beginning = literal_beginning(&pattern);
                TextTest::Fits { pattern: Pattern::new(&pattern), beginning }
            }),
            Query::Ids(ids) => {
                // `007` is not the id of document 7.
                let seqs = ids.iter().filter_map(|id| id.parse::<u64>().ok().filter(|seq| seq.to_string() == *id));
                let numbers = seqs.map(|seq| NumberRange::point(Number::U64(seq))).collect();
                Filter::Values { field: self.field(SEQ), test: Test { numbers, ..Test::default() } }
            }
            Query::Bool(query) => self.bool(query)?,
        })
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

    fn words(&self, name: &str, wanted: &str, mode: MatchMode) -> Result<Filter, StoreError> {
        let field = self.field(name);
        if field.kind != Some(FieldKind::Text) {
            return self.terms(name, &[Value::from(wanted)]);
        }
        let wanted: Vec<(usize, String)> = positioned_words(wanted).collect();
        if wanted.is_empty() {
            return Ok(Filter::None);
        }
        let words = |wanted: Vec<(usize, String)>| wanted.into_iter().map(|(_, word)| word).collect();
        let test = match mode {
            MatchMode::Any => WordTest::One(TextTest::OneOf(words(wanted))),
            MatchMode::Phrase if wanted.len() > 1 => WordTest::Phrase(wanted),
            MatchMode::All | MatchMode::Phrase => WordTest::All(words(wanted)),
        };
        Ok(Filter::Words { field, test })
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

    fn pattern(&self, name: &str, test: impl FnOnce(bool) -> TextTest) -> Filter {
        let field = self.field(name);
        match field.kind {
            Some(FieldKind::Text) => Filter::Words { field, test: WordTest::One(test(true)) },
            Some(FieldKind::Keyword) | None => {
                Filter::Values { field, test: Test { texts: Some(test(false)), ..Test::default() } }
            }
            Some(FieldKind::Long | FieldKind::Double | FieldKind::Boolean | FieldKind::Date) => Filter::None,
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

/// The limits of a range of numbers; `None` when one of them is no number.
fn number_range(lower: &Bound, upper: &Bound) -> Option<NumberRange> {
    let end = |bound: &Bound| match bound {
        Bound::Open => Ok(None),
        Bound::Inclusive(value) => number(value).map(|number| Some((number, true))).ok_or(()),
        Bound::Exclusive(value) => number(value).map(|number| Some((number, false))).ok_or(()),
    };
    Some(NumberRange { low: end(lower).ok()?, high: end(upper).ok()? })
}

/// Numbers, and strings of a number.
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(json_number(number)),
        Value::String(text) => {
            let text = text.trim();
            if let Ok(whole) = text.parse() {
                return Some(Number::I64(whole));
            }
            text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::F64)
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn json_number(number: &JsonNumber) -> Number {
    let whole = number.as_i64().map(Number::I64).or_else(|| number.as_u64().map(Number::U64));
    // -0 equals 0 as a number.
    whole.unwrap_or_else(|| Number::F64(number.as_f64().unwrap_or_default() + 0.0))
}

/// The text of a string, number or boolean.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Elasticsearch takes an empty string for false.
pub(crate) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text == "true" => Some(true),
        Value::String(text) if text == "false" || text.is_empty() => Some(false),
        _ => None,
    }
}

fn in_texts(value: &str, lower: &Bound, upper: &Bound) -> bool {
    let above = match lower {
        Bound::Open => true,
        Bound::Inclusive(low) => text(low).is_some_and(|low| value >= low.as_ref()),
        Bound::Exclusive(low) => text(low).is_some_and(|low| value > low.as_ref()),
    };
    let below = match upper {
        Bound::Open => true,
        Bound::Inclusive(high) => text(high).is_some_and(|high| value <= high.as_ref()),
        Bound::Exclusive(high) => text(high).is_some_and(|high| value < high.as_ref()),
    };
    above && below
}

/// What each text that fits a pattern begins with.
fn literal_beginning(pattern: &str) -> String {
    let mut beginning = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' => break,
            '\\' => beginning.push(chars.next().unwrap_or('\\')),
            other => beginning.push(other),
        }
    }
    beginning
}

/// Runs filters over one segment.
pub(crate) struct SegmentFilter<'a> {
    reader: &'a SegmentReader,
}

impl<'a> SegmentFilter<'a> {
    pub(crate) fn new(reader: &'a SegmentReader) -> Self {
        Self { reader }
    }

    /// The documents that fulfil a filter.
    pub(crate) fn docs(&self, filter: &Filter) -> Result<Docs, StoreError> {
        match filter {
            Filter::All => Ok(Docs::All),
            Filter::None => Ok(Docs::None),
            Filter::Values { field, test } => self.values(field, test),
            Filter::Words { field, test } => self.words(field, test),
            Filter::Exists(field) => self.exists(field),
            Filter::Bool { required, forbidden, optional, minimum } => {
                self.bool(required, forbidden, optional, *minimum)
            }
        }
    }

    fn bool(
        &self,
        required: &[Filter],
        forbidden: &[Filter],
        optional: &[Filter],
        minimum: usize,
    ) -> Result<Docs, StoreError> {
        if minimum > optional.len() {
            return Ok(Docs::None);
        }
        let mut docs = Docs::All;
        for filter in required {
            docs = docs.and(self.docs(filter)?);
            if matches!(docs, Docs::None) {
                return Ok(docs);
            }
        }
        for filter in forbidden {
            docs = docs.and(self.docs(filter)?.not());
            if matches!(docs, Docs::None) {
                return Ok(docs);
            }
        }
        Ok(match minimum {
            0 => docs,
            1 => {
                let mut any = Docs::None;
                for filter in optional {
                    any = any.or(self.docs(filter)?);
                }
                docs.and(any)
            }
            _ => docs.and(self.at_least(optional, minimum)?),
        })
    }

    fn at_least(&self, filters: &[Filter], minimum: usize) -> Result<Docs, StoreError> {
        let max_doc = self.reader.max_doc();
        let mut counts = vec![0_u16; max_doc as usize];
        for filter in filters {
            self.docs(filter)?.for_each_block(max_doc, |block| {
                for doc in block {
                    counts[*doc as usize] = counts[*doc as usize].saturating_add(1);
                }
                Ok::<_, StoreError>(())
            })?;
        }
        let mut bits = Bits::new(max_doc);
        for (doc, count) in counts.into_iter().enumerate() {
            if usize::from(count) >= minimum {
                bits.insert(doc as u32);
            }
        }
        Ok(bits.into())
    }

    fn exists(&self, field: &FieldRef) -> Result<Docs, StoreError> {
        let max_doc = self.reader.max_doc();
        let docs = Columns::open(self.reader, &field.column)?.exists(max_doc);
        if field.kind.is_some() || !field.column.starts_with(EXTRA) {
            return Ok(docs);
        }
        // An object exists when something in it does.
        let doing = "opening a column";
        let inner = self.reader.fast_fields().dynamic_subpath_column_handles(&field.column);
        inner.map_err(StoreError::tantivy(doing))?.into_iter().try_fold(docs, |docs, handle| {
            let index = handle.open().map_err(StoreError::column(doing))?.into_column_index();
            let mut bits = Bits::new(max_doc);
            (0..max_doc).filter(|doc| index.has_value(*doc)).for_each(|doc| bits.insert(doc));
            Ok(docs.or(bits.into()))
        })
    }

    fn values(&self, field: &FieldRef, test: &Test) -> Result<Docs, StoreError> {
        let mut docs = Docs::None;
        for column in Columns::open(self.reader, &field.column)?.list {
            let ranges = match &column.kind {
                ValueKind::Number(NumberKind::Bool) => [(test.is_false, 0), (test.is_true, 1)]
                    .into_iter()
                    .filter(|(on, _)| *on)
                    .map(|(_, v)| (v, v))
                    .collect(),
                ValueKind::Number(kind) => test.numbers.iter().filter_map(|range| range.raw(*kind)).collect(),
                ValueKind::Text(dictionary) => match &test.texts {
                    Some(test) => ordinals(dictionary, test)?,
                    None => Vec::new(),
                },
            };
            docs = docs.or(in_ranges(&column, ranges, self.reader.max_doc()));
        }
        Ok(docs)
    }

    fn words(&self, field: &FieldRef, test: &WordTest) -> Result<Docs, StoreError> {
        let doing = "opening an inverted index";
        let Ok(id) = self.reader.schema().get_field(&field.name) else { return Ok(Docs::None) };
        let index = self.reader.inverted_index(id).map_err(StoreError::tantivy(doing))?;
        match test {
            WordTest::One(test) => self.any_word(&index, id, test),
            WordTest::All(words) => words.iter().try_fold(Docs::All, |docs, word| {
                let with_word = self.any_word(&index, id, &TextTest::OneOf(vec![word.clone()]))?;
                Ok(docs.and(with_word))
            }),
            WordTest::Phrase(words) => {
                let terms = words.iter().map(|(place, word)| (*place, Term::from_field_text(id, word))).collect();
                let query = PhraseQuery::new_with_offset(terms);
                let weight = query
                    .weight(EnableScoring::disabled_from_schema(self.reader.schema()))
                    .map_err(StoreError::tantivy("preparing a phrase"))?;
                let mut scorer =
                    weight.scorer(self.reader, 1.0).map_err(StoreError::tantivy("looking for a phrase"))?;
                let mut bits = Bits::new(self.reader.max_doc());
                insert_all(&mut scorer, &mut bits);
                Ok(bits.into())
            }
        }
    }

    fn any_word(&self, index: &InvertedIndexReader, id: Field, test: &TextTest) -> Result<Docs, StoreError> {
        let doing = "reading the words of a text";
        let mut bits = Bits::new(self.reader.max_doc());
        if let TextTest::OneOf(words) = test {
            for word in words {
                let term = Term::from_field_text(id, word);
                let postings =
                    index.read_postings(&term, IndexRecordOption::Basic).map_err(StoreError::column(doing))?;
                if let Some(mut postings) = postings {
                    insert_all(&mut postings, &mut bits);
                }
            }
            return Ok(bits.into());
        }
        let beginning = match test {
            TextTest::Prefix(beginning) | TextTest::Fits { beginning, .. } => beginning.as_str(),
            TextTest::Between(Bound::Inclusive(low) | Bound::Exclusive(low), _) => &text(low).unwrap_or_default(),
            TextTest::Between(Bound::Open, _) | TextTest::OneOf(_) => "",
        };
        let mut words = index.terms().range().ge(beginning).into_stream().map_err(StoreError::column(doing))?;
        while words.advance() {
            let Ok(word) = std::str::from_utf8(words.key()) else { continue };
            let fits = match test {
                TextTest::Prefix(beginning) if !word.starts_with(beginning.as_str()) => break,
                TextTest::Fits { beginning, .. } if !word.starts_with(beginning.as_str()) => break,
                TextTest::Prefix(_) => true,
                TextTest::Fits { pattern, .. } => pattern.is_match(word),
                TextTest::Between(low, high) => in_texts(word, low, high),
                TextTest::OneOf(_) => false,
            };
            if fits {
                let mut postings = index
                    .read_postings_from_terminfo(words.value(), IndexRecordOption::Basic)
                    .map_err(StoreError::column(doing))?;
                insert_all(&mut postings, &mut bits);
            }
        }
        Ok(bits.into())
    }
}

fn insert_all<D: DocSet + ?Sized>(docs: &mut D, bits: &mut Bits) {
    let mut doc = docs.doc();
    while doc != TERMINATED {
        bits.insert(doc);
        doc = docs.advance();
    }
}

/// The places in a dictionary of the texts that fulfil a test, as ranges.
fn ordinals(dictionary: &Dictionary, test: &TextTest) -> Result<Vec<(u64, u64)>, StoreError> {
    let doing = "looking into a dictionary";
    let terms = dictionary.num_terms() as u64;
    let from = |key: &str| -> Result<u64, StoreError> {
        Ok(match dictionary.term_ord_or_next(key).map_err(StoreError::column(doing))? {
            TermOrdHit::Exact(ord) | TermOrdHit::Next(ord) => ord.min(terms),
        })
    };
    let mut ranges = Vec::new();
    match test {
        TextTest::OneOf(texts) => {
            for text in texts {
                if let Some(ord) = dictionary.term_ord(text).map_err(StoreError::column(doing))? {
                    ranges.push((ord, ord));
                }
            }
        }
        TextTest::Between(lower, upper) => {
            let after = |key: &str| -> Result<u64, StoreError> {
                let ord = dictionary.term_ord(key).map_err(StoreError::column(doing))?;
                ord.map_or_else(|| from(key), |ord| Ok(ord + 1))
            };
            let start = match lower {
                Bound::Open => Some(0),
                Bound::Inclusive(low) => text(low).map(|low| from(&low)).transpose()?,
                Bound::Exclusive(low) => text(low).map(|low| after(&low)).transpose()?,
            };
            let end = match upper {
                Bound::Open => Some(terms),
                Bound::Inclusive(high) => text(high).map(|high| after(&high)).transpose()?,
                Bound::Exclusive(high) => text(high).map(|high| from(&high)).transpose()?,
            };
            if let (Some(start), Some(end)) = (start, end)
                && start < end
            {
                ranges.push((start, end - 1));
            }
        }
        TextTest::Prefix(beginning) => {
            let start = from(beginning)?;
            let mut stream = dictionary.prefix_range(beginning).into_stream().map_err(StoreError::column(doing))?;
            let mut end = start;
            while stream.advance() {
                end += 1;
            }
            if end > start {
                ranges.push((start, end - 1));
            }
        }
        TextTest::Fits { pattern, beginning } => {
            let mut ord = from(beginning)?;
            let mut stream = dictionary.prefix_range(beginning).into_stream().map_err(StoreError::column(doing))?;
            while stream.advance() {
                if std::str::from_utf8(stream.key()).is_ok_and(|text| pattern.is_match(text)) {
                    ranges.push((ord, ord));
                }
                ord += 1;
            }
        }
    }
    Ok(ranges)
}

/// Documents with a value in one of the ranges.
fn in_ranges(column: &ValueColumn, mut ranges: Vec<(u64, u64)>, max_doc: u32) -> Docs {
    /// Up to here one fast pass for each range is cheaper than a slow pass for all.
    const PASSES_MAX: usize = 4;
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
            _ => merged.push((low, high)),
        }
    }
    if merged.len() <= PASSES_MAX {
        let pass = |docs: Docs, (low, high): (u64, u64)| docs.or(column.between(low, high, max_doc));
        return merged.into_iter().fold(Docs::None, pass);
    }
    column.any(max_doc, |value| {
        let after = merged.partition_point(|(low, _)| *low <= value);
        after > 0 && value <= merged[after - 1].1
    })
}
