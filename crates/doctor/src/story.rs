//! What the records tell of one request: its stretches of time, its attempts, what was around it.

use serde_json::{Map, Value, json};

use crate::joined::Joined;
use crate::verdict::{self, Verdict};

/// Models that are named of those around it.
const MODELS_MAX: usize = 20;
/// Requests that are named of those around it.
const NEIGHBOURS_TOLD_MAX: usize = 100;
/// Attempts that are told one by one.
const ATTEMPTS_TOLD_MAX: usize = 20;

/// All that is known of one request.
#[derive(Clone, Debug)]
pub struct Story {
    id: String,
    records: Vec<Value>,
    /// The place of its last record of kind `request` in `records`: how it ended. While it runs, there is none.
    end: Option<usize>,
    lines: Vec<Joined>,
    /// Whether there are more lines than these.
    has_more_lines: bool,
    around: Around,
    events: Vec<Event>,
    /// Who had its model's place in memory before.
    evicted_by: Option<Evictor>,
    /// Layers of its model on the card, and all.
    layers: Option<(u32, u32)>,
    /// The searches whose answers all this is, by what each was for.
    queries: Map<String, Value>,
}

/// Something that the house recorded meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Counted from the begin of the request; less than 0 where it was before.
    pub at_ms: f64,
    /// Its record.
    pub record: Value,
}

impl Event {
    /// Whether a process was started or stopped here.
    fn is_restart(&self) -> bool {
        const STATES: [&str; 7] = ["backoff", "stopping", "starting", "draining", "waiting", "paused", "failed"];
        self.record["kind"] == "process"
            && self.record["process_state"].as_str().is_some_and(|state| STATES.contains(&state))
    }

    /// Whether somebody has to look: samples are no news.
    pub fn is_news(&self) -> bool {
        let is_bad = || self.record["level"] != "info" && self.record["level"] != "debug";
        match self.record["kind"].as_str() {
            Some("alert") => true,
            Some("process") => !self.record["process_name"].is_null() || is_bad(),
            Some("probe") => is_bad(),
            _ => false,
        }
    }
}

/// A request that had another model loaded before.
#[derive(Clone, Debug, PartialEq)]
pub struct Evictor {
    /// Its model.
    pub model: String,
    /// Its id.
    pub request_id: String,
    /// Whose it was.
    pub client: Option<String>,
}

/// A stretch of its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// `gateway`, `queue`, `connect`, `server`, `load`, `read`, `write`, `rest`.
    pub name: &'static str,
    /// From the complete head of the request.
    pub start_ms: f64,
    /// How long it took.
    pub duration_ms: f64,
}

/// What else its model server did meanwhile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Around {
    /// Other requests that ran while it did.
    pub requests: usize,
    /// The models of those, without its own.
    pub other_models: Vec<String>,
    /// How often a model was loaded for those.
    pub loads: usize,
    /// Some of them.
    pub neighbours: Vec<Neighbour>,
}

/// Another request that ran on the same model server meanwhile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbour {
    /// Its id.
    pub request_id: String,
    /// Its model.
    pub model: Option<String>,
    /// The model server.
    pub upstream: Option<String>,
    /// When it began, counted from the begin of the request that is told of; less than 0 where that was before.
    pub start_ms: f64,
    /// How long it took.
    pub duration_ms: f64,
}

/// A stretch shorter than this is not told apart from measuring, in milliseconds.
const PHASE_MS_MIN: f64 = 0.05;
/// A load that takes less than this found its model in memory, in milliseconds.
const LOAD_MS_MIN: f64 = 500.0;

impl Story {
    /// A story from all records that name the request, in the order of the journal.
    pub(crate) fn new(id: &str, records: Vec<Value>) -> Self {
        let end = records.iter().rposition(|record| record["kind"] == "request");
        Self {
            id: id.to_owned(),
            records,
            end,
            lines: Vec::new(),
            has_more_lines: false,
            around: Around::default(),
            events: Vec::new(),
            evicted_by: None,
            layers: None,
            queries: Map::new(),
        }
    }

