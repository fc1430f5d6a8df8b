//! `supervise` as YAML.

use std::fmt::Write;
use std::time::Duration;

use tollhouse_units::format_duration;

use super::{key, list, optional, or_null, scalar};
use crate::config::SuperviseConfig;

pub(super) fn write(out: &mut String, processes: &[SuperviseConfig]) -> std::fmt::Result {
    writeln!(out, "supervise:{}", if processes.is_empty() { " {}" } else { "" })?;
    for process in processes {
        writeln!(out, "  {}: {}", key(&process.name), yaml(process))?;
    }
    Ok(())
}

fn yaml(process: &SuperviseConfig) -> String {
    let env: Vec<String> = process.env.iter().map(|(name, _)| format!("{}: \"***\"", key(name))).collect();
    let directory = process.directory.as_deref().map(|path| path.to_string_lossy());
    let every_and_failures =
        |(every, failures): &(Duration, u32)| format!("{{every: {}, failures: {failures}}}", format_duration(*every));
    let pause = |(count, within): &(u32, Duration)| scalar(&format!("{count} in {}", format_duration(*within)));
    let off = || "off".to_owned();
    let what = match &process.unit {
        Some(unit) => vec![format!("unit: {}", scalar(&unit.name)), format!("manager: {}", unit.manager.as_str())],
        None => vec![
            format!("command: {}", list(&process.command)),
            format!("env: {{{}}}", env.join(", ")),
            format!("directory: {}", optional(directory.as_deref())),
            format!("user: {}", optional(process.user.as_deref())),
            format!("stop: {}", format_duration(process.stop)),
            format!("signal: {}", process.signal.as_str()),
            format!("limits: {{files: {}, processes: {}}}", or_null(process.files_max), or_null(process.processes_max)),
            format!("format: {}", scalar(process.format.as_str())),
            format!("adopt: {}", process.adopt),
        ],
    };
    let life = [
        format!("restart: {}", process.restart.as_str()),
        format!("delay: {}", format_duration(process.delay)),
        format!("delay_max: {}", format_duration(process.delay_max)),
        format!("no_restart: {}", numbers(&process.final_codes)),
        format!("ready: {}", scalar(&process.ready.text())),
        format!("start: {}", format_duration(process.start)),
        format!("live: {}", process.live.as_ref().map_or_else(off, every_and_failures)),
        format!("drain: {}", format_duration(process.drain)),
        format!("pause_after: {}", process.pause_after.as_ref().map_or_else(off, pause)),
        format!("critical: {}", process.critical),
        format!("remind: {}", format_duration(process.remind)),
        format!("needs: {}", list(&process.needs)),
        format!("upstreams: {}", list(&process.upstreams)),
        format!(
            "memory: {{soft: {}, hard: {}, pressure: {}}}",
            or_null(process.memory_soft),
            or_null(process.memory_hard),
            or_null(process.memory_pressure.map(|percent| format!("{percent}%")))
        ),
        format!("stalled: {}", process.stalled.map_or_else(off, format_duration)),
    ];
    let all: Vec<String> = what.into_iter().chain(life).collect();
    format!("{{{}}}", all.join(", "))
}

fn numbers(codes: &[u8]) -> String {
    let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
    format!("[{}]", codes.join(", "))
}
