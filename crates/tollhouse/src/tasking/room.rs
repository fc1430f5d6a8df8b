//! Whether tasks may take a place at a model server now: users go first, and so does a card that has other work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tollhouse_gateway::Gateway;
use tollhouse_upstream::Progress;

use crate::house::Current;
use crate::probing::{Probed, is_here, server_of};

/// How often is looked whether users came, or have left.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often is looked whether there is room again for what was put off.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_secs(1);
/// Whoever asked so short a time ago is the one who keeps the card busy: it is sampled every 10 s.
const OWN_WORK: Duration = Duration::from_secs(15);

/// Looks at the gate and at the cards for the tasks.
pub(crate) struct Gate {
    pub(crate) current: Current,
    probed: Arc<Probed>,
    /// Questions of tasks that are under way, each with a number and its server.
    own: Mutex<Vec<(u64, String, Progress)>>,
    numbers: AtomicU64,
    last_asked: Mutex<Option<Instant>>,
    /// Something was put off.
    has_put_off: AtomicBool,
}

/// A question under way; it ends when this is dropped.
pub(crate) struct Under<'a> {
    gate: &'a Gate,
    number: u64,
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.gate.own().retain(|(number, ..)| *number != self.number);
        *self.gate.last_asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl Gate {
    pub(crate) fn new(current: Current, probed: Arc<Probed>) -> Self {
        let (own, last_asked) = (Mutex::default(), Mutex::default());
        let (numbers, has_put_off) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { current, probed, own, numbers, last_asked, has_put_off }
    }

    /// Why a model is not asked now, or, without one, why nothing that needs the card is begun.
    pub(crate) async fn in_the_way(&self, model: Option<&str>, busy_above: f64) -> Option<String> {
        let gateway = self.current.get().gateway.clone();
        let upstream = match model {
            Some(model) => Some(gateway.upstreams().resolve(model).await?.upstream),
            None => None,
        };
        let servers = gateway.upstreams().status();
        let meant = servers.iter().filter(|server| upstream.as_ref().is_none_or(|name| *name == server.name));
        for server in meant {
            // A server that is away is no busy one: asking tells so.
            if server.breaker != "closed" {
                continue;
            }
            let (own_waiting, own_running) = self.own_at(&server.name);
            let waiting = server.waiting.saturating_sub(own_waiting);
            if waiting > 0 {
                return Some(format!("{waiting} requests of users wait for {}", server.name));
            }
            let running = server.running.saturating_sub(own_running);
            if running >= server.parallel {
                return Some(format!("{} works on {running} requests of users", server.name));
            }
            if let Some(why) = self.card_is_busy(&server.url, busy_above) {
                return Some(why);
            }
        }
        if servers.is_empty() { self.card_is_busy("", busy_above) } else { None }
    }

    fn card_is_busy(&self, url: &str, busy_above: f64) -> Option<String> {
        let last = *self.last_asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_own = !self.own().is_empty() || last.is_some_and(|last| last.elapsed() < OWN_WORK);
        let busy = self.probed.busiest_card()?;
        let is_in_the_way = busy > busy_above && !is_own && (url.is_empty() || is_here(url));
        is_in_the_way.then(|| format!("the graphics card is {busy}% busy"))
    }

    /// Notes that something was put off, for [`Self::idle`].
    pub(crate) fn put_off(&self) {
        self.has_put_off.store(true, Ordering::Relaxed);
    }

    /// Resolves when something was put off and nothing is in the way any more.
    pub(crate) async fn idle(&self, busy_above: impl Fn() -> f64) {
        loop {
            tokio::time::sleep(LOOK_FOR_ROOM_EVERY).await;
            if self.has_put_off.load(Ordering::Relaxed) && self.in_the_way(None, busy_above()).await.is_none() {
                self.has_put_off.store(false, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Waits until a model may be asked.
    pub(crate) async fn room_for(&self, model: &str, busy_above: f64) {
        while self.in_the_way(Some(model), busy_above).await.is_some() {
            tokio::time::sleep(LOOK_FOR_ROOM_EVERY).await;
        }
    }

    /// A question to this server begins.
    pub(crate) fn begin(&self, upstream: &str, progress: &Progress) -> Under<'_> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.own().push((number, upstream.to_owned(), progress.clone()));
        Under { gate: self, number }
    }

    /// Resolves when a user would have to wait for a question of ours.
    pub(crate) async fn users_come(&self, gateway: &Gateway, upstream: &str) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(server) = server_of(gateway, upstream).filter(|server| server.breaker == "closed") else {
                continue;
            };
            if server.waiting > self.own_at(upstream).0 {
                return;
            }
        }
    }

    /// How many of our own questions wait for a server, and how many it works on.
    fn own_at(&self, upstream: &str) -> (u32, u32) {
        let own = self.own();
        let here = own.iter().filter(|(_, name, _)| name == upstream);
        let (waiting, running): (Vec<_>, Vec<_>) = here.partition(|(.., progress)| progress.position().is_some());
        (waiting.len() as u32, running.len() as u32)
    }

    fn own(&self) -> MutexGuard<'_, Vec<(u64, String, Progress)>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
