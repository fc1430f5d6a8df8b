//! What every listener shares: connections over hyper, the head guard, request ids, the Host guard, answers made in one piece.
//!
//! A [`Server`] has one handler and any number of listeners, each of which can be stopped while the others go on;
//! [`serve`] is the short form for one. A connection passes, in this order:
//!
//! 1. `serve`: a place among all connections, and among those of its address;
//! 2. `stream`: TLS, where it is spoken, with `turns` for its handshakes; `proxy_header`: whose connection it is, where a trusted proxy says so; `connection`:
//!    HTTP/1 or HTTP/2;
//! 3. `guard` with `framing`, `head` and `target`: HTTP/1.x is let through only as RFC 9112 has it, one request at a time,
//!    each length beyond doubt; `frames` and `service`: the same of HTTP/2, as far as h2 leaves something to do;
//! 4. hyper, and the handler with the request and its [`Peer`];
//! 5. `clock`, `pace`, `uploads`, `ahead`: how long each of these may wait for the client, how slow it may be, and how much
//!    is made ready for it meanwhile.
//!
//! What is refused on this way is answered with a [`Refusal`], and no handler sees it. [`RequestId`] is given to every
//! request by its handler; [`HostGuard`] knows the names that this house answers to; [`escaped`] puts a text into a page.
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

mod ahead;
mod answer;
mod clock;
mod connection;
mod frames;
mod framing;
mod guard;
mod head;
mod host;
mod html;
mod pace;
pub mod pem;
mod places;
mod proxy_header;
mod refusal;
mod request_id;
mod serve;
mod service;
mod shared;
mod stop;
mod stream;
mod streams;
mod target;
mod turns;
mod uploads;

pub use answer::{Answer, Body, end_on_error, full, json, text};
pub use host::{HostGuard, host_name, sent_to};
pub use html::escaped;
pub use places::{Place, Places};
pub use refusal::Refusal;
pub use request_id::RequestId;
pub use serve::{Dropped, Listening, Peer, Proxied, ServeOptions, Server, serve};
pub use stream::ServerName;
