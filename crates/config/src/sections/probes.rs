//! `probes`: what is looked after, and how often.

use std::{path::Path, time::Duration};

use super::base_url;
use crate::{
    config::{
        CertificatePlace, CertificateProbe, ClockProbe, DiskProbe, GpuProbe, HttpProbe, MemoryProbe, ModelProbe,
        ProbesConfig, ProcessProbe, QualityProbe, UpstreamConfig,
    },
    decode::{Decoder, Section},
    problem::shown,
    saying::{Said, Saying},
    tree::{Data, Node},
};

/// Most probes of one kind.
const PROBES_MAX: usize = 200;
/// How often a test may be asked in one run.
const SAMPLES_MAX: u64 = 100;
/// What a model is asked where nothing is said.
const PROMPT: &str = "Answer with one word: what is the capital of France?";
/// How long a model may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const QUALITY_EVERY: Duration = Duration::from_secs(6 * 3600);
const CERTIFICATE_EVERY: Duration = Duration::from_secs(24 * 3600);
const CERTIFICATE_BEFORE: Duration = Duration::from_secs(21 * 24 * 3600);
const CLOCK_ABOVE: Duration = Duration::from_secs(2);
/// What a URL has to be.
const URL: &str = "an address such as http://127.0.0.1:8080/health";

/// Reads the section; what it does not say is as it is for everybody.
pub(super) fn probes(
    d: &mut Decoder<'_>,
    node: Option<&Node>,
    upstreams: &[UpstreamConfig],
    data_dir: &Path,
) -> ProbesConfig {
    let mut probes = ProbesConfig::first(upstreams, data_dir);
    let Some(node) = node else { return probes };
    if !matches!(node.data, Data::Map(_)) {
        if let Some(on) = d.word(node, &[("on", true), ("off", false)]) {
            probes.on = on;
        }
        return probes;
    }
    d.section(node, |d, s| {
        let mut every = probes.every;
        s.set(d, "every", &mut every, Decoder::duration);
        probes = ProbesConfig::defaults(every, upstreams, data_dir);
        s.set(d, "on", &mut probes.on, Decoder::bool);
        let list = "a list of probes";
        s.set(d, "processes", &mut probes.processes, |d, node| {
            bounded(d, node, "such as {name: ollama, port: 11434}", |d, s| process(d, s, every))
        });
        s.set(d, "models", &mut probes.models, |d, node| {
            bounded(d, node, "such as {model: \"qwen3:32b\", prompt: \"1+1=\", expect: [\"2\"]}", |d, s| {
                model(d, s, every)
            })
        });
        unless_off(d, s.get("quality"), &mut probes.quality, quality);
        s.set(d, "disks", &mut probes.disks, |d, node| {
            bounded(d, node, "such as {path: /, above: 90%}", |d, s| disk(d, s, every))
        });
        s.set(d, "http", &mut probes.http, |d, node| bounded(d, node, list, |d, s| http(d, s, every)));
        s.set(d, "certificates", &mut probes.certificates, |d, node| {
            bounded(d, node, "such as {host: ai.example.com}", certificate)
        });
        unless_off(d, s.get("gpu"), &mut probes.gpu, |d, s| Some(gpu(d, s, every)));
        unless_off(d, s.get("memory"), &mut probes.memory, |d, s| Some(memory(d, s, every)));
        unless_off(d, s.get("clock"), &mut probes.clock, |d, s| Some(clock(d, s, every)));
    });
    if let (Some(quality), [], Some(node)) = (&probes.quality, &probes.models[..], node_of(node, "quality"))
        && quality.model.is_none()
    {
        d.wrong(node, "nobody says which model is tested", "`model`, or a model in `probes.models`");
    }
    probes
}

fn node_of<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    node.entries()?.iter().find(|entry| entry.name == name).map(|entry| &entry.value)
}

/// A list of mappings.
fn bounded<T>(
    d: &mut Decoder<'_>,
    node: &Node,
    expected: &str,
    mut read: impl FnMut(&mut Decoder<'_>, &mut Section<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let read = d.list(node, Said::filled("a list of probes, {}", &[&expected]), |d, node| {
        let mut probe = None;
        d.section(node, |d, s| probe = read(d, s));
        probe
    })?;
    if read.len() > PROBES_MAX {
        d.wrong(
            node,
            Saying::CountStands { count: read.len(), things: "probes".to_owned() },
            Saying::AtMost { most: PROBES_MAX as u64 },
        );
    }
    Some(read)
}

/// A mapping, or `off`.
fn unless_off<T>(
    d: &mut Decoder<'_>,
    node: Option<&Node>,
    target: &mut Option<T>,
    read: impl FnOnce(&mut Decoder<'_>, &mut Section<'_>) -> Option<T>,
) {
    let Some(node) = node else { return };
    *target = None;
    if !d.is_word(node, "off") {
        d.section(node, |d, s| *target = read(d, s));
    }
}

