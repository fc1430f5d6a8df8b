//! Graphics cards: NVIDIA's by NVML or, where that is not there, by `nvidia-smi`; AMD's by what the kernel tells.

mod smi;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};
use serde_json::{Map, Value, json};

use self::smi::{Smi, smi};
use crate::alone::Alone;
use crate::finding::{Finding, Outcome, round1};
use crate::said::Said;

/// Cards of one machine that are looked at.
const CARDS_MAX: usize = 64;
/// Programs of one card that are told, those with the most memory.
const PROCESSES_MAX: usize = 16;
/// Why a card works more slowly than it could, in words; idle cards and clocks that somebody has set are no reason.
const SLOWED: [(ThrottleReasons, &str); 6] = [
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "heat"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "heat"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "power_brake"),
    (ThrottleReasons::HW_SLOWDOWN, "hardware"),
    (ThrottleReasons::SW_POWER_CAP, POWER),
    (ThrottleReasons::SYNC_BOOST, "other_card"),
];
/// Under load that is as it should be: each card has a bound for its power.
const POWER: &str = "power";
/// Where the kernel tells of cards.
const CARDS_DIR: &str = "/sys/class/drm";
/// AMD's number among makers of PCI cards.
const AMD: &str = "0x1002";

/// Limits of cards.
#[derive(Clone, Copy, Debug)]
pub struct GpuLimits {
    /// Percent of a card's memory that may be used.
    pub memory_above: f64,
    /// Degrees Celsius that it may have.
    pub temperature_above: f64,
    /// Percent of its time at which models are not asked by probes.
    pub busy_above: f64,
}

/// One card, as it is now. What it does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// Its name, with its number.
    pub name: String,
    /// Bytes of its memory that are used.
    pub memory_used: Option<u64>,
    /// Bytes of its memory.
    pub memory_total: Option<u64>,
    /// Percent of the time in which it worked.
    pub utilisation: Option<f64>,
    /// Degrees Celsius.
    pub temperature: Option<f64>,
    /// Why it works more slowly than it could: `heat`, `power`, `power_brake`, `hardware`, `other_card`.
    pub slowed: Vec<&'static str>,
    /// Programs that have memory of it, those with the most first.
    pub processes: Vec<CardProcess>,
}

/// A program that has memory of a card.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardProcess {
    /// Its number.
    pub pid: u32,
    /// What it is called, where that can be seen.
    pub name: Option<String>,
    /// Bytes that it has, where the driver tells.
    pub memory: Option<u64>,
}

impl CardProcess {
    fn fields(&self) -> Value {
        json!({"pid": self.pid, "name": self.name, "memory_bytes": self.memory})
    }
}

impl Card {
    /// Percent of its memory that is used.
    pub fn memory_percent(&self) -> Option<f64> {
        let (used, total) = (self.memory_used?, self.memory_total?);
        (total > 0).then(|| round1(used as f64 * 100.0 / total as f64))
    }

    /// As records tell it.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let fields = json!({
            "gpu": self.name,
            "gpu_memory_used_bytes": self.memory_used,
            "gpu_memory_total_bytes": self.memory_total,
            "gpu_memory_used_percent": self.memory_percent(),
            "gpu_utilisation": self.utilisation,
            "temperature": self.temperature,
            "gpu_slowed": (!self.slowed.is_empty()).then_some(&self.slowed),
            "gpu_processes": (!self.processes.is_empty())
                .then(|| self.processes.iter().map(CardProcess::fields).collect::<Vec<_>>()),
        });
        let Value::Object(mut fields) = fields else { return Map::new() };
        fields.retain(|_, value| !value.is_null());
        fields
    }

    /// What is over a limit.
    pub(crate) fn trouble(&self, limits: &GpuLimits) -> Option<Vec<Said>> {
        let memory = self.memory_percent().filter(|percent| *percent > limits.memory_above);
        let memory =
            memory.map(|used_percent| Said::CardMemoryAbove { used_percent, limit_percent: limits.memory_above });
        let heat = self.temperature.filter(|degrees| *degrees > limits.temperature_above);
        let heat = heat.map(|degrees| Said::CardHeatAbove { degrees, limit_degrees: limits.temperature_above });
        let why: Vec<&str> = self.slowed.iter().copied().filter(|why| *why != POWER).collect();
        let slowed = (!why.is_empty()).then(|| Said::CardSlowed { why: why.join(", ") });
        let parts: Vec<Said> = memory.into_iter().chain(heat).chain(slowed).collect();
        (!parts.is_empty()).then(|| self.said(parts))
    }

    fn said(&self, parts: impl IntoIterator<Item = Said>) -> Vec<Said> {
        [Said::Card { gpu: self.name.clone() }].into_iter().chain(parts).collect()
    }

    /// Whether it is so near to a limit that a moment decides.
    pub(crate) fn is_near(&self, limits: &GpuLimits) -> bool {
        const NEAR: f64 = 0.95;
        self.memory_percent().is_some_and(|percent| percent >= limits.memory_above * NEAR)
            || self.temperature.is_some_and(|degrees| degrees >= limits.temperature_above * NEAR)
    }
}

