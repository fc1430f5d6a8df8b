//! When a share of right answers has fallen: by an exact test against the baseline, and never by chance alone. Pure.
//!
//! The first runs of a type make its baseline, which stays. From then on the last 1, 2, 3 and up to 16 runs are each held against
//! it by Fisher's exact test (one-sided). A fall is told when one of these would come about by chance less often than
//! [`CHANCE_MAX`]: a model that fails altogether is told after a few answers, one that became a little worse after as many as it
//! takes to know. With four runs a day of five types, a model that stays as it is is told of wrongly less than once in ten years.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::json;
use statrs::distribution::{DiscreteCDF, Hypergeometric};

use super::Count;
use crate::finding::{Finding, Outcome, round1, round3};
use crate::model::About;
use crate::said::Said;

/// A fall that would come about by chance more often than this is none.
pub(crate) const CHANCE_MAX: f64 = 1e-6;
/// How many runs are looked at together.
const WINDOWS: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];
/// Runs that are remembered.
const RUNS_MAX: usize = 16;
/// A fall is over when so many runs together are not worse than the baseline any more,
const RECOVERY_RUNS: usize = 3;
/// which is so when chance alone explains them this easily.
const RECOVERY_CHANCE: f64 = 0.05;
/// Before there is a baseline, so many answers of which none is right are told of.
const NONE_RIGHT_MIN: u64 = 3;

/// What is kept of all types between runs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Kept {
    types: BTreeMap<String, Type>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Type {
    /// Of the tests as they are.
    fingerprint: String,
    /// What the baseline is made of.
    baseline: Sum,
    baseline_runs: u32,
    about: Served,
    /// The runs since, oldest first.
    recent: VecDeque<Sum>,
    is_fallen: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Sum {
    samples: u64,
    passed: u64,
}

/// What answered when the baseline was made.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Served {
    digest: Option<String>,
    options: Option<String>,
    server_version: Option<String>,
}

/// What a run says of one type.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) count: Count,
    pub(crate) outcome: Outcome,
    pub(crate) baseline_score: Option<f64>,
    /// How often chance alone would give runs as bad as the last ones.
    pub(crate) p_value: Option<f64>,
    /// What is other than when the baseline was made: what, before and now.
    changed: Vec<(&'static str, String, String)>,
    /// Runs of the baseline that are there, and that it is made of.
    baseline_runs: (u32, u32),
    /// The window in which the fall shows.
    window: Option<Sum>,
}

impl Kept {
    /// Takes in a run, and says what it means. `runs` are those that make a baseline.
    pub(crate) fn take(&mut self, name: &str, fingerprint: &str, count: &Count, about: &About, runs: u32) -> Verdict {
        let kind = self.types.entry(name.to_owned()).or_default();
        if kind.fingerprint != fingerprint {
            // Other tests: what was before says nothing of them.
            *kind = Type { fingerprint: fingerprint.to_owned(), about: Served::of(about), ..Type::default() };
        }
        let run = Sum { samples: count.samples, passed: count.passed };
        let mut verdict = Verdict {
            name: name.to_owned(),
            count: count.clone(),
            outcome: Outcome::Ok,
            baseline_score: None,
            p_value: None,
            changed: kind.about.changes(&Served::of(about)),
            baseline_runs: (runs, runs),
            window: None,
        };
        if kind.baseline_runs < runs {
            kind.baseline = kind.baseline.and(run);
            kind.baseline_runs += 1;
            verdict.baseline_runs.0 = kind.baseline_runs;
            if count.passed == 0 && count.samples >= NONE_RIGHT_MIN {
                verdict.outcome = Outcome::Warn;
            }
            return verdict;
        }
        kind.recent.push_back(run);
        if kind.recent.len() > RUNS_MAX {
            kind.recent.pop_front();
        }
        verdict.baseline_score = Some(kind.baseline.score());
        if kind.is_fallen && kind.has_recovered() {
            kind.is_fallen = false;
            // What was bad is over, and is not held against those that come.
            let keep = kind.recent.len().saturating_sub(RECOVERY_RUNS);
            kind.recent.drain(..keep);
        }
        let (p_value, window) = kind.worst();
        verdict.p_value = Some(p_value);
        kind.is_fallen |= p_value < CHANCE_MAX;
        if kind.is_fallen {
            (verdict.outcome, verdict.window) = (Outcome::Fault, Some(window));
        }
        verdict
    }

    /// Forgets types that no test is of any more.
    pub(crate) fn keep_only<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let names: Vec<&str> = names.collect();
        self.types.retain(|name, _| names.contains(&name.as_str()));
    }
}

impl Type {
    /// The window that chance explains least.
    fn worst(&self) -> (f64, Sum) {
        let windows = WINDOWS.into_iter().filter(|runs| *runs <= self.recent.len());
        let held = windows.map(|runs| {
            let sum = self.last(runs);
            (self.chance(sum), sum)
        });
        held.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((1.0, Sum::default()))
    }

