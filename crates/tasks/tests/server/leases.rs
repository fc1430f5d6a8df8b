//! Leases on a real Postgres that end in the middle of a step: by a network that stands still, a machine that is gone, an answer that was lost,
//! or a process that was stopped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tollhouse_tasks::{Book, Desk, Engine, Status, SystemClock};

use crate::cases::{self, SHORT_LEASE};
use crate::server::Server;
use crate::server::wire::Wire;
use crate::support::{House, PATIENCE, RESUME_MAX};
use crate::{check_leases, signal, start, worker};

/// How long a worker has for a pause that the test makes on purpose and that is to cost no lease.
const LONG_LEASE: Duration = Duration::from_secs(4);

/// Two workers on one server: the way of the far one can be cut. Effects and attempts of both are noted in one place.
struct Two {
    server: Server,
    url: String,
    wire: Wire,
    near: House,
    far: House,
}

impl Two {
    async fn new() -> Self {
        let server = Server::start();
        let url = server.url().await;
        let wire = Wire::to(&server);
        let near = House::new(Book::postgres(&url).await.unwrap());
        let far_book = Book::postgres(&wire.url(&url)).await.unwrap();
        let desk = Desk::new(far_book.clone(), Arc::new(near.clock.clone()));
        let far = House { book: far_book, clock: near.clock.clone(), hands: near.hands.clone(), desk };
        near.publish(&[("task", "{concurrency: 10, steps: [{name: a, ask: {model: m, prompt: p}}]}")]).await;
        Self { server, url, wire, near, far }
    }

    /// Owners of a run's leases, the first one first.
    async fn owners(&self, run: &str) -> Vec<String> {
        let mut connection = self.server.connect(self.url.rsplit('/').next().unwrap()).await;
        let owners = sqlx::query_scalar("SELECT owner FROM task_leases WHERE run = $1 ORDER BY fence").bind(run);
        owners.fetch_all(&mut connection).await.unwrap()
    }

    /// The run has one result, written once.
    async fn check_once(&self, run: &str) {
        let detail = self.near.until(run, Status::Done).await;
        let codes: Vec<&str> = detail.history.iter().map(|entry| entry.event.code()).collect();
        assert_eq!(codes, ["started", "begun", "resumed", "finished", "ended"]);
        assert!(self.near.hands.sink.lock().unwrap().contains_key(&format!("{run}.a.0")));
    }
}

