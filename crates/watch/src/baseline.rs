//! What is usual at an hour of the week, and whether something else is more than chance.
//!
//! Hours of the past count that are comparable: the same hour of the week and its neighbours where enough weeks are known,
//! else the same hours of days of the same sort (working days, weekends), else of all days, else all hours. Their median is what is
//! usual, so that single hours of trouble change nothing; hours with too few records do not count. How far hours
//! scatter by themselves is told by their median deviation: only what lies far outside of that deviates. All that is done on
//! logarithms: times of requests are skewed, and a third more is as far away as a quarter less.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tollhouse_remote::Shelf;

use crate::ask::{Finding, group, records};
use crate::burn::Burns;
use crate::error::WatchError;
use crate::rule::Rule;

/// An hour in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// Fewer comparable hours say nothing.
const HOURS_MIN: usize = 6;
/// So many times the usual scatter is more than chance; that it lasts (`for`) makes it sure.
const SCATTERS: f64 = 4.0;
/// What scatter is assumed at least (of logarithms: 3 %): a few hours may be alike by chance.
const SCATTER_MIN: f64 = 0.03;
/// The median deviation of a normal distribution times this is its standard deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;
/// Groups whose past is looked at.
const GROUPS_MAX: usize = 40;
/// Rules whose past is remembered.
const RULES_MAX: usize = 200;

/// What was measured in an hour of the past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hour {
    /// Its beginning, in milliseconds since 1970 UTC.
    pub(crate) start_ms: i64,
    /// What was measured.
    pub(crate) value: f64,
    /// Of how many records.
    pub(crate) samples: u64,
}

/// What is usual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usual {
    /// The value.
    pub(crate) value: f64,
    /// How far the logarithms of comparable hours scatter.
    scatter: f64,
    /// How many records such an hour has.
    samples: f64,
    /// How many hours were compared.
    pub(crate) hours: usize,
}

impl Usual {
    /// What is usual at a moment, from hours before it.
    pub(crate) fn of(hours: &[Hour], at_ms: i64, zone: &TimeZone, samples_min: u64) -> Option<Self> {
        let counts = |hour: &&Hour| hour.samples >= samples_min.max(1) && hour.value > 0.0 && hour.value.is_finite();
        let now = Place::of(at_ms, zone)?;
        let known: Vec<(Place, Hour)> = hours
            .iter()
            .filter(counts)
            .filter_map(|hour| Some((Place::of(hour.start_ms + HOUR_MS / 2, zone)?, *hour)))
            .collect();
        let alike: [&dyn Fn(&Place) -> bool; 4] = [
            &|then| then.weekday == now.weekday && now.is_near(*then),
            &|then| then.is_weekend() == now.is_weekend() && now.is_near(*then),
            &|then| now.is_near(*then),
            &|_| true,
        ];
        let comparable = alike.iter().find_map(|is_alike| {
            let hours: Vec<Hour> = known.iter().filter(|(then, _)| is_alike(then)).map(|(_, hour)| *hour).collect();
            (hours.len() >= HOURS_MIN).then_some(hours)
        })?;
        let logs: Vec<f64> = comparable.iter().map(|hour| hour.value.ln()).collect();
        let middle = median(&logs);
        let deviations: Vec<f64> = logs.iter().map(|log| (log - middle).abs()).collect();
        let samples: Vec<f64> = comparable.iter().map(|hour| hour.samples as f64).collect();
        Some(Self {
            value: middle.exp(),
            scatter: (median(&deviations) * MAD_TO_DEVIATION).max(SCATTER_MIN),
            samples: median(&samples),
            hours: comparable.len(),
        })
    }

    /// How far a value of so many records is from that, in percent; none where it may be chance.
    pub(crate) fn deviation(&self, value: f64, samples: u64) -> Option<f64> {
        if value <= 0.0 || samples == 0 {
            return None;
        }
        // Fewer records scatter more, and of few hours the scatter is not well known.
        let fewer = (self.samples / samples as f64).max(1.0).sqrt();
        let unsure = 1.0 + 2.0 / self.hours as f64;
        let is_more_than_chance = (value / self.value).ln().abs() > SCATTERS * self.scatter * fewer * unsure;
        is_more_than_chance.then(|| (value / self.value - 1.0) * 100.0)
    }
}

