//! The verdict on one request: a stable cause word, a sentence, and the rule by which it was found. The words are listed
//! in `docs/causes.md`.

use crate::story::Story;

/// A request that takes less is not slow, whatever took the most of it, in milliseconds.
const SLOW_MS: f64 = 1000.0;
/// A stretch that takes this share of the time is what made it long.
const SHARE_MIN: f64 = 0.5;
/// A model that writes fewer tokens a second is slow: slower than people read.
pub(crate) const TOKENS_PER_SECOND_MIN: f64 = 10.0;
/// A request that takes so long without a stretch that explains it is called that, in milliseconds: what the tutorial calls slow.
const UNEXPLAINED_MS: f64 = 3_000.0;
/// Cards slow down from about here on, in degrees Celsius.
const HOT: f64 = 87.0;
/// A card that worked so much of the time had more to do than one request, in percent.
const BUSY: f64 = 90.0;

/// The rules, in the order in which they are tried; the first that holds gives the verdict.
#[cfg(test)]
pub(crate) const RULES: [&str; 24] = [
    "no-end",
    "interrupted",
    "cancelled",
    "out-of-memory",
    "restart",
    "refusal",
    "server-fault",
    "client-status",
    "failed",
    "truncated",
    "slow-queue",
    "slow-load-evicted",
    "slow-load",
    "slow-read",
    "slow-write-spilled",
    "slow-write-hot",
    "slow-write-shared",
    "slow-write",
    "slow-server",
    "slow-connect",
    "slow-gateway",
    "slow-client",
    "not-explained",
    "well",
];

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// A stable word.
    pub cause: &'static str,
    /// For people.
    pub text: String,
    /// The name of the rule that led to it, listed in `docs/causes.md`.
    pub name: &'static str,
    /// What in the records led to it.
    pub rule: String,
    /// From 0 to 1: 1 where a record says so itself, else the share of the time that it explains.
    pub confidence: f64,
}

/// What a refusal's record says, and what that means. The first that fits counts.
const REFUSALS: [(&str, &str, &str); 25] = [
    ("invalid api key", "refused_key", "no key, a wrong one, or one that has ended was shown"),
    ("too many wrong api keys", "refused_guessing", "too many wrong keys came from this address"),
    (
        "a key in the address",
        "refused_secret_in_address",
        "the key was written into the address, where it would be logged",
    ),
    ("this key may not do that", "refused_role", "the role of the key does not allow this"),
    ("address not allowed", "refused_address", "the client's address is not among those that may come in"),
    ("model not allowed", "refused_model", "the key may not use this model"),
    ("rate limit exceeded", "refused_rate", "more was asked than the limits allow in this time"),
    ("token budget spent", "refused_budget", "the budget of tokens is spent"),
    ("the request needs about", "refused_size", "the request needs more tokens than the limits ever allow"),
    ("too many callers", "refused_crowded", "more callers came at once than are counted"),
    ("prompt too long", "refused_prompt", "the prompt has more characters than allowed"),
    ("the prompt has", "refused_context", "the prompt does not fit into the model's context"),
    ("body too large", "refused_body", "the body is larger than allowed"),
    ("the request's body did not", "body_incomplete", "the client did not send all of its request"),
    ("method not allowed", "refused_path", "the path does not take this method"),
    ("no such path", "refused_path", "there is no such path"),
    (
        "the service cannot keep its records",
        "unrecorded",
        "the journal could not be written, and nothing passes unrecorded",
    ),
    ("no upstream has the model", "unknown_model", "no model server has this model"),
    ("model '", "unknown_model", "there is no model of this name"),
    ("the queue is full", "queue_full", "too many waited for a model server already"),
    ("no turn within", "queue_full", "its turn did not come in the time that a request may wait"),
    ("the upstream asked to be left alone", "upstream_busy", "the model server had said that it is busy"),
    ("refused at once, the breaker", "upstream_silent", "its model servers had failed before and were not asked"),
    ("connecting:", "upstream_unreachable", "no connection to the model server could be made"),
    ("the request cannot be done here", "unsupported", "its model server cannot do what was asked"),
];

