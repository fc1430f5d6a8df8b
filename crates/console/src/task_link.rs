//! Answers a task's question from the link of the message that asked it.
//!
//! The link is signed, for one question and one channel, and good until the question answers itself. `GET` only shows what is
//! asked, because programs that look at mails follow links; `POST`, which its buttons send, answers. It works once: the
//! question has a number, and a later one has another.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use jiff::Timestamp;
use tollhouse_tasks::{Answer, Asked, Desk, Edits, TaskError};
use tollhouse_web::escaped;

use crate::Console;
use crate::alerts::page;
use crate::tasks::status_of;

/// What such links are signed for.
pub const TASK_LINK_PURPOSE: &str = "answer";
/// Longest form that is read.
const FORM_BYTES_MAX: usize = 64;

/// What a link is for: the subject that is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TaskLink {
    /// The run.
    pub run: String,
    /// Which of its questions.
    pub number: i64,
    /// The channel that was told.
    pub channel: String,
}

impl TaskLink {
    /// The text that is signed.
    pub fn subject(&self) -> String {
        format!("{}~{}~{}", self.run, self.number, self.channel)
    }

    /// The link of such a text.
    pub fn of(subject: &str) -> Option<Self> {
        let mut parts = subject.splitn(3, '~');
        let (run, number, channel) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        Some(Self { run: run.to_owned(), number, channel: channel.to_owned() })
    }

    /// Whether those who were told may answer: nobody is named who may, or the channel is.
    pub fn may_answer(&self, question: &Asked) -> bool {
        question.by.is_empty() || question.by.contains(&self.channel)
    }
}

/// Shows what is asked.
pub(crate) async fn show(State(console): State<Console>, Path(token): Path<String>) -> Response {
    match question(&console, &token).await {
        Ok((_, _, question)) => page(StatusCode::OK, &asked(&question)),
        Err((status, words)) => page(status, &words),
    }
}

/// Answers it.
pub(crate) async fn follow(State(console): State<Console>, Path(token): Path<String>, body: Bytes) -> Response {
    let (desk, link, question) = match question(&console, &token).await {
        Ok(found) => found,
        Err((status, words)) => return page(status, &words),
    };
    let who = format!("link: {}", link.channel);
    let answer = Answer { who, comment: String::new(), edits: Edits::default(), number: Some(link.number) };
    let form = body.get(..body.len().min(FORM_BYTES_MAX)).unwrap_or_default();
    let (answered, words) = match form {
        b"answer=approve" => {
            (desk.approve(&link.run, answer).await, said("Approved: it goes on.", "已批准：继续执行。"))
        }
        b"answer=reject" => (desk.reject(&link.run, answer).await, said("Rejected.", "已拒绝。")),
        _ => return page(StatusCode::BAD_REQUEST, &asked(&question)),
    };
    match answered {
        Ok(()) => page(StatusCode::OK, &format!("<h1>{}</h1>{words}", escaped(&question.task))),
        Err(TaskError::NotNow { .. } | TaskError::Changed) => page(StatusCode::GONE, &over()),
        Err(error) => {
            tracing::error!(error = tollhouse_units::chain(&error), run = link.run, "answering by a link");
            page(status_of(&error), &said("It could not be answered; try again.", "无法回答，请重试。"))
        }
    }
}

/// The question that a token is for, or why there is none.
async fn question(console: &Console, token: &str) -> Result<(Desk, TaskLink, Asked), (StatusCode, String)> {
    let now_ms = Timestamp::now().as_millisecond();
    let subject = console.inner.state.read_link(TASK_LINK_PURPOSE, token, now_ms);
    let subject = subject.map_err(|error| (StatusCode::GONE, format!("<h1>{}</h1>", escaped(&error.to_string()))))?;
    let gone = || (StatusCode::GONE, over());
    let link = TaskLink::of(&subject).ok_or_else(gone)?;
    let desk = console.inner.settings.tasks.desk().ok_or_else(gone)?;
    let run = desk.show(&link.run).await.map_err(|_| gone())?;
    let question = run.question.filter(|question| question.number == link.number).ok_or_else(gone)?;
    if link.may_answer(&question) { Ok((desk, link, question)) } else { Err(gone()) }
}

fn asked(question: &Asked) -> String {
    let lines: Vec<String> = question.text.lines().map(escaped).collect();
    let lines = format!("<p>{}</p>", lines.join("</p><p>"));
    let until = question.expires_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let until = until.map_or_else(String::new, |until| {
        let until = escaped(&format!("{until:.0}"));
        format!("<p>Open until {until}. <span lang=\"zh-CN\">有效期至 {until}。</span></p>")
    });
    let button = |answer: &str, words: &str, chinese: &str| {
        format!("<button name=\"answer\" value=\"{answer}\">{words} · <span lang=\"zh-CN\">{chinese}</span></button> ")
    };
    format!(
        "<h1>{}</h1><p>{} · {}</p>{lines}{until}<form method=\"post\">{}{}</form>",
        escaped(&question.task),
        escaped(&question.step),
        escaped(&question.run),
        button("approve", "Approve", "批准"),
        button("reject", "Reject", "拒绝"),
    )
}

fn over() -> String {
    said(
        "There is nothing to answer any more: it was answered, has expired, or another question is asked by now.",
        "已无需回答：问题已被回答、已过期，或现在是另一个问题。",
    )
}

fn said(words: &str, chinese: &str) -> String {
    format!("<p role=\"status\"><strong>{words}</strong></p><p lang=\"zh-CN\">{chinese}</p>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(by: &[&str]) -> Asked {
        Asked {
            run: "r1".to_owned(),
            task: "daily".to_owned(),
            step: "ok".to_owned(),
            why: "approve".to_owned(),
            text: "Send <b>this</b>?".to_owned(),
            by: by.iter().map(|name| (*name).to_owned()).collect(),
            since_ms: 0,
            expires_ms: Some(60_000),
            number: 7,
        }
    }

    #[test]
    fn a_link_is_for_one_question_and_those_who_were_asked() {
        let link = TaskLink { run: "r1".to_owned(), number: 7, channel: "ops".to_owned() };
        assert_eq!(TaskLink::of(&link.subject()), Some(link.clone()));
        assert_eq!(TaskLink::of("r1~x~ops"), None);
        assert!(link.may_answer(&question(&[])) && link.may_answer(&question(&["ann", "ops"])));
        assert!(!link.may_answer(&question(&["ann"])));
    }

    #[test]
    fn the_page_shows_what_is_asked_and_two_buttons() {
        let page = asked(&question(&[]));
        assert!(page.contains("Send &lt;b&gt;this&lt;/b&gt;?") && page.contains("1970-01-01T00:01:00Z"), "{page}");
        assert!(page.contains("value=\"approve\"") && page.contains("value=\"reject\""));
    }
}
