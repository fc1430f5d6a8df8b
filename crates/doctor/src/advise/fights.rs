//! Loads: how many there are, what they cost, and why they come: models that push each other out, contexts that differ, an end of
//! `keep_alive`.

use serde_json::json;

use super::row::{Row, by_count};
use super::{Advice, Advised, Setup, Word, figures};
use crate::sentence::Sentence;

/// Fewer loads an hour nobody minds.
const LOADS_PER_HOUR: f64 = 1.0;
/// Fewer loads say nothing.
const LOADS_MIN: usize = 5;
/// What most loads have in common is their cause.
const CAUSE_SHARE: f64 = 0.5;
/// Pairs and clients that are named.
const NAMED_MAX: usize = 3;

/// Advice for each model server on which models were loaded.
pub(super) fn advice(loads: &[Row], requests: u64, setup: &Setup) -> Vec<Advice> {
    let servers = by_count(loads.iter().map(|row| row.upstream.as_str()));
    if servers.is_empty() {
        return vec![Advice {
            id: "loads",
            subject: None,
            word: if requests == 0 { Word::Unknown } else { Word::Keep },
            code: if requests == 0 { "too_few" } else { "rare" },
            found: Advised::LoadsNone {}.into(),
            sure: Advised::SureAll { requests }.into(),
            change: None,
            figures: figures(json!({"loads": 0, "requests": requests})),
            query: "loads",
        }];
    }
    servers.into_iter().map(|(server, _)| of_server(server, loads, requests, setup)).collect()
}

/// Why loads came, counted.
#[derive(Debug, Default)]
struct Causes {
    /// Another model was loaded before: pairs, the one that came and the one that went.
    fights: Vec<(String, String)>,
    /// The same model with another context.
    contexts: usize,
    /// The same model again, as it was.
    ends: usize,
}

fn causes(loads: &[&Row]) -> Causes {
    let mut causes = Causes::default();
    for pair in loads.windows(2) {
        let (before, now) = (pair[0], pair[1]);
        if before.model != now.model {
            causes.fights.push((now.model.clone(), before.model.clone()));
        } else if before.num_ctx.is_some() && now.num_ctx.is_some() && before.num_ctx != now.num_ctx {
            causes.contexts += 1;
        } else {
            causes.ends += 1;
        }
    }
    causes
}

fn of_server(server: &str, loads: &[Row], requests: u64, setup: &Setup) -> Advice {
    let of_server: Vec<&Row> = loads.iter().filter(|row| row.upstream == server).collect();
    let count = of_server.len();
    let hours = setup.hours.max(1.0);
    let per_hour = count as f64 / hours;
    // The count of events in a time is spread like a Poisson's: about its root.
    let spread = 1.96 * (count as f64).sqrt() / hours;
    let waited_s: f64 = of_server.iter().map(|row| row.load_ms).sum::<f64>() / 1000.0;
    let causes = causes(&of_server);
    let pairs: Vec<String> =
        causes.fights.iter().map(|(a, b)| if a < b { format!("{a} + {b}") } else { format!("{b} + {a}") }).collect();
    let pairs = by_count(pairs.iter().map(String::as_str));
    let clients = by_count(of_server.iter().map(|row| row.client.as_str()).filter(|client| !client.is_empty()));
    let named = |counts: &[(&str, usize)]| {
        counts.iter().take(NAMED_MAX).map(|(name, count)| format!("{name} ({count})")).collect::<Vec<_>>().join(", ")
    };
    let numbers = json!({
        "loads": count, "per_hour": (per_hour * 100.0).round() / 100.0, "waited_s": waited_s.round(), "requests": requests,
        "by_other_models": causes.fights.len(), "by_context": causes.contexts, "by_end": causes.ends,
        "pairs": pairs.iter().take(NAMED_MAX).map(|(pair, count)| json!({"models": pair, "count": count})).collect::<Vec<_>>(),
        "clients": clients.iter().take(NAMED_MAX).map(|(client, count)| json!({"client": client, "count": count})).collect::<Vec<_>>(),
    });
    let mut found = vec![Advised::LoadsSeen {
        count,
        per_hour,
        waited_s,
        by_models: causes.fights.len(),
        by_context: causes.contexts,
        by_end: causes.ends,
    }];
    if !clients.is_empty() {
        found.push(Advised::LoadsBy { clients: named(&clients) });
    }
    let known = (causes.fights.len() + causes.contexts + causes.ends).max(1) as f64;
    let is_often = count >= LOADS_MIN && per_hour - spread.min(per_hour) * 0.5 >= LOADS_PER_HOUR;
    let (word, code, change) = if count < LOADS_MIN || !is_often {
        (Word::Keep, "rare", None)
    } else if causes.fights.len() as f64 / known >= CAUSE_SHARE {
        (Word::Change, "fight", Some(Advised::DoSideBySide { models: named(&pairs) }))
    } else if causes.contexts as f64 / known >= CAUSE_SHARE {
        (Word::Change, "contexts", Some(Advised::DoOneContext {}))
    } else {
        (Word::Change, "keep_alive", Some(Advised::DoKeepAlive { saved_s: waited_s / hours }))
    };
    Advice {
        id: "loads",
        subject: Some(server.to_owned()),
        word,
        code,
        found: found.into(),
        sure: Advised::SureLoads { low: (per_hour - spread).max(0.0), high: per_hour + spread }.into(),
        change: change.map(Sentence::from),
        figures: figures(numbers),
        query: "loads",
    }
}
