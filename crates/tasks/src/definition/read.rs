//! From a task file to a definition, with everything that is wrong told at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tollhouse_config::ConfigErrors;
use tollhouse_config::reading::{self, Data, Decoder, Entry, Node, Problem, Saying as CommonSaying, Section, shown};

use super::saying::Saying;
use super::{CatchUp, DEFINITION_BYTES_MAX, Definition, Each, InDoubt, Retries, STEPS_MAX, Step, version};
use crate::schedule::{Cron, CronError, EVERY_MIN, Schedule};
use crate::template;
use crate::work::{Kind, Question, Work};

/// Names that have a meaning of their own.
const RESERVED: [&str; 9] = ["input", "item", "index", "value", "date", "time", "run", "error", "loop"];
/// What each template may name.
const ALWAYS: [&str; 4] = ["input", "date", "time", "run"];
/// Longest name, in characters; part of keys, so it is short.
const NAME_CHARS_MAX: usize = 64;
/// Most items of a list that is written in the file, and of any other one.
pub(super) const ITEMS_MAX: usize = 1_000;
/// Most items at a time.
const AT_ONCE_MAX: u64 = 32;
const AT_ONCE: u32 = 4;
const RETRIES_MAX: u64 = 20;
const CONCURRENCY_MAX: u64 = 10_000;
/// Where nothing is said.
const RETRY_DELAY: Duration = Duration::from_secs(10);
const STEP_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const TASK_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
const TIMEOUT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) fn definition(file: &str, text: &str) -> Result<Definition, ConfigErrors> {
    let mut definition = reading::read(file, text, DEFINITION_BYTES_MAX, |d, root| {
        let mut definition = empty(file, text);
        d.section(root, |d, s| top(d, s, &mut definition));
        Some(definition)
    })?;
    definition.version = version(&definition.name, text);
    Ok(definition)
}

fn empty(file: &str, text: &str) -> Definition {
    let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Definition {
        name: stem.unwrap_or_default(),
        version: String::new(),
        text: text.to_owned(),
        title: None,
        schedule: None,
        catch_up: CatchUp::default(),
        timezone: TimeZone::UTC,
        critical: None,
        timeout: TASK_TIMEOUT,
        concurrency: 1,
        needs_gpu: false,
        plan_tokens: None,
        input: Map::new(),
        steps: Vec::new(),
        on_failure: Vec::new(),
    }
}

fn top(d: &mut Decoder<'_>, s: &mut Section<'_>, task: &mut Definition) {
    s.set(d, "name", &mut task.name, |d, node| d.text(node, "a name").map(|text| text.value));
    if let Err(what) = check_name(&task.name, &[]) {
        d.problem(Problem::of(None, "name", what).hint(Saying::TaskNameOrFile {}));
    }
    s.set_some(d, "title", &mut task.title, |d, node| d.text(node, "a title").map(|text| text.value));
    s.set(d, "timezone", &mut task.timezone, |d, node| {
        let name = d.text(node, "a time zone such as Asia/Shanghai")?.value;
        let zone = TimeZone::get(&name).ok();
        if zone.is_none() {
            d.wrong(node, Saying::NoZone { zone: shown(&name) }, Saying::AZone {});
        }
        zone
    });
    schedule(d, s, task);
    let words = [("skip", CatchUp::Skip), ("once", CatchUp::Once), ("all", CatchUp::All)];
    s.set(d, "catch_up", &mut task.catch_up, |d, node| d.word(node, &words));
    s.set_some(d, "critical", &mut task.critical, critical);
    s.set(d, "timeout", &mut task.timeout, timeout);
    s.set(d, "concurrency", &mut task.concurrency, |d, node| d.count(node, CONCURRENCY_MAX).map(|n| n as u32));
    s.set(d, "needs", &mut task.needs_gpu, |d, node| d.word(node, &[("gpu", true)]));
    s.section(d, "plan", |d, s| {
        s.set_some(d, "tokens", &mut task.plan_tokens, |d, node| d.count(node, u64::from(u32::MAX)));
    });
    s.set(d, "input", &mut task.input, tollhouse_config::reading::Decoder::json_map);
    let mut known: Vec<String> = ALWAYS.map(str::to_owned).into();
    let mut seen = BTreeSet::new();
    let expected = "a list of steps such as - {name: draft, ask: {model: …, prompt: …}}";
    let read = s.require(d, "steps", expected, |d, node| steps(d, node, &task.name, &mut known, &mut seen));
    task.steps = read.unwrap_or_default();
    known.push("error".to_owned());
    if let Some(node) = s.get("on_failure") {
        task.on_failure = steps(d, node, &task.name, &mut known, &mut seen).unwrap_or_default();
    }
}

