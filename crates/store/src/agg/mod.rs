//! Aggregations over columns, answered as Elasticsearch answers them.
//!
//! [`plan`] checks a request once; [`collect`] runs it over each segment; the [`partial`] results are merged over
//! segments and days, in any order and with the same outcome; [`render`] makes the answer of what was merged. Where few of many
//! buckets are [`shown`], what is nested in them is collected in a second pass.

mod buckets;
pub(crate) mod collect;
mod distinct;
mod kept;
mod key;
pub(crate) mod partial;
pub(crate) mod plan;
pub(crate) mod render;
pub(crate) mod shown;
mod sketch;
mod stats;
pub(crate) mod universe;
pub(crate) mod words;