    fn has_recovered(&self) -> bool {
        self.recent.len() >= RECOVERY_RUNS && self.chance(self.last(RECOVERY_RUNS)) > RECOVERY_CHANCE
    }

    fn last(&self, runs: usize) -> Sum {
        self.recent.iter().rev().take(runs).fold(Sum::default(), |sum, run| sum.and(*run))
    }

    /// How likely so few right answers are, if they are as good as those of the baseline: Fisher's exact test, one-sided.
    fn chance(&self, now: Sum) -> f64 {
        let (all, right) = (self.baseline.samples + now.samples, self.baseline.passed + now.passed);
        match Hypergeometric::new(all, right, now.samples) {
            Ok(distribution) => distribution.cdf(now.passed),
            // More were drawn than there are: only a kept file that somebody changed says so.
            Err(_) => 1.0,
        }
    }
}

impl Sum {
    fn and(self, other: Self) -> Self {
        Self { samples: self.samples + other.samples, passed: self.passed + other.passed }
    }

    fn score(self) -> f64 {
        self.passed as f64 / self.samples.max(1) as f64
    }
}

impl Served {
    fn of(about: &About) -> Self {
        let About { digest, server_version, options } = about.clone();
        Self { digest, options, server_version }
    }

    /// What is other now. What is not known on one side is not told as a change.
    fn changes(&self, now: &Self) -> Vec<(&'static str, String, String)> {
        let pairs = [
            ("digest", &self.digest, &now.digest),
            ("options", &self.options, &now.options),
            ("server_version", &self.server_version, &now.server_version),
        ];
        let changed = |(name, before, now): (&'static str, &Option<String>, &Option<String>)| {
            let (before, now) = (before.clone()?, now.clone()?);
            (before != now).then_some((name, before, now))
        };
        pairs.into_iter().filter_map(changed).collect()
    }
}

impl Verdict {
    pub(crate) fn score(&self) -> f64 {
        self.count.passed as f64 / self.count.samples.max(1) as f64
    }

    /// In words and figures.
    pub(crate) fn finding(&self) -> Finding {
        let Count { samples, passed } = self.count;
        let (run, runs) = self.baseline_runs;
        let test_type = self.name.clone();
        let said = match (self.outcome, self.baseline_score, self.window) {
            (Outcome::Fault, Some(baseline), Some(window)) => {
                let (right_percent, before_percent) = (round1(window.score() * 100.0), round1(baseline * 100.0));
                let fell = Said::TypeFell { test_type, right_percent, samples: window.samples, before_percent };
                let mut said = vec![fell];
                said.extend(self.changed.is_empty().then_some(Said::SameServer {}));
                said.extend(self.changed.iter().map(|(what, before, now)| changed(what, before, now)));
                said
            }
            (Outcome::Warn, ..) => vec![Said::TypeNoneRight { test_type, samples, run, runs }],
            (_, None, _) => vec![Said::TypeBaseline { test_type, passed, samples, run, runs }],
            (_, Some(baseline), _) => {
                vec![Said::TypeHolds { test_type, passed, samples, before_percent: round1(baseline * 100.0) }]
            }
        };
        let changed: Vec<&str> = self.changed.iter().map(|(what, ..)| *what).collect();
        Finding::of(self.outcome, said)
            .field("test_type", self.name.clone())
            .field("score", round3(self.score()))
            .field("samples", samples)
            .field("passed", passed)
            .field("baseline_score", json!(self.baseline_score.map(round3)))
            .field("p_value", json!(self.p_value))
            .field("changed", if changed.is_empty() { serde_json::Value::Null } else { json!(changed) })
    }
}

/// What is other than when the baseline was made.
fn changed(what: &str, before: &str, now: &str) -> Said {
    let (before, now) = (short(before), short(now));
    match what {
        "digest" => Said::DigestChanged { before, now },
        "options" => Said::OptionsChanged { before, now },
        _ => Said::VersionChanged { before, now },
    }
}