/// `true`, or how the question is asked.
fn critical(d: &mut Decoder<'_>, node: &Node) -> Option<Question> {
    if let Data::Map(_) = node.data {
        check_keys(d, node, Kind::Approve);
        let question = Value::Object(d.json_map(node)?);
        return match serde_json::from_value(question) {
            Ok(question) => Some(question),
            Err(error) => {
                d.wrong(node, Saying::Misshapen { error: error.to_string() }, expected(Kind::Approve));
                None
            }
        };
    }
    d.bool(node)?.then(Question::default)
}

fn schedule(d: &mut Decoder<'_>, s: &mut Section<'_>, task: &mut Definition) {
    let zone = task.timezone.clone();
    let cron = s.get("schedule");
    let every = s.get("every");
    if let (Some(_), Some(every)) = (cron, every) {
        d.wrong(every, Saying::ScheduleTwice {}, Saying::OneOfTwo {});
    }
    if let Some(node) = cron {
        task.schedule = cron_line(d, node, &zone).map(|cron| Schedule::Cron(Box::new(cron)));
    }
    if let Some(node) = every {
        task.schedule = at_least(d, node, EVERY_MIN).map(Schedule::Every);
    }
}

fn cron_line(d: &mut Decoder<'_>, node: &Node, zone: &TimeZone) -> Option<Cron> {
    let line = d.text(node, "a cron line")?.value;
    match Cron::parse(&line, zone) {
        Ok(cron) => Some(cron),
        Err(CronError::Fields(count)) => {
            d.wrong(node, Saying::CronFields { count }, Saying::ACron {});
            None
        }
        Err(CronError::Line(error)) => {
            d.wrong(node, Saying::Cron { error }, Saying::ACron {});
            None
        }
    }
}

fn steps(
    d: &mut Decoder<'_>,
    node: &Node,
    task: &str,
    known: &mut Vec<String>,
    seen: &mut BTreeSet<String>,
) -> Option<Vec<Step>> {
    let steps = d.list(node, "a list of steps", |d, node| {
        let mut read = None;
        d.section(node, |d, s| read = step(d, s, node, task, known));
        let step = read?;
        if !seen.insert(step.name.clone()) {
            d.wrong(node, Saying::StepTwice { name: shown(&step.name) }, Saying::OwnName {});
        }
        known.push(step.name.clone());
        Some(step)
    })?;
    if steps.len() > STEPS_MAX {
        let count = CommonSaying::CountStands { count: steps.len(), things: "steps".to_owned() };
        d.wrong(node, count, CommonSaying::AtMostThings { most: STEPS_MAX, things: "steps".to_owned() });
    }
    if let Data::List(items) = &node.data
        && items.is_empty()
    {
        d.wrong(node, Saying::NoStep {}, Saying::OneStep {});
    }
    Some(steps)
}

