//! Requests, counted by model and server.
//!
//! A request is counted by a look into a table under a lock for reading, and by additions to atomic numbers. Which pairs of model
//! and server the table has is bounded: further ones are counted under `other`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::exposition::{OTHER, cut};
use crate::finished::{Finished, Outcome};
use crate::histogram::{Exemplar, Histogram};
use crate::{Exposition, names, trace};

/// Pairs of a model and a server that are counted apart.
pub const MODELS_MAX: usize = 100;
/// The label of what is not known or not there.
const NONE: &str = "none";

/// Why requests are refused, fail or break off, by stable words.
pub const REASONS: [&str; 31] = [
    "invalid_key",
    "too_many_wrong_keys",
    "role_not_allowed",
    "address_not_allowed",
    "model_not_allowed",
    "secret_in_address",
    "rate_limit",
    "budget",
    "overloaded",
    "prompt_too_long",
    "context_too_small",
    "body_too_large",
    "body_incomplete",
    "bad_request",
    "unknown_model",
    "unknown_path",
    "method_not_allowed",
    "unrecorded",
    "unwritable_answer",
    "unsupported",
    "queue",
    "breaker_open",
    "connect",
    "silent",
    "lost",
    "first_byte_timeout",
    "idle_timeout",
    "fell_silent",
    "total_timeout",
    "broken_answer",
    "upstream_error",
];

/// Limits that can stand in a request's way, by the names that configuration and documentation have for them.
pub const LIMITS: [&str; 10] =
    ["requests", "tokens", "concurrent", "budget", "callers", "wrong_keys", "prompt_chars", "context", "body", "queue"];

/// Seconds; for whole requests and first tokens. OpenTelemetry's for durations, and beyond: a slow model takes minutes.
static DURATION_BOUNDS: [f64; 16] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.0, 2.56, 5.0, 10.24, 20.48, 40.96, 81.92, 300.0];
/// Seconds; for the time of one token (OpenTelemetry, `gen_ai.server.time_per_output_token`).
static PER_TOKEN_BOUNDS: [f64; 12] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0];
/// Tokens for each second.
static SPEED_BOUNDS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0, 200.0, 500.0];
/// Seconds in the queue.
static WAIT_BOUNDS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
/// Tokens of one request (OpenTelemetry, `gen_ai.client.token.usage`).
static TOKEN_BOUNDS: [f64; 11] =
    [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];
/// Tokens of the answer for each token of the prompt.
static EFFICIENCY_BOUNDS: [f64; 10] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// Classes of statuses.
const STATUSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// What is shown from the first request of a pair on, at 0: whoever alerts on a growing number must see it begin.
const ALWAYS: [(Outcome, &str); 4] =
    [(Outcome::Ok, "2xx"), (Outcome::Refused, "4xx"), (Outcome::Failed, "2xx"), (Outcome::Failed, "5xx")];

/// All that is counted of requests.
#[derive(Debug)]
pub(crate) struct Requests {
    /// By model, then by server and origin.
    table: RwLock<Table>,
    reasons: [AtomicU64; REASONS.len()],
    limits: [AtomicU64; LIMITS.len()],
    cancelled: AtomicU64,
    folded: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    models: HashMap<String, Vec<Arc<Series>>>,
    pairs: usize,
}

/// The figures of one model on one server.
#[derive(Debug)]
struct Series {
    model: String,
    upstream: String,
    is_probe: bool,
    /// By outcome, then by class of status.
    ended: [[AtomicU64; STATUSES.len()]; Outcome::ALL.len()],
    input_tokens: AtomicU64,
    output_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    duration: Histogram,
    first_token: Histogram,
    per_token: Histogram,
    speed: Histogram,
    wait: Histogram,
    input: Histogram,
    output: Histogram,
    efficiency: Histogram,
}

impl Requests {
    pub(crate) fn new() -> Self {
        Self {
            table: RwLock::default(),
            reasons: std::array::from_fn(|_| AtomicU64::new(0)),
            limits: std::array::from_fn(|_| AtomicU64::new(0)),
            cancelled: AtomicU64::new(0),
            folded: AtomicU64::new(0),
        }
    }

    /// Counts a request that ended at `at_ms`, in milliseconds since 1970.
    pub(crate) fn count(&self, request: &Finished<'_>, at_ms: u64) {
        if let Some(reason) = request.reason {
            bump(&REASONS, &self.reasons, reason);
        }
        if let Some(limit) = request.limit {
            bump(&LIMITS, &self.limits, limit);
        }
        if request.outcome == Outcome::Cancelled {
            self.cancelled.fetch_add(1, Ordering::Relaxed);
        }
        let trace_id = request.trace.map(|trace| trace.trace_id).or_else(|| trace::bytes(request.trace_id?));
        let exemplar = Exemplar { request_id: request.request_id.into(), trace_id, at_ms, value: 0.0 };
        self.series(request).count(request, &exemplar);
    }

