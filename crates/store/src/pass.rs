//! One segment gone through for a search: what it answered before is recalled, the rest is collected in one pass over its documents.

use std::sync::Arc;
use std::time::Instant;

use crate::agg::collect::{Budget, Level, Segment};
use crate::agg::partial::Partial;
use crate::agg::plan::AggPlan;
use crate::agg::words::{View, Words};
use crate::answers::{About, Answer, Answers, Known, Question};
use crate::bits::{BLOCK, Docs};
use crate::error::StoreError;
use crate::filter::{Filter, FilterCache};
use crate::sort::{Best, Found, SegmentSort, SortPlan};
use crate::standing::Standing;

/// What is remembered from one search to the next. One for all days.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) filters: FilterCache,
    pub(crate) answers: Answers,
    pub(crate) standing: Standing,
}

/// A segment that is gone through.
pub(crate) struct Pass<'a> {
    segment: &'a Segment<'a>,
    /// Which documents, as it is to be said of this segment.
    condition: Filter,
    about: About<'a>,
    /// Those that fulfil the condition, once that had to be found out.
    docs: Option<Docs>,
    deadline: Instant,
    timed_out: bool,
}

/// Which hits are wanted.
pub(crate) struct Wanted<'a> {
    pub(crate) plan: &'a SortPlan,
    /// The same for the segment.
    pub(crate) sort: SegmentSort,
    pub(crate) size: usize,
    /// Which of the documents are hits, unless all are.
    pub(crate) among: Option<&'a Docs>,
    /// Only hits behind some other one.
    pub(crate) is_behind: bool,
}

impl<'a> Pass<'a> {
    /// Begins with the documents that fulfil a condition. `answers` is where answers are remembered, if they are.
    pub(crate) fn new(
        segment: &'a Segment<'a>,
        condition: &Filter,
        answers: Option<&'a Answers>,
        deadline: Instant,
    ) -> Result<Self, StoreError> {
        let condition = segment.filter.reduced(condition)?;
        let about = answers.map(|answers| answers.about(segment.reader, &condition)).unwrap_or_default();
        Ok(Self { segment, condition, about, docs: None, deadline, timed_out: false })
    }

    /// Whether time ran out before all documents were looked at.
    pub(crate) fn timed_out(&self) -> bool {
        self.timed_out
    }

    /// The documents.
    pub(crate) fn docs(&mut self) -> Result<&Docs, StoreError> {
        let docs = match self.docs.take() {
            Some(docs) => docs,
            None => self.segment.filter.docs(&self.condition)?,
        };
        Ok(self.docs.insert(docs))
    }

    /// The documents as far as they had to be found out, for another pass with the same condition.
    pub(crate) fn into_docs(self) -> Option<Docs> {
        self.docs
    }

    /// These are the documents.
    pub(crate) fn with_docs(self, docs: Option<Docs>) -> Self {
        Self { docs, ..self }
    }

    /// How many documents there are.
    pub(crate) fn count(&mut self) -> Result<u64, StoreError> {
        let max_doc = self.segment.reader.max_doc();
        match self.condition {
            Filter::All => return Ok(max_doc.into()),
            Filter::None => return Ok(0),
            _ => {}
        }
        let question = match self.about.ask(format_args!("count"), false) {
            Known::Answer(Answer::Count(count)) => return Ok(count),
            known => known.question(),
        };
        let count = self.docs()?.count(max_doc);
        Ok(self.kept(count, question, Answer::Count))
    }

