//! What everything stands on: cards, memory, disks, the clock, files and folders, ports.

use std::path::PathBuf;

use crate::check::{Area, Check, Repair, Status, Step};
use crate::facts::{Facts, PlaceFacts, PortFacts, ProbedFacts};

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
        "gpu" => (
            Area::Gpu,
            "gpu.cards",
            "`nvidia-smi` shows which program holds what; heat: clean the fans, give it air, or limit its power",
        ),
        "memory" => (
            Area::Machine,
            "machine.memory",
            "see what takes it (`top`); unload models (`ollama stop MODEL`), or add memory or swap",
        ),
        "disk" => (
            Area::Machine,
            "machine.disk",
            "free space there: old logs, models that nobody asks for (`ollama rm`), caches; lower `logging.keep` and `store.keep`",
        ),
        "clock" => (Area::Machine, "machine.clock", "let it follow a time server: timedatectl set-ntp true"),
        _ => return None,
    };
    let step = Step::new(area, id, probed.name.clone()).of(probed.name.clone());
    let found = probed.found.clone();
    Some(match probed.status {
        Status::Skipped => step.skipped(found),
        Status::Ok => step.ok(found),
        Status::Warn => step.warn("over_limit", found, fix),
        Status::Fault => step.fault("failed", found, fix),
    })
}

fn clock(facts: &Facts) -> Option<Check> {
    let (_, written_ms) = facts.book.newest?;
    let step = Step::new(Area::Machine, "machine.clock_back", "the clock, against the newest record of the journal");
    let ahead_ms = written_ms - facts.now_ms;
    Some(if ahead_ms > BACK_MS_MAX {
        let found = format!("the newest record is {} s in the future: the clock was set back", ahead_ms / 1000);
        step.fault("back", found, "set the clock right and let it follow a time server: timedatectl set-ntp true")
    } else {
        step.ok("it goes forward")
    })
}

fn place(place: &PlaceFacts) -> Check {
    const OTHERS: u32 = 0o007;
    const OTHERS_AND_GROUP_WRITE: u32 = 0o027;
    let step =
        Step::new(Area::Machine, "machine.place", format!("{}: {}", place.what, place.path)).of(place.what.clone());
    let path = PathBuf::from(&place.path);
    if let Some(problem) = &place.problem {
        let fix = if place.what.starts_with("source ") {
            "let the user that tollhouse runs as read it: usermod -aG adm tollhouse, or setfacl -m u:tollhouse:r FILE"
        } else {
            "give it to the user that tollhouse runs as: chown -R tollhouse PATH"
        };
        return step.fault("not_usable", problem.clone(), fix);
    }
    if !place.exists {
        if place.is_folder {
            let check =
                step.warn("missing", "the folder is not there yet", "it is made at the first start, or by --fix");
            return check.mended_by(Repair::MakeFolder(path));
        }
        return step.ok("not there yet");
    }
    let mode = place.mode.unwrap_or_default();
    if place.is_secret && mode & OTHERS != 0 {
        let closed = mode & 0o777 & !OTHERS_AND_GROUP_WRITE;
        let found = format!("everybody on this machine may read it (mode {:o}), and secrets are in it", mode & 0o777);
        return step
            .warn("open", found, format!("chmod {closed:o} {}", place.path))
            .mended_by(Repair::Mode(path, closed));
    }
    step.ok("usable")
}

fn listening(port: &PortFacts, house_runs: bool) -> Check {
    let step =
        Step::new(Area::Machine, "machine.port", format!("{} for {}", port.address, port.what)).of(port.what.clone());
    let holder = port.holder.as_deref().unwrap_or("a program that the system does not name");
    match (&port.problem, port.taken) {
        (Some(problem), _) => step.fault(
            "not_usable",
            problem.clone(),
            "name an address of this machine, and a port above 1023 or the right to lower ones",
        ),
        (None, true) if house_runs && port.holder.as_deref().is_none_or(|holder| holder.contains("tollhouse")) => {
            step.ok("the house listens")
        }
        (None, true) => step.fault(
            "taken",
            format!("it is taken by {holder}"),
            "stop that program, or name another address in the configuration",
        ),
        (None, false) if house_runs => step.warn(
            "not_listening",
            "the house runs, and does not listen there",
            "reload it (`systemctl reload tollhouse`); its journal says why it could not (kind:config)",
        ),
        (None, false) => step.ok("it is free"),
    }
}

fn budget(facts: &Facts) -> Option<Check> {
    let budget = facts.budget.as_ref()?;
    let step = Step::new(
        Area::Machine,
        "machine.budget",
        format!("what the stores may take, and the disk of {}", budget.path),
    );
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64);
    let growth = budget.allowed.saturating_sub(budget.used);
    let found =
        format!("they may grow by {} to {}, and {} are free", gib(growth), gib(budget.allowed), gib(budget.free));
    Some(if growth > budget.free {
        let fix = "lower `logging.keep`, `logging.content.keep` and `store.keep`, or give them a larger disk";
        step.warn("too_large", format!("{found}: the disk is full before they are"), fix)
    } else {
        step.ok(found)
    })
}
