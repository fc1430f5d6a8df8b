//! What is to be expected of the next day: requests and tokens by the hour, and whether the places are enough for the peak.
//!
//! Once an hour the last weeks are asked for and the forecast is made beside the looks at the rules. What came of it is
//! kept for the console, and a record of kind `forecast` says how high the peak will be; the rule `peak-ahead` looks at
//! those. Nothing is told where the forecast would be no better than last week's hour.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tollhouse_forecast::{DAY, Error, Expected, HOURS_MAX, Outcome, Silence, WEEK, forecast};
use tollhouse_remote::Shelf;
use tollhouse_state::{AlertChanges, AlertIntent};

use crate::ask::{records, search};
use crate::error::WatchError;

/// Name of what is kept.
pub const FORECAST_MEMORY: &str = "forecast";
/// An hour in milliseconds.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// The share of the truth that intervals are to hold.
const LEVEL: f64 = 0.9;
/// Users' requests.
const QUERY: &str = "kind:request AND NOT origin:(probe OR replay OR task)";

/// A series of hours.
struct Series {
    name: &'static str,
    unit: &'static str,
    values: Vec<f64>,
}

/// What is to be kept after a forecast at this moment. `places` is how many requests the model servers take at once.
pub(crate) async fn expected(shelf: &Shelf, now_ms: i64, places: Option<u32>) -> Result<AlertChanges, WatchError> {
    // The hour that has just ended is the last one.
    let end_ms = now_ms.div_euclid(HOUR_MS) * HOUR_MS;
    let (series, served) = past(shelf, end_ms, places).await?;
    // Pure arithmetic for a second or so: not on a thread that others wait for.
    let made = tokio::task::spawn_blocking(move || {
        series.into_iter().map(|series| (forecast(&series.values, DAY, LEVEL), series)).collect::<Vec<_>>()
    });
    let made = made.await.unwrap_or_default();
    let mut changes = AlertChanges::default();
    let mut slots = Value::Null;
    for (outcome, series) in &made {
        let Outcome::Told { hours, error } = outcome else { continue };
        let peak = peak(hours, end_ms);
        let mut fields = json!({
            "series": series.name, "peak_at": time(peak.0), "peak_value": round(peak.1.value), "peak_high": round(peak.1.high),
            "error_model": error.model, "error_naive": error.naive,
        });
        let mut msg = format!("{} at {}: about {:.0}", series.unit, clock(peak.0), peak.1.value);
        if let (true, Some(served)) = (series.name == "requests", served) {
            let share = peak.1.value / served;
            fields["peak_share"] = json!(round(share));
            msg = share_text(peak.0, share);
            slots = json!({
                "places": places, "served_per_hour": round(served), "peak_at": time(peak.0), "share": round(share), "text": msg,
            });
        }
        let body = json!({"kind": "forecast", "event": "told", "msg": msg, "fields": fields}).to_string();
        changes.intents.push(AlertIntent { channel: String::new(), body });
    }
    let told: Vec<Value> = made.iter().map(|(outcome, series)| series_json(outcome, series, end_ms)).collect();
    let whole = json!({"at": time(now_ms), "step": "1h", "interval": LEVEL, "series": told, "slots": slots});
    changes.memory.push((FORECAST_MEMORY.to_owned(), whole.to_string()));
    Ok(changes)
}

/// The hours of the last weeks until one that has ended, and how many requests an hour the places can take.
async fn past(shelf: &Shelf, end_ms: i64, places: Option<u32>) -> Result<(Vec<Series>, Option<f64>), WatchError> {
    let from_ms = end_ms - HOURS_MAX as i64 * HOUR_MS;
    let filter = [
        json!({"query_string": {"query": QUERY}}),
        json!({"range": {"@timestamp": {"gte": from_ms, "lt": end_ms, "format": "epoch_millis"}}}),
    ];
    let recent = json!({"range": {"@timestamp": {"gte": end_ms - WEEK as i64 * HOUR_MS, "format": "epoch_millis"}}});
    let body = json!({
        "size": 0,
        "query": records(&filter),
        "aggs": {
            "hours": {
                "date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1},
                "aggs": {"in": {"sum": {"field": "input_tokens"}}, "out": {"sum": {"field": "output_tokens"}}},
            },
            "recent": {"filter": recent, "aggs": {
                "all": {"avg": {"field": "duration_ms"}}, "queue": {"avg": {"field": "queue_ms"}},
            }},
        },
    });
    let answer = search(shelf, "forecast", &body).await?;
    let buckets = answer["aggregations"]["hours"]["buckets"].as_array().cloned().unwrap_or_default();
    let begin_ms = buckets.iter().filter_map(|bucket| bucket["key"].as_i64()).min().unwrap_or(end_ms);
    let count = usize::try_from((end_ms - begin_ms) / HOUR_MS).unwrap_or_default();
    let (mut requests, mut tokens) = (vec![0.0; count], vec![0.0; count]);
    for bucket in &buckets {
        let place = bucket["key"].as_i64().and_then(|key| usize::try_from((key - begin_ms) / HOUR_MS).ok());
        let Some(place) = place.filter(|place| *place < count) else { continue };
        let sum = |name: &str| bucket[name]["value"].as_f64().unwrap_or_default();
        requests[place] = bucket["doc_count"].as_f64().unwrap_or_default();
        tokens[place] = sum("in") + sum("out");
    }
    let recent = &answer["aggregations"]["recent"];
    let work_ms =
        recent["all"]["value"].as_f64().map(|all| all - recent["queue"]["value"].as_f64().unwrap_or_default());
    let served = work_ms.zip(places).filter(|(ms, places)| *ms > 0.0 && *places > 0);
    let served = served.map(|(ms, places)| f64::from(places) * HOUR_MS as f64 / ms);
    let series = vec![
        Series { name: "requests", unit: "requests an hour", values: requests },
        Series { name: "tokens", unit: "tokens an hour", values: tokens },
    ];
    Ok((series, served))
}

