//! Documents found in a real Elasticsearch or OpenSearch, in place of our own day indices.
//!
//! - [`Shelf`] is where documents are found: our own [`tollhouse_store::Store`], or a [`Remote`]. Both are asked with the
//!   same plans and answer in the same form.
//! - [`Remote`] is a cluster that the documents are shipped to. A plan becomes a search body again
//!   ([`tollhouse_query::dsl::write_search`]), in which nothing is left that a cluster would understand otherwise; the
//!   answer is brought into our form: ids are those of our own index, hits have one order and no scores.
//! - [`Delivery`] tells how far the documents were shipped, so that whoever waits for one knows when it can be there.
//!
//! A cluster that does not answer is a [`RemoteError::Away`] that says which and why. A search that is given up, because
//! whoever asked has left, ends its request, by which the cluster ends the search.
//!
//! It never writes a document, never deletes an index, and never answers a part of what was found as if it were all.
//!
//! ```no_run
//! use tollhouse_query::dsl;
//! use tollhouse_remote::{Remote, Shelf};
//! use tollhouse_ship::Client;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new("store", &["http://127.0.0.1:9200".into()], None, None)?;
//! let shelf = Shelf::Far(Remote::new(client, &["gate-*".into()], None));
//! let request = dsl::parse_search(&serde_json::json!({"query": {"term": {"kind": "request"}}}))?;
//! let days = shelf.names().await?;
//! println!("{:?}", shelf.search(days, request, ()).await?.hits.total);
//! # Ok(()) }
//! ```

mod cluster;
mod error;
mod remote;
mod reply;
mod shelf;
#[cfg(test)]
mod tests;

pub use error::{RemoteError, ShelfError};
pub use remote::{Delivery, Remote};
pub use shelf::Shelf;
