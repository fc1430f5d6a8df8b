//! `probes` as YAML.

use std::fmt::Write;
use std::path::Path;

use tollhouse_units::format_duration;

use super::{list, optional, or_null, scalar};
use crate::config::{
    CertificatePlace, CertificateProbe, DiskProbe, HttpProbe, ModelProbe, ProbesConfig, ProcessProbe, QualityProbe,
};

pub(super) fn write(out: &mut String, probes: &ProbesConfig) -> std::fmt::Result {
    writeln!(out, "probes:")?;
    writeln!(out, "  on: {}", probes.on)?;
    writeln!(out, "  every: {}", format_duration(probes.every))?;
    entries(out, "processes", &probes.processes, process)?;
    entries(out, "models", &probes.models, model)?;
    writeln!(out, "  quality: {}", probes.quality.as_ref().map_or_else(|| "off".to_owned(), quality))?;
    entries(out, "disks", &probes.disks, disk)?;
    entries(out, "http", &probes.http, http)?;
    entries(out, "certificates", &probes.certificates, certificate)?;
    let gpu = probes.gpu.map(|gpu| {
        format!(
            "{{memory_above: {}%, temperature_above: {}, busy_above: {}%, every: {}}}",
            gpu.memory_above,
            gpu.temperature_above,
            gpu.busy_above,
            format_duration(gpu.every)
        )
    });
    writeln!(out, "  gpu: {}", gpu.as_deref().unwrap_or("off"))?;
    let memory = probes.memory.map(|memory| {
        let every = format_duration(memory.every);
        format!("{{above: {}%, psi_above: {}%, every: {every}}}", memory.above, memory.psi_above)
    });
    writeln!(out, "  memory: {}", memory.as_deref().unwrap_or("off"))?;
    let clock = probes.clock.as_ref().map(|clock| {
        let (above, every) = (format_duration(clock.above), format_duration(clock.every));
        format!("{{urls: {}, above: {above}, every: {every}}}", list(&clock.urls))
    });
    writeln!(out, "  clock: {}", clock.as_deref().unwrap_or("off"))
}

fn entries<T>(out: &mut String, name: &str, probes: &[T], yaml: fn(&T) -> String) -> std::fmt::Result {
    writeln!(out, "  {name}:{}", if probes.is_empty() { " []" } else { "" })?;
    for probe in probes {
        writeln!(out, "    - {}", yaml(probe))?;
    }
    Ok(())
}

fn process(probe: &ProcessProbe) -> String {
    format!(
        "{{name: {}, process: {}, host: {}, port: {}, health: {}, ready: {}, every: {}, within: {}}}",
        scalar(&probe.name),
        probe.process.as_deref().map_or_else(|| "off".to_owned(), scalar),
        scalar(&probe.host),
        or_null(probe.port),
        optional(probe.health.as_deref()),
        optional(probe.ready.as_deref()),
        format_duration(probe.every),
        format_duration(probe.within),
    )
}

fn model(probe: &ModelProbe) -> String {
    format!(
        "{{model: {}, prompt: {}, expect: {}, ttft_above: {}, every: {}, within: {}}}",
        scalar(&probe.model),
        scalar(&probe.prompt),
        list(&probe.expect),
        or_null(probe.ttft_above.map(format_duration)),
        format_duration(probe.every),
        format_duration(probe.within),
    )
}

fn quality(probe: &QualityProbe) -> String {
    format!(
        "{{file: {}, model: {}, judge: {}, samples: {}, baseline: {}, every: {}, within: {}}}",
        path(&probe.file),
        optional(probe.model.as_deref()),
        optional(probe.judge.as_deref()),
        probe.samples,
        probe.baseline,
        format_duration(probe.every),
        format_duration(probe.within),
    )
}

fn disk(probe: &DiskProbe) -> String {
    format!(
        "{{path: {}, above: {}%, inodes_above: {}%, full_within: {}, every: {}}}",
        path(&probe.path),
        probe.above,
        probe.inodes_above,
        format_duration(probe.full_within),
        format_duration(probe.every),
    )
}

fn http(probe: &HttpProbe) -> String {
    format!(
        "{{name: {}, url: {}, expect: {}, status: {}, every: {}, within: {}}}",
        scalar(&probe.name),
        scalar(&probe.url),
        optional(probe.expect.as_deref()),
        or_null(probe.status),
        format_duration(probe.every),
        format_duration(probe.within),
    )
}

fn certificate(probe: &CertificateProbe) -> String {
    let place = match &probe.place {
        CertificatePlace::Served { host, port, server_name } => {
            format!("host: {}, port: {port}, server_name: {}", scalar(host), optional(server_name.as_deref()))
        }
        CertificatePlace::File(file) => format!("file: {}", path(file)),
    };
    format!(
        "{{name: {}, {place}, ca: {}, before: {}, every: {}}}",
        scalar(&probe.name),
        or_null(probe.ca.as_deref().map(path)),
        format_duration(probe.before),
        format_duration(probe.every),
    )
}

fn path(path: &Path) -> String {
    scalar(&path.to_string_lossy())
}
