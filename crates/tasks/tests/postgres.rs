//! The engine over a real Postgres.

mod cases;
mod server;
mod support;

use server::Server;
use tollhouse_tasks::Book;

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