/// A digest or the like, short enough for a sentence.
fn short(text: &str) -> String {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    crate::finding::cut(text, 24)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::{Dice, Random};

    fn about(digest: &str) -> About {
        About {
            digest: Some(digest.to_owned()),
            server_version: Some("0.12".to_owned()),
            options: Some("{}".to_owned()),
        }
    }

    /// A run of so many answers, each right with this likelihood.
    fn run(dice: &mut Random, samples: u64, likelihood: f64) -> Count {
        let right = |dice: &mut Random| (dice.below(1_000_000) as f64) < likelihood * 1e6;
        let passed = (0..samples).filter(|_| right(dice)).count() as u64;
        Count { samples, passed }
    }

    const TYPES: [(&str, f64); 5] = [("math", 0.97), ("logic", 0.9), ("code", 0.75), ("facts", 0.6), ("recall", 1.0)];

    #[test]
    fn a_healthy_random_model_gives_no_false_alarm_in_90_days() {
        // 40 houses with four runs a day each: more than eight years of tests in all.
        for seed in 0..40 {
            let (mut dice, mut kept) = (Random::seeded(seed), Kept::default());
            for day in 0..90 {
                for _ in 0..4 {
                    for (name, likelihood) in TYPES {
                        let count = run(&mut dice, 9, likelihood);
                        let verdict = kept.take(name, "f", &count, &about("d"), 10);
                        assert_ne!(
                            verdict.outcome,
                            Outcome::Fault,
                            "seed {seed}, day {day}: {}",
                            verdict.finding().found()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn exactly_the_type_that_fell_is_told_as_soon_as_it_is_certain() {
        // To which likelihood logic falls, and after how many runs at most that has to be told.
        for (fallen, runs_max) in [(0.0, 2), (0.2, 6), (0.4, 20)] {
            for seed in 0..20 {
                let (mut dice, mut kept) = (Random::seeded(seed), Kept::default());
                let mut told = None;
                for at in 0..10 + 20 + runs_max {
                    for (name, likelihood) in TYPES {
                        let is_fallen = name == "logic" && at >= 30;
                        let count = run(&mut dice, 9, if is_fallen { fallen } else { likelihood });
                        let about = about(if at >= 30 { "new" } else { "old" });
                        let verdict = kept.take(name, "f", &count, &about, 10);
                        if verdict.outcome == Outcome::Fault {
                            assert_eq!(name, "logic", "seed {seed}, run {at}");
                            assert!(at >= 30, "seed {seed}: told before it fell");
                            told.get_or_insert((at - 29, verdict.finding().found()));
                        }
                    }
                }
                let (runs, found) = told.unwrap_or_else(|| panic!("seed {seed}: a fall to {fallen} is not told"));
                assert!(runs <= runs_max, "seed {seed}: a fall to {fallen} is told after {runs} runs");
                assert!(found.starts_with("Model degradation detected in logic: "), "{found}");
                assert!(found.contains(", digest changed from old to new"), "{found}");
            }
        }
    }

    #[test]
    fn a_total_failure_is_told_after_the_number_of_answers_that_shows_it() {
        // 15 of 15 before: 0 of 6 by chance is 1 in 54,264, 0 of 9 is 1 in 1,307,504.
        let mut kept = Kept::default();
        let three = |passed| Count { samples: 3, passed };
        for _ in 0..5 {
            assert_eq!(kept.take("math", "f", &three(3), &about("d"), 5).outcome, Outcome::Ok);
        }
        let p: Vec<_> = (0..4).map(|_| kept.take("math", "f", &three(0), &about("d"), 5)).collect();
        let outcomes: Vec<Outcome> = p.iter().map(|verdict| verdict.outcome).collect();
        assert_eq!(outcomes, [Outcome::Ok, Outcome::Ok, Outcome::Fault, Outcome::Fault]);
        assert!((p[1].p_value.unwrap() - 1.0 / 54_264.0).abs() < 1e-9, "{:?}", p[1].p_value);
        assert!(p[2].finding().found().contains("0% of 9 answers right, 100% before, digest, options"), "{:?}", p[2]);
    }

    #[test]
    fn a_fall_ends_when_the_answers_are_good_again_and_changed_tests_begin_anew() {
        let mut kept = Kept::default();
        let nine = |passed| Count { samples: 9, passed };
        let take = |kept: &mut Kept, passed| kept.take("math", "f", &nine(passed), &about("d"), 5).outcome;
        (0..5).for_each(|_| assert_eq!(take(&mut kept, 9), Outcome::Ok));
        assert_eq!(take(&mut kept, 0), Outcome::Fault);
        assert_eq!((take(&mut kept, 9), take(&mut kept, 9)), (Outcome::Fault, Outcome::Fault));
        assert_eq!(take(&mut kept, 9), Outcome::Ok);
        assert_eq!(take(&mut kept, 9), Outcome::Ok);
        let verdict = kept.take("math", "other tests", &nine(0), &about("d"), 5);
        assert_eq!((verdict.outcome, verdict.baseline_score), (Outcome::Warn, None));
        assert!(verdict.finding().found().contains("none of 9 answers right (run 1 of 5"), "{:?}", verdict.finding());
        kept.keep_only(std::iter::empty());
        assert_eq!(kept, Kept::default());
    }

    proptest! {
        #[test]
        fn chance_is_a_probability_and_falls_with_the_score(
            samples in 1u64..200, before in 1u64..200, right in 0u64..200, now in 0u64..200,
        ) {
            let baseline = Sum { samples: before, passed: right.min(before) };
            let kind = Type { baseline, ..Type::default() };
            let chance = |passed| kind.chance(Sum { samples, passed });
            let now = now.min(samples);
            prop_assert!((0.0..=1.0 + 1e-9).contains(&chance(now)));
            if now > 0 {
                prop_assert!(chance(now - 1) <= chance(now) + 1e-12);
            }
            prop_assert!((chance(samples) - 1.0).abs() < 1e-9);
        }
    }
}
