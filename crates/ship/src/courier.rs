//! The task that brings documents to one destination: gathers a batch, sends it until each document has its fate, and
//! then moves the cursor.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};
use tollhouse_journal::{Holds, Journal, JournalError};
use tollhouse_units::chain;

use crate::board::{Board, Sight, Status};
use crate::bulk::{Fate, Item, Refusal};
use crate::cursor::Cursor;
use crate::destination::{Destination, Sent};
use crate::error::ShipError;
use crate::gather::{Batch, Form, Gatherer, ITEMS_MAX, Opened};
use crate::settings::Pace;
use crate::teller::Teller;
use crate::trouble::{State, Trouble};

/// How long a courier that is told to stop may take to end the request under way and keep its cursor.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest time that a destination may ask us to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
/// Services whose indices get our template; clients name them.
const TEMPLATES_MAX: usize = 100;
/// So many more documents are sent at once after each request that was not too large.
const ITEMS_MORE: usize = ITEMS_MAX / 64;

/// What a courier reads, and where it keeps how far it has come.
#[derive(Clone, Debug)]
pub struct Book {
    /// The journal, which also hears how the destination is.
    pub journal: Journal,
    /// Its current file.
    pub journal_file: PathBuf,
    /// Makes the documents; the one of our own index.
    pub shaper: tollhouse_shape::Shaper,
    /// Names the day indices.
    pub service: String,
    /// Folder of the cursors.
    pub cursors: PathBuf,
    /// Where it is said what the journal's retention has to leave.
    pub holds: Holds,
}

/// A destination at work.
#[derive(Debug)]
pub struct Courier {
    board: Arc<Board>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Book {
    pub(crate) fn form(&self) -> Form {
        Form { shaper: self.shaper.clone(), service: self.service.to_lowercase() }
    }
}

impl Courier {
    /// Begins, once `before` has ended: the courier of the same cursor, with other settings.
    pub fn start(destination: Destination, book: Book, before: Option<Self>) -> Self {
        let settings = &destination.settings;
        let (name, kind) = (settings.name.clone(), settings.kind.as_str());
        let url = destination.url().to_owned();
        let board = Arc::new(Board::new(name.clone(), kind, url, book.journal.written()));
        let (stop, stopped) = watch::channel(false);
        let round = Round {
            form: book.form(),
            teller: Teller { name: name.clone(), journal: book.journal.clone() },
            cursor_file: Cursor::path(&book.cursors, &name),
            cursor: Cursor::start(),
            synced: book.journal.synced(),
            book,
            destination,
            board: board.clone(),
            stopped,
            items_max: ITEMS_MAX,
            attempts: 0,
            failing: None,
            told: State::Starting,
            is_greeted: false,
            version: None,
            templates: BTreeSet::new(),
        };
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                before.stop().await;
            }
            round.run().await;
        });
        Self { board, stop, task }
    }

    /// How the destination is at this moment.
    pub fn status(&self) -> Status {
        self.board.status()
    }

    /// A look at it that goes on to show the last after the courier has ended.
    pub fn sight(&self) -> Sight {
        Sight(self.board.clone())
    }

    /// Ends after the request under way, within [`STOP_TIME_MAX`]. What was sent and not yet known to be there is sent
    /// again at the next start, with the same ids.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if timeout(STOP_TIME_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// The work of a courier. Steps that wait give `None` when they were told to stop meanwhile.
struct Round {
    destination: Destination,
    book: Book,
    form: Form,
    teller: Teller,
    board: Arc<Board>,
    cursor: Cursor,
    cursor_file: PathBuf,
    synced: watch::Receiver<u64>,
    stopped: watch::Receiver<bool>,
    /// Documents sent at once: fewer after one that was too large.
    items_max: usize,
    /// Failures one after another.
    attempts: u32,
    /// Since when nothing succeeds.
    failing: Option<Instant>,
    /// The state that the journal was told.
    told: State,
    /// Whether the cluster was asked who it is.
    is_greeted: bool,
    /// What it said.
    version: Option<(u32, u32)>,
    /// Services for whose indices it has our template.
    templates: BTreeSet<String>,
}

impl Round {
    async fn run(mut self) {
        self.load().await;
        loop {
            let Err(error) = self.carry().await else { break };
            // The journal cannot be read now: it is opened again at the cursor.
            let trouble = Trouble::new(State::Busy, format!("reading the journal: {}", chain(&error)));
            tracing::error!(error = trouble.text, destination = self.teller.name, "shipping");
            if self.wait_after(trouble).await.is_none() {
                break;
            }
        }
        self.destination.end().await;
        self.save().await;
    }

