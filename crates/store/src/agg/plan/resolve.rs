//! From the plan of a query to what runs: fields, dates, zones and conditions of each kind of aggregation.

use std::collections::HashMap;

use serde_json::Value;
use tollhouse_query::TimeFormat;
use tollhouse_query::ast::{self, AggKind, AutoUnit, Bounds, CalendarUnit, Interval, Metric, SourceKind, Values};
use tollhouse_query::date::Zone;
use tollhouse_query::fields::FieldKind;

use super::super::key::Key;
use super::missing::{exact_number, key_of, number_of};
use super::order::orders;
use super::{
    AggPlan, AutoDate, Background, Bucketing, Chosen, Composite, DateHistogram, Histogram, Kind, MultiTerms, Planner,
    RangeLimits, Ranges, Rounding, Select, Source, Steps, TermsAnswer, TermsPlan, ValuesOf,
};
use crate::error::StoreError;
use crate::field::FieldRef;
use crate::filter::Filter;
use crate::sort::SortPlan;

/// Narrowest bucket of a histogram.
const HISTOGRAM_INTERVAL_MIN: f64 = 1e-6;

impl Planner<'_> {
    pub(super) fn kind(&self, name: &str, kind: &AggKind, subs: &[AggPlan]) -> Result<Kind, StoreError> {
        Ok(match kind {
            AggKind::DateHistogram(asked) => Kind::DateHistogram(self.date_histogram(name, asked, subs)?),
            AggKind::AutoDateHistogram(asked) => Kind::AutoDate(self.auto_date(asked)?),
            AggKind::Histogram(asked) => Kind::Histogram(self.histogram(name, asked, subs)?),
            AggKind::Terms(asked) => Kind::Terms(Box::new(self.terms(name, asked, subs)?)),
            AggKind::RareTerms { field, max_doc_count, missing, select } => {
                let answer = TermsAnswer::Rare { max_doc_count: *max_doc_count };
                Kind::Terms(Box::new(self.special_terms(name, field, missing.as_ref(), select, answer)?))
            }
            AggKind::SignificantTerms(asked) => {
                let filter = asked.background.as_ref().map_or(Ok(Filter::All), |query| self.filter(query))?;
                let background = Background { filter: Box::new(filter), docs: 0, counts: HashMap::new() };
                let (size, min_doc_count) = (asked.size, asked.min_doc_count);
                let answer = TermsAnswer::Significant { size, min_doc_count, background };
                Kind::Terms(Box::new(self.special_terms(name, &asked.field, None, &asked.select, answer)?))
            }
            AggKind::MultiTerms(asked) => Kind::MultiTerms(self.multi_terms(name, asked, subs)?),
            AggKind::Composite(asked) => Kind::Composite(self.composite(name, asked)?),
            AggKind::Filters(asked) => {
                let (names, queries): (Vec<_>, Vec<_>) =
                    asked.filters.iter().map(|(name, query)| (name.clone(), query)).unzip();
                Kind::Filters { names, filters: self.filters(queries)?, other: asked.other.clone(), keyed: asked.keyed }
            }
            AggKind::AdjacencyMatrix { filters, separator } => {
                let (names, queries): (Vec<_>, Vec<_>) =
                    filters.iter().map(|(name, query)| (name.clone(), query)).unzip();
                Kind::Adjacency { names, filters: self.filters(queries)?, separator: separator.clone() }
            }
            AggKind::Filter(query) => Kind::Filter(self.filter(query)?),
            AggKind::Global => Kind::Global,
            AggKind::Range(asked) => Kind::Range(self.range(asked)?),
            AggKind::Missing { field } => Kind::Missing(self.value_field(field)?),
            AggKind::Metric { metric, field, missing, format } => {
                self.metric(*metric, field, missing.as_ref(), format.as_ref())?
            }
            AggKind::WeightedAvg { value, weight } => {
                let part = |(field, missing): &(String, Option<f64>)| {
                    Ok::<_, StoreError>(ValuesOf {
                        field: self.number_field(field, "weighted_avg")?,
                        missing: *missing,
                    })
                };
                Kind::WeightedAvg { value: part(value)?, weight: part(weight)? }
            }
            AggKind::Percentiles { field, percents, keyed, missing } => {
                let mut percents = percents.clone();
                percents.sort_by(f64::total_cmp);
                let values = self.values(field, "percentiles", missing.as_ref())?;
                Kind::Percentiles { values, percents, keyed: *keyed }
            }
            AggKind::PercentileRanks { field, values, keyed, missing } => {
                let mut limits = values.clone();
                limits.sort_by(f64::total_cmp);
                let values = self.values(field, "percentile_ranks", missing.as_ref())?;
                Kind::Ranks { values, limits, keyed: *keyed }
            }
            AggKind::MedianAbsoluteDeviation { field, missing } => {
                Kind::Deviation(self.values(field, "median_absolute_deviation", missing.as_ref())?)
            }
            AggKind::Cardinality { field, missing } => {
                let field = self.value_field(field)?;
                let missing = missing.as_ref().map(|value| key_of(value, &field, self.moment)).transpose()?;
                Kind::Cardinality { field, missing }
            }
            AggKind::TopHits { from, size, sort, source } => {
                let sort = SortPlan::new(sort, self.fields, self.moment)?;
                Kind::TopHits { from: *from, size: *size, sort, source: source.clone() }
            }
            AggKind::TopMetrics { metrics, size, sort } => {
                let metrics = metrics.iter().map(|name| Ok((name.clone(), self.value_field(name)?)));
                let sort_field = match sort.first().map(|key| key.field.as_str()) {
                    None | Some("_score" | "_doc") => None,
                    Some(field) => Some(self.value_field(field)?),
                };
                Kind::TopMetrics {
                    metrics: metrics.collect::<Result<_, StoreError>>()?,
                    size: *size,
                    sort: SortPlan::new(sort, self.fields, self.moment)?,
                    sort_field,
                }
            }
            AggKind::Pipeline(_) => unreachable!("pipelines are taken out before"),
        })
    }

    fn filter(&self, query: &ast::Query) -> Result<Filter, StoreError> {
        Filter::plan(query, self.fields, self.moment)
    }

    fn filters(&self, queries: Vec<&ast::Query>) -> Result<Vec<Filter>, StoreError> {
        queries.into_iter().map(|query| self.filter(query)).collect()
    }

    fn date_histogram(
        &self,
        name: &str,
        asked: &ast::DateHistogram,
        subs: &[AggPlan],
    ) -> Result<DateHistogram, StoreError> {
        let field = self.number_field(&asked.field, "date_histogram")?;
        let zone = zone_of(asked.time_zone.as_deref())?;
        let rounding = Rounding::new(zone, asked.interval, asked.offset_ms);
        let bounds = self.dates(asked.extended_bounds.as_ref(), asked.format.as_ref(), rounding.zone())?;
        let hard_bounds = self.dates(asked.hard_bounds.as_ref(), asked.format.as_ref(), rounding.zone())?;
        check_bounds(name, bounds, hard_bounds)?;
        let missing = match &asked.missing {
            Some(value) => Some(self.date(value, asked.format.as_ref(), rounding.zone())?),
            None => None,
        };
        let floor = |(min, max): (Option<i64>, Option<i64>)| {
            (min.map(|min| rounding.floor(min)), max.map(|max| rounding.floor(max)))
        };
        Ok(DateHistogram {
            bounds: floor(bounds),
            hard_bounds: floor(hard_bounds),
            field,
            rounding,
            format: asked.format.clone(),
            min_doc_count: asked.min_doc_count,
            keyed: asked.keyed,
            order: orders(&asked.order, name, subs)?,
            missing,
        })
    }

    fn dates(
        &self,
        bounds: Option<&Bounds<Value>>,
        format: Option<&TimeFormat>,
        zone: &Zone,
    ) -> Result<(Option<i64>, Option<i64>), StoreError> {
        let end = |value: &Option<Value>| value.as_ref().map(|value| self.date(value, format, zone)).transpose();
        bounds.map_or(Ok((None, None)), |bounds| Ok((end(&bounds.min)?, end(&bounds.max)?)))
    }

    /// Numbers are milliseconds whatever the format.
    fn date(&self, value: &Value, format: Option<&TimeFormat>, zone: &Zone) -> Result<i64, StoreError> {
        Ok(match format {
            Some(format) if value.is_string() => format.read(value, false, self.moment.now_ms, zone)?,
            _ => zone.parse_date(value, false, self.moment.now_ms)?,
        })
    }

    fn auto_date(&self, asked: &ast::AutoDateHistogram) -> Result<AutoDate, StoreError> {
        let field = self.number_field(&asked.field, "auto_date_histogram")?;
        let zone = zone_of(asked.time_zone.as_deref())?;
        let missing = match &asked.missing {
            Some(value) => Some(self.date(value, asked.format.as_ref(), &zone)?),
            None => None,
        };
        let least = asked.minimum_unit.unwrap_or(AutoUnit::Second);
        let steps = AUTO_UNITS.iter().filter(|(unit, ..)| *unit >= least);
        let steps = steps.map(|(_, interval, length_ms, multiples, unit)| Steps {
            rounding: Rounding::new(zone.clone(), *interval, 0),
            length_ms: *length_ms,
            multiples,
            unit,
        });
        Ok(AutoDate {
            field,
            steps: steps.collect(),
            zone,
            format: asked.format.clone(),
            target: asked.buckets,
            missing,
        })
    }

    fn histogram(&self, name: &str, asked: &ast::Histogram, subs: &[AggPlan]) -> Result<Histogram, StoreError> {
        if !(asked.interval.is_finite() && asked.interval > 0.0) {
            return Err(StoreError::invalid("[interval] must be >0 for histogram aggregation"));
        }
        // Steps are counted in whole numbers; the values of records leave those only below this width.
        if asked.interval < HISTOGRAM_INTERVAL_MIN {
            return Err(StoreError::invalid("[interval] must be at least 0.000001 for histogram aggregation"));
        }
        let both = |bounds: Option<Bounds<f64>>| bounds.map_or((None, None), |bounds| (bounds.min, bounds.max));
        let (bounds, hard_bounds) = (both(asked.extended_bounds), both(asked.hard_bounds));
        check_bounds(name, bounds, hard_bounds)?;
        let mut histogram = Histogram {
            field: self.number_field(&asked.field, "histogram")?,
            interval: asked.interval,
            // A shift by a whole width is none.
            offset: asked.offset.rem_euclid(asked.interval),
            min_doc_count: asked.min_doc_count,
            bounds: (None, None),
            hard_bounds: (None, None),
            keyed: asked.keyed,
            order: orders(&asked.order, name, subs)?,
            missing: asked.missing,
        };
        histogram.bounds = (bounds.0.and_then(|min| histogram.step(min)), bounds.1.and_then(|max| histogram.step(max)));
        histogram.hard_bounds = hard_bounds;
        Ok(histogram)
    }

    fn terms(&self, name: &str, asked: &ast::Terms, subs: &[AggPlan]) -> Result<TermsPlan, StoreError> {
        let field = self.value_field(&asked.field)?;
        let missing = asked.missing.as_ref().map(|value| key_of(value, &field, self.moment)).transpose()?;
        Ok(TermsPlan {
            missing,
            select: self.select(name, &asked.select, &field)?,
            order: orders(&asked.order, name, subs)?,
            answer: TermsAnswer::Frequent {
                size: asked.size,
                min_doc_count: asked.min_doc_count,
                show_error: asked.show_error,
                universe: Vec::new(),
            },
            field,
        })
    }

    fn special_terms(
        &self,
        name: &str,
        field: &str,
        missing: Option<&Value>,
        select: &ast::Select,
        answer: TermsAnswer,
    ) -> Result<TermsPlan, StoreError> {
        let field = self.value_field(field)?;
        let missing = missing.map(|value| key_of(value, &field, self.moment)).transpose()?;
        let select = self.select(name, select, &field)?;
        Ok(TermsPlan { field, order: Vec::new(), missing, select, answer })
    }

    fn select(&self, name: &str, select: &ast::Select, field: &FieldRef) -> Result<Select, StoreError> {
        let chosen = |values: &Values| match values {
            Values::Fitting(_) if !matches!(field.kind, Some(FieldKind::Keyword) | None) => {
                Err(StoreError::invalid(format!(
                    "Aggregation [{name}] cannot support regular expression style include/exclude settings as they can \
                     only be applied to string fields. Use an array of values for include/exclude clauses"
                )))
            }
            Values::Fitting(regexp) => Ok(Chosen::Fitting(regexp.clone())),
            Values::List(list) => {
                let mut texts = Vec::new();
                let mut numbers = Vec::new();
                for value in list {
                    numbers.extend(exact_number(value, field, self.moment)?);
                    match value {
                        Value::String(text) => texts.push(text.clone()),
                        // An undeclared field's texts are other values than its numbers.
                        other if field.kind.is_some() => texts.push(other.to_string()),
                        _ => {}
                    }
                }
                Ok(Chosen::List { texts, numbers })
            }
        };
        Ok(Select {
            include: select.include.as_ref().map(chosen).transpose()?,
            exclude: select.exclude.as_ref().map(chosen).transpose()?,
        })
    }

    fn multi_terms(&self, name: &str, asked: &ast::MultiTerms, subs: &[AggPlan]) -> Result<MultiTerms, StoreError> {
        let mut fields = Vec::with_capacity(asked.fields.len());
        for (field, missing) in &asked.fields {
            let field = self.value_field(field)?;
            let missing = missing.as_ref().map(|value| key_of(value, &field, self.moment)).transpose()?;
            fields.push((field, missing));
        }
        Ok(MultiTerms {
            fields,
            size: asked.size,
            order: orders(&asked.order, name, subs)?,
            min_doc_count: asked.min_doc_count,
            show_error: asked.show_error,
        })
    }

    fn composite(&self, name: &str, asked: &ast::Composite) -> Result<Composite, StoreError> {
        let mut sources = Vec::with_capacity(asked.sources.len());
        for (source_name, source) in &asked.sources {
            let (field, bucketing) = match &source.kind {
                SourceKind::Terms => (self.value_field(&source.field)?, Bucketing::Value),
                SourceKind::Histogram { interval } if *interval < HISTOGRAM_INTERVAL_MIN => {
                    return Err(StoreError::invalid("[interval] must be at least 0.000001 for [histogram] source"));
                }
                SourceKind::Histogram { interval } => {
                    (self.number_field(&source.field, "histogram")?, Bucketing::Histogram(*interval))
                }
                SourceKind::DateHistogram { interval, offset_ms, time_zone, format } => {
                    let rounding = Rounding::new(zone_of(time_zone.as_deref())?, *interval, *offset_ms);
                    (self.number_field(&source.field, "date_histogram")?, Bucketing::Date(rounding, format.clone()))
                }
            };
            sources.push(Source {
                name: source_name.clone(),
                field,
                bucketing,
                descending: source.descending,
                missing: source.missing,
            });
        }
        let after = match &asked.after {
            None => None,
            Some(values) => {
                let keys = sources.iter().zip(values).map(|(source, value)| self.after(name, source, value));
                Some(keys.collect::<Result<_, _>>()?)
            }
        };
        Ok(Composite { sources, size: asked.size, after })
    }

    fn after(&self, name: &str, source: &Source, value: &Value) -> Result<Key, StoreError> {
        if value.is_null() {
            return Ok(Key::Missing);
        }
        let bad = |why: &str| {
            StoreError::invalid(format!(
                "Cannot set after key in the composite aggregation [{name}] - incompatible value for [{}]: {why}",
                source.name
            ))
        };
        match &source.bucketing {
            Bucketing::Value if source.field.kind == Some(FieldKind::Keyword) && !value.is_string() => {
                Err(bad("invalid value, expected string"))
            }
            Bucketing::Value => key_of(value, &source.field, self.moment).map_err(|error| bad(&error.to_string())),
            Bucketing::Histogram(interval) => {
                let border = number_of(value, &source.field, self.moment).map_err(|error| bad(&error.to_string()))?;
                Ok(Key::Whole((border / interval).round() as i64))
            }
            Bucketing::Date(rounding, format) => {
                let date = self.date(value, format.as_ref(), rounding.zone());
                date.map(Key::Whole).map_err(|error| bad(&error.to_string()))
            }
        }
    }

    fn range(&self, asked: &ast::Ranges) -> Result<Ranges, StoreError> {
        let field = self.number_field(&asked.field, if asked.are_dates { "date_range" } else { "range" })?;
        let zone = zone_of(asked.time_zone.as_deref())?;
        let is_date = field.kind.map_or(asked.are_dates, |kind| kind == FieldKind::Date);
        let format = asked.format.as_ref();
        let read = |value: &Value| match format {
            _ if !is_date => number_of(value, &field, self.moment),
            Some(format) => Ok(format.read(value, false, self.moment.now_ms, &zone)? as f64),
            None => Ok(zone.parse_date(value, false, self.moment.now_ms)? as f64),
        };
        let text = |limit: Option<f64>| match (limit, field.kind) {
            (Some(ms), _) if is_date => Some(write_date(ms as i64, format, &zone).into()),
            (Some(limit), Some(FieldKind::Boolean)) => Some(Value::Bool(limit != 0.0)),
            _ => None,
        };
        let mut ranges = Vec::with_capacity(asked.ranges.len());
        for range in &asked.ranges {
            let (from, to) = (range.from.as_ref().map(read).transpose()?, range.to.as_ref().map(read).transpose()?);
            let (from_text, to_text) = (text(from), text(to));
            let limit = |number: Option<f64>, text: &Option<Value>| match (text, number) {
                (Some(Value::String(text)), _) => text.clone(),
                (Some(text), _) => text.to_string(),
                (None, Some(number)) => format!("{number:?}"),
                (None, None) => "*".to_owned(),
            };
            let key = range.key.clone();
            let key = key.unwrap_or_else(|| format!("{}-{}", limit(from, &from_text), limit(to, &to_text)));
            ranges.push(RangeLimits { key, from, to, from_text, to_text });
        }
        let missing = asked.missing.as_ref().map(read).transpose()?;
        Ok(Ranges { list: sorted(ranges), keyed: asked.keyed, missing, field })
    }

    fn metric(
        &self,
        metric: Metric,
        field: &str,
        missing: Option<&Value>,
        format: Option<&TimeFormat>,
    ) -> Result<Kind, StoreError> {
        let values = if metric == Metric::ValueCount {
            // Whatever stands for a missing value is one.
            ValuesOf { field: self.value_field(field)?, missing: missing.map(|_| 0.0) }
        } else {
            self.values(field, metric.name(), missing)?
        };
        if format.is_some() && values.field.kind != Some(FieldKind::Date) {
            return Err(StoreError::invalid(format!(
                "[format] of [{}] is supported for dates only, and [{}] is none",
                metric.name(),
                values.field.name
            )));
        }
        Ok(Kind::Metric { metric, values, format: format.cloned() })
    }

    fn values(&self, field: &str, agg: &str, missing: Option<&Value>) -> Result<ValuesOf, StoreError> {
        let field = self.number_field(field, agg)?;
        let missing = missing.map(|value| number_of(value, &field, self.moment)).transpose()?;
        Ok(ValuesOf { field, missing })
    }

    /// A field whose values can be told apart.
    fn value_field(&self, name: &str) -> Result<FieldRef, StoreError> {
        let field = FieldRef::resolve(name, self.fields);
        if field.kind == Some(FieldKind::Text) {
            return Err(StoreError::text_has_no_values(&field.name));
        }
        Ok(field)
    }

    /// A field that one can calculate with.
    fn number_field(&self, name: &str, agg: &str) -> Result<FieldRef, StoreError> {
        let field = self.value_field(name)?;
        if field.kind == Some(FieldKind::Keyword) {
            return Err(StoreError::invalid(format!(
                "Field [{}] of type [keyword] is not supported for aggregation [{agg}]",
                field.name
            )));
        }
        Ok(field)
    }
}

