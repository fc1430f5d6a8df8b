//! Budgets of objectives: how fast they are used up, and what is left of them.
//!
//! An objective of 99.5 % over 30 days has a budget: half a percent may be bad. As the Site Reliability Workbook
//! advises ("Alerting on SLOs"), it is told when 2 % of the budget go within an hour, 5 % within six, or 10 % within three
//! days; and a short window beside each says whether it still goes on.
//!
//! Where few requests come, such rates alone make a fire of one failure: at 50 requests a day an hour has two. So a window
//! counts only with some bad ones in it, and when so many of them would hardly be chance at the rate in question. And it is over
//! not when nothing has come for a while, but when what came since is better than what came before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tollhouse_remote::Shelf;

use crate::ask::{Finding, GROUPS_MAX, group, records};
use crate::chance;
use crate::error::WatchError;
use crate::rule::{Measure, Rule};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Fewer bad ones are never told of.
const BAD_MIN: u64 = 3;
/// As unlikely it has to be that so many are bad by chance.
const CHANCE_MAX: f64 = 0.01;
/// The same for its end.
const OVER_CHANCE_MAX: f64 = 0.05;
/// While it burns, as much is taken to be bad at least: six good ones in a row are an end.
const BAD_SHARE_MIN: f64 = 0.4;
/// Rules whose past is kept.
const RULES_MAX: usize = 200;

/// A pair of windows.
struct Pair {
    long: Window,
    /// Says whether it goes on.
    short: Window,
    /// So much of the budget is not to go within the long one.
    share: f64,
}

const PAIRS: [Pair; 3] = [
    Pair { long: Window::Hour, short: Window::Minutes5, share: 0.02 },
    Pair { long: Window::Hours6, short: Window::Minutes30, share: 0.05 },
    Pair { long: Window::Days3, short: Window::Hours6, share: 0.10 },
];

/// How far back is looked.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Window {
    Minutes5,
    Minutes30,
    Hour,
    Hours3,
    Hours6,
    Hours12,
    Day,
    Days3,
}

impl Window {
    const ALL: [Self; 8] = [
        Self::Minutes5,
        Self::Minutes30,
        Self::Hour,
        Self::Hours3,
        Self::Hours6,
        Self::Hours12,
        Self::Day,
        Self::Days3,
    ];
    /// Those of which the hours that are over are asked for once an hour.
    const LONG: [Self; 5] = [Self::Hours3, Self::Hours6, Self::Hours12, Self::Day, Self::Days3];

    fn ms(self) -> i64 {
        match self {
            Self::Minutes5 => 5 * MINUTE_MS,
            Self::Minutes30 => 30 * MINUTE_MS,
            Self::Hour => HOUR_MS,
            Self::Hours3 => 3 * HOUR_MS,
            Self::Hours6 => 6 * HOUR_MS,
            Self::Hours12 => 12 * HOUR_MS,
            Self::Day => 24 * HOUR_MS,
            Self::Days3 => 72 * HOUR_MS,
        }
    }

    fn time(self) -> Duration {
        Duration::from_millis(self.ms().unsigned_abs())
    }
}

/// What came, and how much of it was bad.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) all: u64,
    pub(crate) bad: u64,
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self { all: self.all + other.all, bad: self.bad + other.bad }
    }

    fn without(self, other: Self) -> Self {
        Self { all: self.all.saturating_sub(other.all), bad: self.bad.saturating_sub(other.bad) }
    }

    fn share(self) -> f64 {
        if self.all == 0 { 0.0 } else { self.bad as f64 / self.all as f64 }
    }
}

/// What a group's windows have.
type Windows = BTreeMap<Window, Counts>;

/// An objective, in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// The share that may be bad.
    share: f64,
    over_ms: f64,
    /// A window with fewer requests does not count.
    samples_min: u64,
}

impl Budget {
    pub(crate) fn of(rule: &Rule) -> Option<Self> {
        let Measure::Burn { goal, over, .. } = &rule.settings().measure else { return None };
        let over_ms = over.as_millis() as f64;
        Some(Self { share: 1.0 - goal / 100.0, over_ms, samples_min: rule.settings().samples })
    }

    /// So many times faster than the budget comes in it goes.
    fn rate(self, counts: Counts) -> f64 {
        counts.share() / self.share
    }

