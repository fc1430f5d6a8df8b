//! Remembers which documents of a segment fulfil a filter, for filters that come again.
//!
//! A segment never changes, and no document is ever deleted from one, so that what is remembered stays true; of segments that are
//! gone it is asked for no more and is forgotten first. A filter is remembered from its second sighting on in a segment: most
//! of them, as those with `now` in them, never come again.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::{self, Write};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use tantivy::index::SegmentId;

use super::Filter;
use crate::bits::Docs;
use crate::lock::Lock;

/// Memory of all that is remembered.
const BYTES_MAX: usize = 16 << 20;
/// What is remembered of a small segment would not be worth its place.
const SEGMENT_DOCS_MIN: u32 = if cfg!(test) { 2 } else { 8_192 };
/// Sightings that are remembered; then they are counted anew.
const SEEN_MAX: usize = 16_384;
/// Longest text of a filter that can be remembered; a list of values may be long, and an expression has tables.
const FILTER_CHARS_MAX: usize = 4 << 10;
/// About what a set takes besides its bits.
const SET_BYTES: usize = 160;

/// A filter in a segment. Filters are told apart by two hashes with keys of this process: 128 bits that nobody can aim at.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Print {
    segment: SegmentId,
    hashes: [u64; 2],
}

/// What is remembered. One for all days.
#[derive(Debug, Default)]
pub(crate) struct FilterCache {
    keys: [RandomState; 2],
    kept: Lock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sets: HashMap<Print, Set>,
    /// By when they were last asked for.
    order: BTreeMap<u64, Print>,
    seen: HashSet<Print>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Set {
    docs: Arc<Docs>,
    bytes: usize,
    asked: u64,
}

/// What is known of a filter in a segment.
pub(super) enum Known {
    /// These documents fulfil it.
    Docs(Arc<Docs>),
    /// It has come before: what it finds is to be kept.
    Again(Print),
    /// It is new, or is never kept.
    Nothing,
}

impl FilterCache {
    /// What is known of a filter in a segment of so many documents.
    pub(super) fn ask(&self, filter: &Filter, segment: SegmentId, max_doc: u32) -> Known {
        if max_doc < SEGMENT_DOCS_MIN || matches!(filter, Filter::All | Filter::None | Filter::Slice { .. }) {
            return Known::Nothing;
        }
        let Some(hashes) = self.hashes(filter) else { return Known::Nothing };
        let print = Print { segment, hashes };
        let mut kept = self.kept.lock();
        if let Some(docs) = kept.find(print) {
            return Known::Docs(docs);
        }
        if kept.seen.len() >= SEEN_MAX {
            kept.seen.clear();
        }
        if kept.seen.insert(print) { Known::Nothing } else { Known::Again(print) }
    }

    /// Remembers what a filter has found; whatever was not asked for the longest is forgotten for it.
    pub(super) fn keep(&self, print: Print, docs: &Docs) {
        let bytes = SET_BYTES + docs.bytes();
        self.kept.lock().keep(print, Arc::new(docs.clone()), bytes);
    }

    /// The hashes of a filter; nothing for one whose text is too long.
    fn hashes(&self, filter: &Filter) -> Option<[u64; 2]> {
        let mut text = Hashed { hashers: self.keys.each_ref().map(BuildHasher::build_hasher), room: FILTER_CHARS_MAX };
        write!(text, "{filter:?}").ok()?;
        Some(text.hashers.map(|hasher| hasher.finish()))
    }
}

impl Kept {
    fn find(&mut self, print: Print) -> Option<Arc<Docs>> {
        let set = self.sets.get_mut(&print)?;
        self.clock += 1;
        self.order.remove(&set.asked);
        set.asked = self.clock;
        self.order.insert(self.clock, print);
        Some(set.docs.clone())
    }

    fn keep(&mut self, print: Print, docs: Arc<Docs>, bytes: usize) {
        // Two searches may have found it at once.
        if bytes > BYTES_MAX || self.sets.contains_key(&print) {
            return;
        }
        while self.bytes + bytes > BYTES_MAX {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.bytes -= self.sets.remove(&oldest).map_or(0, |set| set.bytes);
        }
        self.clock += 1;
        self.order.insert(self.clock, print);
        self.sets.insert(print, Set { docs, bytes, asked: self.clock });
        self.bytes += bytes;
    }
}

/// Hashes a text as it is written.
struct Hashed<H> {
    hashers: [H; 2],
    room: usize,
}

impl<H: Hasher> Write for Hashed<H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.room = self.room.checked_sub(text.len()).ok_or(fmt::Error)?;
        self.hashers.iter_mut().for_each(|hasher| hasher.write(text.as_bytes()));
        Ok(())
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
            let Known::Again(print) = cache.ask(&filter(text), segment(1), 9) else { panic!("{text}") };
            cache.keep(print, &some(9));
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
                if let Known::Again(print) = cache.ask(&filter("a:1"), segment(number), max_doc) {
                    cache.keep(print, &docs);
                }
            }
        };
        for number in 1..=100 {
            keep(number);
            assert!(matches!(cache.ask(&filter("a:1"), segment(1), max_doc), Known::Docs(_)), "{number}");
            let kept = cache.kept.lock();
            assert!(kept.bytes <= BYTES_MAX && kept.sets.len() == kept.order.len());
            assert_eq!(kept.bytes, kept.sets.values().map(|set| set.bytes).sum::<usize>());
        }
        assert!((20..32).contains(&cache.kept.lock().sets.len()));
        assert!(matches!(cache.ask(&filter("a:1"), segment(100), max_doc), Known::Docs(_)));
    }
}
