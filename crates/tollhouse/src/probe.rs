//! `tollhouse probe`: the configured checks, once, with or without a running house.
//!
//! Models are asked at their servers, not through the gate; nothing is recorded. What checks keep between runs is shared with
//! the house: a run here counts for a baseline as one there does.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tollhouse_config::Config;
use tollhouse_dialect::{Api, Event, JsonLimits};
use tollhouse_probe::{About, Boxed, Kind, Models, Outcome, Prepared, Question, Report, Spoken, Teller, Unasked};
use tollhouse_state::State;
use tollhouse_upstream::{Context as RequestContext, Upstreams};

use crate::cli::ProbeArgs;
use crate::probing::{self, Asking, JournalBook, body};
use crate::{say, wiring};

/// Exit status where something of no other kind is not well.
const OTHERS: u8 = 5;

/// Runs the command; its exit status says what is not well.
pub(crate) async fn probe(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    if args.quality && config.probes.quality.is_none() {
        bail!(
            "the configuration has no quality tests; name their file: probes: {{quality: {{file: reasoning_tests.json}}}}"
        );
    }
    let state = State::open(&config.data_dir).await?;
    let specs = probing::specs(&config.probes);
    let prepared = spawn_blocking(move || Prepared::new(specs)).await?.context("preparing the probes (`probes`)")?;
    if args.new_baseline {
        for id in prepared.ids(Kind::Quality) {
            state.forget_for_probe(id).await?;
        }
    }
    let models = Direct::new(&config)?;
    let book = JournalBook { state: state.clone(), journal: None };
    let wants = |kind| args.quality || kind != Kind::Quality;
    let mut shown = Shown::new(args.json);
    prepared.run_once(&models, &book, wants, |report| shown.add(report)).await;
    state.close().await;
    shown.end()?;
    Ok(ExitCode::from(exit_status(&shown.reports)))
}

/// The lowest of the kinds that are not well: a program that is down explains the rest.
fn exit_status(reports: &[Report]) -> u8 {
    let of = |kind| match kind {
        Kind::Process => 1,
        Kind::Model => 2,
        Kind::Disk => 3,
        Kind::Quality => 4,
        Kind::Http | Kind::Certificate | Kind::Gpu | Kind::Memory | Kind::Clock => OTHERS,
    };
    reports.iter().filter(|report| report.finding.outcome.is_bad()).map(|report| of(report.kind)).min().unwrap_or(0)
}

/// What was found so far.
struct Shown {
    as_json: bool,
    colours: bool,
    reports: Vec<Report>,
}

impl Shown {
    fn new(as_json: bool) -> Self {
        Self { as_json, colours: std::io::stdout().is_terminal(), reports: Vec::new() }
    }

    fn add(&mut self, report: &Report) {
        if !self.as_json {
            if self.reports.is_empty() {
                show("STATUS   KIND         NAME                      TIME  FOUND");
            }
            show(&row(report, self.colours));
        }
        self.reports.push(report.clone());
    }

    fn end(&self) -> anyhow::Result<()> {
        let worst = self.reports.iter().map(|report| report.finding.outcome).max().unwrap_or(Outcome::Ok);
        if self.as_json {
            let status = if worst.is_bad() { worst } else { Outcome::Ok };
            let results: Vec<Value> = self.reports.iter().map(result).collect();
            return say(&format!("{:#}\n", json!({"status": status.as_str(), "results": results})));
        }
        let bad = self.reports.iter().filter(|report| report.finding.outcome.is_bad()).count();
        match (self.reports.len(), bad) {
            (0, _) => say("nothing is to be checked (`probes`)\n"),
            (all, 0) => say(&format!("all {all} checks are well\n")),
            (all, bad) => say(&format!("{bad} of {all} checks are not well\n")),
        }
    }
}

