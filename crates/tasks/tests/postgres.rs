//! The engine over a real Postgres.

mod cases;
#[path = "server/leases.rs"]
mod leases;
mod server;
mod support;
#[path = "support/worker.rs"]
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use server::Server;
use sqlx::PgConnection;
use tollhouse_tasks::{Book, Clock, Desk, Entry, Event, SystemClock};

macro_rules! over_postgres {
    ($($case:ident),* $(,)?) => {
        /// One server for all of them, each with a database of its own.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs postgres"]
        async fn the_same_cases_as_over_sqlite() {
            let server = Server::start();
            $(
                println!("{}", stringify!($case));
                let book = Book::postgres(&server.url().await).await.unwrap();
                cases::$case(book.clone()).await;
                book.close().await;
            )*
        }
    };
}

cases::each_case!(over_postgres);

/// How often the workers are disturbed; another number comes from `TOLLHOUSE_TASK_DISTURBANCES`.
const DISTURBANCES: u64 = 60;
/// What a worker that was stopped had a right to before begins within so long after it wakes.
const WAKING_MS: i64 = 5_000;
/// So much may be about to begin in a worker when it is stopped. A machine that is too busy stops workers too.
const IN_FLIGHT_MAX: usize = 16;

/// Not a test but what the test starts.
#[test]
fn helper() {
    worker::work();
}

/// Workers are killed, stopped where they stand, cut off and told a wrong time, while a record of all leases is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres"]
async fn scenario_r06_two_and_three_workers_never_run_a_step_under_two_valid_leases() {
    let server = Server::start();
    for workers in [2, 3] {
        disturb(&server, workers).await;
    }
}

async fn disturb(server: &Server, workers: usize) {
    let folder = tempfile::tempdir().unwrap();
    let url = server.url().await;
    let desk = Desk::new(Book::postgres(&url).await.unwrap(), Arc::new(SystemClock));
    desk.publish(&[worker::definition()]).await.unwrap();
    let rounds = std::env::var("TOLLHOUSE_TASK_DISTURBANCES").map_or(DISTURBANCES, |count| count.parse().unwrap());
    let mut runs = Vec::new();
    let names: Vec<String> = (0..workers).map(|number| number.to_string()).collect();
    let mut children: Vec<Child> = names.iter().map(|name| start(&url, folder.path(), name)).collect();
    let mut random = 0x2545_F491_4F6C_DD1D_u64 ^ workers as u64;
    let mut woken = Vec::new();
    for _ in 0..rounds {
        while worker::open_runs(&desk).await < 12 {
            runs.extend(worker::order(&desk, 1).await);
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, kind, pause) = ((random >> 33) as usize % workers, (random >> 40) % 6, (random >> 45) % 400);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        match kind {
            0 | 1 => {
                // Longer than a lease lasts: another one takes over, and this one wakes in the middle of its work.
                signal(&children[at], "-STOP");
                tokio::time::sleep(Duration::from_millis(if kind == 0 { 1_600 } else { 300 })).await;
                signal(&children[at], "-CONT");
                woken.push((names[at].clone(), SystemClock.now_ms()));
            }
            2 => {
                children[at].kill().unwrap();
                children[at].wait().unwrap();
                children[at] = start(&url, folder.path(), &names[at]);
            }
            3 => {
                let hours = [-25, -1, 1, 25][(random >> 50) as usize % 4];
                worker::step_clock(folder.path(), &names[at], hours * 3_600_000);
            }
            _ => {
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 4";
                let mut admin = server.connect(url.rsplit('/').next().unwrap()).await;
                sqlx::query(cut).execute(&mut admin).await.unwrap();
            }
        }
    }
    for name in &names {
        worker::step_clock(folder.path(), name, 0);
    }
    worker::until_all_are_over(&desk, support::PATIENCE).await;
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    worker::check(&desk, folder.path(), &runs).await;
    let mut connection = server.connect(url.rsplit('/').next().unwrap()).await;
    let attempts = worker::attempts(folder.path());
    let (leases, late) = check_leases(&mut connection, &attempts).await;
    let is_woken = |attempt: &&&worker::Attempt| {
        woken.iter().any(|(name, at_ms)| *name == attempt.worker && (0..WAKING_MS).contains(&(attempt.at_ms - at_ms)))
    };
    let explained = late.iter().filter(is_woken).count();
    assert!(late.len() <= woken.len() * IN_FLIGHT_MAX, "{} attempts began under no lease", late.len());
    println!(
        "{workers} workers, {rounds} disturbances, {} runs, {leases} leases, {} attempts, {} of them late, {explained} after a stop",
        runs.len(),
        attempts.len(),
        late.len()
    );
}

