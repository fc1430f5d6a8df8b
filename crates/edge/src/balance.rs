//! Which of several servers is asked, and which are left alone for a while.

use std::cmp::Reverse;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Uri;

use crate::client::Idle;
use crate::spec::{Balance, HealthSpec};

/// How long a server is left alone that could not be reached; doubled for each time in a row, up to the longest.
const REST: Duration = Duration::from_secs(1);
/// The longest of these times.
const REST_MAX: Duration = Duration::from_secs(30);
/// How many checks in a row must agree before a server counts as another than it was.
const CHECKS_IN_A_ROW: usize = 2;
/// The least share of requests that a server gets that comes back, so that it is asked at all.
const WARMTH_MIN: f64 = 0.05;

/// Servers that stand for each other behind one route.
#[derive(Debug)]
pub(crate) struct Servers {
    all: Vec<Arc<Server>>,
    balance: Balance,
    next: AtomicUsize,
}

/// What a server is known by: two routes that say the same of it share what is known of it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct ServerSpec {
    /// Where it is, without a slash at the end.
    pub(crate) url: String,
    pub(crate) health: Option<HealthSpec>,
    /// Over how long it gets more and more of its share after it was away.
    pub(crate) slow_start: Option<Duration>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) spec: ServerSpec,
    /// Its address, as a request to it begins.
    pub(crate) base: Uri,
    /// Connections to it that nobody uses.
    pub(crate) idle: Idle,
    began: Instant,
    running: AtomicUsize,
    /// How often in a row it could not be reached.
    failures: AtomicU64,
    /// Until when it is left alone, in milliseconds since it began.
    rests_until_ms: AtomicU64,
    /// When it came back, in milliseconds since it began; 0 while it has not been away.
    back_ms: AtomicU64,
    /// Whether checks say that it is not well.
    is_unwell: AtomicBool,
    /// Checks in a row that say otherwise.
    against: AtomicUsize,
}

/// A request under way to a server, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Server>);

impl Servers {
    pub(crate) fn new(all: Vec<Arc<Server>>, balance: Balance) -> Self {
        Self { all, balance, next: AtomicUsize::new(0) }
    }

    /// All of them in the order in which they are to be asked for this client and target: those that rest or are not well come
    /// last, since they may be better than nobody.
    pub(crate) fn order(&self, client: IpAddr, target: &str) -> Vec<Arc<Server>> {
        let count = self.all.len();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut order: Vec<Arc<Server>> = (0..count).map(|step| self.all[(turn + step) % count].clone()).collect();
        match self.balance {
            Balance::RoundRobin => {}
            Balance::Least => order.sort_by(|one, other| one.load().total_cmp(&other.load())),
            // Rendezvous hashing: where one is added or goes, the others keep theirs.
            Balance::Address => order.sort_by_cached_key(|server| Reverse(mark(&server.spec.url, client))),
            Balance::Path => order.sort_by_cached_key(|server| Reverse(mark(&server.spec.url, target))),
        }
        // Who comes back gets a part of its turns; by the load, it is counted in already.
        if self.balance != Balance::Least && order[0].warmth() < share_of(turn) {
            order.rotate_left(1);
        }
        order.sort_by_key(|server| server.is_away());
        order
    }
}

/// Fixed keys: the same after a restart.
fn mark(server: &str, of: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one((server, of))
}

/// From 0 to 1, evenly spread over turns in a row (the fractional part of multiples of the golden ratio).
fn share_of(turn: usize) -> f64 {
    (turn as f64 * 0.618_033_988_749_895).fract()
}

