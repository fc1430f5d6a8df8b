//! What tests need and no honest library offers: exact bytes on the wire, and faults at an exact byte.
//!
//! [`RawClient`] sends what it is told, byte for byte, and reads answers strictly enough to count them. [`FaultProxy`]
//! stands between any client and any server and spoils each connection as its [`Plan`] says. [`ModelServer`] answers each
//! path as its [`Script`] says, keeps what it was asked, and notices when a client leaves. [`LumberjackClient`] sends
//! windows of events as Beats do. [`broken`] gives fuzz targets what a corpus has, damaged. [`Dice`] makes a random test
//! repeatable by its seed.
//!
//! What this crate never does: appear in the program, or assert how long something took. It panics where a test cannot go
//! on, and every wait ends after [`PATIENCE`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use tollhouse_testkit::{FaultProxy, ModelServer, Plan, RawClient, Script};
//!
//! let server = ModelServer::start().await;
//! server.on("/api/chat", Script::ok("application/json", r#"{"done":true}"#));
//! let proxy = FaultProxy::start(server.address(), |_connection| Plan::pass()).await;
//! let mut client = RawClient::connect(proxy.address()).await;
//! client.send("POST /api/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}").await;
//! let answer = client.answer().await.unwrap();
//! assert_eq!((answer.status, answer.text()), (200, r#"{"done":true}"#.to_owned()));
//! assert_eq!(server.requests()[0].body, b"{}");
//! # }
//! ```

mod broken;
mod client;
mod dice;
mod lumberjack;
mod message;
mod proxy;
mod script;
mod server;

pub use broken::{Unit, broken, cuts, fuzz_rounds, replace_node};
pub use client::{RawClient, Unanswered, exchange};
pub use dice::Dice;
pub use lumberjack::{LumberjackClient, Packing, lumberjack_window};
pub use message::RawAnswer;
pub use proxy::{End, FaultProxy, Line, Plan};
pub use script::{Body, Script, pieces};
pub use server::{ModelServer, Request};

/// How long anything here waits before the test is failed: long enough for a machine that does much else.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
