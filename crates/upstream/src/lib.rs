//! Talks to the model servers: which one answers, how long it is waited for, and what happens when it does not.
//!
//! [`Upstreams`] is made once from [`UpstreamSpec`]s, [`ModelSpec`]s and [`Settings`]. It lists the models
//! ([`Upstreams::models`]), finds one by its name ([`Upstreams::resolve`]) and sends a chat to the first server of the
//! model that answers ([`Upstreams::chat`]). The [`Reply`] holds an [`EventStream`]; dropping it, or dropping the
//! future of `chat`, closes the connection to the server, which is how a client's leaving reaches the GPU.
//!
//! **A server that says nothing.** When a request has been sent and `silent` passes without a byte, the server is asked
//! at its own health address. If it answers, it is busy (loading the model, reading a long prompt) and is waited for,
//! up to `first_byte`. If it does not, its breaker opens: every request that still waits for a first byte fails at once
//! and new ones are refused at once. While a breaker is open, and only then, one task asks the health address every
//! [`PROBE_EVERY`], and the first answer closes the breaker. Failing to connect opens it too, from the
//! [`FAILURES_TO_OPEN`]th time in a row.
//!
//! **Another server.** Until the first event of an answer is there, a failure that is the server's own leads to the next
//! server of the model. Never after it.
//!
//! What this crate never does: it starts no task while all breakers are closed, follows no redirect, takes no
//! compressed answer, and tells no client what a server said about itself ([`UpstreamError::public_message`]).
//!
//! ```no_run
//! # async fn example(request: tollhouse_dialect::ChatRequest) -> Result<(), Box<dyn std::error::Error>> {
//! use tollhouse_upstream::{Context, Kind, Settings, UpstreamSpec, Upstreams};
//!
//! let url = "http://127.0.0.1:11434".into();
//! let local = UpstreamSpec { name: "local".into(), kind: Kind::Ollama, url, key: None, parallel: None };
//! let upstreams = Upstreams::new(vec![local], Vec::new(), Settings::default())?;
//! let mut reply = upstreams.chat(request.into(), Context::default()).await?;
//! while let Some(events) = reply.events.next().await {
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
mod demo;
mod error;
mod kept;
mod kind;
mod loads;
mod manage;
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
pub use context::{Context, MayCall, Phase, Priority, Progress};
pub use demo::DEMO_MODEL;
pub use error::{Fault, SetupError, UpstreamError};
pub use loads::{SWITCHES_MAX, THRASH_WITHIN};
pub use manage::ManageBody;
pub use scheduler::CLASS_WAIT_MAX;
pub use server::{ANSWER_BYTES_MAX, HEALTH_LIMIT, NUM_CTX_MAX, VOCABULARY_BYTES_MAX};
pub use spec::{Kind, ModelSpec, QueueSpec, Settings, Timeouts, UpstreamSpec};
pub use stream::EventStream;
pub use upstreams::{EmbedReply, Model, Reply, UpstreamStatus, Upstreams};
