//! The words of messages and of records about alerts.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tollhouse_notify::{Chart, Figure, Message, Phase, Severity, Table, Told};
use tollhouse_units::format_duration;

use crate::ask::one_line;
use crate::round::Change;
use crate::rule::{Measure, Rule};
use crate::told;

/// Groups that one message names.
const GROUPS_TOLD_MAX: usize = 20;
/// Groups that a title names.
const GROUPS_TITLED_MAX: usize = 5;
/// Titles that one digest names.
const TITLES_TOLD_MAX: usize = 50;
/// Messages that one goes on from.
const THREAD_MAX: usize = 20;

/// Where the records are, for messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Whose they are.
    pub service: String,
    /// The console's address without a slash at the end.
    pub console: Option<String>,
}

/// What stands beside what fires.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub(crate) worst: Vec<String>,
    /// What the newest record says, of a rule about newest records.
    pub(crate) newest: Option<Newest>,
    pub(crate) timeline: Vec<String>,
    pub(crate) chart: Option<Chart>,
    /// Rules of which nothing is told meanwhile.
    pub(crate) holds: Vec<String>,
    /// The share of the budget that is left, of an objective in one group.
    pub(crate) left: Option<f64>,
}

/// What a record of the house says, in words and by codes where it has some.
#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) words: String,
    pub(crate) said: Vec<Told>,
}

impl Newest {
    /// Nothing for lines of other programs: they are shown as lines, below the headline.
    pub(crate) fn of(record: &Value) -> Option<Self> {
        let words = record["msg"].as_str().filter(|msg| record["kind"] != "log" && !msg.is_empty()).map(one_line)?;
        let said = serde_json::from_value(record["said"].clone()).unwrap_or_default();
        Some(Self { words, said })
    }
}

/// That groups of a rule fire.
pub(crate) fn firing(rule: &Rule, place: &Place, id: &str, changes: &[Change], beside: Beside, now_ms: i64) -> Message {
    let settings = rule.settings();
    let title = match changes {
        [one] if matches!(settings.measure, Measure::Latest(_)) => {
            let newest = beside.newest.as_ref().map(|newest| newest.words.clone());
            let what = newest.unwrap_or_else(|| settings.measure.named());
            format!("{}{}: {what}", rule.name(), of_group(one))
        }
        [Change { value: Some(rate), window: Some(window), .. }] => {
            let left = beside.left.map_or_else(String::new, |left| format!(", {} of it left", percent(left)));
            let (of, rate, window) = (of_group(&changes[0]), settings.measure.shown(*rate), format_duration(*window));
            format!("{}{of}: the budget goes {rate} too fast over {window}{left}", rule.name())
        }
        [one] => {
            let value = one.value.map_or_else(|| "-".to_owned(), |value| settings.measure.shown(value));
            let usual =
                one.usual.map_or_else(String::new, |usual| format!(", usually {}", settings.measure.shown(usual)));
            format!("{}{}: {} {value} in {}{usual}", rule.name(), of_group(one), settings.measure.named(), span(rule))
        }
        many => format!("{}: {} ({})", rule.name(), settings.measure.named(), named(many)),
    };
    let mut text = match settings.measure {
        Measure::Burn { .. } => format!("{}, of records that fulfil:\n{}", condition(rule), settings.query),
        _ => format!("{} within {}, for records that fulfil:\n{}", condition(rule), span(rule), settings.query),
    };
    if !beside.holds.is_empty() {
        text.push_str("\nWhile this is so, nothing is told of ");
        text.push_str(&beside.holds.join(", "));
        text.push('.');
    }
    Message {
        title,
        title_told: told::firing(rule, changes, &beside),
        text,
        text_told: told::condition(rule, &beside.holds),
        figures: figures(rule, changes, beside.left),
        worst: beside.worst,
        timeline: beside.timeline,
        chart: beside.chart,
        link: link(rule, place, changes, now_ms),
        runbook: settings.runbook.clone(),
        ..message(rule, place, id.to_owned(), Phase::Firing, now_ms)
    }
}

/// That nobody has acknowledged what this message told.
pub(crate) fn escalated(told: &Message, after: &str, now_ms: i64) -> Message {
    Message {
        id: format!("{}.escalated", told.id),
        title: format!("nobody looks after it for {after}: {}", told.title),
        at_ms: now_ms,
        ..told.clone()
    }
}