    /// The first window in which too much of the budget goes, and still does.
    fn burning(self, windows: &Windows) -> Option<(Window, f64)> {
        let of = |window| windows.get(&window).copied().unwrap_or_default();
        let is_burning = |pair: &&Pair| {
            let long = of(pair.long);
            let factor = pair.share * self.over_ms / pair.long.ms() as f64;
            let share = factor * self.share;
            long.all >= self.samples_min
                && long.bad >= BAD_MIN
                && chance::at_least(long.all, long.bad, share) <= CHANCE_MAX
                && !windows.range(..pair.long).any(|(window, lately)| {
                    // Of a time as long as the short window, a few good ones in a row are enough.
                    let least = if *window >= pair.short { BAD_SHARE_MIN } else { 0.0 };
                    is_over(long.without(*lately), *lately, share, least)
                })
        };
        let pair = PAIRS.iter().find(is_burning)?;
        Some((pair.long, self.rate(of(pair.long))))
    }

    fn finding(self, group: String, windows: &Windows) -> Finding {
        let longest = windows.get(&Window::Days3).copied().unwrap_or_default();
        let burning = self.burning(windows);
        let told = burning.and_then(|(window, _)| windows.get(&window)).copied().unwrap_or(longest);
        let value = burning.map_or_else(|| self.rate(longest), |(_, rate)| rate);
        let value = (told.all > 0).then_some(value);
        Finding { window: burning.map(|(window, _)| window.time()), ..Finding::plain(group, value, told.all) }
    }
}

/// Whether what came lately is better than what came before, beyond chance, and as it should be. Before, a share of
/// `was_least` at least is taken to have been bad.
fn is_over(before: Counts, lately: Counts, share: f64, was_least: f64) -> bool {
    // As much as can be known of so few: Laplace's rule.
    let was = ((before.bad + 1) as f64 / (before.all + 2) as f64).max(was_least);
    lately.share() < share && chance::at_most(lately.all, lately.bad, was) <= OVER_CHANCE_MAX
}

/// How an objective stands in one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// The value that is grouped by; empty where nothing is grouped.
    pub group: String,
    /// Records of the whole time.
    pub all: u64,
    /// Those of them that are bad.
    pub bad: u64,
    /// The share of the budget that is left; below zero when more is gone than there was.
    pub left: f64,
    /// How many times faster than it comes in the budget goes, over the last hour, six hours and three days; none where nothing
    /// came.
    pub rates: [Option<f64>; 3],
}

impl Rule {
    /// How an objective stands at a moment, by group; nothing for other rules.
    pub async fn standing(&self, shelf: &Shelf, now_ms: i64) -> Result<Vec<Standing>, WatchError> {
        let Some(budget) = Budget::of(self) else { return Ok(Vec::new()) };
        let back = |ms: i64| (now_ms - ms, now_ms);
        let spans = [back(budget.over_ms as i64), back(HOUR_MS), back(6 * HOUR_MS), back(72 * HOUR_MS)];
        let found = self.counts(shelf, &spans).await?;
        let standing = |(group, counts): (String, Vec<Counts>)| {
            let whole = counts[0];
            let rate = |counts: Counts| (counts.all > 0).then(|| budget.rate(counts));
            Standing {
                group,
                all: whole.all,
                bad: whole.bad,
                left: 1.0 - budget.rate(whole),
                rates: [rate(counts[1]), rate(counts[2]), rate(counts[3])],
            }
        };
        Ok(found.into_iter().map(standing).collect())
    }

