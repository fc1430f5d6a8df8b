//! `alerts` and `reports`: of which records what is told, and when.

use std::time::Duration;

use jiff::civil::Time;

use super::check_name;
use crate::{
    config::{
        AlertConfig, AlertMeasure, AlertOrigin, AlertSeverity, ChannelConfig, EscalateConfig, QuietConfig,
        ReportConfig, ReportKind,
    },
    decode::{Decoder, Section},
    problem::{Problem, shown},
    saying::{Said, Saying},
    tree::{Data, Entry, Node},
};

/// What can be measured, by its key.
const MEASURES: [&str; 8] = ["count", "sum", "average", "percentile", "ratio", "absence", "latest", "bad"];
/// What else a file may say of where the limit of a measure stands.
const BOUNDS: [&str; 3] = ["above", "below", "deviation"];
/// Rules that one rule may need.
const NEEDS_MAX: usize = 20;
/// So far back is looked for what is usual.
const BASELINE_MIN: Duration = Duration::from_secs(24 * 3600);
const BASELINE_MAX: Duration = Duration::from_secs(35 * 24 * 3600);
/// A time line reaches at most so far.
const AROUND_MAX: Duration = Duration::from_secs(3600);
/// Most reports, and rows of each table of one.
const REPORTS_MAX: usize = 20;
const ROWS_MAX: u64 = 50;
/// Most rules.
const RULES_MAX: usize = 200;
/// A budget is of so long, and how long where nothing is said.
const OVER_MIN: Duration = Duration::from_secs(7 * 24 * 3600);
const OVER_MAX: Duration = Duration::from_secs(90 * 24 * 3600);
const OVER: Duration = Duration::from_secs(30 * 24 * 3600);
/// Which percentile where nothing is said.
const PERCENT: f64 = 95.0;

/// What stands under a name of the user's own, beside what everybody has.
trait Named: Clone {
    /// One that says nothing yet.
    fn empty(name: &str) -> Self;
    fn name(&self) -> &str;
    fn switch(&mut self, on: bool);
}

