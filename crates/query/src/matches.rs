//! The truth about one document in memory: for tags when a record is shaped, and as the model the store is tested
//! against.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use crate::ast::{BoolQuery, Bound, MatchMode, Query};
use crate::date::{Zone, parse_date};
use crate::error::ParseError;
use crate::fields::{FieldKind, Fields};
use crate::text::{Pattern, positioned_words, words};

/// Whether a document fulfils a query; `now` in dates is the present moment.
///
/// A field with several values fulfils a condition if one of them does. Field names may be aliases; dots lead into
/// objects. A value that cannot be what the field holds (`duration_ms:abc`) is fulfilled by no document; [`validate`]
/// tells it beforehand. `_id` is the document's `_id` or else its `seq`.
pub fn matches(query: &Query, document: &Map<String, Value>, fields: &Fields) -> bool {
    matches_at(query, document, fields, Timestamp::now().as_millisecond())
}

/// [`matches()`] with the moment that `now` stands for, in milliseconds since 1970.
pub fn matches_at(query: &Query, document: &Map<String, Value>, fields: &Fields, now_ms: i64) -> bool {
    Document { source: document, fields, now_ms }.fulfils(query)
}

/// Tells conditions that no document can fulfil because a value does not fit its field: words compared with numbers,
/// unreadable dates, patterns over numbers. Elasticsearch refuses the same.
pub fn validate(query: &Query, fields: &Fields, now_ms: i64) -> Result<(), ParseError> {
    match query {
        Query::MatchAll | Query::MatchNone | Query::Exists { .. } | Query::Ids(_) => Ok(()),
        Query::Term { field, value } => check_value(field, value, fields, now_ms, None),
        Query::Terms { field, values } => {
            values.iter().try_for_each(|value| check_value(field, value, fields, now_ms, None))
        }
        Query::Match { field, text, .. } => check_value(field, &Value::from(text.as_str()), fields, now_ms, None),
        Query::Range { field, lower, upper, time_zone } => [lower, upper].into_iter().try_for_each(|end| match end {
            Bound::Open => Ok(()),
            Bound::Inclusive(value) | Bound::Exclusive(value) => {
                check_value(field, value, fields, now_ms, time_zone.as_deref())
            }
        }),
        Query::Prefix { field, .. } | Query::Wildcard { field, .. } => match fields.kind(field) {
            None | Some(FieldKind::Keyword | FieldKind::Text) => Ok(()),
            Some(kind) => Err(ParseError::shard(format!(
                "prefix and wildcard conditions need a keyword or text field, [{field}] is {}",
                name_of(kind)
            ))),
        },
        Query::Bool(BoolQuery { must, filter, should, must_not, .. }) => must
            .iter()
            .chain(filter)
            .chain(should)
            .chain(must_not)
            .try_for_each(|query| validate(query, fields, now_ms)),
    }
}

fn check_value(field: &str, value: &Value, fields: &Fields, now_ms: i64, zone: Option<&str>) -> Result<(), ParseError> {
    let kind = fields.kind(field);
    let is_readable = match kind {
        None | Some(FieldKind::Keyword | FieldKind::Text) => true,
        Some(FieldKind::Long | FieldKind::Double) => Numeric::read(value).is_some(),
        Some(FieldKind::Boolean) => boolean(value).is_some(),
        Some(FieldKind::Date) => return parse_date(value, false, now_ms, zone).map(|_| ()),
    };
    if is_readable {
        return Ok(());
    }
    let kind = kind.map_or("", name_of);
    Err(ParseError::shard(format!("failed to create query: [{field}] is {kind} and cannot be compared with {value}")))
}

fn name_of(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Keyword => "a keyword",
        FieldKind::Text => "a text",
        FieldKind::Long => "a whole number",
        FieldKind::Double => "a number",
        FieldKind::Boolean => "a boolean",
        FieldKind::Date => "a date",
    }
}

struct Document<'a> {
    source: &'a Map<String, Value>,
    fields: &'a Fields,
    now_ms: i64,
}

