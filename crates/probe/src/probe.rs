//! One probe: what it is called, how often it runs, and what it looks at.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::ProbeError;
use crate::certificate::{CertificateLook, CertificateProbe};
use crate::clock::{self, ClockLook};
use crate::disk::{DiskLook, DiskProbe};
use crate::finding::{Finding, Kind, Ran};
use crate::gpu::{self, GpuLimits, Reader};
use crate::http::Http;
use crate::memory::{Memory, MemoryLimits};
use crate::model::{ModelLook, ModelProbe, Models};
use crate::page::{self, PageLook};
use crate::process::{ProcessLook, ProcessProbe};
use crate::quality::{QualityLook, QualityProbe, RUN_TIME_MAX};
use crate::said::Said;

/// A probe as it is wanted.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its name in records and on pages.
    pub name: String,
    /// How often it runs.
    pub every: Duration,
    /// How long a run may take; of quality, one answer.
    pub within: Duration,
    /// What it looks at.
    pub look: Look,
}

/// What a probe looks at.
#[derive(Clone, Debug)]
pub enum Look {
    /// A program.
    Process(ProcessLook),
    /// An address.
    Http(PageLook),
    /// Whether a model answers.
    Model(ModelLook),
    /// Whether it answers as well as before.
    Quality(QualityLook),
    /// A file system.
    Disk(DiskLook),
    /// A certificate.
    Certificate(CertificateLook),
    /// Graphics cards.
    Gpu(GpuLimits),
    /// Memory.
    Memory(MemoryLimits),
    /// The clock.
    Clock(ClockLook),
}

impl Look {
    /// Of which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Process(_) => Kind::Process,
            Self::Http(_) => Kind::Http,
            Self::Model(_) => Kind::Model,
            Self::Quality(_) => Kind::Quality,
            Self::Disk(_) => Kind::Disk,
            Self::Certificate(_) => Kind::Certificate,
            Self::Gpu(_) => Kind::Gpu,
            Self::Memory(_) => Kind::Memory,
            Self::Clock(_) => Kind::Clock,
        }
    }
}

/// A probe that can run.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) about: Vec<Said>,
    pub(crate) every: Duration,
    within: Duration,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Process(ProcessProbe),
    Http(PageLook),
    Model(ModelProbe),
    Quality(QualityProbe),
    Disk(DiskProbe),
    Certificate(CertificateProbe),
    Gpu(GpuLimits),
    Memory(MemoryLimits),
    Clock(ClockLook),
}

/// What probes share.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) http: Http,
    pub(crate) cards: Reader,
}

impl Probe {
    /// Reads the file of the tests where there is one, so it blocks.
    pub(crate) fn new(spec: Spec, id: String) -> Result<Self, ProbeError> {
        let kind = spec.look.kind();
        let (about, work) = match spec.look {
            Look::Process(look) => {
                let probe = ProcessProbe::new(look);
                (probe.about(), Work::Process(probe))
            }
            Look::Http(look) => (vec![Said::LooksAddress { url: look.url.clone() }], Work::Http(look)),
            Look::Model(look) => {
                let probe = ModelProbe::new(look);
                (vec![probe.about()], Work::Model(probe))
            }
            Look::Quality(look) => {
                let probe = QualityProbe::new(look)?;
                (vec![probe.about()], Work::Quality(probe))
            }
            Look::Disk(look) => {
                let probe = DiskProbe::new(look);
                (vec![probe.about()], Work::Disk(probe))
            }
            Look::Certificate(look) => {
                let probe = CertificateProbe::new(look);
                (vec![probe.about()], Work::Certificate(probe))
            }
            Look::Gpu(limits) => {
                let GpuLimits { memory_above, temperature_above, .. } = limits;
                let about = Said::LooksCards { limit_percent: memory_above, limit_degrees: temperature_above };
                (vec![about], Work::Gpu(limits))
            }
            Look::Memory(limits) => {
                let about = Said::LooksMemory { limit_percent: limits.above, waited_limit_percent: limits.psi_above };
                (vec![about], Work::Memory(limits))
            }
            Look::Clock(look) if look.urls.is_empty() => (vec![Said::LooksKeeper {}], Work::Clock(look)),
            Look::Clock(look) => (vec![Said::LooksServers { count: look.urls.len() }], Work::Clock(look)),
        };
        Ok(Self { id, name: spec.name, kind, about, every: spec.every, within: spec.within, work })
    }

