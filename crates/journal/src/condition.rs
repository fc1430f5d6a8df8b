//! How the disk under the journal is, which records it did not take, and how both are told.
//!
//! ```text
//!        free < bound            a write fails
//!   ok ───────────────▶ tight ───────────────▶ full ◀──┐ a write fails
//!   ▲ ◀───────────────   ▲      (also from ok)   │      │
//!   │   free > 5/4 bound └──────────────┐        ▼      │
//!   └───────────────────────────────── recovering ─────┘
//!                 the gap is told and synced     a write works again
//! ```
//!
//! While the disk is full every record is still tried: what could not be written is counted by its kind, and the first
//! write that works again begins with a `gap` record of these counts. What changes is told by a record of kind `resource`,
//! as far as the disk takes it, and in the program's log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fmt, mem};

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::disk::Space;
use crate::journal::Reply;
use crate::names::timestamp;
use crate::record::{Level, Record};
use crate::writer::Lines;

/// The kind of the record that says what was not kept.
pub(crate) const GAP: &str = "gap";
/// At least so long between two gap records: a disk that takes one line and not the next must not be filled by them.
const GAP_EVERY: Duration = Duration::from_secs(1);
/// How often the room on the disk is looked at while lines come.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Different kinds that are counted apart.
const KINDS_MAX: usize = 32;
/// A disk is tight below this part of it, at most.
const TIGHT_PART: u64 = 20;
/// Where these records come from.
const CALLER: &str = "journal/condition.rs";

/// How the disk under the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskState {
    /// There is room.
    Ok,
    /// There is little room; the oldest closed files may have to go.
    Tight,
    /// It did not take the last record. What it does not take is counted.
    Full,
    /// It takes records again; what it did not take is being told.
    Recovering,
}

impl DiskState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Tight => "tight",
            Self::Full => "full",
            Self::Recovering => "recovering",
        }
    }

    /// Whether records are written as they come.
    pub fn takes_records(self) -> bool {
        matches!(self, Self::Ok | Self::Tight)
    }
}

impl fmt::Display for DiskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Below how much room a disk is tight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TightBound {
    /// 0: never.
    pub(crate) bytes: u64,
}

/// The bound of a journal of which nothing else is said, in bytes.
pub(crate) const TIGHT_BYTES: u64 = 1 << 30;

/// Below how much free room a disk of this size is tight, for a journal of which nothing else is said; both in bytes. What can
/// be had again elsewhere should have gone before.
pub fn tight_below(total_bytes: u64) -> u64 {
    TightBound { bytes: TIGHT_BYTES }.of(Space { total_bytes, free_bytes: 0 })
}

impl TightBound {
    pub(crate) fn of(self, space: Space) -> u64 {
        self.bytes.min(space.total_bytes / TIGHT_PART)
    }

    /// Room at which it is tight no longer: a little more, so that it does not go to and fro.
    pub(crate) fn roomy(self, space: Space) -> u64 {
        self.of(space).saturating_mul(5) / 4
    }

    pub(crate) fn is_tight(self, space: Space, was_tight: bool) -> bool {
        space.free_bytes < if was_tight { self.roomy(space) } else { self.of(space) }
    }
}

/// Why a record was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The disk did not take it.
    Disk,
    /// The queue was full.
    Queue,
}

/// Records that were not kept.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    by_kind: Vec<(&'static str, u64)>,
    from_ms: i64,
    to_ms: i64,
    for_disk: bool,
    for_queue: bool,
}

impl Missing {
    fn add(&mut self, kind: &'static str, count: u64) {
        let is_known = self.by_kind.iter().any(|(known, _)| *known == kind);
        let kind = if is_known || self.by_kind.len() < KINDS_MAX { kind } else { "other" };
        match self.by_kind.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known += count,
            None => self.by_kind.push((kind, count)),
        }
    }

    fn span(&mut self, from_ms: i64, to_ms: i64) {
        let is_first = self.by_kind.is_empty();
        self.from_ms = if is_first { from_ms } else { self.from_ms.min(from_ms) };
        self.to_ms = if is_first { to_ms } else { self.to_ms.max(to_ms) };
    }

    fn merge(&mut self, other: Self) {
        self.span(other.from_ms, other.to_ms);
        for (kind, count) in other.by_kind {
            self.add(kind, count);
        }
        self.for_disk |= other.for_disk;
        self.for_queue |= other.for_queue;
    }

    /// As it stands in the journal.
    fn record(&self) -> Record {
        let counts: Map<String, Value> =
            self.by_kind.iter().map(|(kind, count)| ((*kind).to_owned(), Value::from(*count))).collect();
        let reason = match (self.for_disk, self.for_queue) {
            (true, true) => "disk, queue",
            (true, false) => "disk",
            _ => "queue",
        };
        let level = if self.for_disk { Level::Error } else { Level::Warn };
        Record::new(GAP, level, "records were not kept")
            .caller(CALLER)
            .field("reason", reason)
            .field("not_kept", self.by_kind.iter().map(|(_, count)| count).sum::<u64>())
            .field("not_kept_by_kind", counts)
            .field("from", format!("{:.3}", timestamp(self.from_ms)))
            .field("to", format!("{:.3}", timestamp(self.to_ms)))
    }
}