    /// Names the searches that it was told by.
    pub(crate) fn told_of(self, queries: Map<String, Value>) -> Self {
        Self { queries, ..self }
    }

    /// Takes up the lines of other programs that belong to it, and whether there are more.
    pub(crate) fn join(&mut self, lines: Vec<Joined>, has_more: bool) {
        (self.lines, self.has_more_lines) = (lines, has_more);
    }

    /// How it ended, or how it began where it has not ended yet.
    pub fn record(&self) -> &Value {
        let began = || self.records.iter().find(|record| record["kind"] == "request.start");
        self.end.map(|end| &self.records[end]).or_else(began).unwrap_or(&self.records[0])
    }

    /// Whether a record tells its end.
    pub fn has_ended(&self) -> bool {
        self.end.is_some() || self.records.iter().any(|record| record["kind"] == "access")
    }

    /// A text of its record.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.record()[name].as_str()
    }

    /// A number of its record.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.record()[name].as_f64()
    }

    /// Whether its record says yes to this.
    pub fn flag(&self, name: &str) -> bool {
        self.record()[name].as_bool().unwrap_or(false)
    }

    /// The status of its answer.
    pub fn status(&self) -> Option<u16> {
        self.number("http_status").or_else(|| self.number("status")).map(|status| status as u16)
    }

    /// The model server that had it last.
    pub fn upstream(&self) -> Option<&str> {
        self.text("upstream")
    }

    /// Its model.
    pub fn model(&self) -> Option<&str> {
        self.text("model_name").or_else(|| self.text("model"))
    }

    /// The trace that it is a part of.
    pub fn trace_id(&self) -> Option<&str> {
        self.records.iter().find_map(|record| record["trace_id"].as_str())
    }

    /// What else its model server did meanwhile.
    pub fn around(&self) -> &Around {
        &self.around
    }

    /// When it ran, in milliseconds since 1970.
    pub fn span_ms(&self) -> Option<(f64, f64)> {
        self.end?;
        span_of(self.record())
    }

    /// Takes up what other requests of its model server did meanwhile.
    pub(crate) fn meet(&mut self, others: &[Value]) {
        let Some((start_ms, end_ms)) = self.span_ms() else { return };
        let is_other = |record: &&Value| record["request_id"] != self.id.as_str();
        let overlaps = |record: &&Value| span_of(record).is_some_and(|(start, end)| start < end_ms && end > start_ms);
        let mut around = Around::default();
        for record in others.iter().filter(is_other).filter(overlaps) {
            around.requests += 1;
            around.loads += usize::from(record["load_ms"].as_f64().is_some_and(|ms| ms >= LOAD_MS_MIN));
            let model = record["model_name"].as_str().or_else(|| record["model"].as_str());
            if let Some((start, end)) = span_of(record).filter(|_| around.neighbours.len() < NEIGHBOURS_TOLD_MAX) {
                around.neighbours.push(Neighbour {
                    request_id: record["request_id"].as_str().unwrap_or_default().to_owned(),
                    model: model.map(str::to_owned),
                    upstream: record["upstream"].as_str().map(str::to_owned),
                    start_ms: round(start - start_ms),
                    duration_ms: round(end - start),
                });
            }
            if let Some(model) = model.filter(|model| Some(*model) != self.model())
                && around.other_models.iter().all(|known| known != model)
                && around.other_models.len() < MODELS_MAX
            {
                around.other_models.push(model.to_owned());
            }
        }
        self.around = around;
    }

    /// Takes up what the house recorded meanwhile.
    pub(crate) fn happen(&mut self, records: Vec<Value>) {
        let Some((start_ms, _)) = self.span_ms() else { return };
        let event = |record: Value| {
            let at: jiff::Timestamp = record["@timestamp"].as_str()?.parse().ok()?;
            Some(Event { at_ms: round(at.as_millisecond() as f64 - start_ms), record })
        };
        self.events = records.into_iter().filter_map(event).collect();
    }

    /// Takes up what ran on its model server before, the newest first: who came after the last one of its own model had its place.
    pub(crate) fn follow(&mut self, before: &[Value]) {
        let model =
            |record: &Value| record["model_name"].as_str().or_else(|| record["model"].as_str()).map(str::to_owned);
        let last = before.iter().find(|record| record["request_id"] != self.id.as_str());
        self.evicted_by = last.and_then(|record| {
            let model = model(record).filter(|model| Some(model.as_str()) != self.model())?;
            let client = record["user_id"].as_str().or_else(|| record["key_id"].as_str()).map(str::to_owned);
            Some(Evictor { model, request_id: record["request_id"].as_str().unwrap_or_default().to_owned(), client })
        });
    }

    /// Takes up where its server said that the model lies: `offloaded 20/33 layers to GPU`.
    pub(crate) fn lie(&mut self, lines: Vec<Value>) {
        let line = lines.into_iter().next().unwrap_or_default();
        let words = line["msg"].as_str().unwrap_or_default().split_whitespace();
        self.layers = words
            .filter_map(|word| word.split_once('/'))
            .find_map(|(on, all)| Some((on.parse().ok()?, all.parse().ok()?)));
    }

    /// Whether its model had to be loaded.
    pub(crate) fn was_loaded(&self) -> bool {
        self.number("load_ms").is_some_and(|ms| ms >= LOAD_MS_MIN)
    }

    /// Whether its model wrote more slowly than people read.
    pub(crate) fn writes_slowly(&self) -> bool {
        self.number("tokens_per_second").is_some_and(|rate| rate < verdict::TOKENS_PER_SECOND_MIN)
    }

    /// What the house recorded meanwhile, and shortly before and after, in the order of time.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// A process that was started or stopped while the request ran.
    pub(crate) fn restart(&self) -> Option<&Event> {
        let total_ms = self.number("duration_ms").unwrap_or(0.0);
        let restarts = || {
            self.events
                .iter()
                .filter(|event| event.is_restart() && (-5_000.0..=total_ms + 5_000.0).contains(&event.at_ms))
        };
        let of_server = |event: &&Event| event.record["process_name"].as_str() == self.upstream();
        restarts().find(of_server).or_else(|| restarts().next())
    }

    /// A line that says that memory was too small.
    pub(crate) fn out_of_memory(&self) -> Option<&Value> {
        const WORDS: [&str; 6] = [
            "out of memory",
            "cudamalloc failed",
            "oom-kill",
            "failed to allocate",
            "requires more system memory",
            "signal: killed",
        ];
        let says = |record: &&Value| {
            let text = record["msg"].as_str().unwrap_or_default().to_lowercase();
            record["event"] == "out_of_memory" || WORDS.iter().any(|words| text.contains(words))
        };
        self.lines.iter().map(|line| &line.record).find(says)
    }

    /// The hottest and the busiest that a card was, by samples and probes around the request.
    pub(crate) fn card_peaks(&self) -> (Option<f64>, Option<f64>) {
        let peak =
            |name: &str| self.events.iter().filter_map(|event| event.record[name].as_f64()).max_by(f64::total_cmp);
        (peak("temperature"), peak("gpu_utilisation"))
    }

    /// Who had its model's place in memory before.
    pub fn evicted_by(&self) -> Option<&Evictor> {
        self.evicted_by.as_ref()
    }

    /// Layers of its model on the card, and all.
    pub(crate) fn layers(&self) -> Option<(u32, u32)> {
        self.layers
    }

    /// Its time, stretch by stretch. What no record tells of stands as `server`: the model server had the request and
    /// said nothing.
    pub fn phases(&self) -> Vec<Phase> {
        let Some(total_ms) = self.end.and_then(|_| self.number("duration_ms")) else { return Vec::new() };
        let ms = |name| self.number(name).unwrap_or(0.0).max(0.0);
        let [gateway, queue, connect, load, read] =
            ["gateway_ms", "queue_ms", "connect_ms", "load_ms", "prefill_ms"].map(ms);
        let was_sent = self.number("attempts").is_some_and(|attempts| attempts >= 1.0);
        let first_token = self.number("ttft_ms").filter(|first| *first <= total_ms);
        // Without a token, the server had it to the end.
        let until = first_token.unwrap_or(if was_sent { total_ms } else { gateway + queue + connect });
        let server = (until - gateway - queue - connect - load - read).max(0.0);
        let write = first_token.map_or(0.0, |first| self.number("decode_ms").unwrap_or(0.0).min(total_ms - first));
        let told = gateway + queue + connect + server + load + read + write;
        let stretches = [
            ("gateway", gateway),
            ("queue", queue),
            ("connect", connect),
            ("server", server),
            ("load", load),
            ("read", read),
            ("write", write),
            ("rest", (total_ms - told).max(0.0)),
        ];
        let mut start_ms = 0.0;
        let mut phases = Vec::new();
        for (name, duration_ms) in stretches {
            if duration_ms >= PHASE_MS_MIN {
                phases.push(Phase { name, start_ms: round(start_ms), duration_ms: round(duration_ms) });
            }
            start_ms += duration_ms;
        }
        phases
    }

    /// What happened, in plain words.
    pub fn verdict(&self) -> Verdict {
        verdict::of(self)
    }

    /// What other programs wrote of it, in the order of time; at most [`LINES_MAX`](crate::LINES_MAX).
    pub fn lines(&self) -> &[Joined] {
        &self.lines
    }

    /// Whether there are more lines than [`Self::lines`] has.
    pub fn has_more_lines(&self) -> bool {
        self.has_more_lines
    }

    /// How often it was sent to a model server. What a record tells is of the last time.
    fn attempts(&self) -> Vec<Value> {
        let count = self.number("attempts").map_or(0, |attempts| attempts as usize);
        let told = |number: usize| {
            let mut attempt = Map::from_iter([("number".to_owned(), Value::from(number))]);
            if number == count {
                let record = self.record();
                for name in ["upstream", "connect_ms", "ttft_ms", "error"] {
                    attempt.extend(record.get(name).map(|value| (name.to_owned(), value.clone())));
                }
            }
            Value::Object(attempt)
        };
        (count.saturating_sub(ATTEMPTS_TOLD_MAX) + 1..=count).map(told).collect()
    }

    /// Its head in one line.
    pub fn headline(&self) -> String {
        let record = self.record();
        let mut parts = vec![self.id.clone()];
        let mut add = |text: Option<String>| parts.extend(text);
        add(self.text("method").zip(self.text("path")).map(|(method, path)| format!("{method} {path}")));
        add(self.status().map(|status| format!("status {status}")));
        let model = self.model().map(str::to_owned);
        add(match self.upstream() {
            Some(upstream) => model.map(|model| format!("{model} on {upstream}")),
            None => model,
        });
        add(self.text("key_id").map(|key| format!("key {key}")));
        add(self.text("user_id").map(|user| format!("user {user}")));
        add(record["@timestamp"].as_str().map(str::to_owned));
        let text = parts.join(" · ");
        crate::verdict::shown(&text)
    }

    /// Further facts for people, named, where they are known.
    pub fn facts(&self) -> Vec<(&'static str, Value)> {
        const FACTS: [(&str, &str); 19] = [
            ("attempts", "attempts"),
            ("error", "error"),
            ("tokens of the prompt", "input_tokens"),
            ("counted before", "prompt_tokens_counted"),
            ("from the cache", "cached_tokens"),
            ("tokens of the answer", "output_tokens"),
            ("tokens a second", "tokens_per_second"),
            ("context", "context_limit"),
            ("num_ctx", "num_ctx"),
            ("truncated by", "truncated_by"),
            ("finish reason", "finish_reason"),
            ("place in the queue", "queue_position"),
            ("asked for", "asked_model"),
            ("batch", "batch"),
            ("line of the batch", "batch_line"),
            ("agent, as it says", "claimed_agent"),
            ("session, as it says", "claimed_session"),
            ("client", "client_ip"),
            ("trace", "trace_id"),
        ];
        let known = |(name, field): (&'static str, &str)| {
            let value = self.record()[field].clone();
            (!value.is_null()).then_some((name, value))
        };
        let mut facts: Vec<(&str, Value)> = FACTS.into_iter().filter_map(known).collect();
        if self.around.requests > 0 {
            let mut text = format!("{} other requests ran on its server", self.around.requests);
            if !self.around.other_models.is_empty() {
                text = format!("{text}, for {}", self.around.other_models.join(", "));
            }
            facts.push(("at the same time", text.into()));
        }
        facts
    }

    /// The form for programs.
    pub fn to_json(&self) -> Value {
        let verdict = self.verdict();
        let phases: Vec<Value> = self
            .phases()
            .iter()
            .map(|phase| json!({"name": phase.name, "start_ms": phase.start_ms, "duration_ms": phase.duration_ms}))
            .collect();
        let mut resources = Map::new();
        if let Some(upstream) = self.upstream() {
            resources.insert("upstream".to_owned(), upstream.into());
            resources.insert("requests_at_the_same_time".to_owned(), self.around.requests.into());
            resources.insert("other_models".to_owned(), self.around.other_models.clone().into());
            resources.insert("loads_at_the_same_time".to_owned(), self.around.loads.into());
        }
        let (temperature, utilisation) = self.card_peaks();
        resources.extend(temperature.map(|peak| ("temperature_max".to_owned(), peak.into())));
        resources.extend(utilisation.map(|peak| ("gpu_utilisation_max".to_owned(), peak.into())));
        if let Some(evictor) = &self.evicted_by {
            let told = json!({"model": evictor.model, "request_id": evictor.request_id, "client": evictor.client});
            resources.insert("evicted_by".to_owned(), told);
        }
        if let Some((on, all)) = self.layers {
            resources.insert("layers_on_card".to_owned(), json!({"on_card": on, "all": all}));
        }
        let event = |event: &Event| json!({"at_ms": event.at_ms, "kind": event.record["kind"], "msg": event.record["msg"], "record": event.record});
        let events: Vec<Value> = self.events.iter().map(event).collect();
        let records: Vec<&Value> = self.records.iter().filter(|record| record["kind"] != "log").collect();
        let lines: Vec<Value> = self.lines.iter().map(Joined::to_json).collect();
        let neighbour = |other: &Neighbour| {
            json!({
                "request_id": other.request_id, "model": other.model, "upstream": other.upstream,
                "start_ms": other.start_ms, "duration_ms": other.duration_ms,
            })
        };
        let neighbours: Vec<Value> = self.around.neighbours.iter().map(neighbour).collect();
        json!({
            "request_id": self.id,
            "found": true,
            "verdict": {
                "cause": verdict.cause,
                "text": verdict.text,
                "rule": verdict.rule,
                "rule_name": verdict.name,
                "confidence": verdict.confidence,
            },
            "phases": phases,
            "attempts": self.attempts(),
            "records": records,
            "lines": lines,
            "lines_cut": self.has_more_lines,
            "neighbours": neighbours,
            "resources": resources,
            "events": events,
            "queries": self.queries,
        })
    }
}

/// When a request ran, by the record of its end: `@timestamp` is when that was written.
fn span_of(record: &Value) -> Option<(f64, f64)> {
    let end: jiff::Timestamp = record["@timestamp"].as_str()?.parse().ok()?;
    let end_ms = end.as_millisecond() as f64;
    Some((end_ms - record["duration_ms"].as_f64()?, end_ms))
}

/// Three decimals, as in the records.
fn round(ms: f64) -> f64 {
    (ms * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests;
