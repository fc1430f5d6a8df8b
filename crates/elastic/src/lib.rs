//! The Elasticsearch-compatible HTTP API over the embedded store, so that tools made for Elasticsearch work unchanged.
//!
//! - [`router`] answers what clients and tools ask first (`GET /`, `_cat/indices`, `_mapping`, `_cluster/health`) and
//!   what they come for (`_search`, `_count`). Its paths are relative to where it is mounted.
//! - [`search()`] is the same search for callers inside the house.
//! - Errors have Elasticsearch's bodies; [`ElasticError`] is the one table of what is answered to what.
//!
//! Every answer carries `X-Elastic-Product: Elasticsearch`; the media types `compatible-with=8` and `=9` are taken and
//! given back. What is asked for and not supported is an error that says so, never an answer to another question.
//!
//! It never checks who asks (that is done outside), never writes to an index, and lets no more searches run at once than
//! the machine can bear: the others wait, and when too many wait they are refused with 429.
//!
//! ```
//! use axum::body::Body;
//! use axum::http::{Request, StatusCode};
//! use tollhouse_store::{Store, StoreOptions};
//! use tower::ServiceExt;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().to_owned();
//! # runtime.block_on(async {
//! let store = Store::open(StoreOptions { dir, service: "gate".into(), keep_days: 30, keep_bytes: 20 << 30 })?;
//! let answer = tollhouse_elastic::router(store).oneshot(Request::get("/_search?q=kind:request").body(Body::empty())?).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//! assert_eq!(answer.headers()["x-elastic-product"], "Elasticsearch");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asked;
mod cat;
mod error;
mod info;
mod media;
mod pretty;
mod router;
mod search;
#[cfg(test)]
mod tests;

pub use error::ElasticError;
pub use router::router;
pub use search::search;
