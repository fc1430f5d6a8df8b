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

/// Judges all that was gathered, in the order of the chart.
pub fn chart(facts: &Facts) -> Findings {
    let config = Step::new(Area::Configuration, "config.readable", "the configuration file");
    if let Some(problem) = &facts.config.problem {
        let fix = "mend the file; `tollhouse check` shows every mistake with its line";
        return Findings(vec![config.fault("invalid", problem.clone(), fix)]);
    }
    let mut checks = vec![match &facts.config.file {
        Some(file) => config.ok(format!("{file} is valid")),
        None => config.ok("there is none: defaults hold"),
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
fn unreached(step: &Step, reach: &Reach, whose: &str, fix_down: &str) -> Option<Check> {
    let step = step.clone();
    Some(match reach {
        Reach::NotAsked => step.skipped("it was not asked"),
        Reach::NoName { error } => step.fault(
            "no_name",
            format!("the name of {whose} has no address: {error}"),
            "write the address where the name is used, or mend DNS (`getent hosts NAME`, /etc/resolv.conf)",
        ),
        Reach::Refused { error } => step.fault("refused", format!("{whose}: {error}"), fix_down),
        Reach::Unreachable { seconds } => step.fault(
            "unreachable",
            format!("no answer of {whose} within {seconds} s, not even to a connection"),
            "a firewall drops the packets, or the machine is off: check the address, the route, and the rules of both machines",
        ),
        _ => return None,
    })
}

/// Milliseconds for people.
fn millis(ms: f64) -> String {
    if ms >= 1000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.0} ms") }
}