impl Server {
    pub(crate) fn new(spec: ServerSpec, base: Uri) -> Self {
        Self {
            spec,
            base,
            idle: Idle::default(),
            began: Instant::now(),
            running: AtomicUsize::new(0),
            failures: AtomicU64::new(0),
            rests_until_ms: AtomicU64::new(0),
            back_ms: AtomicU64::new(0),
            is_unwell: AtomicBool::new(false),
            against: AtomicUsize::new(0),
        }
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    /// It has answered a request.
    pub(crate) fn answered(&self) {
        if self.failures.swap(0, Ordering::Relaxed) > 0 {
            self.rests_until_ms.store(0, Ordering::Relaxed);
            self.back_ms.store(self.now_ms().max(1), Ordering::Relaxed);
        }
    }

    /// It could not be reached, or gave no answer.
    pub(crate) fn failed(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(5);
        let rest = REST_MAX.min(REST * 2_u32.pow(failures as u32));
        self.rests_until_ms.store(self.now_ms() + rest.as_millis() as u64, Ordering::Relaxed);
    }

    /// A check found it well or not. Says how it counts from now on, if that has changed.
    pub(crate) fn checked(&self, is_well: bool) -> Option<bool> {
        let was_well = !self.is_unwell.load(Ordering::Relaxed);
        if is_well == was_well {
            self.against.store(0, Ordering::Relaxed);
            return None;
        }
        if self.against.fetch_add(1, Ordering::Relaxed) + 1 < CHECKS_IN_A_ROW {
            return None;
        }
        self.against.store(0, Ordering::Relaxed);
        self.is_unwell.store(!is_well, Ordering::Relaxed);
        if is_well {
            self.failures.store(0, Ordering::Relaxed);
            self.rests_until_ms.store(0, Ordering::Relaxed);
            self.back_ms.store(self.now_ms().max(1), Ordering::Relaxed);
        }
        Some(is_well)
    }

    fn is_away(&self) -> bool {
        self.is_unwell.load(Ordering::Relaxed) || self.rests_until_ms.load(Ordering::Relaxed) > self.now_ms()
    }

    /// The part of its share that it gets: 1, or less for a while after it was away.
    fn warmth(&self) -> f64 {
        let (Some(slow_start), back_ms) = (self.spec.slow_start, self.back_ms.load(Ordering::Relaxed)) else {
            return 1.0;
        };
        if back_ms == 0 {
            return 1.0;
        }
        let since_ms = self.now_ms().saturating_sub(back_ms) as f64;
        (since_ms / (slow_start.as_secs_f64() * 1e3)).clamp(WARMTH_MIN, 1.0)
    }

    /// Requests under way with the next one, counted for more while it gets a part of its share only.
    fn load(&self) -> f64 {
        (self.running.load(Ordering::Relaxed) + 1) as f64 / self.warmth()
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn servers_of(balance: Balance, urls: &[&str], slow_start: Option<Duration>) -> Servers {
        let spec = |url: &str| ServerSpec { url: url.to_owned(), health: None, slow_start };
        let server = |url: &&str| Arc::new(Server::new(spec(url), url.parse().unwrap()));
        Servers::new(urls.iter().map(server).collect(), balance)
    }

    fn servers(balance: Balance) -> Servers {
        servers_of(balance, &["a", "b", "c"], None)
    }

    fn first(servers: &Servers) -> Arc<Server> {
        servers.order(CLIENT, "/").remove(0)
    }

    #[test]
    fn each_way_asks_whom_it_says() {
        let one_after_the_other = servers(Balance::RoundRobin);
        let asked: Vec<String> = (0..4).map(|_| first(&one_after_the_other).spec.url.clone()).collect();
        assert_eq!(asked, ["a", "b", "c", "a"]);

        let least = servers(Balance::Least);
        let running: Vec<Running> = (0..3).map(|_| first(&least).begin()).collect();
        let mut busy: Vec<&str> = running.iter().map(|running| running.0.spec.url.as_str()).collect();
        busy.sort_unstable();
        assert_eq!(busy, ["a", "b", "c"], "no server twice while another has nothing to do");

        let by_address = servers(Balance::Address);
        assert!((0..9).all(|_| first(&by_address).spec.url == first(&by_address).spec.url));
    }

    #[test]
    fn by_path_most_keep_their_server_when_one_is_added() {
        let (three, four) = (servers(Balance::Path), servers_of(Balance::Path, &["a", "b", "c", "d"], None));
        let of = |servers: &Servers, path: &str| servers.order(CLIENT, path)[0].spec.url.clone();
        let paths: Vec<String> = (0..1_000).map(|number| format!("/items/{number}?full=1")).collect();
        let moved: Vec<String> = paths
            .iter()
            .map(|path| (of(&three, path), of(&four, path)))
            .filter(|(a, b)| a != b)
            .map(|(_, b)| b)
            .collect();
        assert!((150..350).contains(&moved.len()), "a quarter moves, not {} of 1,000", moved.len());
        assert!(moved.iter().all(|url| url == "d"), "and only to the new one");
    }

    #[test]
    fn who_cannot_be_reached_comes_last_until_it_answers() {
        let servers = servers(Balance::Address);
        let broken = first(&servers);
        broken.failed();
        let order = servers.order(CLIENT, "/");
        assert_eq!(order.len(), 3, "better than nobody");
        assert_eq!(order[2].spec.url, broken.spec.url);
        broken.answered();
        assert_eq!(first(&servers).spec.url, broken.spec.url);
    }

    #[test]
    fn two_checks_that_agree_change_what_a_server_counts_as() {
        let servers = servers(Balance::Address);
        let server = first(&servers);
        let told: Vec<_> = [false, true, false, false, false, true, true].map(|is_well| server.checked(is_well)).into();
        assert_eq!(told, [None, None, None, Some(false), None, None, Some(true)]);
        server.checked(false);
        server.checked(false);
        assert_eq!(servers.order(CLIENT, "/")[2].spec.url, server.spec.url);
    }

    #[test]
    fn who_comes_back_gets_a_small_share_at_first() {
        for balance in [Balance::RoundRobin, Balance::Least] {
            let servers = servers_of(balance, &["a", "b"], Some(Duration::from_hours(1)));
            let back = servers.all[0].clone();
            back.failed();
            back.answered();
            let mut running = Vec::new();
            for _ in 0..1_000 {
                running.push(first(&servers).begin());
            }
            let share = back.running.load(Ordering::Relaxed);
            assert!((20..70).contains(&share), "{balance:?}: {share} of 1,000, not half of them");
        }
    }
}