    /// Whether it keeps something between its runs.
    pub(crate) fn keeps(&self) -> bool {
        matches!(self.work, Work::Disk(_) | Work::Quality(_))
    }

    /// Takes up what was kept of the runs before; nothing is a beginning.
    pub(crate) fn restore(&self, kept: Option<&Value>) {
        match &self.work {
            Work::Disk(probe) => probe.restore(kept),
            Work::Quality(probe) => probe.restore(kept),
            _ => {}
        }
    }

    /// How long a run may take in all.
    fn deadline(&self) -> Duration {
        match self.kind {
            // Its own answers are bounded one by one; this is for what nobody thought of.
            Kind::Quality => RUN_TIME_MAX + Duration::from_secs(60),
            _ => self.within,
        }
    }

    /// Looks once. A run that takes too long is a finding.
    pub(crate) async fn run(&self, tools: &Tools, models: &dyn Models) -> Ran {
        let deadline = self.deadline();
        match tokio::time::timeout(deadline, self.look(tools, models)).await {
            Ok(ran) => ran,
            Err(_) => Finding::fault(Said::TooLate { limit_s: deadline.as_secs_f64() }).into(),
        }
    }

    async fn look(&self, tools: &Tools, models: &dyn Models) -> Ran {
        match &self.work {
            Work::Process(probe) => probe.run(&tools.http).await.into(),
            Work::Http(look) => page::run(look, &tools.http).await.into(),
            Work::Model(probe) => probe.run(models).await.into(),
            Work::Quality(probe) => probe.run(models).await,
            Work::Disk(probe) => probe.run(Timestamp::now().as_millisecond()).await,
            Work::Certificate(probe) => probe.run(Timestamp::now()).await.into(),
            Work::Gpu(limits) => {
                let (summary, parts) = gpu::judge(&tools.cards.read().await, limits);
                Ran { summary, parts, keep: None }
            }
            Work::Memory(limits) => Memory::read(Path::new("/")).judge(limits).into(),
            Work::Clock(look) => clock::run(look, &tools.http).await.into(),
        }
    }

    pub(crate) fn gpu_limits(&self) -> Option<GpuLimits> {
        if let Work::Gpu(limits) = &self.work { Some(*limits) } else { None }
    }

    pub(crate) fn memory_limits(&self) -> Option<MemoryLimits> {
        if let Work::Memory(limits) = &self.work { Some(*limits) } else { None }
    }
}

/// Makes probes that can run, each with an id of its own. Reads files, so it blocks.
pub(crate) fn probes(specs: Vec<Spec>) -> Result<Vec<Probe>, ProbeError> {
    let mut ids = Vec::with_capacity(specs.len());
    let mut probes = Vec::with_capacity(specs.len());
    for spec in specs {
        let id = id_of(&spec, &ids);
        ids.push(id.clone());
        probes.push(Probe::new(spec, id)?);
    }
    // Layer by layer, and as configured within one.
    probes.sort_by_key(|probe| probe.kind.layer());
    Ok(probes)
}

/// A name for addresses, which is the same as long as kind and name are.
fn id_of(spec: &Spec, taken: &[String]) -> String {
    const CHARS_MAX: usize = 80;
    let kind = spec.look.kind().as_str();
    let mut id = format!("{kind}-");
    for c in spec.name.chars().take(CHARS_MAX) {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() || c == '.' => id.push(c),
            _ if !id.ends_with('-') => id.push('-'),
            _ => {}
        }
    }
    let mut id = id.trim_end_matches('-').to_owned();
    if id == kind {
        id.push_str("-root");
    }
    let first = id.clone();
    let mut number = 2;
    while taken.contains(&id) {
        id = format!("{first}-{number}");
        number += 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_and_differ() {
        let disk = |path: &str| Spec {
            name: path.to_owned(),
            every: Duration::from_secs(1),
            within: Duration::from_secs(1),
            look: Look::Disk(DiskLook {
                path: path.into(),
                above: 90.0,
                inodes_above: 90.0,
                full_within: Duration::ZERO,
            }),
        };
        let specs = ["/", "/var/Log files/", "/", "数据"].map(disk).to_vec();
        let ids: Vec<String> = probes(specs).unwrap().into_iter().map(|probe| probe.id).collect();
        assert_eq!(ids, ["disk-root", "disk-var-log-files", "disk-root-2", "disk-root-3"]);
    }
}
