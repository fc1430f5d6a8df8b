//! What is limited, for whom: scopes and their rules.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use crate::Period;

/// `most` in any stretch of time as long as `per`: a sliding window, not a calendar one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// How many requests or tokens.
    pub most: NonZeroU64,
    /// In how long; at most a year counts.
    pub per: Duration,
}

impl Rate {
    /// The longest window.
    pub(crate) const PER_MAX: Duration = Duration::from_hours(366 * 24);

    /// The window in nanoseconds, at least one.
    pub(crate) fn per_ns(self) -> u64 {
        (self.per.min(Self::PER_MAX).as_nanos() as u64).max(1)
    }
}

/// So many tokens in a day or month of the calendar (UTC).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// How many.
    pub tokens: u64,
    /// In which time.
    pub period: Period,
}

/// The limits of one scope; what is absent is not limited.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// Requests in a sliding window.
    pub requests: Option<Rate>,
    /// Tokens, of prompt and answer together, in a sliding window.
    pub tokens: Option<Rate>,
    /// Requests that run at the same time.
    pub concurrent: Option<NonZeroU32>,
    /// Tokens in a day or month.
    pub budgets: Vec<Budget>,
}

impl Rules {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.requests.is_none() && self.concurrent.is_none() && !self.count_tokens()
    }

    /// These rules, and where they say nothing, the `general` ones. Budgets of a day and of a month are two kinds.
    #[must_use]
    pub fn or(&self, general: &Self) -> Self {
        let own = |period| self.budgets.iter().any(|budget| budget.period == period);
        let budgets = general.budgets.iter().filter(|budget| !own(budget.period));
        Self {
            requests: self.requests.or(general.requests),
            tokens: self.tokens.or(general.tokens),
            concurrent: self.concurrent.or(general.concurrent),
            budgets: self.budgets.iter().chain(budgets).copied().collect(),
        }
    }

    /// Whether tokens have to be counted.
    pub(crate) fn count_tokens(&self) -> bool {
        self.tokens.is_some() || !self.budgets.is_empty()
    }
}

/// One thing that a request is counted for: a key, a user of a key, an address, a model.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Names the scope everywhere: `key prod`, `user prod:anna`, `address 2001:db8::/64`, `model qwen3`. One name has one
    /// set of rules at a time: what has left a shorter window is not there any more for a longer one.
    pub name: Arc<str>,
    /// Its limits now; a request keeps those that it came in under.
    pub rules: Arc<Rules>,
}

impl Scope {
    /// A scope with its rules. Making one costs the name; a caller that comes often keeps its scope.
    pub fn new(name: impl Into<Arc<str>>, rules: Arc<Rules>) -> Self {
        Self { name: name.into(), rules }
    }
}
