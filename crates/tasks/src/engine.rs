//! Workers that take runs and bring them forward, and the scheduler that begins them.

mod children;
mod definitions;
mod drive;
mod held;
mod scheduler;
mod time;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) use definitions::Definitions;
use held::Held;
use time::EvenTime;
pub(crate) use time::Now;

use crate::book::{Book, Claimed, Keep};
use crate::clock::Clock;
use crate::error::TaskError;
use crate::event::Told;
use crate::hands::Hands;

/// How often old runs are removed.
const RETAIN_EVERY: Duration = Duration::from_secs(600);
/// How long is waited after the book could not be asked.
const TROUBLE_PAUSE: Duration = Duration::from_secs(2);

/// How an engine works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs that are brought forward at a time. One that waits takes no worker.
    pub workers: u32,
    /// Names this node in leases; a random part is added, so that each start is somebody else.
    pub node: String,
    /// No other process works on this book: what was held is free at once after a crash. Never with several nodes.
    pub is_alone: bool,
    /// How long a run belongs to a worker that is not heard of.
    pub lease: Duration,
    /// How often is looked for work that nobody told of.
    pub poll: Duration,
    /// When room is asked for again where the hands say nothing else.
    pub room_retry: Duration,
    /// Ended runs that are kept of each task.
    pub keep_runs: u32,
    /// How long ended runs are kept.
    pub keep_days: u32,
    /// Bytes of events of ended runs that are kept, of all tasks together.
    pub keep_bytes: u64,
    /// Whether this engine begins the runs of schedules.
    pub schedules: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 2,
            node: "house".to_owned(),
            is_alone: false,
            lease: Duration::from_secs(10),
            poll: Duration::from_millis(500),
            room_retry: Duration::from_secs(15 * 60),
            keep_runs: 1_000,
            keep_days: 90,
            keep_bytes: 1 << 30,
            schedules: true,
        }
    }
}

/// Workers and a scheduler at work. Dropped without [`Engine::stop`], it stops as a crash would.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    stopping: watch::Sender<Stopping>,
    tasks: Vec<JoinHandle<()>>,
}

/// How far the end of an engine is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stopping {
    No,
    /// Nothing new is begun.
    Soon,
    /// What is being done is dropped.
    Now,
}

/// What everything in an engine works with.
pub(crate) struct Shared {
    pub(crate) book: Book,
    pub(crate) clock: Arc<dyn Clock>,
    time: EvenTime,
    pub(crate) hands: Arc<dyn Hands>,
    pub(crate) options: Options,
    pub(crate) owner: String,
    pub(crate) definitions: Definitions,
    pub(crate) held: Held,
    pub(crate) wake: Notify,
    pub(crate) stopping: watch::Receiver<Stopping>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts working.
    pub async fn start(
        book: Book,
        clock: Arc<dyn Clock>,
        hands: Arc<dyn Hands>,
        options: Options,
    ) -> Result<Self, TaskError> {
        if options.is_alone {
            let ended = book.end_leases(clock.now_ms()).await?;
            if ended > 0 {
                tracing::info!(runs = ended, "task runs were under way when the house went down; they go on");
            }
        }
        let (stopping, follow) = watch::channel(Stopping::No);
        let owner = format!("{}-{:016x}", options.node, getrandom::u64().unwrap_or_default());
        let time = EvenTime::new(&*clock, book.clock_set_ms().await?);
        let shared = Arc::new(Shared {
            time,
            definitions: Definitions::new(book.clone()),
            held: Held::default(),
            wake: Notify::new(),
            book,
            clock,
            hands,
            options,
            owner,
            stopping: follow,
        });
        let mut tasks = vec![
            tokio::spawn(dispatch(shared.clone())),
            tokio::spawn(held::keep_alive(shared.clone())),
            tokio::spawn(watch_idle(shared.clone())),
            tokio::spawn(tidy(shared.clone())),
        ];
        if shared.options.schedules {
            tasks.push(tokio::spawn(scheduler::schedule(shared.clone())));
        }
        Ok(Self { shared, stopping, tasks })
    }