/// What the gate says of an answer that ceased though its connection did not end.
const FELL_SILENT: &str = "fell silent in the middle";

/// What a model server did, by what the record says of it.
const FAULTS: [(&str, &str, &str); 14] = [
    ("the breaker is open", "upstream_silent", "the model server had failed before and was not asked"),
    ("the breaker opened", "upstream_silent", "the model server stopped answering others too while this one waited"),
    ("not a byte of an answer", "upstream_silent", "the model server gave no sign of life"),
    ("no first byte within", "upstream_slow", "the model server lived, but did not begin to answer in time"),
    ("the answer took longer", "upstream_slow", "the answer took longer than allowed"),
    (FELL_SILENT, "upstream_broken", "the model server stopped in the middle of its answer"),
    ("left hanging by the server", "upstream_broken", "the model server lost what worked on it"),
    ("no byte for", "upstream_broken", "the model server stopped in the middle of its answer"),
    ("connection lost", "upstream_broken", "the connection to the model server broke"),
    ("reading the answer", "upstream_broken", "the answer of the model server could not be read"),
    ("the server reported", "upstream_error", "the model server reported an error of its own"),
    ("status 429", "upstream_busy", "the model server said that it is busy"),
    ("status 503", "upstream_busy", "the model server said that it is busy"),
    ("status ", "upstream_error", "the model server answered with an error"),
];

/// The verdict by the first rule that holds.
pub(crate) fn of(story: &Story) -> Verdict {
    if !story.has_ended() {
        return said(
            "running",
            "no-end",
            "it has not ended, as far as the records tell".to_owned(),
            "there is no record of its end",
        );
    }
    let error = story.text("error").unwrap_or_default();
    if error == "interrupted" {
        let text =
            "the house ended while the request ran: a crash, a kill or a power cut; see the records of kind process";
        return said("interrupted", "interrupted", text.to_owned(), "error is `interrupted`");
    }
    if story.flag("cancelled") {
        return said("cancelled", "cancelled", cancelled(story), "cancelled is true");
    }
    let status = story.status().unwrap_or(0);
    if status >= 400 || !error.is_empty() {
        return failed(story, status, error);
    }
    if let Some(verdict) = truncated(story) {
        return verdict;
    }
    slow(story).unwrap_or_else(|| {
        let text = match (story.text("asked_model"), story.model()) {
            (Some(asked), Some(model)) => format!("answered, by {model} in place of {asked}"),
            _ => "answered, and no part of it took remarkably long".to_owned(),
        };
        said("ok", "well", text, "its status is a success, and nothing else stands out")
    })
}

/// What a record says itself.
fn said(cause: &'static str, name: &'static str, text: String, rule: impl Into<String>) -> Verdict {
    Verdict { cause, text, name, rule: rule.into(), confidence: 1.0 }
}

fn cancelled(story: &Story) -> String {
    let after = story.number("duration_ms").map_or_else(String::new, |ms| format!(" after {}", seconds(ms)));
    let tokens = story.number("output_tokens").unwrap_or(0.0);
    if tokens > 0.0 {
        return format!("the client left{after}, when about {tokens:.0} tokens had been written");
    }
    match story.phases().iter().max_by(|a, b| a.duration_ms.total_cmp(&b.duration_ms)) {
        Some(phase) if phase.name == "queue" => format!("the client left{after}, mostly spent waiting for its turn"),
        _ => format!("the client left{after}, before the first token"),
    }
}