fn step(d: &mut Decoder<'_>, s: &mut Section<'_>, node: &Node, task: &str, known: &[String]) -> Option<Step> {
    let name = s.require(d, "name", "a name of letters, digits and `_`", |d, node| {
        d.parsed(node, "a name of letters, digits and `_` that begins with a letter", |name| {
            check_name(name, &RESERVED).map(|()| name.to_owned())
        })
    });
    let is_each = s.get("each").is_some();
    let mut names = known.to_vec();
    if is_each {
        names.extend(["item", "index"].map(str::to_owned));
    }
    let work = work(d, s, node, &names);
    let when = s.get("when").and_then(|node| expression(d, node, known));
    let each = s.get("each").and_then(|node| each(d, node, known));
    let mut at_once = AT_ONCE;
    if let Some(node) = s.get("at_once") {
        if !is_each {
            d.wrong(node, "there is no `each`", "`at_once` together with `each`");
        }
        at_once = d.count(node, AT_ONCE_MAX).map_or(AT_ONCE, |number| number as u32);
    }
    let mut retries = Retries { times: 0, delay: RETRY_DELAY };
    if let Some(node) = s.get("retries") {
        read_retries(d, node, &mut retries);
    }
    let mut limit = STEP_TIMEOUT;
    s.set(d, "timeout", &mut limit, timeout);
    names.push("value".to_owned());
    let check = s.get("check").and_then(|node| expression(d, node, &names));
    let words = [("again", InDoubt::Again), ("ask", InDoubt::Ask)];
    let mut in_doubt = InDoubt::default();
    s.set(d, "in_doubt", &mut in_doubt, |d, node| d.word(node, &words));
    let (kind, work) = work?;
    refuse_unfitting(d, s, node, kind, &work, task, check.is_some());
    Some(Step { name: name?, kind, work, when, each, at_once, retries, timeout: limit, check, in_doubt })
}

/// What stands under the one key that says what the step does.
fn work(d: &mut Decoder<'_>, s: &mut Section<'_>, node: &Node, names: &[String]) -> Option<(Kind, Value)> {
    // Each is asked for, so that none of them is an unknown key. `approve:` may have nothing under it.
    let is_written = |key: &str| entries(node).iter().any(|entry| entry.name == key);
    let written: Vec<(&'static str, Kind)> = Kind::ALL
        .into_iter()
        .filter(|(key, _)| {
            s.get(key);
            is_written(key)
        })
        .collect();
    let keys = Kind::ALL.map(|(key, _)| key).join(", ");
    let [(key, kind)] = written[..] else {
        let what = match written.len() {
            0 => Saying::StepIdle {},
            count => Saying::StepDoubled { count },
        };
        d.wrong(node, what, Saying::StepKeys { keys });
        return None;
    };
    let Some(node) = s.get(key) else {
        if kind == Kind::Approve {
            return Some((kind, Value::Object(Map::new())));
        }
        d.wrong(node, Saying::NothingUnder { key: key.to_owned() }, expected(kind));
        return None;
    };
    if let Data::Map(_) = node.data {
        check_keys(d, node, kind);
        templates(d, node, names, "");
        let work = Value::Object(d.json_map(node)?);
        check_shape(d, node, kind, &work);
        return Some((kind, work));
    }
    d.wrong(node, Saying::KeysMissing {}, expected(kind));
    None
}

fn expected(kind: Kind) -> Saying {
    Saying::SuchAs { example: example(kind).to_owned() }
}

fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Ask => "{model: \"qwen3:32b\", prompt: \"…\"}",
        Kind::Collect => "{search: 'kind:request', within: 24h}, {file: …} or {url: …}",
        Kind::Run => "{command: [echo, hello]}",
        Kind::Write => "{path: \"reports/{{ date }}.md\", text: \"…\"}",
        Kind::Send => "{channel: ops, subject: \"…\", text: \"…\"}",
        Kind::Approve => "{by: [ops], expires: 24h}",
        Kind::Wait => "{for: 10m}, {until: \"2026-01-27T08:00:00Z\"} or {collect: …, every: 1m, for: 1h}",
        Kind::Task => "{name: other-task, input: {…}}",
    }
}

/// The keys that stand under a kind's key, those that must be there first; and how many those are.
fn keys(kind: Kind) -> (&'static [&'static str], usize) {
    match kind {
        Kind::Ask => (&["model", "prompt", "system", "max_tokens", "temperature", "schema"], 2),
        Kind::Collect => (&["search", "within", "report", "forecast", "file", "url", "limit"], 0),
        Kind::Run => (&["command", "stdin", "env", "idempotent"], 1),
        Kind::Write => (&["path", "text"], 2),
        Kind::Send => (&["channel", "text", "subject"], 2),
        Kind::Approve => (&["by", "text", "expires", "default", "remind"], 0),
        Kind::Wait => (&["for", "until", "before", "collect", "every"], 0),
        Kind::Task => (&["name", "input"], 1),
    }
}

