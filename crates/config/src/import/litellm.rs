//! LiteLLM's `config.yaml`: its list of models, its master key, its fallbacks.

use super::{
    Desk, Fate, Outcome,
    draft::{self, ServerKey, Upstream},
    plain_name, scalar_of, values,
};
use crate::{
    effective::scalar,
    tree::{Data, Entry, Node},
};
use tollhouse_units::format_duration;

/// A provider of LiteLLM that is spoken to here: its prefix, our kind, and where it is when nothing else is said.
const PROVIDERS: [(&str, &str, Option<&str>); 10] = [
    ("ollama", "ollama", Some("http://127.0.0.1:11434")),
    ("ollama_chat", "ollama", Some("http://127.0.0.1:11434")),
    ("openai", "openai", Some("https://api.openai.com/v1")),
    ("anthropic", "anthropic", Some("https://api.anthropic.com")),
    ("hosted_vllm", "openai", None),
    ("vllm", "openai", None),
    ("llamafile", "openai", Some("http://127.0.0.1:8080/v1")),
    ("lm_studio", "openai", Some("http://127.0.0.1:1234/v1")),
    ("openai_like", "openai", None),
    ("custom_openai", "openai", None),
];

/// Defaults of requests that are the same here.
const OPTIONS: [&str; 6] = ["temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty"];

/// Why a setting has no place here.
const REASONS: [(&[&str], &str); 11] = [
    (&["rpm", "tpm"], "limits are counted by key, user, address or model, not by model server: access.rate_limit"),
    (&["timeout", "stream_timeout"], "one time holds for all model servers: timeouts.total"),
    (
        &["num_retries", "max_retries", "retry_after", "retry_policy"],
        "another server is tried at once, within a budget of retries",
    ),
    (
        &["allowed_fails", "cooldown_time", "disable_cooldowns"],
        "a server that fails is left out by itself, and tried again",
    ),
    (&["routing_strategy"], "the server that has the model loaded and the least to do is asked"),
    (&["model_info"], "what a model can is asked of its server"),
    (&["database_url", "store_model_in_db"], "keys and records are kept in `data_dir`"),
    (&["cache", "cache_params"], "answers are not kept to be given again"),
    (&["success_callback", "failure_callback", "callbacks"], "every request is recorded in the journal"),
    (&["drop_params", "set_verbose", "json_logs", "telemetry"], "it needs no setting here"),
    (&["environment_variables"], "variables are set where the program is started"),
];

/// Takes what can be taken.
pub(super) fn take(desk: &mut Desk<'_>, root: &Node) {
    let entries = root.entries().unwrap_or_default();
    // Fallbacks name models, wherever in the file those stand.
    let is_list = |entry: &&Entry| entry.name == "model_list";
    if let Some(list) = entries.iter().find(is_list) {
        match &list.value.data {
            Data::List(items) if !items.is_empty() => items.iter().for_each(|item| deployment(desk, item)),
            _ => desk.refuse(&list.value, "a list of models is expected"),
        }
    }
    for entry in entries.iter().filter(|entry| !is_list(entry)) {
        match (&entry.value.data, entry.name.as_str()) {
            (Data::Map(inner), "general_settings" | "router_settings" | "litellm_settings") if !inner.is_empty() => {
                redis(desk, inner);
                for entry in inner {
                    setting(desk, entry);
                }
            }
            _ => desk.refuse(&entry.value, reason(&entry.name)),
        }
    }
}

fn reason(name: &str) -> &'static str {
    let found = REASONS.iter().find(|(names, _)| names.contains(&name));
    found.map_or("there is no such setting here", |(_, reason)| *reason)
}

fn text_of<'n>(entries: &'n [Entry], name: &str) -> Option<&'n str> {
    entries.iter().find(|entry| entry.name == name).and_then(|entry| scalar_of(&entry.value))
}