    /// What came and what was bad after one moment until another, for some such spans, by group.
    async fn counts(&self, shelf: &Shelf, spans: &[(i64, i64)]) -> Result<BTreeMap<String, Vec<Counts>>, WatchError> {
        let (Some(from), Some(to)) = (spans.iter().map(|span| span.0).min(), spans.iter().map(|span| span.1).max())
        else {
            return Ok(BTreeMap::new());
        };
        let bad: Value = self.measured().into();
        let mut aggs = Map::new();
        for (number, (from, to)) in spans.iter().enumerate() {
            let range = json!({"range": {"@timestamp": {"gt": from, "lte": to, "format": "epoch_millis"}}});
            aggs.insert(format!("span{number}"), json!({"filter": range, "aggs": bad}));
        }
        let field = self.settings().group_by.as_ref();
        if let Some(field) = field {
            let groups = json!({"terms": {"field": field, "size": GROUPS_MAX}, "aggs": aggs});
            aggs = Map::from_iter([("groups".to_owned(), groups)]);
        }
        let body = json!({"size": 0, "query": records(&self.filter_between(from, to)), "aggs": aggs});
        let answer = self.search(shelf, &body).await?;
        let counts = |found: &Value| {
            let of = |number: usize| {
                let span = &found[format!("span{number}")];
                let count = |value: &Value| value["doc_count"].as_u64().unwrap_or_default();
                Counts { all: count(span), bad: count(&span["value"]) }
            };
            (0..spans.len()).map(of).collect::<Vec<_>>()
        };
        let found = &answer["aggregations"];
        if field.is_none() {
            return Ok(BTreeMap::from([(String::new(), counts(found))]));
        }
        let buckets = found["groups"]["buckets"].as_array().cloned().unwrap_or_default();
        Ok(buckets.iter().map(|bucket| (group(bucket), counts(bucket))).collect())
    }
}

/// What objectives have behind them, which is asked for once an hour.
#[derive(Debug, Default)]
pub(crate) struct Burns {
    /// By rule: the hour in which it was asked for, and by group what the long windows had until an hour before.
    by_rule: BTreeMap<String, (i64, BTreeMap<String, Vec<Counts>>)>,
}