fn check_keys(d: &mut Decoder<'_>, node: &Node, kind: Kind) {
    let (keys, required) = keys(kind);
    d.section(node, |d, s| {
        for (at, key) in keys.iter().enumerate() {
            if s.get(key).is_none() && at < required {
                s.missing(d, key, example(kind));
            }
        }
    });
}

/// Whether the work could be read if its templates were filled in: what holds none must fit as it stands, and the rest is
/// taken for a text.
fn check_shape(d: &mut Decoder<'_>, node: &Node, kind: Kind, work: &Value) {
    let mut work = work.clone();
    if let Some(schema) = work.get("schema").filter(|schema| !schema.is_null())
        && let Err(error) = jsonschema::validator_for(schema)
    {
        let at = entries(node).iter().find(|entry| entry.name == "schema").map_or(node, |entry| &entry.value);
        d.wrong(at, Saying::Schema { error: error.to_string() }, Saying::ASchema {});
    }
    // A missing key is told already.
    let (keys, required) = keys(kind);
    if let Value::Object(members) = &mut work {
        members.retain(|key, value| keys.contains(&key.as_str()) && !value.is_null());
        for key in &keys[..required] {
            members.entry((*key).to_owned()).or_insert_with(|| match *key {
                "command" => Value::Array(Vec::new()),
                _ => Value::String(String::new()),
            });
        }
    }
    let mut wrapped = Map::new();
    wrapped.insert(kind.key().to_owned(), work);
    if let Err(error) = serde_json::from_value::<Work>(Value::Object(wrapped)) {
        d.wrong(node, Saying::Misshapen { error: error.to_string() }, expected(kind));
    }
}

/// Checks all texts below a node as templates.
fn templates(d: &mut Decoder<'_>, node: &Node, names: &[String], key: &str) {
    match &node.data {
        // What a schema says is no template: it may well hold braces.
        _ if key == "schema" => {}
        Data::Scalar { text, .. } => check_names(d, node, names, template::needs(text, false)),
        Data::List(items) => items.iter().for_each(|item| templates(d, item, names, key)),
        Data::Map(entries) => {
            for entry in entries {
                templates(d, &entry.value, names, &entry.name);
            }
        }
    }
}

fn expression(d: &mut Decoder<'_>, node: &Node, names: &[String]) -> Option<String> {
    let text = d.text(node, "an expression such as \"facts | length > 0\"")?.value;
    let trimmed = text.trim();
    let inside = trimmed.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")).unwrap_or(trimmed).trim();
    check_names(d, node, names, template::needs(inside, true));
    Some(inside.to_owned())
}

fn check_names(
    d: &mut Decoder<'_>,
    node: &Node,
    names: &[String],
    needs: Result<std::collections::HashSet<String>, String>,
) {
    let needs = match needs {
        Ok(needs) => needs.into_iter().collect::<BTreeSet<_>>(),
        Err(error) => return d.wrong(node, Saying::Template { error }, Saying::ATemplate {}),
    };
    // Functions that templates have by themselves.
    let builtin = ["range", "dict", "namespace", "debug", "lipsum"];
    for name in needs.iter().filter(|name| !names.contains(name) && !builtin.contains(&name.as_str())) {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let expected = CommonSaying::OneOf { names: known.join(", ") };
        d.unknown(node, name, &known, expected, Some(Saying::KnownAfter {}.into()));
    }
}

fn each(d: &mut Decoder<'_>, node: &Node, known: &[String]) -> Option<Each> {
    match &node.data {
        Data::Scalar { .. } => expression(d, node, known).map(Each::Of),
        Data::List(items) if items.len() > ITEMS_MAX => {
            let count = CommonSaying::CountStands { count: items.len(), things: "items".to_owned() };
            d.wrong(node, count, CommonSaying::AtMostThings { most: ITEMS_MAX, things: "items".to_owned() });
            None
        }
        Data::List(_) => match d.json(node)? {
            Value::Array(items) => Some(Each::Items(items)),
            _ => None,
        },
        Data::Map(_) => {
            d.wrong(node, CommonSaying::StandsMapping {}, "a list, or an expression that gives one");
            None
        }
    }
}

