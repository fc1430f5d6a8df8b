//! What a batch's lines and deferred requests need of the house, and how one of them comes to its answer.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tollhouse_gateway::Owner;

/// Something that is being done.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What this crate needs of the house.
pub trait House: Send + Sync + 'static {
    /// Asks through the gate as the owner, behind everybody who waits. Comes to an answer in any case; what is dropped is asked no
    /// further.
    fn ask(&self, question: Question) -> Doing<'_, Reply>;

    /// Why nothing may be told there, if so.
    fn check_webhook(&self, url: &str) -> Result<(), String>;

    /// Tells by a webhook; the error says why that failed, and whether trying again can help.
    fn tell<'a>(&'a self, url: &'a str, event: &'a Event) -> Doing<'a, Result<(), (String, bool)>>;
}

/// A request that is asked for somebody.
#[derive(Clone, Debug)]
pub struct Question {
    /// For whom.
    pub owner: Owner,
    /// What its records have as `origin`.
    pub origin: &'static str,
    /// The path.
    pub path: String,
    /// The model, as the request names it.
    pub model: String,
    /// The body.
    pub body: Bytes,
}

/// What the gate answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The id under which the records have it.
    pub request_id: String,
    /// When trying again can help.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

/// What is told when a deferred request is over.
#[derive(Clone, Debug)]
pub struct Event {
    /// The same whenever this is told.
    pub id: String,
    /// Such as `response.completed`.
    pub name: String,
    /// The request's id.
    pub of: String,
    /// The path at which its answer is.
    pub path: String,
}

/// Pauses between attempts: the first, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often a request is asked that a server fails at, and one that no server takes now (503: full, loading, away, or failing in a way
/// that may pass), which is nearly an hour. One that its key's limits hold back (429) is asked until its time is over.
const FAILURES_MAX: u32 = 3;
const REFUSALS_MAX: u32 = 60;
/// How often is looked whether somebody has given up on it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why no answer is sought any longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    Cancelled,
    Expired,
}

/// Asks until there is an answer that stays, or `stopped` says that it is sought no longer.
pub(crate) async fn answer<F, S>(house: &dyn House, question: &Question, stopped: F) -> Result<Reply, Stop>
where
    F: Fn() -> S + Send + Sync,
    S: Future<Output = Option<Stop>> + Send,
{
    let watch = async {
        loop {
            if let Some(stop) = stopped().await {
                return stop;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let ask = async {
        let (mut failures, mut refusals, mut pause) = (0, 0, PAUSE);
        loop {
            let reply = house.ask(question.clone()).await;
            match reply.status {
                429 => {}
                503 if refusals + 1 < REFUSALS_MAX => refusals += 1,
                408 | 500..=502 | 504..=599 if failures + 1 < FAILURES_MAX => failures += 1,
                _ => return reply,
            }
            tokio::time::sleep(reply.retry_after.unwrap_or(pause).clamp(PAUSE, PAUSE_MAX)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    };
    tokio::select! {
        biased;
        stop = watch => Err(stop),
        reply = ask => Ok(reply),
    }
}
