//! The engine over SQLite.

mod cases;
mod support;
#[path = "support/worker.rs"]
mod worker;

use sqlx::Connection as _;
use support::House;
use tollhouse_tasks::Book;

macro_rules! over_sqlite {
    ($($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                cases::$case(Book::sqlite(&folder.path().join("tasks/tasks.db")).await.unwrap()).await;
            }
        )*
    };
}

cases::each_case!(over_sqlite);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenario_r06_a_run_goes_on_after_a_disk_stood_still_for_longer_than_its_lease() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let house = House::new(Book::sqlite(&path).await.unwrap());
    let mut other = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    // Whoever holds the writer's lock keeps all others waiting.
    let stand_still = async |is_still| {
        let sql = if is_still { "BEGIN IMMEDIATE" } else { "ROLLBACK" };
        sqlx::raw_sql(sql).execute(&mut other).await.unwrap();
    };
    cases::its_own_worker_takes_a_run_again_whose_lease_has_ended(&house, stand_still).await;
}
