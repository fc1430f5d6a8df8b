//! A file system: its space, its inodes, and when it will be full if it goes on so.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use rustix::fs::statvfs;
use serde_json::{Value, json};

use crate::alone::Alone;
use crate::finding::{Finding, Outcome, Ran, round1};
use crate::said::Said;

/// Points of the past that the trend is made of; when there are more, every second one goes.
const POINTS_MAX: usize = 64;
/// A trend is told of so many points,
const POINTS_MIN: usize = 6;
/// over so long.
const SPAN_MIN_MS: i64 = 3_600_000;
/// What is older says nothing any more.
const POINT_AGE_MAX_MS: i64 = 14 * 86_400_000;
/// So full, programs fail: that is a fault whatever the limit is.
const FULL_PERCENT: f64 = 97.0;
/// Below this nobody is warned of a trend: a disk that was just set up fills quickly, too.
const TREND_PERCENT: f64 = 50.0;

/// Which file system, and its limits.
#[derive(Clone, Debug)]
pub struct DiskLook {
    /// Any path on it.
    pub path: PathBuf,
    /// Percent of its space that may be used.
    pub above: f64,
    /// Percent of its inodes that may be used.
    pub inodes_above: f64,
    /// It is told of when it will be full within this time.
    pub full_within: Duration,
}

/// A probe of a file system.
#[derive(Debug)]
pub(crate) struct DiskProbe {
    look: DiskLook,
    alone: Alone,
    trend: Mutex<Trend>,
}

/// How full it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fill {
    used: u64,
    /// What programs without privileges may still use.
    free: u64,
    inodes_percent: Option<f64>,
}

impl DiskProbe {
    pub(crate) fn new(look: DiskLook) -> Self {
        Self { look, alone: Alone::new(), trend: Mutex::default() }
    }

    pub(crate) fn about(&self) -> Said {
        Said::LooksSpace { path: self.look.path.display().to_string(), limit_percent: self.look.above }
    }

    /// Takes up the past that was kept.
    pub(crate) fn restore(&self, kept: Option<&Value>) {
        let trend = kept.and_then(Trend::from_json).unwrap_or_default();
        *self.trend.lock().expect("no panic while the lock is held") = trend;
    }

    pub(crate) async fn run(&self, now_ms: i64) -> Ran {
        let path = self.look.path.clone();
        let fill = match self.alone.run(move || fill(&path)).await {
            Ok(fill) => fill,
            Err(error) => {
                let path = self.look.path.display().to_string();
                return Finding::fault(Said::DiskHidden { path, error }).into();
            }
        };
        let (full_in_ms, keep) = {
            let mut trend = self.trend.lock().expect("no panic while the lock is held");
            trend.push(now_ms, fill.used);
            (trend.full_in_ms(fill.free), trend.to_json())
        };
        Ran { summary: self.judge(fill, full_in_ms), parts: Vec::new(), keep: Some(keep) }
    }

    fn judge(&self, fill: Fill, full_in_ms: Option<f64>) -> Finding {
        let DiskLook { above, inodes_above, full_within, .. } = self.look;
        let used = fill.percent();
        let full_in_days = full_in_ms.map(|ms| round1(ms / 86_400_000.0));
        let inodes = fill.inodes_percent.unwrap_or(0.0);
        let soon = full_in_ms.filter(|ms| used >= TREND_PERCENT && *ms < full_within.as_millis() as f64);
        let above_said = Said::DiskAbove { used_percent: used, limit_percent: above, free_bytes: fill.free };
        let inodes_said = Said::InodesAbove { used_percent: inodes, limit_percent: inodes_above };
        let full_in = full_in_days.map(|days| Said::DiskFullIn { days });
        let (outcome, said) = if used >= FULL_PERCENT.max(above) {
            (Outcome::Fault, vec![above_said])
        } else if inodes >= FULL_PERCENT.max(inodes_above) {
            (Outcome::Fault, vec![inodes_said])
        } else if used > above {
            (Outcome::Warn, [above_said].into_iter().chain(full_in).collect())
        } else if inodes > inodes_above {
            (Outcome::Warn, vec![inodes_said])
        } else if let (Some(_), Some(days)) = (soon, full_in_days) {
            (Outcome::Warn, vec![Said::DiskSoon { used_percent: used, days }])
        } else {
            let used = Said::DiskUsed { used_percent: used, free_bytes: fill.free };
            (Outcome::Ok, [used].into_iter().chain(full_in).collect())
        };
        Finding::of(outcome, said)
            .field("used_percent", used)
            .field("free_bytes", fill.free)
            .field("inodes_percent", json!(fill.inodes_percent))
            .field("full_in_days", json!(full_in_days))
    }
}

