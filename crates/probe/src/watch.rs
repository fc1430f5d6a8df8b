//! Runs the probes at their times, and samples resources between them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::ProbeError;
use crate::board::{Board, Last, Row};
use crate::book::{Book, Report};
use crate::finding::{Finding, Kind, Ran, round3};
use crate::gpu::Reader;
use crate::http::Http;
use crate::model::Models;
use crate::probe::{Probe, Spec, Tools, probes};
use crate::sampler::{Crossed, Sampler};
use crate::schedule::{Random, Schedule};

/// Probes that may run at once.
const RUNNING_MAX: usize = 4;
/// Wishes that may wait: to run a probe now, to take other ones.
const WISHES_MAX: usize = 32;
/// How long runs under way may take to end when the house does.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// Probes that are ready to run: from here on nothing fails.
#[derive(Debug)]
pub struct Prepared {
    probes: Vec<Arc<Probe>>,
    tools: Tools,
}

impl Prepared {
    /// Makes them ready. Reads files, so it blocks.
    pub fn new(specs: Vec<Spec>) -> Result<Self, ProbeError> {
        let probes = probes(specs)?.into_iter().map(Arc::new).collect();
        Ok(Self { probes, tools: Tools { http: Http::new()?, cards: Reader::new() } })
    }

    /// Ids of the probes of this kind, by which the book keeps what is theirs.
    pub fn ids(&self, kind: Kind) -> Vec<&str> {
        self.probes.iter().filter(|probe| probe.kind == kind).map(|probe| probe.id.as_str()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.probes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.probes.is_empty()
    }

    /// Runs those of the wanted kinds once, one after the other, and shows each one's report as it comes. What they keep is
    /// kept in the book; the book is told nothing.
    pub async fn run_once(
        &self,
        models: &dyn Models,
        book: &dyn Book,
        wants: impl Fn(Kind) -> bool,
        mut show: impl FnMut(&Report),
    ) {
        for probe in self.probes.iter().filter(|probe| wants(probe.kind)) {
            let began = Instant::now();
            let ran = run(probe, &self.tools, models, book).await;
            if let Some(keep) = &ran.keep {
                book.keep(&probe.id, keep).await;
            }
            show(&report(probe, ran.summary, began.elapsed()));
        }
    }
}

/// The probes at work.
#[derive(Debug)]
pub struct Probing {
    wishes: mpsc::Sender<Wish>,
    board: Board,
    task: JoinHandle<()>,
}

/// What is asked of the loop.
#[derive(Debug)]
pub(crate) enum Wish {
    Adopt(Box<Prepared>, Arc<dyn Models>),
    Run(String, oneshot::Sender<()>),
    Stop,
}

impl Probing {
    /// Begins; what is found goes to the book.
    pub fn start(prepared: Prepared, models: Arc<dyn Models>, book: Arc<dyn Book>) -> Self {
        let (wishes, heard) = mpsc::channel(WISHES_MAX);
        let board = Board::new(wishes.clone());
        let round = Round::new(prepared, models, book, board.clone());
        Self { wishes, board, task: tokio::spawn(round.keep(heard)) }
    }

    /// Looks after these from now on. What is known of probes that are still there is kept; runs under way end.
    pub async fn adopt(&self, prepared: Prepared, models: Arc<dyn Models>) {
        let _: Result<(), _> = self.wishes.send(Wish::Adopt(Box::new(prepared), models)).await;
    }

    /// What is known, for pages.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Ends; runs under way are given a moment.
    pub async fn stop(self) {
        let _: Result<(), _> = self.wishes.send(Wish::Stop).await;
        let _: Result<(), _> = self.task.await;
    }
}

/// The loop that runs the probes.
struct Round {
    probes: Vec<Arc<Probe>>,
    tools: Tools,
    models: Arc<dyn Models>,
    book: Arc<dyn Book>,
    schedule: Schedule<Random>,
    sampler: Sampler,
    board: Board,
    running: JoinSet<Ended>,
    /// Who waits for the end of which probe's run.
    waiting: Vec<(String, oneshot::Sender<()>)>,
    began: Instant,
    /// Counts the plans: what ends under an older one is told, but changes no schedule.
    plan: u32,
}

struct Ended {
    plan: u32,
    at: usize,
    probe: Arc<Probe>,
    ran: Ran,
    took: Duration,
}

impl Round {
    fn new(prepared: Prepared, models: Arc<dyn Models>, book: Arc<dyn Book>, board: Board) -> Self {
        let Prepared { probes, tools } = prepared;
        let mut round = Self {
            probes: Vec::new(),
            tools: tools.clone(),
            models: models.clone(),
            book,
            schedule: Schedule::new(Random::new(), RUNNING_MAX),
            sampler: Sampler::off(),
            board,
            running: JoinSet::new(),
            waiting: Vec::new(),
            began: Instant::now(),
            plan: 0,
        };
        round.adopt(Prepared { probes, tools }, models);
        round
    }

    async fn keep(mut self, mut wishes: mpsc::Receiver<Wish>) {
        loop {
            self.begin();
            let next = self.next_run();
            let sample = self.sampler.next();
            tokio::select! {
                Some(ended) = self.running.join_next() => match ended {
                    Ok(ended) => self.ended(ended).await,
                    Err(error) => tracing::error!(error = %error, "a probe failed"),
                },
                wish = wishes.recv() => match wish {
                    Some(Wish::Adopt(prepared, models)) => self.adopt(*prepared, models),
                    Some(Wish::Run(id, done)) => self.want(id, done),
                    Some(Wish::Stop) | None => break,
                },
                () = at(next) => {}
                () = at(sample) => self.sample().await,
            }
        }
        // What is nearly there is still told.
        let rest = async {
            while let Some(Ok(ended)) = self.running.join_next().await {
                self.ended(ended).await;
            }
        };
        let _: Result<(), _> = tokio::time::timeout(END_TIME_MAX, rest).await;
    }