fn read_retries(d: &mut Decoder<'_>, node: &Node, retries: &mut Retries) {
    if let Data::Map(_) = node.data {
        d.section(node, |d, s| {
            s.set(d, "times", &mut retries.times, |d, node| d.count(node, RETRIES_MAX).map(|times| times as u32));
            s.set(d, "delay", &mut retries.delay, tollhouse_config::reading::Decoder::duration);
        });
    } else if let Some(times) = d.count(node, RETRIES_MAX) {
        retries.times = times as u32;
    }
}

/// What each key by itself cannot know.
fn refuse_unfitting(
    d: &mut Decoder<'_>,
    s: &mut Section<'_>,
    node: &Node,
    kind: Kind,
    work: &Value,
    task: &str,
    has_check: bool,
) {
    let has = |key: &str| work.get(key).is_some_and(|value| !value.is_null());
    let place = s.get(kind.key()).unwrap_or(node);
    match kind {
        Kind::Collect => {
            let sources = ["search", "forecast", "file", "url"].iter().filter(|key| has(key)).count();
            if sources > 1 || (sources == 0 && !has("report")) {
                d.wrong(place, Saying::Sources { count: sources }, Saying::OneSource {});
            }
        }
        Kind::Wait => {
            let looks = has("collect");
            if !(has("for") || has("until")) || (has("for") && has("until")) {
                d.wrong(place, "it is not said how long", "one of `for` and `until`");
            } else if looks && !has_check {
                d.wrong(
                    place,
                    "it is not said what is waited for",
                    "a `check` of the step, such as \"value | length > 0\"",
                );
            } else if has("before") && !has("until") {
                d.wrong(place, "there is no time that it is before", "`before` together with `until`");
            } else if has("every") && !looks {
                d.wrong(place, "nothing is looked at", "`every` together with `collect`");
            }
        }
        Kind::Task if work.get("name").and_then(Value::as_str) == Some(task) => {
            d.wrong(place, "a task cannot be a step of itself", "another task");
        }
        Kind::Approve if s.get("each").is_some() => {
            d.wrong(place, "a human is not asked item by item", "`approve` without `each`");
        }
        _ => {}
    }
}

fn timeout(d: &mut Decoder<'_>, node: &Node) -> Option<Duration> {
    let duration = at_least(d, node, Duration::from_secs(1))?;
    if duration > TIMEOUT_MAX {
        let most = tollhouse_units::format_duration(TIMEOUT_MAX);
        d.wrong(node, CommonSaying::TimeLong {}, CommonSaying::AtMostTime { most });
        return None;
    }
    Some(duration)
}

fn at_least(d: &mut Decoder<'_>, node: &Node, least: Duration) -> Option<Duration> {
    let duration = d.duration(node)?;
    if duration < least {
        let least = tollhouse_units::format_duration(least);
        d.wrong(node, CommonSaying::TimeShort {}, CommonSaying::AtLeastTime { least });
        return None;
    }
    Some(duration)
}

fn entries(node: &Node) -> &[Entry] {
    match &node.data {
        Data::Map(entries) => entries,
        Data::Scalar { .. } | Data::List(_) => &[],
    }
}

/// Whether a name can be one of a task (`-` and `.` allowed) or, where some are `reserved`, of a step.
fn check_name(name: &str, reserved: &[&str]) -> Result<(), Saying> {
    let is_step = !reserved.is_empty();
    // A step's name stands in templates, whose names are ASCII.
    let fits = |c: char| {
        if is_step {
            c.is_ascii_alphanumeric() || c == '_'
        } else {
            c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
        }
    };
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Saying::NameChars { most: NAME_CHARS_MAX });
    }
    if !name.chars().all(fits) || (is_step && !name.starts_with(char::is_alphabetic)) {
        return Err(Saying::NoName { name: shown(name) });
    }
    if reserved.contains(&name) {
        return Err(Saying::NameTaken { name: name.to_owned() });
    }
    Ok(())
}
