//! `alerts`: of which records what is told, and when.

use jiff::civil::Time;

use super::check_name;
use crate::{
    config::{AlertConfig, AlertMeasure, AlertSeverity, ChannelConfig, QuietConfig},
    decode::{Decoder, Section},
    problem::{Problem, shown},
    tree::{Data, Node},
};

/// What can be measured, by its key.
const MEASURES: [&str; 5] = ["count", "sum", "average", "percentile", "ratio"];
/// Most rules.
const RULES_MAX: usize = 200;
/// Which percentile where nothing is said.
const PERCENT: f64 = 95.0;

/// Adds the rules of the file to the default ones; one of the same name says of it only what is to be otherwise.
pub(super) fn alerts(d: &mut Decoder<'_>, node: &Node, alerts: &mut Vec<AlertConfig>, channels: &[ChannelConfig]) {
    let expected = "rule names with settings, such as slow: {query: 'duration_ms:>5000', count: \">= 5\"}";
    let Some(entries) = d.entries(node, expected) else { return };
    if entries.len() > RULES_MAX {
        d.wrong(node, &format!("{} rules stand here", entries.len()), &format!("at most {RULES_MAX} rules"));
    }
    for entry in entries {
        if let Err(what) = check_name(&entry.name) {
            let problem = Problem::new(Some(entry.name_place), format!("`alerts`: {what}"));
            d.problem(problem.expected("a name of letters, digits, `.`, `_` and `-`"));
        }
        let place = alerts.iter().position(|alert| alert.name == entry.name);
        let known = place.map(|place| alerts[place].clone());
        let mut read = known.clone().unwrap_or_else(|| AlertConfig::empty(&entry.name));
        match &entry.value.data {
            Data::Scalar { .. } => match d.word(&entry.value, &[("off", false), ("on", true)]) {
                Some(true) if known.is_none() => d.wrong(&entry.value, &"there is no such rule", "its settings"),
                on => read.on = on.unwrap_or(true),
            },
            _ => d.section(&entry.value, |d, s| alert(d, s, &mut read, known.is_some(), channels)),
        }
        match place {
            Some(place) => alerts[place] = read,
            None => alerts.push(read),
        }
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
    s.set(d, "samples", &mut alert.samples, |d, node| d.count(node, u64::from(u32::MAX)));
    s.set(d, "within", &mut alert.within, Decoder::duration);
    s.set_some(d, "group_by", &mut alert.group_by, field);
    s.set(d, "for", &mut alert.hold, Decoder::duration);
    s.set(d, "severity", &mut alert.severity, |d, node| d.word(node, &AlertSeverity::WORDS));
    s.set(d, "cooldown", &mut alert.cooldown, Decoder::duration);
    s.set(d, "resolve", &mut alert.resolve, |d, node| {
        let is_off = matches!(&node.data, Data::Scalar { text, .. } if text == "off");
        if is_off { Some(None) } else { d.duration(node).map(Some) }
    });
    if let Some(node) = s.get("quiet") {
        alert.quiet = quiet(d, node);
    }
    if let Some(node) = s.get("notify") {
        alert.notify = d.list(node, "a list of names of channels", |d, node| channel(d, node, channels));
    }
    s.set_some(d, "runbook", &mut alert.runbook, |d, node| d.text(node, "what to do").map(|text| text.value));
}

/// What is measured, and when that is one to tell of.
fn measure(d: &mut Decoder<'_>, s: &mut Section<'_>, alert: &mut AlertConfig, is_known: bool) {
    let nodes: Vec<(usize, &Node)> =
        MEASURES.into_iter().enumerate().filter_map(|(index, name)| Some((index, s.get(name)?))).collect();
    let (above, below, percent) = (s.get("above"), s.get("below"), s.get("percent"));
    if let [_, (_, second), ..] = nodes[..] {
        d.wrong(second, &"something else is measured already", &format!("one of: {}", MEASURES.join(", ")));
    }
    let Some((index, node)) = nodes.first().copied() else {
        if !is_known {
            s.missing(d, "count", "a comparison such as \">= 5\", or one of: sum, average, percentile, ratio");
        }
        if let Some(limit) = bound(d, above, below) {
            alert.limit = limit;
        }
        return;
    };
    if MEASURES[index] == "count" {
        alert.measure = AlertMeasure::Count;
        alert.limit = d.parsed(node, "a comparison such as \">= 5\" or \"= 0\"", comparison).unwrap_or_default();
        if let Some(node) = above.or(below).or(percent) {
            d.wrong(node, &"`count` says it already", "only one of both");
        }
        return;
    }
    let of = if MEASURES[index] == "ratio" {
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
        _ => AlertMeasure::Ratio(of),
    };
    if let (Some(node), false) = (percent, MEASURES[index] == "percentile") {
        d.wrong(node, &"no percentile is measured", "`percentile` with the name of a field");
    }
    match bound(d, above, below) {
        Some(limit) => alert.limit = limit,
        None if above.or(below).is_none() => s.missing(d, "above", "a number (or `below`)"),
        None => {}
    }
}

/// `above` or `below`, as a comparison.
fn bound(d: &mut Decoder<'_>, above: Option<&Node>, below: Option<&Node>) -> Option<String> {
    let (node, sign) = match (above, below) {
        (Some(node), None) => (node, '>'),
        (None, Some(node)) => (node, '<'),
        (None, None) => return None,
        (Some(_), Some(node)) => {
            d.wrong(node, &"`above` stands here already", "one of `above` and `below`");
            return None;
        }
    };
    d.parsed(node, "a number such as 5000 or 20%", |text| {
        let number = text.trim().trim_end_matches('%').trim_end();
        number
            .parse::<f64>()
            .map(|_| format!("{sign} {number}"))
            .map_err(|_| format!("`{}` is not a number", shown(text)))
    })
}

/// `>= 5` in its plain form.
fn comparison(text: &str) -> Result<String, String> {
    let text = text.trim();
    let signs = [">=", "<=", ">", "<", "="];
    let found = signs.iter().find_map(|sign| Some((sign, text.strip_prefix(sign)?.trim())));
    match found {
        Some((sign, number)) if number.parse::<u64>().is_ok() => Ok(format!("{sign} {number}")),
        Some(_) => Err("no whole number stands behind its sign".to_owned()),
        None => Err("it does not begin with >=, >, <=, < or =".to_owned()),
    }
}

fn parse_percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent < 100.0 => Ok(percent),
        _ => Err(format!("`{}` is not a number between 0 and 100", shown(text))),
    }
}

