//! Syslog: RFC 5424, RFC 3164 and what comes close to it, with JSON in the message.

use jiff::Zoned;
use serde_json::{Map, Value, json};

use super::json::{self, Draft};
use super::level::Level;
use super::{Entry, text_of, time};

/// Largest priority: facility 23, severity 7.
const PRIORITY_MAX: u8 = 191;
/// Longest name of a program in a message of RFC 3164. The RFC says 32; that of RFC 5424 is longer.
const TAG_BYTES_MAX: usize = 48;
/// Elements of structured data, and values of one; a message with more of them is not understood.
const ELEMENTS_MAX: usize = 64;
/// What says that JSON follows (Common Event Expression).
const COOKIE: &str = "@cee:";
/// Facilities by their numbers (RFC 5424, section 6.2.1), under the names that syslog.conf has.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// Reads a message. `now` is when it came, in the zone of this machine: messages of RFC 3164 tell neither year nor zone.
pub fn syslog(message: &[u8], now: &Zoned) -> Entry {
    let (text, has_bytes) = text_of(message);
    let mut draft = Draft { has_bytes, ..Draft::default() };
    match priority(&text) {
        None => content(&mut draft, &text),
        Some((priority, rest)) => message_of(&mut draft, priority, rest, now),
    }
    draft.finish()
}

/// Reads a line of a file that a syslog server writes: a message without its priority. Nothing when its time and program
/// do not stand where they should.
pub(super) fn line(line: &str, now: &Zoned) -> Option<Draft> {
    if let Some((priority, rest)) = priority(line) {
        let mut draft = Draft::default();
        message_of(&mut draft, priority, rest, now);
        return Some(draft);
    }
    let envelope = rfc3164(line, now);
    let (time, content_text) = (envelope.time?, envelope.content);
    envelope.app?;
    let mut draft = Draft::default();
    content(&mut draft, content_text);
    draft.time = draft.time.or(Some(time));
    envelope.put(None, &mut draft);
    Some(draft)
}

fn message_of(draft: &mut Draft, priority: u8, rest: &str, now: &Zoned) {
    let mut envelope = match rest.strip_prefix("1 ") {
        None => rfc3164(rest, now),
        Some(rest) => rfc5424(rest).unwrap_or_else(|why| Envelope {
            content: rest,
            problem: Some(format!("not as RFC 5424 has it: {why}")),
            ..Envelope::default()
        }),
    };
    content(draft, envelope.content);
    draft.time = draft.time.or(envelope.time);
    draft.level = draft.level.or(Some(Level::of_severity(priority % 8)));
    draft.parse_error = envelope.problem.take().or(draft.parse_error.take());
    envelope.put(Some(priority), draft);
}

/// `<PRI>`, and what is behind it.
fn priority(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let priority = digits.parse().ok().filter(|priority| is_number && *priority <= PRIORITY_MAX)?;
    Some((priority, rest))
}

/// What stands around the content of a message.
#[derive(Debug, Default)]
struct Envelope<'a> {
    time: Option<jiff::Timestamp>,
    host: Option<&'a str>,
    app: Option<&'a str>,
    process: Option<&'a str>,
    id: Option<&'a str>,
    data: Map<String, Value>,
    content: &'a str,
    problem: Option<String>,
}

impl Envelope<'_> {
    fn put(self, priority: Option<u8>, draft: &mut Draft) {
        if let Some(host) = self.host {
            draft.fields.put("host", json!({"name": host}));
        }
        let pid = self.process.and_then(|text| text.parse::<u32>().ok());
        let mut process = Map::new();
        process.extend(self.app.map(|app| ("name".to_owned(), app.into())));
        process.extend(pid.map(|pid| ("pid".to_owned(), pid.into())));
        if !process.is_empty() {
            draft.fields.put("process", process.into());
        }
        let mut syslog = Map::new();
        if let Some(priority) = priority {
            syslog.insert("facility".into(), json!({"name": FACILITIES[usize::from(priority / 8)]}));
            syslog.insert("severity".into(), json!({"name": SEVERITIES[usize::from(priority % 8)]}));
        }
        // What is no number is a name that the sender has for it.
        syslog.extend(self.process.filter(|_| pid.is_none()).map(|text| ("procid".to_owned(), text.into())));
        syslog.extend(self.id.map(|id| ("msgid".to_owned(), id.into())));
        if !self.data.is_empty() {
            syslog.insert("structured_data".into(), self.data.into());
        }
        if !syslog.is_empty() {
            draft.fields.put("log", json!({"syslog": syslog}));
        }
    }
}

/// What a program wrote: a text, or JSON.
fn content(draft: &mut Draft, content: &str) {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let bare = content.trim_start();
    let announced = bare.strip_prefix(COOKIE);
    let bare = announced.unwrap_or(bare);
    if announced.is_some() || json::is_meant(bare) {
        match json::read(draft, bare, 0) {
            Ok(()) => return,
            Err(error) => draft.parse_error = Some(json::not_json(&error)),
        }
    }
    draft.text = Some(content.to_owned());
}

// RFC 5424

