//! Waiting for a turn, by the hour.

use serde_json::{Value, json};

use super::fit::Share;
use super::row::Row;
use super::{Advice, Advised, Setup, Word, figures};
use crate::sentence::Sentence;

/// A wait that people notice, in milliseconds.
pub(super) const LONG_MS: u64 = 2_000;
/// A share of requests that wait so long that is told of.
const LONG_SHARE: f64 = 0.05;
/// Requests of which a share says something.
const REQUESTS_MIN: u64 = 50;

/// Advice on the queue.
pub(super) fn advice(answer: &Value, rows: &[Row], setup: &Setup) -> Advice {
    let buckets = answer.pointer("/aggregations/hours/buckets").and_then(Value::as_array);
    let hours: Vec<(i64, u64, u64, f64)> = buckets
        .into_iter()
        .flatten()
        .filter_map(|bucket| {
            let waited = bucket.pointer("/waited/values/95.0").and_then(Value::as_f64).unwrap_or(0.0);
            Some((
                bucket["key"].as_i64()?,
                bucket["doc_count"].as_u64()?,
                bucket.pointer("/long/doc_count")?.as_u64()?,
                waited,
            ))
        })
        .collect();
    let all: u64 = hours.iter().map(|hour| hour.1).sum();
    let long: u64 = hours.iter().map(|hour| hour.2).sum();
    let share = Share::of(long as usize, all as usize);
    let (share_percent, low_percent, high_percent) = share.percent();
    // By the hour of the day (UTC): when people come.
    let mut days = [(0u64, 0u64); 24];
    for (at_ms, count, long, _) in &hours {
        let hour = at_ms.div_euclid(3_600_000).rem_euclid(24) as usize;
        days[hour] = (days[hour].0 + count, days[hour].1 + long);
    }
    let worst = (0..24).max_by(|a, b| days[*a].1.cmp(&days[*b].1)).filter(|hour| days[*hour].1 > 0);
    let p95 = hours.iter().map(|hour| hour.3).fold(0.0, f64::max);
    let by_hour: Vec<Value> = (0..24)
        .filter(|hour| days[*hour].0 > 0)
        .map(|hour| json!({"hour": hour, "requests": days[hour].0, "waited": days[hour].1}))
        .collect();
    let mut found = vec![Advised::Waited { waited: long, requests: all, limit_s: LONG_MS / 1000 }];
    found.extend(worst.map(|hour| {
        let (requests, waited) = days[hour];
        Advised::WaitedMost { from_hour: hour, to_hour: (hour + 1) % 24, waited, requests }
    }));
    let servers = setup.upstreams.iter().filter_map(|(name, parallel)| Some(format!("{name} {}", (*parallel)?)));
    let servers = servers.collect::<Vec<_>>().join(", ");
    let is_loaded = rows.iter().filter(|row| row.queue_ms > LONG_MS as f64 && row.load_ms > 0.0).count();
    let (word, code, change) = if all < REQUESTS_MIN {
        (Word::Unknown, "too_few", None)
    } else if share.low >= LONG_SHARE {
        let now = (!servers.is_empty()).then_some(Advised::DoParallelNow { servers });
        let change: Vec<Advised> = [Advised::DoRaiseParallel {}].into_iter().chain(now).collect();
        (Word::Change, "raise_parallel", Some(change))
    } else {
        (Word::Keep, "short", None)
    };
    Advice {
        id: "queue",
        subject: None,
        word,
        code,
        found: found.into(),
        sure: Advised::SureShare { share_percent, low_percent, high_percent }.into(),
        change: change.map(Sentence::from),
        figures: figures(json!({
            "requests": all, "waited": long, "share": share.share, "low": share.low, "high": share.high, "p95_ms_max": p95,
            "with_a_load": is_loaded, "by_hour": by_hour,
        })),
        query: "queue",
    }
}
