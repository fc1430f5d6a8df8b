//! The card's memory at its fullest, and whether a larger card would change anything.

use serde_json::{Value, json};

use super::row::Row;
use super::{Advice, Setup, Word, figures};

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
    let advice = |word, code, found: String, change| Advice {
        id: "memory",
        subject: None,
        word,
        code,
        found,
        sure: format!("by {samples} samples; between two of them it may have been fuller"),
        change,
        figures: figures(numbers.clone()),
        query: "memory",
    };
    let Some(percent) = percent.filter(|_| samples >= SAMPLES_MIN) else {
        let found =
            "the memory of a graphics card was not sampled: there is none here, or no driver tells of it".to_owned();
        return advice(Word::Unknown, "no_samples", found, None);
    };
    let size = total.map_or_else(String::new, |total| format!(" of {:.0} GB", total / 1e9));
    let found = format!(
        "the card was {percent:.0}%{size} full at its peak; {per_day:.1} loads a day came after another model's, {:.0} s of waiting a day",
        waited_ms / 1000.0 / days
    );
    let is_full = percent >= FULL_PERCENT;
    let is_smaller = total.is_none_or(|total| total < LARGER_BYTES * 0.95);
    if is_full && is_smaller && per_day >= LOADS_PER_DAY {
        let change = format!(
            "a card of 48 GB would hold these models side by side: up to {:.0} s of waiting a day less",
            waited_ms / 1000.0 / days
        );
        return advice(Word::Change, "larger_card", found, Some(change));
    }
    let code = match (is_full, per_day >= LOADS_PER_DAY) {
        (false, true) => "room_for_two",
        (true, _) => "full_and_quiet",
        (false, false) => "room",
    };
    let change = (code == "room_for_two").then(|| {
        "there is room: let models lie side by side (OLLAMA_MAX_LOADED_MODELS=2); no larger card is needed".to_owned()
    });
    advice(if change.is_some() { Word::Change } else { Word::Keep }, code, found, change)
}
