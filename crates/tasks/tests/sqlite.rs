//! The engine over SQLite.

mod cases;
mod support;
#[path = "support/worker.rs"]
mod worker;

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