    /// Delivers until it is told to stop.
    async fn carry(&mut self) -> Result<(), JournalError> {
        let own = BTreeSet::from([self.form.service.clone()]);
        if self.greet(&own).await.is_none() {
            return Ok(());
        }
        let mut gatherer = self.open().await?;
        loop {
            if self.until_synced(gatherer.next_seq()).await.is_none() {
                return Ok(());
            }
            let synced_seq = *self.synced.borrow();
            let (back, batch) = blocking(move || {
                let batch = gatherer.next_batch(synced_seq);
                (gatherer, batch)
            })
            .await;
            gatherer = back;
            let Some(batch) = batch? else {
                if self.pause(self.destination.pace.gather).await.is_none() {
                    return Ok(());
                }
                continue;
            };
            if self.bring(batch).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Delivers a batch and moves the cursor behind it.
    async fn bring(&mut self, batch: Batch) -> Option<()> {
        for missed in &batch.missed {
            self.teller.missed(*missed);
            self.board.notes().missed += missed.to_seq - missed.from_seq + 1;
        }
        self.board.notes().oldest_ms = Some(batch.oldest_ms);
        self.deliver(batch.items).await?;
        {
            let mut notes = self.board.notes();
            (notes.next_seq, notes.oldest_ms) = (batch.next.seq, None);
        }
        (self.cursor.next, self.cursor.after) = (Some(batch.next), batch.after);
        self.hold();
        self.save().await;
        Some(())
    }

    /// Sends documents until each is delivered or refused. Those that are put off go first, and alone.
    async fn deliver(&mut self, mut waiting: Vec<Item>) -> Option<()> {
        let services = waiting.iter().map(|item| item.service().to_owned()).collect();
        let mut put_off = 0;
        while !waiting.is_empty() {
            self.greet(&services).await?;
            let wanted = if put_off > 0 { put_off } else { waiting.len() };
            let count = wanted.min(self.items_max);
            let later = waiting.split_off(count);
            let (sent, result) = self.destination.send(waiting).await;
            waiting = sent;
            match result {
                Ok(Sent::Fates(fates)) => {
                    if count == self.items_max {
                        self.items_max = (self.items_max + ITEMS_MORE).min(ITEMS_MAX);
                    }
                    let (rest, trouble) = self.settle(waiting, fates).await?;
                    // What was put off and did not go this time still goes before the others.
                    put_off = rest.len() + put_off.saturating_sub(count);
                    waiting = rest;
                    match trouble {
                        None => self.well(),
                        Some(trouble) => self.wait_after(trouble).await?,
                    }
                }
                Ok(Sent::Unfit(_)) if count > 1 => {
                    self.items_max = (count / 2).max(1);
                    self.board.notes().retries += 1;
                }
                Ok(Sent::Unfit(refusal)) => {
                    let refused = waiting.drain(..).map(|item| (item, refusal.clone())).collect();
                    self.keep_dead_letters(refused).await?;
                    put_off = put_off.saturating_sub(1);
                }
                Ok(Sent::Partly { rejected, reason }) => {
                    self.keep_letter_of_some(&waiting, rejected, &reason).await?;
                    put_off = put_off.saturating_sub(count);
                    waiting.clear();
                    self.well();
                }
                Err(trouble) => self.wait_after(trouble).await?,
            }
            waiting.extend(later);
        }
        Some(())
    }

    /// Takes each document's fate: gives those that have to be sent again, in their order, and why.
    async fn settle(&mut self, sent: Vec<Item>, fates: Vec<Fate>) -> Option<(Vec<Item>, Option<Trouble>)> {
        let (mut rest, mut refused) = (Vec::new(), Vec::new());
        let mut trouble: Option<Trouble> = None;
        let (mut delivered, mut repeated) = (0, 0);
        for (item, fate) in sent.into_iter().zip(fates) {
            match fate {
                Fate::Delivered => delivered += 1,
                Fate::Repeated => repeated += 1,
                Fate::Refused(refusal) => refused.push((item, refusal)),
                Fate::Later(state, text) => {
                    rest.push(item);
                    if trouble.as_ref().is_none_or(|worst| worst.state < state) {
                        trouble = Some(Trouble::new(state, text));
                    }
                }
            }
        }
        {
            let mut notes = self.board.notes();
            notes.delivered += delivered + repeated;
            notes.repeated += repeated;
        }
        if delivered > 0 {
            self.attempts = 0;
        }
        self.keep_dead_letters(refused).await?;
        Some((rest, trouble))
    }

    /// Keeps what was refused in the journal, however often that takes. A refused dead letter is only counted: its record
    /// would be refused again.
    async fn keep_dead_letters(&mut self, refused: Vec<(Item, Refusal)>) -> Option<()> {
        if refused.is_empty() {
            return Some(());
        }
        self.board.notes().dead_letters += refused.len() as u64;
        let (of_dead_letters, refused): (Vec<_>, Vec<_>) =
            refused.into_iter().partition(|(item, _)| item.is_dead_letter);
        for (item, refusal) in of_dead_letters {
            tracing::error!(seq = item.seq, reason = refusal.reason, "a dead letter was refused");
        }
        while let Err(error) = self.teller.dead_letters(&refused).await {
            let trouble = Trouble::new(State::Busy, format!("keeping dead letters: {}", chain(&error)));
            self.wait_after(trouble).await?;
        }
        Some(())
    }

    /// Keeps that some of these were refused, where nobody told which.
    async fn keep_letter_of_some(&mut self, sent: &[Item], rejected: u64, reason: &str) -> Option<()> {
        {
            let mut notes = self.board.notes();
            notes.delivered += (sent.len() as u64).saturating_sub(rejected);
            notes.dead_letters += rejected;
        }
        while let Err(error) = self.teller.letter_of_some(sent, rejected, reason).await {
            let trouble = Trouble::new(State::Busy, format!("keeping dead letters: {}", chain(&error)));
            self.wait_after(trouble).await?;
        }
        Some(())
    }

    /// Asks the cluster who it is, and gives it our template for these services, until it has it. Done again after it
    /// could not be reached: it may have come back empty, and an index made without the template has other types for
    /// good.
    async fn greet(&mut self, services: &BTreeSet<String>) -> Option<()> {
        while !self.is_stopped() {
            match self.try_greet(services).await {
                Ok(()) => {
                    if self.told == State::Starting {
                        self.well();
                    }
                    return Some(());
                }
                Err(trouble) => self.wait_after(trouble).await?,
            }
        }
        None
    }

    async fn try_greet(&mut self, services: &BTreeSet<String>) -> Result<(), Trouble> {
        if !self.is_greeted {
            self.version = self.destination.greet().await?;
            self.templates.clear();
            self.is_greeted = true;
        }
        let wanted = services.iter().filter(|_| self.destination.settings.template);
        for service in wanted {
            if self.templates.len() < TEMPLATES_MAX && !self.templates.contains(service) {
                self.destination.put_template(service, self.version).await?;
                self.templates.insert(service.clone());
            }
        }
        Ok(())
    }

    // State

    /// Something succeeded.
    fn well(&mut self) {
        self.attempts = 0;
        let failing = self.failing.take();
        if self.told != State::Connected {
            let silent = if self.told == State::Starting { None } else { failing.map(|since| since.elapsed()) };
            self.teller.connected(self.destination.url(), self.cursor.next_seq(), silent);
            self.told = State::Connected;
        }
        self.board.notes().state = State::Connected;
    }

    /// Something failed: notes it, tells it when it lasts, and waits before the next attempt.
    async fn wait_after(&mut self, trouble: Trouble) -> Option<()> {
        // Another trouble may be over sooner.
        let is_other = self.board.notes().state != trouble.state;
        self.attempts = if is_other { 1 } else { self.attempts.saturating_add(1) };
        let since = *self.failing.get_or_insert_with(Instant::now);
        if trouble.state == State::Unreachable {
            self.destination.turn();
            self.is_greeted = false;
        }
        {
            let mut notes = self.board.notes();
            notes.retries += 1;
            notes.state = trouble.state;
            notes.last_error = Some(trouble.text.clone());
            self.destination.url().clone_into(&mut notes.url);
        }
        let lasts = trouble.state == State::Rejected || since.elapsed() >= self.destination.pace.tell_after;
        if lasts && self.told != trouble.state {
            self.teller.lost(&trouble, self.cursor.next_seq());
            self.told = trouble.state;
            self.save().await;
        }
        let pause = pause_of(&self.destination.pace, self.attempts, &trouble);
        self.pause(pause).await
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    async fn pause(&mut self, time: Duration) -> Option<()> {
        tokio::select! {
            // Whoever dropped the handle has stopped it, too.
            _ = self.stopped.wait_for(|stopped| *stopped) => None,
            () = sleep(time) => Some(()),
        }
    }

    /// Waits until this record is on the disk, and a moment longer for others.
    async fn until_synced(&mut self, seq: u64) -> Option<()> {
        let (synced, stopped) = (&mut self.synced, &mut self.stopped);
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return None,
            reached = async { synced.wait_for(|synced| *synced >= seq).await.map(|reached| *reached) } => match reached {
                Ok(reached) if reached - seq >= ITEMS_MAX as u64 => return Some(()),
                Ok(_) => {}
                // The journal is closed, and nothing more comes.
                Err(_) => return None,
            },
        }
        self.pause(self.destination.pace.gather).await
    }

    // Journal and cursor

    async fn open(&mut self) -> Result<Gatherer, JournalError> {
        let (file, cursor, form) = (self.book.journal_file.clone(), self.cursor.clone(), self.form.clone());
        let Opened { gatherer, is_other_journal } = blocking(move || Gatherer::open(&file, &cursor, form)).await?;
        if is_other_journal {
            self.cursor = Cursor { delivered: self.cursor.delivered, ..Cursor::start() };
            self.teller.began_anew(gatherer.next_seq());
            self.hold();
        }
        self.board.notes().next_seq = self.cursor.next_seq();
        Ok(gatherer)
    }

    /// Reads the cursor. Without one, or with one that cannot be read, all that is kept of the journal is shipped; what
    /// is there already stays as it is.
    async fn load(&mut self) {
        let path = self.cursor_file.clone();
        match blocking(move || Cursor::load(&path)).await {
            Ok(cursor) => self.cursor = cursor.unwrap_or_else(Cursor::start),
            Err(error) => tracing::error!(error = chain(&error), "the journal is shipped from its begin"),
        }
        self.hold();
        let mut notes = self.board.notes();
        (notes.delivered, notes.dead_letters) = (self.cursor.delivered, self.cursor.dead_letters);
        (notes.missed, notes.next_seq) = (self.cursor.missed, self.cursor.next_seq());
    }

    /// Lets the journal's retention leave what is not shipped yet, as far as the destination may hold it.
    fn hold(&self) {
        let settings = &self.destination.settings;
        self.book.holds.hold(&settings.name, self.cursor.next_seq(), settings.buffer_bytes);
    }

    /// Writes the cursor. When that fails it is told, and shipping goes on: an old one costs time at the next start, and
    /// nothing else.
    async fn save(&mut self) {
        {
            let notes = self.board.notes();
            self.cursor.delivered = notes.delivered;
            self.cursor.dead_letters = notes.dead_letters;
            self.cursor.missed = notes.missed;
            notes.state.as_str().clone_into(&mut self.cursor.state);
            self.cursor.last_error.clone_from(&notes.last_error);
        }
        self.cursor.saved_ms = Timestamp::now().as_millisecond();
        let (cursor, path) = (self.cursor.clone(), self.cursor_file.clone());
        let saved: Result<(), ShipError> = blocking(move || cursor.save(&path)).await;
        if let Err(error) = saved {
            tracing::error!(error = chain(&error), destination = self.teller.name, "keeping how far was shipped");
        }
    }
}

/// How long is waited after so many failures: longer each time, never the same, and at least as long as was asked for.
fn pause_of(pace: &Pace, attempts: u32, trouble: &Trouble) -> Duration {
    let (first, most) = if trouble.state == State::Rejected { pace.slow } else { pace.again };
    let doubled = first.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(most);
    // Between half of it and all of it, so that many houses do not come back at the same moment.
    let share = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    let pause = doubled.mul_f64(0.5 + share / 2.0);
    trouble.retry_after.map_or(pause, |asked| pause.max(asked.min(RETRY_AFTER_MAX)))
}

/// Runs what would keep others from their turn in a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let pace = Pace::default();
        let pause = |attempts, state, retry_after| {
            pause_of(&pace, attempts, &Trouble { retry_after, ..Trouble::new(state, "") })
        };
        for (attempts, from, to) in [(1, 125, 250), (3, 500, 1_000), (8, 5_000, 10_000), (u32::MAX, 5_000, 10_000)] {
            for _ in 0..50 {
                let pause = pause(attempts, State::Busy, None).as_millis();
                assert!((from..=to).contains(&pause), "{attempts}: {pause}");
            }
        }
        assert!(pause(1, State::Rejected, None) >= Duration::from_millis(2_500));
        assert!(pause(1, State::Busy, Some(Duration::from_secs(7))) >= Duration::from_secs(7));
        assert!(pause(1, State::Busy, Some(Duration::from_secs(7_000))) <= RETRY_AFTER_MAX);
    }
}
