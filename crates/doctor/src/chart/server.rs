//! A model server: reached, alive, with its models, answering, and set up for what it is asked.

use serde_json::Value;

use crate::check::{Area, Check, Step};
use crate::facts::{Facts, Reach, ServerFacts};
use crate::said::Said;

/// A model in memory answers a small question within this, in milliseconds (B03).
const ANSWER_MS_MAX: f64 = 1000.0;
/// What Ollama works on at once where nobody says otherwise.
const PARALLEL: u32 = 1;

pub(super) fn checks(facts: &Facts, server: &ServerFacts) -> Vec<Check> {
    if server.kind == "demo" {
        return Vec::new();
    }
    let mut checks = vec![port(server), answer(server)];
    if server.version.body().is_none() {
        return checks;
    }
    let models = models(server);
    let has_models = models.status == crate::Status::Ok;
    checks.push(models);
    checks.extend(server.spoke.as_ref().filter(|_| has_models).map(|_| spoke(server)));
    if server.is_ollama() {
        checks.push(version(server));
        checks.extend(bind(server));
        checks.extend(parallel(server));
        checks.extend(context(server));
        checks.extend(memory(facts, server));
        checks.extend(flash_attention(facts, server));
    }
    checks
}

fn step(server: &ServerFacts, id: &'static str, looked: Said) -> Step {
    Step::new(Area::Server, id, looked).of(server.name.clone())
}

fn port(server: &ServerFacts) -> Check {
    let step = step(server, "server.port", Said::AtServerPort { url: server.url.clone() });
    let fix = match (server.is_ollama(), server.is_here) {
        (true, true) => Said::DoOllamaHere {},
        (true, false) => Said::DoOllamaThere {},
        _ => Said::DoServer {},
    };
    super::unreached(&step, &server.version, fix).unwrap_or_else(|| step.ok(Said::Connected {}))
}

fn answer(server: &ServerFacts) -> Check {
    let url = server.url.clone();
    let looked = if server.is_ollama() { Said::AtServerVersion { url } } else { Said::AtServerList { url } };
    let step = step(server, "server.answer", looked);
    let restart = if server.is_ollama() && server.is_here { Said::DoOllamaStuck {} } else { Said::DoServerStuck {} };
    match &server.version {
        Reach::Silent { seconds } => step.fault("silent", Said::ServerSilent { limit_s: *seconds }, restart),
        Reach::Broken { error } => step.fault("broken", Said::words(error), Said::DoServerUrl {}),
        Reach::Answered { status: 401 | 403, .. } => {
            let found = if server.has_key { Said::ServerRefusesKey {} } else { Said::ServerWantsKey {} };
            step.fault("key_refused", found, Said::DoServerKey {})
        }
        Reach::Answered { status: 200..=299, body, ms, .. } => {
            let is_right = if server.is_ollama() { body["version"].is_string() } else { body["data"].is_array() };
            if is_right {
                return step.ok(Said::AnswersIn { took_ms: *ms });
            }
            wrong_kind(step, server)
        }
        Reach::Answered { status: 404 | 405, .. } => wrong_kind(step, server),
        Reach::Answered { status, .. } => step.fault("failed", Said::ServerStatus { status: *status }, restart),
        _ => step.skipped(Said::ServerAway {}),
    }
}

fn wrong_kind(step: Step, server: &ServerFacts) -> Check {
    step.fault("other_api", Said::ServerOther { kind: server.kind.clone() }, Said::DoServerKind {})
}

/// Names of the models that it has.
fn names(server: &ServerFacts) -> Vec<&str> {
    let Some(body) = server.models.body() else { return Vec::new() };
    let (list, field) = if server.is_ollama() { ("models", "name") } else { ("data", "id") };
    body[list].as_array().into_iter().flatten().filter_map(|model| model[field].as_str()).collect()
}

/// Whether two names are of one model: one without a tag is one of `latest`.
fn is_same(a: &str, b: &str) -> bool {
    a == b || (!a.contains(':') && b == format!("{a}:latest")) || (!b.contains(':') && a == format!("{b}:latest"))
}

