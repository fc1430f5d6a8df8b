//! The aggregations of a plan.

use serde_json::{Map, Value};

use super::{Interval, Query, Sort, SourceFilter};
use crate::expression::Expression;
use crate::regexp::Regexp;
use crate::time_format::TimeFormat;

/// One aggregation with those nested in its buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Agg {
    /// What is computed.
    pub kind: AggKind,
    /// Aggregations computed inside each bucket.
    pub aggs: Vec<(String, Agg)>,
    /// Handed back with the result as it is.
    pub meta: Option<Map<String, Value>>,
}

/// What an aggregation computes.
#[derive(Clone, Debug, PartialEq)]
pub enum AggKind {
    /// Buckets of equal time.
    DateHistogram(DateHistogram),
    /// Buckets of the narrowest equal time of which not more than so many are needed.
    AutoDateHistogram(AutoDateHistogram),
    /// Buckets of equal width over numbers.
    Histogram(Histogram),
    /// A bucket for each value.
    Terms(Terms),
    /// A bucket for each value that few documents have.
    RareTerms {
        /// Field.
        field: String,
        /// In how many documents a value may be.
        max_doc_count: u64,
        /// Value that stands for documents without the field.
        missing: Option<Value>,
        /// Which values have a bucket at all.
        select: Select,
    },
    /// A bucket for each combination of values of several fields.
    MultiTerms(MultiTerms),
    /// A bucket for each value that is more frequent among the documents found than among all.
    SignificantTerms(SignificantTerms),
    /// Pages of all combinations of the values of several sources.
    Composite(Composite),
    /// A bucket for each condition.
    Filters(Filters),
    /// A bucket for each condition and for each two of them together.
    AdjacencyMatrix {
        /// The conditions by name.
        filters: Vec<(String, Query)>,
        /// Stands between two names.
        separator: String,
    },
    /// One bucket of the documents that fulfil a condition.
    Filter(Query),
    /// One bucket of all documents, whatever the query is.
    Global,
    /// A bucket for each range of numbers or dates.
    Range(Ranges),
    /// One bucket of the documents without the field.
    Missing {
        /// Field.
        field: String,
    },
    /// A single number over a field.
    Metric {
        /// Which one.
        metric: Metric,
        /// Field.
        field: String,
        /// Value that stands for documents without the field.
        missing: Option<Value>,
        /// How a date is written.
        format: Option<TimeFormat>,
    },
    /// The mean of a field weighted by another.
    WeightedAvg {
        /// Field of the values, with what stands for a missing one.
        value: (String, Option<f64>),
        /// Field of the weights, with what stands for a missing one.
        weight: (String, Option<f64>),
    },
    /// Percentiles of a number field.
    Percentiles {
        /// Number field.
        field: String,
        /// Which, 0 to 100.
        percents: Vec<f64>,
        /// Answer as an object by percent (the default) instead of a list.
        keyed: bool,
        /// Value that stands for documents without the field.
        missing: Option<Value>,
    },
    /// Which share of the values of a number field is not above given ones.
    PercentileRanks {
        /// Number field.
        field: String,
        /// The given values.
        values: Vec<f64>,
        /// Answer as an object by value (the default) instead of a list.
        keyed: bool,
        /// Value that stands for documents without the field.
        missing: Option<Value>,
    },
    /// The median of the distances from the median.
    MedianAbsoluteDeviation {
        /// Number field.
        field: String,
        /// Value that stands for documents without the field.
        missing: Option<Value>,
    },
    /// How many different values a field has (approximate).
    Cardinality {
        /// Field.
        field: String,
        /// Value that stands for documents without the field.
        missing: Option<Value>,
    },
    /// The first documents of the bucket.
    TopHits {
        /// How many are skipped.
        from: usize,
        /// How many.
        size: usize,
        /// In which order.
        sort: Vec<Sort>,
        /// Which parts of them.
        source: SourceFilter,
    },
    /// Single values of the first documents of the bucket.
    TopMetrics {
        /// The fields whose values are told.
        metrics: Vec<String>,
        /// How many documents.
        size: usize,
        /// In which order.
        sort: Vec<Sort>,
    },
    /// Computed from the results of others instead of from documents.
    Pipeline(Pipeline),
}

