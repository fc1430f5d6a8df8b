//! Searching several days: segment by segment the filter, the best hits and the aggregations, then everything merged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tantivy::schema::Value as _;
use tantivy::store::StoreReader;
use tantivy::{Searcher, SegmentReader, TantivyDocument};
use tollhouse_query::ast::{Query, SearchRequest, SourceFilter};
use tollhouse_query::dsl::RESULT_WINDOW_MAX;
use tollhouse_query::fields::Fields;
use tollhouse_query::{ParseError, Pattern};

use crate::agg::collect::Segment;
use crate::agg::partial::Partial;
use crate::agg::plan::{AggPlan, LevelPlan, plan};
use crate::agg::render::Renderer;
use crate::agg::shown::{defer, narrow, nest};
use crate::agg::universe::prepare;
use crate::answer::{Hit, Hits, SearchResponse, Shards, Total};
use crate::answers::Answers;
use crate::bits::Docs;
use crate::day::Day;
use crate::error::StoreError;
use crate::filter::{Filter, FilterCache, Moment, SegmentFilter};
use crate::ids::Ids;
use crate::pass::{Memory, Pass, Wanted};
use crate::schema::layout;
use crate::shown::Shown;
use crate::sort::{Found, Place, SegmentSort, SortPlan, keep_best};

/// Blocks of stored documents that are kept unpacked while hits are read.
const SOURCE_BLOCKS_CACHED: usize = 4;

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) enum Asker<'a> {
    /// Whoever waits for the answer.
    Someone,
    /// The house, to have what segments answer remembered, for as long as it may: it is asked before each segment.
    House { may_go_on: &'a dyn Fn() -> bool },
}

/// Runs a search over these days; what was not looked at when `deadline` passes is left out of the answer.
pub(crate) fn search(
    days: &[Arc<Day>],
    request: &SearchRequest,
    fields: &Fields,
    memory: &Memory,
    moment: Moment,
    deadline: Instant,
    asker: Asker<'_>,
) -> Result<SearchResponse, StoreError> {
    let started = Instant::now();
    let window = request.from.saturating_add(request.size);
    if window > RESULT_WINDOW_MAX {
        return Err(StoreError::invalid(format!(
            "Result window is too large, from + size must be less than or equal to: [{RESULT_WINDOW_MAX}] but was [{window}]. See the scroll api for a more efficient way to request large data sets. This limit can be set by changing the [index.max_result_window] index level setting."
        )));
    }
    let filter = Filter::plan(&request.query, fields, moment)?;
    let post_filter = request.post_filter.as_ref().map(|query| Filter::plan(query, fields, moment)).transpose()?;
    let sort = SortPlan::new(&request.sort, fields, moment)?;
    check_mapped(&sort, days)?;
    let mut aggs = plan(&request.aggs, fields, moment)?;

    let standing = match asker {
        Asker::Someone => memory.standing.print(request, &filter, &aggs)?,
        Asker::House { .. } => None,
    };
    let asked = days;
    let days = Opened::new(asked);
    let cache = &memory.filters;
    prepare(&mut aggs, &days.segments(), cache, deadline)?;
    let deferred = defer(&mut aggs, &days.segments())?;
    let mut run = Run {
        cache,
        // Hits alone are found soon, and what looks for documents by their ids never comes again.
        answers: (!aggs.is_empty()).then_some(&memory.answers),
        filter: &filter,
        post_filter: post_filter.as_ref(),
        sort: &sort,
        after: &request.search_after,
        moment,
        aggs: &aggs,
        hits_wanted: if request.size == 0 { 0 } else { window },
        deadline,
        asker,
        timed_out: false,
        total: 0,
        found: Vec::new(),
        partials: aggs.aggs.iter().map(Partial::empty).collect(),
        kept: (!deferred.is_empty()).then(Vec::new),
    };
    let order: Vec<usize> =
        if sort.prefers_new() { (0..days.list.len()).rev().collect() } else { (0..days.list.len()).collect() };
    for day in order {
        run.day(day as u32, &days.list[day].1)?;
    }

    let Run { mut timed_out, total, mut found, mut partials, kept, .. } = run;
    if let Some(print) = standing {
        memory.standing.note(print, asked, request, total, moment.now_ms);
    }
    if let Some(kept) = kept {
        let places = narrow(&mut aggs, deferred, &mut partials);
        let nested = Nested { cache, answers: &memory.answers, filter: &filter, days: &days, deadline };
        timed_out |= nested.add(&mut partials, &aggs, &places, kept)?;
    }
    found.drain(..request.from.min(found.len()));
    let mut sources = Sources::new(&days);
    let mut hits = sources.hits(&sort, &request.source, &found)?;
    if !request.fields.is_empty() || !request.docvalue_fields.is_empty() {
        sources.add_fields(&found, &mut hits, &Shown::new(request, fields)?)?;
    }
    if request.bare {
        for hit in &mut hits {
            (hit.id, hit.source) = (String::new(), None);
        }
    }
    let aggregations = if aggs.is_empty() {
        None
    } else {
        let mut fetch = |sort: &SortPlan, source: &SourceFilter, found: &[Found]| {
            let hits = sources.hits(sort, source, found)?;
            hits.iter().map(|hit| Ok(serde_json::to_value(hit).unwrap_or_default())).collect()
        };
        Some(Renderer::new(&mut fetch).answer(&aggs, partials)?)
    };
    Ok(SearchResponse {
        took: started.elapsed().as_millis() as u64,
        timed_out,
        shards: Shards::all(days.list.len()),
        hits: Hits {
            total: request.track_total_hits.map(|limit| total_of(total, limit)),
            max_score: (!hits.is_empty() && !sort.is_explicit).then_some(1.0),
            hits,
        },
        aggregations,
    })
}

