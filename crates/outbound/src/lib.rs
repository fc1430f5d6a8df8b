//! What the house needs to ask others over HTTP now and then: whom it trusts, where it never connects to, and answers that
//! are read whole within a bound.
//!
//! [`Trust`] says whose certificates are believed, [`connector`] opens connections with it, and [`rare_client`] keeps none of
//! them; [`encrypted`] is for what does not speak HTTP. [`GuardedResolver`] stands between where the address comes from somebody who may not read the machine's secrets.
//!
//! What this crate never does: follow a redirect, try again, or put a head or a body into an error. The way of a model request
//! has a client of its own (`upstream`), made for speed.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tollhouse_outbound::{GuardedResolver, Trust, rare_client, whole};
//! # use std::time::Duration;
//! let client = rare_client(GuardedResolver, &Trust::System, Duration::from_secs(5))?;
//! let request = http::Request::get("https://id.example.com/").body(http_body_util::Full::<bytes::Bytes>::default())?;
//! let body = whole(client.request(request).await?.into_body(), 64 << 10).await?;
//! # Ok(()) }
//! ```

mod client;
mod guard;
mod trust;

pub use client::{Client, Connector, connector, encrypted, rare_client, retry_after, whole};
pub use guard::{GuardedResolver, is_forbidden, resolve};
pub use trust::{OutboundError, Trust};
