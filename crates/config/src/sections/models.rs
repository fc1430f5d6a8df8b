//! `upstreams` and `models`: who answers, and what.

use std::collections::{HashMap, HashSet};

use serde_json::Map;

use super::{base_url, check_name};
use crate::{
    config::{ModelConfig, Overflow, UpstreamConfig, UpstreamKind},
    decode::{Decoder, Section},
    problem::{Problem, shown},
    saying::Said,
    tree::{Data, Node},
};

/// Length of model names, which can be paths of a registry.
const MODEL_NAME_CHARS_MAX: usize = 200;
/// How many requests a model server may be said to work on at once.
const PARALLEL_MAX: u64 = 10_000;

pub(super) fn upstreams(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<UpstreamConfig>> {
    let expected = "names with settings, such as local: {kind: ollama, url: http://127.0.0.1:11434}";
    let entries = d.entries(node, expected)?;
    if entries.is_empty() {
        d.wrong(node, "there is no upstream", expected);
    }
    let mut upstreams = Vec::new();
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), "upstreams", what);
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        d.section(&entry.value, |d, s| upstreams.extend(upstream(d, s, &entry.name)));
    }
    Some(upstreams)
}

fn upstream(d: &mut Decoder<'_>, s: &mut Section<'_>, name: &str) -> Option<UpstreamConfig> {
    let kinds = [
        ("ollama", UpstreamKind::Ollama),
        ("openai", UpstreamKind::OpenAi),
        ("anthropic", UpstreamKind::Anthropic),
        ("demo", UpstreamKind::Demo),
    ];
    let kind = s.require(d, "kind", "one of: ollama, openai, anthropic, demo", |d, node| d.word(node, &kinds));
    let url_node = s.get("url");
    let key_node = s.get("key");
    let parallel_node = s.get("parallel");
    let name = name.to_owned();
    if kind == Some(UpstreamKind::Demo) {
        for node in [url_node, key_node, parallel_node].into_iter().flatten() {
            d.wrong(node, "the kind demo is built in and needs none", "kind: demo alone");
        }
        let url = String::new();
        return Some(UpstreamConfig { name, kind: UpstreamKind::Demo, url, key: None, parallel: None });
    }
    let key = key_node.and_then(|node| d.secret(node));
    let parallel = parallel_node.and_then(|node| d.count(node, PARALLEL_MAX)).map(|number| number as u32);
    let example = match kind {
        Some(UpstreamKind::OpenAi) => "a URL such as http://127.0.0.1:8000/v1",
        Some(UpstreamKind::Anthropic) => "a URL such as https://api.anthropic.com",
        _ => "a URL such as http://127.0.0.1:11434",
    };
    let Some(url_node) = url_node else {
        if kind.is_some() {
            s.missing(d, "url", example);
        }
        return None;
    };
    let url = d.parsed(url_node, example, base_url)?;
    let (server, ends): (_, &[&str]) = match kind {
        Some(UpstreamKind::Ollama) => ("an Ollama server", &["/v1", "/api"]),
        Some(UpstreamKind::Anthropic) => ("a server with the Anthropic API", &["/v1", "/messages"]),
        _ => ("", &[]),
    };
    if let Some(end) = ends.iter().find(|end| url.ends_with(*end)) {
        let hint = match kind {
            Some(UpstreamKind::Ollama) => "for the OpenAI API of a server, write kind: openai",
            _ => "leave the path away: /v1/messages is put behind the URL",
        };
        d.wrong_hint(url_node, Said::filled("the URL of {} does not end with {}", &[&server, &end]), example, hint);
    }
    Some(UpstreamConfig { name, kind: kind?, url, key, parallel })
}

pub(super) fn models(d: &mut Decoder<'_>, node: &Node, upstreams: &[String]) -> Option<Vec<ModelConfig>> {
    let entries = d.entries(node, "model names with settings, such as \"qwen3:32b\": {context: 32768}")?;
    let mut taken: HashMap<String, usize> =
        entries.iter().map(|entry| (entry.name.clone(), entry.name_place.line)).collect();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut models = Vec::new();
    for entry in entries {
        if let Err(what) = check_model_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), "models", what);
            d.problem(problem.expected("the name of a model, such as \"qwen3:32b\""));
        }
        let mut model = ModelConfig {
            name: entry.name.clone(),
            tiers: upstreams.iter().map(|upstream| vec![upstream.clone()]).collect(),
            aliases: Vec::new(),
            context: None,
            on_overflow: Overflow::Refuse,
            tokenizer: None,
            fallback: Vec::new(),
            keep_alive: None,
            options: Map::new(),
            strip: Vec::new(),
        };
        if !entry.value.is_null() {
            d.section(&entry.value, |d, s| read_model(d, s, &mut model, upstreams, &names, &mut taken));
        }
        models.push(model);
    }
    Some(models)
}