/// `date_histogram`.
#[derive(Clone, Debug, PartialEq)]
pub struct DateHistogram {
    /// Date field.
    pub field: String,
    /// Width of a bucket.
    pub interval: Interval,
    /// Shift of the bucket borders, in milliseconds.
    pub offset_ms: i64,
    /// Zone in which calendar units and day borders are meant; UTC when absent.
    pub time_zone: Option<String>,
    /// How keys are written.
    pub format: Option<TimeFormat>,
    /// Buckets with fewer documents are left out.
    pub min_doc_count: u64,
    /// Buckets are made at least from and to these dates.
    pub extended_bounds: Option<Bounds<Value>>,
    /// Documents outside of these dates are passed over.
    pub hard_bounds: Option<Bounds<Value>>,
    /// Answer as an object by key instead of a list.
    pub keyed: bool,
    /// Order of the buckets.
    pub order: Vec<BucketOrder>,
    /// Date that stands for documents without the field.
    pub missing: Option<Value>,
}

/// `auto_date_histogram`.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoDateHistogram {
    /// Date field.
    pub field: String,
    /// How many buckets are wanted at most.
    pub buckets: usize,
    /// The narrowest unit that is taken.
    pub minimum_unit: Option<AutoUnit>,
    /// Zone in which calendar units and day borders are meant; UTC when absent.
    pub time_zone: Option<String>,
    /// How keys are written.
    pub format: Option<TimeFormat>,
    /// Date that stands for documents without the field.
    pub missing: Option<Value>,
}

/// Units of `auto_date_histogram`, the narrowest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(missing_docs, reason = "the names say all")]
pub enum AutoUnit {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

/// `histogram`.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Number field.
    pub field: String,
    /// Width of a bucket.
    pub interval: f64,
    /// Shift of the bucket borders.
    pub offset: f64,
    /// Buckets with fewer documents are left out.
    pub min_doc_count: u64,
    /// Buckets are made at least from and to these numbers.
    pub extended_bounds: Option<Bounds<f64>>,
    /// Values outside of these are passed over.
    pub hard_bounds: Option<Bounds<f64>>,
    /// Answer as an object by key instead of a list.
    pub keyed: bool,
    /// Order of the buckets.
    pub order: Vec<BucketOrder>,
    /// Number that stands for documents without the field.
    pub missing: Option<f64>,
}

/// Both ends of something, each of which may be open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds<T> {
    /// The lower end.
    pub min: Option<T>,
    /// The upper end.
    pub max: Option<T>,
}

/// `terms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Field.
    pub field: String,
    /// How many buckets are returned.
    pub size: usize,
    /// Order of the buckets.
    pub order: Vec<BucketOrder>,
    /// Buckets with fewer documents are left out; with 0 also values have one that no document found has.
    pub min_doc_count: u64,
    /// Value that stands for documents without the field.
    pub missing: Option<Value>,
    /// Which values have a bucket at all.
    pub select: Select,
    /// Each bucket tells by how much its count can be too small.
    pub show_error: bool,
}

/// One key of the order of buckets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketOrder {
    /// `_count`, `_key`, or the path of a metric: `name`, `name.part`, `filter>name.part`.
    pub by: String,
    /// Largest first.
    pub descending: bool,
}

/// `include` and `exclude` of `terms`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Select {
    /// Only these values.
    pub include: Option<Values>,
    /// Not these, even if included.
    pub exclude: Option<Values>,
}

/// Values given one by one or by what they look like.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// All that fit an expression.
    Fitting(Regexp),
    /// Exactly these.
    List(Vec<Value>),
}

/// `multi_terms`.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiTerms {
    /// The fields, each with the value that stands for documents without it.
    pub fields: Vec<(String, Option<Value>)>,
    /// How many buckets are returned.
    pub size: usize,
    /// Order of the buckets.
    pub order: Vec<BucketOrder>,
    /// Buckets with fewer documents are left out.
    pub min_doc_count: u64,
    /// Each bucket tells by how much its count can be too small.
    pub show_error: bool,
}

