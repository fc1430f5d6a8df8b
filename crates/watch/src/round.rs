//! One look at a rule: what was found changes its groups' conditions, and what is to be told of that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ask::Finding;
use crate::condition::{Condition, Timing};
use crate::rule::{Measure, Rule};

/// The conditions of a rule by group.
pub(crate) type Conditions = BTreeMap<String, Condition>;

/// What a look led to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Groups whose condition is another one.
    pub(crate) changed: Vec<String>,
    /// Groups of which nothing has to be remembered.
    pub(crate) forgotten: Vec<String>,
    pub(crate) fired: Vec<Change>,
    pub(crate) resolved: Vec<Change>,
    pub(crate) tell_firing: Vec<Change>,
    /// With the message that this is the end of.
    pub(crate) tell_resolved: Vec<(Change, String)>,
    /// Messages whose incident is over for these groups.
    pub(crate) ended: Vec<(String, String)>,
    /// Groups that are alerts and not told because nothing is told of the rule now.
    pub(crate) held: Vec<Change>,
}

/// A group whose state became another one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) group: String,
    pub(crate) value: Option<f64>,
    pub(crate) usual: Option<f64>,
    /// The window in which too much of a budget goes.
    pub(crate) window: Option<Duration>,
}

/// Takes one look. `message` is the id of a message that tells what fires now.
pub(crate) fn round(
    rule: &Rule,
    conditions: &mut Conditions,
    findings: &[Finding],
    now_ms: i64,
    is_held: bool,
    message: &str,
) -> Outcome {
    let timing = rule.timing();
    let mut outcome = Outcome::default();
    let found: BTreeSet<&str> = findings.iter().map(|finding| finding.group.as_str()).collect();
    // What was there before and has no record any more.
    let gone: Vec<Finding> = conditions
        .keys()
        .filter(|group| !found.contains(group.as_str()))
        .map(|group| Finding::plain(group.clone(), none(rule), 0))
        .collect();
    for finding in findings.iter().chain(&gone) {
        // What was not there for even longer is still not there.
        let is_gone = rule.settings().measure == Measure::Absence && !found.contains(finding.group.as_str());
        let is_met =
            rule.is_met(finding) || (is_gone && conditions.get(&finding.group).is_some_and(Condition::is_firing));
        if !is_met && !conditions.contains_key(&finding.group) {
            continue;
        }
        let condition = conditions.entry(finding.group.clone()).or_default();
        step(condition, &timing, finding, now_ms, (is_met, is_held), message, &mut outcome);
        if condition.is_forgettable(&timing, now_ms) {
            conditions.remove(&finding.group);
            outcome.changed.retain(|group| *group != finding.group);
            outcome.forgotten.push(finding.group.clone());
        }
    }
    outcome
}

fn step(
    condition: &mut Condition,
    timing: &Timing,
    finding: &Finding,
    now_ms: i64,
    (is_met, is_held): (bool, bool),
    message: &str,
    outcome: &mut Outcome,
) {
    let before = condition.clone();
    let step = condition.step(timing, now_ms, is_met, is_held, message);
    condition.value = finding.value;
    condition.usual = finding.usual;
    if *condition != before {
        outcome.changed.push(finding.group.clone());
    }
    let change =
        || Change { group: finding.group.clone(), value: finding.value, usual: finding.usual, window: finding.window };
    if step.fired {
        outcome.fired.push(change());
        if is_held {
            outcome.held.push(change());
        }
    }
    if step.resolved {
        outcome.resolved.push(change());
        outcome.ended.extend(before.told.map(|told| (told, finding.group.clone())));
    }
    if step.tell_firing {
        outcome.tell_firing.push(change());
    }
    if let Some(told) = step.tell_resolved {
        outcome.tell_resolved.push((change(), told));
    }
}

/// What is measured of no record at all.
fn none(rule: &Rule) -> Option<f64> {
    match rule.settings().measure {
        Measure::Count | Measure::Sum(_) => Some(0.0),
        Measure::Average(_)
        | Measure::Percentile { .. }
        | Measure::Ratio(_)
        | Measure::Absence
        | Measure::Latest(_)
        | Measure::Burn { .. } => None,
    }
}