/// What other programs tell of a model server that failed: more than our record of it does.
fn broken(story: &Story, error: &str) -> Option<Verdict> {
    const CERTAINTY: f64 = 0.9;
    if let Some(line) = story.out_of_memory() {
        let line = shown(line["msg"].as_str().unwrap_or_default());
        let text = format!(
            "the memory of the model server's machine or card was full: {line}; our record says: {}",
            shown(error)
        );
        let rule = "it failed at its server, and a line of that time says that memory was too small";
        return Some(Verdict { confidence: CERTAINTY, ..said("out_of_memory", "out-of-memory", text, rule) });
    }
    // What ceased in the middle was written by what had been started before.
    let restart = story.restart().filter(|restart| restart.at_ms >= 0.0 || !error.contains(FELL_SILENT))?;
    let what = shown(restart.record["msg"].as_str().unwrap_or_default());
    let when = if restart.at_ms < 0.0 {
        "shortly before".to_owned()
    } else {
        format!("{} after its begin", seconds(restart.at_ms))
    };
    let text = format!("the model server was restarted {when} ({what}); our record says: {}", shown(error));
    let rule = "it failed at its server, and a process under supervision ended or was started meanwhile";
    Some(Verdict { confidence: CERTAINTY, ..said("upstream_restarted", "restart", text, rule) })
}

fn failed(story: &Story, status: u16, error: &str) -> Verdict {
    let is_fault = |(words, ..): &&(&str, &str, &str)| error.contains(words);
    let came_to_server = story.number("attempts").is_none_or(|attempts| attempts >= 1.0) && story.upstream().is_some();
    let is_unreachable = of_server(error).starts_with("connecting:");
    if came_to_server
        && !(400..500).contains(&status)
        && (is_unreachable || FAULTS.iter().any(|row| is_fault(&row)))
        && let Some(verdict) = broken(story, error)
    {
        return verdict;
    }
    let told = |name: &'static str, (words, cause, text): &(&str, &'static str, &str)| {
        let text = format!("{text}: {}", shown(error));
        said(cause, name, text, format!("the record's error says `{words}`"))
    };
    // What the gate says itself stands at the beginning; what it tells of a server stands behind the server's name.
    if let Some(row) =
        REFUSALS.iter().find(|(words, ..)| error.starts_with(words) || of_server(error).starts_with(words))
    {
        return told("refusal", row);
    }
    let was_asked = story.upstream().is_some() || error.starts_with("upstream ");
    if was_asked && let Some(row) = FAULTS.iter().find(|(words, ..)| error.contains(words)) {
        return told("server-fault", row);
    }
    match status {
        400..=499 => {
            let text = format!("the request is not what its API takes: {}", shown(error));
            said("bad_request", "client-status", text, format!("its status is {status}"))
        }
        _ => said("failed", "failed", format!("it failed: {}", shown(error)), format!("its status is {status}")),
    }
}

/// An error without the `upstream NAME: ` that it may begin with.
fn of_server(error: &str) -> &str {
    error.strip_prefix("upstream ").and_then(|rest| rest.split_once(": ")).map_or(error, |(_, rest)| rest)
}

fn truncated(story: &Story) -> Option<Verdict> {
    if !story.flag("truncated") {
        return None;
    }
    if story.text("truncated_by") == Some("gateway") {
        let text =
            "the oldest turns were left out, since the prompt did not fit into the context (on_overflow: truncate)";
        return Some(said("truncated_by_gateway", "truncated", text.to_owned(), "truncated_by is `gateway`"));
    }
    let counted = story.number("prompt_tokens_counted").zip(story.number("input_tokens"));
    let figures =
        counted.map_or_else(String::new, |(counted, read)| format!(": of about {counted:.0} tokens it read {read:.0}"));
    let text = format!(
        "the model server left out a part of the prompt without saying so{figures}; give the model a larger `context`"
    );
    Some(said("truncated_by_server", "truncated", text, "truncated is true"))
}

