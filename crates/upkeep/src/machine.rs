//! The life of one process as a pure state machine: what happens goes in, what is to be done comes out, the time is given.
//!
//! ```text
//!              start      needs met            ready
//!   stopped ────────▶ waiting ─────▶ starting ─────────▶ ready ──restart, too much memory──▶ draining
//!      ▲                  ▲            │ ▲  │ not in time   │ ends, stuck                       │ nothing runs, or time over
//!      │ stop             │            │ │  ▼               ▼                                   ▼
//!      └── stopping ◀─────┼────────────┼─┼─ failure ◀───────┘                               stopping ──ended──▶ waiting
//!                         │            │ │   │ └─ a final exit code, or never ──▶ failed ──start──▶ waiting
//!                         └─ wait over ┴─┴── backoff
//!                                      │     │ too often, or critical
//!                                      └─────┴──▶ paused ──confirm──▶ waiting
//! ```
//!
//! 1. [`Action::Spawn`] comes only while no process is there: after the last one was said to have ended.
//! 2. Nothing but an order of a human leads out of paused and failed, unless somebody else starts the process.
//! 3. Each wait before a restart is at least the delay of its step, and at most a fifth longer.
//! 4. Each start ends: it is ready, it has failed, or it is stopped and at last killed when its time is over.

use std::collections::VecDeque;
use std::time::Duration;

use crate::rules::{Exit, Restart, Rules};
use crate::why::{Asked, Why};

/// A moment, counted from one that is the same for all that one machine is told.
pub type Moment = Duration;

/// Failures that are remembered; more are never asked for.
pub const FAILURES_MAX: u32 = 1_000;
/// After so long in good order, the next wait is the first one again.
const STEADY: Duration = Duration::from_mins(10);
/// How often a process that does not end is killed.
const KILL_EVERY: Duration = Duration::from_secs(5);
/// Requests wait for a process that is started again within this time; for longer ones they are refused at once.
const WORTH_WAITING: Duration = Duration::from_mins(1);
/// How much longer than its delay a wait may be, in percent.
const JITTER_PERCENT: u64 = 20;

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It is not wanted, or has done its work.
    Stopped,
    /// It is wanted, and another one that it needs is not ready.
    Waiting,
    /// It runs and is not ready yet.
    Starting,
    /// It runs as it should.
    Ready,
    /// It is to be started anew, and what it works on may end before.
    Draining,
    /// It was asked to end.
    Stopping,
    /// It has failed and is started again in a while.
    Backoff,
    /// It has failed and waits for a human.
    Paused,
    /// It has failed, and starting it again would not help.
    Failed,
}

impl State {
    /// Its word in records, the API and the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

/// What happens to a process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Whether all that it needs is ready.
    Needs(bool),
    /// It could not be started.
    NotStarted(Why),
    /// It is ready.
    Ready,
    /// It has ended.
    Exited(Exit),
    /// It runs and does nothing.
    Stuck(Why),
    /// It is to be started anew, once what runs on it has ended.
    Worn(Why),
    /// Nothing runs any more that would have to end before it stops.
    Drained,
    /// It runs, and nobody here has started it.
    Appeared,
    /// It has ended in good order, and nobody here wanted that.
    StoppedByOthers,
    /// It is not started, since somebody else's is there already.
    Occupied(Why),
    /// That one is gone.
    Freed,
    /// [`Machine::due`] has come.
    Due,
}

/// What a human wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// It is to run.
    Start,
    /// It is not to run.
    Stop,
    /// It is to run anew.
    Restart,
    /// Whoever was asked says that it may run again.
    Confirm,
}

/// Why an order is not followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// It waits for [`Order::Confirm`].
    #[error("it is paused and waits for a human to confirm")]
    Paused,
    /// Nobody was asked.
    #[error("it is not paused, so there is nothing to confirm")]
    NotPaused,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Start the process.
    Spawn,
    /// Ask it to end.
    Terminate,
    /// End it, with all that belongs to it.
    Kill,
    /// Record what became of it.
    Tell(Told),
}

/// What is told of a process's life.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// It is ready, so long after it was started.
    Ready(Duration),
    /// It is to be started anew, for this reason, when what it works on has ended.
    Draining(Why),
    /// It was asked to end, for this reason.
    Stopping(Why),
    /// It did not end in time and was killed.
    Killed,
    /// It has ended, and whether it had been asked to.
    Exited(Exit, bool),
    /// It has failed for this reason, and is started again after this time.
    Restarting(Why, Duration),
    /// It has failed for this reason, and waits for a human, for that one.
    Paused(Why, Asked),
    /// It still waits for one, for these reasons, since so long.
    StillPaused(Why, Asked, Duration),
    /// A human has confirmed.
    Confirmed,
    /// It has failed for this reason, and is not started again.
    Failed(Why),
    /// It runs, and nobody here has started it.
    Appeared,
    /// It has ended in good order, and nobody here wanted that.
    StoppedByOthers,
    /// It is not started, since somebody else's is there already.
    Occupied(Why),
}

