//! Confirms a paused process from the link of the message that told of it.
//!
//! The link is that of the incident (`alerts`): signed, for one incident and one channel, and good for days. Beside "I look after it" its
//! page says of each process that waited for a human when the incident began what happened and what will be done, with a button.
//! It works once: a process that has run since, and is paused again, is told of anew, and only the newer link starts it.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tollhouse_web::escaped;

use crate::Console;
use crate::keeper::{NotFollowed, ProcessOrder};

/// The rule whose incidents are about processes that wait for a human.
const RULE: &str = "process-paused";
/// Longest form that is read.
const FORM_BYTES_MAX: usize = 1024;

/// What is said on the page of an incident's link of the processes that it is about.
pub(crate) async fn offer(console: &Console, incident: &Value) -> String {
    if incident["rule"] != RULE {
        return String::new();
    }
    let Some(processes) = console.inner.keeper.processes().await else { return String::new() };
    waiting(incident, &processes).into_iter().map(shown).collect()
}

/// The process that a form names.
pub(crate) fn named(form: &Bytes) -> Option<String> {
    let form = form.get(..form.len().min(FORM_BYTES_MAX))?;
    // Nothing of a name is encoded: it has letters, digits, `.`, `_` and `-`.
    std::str::from_utf8(form).ok()?.split('&').find_map(|field| field.strip_prefix("confirm=")).map(str::to_owned)
}

/// Starts the process again, if it still waits for what the incident told; what came of it.
pub(crate) async fn confirm(console: &Console, incident: &Value, name: &str) -> String {
    let Some(processes) = console.inner.keeper.processes().await else {
        return said("The house is busy; try again.", "服务正忙，请重试。");
    };
    if incident["rule"] != RULE || !waiting(incident, &processes).iter().any(|process| process["name"] == name) {
        return said(
            "Nothing was started: it does not wait any more for what this link is about.",
            "未启动任何进程：它不再等待此链接所指的确认。",
        );
    }
    let by = incident["by"].as_str().unwrap_or("link").to_owned();
    match console.inner.keeper.order(ProcessOrder { process: name.to_owned(), order: "confirm", by }).await {
        Some(Ok(_)) => said("Confirmed: it is started again.", "已确认：正在再次启动。"),
        Some(Err(NotFollowed::Unknown(error) | NotFollowed::Refused(error))) => said(&escaped(&error), ""),
        None => {
            said("The house did not answer in time; its records tell what comes of it.", "未及时应答；结果见记录。")
        }
    }
}

/// Processes that the incident is about and that have waited since before it began.
fn waiting<'a>(incident: &Value, processes: &'a Value) -> Vec<&'a Value> {
    let moment = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let Some(began) = moment(&incident["began"]) else { return Vec::new() };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let is_told = |name: &Value| {
        list(&incident["groups"]).contains(name)
            || list(&incident["figures"]).iter().any(|figure| figure["name"] == *name)
    };
    let waits = |process: &&Value| {
        process["state"] == "paused"
            && is_told(&process["name"])
            && moment(&process["since"]).is_some_and(|since| since <= began)
    };
    processes.as_array().into_iter().flatten().filter(waits).collect()
}

fn shown(process: &Value) -> String {
    let text = |name: &str| escaped(process[name].as_str().unwrap_or_default());
    let words: Vec<&str> = process["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (name, reason, since, command) = (text("name"), text("reason"), text("since"), escaped(&words.join(" ")));
    format!(
        "<h2>{name}</h2>\
         <p>What happened · <span lang=\"zh-CN\">发生了什么</span>: {reason} ({since})</p>\
         <p>What will be done · <span lang=\"zh-CN\">将要做什么</span>: it is started again · \
         <span lang=\"zh-CN\">再次启动</span>: <code>{command}</code></p>\
         <form method=\"post\"><input type=\"hidden\" name=\"confirm\" value=\"{name}\">\
         <button>Confirm: start {name} again · <span lang=\"zh-CN\">确认：再次启动 {name}</span></button></form>"
    )
}

fn said(words: &str, chinese: &str) -> String {
    let chinese = if chinese.is_empty() { String::new() } else { format!(" <span lang=\"zh-CN\">{chinese}</span>") };
    format!("<p role=\"status\"><strong>{words}</strong>{chinese}</p>")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_link_is_for_those_who_waited_when_it_was_made() {
        let incident = json!({
            "rule": RULE, "began": "2026-01-27T08:00:00Z", "groups": [], "figures": [{"name": "ollama", "value": "1"}],
        });
        let process = |name: &str, state: &str, since: &str| json!({"name": name, "state": state, "since": since});
        let names = |processes: Value| -> Vec<String> {
            waiting(&incident, &processes).iter().map(|process| process["name"].to_string()).collect()
        };
        let before = "2026-01-27T07:59:58.123Z";
        assert_eq!(names(json!([process("ollama", "paused", before)])), ["\"ollama\""]);
        assert!(names(json!([process("ollama", "ready", before)])).is_empty(), "it was confirmed");
        assert!(names(json!([process("ollama", "paused", "2026-01-27T09:00:00Z")])).is_empty(), "paused anew");
        assert!(names(json!([process("other", "paused", before)])).is_empty(), "another one");
    }

    #[test]
    fn the_page_says_what_happened_and_what_will_be_done() {
        let process = json!({
            "name": "ollama", "state": "paused", "since": "2026-01-27T07:59:58Z", "reason": "it ended with <exit> code 3",
            "command": ["ollama", "serve"],
        });
        let page = shown(&process);
        assert!(page.contains("&lt;exit&gt; code 3") && page.contains("<code>ollama serve</code>"), "{page}");
        assert_eq!(named(&Bytes::from_static(b"a=b&confirm=olla-ma.1")), Some("olla-ma.1".to_owned()));
        assert_eq!(named(&Bytes::new()), None);
    }
}
