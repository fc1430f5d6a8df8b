//! Samples of resources between the probes: often where a limit is near, and few where nothing happens.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::gpu::{Card, GpuLimits, Reader};
use crate::memory::{Memory, MemoryLimits};

/// How often is sampled.
const EVERY: Duration = Duration::from_secs(10);
/// How often near a limit: what is kept then is the highest of several looks.
const EVERY_NEAR: Duration = Duration::from_secs(1);
/// How often is looked near a limit, where a look costs next to nothing.
const LOOK_EVERY_NEAR: Duration = Duration::from_millis(100);
/// Of memory that is far from its limit, a sample is kept this often.
const CALM_EVERY: Duration = Duration::from_secs(60);
/// Where no card was found, one is looked for this often.
const LOOK_FOR_CARDS_EVERY: Duration = Duration::from_secs(15 * 60);

/// Takes samples.
#[derive(Debug)]
pub(crate) struct Sampler {
    cards: Reader,
    gpu: Option<GpuLimits>,
    memory: Option<MemoryLimits>,
    next: Option<Instant>,
    /// Until when no card is looked for, because there was none.
    no_cards_until: Option<Instant>,
    /// The highest since the last sample that was kept.
    peaks: Vec<Card>,
    cards_kept: Option<Instant>,
    memory_kept: Option<Instant>,
    gpu_is_over: bool,
    memory_is_over: bool,
}

/// What a moment showed.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    /// What becomes a record.
    pub(crate) kept: Vec<Map<String, Value>>,
    /// What pages show.
    pub(crate) shown: Vec<Map<String, Value>>,
    /// What went over a limit, or came back.
    pub(crate) crossed: Vec<Crossed>,
}

/// What crossed its limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Crossed {
    Gpu,
    Memory,
}

impl Sampler {
    /// One that samples what there are limits for, from some time on.
    pub(crate) fn new(cards: Reader, gpu: Option<GpuLimits>, memory: Option<MemoryLimits>) -> Self {
        let next = (gpu.is_some() || memory.is_some()).then(|| Instant::now() + EVERY);
        Self {
            cards,
            gpu,
            memory,
            next,
            no_cards_until: None,
            peaks: Vec::new(),
            cards_kept: None,
            // The first minute of a house is not worth a record.
            memory_kept: Some(Instant::now()),
            gpu_is_over: false,
            memory_is_over: false,
        }
    }

    /// One that never samples.
    pub(crate) fn off() -> Self {
        Self::new(Reader::new(), None, None)
    }

