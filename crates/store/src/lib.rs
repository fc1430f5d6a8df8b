//! Day indices of the journal's records: written by following the journal, searched like Elasticsearch.
//!
//! # What is here
//!
//! - [`Store`] is all days of one service; [`Store::search`] and [`Store::count`] run a plan of `tollhouse-query` over
//!   them, [`Store::indices`] and [`Store::mapping`] describe them.
//! - [`Indexer`], from [`Store::follow`], is the one thread that writes: it reads the journal, shapes each line and
//!   commits it to the index of its day, so that it can be found within a second.
//! - [`SearchResponse`] is the answer, in Elasticsearch's form.
//!
//! # How it is stored
//!
//! A day is a Tantivy index in a folder of its own (`<service>-2026.01.27`), so that keeping for a time is removing
//! folders. All fields but texts are columns; texts are words with positions; the document itself is stored. Conditions
//! make sets of documents of each segment; hits are the best of these by any columns; aggregations are one pass over
//! columns. Segments and days are independent, their results are merged, and what is answered does not depend on how the
//! documents are spread over them. What a segment answered is remembered, as segments never change.
//!
//! # Invariants
//!
//! 1. An index is derived. Each commit says which record of the journal it reached; a record is in exactly one index,
//!    once, wherever the process was killed.
//! 2. A folder that cannot be opened, or is of another version, is set aside and made again from the journal. Nothing here
//!    needs a human to remove a file.
//! 3. An index is only added to: no document is ever changed or deleted, days are dropped as a whole: by age, by size, or
//!    because a record of the journal says so ([`INDEX_DELETED`]).
//! 4. What can grow is bounded: undeclared fields of a day, buckets of a search, its time, writers and their memory.
//!
//! It never writes the journal, never answers HTTP, and never scores: hits are ordered by fields, newest first unless asked
//! otherwise.
//!
//! # Example
//!
//! ```
//! use tollhouse_query::{dsl, Query};
//! use tollhouse_store::{Store, StoreOptions};
//!
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().to_owned();
//! let store = Store::open(StoreOptions { dir, service: "gate".into(), keep_days: 30, keep_bytes: 20 << 30 })?;
//! let request = dsl::parse_search(&serde_json::json!({"query": {"term": {"kind": "request"}}, "size": 1}))?;
//! assert_eq!(store.search("gate-*", &request)?.hits.hits.len(), 0);
//! assert_eq!(store.count("_all", &Query::MatchAll)?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agg;
mod answer;
mod answers;
mod bits;
mod column;
mod day;
mod error;
mod field;
mod filter;
mod ids;
mod indexer;
mod lock;
mod lru;
mod pass;
mod print;
mod row;
mod schema;
mod search;
mod seqs;
mod shown;
mod sort;
mod standing;
mod store;
#[cfg(test)]
mod tests;
mod underway;
mod warmer;

pub use answer::{Hit, Hits, SearchResponse, Shards, Total};
pub use error::StoreError;
pub use indexer::{INDEX_DELETED, Indexer};
pub use store::{IndexInfo, SEARCH_TIME_MAX, Store, StoreOptions, StoreStats};
