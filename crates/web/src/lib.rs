//! What every listener shares: the accept loop over hyper, request ids, the Host guard, answers that are made in one piece.
//!
//! [`serve`] takes connections from a listener and gives each request, with its [`Peer`], to one function. It bounds
//! how many connections there are and how long a head may take, and on shutdown lets running requests end.
//! [`RequestId`] is given to every request; [`HostGuard`] refuses names that this house does not answer to.
//!
//! What this crate never does: know a path, a key or a model.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let (stop, stopped) = tokio::sync::watch::channel(false);
//! tollhouse_web::serve(listener, tollhouse_web::ServeOptions::default(), stopped, |_request, _peer| async {
//!     Ok(tollhouse_web::text(http::StatusCode::OK, "hello"))
//! })
//! .await;
//! # drop(stop); Ok(()) }
//! ```

mod answer;
mod host;
mod request_id;
mod serve;

pub use answer::{Answer, Body, end_on_error, full, json, text};
pub use host::HostGuard;
pub use request_id::RequestId;
pub use serve::{Dropped, Peer, ServeOptions, serve};