    /// When the next sample is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) async fn sample(&mut self) -> Sampled {
        let mut sampled = Sampled::default();
        let now = Instant::now();
        let mut wait = EVERY;
        if let Some(limits) = self.gpu {
            wait = wait.min(self.sample_cards(now, &limits, &mut sampled).await);
        }
        if let Some(limits) = self.memory {
            wait = wait.min(self.sample_memory(now, &limits, &mut sampled));
        }
        self.next = Some(Instant::now() + wait);
        sampled
    }

    /// Gives how long to wait for the next look.
    async fn sample_cards(&mut self, now: Instant, limits: &GpuLimits, sampled: &mut Sampled) -> Duration {
        if self.no_cards_until.is_some_and(|until| now < until) {
            return EVERY;
        }
        // What is wrong with reading them is told by the probe.
        let cards = self.cards.read().await.unwrap_or_default();
        self.no_cards_until = cards.is_empty().then(|| now + LOOK_FOR_CARDS_EVERY);
        sampled.shown.extend(cards.iter().map(Card::fields));
        let is_over = cards.iter().any(|card| card.trouble(limits).is_some());
        if is_over != self.gpu_is_over {
            self.gpu_is_over = is_over;
            sampled.crossed.push(Crossed::Gpu);
        }
        let is_near = cards.iter().any(|card| card.is_near(limits));
        self.raise(&cards);
        let keep_every = if is_near { EVERY_NEAR } else { EVERY };
        // A little early is right: the next look may come later than the next time.
        let is_due = self.cards_kept.is_none_or(|kept| now + LOOK_EVERY_NEAR / 2 >= kept + keep_every);
        if is_due && !self.peaks.is_empty() {
            sampled.kept.extend(std::mem::take(&mut self.peaks).iter().map(Card::fields));
            self.cards_kept = Some(now);
        }
        match (is_near, self.cards.is_cheap()) {
            (true, true) => LOOK_EVERY_NEAR,
            (true, false) => EVERY_NEAR,
            (false, _) => EVERY,
        }
    }

    /// Keeps the most memory and the highest temperature of each card: a peak between two samples is what breaks a model.
    fn raise(&mut self, cards: &[Card]) {
        for card in cards {
            match self.peaks.iter_mut().find(|peak| peak.name == card.name) {
                None => self.peaks.push(card.clone()),
                Some(peak) => {
                    peak.memory_used = peak.memory_used.max(card.memory_used);
                    peak.temperature = match (peak.temperature, card.temperature) {
                        (Some(before), Some(now)) => Some(before.max(now)),
                        (before, now) => now.or(before),
                    };
                    peak.utilisation = card.utilisation.or(peak.utilisation);
                    let is_new = |why: &&&str| !peak.slowed.contains(*why);
                    let slowed: Vec<&str> = card.slowed.iter().filter(is_new).copied().collect();
                    peak.slowed.extend(slowed);
                    let memory = |card: &Card| card.processes.iter().filter_map(|process| process.memory).sum::<u64>();
                    if memory(card) >= memory(peak) {
                        peak.processes.clone_from(&card.processes);
                    }
                }
            }
        }
    }

    fn sample_memory(&mut self, now: Instant, limits: &MemoryLimits, sampled: &mut Sampled) -> Duration {
        let memory = Memory::read(Path::new("/"));
        let fields = memory.fields();
        sampled.shown.push(fields.clone());
        let is_over = memory.is_over(limits);
        if is_over != self.memory_is_over {
            self.memory_is_over = is_over;
            sampled.crossed.push(Crossed::Memory);
        }
        let is_near = memory.is_near(limits);
        let keep_every = if is_near { EVERY_NEAR } else { CALM_EVERY };
        if self.memory_kept.is_none_or(|kept| now + LOOK_EVERY_NEAR / 2 >= kept + keep_every) {
            sampled.kept.push(fields);
            self.memory_kept = Some(now);
        }
        if is_near { EVERY_NEAR } else { EVERY }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LIMITS: GpuLimits = GpuLimits { memory_above: 90.0, temperature_above: 85.0, busy_above: 95.0 };

    #[tokio::test]
    async fn samples_come_faster_near_the_limit_and_crossing_it_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let smi = dir.path().join("nvidia-smi");
        let say = |used: u32| {
            std::fs::write(&smi, format!("#!/bin/sh\necho '0, A10, {used}, 1000, 50, 60'\n")).unwrap();
            std::fs::set_permissions(&smi, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let mut sampler = Sampler::new(Reader::with(smi.clone(), dir.path().into(), false), Some(LIMITS), None);
        for (used, crossed, wait, kept) in [
            (300, vec![], EVERY, 1),
            (870, vec![], EVERY_NEAR, 0),
            (950, vec![Crossed::Gpu], EVERY_NEAR, 0),
            (960, vec![], EVERY_NEAR, 0),
            (400, vec![Crossed::Gpu], EVERY, 0),
        ] {
            say(used);
            let sampled = sampler.sample().await;
            assert_eq!(sampled.crossed, crossed, "{used}");
            assert_eq!(sampled.kept.len(), kept, "{used}");
            assert_eq!(sampled.shown.len(), 1);
            let next = sampler.next().unwrap() - Instant::now();
            assert!(next <= wait && next > wait / 2, "{used}: {next:?}");
        }
        // The peak of what was not kept is.
        assert_eq!(sampler.peaks[0].memory_percent(), Some(96.0));
    }

    #[tokio::test]
    async fn where_nothing_is_near_little_is_kept() {
        let nothing = tempfile::tempdir().unwrap();
        let cards = Reader::with(nothing.path().join("none"), nothing.path().into(), false);
        let limits = MemoryLimits { above: 100.0, psi_above: 100.0 };
        let mut sampler = Sampler::new(cards, Some(LIMITS), Some(limits));
        let sampled = sampler.sample().await;
        assert_eq!((sampled.kept.len(), sampled.shown.len()), (0, 1));
        assert!(sampled.shown[0]["memory_available_bytes"].as_u64().unwrap() > 0);
        assert!(sampler.no_cards_until.is_some());
    }
}