    /// The figures that a request is counted in.
    fn series(&self, request: &Finished<'_>) -> Arc<Series> {
        let (model, upstream) = (request.model.unwrap_or(NONE), request.upstream.unwrap_or(NONE));
        let is_probe = request.is_probe;
        let known = |table: &Table, model: &str, upstream: &str| {
            let of_model = table.models.get(model)?;
            of_model.iter().find(|series| series.is_probe == is_probe && series.upstream == upstream).cloned()
        };
        if let Some(series) = known(&self.table.read().unwrap_or_else(PoisonError::into_inner), model, upstream) {
            return series;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let is_full = table.pairs >= MODELS_MAX;
        let (model, upstream) = if is_full { (OTHER, OTHER) } else { (model, upstream) };
        if is_full {
            self.folded.fetch_add(1, Ordering::Relaxed);
        }
        // Somebody else may have made it meanwhile.
        if let Some(series) = known(&table, model, upstream) {
            return series;
        }
        let series = Arc::new(Series::new(model, upstream, is_probe));
        table.models.entry(model.to_owned()).or_default().push(series.clone());
        table.pairs += 1;
        series
    }

    pub(crate) fn expose(&self, figures: &mut Exposition) {
        for (reason, count) in REASONS.iter().zip(&self.reasons) {
            figures.count(&names::REFUSALS, &[reason], get(count));
        }
        for (limit, count) in LIMITS.iter().zip(&self.limits) {
            figures.count(&names::LIMITS_HIT, &[limit], get(count));
        }
        figures.count(&names::LEFT, &[], get(&self.cancelled));
        figures.count(&names::FOLDED, &[], get(&self.folded));
        let mut all: Vec<Arc<Series>> = {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            table.models.values().flatten().cloned().collect()
        };
        all.sort_by(|a, b| (&a.model, &a.upstream, a.is_probe).cmp(&(&b.model, &b.upstream, b.is_probe)));
        for series in all {
            series.expose(figures);
        }
    }
}

impl Series {
    fn new(model: &str, upstream: &str, is_probe: bool) -> Self {
        Self {
            model: model.to_owned(),
            upstream: upstream.to_owned(),
            is_probe,
            ended: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            input_tokens: AtomicU64::new(0),
            output_tokens: AtomicU64::new(0),
            cached_tokens: AtomicU64::new(0),
            duration: Histogram::new(&DURATION_BOUNDS),
            first_token: Histogram::new(&DURATION_BOUNDS),
            per_token: Histogram::new(&PER_TOKEN_BOUNDS),
            speed: Histogram::new(&SPEED_BOUNDS),
            wait: Histogram::new(&WAIT_BOUNDS),
            input: Histogram::new(&TOKEN_BOUNDS),
            output: Histogram::new(&TOKEN_BOUNDS),
            efficiency: Histogram::new(&EFFICIENCY_BOUNDS),
        }
    }

    fn count(&self, request: &Finished<'_>, exemplar: &Exemplar) {
        let class = match request.status {
            ..=299 => 0,
            300..=399 => 1,
            400..=499 => 2,
            500.. => 3,
        };
        self.ended[request.outcome as usize][class].fetch_add(1, Ordering::Relaxed);
        let (input, output) = (request.input_tokens.unwrap_or(0), request.output_tokens.unwrap_or(0));
        self.input_tokens.fetch_add(input, Ordering::Relaxed);
        self.output_tokens.fetch_add(output, Ordering::Relaxed);
        self.cached_tokens.fetch_add(request.cached_tokens.unwrap_or(0), Ordering::Relaxed);
        let exemplar = Some(exemplar);
        // What was refused at the door says nothing of how fast the house is.
        if request.outcome != Outcome::Refused {
            self.duration.observe(request.duration_ms / 1e3, exemplar);
        }
        let seconds = |histogram: &Histogram, ms: Option<f64>| {
            if let Some(ms) = ms {
                histogram.observe(ms / 1e3, exemplar);
            }
        };
        seconds(&self.first_token, request.ttft_ms);
        seconds(&self.wait, request.queue_ms);
        if let Some(speed) = request.tokens_per_second {
            self.speed.observe(speed, exemplar);
        }
        if let Some(decode_ms) = request.decode_ms.filter(|_| output > 1) {
            self.per_token.observe(decode_ms / 1e3 / (output - 1) as f64, exemplar);
        }
        if input > 0 {
            self.input.observe(input as f64, exemplar);
        }
        if output > 0 {
            self.output.observe(output as f64, exemplar);
        }
        if input > 0 && output > 0 && request.outcome == Outcome::Ok {
            self.efficiency.observe(output as f64 / input as f64, exemplar);
        }
    }