fn process(d: &mut Decoder<'_>, s: &mut Section<'_>, every: Duration) -> Option<ProcessProbe> {
    let name = s.require(d, "name", "a name, such as ollama", name);
    let mut process = name.clone();
    s.set(d, "process", &mut process, |d, node| {
        let is_off = d.is_word(node, "off");
        if is_off { Some(None) } else { d.text(node, "the name of a process, or off").map(|text| Some(text.value)) }
    });
    let mut host = "127.0.0.1".to_owned();
    s.set(d, "host", &mut host, super::host);
    let mut port = None;
    s.set_some(d, "port", &mut port, port_of);
    let base = port.map(|port| format!("http://{}:{port}", bracketed(&host)));
    let (mut health, mut ready) = (None, None);
    s.set_some(d, "health", &mut health, |d, node| place(d, node, base.as_deref()));
    s.set_some(d, "ready", &mut ready, |d, node| place(d, node, base.as_deref()));
    let (mut every, mut within) = (every, ProcessProbe::WITHIN);
    times(d, s, &mut every, Some(&mut within));
    if process.is_none() && port.is_none() && health.is_none() && ready.is_none() {
        s.missing(d, "port", "a port, or `health`: nothing else is looked at");
    }
    // A process of another machine cannot be seen.
    let is_here = matches!(host.as_str(), "127.0.0.1" | "localhost" | "::1");
    Some(ProcessProbe { name: name?, process: process.filter(|_| is_here), host, port, health, ready, every, within })
}

fn model(d: &mut Decoder<'_>, s: &mut Section<'_>, every: Duration) -> Option<ModelProbe> {
    let model = s.require(d, "model", "the name of a model, such as qwen3:32b", name);
    let (mut prompt, mut expect, mut ttft_above) = (PROMPT.to_owned(), None, None);
    s.set(d, "prompt", &mut prompt, |d, node| d.text(node, "what the model is asked").map(|text| text.value));
    s.set_some(d, "expect", &mut expect, |d, node| {
        d.list(node, "a list of words, such as [\"2\", \"two\"]", |d, node| {
            d.text(node, "a word").map(|text| text.value)
        })
    });
    s.set_some(d, "ttft_above", &mut ttft_above, Decoder::duration);
    let (mut every, mut within) = (every, ANSWER_WITHIN);
    times(d, s, &mut every, Some(&mut within));
    Some(ModelProbe { model: model?, prompt, expect: expect.unwrap_or_default(), ttft_above, every, within })
}

