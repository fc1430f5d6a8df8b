//! What the edge is told to serve.

use std::path::PathBuf;
use std::time::Duration;

/// What is served under one host name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SiteSpec {
    /// In small letters, without a port.
    pub host: String,
    /// Further names under which the same is served, written alike.
    pub aliases: Vec<String>,
    /// What stands behind its paths.
    pub routes: Vec<RouteSpec>,
    /// Which headers its answers get.
    pub headers: Headers,
    /// Which of its visits are told.
    pub records: Records,
}

/// Which visits are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Records {
    /// Each.
    All,
    /// Those that were answered with a status of 400 or more, or in which something failed.
    Failures,
}

/// What stands behind a path and all paths below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RouteSpec {
    /// Begins with `/`. A slash at its end makes no difference: `/a` and `/a/` are both for `/a` and `/a/b`, and not for `/ab`; but
    /// where nobody answers, `/a` is for `/ab`, too.
    pub path: String,
    /// Who answers.
    pub to: To,
}

/// Who answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum To {
    /// The model APIs of the house.
    Gateway,
    /// Everything else that the house answers.
    Console,
    /// Files below a directory; the route's own path is taken away first.
    Files(PathBuf),
    /// Another address, to which path and query are added.
    Redirect(String),
    /// Nobody: 403.
    Refuse,
    /// Servers, which get the path as it is.
    Servers {
        /// Where they are (`http://host:port`, `https://host`), at least one.
        urls: Vec<String>,
        /// Which of them is asked.
        balance: Balance,
        /// Bytes of a request's body.
        body_bytes_max: u64,
        /// From a request to the head of its answer.
        timeout: Duration,
        /// How long an answer or a WebSocket may say nothing.
        idle: Duration,
        /// What each of them is asked again and again.
        health: Option<HealthSpec>,
        /// Over how long a server that comes back gets more and more of its share.
        slow_start: Option<Duration>,
    },
}

/// How it is seen whether a server is well.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HealthSpec {
    /// A path that it answers with a status below 400 while it is.
    pub path: String,
    /// How often it is asked.
    pub every: Duration,
}

/// Which of several servers is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Balance {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests under way.
    Least,
    /// The same for the same client address, while it is well.
    Address,
    /// The same for the same path and query, while it is well.
    Path,
}

/// Which headers the answers of a site get.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Headers {
    /// Today's practice.
    Current,
    /// The five that many guides list, as they list them, and HSTS.
    Tutorial,
    /// None.
    Off,
}