/// `significant_terms`, with the JLH score.
#[derive(Clone, Debug, PartialEq)]
pub struct SignificantTerms {
    /// Field.
    pub field: String,
    /// How many buckets are returned.
    pub size: usize,
    /// Buckets with fewer documents are left out.
    pub min_doc_count: u64,
    /// The documents that those found are compared with; all when absent.
    pub background: Option<Query>,
    /// Which values have a bucket at all.
    pub select: Select,
}

/// `composite`.
#[derive(Clone, Debug, PartialEq)]
pub struct Composite {
    /// The sources by name, the one that sorts first first.
    pub sources: Vec<(String, Source)>,
    /// How many buckets are returned.
    pub size: usize,
    /// Only buckets behind this one, which has a value for each source.
    pub after: Option<Vec<Value>>,
}

/// A source of a `composite`.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Field.
    pub field: String,
    /// What of its values counts.
    pub kind: SourceKind,
    /// Largest first.
    pub descending: bool,
    /// Documents without the field have a bucket, and where it sorts.
    pub missing: Option<MissingOrder>,
}

/// What of a field's values counts in a `composite`.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// The value.
    Terms,
    /// The lower border of its bucket of equal width.
    Histogram {
        /// Width of a bucket.
        interval: f64,
    },
    /// The beginning of its bucket of equal time.
    DateHistogram {
        /// Width of a bucket.
        interval: Interval,
        /// Shift of the bucket borders, in milliseconds.
        offset_ms: i64,
        /// Zone in which calendar units and day borders are meant; UTC when absent.
        time_zone: Option<String>,
        /// How keys are written.
        format: Option<TimeFormat>,
    },
}

/// Where the bucket of documents without a value sorts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MissingOrder {
    /// As if it were the smallest value.
    Smallest,
    /// Before all others, whatever the order.
    First,
    /// Behind all others, whatever the order.
    Last,
}

/// `filters`.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    /// The conditions; either all have a name or none has.
    pub filters: Vec<(Option<String>, Query)>,
    /// The documents that fulfil none have a bucket of this name.
    pub other: Option<String>,
    /// Answer as an object by name instead of a list.
    pub keyed: bool,
}

/// `range` and `date_range`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges {
    /// Field.
    pub field: String,
    /// The ranges.
    pub ranges: Vec<RangePart>,
    /// Answer as an object by key instead of a list.
    pub keyed: bool,
    /// Value that stands for documents without the field.
    pub missing: Option<Value>,
    /// How dates are read and written.
    pub format: Option<TimeFormat>,
    /// Zone in which dates are meant; UTC when absent.
    pub time_zone: Option<String>,
    /// The limits of an undeclared field are dates.
    pub are_dates: bool,
}

/// One of several ranges.
#[derive(Clone, Debug, PartialEq)]
pub struct RangePart {
    /// Its name, unless it is made of its limits.
    pub key: Option<String>,
    /// Lower limit, which lies inside.
    pub from: Option<Value>,
    /// Upper limit, which lies outside.
    pub to: Option<Value>,
}

/// Metrics that are one pass over one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// Mean.
    Avg,
    /// Sum.
    Sum,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Number of values.
    ValueCount,
    /// Count, min, max, avg and sum together.
    Stats,
    /// These, and how far the values are spread.
    ExtendedStats {
        /// How many standard deviations the bounds are away from the mean.
        sigma: f64,
    },
}

impl Metric {
    /// The word that asks for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::ValueCount => "value_count",
            Self::Stats => "stats",
            Self::ExtendedStats { .. } => "extended_stats",
        }
    }
}

/// An aggregation over the results of others.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// What is computed.
    pub kind: PipelineKind,
    /// What stands for a bucket without documents or without the number that is asked for.
    pub gap: GapPolicy,
}

/// What stands for a number that a bucket has not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum GapPolicy {
    /// Nothing: the bucket is passed over.
    #[default]
    Skip,
    /// Zero.
    InsertZeros,
    /// Nothing, but numbers of buckets without documents count.
    KeepValues,
}

