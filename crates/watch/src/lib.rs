//! Watches the records: rules, what state they are in, and what is told when that changes.
//!
//! - A [`Rule`] is a query, what is measured of the records that fulfil it within a time, and when that is too much.
//!   [`Rule::new`] says what is wrong with it.
//! - [`Rule::found`] asks where documents are found, and [`Condition`] is what became of one group of records (all of a
//!   model, say): calm, pending, firing. It is a pure state machine: what it is told of the time and the records decides alone, so
//!   that 90 days pass in a test within a second.
//! - [`Watch`] is the task that does this whenever new records can be found, and has what is to be told sent by a courier for each
//!   channel. [`backtest()`] runs the same rule over what is stored.
//!
//! What changes is kept before anything is told, states and messages in one transaction: whoever is killed in between tells it
//! after the next start, and at most one message twice. Messages of a channel are told in their order; when too many
//! wait, they become one.
//!
//! It asks nothing while no record comes, unless time alone can change something (a condition that is to end, a quiet time, a
//! rule that waits for too few records). It never changes a record, and never watches the records of its own work (`kind:alert`).
//!
//! ```
//! use tollhouse_watch::{Limit, Measure, Rule, RuleSettings};
//!
//! let rule = Rule::new(RuleSettings {
//!     query: "duration_ms:>5000".into(),
//!     measure: Measure::Count,
//!     limit: Limit::parse(">= 5").unwrap(),
//!     group_by: Some("model_name".into()),
//!     ..RuleSettings::new("slow-model")
//! })?;
//! assert_eq!(rule.name(), "slow-model");
//! # Ok::<(), tollhouse_watch::WatchError>(())
//! ```

mod around;
mod ask;
mod backtest;
mod baseline;
mod burn;
mod chance;
mod condition;
mod courier;
mod error;
mod expected;
mod miner;
mod patterns;
mod plan;
mod quiet;
mod report;
mod round;
mod rule;
#[cfg(test)]
mod stored;
mod telling;
#[cfg(test)]
mod tests;
mod told;
mod watch;

pub use ask::Finding;
pub use backtest::{Backtest, Told, backtest};
pub use baseline::Usuals;
pub use burn::Standing;
pub use condition::{Condition, Stage, Timing};
pub use error::WatchError;
pub use expected::FORECAST_MEMORY;
pub use plan::{Plan, Troubles};
pub use quiet::Quiet;
pub use report::{Report, ReportKind, Span};
pub use rule::{Escalate, Limit, Measure, Rule, RuleSettings};
pub use telling::Place;
pub use watch::{LINK_PURPOSE, Watch, acknowledged, rule_noted};
