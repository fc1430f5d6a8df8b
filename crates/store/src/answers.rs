//! Remembers what segments answered: counts, best hits and unfinished aggregations, so that a question that is asked again goes
//! through new segments only.
//!
//! What Elasticsearch remembers of a shard until its next refresh is remembered here of a segment, which never changes: no document is
//! ever changed or deleted in one, so that an answer stays true for as long as the segment is there. Of segments that are gone it
//! is asked for no more and is forgotten first.
//!
//! An answer stands under the segment, the condition as it is reduced for that segment (docs/decisions/0015), and the words of
//! what was asked (`agg::words`). Both are resolved: nothing in them depends on the present any more, and there are no scores and no
//! scripts. What ran out of time is not remembered. A question about a part of a segment's time is remembered from its second sighting
//! on, as its limits mostly move on with the present; all others are at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tantivy::SegmentReader;
use tantivy::index::SegmentId;

use crate::agg::partial::Partial;
use crate::filter::Filter;
use crate::lock::Lock;
use crate::lru::Lru;
use crate::print::{Print, Printer};
use crate::sort::Found;

/// Memory of all that is remembered.
const BYTES_MAX: usize = 64 << 20;
/// Smaller segments are gone through in no time, and are soon merged.
const SEGMENT_DOCS_MIN: u32 = if cfg!(test) { 2 } else { 1_024 };
/// Longest text of a condition, or of what is asked of its documents.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// About what an answer takes besides what is in it.
const ANSWER_BYTES: usize = 200;

/// A question to a segment: about which documents, and what.
pub(crate) type Question = (SegmentId, Print, Print);

/// What a segment answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// How many documents fulfil the condition.
    Count(u64),
    /// The first of them in some order.
    Hits(Arc<Vec<Found>>),
    /// An aggregation over them.
    Aggregation(Arc<Partial>),
}

impl Answer {
    fn bytes(&self) -> usize {
        ANSWER_BYTES
            + match self {
                Answer::Count(_) => 0,
                Answer::Hits(hits) => hits.iter().map(Found::bytes).sum(),
                Answer::Aggregation(partial) => partial.bytes(),
            }
    }
}

/// What is remembered. One for all days.
#[derive(Debug)]
pub(crate) struct Answers {
    printer: Printer,
    kept: Lock<Lru<Question, Answer>>,
    recalled: AtomicU64,
    collected: AtomicU64,
}

impl Default for Answers {
    fn default() -> Self {
        Self::of(BYTES_MAX)
    }
}

impl Answers {
    /// With room for so many bytes; without room, nothing is remembered.
    pub(crate) fn of(bytes_max: usize) -> Self {
        Self {
            printer: Printer::default(),
            kept: Lock::new(Lru::new(bytes_max)),
            recalled: AtomicU64::new(0),
            collected: AtomicU64::new(0),
        }
    }

    /// What is known of the documents of a segment that fulfil a condition, which is reduced for it.
    pub(crate) fn about(&self, reader: &SegmentReader, condition: &Filter) -> About<'_> {
        if reader.max_doc() < SEGMENT_DOCS_MIN {
            return About::default();
        }
        let Some(print) = self.printer.print(format_args!("{condition:?}"), TEXT_BYTES_MAX) else {
            return About::default();
        };
        let documents = Documents { segment: reader.segment_id(), condition: print, cuts_time: condition.is_of_time() };
        About(Some((self, documents)))
    }

    /// How many answers were taken from memory, and how many were not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.recalled.load(Ordering::Relaxed), self.collected.load(Ordering::Relaxed))
    }

    /// Bytes of what is remembered.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.lock().bytes()
    }
}

/// What is known of some documents of a segment; by default nothing, and nothing is remembered of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a>(Option<(&'a Answers, Documents)>);

/// Some documents of a segment.
#[derive(Clone, Copy)]
struct Documents {
    segment: SegmentId,
    condition: Print,
    /// Whether the condition cuts a segment's time.
    cuts_time: bool,
}

/// What is known of a question.
pub(crate) enum Known {
    Answer(Answer),
    /// What is found is to be kept.
    Keep(Question),
    /// It is new, or is never kept.
    Nothing,
}

impl Known {
    /// What an answer is to be kept under.
    pub(crate) fn question(self) -> Option<Question> {
        match self {
            Known::Keep(question) => Some(question),
            Known::Answer(_) | Known::Nothing => None,
        }
    }
}

impl About<'_> {
    /// Whether there is nothing to ask.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// What is known of what these words ask; `moves` when they have limits in them that are others the next time.
    pub(crate) fn ask(&self, words: fmt::Arguments<'_>, moves: bool) -> Known {
        let Some((answers, Documents { segment, condition, cuts_time })) = self.0 else { return Known::Nothing };
        let Some(words) = answers.printer.print(words, TEXT_BYTES_MAX) else { return Known::Nothing };
        let question = (segment, condition, words);
        let mut kept = answers.kept.lock();
        if let Some(answer) = kept.find(question) {
            answers.recalled.fetch_add(1, Ordering::Relaxed);
            return Known::Answer(answer);
        }
        answers.collected.fetch_add(1, Ordering::Relaxed);
        let may_come_again = !(cuts_time || moves) || kept.has_come(question);
        if may_come_again { Known::Keep(question) } else { Known::Nothing }
    }

    /// Remembers an answer; whatever was not asked for the longest is forgotten for it.
    pub(crate) fn keep(&self, question: Question, answer: Answer) {
        let Some((answers, _)) = self.0 else { return };
        let bytes = answer.bytes();
        answers.kept.lock().keep(question, answer, bytes);
    }
}