/// Counts the documents of these days that fulfil a query.
pub(crate) fn count(
    days: &[Arc<Day>],
    query: &Query,
    fields: &Fields,
    cache: &FilterCache,
    moment: Moment,
) -> Result<u64, StoreError> {
    let filter = Filter::plan(query, fields, moment)?;
    let mut total = 0;
    for (_, searcher) in &Opened::new(days).list {
        for reader in searcher.segment_readers() {
            total += SegmentFilter::new(reader, cache).docs(&filter)?.count(reader.max_doc());
        }
    }
    Ok(total)
}

/// Sorting by a field that none of the days has is more likely a mistyped name than a wish.
fn check_mapped(sort: &SortPlan, days: &[Arc<Day>]) -> Result<(), StoreError> {
    for name in sort.doubtful() {
        let mut is_known = days.is_empty();
        for day in days {
            is_known = is_known || day.extra_field_names()?.contains(name);
        }
        if !is_known {
            return Err(ParseError::shard(format!("No mapping found for [{name}] in order to sort on")).into());
        }
    }
    Ok(())
}

fn total_of(value: u64, limit: u64) -> Total {
    if value > limit { Total { value: limit, relation: "gte" } } else { Total { value, relation: "eq" } }
}

/// The days as they are at this moment; commits from now on do not change what is searched.
struct Opened {
    list: Vec<(String, Searcher)>,
}

impl Opened {
    /// The segments of all days.
    fn segments(&self) -> Vec<&SegmentReader> {
        self.list.iter().flat_map(|(_, searcher)| searcher.segment_readers()).collect()
    }

    fn new(days: &[Arc<Day>]) -> Self {
        Self { list: days.iter().map(|day| (day.name.clone(), day.reader.searcher())).collect() }
    }
}

/// A search under way.
struct Run<'a> {
    cache: &'a FilterCache,
    answers: Option<&'a Answers>,
    filter: &'a Filter,
    /// What of it are hits.
    post_filter: Option<&'a Filter>,
    sort: &'a SortPlan,
    after: &'a [Value],
    moment: Moment,
    aggs: &'a LevelPlan,
    hits_wanted: usize,
    deadline: Instant,
    asker: Asker<'a>,
    timed_out: bool,
    total: u64,
    found: Vec<Found>,
    partials: Vec<Partial>,
    /// The documents found, where they are gone through a second time.
    kept: Option<Vec<Kept>>,
}

/// The documents found in one segment; nothing where they did not have to be found out.
struct Kept {
    day: u32,
    segment: u32,
    docs: Option<Docs>,
}