    fn adopt(&mut self, prepared: Prepared, models: Arc<dyn Models>) {
        let Prepared { probes, tools } = prepared;
        self.plan += 1;
        (self.tools, self.models) = (tools, models);
        self.schedule = Schedule::new(Random::new(), RUNNING_MAX);
        let limits = |of: fn(&Probe) -> bool| probes.iter().find(|probe| of(probe));
        let gpu = limits(|probe| probe.kind == Kind::Gpu).and_then(|probe| probe.gpu_limits());
        let memory = limits(|probe| probe.kind == Kind::Memory).and_then(|probe| probe.memory_limits());
        self.sampler = Sampler::new(self.tools.cards.clone(), gpu, memory);
        let now = self.now_ms();
        let (board, schedule) = (&self.board, &mut self.schedule);
        board.replace(|before| {
            let row = |(at, probe): (usize, &Arc<Probe>)| {
                schedule.add(now, probe.every.as_millis() as u64, probe.kind.asks_models());
                let known = before.iter().find(|row| row.id == probe.id && row.kind == probe.kind);
                Row {
                    id: probe.id.clone(),
                    name: probe.name.clone(),
                    kind: probe.kind,
                    about: probe.about.clone(),
                    every: probe.every,
                    is_running: false,
                    next_ms: schedule.next_of(at).map(|next| wall_ms(next, now)),
                    since_ms: known.and_then(|row| row.since_ms),
                    last: known.and_then(|row| row.last.clone()),
                }
            };
            probes.iter().enumerate().map(row).collect()
        });
        self.probes = probes;
    }

    /// Begins what is due.
    fn begin(&mut self) {
        for at in self.schedule.begin(self.now_ms()) {
            let probe = self.probes[at].clone();
            self.board.note(&probe.id, |row| row.is_running = true);
            let (tools, models, book, plan) = (self.tools.clone(), self.models.clone(), self.book.clone(), self.plan);
            self.running.spawn(async move {
                let began = Instant::now();
                let ran = run(&probe, &tools, &*models, &*book).await;
                Ended { plan, at, ran, took: began.elapsed(), probe }
            });
        }
    }

    async fn ended(&mut self, ended: Ended) {
        let Ended { plan, at, probe, ran, took } = ended;
        let now = self.now_ms();
        if plan == self.plan {
            self.schedule.ended(at, now);
        }
        let next_ms = self.schedule.next_of(at).filter(|_| plan == self.plan).map(|next| wall_ms(next, now));
        let (found, at_ms) = (ran.summary.clone(), Timestamp::now().as_millisecond());
        self.board.note(&probe.id, |row| {
            let before = row.last.as_ref().map(|last| last.finding.outcome);
            if before != Some(found.outcome) {
                row.since_ms = Some(at_ms);
            }
            row.is_running = false;
            row.next_ms = next_ms.or(row.next_ms);
            row.last = Some(Last { at_ms, finding: found, duration_ms: round3(took.as_secs_f64() * 1e3) });
        });
        let findings = if ran.parts.is_empty() { vec![ran.summary] } else { ran.parts };
        let reports: Vec<Report> = findings.into_iter().map(|finding| report(&probe, finding, took)).collect();
        self.book.tell(&reports).await;
        if let Some(keep) = &ran.keep {
            self.book.keep(&probe.id, keep).await;
        }
        let (done, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(id, _)| *id == probe.id);
        self.waiting = waiting;
        let done: Vec<(String, oneshot::Sender<()>)> = done;
        for (_, waiter) in done {
            let _: Result<(), ()> = waiter.send(());
        }
    }

    /// Lets a probe run as soon as it can; `done` hears of its end.
    fn want(&mut self, id: String, done: oneshot::Sender<()>) {
        let Some(at) = self.probes.iter().position(|probe| probe.id == id) else { return };
        self.schedule.want(at);
        self.waiting.retain(|(_, waiter)| !waiter.is_closed());
        if self.waiting.len() < WISHES_MAX {
            self.waiting.push((id, done));
        }
    }

    /// Samples resources. What crosses a limit is probed at once, not at its next time.
    async fn sample(&mut self) {
        let sampled = self.sampler.sample().await;
        for fields in &sampled.kept {
            self.book.sample(fields).await;
        }
        if !sampled.shown.is_empty() {
            self.board.show(sampled.shown);
        }
        for crossed in sampled.crossed {
            let kind = match crossed {
                Crossed::Gpu => Kind::Gpu,
                Crossed::Memory => Kind::Memory,
            };
            if let Some(at) = self.probes.iter().position(|probe| probe.kind == kind) {
                self.schedule.want(at);
            }
        }
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// When something may begin; what is due already waits for another to end.
    fn next_run(&self) -> Option<Instant> {
        let next = self.schedule.next_after(self.now_ms())?;
        Some(self.began + Duration::from_millis(next))
    }
}

/// One run, from what was kept on.
async fn run(probe: &Probe, tools: &Tools, models: &dyn Models, book: &dyn Book) -> Ran {
    if probe.keeps() {
        probe.restore(book.kept(&probe.id).await.as_ref());
    }
    probe.run(tools, models).await
}

fn report(probe: &Probe, finding: Finding, took: Duration) -> Report {
    let duration_ms = round3(took.as_secs_f64() * 1e3);
    Report { probe: probe.name.clone(), kind: probe.kind, finding, duration_ms }
}

/// A moment of the schedule's clock by the clock on the wall.
fn wall_ms(at_ms: u64, now_ms: u64) -> i64 {
    Timestamp::now().as_millisecond() + at_ms as i64 - now_ms as i64
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
