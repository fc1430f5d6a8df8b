//! What tasks have done, counted for `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tollhouse_tasks::{Event, Told};
use tollhouse_telemetry::{Exposition, names};

/// The counts; clones share them. Their labels are the words of the engine, which are few.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    events: BTreeMap<&'static str, u64>,
    steps: BTreeMap<&'static str, u64>,
    tokens: u64,
    put_off: u64,
}

impl Counts {
    pub(super) fn told(&self, told: &Told) {
        let mut counted = self.counted();
        let event = &told.entry.event;
        *counted.events.entry(event.code()).or_default() += 1;
        match event {
            Event::Begun { work, .. } => *counted.steps.entry(work.kind().key()).or_default() += 1,
            Event::Finished { tokens, .. } => counted.tokens += tokens,
            _ => {}
        }
    }

    pub(super) fn put_off(&self) {
        self.counted().put_off += 1;
    }

    pub(super) fn expose(&self, figures: &mut Exposition) {
        let counted = self.counted();
        for (event, count) in &counted.events {
            figures.count(&names::TASK_EVENTS, &[event], *count);
        }
        for (kind, count) in &counted.steps {
            figures.count(&names::TASK_STEPS, &[kind], *count);
        }
        figures.count(&names::TASK_TOKENS, &[], counted.tokens);
        figures.count(&names::TASK_PUT_OFF, &[], counted.put_off);
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
