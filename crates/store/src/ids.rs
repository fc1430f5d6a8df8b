//! Ids of documents: those that their writers gave them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::civil::Date;
use tantivy::columnar::{Column, Dictionary};
use tantivy::{DocId, SegmentReader};
use tollhouse_query::ast::{Query, SearchRequest, SourceFilter};
use tollhouse_query::dsl;
use tollhouse_shape::catalogue;

use crate::column::{Columns, ValueKind, text_at};
use crate::day::{Entry, date_of, day_name, read_name};
use crate::error::StoreError;
use crate::field::DOC_ID;
use crate::filter::Moment;
use crate::search;
use crate::store::{SEARCH_TIME_MAX, Store};

/// The given ids of one segment.
pub(crate) struct Ids(Option<(Column<u64>, Arc<Dictionary>)>);

impl Ids {
    pub(crate) fn open(segment: &SegmentReader) -> Result<Self, StoreError> {
        let column = Columns::open(segment, DOC_ID)?.list.into_iter().find_map(|column| match column.kind {
            ValueKind::Text(dictionary) => Some((column.values, dictionary)),
            ValueKind::Number(_) => None,
        });
        Ok(Self(column))
    }

    /// The id that this document was given.
    pub(crate) fn given(&self, doc: DocId) -> Result<Option<String>, StoreError> {
        let Some((values, dictionary)) = &self.0 else { return Ok(None) };
        values.first(doc).map(|ord| text_at(dictionary, ord)).transpose()
    }
}

impl Store {
    /// Which of these ids documents of an index have, as far as they can be found by now. Blocks.
    pub fn known_ids(&self, index: &str, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        let Some(day) = self.inner.day(index) else { return Ok(HashSet::new()) };
        let request = SearchRequest {
            query: Query::Ids(ids.to_vec()),
            size: ids.len(),
            source: SourceFilter { off: true, ..SourceFilter::default() },
            track_total_hits: None,
            ..dsl::parse_search(&serde_json::Value::Null)?
        };
        let found = search::search(
            &[day],
            &request,
            catalogue(),
            &self.inner.memory,
            Moment::now(),
            Instant::now() + SEARCH_TIME_MAX,
            search::Asker::Someone,
        )?;
        if found.timed_out {
            return Err(StoreError::TimedOut { doing: "looking for ids" });
        }
        Ok(found.hits.hits.into_iter().map(|hit| hit.id).collect())
    }

    /// The name of the index of a service's day.
    pub fn name_of_day(service: &str, day: Date) -> String {
        day_name(service, day)
    }

    /// Whether an index can have this name: that of a service, and a date.
    pub fn is_index_name(name: &str) -> bool {
        matches!(read_name(name), Some((_, Entry::Day(_))))
    }

    /// Whether documents of this day are kept by their age.
    pub fn keeps(&self, day: Date) -> bool {
        self.inner.is_kept(day, date_of(Timestamp::now().as_millisecond()))
    }

    /// Makes an empty index, if there is none of this name. Blocks.
    pub fn create(&self, service: &str, day: Date) -> Result<String, StoreError> {
        let name = day_name(service, day);
        self.inner.day_or_create(&name)?;
        Ok(name)
    }

    /// The services that have indices.
    pub fn services(&self) -> HashSet<String> {
        self.inner.days().iter().map(|day| day.service().to_owned()).collect()
    }
}
