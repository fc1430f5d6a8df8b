//! How often and how much: exact sliding windows of requests and tokens, places for running requests, calendar budgets.
//!
//! A [`Scope`] is one thing that a request is counted for (a key, a user, an address, a model) with its [`Rules`].
//! [`Limits::enter`] counts a request in all of its scopes or in none, [`Entered::reserve`] does so for the tokens it is
//! expected to use, and [`Entered::settle`] puts the real number in their place. What stands in the way is told by
//! [`Denied`]: waiting exactly as long as it says is always enough, for one that waits.
//!
//! [`Limits::local`] counts for this process alone, [`Limits::shared`] together with other nodes through Redis, where
//! [`Revocations`] travel too. [`Failures`] counts wrong keys by address.
//!
//! What this crate never does: read a request, a configuration or a journal, or write an answer.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use std::{num::NonZeroU64, sync::Arc, time::Duration};
//! use tollhouse_limits::{Limits, Rate, Rules, Scope};
//! let rate = Rate { most: NonZeroU64::MIN, per: Duration::from_secs(60) };
//! let scopes = [Scope::new("key prod", Arc::new(Rules { requests: Some(rate), ..Rules::default() }))];
//! let limits = Limits::local();
//! let entered = limits.enter(&scopes).await.unwrap();
//! assert_eq!(entered.told().requests.unwrap().remaining, 0);
//! assert!(limits.enter(&scopes).await.is_err());
//! # });
//! ```

mod budget;
mod clock;
mod denied;
mod entered;
mod failures;
mod limits;
mod revocations;
mod rules;
mod shared;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod window;

pub use budget::Period;
pub use denied::{Denied, Left, Told};
pub use entered::Entered;
pub use failures::Failures;
pub use limits::Limits;
pub use revocations::Revocations;
pub use rules::{Budget, Rate, Rules, Scope};
pub use shared::{SharedError, Sharing};
pub use snapshot::{Restored, SnapshotError};