impl Document<'_> {
    fn fulfils(&self, query: &Query) -> bool {
        match query {
            Query::MatchAll => true,
            Query::MatchNone => false,
            Query::Term { field, value } => self.has_term(field, value),
            Query::Terms { field, values } => values.iter().any(|value| self.has_term(field, value)),
            Query::Match { field, text, mode } => self.has_match(field, text, *mode),
            Query::Range { field, lower, upper, time_zone } => self.in_range(field, lower, upper, time_zone.as_deref()),
            Query::Exists { field } => self.any(field, |_| true),
            Query::Prefix { field, value } => self.fits(
                field,
                |kind| if kind == Some(FieldKind::Text) { value.to_lowercase() } else { value.clone() },
                |beginning: &String, text| text.starts_with(beginning.as_str()),
            ),
            Query::Wildcard { field, pattern } => self.fits(
                field,
                |kind| match kind {
                    Some(FieldKind::Text) => Pattern::new(&pattern.to_lowercase()),
                    _ => Pattern::new(pattern),
                },
                Pattern::is_match,
            ),
            Query::Ids(ids) => self.id().is_some_and(|id| ids.contains(&id)),
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
        let id = self.source.get("_id").or_else(|| self.source.get("seq"))?;
        Some(text(id)?.into_owned())
    }

    /// Whether one of the field's values fulfils a condition.
    fn any(&self, field: &str, mut test: impl FnMut(&Value) -> bool) -> bool {
        any_value(self.source, self.fields.canonical(field), &mut test)
    }

    fn has_term(&self, field: &str, wanted: &Value) -> bool {
        match self.fields.kind(field) {
            Some(FieldKind::Keyword) => {
                let Some(wanted) = text(wanted) else { return false };
                self.any(field, |value| text(value).is_some_and(|value| value == wanted))
            }
            Some(FieldKind::Text) => {
                let Some(wanted) = text(wanted) else { return false };
                self.any(field, |value| text(value).is_some_and(|value| words(&value).any(|word| word == wanted)))
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
                value => text(value).is_some_and(|value| text(wanted).is_some_and(|wanted| value == wanted)),
            }),
        }
    }

    fn has_match(&self, field: &str, wanted: &str, mode: MatchMode) -> bool {
        if self.fields.kind(field) != Some(FieldKind::Text) {
            return self.has_term(field, &Value::from(wanted));
        }
        let wanted: Vec<(usize, String)> = positioned_words(wanted).collect();
        let Some((first_place, _)) = wanted.first() else { return false };
        self.any(field, |value| {
            let Some(value) = text(value) else { return false };
            let found: Vec<(usize, String)> = positioned_words(&value).collect();
            let has = |word: &str| found.iter().any(|(_, other)| other == word);
            match mode {
                MatchMode::Any => wanted.iter().any(|(_, word)| has(word)),
                MatchMode::All => wanted.iter().all(|(_, word)| has(word)),
                MatchMode::Phrase => found.iter().any(|(start, _)| {
                    wanted.iter().all(|(place, word)| {
                        let place = start + place - first_place;
                        found
                            .binary_search_by_key(&place, |(place, _)| *place)
                            .is_ok_and(|index| found[index].1 == *word)
                    })
                }),
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
                text(value).is_some_and(|text| words(&text).any(|word| in_texts(&word, lower, upper)))
            }),
            Some(FieldKind::Keyword | FieldKind::Boolean) => {
                self.any(field, |value| text(value).is_some_and(|value| in_texts(&value, lower, upper)))
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
                value => text(value).is_some_and(|value| in_texts(&value, lower, upper)),
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
    fn fits<P>(
        &self,
        field: &str,
        pattern: impl FnOnce(Option<FieldKind>) -> P,
        is_match: impl Fn(&P, &str) -> bool,
    ) -> bool {
        let kind = self.fields.kind(field);
        let pattern = pattern(kind);
        match kind {
            Some(FieldKind::Text) => self
                .any(field, |value| text(value).is_some_and(|text| words(&text).any(|word| is_match(&pattern, &word)))),
            Some(FieldKind::Keyword) => {
                self.any(field, |value| text(value).is_some_and(|text| is_match(&pattern, &text)))
            }
            None => self.any(field, |value| value.as_str().is_some_and(|text| is_match(&pattern, text))),
            Some(FieldKind::Long | FieldKind::Double | FieldKind::Boolean | FieldKind::Date) => false,
        }
    }
}

/// Looks a name up: as it is written, then dot by dot into objects. Visits each value, those of arrays one by one, until
/// `test` says yes.
fn any_value(document: &Map<String, Value>, name: &str, test: &mut impl FnMut(&Value) -> bool) -> bool {
    if let Some(value) = document.get(name)
        && any_leaf(value, test)
    {
        return true;
    }
    name.match_indices('.').any(|(dot, _)| match document.get(&name[..dot]) {
        Some(inner) => any_inside(inner, &name[dot + 1..], test),
        None => false,
    })
}

fn any_inside(value: &Value, rest: &str, test: &mut impl FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Object(object) => any_value(object, rest, test),
        Value::Array(items) => items.iter().any(|item| any_inside(item, rest, test)),
        _ => false,
    }
}

fn any_leaf(value: &Value, test: &mut impl FnMut(&Value) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => items.iter().any(|item| any_leaf(item, test)),
        Value::Object(object) => object.values().any(|value| any_leaf(value, test)),
        value => test(value),
    }
}