fn models(server: &ServerFacts) -> Check {
    let step = step(server, "server.models", Said::AtModels {});
    if server.models.body().is_none() {
        return step.skipped(Said::ModelsUntold {});
    }
    let has = names(server);
    let missing: Vec<&str> = server
        .wanted
        .iter()
        .map(|wanted| wanted.name.as_str())
        .filter(|wanted| has.iter().all(|name| !is_same(name, wanted)))
        .collect();
    let pull = |model: &str| {
        if server.is_ollama() { format!("ollama pull {model}") } else { format!("serve {model} there") }
    };
    match (missing.first(), has.is_empty()) {
        (Some(first), _) => {
            let found = Said::ModelsMissing { models: missing.join(", ") };
            step.fault("missing", found, Said::DoModels { command: pull(first) })
        }
        (None, true) => step.fault("none", Said::ModelsNone {}, Said::command(pull("qwen3:32b"))),
        (None, false) => step.ok(Said::ModelsThere { count: has.len() }),
    }
}

fn spoke(server: &ServerFacts) -> Check {
    let spoke = server.spoke.clone().unwrap_or_default();
    let step = step(server, "server.speaks", Said::AtQuestion { model: spoke.model.clone() });
    match &spoke.answer {
        Reach::Answered { status: 200..=299, ms, .. } if *ms <= ANSWER_MS_MAX || !spoke.was_loaded => {
            let answered = Said::ModelAnswered { took_ms: *ms };
            step.ok(if spoke.was_loaded { vec![answered] } else { vec![answered, Said::WithLoading {}] })
        }
        Reach::Answered { status: 200..=299, ms, .. } => {
            step.warn("slow", Said::ModelLateInMemory { took_ms: *ms }, Said::DoModelSlow {})
        }
        Reach::Answered { status, body, .. } => {
            let status = *status;
            let found = match body["error"].as_str().or_else(|| body["error"]["message"].as_str()) {
                Some(error) => Said::ModelFailed { status, error: error.to_owned() },
                None => Said::ModelFailedUnsaid { status },
            };
            step.fault("failed", found, Said::DoModelFailed {})
        }
        Reach::Silent { seconds } | Reach::Unreachable { seconds } if spoke.was_loaded => {
            step.warn("no_answer", Said::ModelNoAnswer { limit_s: *seconds }, Said::DoModelNoAnswer {})
        }
        Reach::Silent { seconds } | Reach::Unreachable { seconds } => {
            step.skipped(Said::ModelNotLoaded { limit_s: *seconds })
        }
        Reach::NotAsked => step.skipped(Said::ModelNoneLoaded {}),
        Reach::Refused { error } | Reach::NoName { error } | Reach::Broken { error } => {
            step.fault("broken", Said::words(error), Said::DoServerLog {})
        }
    }
}

fn version(server: &ServerFacts) -> Check {
    let step = step(server, "server.version", Said::AtServerHoles {});
    let Some(version) = server.version() else { return step.skipped(Said::VersionUntold {}) };
    let holes = crate::holes::of("ollama", version);
    if holes.is_empty() {
        return step.ok(Said::words(version));
    }
    let names: Vec<&str> = holes.iter().map(|hole| hole.id).collect();
    let found = Said::HolesKnown { version: version.to_owned(), holes: names.join(", ") };
    let fixed = crate::holes::fixed_in(&holes).to_owned();
    step.warn("known_holes", found, Said::DoUpdateOllamaMore { version: fixed })
}

fn bind(server: &ServerFacts) -> Option<Check> {
    if !server.is_here || server.listens.is_empty() {
        return None;
    }
    let step = step(server, "server.bind", Said::AtListens {});
    let open: Vec<&str> = server.listens.iter().map(String::as_str).filter(|address| !is_loopback(address)).collect();
    Some(if open.is_empty() {
        step.ok(Said::ListensHere { addresses: server.listens.join(", ") })
    } else {
        step.warn("open", Said::ListensOpen { addresses: open.join(", ") }, Said::DoOllamaHost {})
    })
}

