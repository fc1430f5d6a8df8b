//! Brings one run forward: decides, commits, does, commits.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::held::Hold;
use super::{Now, Shared, Stopping, TROUBLE_PAUSE};
use crate::book::{Added, Claimed, Lease, Parked};
use crate::error::TaskError;
use crate::event::{Entry, Event, Told};
use crate::hands::{Call, Hands, Need, Outcome, Room, StepError};
use crate::partial::Partial;
use crate::run::{Doing, Next, Rest, Run, is_compared};
use crate::shown::Status;
use crate::work::{Kind, Work};

/// How long a run rests whose definition cannot be read.
const UNREADABLE_PAUSE_MS: i64 = 3_600_000;
/// A run that waits for another is looked at at least so often.
const CHILD_PAUSE_MS: i64 = 60_000;
/// Events that are committed at a time.
const BATCH_MAX: usize = 500;
/// A run that is being worked at is looked at at least so often: a time that people named comes sooner when the clock is set.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What is being done, by step and item; without a handle where another run does it.
type InFlight = HashMap<(String, Option<u32>), Option<(AbortHandle, Doing)>>;
/// An attempt that came to its end.
type Ended = (Doing, Result<Outcome, StepError>);

/// Brings a run forward until it is over, waits, or belongs to somebody else.
pub(super) async fn drive(shared: &Arc<Shared>, claimed: Claimed, hold: Arc<Hold>) {
    let lease = claimed.lease.clone();
    let run = lease.run.clone();
    let driven = async {
        let definition = match shared.definitions.get(&claimed.version).await {
            Ok(definition) => definition,
            Err(TaskError::Book { what, why }) => return unreadable(shared, &claimed, &format!("{what}: {why}")).await,
            Err(error) => return Err(error),
        };
        let history = shared.book.history(&run).await?;
        let state = Run::of(definition, claimed.begin.clone(), &history);
        let told = claimed.told;
        let mut drive = Drive {
            now: shared.now().await?,
            shared,
            claimed,
            hold: &hold,
            run: state,
            told,
            calls: JoinSet::new(),
            in_flight: HashMap::new(),
            ended: Vec::new(),
            pending: Vec::new(),
            is_taken_over: true,
            no_room: None,
        };
        drive.tell(&history);
        drive.go().await
    };
    let result = tokio::select! {
        result = driven => result,
        () = lost(&hold) => Err(TaskError::Lost),
    };
    shared.held.give(&lease);
    match result {
        Ok(()) => {}
        Err(TaskError::Lost) => {
            tracing::warn!(run, "a task run belongs to another worker now, or its lease has ended");
            let_go(shared, &lease).await;
        }
        Err(error) => {
            tracing::warn!(run, error = tollhouse_units::chain(&error), "a task run cannot go on; it is tried again");
            tokio::time::sleep(TROUBLE_PAUSE).await;
            let_go(shared, &lease).await;
        }
    }
}

/// Ends the lease of a run that nobody drives here any more, so that it is taken again at once. Where that fails, it ends by itself:
/// only what is held is prolonged.
async fn let_go(shared: &Shared, lease: &Lease) {
    let ended = tokio::time::timeout(shared.options.lease, shared.book.end_lease(lease, shared.now_ms()));
    if let Err(error) = ended.await.unwrap_or(Err(TaskError::Late)) {
        let error = tollhouse_units::chain(&error);
        tracing::warn!(run = lease.run, error, "cannot let a task run go; it is taken again when its lease has ended");
    }
}

async fn lost(hold: &Hold) {
    // No history is so long: only a loss ends this.
    hold.changed(i64::MAX).await;
}

async fn unreadable(shared: &Shared, claimed: &Claimed, why: &str) -> Result<(), TaskError> {
    let now_ms = shared.now_ms();
    let parked = Parked {
        status: Status::Waiting,
        waiting: Some(why.to_owned()),
        wake_ms: Some(now_ms + UNREADABLE_PAUSE_MS),
        told: claimed.told,
        is_for_child: false,
        events: i64::MAX,
    };
    shared.book.park(&claimed.lease, &parked, now_ms).await
}

