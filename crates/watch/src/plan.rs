//! What is watched, who is told, and what goes wrong with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tollhouse_notify::Channel;

use crate::report::Report;
use crate::rule::Rule;
use crate::telling::Place;

/// What is watched, and who is told.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All rules.
    pub rules: Vec<Rule>,
    /// What is told every day.
    pub reports: Vec<Report>,
    /// All channels.
    pub channels: Vec<Arc<Channel>>,
    /// Where the records are, for messages.
    pub place: Place,
    /// How many requests the model servers take at once, where that is known.
    pub places: Option<u32>,
}

impl Plan {
    /// Puts rules behind those that they need: whether those fire is known first.
    pub(crate) fn sort(&mut self) {
        let mut sorted: Vec<Rule> = Vec::with_capacity(self.rules.len());
        let mut rest = std::mem::take(&mut self.rules);
        while !rest.is_empty() {
            let waits = |rule: &Rule| {
                let needs = &rule.settings().needs;
                rest.iter().any(|other| other.name() != rule.name() && needs.iter().any(|need| need == other.name()))
            };
            let (later, now): (Vec<Rule>, Vec<Rule>) = rest.clone().into_iter().partition(waits);
            if now.is_empty() {
                // A circle, which the configuration refuses: any order is as good.
                sorted.extend(later);
                break;
            }
            sorted.extend(now);
            rest = later;
        }
        self.rules = sorted;
    }

    /// Rules that need this one.
    pub(crate) fn dependents(&self, rule: &str) -> Vec<String> {
        let needs = |other: &&Rule| other.settings().needs.iter().any(|need| need == rule);
        self.rules.iter().filter(needs).map(|rule| rule.name().to_owned()).collect()
    }

    /// The channels that a rule or a report names; all where it names none.
    pub(crate) fn wanted<'p>(&'p self, notify: Option<&'p Vec<String>>) -> impl Iterator<Item = &'p str> {
        let names = self.channels.iter().map(|channel| channel.name());
        names.filter(move |name| notify.is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name)))
    }
}

/// Rules that cannot be asked right now, and why; clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<String, String>>>);

impl Troubles {
    /// Why a rule cannot be asked.
    pub fn of(&self, rule: &str) -> Option<String> {
        self.0.lock().expect("no panic while the lock is held").get(rule).cloned()
    }

    /// Whether this is new.
    pub(crate) fn begin(&self, rule: &str, why: String) -> bool {
        self.0.lock().expect("no panic while the lock is held").insert(rule.to_owned(), why).is_none()
    }

    pub(crate) fn end(&self, rule: &str) {
        self.0.lock().expect("no panic while the lock is held").remove(rule);
    }

    pub(crate) fn keep(&self, is_known: impl Fn(&str) -> bool) {
        self.0.lock().expect("no panic while the lock is held").retain(|rule, _| is_known(rule));
    }
}
