//! `supervise`: processes that the house starts and looks after.

use std::{collections::BTreeSet, time::Duration};

use tollhouse_units::parse_duration;

use super::{base_url, check_name, sources};
use crate::{
    config::{
        LineFormat, ReadyConfig, RestartPolicy, SourceConfig, StopSignalConfig, SuperviseConfig, UnitConfig,
        UnitManager, UpstreamConfig,
    },
    decode::{Decoder, Section},
    problem::{Problem, shown},
    saying::{Said, Saying},
    tree::Node,
};

/// Most processes.
const PROCESSES_MAX: usize = 64;
/// Most parts of one command.
const PARTS_MAX: usize = 256;
/// Most failures that are counted.
const FAILURES_MAX: u64 = 1_000;
/// Longest expression for a line.
const EXPRESSION_BYTES_MAX: usize = 1_000;
/// What stands as `ready`.
const READY: &str = "runs, notify, an address (http://127.0.0.1:11434/api/version), `port 8080`, or `line EXPRESSION`";
/// What stands as `memory.pressure`.
const PRESSURE: &str = "a share of the time from 1% to 100%, such as 40%";
/// What stands as `pause_after`.
const PAUSE: &str = "a number of failures and a time, such as \"5 in 10m\", or off";

/// Reads all processes. What they say are sources beside `sources`, and requests to `upstreams` may wait for them.
pub(super) fn processes(
    d: &mut Decoder<'_>,
    node: &Node,
    known_sources: &[SourceConfig],
    upstreams: &[UpstreamConfig],
) -> Option<Vec<SuperviseConfig>> {
    let entries = d.entries(node, "names with settings, such as ollama: {command: [ollama, serve]}")?;
    if entries.len() > PROCESSES_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: entries.len(), things: "processes".to_owned() },
            Saying::AtMost { most: PROCESSES_MAX as u64 },
        );
    }
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut processes = Vec::new();
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), "supervise", what);
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        let mut read = None;
        d.section(&entry.value, |d, s| read = process(d, s, &entry.name, &names, upstreams));
        let is_source = read.as_ref().is_some_and(|read| read.unit.is_none());
        if is_source && known_sources.iter().any(|source| source.name == entry.name) {
            let what = Said::filled("what `{}` says is a source of its name already", &[&entry.name]);
            d.problem(
                Problem::of(Some(entry.name_place), "supervise", what).expected("a name that is not among `sources`"),
            );
        }
        processes.extend(read);
    }
    no_circle(d, node, &processes);
    Some(processes)
}

fn process(
    d: &mut Decoder<'_>,
    s: &mut Section<'_>,
    name: &str,
    names: &[&str],
    upstreams: &[UpstreamConfig],
) -> Option<SuperviseConfig> {
    let mut read = SuperviseConfig::new(name, Vec::new());
    let is_known = if let Some(node) = s.get("unit") {
        read.unit = unit(d, s, node);
        read.unit.is_some()
    } else {
        own(d, s, &mut read)
    };
    s.set(d, "restart", &mut read.restart, |d, node| d.word(node, &RestartPolicy::WORDS));
    s.set(d, "delay", &mut read.delay, Decoder::duration);
    // A longer first wait is never cut.
    read.delay_max = read.delay_max.max(read.delay);
    s.set(d, "delay_max", &mut read.delay_max, Decoder::duration);
    s.set(d, "no_restart", &mut read.final_codes, |d, node| {
        d.list(node, "a list of exit codes, such as [78]", |d, node| {
            d.count(node, u64::from(u8::MAX)).map(|code| code as u8)
        })
    });
    s.set(d, "ready", &mut read.ready, |d, node| {
        let read_ready = d.parsed(node, READY, ready)?;
        if read.unit.is_some() && matches!(read_ready, ReadyConfig::Line(_) | ReadyConfig::Notify) {
            d.wrong(node, "that is between a unit and systemd", "runs, an address, or `port 8080`");
            return None;
        }
        Some(read_ready)
    });
    s.set(d, "start", &mut read.start, Decoder::duration);
    if let Some(node) = s.get("live") {
        read.live = live(d, node);
    }
    s.set(d, "drain", &mut read.drain, Decoder::duration);
    s.set(d, "pause_after", &mut read.pause_after, |d, node| d.parsed(node, PAUSE, pause_after));
    s.set(d, "critical", &mut read.critical, Decoder::bool);
    s.set(d, "remind", &mut read.remind, Decoder::duration);
    s.set(d, "needs", &mut read.needs, |d, node| {
        let others: Vec<&str> = names.iter().copied().filter(|other| *other != name).collect();
        d.list(node, "a list of names of other processes", |d, node| {
            d.name_of(node, &others).map(|index| others[index].to_owned())
        })
    });
    read.upstreams = own_upstreams(name, &read.ready, upstreams);
    s.set(d, "upstreams", &mut read.upstreams, |d, node| {
        let known: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        d.list(node, "a list of names of upstreams", |d, node| {
            d.name_of(node, &known).map(|index| known[index].to_owned())
        })
    });
    s.section(d, "memory", |d, s| {
        s.set_some(d, "soft", &mut read.memory_soft, Decoder::bytes);
        s.set_some(d, "hard", &mut read.memory_hard, Decoder::bytes);
        s.set_some(d, "pressure", &mut read.memory_pressure, |d, node| d.parsed(node, PRESSURE, pressure));
    });
    if let Some(node) = s.get("stalled") {
        read.stalled = if d.is_word(node, "off") { None } else { d.duration(node).or(read.stalled) };
    }
    is_known.then_some(read)
}