impl Fill {
    /// As `df` counts: of what programs without privileges can use at all.
    fn percent(self) -> f64 {
        let all = self.used + self.free;
        if all == 0 { 100.0 } else { round1(self.used as f64 * 100.0 / all as f64) }
    }
}

fn fill(path: &std::path::Path) -> Result<Fill, String> {
    let stat = statvfs(path).map_err(|error| std::io::Error::from(error).to_string())?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree) * stat.f_frsize;
    let inodes = stat.f_files.saturating_sub(stat.f_ffree);
    let inodes_all = inodes + stat.f_favail;
    // Some file systems have no fixed number of inodes and tell none.
    let inodes_percent = (stat.f_files > 0).then(|| round1(inodes as f64 * 100.0 / inodes_all.max(1) as f64));
    Ok(Fill { used, free: stat.f_bavail * stat.f_frsize, inodes_percent })
}

/// How much was used when.
#[derive(Clone, Debug, Default, PartialEq)]
struct Trend(VecDeque<(i64, u64)>);

impl Trend {
    fn push(&mut self, at_ms: i64, used: u64) {
        // A clock that was set back makes the later points worthless.
        self.0.retain(|(point, _)| *point < at_ms && at_ms - point <= POINT_AGE_MAX_MS);
        self.0.push_back((at_ms, used));
        if self.0.len() > POINTS_MAX {
            let last = self.0.len() - 1;
            let mut at = 0;
            self.0.retain(|_| {
                at += 1;
                at % 2 == 1 || at > last
            });
        }
    }

    fn full_in_ms(&self, free: u64) -> Option<f64> {
        let points: Vec<(i64, u64)> = self.0.iter().copied().collect();
        full_in_ms(&points, free)
    }

    fn to_json(&self) -> Value {
        json!({"points": self.0})
    }

    fn from_json(kept: &Value) -> Option<Self> {
        let points: VecDeque<(i64, u64)> = serde_json::from_value(kept.get("points")?.clone()).ok()?;
        (points.len() <= POINTS_MAX).then_some(Self(points))
    }
}

