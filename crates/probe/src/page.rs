//! An address: whether it answers as it should.

use serde_json::json;

use crate::finding::{Finding, round3};
use crate::http::{Answer, Health, Http, path_of};
use crate::said::Said;

/// Last parts of paths that are made for the question whether something is well: a page for people there is a catch-all.
const HEALTH_NAMES: [&str; 12] = [
    "health",
    "healthz",
    "healthcheck",
    "ready",
    "readyz",
    "live",
    "livez",
    "alive",
    "startup",
    "startupz",
    "ping",
    "status",
];

/// Which address, and what is right there.
#[derive(Clone, Debug)]
pub struct PageLook {
    /// The address.
    pub url: String,
    /// A text that its answer has to have.
    pub expect: Option<String>,
    /// The status that is right; any of 200 to 299 when absent.
    pub status: Option<u16>,
}

pub(crate) async fn run(look: &PageLook, http: &Http) -> Finding {
    let answer = match http.get(&look.url).await {
        Ok(answer) => answer,
        Err(error) => return Finding::fault(Said::PageSilent { error }).field("url", look.url.clone()),
    };
    judge(look, &answer)
        .field("url", look.url.clone())
        .field("status_code", answer.status.as_u16())
        .field("answer_ms", json!(round3(answer.took.as_secs_f64() * 1e3)))
}

fn judge(look: &PageLook, answer: &Answer) -> Finding {
    let status = answer.status.as_u16();
    if let Some(wanted) = look.status {
        if status != wanted {
            return Finding::fault(Said::PageOther { status, wanted });
        }
    } else if !answer.status.is_success() {
        return Finding::fault(Said::PageStatus { status });
    }
    if let Some(text) = &look.expect {
        let body = String::from_utf8_lossy(&answer.body);
        let (is_there, text) = (body.contains(text.as_str()), text.clone());
        return if is_there {
            Finding::ok(Said::PageWith { status, text })
        } else {
            Finding::fault(Said::PageWithout { status, text })
        };
    }
    if !asks_for_health(&look.url) {
        return Finding::ok(Said::PageStatus { status });
    }
    match answer.health(path_of(&look.url)) {
        Health::Well(_) => Finding::ok(Said::PageWell { status }),
        Health::Doubtful(why, _) => Finding::warn(why),
        // A status that was asked for is right, whatever it says.
        Health::Unwell(_) if look.status.is_some() => Finding::ok(Said::PageStatus { status }),
        Health::Unwell(why) => Finding::fault(why),
    }
}

fn asks_for_health(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/');
    path.rsplit('/').next().is_some_and(|name| HEALTH_NAMES.contains(&name.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::finding::Outcome;

    #[test]
    fn a_page_is_right_only_where_pages_are_asked_for() {
        let answer = |status: u16, body: &str| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            content_type: String::new(),
            date: None,
            body: body.to_owned().into(),
            took: Duration::ZERO,
        };
        let page = "<!doctype html><title>Chat</title>";
        for (url, expect, status, given, outcome) in [
            ("http://h/", None, None, (200, page), Outcome::Ok),
            ("http://h/", Some("Chat"), None, (200, page), Outcome::Ok),
            ("http://h/", Some("Login"), None, (200, page), Outcome::Fault),
            ("http://h/health?x=1", None, None, (200, page), Outcome::Fault),
            ("http://h/health", None, None, (200, r#"{"ok":true}"#), Outcome::Ok),
            ("http://h/health", None, None, (200, r#"{"status":"degraded"}"#), Outcome::Warn),
            ("http://h/", None, None, (500, ""), Outcome::Fault),
            ("http://h/", None, Some(401), (401, ""), Outcome::Ok),
            ("http://h/ready", None, Some(503), (503, ""), Outcome::Ok),
            ("http://h/", None, Some(401), (200, ""), Outcome::Fault),
        ] {
            let look = PageLook { url: url.to_owned(), expect: expect.map(str::to_owned), status };
            let finding = judge(&look, &answer(given.0, given.1));
            assert_eq!(finding.outcome, outcome, "{url} {given:?}: {finding:?}");
        }
    }
}
