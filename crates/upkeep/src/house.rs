//! What the upkeep needs of the house around it.

use std::fmt::Debug;
use std::pin::Pin;

use tollhouse_journal::Record;

/// The house around the processes.
pub trait House: Debug + Send + Sync + 'static {
    /// Keeps a record.
    fn record(&self, record: Record);

    /// Lets requests to this upstream wait, until what is given back is dropped; nothing where there is none of this name.
    fn hold(&self, upstream: &str) -> Option<Box<dyn Held>>;

    /// How many requests run on this upstream.
    fn running(&self, upstream: &str) -> u32;

    /// Has the upstream unload models that nobody uses; which ones.
    fn unload(&self, upstream: &str) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + '_>>;
}

/// As long as this is kept, requests wait; when it is dropped, they go on.
pub trait Held: Debug + Send + Sync {
    /// They are refused instead, for this reason: what they wait for does not come soon.
    fn give_up(self: Box<Self>, reason: &str);
}
