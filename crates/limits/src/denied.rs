//! Why a request is not let in, and how much room is left for the next one.

use std::sync::Arc;
use std::time::Duration;

use crate::Period;

/// A limit stands in the way. Where several do, it is the one that has to be waited for longest, so that waiting as long
/// as it says is enough for all of them. A denied request is counted nowhere. Tokens are looked at only once a request may
/// start, when its size is known, and may then have to be waited for apart.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Denied {
    /// Too many requests in the window.
    #[error("rate limit of {scope} reached: {most} requests per {per:?}")]
    Requests {
        /// Whose limit.
        scope: Arc<str>,
        /// The limit.
        most: u64,
        /// Its window.
        per: Duration,
        /// A request after exactly this long is let in, unless others take the room.
        retry_after: Duration,
    },
    /// Too many tokens in the window.
    #[error("token limit of {scope} reached: {most} tokens per {per:?}")]
    Tokens {
        /// Whose limit.
        scope: Arc<str>,
        /// The limit.
        most: u64,
        /// Its window.
        per: Duration,
        /// The same request after exactly this long is let in, unless others take the room or a running request turns
        /// out to be longer than was reserved for it.
        retry_after: Duration,
    },
    /// Too many requests run at the same time.
    #[error("{scope} has {most} requests running, as many as it may")]
    Concurrent {
        /// Whose limit.
        scope: Arc<str>,
        /// The limit.
        most: u32,
        /// When a place is likely to be free: nobody knows when a running request ends, so this is an estimate from
        /// how long the last ones ran.
        retry_after: Duration,
    },
    /// The tokens of the day or month are spent, or the rest is less than the request needs.
    #[error("token budget of {scope} spent: {tokens} tokens per {period}")]
    Budget {
        /// Whose limit.
        scope: Arc<str>,
        /// The budget.
        tokens: u64,
        /// Of which time.
        period: Period,
        /// When the next period begins, in milliseconds since 1970.
        opens_at_ms: i64,
    },
    /// One request needs more tokens than the limit ever lets through: waiting does not help.
    #[error("the request needs {asked} tokens, more than the {most} that {scope} may use at all")]
    TooLarge {
        /// Whose limit.
        scope: Arc<str>,
        /// The smallest limit in the way.
        most: u64,
        /// What was asked for.
        asked: u64,
    },
    /// So many callers are remembered that none can be added without forgetting what another one has used.
    #[error("too many callers at the same time, {scope} cannot be counted now")]
    Crowded {
        /// Whom there was no room for.
        scope: Arc<str>,
    },
}

impl Denied {
    /// How long to wait: exact for windows, an estimate for places, nothing where waiting is not the remedy (a spent
    /// budget says when it opens).
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Requests { retry_after, .. }
            | Self::Tokens { retry_after, .. }
            | Self::Concurrent { retry_after, .. } => Some(*retry_after),
            Self::Crowded { .. } => Some(CROWDED_RETRY),
            Self::Budget { .. } | Self::TooLarge { .. } => None,
        }
    }
}

/// When to ask again after [`Denied::Crowded`]: an estimate; idle callers are forgotten all the time.
const CROWDED_RETRY: Duration = Duration::from_secs(5);

/// How much room the tightest scope has left, for the `x-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// Requests; absent where no scope limits them.
    pub requests: Option<Left>,
    /// Tokens; absent where no scope limits them, and before tokens were reserved.
    pub tokens: Option<Left>,
}

/// What is left of one window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Left {
    /// The limit.
    pub most: u64,
    /// Its window.
    pub per: Duration,
    /// How many more may come at once.
    pub remaining: u64,
    /// Until the window is empty if nobody asks again.
    pub reset: Duration,
}

impl Left {
    /// The tighter of two: the one with less left, then the one that takes longer to empty.
    pub(crate) fn tighter(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if (other.remaining, self.reset) <= (self.remaining, other.reset) => other,
            _ => self,
        }
    }
}
