//! Figures of many requests: percentiles, speeds, errors by kind.

use std::time::Duration;

use serde_json::{Value, json};

use super::users::{Fault, Sample};

/// Kinds of errors that are told apart; those that come later count under the last.
const KINDS_MAX: usize = 20;

/// How some numbers are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None where there is no number.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |percent| percentile(&sorted, percent);
        Some(Self { p50: at(50)?, p95: at(95)?, p99: at(99)?, max: at(100)? })
    }

    pub(crate) fn to_json(self) -> Value {
        let [p50, p95, p99, max] = [self.p50, self.p95, self.p99, self.max].map(round3);
        json!({"p50": p50, "p95": p95, "p99": p99, "max": max})
    }
}

/// The smallest of the sorted numbers that is not less than so many percent of them (nearest rank).
pub(crate) fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// What the users saw.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) requests: usize,
    pub(crate) answered: usize,
    /// Answered, and the first token came within the goal.
    pub(crate) in_time: usize,
    /// Users of whom at least one request has ended.
    pub(crate) users: usize,
    pub(crate) ttft_ms: Option<Spread>,
    /// The same, each by itself, in order.
    pub(crate) ttfts_ms: Vec<f64>,
    pub(crate) total_ms: Option<Spread>,
    pub(crate) queue_ms: Option<Spread>,
    pub(crate) speed: Option<Speed>,
    pub(crate) errors: Vec<Kind>,
}

/// Tokens a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speed {
    /// Of an answer in the middle, from its first token to its last.
    pub(crate) user_p50: Option<f64>,
    /// Only 5 % are slower.
    pub(crate) user_p5: Option<f64>,
    /// Of all users together, over the whole time.
    pub(crate) all: f64,
    pub(crate) tokens: u64,
    /// Every answer told how many tokens it has; else the pieces of some were counted.
    pub(crate) told: bool,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kind {
    pub(crate) count: usize,
    /// The first of them; its wait is the longest that any was told.
    pub(crate) fault: Fault,
    /// A request that it happened to.
    pub(crate) request_id: String,
}

impl Figures {
    pub(crate) fn of(samples: &[Sample], goal: Duration, lasted: Duration) -> Self {
        let answered = || samples.iter().filter(|sample| sample.fault.is_none());
        let mut users: Vec<u32> = samples.iter().map(|sample| sample.user).collect();
        users.sort_unstable();
        users.dedup();
        let mut ttfts_ms: Vec<f64> = answered().filter_map(|sample| sample.ttft.map(millis)).collect();
        ttfts_ms.sort_by(f64::total_cmp);
        Self {
            requests: samples.len(),
            answered: answered().count(),
            in_time: answered().filter(|sample| sample.ttft.is_some_and(|ttft| ttft <= goal)).count(),
            users: users.len(),
            ttft_ms: Spread::of(ttfts_ms.iter().copied()),
            ttfts_ms,
            total_ms: Spread::of(answered().map(|sample| millis(sample.total))),
            queue_ms: Spread::of(answered().filter_map(|sample| sample.queue_ms)),
            speed: Speed::of(&answered().collect::<Vec<_>>(), lasted),
            errors: kinds(samples),
        }
    }
}

impl Speed {
    fn of(answered: &[&Sample], lasted: Duration) -> Option<Self> {
        if answered.is_empty() || lasted.is_zero() {
            return None;
        }
        let mut speeds: Vec<f64> = answered.iter().filter_map(|sample| speed(sample)).collect();
        speeds.sort_by(f64::total_cmp);
        let tokens: u64 = answered.iter().map(|sample| tokens(sample)).sum();
        Some(Self {
            user_p50: percentile(&speeds, 50),
            user_p5: percentile(&speeds, 5),
            all: tokens as f64 / lasted.as_secs_f64(),
            tokens,
            told: answered.iter().all(|sample| sample.tokens.is_some()),
        })
    }
}

fn tokens(sample: &Sample) -> u64 {
    sample.tokens.unwrap_or(sample.pieces)
}

/// Tokens a second after the first. None where all came at once.
fn speed(sample: &Sample) -> Option<f64> {
    let seconds = sample.writing.as_secs_f64();
    (sample.pieces > 1 && seconds > 0.0).then(|| tokens(sample).saturating_sub(1) as f64 / seconds)
}