/// One entry of `model_list`.
fn deployment(desk: &mut Desk<'_>, item: &Node) {
    let entries = item.entries().unwrap_or_default();
    let params = entries.iter().find(|entry| entry.name == "litellm_params");
    let params = params.and_then(|entry| entry.value.entries()).unwrap_or_default();
    let (Some(public), Some(full)) = (text_of(entries, "model_name"), text_of(params, "model")) else {
        return desk.refuse(item, "it has no `model_name`, or no `model` in its `litellm_params`");
    };
    let found = server(desk, params, full);
    let (upstream, own) = match found {
        Ok(found) => found,
        Err(reason) => return desk.refuse(item, &reason),
    };
    let is_pattern = own.contains('*') || public.contains('*');
    let named = if is_pattern {
        Err("every model that the server lists is served as it is".to_owned())
    } else {
        name_model(desk, public, &own, &upstream)
    };
    let has_model = !is_pattern && named.is_ok();
    for entry in entries.iter().filter(|entry| entry.name != "litellm_params") {
        match entry.name.as_str() {
            "model_name" => desk.tell(&entry.value, named.clone()),
            name => desk.refuse(&entry.value, reason(name)),
        }
    }
    for entry in params {
        let node = &entry.value;
        let name = entry.name.as_str();
        let outcome = match (name, scalar_of(node)) {
            ("model", _) if has_model => {
                Ok((Fate::Changed, format!("models.{}: {{upstreams: [{upstream}]}}", scalar(&own))))
            }
            ("model", _) => Ok((Fate::Changed, format!("upstreams.{upstream} serves it"))),
            ("api_base" | "base_url", Some(_)) => Ok((Fate::Taken, format!("upstreams.{upstream}.url"))),
            ("api_key", Some(text)) => Ok(key_note(desk, &upstream, text)),
            ("max_parallel_requests", Some(text)) => parallel(desk, &upstream, text),
            ("num_ctx", Some(text)) if has_model => match text.parse::<u32>() {
                Ok(tokens) => set(desk, &own, "context", &tokens.to_string()),
                Err(_) => Err("it is not a number of tokens".to_owned()),
            },
            ("keep_alive", Some(text)) if has_model => set(desk, &own, "keep_alive", &scalar(text)),
            (name, Some(text)) if has_model && OPTIONS.contains(&name) => option(desk, &own, name, text),
            _ => {
                desk.refuse(node, reason(name));
                continue;
            }
        };
        desk.tell(node, outcome);
    }
}

/// The name of the model server, and what the model is called there.
fn server(desk: &mut Desk<'_>, params: &[Entry], full: &str) -> Result<(String, String), String> {
    let base = text_of(params, "api_base").or_else(|| text_of(params, "base_url"));
    let said = text_of(params, "custom_llm_provider");
    let (provider, own) = match (said, full.split_once('/')) {
        (Some(provider), _) => (provider, full.strip_prefix(&format!("{provider}/")).unwrap_or(full)),
        (None, Some((provider, own))) => (provider, own),
        (None, None) if full.starts_with("claude") => ("anthropic", full),
        (None, None) => ("openai", full),
    };
    let known = PROVIDERS.iter().find(|(name, _, _)| *name == provider);
    let Some((_, kind, default)) = known else {
        return Err(format!(
            "the provider `{provider}` is not spoken to here: Ollama, OpenAI and Anthropic servers are"
        ));
    };
    let base = match base.map(|base| values::variable(base).map_or(Some(base.to_owned()), |name| (desk.env)(name))) {
        None => default.ok_or("it has no `api_base`")?.to_owned(),
        Some(Some(base)) => base,
        Some(None) => return Err("its `api_base` stands in a variable that is not set here".to_owned()),
    };
    let mut url = base.trim_end_matches('/');
    if *kind != "openai" {
        url = ["/v1/messages", "/v1", "/api"].iter().find_map(|end| url.strip_suffix(end)).unwrap_or(url);
    }
    let key = text_of(params, "api_key").filter(|text| !is_stand_in(text));
    let key = key.map(|text| match values::variable(text) {
        Some(name) => ServerKey::Variable(name.to_owned()),
        None => ServerKey::Literal(text.to_owned()),
    });
    let upstream = desk.draft.upstream(kind, url, key)?;
    Ok((upstream, own.to_owned()))
}

