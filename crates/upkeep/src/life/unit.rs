//! The life of a unit of systemd: looked at, and started and ended by systemd alone.

use std::time::Duration;

use tokio::time::Instant;
use tollhouse_journal::Level;

use super::Life;
use crate::child::Child;
use crate::machine::{Action, Event, State};
use crate::rules::Exit;
use crate::spec::Readiness;
use crate::unit::{self, How, Seen, Verb};
use crate::why::Why;

/// How often is looked while something is to happen at once.
const LOOK_SOON: Duration = Duration::from_millis(100);
/// While it is waited for something that takes longer.
const LOOK_WAITING: Duration = Duration::from_secs(1);
/// While it does not run.
const LOOK_RESTING: Duration = Duration::from_secs(10);
/// While it runs: the end of its main process is told by the system at once.
const LOOK_RUNNING: Duration = Duration::from_mins(1);

/// What is known of a unit.
#[derive(Debug)]
pub(super) struct Watched {
    /// When it is looked at next.
    pub(super) next: Instant,
    /// The main process that has ended, of which the machine was not told yet how.
    lost: Option<i32>,
    /// It is being stopped for a pause: that systemd starts it in between is no news.
    is_halting: bool,
    /// Why it could not be looked at, as it was told.
    trouble: Option<String>,
}

impl Default for Watched {
    fn default() -> Self {
        Self { next: Instant::now(), lost: None, is_halting: false, trouble: None }
    }
}

impl Life {
    pub(super) fn is_unit(&self) -> bool {
        self.spec.unit.is_some()
    }

    /// Looks how the unit is, and tells the machine what has changed.
    pub(super) async fn look_at_unit(&mut self) {
        let Some(unit) = &self.spec.unit else { return };
        match unit::look(unit).await {
            Ok(seen) => {
                if self.watched.trouble.take().is_some() {
                    self.tell(Level::Info, "can be looked at again", |record| record);
                }
                self.seen(seen).await;
            }
            Err(error) => self.not_seen(error),
        }
        self.watched.next = Instant::now() + self.look_every();
    }

    /// How long what was seen is taken for what is.
    fn look_every(&self) -> Duration {
        match self.machine.state() {
            _ if self.watched.trouble.is_some() => LOOK_RESTING,
            _ if self.watched.lost.is_some() => LOOK_SOON,
            State::Ready | State::Draining if self.child.is_some() => LOOK_RUNNING,
            State::Ready | State::Draining | State::Backoff => LOOK_WAITING,
            State::Starting if self.child.is_some() && self.spec.ready != Readiness::Runs => LOOK_WAITING,
            State::Starting | State::Stopping => LOOK_SOON,
            State::Stopped | State::Waiting | State::Paused | State::Failed if self.watched.is_halting => LOOK_SOON,
            State::Stopped | State::Waiting | State::Paused | State::Failed => LOOK_RESTING,
        }
    }

    fn not_seen(&mut self, error: String) {
        if self.watched.trouble.as_ref() != Some(&error) {
            self.tell(Level::Error, "cannot be looked at", |record| record.field("error", &error));
        }
        self.watched.trouble = Some(error);
    }

    async fn seen(&mut self, seen: Seen) {
        if self.child.as_ref().is_some_and(|child| Some(child.pid()) != seen.pid) {
            self.watched.lost = self.child.take().map(|child| child.pid());
        }
        if seen.pid.is_some() && seen.pid == self.watched.lost {
            // Systemd has not noticed yet.
            return;
        }
        match seen.how {
            How::Active | How::Activating => self.seen_running(seen).await,
            How::Again => self.seen_ended(Event::Exited(seen.exit)).await,
            How::Failed | How::Inactive => {
                self.watched.is_halting = false;
                // As this house meets it for the first time.
                if seen.how == How::Failed && self.starts == 0 && self.machine.state() == State::Stopped {
                    self.machine.adopt(self.now());
                    self.starts = 1;
                }
                self.seen_ended(match seen.how {
                    How::Failed => Event::Exited(seen.exit),
                    _ => Event::StoppedByOthers,
                })
                .await;
            }
            How::Changing => {}
        }
    }

    async fn seen_running(&mut self, seen: Seen) {
        if self.watched.is_halting {
            return;
        }
        if self.watched.lost.take().is_some() {
            // Another one is there already: nobody can tell any more how the one before has ended.
            self.take(Event::Exited(Exit::Unknown)).await;
        }
        if !matches!(self.machine.state(), State::Starting | State::Ready | State::Draining | State::Stopping) {
            self.starts = self.starts.saturating_add(1);
            self.take(Event::Appeared).await;
        }
        if self.child.is_none() {
            self.child = seen.pid.and_then(Child::watch);
        }
        if seen.how == How::Active && self.spec.ready == Readiness::Runs && self.machine.state() == State::Starting {
            self.take(Event::Ready).await;
        }
    }

    async fn seen_ended(&mut self, event: Event) {
        self.watched.lost = None;
        self.take(event).await;
    }

    /// The main process has ended.
    pub(super) async fn unit_process_ended(&mut self) {
        self.watched.lost = self.child.take().map(|child| child.pid());
        // At once, so that nobody asks it for anything any more.
        self.hold(true);
        self.look_at_unit().await;
    }

    pub(super) async fn start_unit(&mut self) {
        self.watched.is_halting = false;
        self.watched.next = Instant::now();
        if let Err(error) = self.ask_systemd(Verb::Start).await {
            let actions = self.machine.take(Event::NotStarted(Why::NotStarted(error)), self.now());
            Box::pin(self.act(actions)).await;
        }
    }

    pub(super) async fn end_unit(&mut self, action: &Action) {
        let verb = match action {
            Action::Kill => Verb::Kill,
            // What else needs the unit is started again with it.
            _ if self.machine.is_restarting() => Verb::Restart,
            _ => Verb::Stop,
        };
        self.watched.next = Instant::now();
        if let Err(error) = self.ask_systemd(verb).await {
            self.tell(Level::Error, "is not ended", |record| record.field("error", &error));
        }
    }

    /// A human is asked: systemd is not to start it again meanwhile.
    pub(super) async fn halt_unit(&mut self) {
        self.watched.is_halting = true;
        self.watched.next = Instant::now();
        if let Err(error) = self.ask_systemd(Verb::Stop).await {
            self.watched.is_halting = false;
            self.tell(Level::Error, "is not kept from being started by systemd", |record| {
                record.field("error", &error)
            });
        }
    }

    async fn ask_systemd(&self, verb: Verb) -> Result<(), String> {
        match &self.spec.unit {
            Some(unit) => unit::ask(unit, verb).await,
            None => Ok(()),
        }
    }
}
