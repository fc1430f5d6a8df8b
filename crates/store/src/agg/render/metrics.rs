//! Numbers as Elasticsearch writes them.

use serde_json::{Map, Value, json};
use tollhouse_query::TimeFormat;
use tollhouse_query::ast::Metric;
use tollhouse_query::date::Zone;
use tollhouse_query::fields::FieldKind;

use super::super::key::Key;
use super::super::partial::{Partial, TopValues};
use super::super::plan::Kind;
use super::super::stats::{Spread, Stats};
use crate::field::FieldRef;
use crate::sort::SortPlan;

pub(super) fn write(kind: &Kind, result: Partial) -> Map<String, Value> {
    match (kind, result) {
        (Kind::Metric { metric, values, format }, Partial::Stats(stats)) => {
            let texts = Texts { field: Some(&values.field), format: format.as_ref() };
            if *metric == Metric::Stats { all_stats(&stats, &texts) } else { one_stat(*metric, &stats, &texts) }
        }
        (Kind::Metric { metric: Metric::ExtendedStats { sigma }, values, format }, Partial::Spread(spread)) => {
            extended(&spread, *sigma, &Texts { field: Some(&values.field), format: format.as_ref() })
        }
        (Kind::WeightedAvg { .. }, Partial::Weighted(weighted)) => value(weighted.mean()),
        (Kind::Deviation(_), Partial::Sketch(sketch)) => value(sketch.deviation()),
        (Kind::Cardinality { .. }, Partial::Distinct(distinct)) => single("value", distinct.count().into()),
        (Kind::Percentiles { values, percents, keyed }, Partial::Sketch(sketch)) => {
            let texts = Texts { field: Some(&values.field), format: None };
            by_number(percents, sketch.percentiles(percents).as_deref(), *keyed, &texts)
        }
        (Kind::Ranks { values, limits, keyed }, Partial::Sketch(sketch)) => {
            let texts = Texts { field: Some(&values.field), format: None };
            by_number(limits, sketch.ranks(limits).as_deref(), *keyed, &texts)
        }
        (Kind::TopMetrics { metrics, sort, .. }, Partial::TopValues(top)) => top_metrics(metrics, sort, &top),
        (kind, result) => unreachable!("{kind:?} never has {result:?}"),
    }
}

fn single(name: &str, value: Value) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert(name.to_owned(), value);
    map
}

fn value(value: Option<f64>) -> Map<String, Value> {
    single("value", value.into())
}

/// `stats` of numbers that are of no field.
pub(super) fn plain_stats(stats: &Stats) -> Map<String, Value> {
    all_stats(stats, &Texts { field: None, format: None })
}

/// `extended_stats` of numbers that are of no field.
pub(super) fn plain_extended(spread: &Spread, sigma: f64) -> Map<String, Value> {
    extended(spread, sigma, &Texts { field: None, format: None })
}

/// How the numbers of a field are written besides.
struct Texts<'a> {
    field: Option<&'a FieldRef>,
    format: Option<&'a TimeFormat>,
}

impl Texts<'_> {
    /// Dates as dates, booleans as such; other numbers have no other form.
    fn of(&self, number: f64) -> Option<Value> {
        match self.field.and_then(|field| field.kind) {
            Some(FieldKind::Date) => {
                let utc = Zone::utc();
                // Beyond of what is a date there is none.
                let is_date = number.abs() < i64::MAX as f64;
                Some(match self.format {
                    _ if !is_date => Value::Null,
                    Some(format) => format.write(number as i64, &utc).into(),
                    None => utc.format(number as i64).into(),
                })
            }
            Some(FieldKind::Boolean) => Some((number != 0.0).into()),
            _ => None,
        }
    }

    /// The same, never other than a text.
    fn text(&self, number: f64) -> Option<Value> {
        self.of(number).map(|value| match value {
            Value::Bool(value) => value.to_string().into(),
            other => other,
        })
    }
}

fn one_stat(metric: Metric, stats: &Stats, texts: &Texts<'_>) -> Map<String, Value> {
    let has_values = stats.count > 0;
    let number = match metric {
        Metric::ValueCount | Metric::Stats | Metric::ExtendedStats { .. } => {
            return single("value", stats.count.into());
        }
        Metric::Avg => stats.mean(),
        Metric::Sum => Some(stats.sum()),
        Metric::Min => has_values.then_some(stats.min),
        Metric::Max => has_values.then_some(stats.max),
    };
    let mut one = value(number);
    if let Some(text) = number.and_then(|number| texts.text(number)) {
        one.insert("value_as_string".into(), text);
    }
    one
}

