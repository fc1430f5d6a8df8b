//! How long prompts are: what they cost before the first token, and whether they fit.

use serde_json::json;

use super::fit::{Line, POINTS_MIN, Share};
use super::row::{Row, by_count, quantile};
use super::{Advice, Advised, Setup, Word, figures};
use crate::sentence::Sentence;

/// Models that advice is given of, the most frequent.
const MODELS_MAX: usize = 5;
/// Reading that takes less than this nobody minds, in milliseconds.
const READING_MS_MIN: f64 = 1_000.0;
/// Reading is what people wait for when it is so much of the time to the first token.
const READING_SHARE: f64 = 0.5;
/// Requests of which a share says something.
const REQUESTS_MIN: usize = 50;
/// A share of prompts that do not fit that is told of.
const CUT_SHARE: f64 = 0.005;
/// Room for the answer beside the longest prompts.
const ANSWER_TOKENS: f64 = 1_024.0;
/// Contexts are a multiple of this.
const CONTEXT_STEP: f64 = 1_024.0;

/// What the length of prompts costs, by model.
pub(super) fn prompts(rows: &[Row]) -> Vec<Advice> {
    let models = by_count(rows.iter().map(|row| row.model.as_str()));
    models.into_iter().take(MODELS_MAX).map(|(model, _)| prompts_of(model, rows)).collect()
}

fn prompts_of(model: &str, rows: &[Row]) -> Advice {
    let of_model: Vec<&Row> = rows.iter().filter(|row| row.model == model && row.ttft_ms.is_some()).collect();
    let points: Vec<(f64, f64)> =
        of_model.iter().filter_map(|row| Some((row.read_tokens()?, row.reading_ms()?))).collect();
    let advice = |word, code, found: Advised, sure: Advised, change: Option<Advised>, numbers| Advice {
        id: "prompts",
        subject: Some(model.to_owned()),
        word,
        code,
        found: found.into(),
        sure: sure.into(),
        change: change.map(Sentence::from),
        figures: figures(numbers),
        query: "requests",
    };
    let Some(line) = Line::through(&points) else {
        let requests = points.len();
        let found = Advised::PromptsFew { requests, needed: POINTS_MIN };
        return advice(Word::Unknown, "too_few", found, Advised::SureNot {}, None, json!({"requests": requests}));
    };
    let mut tokens: Vec<f64> = points.iter().map(|(tokens, _)| *tokens).collect();
    let (median, long) = (quantile(&mut tokens, 0.5).unwrap_or(0.0), quantile(&mut tokens, 0.95).unwrap_or(0.0));
    let mut ttfts: Vec<f64> = of_model.iter().filter_map(|row| row.ttft_ms).collect();
    let ttft = quantile(&mut ttfts, 0.5).unwrap_or(0.0);
    let (per_thousand, low, high) = (line.slope * 1000.0, line.low * 1000.0, line.high * 1000.0);
    let reading = line.slope * median;
    let numbers = json!({
        "requests": points.len(), "tokens_median": median, "tokens_p95": long, "ttft_ms_median": round(ttft),
        "ms_per_1000_tokens": round(per_thousand), "low": round(low), "high": round(high),
    });
    let found = Advised::PromptsCost { per_thousand_ms: per_thousand, tokens_median: median, tokens_long: long };
    let sure = Advised::SureCost { low_ms: low, high_ms: high, requests: line.points };
    let is_costly = line.low > 0.0 && reading >= READING_MS_MIN && reading >= READING_SHARE * ttft;
    if is_costly {
        let half = median / 2.0;
        let change = Advised::DoShorten { tokens: half, low_ms: line.low * half, high_ms: line.high * half };
        return advice(Word::Change, "shorten", found, sure, Some(change), numbers);
    }
    advice(Word::Keep, "short_enough", found, sure, None, numbers)
}

/// Whether prompts fit, by model.
pub(super) fn contexts(rows: &[Row], setup: &Setup) -> Vec<Advice> {
    let models = by_count(rows.iter().map(|row| row.model.as_str()));
    models.into_iter().take(MODELS_MAX).map(|(model, count)| context_of(model, count, rows, setup)).collect()
}

fn context_of(model: &str, count: usize, rows: &[Row], setup: &Setup) -> Advice {
    let of_model: Vec<&Row> = rows.iter().filter(|row| row.model == model).collect();
    let cut = of_model.iter().filter(|row| row.truncated).count();
    let refused = of_model.iter().filter(|row| row.is_too_long).count();
    let share = Share::of(cut + refused, count);
    let configured = setup.models.iter().find(|(name, ..)| name == model).and_then(|(_, context, _)| *context);
    let context = configured.or_else(|| of_model.iter().rev().find_map(|row| row.context.or(row.num_ctx)));
    let mut needed: Vec<f64> = of_model.iter().filter_map(|row| row.prompt_tokens()).collect();
    let longest = quantile(&mut needed, 1.0).unwrap_or(0.0);
    let usual = quantile(&mut needed, 0.99).unwrap_or(0.0);
    let numbers = json!({
        "requests": count, "truncated": cut, "refused": refused, "share": share.share, "low": share.low, "high": share.high,
        "context": context, "tokens_p99": usual, "tokens_max": longest,
    });
    let room = context.map_or(Advised::RoomUnknown {}, |context| Advised::Room { context });
    let found = vec![
        Advised::PromptsCut { cut, refused, requests: count },
        room,
        Advised::Lengths { tokens_usual: usual, tokens_longest: longest },
    ];
    let (share_percent, low_percent, high_percent) = share.percent();
    let advice = |word, code, change: Option<Advised>| Advice {
        id: "context",
        subject: Some(model.to_owned()),
        word,
        code,
        found: found.clone().into(),
        sure: Advised::SureRoom { share_percent, low_percent, high_percent }.into(),
        change: change.map(Sentence::from),
        figures: figures(numbers.clone()),
        query: "requests",
    };
    if cut + refused > 0 && share.share >= CUT_SHARE {
        let wanted = ((usual + ANSWER_TOKENS) / CONTEXT_STEP).ceil() * CONTEXT_STEP;
        let to = wanted.max(
            context
                .map_or(0.0, |context| f64::from(context) * 2.0)
                .min(((longest + ANSWER_TOKENS) / CONTEXT_STEP).ceil() * CONTEXT_STEP),
        );
        let times = context.map_or(1.0, |context| to / f64::from(context));
        let change = Advised::DoContext { model: model.to_owned(), context: to, answer_tokens: ANSWER_TOKENS, times };
        return advice(Word::Change, "raise", Some(change));
    }
    if count < REQUESTS_MIN { advice(Word::Unknown, "too_few", None) } else { advice(Word::Keep, "fits", None) }
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
