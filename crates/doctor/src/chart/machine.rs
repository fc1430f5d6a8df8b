//! What everything stands on: cards, memory, disks, the clock, files and folders, ports.

use std::path::PathBuf;

use crate::check::{Area, Check, Repair, Status, Step};
use crate::facts::{Facts, PlaceFacts, PortFacts, ProbedFacts};
use crate::said::Said;

/// A clock whose newest record is so far in the future has been set back, in milliseconds.
const BACK_MS_MAX: i64 = 5_000;

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks: Vec<Check> = facts.probed.iter().filter_map(probed).collect();
    checks.extend(clock(facts));
    checks.extend(facts.places.iter().map(place));
    let house_runs = facts.gate.answer.answer().is_some_and(|(_, _, body)| body["service"].is_string());
    checks.extend(facts.ports.iter().map(|port| listening(port, house_runs)));
    checks.extend(budget(facts));
    checks
}

fn probed(probed: &ProbedFacts) -> Option<Check> {
    let (area, id, fix) = match probed.kind.as_str() {
        "gpu" => (Area::Gpu, "gpu.cards", Said::DoCards {}),
        "memory" => (Area::Machine, "machine.memory", Said::DoMemory {}),
        "disk" => (Area::Machine, "machine.disk", Said::DoDisk {}),
        "clock" => (Area::Machine, "machine.clock", Said::DoClock {}),
        _ => return None,
    };
    let step = Step::new(area, id, Said::words(&probed.name)).of(probed.name.clone());
    let found = probed.sentence();
    Some(match probed.status {
        Status::Skipped => step.skipped(found),
        Status::Ok => step.ok(found),
        Status::Warn => step.warn("over_limit", found, fix),
        Status::Fault => step.fault("failed", found, fix),
    })
}

fn clock(facts: &Facts) -> Option<Check> {
    let (_, written_ms) = facts.book.newest?;
    let step = Step::new(Area::Machine, "machine.clock_back", Said::AtClockBack {});
    let ahead_ms = written_ms - facts.now_ms;
    Some(if ahead_ms > BACK_MS_MAX {
        step.fault("back", Said::ClockBack { ahead_s: ahead_ms / 1000 }, Said::DoClockBack {})
    } else {
        step.ok(Said::ClockForward {})
    })
}

fn place(place: &PlaceFacts) -> Check {
    const OTHERS: u32 = 0o007;
    const OTHERS_AND_GROUP_WRITE: u32 = 0o027;
    let looked = Said::AtPlace { what: place.what.clone(), path: place.path.clone() };
    let step = Step::new(Area::Machine, "machine.place", looked).of(place.what.clone());
    let path = PathBuf::from(&place.path);
    if let Some(problem) = &place.problem {
        let fix = if place.what.starts_with("source ") { Said::DoPlaceRead {} } else { Said::DoPlaceOwn {} };
        return step.fault("not_usable", Said::words(problem), fix);
    }
    if !place.exists {
        if place.is_folder {
            let check = step.warn("missing", Said::FolderMissing {}, Said::DoFolder {});
            return check.mended_by(Repair::MakeFolder(path));
        }
        return step.ok(Said::PlaceNotYet {});
    }
    let mode = place.mode.unwrap_or_default();
    if place.is_secret && mode & OTHERS != 0 {
        let repair = Repair::Mode(path, mode & 0o777 & !OTHERS_AND_GROUP_WRITE);
        let found = Said::PlaceOpen { mode: format!("{:o}", mode & 0o777) };
        return step.warn("open", found, Said::command(repair.to_string())).mended_by(repair);
    }
    step.ok(Said::PlaceUsable {})
}

fn listening(port: &PortFacts, house_runs: bool) -> Check {
    let looked = Said::AtListener { address: port.address.clone(), what: port.what.clone() };
    let step = Step::new(Area::Machine, "machine.port", looked).of(port.what.clone());
    match (&port.problem, port.taken) {
        (Some(problem), _) => step.fault("not_usable", Said::words(problem), Said::DoListener {}),
        (None, true) if house_runs && port.holder.as_deref().is_none_or(|holder| holder.contains("tollhouse")) => {
            step.ok(Said::ListenerOurs {})
        }
        (None, true) => {
            let found =
                port.holder.clone().map_or(Said::ListenerTakenUnnamed {}, |holder| Said::ListenerTaken { holder });
            step.fault("taken", found, Said::DoListenerTaken {})
        }
        (None, false) if house_runs => step.warn("not_listening", Said::ListenerMissing {}, Said::DoListenerMissing {}),
        (None, false) => step.ok(Said::ListenerFree {}),
    }
}

fn budget(facts: &Facts) -> Option<Check> {
    let budget = facts.budget.as_ref()?;
    let step = Step::new(Area::Machine, "machine.budget", Said::AtBudget { path: budget.path.clone() });
    let growth_bytes = budget.allowed.saturating_sub(budget.used);
    let found = Said::BudgetGrows { growth_bytes, allowed_bytes: budget.allowed, free_bytes: budget.free };
    Some(if growth_bytes > budget.free {
        step.warn("too_large", vec![found, Said::BudgetTooLarge {}], Said::DoBudget {})
    } else {
        step.ok(found)
    })
}
