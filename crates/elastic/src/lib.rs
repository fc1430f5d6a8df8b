//! The Elasticsearch-compatible HTTP API over the embedded store or the cluster in its place, so that tools made for Elasticsearch work unchanged.
//!
//! - [`Elastic::router`] answers what clients and tools ask first (`GET /`, `_cat`, `_mapping`, `_cluster/health`, templates)
//!   and what they come for: `_search`, `_msearch`, `_count`, scrolls, points in time, documents by id; and `_bulk`, by
//!   which they write into a [`Book`]. Its paths are relative to where it is mounted.
//! - [`Right::of`] says what a key must be allowed to for a request, [`Scope`] which indices it may use.
//! - [`search()`] is the same search for callers inside the house.
//! - Errors have Elasticsearch's bodies; [`ElasticError`] is the one table of what is answered to what.
//!
//! Every answer carries `X-Elastic-Product: Elasticsearch`; the media types `compatible-with=8` and `=9` are taken and
//! given back. What is asked for and not supported is an error that says so, never an answer to another question.
//!
//! It never checks who asks (that is done outside), never writes to an index itself, never changes a document, and lets no more searches run at once than
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
//! # let (dir, definitions) = (dir.path().to_owned(), dir.path().join("definitions.json"));
//! # runtime.block_on(async {
//! let store = Store::open(StoreOptions { dir, service: "gate".into(), keep_days: 30, keep_bytes: 20 << 30 })?;
//! let elastic = tollhouse_elastic::Elastic::new(store, definitions, None)?;
//! let answer = elastic.router().oneshot(Request::get("/_search?q=kind:request").body(Body::empty())?).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//! assert_eq!(answer.headers()["x-elastic-product"], "Elasticsearch");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asked;
mod book;
mod bulk;
mod cat;
mod claims;
mod cluster;
mod contexts;
mod definitions;
mod document;
mod elastic;
mod error;
mod fields;
mod filter_path;
mod gate;
mod gzip;
mod highlight;
mod indices;
mod media;
mod msearch;
mod names;
mod pit;
mod pretty;
mod right;
mod room;
mod router;
mod scope;
mod scroll;
mod search;
mod slice;
#[cfg(test)]
mod tests;
mod typed;
mod validate;

pub use book::{Book, By, NewDocument};
pub use elastic::Elastic;
pub use error::ElasticError;
pub use right::Right;
pub use scope::Scope;
pub use search::{mapping_here as mapping, search_here as search, searched_here};