/// Reads cards by the first way that there is.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    ways: Arc<Ways>,
}

#[derive(Debug)]
struct Ways {
    smi: PathBuf,
    cards_dir: PathBuf,
    /// Whether NVIDIA's library is asked at all.
    asks_nvml: bool,
    nvml: Mutex<Option<Arc<Nvml>>>,
    alone: Alone,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self::with("nvidia-smi".into(), CARDS_DIR.into(), true)
    }

    pub(crate) fn with(smi: PathBuf, cards_dir: PathBuf, asks_nvml: bool) -> Self {
        let ways = Ways { smi, cards_dir, asks_nvml, nvml: Mutex::default(), alone: Alone::new() };
        Self { ways: Arc::new(ways) }
    }

    /// Whether a look costs next to nothing: no program has to be started for it.
    pub(crate) fn is_cheap(&self) -> bool {
        self.ways.nvml.lock().expect("no panic while the lock is held").is_some()
    }

    /// The cards that there are; none is no error.
    pub(crate) async fn read(&self) -> Result<Vec<Card>, String> {
        let ways = self.ways.clone();
        let by_library = self.ways.alone.run(move || Ok(ways.nvml())).await?;
        if let Some(cards) = by_library {
            return Ok(cards);
        }
        match smi(&self.ways.smi).await {
            Smi::Cards(cards) => return Ok(cards),
            Smi::Failed(why) => return Err(why),
            Smi::None => {}
        }
        let ways = self.ways.clone();
        self.ways.alone.run(move || Ok(amd(&ways.cards_dir))).await
    }
}

impl Ways {
    /// `None` where NVIDIA's library or driver is not there.
    fn nvml(&self) -> Option<Vec<Card>> {
        if !self.asks_nvml {
            return None;
        }
        let open = self.nvml.lock().expect("no panic while the lock is held").clone();
        let nvml = match open {
            Some(nvml) => nvml,
            None => Arc::new(Nvml::init().ok()?),
        };
        let cards = cards(&nvml);
        // A driver that was exchanged under us is opened anew the next time.
        *self.nvml.lock().expect("no panic while the lock is held") = cards.is_some().then_some(nvml);
        cards
    }
}

fn cards(nvml: &Nvml) -> Option<Vec<Card>> {
    let count = nvml.device_count().ok()?;
    let card = |index: u32| {
        let device = nvml.device_by_index(index).ok()?;
        let memory = device.memory_info().ok();
        Some(Card {
            name: format!("{} ({index})", device.name().unwrap_or_else(|_| "NVIDIA".to_owned())),
            memory_used: memory.as_ref().map(|memory| memory.used),
            memory_total: memory.as_ref().map(|memory| memory.total),
            utilisation: device.utilization_rates().ok().map(|rates| f64::from(rates.gpu)),
            temperature: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
            slowed: device.current_throttle_reasons().map(slowed).unwrap_or_default(),
            processes: processes(&device),
        })
    };
    Some((0..count).take(CARDS_MAX).filter_map(card).collect())
}

/// Those that the driver tells of.
fn processes(device: &Device<'_>) -> Vec<CardProcess> {
    let told = device.running_compute_processes().unwrap_or_default();
    let process = |process: ProcessInfo| CardProcess {
        pid: process.pid,
        name: name_of(process.pid),
        memory: match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        },
    };
    largest(told.into_iter().map(process).collect())
}