impl Run<'_> {
    fn day(&mut self, day: u32, searcher: &Searcher) -> Result<(), StoreError> {
        for (number, reader) in searcher.segment_readers().iter().enumerate() {
            let may_go_on = match self.asker {
                Asker::Someone => true,
                Asker::House { may_go_on } => may_go_on(),
            };
            if self.timed_out || Instant::now() >= self.deadline || !may_go_on {
                self.timed_out = true;
                return Ok(());
            }
            let filter = SegmentFilter::new(reader, self.cache);
            self.segment(&Segment { reader, filter: &filter, day, number: number as u32 })?;
        }
        Ok(())
    }

    fn segment(&mut self, segment: &Segment<'_>) -> Result<(), StoreError> {
        let mut pass = Pass::new(segment, self.filter, self.answers, self.deadline)?;
        // Which of the documents are hits, unless all are.
        let among = match self.post_filter {
            Some(post_filter) => Some(pass.docs()?.clone().and(segment.filter.docs(post_filter)?)),
            None => None,
        };
        let count = pass.count()?;
        self.total += among.as_ref().map_or(count, |among| among.count(segment.reader.max_doc()));
        if count == 0 && !self.aggs.needs_all_segments() {
            return Ok(());
        }
        let sort = self.segment_sort(segment)?;
        if sort.is_none() && self.aggs.is_empty() {
            return Ok(());
        }
        let wanted = sort.map(|sort| Wanted {
            plan: self.sort,
            sort,
            size: self.hits_wanted,
            among: among.as_ref(),
            is_behind: !self.after.is_empty(),
        });
        let plans: Vec<&AggPlan> = self.aggs.aggs.iter().collect();
        let (found, partials) = pass.go(&plans, wanted.as_ref())?;
        if wanted.is_some() {
            self.found.extend(found);
            keep_best(self.sort, &mut self.found, self.hits_wanted);
        }
        for ((ours, theirs), plan) in self.partials.iter_mut().zip(partials).zip(plans) {
            ours.merge(theirs, plan)?;
        }
        self.timed_out |= pass.timed_out();
        if let Some(kept) = &mut self.kept {
            kept.push(Kept { day: segment.day, segment: segment.number, docs: pass.into_docs() });
        }
        Ok(())
    }

    /// The sort columns, unless no hit of this segment can be among those wanted.
    fn segment_sort(&self, segment: &Segment<'_>) -> Result<Option<SegmentSort>, StoreError> {
        if self.hits_wanted == 0 {
            return Ok(None);
        }
        let sort = SegmentSort::behind(self.sort, self.after, segment.reader, self.moment)?;
        let is_full = self.found.len() == self.hits_wanted;
        Ok(match self.found.last() {
            Some(worst) if is_full && sort.is_behind(worst) => None,
            _ => Some(sort),
        })
    }
}

/// What is nested in the buckets that are shown, collected in a second pass.
struct Nested<'a> {
    cache: &'a FilterCache,
    answers: &'a Answers,
    filter: &'a Filter,
    days: &'a Opened,
    deadline: Instant,
}

impl Nested<'_> {
    /// Collects it from the segments that had documents. Whether time ran out before the end.
    fn add(
        &self,
        partials: &mut [Partial],
        aggs: &LevelPlan,
        places: &[usize],
        kept: Vec<Kept>,
    ) -> Result<bool, StoreError> {
        let plans: Vec<_> = places.iter().map(|place| &aggs.aggs[*place]).collect();
        let mut nested: Vec<Partial> = plans.iter().map(|plan| Partial::empty(plan)).collect();
        let mut timed_out = false;
        for Kept { day, segment, docs } in kept {
            let reader = self.days.list[day as usize].1.segment_reader(segment);
            let filter = SegmentFilter::new(reader, self.cache);
            let segment = Segment { reader, filter: &filter, day, number: segment };
            let mut pass = Pass::new(&segment, self.filter, Some(self.answers), self.deadline)?.with_docs(docs);
            let (_, theirs) = pass.go(&plans, None)?;
            for ((ours, theirs), plan) in nested.iter_mut().zip(theirs).zip(&plans) {
                ours.merge(theirs, plan)?;
            }
            timed_out |= pass.timed_out();
        }
        for ((place, nested), plan) in places.iter().zip(nested).zip(plans) {
            nest(&mut partials[*place], nested, plan);
        }
        Ok(timed_out)
    }
}

/// Reads the stored documents of hits.
struct Sources<'a> {
    days: &'a Opened,
    readers: HashMap<(u32, u32), StoreReader>,
    ids: HashMap<(u32, u32), Ids>,
}

impl<'a> Sources<'a> {
    fn new(days: &'a Opened) -> Self {
        Self { days, readers: HashMap::new(), ids: HashMap::new() }
    }

    fn hits(&mut self, sort: &SortPlan, source: &SourceFilter, found: &[Found]) -> Result<Vec<Hit>, StoreError> {
        let mut sources: HashMap<Place, Box<RawValue>> = HashMap::new();
        if !source.off {
            let filter = SourcePatterns::new(source);
            // In the order they are stored, so that each block is unpacked once.
            let mut places: Vec<Place> = found.iter().map(|found| found.place).collect();
            places.sort_unstable();
            for place in places {
                sources.insert(place, self.source(place, &filter)?);
            }
        }
        let mut hits = Vec::with_capacity(found.len());
        for found in found {
            hits.push(Hit {
                index: self.days.list[found.place.day as usize].0.clone(),
                id: self.id(found)?,
                score: (!sort.is_explicit).then_some(1.0),
                source: sources.remove(&found.place),
                fields: None,
                highlight: None,
                sort: sort.is_explicit.then(|| sort.values(found)),
            });
        }
        Ok(hits)
    }