fn field(d: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let expected = "the name of a field, such as model_name";
    let text = d.text(node, expected)?.value;
    if text.contains(char::is_whitespace) {
        d.wrong(node, &format!("`{}` is not the name of a field", shown(&text)), expected);
        return None;
    }
    Some(text)
}

fn channel(d: &mut Decoder<'_>, node: &Node, channels: &[ChannelConfig]) -> Option<String> {
    let names: Vec<&str> = channels.iter().map(|channel| channel.name.as_str()).collect();
    if names.is_empty() {
        d.wrong(node, &"the configuration has no channels", "a name of a channel in `channels`");
        return None;
    }
    d.one_of(node, &names).map(|index| names[index].to_owned())
}

fn quiet(d: &mut Decoder<'_>, node: &Node) -> Option<QuietConfig> {
    let expected = "a time of the day, such as \"22:00\"";
    let mut quiet = None;
    d.section(node, |d, s| {
        let time = |d: &mut Decoder<'_>, node: &Node| {
            d.parsed(node, expected, |text| {
                text.parse::<Time>().map_err(|_| format!("`{}` is not a time", shown(text)))
            })
        };
        let from = s.require(d, "from", expected, time);
        let to = s.require(d, "to", expected, time);
        let mut zone = None;
        s.set_some(d, "zone", &mut zone, |d, node| {
            d.parsed(node, "the name of a time zone, such as Asia/Shanghai", |text| {
                jiff::tz::TimeZone::get(text)
                    .map(|_| text.to_owned())
                    .map_err(|_| format!("there is no zone `{}` here", shown(text)))
            })
        });
        quiet = from.zip(to).map(|(from, to)| QuietConfig { from, to, zone });
    });
    quiet
}
