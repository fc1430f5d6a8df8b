//! What the upkeep needs of the house around it.

use std::fmt::Debug;
use std::pin::Pin;

use tollhouse_journal::Record;

use crate::pressure::Pressure;
use crate::progress::Flow;

/// The house around the processes.
pub trait House: Debug + Send + Sync + 'static {
    /// Keeps a record.
    fn record(&self, record: Record);

    /// Lets requests to this upstream wait, until what is given back is dropped; nothing where there is none of this name.
    fn hold(&self, upstream: &str) -> Option<Box<dyn Held>>;

    /// How the upstream gets on with its requests; nothing where there is none of this name.
    fn flow(&self, upstream: &str) -> Option<Flow>;

    /// Takes back the requests that the upstream has not begun to answer: they wait for their turn again. How many run there.
    fn recall(&self, upstream: &str, reason: &str) -> u32;

    /// Has the upstream unload its models: all of them, or unless it works on a request; which ones.
    fn unload(&self, upstream: &str, all: bool) -> Pin<Box<dyn Future<Output = Vec<String>> + Send + '_>>;

    /// How much is waited for memory where the process with this number runs.
    fn pressure(&self, pid: i32) -> Option<Pressure>;
}

/// As long as this is kept, requests wait; when it is dropped, they go on.
pub trait Held: Debug + Send + Sync {
    /// They are refused instead, for this reason: what they wait for does not come soon.
    fn give_up(self: Box<Self>, reason: &str);
}