fn read_model(
    d: &mut Decoder<'_>,
    s: &mut Section<'_>,
    model: &mut ModelConfig,
    upstreams: &[String],
    names: &[&str],
    taken: &mut HashMap<String, usize>,
) {
    s.set(d, "upstreams", &mut model.tiers, |d, node| tiers(d, node, upstreams));
    s.set(d, "aliases", &mut model.aliases, |d, node| d.list(node, "a list of names", |d, node| alias(d, node, taken)));
    s.set_some(d, "context", &mut model.context, Decoder::count_u32);
    let name = model.name.clone();
    s.set(d, "fallback", &mut model.fallback, |d, node| fallback(d, node, &name, names));
    let has_fallback = !model.fallback.is_empty();
    s.set(d, "on_overflow", &mut model.on_overflow, |d, node| on_overflow(d, node, has_fallback));
    s.set_some(d, "tokenizer", &mut model.tokenizer, Decoder::path);
    s.set_some(d, "keep_alive", &mut model.keep_alive, keep_alive);
    s.set(d, "options", &mut model.options, Decoder::json_map);
    s.set(d, "strip", &mut model.strip, |d, node| {
        d.list(node, "a list of field names", |d, node| Some(d.text(node, "the name of a field")?.value))
    });
}

fn check_model_name(name: &str) -> Result<(), Said> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Said::filled("`{}` is empty or has a space in it", &[&shown(name)]));
    }
    if name.chars().count() > MODEL_NAME_CHARS_MAX {
        return Err(Said::filled("the name is longer than {} characters", &[&MODEL_NAME_CHARS_MAX]));
    }
    Ok(())
}

/// `[a, b]`: a first, then b. `[[a, b], c]`: a or b, then c.
fn tiers(d: &mut Decoder<'_>, node: &Node, known: &[String]) -> Option<Vec<Vec<String>>> {
    let mut named = HashSet::new();
    let expected = "a list of upstream names; equal ones in a list of their own: [[a, b], c]";
    let tiers = d.list(node, expected, |d, item| match item.data {
        Data::List(_) => {
            let tier = d.list(item, "a list of upstream names", |d, item| upstream_name(d, item, known, &mut named))?;
            if tier.is_empty() && item.is_empty() {
                d.wrong(item, "no upstream is named", "at least one");
            }
            Some(tier)
        }
        _ => upstream_name(d, item, known, &mut named).map(|name| vec![name]),
    })?;
    if tiers.is_empty() && node.is_empty() {
        d.wrong(node, "no upstream is named", "at least one, or no such key for all of them");
    }
    Some(tiers)
}

fn upstream_name(d: &mut Decoder<'_>, item: &Node, known: &[String], named: &mut HashSet<usize>) -> Option<String> {
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let index = d.name_of(item, &words)?;
    if !named.insert(index) {
        d.wrong(item, Said::filled("upstream `{}` is named twice", &[&shown(&known[index])]), "each upstream once");
        return None;
    }
    Some(known[index].clone())
}

/// Only models that stand in the file have settings by which they could answer for another.
fn fallback(d: &mut Decoder<'_>, node: &Node, of: &str, names: &[&str]) -> Option<Vec<String>> {
    let others: Vec<&str> = names.iter().copied().filter(|name| *name != of).collect();
    let mut named = HashSet::new();
    d.list(node, "a list of names of other models", |d, item| {
        if others.is_empty() {
            d.wrong(item, "there is no other model in `models`", "no such key, or another model there");
            return None;
        }
        let index = d.name_of(item, &others)?;
        if !named.insert(index) {
            d.wrong(item, Said::filled("`{}` is named twice", &[&shown(others[index])]), "each model once");
            return None;
        }
        Some(others[index].to_owned())
    })
}

fn on_overflow(d: &mut Decoder<'_>, node: &Node, has_fallback: bool) -> Option<Overflow> {
    let words = [("refuse", Overflow::Refuse), ("truncate", Overflow::Truncate), ("route", Overflow::Route)];
    let overflow = d.word(node, &words)?;
    if overflow == Overflow::Route && !has_fallback {
        d.wrong_hint(
            node,
            "there is no model to route to",
            "refuse or truncate, or a `fallback` beside it",
            "fallback: [NAME] names a model with a larger context",
        );
        return None;
    }
    Some(overflow)
}

fn alias(d: &mut Decoder<'_>, node: &Node, taken: &mut HashMap<String, usize>) -> Option<String> {
    let expected = "a name that no other model has";
    let alias = d.text(node, expected)?.value;
    if let Err(what) = check_model_name(&alias) {
        d.wrong(node, what, expected);
        return None;
    }
    if let Some(line) = taken.insert(alias.clone(), node.place.line) {
        d.wrong(
            node,
            Said::filled("`{}` is the name or an alias of a model already (line {})", &[&shown(&alias), &line]),
            expected,
        );
        return None;
    }
    Some(alias)
}

/// Ollama takes a number of seconds or a duration in Go's form (time.ParseDuration); it is handed on as it is.
fn keep_alive(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "a duration such as 30m or 1h30m, a number of seconds, or -1 for ever";
    d.parsed(node, expected, |text| {
        let mut rest = text.strip_prefix('-').unwrap_or(text);
        if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(text.to_owned());
        }
        let mut parts = 0;
        while !rest.is_empty() {
            let after_number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let units = ["ms", "h", "m", "s"];
            let after_unit = units.iter().find_map(|unit| after_number.strip_prefix(unit));
            match after_unit {
                Some(after_unit) if after_number.len() < rest.len() => rest = after_unit,
                _ => return Err(Said::filled("`{}` is not a duration", &[&shown(text)])),
            }
            parts += 1;
        }
        if parts > 0 { Ok(text.to_owned()) } else { Err(Said::filled("`{}` is not a duration", &[&shown(text)])) }
    })
}