fn all_stats(stats: &Stats, texts: &Texts<'_>) -> Map<String, Value> {
    let has_values = stats.count > 0;
    let numbers = [
        ("min", has_values.then_some(stats.min)),
        ("max", has_values.then_some(stats.max)),
        ("avg", stats.mean()),
        ("sum", Some(stats.sum())),
    ];
    let mut all = single("count", stats.count.into());
    for (name, number) in numbers {
        all.insert(name.into(), number.into());
        if let Some(text) = number.filter(|_| has_values).and_then(|number| texts.of(number)) {
            all.insert(format!("{name}_as_string"), text);
        }
    }
    all
}

fn extended(spread: &Spread, sigma: f64, texts: &Texts<'_>) -> Map<String, Value> {
    let has_values = spread.stats.count > 0;
    let mut all = all_stats(&spread.stats, texts);
    let (variance, sampled) = (spread.variance(false), spread.variance(true));
    let squares = has_values.then(|| spread.squares());
    for (name, number, is_text) in [
        ("sum_of_squares", squares, false),
        ("variance", variance, false),
        ("variance_population", variance, false),
        ("variance_sampling", sampled, false),
        ("std_deviation", spread.deviation(false), true),
        ("std_deviation_population", spread.deviation(false), true),
        ("std_deviation_sampling", spread.deviation(true), true),
    ] {
        all.insert(name.into(), json_number(number));
        let text = number.and_then(|number| if is_text { texts.text(number) } else { texts.of(number) });
        if let Some(text) = text {
            all.insert(format!("{name}_as_string"), text);
        }
    }
    let bounds = [
        ("upper", spread.bound(sigma, false)),
        ("lower", spread.bound(-sigma, false)),
        ("upper_population", spread.bound(sigma, false)),
        ("lower_population", spread.bound(-sigma, false)),
        ("upper_sampling", spread.bound(sigma, true)),
        ("lower_sampling", spread.bound(-sigma, true)),
    ];
    let texts: Map<String, Value> =
        bounds.iter().filter_map(|(name, number)| Some(((*name).to_owned(), texts.text((*number)?)?))).collect();
    let bounds: Map<String, Value> =
        bounds.into_iter().map(|(name, number)| (name.to_owned(), json_number(number))).collect();
    all.insert("std_deviation_bounds".into(), bounds.into());
    if !texts.is_empty() {
        all.insert("std_deviation_bounds_as_string".into(), texts.into());
    }
    all
}

/// Numbers that are none are written by their name.
fn json_number(number: Option<f64>) -> Value {
    match number {
        Some(number) if number.is_nan() => "NaN".into(),
        Some(number) if number.is_infinite() => if number > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        number => number.into(),
    }
}

fn by_number(asked: &[f64], found: Option<&[f64]>, keyed: bool, texts: &Texts<'_>) -> Map<String, Value> {
    let of = |place: usize| found.and_then(|found| found.get(place).copied());
    if keyed {
        let mut values = Map::new();
        for (place, asked) in asked.iter().enumerate() {
            let number = of(place);
            values.insert(format!("{asked:?}"), number.into());
            if let Some(text) = number.and_then(|number| texts.text(number)) {
                values.insert(format!("{asked:?}_as_string"), text);
            }
        }
        return single("values", values.into());
    }
    let one = |(place, asked): (usize, &f64)| {
        let number = of(place);
        let mut one = json!({"key": asked, "value": number});
        if let Some(text) = number.and_then(|number| texts.text(number)) {
            one["value_as_string"] = text;
        }
        one
    };
    single("values", asked.iter().enumerate().map(one).collect())
}

fn top_metrics(metrics: &[(String, FieldRef)], sort: &SortPlan, top: &[TopValues]) -> Map<String, Value> {
    let one = |top: &TopValues| {
        let values = metrics.iter().zip(&top.values).map(|((name, field), value)| {
            let value = match (value, field.kind) {
                (Some(Key::Whole(ms)), Some(FieldKind::Date)) => Zone::utc().format(*ms).into(),
                (Some(Key::Whole(value)), Some(FieldKind::Boolean)) => (*value != 0).into(),
                (Some(Key::Whole(value)), _) => (*value).into(),
                (Some(Key::Fraction(value)), _) => (*value).into(),
                (Some(Key::Text(text)), _) => text.clone().into(),
                (Some(Key::Missing | Key::Many(_)) | None, _) => Value::Null,
            };
            (name.clone(), value)
        });
        json!({"sort": sort.values(&top.found), "metrics": values.collect::<Map<String, Value>>()})
    };
    single("top", top.iter().map(one).collect())
}