async fn engine(house: &House, lease: Duration) -> Engine {
    house.engine_with(|options| (options.is_alone, options.lease) = (false, lease)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres"]
async fn scenario_r06_a_worker_cut_off_beyond_its_lease_takes_its_run_again() {
    let two = Two::new().await;
    let stand_still = async |is_still| if is_still { two.wire.cut() } else { two.wire.heal() };
    cases::its_own_worker_takes_a_run_again_whose_lease_has_ended(&two.far, stand_still).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres"]
async fn scenario_r06_a_worker_cut_off_beyond_its_lease_loses_its_run_to_another_and_works_on() {
    let two = Two::new().await;
    let gate = two.near.hands.gate("a");
    let far = engine(&two.far, SHORT_LEASE).await;
    let run = two.near.run("task").await;
    two.near.until_attempts(1).await;
    let near = engine(&two.near, SHORT_LEASE).await;
    two.wire.cut();
    two.near.until_attempts(2).await;
    let is_alone = async || two.near.hands.at_once.load(Ordering::SeqCst) == 1;
    two.near.wait_for("the far worker to drop the step", is_alone).await;
    two.wire.heal();
    gate.add_permits(1);
    two.check_once(&run).await;
    let owners = two.owners(&run).await;
    assert!(owners.len() == 2 && owners[0] != owners[1], "{owners:?}");
    // Back on the way, it is as good as any.
    near.stop(Duration::from_secs(5)).await;
    let next = two.near.run("task").await;
    gate.add_permits(1);
    two.near.until(&next, Status::Done).await;
    assert_eq!(two.owners(&next).await, owners[..1]);
    far.stop(Duration::from_secs(5)).await;
}

/// A machine without power says nothing to the server, which would keep the rows of its transaction locked for as long as it believes in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres"]
async fn scenario_r06_a_machine_that_is_gone_in_the_middle_of_a_transaction_keeps_nobody_from_its_run() {
    let two = Two::new().await;
    let gate = two.near.hands.gate("a");
    let far = engine(&two.far, SHORT_LEASE).await;
    let run = two.near.run("task").await;
    two.near.until_attempts(1).await;
    // Right before the commit of a heartbeat, which has written to the run's row.
    two.wire.cut_at_commit_of(&run);
    two.wire.until_cut().await;
    let near = engine(&two.near, SHORT_LEASE).await;
    two.near.until_attempts(2).await;
    gate.add_permits(1);
    two.check_once(&run).await;
    near.stop(Duration::from_secs(5)).await;
    // The one without a way comes to its end all the same.
    tokio::time::timeout(PATIENCE, far.stop(Duration::ZERO)).await.unwrap();
}

/// The server has given the run to a worker that has not heard so, and that prolongs the lease of another run meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres"]
async fn scenario_r06_a_run_that_was_taken_without_its_workers_hearing_of_it_goes_on() {
    let two = Two::new().await;
    let gate = two.near.hands.gate("a");
    let far = engine(&two.far, LONG_LEASE).await;
    let held = two.near.run("task").await;
    two.near.until_attempts(1).await;
    two.wire.cut();
    let unheard = two.near.run("task").await;
    two.wire.lose_commit_of(&unheard);
    two.wire.until_lost().await;
    two.near.until_attempts(2).await;
    gate.add_permits(2);
    for run in [&held, &unheard] {
        let detail = two.near.until(run, Status::Done).await;
        assert_eq!(detail.history.iter().filter(|entry| entry.event.code() == "finished").count(), 1);
    }
    assert_eq!(two.near.hands.sink.lock().unwrap().len(), 2);
    let owners = two.owners(&unheard).await;
    assert!(owners.len() == 2 && owners[0] == owners[1], "taken twice by the same worker: {owners:?}");
    far.stop(Duration::from_secs(5)).await;
}

/// Each of two processes is stopped for longer than its lease while it is in the middle of a step; the first one has the run again in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres"]
async fn scenario_r06_a_process_stopped_beyond_its_lease_writes_nothing_and_may_have_the_run_again() {
    let server = Server::start();
    let url = server.url().await;
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(Book::postgres(&url).await.unwrap(), Arc::new(SystemClock));
    desk.publish(&[worker::definition()]).await.unwrap();
    worker::hold(folder.path(), true);
    let workers = async |count: usize, within: Duration| {
        let begun = Instant::now();
        loop {
            let names: Vec<String> = worker::attempts(folder.path()).into_iter().map(|made| made.worker).collect();
            if names.len() >= count {
                return names;
            }
            assert!(begun.elapsed() < within, "{names:?} have tried, and nobody else");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut first = start(&url, folder.path(), "first");
    let runs = worker::order(&desk, 1).await;
    workers(1, PATIENCE).await;
    let mut second = start(&url, folder.path(), "second");
    signal(&first, "-STOP");
    workers(2, RESUME_MAX).await;
    signal(&first, "-CONT");
    signal(&second, "-STOP");
    assert_eq!(workers(3, RESUME_MAX).await, ["first", "second", "first"]);
    signal(&second, "-CONT");
    worker::hold(folder.path(), false);
    worker::until_all_are_over(&desk, PATIENCE).await;
    for child in [&mut first, &mut second] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    worker::check(&desk, folder.path(), &runs).await;
    let mut connection = server.connect(url.rsplit('/').next().unwrap()).await;
    let attempts = worker::attempts(folder.path());
    let (leases, _) = check_leases(&mut connection, &attempts).await;
    assert!(leases >= 3, "{leases} leases");
}