/// A row is shown when its check has run: the next may take minutes.
fn show(line: &str) {
    let mut out = std::io::stdout();
    // Whoever reads no more has read enough; the exit status still tells.
    let _: std::io::Result<()> = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn result(report: &Report) -> Value {
    let finding = &report.finding;
    json!({
        "kind": report.kind.as_str(), "name": report.probe, "status": finding.outcome.as_str(), "found": finding.found(),
        "duration_ms": report.duration_ms, "fields": finding.fields,
    })
}

fn row(report: &Report, colours: bool) -> String {
    let outcome = report.finding.outcome;
    let (on, off) = match outcome {
        _ if !colours => ("", ""),
        Outcome::Ok => ("\x1b[32m", "\x1b[0m"),
        Outcome::Skipped => ("\x1b[2m", "\x1b[0m"),
        Outcome::Warn => ("\x1b[33m", "\x1b[0m"),
        Outcome::Fault => ("\x1b[31m", "\x1b[0m"),
    };
    let name: String = report.probe.chars().take(22).collect();
    let time = if report.duration_ms < 1e3 {
        format!("{:.0} ms", report.duration_ms)
    } else {
        format!("{:.1} s", report.duration_ms / 1e3)
    };
    // What another program said must not move the cursor.
    let found: String = report.finding.found().chars().filter(|c| !c.is_control()).collect();
    format!("{on}{:<7}{off}  {:<11}  {name:<22}  {time:>6}  {found}", outcome.as_str(), report.kind.as_str())
}

/// Asks models at their servers.
#[derive(Debug)]
struct Direct {
    upstreams: Upstreams,
    teller: Teller,
    asking: Asking,
    urls: Vec<(String, String)>,
}

impl Direct {
    fn new(config: &Config) -> anyhow::Result<Self> {
        let (specs, models, settings) = wiring::upstreams(config);
        let urls = specs.iter().filter(|spec| spec.kind == tollhouse_upstream::Kind::Ollama);
        let urls = urls.map(|spec| (spec.name.clone(), spec.url.clone())).collect();
        let upstreams = Upstreams::new(specs, models, settings).context("preparing the model servers")?;
        let teller = Teller::new().context("preparing the probes")?;
        Ok(Self { upstreams, teller, asking: Asking::of(config), urls })
    }

    async fn speak(&self, question: &Question) -> Result<Spoken, String> {
        let limits = JsonLimits { depth: 64, messages: 1 };
        let body = body(question).to_string();
        let mut request = Api::OpenAiChat.parse(body.as_bytes(), &limits).map_err(|error| error.to_string())?;
        let model = self.upstreams.resolve(&question.model).await.ok_or("no model server has this model")?;
        request.model = model.name;
        let began = Instant::now();
        let asked = self.upstreams.chat(Arc::new(request), RequestContext::default()).await;
        let mut events = asked.map_err(|error| error.to_string())?.answer;
        let (mut spoken, mut calls) = (Spoken::default(), Vec::<(u32, String, String)>::new());
        let (mut first, mut last) = (None, None);
        while let Some(more) = events.next().await {
            for event in more.map_err(|error| error.to_string())? {
                let is_token = take(event, &mut spoken, &mut calls)?;
                if is_token {
                    let now = Instant::now();
                    first.get_or_insert(now);
                    last = Some(now);
                }
            }
        }
        let call = |(_, name, arguments): (u32, String, String)| {
            (name, serde_json::from_str(&arguments).unwrap_or_else(|_| Value::Object(Map::new())))
        };
        spoken.calls = calls.into_iter().map(call).collect();
        spoken.ttft = first.map(|first| first - began);
        let span = first.zip(last).map(|(first, last)| (last - first).as_secs_f64());
        let measured = span.zip(spoken.output_tokens).filter(|(span, tokens)| *span > 0.0 && *tokens > 1);
        spoken.tokens_per_second = measured.map(|(span, tokens)| (tokens - 1) as f64 / span);
        Ok(spoken)
    }
}

/// Takes up one event; whether it was a token.
fn take(event: Event, spoken: &mut Spoken, calls: &mut Vec<(u32, String, String)>) -> Result<bool, String> {
    match event {
        Event::Text(text) => spoken.text.push_str(&text),
        Event::Thinking(_) => spoken.thought = true,
        Event::ToolCall { index, name, arguments, .. } => match calls.iter_mut().find(|call| call.0 == index) {
            Some(call) => {
                call.1.push_str(&name.unwrap_or_default());
                call.2.push_str(&arguments);
            }
            None => calls.push((index, name.unwrap_or_default(), arguments)),
        },
        Event::Usage(usage) => {
            spoken.output_tokens = Some(usage.output_tokens);
            return Ok(false);
        }
        Event::Error(error) => return Err(error),
        _ => return Ok(false),
    }
    Ok(true)
}

impl Models for Direct {
    fn ask<'a>(&'a self, question: &'a Question) -> Boxed<'a, Result<Spoken, Unasked>> {
        Box::pin(async move { self.speak(question).await.map_err(Unasked::Failed) })
    }

    fn about<'a>(&'a self, model: &'a str) -> Boxed<'a, About> {
        Box::pin(async move {
            let upstream = self.upstreams.resolve(model).await.map(|found| found.upstream);
            let url = self.urls.iter().find(|(name, _)| Some(name) == upstream.as_ref()).map(|(_, url)| url);
            let about = match url {
                Some(url) => self.teller.ollama(url, model).await,
                None => About::default(),
            };
            About { options: Some(self.asking.options(model)), ..about }
        })
    }
}

#[cfg(test)]
mod tests {
    use tollhouse_probe::{Finding, Said};

    use super::*;

    fn report(kind: Kind, outcome: Outcome) -> Report {
        Report {
            probe: "p".to_owned(),
            kind,
            finding: Finding::new(outcome, Said::words("so\x1b[2J")),
            duration_ms: 1234.0,
        }
    }

    #[test]
    fn the_exit_status_names_the_lowest_layer_that_is_not_well() {
        use Outcome::{Fault, Ok, Skipped, Warn};
        for (reports, status) in [
            (&[][..], 0),
            (&[(Kind::Process, Ok), (Kind::Model, Skipped)], 0),
            (&[(Kind::Process, Fault), (Kind::Model, Fault)], 1),
            (&[(Kind::Model, Fault), (Kind::Disk, Warn)], 2),
            (&[(Kind::Disk, Warn), (Kind::Quality, Fault)], 3),
            (&[(Kind::Quality, Fault), (Kind::Certificate, Fault)], 4),
            (&[(Kind::Certificate, Warn)], 5),
            (&[(Kind::Http, Fault)], 5),
        ] {
            let reports: Vec<Report> = reports.iter().map(|(kind, outcome)| report(*kind, *outcome)).collect();
            assert_eq!(exit_status(&reports), status, "{reports:?}");
        }
    }

    #[test]
    fn rows_are_plain_where_nobody_sees_colours() {
        let told = row(&report(Kind::Disk, Outcome::Warn), false);
        assert_eq!(told, "warn     disk         p                        1.2 s  so[2J");
        assert!(row(&report(Kind::Disk, Outcome::Fault), true).starts_with("\x1b[31mfault"));
    }
}