/// Where a moment lies in the week, by the clock on the wall.
#[derive(Clone, Copy)]
struct Place {
    weekday: Weekday,
    hour: i8,
}

impl Place {
    fn of(at_ms: i64, zone: &TimeZone) -> Option<Self> {
        let at = Timestamp::from_millisecond(at_ms).ok()?.to_zoned(zone.clone());
        Some(Self { weekday: at.weekday(), hour: at.hour() })
    }

    /// The same hour of a day, or one beside it.
    fn is_near(self, other: Self) -> bool {
        let apart = (self.hour - other.hour).rem_euclid(24);
        matches!(apart, 0 | 1 | 23)
    }

    fn is_weekend(self) -> bool {
        matches!(self.weekday, Weekday::Saturday | Weekday::Sunday)
    }
}

/// The past of rules with a baseline or a budget, which is asked for once an hour.
#[derive(Debug, Default)]
pub struct Usuals {
    by_rule: BTreeMap<String, Past>,
    pub(crate) burns: Burns,
}

#[derive(Debug)]
struct Past {
    /// The hour in which it was asked for.
    hour: i64,
    groups: BTreeMap<String, Vec<Hour>>,
}

impl Usuals {
    /// Compares what was found with what is usual.
    pub(crate) async fn compare(
        &mut self,
        rule: &Rule,
        baseline: std::time::Duration,
        shelf: &Shelf,
        now_ms: i64,
        findings: &mut [Finding],
    ) -> Result<(), WatchError> {
        let settings = rule.settings();
        let wanted: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.samples >= settings.samples)
            .take(GROUPS_MAX)
            .map(|finding| finding.group.as_str())
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let hour = now_ms.div_euclid(HOUR_MS);
        let is_known = |past: &Past| past.hour == hour && wanted.iter().all(|group| past.groups.contains_key(*group));
        if !self.by_rule.get(rule.name()).is_some_and(is_known) {
            let baseline_ms = i64::try_from(baseline.as_millis()).unwrap_or(i64::MAX);
            let groups = past(rule, shelf, now_ms, baseline_ms, &wanted).await?;
            if self.by_rule.len() >= RULES_MAX {
                self.by_rule.clear();
            }
            self.by_rule.insert(rule.name().to_owned(), Past { hour, groups });
        }
        let Some(past) = self.by_rule.get(rule.name()) else { return Ok(()) };
        for finding in findings {
            let hours = past.groups.get(&finding.group).map_or(&[][..], Vec::as_slice);
            let before = now_ms - rule.within_ms();
            let ended = hours.partition_point(|hour| hour.start_ms + HOUR_MS <= before);
            let usual =
                Usual::of(&hours[..ended], now_ms - rule.within_ms() / 2, &settings.zone, settings.samples.min(5));
            finding.usual = usual.map(|usual| usual.value);
            finding.deviation =
                usual.zip(finding.value).and_then(|(usual, value)| usual.deviation(value, finding.samples));
        }
        Ok(())
    }
}

/// The hours of the past of some groups.
async fn past(
    rule: &Rule,
    shelf: &Shelf,
    now_ms: i64,
    baseline_ms: i64,
    groups: &[&str],
) -> Result<BTreeMap<String, Vec<Hour>>, WatchError> {
    let mut filter = rule.filter_between(now_ms.saturating_sub(baseline_ms).saturating_sub(rule.within_ms()), now_ms);
    let mut hours = json!({"date_histogram": {"field": "@timestamp", "fixed_interval": "1h", "min_doc_count": 1}});
    hours["aggs"] = rule.measured().into();
    let aggs = match &rule.settings().group_by {
        Some(field) => {
            filter.push(json!({"terms": {field: groups}}));
            json!({"groups": {"terms": {"field": field, "size": groups.len()}, "aggs": {"hours": hours}}})
        }
        None => json!({"hours": hours}),
    };
    let body = json!({"size": 0, "query": records(&filter), "aggs": aggs});
    let answer = rule.search(shelf, &body).await?;
    let mut found: BTreeMap<String, Vec<Hour>> = groups.iter().map(|group| ((*group).to_owned(), Vec::new())).collect();
    if rule.settings().group_by.is_none() {
        found.insert(String::new(), hours_of(rule, &answer["aggregations"]["hours"]));
        return Ok(found);
    }
    for bucket in answer["aggregations"]["groups"]["buckets"].as_array().into_iter().flatten() {
        found.insert(group(bucket), hours_of(rule, &bucket["hours"]));
    }
    Ok(found)
}