/// What is written where a client wants a key and the server none.
fn is_stand_in(key: &str) -> bool {
    const WORDS: [&str; 9] =
        ["none", "empty", "null", "dummy", "fake", "fake-key", "not-needed", "sk-no-key-required", "ollama"];
    WORDS.contains(&key.to_lowercase().as_str())
}

fn key_note(desk: &Desk<'_>, upstream: &str, text: &str) -> (Fate, String) {
    if is_stand_in(text) {
        return (Fate::Changed, format!("upstreams.{upstream}: no key is sent, since this is none"));
    }
    let server = desk.draft.upstreams.iter().find(|server| server.name == upstream);
    let name = server.and_then(Upstream::variable).unwrap_or_default();
    let told = format!("upstreams.{upstream}.key: \"${{{name}:-}}\"");
    match values::variable(text) {
        Some(_) => (Fate::Taken, told),
        None => (Fate::Changed, format!("{told} (the key itself is not copied: set this variable)")),
    }
}

/// The model under its own name, with the public one as an alias.
fn name_model(desk: &mut Desk<'_>, public: &str, own: &str, upstream: &str) -> Outcome {
    let first = desk.draft.known_as(public).map(|model| model.name.clone()).filter(|name| name != own);
    let model = desk.draft.model(own)?;
    if !model.upstreams.iter().any(|name| name == upstream) {
        model.upstreams.push(upstream.to_owned());
    }
    if let Some(first) = first {
        let model = desk.draft.model(&first)?;
        if !model.fallback.iter().any(|name| name == own) {
            model.fallback.push(own.to_owned());
        }
        let text = format!("models.{}.fallback: [{}]", scalar(&first), scalar(own));
        return Ok((
            Fate::Changed,
            format!("{text} (one name means one model here: the second answers when the first cannot)"),
        ));
    }
    if public == own {
        return Ok((Fate::Taken, format!("models.{}", scalar(own))));
    }
    if !model.aliases.iter().any(|alias| alias == public) {
        draft::try_out(&format!("models: {{{}: {{aliases: [{}]}}}}", crate::effective::key(own), scalar(public)))?;
        model.aliases.push(public.to_owned());
    }
    Ok((Fate::Taken, format!("models.{}.aliases: [{}]", scalar(own), scalar(public))))
}

fn parallel(desk: &mut Desk<'_>, upstream: &str, text: &str) -> Outcome {
    let most =
        text.parse().ok().filter(|most| (1..=10_000).contains(most)).ok_or("it is not a number from 1 to 10000")?;
    let server = desk.draft.upstreams.iter_mut().find(|server| server.name == upstream).ok_or("it has no server")?;
    match server.parallel.replace(most) {
        Some(old) if old != most => {
            server.parallel = Some(old);
            Err(format!("upstreams.{upstream}.parallel was taken from another line already"))
        }
        _ => Ok((Fate::Taken, format!("upstreams.{upstream}.parallel: {most}"))),
    }
}

fn set(desk: &mut Desk<'_>, model: &str, key: &'static str, yaml: &str) -> Outcome {
    desk.draft.model(model)?.set(key, yaml)?;
    Ok((Fate::Taken, format!("models.{}.{key}: {yaml}", scalar(model))))
}

/// A default of requests for a model.
pub(super) fn option(desk: &mut Desk<'_>, model: &str, name: &str, text: &str) -> Outcome {
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("it is not a number")?;
    let options = &mut desk.draft.model(model)?.options;
    match options.iter().find(|(known, _)| known == name) {
        Some((_, old)) if *old != number.to_string() => Err(format!("`{name}` was taken from another line already")),
        Some(_) => Ok((Fate::Taken, format!("models.{}.options.{name}: {number}", scalar(model)))),
        None => {
            options.push((name.to_owned(), number.to_string()));
            Ok((Fate::Taken, format!("models.{}.options.{name}: {number}", scalar(model))))
        }
    }
}

