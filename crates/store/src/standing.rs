//! Questions that stand: those that come again and again, as open pages and alert rules ask them, whatever moment they are about.
//!
//! They are kept in a file beside the day indices, so that they are known after a start, when what the segments answered is not:
//!
//! ```text
//! <dir>/<service>.standing.json          [{"services": […], "body": {…}, "asked_ms": …, "times": …}, …]
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollhouse_query::ast::SearchRequest;
use tollhouse_query::dsl;
use tollhouse_shape::catalogue;

use crate::agg::plan::{LevelPlan, plan};
use crate::agg::words::{View, Words};
use crate::day::{Day, write_json};
use crate::error::StoreError;
use crate::filter::{Filter, Moment};
use crate::lock::Lock;
use crate::print::{Print, Printer};

/// Questions that may stand at a time.
const QUESTIONS_MAX: usize = 8;
/// Over fewer documents an answer comes soon anyway.
const DOCUMENTS_MIN: u64 = if cfg!(test) { 10 } else { 100_000 };
/// Longer ones are not kept.
const BODY_BYTES_MAX: usize = 16 << 10;
/// What was asked only once may have been a whim.
const TIMES_MIN: u64 = 2;
/// A question that was not asked for so long does not stand any more.
const FORGOTTEN_AFTER_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// In which of these times a question was asked last is written.
const WRITTEN_EVERY_MS: i64 = 3_600 * 1_000;

/// The questions of a store.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    printer: Printer,
    list: Lock<List>,
}

#[derive(Debug, Default)]
struct List {
    /// The one asked last is the last.
    questions: Vec<(Print, StandingQuestion)>,
    /// Whether the file says something else.
    is_changed: bool,
}

/// A question as it was asked last.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct StandingQuestion {
    /// Whose days were asked.
    pub(crate) services: BTreeSet<String>,
    /// The search.
    pub(crate) body: Value,
    /// When, in milliseconds since 1970.
    asked_ms: i64,
    /// How often it has come.
    times: u64,
}

impl Standing {
    /// What tells a question from others, whatever time it is about; nothing for one that is too long, or asks for no figures.
    pub(crate) fn print(
        &self,
        request: &SearchRequest,
        filter: &Filter,
        aggs: &LevelPlan,
    ) -> Result<Option<Print>, StoreError> {
        if aggs.aggs.is_empty() {
            return Ok(None);
        }
        let mut words = String::new();
        for agg in &aggs.aggs {
            words.push_str(&Words::of(agg, &View::AtAnyTime)?.text);
        }
        let (size, sort, filter) = (request.from + request.size, &request.sort, filter.at_any_time());
        Ok(self.printer.print(format_args!("{size} {sort:?} {filter:?} {words}"), BODY_BYTES_MAX))
    }

    /// Somebody has asked this, and so many documents were looked at.
    pub(crate) fn note(&self, print: Print, days: &[Arc<Day>], request: &SearchRequest, documents: u64, now_ms: i64) {
        if documents < DOCUMENTS_MIN {
            return;
        }
        let mut list = self.list.lock();
        let known = list.questions.iter().position(|(known, _)| *known == print);
        let before = known.map(|place| list.questions.remove(place).1);
        // As it was sent, unless it was changed on its way.
        let is_as_given = || dsl::parse_search(&request.as_given).is_ok_and(|given| given == *request);
        let is_short = || request.as_given.to_string().len() <= BODY_BYTES_MAX;
        if before.is_none() && !(is_short() && is_as_given()) {
            return;
        }
        let times = before.as_ref().map_or(0, |before| before.times);
        let is_told = before.is_some_and(|before| {
            times >= TIMES_MIN && before.asked_ms / WRITTEN_EVERY_MS == now_ms / WRITTEN_EVERY_MS
        });
        let question = StandingQuestion {
            services: days.iter().map(|day| day.service().to_owned()).collect(),
            body: request.as_given.clone(),
            asked_ms: now_ms,
            times: times + 1,
        };
        list.is_changed |= !is_told;
        list.questions.push((print, question));
        if list.questions.len() > QUESTIONS_MAX {
            list.questions.remove(0);
        }
    }

    /// Those that stand, the one asked last first.
    pub(crate) fn questions(&self, now_ms: i64) -> Vec<StandingQuestion> {
        let list = self.list.lock();
        let stands = |question: &&StandingQuestion| {
            question.times >= TIMES_MIN && now_ms.saturating_sub(question.asked_ms) < FORGOTTEN_AFTER_MS
        };
        list.questions.iter().rev().map(|(_, question)| question).filter(stands).cloned().collect()
    }

    /// Reads those of the file; one that cannot be read is left out.
    pub(crate) fn read(&self, dir: &Path, service: &str) {
        let Ok(bytes) = fs::read(path(dir, service)) else { return };
        let questions: Vec<StandingQuestion> = serde_json::from_slice(&bytes).unwrap_or_default();
        let moment = Moment::now();
        let known = questions.into_iter().filter_map(|question| {
            let request = dsl::parse_search(&question.body).ok()?;
            let filter = Filter::plan(&request.query, catalogue(), moment).ok()?;
            let aggs = plan(&request.aggs, catalogue(), moment).ok()?;
            Some((self.print(&request, &filter, &aggs).ok()??, question))
        });
        self.list.lock().questions = known.take(QUESTIONS_MAX).collect();
    }

    /// Writes them into the file if it says something else.
    pub(crate) fn write(&self, dir: &Path, service: &str) -> Result<(), StoreError> {
        let questions: Vec<StandingQuestion> = {
            let mut list = self.list.lock();
            if !std::mem::take(&mut list.is_changed) {
                return Ok(());
            }
            list.questions.iter().map(|(_, question)| question.clone()).collect()
        };
        write_json(&path(dir, service), &questions)
    }
}

fn path(dir: &Path, service: &str) -> PathBuf {
    dir.join(format!("{service}.standing.json"))
}
