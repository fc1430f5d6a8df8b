//! The state machine over simulated months: restarts, clocks that are set, summer time, quiet hours.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use proptest::prelude::*;

use serde_json::{Value, json};

use crate::ask::line;
use crate::condition::{Condition, Stage, Timing};
use crate::round::{Conditions, round};
use crate::telling::{Beside, Newest, firing};
use crate::{Finding, Limit, Measure, Quiet, Rule, RuleSettings};

const MINUTE: i64 = 60_000;

fn rule() -> Rule {
    Rule::new(RuleSettings {
        limit: Limit::parse(">= 5").unwrap(),
        group_by: Some("model_name".into()),
        hold: Duration::from_secs(120),
        cooldown: Duration::from_secs(30 * 60),
        resolve: Duration::from_secs(5 * 60),
        quiet: Some(
            Quiet::new("22:00".parse::<Time>().unwrap(), "07:00".parse().unwrap(), Some("Europe/Berlin")).unwrap(),
        ),
        ..RuleSettings::new("slow")
    })
    .unwrap()
}

fn finding(group: &str, value: f64) -> Finding {
    Finding::plain(group.into(), Some(value), value as u64)
}

#[test]
fn an_alert_goes_its_way() {
    let timing = Timing { hold_ms: 10, cooldown_ms: 100, resolve_ms: 20 };
    let mut condition = Condition::default();
    let mut at = |now, is_met, is_held| {
        let step = condition.step(&timing, now, is_met, is_held, &format!("m{now}"));
        (step.fired, step.tell_firing, step.resolved, step.tell_resolved)
    };
    let nothing = (false, false, false, None);
    assert_eq!(at(0, true, false), nothing, "pending");
    assert_eq!(at(9, true, false), nothing);
    assert_eq!(at(10, true, false), (true, true, false, None));
    assert_eq!(at(11, true, false), nothing, "once");
    assert_eq!(at(30, false, false), nothing);
    assert_eq!(at(40, true, false), nothing, "it was not over yet");
    assert_eq!(at(50, false, false), nothing);
    assert_eq!(at(70, false, false), (false, false, true, Some("m10".into())));
    assert_eq!(at(80, true, false), nothing);
    assert_eq!(at(90, true, false), (true, false, false, None), "it was told a short time ago");
    assert_eq!(at(110, true, false), (false, true, false, None), "that is over");
    assert_eq!(at(120, false, true), nothing);
    assert_eq!(at(140, false, true), (false, false, true, None), "quiet");
    assert_eq!(at(150, false, false), (false, false, false, Some("m110".into())));
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_wait_longer() {
    let timing = Timing { hold_ms: 10, cooldown_ms: 100, resolve_ms: 20 };
    let mut condition = Condition::default();
    condition.step(&timing, 1_000_000, true, false, "a");
    condition.step(&timing, 1_000, true, false, "b");
    let step = condition.step(&timing, 1_010, true, false, "c");
    assert!(step.fired && step.tell_firing);
}

#[test]
fn ten_thousand_groups_are_one_message() {
    let rule = Rule::new(RuleSettings { limit: Limit::parse(">= 1").unwrap(), ..rule().settings().clone() }).unwrap();
    let rule = Rule::new(RuleSettings { hold: Duration::ZERO, quiet: None, ..rule.settings().clone() }).unwrap();
    let findings: Vec<Finding> = (0..10_000).map(|number| finding(&number.to_string(), 1.0)).collect();
    let outcome = round(&rule, &mut Conditions::new(), &findings, 1, false, "m");
    assert_eq!(outcome.tell_firing.len(), 10_000);
    let place = crate::Place { service: "gate".into(), console: Some("http://h".into()) };
    let message =
        crate::telling::firing(&rule, &place, "m", &outcome.tell_firing, crate::telling::Beside::default(), 1);
    assert!(serde_json::to_string(&message).unwrap().len() < 4_000, "and a short one");
}

#[test]
fn the_headline_of_a_newest_record_says_what_the_record_says_and_never_a_whole_line() {
    let settings = RuleSettings {
        measure: Measure::Latest("outcome:fault".into()),
        limit: Limit::parse(">= 1").unwrap(),
        hold: Duration::ZERO,
        quiet: None,
        ..rule().settings().clone()
    };
    let rule = Rule::new(settings).unwrap();
    let outcome = round(&rule, &mut Conditions::new(), &[finding("root", 1.0)], 1, false, "m");
    let place = crate::Place { service: "gate".into(), console: None };
    let told = |record: &Value| {
        let beside = Beside { worst: vec![line(record)], newest: Newest::of(record), ..Beside::default() };
        let message = firing(&rule, &place, "m", &outcome.tell_firing, beside, 1);
        let codes: Vec<String> = message.title_told.into_iter().map(|told| told.code).collect();
        (message.title, codes.join(" "))
    };
    let said = json!([{"code": "disk_used", "figures": {"used_percent": 97.0}}]);
    let time = "2026-03-02T08:00:00Z";
    let probe = json!({"kind": "probe", "@timestamp": time, "msg": "97% used", "said": said});
    assert_eq!(told(&probe), ("slow (root): 97% used".into(), "fires_newest disk_used".into()));
    let event = json!({"kind": "journal", "@timestamp": time, "msg": "the disk is full\nsince today"});
    assert_eq!(told(&event), ("slow (root): the disk is full since today".into(), "fires_newest words".into()));
    let foreign =
        json!({"kind": "log", "@timestamp": time, "msg": "E1102 panic: runtime error [recovered] goroutine 7"});
    let measured = "slow (root): newest record with outcome:fault";
    assert_eq!(told(&foreign), (measured.into(), "fires_newest condition_latest".into()));
}

/// What is so in a group at each look: a random walk around the limit.
fn walk() -> impl Strategy<Value = Vec<(u8, bool, i64)>> {
    // (value, is the house restarted here, how far the clock jumps in minutes)
    let jump = prop_oneof![40 => Just(0_i64), 1 => -180_i64..180];
    prop::collection::vec((0_u8..10, prop::bool::weighted(0.01), jump), 400..800)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// 90 days over the beginning of summer time (29 March 2026), in steps of some minutes, with clocks that are set and houses
    /// that are restarted.
    #[test]
    fn what_is_told_makes_sense_whatever_happens(walk in walk(), stretch in 2_i64..160) {
        let rule = rule();
        let timing = rule.timing();
        let mut conditions = Conditions::new();
        let mut now = "2026-02-10T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        let mut told: BTreeMap<String, i64> = BTreeMap::new();
        let mut open: Option<String> = None;
        let mut last_told: Option<i64> = None;
        for (number, (value, restarts, jump)) in walk.into_iter().enumerate() {
            now += stretch * MINUTE + jump * MINUTE;
            if jump < 0 {
                // What was told lies ahead of the clock: it counts as told now.
                last_told = last_told.map(|at| at.min(now));
            }
            if restarts {
                let kept = serde_json::to_string(&conditions).unwrap();
                conditions = serde_json::from_str(&kept).unwrap();
            }
            let id = format!("m{number}");
            let is_quiet = rule.is_quiet(now);
            let outcome = round(&rule, &mut conditions, &[finding("qwen3", f64::from(value))], now, is_quiet, &id);
            if is_quiet {
                prop_assert!(outcome.tell_firing.is_empty() && outcome.tell_resolved.is_empty());
            }
            for (_, ended) in &outcome.tell_resolved {
                prop_assert_eq!(Some(ended.clone()), open.take(), "an end is of what was told last");
            }
            if !outcome.tell_firing.is_empty() {
                prop_assert!(open.is_none(), "told twice without an end");
                prop_assert!(last_told.is_none_or(|at| now - at >= timing.cooldown_ms), "told too soon");
                prop_assert!(value >= 5, "told while it is not so");
                prop_assert!(told.insert(id.clone(), now).is_none());
                (open, last_told) = (Some(id), Some(now));
            }
            // Over is over, even if the clock is set back after that.
            last_told = last_told.filter(|at| now - at < timing.cooldown_ms);
        }
        // Once it is calm for long and nothing is quiet, all is told and nothing is left to remember.
        for _ in 0..200 {
            now += 31 * MINUTE;
            let outcome = round(&rule, &mut conditions, &[], now, rule.is_quiet(now), "end");
            prop_assert!(outcome.tell_firing.is_empty());
            for (_, ended) in &outcome.tell_resolved {
                prop_assert_eq!(Some(ended.clone()), open.take());
            }
        }
        prop_assert!(open.is_none() && conditions.is_empty());
    }

    /// What is so for long enough is told, once the quiet time and the cool-down are over.
    #[test]
    fn what_stays_is_told(before in walk()) {
        let rule = rule();
        let mut conditions = Conditions::new();
        let mut now = "2026-03-28T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        for (value, _, _) in before.into_iter().take(200) {
            now += 7 * MINUTE;
            round(&rule, &mut conditions, &[finding("a", f64::from(value))], now, rule.is_quiet(now), "before");
        }
        for _ in 0..12 * 60 {
            now += MINUTE;
            round(&rule, &mut conditions, &[finding("a", 9.0)], now, rule.is_quiet(now), "told");
        }
        let condition = &conditions["a"];
        let is_firing = matches!(condition.stage, Stage::Firing { .. });
        prop_assert!(is_firing && condition.told.is_some());
    }
}