/// What is too much, in words.
fn condition(rule: &Rule) -> String {
    let settings = rule.settings();
    let (named, limit) = (settings.measure.named(), settings.limit);
    match (&settings.measure, settings.baseline) {
        (Measure::Burn { bad, goal, over }, _) => {
            format!("at most {} of {} may be bad ({bad})", percent(1.0 - goal / 100.0), format_duration(*over))
        }
        (_, Some(baseline)) => {
            format!("{named} {limit}% from what was usual at this hour of the last {}", format_duration(baseline))
        }
        (Measure::Absence, None) => format!("{named} > {}", settings.measure.shown(limit.value())),
        (Measure::Latest(_), None) => named,
        (Measure::Ratio(_), None) => format!("{named} {limit}%"),
        (_, None) => format!("{named} {limit}"),
    }
}

/// That groups of a rule are calm again.
pub(crate) fn resolved(rule: &Rule, place: &Place, id: &str, ended: &[(Change, String)], now_ms: i64) -> Message {
    let settings = rule.settings();
    let changes: Vec<Change> = ended.iter().map(|(change, _)| change.clone()).collect();
    let title = match &changes[..] {
        [one] => format!("{}{} is over", rule.name(), of_group(one)),
        many => format!("{} is over ({})", rule.name(), named(many)),
    };
    let mut thread: Vec<String> = ended.iter().map(|(_, told)| told.clone()).collect();
    thread.sort();
    thread.dedup();
    thread.truncate(THREAD_MAX);
    Message {
        thread,
        title,
        text: match settings.measure {
            Measure::Burn { .. } => format!("The budget no longer goes too fast: {}.", condition(rule)),
            _ => format!("{} no longer, within {}.", condition(rule), span(rule)),
        },
        figures: figures(rule, &changes, None),
        link: link(rule, place, &changes, now_ms),
        ..message(rule, place, id.to_owned(), Phase::Resolved, now_ms)
    }
}

/// What is told every day.
pub(crate) fn report(place: &Place, name: &str, tables: Vec<Table>, due_ms: i64, now_ms: i64) -> Message {
    let id = format!("{name}.{due_ms:x}");
    Message {
        title: format!("{name}: {} of the day before", place.service),
        tables,
        link: place.console.clone(),
        ..Message::bare(id, name, Severity::Info, Phase::Report, &place.service, now_ms)
    }
}

/// Several messages as one: too many wait.
pub(crate) fn digest(waiting: &[Message]) -> Message {
    let last = waiting.last().expect("there is something to put together");
    let worst = waiting.iter().map(|message| message.severity).max_by_key(|severity| *severity as u8);
    let mut lines: Vec<String> = waiting.iter().take(TITLES_TOLD_MAX).map(line).collect();
    if waiting.len() > TITLES_TOLD_MAX {
        lines.push(format!("… and {} more", waiting.len() - TITLES_TOLD_MAX));
    }
    let (id, severity) = (format!("{}.digest", last.id), worst.unwrap_or(Severity::Warning));
    Message {
        title: format!("{} messages that waited", waiting.len()),
        text: lines.join("\n"),
        link: last.link.clone(),
        ..Message::bare(id, "digest", severity, Phase::Digest, &last.service, last.at_ms)
    }
}

/// What a record of kind `alert` says.
pub(crate) fn record(event: &str, msg: &str, fields: &Value) -> String {
    json!({"event": event, "msg": msg, "fields": fields}).to_string()
}

/// A change of state as a record.
pub(crate) fn changed(rule: &Rule, event: &str, change: &Change) -> String {
    let fields = json!({
        "alert_rule": rule.name(),
        "alert_event": event,
        "alert_group": change.group,
        "alert_value": change.value,
        "alert_usual": change.usual,
        "alert_limit": rule.settings().limit.to_string(),
        "alert_severity": rule.settings().severity.as_str(),
    });
    record(event, &format!("alert {}{} is {event}", rule.name(), of_group(change)), &fields)
}

/// That a group is an alert of which nothing is told, because a rule that it needs fires.
pub(crate) fn held(rule: &Rule, change: &Change, by: &str) -> String {
    let fields = json!({
        "alert_rule": rule.name(), "alert_event": "held", "alert_group": change.group, "alert_held_by": by,
    });
    record("held", &format!("alert {}{} is held while {by} fires", rule.name(), of_group(change)), &fields)
}

