//! What can be wrong with a rule, or go wrong while watching.

/// Why a rule is none, or could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A query cannot be read.
    #[error("the {which} of rule {rule} cannot be read: {why}")]
    Query {
        /// The rule.
        rule: String,
        /// `query` or `measure`.
        which: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing is usual of such a measure.
    #[error("rule {0} has a baseline, which only averages and percentiles have")]
    Baseline(String),
    /// There is no such zone.
    #[error("there is no time zone `{0}` here")]
    Zone(String),
    /// The documents cannot be searched.
    #[error("searching the records for rule {rule}")]
    Search {
        /// The rule.
        rule: String,
        /// Why.
        #[source]
        source: tollhouse_remote::ShelfError,
    },
    /// Not all records could be looked at in time.
    #[error("the search for rule {0} took too long")]
    Slow(String),
    /// The states cannot be read or kept.
    #[error("keeping the states of the rules")]
    State(#[from] tollhouse_state::StateError),
}