/// What comes after a process has ended that was asked to.
#[derive(Clone, Debug, Eq, PartialEq)]
enum After {
    Stopped,
    Again,
    Failure(Why),
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Phase {
    Stopped,
    Waiting,
    Starting { since: Moment },
    Ready { since: Moment },
    Draining { until: Moment, why: Why },
    Stopping { until: Moment, is_killed: bool, after: After },
    Backoff { until: Moment },
    Paused { since: Moment, remind: Moment, why: Why, asked: Asked },
    Failed { why: Why },
}

/// One process's life.
#[derive(Clone, Debug)]
pub struct Machine {
    rules: Rules,
    phase: Phase,
    /// When the phase began.
    since: Moment,
    needs_met: bool,
    /// When it failed, oldest first, as far back as `pause_after` looks.
    failures: VecDeque<Moment>,
    /// Failures since it was last in good order for long.
    streak: u32,
    /// Why it failed last.
    last_failure: Option<Why>,
    random: u64,
}

impl Machine {
    /// A process that nobody has started. `seed` decides on the jitter of its waits.
    pub fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            phase: Phase::Stopped,
            since: Moment::ZERO,
            needs_met: false,
            failures: VecDeque::new(),
            streak: 0,
            last_failure: None,
            random: seed,
        }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Stopped => State::Stopped,
            Phase::Waiting => State::Waiting,
            Phase::Starting { .. } => State::Starting,
            Phase::Ready { .. } => State::Ready,
            Phase::Draining { .. } => State::Draining,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Backoff { .. } => State::Backoff,
            Phase::Paused { .. } => State::Paused,
            Phase::Failed { .. } => State::Failed,
        }
    }

    /// Since when it is there.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// Why it failed last; while it is paused, failed or draining, why that is so.
    pub fn why(&self) -> Option<&Why> {
        match &self.phase {
            Phase::Paused { why, .. } | Phase::Failed { why } | Phase::Draining { why, .. } => Some(why),
            _ => self.last_failure.as_ref(),
        }
    }

    /// Why a human is asked, while it is paused.
    pub fn asked(&self) -> Option<Asked> {
        match self.phase {
            Phase::Paused { asked, .. } => Some(asked),
            _ => None,
        }
    }

    /// Whether it is asked to end only to be started again at once.
    pub fn is_restarting(&self) -> bool {
        matches!(self.phase, Phase::Stopping { after: After::Again, .. })
    }

    /// Failures since it was last in good order for long.
    pub fn failures(&self) -> u32 {
        self.streak
    }

    /// When [`Event::Due`] is to be told.
    pub fn due(&self) -> Option<Moment> {
        match self.phase {
            Phase::Starting { since } => Some(since + self.rules.start),
            Phase::Draining { until, .. } | Phase::Stopping { until, .. } | Phase::Backoff { until } => Some(until),
            Phase::Paused { remind, .. } => Some(remind),
            Phase::Stopped | Phase::Waiting | Phase::Ready { .. } | Phase::Failed { .. } => None,
        }
    }

    /// Whether those who want something of it should wait: it will be ready soon.
    pub fn is_worth_waiting(&self, now: Moment) -> bool {
        match &self.phase {
            Phase::Starting { .. } | Phase::Draining { .. } => true,
            Phase::Stopping { after, .. } => *after != After::Stopped,
            Phase::Backoff { until } => until.saturating_sub(now) <= WORTH_WAITING,
            Phase::Waiting | Phase::Ready { .. } | Phase::Stopped | Phase::Paused { .. } | Phase::Failed { .. } => {
                false
            }
        }
    }

    /// It runs already, since another house had it: it only has to show that it is ready.
    pub fn adopt(&mut self, now: Moment) {
        self.enter(Phase::Starting { since: now }, now);
    }

    /// Follows an order of a human.
    pub fn order(&mut self, order: Order, now: Moment) -> Result<Vec<Action>, Refused> {
        let is_paused = matches!(self.phase, Phase::Paused { .. });
        match (order, is_paused) {
            (Order::Confirm, false) => return Err(Refused::NotPaused),
            (Order::Start | Order::Restart, true) => return Err(Refused::Paused),
            (Order::Confirm, true) => {
                self.failures.clear();
                self.streak = 0;
                let mut actions = vec![Action::Tell(Told::Confirmed)];
                actions.extend(self.go(now));
                return Ok(actions);
            }
            (Order::Stop, _) => return Ok(self.order_stop(now)),
            (Order::Start | Order::Restart, false) => {}
        }
        let is_restart = order == Order::Restart;
        Ok(match &mut self.phase {
            Phase::Stopped | Phase::Failed { .. } | Phase::Backoff { .. } => self.go(now),
            Phase::Ready { .. } if is_restart => self.drain(Why::OrderedRestart, now),
            Phase::Starting { .. } if is_restart => self.stop(Why::OrderedRestart, After::Again, now),
            Phase::Stopping { after, .. } => {
                *after = After::Again;
                Vec::new()
            }
            _ => Vec::new(),
        })
    }

    /// Takes in what happened.
    pub fn take(&mut self, event: Event, now: Moment) -> Vec<Action> {
        self.settle(now);
        match event {
            Event::Needs(met) => {
                self.needs_met = met;
                if met && self.phase == Phase::Waiting { self.go(now) } else { Vec::new() }
            }
            Event::NotStarted(why) if matches!(self.phase, Phase::Starting { .. }) => self.fail(why, true, now),
            Event::Ready => match self.phase {
                Phase::Starting { since } => {
                    self.enter(Phase::Ready { since: now }, now);
                    vec![Action::Tell(Told::Ready(now.saturating_sub(since)))]
                }
                _ => Vec::new(),
            },
            Event::Exited(exit) => self.exited(exit, now),
            Event::Stuck(why) => match self.phase {
                Phase::Ready { .. } => self.stop(why.clone(), After::Failure(why), now),
                Phase::Draining { .. } => self.stop(why, After::Again, now),
                _ => Vec::new(),
            },
            Event::Worn(why) if matches!(self.phase, Phase::Ready { .. }) => self.drain(why, now),
            Event::Drained if matches!(self.phase, Phase::Draining { .. }) => {
                self.stop(Why::Drained, After::Again, now)
            }
            Event::Due if self.due().is_some_and(|due| due <= now) => self.time_over(now),
            Event::Appeared if !self.has_process() => {
                self.enter(Phase::Starting { since: now }, now);
                vec![Action::Tell(Told::Appeared)]
            }
            Event::StoppedByOthers => self.stopped_by_others(now),
            Event::Occupied(why) if matches!(self.phase, Phase::Starting { .. }) => {
                self.last_failure = Some(why.clone());
                self.enter(Phase::Waiting, now);
                vec![Action::Tell(Told::Occupied(why))]
            }
            Event::Freed if self.phase == Phase::Waiting => self.go(now),
            Event::NotStarted(_)
            | Event::Worn(_)
            | Event::Drained
            | Event::Due
            | Event::Appeared
            | Event::Occupied(_)
            | Event::Freed => Vec::new(),
        }
    }

    /// Whether there is a process, as far as is known.
    fn has_process(&self) -> bool {
        matches!(
            self.phase,
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Draining { .. } | Phase::Stopping { .. }
        )
    }

    fn stopped_by_others(&mut self, now: Moment) -> Vec<Action> {
        match self.phase {
            Phase::Stopping { .. } => self.exited(Exit::Unknown, now),
            _ if self.has_process() => {
                self.enter(Phase::Stopped, now);
                vec![Action::Tell(Told::StoppedByOthers)]
            }
            _ => Vec::new(),
        }
    }

    fn order_stop(&mut self, now: Moment) -> Vec<Action> {
        match &mut self.phase {
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Draining { .. } => {
                self.stop(Why::OrderedStop, After::Stopped, now)
            }
            Phase::Stopping { after, .. } => {
                *after = After::Stopped;
                Vec::new()
            }
            _ => {
                self.enter(Phase::Stopped, now);
                Vec::new()
            }
        }
    }

    fn time_over(&mut self, now: Moment) -> Vec<Action> {
        match &mut self.phase {
            Phase::Starting { .. } => {
                let why = Why::NotReady(self.rules.start);
                self.stop(why.clone(), After::Failure(why), now)
            }
            Phase::Draining { .. } => self.stop(Why::Undrained(self.rules.drain), After::Again, now),
            Phase::Stopping { until, is_killed, .. } => {
                let was_killed = std::mem::replace(is_killed, true);
                *until = now + KILL_EVERY;
                let told = (!was_killed).then_some(Action::Tell(Told::Killed));
                [Action::Kill].into_iter().chain(told).collect()
            }
            Phase::Backoff { .. } => self.go(now),
            Phase::Paused { since, remind, why, asked } => {
                *remind = now + self.rules.remind;
                vec![Action::Tell(Told::StillPaused(why.clone(), *asked, now.saturating_sub(*since)))]
            }
            Phase::Stopped | Phase::Waiting | Phase::Ready { .. } | Phase::Failed { .. } => Vec::new(),
        }
    }

    fn exited(&mut self, exit: Exit, now: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        match self.phase.clone() {
            Phase::Stopping { after, .. } => {
                actions.push(Action::Tell(Told::Exited(exit, true)));
                match after {
                    After::Stopped => self.enter(Phase::Stopped, now),
                    After::Again => actions.extend(self.go(now)),
                    After::Failure(why) => actions.extend(self.fail(why, true, now)),
                }
            }
            Phase::Draining { .. } => {
                actions.push(Action::Tell(Told::Exited(exit, true)));
                actions.extend(self.go(now));
            }
            Phase::Starting { .. } | Phase::Ready { .. } => {
                actions.push(Action::Tell(Told::Exited(exit, false)));
                actions.extend(self.ended(exit, now));
            }
            _ => {}
        }
        actions
    }

    /// It has ended by itself.
    fn ended(&mut self, exit: Exit, now: Moment) -> Vec<Action> {
        if let Exit::Code(code) = exit
            && self.rules.final_codes.contains(&code)
        {
            return self.give_up(Why::Final(exit), now);
        }
        if exit.is_success() && self.rules.restart != Restart::Always {
            self.enter(Phase::Stopped, now);
            return Vec::new();
        }
        self.fail(Why::Ended(exit), !exit.is_success(), now)
    }

    /// It has failed, and no process is there. `is_crash` is false where it ended well, only too soon.
    fn fail(&mut self, why: Why, is_crash: bool, now: Moment) -> Vec<Action> {
        self.last_failure = Some(why.clone());
        if let Some((count, within)) = self.rules.pause_after {
            self.failures.push_back(now);
            while self.failures.len() > count.min(FAILURES_MAX) as usize
                || self.failures.front().is_some_and(|first| now.saturating_sub(*first) > within)
            {
                self.failures.pop_front();
            }
            if self.failures.len() >= count.min(FAILURES_MAX) as usize {
                return self.pause(why, Asked::Often(count, within), now);
            }
        }
        if self.rules.critical && is_crash {
            return self.pause(why, Asked::Critical, now);
        }
        if self.rules.restart == Restart::Never {
            return self.give_up(why, now);
        }
        self.streak = self.streak.saturating_add(1);
        let wait = self.wait();
        self.enter(Phase::Backoff { until: now + wait }, now);
        vec![Action::Tell(Told::Restarting(why, wait))]
    }

    fn pause(&mut self, why: Why, asked: Asked, now: Moment) -> Vec<Action> {
        self.enter(Phase::Paused { since: now, remind: now + self.rules.remind, why: why.clone(), asked }, now);
        vec![Action::Tell(Told::Paused(why, asked))]
    }

    fn give_up(&mut self, why: Why, now: Moment) -> Vec<Action> {
        self.enter(Phase::Failed { why: why.clone() }, now);
        vec![Action::Tell(Told::Failed(why))]
    }

    /// It is to run, and no process is there.
    fn go(&mut self, now: Moment) -> Vec<Action> {
        if !self.needs_met {
            self.enter(Phase::Waiting, now);
            return Vec::new();
        }
        self.enter(Phase::Starting { since: now }, now);
        vec![Action::Spawn]
    }

    fn drain(&mut self, why: Why, now: Moment) -> Vec<Action> {
        self.enter(Phase::Draining { until: now + self.rules.drain, why: why.clone() }, now);
        vec![Action::Tell(Told::Draining(why))]
    }

    fn stop(&mut self, why: Why, after: After, now: Moment) -> Vec<Action> {
        self.enter(Phase::Stopping { until: now + self.rules.stop, is_killed: false, after }, now);
        vec![Action::Tell(Told::Stopping(why)), Action::Terminate]
    }

    fn enter(&mut self, phase: Phase, now: Moment) {
        (self.phase, self.since) = (phase, now);
    }

    /// What was long ago does not make the next wait longer.
    fn settle(&mut self, now: Moment) {
        if let Phase::Ready { since } = self.phase
            && now.saturating_sub(since) >= STEADY
        {
            self.streak = 0;
        }
    }

    /// The wait before the next start: twice as long for each failure in a row, and a little more, so that many processes that
    /// failed together do not start together.
    fn wait(&mut self) -> Duration {
        let doublings = self.streak.saturating_sub(1).min(31);
        let wait = self.rules.delay.saturating_mul(1 << doublings).min(self.rules.delay_max.max(self.rules.delay));
        // splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let percent = (mixed ^ (mixed >> 31)) % (JITTER_PERCENT + 1);
        wait + wait * percent as u32 / 100
    }
}