/// What all who append share about it.
#[derive(Debug)]
pub(crate) struct Condition {
    state: watch::Sender<DiskState>,
    missing: Mutex<Missing>,
    /// Whether there is something in `missing`: looked at for every line.
    is_missing: AtomicBool,
}

impl Condition {
    pub(crate) fn new() -> Self {
        let (missing, is_missing) = (Mutex::default(), AtomicBool::new(false));
        Self { state: watch::Sender::new(DiskState::Ok), missing, is_missing }
    }

    pub(crate) fn state(&self) -> watch::Receiver<DiskState> {
        self.state.subscribe()
    }

    /// Whether there is nothing to wait for: no state to leave, and nothing to be told.
    pub(crate) fn is_calm(&self) -> bool {
        !self.is_missing() && *self.state.borrow() == DiskState::Ok
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.is_missing.load(Ordering::Relaxed)
    }

    /// Counts a record that was not kept.
    pub(crate) fn add(&self, kind: &'static str, at_ms: i64, why: Why) {
        let (for_disk, for_queue) = (why == Why::Disk, why == Why::Queue);
        self.put_back(Missing { by_kind: vec![(kind, 1)], from_ms: at_ms, to_ms: at_ms, for_disk, for_queue });
    }

    /// Counts what could not be told.
    fn put_back(&self, missing: Missing) {
        let mut all = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        all.merge(missing);
        self.is_missing.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> Missing {
        let mut all = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_missing.store(false, Ordering::Relaxed);
        mem::take(&mut all)
    }
}

/// What the writer knows about it.
#[derive(Debug)]
pub(crate) struct Telling {
    pub(crate) bound: TightBound,
    state: DiskState,
    space: Option<Space>,
    /// Said by a gap record that is formed and not yet written.
    in_gap: Option<Missing>,
    gap_told: Option<Instant>,
    look_at: Instant,
    /// A record of our own is being written to see whether the disk takes one: it is no loss when not.
    is_trying: bool,
}

impl Telling {
    pub(crate) fn new(bound: TightBound) -> Self {
        let look_at = Instant::now() + LOOK_EVERY;
        Self { bound, state: DiskState::Ok, space: None, in_gap: None, gap_told: None, look_at, is_trying: false }
    }

    /// Whether a line may be written as if nothing were the matter.
    pub(crate) fn takes_records(&self) -> bool {
        self.state.takes_records()
    }
}

impl Lines {
    /// Has the room on the disk looked at, now and then.
    pub(crate) fn look_now_and_then(&mut self, now: Instant) {
        if now >= self.telling.look_at {
            self.telling.look_at = now + LOOK_EVERY;
            self.keeper.look();
        }
    }

    /// Begins a batch with what was not kept before it; it is written with the batch. Not every time, except the `last`.
    pub(crate) fn begin_gap(&mut self, last: bool) {
        let is_early = self.telling.gap_told.is_some_and(|told| told.elapsed() < GAP_EVERY);
        if !self.condition.is_missing() || (is_early && !last) {
            return;
        }
        let missing = self.condition.take();
        let record = missing.record();
        self.telling.in_gap = Some(missing);
        self.add(&record, Reply::Never);
    }

    /// A record could not be written.
    pub(crate) fn not_kept(&mut self, kind: &'static str, comes_again: bool) {
        if kind == GAP {
            self.telling.in_gap.take().into_iter().for_each(|missing| self.condition.put_back(missing));
            return;
        }
        if !self.telling.is_trying {
            self.counters.lost.fetch_add(1, Ordering::Relaxed);
        }
        if !comes_again {
            self.condition.add(kind, (self.clock)(), Why::Disk);
        }
    }

    /// Lines were written; whether the gap record was among them, and whether they were all that were to be written.
    pub(crate) fn took_lines(&mut self, with_gap: bool, all: bool) {
        if with_gap {
            self.telling.in_gap = None;
            self.telling.gap_told = Some(Instant::now());
        }
        if all && self.telling.state == DiskState::Full {
            self.turn(DiskState::Recovering, "a record was written");
        }
    }

    /// The disk did not take a line.
    pub(crate) fn took_no_line(&mut self, error: &std::io::Error) {
        self.turn(DiskState::Full, &error.to_string());
    }

    /// At the end of a batch: when the gap is told and on the disk, the disk has recovered.
    pub(crate) fn settle(&mut self) {
        if self.telling.state != DiskState::Recovering || self.condition.is_missing() || self.sync_all().is_err() {
            return;
        }
        let bound = self.telling.bound;
        let is_tight = self.telling.space.is_some_and(|space| bound.is_tight(space, true));
        let state = if is_tight { DiskState::Tight } else { DiskState::Ok };
        self.turn(state, "what was not kept is told");
        self.tell_state(state, "the disk of the journal takes records again");
    }

