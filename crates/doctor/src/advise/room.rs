//! The card's memory at its fullest, and whether a larger card would change anything.

use serde_json::{Value, json};

use super::row::Row;
use super::{Advice, Advised, Setup, Word, figures};
use crate::sentence::Sentence;

/// A card that is fuller than this has no room for more, in percent.
const FULL_PERCENT: f64 = 90.0;
/// Samples of which a peak is one.
const SAMPLES_MIN: u64 = 20;
/// The card that people think of.
const LARGER_BYTES: f64 = 48e9;
/// Loads by other models of which a larger card would spare people.
const LOADS_PER_DAY: f64 = 10.0;

/// Advice on the card's memory.
pub(super) fn advice(answer: &Value, loads: &[Row], setup: &Setup) -> Advice {
    let samples = answer.pointer("/hits/total/value").and_then(Value::as_u64).unwrap_or(0);
    let peak = answer.pointer("/hits/hits/0/_source").cloned().unwrap_or_default();
    let percent = peak["gpu_memory_used_percent"].as_f64();
    let total = answer.pointer("/aggregations/total/value").and_then(Value::as_f64);
    let fights = loads.windows(2).filter(|pair| pair[0].upstream == pair[1].upstream && pair[0].model != pair[1].model);
    let (mut changes, mut waited_ms) = (0usize, 0.0);
    for pair in fights {
        changes += 1;
        waited_ms += pair[1].load_ms;
    }
    let days = (setup.hours / 24.0).max(1.0 / 24.0);
    let per_day = changes as f64 / days;
    let numbers = json!({
        "samples": samples, "peak_percent": percent, "peak_at": peak["@timestamp"], "total_bytes": total,
        "loads_by_other_models_per_day": (per_day * 10.0).round() / 10.0, "waited_s_per_day": (waited_ms / 1000.0 / days).round(),
    });
    let advice = |word, code, found: Vec<Advised>, change: Option<Advised>| Advice {
        id: "memory",
        subject: None,
        word,
        code,
        found: found.into(),
        sure: Advised::SureSamples { samples }.into(),
        change: change.map(Sentence::from),
        figures: figures(numbers.clone()),
        query: "memory",
    };
    let Some(peak_percent) = percent.filter(|_| samples >= SAMPLES_MIN) else {
        return advice(Word::Unknown, "no_samples", vec![Advised::MemoryUnsampled {}], None);
    };
    let waited_s = waited_ms / 1000.0 / days;
    let peak = match total {
        Some(total_bytes) => Advised::MemoryPeakOf { peak_percent, total_bytes },
        None => Advised::MemoryPeak { peak_percent },
    };
    let found = vec![peak, Advised::LoadsDaily { per_day, waited_s }];
    let is_full = peak_percent >= FULL_PERCENT;
    let is_smaller = total.is_none_or(|total| total < LARGER_BYTES * 0.95);
    if is_full && is_smaller && per_day >= LOADS_PER_DAY {
        return advice(Word::Change, "larger_card", found, Some(Advised::DoLargerCard { saved_s: waited_s }));
    }
    match (is_full, per_day >= LOADS_PER_DAY) {
        (false, true) => advice(Word::Change, "room_for_two", found, Some(Advised::DoRoomForTwo {})),
        (true, _) => advice(Word::Keep, "full_and_quiet", found, None),
        (false, false) => advice(Word::Keep, "room", found, None),
    }
}