/// Reads what follows `<PRI>1 `.
fn rfc5424(rest: &str) -> Result<Envelope<'_>, &'static str> {
    let (time, rest) = word(rest).ok_or("there is no time")?;
    let (host, rest) = word(rest).ok_or("there is no host")?;
    let (app, rest) = word(rest).ok_or("there is no program")?;
    let (process, rest) = word(rest).ok_or("there is no process")?;
    let (id, rest) = word(rest).ok_or("there is no message id")?;
    let (data, rest) = structured_data(rest)?;
    let content = match rest.strip_prefix(' ') {
        Some(content) => content,
        None if rest.is_empty() => rest,
        None => return Err("no space follows the structured data"),
    };
    let time = match time {
        None => None,
        Some(text) => Some(time::of_text(text).ok_or("the time cannot be read")?),
    };
    Ok(Envelope { time, host, app, process, id, data, content, problem: None })
}

/// A word and what is behind the space after it. `-` is a word that says nothing.
fn word(text: &str) -> Option<(Option<&str>, &str)> {
    let (word, rest) = text.split_once(' ')?;
    (!word.is_empty()).then_some((Some(word).filter(|word| *word != "-"), rest))
}

/// `-`, or `[id name="value" …]…`.
fn structured_data(text: &str) -> Result<(Map<String, Value>, &str), &'static str> {
    let mut data = Map::new();
    if let Some(rest) = text.strip_prefix('-') {
        return Ok((data, rest));
    }
    if !text.starts_with('[') {
        return Err("the structured data begins with neither `-` nor `[`");
    }
    let mut rest = text;
    while let Some(inside) = rest.strip_prefix('[') {
        if data.len() == ELEMENTS_MAX {
            return Err("there is too much structured data");
        }
        let (id, behind) = name(inside).ok_or("an element of the structured data has no name")?;
        let (element, behind) = element(behind)?;
        if data.insert(id.to_owned(), element.into()).is_some() {
            return Err("an element of the structured data is there twice");
        }
        rest = behind;
    }
    Ok((data, rest))
}

/// ` name="value" …]`
fn element(mut rest: &str) -> Result<(Map<String, Value>, &str), &'static str> {
    let mut element = Map::new();
    loop {
        if let Some(behind) = rest.strip_prefix(']') {
            return Ok((element, behind));
        }
        if element.len() == ELEMENTS_MAX {
            return Err("there is too much structured data");
        }
        let (name, behind) =
            rest.strip_prefix(' ').and_then(name).ok_or("a value of the structured data has no name")?;
        let value = behind.strip_prefix("=\"").ok_or("a value of the structured data is not in quotes")?;
        let (value, behind) = quoted(value).ok_or("a value of the structured data has no end")?;
        match element.get_mut(name) {
            None => {
                element.insert(name.to_owned(), value.into());
            }
            // Names may be there more than once.
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = json!([first.take(), value]),
        }
        rest = behind;
    }
}

/// The name of an element or of a value.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find([' ', '=', ']', '"'])?;
    (end > 0).then(|| text.split_at(end))
}

/// A value up to its quote, without the backslashes before `"`, `\` and `]`.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        value.push_str(&rest[..at]);
        let (found, behind) = rest[at..].split_at(1);
        if found == "\"" {
            return Some((value, behind));
        }
        if let escaped @ ('"' | '\\' | ']') = behind.chars().next()? {
            value.push(escaped);
            rest = &behind[1..];
        } else {
            // Any other backslash stands for itself.
            value.push('\\');
            rest = behind;
        }
    }
}

// RFC 3164

/// Reads what follows `<PRI>`: `Mmm dd hh:mm:ss host program[pid]: text`, any part of which may be missing. Whatever it is, it is
/// a message (RFC 3164, section 4.3).
fn rfc3164<'a>(rest: &'a str, now: &Zoned) -> Envelope<'a> {
    let with_word = || {
        let (word, behind) = rest.split_once(' ')?;
        Some((time::of_text(word)?, behind))
    };
    let Some((time, behind)) = time::of_rfc3164(rest, now).or_else(with_word) else {
        let (app, process, content) = tag(rest);
        return Envelope { app, process, content, ..Envelope::default() };
    };
    let (mut host, mut behind_host) = (None, behind);
    // A message of this machine's own may have no host.
    if let Some((word, rest)) = behind.split_once(' ')
        && !word.is_empty()
        && !word.ends_with(':')
    {
        (host, behind_host) = (Some(word), rest);
    }
    let (app, process, content) = tag(behind_host);
    Envelope { time: Some(time), host, app, process, content, ..Envelope::default() }
}

/// `program[pid]: `, and the text behind it.
fn tag(text: &str) -> (Option<&str>, Option<&str>, &str) {
    let none = (None, None, text);
    let Some(end) = text.find(['[', ':', ' ']).filter(|end| (1..=TAG_BYTES_MAX).contains(end)) else { return none };
    let (app, rest) = text.split_at(end);
    if app.contains(['{', '"', '<', '=']) {
        return none;
    }
    let (mut process, mut behind) = (None, rest);
    if let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        if inside.len() > TAG_BYTES_MAX || inside.contains(' ') {
            return none;
        }
        (process, behind) = (Some(inside), after);
    }
    if let Some(content) = behind.strip_prefix(':') {
        return (Some(app), process, content.strip_prefix(' ').unwrap_or(content));
    }
    // rsyslog puts no colon behind a tag that was given without one.
    match behind.strip_prefix(' ') {
        Some(content) if process.is_some() || json::is_meant(content) || content.trim_start().starts_with(COOKIE) => {
            (Some(app), process, content)
        }
        _ => none,
    }
}