fn quality(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<QualityProbe> {
    let file = s.require(d, "file", "the file of the tests, such as reasoning_tests.json", Decoder::path);
    let (mut model, mut judge, mut samples, mut baseline) = (None, None, 3, 10);
    s.set_some(d, "model", &mut model, name);
    s.set_some(d, "judge", &mut judge, name);
    s.set(d, "samples", &mut samples, |d, node| d.count(node, SAMPLES_MAX).map(|count| count as u32));
    s.set(d, "baseline", &mut baseline, |d, node| d.count(node, SAMPLES_MAX).map(|count| count as u32));
    let (mut every, mut within) = (QUALITY_EVERY, ANSWER_WITHIN);
    times(d, s, &mut every, Some(&mut within));
    Some(QualityProbe { file: file?, model, judge, samples, baseline, every, within })
}

fn disk(d: &mut Decoder<'_>, s: &mut Section<'_>, every: Duration) -> Option<DiskProbe> {
    let path = s.require(d, "path", "a path, such as /", Decoder::path)?;
    let mut disk = DiskProbe::new(path, every);
    s.set(d, "above", &mut disk.above, percent);
    s.set(d, "inodes_above", &mut disk.inodes_above, percent);
    s.set(d, "full_within", &mut disk.full_within, Decoder::duration);
    times(d, s, &mut disk.every, None);
    Some(disk)
}

fn http(d: &mut Decoder<'_>, s: &mut Section<'_>, every: Duration) -> Option<HttpProbe> {
    let url = s.require(d, "url", URL, |d, node| place(d, node, None));
    let (mut named, mut expect, mut status) = (url.clone().unwrap_or_default(), None, None);
    s.set(d, "name", &mut named, name);
    s.set_some(d, "expect", &mut expect, |d, node| {
        d.text(node, "a text that the answer has to have").map(|text| text.value)
    });
    s.set_some(d, "status", &mut status, |d, node| {
        d.parsed(node, "a status, such as 204", |text| match text.parse::<u16>() {
            Ok(status) if (100..600).contains(&status) => Ok(status),
            _ => Err(Said::filled("`{}` is not a status", &[&shown(text)])),
        })
    });
    let (mut every, mut within) = (every, ProcessProbe::WITHIN);
    times(d, s, &mut every, Some(&mut within));
    Some(HttpProbe { name: named, url: url?, expect, status, every, within })
}

fn certificate(d: &mut Decoder<'_>, s: &mut Section<'_>) -> Option<CertificateProbe> {
    let (host, file) = (s.get("host"), s.get("file"));
    let (mut port, mut server_name) = (443, None);
    s.set(d, "port", &mut port, port_of);
    s.set_some(d, "server_name", &mut server_name, super::host);
    let (mut named, place) = match (host, file) {
        (Some(node), None) => {
            let host = super::host(d, node);
            let named = host.as_ref().map(|host| if port == 443 { host.clone() } else { format!("{host}:{port}") });
            (named, host.map(|host| CertificatePlace::Served { host, port, server_name }))
        }
        (None, Some(node)) => {
            let path = d.path(node);
            let named = path.as_ref().map(|path| path.to_string_lossy().into_owned());
            (named, path.map(CertificatePlace::File))
        }
        (Some(_), Some(node)) => {
            d.wrong(node, "`host` stands here already", "one of `host` and `file`");
            (None, None)
        }
        (None, None) => {
            s.missing(d, "host", "a host name such as ai.example.com (or `file`)");
            (None, None)
        }
    };
    s.set_some(d, "name", &mut named, name);
    let (mut ca, mut before, mut every) = (None, CERTIFICATE_BEFORE, CERTIFICATE_EVERY);
    s.set_some(d, "ca", &mut ca, Decoder::path);
    s.set(d, "before", &mut before, Decoder::duration);
    times(d, s, &mut every, None);
    Some(CertificateProbe { name: named?, place: place?, ca, before, every })
}

fn gpu(d: &mut Decoder<'_>, s: &mut Section<'_>, every: Duration) -> GpuProbe {
    let mut gpu = GpuProbe::new(every);
    s.set(d, "memory_above", &mut gpu.memory_above, percent);
    s.set(d, "temperature_above", &mut gpu.temperature_above, degrees);
    s.set(d, "busy_above", &mut gpu.busy_above, percent);
    times(d, s, &mut gpu.every, None);
    gpu
}

fn memory(d: &mut Decoder<'_>, s: &mut Section<'_>, every: Duration) -> MemoryProbe {
    let mut memory = MemoryProbe::new(every);
    s.set(d, "above", &mut memory.above, percent);
    s.set(d, "psi_above", &mut memory.psi_above, percent);
    times(d, s, &mut memory.every, None);
    memory
}

fn clock(d: &mut Decoder<'_>, s: &mut Section<'_>, every: Duration) -> ClockProbe {
    let expected = "a list of addresses whose `Date` tells the time";
    let (mut urls, mut above, mut every) = (Vec::new(), CLOCK_ABOVE, every);
    s.set(d, "urls", &mut urls, |d, node| d.list(node, expected, |d, node| place(d, node, None)));
    s.set(d, "above", &mut above, Decoder::duration);
    times(d, s, &mut every, None);
    ClockProbe { urls, above, every }
}

fn times(d: &mut Decoder<'_>, s: &mut Section<'_>, every: &mut Duration, within: Option<&mut Duration>) {
    s.set(d, "every", every, Decoder::duration);
    if let Some(within) = within {
        s.set(d, "within", within, Decoder::duration);
    }
}

/// The name of a probe: any short text, as it stands in records.
fn name(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    const NAME_CHARS_MAX: usize = 200;
    let name = d.text(node, "a name")?.value;
    if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        d.wrong(
            node,
            "this is no name",
            Saying::AtMostThings { most: NAME_CHARS_MAX, things: "characters in one line".to_owned() },
        );
        return None;
    }
    Some(name)
}

fn port_of(d: &mut Decoder<'_>, node: &Node) -> Option<u16> {
    d.count(node, u64::from(u16::MAX)).map(|port| port as u16)
}

/// A URL, or a path below `base`.
fn place(d: &mut Decoder<'_>, node: &Node, base: Option<&str>) -> Option<String> {
    let expected = if base.is_some() { "a path such as /healthz, or an address" } else { URL };
    d.parsed(node, expected, |text| match base {
        Some(base) if text.starts_with('/') => Ok(format!("{base}{text}")),
        _ => {
            // What is behind a `?` belongs to the address here.
            base_url(text.split('?').next().unwrap_or(text)).map(|_| text.to_owned())
        }
    })
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// A share from 0% to 100%.
pub(super) fn percent(d: &mut Decoder<'_>, node: &Node) -> Option<f64> {
    d.parsed(node, "a share such as 90%", |text| {
        let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
        number
            .ok()
            .filter(|percent| (0.0..=100.0).contains(percent))
            .ok_or_else(|| Said::filled("`{}` is not a share from 0% to 100%", &[&shown(text)]))
    })
}

fn degrees(d: &mut Decoder<'_>, node: &Node) -> Option<f64> {
    d.parsed(node, "degrees Celsius, such as 85", |text| {
        let number = text.trim().trim_end_matches("°C").trim_end().parse::<f64>();
        number
            .ok()
            .filter(|degrees| degrees.is_finite())
            .ok_or_else(|| Said::filled("`{}` is not a number", &[&shown(text)]))
    })
}
