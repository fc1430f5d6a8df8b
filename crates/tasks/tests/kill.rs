//! A worker that is killed again and again: no step is lost, and no effect comes twice where the sink knows keys.

mod server;
#[path = "support/worker.rs"]
mod worker;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use server::Server;
use tollhouse_tasks::{Desk, SystemClock};

/// How often the worker is killed; another number comes from `TOLLHOUSE_TASK_KILLS`.
const KILLS: u64 = 200;
/// Going on after a crash takes no longer.
const RESUME_MAX: Duration = Duration::from_secs(11);

/// Not a test but what the test starts.
#[test]
fn helper() {
    worker::work();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_r06_steps_survive_sigkill_and_their_effects_come_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    kill_again_and_again(path.to_str().unwrap(), folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs postgres"]
async fn scenario_r06_the_same_on_a_real_postgres() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    kill_again_and_again(&server.url().await, folder.path()).await;
}

async fn kill_again_and_again(book: &str, folder: &Path) {
    let desk = Desk::new(worker::open_book(book).await, Arc::new(SystemClock));
    desk.publish(&[worker::definition()]).await.unwrap();
    let kills = std::env::var("TOLLHOUSE_TASK_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut runs = Vec::new();
    // A fixed sequence of "random" moments: the same one fails again.
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut slowest = Duration::ZERO;
    for _ in 0..kills {
        // So much is left to be done that the kill comes before the end.
        while worker::steps_left(&desk).await < 45 {
            runs.extend(worker::order(&desk, 1).await);
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (lines, micros) = ((random >> 33) % 40, (random >> 40) % 3_000);
        let mut child = worker::spawn(book, folder, "a");
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut ready = None;
        let mut left = lines;
        for line in told.by_ref() {
            let line = line.unwrap();
            match ready {
                None if line == "ready" => ready = Some(Instant::now()),
                Some(since) if line.starts_with("did ") && left == lines => {
                    slowest = slowest.max(since.elapsed());
                    left = left.saturating_sub(1);
                }
                Some(_) if line.starts_with("did ") => left = left.saturating_sub(1),
                _ => {}
            }
            if ready.is_some() && left == 0 {
                break;
            }
        }
        // Anywhere between two lines.
        std::thread::sleep(Duration::from_micros(micros));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(slowest < RESUME_MAX, "going on took {slowest:?}");
    let mut child = worker::spawn(book, folder, "a");
    worker::until_all_are_over(&desk, Duration::from_secs(120)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    worker::check(&desk, folder, &runs).await;
    let attempts = worker::attempts(folder).len();
    println!(
        "{kills} kills, {} runs, {attempts} attempts of {} effects; slowest resume {slowest:?}",
        runs.len(),
        runs.len() * 28
    );
}