fn largest(mut processes: Vec<CardProcess>) -> Vec<CardProcess> {
    processes.sort_by_key(|process| std::cmp::Reverse(process.memory));
    processes.truncate(PROCESSES_MAX);
    processes
}

/// As the kernel has it; a number of another namespace is nobody here.
fn name_of(pid: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned())
}

fn slowed(reasons: ThrottleReasons) -> Vec<&'static str> {
    let mut words: Vec<&str> =
        SLOWED.iter().filter(|(reason, _)| reasons.contains(*reason)).map(|(_, word)| *word).collect();
    words.dedup();
    words
}

/// AMD's cards, by the files of their driver.
fn amd(dir: &Path) -> Vec<Card> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    let number = |path: PathBuf| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let card = |folder: &PathBuf| {
        let name = folder.file_name()?.to_str()?;
        // `card0-DP-1` is a plug of the card.
        let index = name.strip_prefix("card").filter(|index| index.bytes().all(|byte| byte.is_ascii_digit()))?;
        let device = folder.join("device");
        let vendor = std::fs::read_to_string(device.join("vendor")).ok()?;
        if vendor.trim() != AMD {
            return None;
        }
        let product = std::fs::read_to_string(device.join("product_name")).unwrap_or_default();
        let product = Some(product.trim()).filter(|product| !product.is_empty()).unwrap_or("AMD");
        let sensors = std::fs::read_dir(device.join("hwmon")).ok();
        let sensor = sensors.and_then(|mut sensors| Some(sensors.next()?.ok()?.path()));
        Some(Card {
            name: format!("{product} ({index})"),
            memory_used: number(device.join("mem_info_vram_used")),
            memory_total: number(device.join("mem_info_vram_total")),
            utilisation: number(device.join("gpu_busy_percent")).map(|percent| percent as f64),
            // Thousandths of a degree.
            temperature: sensor.and_then(|sensor| number(sensor.join("temp1_input"))).map(|heat| heat as f64 / 1e3),
            ..Card::default()
        })
    };
    folders.iter().filter_map(card).take(CARDS_MAX).collect()
}

/// What cards as they are come to.
pub(crate) fn judge(cards: &Result<Vec<Card>, String>, limits: &GpuLimits) -> (Finding, Vec<Finding>) {
    let cards = match cards {
        Err(why) => return (Finding::fault(Said::words(why)), Vec::new()),
        Ok(cards) if cards.is_empty() => return (Finding::ok(Said::NoCard {}), Vec::new()),
        Ok(cards) => cards,
    };
    let parts: Vec<Finding> = cards
        .iter()
        .map(|card| {
            let finding = match card.trouble(limits) {
                Some(trouble) => Finding::of(Outcome::Warn, trouble),
                None => Finding::of(Outcome::Ok, well(card)),
            };
            finding.fields(card.fields())
        })
        .collect();
    let worst = parts.iter().max_by_key(|part| part.outcome).cloned();
    let summary = worst.unwrap_or_else(|| Finding::ok(Said::NoCard {}));
    (summary, parts)
}