/// The oracle. A run is an object with one operation, "add events while I hold the lease"; that each is done at one moment between its
/// begin and its end, in the order of the leases, is what is checked, over all that was ever written:
///
/// 1. The events of a run are numbered without a gap, and their fences never fall: nobody wrote after somebody later did.
/// 2. For every lease, what was written before it was taken has a smaller fence and what came after has not: the history, cut up
///    by fences, is exactly the leases in their order. A worker that was stopped or cut off wrote nothing more.
/// 3. Every result was worked for under the fence that it was written under: nobody took over what another one had done.
/// 4. An attempt that begins when a later lease of its run is taken already is late: its worker had the right to it when its intent
///    was committed, and was stopped before it began. Two workers at one step under valid leases would both not be late, and 2 says
///    that there is no such pair. The late ones are given back, to be held against the stops.
async fn check_leases<'a>(
    connection: &mut PgConnection,
    attempts: &'a [worker::Attempt],
) -> (usize, Vec<&'a worker::Attempt>) {
    let leases: Vec<(String, i64, i64, i64)> =
        sqlx::query_as("SELECT run, fence, from_ms, events FROM task_leases ORDER BY run, fence")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let events: Vec<(String, i64, Option<i64>, String)> =
        sqlx::query_as("SELECT run, number, fence, body FROM task_events ORDER BY run, number")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let mut by_run: BTreeMap<&str, Vec<(i64, i64, i64)>> = BTreeMap::new();
    for (run, fence, from_ms, known) in &leases {
        by_run.entry(run).or_default().push((*fence, *from_ms, *known));
    }
    let worked_for: BTreeSet<(&str, i64)> = attempts.iter().map(|it| (it.key.as_str(), it.fence)).collect();
    let mut number_before: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for (run, number, fence, body) in &events {
        let fence = fence.expect("nobody but workers wrote here");
        let before = number_before.entry(run).or_insert((0, 0));
        assert_eq!(*number, before.0 + 1, "{run} has a gap");
        assert!(
            fence >= before.1,
            "{run}: event {number} was written under fence {fence} after one under {}",
            before.1
        );
        *before = (*number, fence);
        for (taken, _, known) in &by_run[run.as_str()] {
            assert_eq!(
                *taken <= fence,
                number > known,
                "{run}: event {number}, fence {fence}, lease {taken} from {known}"
            );
        }
        let entry: Entry = serde_json::from_str(body).unwrap();
        if let Event::Finished { step, item, .. } = &entry.event {
            let item = item.map(|item| format!("{item}.")).unwrap_or_default();
            let key = format!("{run}.{step}.{item}0");
            assert!(worked_for.contains(&(key.as_str(), fence)), "{key} has a result nobody worked for");
        }
    }
    let is_late = |attempt: &&worker::Attempt| {
        let run = attempt.key.split('.').next().unwrap();
        by_run[run].iter().any(|(taken, from_ms, _)| *taken > attempt.fence && *from_ms < attempt.at_ms)
    };
    (leases.len(), attempts.iter().filter(is_late).collect())
}

fn start(url: &str, folder: &Path, name: &str) -> Child {
    let mut child = worker::spawn(url, folder, name);
    // Nobody reads what it says: it must not wait for that.
    let said = child.stdout.take().unwrap();
    let drain = move || std::io::copy(&mut std::io::BufReader::new(said), &mut std::io::sink());
    std::thread::Builder::new().name("drain".to_owned()).spawn(drain).unwrap();
    child
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap();
    assert!(sent.success());
}
