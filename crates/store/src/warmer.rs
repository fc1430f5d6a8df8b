//! The thread that asks standing questions ahead: after a start, and when there are large segments that have not answered yet. Whoever
//! looks next then waits for no pass over all records.
//!
//! It steps back while anybody searches, and while the indexer is far behind.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tantivy::index::SegmentId;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tollhouse_query::dsl;
use tollhouse_shape::catalogue;
use tollhouse_units::chain;

use crate::error::StoreError;
use crate::filter::Moment;
use crate::search;
use crate::standing::StandingQuestion;
use crate::store::Inner;

/// How often is looked for new segments.
const LOOK_EVERY: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(5) };
/// Smaller segments are gone through in no time.
const SEGMENT_DOCS_MIN: u32 = if cfg!(test) { 2 } else { 50_000 };
/// With more records to be indexed there will be other segments soon.
const BEHIND_MAX: u64 = 20_000;
/// Before a segment is asked, searches of others are waited for, so long.
const STEP_BACK_MAX: Duration = Duration::from_secs(2);
/// How often is looked whether they have ended.
const STEP_BACK_EVERY: Duration = Duration::from_millis(10);
/// Longest time of one question.
const QUESTION_TIME_MAX: Duration = Duration::from_mins(2);

/// The thread, which ends when the indexer is stopped.
#[derive(Debug)]
pub(crate) struct Warmer(JoinHandle<()>);

impl Warmer {
    pub(crate) fn start(store: Arc<Inner>, stopped: watch::Receiver<bool>) -> Result<Self, StoreError> {
        let doing = "starting to ask ahead";
        let dir = store.options.dir.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(StoreError::io(doing, &dir))?;
        let mut asking = Asking { store, stopped, runtime, asked: HashSet::new() };
        let thread = std::thread::Builder::new().name("warmer".into()).spawn(move || asking.run());
        Ok(Self(thread.map_err(StoreError::io(doing, &dir))?))
    }

    /// Waits for its end.
    pub(crate) fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("asking ahead panicked");
        }
    }
}

struct Asking {
    store: Arc<Inner>,
    stopped: watch::Receiver<bool>,
    runtime: Runtime,
    /// Large segments that were asked.
    asked: HashSet<SegmentId>,
}

impl Asking {
    fn run(&mut self) {
        loop {
            let is_stopped = self.rest();
            if let Err(error) = self.store.write_standing() {
                tracing::warn!(error = chain(&error), "standing questions cannot be written");
            }
            if is_stopped {
                return;
            }
            if self.store.behind() > BEHIND_MAX {
                continue;
            }
            let large = self.large_segments();
            if large.is_subset(&self.asked) {
                continue;
            }
            for question in self.store.memory.standing.questions(Moment::now().now_ms) {
                if let Err(error) = self.ask(&question) {
                    tracing::warn!(error = chain(&error), "a standing question cannot be asked");
                }
            }
            self.asked = large;
        }
    }

    /// Whether it is to end.
    fn rest(&mut self) -> bool {
        let stopped = self.stopped.wait_for(|stopped| *stopped);
        // Dropping the other end means the same as stopping.
        self.runtime.block_on(async { tokio::time::timeout(LOOK_EVERY, stopped).await }).is_ok()
    }

    fn large_segments(&self) -> HashSet<SegmentId> {
        let days = self.store.days();
        let searchers = days.iter().map(|day| day.reader.searcher());
        let large = searchers.flat_map(|searcher| {
            let readers = searcher.segment_readers().iter().filter(|reader| reader.max_doc() >= SEGMENT_DOCS_MIN);
            readers.map(tantivy::SegmentReader::segment_id).collect::<Vec<_>>()
        });
        large.collect()
    }

    fn ask(&self, question: &StandingQuestion) -> Result<(), StoreError> {
        let request = dsl::parse_search(&question.body)?;
        let mut days = self.store.days();
        days.retain(|day| question.services.contains(day.service()));
        let deadline = Instant::now() + QUESTION_TIME_MAX;
        let may_go_on = || self.step_back();
        let asker = search::Asker::House { may_go_on: &may_go_on };
        search::search(&days, &request, catalogue(), &self.store.memory, Moment::now(), deadline, asker)?;
        Ok(())
    }

    /// Lets others search first. Whether to go on.
    fn step_back(&self) -> bool {
        let until = Instant::now() + STEP_BACK_MAX;
        let is_stopped = || *self.stopped.borrow() || self.stopped.has_changed().is_err();
        while self.store.searching.load(Ordering::Relaxed) > 0 && Instant::now() < until && !is_stopped() {
            std::thread::sleep(STEP_BACK_EVERY);
        }
        !is_stopped()
    }
}
