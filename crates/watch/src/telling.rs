//! The words of messages and of records about alerts.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tollhouse_notify::{Figure, Message, Phase, Severity};
use tollhouse_units::format_duration;

use crate::round::Change;
use crate::rule::Rule;

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

/// That groups of a rule fire.
pub(crate) fn firing(
    rule: &Rule,
    place: &Place,
    id: &str,
    changes: &[Change],
    worst: Vec<String>,
    now_ms: i64,
) -> Message {
    let settings = rule.settings();
    let title = match changes {
        [one] => {
            let value = one.value.map_or_else(|| "-".to_owned(), |value| settings.measure.shown(value));
            format!("{}{}: {} {value} in {}", rule.name(), of_group(one), settings.measure.named(), span(rule))
        }
        many => format!("{}: {} ({})", rule.name(), settings.measure.named(), named(many)),
    };
    let text = format!(
        "{} {} within {}, for records that fulfil:\n{}",
        settings.measure.named(),
        settings.limit,
        span(rule),
        settings.query
    );
    Message {
        title,
        text,
        figures: figures(rule, changes),
        worst,
        link: link(rule, place, changes, now_ms),
        runbook: settings.runbook.clone(),
        ..message(rule, place, id.to_owned(), Phase::Firing, now_ms)
    }
}

/// That groups of a rule are calm again.
pub(crate) fn resolved(rule: &Rule, place: &Place, id: &str, ended: &[(Change, String)], now_ms: i64) -> Message {
    let changes: Vec<Change> = ended.iter().map(|(change, _)| change.clone()).collect();
    let title = match &changes[..] {
        [one] => format!("{}{} is over", rule.name(), of_group(one)),
        many => format!("{} is over ({})", rule.name(), named(many)),
    };
    let mut thread: Vec<String> = ended.iter().map(|(_, told)| told.clone()).collect();
    thread.sort();
    thread.dedup();
    thread.truncate(THREAD_MAX);
    let settings = rule.settings();
    Message {
        thread,
        title,
        text: format!("{} {} no longer, within {}.", settings.measure.named(), settings.limit, span(rule)),
        figures: figures(rule, &changes),
        link: link(rule, place, &changes, now_ms),
        ..message(rule, place, id.to_owned(), Phase::Resolved, now_ms)
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
    Message {
        id: format!("{}.digest", last.id),
        thread: Vec::new(),
        rule: "digest".to_owned(),
        severity: worst.unwrap_or(Severity::Warning),
        state: Phase::Digest,
        title: format!("{} messages that waited", waiting.len()),
        text: lines.join("\n"),
        figures: Vec::new(),
        worst: Vec::new(),
        link: last.link.clone(),
        runbook: None,
        service: last.service.clone(),
        at_ms: last.at_ms,
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
        "alert_limit": rule.settings().limit.to_string(),
        "alert_severity": rule.settings().severity.as_str(),
    });
    record(event, &format!("alert {}{} is {event}", rule.name(), of_group(change)), &fields)
}

fn message(rule: &Rule, place: &Place, id: String, state: Phase, now_ms: i64) -> Message {
    Message {
        id,
        thread: Vec::new(),
        rule: rule.name().to_owned(),
        severity: rule.settings().severity,
        state,
        title: String::new(),
        text: String::new(),
        figures: Vec::new(),
        worst: Vec::new(),
        link: None,
        runbook: None,
        service: place.service.clone(),
        at_ms: now_ms,
    }
}

fn line(message: &Message) -> String {
    let at = Timestamp::from_millisecond(message.at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.0} {} {}", message.state.as_str(), message.title)
}

fn figures(rule: &Rule, changes: &[Change]) -> Vec<Figure> {
    let settings = rule.settings();
    let measured = settings.measure.named();
    let told = |change: &Change| {
        let name = match &settings.group_by {
            Some(field) => format!("{field} {}", change.group),
            None => measured.clone(),
        };
        let value = change.value.map_or_else(|| "-".to_owned(), |value| settings.measure.shown(value));
        Figure { name, value }
    };
    let mut figures: Vec<Figure> = changes.iter().take(GROUPS_TOLD_MAX).map(told).collect();
    if changes.len() > GROUPS_TOLD_MAX {
        let value = format!("{} more", changes.len() - GROUPS_TOLD_MAX);
        figures.push(Figure { name: "and".to_owned(), value });
    }
    figures.push(Figure { name: "limit".to_owned(), value: settings.limit.to_string() });
    figures.push(Figure { name: "within".to_owned(), value: span(rule) });
    figures
}

/// The console's page of these records.
fn link(rule: &Rule, place: &Place, changes: &[Change], now_ms: i64) -> Option<String> {
    let base = place.console.as_ref()?;
    let settings = rule.settings();
    let mut query = settings.query.clone();
    if let (Some(field), [one]) = (&settings.group_by, changes) {
        let value = one.group.replace('\\', "\\\\").replace('"', "\\\"");
        query = format!("({query}) AND {field}:\"{value}\"");
    }
    let time = |ms| Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default();
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (from, to) = (time(now_ms.saturating_sub(rule.within_ms())), time(now_ms));
    Some(format!("{base}/discover?kind=all&q={}&from={}&to={}", encoded(&query), encoded(&from), encoded(&to)))
}

/// The first groups, and how many there are besides.
fn named(changes: &[Change]) -> String {
    let first: Vec<&str> = changes.iter().take(GROUPS_TITLED_MAX).map(|change| change.group.as_str()).collect();
    match changes.len().saturating_sub(GROUPS_TITLED_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn of_group(change: &Change) -> String {
    if change.group.is_empty() { String::new() } else { format!(" ({})", change.group) }
}

fn span(rule: &Rule) -> String {
    format_duration(rule.settings().within)
}