/// Units of `auto_date_histogram`: width, about how long it is, how many can be put together, and its letter.
const AUTO_UNITS: [(AutoUnit, Interval, i64, &[usize], &str); 6] = [
    (AutoUnit::Second, Interval::Fixed(1_000), 1_000, &[1, 5, 10, 30], "s"),
    (AutoUnit::Minute, Interval::Calendar(CalendarUnit::Minute), 60_000, &[1, 5, 10, 30], "m"),
    (AutoUnit::Hour, Interval::Calendar(CalendarUnit::Hour), 3_600_000, &[1, 3, 12], "h"),
    (AutoUnit::Day, Interval::Calendar(CalendarUnit::Day), 86_400_000, &[1, 7], "d"),
    (AutoUnit::Month, Interval::Calendar(CalendarUnit::Month), 30 * 86_400_000, &[1, 3], "M"),
    (AutoUnit::Year, Interval::Calendar(CalendarUnit::Year), 365 * 86_400_000, &[1, 5, 10, 20, 50, 100], "y"),
];

/// A date as a format writes it, or else as RFC 3339.
pub(crate) fn write_date(ms: i64, format: Option<&TimeFormat>, zone: &Zone) -> String {
    format.map_or_else(|| zone.format(ms), |format| format.write(ms, zone))
}

