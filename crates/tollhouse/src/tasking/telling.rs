//! What happens to a task, as a record: who, what, where it is, and no prompt, answer or value.

use tollhouse_journal::{Level, Record};
use tollhouse_tasks::{Ending, Event, Told, Turned, Verdict, Work};

/// Where these records come from.
const CALLER: &str = "tollhouse/tasking.rs";

/// The record of an event.
pub(super) fn record(told: &Told) -> Record {
    let event = &told.entry.event;
    let mut record = Record::new("task", level(event), told.sentence())
        .caller(CALLER)
        .field("task", told.task.as_str())
        .field("task_run", told.run.as_str())
        .field("task_event", event.code())
        .field("task_event_number", told.number);
    if let Some(step) = event.step() {
        record = record.field("task_step", step);
    }
    if let Some(item) = item(event) {
        record = record.field("task_item", item);
    }
    match event {
        Event::Begun { attempt, work, .. } => {
            record = record.field("task_attempt", *attempt).field("task_work", work.kind().key());
            if matches!(work, Work::Approve(_)) {
                record = record.field("waits_for_human", true);
            }
        }
        Event::Finished { tokens, maybe_twice, .. } => {
            record = record.field("tokens", *tokens).field("maybe_twice", *maybe_twice);
        }
        Event::Resumed { maybe_twice, .. } => record = record.field("maybe_twice", *maybe_twice),
        Event::Failed { error, .. } | Event::FailureBegun { error, .. } => {
            record = record.field("error", error.as_str());
        }
        Event::Halted { odd, .. } => {
            record = record.field("error", odd.sentence()).field("waits_for_human", true);
        }
        Event::Answered { who, verdict, comment, .. } => {
            record = record.field("by", who.as_str()).field("task_answer", word(*verdict));
            if !comment.is_empty() {
                record = record.field("comment", comment.as_str());
            }
        }
        Event::Retried { who, .. } | Event::Paused { who } | Event::Continued { who } => {
            record = record.field("by", who.as_str());
        }
        Event::Cancelled { who } => record = record.field("by", who.as_str()).field("task_outcome", "cancelled"),
        Event::TimedOut => record = record.field("task_outcome", "failed"),
        Event::Ended { outcome, error } => {
            let word = if *outcome == Ending::Done { "done" } else { "failed" };
            record = record.field("task_outcome", word);
            if let Some(error) = error {
                record = record.field("error", error.as_str());
            }
        }
        Event::Started
        | Event::Skipped { .. }
        | Event::Spread { .. }
        | Event::NotYet { .. }
        | Event::Reminded { .. } => {}
    }
    record
}

/// The record of a schedule that somebody held or let go on.
pub(super) fn turned(turned: &Turned) -> Record {
    let (event, what) = if turned.is_held { ("held", "held") } else { ("released", "let go on") };
    Record::new("task", Level::Info, format!("schedule of task {} {what} by {}", turned.task, turned.who))
        .caller(CALLER)
        .field("task", turned.task.as_str())
        .field("task_event", event)
        .field("by", turned.who.as_str())
}

fn level(event: &Event) -> Level {
    match event {
        Event::Ended { outcome: Ending::Failed, .. } | Event::TimedOut => Level::Error,
        Event::Failed { .. }
        | Event::Halted { .. }
        | Event::Resumed { .. }
        | Event::Reminded { .. }
        | Event::FailureBegun { .. } => Level::Warn,
        _ => Level::Info,
    }
}

fn item(event: &Event) -> Option<u32> {
    match event {
        Event::Begun { item, .. }
        | Event::Resumed { item, .. }
        | Event::Finished { item, .. }
        | Event::Failed { item, .. }
        | Event::NotYet { item, .. } => *item,
        _ => None,
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approve => "approve",
        Verdict::Reject => "reject",
    }
}
