//! Tells of a process's life, as records.

use std::time::Duration;

use tollhouse_journal::{Level, Record};
use tollhouse_units::format_duration;

use super::Life;
use crate::machine::{Order, State, Told};
use crate::rules::Exit;
use crate::why::{Asked, Why};

/// Where these records come from.
const CALLER: &str = "upkeep/life.rs";

impl Life {
    pub(super) fn told(&self, told: &Told) {
        let plain = |record: Record| record;
        match told {
            Told::Ready(took) => {
                self.tell(Level::Info, "ready", |record| record.field("start_ms", took.as_millis() as u64));
            }
            Told::Draining(why) => {
                self.tell(Level::Warn, "to be restarted once what runs on it has ended", |record| {
                    record.field("reason", why.to_string())
                });
            }
            Told::Stopping(why) => {
                self.tell(Level::Info, "asked to end", |record| record.field("reason", why.to_string()));
            }
            Told::Killed => self.tell(Level::Warn, "did not end in time and is killed", plain),
            Told::Exited(exit, was_asked) => {
                let level = if *was_asked || exit.is_success() { Level::Info } else { Level::Error };
                self.tell(level, "ended", |record| match exit {
                    Exit::Code(code) => record.field("exit_code", code),
                    Exit::Signal(signal) => record.field("exit_signal", signal),
                    Exit::Unknown => record,
                });
            }
            Told::Restarting(why, wait) => {
                self.tell(
                    Level::Warn,
                    &format!("failed and is started again in {}", format_duration(rounded(*wait))),
                    |record| record.field("reason", why.to_string()).field("restart_in_ms", wait.as_millis() as u64),
                );
            }
            Told::Paused(why, asked) => self.paused("is paused", why, *asked, plain),
            Told::StillPaused(why, asked, since) => {
                self.paused("is still paused", why, *asked, |record| record.field("paused_s", since.as_secs()));
            }
            Told::Confirmed => self.tell(Level::Info, "confirmed: started again", plain),
            Told::Failed(why) => {
                self.tell(Level::Error, "failed and is not started again", |record| {
                    record.field("reason", why.to_string())
                });
            }
            Told::Appeared => self.tell(Level::Info, "runs: somebody else has started it", plain),
            Told::StoppedByOthers => {
                self.tell(Level::Info, "has stopped: in good order by itself, or by somebody else", plain);
            }
            // It is looked for again and again, and told once.
            Told::Occupied(_) if self.is_occupied => {}
            Told::Occupied(why) => {
                self.tell(Level::Warn, "is not started", |record| record.field("reason", why.to_string()));
            }
        }
    }

    /// A human is asked: what happened, and what is done when it is confirmed.
    fn paused(&self, how: &str, why: &Why, asked: Asked, more: impl FnOnce(Record) -> Record) {
        let name = &self.spec.name;
        let why = format!("{why}, and {asked}");
        let how = format!("{how}: {why}. When you confirm, it is started again: tollhouse confirm {name}");
        self.tell(Level::Error, &how, |record| more(record.field("reason", why)).field("waits_for_human", true));
    }

    pub(super) fn tell(&self, level: Level, what: &str, more: impl FnOnce(Record) -> Record) {
        self.ground.house.record(more(record(&self.spec.name, self.machine.state(), level, what)));
    }
}

pub(super) fn record(name: &str, state: State, level: Level, what: &str) -> Record {
    let record = Record::new("process", level, format!("{name} {what}")).caller(CALLER);
    record.field("process_name", name).field("process_state", state.as_str())
}

pub(super) fn asked_for(order: Order) -> &'static str {
    match order {
        Order::Start => "is to start, by order",
        Order::Stop => "is to stop, by order",
        Order::Restart => "is to restart, by order",
        Order::Confirm => "was confirmed by a human",
    }
}

/// Without parts of a second, where there are whole ones.
pub(super) fn rounded(time: Duration) -> Duration {
    if time >= Duration::from_secs(1) {
        Duration::from_secs(time.as_secs())
    } else {
        Duration::from_millis(time.as_millis() as u64)
    }
}