/// One end of a range with its value read.
enum End<T> {
    Open,
    Inclusive(T),
    Exclusive(T),
}

impl<T> End<T> {
    /// `None` when the value cannot be read.
    fn read(bound: &Bound, read: impl FnOnce(&Value) -> Option<T>) -> Option<Self> {
        Some(match bound {
            Bound::Open => Self::Open,
            Bound::Inclusive(value) => Self::Inclusive(read(value)?),
            Bound::Exclusive(value) => Self::Exclusive(read(value)?),
        })
    }

    /// `compare` looks from the bound towards the inside: greater is well inside.
    fn admits(&self, compare: impl FnOnce(&T) -> Ordering) -> bool {
        match self {
            Self::Open => true,
            Self::Inclusive(end) => compare(end).is_ge(),
            Self::Exclusive(end) => compare(end).is_gt(),
        }
    }
}

fn in_texts(value: &str, lower: &Bound, upper: &Bound) -> bool {
    let read = |value: &Value| text(value).map(Cow::into_owned);
    let (Some(lower), Some(upper)) = (End::read(lower, read), End::read(upper, read)) else { return false };
    lower.admits(|lower| value.cmp(lower.as_str())) && upper.admits(|upper| upper.as_str().cmp(value))
}

/// The text of a string, number or boolean.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text == "true" => Some(true),
        // Elasticsearch takes an empty string for false.
        Value::String(text) if text == "false" || text.is_empty() => Some(false),
        _ => None,
    }
}

/// A number that is compared exactly as long as it is whole.
#[derive(Clone, Copy, Debug)]
enum Numeric {
    Whole(i128),
    Fraction(f64),
}

impl Numeric {
    /// Numbers, and strings of a number.
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self::of(number)),
            Value::String(text) => {
                let text = text.trim();
                if let Ok(whole) = text.parse::<i64>() {
                    return Some(Self::Whole(whole.into()));
                }
                text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Self::Fraction)
            }
            _ => None,
        }
    }

    fn of(number: &Number) -> Self {
        let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
        whole.map_or_else(|| Self::Fraction(number.as_f64().unwrap_or_default()), Self::Whole)
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(a), Self::Whole(b)) => a.cmp(&b),
            _ => self.as_f64().total_cmp(&other.as_f64()),
        }
    }

    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            // -0 equals 0 as a number.
            Self::Fraction(fraction) => fraction + 0.0,
        }
    }
}
