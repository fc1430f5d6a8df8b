//! Supervised processes: started in order, watched, restarted, and paused where a human has to decide.
//!
//! - [`Machine`] is the life of one process as a pure state machine. It is told what happens ([`Event`]) and what humans want
//!   ([`Order`]), each with the time, and says what is to be done ([`Action`]). [`Rules`] say how long everything may take. It
//!   knows no clock and no process, so that years of flapping are simulated in a second.
//! - A [`Spec`] is a process as it is configured. [`Supervisor::start`] has a task for each, which starts it in a process group of
//!   its own, tells its machine what becomes of it, and does what that says. [`Supervisor::adopt`] puts other ones in force.
//! - [`Processes`] is what humans ask and are told.
//! - [`Why`] is the reason of all that is done, as a word, figures and a sentence.
//! - [`House`] is what is needed of the house around: records, and upstreams whose requests wait while their process is started
//!   anew. What a process says goes into a pipe ([`collect`]) from which the house collects it like any source.
//!
//! A process outlives a house that is killed: the next one finds it again by its number and the time of its start, or by a mark in
//! its environment, and takes it over. There are never two.
//!
//! A [`Unit`] of systemd is watched by the end of its main process and by what `systemctl` tells, and is started and ended by
//! asking systemd for it: there is nobody else who does so. A house that ends leaves it running.
//!
//! What this crate never does: start again what waits for a human, signal a process that it has not started, start one beside
//! another that answers in its place, or read what processes say.
//!
//! ```
//! use std::time::Duration;
//! use tollhouse_upkeep::{Action, Event, Exit, Machine, Order, Rules, State};
//!
//! let mut machine = Machine::new(Rules { critical: true, ..Rules::default() }, 1);
//! machine.take(Event::Needs(true), Duration::ZERO);
//! assert_eq!(machine.order(Order::Start, Duration::ZERO), Ok(vec![Action::Spawn]));
//! machine.take(Event::Ready, Duration::from_secs(1));
//! machine.take(Event::Exited(Exit::Signal(9)), Duration::from_secs(2));
//! assert_eq!(machine.state(), State::Paused);
//! ```

mod check;
mod child;
mod error;
mod house;
mod life;
mod machine;
mod memory;
mod notify;
mod output;
mod pressure;
mod progress;
mod rules;
mod spec;
mod supervisor;
#[cfg(test)]
mod tests;
mod unit;
mod why;

pub use error::UpkeepError;
pub use house::{Held, House};
pub use life::Status;
pub use machine::{Action, Event, FAILURES_MAX, Machine, Moment, Order, Refused, State, Told};
pub use output::{Lines, collect, pipe_path};
pub use pressure::Pressure;
pub use progress::Flow;
pub use rules::{Exit, Restart, Rules};
pub use spec::{Limits, Liveness, Memory, Readiness, Spec, StopSignal, Unit};
pub use supervisor::{OrderError, Processes, Supervisor};
pub use why::{Asked, Why};