fn well(card: &Card) -> Vec<Said> {
    let memory = card.memory_percent().map(|used_percent| Said::CardMemory { used_percent });
    let busy = card.utilisation.map(|busy_percent| Said::CardWorks { busy_percent });
    let heat = card.temperature.map(|degrees| Said::CardHeat { degrees });
    card.said([memory, busy, heat].into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    const LIMITS: GpuLimits = GpuLimits { memory_above: 90.0, temperature_above: 85.0, busy_above: 95.0 };

    #[tokio::test]
    async fn a_program_is_told_with_the_card_that_it_is_on() {
        let dir = tempfile::tempdir().unwrap();
        let smi = dir.path().join("nvidia-smi");
        let write = |script: &str| {
            std::fs::write(&smi, format!("#!/bin/sh\ncase \"$1\" in {script}; esac\n")).unwrap();
            std::fs::set_permissions(&smi, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let reader = Reader::with(smi.clone(), dir.path().join("none"), false);
        write(
            "*compute-apps*) echo 'GPU-b, 7, /bin/vllm, 100'; echo 'GPU-b, 8, /bin/big, 200';; \
             *uuid*) echo '0, A10, 1, 9, 5, 40, 0x0, GPU-a'; echo '1, A10, 300, 900, 5, 40, 0x0, GPU-b';",
        );
        let cards = reader.read().await.unwrap();
        let names = |card: &Card| card.processes.iter().filter_map(|process| process.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&cards[0]).len(), names(&cards[1])), (0, vec!["big".to_owned(), "vllm".to_owned()]));
        assert_eq!(cards[1].fields()["gpu_processes"][0]["memory_bytes"], 200 << 20);
        // One that is too old for that is asked for less.
        write("*uuid*) exit 2;; *compute-apps*) exit 2;; *) echo '0, A10, 1, 9, 5, 40';");
        let cards = reader.read().await.unwrap();
        assert_eq!((cards.len(), cards[0].processes.len(), cards[0].temperature), (1, 0, Some(40.0)));
    }

    #[tokio::test]
    async fn limits_of_a_card_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let smi = dir.path().join("nvidia-smi");
        let say = |line: &str| {
            std::fs::write(&smi, format!("#!/bin/sh\necho '{line}'\n")).unwrap();
            std::fs::set_permissions(&smi, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        say("0, NVIDIA A10, 22000, 23028, 97, 91");
        let reader = Reader::with(smi.clone(), dir.path().join("none"), false);
        let (finding, parts) = judge(&reader.read().await, &LIMITS);
        assert_eq!(finding.outcome, Outcome::Warn);
        let told = "NVIDIA A10 (0): 95.5% of its memory used (limit 90%), 91 °C (limit 85 °C)";
        assert_eq!((finding.found().as_str(), parts.len()), (told, 1));
        say("0, NVIDIA A10, 2000, 23028, 3, 41");
        let (finding, _) = judge(&reader.read().await, &LIMITS);
        assert_eq!((finding.outcome, finding.fields["gpu_utilisation"].as_f64()), (Outcome::Ok, Some(3.0)));
        std::fs::write(&smi, "#!/bin/sh\nexit 3\n").unwrap();
        assert_eq!(judge(&reader.read().await, &LIMITS).0.outcome, Outcome::Fault);
        std::fs::remove_file(&smi).unwrap();
        assert!(judge(&reader.read().await, &LIMITS).0.found().contains("no graphics card"));
    }

    #[tokio::test]
    async fn cards_of_amd_are_read_from_the_kernels_files() {
        let dir = tempfile::tempdir().unwrap();
        for (card, vendor) in [("card0", "0x10de"), ("card1", AMD), ("card1-DP-1", AMD)] {
            let device = dir.path().join(card).join("device");
            std::fs::create_dir_all(device.join("hwmon/hwmon3")).unwrap();
            for (name, text) in [
                ("vendor", vendor),
                ("mem_info_vram_used", "15461882265"),
                ("mem_info_vram_total", "17163091968"),
                ("gpu_busy_percent", "88"),
                ("hwmon/hwmon3/temp1_input", "61000"),
            ] {
                std::fs::write(device.join(name), format!("{text}\n")).unwrap();
            }
        }
        let reader = Reader::with(dir.path().join("no-smi"), dir.path().into(), false);
        let cards = reader.read().await.unwrap();
        assert_eq!(cards.len(), 1);
        assert_eq!((cards[0].name.as_str(), cards[0].temperature), ("AMD (1)", Some(61.0)));
        assert!(cards[0].is_near(&LIMITS) && cards[0].trouble(&LIMITS).is_some());
    }

    /// On a machine with NVIDIA's driver: what the library tells agrees with what `nvidia-smi` tells.
    #[tokio::test]
    #[ignore = "needs an NVIDIA card"]
    async fn the_library_and_the_program_agree() {
        let by_library = Reader::new();
        let cards = by_library.read().await.unwrap();
        assert!(by_library.is_cheap() && !cards.is_empty(), "{cards:?}");
        let told = Reader::with("nvidia-smi".into(), CARDS_DIR.into(), false).read().await.unwrap();
        println!("library: {cards:?}\nprogram: {told:?}");
        assert_eq!(cards.len(), told.len());
        assert_eq!(cards[0].name, told[0].name);
        let (a, b) = (cards[0].memory_total.unwrap() as f64, told[0].memory_total.unwrap() as f64);
        assert!((a - b).abs() < a * 0.02, "{a} {b}");
        let begun = std::time::Instant::now();
        by_library.read().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}
