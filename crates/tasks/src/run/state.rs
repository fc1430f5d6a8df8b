//! How far the steps of a run and their items are.

use serde_json::{Map, Value};

use crate::event::{Entry, Odd};
use crate::shown::Progress;
use crate::work::{Kind, Work};

/// A stop at something odd.
#[derive(Clone, Debug)]
pub(super) struct Halt {
    pub(super) step: usize,
    pub(super) odd: Odd,
    pub(super) since_ms: i64,
    /// The number of the event, which names the question.
    pub(super) number: i64,
    pub(super) reminded_ms: i64,
}

/// How far a step is.
#[derive(Clone, Debug, Default)]
pub(super) struct StepState {
    pub(super) progress: Progress,
    pub(super) generation: u32,
    /// The list of a step with `each`, once it is known; one item otherwise.
    pub(super) items: Vec<ItemState>,
    pub(super) list: Vec<Value>,
    pub(super) is_spread: bool,
    pub(super) value: Option<Value>,
    /// What a human put in place of what the template gives.
    pub(super) edits: Map<String, Value>,
    /// Questions: when it was asked, and by which event.
    pub(super) asked: Option<(i64, i64)>,
    pub(super) reminded_ms: i64,
    pub(super) error: Option<String>,
}

/// How far an item is.
#[derive(Clone, Debug, Default)]
pub(super) struct ItemState {
    pub(super) progress: Progress,
    pub(super) generation: u32,
    pub(super) attempts: u32,
    pub(super) work: Option<Work>,
    pub(super) value: Option<Value>,
    pub(super) error: Option<String>,
    /// When the first attempt of this generation began.
    pub(super) first_ms: Option<i64>,
    /// When the last one began and ended, as the clock showed it.
    pub(super) begun_ms: Option<i64>,
    pub(super) ended_ms: Option<i64>,
    /// When it goes on.
    pub(super) again_ms: Option<i64>,
    pub(super) maybe_twice: bool,
}

impl StepState {
    pub(super) fn spread(&mut self, list: &[Value]) {
        self.is_spread = true;
        self.list = list.to_vec();
        self.items = vec![ItemState::default(); list.len()];
        self.progress = Progress::Doing;
        if list.is_empty() {
            self.close(Progress::Done, Value::Array(Vec::new()));
        }
    }

    pub(super) fn begin(&mut self, attempt: (Option<u32>, u32, u32), work: &Work, entry: &Entry, number: i64) {
        let (item, generation, attempt) = attempt;
        if self.items.is_empty() {
            self.items.push(ItemState::default());
        }
        self.progress = Progress::Doing;
        let Some(item) = self.items.get_mut(item.unwrap_or(0) as usize) else { return };
        if item.generation != generation || attempt == 1 {
            item.first_ms = Some(entry.even_ms());
        }
        item.generation = generation;
        item.attempts = attempt;
        item.begun_ms = Some(entry.at_ms);
        item.ended_ms = None;
        item.again_ms = None;
        item.work = Some(work.clone());
        item.progress = match work {
            Work::Approve(_) => Progress::Asking,
            Work::Wait(wait) if wait.collect.is_none() => Progress::Waiting,
            _ => Progress::Doing,
        };
        if work.kind() == Kind::Approve {
            self.progress = Progress::Asking;
            self.asked = Some((entry.even_ms(), number));
            self.reminded_ms = entry.even_ms();
        }
    }

    pub(super) fn close(&mut self, progress: Progress, value: Value) {
        self.progress = progress;
        self.value = Some(value);
    }

    /// Makes it undone, for a new generation.
    pub(super) fn reopen(&mut self, keeps_items: bool) {
        let kept = std::mem::take(self);
        self.generation = kept.generation + 1;
        if keeps_items {
            self.is_spread = kept.is_spread;
            self.list = kept.list;
            let open = |item: ItemState| if item.progress == Progress::Done { item } else { ItemState::default() };
            self.items = kept.items.into_iter().map(open).collect();
            self.progress = Progress::Doing;
        }
    }
}

impl ItemState {
    pub(super) fn end(&mut self, progress: Progress, at_ms: i64) {
        self.progress = progress;
        self.ended_ms = Some(at_ms);
        self.again_ms = None;
    }

    pub(super) fn is_stuck(&self) -> bool {
        matches!(self.progress, Progress::Failed | Progress::Asking)
    }
}