fn hours_of(rule: &Rule, histogram: &Value) -> Vec<Hour> {
    let hour = |bucket: &Value| {
        let samples = bucket["doc_count"].as_u64()?;
        let start_ms = bucket["key"].as_i64()?;
        Some(Hour { start_ms, value: rule.value(bucket, samples, start_ms)?, samples })
    };
    histogram["buckets"].as_array().into_iter().flatten().filter_map(hour).collect()
}

/// The middle one of some numbers; there is at least one.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[middle - 1], sorted[middle]) } else { sorted[middle] }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const QUARTER_MS: i64 = HOUR_MS / 4;

    /// Numbers by a seed (SplitMix64).
    pub(crate) struct Dice(pub(crate) u64);

    impl Dice {
        pub(crate) fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let (a, b) = (self.next().max(1e-12), self.next());
            (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
        }
    }

    /// What a model does in a quarter of an hour.
    #[derive(Clone, Copy, Default)]
    struct Quarter {
        sum: f64,
        count: u64,
    }

    /// 90 days of a model over the end of winter time: more requests at noon of working days, none at night, a day without
    /// any, times of requests that are skewed and longer in the afternoon, single hours of trouble, and a clock that is
    /// set. From `shift` on, everything takes twice as long.
    fn quarters(seed: u64, zone: &TimeZone, begin_ms: i64, shift: Option<i64>) -> BTreeMap<i64, Quarter> {
        let mut dice = Dice(seed);
        let mut quarters = BTreeMap::new();
        for number in 0..90 * 96 {
            let mut at_ms = begin_ms + number * QUARTER_MS;
            let place = Place::of(at_ms, zone).unwrap();
            let day = number / 96;
            let by_hour = (1.0 - (f64::from(place.hour) - 13.0).abs() / 8.0).max(0.0);
            let rate = by_hour * if place.is_weekend() { 12.0 } else { 40.0 };
            let count = if day == 33 { 0 } else { (rate + rate.sqrt() * dice.normal()).max(0.0) as u64 };
            let mut level = 1200.0 * if place.hour >= 14 { 1.25 } else { 1.0 };
            if dice.next() < 0.003 {
                level *= 6.0; // a quarter of an hour of trouble
            }
            if shift.is_some_and(|shift| at_ms >= shift) {
                level *= 2.0;
            }
            if day == 50 {
                at_ms += 10 * 60_000; // the clock was wrong that day
            }
            let sum = (0..count).map(|_| level * (0.7 * dice.normal()).exp()).sum();
            quarters.insert(at_ms, Quarter { sum, count });
        }
        quarters
    }

    /// When a rule of an hour, 20 records and 30 % looks each quarter of an hour, and it lasts for `hold` looks: when it begins.
    fn alerts(quarters: &BTreeMap<i64, Quarter>, zone: &TimeZone, hold: usize) -> Vec<i64> {
        let mut hours: BTreeMap<i64, Quarter> = BTreeMap::new();
        for (at, quarter) in quarters {
            let hour = hours.entry(at.div_euclid(HOUR_MS) * HOUR_MS).or_default();
            hour.sum += quarter.sum;
            hour.count += quarter.count;
        }
        let hours: Vec<Hour> = hours
            .into_iter()
            .filter(|(_, hour)| hour.count > 0)
            .map(|(start_ms, hour)| Hour { start_ms, value: hour.sum / hour.count as f64, samples: hour.count })
            .collect();
        let (mut found, mut lasts) = (Vec::new(), 0);
        for now in quarters.keys().map(|at| at + QUARTER_MS) {
            let mut window = Quarter::default();
            for quarter in quarters.range(now - HOUR_MS..now).map(|(_, quarter)| quarter) {
                window.sum += quarter.sum;
                window.count += quarter.count;
            }
            let from = hours.partition_point(|hour| hour.start_ms < now - 7 * 24 * HOUR_MS);
            let to = hours.partition_point(|hour| hour.start_ms + HOUR_MS <= now - HOUR_MS);
            let usual = Usual::of(&hours[from.min(to)..to], now - HOUR_MS / 2, zone, 5);
            let deviation = usual
                .filter(|_| window.count >= 20)
                .and_then(|usual| usual.deviation(window.sum / window.count as f64, window.count));
            lasts = if deviation.is_some_and(|deviation| deviation > 30.0) { lasts + 1 } else { 0 };
            if lasts == hold {
                found.push(now);
            }
        }
        found
    }

    #[test]
    fn ninety_days_of_healthy_noise_give_no_alert_and_a_real_shift_is_found() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // Summer time begins on 29 March.
        let begin = "2026-02-02T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        let shift = begin + 70 * 24 * HOUR_MS + 9 * HOUR_MS;
        // A quarter of an hour of trouble is in four looks of an hour: five in a row are more (`for: 1h`).
        let hold = 5;
        for seed in 1..=3 {
            let healthy = alerts(&quarters(seed, &zone, begin, None), &zone, hold);
            assert!(healthy.is_empty(), "seed {seed}: {} alerts of nothing, first at {}", healthy.len(), healthy[0]);
            let found = alerts(&quarters(seed, &zone, begin, Some(shift)), &zone, hold);
            let first = found.first().copied().unwrap_or(i64::MAX);
            let hours = (first - shift) / HOUR_MS;
            assert!(first >= shift && hours <= 8, "seed {seed}: found after {hours} hours");
        }
    }

    #[test]
    fn of_too_little_nothing_is_usual() {
        let zone = TimeZone::UTC;
        let hour = |number: i64, samples| Hour { start_ms: number * HOUR_MS, value: 100.0, samples };
        let few: Vec<Hour> = (0..5).map(|number| hour(number * 24, 50)).collect();
        assert_eq!(Usual::of(&few, 200 * HOUR_MS, &zone, 5), None);
        let thin: Vec<Hour> = (0..100).map(|number| hour(number, 4)).collect();
        assert_eq!(Usual::of(&thin, 200 * HOUR_MS, &zone, 5), None);
        let enough: Vec<Hour> = (0..100).map(|number| hour(number, 50)).collect();
        let usual = Usual::of(&enough, 200 * HOUR_MS, &zone, 5).unwrap();
        assert!((usual.value - 100.0).abs() < 1e-9);
        assert_eq!(usual.deviation(101.0, 50), None);
        assert!((usual.deviation(150.0, 50).unwrap() - 50.0).abs() < 1e-9);
        assert!(usual.deviation(50.0, 50).unwrap() < -49.0);
        assert_eq!(usual.deviation(150.0, 1), None, "of one record that may be chance");
    }

    #[test]
    fn hours_of_the_same_time_of_the_week_are_compared() {
        let zone = TimeZone::UTC;
        // Four weeks: the hour from 10 to 11 on Mondays takes twice as long as everything else.
        let monday = "2026-02-02T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        let hours: Vec<Hour> = (0..4 * 168)
            .map(|number| {
                let is_slow = matches!(number % 168, 9..=11);
                Hour { start_ms: monday + number * HOUR_MS, value: if is_slow { 200.0 } else { 100.0 }, samples: 50 }
            })
            .collect();
        let at = |hour: i64| monday + (4 * 168 + hour) * HOUR_MS + HOUR_MS / 2;
        assert!((Usual::of(&hours, at(10), &zone, 5).unwrap().value - 200.0).abs() < 1e-6);
        assert!((Usual::of(&hours, at(24 + 10), &zone, 5).unwrap().value - 100.0).abs() < 1e-6);
    }
}