impl Named for AlertConfig {
    fn empty(name: &str) -> Self {
        Self::empty(name)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn switch(&mut self, on: bool) {
        self.on = on;
    }
}

impl Named for ReportConfig {
    fn empty(name: &str) -> Self {
        Self::empty(name)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn switch(&mut self, on: bool) {
        self.on = on;
    }
}

/// The section's own words.
struct Words {
    section: &'static str,
    one: &'static str,
    expected: &'static str,
    max: usize,
}

/// Adds what the file names to the default ones; one of the same name says of it only what is to be otherwise. `read` is
/// told whether there was one before.
fn amend<T: Named>(
    d: &mut Decoder<'_>,
    entries: &[Entry],
    node: &Node,
    words: &Words,
    all: &mut Vec<T>,
    mut read: impl FnMut(&mut Decoder<'_>, &mut Section<'_>, &mut T, bool),
) {
    let Words { section, one, max, .. } = words;
    if entries.len() > *max {
        d.wrong(
            node,
            Saying::CountStands { count: entries.len(), things: format!("{one}s") },
            Saying::AtMostThings { most: *max, things: format!("{one}s") },
        );
    }
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::of(Some(entry.name_place), section, what);
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        let place = all.iter().position(|known| known.name() == entry.name);
        let mut named = place.map_or_else(|| T::empty(&entry.name), |place| all[place].clone());
        match &entry.value.data {
            Data::Scalar { .. } => match d.word(&entry.value, &[("off", false), ("on", true)]) {
                Some(true) if place.is_none() => {
                    d.wrong(&entry.value, Said::filled("there is no such {}", &[&one]), "its settings");
                }
                on => named.switch(on.unwrap_or(true)),
            },
            _ => d.section(&entry.value, |d, s| read(d, s, &mut named, place.is_some())),
        }
        match place {
            Some(place) => all[place] = named,
            None => all.push(named),
        }
    }
}

/// Reads the rules.
pub(super) fn alerts(d: &mut Decoder<'_>, node: &Node, alerts: &mut Vec<AlertConfig>, channels: &[ChannelConfig]) {
    const WORDS: Words = Words {
        section: "alerts",
        one: "rule",
        expected: "rule names with settings, such as slow: {query: 'duration_ms:>5000', count: \">= 5\"}",
        max: RULES_MAX,
    };
    let Some(entries) = d.entries(node, WORDS.expected) else { return };
    amend(d, entries, node, &WORDS, alerts, |d, s, read, is_known| alert(d, s, read, is_known, channels));
    // Only now all names are known.
    for entry in entries {
        if let Some(alert) = alerts.iter_mut().find(|alert| alert.name == entry.name) {
            alert.origin = AlertOrigin::File;
        }
        needs(d, &entry.name, &entry.value, alerts);
    }
}

/// One rule by itself, in place of the one of its name.
pub(crate) fn alone(
    d: &mut Decoder<'_>,
    node: &Node,
    name: &str,
    alerts: &mut Vec<AlertConfig>,
    channels: &[ChannelConfig],
) {
    let place = alerts.iter().position(|alert| alert.name == name);
    let mut read = place.map_or_else(|| AlertConfig::empty(name), |place| alerts[place].clone());
    d.section(node, |d, s| alert(d, s, &mut read, place.is_some(), channels));
    match place {
        Some(place) => alerts[place] = read,
        None => alerts.push(read),
    }
    needs(d, name, node, alerts);
}

/// Rules that a rule needs are there, and none needs itself by way of others.
fn needs(d: &mut Decoder<'_>, name: &str, node: &Node, alerts: &[AlertConfig]) {
    let Some(node) = node.entries().and_then(|keys| keys.iter().find(|key| key.name == "needs")) else { return };
    let Some(alert) = alerts.iter().find(|alert| alert.name == name) else { return };
    for needed in &alert.needs {
        if !alerts.iter().any(|known| known.name == *needed) {
            let known: Vec<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
            let expected = Said::filled("names of rules: {}", &[&known.join(", ")]);
            d.wrong(&node.value, Said::filled("there is no rule `{}`", &[&shown(needed)]), expected);
        }
    }
    let mut reached: Vec<&str> = alert.needs.iter().map(String::as_str).collect();
    let mut next = 0;
    while next < reached.len() && next <= alerts.len() {
        let further = alerts.iter().find(|alert| alert.name == reached[next]);
        for name in further.into_iter().flat_map(|alert| &alert.needs) {
            if !reached.contains(&name.as_str()) {
                reached.push(name);
            }
        }
        next += 1;
    }
    if reached.contains(&name) {
        d.wrong(&node.value, "the rule needs itself, by way of others", "rules that do not need this one");
    }
}

fn alert(
    d: &mut Decoder<'_>,
    s: &mut Section<'_>,
    alert: &mut AlertConfig,
    is_known: bool,
    channels: &[ChannelConfig],
) {
    let query =
        |d: &mut Decoder<'_>, node: &Node| d.text(node, "a query, such as 'duration_ms:>5000'").map(|text| text.value);
    match s.get("query") {
        Some(node) => alert.query = query(d, node).unwrap_or_default(),
        None if is_known => {}
        None => s.missing(d, "query", "a query, such as 'duration_ms:>5000'"),
    }
    measure(d, s, alert, is_known);
    if !is_known {
        (alert.samples, alert.within) = (alert.measure.samples(), alert.measure.within());
    }
    s.set(d, "samples", &mut alert.samples, |d, node| d.count(node, u64::from(u32::MAX)));
    s.set(d, "within", &mut alert.within, Decoder::duration);
    s.set_some(d, "group_by", &mut alert.group_by, field);
    s.set(d, "for", &mut alert.hold, Decoder::duration);
    s.set(d, "severity", &mut alert.severity, |d, node| d.word(node, &AlertSeverity::WORDS));
    s.set(d, "cooldown", &mut alert.cooldown, Decoder::duration);
    s.set(d, "resolve", &mut alert.resolve, |d, node| {
        let is_off = d.is_word(node, "off");
        if is_off { Some(None) } else { d.duration(node).map(Some) }
    });
    if let Some(node) = s.get("quiet") {
        alert.quiet = quiet(d, node);
    }
    s.set(d, "needs", &mut alert.needs, |d, node| {
        let needs = d.list(node, "a list of names of rules", |d, node| d.text(node, "the name of a rule"))?;
        if needs.len() > NEEDS_MAX {
            d.wrong(
                node,
                Saying::CountStands { count: needs.len(), things: "rules".to_owned() },
                Saying::AtMostThings { most: NEEDS_MAX, things: "rules".to_owned() },
            );
        }
        Some(needs.into_iter().map(|text| text.value).collect())
    });
    if let Some(node) = s.get("notify") {
        alert.notify = d.list(node, "a list of names of channels", |d, node| channel(d, node, channels));
    }
    if let Some(node) = s.get("escalate") {
        alert.escalate = escalate(d, node, channels);
    }
    s.set_some(d, "around", &mut alert.around, |d, node| span(d, node, Duration::from_secs(1), AROUND_MAX));
    s.set_some(d, "runbook", &mut alert.runbook, |d, node| d.text(node, "what to do").map(|text| text.value));
}

/// What is measured, and when that is one to tell of.
fn measure(d: &mut Decoder<'_>, s: &mut Section<'_>, alert: &mut AlertConfig, is_known: bool) {
    let nodes: Vec<(usize, &Node)> =
        MEASURES.into_iter().enumerate().filter_map(|(index, name)| Some((index, s.get(name)?))).collect();
    let (above, below, percent) = (s.get("above"), s.get("below"), s.get("percent"));
    let (baseline, deviation) = (s.get("baseline"), s.get("deviation"));
    let budget = [s.get("goal"), s.get("over")];
    if let [_, (_, second), ..] = nodes[..] {
        d.wrong(second, "something else is measured already", Saying::OneOf { names: MEASURES.join(", ") });
    }
    let Some((index, node)) = nodes.first().copied() else {
        if !is_known {
            s.missing(
                d,
                "count",
                Said::filled("a comparison such as \">= 5\", or one of: {}", &[&MEASURES[1..].join(", ")]),
            );
        }
        if let AlertMeasure::Burn { goal, over, .. } = &mut alert.measure {
            (*goal, *over) = objective(d, budget, (Some(*goal), *over)).unwrap_or((*goal, *over));
        } else {
            no_budget(d, budget);
        }
        usual(d, baseline, deviation, alert);
        if let Some(limit) = bound(d, above, below) {
            alert.limit = limit;
        }
        return;
    };
    let bounds = [above, below, deviation, baseline, percent];
    if matches!(MEASURES[index], "count" | "absence" | "latest" | "bad") {
        alert.baseline = None;
        if let Some(node) = bounds.into_iter().flatten().next() {
            d.wrong(node, Said::filled("`{}` says it already", &[&MEASURES[index]]), "only one of both");
        }
    }
    if MEASURES[index] != "bad" {
        no_budget(d, budget);
    }
    if MEASURES[index] == "count" {
        alert.measure = AlertMeasure::Count;
        alert.limit = d.parsed(node, "a comparison such as \">= 5\" or \"= 0\"", comparison).unwrap_or_default();
        return;
    }
    if MEASURES[index] == "absence" {
        alert.measure = AlertMeasure::Absence;
        alert.limit = d.duration(node).map(|time| format!("> {}", time.as_secs_f64())).unwrap_or_default();
        return;
    }
    let of = if matches!(MEASURES[index], "ratio" | "latest" | "bad") {
        d.text(node, "a query, such as 'http_status:>=500'").map(|text| text.value)
    } else {
        field(d, node)
    };
    let of = of.unwrap_or_default();
    alert.measure = match MEASURES[index] {
        "sum" => AlertMeasure::Sum(of),
        "average" => AlertMeasure::Average(of),
        "percentile" => {
            let percent = percent.and_then(|node| d.parsed(node, "a number above 0 and below 100", parse_percent));
            AlertMeasure::Percentile { field: of, percent: percent.unwrap_or(PERCENT) }
        }
        "latest" => {
            alert.measure = AlertMeasure::Latest(of);
            ">= 1".clone_into(&mut alert.limit);
            return;
        }
        "bad" => {
            let before = match &alert.measure {
                AlertMeasure::Burn { goal, over, .. } => (Some(*goal), *over),
                _ => (None, OVER),
            };
            if before.0.is_none() && budget[0].is_none() {
                s.missing(d, "goal", "the share that has to be good, such as 99.5%");
            }
            if let Some((goal, over)) = objective(d, budget, before) {
                alert.measure = AlertMeasure::Burn { bad: of, goal, over };
            }
            ">= 1".clone_into(&mut alert.limit);
            return;
        }
        _ => AlertMeasure::Ratio(of),
    };
    if let (Some(node), false) = (percent, MEASURES[index] == "percentile") {
        d.wrong(node, "no percentile is measured", "`percentile` with the name of a field");
    }
    alert.baseline = None;
    if usual(d, baseline, deviation, alert) {
        if let Some(node) = above.or(below) {
            d.wrong(node, "`deviation` says it already", "only one of both");
        }
        return;
    }
    match bound(d, above, below) {
        Some(limit) => alert.limit = limit,
        None if BOUNDS.iter().all(|name| s.get(name).is_none()) => s.missing(d, "above", "a number (or `below`)"),
        None => {}
    }
}

/// `goal` and `over`: how much of what may be bad.
fn objective(
    d: &mut Decoder<'_>,
    [goal, over]: [Option<&Node>; 2],
    (goal_before, over_before): (Option<f64>, Duration),
) -> Option<(f64, Duration)> {
    let goal = match goal {
        Some(node) => d.parsed(node, "the share that has to be good, such as 99.5%", |text| {
            parse_percent(text.trim().trim_end_matches('%').trim_end())
        }),
        None => goal_before,
    };
    let over = over.map_or(Some(over_before), |node| span(d, node, OVER_MIN, OVER_MAX));
    goal.zip(over)
}

fn no_budget(d: &mut Decoder<'_>, budget: [Option<&Node>; 2]) {
    if let Some(node) = budget.into_iter().flatten().next() {
        d.wrong(node, "nothing has a budget here", "`bad` with a query beside it");
    }
}

/// `baseline` and `deviation`: compared with what is usual. Whether one of them stands there.
fn usual(d: &mut Decoder<'_>, baseline: Option<&Node>, deviation: Option<&Node>, alert: &mut AlertConfig) -> bool {
    if let Some(time) = baseline.and_then(|node| span(d, node, BASELINE_MIN, BASELINE_MAX)) {
        alert.baseline = Some(time);
    }
    match deviation {
        Some(node) if alert.baseline.is_none() && baseline.is_none() => {
            d.wrong(node, "there is nothing to deviate from", "`baseline: 7d` beside it");
        }
        Some(node) => {
            let expected = "a comparison such as \"> 30%\" or \"< -30%\"";
            if let Some(limit) = d.parsed(node, expected, deviation_limit) {
                alert.limit = limit;
            }
        }
        None => {
            if let Some(node) = baseline.filter(|_| alert.limit.is_empty()) {
                d.wrong(node, "it is not said what is too much", "`deviation: \"> 30%\"` beside it");
            }
        }
    }
    baseline.or(deviation).is_some()
}

/// `> 30%` in its plain form.
fn deviation_limit(text: &str) -> Result<String, Said> {
    let text = text.trim();
    let sign = if text.starts_with('<') { '<' } else { '>' };
    let number = text.strip_prefix(sign).ok_or("it does not begin with > or <")?;
    let number = number.trim().trim_end_matches('%').trim_end();
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() && (value > 0.0) == (sign == '>') => Ok(format!("{sign} {number}")),
        Ok(_) => Err(Said::from("more than usual is `> 30%`, less than usual is `< -30%`")),
        Err(_) => Err(Said::from("no number stands behind its sign")),
    }
}

