//! The fault-finding chart: edge → gate → model server → its log → card, and what all of them stand on.
//!
//! A step whose outcome an earlier one explains is skipped: one cause is named once.

mod book;
mod edge;
mod gate;
mod machine;
mod openclaw;
mod server;
mod server_log;

pub(crate) use server::is_loopback;

use crate::check::{Area, Check, Findings, Status, Step};
use crate::facts::{Facts, Reach};
use crate::said::Said;

/// Judges all that was gathered, in the order of the chart.
pub fn chart(facts: &Facts) -> Findings {
    let config = Step::new(Area::Configuration, "config.readable", Said::AtConfiguration {});
    if let Some(problem) = &facts.config.problem {
        return Findings(vec![config.fault("invalid", Said::words(problem), Said::DoConfiguration {})]);
    }
    let mut checks = vec![match &facts.config.file {
        Some(file) => config.ok(Said::ConfigurationValid { file: file.clone() }),
        None => config.ok(Said::ConfigurationNone {}),
    }];
    checks.extend(edge::checks(facts));
    checks.extend(gate::checks(facts));
    for server in &facts.servers {
        checks.extend(server::checks(facts, server));
    }
    checks.extend(server_log::checks(facts));
    checks.extend(machine::checks(facts));
    checks.extend(openclaw::checks(facts));
    checks.extend(book::checks(facts));
    checks.extend(book::mail(facts));
    // Slow and failed requests are what people see of a trouble; they are one of their own only where nothing explains them.
    let is_explained = checks.iter().any(|check| check.status >= Status::Warn);
    checks.extend(gate::recent(facts, is_explained));
    checks.sort_by_key(|check| check.area);
    Findings(checks)
}

/// Judges the connection to an address: nothing where one was made.
fn unreached(step: &Step, reach: &Reach, fix_down: Said) -> Option<Check> {
    let step = step.clone();
    Some(match reach {
        Reach::NotAsked => step.skipped(Said::NotAsked {}),
        Reach::NoName { error } => step.fault("no_name", Said::NoName { error: error.clone() }, Said::DoName {}),
        Reach::Refused { error } => step.fault("refused", Said::NoConnection { error: error.clone() }, fix_down),
        Reach::Unreachable { seconds } => {
            step.fault("unreachable", Said::NoPacket { limit_s: *seconds }, Said::DoWay {})
        }
        _ => return None,
    })
}
