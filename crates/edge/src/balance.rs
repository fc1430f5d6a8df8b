//! Which of several servers is asked, and which are left alone for a while.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::spec::Balance;

/// How long a server is left alone that could not be reached; doubled for each time in a row, up to the longest.
const REST: Duration = Duration::from_secs(1);
/// The longest of these times.
const REST_MAX: Duration = Duration::from_secs(30);

/// Servers that stand for each other.
#[derive(Debug)]
pub(crate) struct Servers {
    all: Vec<Arc<Server>>,
    balance: Balance,
    next: AtomicUsize,
    began: Instant,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it is, without a slash at the end.
    pub(crate) url: String,
    running: AtomicUsize,
    /// How often in a row it could not be reached.
    failures: AtomicU64,
    /// Until when it is left alone, in milliseconds since all of them began.
    rests_until_ms: AtomicU64,
}

/// A request under way to a server, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Server>);

impl Servers {
    pub(crate) fn new(urls: &[String], balance: Balance) -> Self {
        let server = |url: &String| {
            Arc::new(Server {
                url: url.clone(),
                running: AtomicUsize::new(0),
                failures: AtomicU64::new(0),
                rests_until_ms: AtomicU64::new(0),
            })
        };
        let all = urls.iter().map(server).collect();
        Self { all, balance, next: AtomicUsize::new(0), began: Instant::now() }
    }

    /// All of them in the order in which they are to be asked for this client: those that rest come last, since they may be better than
    /// nobody.
    pub(crate) fn order(&self, client: IpAddr) -> Vec<Arc<Server>> {
        let count = self.all.len();
        let begin = match self.balance {
            Balance::RoundRobin | Balance::Least => self.next.fetch_add(1, Ordering::Relaxed) % count,
            // Fixed keys: the same after a restart.
            Balance::Address => BuildHasherDefault::<DefaultHasher>::new().hash_one(client) as usize % count,
        };
        let mut order: Vec<Arc<Server>> = (0..count).map(|step| self.all[(begin + step) % count].clone()).collect();
        if self.balance == Balance::Least {
            order.sort_by_key(|server| server.running.load(Ordering::Relaxed));
        }
        let now_ms = self.now_ms();
        order.sort_by_key(|server| server.rests_until_ms.load(Ordering::Relaxed) > now_ms);
        order
    }

    /// It could not be reached, or gave no answer.
    pub(crate) fn failed(&self, server: &Server) {
        let failures = server.failures.fetch_add(1, Ordering::Relaxed).min(5);
        let rest = REST_MAX.min(REST * 2_u32.pow(failures as u32));
        server.rests_until_ms.store(self.now_ms() + rest.as_millis() as u64, Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

impl Server {
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    /// It has answered.
    pub(crate) fn answered(&self) {
        if self.failures.swap(0, Ordering::Relaxed) > 0 {
            self.rests_until_ms.store(0, Ordering::Relaxed);
        }
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

    fn servers(balance: Balance) -> Servers {
        Servers::new(&["a", "b", "c"].map(str::to_owned), balance)
    }

    fn first(servers: &Servers) -> Arc<Server> {
        servers.order(CLIENT).remove(0)
    }

    #[test]
    fn each_way_asks_whom_it_says() {
        let one_after_the_other = servers(Balance::RoundRobin);
        let asked: Vec<String> = (0..4).map(|_| first(&one_after_the_other).url.clone()).collect();
        assert_eq!(asked, ["a", "b", "c", "a"]);

        let least = servers(Balance::Least);
        let running: Vec<Running> = (0..3).map(|_| first(&least).begin()).collect();
        let mut busy: Vec<&str> = running.iter().map(|running| running.0.url.as_str()).collect();
        busy.sort_unstable();
        assert_eq!(busy, ["a", "b", "c"], "no server twice while another has nothing to do");

        let by_address = servers(Balance::Address);
        assert!((0..9).all(|_| first(&by_address).url == first(&by_address).url));
    }

    #[test]
    fn who_cannot_be_reached_comes_last_until_it_answers() {
        let servers = servers(Balance::Address);
        let broken = first(&servers);
        servers.failed(&broken);
        let order = servers.order(CLIENT);
        assert_eq!(order.len(), 3, "better than nobody");
        assert_eq!(order[2].url, broken.url);
        broken.answered();
        assert_eq!(first(&servers).url, broken.url);
    }
}