impl Burns {
    /// How fast the budget of an objective goes at a moment, by group.
    pub(crate) async fn found(
        &mut self,
        rule: &Rule,
        budget: Budget,
        shelf: &Shelf,
        now_ms: i64,
    ) -> Result<Vec<Finding>, WatchError> {
        let hour = now_ms.div_euclid(HOUR_MS);
        let begin = (hour - 1) * HOUR_MS;
        if self.by_rule.get(rule.name()).is_none_or(|(asked, _)| *asked != hour) {
            let spans = Window::LONG.map(|window| (hour * HOUR_MS - window.ms(), begin));
            let past = rule.counts(shelf, &spans).await?;
            if self.by_rule.len() >= RULES_MAX {
                self.by_rule.clear();
            }
            self.by_rule.insert(rule.name().to_owned(), (hour, past));
        }
        let past = self.by_rule.get(rule.name()).map(|(_, past)| past);
        let short = Window::ALL.map(|window| (begin.max(now_ms - window.ms()), now_ms));
        let mut lately = rule.counts(shelf, &short).await?;
        for group in past.into_iter().flat_map(BTreeMap::keys) {
            lately.entry(group.clone()).or_insert_with(|| vec![Counts::default(); Window::ALL.len()]);
        }
        let finding = |(group, counts): (String, Vec<Counts>)| {
            let mut windows: Windows = Window::ALL.into_iter().zip(counts).collect();
            let before = past.and_then(|past| past.get(&group));
            for (window, counts) in Window::LONG.into_iter().zip(before.into_iter().flatten()) {
                let lately = windows.entry(window).or_default();
                *lately = lately.plus(*counts);
            }
            budget.finding(group, &windows)
        };
        Ok(lately.into_iter().map(finding).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::tests::Dice;

    const DAY_MS: i64 = 24 * HOUR_MS;

    fn budget(goal: f64) -> Budget {
        Budget { share: 1.0 - goal / 100.0, over_ms: 30.0 * DAY_MS as f64, samples_min: 10 }
    }

    /// Requests as they come, good and bad.
    struct Traffic {
        dice: Dice,
        by_day: f64,
        /// When each came, and how many were bad until then.
        came: Vec<(i64, u64)>,
    }

    impl Traffic {
        fn new(seed: u64, by_day: f64) -> Self {
            Self { dice: Dice(seed), by_day, came: Vec::new() }
        }

        /// One step of time; each request is bad with probability `p`.
        fn step(&mut self, at_ms: i64, step_ms: i64, p: f64) {
            let mut left = self.by_day * step_ms as f64 / DAY_MS as f64;
            while self.dice.next() < left {
                let is_bad = self.dice.next() < p;
                self.came.push((at_ms, self.bad() + u64::from(is_bad)));
                left -= 1.0;
            }
        }

        fn bad(&self) -> u64 {
            self.came.last().map_or(0, |(_, bad)| *bad)
        }

        fn windows(&self, now_ms: i64) -> Windows {
            let count = |window: Window| {
                let from = self.came.partition_point(|(at, _)| *at <= now_ms - window.ms());
                let before = from.checked_sub(1).map_or(0, |last| self.came[last].1);
                let bad = self.bad() - before;
                (window, Counts { all: (self.came.len() - from) as u64, bad })
            };
            Window::ALL.into_iter().map(count).collect()
        }
    }

    /// Begins of alerts over some days, when each request is bad with the probability that `p` gives for its moment.
    fn alerts(seed: u64, by_day: f64, goal: f64, days: i64, p: impl Fn(i64) -> f64) -> Vec<(i64, i64)> {
        let (budget, step) = (budget(goal), 5 * MINUTE_MS);
        let mut traffic = Traffic::new(seed, by_day);
        let mut found: Vec<(i64, i64)> = Vec::new();
        let mut is_on = false;
        for now in (0..days * DAY_MS).step_by(step as usize) {
            let known = traffic.came.len();
            traffic.step(now, step, p(now));
            if traffic.came.len() == known && !is_on {
                continue;
            }
            let burns = budget.burning(&traffic.windows(now)).is_some();
            match (is_on, burns) {
                (false, true) => found.push((now, i64::MAX)),
                (true, false) => found.last_mut().unwrap().1 = now,
                _ => {}
            }
            is_on = burns;
        }
        found
    }

    #[test]
    fn ninety_days_of_fifty_requests_a_day_are_calm_while_the_objective_is_kept() {
        for (by_day, seeds) in [(50.0, 40), (400.0, 3)] {
            let found: Vec<_> = (1..=seeds).flat_map(|seed| alerts(seed, by_day, 99.5, 90, |_| 0.001)).collect();
            println!("{by_day} requests a day, one of 1,000 bad: {} alerts in {} days", found.len(), seeds * 90);
            assert!(found.is_empty(), "{by_day} a day: {found:?}");
        }
        // The workbook's rates alone, at 50 a day: every single failure.
        let mut traffic = Traffic::new(1, 50.0);
        traffic.came.push((0, 1));
        assert!(
            traffic.windows(0)[&Window::Hour].share() > 14.4 * 0.005
                && budget(99.5).burning(&traffic.windows(0)).is_none()
        );
    }

    #[test]
    fn what_fails_is_told_while_it_fails_and_is_over_soon_after() {
        let (begin, end) = (10 * DAY_MS, 10 * DAY_MS + 12 * HOUR_MS);
        let outage = |share: f64| move |now: i64| if (begin..end).contains(&now) { share } else { 0.001 };
        for (by_day, share, within, over) in [
            (50.0, 1.0, 8 * HOUR_MS, 8 * HOUR_MS),
            (50.0, 0.5, 10 * HOUR_MS, 12 * HOUR_MS),
            (2_000.0, 0.5, HOUR_MS / 2, 2 * HOUR_MS),
            (2_000.0, 0.1, 6 * HOUR_MS, 6 * HOUR_MS),
        ] {
            for seed in 1..=5 {
                let found = alerts(seed, by_day, 99.5, 14, outage(share));
                assert!(!found.is_empty(), "{by_day} a day, {share} bad: not found");
                let (first, last) = (found[0].0, found[found.len() - 1].1);
                println!(
                    "{by_day} a day, {share} bad: told after {} min, over {} min after its end, {} times",
                    (first - begin) / MINUTE_MS,
                    (last - end) / MINUTE_MS,
                    found.len()
                );
                assert!((begin..begin + within).contains(&first), "{by_day} a day, {share} bad: {found:?}");
                // What burns just fast enough comes and goes; `resolve` and `cooldown` make one message of it.
                let is_steady = found.len() <= if share < 0.5 { 6 } else { 3 };
                assert!(last < end + over && is_steady, "{by_day} a day, {share} bad: {found:?}");
            }
        }
    }

    #[test]
    fn what_is_left_is_counted_from_the_whole_time() {
        let budget = budget(99.0);
        assert!((1.0 - budget.rate(Counts { all: 1_000, bad: 5 }) - 0.5).abs() < 1e-9);
        assert!((budget.rate(Counts { all: 100, bad: 2 }) - 2.0).abs() < 1e-9);
        assert!(budget.rate(Counts::default()).abs() < 1e-9);
    }
}