/// What took the most of a long time.
fn slow(story: &Story) -> Option<Verdict> {
    let total_ms = story.number("duration_ms").filter(|ms| *ms >= SLOW_MS)?;
    let phases = story.phases();
    let longest = phases.iter().max_by(|a, b| a.duration_ms.total_cmp(&b.duration_ms))?;
    let share = longest.duration_ms / total_ms;
    if share < SHARE_MIN {
        return (total_ms >= UNEXPLAINED_MS).then(|| unexplained(total_ms, longest.name, longest.duration_ms));
    }
    let took = format!("{} of {}", seconds(longest.duration_ms), seconds(total_ms));
    let (cause, name, text) = match longest.name {
        "queue" => queued(story, &took),
        "load" => loading(story, &took),
        "read" => {
            let tokens =
                story.number("input_tokens").map_or_else(String::new, |tokens| format!(" of {tokens:.0} tokens"));
            let text = format!("the model read the prompt{tokens} for {took}; shorter prompts begin sooner");
            ("prompt_reading", "slow-read", text)
        }
        "write" => writing(story, &took)?,
        "server" => {
            let text = format!("the model server had it and said nothing for {took}; it may have a queue of its own");
            ("upstream_waiting", "slow-server", text)
        }
        "connect" => ("connecting", "slow-connect", format!("the connection to the model server took {took}")),
        "gateway" => {
            let text = format!("tollhouse itself took {took}; the machine may be busy with something else");
            ("gateway_slow", "slow-gateway", text)
        }
        _ => ("client_slow", "slow-client", format!("the answer was ready, and the client took it slowly, {took}")),
    };
    let rule = format!("{} takes at least half of {}", longest.name, seconds(total_ms));
    Some(Verdict { cause, text, name, rule, confidence: (share.min(1.0) * 100.0).round() / 100.0 })
}

/// No stretch explains it: that is said, and not guessed.
fn unexplained(total_ms: f64, longest: &str, longest_ms: f64) -> Verdict {
    let text = format!(
        "it took {}, and no stretch of it took half of that: the longest is {longest} with {}",
        seconds(total_ms),
        seconds(longest_ms)
    );
    let rule = format!("no stretch takes half of {}", seconds(total_ms));
    Verdict { confidence: 0.0, ..said("not_explained", "not-explained", text, rule) }
}

/// A cause, the name of its rule, and what is said.
type Told = (&'static str, &'static str, String);

fn queued(story: &Story, took: &str) -> Told {
    let others = match story.around().requests {
        0 => String::new(),
        others => format!("; {others} other requests ran on its model server"),
    };
    ("queue", "slow-queue", format!("it waited for its turn {took}{others}"))
}

fn loading(story: &Story, took: &str) -> Told {
    if let Some(evictor) = story.evicted_by() {
        let who = evictor.client.as_ref().map_or_else(String::new, |client| format!(" by {client}"));
        let text = format!(
            "the model had to be loaded first, {took}; {} was asked for before it{who} (request {}) and had its place in memory",
            evictor.model, evictor.request_id
        );
        return ("loading", "slow-load-evicted", text);
    }
    let around = story.around();
    let others = if around.other_models.is_empty() {
        "; a longer `keep_alive` keeps it in memory".to_owned()
    } else {
        format!(
            "; the same server also served {}, so they push each other out of memory",
            around.other_models.join(", ")
        )
    };
    ("loading", "slow-load", format!("the model had to be loaded first, {took}{others}"))
}

/// Nothing where it wrote as fast as people read: then the answer was long.
fn writing(story: &Story, took: &str) -> Option<Told> {
    let rate = story.number("tokens_per_second").filter(|rate| *rate < TOKENS_PER_SECOND_MIN)?;
    let wrote = format!("the model wrote {rate:.1} tokens a second, {took}");
    if let Some((on, all)) = story.layers().filter(|(on, all)| on < all) {
        let text = format!(
            "{wrote}; only {on} of its {all} layers lie on the card, the rest works on the processor (size_vram < size)"
        );
        return Some(("decoding_spilled", "slow-write-spilled", text));
    }
    let (temperature, utilisation) = story.card_peaks();
    if let Some(degrees) = temperature.filter(|degrees| *degrees >= HOT) {
        let text = format!("{wrote}; the card had {degrees:.0} °C and slows down for heat");
        return Some(("decoding_hot", "slow-write-hot", text));
    }
    let others = story.around().requests;
    if others > 0 || utilisation.is_some_and(|percent| percent >= BUSY) {
        let busy =
            utilisation.map_or_else(String::new, |percent| format!(", and the card worked {percent:.0}% of the time"));
        let text = format!("{wrote}; {others} other requests ran on its server{busy}: they share it");
        return Some(("decoding_shared", "slow-write-shared", text));
    }
    Some(("decoding_slow", "slow-write", wrote))
}