/// What a pipeline aggregation computes. The first ones are inside the buckets they go over, those from
/// [`PipelineKind::Bucket`] on stand beside the aggregation whose buckets they go over.
#[derive(Clone, Debug, PartialEq)]
pub enum PipelineKind {
    /// The difference to the bucket before.
    Derivative {
        /// Where the number is.
        path: BucketsPath,
        /// The difference is also told for so many milliseconds.
        unit_ms: Option<u64>,
    },
    /// The sum so far.
    CumulativeSum {
        /// Where the number is.
        path: BucketsPath,
    },
    /// The difference to a bucket further before.
    SerialDiff {
        /// Where the number is.
        path: BucketsPath,
        /// How many buckets before.
        lag: usize,
    },
    /// A number of a window of buckets.
    MovingFn {
        /// Where the number is.
        path: BucketsPath,
        /// Buckets in the window.
        window: usize,
        /// By how many buckets the window is moved; at 0 it ends before the current one.
        shift: i64,
        /// What is computed of the window.
        function: MovingFunction,
    },
    /// A number that is computed from numbers of the bucket.
    BucketScript {
        /// Where the numbers are, by the names they have in the expression.
        paths: Vec<(String, BucketsPath)>,
        /// The computation.
        script: Expression,
    },
    /// Drops the buckets that do not fulfil a condition.
    BucketSelector {
        /// Where the numbers are, by the names they have in the expression.
        paths: Vec<(String, BucketsPath)>,
        /// The condition.
        script: Expression,
    },
    /// Sorts and cuts the buckets.
    BucketSort {
        /// Where the numbers are that count, with `true` for largest first.
        sort: Vec<(BucketsPath, bool)>,
        /// How many are skipped.
        from: usize,
        /// How many are left.
        size: Option<usize>,
    },
    /// Numbers over all buckets of an aggregation beside this one.
    Bucket {
        /// Where the number is.
        path: BucketsPath,
        /// What is computed.
        metric: BucketMetric,
    },
}

impl PipelineKind {
    /// All paths that have to be followed.
    pub fn paths(&self) -> Vec<&BucketsPath> {
        match self {
            Self::Derivative { path, .. }
            | Self::CumulativeSum { path }
            | Self::SerialDiff { path, .. }
            | Self::MovingFn { path, .. }
            | Self::Bucket { path, .. } => vec![path],
            Self::BucketScript { paths, .. } | Self::BucketSelector { paths, .. } => {
                paths.iter().map(|(_, path)| path).collect()
            }
            Self::BucketSort { sort, .. } => sort.iter().map(|(path, _)| path).collect(),
        }
    }
}

/// What is computed over the buckets of an aggregation.
#[derive(Clone, Debug, PartialEq)]
pub enum BucketMetric {
    /// Mean.
    Avg,
    /// Largest, with the keys of its buckets.
    Max,
    /// Smallest, with the keys of its buckets.
    Min,
    /// Sum.
    Sum,
    /// Count, min, max, avg and sum together.
    Stats,
    /// These, and how far the numbers are spread.
    ExtendedStats {
        /// How many standard deviations the bounds are away from the mean.
        sigma: f64,
    },
    /// Percentiles: the nearest number that there is.
    Percentiles {
        /// Which, 0 to 100.
        percents: Vec<f64>,
        /// Answer as an object by percent instead of a list.
        keyed: bool,
    },
}

/// What is computed of a window of buckets; Elasticsearch's `MovingFunctions`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say all")]
pub enum MovingFunction {
    Max,
    Min,
    Sum,
    UnweightedAvg,
    LinearWeightedAvg,
    /// Exponentially weighted, with the weight of the newest.
    Ewma(f64),
}

/// Where a number is: through nested aggregations to a bucket's count or key, or a metric's number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketsPath {
    /// As it was written: `a>b.c`, `a['key']>b`, `_count`.
    pub text: String,
    /// Its steps; never empty.
    pub steps: Vec<PathStep>,
}

/// One step of a [`BucketsPath`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathStep {
    /// As it was written; may be a name with dots in it.
    pub text: String,
    /// What stands in brackets behind the name: the key of one bucket, or the name of one of several numbers.
    pub key: Option<String>,
}
