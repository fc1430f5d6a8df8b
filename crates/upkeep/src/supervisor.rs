//! All processes together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::house::House;
use crate::life::{Ask, Ground, Life, Status};
use crate::machine::{Order, Refused, State};
use crate::memory::{self, Used};
use crate::output::Lines;
use crate::spec::{Memory, Spec};

/// Orders that wait for their turn.
const ASKS_MAX: usize = 16;
/// How often is looked what processes use; each time where one is near its limit, else every tenth time.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const SAMPLE_RARELY: u32 = 10;
/// Near its limit is what uses more than this share of it.
const NEAR_PERCENT: u64 = 80;

/// Processes under supervision.
#[derive(Debug)]
pub struct Supervisor {
    ground: Arc<Ground>,
    running: Processes,
    /// Those that are not wanted any more.
    ending: JoinSet<()>,
    sampling: JoinHandle<()>,
}

/// What humans ask and are told of processes; clones are about the same ones.
#[derive(Clone, Debug, Default)]
pub struct Processes(Arc<Mutex<Vec<Running>>>);

/// One process.
#[derive(Debug)]
struct Running {
    spec: Arc<Spec>,
    asks: mpsc::Sender<Ask>,
    status: watch::Receiver<Status>,
    task: Option<JoinHandle<()>>,
}

/// Why an order is not followed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// None is called so.
    #[error("no supervised process is called {0}")]
    Unknown(String),
    /// It does not fit where the process is.
    #[error("{name}: {refused}")]
    Refused {
        /// The process.
        name: String,
        /// Why.
        refused: Refused,
    },
    /// It is just being ended.
    #[error("{0} is ending")]
    Ending(String),
}

impl Supervisor {
    /// Starts these processes, each when what it needs is ready. `place` is the folder in which is kept what the next house
    /// has to know; `lines` tells what they say. Must be called within the runtime.
    pub fn start(place: PathBuf, house: Arc<dyn House>, lines: Lines, specs: Vec<Spec>) -> Self {
        let (samples, used) = watch::channel(Arc::default());
        let (board, pids) = (watch::Sender::new(BTreeMap::new()), watch::Sender::new(BTreeMap::new()));
        let ground = Arc::new(Ground { place, house, lines, board, pids, used, began: Instant::now() });
        let running = Processes::default();
        let sampling = tokio::spawn(sample(Arc::clone(&ground), running.clone(), samples));
        let mut supervisor = Self { ground, running, ending: JoinSet::new(), sampling };
        supervisor.adopt(specs);
        supervisor
    }

    /// What humans ask and are told of them.
    pub fn processes(&self) -> Processes {
        self.running.clone()
    }

    /// From now on these: what is not among them ends, what has changed is ended and started anew, and others are left alone.
    pub fn adopt(&mut self, specs: Vec<Spec>) {
        while self.ending.try_join_next().is_some() {}
        let mut running = self.running.lock();
        let mut before = std::mem::take(&mut *running);
        for spec in specs {
            let place = before.iter().position(|running| running.spec.name == spec.name);
            let old = place.map(|place| before.remove(place));
            let kept = match old {
                Some(old) if *old.spec == spec => old,
                old => self.begin(spec, old),
            };
            running.push(kept);
        }
        drop(running);
        for old in before {
            self.ending.spawn(old.end());
        }
    }

    fn begin(&self, spec: Spec, old: Option<Running>) -> Running {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let first = Status {
            state: State::Stopped,
            since: std::time::SystemTime::now(),
            pid: None,
            starts: 0,
            why: None,
            asked: None,
            next: None,
            memory: None,
            pressure: None,
        };
        let (tell, status) = watch::channel(first);
        let spec = Arc::new(spec);
        let life = Life::new(Arc::clone(&spec), Arc::clone(&self.ground), tell);
        let task = tokio::spawn(async move {
            if let Some(old) = old {
                old.end().await;
            }
            life.run(asked).await;
        });
        Running { spec, asks, status, task: Some(task) }
    }

