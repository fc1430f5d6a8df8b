//! The state machine of one group of a rule: calm, pending, firing, and what was told of it.
//!
//! Times are those of the clock on the wall, in milliseconds since 1970 UTC. That clock may be set: whatever lies ahead of
//! it is taken as happening now, so that a clock set back never makes anything wait longer than it would from now on.

use serde::{Deserialize, Serialize};

/// The times of a rule, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// So long it must have been so before it is an alert.
    pub hold_ms: i64,
    /// So long after an alert was told the next one is not.
    pub cooldown_ms: i64,
    /// So long it must have been otherwise before it is over.
    pub resolve_ms: i64,
}

/// How it stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "stage")]
pub enum Stage {
    /// Nothing to tell of.
    #[default]
    Calm,
    /// It is so, but not yet for long enough.
    Pending {
        /// Since when.
        since_ms: i64,
    },
    /// It is an alert.
    Firing {
        /// Since when.
        since_ms: i64,
        /// Since when it is otherwise, but not yet for long enough.
        calm_since_ms: Option<i64>,
    },
}

/// What is known of one group of a rule.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Condition {
    /// How it stands.
    #[serde(flatten)]
    pub stage: Stage,
    /// What was measured last.
    pub value: Option<f64>,
    /// What was usual then, where the rule has a baseline.
    pub usual: Option<f64>,
    /// When an alert was told last.
    pub told_ms: Option<i64>,
    /// The message that told the present alert; none when it was not told.
    pub told: Option<String>,
    /// The message whose end is still to be told.
    pub owed: Option<String>,
}

/// What a step leads to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Step {
    /// It is an alert from now on.
    pub fired: bool,
    /// It is over.
    pub resolved: bool,
    /// It is to be told that it is an alert.
    pub tell_firing: bool,
    /// It is to be told that what this message told is over.
    pub tell_resolved: Option<String>,
}

impl Condition {
    /// Takes in what is so at this moment; `is_held` says that nothing may be told now. The id of a message that is to
    /// be told is `message`.
    pub fn step(&mut self, timing: &Timing, now_ms: i64, is_met: bool, is_held: bool, message: &str) -> Step {
        self.take_clock(now_ms);
        let mut step = Step::default();
        if is_met && self.stage == Stage::Calm {
            self.stage = Stage::Pending { since_ms: now_ms };
        }
        match &mut self.stage {
            Stage::Calm => {}
            Stage::Pending { .. } if !is_met => self.stage = Stage::Calm,
            Stage::Pending { since_ms } => {
                if now_ms - *since_ms >= timing.hold_ms {
                    self.stage = Stage::Firing { since_ms: *since_ms, calm_since_ms: None };
                    step.fired = true;
                }
            }
            Stage::Firing { calm_since_ms, .. } if is_met => *calm_since_ms = None,
            Stage::Firing { calm_since_ms, .. } => {
                let since = *calm_since_ms.get_or_insert(now_ms);
                if now_ms - since >= timing.resolve_ms {
                    self.stage = Stage::Calm;
                    step.resolved = true;
                    self.owed = self.told.take().or(self.owed.take());
                }
            }
        }
        if is_held {
            return step;
        }
        step.tell_resolved = self.owed.take();
        let has_cooled = self.told_ms.is_none_or(|told| now_ms - told >= timing.cooldown_ms);
        let is_alert = matches!(self.stage, Stage::Firing { calm_since_ms: None, .. });
        if is_alert && self.told.is_none() && has_cooled {
            step.tell_firing = true;
            self.told = Some(message.to_owned());
            self.told_ms = Some(now_ms);
        }
        step
    }

    /// Whether it is an alert.
    pub fn is_firing(&self) -> bool {
        matches!(self.stage, Stage::Firing { .. })
    }

    /// Whether time alone can change it.
    pub fn is_unrest(&self) -> bool {
        self.stage != Stage::Calm || self.owed.is_some()
    }

    /// Whether nothing is left that has to be remembered.
    pub fn is_forgettable(&self, timing: &Timing, now_ms: i64) -> bool {
        !self.is_unrest() && self.told_ms.is_none_or(|told| now_ms - told >= timing.cooldown_ms)
    }

    /// What lies ahead of the clock happens now.
    fn take_clock(&mut self, now_ms: i64) {
        let earlier = |time: &mut i64| *time = (*time).min(now_ms);
        match &mut self.stage {
            Stage::Calm => {}
            Stage::Pending { since_ms } => earlier(since_ms),
            Stage::Firing { since_ms, calm_since_ms } => {
                earlier(since_ms);
                calm_since_ms.as_mut().into_iter().for_each(earlier);
            }
        }
        self.told_ms.as_mut().into_iter().for_each(earlier);
    }
}