fn zone_of(text: Option<&str>) -> Result<Zone, StoreError> {
    Ok(text.map_or(Ok(Zone::utc()), Zone::parse)?)
}

fn check_bounds<T: PartialOrd + std::fmt::Debug + Copy>(
    name: &str,
    bounds: (Option<T>, Option<T>),
    hard: (Option<T>, Option<T>),
) -> Result<(), StoreError> {
    if let (Some(min), Some(max)) = bounds
        && min > max
    {
        return Err(StoreError::invalid(format!(
            "[extended_bounds.min][{min:?}] cannot be greater than [extended_bounds.max][{max:?}] for histogram \
             aggregation [{name}]"
        )));
    }
    let is_outside = |end: Option<T>| {
        end.is_some_and(|end| hard.0.is_some_and(|min| end < min) || hard.1.is_some_and(|max| end > max))
    };
    if is_outside(bounds.0) || is_outside(bounds.1) {
        return Err(StoreError::invalid(format!(
            "Extended bounds have to be inside hard bounds, hard bounds: {hard:?}, extended bounds: {bounds:?} of [{name}]"
        )));
    }
    Ok(())
}

/// As Elasticsearch answers them: by their start, then by their end.
fn sorted(mut ranges: Vec<RangeLimits>) -> Vec<RangeLimits> {
    ranges.sort_by(|a, b| {
        let (from_a, from_b) = (a.from.unwrap_or(f64::NEG_INFINITY), b.from.unwrap_or(f64::NEG_INFINITY));
        let (to_a, to_b) = (a.to.unwrap_or(f64::INFINITY), b.to.unwrap_or(f64::INFINITY));
        from_a.total_cmp(&from_b).then(to_a.total_cmp(&to_b))
    });
    ranges
}
