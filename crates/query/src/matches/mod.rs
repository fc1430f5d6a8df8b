//! The truth about one document in memory: for tags when a record is shaped, and as the model the store is tested
//! against.

mod validate;
mod values;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::ast::{BoolQuery, Bound, Case, MatchMode, Query, TextMatch};
use crate::date::Zone;
use crate::fields::{FieldKind, Fields};
use crate::fit::{Fit, text_of};
use crate::phrase::{PhraseWord, stand_near};
use crate::spread::in_any_field;
use crate::text::{positioned_words, words};
pub use validate::validate;
use values::{End, Numeric, any_value, boolean, in_texts};

/// Whether a document fulfils a query; `now` in dates is the present moment.
///
/// A field with several values fulfils a condition if one of them does. Field names may be aliases; dots lead into
/// objects. A value that cannot be what the field holds (`duration_ms:abc`) is fulfilled by no document; [`validate`]
/// tells it beforehand. `_id` is the document's `_id` or else its `seq`.
pub fn matches(query: &Query, document: &Map<String, Value>, fields: &Fields) -> bool {
    matches_at(query, document, fields, Timestamp::now().as_millisecond())
}

/// [`matches()`] with the moment that `now` stands for, in milliseconds since 1970.
pub fn matches_at(query: &Query, document: &impl Source, fields: &Fields, now_ms: i64) -> bool {
    Document { source: document, fields, now_ms }.fulfils(query)
}

/// What a query can be held against: values by their names.
pub trait Source {
    /// The value of this name, as it is written: dots are a part of it.
    fn field(&self, name: &str) -> Option<Cow<'_, Value>>;
}

impl Source for Map<String, Value> {
    fn field(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.get(name).map(Cow::Borrowed)
    }
}

struct Document<'a, S> {
    source: &'a S,
    fields: &'a Fields,
    now_ms: i64,
}