pub(crate) fn is_loopback(address: &str) -> bool {
    let socket: Option<std::net::SocketAddr> = address.parse().ok();
    socket.is_some_and(|socket| socket.ip().to_canonical().is_loopback())
}

fn parallel(server: &ServerFacts) -> Option<Check> {
    let environment = server.environment.as_ref()?;
    let given = server.parallel?;
    let step = step(server, "server.parallel", Said::AtParallel {});
    let works_on: u32 = environment.get("OLLAMA_NUM_PARALLEL").and_then(|value| value.parse().ok()).unwrap_or(PARALLEL);
    Some(if given > works_on {
        step.warn("too_many", Said::ParallelTooMany { given, works_on }, Said::DoParallel { given, works_on })
    } else {
        step.ok(Said::ParallelFits { given, works_on })
    })
}

fn context(server: &ServerFacts) -> Vec<Check> {
    let loaded = server.loaded.body().and_then(|body| body["models"].as_array());
    let mut checks = Vec::new();
    for wanted in &server.wanted {
        let Some(context) = wanted.context else { continue };
        let step = step(server, "server.context", Said::AtContext { model: wanted.name.clone() });
        if let Some(most) = wanted.context_max.filter(|most| u64::from(context) > *most) {
            let found = Said::ContextTooLong { tokens: context, tokens_max: most };
            checks.push(step.warn("too_long", found, Said::command(format!("models: context: {most}"))));
            continue;
        }
        let in_memory = |model: &&Value| model["name"].as_str().is_some_and(|name| is_same(name, &wanted.name));
        let has = loaded.into_iter().flatten().find(in_memory).and_then(|model| model["context_length"].as_u64());
        checks.push(match has {
            Some(tokens) if tokens != u64::from(context) => {
                let found = Said::ContextDiffers { tokens, configured: context };
                step.warn("differs", found, Said::DoContextDiffers {})
            }
            Some(tokens) => step.ok(Said::ContextIs { tokens }),
            None => step.ok(Said::ContextWhenLoaded { tokens: context }),
        });
    }
    checks
}

/// Whether there are cards that work; where they do not, that explains why nothing lies on them.
fn has_cards(facts: &Facts) -> bool {
    let works = |status| matches!(status, crate::Status::Ok | crate::Status::Warn);
    facts.probed.iter().any(|probed| probed.kind == "gpu" && works(probed.status))
}

fn memory(facts: &Facts, server: &ServerFacts) -> Vec<Check> {
    if !has_cards(facts) {
        return Vec::new();
    }
    let loaded = server.loaded.body().and_then(|body| body["models"].as_array());
    let mut checks = Vec::new();
    for model in loaded.into_iter().flatten() {
        let name = model["name"].as_str().unwrap_or_default();
        let Some((size, on_card)) =
            model["size"].as_f64().zip(model["size_vram"].as_f64()).filter(|(size, _)| *size > 0.0)
        else {
            continue;
        };
        let step = step(server, "server.spilled", Said::AtSpilled { model: name.to_owned() });
        let spilled_percent = 100.0 * (size - on_card) / size;
        checks.push(if spilled_percent >= 1.0 {
            step.warn("spilled", Said::Spilled { spilled_percent }, Said::DoSpilled {})
        } else {
            step.ok(Said::AllOnCard {})
        });
    }
    checks
}

fn flash_attention(facts: &Facts, server: &ServerFacts) -> Option<Check> {
    let environment = server.environment.as_ref()?;
    if !has_cards(facts) {
        return None;
    }
    let step = step(server, "server.flash_attention", Said::AtFlashAttention {});
    let value = environment.get("OLLAMA_FLASH_ATTENTION").map_or("", String::as_str);
    Some(match value {
        "0" | "false" => step.warn("off", Said::FlashAttentionOff {}, Said::DoFlashAttention {}),
        "" => step.ok(Said::FlashAttentionUnset {}),
        _ => step.ok(Said::FlashAttentionOn {}),
    })
}
