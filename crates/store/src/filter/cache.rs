//! Remembers which documents of a segment fulfil a filter, for filters that come again.
//!
//! A segment never changes, and no document is ever deleted from one, so that what is remembered stays true; of segments that are
//! gone it is asked for no more and is forgotten first. A filter is remembered from its second sighting on in a segment: most
//! of them, as those with `now` in them, never come again.

use std::sync::Arc;

use tantivy::index::SegmentId;

use super::Filter;
use crate::bits::Docs;
use crate::lock::Lock;
use crate::lru::Lru;
use crate::print::{Print, Printer};

/// Memory of all that is remembered.
const BYTES_MAX: usize = 16 << 20;
/// What is remembered of a small segment would not be worth its place.
const SEGMENT_DOCS_MIN: u32 = if cfg!(test) { 2 } else { 8_192 };
/// Longest text of a filter that can be remembered; a list of values may be long, and an expression has tables.
const FILTER_BYTES_MAX: usize = 4 << 10;
/// About what a set takes besides its bits.
const SET_BYTES: usize = 160;

/// A filter in a segment.
type Key = (SegmentId, Print);

/// What is remembered. One for all days.
#[derive(Debug)]
pub(crate) struct FilterCache {
    printer: Printer,
    kept: Lock<Lru<Key, Arc<Docs>>>,
}

/// What is known of a filter in a segment.
pub(super) enum Known {
    /// These documents fulfil it.
    Docs(Arc<Docs>),
    /// It has come before: what it finds is to be kept.
    Again(Key),
    /// It is new, or is never kept.
    Nothing,
}

impl Default for FilterCache {
    fn default() -> Self {
        Self { printer: Printer::default(), kept: Lock::new(Lru::new(BYTES_MAX)) }
    }
}

impl FilterCache {
    /// What is known of a filter in a segment of so many documents.
    pub(super) fn ask(&self, filter: &Filter, segment: SegmentId, max_doc: u32) -> Known {
        if max_doc < SEGMENT_DOCS_MIN || matches!(filter, Filter::All | Filter::None | Filter::Slice { .. }) {
            return Known::Nothing;
        }
        let Some(print) = self.printer.print(format_args!("{filter:?}"), FILTER_BYTES_MAX) else {
            return Known::Nothing;
        };
        let key = (segment, print);
        let mut kept = self.kept.lock();
        match kept.find(key) {
            Some(docs) => Known::Docs(docs),
            None if kept.has_come(key) => Known::Again(key),
            None => Known::Nothing,
        }
    }

    /// Remembers what a filter has found; whatever was not asked for the longest is forgotten for it.
    pub(super) fn keep(&self, key: Key, docs: &Docs) {
        self.kept.lock().keep(key, Arc::new(docs.clone()), SET_BYTES + docs.bytes());
    }
}

#[cfg(test)]
mod tests {
    use tollhouse_query::ast::Query;
    use tollhouse_shape::catalogue;

    use super::*;
    use crate::bits::Bits;
    use crate::filter::Moment;

    fn filter(text: &str) -> Filter {
        let query = tollhouse_query::lucene::parse(text, &tollhouse_query::lucene::LuceneOptions::default()).unwrap();
        Filter::plan(&query, catalogue(), Moment { now_ms: 0 }).unwrap()
    }

    fn segment(number: u8) -> SegmentId {
        SegmentId::from_uuid_string(&format!("{number:032x}")).unwrap()
    }

    fn some(max_doc: u32) -> Docs {
        let mut bits = Bits::new(max_doc);
        bits.insert(1);
        bits.into()
    }

    #[test]
    fn what_comes_again_is_kept_by_filter_and_segment() {
        let cache = FilterCache::default();
        let texts = ["a:1", "a:2", "b:1", "a:[1 TO 2]", "a:[1 TO 2}", "a:x*", "NOT a:1", "msg:\"x y\"", "_exists_:a"];
        for text in texts {
            for number in [1, 2] {
                assert!(matches!(cache.ask(&filter(text), segment(number), 9), Known::Nothing), "{text}");
            }
        }
        for text in texts {
            let Known::Again(key) = cache.ask(&filter(text), segment(1), 9) else { panic!("{text}") };
            cache.keep(key, &some(9));
            assert!(matches!(cache.ask(&filter(text), segment(1), 9), Known::Docs(_)), "{text}");
            assert!(matches!(cache.ask(&filter(text), segment(2), 9), Known::Again(_)), "{text}");
        }
        for never in [Query::MatchAll, Query::Slice { id: 1, max: 2 }] {
            let filter = Filter::plan(&never, catalogue(), Moment { now_ms: 0 }).unwrap();
            for _ in 0..3 {
                assert!(matches!(cache.ask(&filter, segment(1), 9), Known::Nothing));
            }
        }
        assert!(matches!(cache.ask(&filter("a:1"), segment(1), 1), Known::Nothing), "small segments are not worth it");
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_asked_for_stays() {
        let cache = FilterCache::default();
        let (docs, max_doc) = (some(4 << 20), 4 << 20);
        let keep = |number: u8| {
            for _ in 0..2 {
                if let Known::Again(key) = cache.ask(&filter("a:1"), segment(number), max_doc) {
                    cache.keep(key, &docs);
                }
            }
        };
        for number in 1..=100 {
            keep(number);
            assert!(matches!(cache.ask(&filter("a:1"), segment(1), max_doc), Known::Docs(_)), "{number}");
            assert!(cache.kept.lock().bytes() <= BYTES_MAX);
        }
        assert!((20..32).contains(&cache.kept.lock().len()));
        assert!(matches!(cache.ask(&filter("a:1"), segment(100), max_doc), Known::Docs(_)));
    }
}