    /// Looks for work now; for instance because somebody asked for a run.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// Begins nothing new, lets what is being done come to its end for at most `grace`, and gives all runs back: to a book that does not
    /// answer for as long as a lease lasts, by their leases alone.
    pub async fn stop(mut self, grace: Duration) {
        let _ = self.stopping.send(Stopping::Soon);
        let dispatch = &mut self.tasks[0];
        if tokio::time::timeout(grace, &mut *dispatch).await.is_err() {
            let _ = self.stopping.send(Stopping::Now);
            let _ = tokio::time::timeout(self.shared.options.lease, dispatch).await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Shared {
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(crate) fn lease_ms(&self) -> i64 {
        self.options.lease.as_millis() as i64
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow() != Stopping::No
    }

    /// Waits until the engine is to stop, or to drop everything.
    pub(crate) async fn stopped(&self, at_least: Stopping) {
        let mut stopping = self.stopping.clone();
        let is_it = |now: &Stopping| *now == at_least || *now == Stopping::Now;
        // When the engine itself is gone, so is everything.
        let _ = stopping.wait_for(is_it).await;
    }
}

/// Takes runs while there are workers for them.
async fn dispatch(shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.options.workers.max(1) as usize));
    let mut drives: JoinSet<()> = JoinSet::new();
    while !shared.is_stopping() {
        while drives.try_join_next().is_some() {}
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = shared.stopped(Stopping::Soon) => break,
        };
        let Ok(place) = place else { break };
        match claim(&shared).await {
            Ok(Some(claimed)) => {
                // The hold is there before the drive, so that no heartbeat misses it.
                let hold = shared.held.take(&claimed.lease);
                let shared = shared.clone();
                drives.spawn(async move {
                    drive::drive(&shared, claimed, hold).await;
                    drop(place);
                });
            }
            Ok(None) => {
                drop(place);
                tokio::select! {
                    () = shared.wake.notified() => {}
                    () = tokio::time::sleep(shared.options.poll) => {}
                    () = shared.stopped(Stopping::Soon) => {}
                }
            }
            Err(error) => {
                drop(place);
                tracing::warn!(error = tollhouse_units::chain(&error), "cannot look for task runs");
                tokio::select! {
                    () = tokio::time::sleep(TROUBLE_PAUSE) => {}
                    () = shared.stopped(Stopping::Soon) => {}
                }
            }
        }
    }
    while drives.join_next().await.is_some() {}
}

/// The run that has waited longest, if there is one. A book that does not answer in time is asked anew, by another connection: if it took
/// a run for us all the same, the lease of that ends by itself.
async fn claim(shared: &Shared) -> Result<Option<Claimed>, TaskError> {
    let claim = async {
        let now = shared.now().await?;
        shared.book.claim(&shared.owner, &shared.held.names(), shared.lease_ms(), now.ms).await
    };
    tokio::time::timeout(shared.options.lease, claim).await.unwrap_or(Err(TaskError::Late))
}

/// Brings back what waits for room as soon as the house is idle.
async fn watch_idle(shared: Arc<Shared>) {
    loop {
        shared.hands.idle().await;
        match shared.book.wake_for_room(shared.now_ms()).await {
            Ok(0) => {}
            Ok(_) => shared.wake.notify_one(),
            Err(error) => tracing::warn!(error = tollhouse_units::chain(&error), "cannot wake waiting task runs"),
        }
        // Also when the hands say again and again that all is idle.
        tokio::time::sleep(shared.options.poll).await;
    }
}

/// Tells what was not told, and removes what is old.
async fn tidy(shared: Arc<Shared>) {
    let mut since_retained = RETAIN_EVERY;
    loop {
        if let Err(error) = tell_the_rest(&shared).await {
            tracing::warn!(error = tollhouse_units::chain(&error), "cannot tell what happened to ended task runs");
        }
        if let Err(error) = tell_turns(&shared).await {
            tracing::warn!(error = tollhouse_units::chain(&error), "cannot tell who held schedules of tasks");
        }
        if since_retained >= RETAIN_EVERY {
            since_retained = Duration::ZERO;
            let (now_ms, options) = (shared.now_ms(), &shared.options);
            let keep = Keep::new(options.keep_runs, options.keep_days, options.keep_bytes, now_ms);
            match shared.book.remove_old(&keep, now_ms).await {
                Ok(0) => {}
                Ok(runs) => tracing::info!(runs, "old task runs were removed"),
                Err(error) => tracing::warn!(error = tollhouse_units::chain(&error), "cannot remove old task runs"),
            }
        }
        tokio::time::sleep(TROUBLE_PAUSE).await;
        since_retained += TROUBLE_PAUSE;
    }
}

/// Ended runs that nobody holds, of which the house has not heard everything: a human ended them, or a worker was lost right then.
async fn tell_the_rest(shared: &Shared) -> Result<(), TaskError> {
    for (run, task, told) in shared.book.untold(shared.now_ms()).await? {
        let history = shared.book.history(&run).await?;
        for (at, entry) in history.iter().enumerate().skip(told.max(0) as usize) {
            let told = Told { run: run.clone(), task: task.clone(), number: at as i64 + 1, entry: entry.clone() };
            shared.hands.told(&told);
        }
        shared.book.set_told(&run, history.len() as i64, shared.now_ms()).await?;
    }
    Ok(())
}

/// Schedules that were held or let go on.
async fn tell_turns(shared: &Shared) -> Result<(), TaskError> {
    for turned in shared.book.untold_turns().await? {
        shared.hands.turned(&turned);
        shared.book.turn_told(&turned).await?;
    }
    Ok(())
}
