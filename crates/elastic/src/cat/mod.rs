//! The tables of `_cat`, as Elasticsearch draws them: for people as text, for programs as JSON.

mod bytes;
mod rows;
mod table;

pub(crate) use rows::{aliases, count, health, help, indices, nodes, shards, templates};