    /// All is written and on the disk; a record that says so would come behind the one that says that the house has stopped.
    pub(crate) fn ended_well(&mut self) {
        if self.telling.state == DiskState::Recovering {
            self.turn(DiskState::Ok, "what was not kept is told");
        }
    }

    /// What a look at the disk found.
    pub(crate) fn looked(&mut self, space: Space) {
        self.telling.space = Some(space);
        if self.telling.state == DiskState::Full && !self.condition.is_missing() {
            // What was refused comes again, perhaps much later, and nothing else would be written until then.
            self.telling.is_trying = true;
            self.tell_state(DiskState::Recovering, "the disk of the journal takes a record again");
            self.telling.is_trying = false;
            return;
        }
        let was_tight = self.telling.state == DiskState::Tight;
        let is_tight = self.telling.bound.is_tight(space, was_tight);
        if !self.telling.takes_records() || is_tight == was_tight {
            return;
        }
        if is_tight {
            self.turn(DiskState::Tight, "little room is left");
            self.tell_state(DiskState::Tight, "the disk of the journal is getting full");
        } else {
            self.turn(DiskState::Ok, "there is room again");
            self.tell_state(DiskState::Ok, "the disk of the journal has room again");
        }
    }

    fn turn(&mut self, state: DiskState, why: &str) {
        let before = std::mem::replace(&mut self.telling.state, state);
        if before == state {
            return;
        }
        self.condition.state.send_replace(state);
        let (file, disk, before) = (self.names.current.display(), state.as_str(), before.as_str());
        match state {
            DiskState::Full => {
                tracing::error!(%file, disk, before, why, "the journal's disk takes no records; they are counted");
            }
            DiskState::Tight => tracing::warn!(%file, disk, before, why, "the journal's disk is getting full"),
            DiskState::Ok | DiskState::Recovering => tracing::info!(%file, disk, before, why, "the journal's disk"),
        }
        // From here on the keeper looks again and again, until all is well.
        self.keeper.look();
    }

    fn tell_state(&mut self, state: DiskState, msg: &'static str) {
        let level = if state == DiskState::Ok { Level::Info } else { Level::Warn };
        // When the disk is full again before it could be told, that is no loss.
        let mut record = Record::new("resource", level, msg).comes_again().caller(CALLER).field("disk", state.as_str());
        if let Some(space) = self.telling.space {
            record = record
                .field("free_bytes", space.free_bytes)
                .field("total_bytes", space.total_bytes)
                .field("tight_below_bytes", self.telling.bound.of(space));
        }
        self.add(&record, Reply::Never);
        let _: Result<(), crate::JournalError> = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted_by_kind_and_time() {
        let condition = Condition::new();
        assert!(condition.is_calm());
        condition.add("log", 2_000, Why::Disk);
        condition.add("request", 1_000, Why::Disk);
        condition.add("log", 3_000, Why::Queue);
        assert!(!condition.is_calm());
        let missing = condition.take();
        assert!(condition.is_calm());
        let text = String::from_utf8(missing.record().body).unwrap();
        let expected = concat!(
            r#","reason":"disk, queue","not_kept":3,"not_kept_by_kind":{"log":2,"request":1},"#,
            r#""from":"1970-01-01T00:00:01.000Z","to":"1970-01-01T00:00:03.000Z""#
        );
        assert_eq!(text, expected);
        condition.put_back(missing);
        condition.add("log", 9_000, Why::Disk);
        let again = condition.take();
        assert_eq!((again.by_kind, again.from_ms, again.to_ms), (vec![("log", 3), ("request", 1)], 1_000, 9_000));
    }

    #[test]
    fn kinds_are_bounded() {
        let mut missing = Missing::default();
        for number in 0..2 * KINDS_MAX {
            missing.add(Box::leak(number.to_string().into_boxed_str()), 1);
        }
        assert_eq!(missing.by_kind.len(), KINDS_MAX + 1);
        assert_eq!(missing.by_kind[KINDS_MAX], ("other", KINDS_MAX as u64));
    }

    #[test]
    fn a_disk_is_tight_below_a_bound_and_until_a_little_above_it() {
        let space = |free_bytes, total_bytes| Space { free_bytes, total_bytes };
        let bound = TightBound { bytes: 1_000 };
        for (space, was_tight, expected) in [
            (space(1_000, 1_000_000), false, false),
            (space(999, 1_000_000), false, true),
            (space(1_249, 1_000_000), true, true),
            (space(1_250, 1_000_000), true, false),
            (space(999, 2_000), false, false),
            (space(99, 2_000), false, true),
        ] {
            assert_eq!(bound.is_tight(space, was_tight), expected, "{space:?}");
        }
        assert!(!TightBound { bytes: 0 }.is_tight(space(0, 1_000_000), true));
    }
}