impl<S: Source> Document<'_, S> {
    fn fulfils(&self, query: &Query) -> bool {
        match query {
            Query::MatchAll => true,
            Query::MatchNone => false,
            Query::Prefix { field, .. }
            | Query::Wildcard { field, .. }
            | Query::Regexp { field, .. }
            | Query::Fuzzy { field, .. }
            | Query::Term { field, case: Case::Ignored, .. } => self.fits(field, query),
            Query::Term { field, value, .. } => self.has_term(field, value),
            Query::Terms { field, values } => values.iter().any(|value| self.has_term(field, value)),
            Query::Match(wanted) => self.has_match(wanted),
            Query::CrossFields { fields, text, mode } => self.fulfils(&in_any_field(fields, text, mode, self.fields)),
            Query::Range { field, lower, upper, time_zone } => self.in_range(field, lower, upper, time_zone.as_deref()),
            Query::Exists { field } => self.any(field, |_| true),
            Query::Lenient(query) => self.fulfils(query),
            Query::Ids(ids) => self.id().is_some_and(|id| ids.contains(&id)),
            Query::Slice { id, max } => {
                self.source.field("seq").and_then(|seq| seq.as_u64()).is_some_and(|seq| seq % max == *id)
            }
            Query::Bool(query) => self.fulfils_bool(query),
        }
    }

    fn fulfils_bool(&self, query: &BoolQuery) -> bool {
        let has_required = !query.must.is_empty() || !query.filter.is_empty();
        let minimum = query.minimum_should_match.unwrap_or(usize::from(!has_required && !query.should.is_empty()));
        query.must.iter().chain(&query.filter).all(|query| self.fulfils(query))
            && !query.must_not.iter().any(|query| self.fulfils(query))
            && (minimum == 0
                || query.should.iter().filter(|query| self.fulfils(query)).take(minimum).count() == minimum)
    }

    fn id(&self) -> Option<String> {
        let id = self.source.field("_id").or_else(|| self.source.field("seq"))?;
        Some(text_of(&id)?.into_owned())
    }

    /// Whether one of the field's values fulfils a condition.
    fn any(&self, field: &str, mut test: impl FnMut(&Value) -> bool) -> bool {
        any_value(self.source, self.fields.canonical(field), &mut test)
    }

    fn has_term(&self, field: &str, wanted: &Value) -> bool {
        match self.fields.kind(field) {
            Some(FieldKind::Keyword) => {
                let Some(wanted) = text_of(wanted) else { return false };
                self.any(field, |value| text_of(value).is_some_and(|value| value == wanted))
            }
            Some(FieldKind::Text) => {
                let Some(wanted) = text_of(wanted) else { return false };
                self.any(field, |value| text_of(value).is_some_and(|value| words(&value).any(|word| word == wanted)))
            }
            Some(FieldKind::Long | FieldKind::Double) => {
                let Some(wanted) = Numeric::read(wanted) else { return false };
                self.any(field, |value| Numeric::read(value).is_some_and(|value| value.compare(wanted).is_eq()))
            }
            Some(FieldKind::Boolean) => {
                let Some(wanted) = boolean(wanted) else { return false };
                self.any(field, |value| boolean(value) == Some(wanted))
            }
            // A day means all of the day.
            Some(FieldKind::Date) => {
                let bound = Bound::Inclusive(wanted.clone());
                self.in_range(field, &bound, &bound, None)
            }
            None => self.any(field, |value| match value {
                Value::Number(number) => {
                    Numeric::read(wanted).is_some_and(|wanted| Numeric::of(number).compare(wanted).is_eq())
                }
                Value::Bool(value) => boolean(wanted) == Some(*value),
                value => text_of(value).is_some_and(|value| text_of(wanted).is_some_and(|wanted| value == wanted)),
            }),
        }
    }

    fn has_match(&self, wanted: &TextMatch) -> bool {
        let TextMatch { field, text, mode, fuzzy, is_open_ended, empty_selects_all } = wanted;
        let kind = self.fields.kind(field);
        if kind != Some(FieldKind::Text) {
            return wanted.as_whole(kind).is_some_and(|query| self.fulfils(&query));
        }
        let wanted: Vec<(usize, String)> = positioned_words(text).collect();
        let Some(last) = wanted.len().checked_sub(1) else { return *empty_selects_all };
        let tests: Vec<WordTest> = wanted
            .into_iter()
            .enumerate()
            .map(|(index, (place, word))| match fuzzy {
                _ if *is_open_ended && index == last => WordTest { place, fit: Ok(Fit::prefix(word)) },
                Some(fuzzy) => WordTest { place, fit: Ok(Fit::similar(&word, *fuzzy)) },
                None => WordTest { place, fit: Err(word) },
            })
            .collect();
        self.any(field, |value| {
            let Some(value) = text_of(value) else { return false };
            let found: Vec<(usize, String)> = positioned_words(&value).collect();
            let has = |test: &&WordTest| found.iter().any(|(_, word)| test.is_match(word));
            match mode {
                MatchMode::Phrase { slop } => is_phrase(&tests, &found, *slop),
                MatchMode::All => tests.iter().all(|test| has(&test)),
                MatchMode::Any => tests.iter().any(|test| has(&test)),
                // A single word is asked for whatever is said of several.
                MatchMode::AtLeast(_) if last == 0 => has(&&tests[0]),
                MatchMode::AtLeast(minimum) => {
                    let needed = minimum.of(tests.len()).max(1);
                    tests.iter().filter(has).take(needed).count() == needed
                }
            }
        })
    }

    fn in_range(&self, field: &str, lower: &Bound, upper: &Bound, zone: Option<&str>) -> bool {
        match self.fields.kind(field) {
            Some(FieldKind::Date) => self.in_dates(field, lower, upper, zone),
            Some(FieldKind::Long | FieldKind::Double) => {
                let (Some(lower), Some(upper)) = (End::read(lower, Numeric::read), End::read(upper, Numeric::read))
                else {
                    return false;
                };
                self.any(field, |value| {
                    Numeric::read(value).is_some_and(|value| {
                        lower.admits(|lower| value.compare(*lower)) && upper.admits(|upper| upper.compare(value))
                    })
                })
            }
            Some(FieldKind::Text) => self.any(field, |value| {
                text_of(value).is_some_and(|text| words(&text).any(|word| in_texts(&word, lower, upper)))
            }),
            Some(FieldKind::Keyword | FieldKind::Boolean) => {
                self.any(field, |value| text_of(value).is_some_and(|value| in_texts(&value, lower, upper)))
            }
            None => self.any(field, |value| match value {
                Value::Number(number) => {
                    let value = Numeric::of(number);
                    let (Some(lower), Some(upper)) = (End::read(lower, Numeric::read), End::read(upper, Numeric::read))
                    else {
                        return false;
                    };
                    lower.admits(|lower| value.compare(*lower)) && upper.admits(|upper| upper.compare(value))
                }
                value => text_of(value).is_some_and(|value| in_texts(&value, lower, upper)),
            }),
        }
    }

    fn in_dates(&self, field: &str, lower: &Bound, upper: &Bound, zone: Option<&str>) -> bool {
        let Ok(zone) = zone.map_or(Ok(Zone::utc()), Zone::parse) else { return false };
        // `gt` and `lte` mean the end of the unit that was written, `gte` and `lt` its beginning.
        let read = |value: &Value, round_up: bool| zone.parse_date(value, round_up, self.now_ms).ok();
        let is_after = matches!(lower, Bound::Exclusive(_));
        let is_through = matches!(upper, Bound::Inclusive(_));
        let lower = End::read(lower, |value| read(value, is_after));
        let upper = End::read(upper, |value| read(value, is_through));
        let (Some(lower), Some(upper)) = (lower, upper) else { return false };
        self.any(field, |value| {
            Zone::utc()
                .parse_date(value, false, self.now_ms)
                .is_ok_and(|value| lower.admits(|lower| value.cmp(lower)) && upper.admits(|upper| upper.cmp(&value)))
        })
    }

    /// Patterns: over the words of a text, over the whole of any other string.
    fn fits(&self, field: &str, query: &Query) -> bool {
        let kind = self.fields.kind(field);
        let Some(fit) = Fit::of(query, kind == Some(FieldKind::Text)) else { return false };
        match kind {
            Some(FieldKind::Text) => {
                self.any(field, |value| text_of(value).is_some_and(|text| words(&text).any(|word| fit.is_match(&word))))
            }
            Some(FieldKind::Keyword) => self.any(field, |value| text_of(value).is_some_and(|text| fit.is_match(&text))),
            None => self.any(field, |value| value.as_str().is_some_and(|text| fit.is_match(text))),
            Some(FieldKind::Long | FieldKind::Double | FieldKind::Boolean | FieldKind::Date) => false,
        }
    }
}

/// What a word of a text must be, and its place among the words that were asked for.
struct WordTest {
    place: usize,
    /// Something of its kind, or exactly this.
    fit: Result<Fit, String>,
}

impl WordTest {
    fn is_match(&self, word: &str) -> bool {
        match &self.fit {
            Ok(fit) => fit.is_match(word),
            Err(wanted) => wanted == word,
        }
    }
}

fn is_phrase(tests: &[WordTest], found: &[(usize, String)], slop: u32) -> bool {
    let places = |test: &WordTest| -> Vec<u32> {
        found.iter().filter(|(_, word)| test.is_match(word)).map(|(place, _)| *place as u32).collect()
    };
    let places: Vec<Vec<u32>> = tests.iter().map(places).collect();
    let phrase: Vec<PhraseWord<'_>> = tests
        .iter()
        .zip(&places)
        .map(|(test, places)| PhraseWord { offset: (test.place - tests[0].place) as u32, places })
        .collect();
    stand_near(&phrase, slop)
}