    /// The best hits, and the result of each of these aggregations.
    pub(crate) fn go(
        &mut self,
        plans: &[&'a AggPlan],
        wanted: Option<&Wanted<'_>>,
    ) -> Result<(Vec<Found>, Vec<Partial>), StoreError> {
        let hits = wanted.map(|wanted| self.asked_hits(wanted));
        let results = plans.iter().map(|plan| self.asked(plan)).collect::<Result<Vec<_>, _>>()?;
        let is_missing = |asked: &Asked<Partial>| asked.answer.is_none();
        let missing: Vec<&AggPlan> =
            plans.iter().zip(&results).filter(|(_, asked)| is_missing(asked)).map(|(plan, _)| *plan).collect();
        let missing_hits = wanted.filter(|_| hits.as_ref().is_some_and(|hits| hits.answer.is_none()));
        let (found, collected) = if missing.is_empty() && missing_hits.is_none() {
            (Vec::new(), Vec::new())
        } else {
            self.collect(&missing, missing_hits)?
        };
        let found = match hits {
            Some(Asked { answer: Some(known), .. }) => known,
            Some(Asked { question, .. }) => self.kept(found, question, |found| Answer::Hits(Arc::new(found))),
            None => found,
        };
        let mut collected = collected.into_iter();
        let results = results.into_iter().filter_map(|Asked { answer, question }| {
            answer.or_else(|| {
                let partial = collected.next()?;
                Some(self.kept(partial, question, |partial| Answer::Aggregation(Arc::new(partial))))
            })
        });
        let results: Vec<Partial> = results.collect();
        debug_assert_eq!(results.len(), plans.len(), "each collector hands over one result");
        Ok((found, results))
    }

    /// One pass over the documents.
    fn collect(
        &mut self,
        plans: &[&'a AggPlan],
        wanted: Option<&Wanted<'_>>,
    ) -> Result<(Vec<Found>, Vec<Partial>), StoreError> {
        let (segment, deadline) = (self.segment, self.deadline);
        let budget = Budget::new(deadline);
        let mut level = Level::of(plans.iter().copied(), segment, &budget)?;
        let mut best = Best::new(wanted.map_or(0, |wanted| wanted.size));
        let mut timed_out = false;
        // All documents are in the one bucket above the aggregations.
        let buckets = vec![0; BLOCK];
        self.docs()?.for_each_block(segment.reader.max_doc(), |block| {
            timed_out |= Instant::now() >= deadline;
            if timed_out {
                return Ok(());
            }
            if let Some(Wanted { sort, among, .. }) = wanted {
                for doc in block.iter().filter(|doc| among.is_none_or(|among| among.contains(**doc))) {
                    best.add(sort, *doc);
                }
            }
            level.collect(block, &buckets[..block.len()])
        })?;
        let found = match wanted {
            Some(wanted) => best.take(&wanted.sort, segment.day, segment.number)?,
            None => Vec::new(),
        };
        let collected = level.take(0)?;
        self.timed_out |= timed_out || budget.is_over();
        Ok((found, collected))
    }

    /// What is known of the hits.
    fn asked_hits(&self, Wanted { plan, size, among, is_behind, .. }: &Wanted<'_>) -> Asked<Vec<Found>> {
        if among.is_some() || *is_behind {
            return Asked { answer: None, question: None };
        }
        match self.about.ask(format_args!("hits {size} {plan:?}"), false) {
            Known::Answer(Answer::Hits(hits)) => {
                let mut hits = Vec::clone(&hits);
                for found in &mut hits {
                    found.move_to(self.segment.day, self.segment.number);
                }
                Asked { answer: Some(hits), question: None }
            }
            known => Asked { answer: None, question: known.question() },
        }
    }

    /// What is known of an aggregation.
    fn asked(&self, plan: &AggPlan) -> Result<Asked<Partial>, StoreError> {
        if self.about.is_nothing() {
            return Ok(Asked { answer: None, question: None });
        }
        let Words { text, moves } = Words::of(plan, &View::In(self.segment.filter))?;
        Ok(match self.about.ask(format_args!("{text}"), moves) {
            Known::Answer(Answer::Aggregation(partial)) => {
                let mut partial = Partial::clone(&partial);
                if plan.tells_places() {
                    partial.move_to(self.segment.day, self.segment.number);
                }
                Asked { answer: Some(partial), question: None }
            }
            known => Asked { answer: None, question: known.question() },
        })
    }

    /// Remembers what was found, unless it is of a part of the documents only.
    fn kept<T: Clone>(&self, found: T, question: Option<Question>, answer: impl FnOnce(T) -> Answer) -> T {
        if let Some(question) = question.filter(|_| !self.timed_out) {
            self.about.keep(question, answer(found.clone()));
        }
        found
    }
}

/// What was asked for.
struct Asked<T> {
    /// What is known; the rest is to be found out.
    answer: Option<T>,
    /// What it is to be remembered under then.
    question: Option<Question>,
}