pub(super) struct Drive<'a> {
    pub(super) shared: &'a Arc<Shared>,
    /// The moment by which is decided.
    now: Now,
    pub(super) claimed: Claimed,
    hold: &'a Hold,
    pub(super) run: Run,
    told: i64,
    /// What is being done.
    calls: JoinSet<Ended>,
    in_flight: InFlight,
    /// Ends of attempts that are not in the book yet.
    ended: Vec<Ended>,
    /// Events that were decided and applied, and are not in the book yet.
    pending: Vec<Entry>,
    /// What was being done when the run was taken, and was lost with its worker, is not in the book as such yet.
    is_taken_over: bool,
    /// Until when there is no room, an even time, and why.
    no_room: Option<(i64, String)>,
}

impl Drive<'_> {
    async fn go(&mut self) -> Result<(), TaskError> {
        loop {
            let rest = self.decide().await?;
            if self.run.over().is_some() {
                return self.give_back(None).await;
            }
            self.drop_unwanted();
            if self.begin_calls().await? {
                continue;
            }
            if self.calls.is_empty() {
                return self.give_back(rest).await;
            }
            if self.wait(rest).await? {
                return Ok(());
            }
        }
    }

    /// Decides until nothing is left to be decided, and commits it all at once.
    async fn decide(&mut self) -> Result<Option<Rest>, TaskError> {
        loop {
            match self.decide_once().await {
                // A human was faster: what was decided is decided again, with what they did.
                Err(TaskError::Changed) => self.reload().await?,
                result => return result,
            }
        }
    }

    async fn decide_once(&mut self) -> Result<Option<Rest>, TaskError> {
        self.now = self.shared.now().await?;
        self.run.set_clock(self.now.set_ms);
        if self.is_taken_over {
            for doing in self.run.doing() {
                self.ask_room(&doing.work, &doing.step).await;
            }
            if self.no_room.is_none() {
                let events = self.run.resume();
                self.note(events);
            }
        }
        let ended = std::mem::take(&mut self.ended);
        let mut reported = Vec::new();
        let mut failed = None;
        for (doing, result) in &ended {
            if let Err(error) = self.take_in(doing, result.clone(), &mut reported).await {
                failed = Some(error);
            }
        }
        // Until they are in the book, they may have to be taken in anew.
        self.ended = ended;
        if let Some(error) = failed {
            return Err(error);
        }
        let rest = loop {
            match self.run.next(self.now.even_ms()) {
                Next::Note(events) if !self.shared.is_stopping() || !begins(&events) => {
                    let Some(events) = self.with_room(events).await else { break None };
                    self.note(events);
                    if self.pending.len() >= BATCH_MAX {
                        self.commit(&mut reported).await?;
                    }
                }
                Next::Note(_) | Next::Over => break None,
                Next::Rest(rest) => break Some(rest),
            }
        };
        self.commit(&mut reported).await?;
        Ok(rest)
    }

    /// What follows from the end of an attempt.
    async fn take_in(
        &mut self,
        doing: &Doing,
        result: Result<Outcome, StepError>,
        reported: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.in_flight.remove(&(doing.step.clone(), doing.item));
        if !self.run.is_wanted(&doing.step, doing.item) {
            return Ok(());
        }
        let definition = self.run.definition().clone();
        let earlier = if definition.critical.is_some() && is_compared(doing.work.kind()) && doing.item.is_none() {
            self.shared.book.lengths(&definition.name, &doing.step).await?
        } else {
            Vec::new()
        };
        let events = self.run.ended(doing, result, &earlier, self.now.even_ms());
        if doing.work.kind() == Kind::Task {
            reported.extend(self.child_id(doing).await?);
        }
        self.note(events);
        Ok(())
    }

    fn note(&mut self, events: Vec<Event>) {
        for event in events {
            let entry = Entry { at_ms: self.now.ms, clock_set_ms: self.now.set_ms, event };
            self.run.apply(&entry);
            self.pending.push(entry);
        }
    }

    async fn commit(&mut self, reported: &mut Vec<String>) -> Result<(), TaskError> {
        if self.pending.is_empty() {
            self.ended.clear();
            self.is_taken_over = false;
            return Ok(());
        }
        let added = Added {
            entries: &self.pending,
            after: self.run.length() - self.pending.len() as i64,
            status: self.run.status_when_open(),
            digest: self.run.digest(),
            told: self.told,
            wake_ms: None,
            reported: std::mem::take(reported),
            lengths: match self.run.over() {
                Some(Status::Done) if self.run.definition().critical.is_some() => self.run.lengths(),
                _ => Vec::new(),
            },
        };
        let Claimed { lease, .. } = &self.claimed;
        self.shared.book.append(&lease.run, Some(lease), &added, self.shared.now_ms()).await?;
        self.ended.clear();
        self.is_taken_over = false;
        let entries = std::mem::take(&mut self.pending);
        self.tell_from(&entries, self.run.length() - entries.len() as i64);
        if self.run.over().is_some() {
            self.calls.abort_all();
            // The place may be another run's now, and so may be the turn.
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    async fn reload(&mut self) -> Result<(), TaskError> {
        self.pending.clear();
        let history = self.shared.book.history(&self.claimed.lease.run).await?;
        self.run = Run::of(self.run.definition().clone(), self.claimed.begin.clone(), &history);
        self.tell(&history);
        Ok(())
    }

    // Telling

    /// Tells what of a history was not told yet.
    fn tell(&mut self, history: &[Entry]) {
        let from = (self.told.max(0) as usize).min(history.len());
        self.tell_from(&history[from..], from as i64);
    }

    fn tell_from(&mut self, entries: &[Entry], after: i64) {
        for (at, entry) in entries.iter().enumerate() {
            let number = after + at as i64 + 1;
            let run = self.claimed.lease.run.clone();
            let task = self.run.definition().name.clone();
            self.shared.hands.told(&Told { run, task, number, entry: entry.clone() });
            self.told = self.told.max(number);
        }
    }

    // Room

    /// Those of the events for which there is room; `None` when what is left cannot go on now.
    async fn with_room(&mut self, events: Vec<Event>) -> Option<Vec<Event>> {
        let mut fitting = Vec::with_capacity(events.len());
        for event in events {
            if let Event::Begun { work, step, .. } = &event {
                self.ask_room(work, step).await;
                if self.no_room.is_some() {
                    return (!fitting.is_empty()).then_some(fitting);
                }
            }
            fitting.push(event);
        }
        Some(fitting)
    }

    async fn ask_room(&mut self, work: &Work, step: &str) {
        let gpu = self.run.definition().needs_gpu;
        let model = match work {
            Work::Ask(ask) => Some(ask.model.clone()),
            Work::Approve(_) | Work::Wait(_) | Work::Task(_) => return,
            _ if gpu => None,
            _ => return,
        };
        let now_ms = self.now.even_ms();
        if self.no_room.as_ref().is_some_and(|(until_ms, _)| now_ms < *until_ms) {
            return;
        }
        let need = Need {
            task: self.run.definition().name.clone(),
            run: self.claimed.lease.run.clone(),
            step: step.to_owned(),
            model,
            gpu,
        };
        self.no_room = match self.shared.hands.room(need).await {
            Room::Free => None,
            Room::Later { why, after } => {
                let after = after.unwrap_or(self.shared.options.room_retry);
                Some((now_ms + after.as_millis() as i64, why))
            }
        };
    }

    // Doing

    /// Begins what is in the book as begun and is not being done. Tells whether something came to its end by that.
    async fn begin_calls(&mut self) -> Result<bool, TaskError> {
        let mut has_ended = false;
        for doing in self.run.doing() {
            let id = (doing.step.clone(), doing.item);
            if self.in_flight.contains_key(&id) {
                continue;
            }
            if doing.work.kind() == Kind::Task {
                if let Some(result) = self.child(&doing).await? {
                    self.ended.push((doing, result));
                    has_ended = true;
                } else {
                    self.in_flight.insert(id, None);
                }
                continue;
            }
            // What was lost waits for room, or for the engine to start again.
            if self.no_room.is_some() || self.shared.is_stopping() {
                continue;
            }
            let lease = self.claimed.lease.clone();
            let partial = Partial::new(self.shared.book.clone(), lease, doing.step.clone(), doing.item);
            let Some(call) = self.run.call(&doing, self.claimed.lease.fence, partial) else { continue };
            let hands = self.shared.hands.clone();
            let done = doing.clone();
            let handle = self.calls.spawn(async move {
                let result = perform(&*hands, call, &done.work).await;
                (done, result)
            });
            self.in_flight.insert(id, Some((handle, doing)));
        }
        Ok(has_ended)
    }

    /// Waits for something to happen. Tells whether the run was given back.
    async fn wait(&mut self, rest: Option<Rest>) -> Result<bool, TaskError> {
        let room_ms = self.no_room.as_ref().map(|(until_ms, _)| *until_ms);
        let until_ms = [rest.and_then(|rest| rest.until_ms), room_ms].into_iter().flatten().min();
        let known = self.run.length();
        tokio::select! {
            Some(joined) = self.calls.join_next() => {
                self.joined(joined);
                // Whatever else is there already shares the commit.
                while let Some(joined) = self.calls.try_join_next() {
                    self.joined(joined);
                }
            }
            is_lost = self.hold.changed(known) => {
                if is_lost {
                    return Err(TaskError::Lost);
                }
                self.reload().await?;
            }
            () = async {
                match until_ms {
                    Some(until_ms) => self.shared.sleep_until(until_ms).await,
                    None => std::future::pending().await,
                }
            } => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = self.shared.stopped(Stopping::Now) => {
                self.calls.abort_all();
                self.give_back(None).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn joined(&mut self, joined: Result<Ended, JoinError>) {
        match joined {
            Ok(ended) => self.ended.push(ended),
            // Nobody wants it any more.
            Err(error) if error.is_cancelled() => {}
            Err(error) => {
                let is_it = |(handle, _): &&(AbortHandle, Doing)| handle.id() == error.id();
                if let Some((_, doing)) = self.in_flight.values().flatten().find(is_it) {
                    let broke = StepError::passing("the step's work broke down; the log of the house says where");
                    self.ended.push((doing.clone(), Err(broke)));
                }
            }
        }
    }

    /// Ends what nobody wants any more: the step was judged, failed or ran out of time.
    fn drop_unwanted(&mut self) {
        let run = &self.run;
        self.in_flight.retain(|(step, item), flight| {
            let is_wanted = run.is_wanted(step, *item);
            if let Some((handle, _)) = flight.as_ref().filter(|_| !is_wanted) {
                handle.abort();
            }
            is_wanted
        });
    }

    /// Gives the run back, to be taken when it is to go on.
    async fn give_back(&mut self, rest: Option<Rest>) -> Result<(), TaskError> {
        let Now { ms: now_ms, set_ms } = self.now;
        let events = self.run.length();
        let over = self.run.over();
        let no_room = self.no_room.take().filter(|_| over.is_none());
        let is_for_child = rest.as_ref().is_some_and(|rest| rest.is_for_child);
        let status = over.or_else(|| rest.as_ref().map(|rest| rest.status)).unwrap_or(Status::Running);
        let wakes = rest.as_ref().and_then(|rest| rest.until_ms).map(|until_ms| until_ms + set_ms);
        let (waiting, wake_ms) = match (&no_room, status) {
            (Some((until_ms, why)), _) => (Some(format!("room: {why}")), Some(*until_ms + set_ms)),
            // A human's turn, unless there is a time for it.
            (None, Status::Paused | Status::Asking) => (None, wakes),
            (None, Status::Waiting) if is_for_child => {
                let look_ms = now_ms + CHILD_PAUSE_MS;
                (Some("run".to_owned()), Some(wakes.map_or(look_ms, |wakes| wakes.min(look_ms))))
            }
            (None, Status::Waiting) => (Some("time".to_owned()), wakes.or(Some(now_ms + CHILD_PAUSE_MS))),
            // Stopping in the middle: it is for the next worker.
            (None, _) => (None, Some(now_ms)),
        };
        let status = if no_room.is_some() { Status::Waiting } else { status };
        let parked = Parked { status, waiting, wake_ms, told: self.told, is_for_child, events };
        self.shared.book.park(&self.claimed.lease, &parked, now_ms).await
    }
}

/// Does what a step asks for, for at most as long as it may take.
async fn perform(hands: &dyn Hands, call: Call, work: &Work) -> Result<Outcome, StepError> {
    let timeout = call.timeout;
    let doing = match work.clone() {
        Work::Ask(ask) => hands.ask(call, ask),
        Work::Collect(collect) => hands.collect(call, collect),
        Work::Run(command) => hands.run(call, command),
        Work::Write(file) => hands.write(call, file),
        Work::Send(message) => hands.send(call, message),
        Work::Wait(wait) => hands.collect(call, wait.collect.unwrap_or_default()),
        Work::Approve(_) | Work::Task(_) => return Err(StepError::lasting("this is nothing for hands")),
    };
    if let Ok(result) = tokio::time::timeout(timeout, doing).await {
        result
    } else {
        let limit = tollhouse_units::format_duration(Duration::from_secs(timeout.as_secs().max(1)));
        Err(StepError::passing(format!("it took longer than {limit}")))
    }
}

/// Whether something new would be begun.
fn begins(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Begun { .. }))
}