    /// Ends all, those first that nobody needs.
    pub async fn end(mut self) {
        let mut left = std::mem::take(&mut *self.running.lock());
        while !left.is_empty() {
            let needed: Vec<String> = left.iter().flat_map(|running| running.spec.needs.clone()).collect();
            let (mut now, mut later): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|running| !needed.contains(&running.spec.name));
            if now.is_empty() {
                // They need each other, which no configuration says.
                now.append(&mut later);
            }
            for running in now {
                self.ending.spawn(running.end());
            }
            while self.ending.join_next().await.is_some() {}
            left = later;
        }
        while self.ending.join_next().await.is_some() {}
        self.sampling.abort();
    }
}

impl Running {
    async fn end(mut self) {
        // One that has ended already hears nothing.
        let _: Result<(), _> = self.asks.send(Ask::End).await;
        if let Some(task) = self.task.take() {
            // An error is a panic, which has been printed.
            let _: Result<(), _> = task.await;
        }
    }
}

impl Processes {
    /// Each process and how it is, in the order of the configuration.
    pub fn list(&self) -> Vec<(Arc<Spec>, Status)> {
        self.lock().iter().map(|running| (Arc::clone(&running.spec), running.status.borrow().clone())).collect()
    }

    /// Follows an order that `by` gives.
    pub async fn order(&self, name: &str, order: Order, by: &str) -> Result<Status, OrderError> {
        let ending = || OrderError::Ending(name.to_owned());
        let (asks, status) = {
            let all = self.lock();
            let found = all.iter().find(|running| running.spec.name == name);
            let found = found.ok_or_else(|| OrderError::Unknown(name.to_owned()))?;
            (found.asks.clone(), found.status.clone())
        };
        let (answer, answered) = oneshot::channel();
        asks.send(Ask::Order(order, by.to_owned(), answer)).await.map_err(|_| ending())?;
        let followed = answered.await.map_err(|_| ending())?;
        followed.map_err(|refused| OrderError::Refused { name: name.to_owned(), refused })?;
        Ok(status.borrow().clone())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks what the processes use, and tells it.
async fn sample(ground: Arc<Ground>, processes: Processes, samples: watch::Sender<Arc<BTreeMap<String, Used>>>) {
    let mut every = interval(SAMPLE_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut since = SAMPLE_RARELY;
    loop {
        every.tick().await;
        since += 1;
        let pids = ground.pids.borrow().clone();
        let is_near = processes.lock().iter().any(|running| {
            samples.borrow().get(&running.spec.name).is_some_and(|used| is_near(*used, running.spec.memory))
        });
        let is_new = pids.keys().any(|name| !samples.borrow().contains_key(name));
        if pids.is_empty() || (since < SAMPLE_RARELY && !is_near && !is_new) {
            continue;
        }
        since = 0;
        let pressed: BTreeSet<String> = processes
            .lock()
            .iter()
            .filter(|running| running.spec.memory.pressure.is_some())
            .map(|running| running.spec.name.clone())
            .collect();
        let house = Arc::clone(&ground.house);
        let look = move || -> BTreeMap<String, Used> {
            let all = memory::used(&pids).into_iter();
            all.map(|(name, memory)| {
                let pid = pids.get(&name).filter(|_| pressed.contains(&name));
                (name, Used { memory, pressure: pid.and_then(|pid| house.pressure(*pid)) })
            })
            .collect()
        };
        if let Ok(used) = spawn_blocking(look).await {
            samples.send_replace(Arc::new(used));
        }
    }
}

fn is_near(used: Used, limits: Memory) -> bool {
    let is_large = limits.hard.or(limits.soft).is_some_and(|limit| used.memory >= limit / 100 * NEAR_PERCENT);
    let pressed = limits.pressure.zip(used.pressure);
    is_large
        || pressed.is_some_and(|(limit, pressure)| pressure.percent * 100.0 >= f64::from(limit * NEAR_PERCENT as u32))
}