/// How many milliseconds until `free` bytes are used up, if what these points tell (when, in milliseconds, and how much was used;
/// oldest first) goes on as it did: by the median of all slopes between two of them (Theil–Sen), which a log that is deleted now
/// and then does not turn round. `None` where it does not grow, or nothing can be said. All pairs are looked at, so there
/// should be few points.
pub fn full_in_ms(points: &[(i64, u64)], free: u64) -> Option<f64> {
    let span = points.last()?.0 - points.first()?.0;
    if points.len() < POINTS_MIN || span < SPAN_MIN_MS {
        return None;
    }
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (at, (from_ms, from)) in points.iter().enumerate() {
        for (to_ms, to) in &points[at + 1..] {
            slopes.push((*to as f64 - *from as f64) / (to_ms - from_ms) as f64);
        }
    }
    slopes.sort_by(f64::total_cmp);
    let slope = slopes[slopes.len() / 2];
    // Less than a ten-thousandth of what is free in a day is no growth that anybody has to know of.
    let is_growth = slope * 86_400_000.0 > free as f64 / 10_000.0;
    is_growth.then(|| free as f64 / slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn trend(hours: i64, used: impl Fn(i64) -> u64) -> Trend {
        let mut trend = Trend::default();
        (0..hours * 4).for_each(|quarter| trend.push(quarter * HOUR / 4, used(quarter)));
        trend
    }

    #[test]
    fn time_to_full_follows_the_trend_and_not_the_noise() {
        let free = 96_000_000;
        // A million bytes a quarter of an hour: 96 quarters, a day.
        let days = |trend: &Trend| trend.full_in_ms(free).map(|ms| ms / 86_400_000.0);
        let steady = trend(48, |quarter| 1_000_000 * quarter as u64);
        assert!((days(&steady).unwrap() - 1.0).abs() < 0.01, "{:?}", days(&steady));
        let noisy = trend(48, |quarter| 1_000_000 * quarter as u64 + (quarter as u64 * 7919) % 3_000_000);
        assert!((days(&noisy).unwrap() - 1.0).abs() < 0.15, "{:?}", days(&noisy));
        let once_cleaned = trend(48, |quarter| {
            (1_000_000 * quarter as u64 + 500_000_000).saturating_sub(if quarter > 170 { 300_000_000 } else { 0 })
        });
        assert!((days(&once_cleaned).unwrap() - 1.0).abs() < 0.4, "{:?}", days(&once_cleaned));
        assert_eq!(days(&trend(48, |_| 5)), None);
        assert_eq!(days(&trend(48, |quarter| 500_000_000 - 1_000_000 * quarter as u64)), None);
        assert_eq!(days(&trend(1, |quarter| 1_000_000 * quarter as u64)), None, "too short a past");
    }

    #[test]
    fn the_past_is_bounded_and_comes_back() {
        let trend = trend(24 * 20, |quarter| quarter as u64);
        assert!(trend.0.len() <= POINTS_MAX);
        assert!(trend.0.back().unwrap().0 - trend.0.front().unwrap().0 > 5 * 86_400_000);
        assert_eq!(Trend::from_json(&trend.to_json()).unwrap(), trend);
        assert_eq!(Trend::from_json(&json!({"points": "x"})), None);
    }

    #[test]
    fn limits_are_told() {
        let full_within = Duration::from_secs(2 * 86_400);
        let look = DiskLook { path: "/".into(), above: 90.0, inodes_above: 90.0, full_within };
        let probe = DiskProbe::new(look);
        let fill = |used, inodes| Fill { used, free: 1_000 - used, inodes_percent: Some(inodes) };
        for (fill, full_in, outcome, part) in [
            (fill(500, 5.0), None, Outcome::Ok, "50% used"),
            (fill(910, 5.0), None, Outcome::Warn, "91% used (limit 90%)"),
            (fill(980, 5.0), None, Outcome::Fault, "98% used"),
            (fill(500, 92.0), None, Outcome::Warn, "92% of the inodes"),
            (fill(500, 100.0), None, Outcome::Fault, "100% of the inodes"),
            (fill(600, 5.0), Some(86_400_000.0), Outcome::Warn, "if it goes on so full in 1 days"),
            (fill(300, 5.0), Some(86_400_000.0), Outcome::Ok, "full in 1 days"),
        ] {
            let finding = probe.judge(fill, full_in);
            assert_eq!(finding.outcome, outcome, "{finding:?}");
            assert!(finding.found().contains(part), "{finding:?}");
        }
    }

    #[tokio::test]
    async fn a_real_one_is_looked_at() {
        let look =
            |path: &str| DiskLook { path: path.into(), above: 100.0, inodes_above: 100.0, full_within: Duration::ZERO };
        let ran = DiskProbe::new(look("/")).run(0).await;
        assert!(ran.summary.fields["free_bytes"].as_u64().is_some(), "{:?}", ran.summary);
        let ran = DiskProbe::new(look("/no/such/path")).run(0).await;
        assert_eq!(ran.summary.outcome, Outcome::Fault);
        assert!(ran.summary.found().contains("No such file"), "{:?}", ran.summary);
    }
}
