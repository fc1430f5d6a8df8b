//! Merged results as the `aggregations` of an answer, member for member as Elasticsearch writes them: put in order and
//! cut ([`Done`]), then what is computed from these, then JSON.

mod buckets;
mod metrics;
mod path;
mod pipeline;

use serde_json::{Map, Value, json};
use tollhouse_query::ast::SourceFilter;

use super::collect::BUCKETS_MAX;
use super::partial::{Bucket, Partial, Top};
use super::plan::{AggPlan, Kind, LevelPlan};
use crate::error::StoreError;
use crate::sort::{Found, SortPlan};

/// Makes the `hits` list of a `top_hits`.
pub(crate) type FetchHits<'a> = dyn FnMut(&SortPlan, &SourceFilter, &[Found]) -> Result<Vec<Value>, StoreError> + 'a;

/// Writes results; counts the buckets of the whole answer.
pub(crate) struct Renderer<'a> {
    fetch: &'a mut FetchHits<'a>,
    buckets: usize,
}

/// The result of one aggregation.
struct Done {
    name: String,
    meta: Option<Map<String, Value>>,
    body: Body,
}

enum Body {
    Many(Many),
    One(DoneBucket),
    /// A metric, or documents: as they are written.
    Plain(Map<String, Value>),
}

/// Buckets in the order of the answer.
#[derive(Default)]
struct Many {
    /// What stands beside the buckets.
    head: Map<String, Value>,
    list: Vec<DoneBucket>,
    /// Written as an object by the buckets' names.
    keyed: bool,
}

#[derive(Default)]
struct DoneBucket {
    /// The name that a path, or a keyed answer, has for it.
    name: String,
    /// What tells it apart: `key` and so on.
    head: Map<String, Value>,
    count: u64,
    subs: Vec<Done>,
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(fetch: &'a mut FetchHits<'a>) -> Self {
        Self { fetch, buckets: 0 }
    }

    /// The results of the whole request by name.
    pub(crate) fn answer(&mut self, plan: &LevelPlan, results: Vec<Partial>) -> Result<Map<String, Value>, StoreError> {
        let mut level = self.level(plan, results)?;
        pipeline::run_siblings(plan, &mut level)?;
        Ok(level.into_iter().map(|done| (done.name.clone(), done.write())).collect())
    }

    fn level(&mut self, plan: &LevelPlan, results: Vec<Partial>) -> Result<Vec<Done>, StoreError> {
        plan.aggs.iter().zip(results).map(|(plan, result)| self.one(plan, result)).collect()
    }

    fn one(&mut self, plan: &AggPlan, result: Partial) -> Result<Done, StoreError> {
        let body = match (&plan.kind, result) {
            (Kind::DateHistogram(histogram), Partial::Keyed(keyed)) => self.dates(plan, histogram, keyed)?,
            (Kind::AutoDate(auto), Partial::Auto(found)) => self.auto_dates(plan, auto, found)?,
            (Kind::Histogram(histogram), Partial::Keyed(keyed)) => self.histogram(plan, histogram, keyed)?,
            (Kind::Terms(terms), Partial::Keyed(keyed)) => self.terms(plan, terms, keyed)?,
            (Kind::MultiTerms(multi), Partial::Keyed(keyed)) => self.multi_terms(plan, multi, keyed)?,
            (Kind::Composite(composite), Partial::Keyed(keyed)) => self.composite(plan, composite, keyed)?,
            (Kind::Filters { names, other, keyed, .. }, Partial::Fixed(found)) => {
                self.filters(plan, names, other.as_deref(), *keyed, found)?
            }
            (Kind::Adjacency { names, separator, .. }, Partial::Fixed(found)) => {
                self.adjacency(plan, names, separator, found)?
            }
            (Kind::Range(ranges), Partial::Fixed(found)) => self.ranges(plan, ranges, found)?,
            (Kind::Filter(_) | Kind::Global | Kind::Missing(_), Partial::Fixed(found)) => {
                let bucket = found.into_iter().next().unwrap_or_else(|| Bucket::empty(plan));
                let mut bucket = self.bucket(plan, String::new(), Map::new(), bucket)?;
                pipeline::run_siblings(&plan.subs, &mut bucket.subs)?;
                Body::One(bucket)
            }
            (Kind::TopHits { from, sort, source, .. }, Partial::Top(top)) => {
                self.top_hits(*from, sort, source, &top)?
            }
            (kind, result) => Body::Plain(metrics::write(kind, result)),
        };
        let mut done = Done { name: plan.name.clone(), meta: plan.meta.clone(), body };
        if let Body::Many(many) = &mut done.body {
            pipeline::run_inside(plan, many)?;
        }
        Ok(done)
    }

    /// A bucket with its nested results.
    fn bucket(
        &mut self,
        plan: &AggPlan,
        name: String,
        head: Map<String, Value>,
        bucket: Bucket,
    ) -> Result<DoneBucket, StoreError> {
        self.buckets += 1;
        if self.buckets > BUCKETS_MAX {
            return Err(StoreError::TooManyBuckets { max: BUCKETS_MAX });
        }
        Ok(DoneBucket { name, head, count: bucket.count, subs: self.level(&plan.subs, bucket.subs)? })
    }

    fn top_hits(&mut self, from: usize, sort: &SortPlan, source: &SourceFilter, top: &Top) -> Result<Body, StoreError> {
        let hits = (self.fetch)(sort, source, top.hits.get(from..).unwrap_or_default())?;
        let max_score = if sort.is_explicit || top.hits.is_empty() { Value::Null } else { 1.0.into() };
        let mut body = Map::new();
        let total = json!({"value": top.total, "relation": "eq"});
        body.insert("hits".into(), json!({"total": total, "max_score": max_score, "hits": hits}));
        Ok(Body::Plain(body))
    }
}

impl Done {
    fn write(self) -> Value {
        let mut all = Map::new();
        if let Some(meta) = self.meta {
            all.insert("meta".into(), meta.into());
        }
        match self.body {
            Body::Plain(members) => all.extend(members),
            Body::One(bucket) => all.extend(bucket.write()),
            Body::Many(many) => {
                all.extend(many.head);
                let buckets: Value = if many.keyed {
                    let named = many.list.into_iter().map(|bucket| (bucket.name.clone(), bucket.write().into()));
                    Value::Object(named.collect())
                } else {
                    many.list.into_iter().map(|bucket| Value::Object(bucket.write())).collect()
                };
                all.insert("buckets".into(), buckets);
            }
        }
        all.into()
    }
}

impl DoneBucket {
    /// `doc_count` and the nested results, after what tells the bucket apart.
    fn write(self) -> Map<String, Value> {
        let mut all = self.head;
        all.insert("doc_count".into(), self.count.into());
        all.extend(self.subs.into_iter().map(|done| (done.name.clone(), done.write())));
        all
    }
}
