//! Memory: of the machine or, where that is smaller, of the control group that we are in; and how long programs waited for it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::finding::{Finding, Outcome, round1};
use crate::said::Said;

/// Limits of memory.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// Percent that may be used.
    pub above: f64,
    /// Percent of the last minute in which programs may have waited for memory.
    pub psi_above: f64,
}

/// Memory as it is now. What the kernel does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) available: Option<u64>,
    pub(crate) total: Option<u64>,
    /// Whether both are those of a control group.
    pub(crate) is_group: bool,
    /// Percent of the last minute in which some program waited for memory (`some avg60` of PSI).
    pub(crate) psi: Option<f64>,
    /// Of this program.
    pub(crate) rss: Option<u64>,
}

impl Memory {
    /// Reads the kernel's files below `root`, `/` but for tests.
    pub(crate) fn read(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let meminfo = text("proc/meminfo").unwrap_or_default();
        let kib = |name: &str| {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line?.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
        };
        let status = text("proc/self/status").unwrap_or_default();
        let rss =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
        let mut memory = Self {
            available: kib("MemAvailable"),
            total: kib("MemTotal"),
            is_group: false,
            psi: text("proc/pressure/memory").as_deref().and_then(pressure),
            rss: rss.map(|kib| kib * 1024),
        };
        if let Some(group) = text("proc/self/cgroup").as_deref().and_then(|groups| group(root, groups)) {
            memory.take_group(&group);
        }
        memory
    }

    /// Version 2 of control groups: the limit of the group itself; those above it are the administrator's business.
    fn take_group(&mut self, group: &Path) {
        let number = |name: &str| std::fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        // `max` is no number: there is no limit.
        if let (Some(limit), Some(current)) = (number("memory.max"), number("memory.current"))
            && self.total.is_none_or(|total| limit < total)
        {
            // Pages of files that nobody has used for long are given back when they are needed.
            let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
            let idle = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
            let used = current.saturating_sub(idle.unwrap_or(0));
            (self.available, self.total, self.is_group) = (Some(limit.saturating_sub(used)), Some(limit), true);
        }
        if let Some(psi) = std::fs::read_to_string(group.join("memory.pressure")).ok().as_deref().and_then(pressure) {
            self.psi = Some(psi);
        }
    }

    pub(crate) fn used_percent(&self) -> Option<f64> {
        let (available, total) = (self.available?, self.total.filter(|total| *total > 0)?);
        Some(round1(total.saturating_sub(available) as f64 * 100.0 / total as f64))
    }

    pub(crate) fn fields(&self) -> Map<String, Value> {
        let fields = json!({
            "memory_available_bytes": self.available,
            "memory_used_percent": self.used_percent(),
            "psi": self.psi,
            "rss_bytes": self.rss,
        });
        let Value::Object(mut fields) = fields else { return Map::new() };
        fields.retain(|_, value| !value.is_null());
        fields
    }

    pub(crate) fn is_over(&self, limits: &MemoryLimits) -> bool {
        self.used_percent().is_some_and(|percent| percent > limits.above)
            || self.psi.is_some_and(|psi| psi > limits.psi_above)
    }

    pub(crate) fn is_near(&self, limits: &MemoryLimits) -> bool {
        self.used_percent().is_some_and(|percent| percent >= limits.above * 0.97)
    }

    pub(crate) fn judge(&self, limits: &MemoryLimits) -> Finding {
        let Some(percent) = self.used_percent() else {
            return Finding::fault(Said::MemoryHidden {});
        };
        let (used_percent, limit_percent) = (percent, limits.above);
        let psi = self.psi.filter(|psi| *psi > limits.psi_above);
        let waited = psi.map(|waited_percent| Said::MemoryWaited { waited_percent, limit_percent: limits.psi_above });
        let (outcome, said) = match waited {
            _ if percent > limits.above && self.is_group => {
                (Outcome::Warn, Said::GroupAbove { used_percent, limit_percent })
            }
            _ if percent > limits.above => (Outcome::Warn, Said::MemoryAbove { used_percent, limit_percent }),
            Some(waited) => (Outcome::Warn, waited),
            None if self.is_group => (Outcome::Ok, Said::GroupUsed { used_percent }),
            None => (Outcome::Ok, Said::MemoryUsed { used_percent }),
        };
        Finding::new(outcome, said).fields(self.fields())
    }
}

/// `some avg60` of the kernel's pressure stall information.
fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split_whitespace().find_map(|word| word.strip_prefix("avg60=")?.parse().ok())
}

/// Our control group's folder (version 2: the line `0::/…`).
fn group(root: &Path, groups: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // Inside a container the path is one of the machine outside, and the group's own folder is the root.
    let mounted = root.join("sys/fs/cgroup");
    let own = mounted.join(path);
    Some(if path.contains("..") || !own.is_dir() { mounted } else { own })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MemoryLimits = MemoryLimits { above: 90.0, psi_above: 20.0 };

    fn files(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 5 kB\nMemAvailable: 400 kB\n");

    #[test]
    fn the_smaller_of_machine_and_group_counts() {
        let root = files(&[MEMINFO, ("proc/self/status", "VmRSS:\t  64 kB\n")]);
        let machine = Memory::read(root.path());
        assert_eq!((machine.used_percent(), machine.rss, machine.is_group), (Some(60.0), Some(65_536), false));
        assert_eq!(machine.judge(&LIMITS).outcome, Outcome::Ok);
        let root = files(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "102400\n"),
            ("sys/fs/cgroup/a/b/memory.current", "102000\n"),
            ("sys/fs/cgroup/a/b/memory.stat", "anon 1\ninactive_file 2000\n"),
        ]);
        let group = Memory::read(root.path());
        assert_eq!((group.used_percent(), group.available), (Some(97.7), Some(2_400)));
        assert!(group.judge(&LIMITS).found().starts_with("97.7% of the control group's memory used"));
        let root = files(&[MEMINFO, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "max\n")]);
        assert_eq!(Memory::read(root.path()).used_percent(), Some(60.0));
    }

    #[test]
    fn waiting_for_memory_is_told() {
        let psi = "some avg10=40.00 avg60=31.50 avg300=3.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let root = files(&[MEMINFO, ("proc/pressure/memory", psi)]);
        let finding = Memory::read(root.path()).judge(&LIMITS);
        assert_eq!((finding.outcome, finding.fields["psi"].as_f64()), (Outcome::Warn, Some(31.5)));
        assert!(finding.found().contains("31.5% of the last minute"), "{finding:?}");
        assert_eq!(Memory::read(Path::new("/no/such/root")).judge(&LIMITS).outcome, Outcome::Fault);
    }
}
