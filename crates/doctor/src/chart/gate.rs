//! The gate: whether it listens, what it says of itself, whether somebody can enter.

use crate::check::{Area, Check, Step};
use crate::facts::{Facts, Reach};
use crate::said::Said;
use crate::sentence::Sentence;

/// An answer of the gate's own about itself that takes longer says that the machine is overloaded, in milliseconds.
const ANSWER_MS_MAX: f64 = 1000.0;
/// So many requests in 15 minutes say something.
const REQUESTS_MIN: u64 = 5;
/// A share of failed requests that is told.
const FAILED_SHARE: f64 = 0.2;
/// A share of slow requests that is told.
const SLOW_SHARE: f64 = 0.5;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let gate = &facts.gate;
    let mut checks = vec![port(facts)];
    let url = format!("http://{}/health", gate.listen);
    let step = Step::new(Area::Gate, "gate.answer", Said::AtAddress { url });
    let answered = gate.answer.answer().filter(|(_, _, body)| body["service"].is_string());
    match answered {
        None => checks.push(step.skipped(Said::HouseSilent {})),
        Some((_, ms, body)) => {
            checks.push(health(step, ms, body));
            checks.push(version(facts, body["version"].as_str().unwrap_or_default()));
        }
    }
    if let Some(why) = &gate.refused_config {
        let step = Step::new(Area::Gate, "gate.configuration", Said::AtInForce {});
        checks.push(step.warn("refused", Said::ConfigurationKept { error: why.clone() }, Said::DoInForce {}));
    }
    if gate.needs_keys {
        let step = Step::new(Area::Gate, "gate.keys", Said::AtKeys {});
        checks.push(match gate.keys {
            None => step.skipped(Said::KeysHidden {}),
            Some(0) => step.fault("none", Said::KeysNone {}, Said::command("tollhouse key create --name me")),
            Some(count) => step.ok(Said::InForce { count }),
        });
    }
    checks
}

fn port(facts: &Facts) -> Check {
    let gate = &facts.gate;
    let step = Step::new(Area::Gate, "gate.port", Said::AtGatePort { address: gate.listen.clone() });
    if let Some(check) = super::unreached(&step, &gate.answer, Said::DoHouse {}) {
        return check;
    }
    // Who has the port is said behind what it does.
    let held = |said: Said| -> Sentence {
        let holder = gate.holder.clone().map(|holder| Said::HeldBy { holder });
        [said].into_iter().chain(holder).collect::<Vec<Said>>().into()
    };
    match &gate.answer {
        Reach::Answered { body, .. } if body["service"].is_string() => step.ok(held(Said::HouseListens {})),
        Reach::Answered { .. } | Reach::Broken { .. } => {
            step.fault("other_program", held(Said::PortOfOther {}), Said::DoPortOfOther {})
        }
        Reach::Silent { seconds } => {
            step.fault("silent", held(Said::GateSilent { limit_s: *seconds }), Said::DoGateStuck {})
        }
        _ => step.skipped(Said::NotAsked {}),
    }
}

fn health(step: Step, took_ms: f64, body: &serde_json::Value) -> Check {
    match body["journal"]["disk"].as_str().unwrap_or("ok") {
        "ok" => {}
        word => {
            return step.fault("journal_disk", Said::JournalDisk { word: word.to_owned() }, Said::DoJournalDisk {});
        }
    }
    if took_ms > ANSWER_MS_MAX {
        return step.warn("slow", Said::GateSlow { took_ms }, Said::DoGateSlow {});
    }
    step.ok(Said::AnswersIn { took_ms })
}

fn version(facts: &Facts, running: &str) -> Check {
    let step = Step::new(Area::Gate, "gate.version", Said::AtVersion {});
    if running == facts.version {
        return step.ok(Said::words(running));
    }
    let found = Said::VersionsDiffer { running: running.to_owned(), installed: facts.version.clone() };
    step.warn("differs", found, Said::DoRestartHouse {})
}

/// What people see of a trouble.
pub(super) fn recent(facts: &Facts, is_explained: bool) -> Option<Check> {
    let recent = facts.gate.recent.as_ref()?;
    let step = Step::new(Area::Gate, "gate.requests", Said::AtRequests {});
    let (requests, failed, slow) = (recent.requests, recent.failed, recent.slow);
    let found = Said::RequestsSeen { requests, failed, slow };
    let share = |count: u64| count as f64 / requests.max(1) as f64;
    let id = recent.worst.as_deref().unwrap_or("REQUEST_ID");
    Some(match recent {
        _ if requests < REQUESTS_MIN => step.ok(found),
        _ if is_explained => step.skipped(vec![found, Said::SeeOthers {}]),
        _ if share(failed) >= FAILED_SHARE => step.warn("failing", found, Said::command(format!("tollhouse why {id}"))),
        _ if share(slow) >= SLOW_SHARE => {
            step.warn("slow", found, Said::command(format!("tollhouse why {id}; tollhouse advise")))
        }
        _ => step.ok(found),
    })
}
