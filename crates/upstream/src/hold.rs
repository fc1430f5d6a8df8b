//! Lets requests to a server wait while somebody who knows starts it anew.

use std::sync::Arc;

use crate::Upstreams;
use crate::backend::Backend;
use crate::flow::Flowing;
use crate::server::Server;

/// As long as this is kept, requests to a server wait for it instead of being refused, up to `queue.wait`; dropping it lets
/// them go. What runs there goes on.
pub struct Hold(Option<Arc<Server>>);

impl Upstreams {
    /// Lets requests to the upstream of this name wait; nothing where there is none, or where it is the built-in talker.
    pub fn hold(&self, upstream: &str, reason: &str) -> Option<Hold> {
        let server = self.server(upstream)?;
        server.state.breaker.hold(reason);
        server.pass_as_breaker_says();
        Some(Hold(Some(Arc::clone(server))))
    }

    /// Has the Ollama server of this name unload its models, unless it works on a request; which ones.
    pub async fn unload_idle(&self, upstream: &str) -> Vec<String> {
        match self.server(upstream) {
            Some(server) if server.state.lane.seen().running == 0 => server.unload().await,
            _ => Vec::new(),
        }
    }

    /// The same, even if it works on requests, or should: one whose model is stuck may do so without it.
    pub async fn unload_all(&self, upstream: &str) -> Vec<String> {
        match self.server(upstream) {
            Some(server) => server.unload().await,
            None => Vec::new(),
        }
    }

    /// Takes all requests back to which the server of this name has not begun to answer: they wait for their turn again, and do not
    /// count this as a try. How many there are at most. Whoever does this holds the server, else they go there at once.
    pub fn recall(&self, upstream: &str, reason: &str) -> u32 {
        let Some(server) = self.server(upstream) else { return 0 };
        server.state.flow.recall(reason);
        server.state.lane.seen().running
    }

    /// Whether the server of this name gets on with its requests; nothing for the built-in talker, or where there is none.
    pub fn flowing(&self, upstream: &str) -> Option<Flowing> {
        let server = self.server(upstream)?;
        let seen = server.state.lane.seen();
        Some(Flowing {
            pieces: server.state.flow.pieces(),
            running: seen.running,
            waiting: seen.waiting,
            whole: server.state.flow.wholes(),
            begun: server.state.flow.begun(),
            gap: server.state.flow.gap(),
            is_held: server.is_held(),
        })
    }

    fn server(&self, upstream: &str) -> Option<&Arc<Server>> {
        self.inner.backends.iter().filter_map(Backend::server).find(|server| *server.name == *upstream)
    }
}

impl Hold {
    /// Ends it because the server will not come back soon: requests that wait are refused, and new ones too until it answers
    /// at its health address.
    pub fn give_up(mut self, reason: &str) {
        if let Some(server) = self.0.take() {
            server.state.breaker.release(Some(reason));
            server.pass_as_breaker_says();
            server.watch_until_well();
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(server) = self.0.take() else { return };
        server.state.breaker.release(None);
        // It was started anew: what was loaded is not.
        server.expire_models();
        server.pass_as_breaker_says();
    }
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Hold").field(&self.0.as_ref().map(|server| &server.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use crate::breaker::{Breaker, Failure, State};

    #[test]
    fn what_fails_meanwhile_changes_nothing() {
        let breaker = Breaker::new();
        let now = Instant::now();
        breaker.hold("it is started anew");
        assert_eq!(breaker.failed(Failure::Silent, "x", now), None);
        assert_eq!(breaker.failed(Failure::Unreachable, "x", now), None);
        assert_eq!(breaker.probed(false, std::time::Duration::ZERO, now), None);
        assert_eq!(breaker.state(), State::Held("it is started anew".into()));
        // Held twice, it is let go with the second release.
        breaker.hold("again");
        breaker.release(None);
        assert_eq!(breaker.state().name(), "held");
        breaker.release(None);
        assert_eq!(breaker.state(), State::Closed);
        // It counts as well: one that fails now is waited for.
        breaker.failed(Failure::Unreachable, "x", now);
        assert_eq!(breaker.state().name(), "held");
        breaker.hold("once more");
        breaker.release(Some("it waits for a human"));
        assert_eq!(breaker.refuses().as_deref(), Some("it waits for a human"));
    }
}