/// A time within bounds.
fn span(d: &mut Decoder<'_>, node: &Node, min: Duration, max: Duration) -> Option<Duration> {
    let time = d.duration(node)?;
    if time < min || time > max {
        let show = tollhouse_units::format_duration;
        d.wrong(
            node,
            Said::filled("{} stands here", &[&show(time)]),
            Said::filled("from {} to {}", &[&show(min), &show(max)]),
        );
        return None;
    }
    Some(time)
}

fn escalate(d: &mut Decoder<'_>, node: &Node, channels: &[ChannelConfig]) -> Option<EscalateConfig> {
    let mut read = None;
    d.section(node, |d, s| {
        let after = s.require(d, "after", "a time such as 15m", Decoder::duration);
        let notify = s.require(d, "notify", "a list of names of channels", |d, node| {
            d.list(node, "a list of names of channels", |d, node| channel(d, node, channels))
        });
        read = after.zip(notify).map(|(after, notify)| EscalateConfig { after, notify });
    });
    read
}

/// Reads the reports.
pub(super) fn reports(d: &mut Decoder<'_>, node: &Node, reports: &mut Vec<ReportConfig>, channels: &[ChannelConfig]) {
    const WORDS: Words = Words {
        section: "reports",
        one: "report",
        expected: "names with settings, such as errors-daily: {report: errors, at: \"08:00\"}",
        max: REPORTS_MAX,
    };
    let Some(entries) = d.entries(node, WORDS.expected) else { return };
    amend(d, entries, node, &WORDS, reports, |d, s, read, _| report(d, s, read, channels));
}

