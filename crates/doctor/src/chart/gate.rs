//! The gate: whether it listens, what it says of itself, whether somebody can enter.

use crate::check::{Area, Check, Step};
use crate::facts::{Facts, Reach};

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
    let step = Step::new(Area::Gate, "gate.answer", format!("http://{}/health", gate.listen));
    let answered = gate.answer.answer().filter(|(_, _, body)| body["service"].is_string());
    match answered {
        None => checks.push(step.skipped("the house does not answer there")),
        Some((_, ms, body)) => {
            checks.push(health(step, ms, body));
            checks.push(version(facts, body["version"].as_str().unwrap_or_default()));
        }
    }
    if let Some(why) = &gate.refused_config {
        let step = Step::new(Area::Gate, "gate.configuration", "whether the file is in force");
        let fix =
            "mend the file (`tollhouse check`) and save it; the house takes it by itself, or at `systemctl reload`";
        checks.push(step.warn("refused", format!("the running house kept its older configuration: {why}"), fix));
    }
    if gate.needs_keys {
        let step = Step::new(Area::Gate, "gate.keys", "keys that open the gate");
        checks.push(match gate.keys {
            None => step.skipped("the keys cannot be read"),
            Some(0) => {
                step.fault("none", "there is none: every request is refused with 401", "tollhouse key create --name me")
            }
            Some(count) => step.ok(format!("{count} in force")),
        });
    }
    checks
}

fn port(facts: &Facts) -> Check {
    let gate = &facts.gate;
    let step = Step::new(Area::Gate, "gate.port", format!("who listens at {}", gate.listen));
    let holder = gate.holder.as_deref().map_or_else(String::new, |holder| format!(" ({holder})"));
    let fix_down =
        "tollhouse up, or `systemctl start tollhouse`; why it ended stands in its output (`journalctl -u tollhouse`)";
    if let Some(check) = super::unreached(&step, &gate.answer, "the gate", fix_down) {
        return check;
    }
    match &gate.answer {
        Reach::Answered { body, .. } if body["service"].is_string() => step.ok(format!("tollhouse{holder}")),
        Reach::Answered { .. } | Reach::Broken { .. } => step.fault(
            "other_program",
            format!("another program has the port{holder}: it does not answer as tollhouse does"),
            "stop that program, or name another port in `listen`; OpenClaw's own port is 18789, too",
        ),
        Reach::Silent { seconds } => step.fault(
            "silent",
            format!("the connection is taken{holder}, and nothing was said for {seconds} s"),
            "the process is stopped or stuck: `kill -CONT PID` if it was stopped, else restart it; what it did last stands in the journal",
        ),
        _ => step.skipped("it was not asked"),
    }
}

fn health(step: Step, ms: f64, body: &serde_json::Value) -> Check {
    match body["journal"]["disk"].as_str().unwrap_or("ok") {
        "ok" => {}
        word => {
            return step.fault(
                "journal_disk",
                format!("the journal's disk is {word}: what cannot be recorded does not pass"),
                "free space on the disk of the journal; the house goes on by itself",
            );
        }
    }
    if ms > ANSWER_MS_MAX {
        let fix = "look what else runs on the machine (`top`), and give tollhouse a processor's time before batch work";
        return step.warn("slow", format!("it took {} to say how it is", super::millis(ms)), fix);
    }
    step.ok(format!("it answers in {}", super::millis(ms)))
}

fn version(facts: &Facts, running: &str) -> Check {
    let step = Step::new(Area::Gate, "gate.version", "the version that runs, and this program's");
    if running == facts.version {
        return step.ok(running);
    }
    let found = format!("{running} runs, and this is {}", facts.version);
    step.warn("differs", found, "restart the house so that the installed version runs: systemctl restart tollhouse")
}

/// What people see of a trouble.
pub(super) fn recent(facts: &Facts, is_explained: bool) -> Option<Check> {
    let recent = facts.gate.recent.as_ref()?;
    let step = Step::new(Area::Gate, "gate.requests", "the requests of the last 15 minutes");
    let found = format!("{} requests, {} failed, {} took more than 3 s", recent.requests, recent.failed, recent.slow);
    let share = |count: u64| count as f64 / recent.requests.max(1) as f64;
    let id = recent.worst.as_deref().unwrap_or("REQUEST_ID");
    Some(match recent {
        _ if recent.requests < REQUESTS_MIN => step.ok(found),
        _ if is_explained => step.skipped(format!("{found}; see what is not well")),
        _ if share(recent.failed) >= FAILED_SHARE => step.warn("failing", found, format!("tollhouse why {id}")),
        _ if share(recent.slow) >= SLOW_SHARE => {
            step.warn("slow", found, format!("tollhouse why {id}; tollhouse advise"))
        }
        _ => step.ok(found),
    })
}