/// One entry of the sections beside the list.
fn setting(desk: &mut Desk<'_>, entry: &Entry) {
    let node = &entry.value;
    let outcome = match (entry.name.as_str(), scalar_of(node)) {
        ("master_key", Some(text)) => desk.client_key("master", text, None, Some("admin")),
        ("request_timeout" | "timeout", Some(text)) => match values::time(text, std::time::Duration::from_secs(1)) {
            Some(time) => desk.put("timeouts.total", &format_duration(time)),
            None => Err("it is not a time such as 600".to_owned()),
        },
        ("redis_host" | "redis_port" | "redis_url", Some(_)) => {
            if desk.draft.get("shared.redis").is_some() {
                Ok((Fate::Changed, "shared.redis".to_owned()))
            } else {
                Err("it is no plain address of a Redis server, or needs a password: write shared: {redis: \"${REDIS_URL}\"}"
                    .to_owned())
            }
        }
        ("redis_password", Some(_)) => Err(draft::REDIS_PASSWORD.to_owned()),
        ("fallbacks" | "context_window_fallbacks", None) => return fallbacks(desk, entry),
        (name, _) => return desk.refuse(node, reason(name)),
    };
    desk.tell(node, outcome);
}

fn redis(desk: &mut Desk<'_>, entries: &[Entry]) {
    if entries.iter().any(|entry| entry.name == "redis_password") {
        return;
    }
    let url = match (text_of(entries, "redis_url"), text_of(entries, "redis_host")) {
        (Some(url), _) if values::variable(url).is_none() && !url.contains('@') => url.to_owned(),
        (None, Some(host)) if values::variable(host).is_none() && !host.contains('@') => {
            format!("redis://{host}:{}", text_of(entries, "redis_port").unwrap_or("6379"))
        }
        _ => return,
    };
    // What comes of it is told at its lines.
    let _ = desk.draft.put("shared.redis", &scalar(&url));
}

/// `[{model: [others]}]`
fn fallbacks(desk: &mut Desk<'_>, entry: &Entry) {
    let Data::List(items) = &entry.value.data else {
        return desk.refuse(&entry.value, "a list is expected, such as [{\"gpt-4\": [\"qwen3\"]}]");
    };
    let routes = plain_name(&entry.name).starts_with("context");
    for pair in items.iter().flat_map(|item| item.entries().unwrap_or_default()) {
        let Data::List(others) = &pair.value.data else {
            desk.refuse(&pair.value, "a list of models is expected");
            continue;
        };
        for other in others {
            let outcome = fallback(desk, &pair.name, scalar_of(other).unwrap_or_default(), routes);
            desk.tell(other, outcome);
        }
    }
    for item in items.iter().filter(|item| item.entries().is_none()) {
        desk.refuse(item, "a model with a list of others is expected");
    }
}

fn fallback(desk: &mut Desk<'_>, public: &str, other: &str, routes: bool) -> Outcome {
    let find = |name: &str| desk.draft.known_as(name).map(|model| model.name.clone());
    let of = find(public).ok_or_else(|| format!("the model `{public}` is not taken"))?;
    let other = find(other).ok_or_else(|| format!("the model `{other}` is not taken"))?;
    if of == other {
        return Err(format!("`{other}` is the same model"));
    }
    let model = desk.draft.model(&of)?;
    if !model.fallback.contains(&other) {
        model.fallback.push(other.clone());
    }
    let fallback = draft::list(std::slice::from_ref(&other));
    if !routes {
        return Ok((Fate::Taken, format!("models.{}.fallback: {fallback}", scalar(&of))));
    }
    if !model.settings.iter().any(|(name, _)| *name == "on_overflow") {
        model.settings.push(("on_overflow", "route".to_owned()));
    }
    Ok((Fate::Taken, format!("models.{}: {{on_overflow: route, fallback: {fallback}}}", scalar(&of))))
}