/// The most frequent first.
fn kinds(samples: &[Sample]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for (sample, fault) in samples.iter().filter_map(|sample| Some((sample, sample.fault.as_ref()?))) {
        let is_same = |kind: &Kind| kind.fault.status == fault.status && kind.fault.code == fault.code;
        let place = kinds.iter().position(is_same);
        match place.or((kinds.len() == KINDS_MAX).then_some(KINDS_MAX - 1)) {
            Some(place) => {
                let kind = &mut kinds[place];
                kind.count += 1;
                kind.fault.retry_after_s = kind.fault.retry_after_s.max(fault.retry_after_s);
            }
            None => {
                kinds.push(Kind { count: 1, fault: fault.clone(), request_id: sample.request_id.clone() });
            }
        }
    }
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    kinds
}

/// Milliseconds.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Three decimals, as in the records.
pub(crate) fn round3(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn sample(user: u32, ttft_ms: u64) -> Sample {
        Sample {
            user,
            request_id: format!("bench-{user}"),
            ttft: Some(Duration::from_millis(ttft_ms)),
            total: Duration::from_millis(ttft_ms + 500),
            writing: Duration::from_millis(500),
            pieces: 5,
            tokens: Some(11),
            queue_ms: Some(1.0),
            fault: None,
        }
    }

    pub(crate) fn failed(user: u32, status: Option<u16>, code: &str, retry_after_s: Option<u64>) -> Sample {
        let fault = Fault { status, code: code.to_owned(), message: "m".to_owned(), retry_after_s };
        Sample { ttft: None, fault: Some(fault), ..sample(user, 0) }
    }

    #[test]
    fn percentiles_are_numbers_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        for (percent, expected) in [(0, 1.0), (1, 1.0), (50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0)] {
            assert_eq!(percentile(&hundred, percent), Some(expected), "{percent}");
        }
        assert_eq!(percentile(&[7.0], 95), Some(7.0));
        assert_eq!(percentile(&[1.0, 2.0], 50), Some(1.0));
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn what_the_users_saw() {
        let samples = [sample(0, 100), sample(1, 200), sample(1, 2000), failed(2, Some(429), "rate", Some(3))];
        let figures = Figures::of(&samples, Duration::from_millis(200), Duration::from_secs(3));
        assert_eq!((figures.requests, figures.answered, figures.in_time, figures.users), (4, 3, 2, 3));
        assert_eq!(figures.ttft_ms.unwrap().p50, 200.0);
        let speed = figures.speed.unwrap();
        assert_eq!((speed.user_p50, speed.all, speed.tokens, speed.told), (Some(20.0), 11.0, 33, true));
    }

    #[test]
    fn errors_are_counted_by_kind_the_most_frequent_first() {
        let samples = [
            failed(0, None, "closed", None),
            failed(1, Some(429), "rate", Some(3)),
            failed(2, Some(429), "rate", Some(9)),
            failed(3, Some(503), "rate", None),
        ];
        let kinds = kinds(&samples);
        let told: Vec<_> = kinds.iter().map(|kind| (kind.count, kind.fault.status, kind.fault.retry_after_s)).collect();
        assert_eq!(told, [(2, Some(429), Some(9)), (1, None, None), (1, Some(503), None)]);
        let many: Vec<Sample> = (0..100).map(|n| failed(n, None, &n.to_string(), None)).collect();
        let kinds = super::kinds(&many);
        assert_eq!((kinds.len(), kinds.iter().map(|kind| kind.count).sum::<usize>()), (KINDS_MAX, 100));
    }

    proptest! {
        #[test]
        fn so_many_are_not_above_a_percentile(mut numbers in prop::collection::vec(0.0..1e6, 1..300), percent in 1..=100_usize) {
            numbers.sort_by(f64::total_cmp);
            let at = percentile(&numbers, percent).unwrap();
            let below = numbers.iter().filter(|number| **number < at).count();
            let not_above = numbers.iter().filter(|number| **number <= at).count();
            prop_assert!(not_above * 100 >= percent * numbers.len());
            prop_assert!(below * 100 < percent * numbers.len());
        }
    }
}
