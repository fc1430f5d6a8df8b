//! The task of one process: tells its machine what happens, and does what that says.

mod care;
mod telling;
mod unit;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tollhouse_journal::Level;

use crate::check;
use crate::child::{Child, Left, end_groups, strays};
use crate::house::{Held, House};
use crate::machine::{Action, Event, Machine, Moment, Order, Refused, State, Told};
use crate::memory::{Trend, Used};
use crate::notify::Notify;
use crate::output::Lines;
use crate::pressure::Pressure;
use crate::progress::Stall;
use crate::rules::Exit;
use crate::spec::{Readiness, Spec};
use crate::why::{Asked, Why};

use self::telling::asked_for;
use self::unit::Watched;

/// Events of helpers that wait.
const EVENTS_AHEAD: usize = 16;
/// How often is asked whether a process is ready, and whether something still runs on it.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How often is looked whether it gets on with its requests.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How often is looked whether somebody else's process is gone.
const FREED_EVERY: Duration = Duration::from_secs(1);

/// What the task is told by its supervisor.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A human wants something; who, and the way back of the answer.
    Order(Order, String, oneshot::Sender<Result<(), Refused>>),
    /// It is not wanted any more: the process is stopped, and the task ends.
    End,
}

/// How a process is.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Where it is in its life.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// Its number, while it runs.
    pub pid: Option<i32>,
    /// How often it was started here, the first time included.
    pub starts: u32,
    /// Why it failed last; while it is paused, failed or draining, why that is so.
    pub why: Option<Why>,
    /// Why a human is asked, while it is paused.
    pub asked: Option<Asked>,
    /// When it is started again.
    pub next: Option<SystemTime>,
    /// Its resident memory with all that it has started, in bytes.
    pub memory: Option<u64>,
    /// How much is waited for memory where it runs, if that is looked at.
    pub pressure: Option<Pressure>,
}

/// What all tasks share.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) place: PathBuf,
    pub(crate) house: Arc<dyn House>,
    pub(crate) lines: Lines,
    /// Where each process is, for those that need it.
    pub(crate) board: watch::Sender<BTreeMap<String, State>>,
    /// The numbers of those that run.
    pub(crate) pids: watch::Sender<BTreeMap<String, i32>>,
    /// What they use.
    pub(crate) used: watch::Receiver<Arc<BTreeMap<String, Used>>>,
    pub(crate) began: Instant,
}

/// A helper that ends when it is not needed any more.
#[derive(Debug)]
struct Aid(AbortHandle);

impl Drop for Aid {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) struct Life {
    spec: Arc<Spec>,
    ground: Arc<Ground>,
    machine: Machine,
    child: Option<Child>,
    /// The state for which helpers were begun, and they.
    aided: State,
    aids: Vec<Aid>,
    /// Events of helpers, each of the start that it is about.
    events: mpsc::Receiver<(u32, Event)>,
    aid_events: mpsc::Sender<(u32, Event)>,
    starts: u32,
    held: Vec<Box<dyn Held>>,
    notify: Option<Arc<Notify>>,
    trend: Trend,
    /// The same for what is waited for memory.
    pressed: Trend,
    stall: Stall,
    unloaded: Option<Instant>,
    /// What is known of the unit that it is.
    watched: Watched,
    /// Somebody else's is there, and that was told.
    is_occupied: bool,
    /// What takes a moment and nobody waits for.
    errands: JoinSet<()>,
    status: watch::Sender<Status>,
    /// The task ends when the process has.
    ends: bool,
}

impl Life {
    pub(crate) fn new(spec: Arc<Spec>, ground: Arc<Ground>, status: watch::Sender<Status>) -> Self {
        // Processes that fail together must not start together: each has its own seed.
        let seed = spec.name.bytes().fold(u64::from(std::process::id()), |seed, byte| seed * 31 + u64::from(byte));
        let (aid_events, events) = mpsc::channel(EVENTS_AHEAD);
        Self {
            machine: Machine::new(spec.rules.clone(), seed),
            spec,
            ground,
            child: None,
            aided: State::Stopped,
            aids: Vec::new(),
            events,
            aid_events,
            starts: 0,
            held: Vec::new(),
            notify: None,
            trend: Trend::default(),
            pressed: Trend::default(),
            stall: Stall::default(),
            unloaded: None,
            watched: Watched::default(),
            is_occupied: false,
            errands: JoinSet::new(),
            status,
            ends: false,
        }
    }