/// What there is to say of a process that the house starts itself; whether it is known which one.
fn own(d: &mut Decoder<'_>, s: &mut Section<'_>, read: &mut SuperviseConfig) -> bool {
    let expected =
        "a list of a program and its arguments, such as [ollama, serve], or `unit: ollama.service` in its place";
    let command = s.require(d, "command", expected, |d, node| {
        let parts = d.list(node, expected, |d, node| d.text(node, "a text").map(|text| text.value))?;
        if parts.is_empty() || parts.len() > PARTS_MAX {
            d.wrong(
                node,
                Saying::CountStands { count: parts.len(), things: "parts".to_owned() },
                Saying::OneToThings { most: PARTS_MAX, things: "parts".to_owned() },
            );
            return None;
        }
        Some(parts)
    });
    s.set(d, "env", &mut read.env, |d, node| {
        let entries = d.entries(node, "names of variables with their values")?;
        Some(entries.iter().filter_map(|entry| Some((entry.name.clone(), d.secret(&entry.value)?))).collect())
    });
    s.set_some(d, "directory", &mut read.directory, Decoder::path);
    s.set_some(d, "user", &mut read.user, |d, node| d.text(node, "the name of a user").map(|text| text.value));
    s.set(d, "stop", &mut read.stop, Decoder::duration);
    s.set(d, "signal", &mut read.signal, |d, node| d.word(node, &StopSignalConfig::WORDS));
    s.section(d, "limits", |d, s| {
        s.set_some(d, "files", &mut read.files_max, |d, node| d.count(node, u64::from(u32::MAX)));
        s.set_some(d, "processes", &mut read.processes_max, |d, node| d.count(node, u64::from(u32::MAX)));
    });
    s.set(d, "format", &mut read.format, |d, node| d.word(node, &LineFormat::WORDS));
    s.set(d, "adopt", &mut read.adopt, Decoder::bool);
    let is_known = command.is_some();
    read.command = command.unwrap_or_default();
    is_known
}

/// What there is to say of a unit of systemd. What its own file says is not said a second time.
fn unit(d: &mut Decoder<'_>, s: &mut Section<'_>, node: &Node) -> Option<UnitConfig> {
    for key in ["command", "env", "directory", "user", "stop", "signal", "limits", "format", "adopt"] {
        if let Some(node) = s.get(key) {
            let what = Said::filled("systemd starts and ends this unit, so `{}` has no meaning here", &[&key]);
            d.wrong_hint(
                node,
                what,
                "no such key",
                "`systemctl edit` says it to the unit itself, `sources` collects its lines",
            );
        }
    }
    let mut manager = UnitManager::default();
    s.set(d, "manager", &mut manager, |d, node| d.word(node, &UnitManager::WORDS));
    let name = sources::unit(d, node)?;
    if name.contains(['*', '?', '[', ']', '!']) || !name.contains('.') {
        d.wrong(
            node,
            Said::filled("`{}` is not the name of one unit", &[&shown(&name)]),
            "a whole name, such as ollama.service",
        );
        return None;
    }
    Some(UnitConfig { name, manager })
}