    fn expose(&self, figures: &mut Exposition) {
        let origin = if self.is_probe { "probe" } else { "user" };
        let (model, upstream) = (cut(&self.model), cut(&self.upstream));
        let of = [model.as_str(), upstream.as_str(), origin];
        let [model, upstream, origin] = of;
        for (outcome, by_status) in Outcome::ALL.into_iter().zip(&self.ended) {
            for (status, count) in STATUSES.into_iter().zip(by_status) {
                let count = get(count);
                if count > 0 || ALWAYS.contains(&(outcome, status)) {
                    let labels = [model, upstream, origin, outcome.as_str(), status];
                    figures.count(&names::REQUESTS, &labels, count);
                }
            }
        }
        for (metric, histogram) in [
            (&names::DURATION, &self.duration),
            (&names::FIRST_TOKEN, &self.first_token),
            (&names::PER_TOKEN, &self.per_token),
            (&names::TOKENS_PER_SECOND, &self.speed),
            (&names::QUEUE_WAIT, &self.wait),
            (&names::EFFICIENCY, &self.efficiency),
        ] {
            figures.histogram(metric, &of, histogram.measured());
        }
        for (kind, tokens) in
            [("input", &self.input_tokens), ("output", &self.output_tokens), ("cached", &self.cached_tokens)]
        {
            figures.count(&names::TOKENS, &[model, upstream, origin, kind], get(tokens));
        }
        for (kind, histogram) in [("input", &self.input), ("output", &self.output)] {
            figures.histogram(&names::REQUEST_TOKENS, &[model, upstream, origin, kind], histogram.measured());
        }
    }
}

fn bump<const N: usize>(names: &[&str; N], counts: &[AtomicU64; N], name: &str) {
    let at = names.iter().position(|known| *known == name);
    debug_assert!(at.is_some(), "{name} is in no table");
    if let Some(at) = at {
        counts[at].fetch_add(1, Ordering::Relaxed);
    }
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    fn text(requests: &Requests) -> String {
        let mut figures = Exposition::new();
        requests.expose(&mut figures);
        figures.write(Format::Text)
    }

    #[test]
    fn a_request_is_counted_with_all_its_figures() {
        let requests = Requests::new();
        let request = Finished {
            request_id: "r",
            model: Some("qwen3:32b"),
            upstream: Some("local"),
            status: 200,
            duration_ms: 1_500.0,
            ttft_ms: Some(400.0),
            decode_ms: Some(1_000.0),
            queue_ms: Some(2.0),
            tokens_per_second: Some(21.0),
            input_tokens: Some(100),
            output_tokens: Some(21),
            ..Finished::default()
        };
        requests.count(&request, 0);
        let refused = Finished {
            outcome: Outcome::Refused,
            status: 429,
            reason: Some("rate_limit"),
            limit: Some("requests"),
            ..Finished::default()
        };
        requests.count(&refused, 0);
        let text = text(&requests);
        let of = "model=\"qwen3:32b\",upstream=\"local\",origin=\"user\"";
        for line in [
            format!("tollhouse_requests_total{{{of},outcome=\"ok\",status=\"2xx\"}} 1"),
            format!("tollhouse_requests_total{{{of},outcome=\"failed\",status=\"5xx\"}} 0"),
            "tollhouse_requests_total{model=\"none\",upstream=\"none\",origin=\"user\",outcome=\"refused\",status=\"4xx\"} 1"
                .to_owned(),
            "tollhouse_refusals_total{reason=\"rate_limit\"} 1".to_owned(),
            "tollhouse_refusals_total{reason=\"queue\"} 0".to_owned(),
            "tollhouse_limits_hit_total{limit=\"requests\"} 1".to_owned(),
            format!("tollhouse_request_duration_seconds_bucket{{{of},le=\"2\"}} 1"),
            format!("tollhouse_request_duration_seconds_sum{{{of}}} 1.5"),
            "tollhouse_request_duration_seconds_count{model=\"none\",upstream=\"none\",origin=\"user\"} 0".to_owned(),
            format!("tollhouse_time_per_output_token_seconds_sum{{{of}}} 0.05"),
            format!("tollhouse_tokens_total{{{of},type=\"output\"}} 21"),
            format!("tollhouse_token_efficiency_sum{{{of}}} 0.21"),
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\nin\n{text}");
        }
    }

    #[test]
    fn more_models_than_the_bound_are_others() {
        let requests = Requests::new();
        for number in 0..MODELS_MAX + 7 {
            let model = number.to_string();
            requests.count(&Finished { model: Some(&model), status: 200, ..Finished::default() }, 0);
        }
        let text = text(&requests);
        let others = "tollhouse_requests_total{model=\"other\",upstream=\"other\",origin=\"user\",outcome=\"ok\",status=\"2xx\"} 7";
        assert!(text.contains(others), "{text}");
        assert!(text.contains("tollhouse_label_values_folded_total 7\n"));
        assert_eq!(requests.table.read().unwrap().models.len(), MODELS_MAX + 1);
    }

    #[test]
    fn bounds_grow() {
        let all: [&[f64]; 6] =
            [&DURATION_BOUNDS, &PER_TOKEN_BOUNDS, &SPEED_BOUNDS, &WAIT_BOUNDS, &TOKEN_BOUNDS, &EFFICIENCY_BOUNDS];
        assert!(all.iter().all(|bounds| bounds.is_sorted()));
    }
}