fn series_json(outcome: &Outcome, series: &Series, end_ms: i64) -> Value {
    let at = |index: usize, begin: i64| time(begin + index as i64 * HOUR_MS);
    let shown = series.values.len().min(WEEK);
    let begin = end_ms - shown as i64 * HOUR_MS;
    let history: Vec<Value> = series.values[series.values.len() - shown..]
        .iter()
        .enumerate()
        .map(|(index, value)| json!({"at": at(index, begin), "value": value}))
        .collect();
    let error_json = |error: &Error| {
        json!({
            "model": error.model, "naive": error.naive, "hours": error.hours, "measure": "mean absolute error / mean",
        })
    };
    let percent = |error: &Error| format!("{:.0}% against {:.0}%", error.model * 100.0, error.naive * 100.0);
    let tried = match outcome {
        Outcome::Told { error, .. } => Some(error),
        Outcome::Silent { error, .. } => error.as_ref(),
    };
    let off = |error: &Error| {
        said("forecast_off", &json!({"model_percent": error.model * 100.0, "naive_percent": error.naive * 100.0}))
    };
    let mut all_said: Vec<Value> = tried.map(off).into_iter().collect();
    let (told, why, error, hours): (bool, String, Value, &[Expected]) = match outcome {
        Outcome::Told { hours, error } => {
            (true, format!("better than last week's hour: off by {}", percent(error)), error_json(error), hours)
        }
        Outcome::Silent { why, error } => {
            all_said.insert(0, silence_said(why));
            let tried = error.as_ref().map_or_else(String::new, |error| format!(": off by {}", percent(error)));
            (false, format!("{why}{tried}"), error.as_ref().map_or(Value::Null, error_json), &[])
        }
    };
    let hour = |(index, hour): (usize, &Expected)| json!({"at": at(index, end_ms), "value": round(hour.value), "low": round(hour.low), "high": round(hour.high)});
    let forecast: Vec<Value> = hours.iter().enumerate().map(hour).collect();
    let peak = (!hours.is_empty()).then(|| {
        let (at, hour) = peak(hours, end_ms);
        json!({"at": time(at), "value": round(hour.value), "high": round(hour.high)})
    });
    json!({
        "name": series.name, "unit": series.unit, "told": told, "why": why, "said": all_said, "error": error, "history": history,
        "forecast": forecast, "peak": peak,
    })
}

/// Why nothing is foretold, by a code that does not change.
fn silence_said(why: &Silence) -> Value {
    match why {
        Silence::TooShort { known, wanted } => said("forecast_short", &json!({"known": known, "needed": wanted})),
        Silence::Empty => said("forecast_empty", &json!({})),
        Silence::NotBetter => said("forecast_not_better", &json!({})),
        Silence::NoFit => said("forecast_no_fit", &json!({})),
    }
}

fn said(code: &str, figures: &Value) -> Value {
    json!({"code": code, "figures": figures})
}

/// The highest hour, and when it begins.
fn peak(hours: &[Expected], end_ms: i64) -> (i64, Expected) {
    let highest = hours.iter().enumerate().max_by(|(_, a), (_, b)| a.value.total_cmp(&b.value));
    let (index, hour) = highest.expect("a forecast has hours");
    (end_ms + index as i64 * HOUR_MS, *hour)
}

fn share_text(at_ms: i64, share: f64) -> String {
    let percent = (share - 1.0) * 100.0;
    match percent {
        percent if percent >= 0.5 => format!("the peak of {} will exceed the places by {percent:.0}%", clock(at_ms)),
        _ => format!("the peak of {} will take {:.0}% of the places", clock(at_ms), share * 100.0),
    }
}

/// The hour by the system's clock.
fn clock(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::system());
    at.strftime("%H:%M").to_string()
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| format!("{time:.0}")).unwrap_or_default()
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_told_as_people_say_it() {
        let hour = |value: f64| Expected { value, low: value, high: value };
        let (at, highest) = peak(&[hour(1.0), hour(9.0), hour(3.0)], 0);
        assert_eq!((at, highest.value), (HOUR_MS, 9.0));
        assert!(share_text(0, 1.4).ends_with("will exceed the places by 40%"));
        assert!(share_text(0, 0.8).ends_with("will take 80% of the places"));
    }
}
