//! Blocking looks, each of which waits for nobody: one that hangs in the kernel is not followed by another.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Lets one blocking look happen at a time. A disk that is away can hold a thread for ever; it holds one, not one a run.
#[derive(Clone, Debug)]
pub(crate) struct Alone(Arc<Semaphore>);

impl Alone {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Looks; the error says why nothing was seen.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let Ok(permit) = self.0.clone().try_acquire_owned() else {
            return Err("the last look at it has not come back yet".to_owned());
        };
        let looking = spawn_blocking(move || {
            let seen = look();
            drop(permit);
            seen
        });
        looking.await.unwrap_or_else(|_| Err("the look at it failed".to_owned()))
    }
}
