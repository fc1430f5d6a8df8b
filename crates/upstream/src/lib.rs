//! Talks to the model servers: who answers a request, when it is its turn, and what happens when a server fails.
//!
//! [`Upstreams`] is made from [`UpstreamSpec`]s, [`ModelSpec`]s and [`Settings`], and again for each change of them
//! ([`Upstreams::reconfigured`]). It lists the models ([`Upstreams::models`]), tells about one ([`Upstreams::show`],
//! [`Upstreams::window`]), and sends a chat or texts to embed to a server of the model ([`Upstreams::chat`],
//! [`Upstreams::embed`]) with a [`Context`] that says for whom. The [`Reply`] holds an [`EventStream`]; dropping it, or
//! dropping the future of `chat`, leaves the queue or closes the connection to the server, which is how a client's leaving
//! reaches the GPU.
//!
//! **The queue** (`scheduler`). A server is given as many requests at once as it has places. Who waits is served by
//! priority, within it fairly between flows, and within that for the model that is loaded, with a bound on each
//! preference. [`Progress`] tells where a request is.
//!
//! **Which server.** Of the first tier with a free place: one that has the model loaded, else the one that worked on the
//! conversation last, else the one with the fewest tokens to do.
//!
//! **A server that says nothing.** When a request has been sent and `silent` passes without a byte, the server is asked
//! at its own health address. If it answers, it is busy (loading the model, reading a long prompt) and is waited for,
//! up to `first_byte`. If it does not, its breaker opens: every request that still waits for a first byte fails at once
//! and new ones are refused at once, until it answers there and one request on trial has been answered (`breaker`). A
//! server that was well and takes no connections may be restarting: its requests wait up to `restart`. Whoever starts one anew
//! and knows when it is back holds it ([`Upstreams::hold`]): then they wait as long as a request may wait at all.
//!
//! **A server that ceases in the middle.** The answers of a model at a server have a pace. Where the server tells somebody that what
//! computes the model has ended, or all answers of it have ceased for much longer than they ever rest while others wait, those that
//! had begun end with an error and the others are asked again (`pace`).
//!
//! **Another server, another model.** Until the first event of an answer is there, a failure that is the server's own
//! leads to the next server of the model, within a budget of retries. When all have failed, the model's fallbacks are
//! asked. Never after the first event.
//!
//! What this crate never does: it starts no task that goes on by itself once all breakers are closed and the last answer's
//! deadline is past, follows no redirect, takes no compressed answer, and tells no client what a server said about itself
//! ([`UpstreamError::public_message`]).
//!
//! ```no_run
//! # async fn example(request: tollhouse_dialect::ChatRequest) -> Result<(), Box<dyn std::error::Error>> {
//! use tollhouse_upstream::{Context, Kind, Settings, UpstreamSpec, Upstreams};
//!
//! let url = "http://127.0.0.1:11434".into();
//! let local = UpstreamSpec { name: "local".into(), kind: Kind::Ollama, url, key: None, parallel: None };
//! let upstreams = Upstreams::new(vec![local], Vec::new(), Settings::default())?;
//! let mut reply = upstreams.chat(request.into(), Context::default()).await?;
//! while let Some(events) = reply.answer.next().await {
//!     println!("{:?}", events?);
//! }
//! # Ok(())
//! # }
//! ```

mod about;
mod backend;
mod breaker;
mod client;
mod context;
mod deadlines;
mod demo;
mod error;
mod flow;
mod hold;
mod kept;
mod kind;
mod live;
mod loads;
mod manage;
mod pace;
mod retry;
mod route;
mod scheduler;
mod server;
mod spec;
mod stream;
mod upstreams;
mod way;
mod work;

pub use about::{Window, WindowSource};
pub use breaker::{FAILURES_TO_OPEN, PROBE_EVERY};
pub use context::{Context, FailedAttempt, MayCall, Phase, Priority, Progress};
pub use demo::DEMO_MODEL;
pub use error::{Fault, SetupError, UpstreamError};
pub use flow::Flowing;
pub use hold::Hold;
pub use kept::KNOWN_WAIT_MAX;
pub use loads::{SWITCHES_MAX, THRASH_WITHIN};
pub use manage::ManageBody;
pub use scheduler::CLASS_WAIT_MAX;
pub use server::{ANSWER_BYTES_MAX, HEALTH_LIMIT, NUM_CTX_MAX, NUM_CTX_MIN, VOCABULARY_BYTES_MAX};
pub use spec::{Kind, ModelSpec, QueueSpec, Settings, Timeouts, UpstreamSpec};
pub use stream::EventStream;
pub use upstreams::{Model, Reply, UpstreamStatus, Upstreams};