    /// The id that its writer gave it, else the number of its record.
    fn id(&mut self, found: &Found) -> Result<String, StoreError> {
        let Place { day, segment, doc } = found.place;
        let ids = match self.ids.entry((day, segment)) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Ids::open(self.days.list[day as usize].1.segment_reader(segment))?)
            }
        };
        Ok(ids.given(doc)?.unwrap_or_else(|| found.seq.to_string()))
    }

    /// Adds the values that were asked for by name.
    fn add_fields(&mut self, found: &[Found], hits: &mut [Hit], shown: &Shown<'_>) -> Result<(), StoreError> {
        let whole = SourcePatterns::new(&SourceFilter::default());
        for (found, hit) in found.iter().zip(hits) {
            let source: Map<String, Value> = serde_json::from_str(self.source(found.place, &whole)?.get())
                .map_err(|error| StoreError::column("reading a stored document")(error.into()))?;
            let fields = shown.of(&source);
            hit.fields = (!fields.is_empty()).then_some(fields);
        }
        Ok(())
    }

    fn source(&mut self, place: Place, filter: &SourcePatterns) -> Result<Box<RawValue>, StoreError> {
        let doing = "reading a stored document";
        let days = self.days;
        let reader = match self.readers.entry((place.day, place.segment)) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let segment = days.list[place.day as usize].1.segment_reader(place.segment);
                let reader = segment.get_store_reader(SOURCE_BLOCKS_CACHED).map_err(StoreError::column(doing))?;
                entry.insert(reader)
            }
        };
        let row: TantivyDocument = reader.get(place.doc).map_err(StoreError::tantivy(doing))?;
        let text = row.get_first(layout().source).and_then(|value| value.as_str()).unwrap_or("{}");
        let bad = |error: serde_json::Error| StoreError::column(doing)(error.into());
        if filter.is_empty() {
            return RawValue::from_string(text.to_owned()).map_err(bad);
        }
        let source: Map<String, Value> = serde_json::from_str(text).map_err(bad)?;
        serde_json::value::to_raw_value(&filter.apply("", source, false)).map_err(bad)
    }
}

/// `_source` includes and excludes; a pattern on an object means all of it.
struct SourcePatterns {
    includes: Vec<Pattern>,
    excludes: Vec<Pattern>,
}

impl SourcePatterns {
    fn new(filter: &SourceFilter) -> Self {
        let patterns = |patterns: &[String]| patterns.iter().map(|pattern| Pattern::new(pattern)).collect();
        Self { includes: patterns(&filter.includes), excludes: patterns(&filter.excludes) }
    }

    fn is_empty(&self) -> bool {
        self.includes.is_empty() && self.excludes.is_empty()
    }

    fn apply(&self, prefix: &str, object: Map<String, Value>, is_included: bool) -> Map<String, Value> {
        let mut kept = Map::new();
        for (key, value) in object {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.is_match(&path));
            if fits(&self.excludes) {
                continue;
            }
            let is_included = is_included || self.includes.is_empty() || fits(&self.includes);
            match value {
                Value::Object(inner) => {
                    let was_empty = inner.is_empty();
                    let inner = self.apply(&path, inner, is_included);
                    if !inner.is_empty() || (was_empty && is_included) {
                        kept.insert(key, inner.into());
                    }
                }
                value if is_included => {
                    kept.insert(key, value);
                }
                _ => {}
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn source_patterns() {
        let source = json!({"a": {"b": 1, "c": 2}, "msg": "x", "model_name": "m"});
        for (includes, excludes, expected) in [
            (vec!["msg"], vec![], json!({"msg": "x"})),
            (vec!["m*"], vec!["msg"], json!({"model_name": "m"})),
            (vec!["a"], vec![], json!({"a": {"b": 1, "c": 2}})),
            (vec!["a.b"], vec![], json!({"a": {"b": 1}})),
            (vec![], vec!["a.b", "m*"], json!({"a": {"c": 2}})),
            (vec![], vec!["a.*"], json!({"msg": "x", "model_name": "m"})),
            (vec!["nothing"], vec![], json!({})),
        ] {
            let strings = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            let filter = SourceFilter { off: false, includes: strings(&includes), excludes: strings(&excludes) };
            let found = SourcePatterns::new(&filter).apply("", source.as_object().unwrap().clone(), false);
            assert_eq!(Value::from(found), expected, "{includes:?} {excludes:?}");
        }
    }
}
