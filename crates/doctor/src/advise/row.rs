//! One request, as far as advice depends on it.

use serde_json::Value;

/// Fields of the records that are asked for.
pub(super) const FIELDS: [&str; 20] = [
    "@timestamp",
    "model_name",
    "model",
    "upstream",
    "key_id",
    "user_id",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "prompt_tokens_counted",
    "context_limit",
    "num_ctx",
    "truncated",
    "error",
    "duration_ms",
    "ttft_ms",
    "queue_ms",
    "load_ms",
    "prefill_ms",
    "connect_ms",
];

/// One request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) at_ms: i64,
    pub(super) model: String,
    pub(super) upstream: String,
    pub(super) client: String,
    pub(super) input_tokens: Option<f64>,
    pub(super) cached_tokens: f64,
    pub(super) output_tokens: f64,
    pub(super) counted: Option<f64>,
    pub(super) context: Option<u32>,
    pub(super) num_ctx: Option<u32>,
    pub(super) truncated: bool,
    pub(super) is_too_long: bool,
    pub(super) ttft_ms: Option<f64>,
    pub(super) queue_ms: f64,
    pub(super) load_ms: f64,
    pub(super) prefill_ms: Option<f64>,
    pub(super) connect_ms: f64,
}

impl Row {
    /// All of an answer, the oldest first.
    pub(super) fn all(answer: &Value) -> Vec<Self> {
        let hits = answer.pointer("/hits/hits").and_then(Value::as_array);
        let mut rows: Vec<Self> = hits.into_iter().flatten().filter_map(|hit| Self::of(&hit["_source"])).collect();
        rows.sort_by_key(|row| row.at_ms);
        rows
    }

    fn of(record: &Value) -> Option<Self> {
        let at: jiff::Timestamp = record["@timestamp"].as_str()?.parse().ok()?;
        let number = |name: &str| record[name].as_f64();
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        let whole = |name: &str| record[name].as_u64().and_then(|number| u32::try_from(number).ok());
        Some(Self {
            at_ms: at.as_millisecond(),
            model: text("model_name").or_else(|| text("model"))?,
            upstream: text("upstream").unwrap_or_default(),
            client: text("user_id").or_else(|| text("key_id")).unwrap_or_default(),
            input_tokens: number("input_tokens"),
            cached_tokens: number("cached_tokens").unwrap_or(0.0),
            output_tokens: number("output_tokens").unwrap_or(0.0),
            counted: number("prompt_tokens_counted"),
            context: whole("context_limit"),
            num_ctx: whole("num_ctx"),
            truncated: record["truncated"].as_bool().unwrap_or(false),
            is_too_long: record["error"].as_str().is_some_and(|error| error.starts_with("the prompt has")),
            ttft_ms: number("ttft_ms"),
            queue_ms: number("queue_ms").unwrap_or(0.0),
            load_ms: number("load_ms").unwrap_or(0.0),
            prefill_ms: number("prefill_ms"),
            connect_ms: number("connect_ms").unwrap_or(0.0),
        })
    }

    /// How long the model read, in milliseconds: what the server says, else what is left of the time to the first token.
    pub(super) fn reading_ms(&self) -> Option<f64> {
        let left = || Some((self.ttft_ms? - self.queue_ms - self.load_ms - self.connect_ms).max(0.0));
        self.prefill_ms.or_else(left)
    }

    /// Tokens that it had to read: what lay in the cache was not read again.
    pub(super) fn read_tokens(&self) -> Option<f64> {
        self.input_tokens.map(|tokens| (tokens - self.cached_tokens).max(0.0))
    }

    /// Tokens of the whole prompt, before anything was left out.
    pub(super) fn prompt_tokens(&self) -> Option<f64> {
        match (self.counted, self.input_tokens) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }
}

/// The value below which this share of them lies; nothing of none.
pub(super) fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    values.get((last as f64 * share).round() as usize).copied()
}

/// Names by how often they come, the most frequent first.
pub(super) fn by_count<'r>(names: impl Iterator<Item = &'r str>) -> Vec<(&'r str, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    counts
}