fn message(rule: &Rule, place: &Place, id: String, state: Phase, now_ms: i64) -> Message {
    Message::bare(id, rule.name(), rule.settings().severity, state, &place.service, now_ms)
}

fn line(message: &Message) -> String {
    let at = Timestamp::from_millisecond(message.at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.0} {} {}", message.state.as_str(), message.title)
}

fn figures(rule: &Rule, changes: &[Change], left: Option<f64>) -> Vec<Figure> {
    let settings = rule.settings();
    let measured = settings.measure.named();
    let told = |change: &Change| {
        let name = match &settings.group_by {
            Some(field) => format!("{field} {}", change.group),
            None => measured.clone(),
        };
        let mut value = change.value.map_or_else(|| "-".to_owned(), |value| settings.measure.shown(value));
        if let Some(usual) = change.usual {
            value = format!("{value} (usually {})", settings.measure.shown(usual));
        }
        Figure { name, value }
    };
    let mut figures: Vec<Figure> = changes.iter().take(GROUPS_TOLD_MAX).map(told).collect();
    if changes.len() > GROUPS_TOLD_MAX {
        let value = format!("{} more", changes.len() - GROUPS_TOLD_MAX);
        figures.push(Figure { name: "and".to_owned(), value });
    }
    let limit = match (&settings.measure, settings.baseline) {
        (Measure::Latest(_) | Measure::Burn { .. }, _) => None,
        (Measure::Absence, _) => Some(settings.measure.shown(settings.limit.value())),
        (Measure::Ratio(_), _) | (_, Some(_)) => Some(format!("{}%", settings.limit)),
        _ => Some(settings.limit.to_string()),
    };
    figures.extend(limit.map(|value| Figure { name: "limit".to_owned(), value }));
    figures.extend(left.map(|left| Figure { name: "budget left".to_owned(), value: percent(left) }));
    let within = changes.iter().filter_map(|change| change.window).max();
    let within = within.map_or_else(|| span(rule), format_duration);
    figures.push(Figure { name: "within".to_owned(), value: within });
    figures
}

/// What a message's incident is acknowledged by: a link for each channel, so that it is known which one was used.
pub(crate) fn acknowledge_link(place: &Place, token: &str) -> Option<String> {
    Some(format!("{}/console/link/{token}", place.console.as_ref()?))
}

/// The console's page of these records.
fn link(rule: &Rule, place: &Place, changes: &[Change], now_ms: i64) -> Option<String> {
    let base = place.console.as_ref()?;
    let settings = rule.settings();
    let mut query = match &settings.measure {
        Measure::Burn { bad, .. } => format!("({}) AND ({bad})", settings.query),
        _ => settings.query.clone(),
    };
    if let (Some(field), [one]) = (&settings.group_by, changes) {
        let value = one.group.replace('\\', "\\\\").replace('"', "\\\"");
        query = format!("({query}) AND {field}:\"{value}\"");
    }
    let time = |ms| Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default();
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (from, to) = (time(now_ms.saturating_sub(lookback_ms(rule, changes))), time(now_ms));
    Some(format!("{base}/discover?kind=all&q={}&from={}&to={}", encoded(&query), encoded(&from), encoded(&to)))
}

/// How far back the records lie that changes are about.
pub(crate) fn lookback_ms(rule: &Rule, changes: &[Change]) -> i64 {
    let window = changes.iter().filter_map(|change| change.window).max();
    window.map_or(rule.within_ms(), |window| i64::try_from(window.as_millis()).unwrap_or(i64::MAX))
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.abs() < 10.0 { format!("{percent:.1}%") } else { format!("{percent:.0}%") }
}

/// The first groups, and how many there are besides.
pub(crate) fn named(changes: &[Change]) -> String {
    let first: Vec<&str> = changes.iter().take(GROUPS_TITLED_MAX).map(|change| change.group.as_str()).collect();
    match changes.len().saturating_sub(GROUPS_TITLED_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

pub(crate) fn of_group(change: &Change) -> String {
    if change.group.is_empty() { String::new() } else { format!(" ({})", change.group) }
}

pub(crate) fn span(rule: &Rule) -> String {
    format_duration(rule.settings().within)
}