fn report(d: &mut Decoder<'_>, s: &mut Section<'_>, report: &mut ReportConfig, channels: &[ChannelConfig]) {
    s.set(d, "report", &mut report.report, |d, node| d.word(node, &ReportKind::WORDS));
    s.set(d, "at", &mut report.at, time);
    s.set_some(d, "zone", &mut report.zone, zone);
    if let Some(top) = s.get("top").and_then(|node| d.count(node, ROWS_MAX)) {
        report.top = top as usize;
    }
    if let Some(node) = s.get("notify") {
        report.notify = d.list(node, "a list of names of channels", |d, node| channel(d, node, channels));
    }
}

/// `above` or `below`, as a comparison.
fn bound(d: &mut Decoder<'_>, above: Option<&Node>, below: Option<&Node>) -> Option<String> {
    let (node, sign) = match (above, below) {
        (Some(node), None) => (node, '>'),
        (None, Some(node)) => (node, '<'),
        (None, None) => return None,
        (Some(_), Some(node)) => {
            d.wrong(node, "`above` stands here already", "one of `above` and `below`");
            return None;
        }
    };
    d.parsed(node, "a number such as 5000 or 20%", |text| {
        let number = text.trim().trim_end_matches('%').trim_end();
        number
            .parse::<f64>()
            .map(|_| format!("{sign} {number}"))
            .map_err(|_| Said::filled("`{}` is not a number", &[&shown(text)]))
    })
}