fn seconds(ms: f64) -> String {
    if ms >= 1000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.0} ms") }
}

/// A record's text in one line.
pub(crate) fn shown(text: &str) -> String {
    let printable = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CAUSES: &str = include_str!("../../../docs/causes.md");

    fn cause(end: &Value) -> (&'static str, f64) {
        let mut record = json!({"kind": "request", "request_id": "r", "@timestamp": "2026-01-27T10:00:10.000Z"});
        for (name, value) in end.as_object().unwrap() {
            record[name] = value.clone();
        }
        let verdict = of(&Story::new("r", vec![record]));
        assert!(CAUSES.contains(&format!("`{}`", verdict.cause)), "{} is not in docs/causes.md", verdict.cause);
        (verdict.cause, verdict.confidence)
    }

    #[test]
    fn the_first_rule_that_holds_gives_the_verdict() {
        let cases = [
            ("ok", json!({"http_status": 200, "duration_ms": 20.0})),
            ("interrupted", json!({"http_status": 503, "error": "interrupted"})),
            ("cancelled", json!({"http_status": 499, "cancelled": true, "duration_ms": 5.0})),
            ("cancelled", json!({"http_status": 200, "cancelled": true, "error": "x", "output_tokens": 5})),
            ("truncated_by_server", json!({"http_status": 200, "truncated": true, "duration_ms": 9000.0})),
            ("truncated_by_gateway", json!({"http_status": 200, "truncated": true, "truncated_by": "gateway"})),
            ("refused_key", json!({"http_status": 401, "error": "invalid api key"})),
            ("refused_rate", json!({"http_status": 429, "error": "rate limit exceeded: 30 requests per 60 s"})),
            ("refused_budget", json!({"http_status": 400, "error": "token budget spent: 5 tokens per day; …"})),
            ("refused_context", json!({"http_status": 400, "error": "the prompt has 9 tokens, and this model's …"})),
            ("bad_request", json!({"http_status": 400, "error": "`messages` is missing"})),
            ("unknown_model", json!({"http_status": 404, "error": "model 'x' not found"})),
            (
                "upstream_silent",
                json!({"http_status": 503, "upstream": "local", "attempts": 1,
                       "error": "upstream local: not a byte of an answer, and the health address is silent too"}),
            ),
            (
                "upstream_broken",
                json!({"http_status": 200, "upstream": "local", "error": "upstream local: no byte for 60s in the middle"}),
            ),
            (
                "unsupported",
                json!({"http_status": 400, "upstream": "a", "error": "upstream a: the request cannot be done here: x"}),
            ),
            ("upstream_error", json!({"http_status": 502, "upstream": "a", "error": "upstream a: status 401: no"})),
            ("failed", json!({"http_status": 500, "error": "something else"})),
            ("queue_full", json!({"http_status": 503, "error": "upstream a: no turn within 60s in the queue"})),
            ("upstream_busy", json!({"http_status": 503, "error": "upstream a: status 503: server busy"})),
            ("upstream_unreachable", json!({"http_status": 503, "error": "upstream a: connecting: refused"})),
            (
                "upstream_silent",
                json!({"http_status": 503, "error": "upstream a: refused at once, the breaker is open: x"}),
            ),
        ];
        for (expected, record) in cases {
            assert_eq!(cause(&record), (expected, 1.0), "{record}");
        }
    }

    #[test]
    fn what_takes_half_of_a_long_time_is_named_with_its_share() {
        let slow = |field: &str, more: Value| {
            let mut record = json!({"http_status": 200, "attempts": 1, "duration_ms": 10_000.0, "ttft_ms": 9000.0});
            record[field] = 8000.0.into();
            for (name, value) in more.as_object().unwrap() {
                record[name] = value.clone();
            }
            cause(&record)
        };
        assert_eq!(slow("queue_ms", json!({})), ("queue", 0.8));
        assert_eq!(slow("load_ms", json!({})), ("loading", 0.8));
        assert_eq!(slow("prefill_ms", json!({})), ("prompt_reading", 0.8));
        assert_eq!(slow("connect_ms", json!({})), ("connecting", 0.8));
        assert_eq!(slow("gateway_ms", json!({})), ("gateway_slow", 0.8));
        assert_eq!(slow("decode_ms", json!({"ttft_ms": 100.0, "tokens_per_second": 2.0})), ("decoding_slow", 0.8));
        assert_eq!(slow("decode_ms", json!({"ttft_ms": 100.0, "tokens_per_second": 40.0})), ("ok", 1.0));
        assert_eq!(slow("stream", json!({})), ("upstream_waiting", 0.9));
        assert_eq!(slow("stream", json!({"ttft_ms": 10.0})), ("client_slow", 1.0));
        assert_eq!(slow("queue_ms", json!({"duration_ms": 900.0, "queue_ms": 800.0, "ttft_ms": 850.0})), ("ok", 1.0));
    }

    #[test]
    fn every_refusal_of_the_gate_is_known() {
        use std::time::Duration;
        use tollhouse_gateway::Refusal;
        use tollhouse_limits::{Denied, Period};
        use tollhouse_tokens::{Count, Source};
        let (per, retry_after) = (Duration::from_secs(60), Duration::from_secs(1));
        let scope = || std::sync::Arc::from("key k");
        let count = Count { tokens: 9, at_least: 9, source: Source::Tokenizer };
        let cases = [
            ("refused_key", Refusal::InvalidKey),
            ("refused_role", Refusal::RoleNotAllowed("user")),
            ("refused_address", Refusal::AddressNotAllowed),
            ("refused_model", Refusal::ModelNotAllowed),
            ("refused_secret_in_address", Refusal::SecretInAddress),
            ("refused_guessing", Refusal::TooManyFailures { retry_after }),
            ("refused_rate", Refusal::Denied(Denied::Requests { scope: scope(), most: 1, per, retry_after })),
            ("refused_rate", Refusal::Denied(Denied::Tokens { scope: scope(), most: 1, per, retry_after })),
            ("refused_rate", Refusal::Denied(Denied::Concurrent { scope: scope(), most: 1, retry_after })),
            (
                "refused_budget",
                Refusal::Denied(Denied::Budget { scope: scope(), tokens: 1, period: Period::Day, opens_at_ms: 0 }),
            ),
            ("refused_size", Refusal::Denied(Denied::TooLarge { scope: scope(), most: 1, asked: 2 })),
            ("refused_crowded", Refusal::Denied(Denied::Crowded { scope: scope() })),
            ("refused_prompt", Refusal::PromptTooLong { max: 1 }),
            ("refused_context", Refusal::ContextTooSmall { count, allowed: 1, window: 2 }),
            ("refused_body", Refusal::BodyTooLarge { max: 1 }),
            ("body_incomplete", Refusal::BodyIncomplete),
            ("unknown_model", Refusal::UnknownModel("x".to_owned())),
            ("refused_path", Refusal::UnknownPath),
            ("refused_path", Refusal::MethodNotAllowed("GET")),
            ("unrecorded", Refusal::Unrecorded),
        ];
        for (expected, refusal) in cases {
            let record = json!({"http_status": refusal.status().as_u16(), "error": refusal.to_string()});
            assert_eq!(cause(&record), (expected, 1.0), "{record}");
        }
    }

    #[test]
    fn a_request_without_an_end_is_running() {
        let verdict = of(&Story::new("r", vec![json!({"kind": "request.start", "request_id": "r"})]));
        assert_eq!(verdict.cause, "running");
    }

    #[test]
    fn every_cause_is_documented() {
        for (_, cause, _) in REFUSALS.iter().chain(&FAULTS) {
            assert!(CAUSES.contains(&format!("`{cause}`")), "{cause} is not in docs/causes.md");
        }
    }
}