fn ready(text: &str) -> Result<ReadyConfig, Said> {
    match text.split_once(' ').map_or((text, ""), |(word, rest)| (word, rest.trim())) {
        ("runs", "") => Ok(ReadyConfig::Runs),
        ("notify", "") => Ok(ReadyConfig::Notify),
        ("port", port) => match port.parse() {
            Ok(port) if port > 0 => Ok(ReadyConfig::Port(port)),
            _ => Err(Said::filled("`{}` is not a port", &[&shown(port)])),
        },
        ("line", "") => Err(Said::from("no expression stands behind `line`")),
        ("line", expression) if expression.len() > EXPRESSION_BYTES_MAX => {
            Err(Said::from("the expression is too long"))
        }
        ("line", expression) => Ok(ReadyConfig::Line(expression.to_owned())),
        (url, "") if url.starts_with("http://") => base_url(url).map(|_| ReadyConfig::Http(url.to_owned())),
        (url, "") if url.starts_with("https://") => Err(Said::from("a process of this machine is asked without TLS")),
        _ => Err(Said::filled("`{}` is not known here", &[&shown(text)])),
    }
}

/// `40%`.
fn pressure(text: &str) -> Result<u32, Said> {
    let percent = text.strip_suffix('%').and_then(|percent| percent.trim().parse().ok());
    percent
        .filter(|percent| (1..=100).contains(percent))
        .ok_or_else(|| Said::filled("`{}` is not known here", &[&shown(text)]))
}

/// `off`, or how often and how often in vain.
fn live(d: &mut Decoder<'_>, node: &Node) -> Option<(Duration, u32)> {
    if d.is_word(node, "off") {
        return None;
    }
    let (mut every, mut failures) = (Duration::from_secs(10), 3);
    d.section(node, |d, s| {
        s.set(d, "every", &mut every, Decoder::duration);
        s.set(d, "failures", &mut failures, |d, node| d.count(node, FAILURES_MAX).map(|count| count as u32));
    });
    Some((every, failures))
}

/// `5 in 10m`, or `off`.
fn pause_after(text: &str) -> Result<Option<(u32, Duration)>, Said> {
    if text == "off" {
        return Ok(None);
    }
    let (count, within) = text.split_once(" in ").ok_or("it is not a number, `in` and a time")?;
    let within = parse_duration(within.trim())?;
    match count.trim().parse::<u32>() {
        Ok(count) if count > 0 && u64::from(count) <= FAILURES_MAX && !within.is_zero() => Ok(Some((count, within))),
        _ => Err(Said::filled("`{}` is not a number of failures from 1 to {}", &[&shown(count), &FAILURES_MAX])),
    }
}

/// Those of its name, and those at whose address it says that it is ready.
fn own_upstreams(name: &str, ready: &ReadyConfig, upstreams: &[UpstreamConfig]) -> Vec<String> {
    let place = |url: &str| {
        let uri: http::Uri = url.parse().ok()?;
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = if host == "localhost" || host == "::1" { "127.0.0.1".to_owned() } else { host };
        Some((host, uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })))
    };
    let own = match ready {
        ReadyConfig::Http(url) => place(url),
        ReadyConfig::Port(port) => Some(("127.0.0.1".to_owned(), *port)),
        ReadyConfig::Runs | ReadyConfig::Line(_) | ReadyConfig::Notify => None,
    };
    let is_own = |upstream: &&UpstreamConfig| upstream.name == name || (own.is_some() && place(&upstream.url) == own);
    upstreams.iter().filter(is_own).map(|upstream| upstream.name.clone()).collect()
}

/// Processes that need each other would never start.
fn no_circle(d: &mut Decoder<'_>, node: &Node, processes: &[SuperviseConfig]) {
    let mut startable: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = startable.len();
        for process in processes {
            if process.needs.iter().all(|need| startable.contains(need.as_str())) {
                startable.insert(&process.name);
            }
        }
        if startable.len() == before {
            break;
        }
    }
    let stuck: Vec<&str> =
        processes.iter().map(|process| process.name.as_str()).filter(|name| !startable.contains(name)).collect();
    // One whose need is wrong is told already.
    let is_known = |name: &String| processes.iter().any(|process| process.name == *name);
    if !stuck.is_empty() && processes.iter().all(|process| process.needs.iter().all(is_known)) {
        d.wrong(node, Said::filled("these wait for each other: {}", &[&stuck.join(", ")]), "`needs` without a circle");
    }
}