/// `>= 5` in its plain form.
fn comparison(text: &str) -> Result<String, Said> {
    let text = text.trim();
    let signs = [">=", "<=", ">", "<", "="];
    let found = signs.iter().find_map(|sign| Some((sign, text.strip_prefix(sign)?.trim())));
    match found {
        Some((sign, number)) if number.parse::<u64>().is_ok() => Ok(format!("{sign} {number}")),
        Some(_) => Err(Said::from("no whole number stands behind its sign")),
        None => Err(Said::from("it does not begin with >=, >, <=, < or =")),
    }
}

fn parse_percent(text: &str) -> Result<f64, Said> {
    match text.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent < 100.0 => Ok(percent),
        _ => Err(Said::filled("`{}` is not a number between 0 and 100", &[&shown(text)])),
    }
}

fn field(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "the name of a field, such as model_name";
    let text = d.text(node, expected)?.value;
    if text.contains(char::is_whitespace) {
        d.wrong(node, Said::filled("`{}` is not the name of a field", &[&shown(&text)]), expected);
        return None;
    }
    Some(text)
}

fn channel(d: &mut Decoder<'_>, node: &Node, channels: &[ChannelConfig]) -> Option<String> {
    let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    if names.is_empty() {
        d.wrong(node, "the configuration has no channels", "a name of a channel in `channels`");
        return None;
    }
    d.name_of(node, &names).map(|index| names[index].to_owned())
}

fn quiet(d: &mut Decoder<'_>, node: &Node) -> Option<QuietConfig> {
    let mut quiet = None;
    d.section(node, |d, s| {
        let from = s.require(d, "from", TIME, time);
        let to = s.require(d, "to", TIME, time);
        let mut named = None;
        s.set_some(d, "zone", &mut named, zone);
        quiet = from.zip(to).map(|(from, to)| QuietConfig { from, to, zone: named });
    });
    quiet
}

/// What a time of the day has to be.
const TIME: &str = "a time of the day, such as \"22:00\"";

fn time(d: &mut Decoder<'_>, node: &Node) -> Option<Time> {
    d.parsed(node, TIME, |text| text.parse::<Time>().map_err(|_| Said::filled("`{}` is not a time", &[&shown(text)])))
}

fn zone(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    d.parsed(node, "the name of a time zone, such as Asia/Shanghai", |text| {
        let zone = jiff::tz::TimeZone::get(text);
        zone.map(|_| text.to_owned()).map_err(|_| Said::filled("there is no zone `{}` here", &[&shown(text)]))
    })
}