    /// Lives until the process is not wanted any more.
    pub(crate) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let (mut board, mut used) = (self.ground.board.subscribe(), self.ground.used.clone());
        // Often enough that a step is never late by more than a part of the time that it is about.
        let look = self.spec.stalled.map_or(PROGRESS_EVERY, |after| (after / 8).clamp(ASK_EVERY, PROGRESS_EVERY));
        let mut progress = interval(look);
        progress.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.begin().await;
        loop {
            self.settle();
            if self.ends && (self.is_unit() || (self.child.is_none() && self.machine.state() == State::Stopped)) {
                break;
            }
            let due = self.machine.due().map(|due| self.ground.began + due);
            let (is_unit, look_at_unit) = (self.is_unit(), self.watched.next);
            tokio::select! {
                ask = asks.recv() => self.asked(ask).await,
                exit = exited(&mut self.child) => self.ended(exit).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.take(Event::Due).await,
                () = sleep_until(look_at_unit), if is_unit => self.look_at_unit().await,
                Some((start, event)) = self.events.recv() => if start == self.starts { self.take(event).await },
                Ok(()) = board.changed() => {
                    let met = self.needs_met();
                    self.take(Event::Needs(met)).await;
                }
                Ok(()) = used.changed() => {
                    let used = used.borrow_and_update().get(&self.spec.name).copied();
                    self.weigh(used).await;
                }
                _ = progress.tick(), if self.is_watched() => self.look_at_progress(look).await,
                Some(_) = self.errands.join_next() => {}
            }
        }
        self.ground.board.send_modify(|board| {
            board.remove(&self.spec.name);
        });
    }

    /// Takes over what a house before has left, or ends it, and starts the process unless it runs.
    async fn begin(&mut self) {
        if self.is_unit() {
            let met = self.needs_met();
            self.machine.take(Event::Needs(met), self.now());
            return self.look_at_unit().await;
        }
        let (spec, place) = (Arc::clone(&self.spec), self.ground.place.clone());
        let left = spawn_blocking(move || Left::find(&spec, &place)).await.unwrap_or(Left::Nothing);
        let met = self.needs_met();
        self.machine.take(Event::Needs(met), self.now());
        match left {
            Left::Running(child) => {
                self.tell(Level::Info, "taken over from the house before", |record| record.field("pid", child.pid()));
                self.child = Some(child);
                self.starts += 1;
                self.machine.adopt(self.now());
                return;
            }
            Left::Groups(groups) => {
                self.tell(Level::Warn, "what the house before has left of it is ended", |record| {
                    record.field("groups", groups.len())
                });
                end_groups(&groups, self.spec.rules.stop).await;
            }
            Left::Nothing => {}
        }
        self.order(Order::Start).await.ok();
    }

    async fn asked(&mut self, ask: Option<Ask>) {
        match ask {
            Some(Ask::Order(order, by, answer)) => {
                if self.ends {
                    return;
                }
                let result = self.order(order).await;
                if result.is_ok() {
                    self.tell(Level::Info, asked_for(order), |record| record.field("by", &by));
                }
                self.settle();
                // Whoever has left needs no answer.
                let _: Result<(), _> = answer.send(result);
            }
            Some(Ask::End) | None => {
                self.ends = true;
                // A unit is systemd's, and goes on.
                if !self.is_unit() {
                    self.order(Order::Stop).await.ok();
                }
            }
        }
    }

    async fn order(&mut self, order: Order) -> Result<(), Refused> {
        let actions = self.machine.order(order, self.now())?;
        self.act(actions).await;
        Ok(())
    }

    async fn take(&mut self, event: Event) {
        let actions = self.machine.take(event, self.now());
        self.act(actions).await;
    }

    async fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Spawn => self.spawn().await,
                Action::Terminate | Action::Kill if self.is_unit() => self.end_unit(&action).await,
                Action::Terminate => self.child.iter().for_each(|child| child.terminate(self.spec.stop_signal)),
                Action::Kill => self.child.iter().for_each(Child::kill),
                Action::Tell(told) => {
                    self.told(&told);
                    if self.is_unit() && matches!(told, Told::Paused(..)) {
                        self.halt_unit().await;
                    }
                }
            }
        }
    }

    async fn spawn(&mut self) {
        self.starts = self.starts.saturating_add(1);
        self.trend.clear();
        self.pressed.clear();
        self.stall = Stall::default();
        if self.is_unit() {
            return self.start_unit().await;
        }
        if let Some(place) = check::taken(&self.spec.ready).await {
            self.starts -= 1;
            let actions = self.machine.take(Event::Occupied(Why::Occupied(place)), self.now());
            Box::pin(self.act(actions)).await;
            self.is_occupied = true;
            return;
        }
        self.is_occupied = false;
        let started = self.opened_notify().and_then(|()| {
            let address = self.notify.as_deref().map(Notify::address);
            Child::start(&self.spec, &self.ground.place, address)
        });
        match started {
            Ok(child) => {
                self.tell(Level::Info, "started", |record| record.field("pid", child.pid()));
                self.child = Some(child);
            }
            Err(error) => {
                let actions = self.machine.take(Event::NotStarted(Why::NotStarted(error.to_string())), self.now());
                // Nothing is spawned by what follows a failure.
                Box::pin(self.act(actions)).await;
            }
        }
    }

    fn opened_notify(&mut self) -> Result<(), crate::UpkeepError> {
        if self.spec.ready == Readiness::Notify && self.notify.is_none() {
            let notify = Notify::open(&self.ground.place, &self.spec.name).map_err(crate::UpkeepError::Notify)?;
            self.notify = Some(Arc::new(notify));
        }
        Ok(())
    }

    /// The process has ended: what it has left of its group goes too, before another one is started.
    async fn ended(&mut self, exit: Exit) {
        if self.is_unit() {
            return self.unit_process_ended().await;
        }
        if let Some(child) = self.child.take() {
            // At once, so that nobody asks it for anything any more.
            self.hold(true);
            let is_gone = child.sweep().await;
            // What has left its group, to outlive it: it is known by the mark in its environment.
            let (place, name) = (self.ground.place.clone(), self.spec.name.clone());
            let strays = spawn_blocking(move || strays(&place, &name)).await.unwrap_or_default();
            if !end_groups(&strays, Duration::ZERO).await || !is_gone {
                self.tell(Level::Error, "something of it does not end", |record| record);
            }
        }
        self.take(Event::Exited(exit)).await;
    }

    /// Puts in force what follows from where the process is.
    fn settle(&mut self) {
        let state = self.machine.state();
        if self.aided != state {
            self.aided = state;
            self.aids = self.helpers(state);
        }
        self.hold(self.machine.is_worth_waiting(self.now()));
        let name = &self.spec.name;
        self.ground.board.send_if_modified(|board| board.insert(name.clone(), state) != Some(state));
        let pid = self.child.as_ref().map(Child::pid);
        self.ground.pids.send_if_modified(|pids| match pid {
            Some(pid) => pids.insert(name.clone(), pid) != Some(pid),
            None => pids.remove(name).is_some(),
        });
        let system = |moment: Moment| {
            let (now, system) = (self.now(), SystemTime::now());
            system + moment.saturating_sub(now) - now.saturating_sub(moment)
        };
        let next = (state == State::Backoff).then(|| self.machine.due()).flatten().map(system);
        let status = Status {
            state,
            since: system(self.machine.since()),
            pid,
            starts: self.starts,
            why: self.machine.why().cloned(),
            asked: self.machine.asked(),
            next,
            memory: pid.and(self.status.borrow().memory),
            pressure: pid.and(self.status.borrow().pressure),
        };
        self.status.send_replace(status);
    }

    /// Whether requests to its upstreams wait.
    fn hold(&mut self, holds: bool) {
        if holds != self.held.is_empty() {
            return;
        }
        if holds {
            let held = self.spec.upstreams.iter().filter_map(|upstream| self.ground.house.hold(upstream));
            self.held = held.collect();
            return;
        }
        let state = self.machine.state();
        let held = std::mem::take(&mut self.held);
        if state != State::Ready {
            let reason = format!("its process {} is {}", self.spec.name, state.as_str());
            for held in held {
                held.give_up(&reason);
            }
        }
    }

    /// Those who look for what the process in this state is waited for.
    fn helpers(&self, state: State) -> Vec<Aid> {
        let is_ours = matches!(self.child, Some(ref child) if child.is_own());
        match state {
            State::Starting => match &self.spec.ready {
                // Systemd says whether a unit runs.
                Readiness::Runs if self.is_unit() => Vec::new(),
                Readiness::Runs => vec![self.aid(async { Some(Event::Ready) })],
                ask @ (Readiness::Http(_) | Readiness::Port(_)) => {
                    let ask = ask.clone();
                    vec![self.aid(async move {
                        while check::answers(&ask).await.is_err() {
                            sleep(ASK_EVERY).await;
                        }
                        Some(Event::Ready)
                    })]
                }
                // One that was taken over has said so long ago.
                Readiness::Line(_) | Readiness::Notify if !is_ours => vec![self.aid(async { Some(Event::Ready) })],
                Readiness::Line(wanted) => {
                    let (mut lines, wanted, name) =
                        (self.ground.lines.listen(), wanted.clone(), self.spec.name.clone());
                    vec![self.aid(async move {
                        loop {
                            match lines.recv().await {
                                Ok((of, line)) if *of == *name && wanted.is_match(&line) => return Some(Event::Ready),
                                Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                                Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                            }
                        }
                    })]
                }
                Readiness::Notify => {
                    let notify = self.notify.clone();
                    vec![self.aid(async move {
                        notify?.ready().await.ok()?;
                        Some(Event::Ready)
                    })]
                }
            },
            State::Waiting if self.is_occupied => {
                let ready = self.spec.ready.clone();
                vec![self.aid(async move {
                    while check::taken(&ready).await.is_some() {
                        sleep(FREED_EVERY).await;
                    }
                    Some(Event::Freed)
                })]
            }
            State::Ready => {
                let (house, upstreams) = (Arc::clone(&self.ground.house), self.spec.upstreams.clone());
                let flow = move || care::flow_of(&*house, &upstreams);
                self.spec.live.iter().map(|live| self.aid(care::stuck(live.clone(), flow.clone()))).collect()
            }
            State::Draining => {
                let (house, upstreams) = (Arc::clone(&self.ground.house), self.spec.upstreams.clone());
                vec![self.aid(async move {
                    while upstreams.iter().any(|upstream| house.flow(upstream).is_some_and(|flow| flow.running > 0)) {
                        sleep(ASK_EVERY).await;
                    }
                    Some(Event::Drained)
                })]
            }
            _ => Vec::new(),
        }
    }

    fn aid(&self, work: impl Future<Output = Option<Event>> + Send + 'static) -> Aid {
        let (events, start) = (self.aid_events.clone(), self.starts);
        let task = tokio::spawn(async move {
            if let Some(event) = work.await {
                // Without a receiver the process is not wanted any more.
                let _: Result<(), _> = events.send((start, event)).await;
            }
        });
        Aid(task.abort_handle())
    }

    fn needs_met(&self) -> bool {
        let board = self.ground.board.borrow();
        self.spec.needs.iter().all(|name| board.get(name) == Some(&State::Ready))
    }

    fn now(&self) -> Moment {
        self.ground.began.elapsed()
    }
}

async fn exited(child: &mut Option<Child>) -> Exit {
    match child {
        Some(child) => child.exited().await,
        None => std::future::pending().await,
    }
}
