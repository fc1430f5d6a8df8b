//! The words by which an aggregation is known again in a segment: all that its unfinished result depends on there, and nothing of how it
//! is named, cut or shown.

use std::fmt::Write;

use tollhouse_query::ast::Metric;
use tollhouse_query::fields::FieldKind;

use super::plan::{AggPlan, DateHistogram, Histogram, Kind, TermsAnswer, TermsPlan};
use crate::error::StoreError;
use crate::filter::{Filter, SegmentFilter};

/// What conditions are taken to mean.
pub(crate) enum View<'a> {
    /// What they mean in a segment.
    In(&'a SegmentFilter<'a>),
    /// The same at each moment.
    AtAnyTime,
}

/// What an aggregation asks of a segment.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) text: String,
    /// Whether there are limits in it that move on from one time to the next, mostly with the present.
    pub(crate) moves: bool,
}

impl Words {
    /// Those of an aggregation, with its conditions as they are viewed.
    pub(crate) fn of(plan: &AggPlan, view: &View<'_>) -> Result<Self, StoreError> {
        let mut words = Self::default();
        words.aggregation(plan, view)?;
        Ok(words)
    }

    fn aggregation(&mut self, plan: &AggPlan, view: &View<'_>) -> Result<(), StoreError> {
        self.kind(&plan.kind, view)?;
        self.text.push('[');
        for sub in &plan.subs.aggs {
            self.aggregation(sub, view)?;
            self.text.push(';');
        }
        self.text.push(']');
        Ok(())
    }

    /// Each member of a kind is named: one that is added has to be thought about here.
    fn kind(&mut self, kind: &Kind, view: &View<'_>) -> Result<(), StoreError> {
        match kind {
            Kind::DateHistogram(DateHistogram {
                field,
                rounding,
                hard_bounds,
                missing,
                format: _,
                min_doc_count: _,
                bounds: _,
                keyed: _,
                order: _,
            }) => {
                self.moves |= *hard_bounds != (None, None);
                self.put(format_args!("dates {field:?} {rounding:?} {hard_bounds:?} {missing:?}"));
            }
            Kind::AutoDate(auto) => self.put(format_args!("{auto:?}")),
            Kind::Histogram(Histogram {
                field,
                interval,
                offset,
                hard_bounds,
                missing,
                min_doc_count: _,
                bounds: _,
                keyed: _,
                order: _,
            }) => self.put(format_args!("steps {field:?} {interval:?} {offset:?} {hard_bounds:?} {missing:?}")),
            Kind::Terms(terms) => {
                // What the documents found are compared with, and keys that none of them has, are told when it is shown.
                let TermsPlan { field, order, missing, select, answer } = terms.as_ref();
                let answer = match answer {
                    TermsAnswer::Frequent { size: _, min_doc_count: _, show_error: _, universe: _ } => "frequent",
                    TermsAnswer::Rare { max_doc_count: _ } => "rare",
                    TermsAnswer::Significant { size: _, min_doc_count: _, background: _ } => "significant",
                };
                self.put(format_args!("terms {answer} {field:?} {order:?} {missing:?} {select:?}"));
            }
            Kind::MultiTerms(multi) => self.put(format_args!("{multi:?}")),
            Kind::Composite(composite) => {
                // A page behind another one.
                self.moves |= composite.after.is_some();
                self.put(format_args!("{composite:?}"));
            }
            Kind::Filters { filters, other, names: _, keyed: _ } => {
                let other = other.is_some();
                self.put(format_args!("filters {other}"));
                self.filters(filters, view)?;
            }
            Kind::Adjacency { filters, names: _, separator: _ } => {
                self.put(format_args!("pairs"));
                self.filters(filters, view)?;
            }
            Kind::Filter(filter) => {
                self.put(format_args!("filter"));
                self.filters(std::slice::from_ref(filter), view)?;
            }
            Kind::Global => self.put(format_args!("global")),
            Kind::Range(ranges) => {
                self.moves |= ranges.field.kind == Some(FieldKind::Date);
                self.put(format_args!("ranges {:?} {:?}", ranges.field, ranges.missing));
                for range in &ranges.list {
                    self.put(format_args!(" {:?} {:?}", range.from, range.to));
                }
            }
            Kind::Missing(field) => self.put(format_args!("missing {field:?}")),
            Kind::Metric { metric, values, format: _ } => {
                // Whichever of its numbers is shown, all of them are collected.
                let collected = match metric {
                    Metric::ExtendedStats { .. } => "spread",
                    Metric::ValueCount => "count",
                    Metric::Avg | Metric::Sum | Metric::Min | Metric::Max | Metric::Stats => "stats",
                };
                self.put(format_args!("{collected} {values:?}"));
            }
            Kind::WeightedAvg { value, weight } => self.put(format_args!("weighted {value:?} {weight:?}")),
            Kind::Percentiles { values, percents: _, keyed: _ }
            | Kind::Ranks { values, limits: _, keyed: _ }
            | Kind::Deviation(values) => self.put(format_args!("sketch {values:?}")),
            Kind::Cardinality { field, missing } => self.put(format_args!("distinct {field:?} {missing:?}")),
            Kind::TopHits { from, size, sort, source: _ } => self.put(format_args!("top {} {sort:?}", from + size)),
            Kind::TopMetrics { metrics, size, sort, sort_field } => {
                self.put(format_args!("top metrics {metrics:?} {size} {sort:?} {sort_field:?}"));
            }
        }
        Ok(())
    }

    fn filters(&mut self, filters: &[Filter], view: &View<'_>) -> Result<(), StoreError> {
        for filter in filters {
            let reduced = match view {
                View::In(segment) => segment.reduced(filter)?,
                View::AtAnyTime => filter.at_any_time(),
            };
            self.moves |= reduced.is_of_time();
            self.put(format_args!(" {reduced:?}"));
        }
        Ok(())
    }

    fn put(&mut self, words: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _ = self.text.write_fmt(words);
    }
}

impl AggPlan {
    /// Whether its result tells where documents are, by numbers that only one search knows.
    pub(crate) fn tells_places(&self) -> bool {
        matches!(self.kind, Kind::TopHits { .. } | Kind::TopMetrics { .. })
            || self.subs.aggs.iter().any(AggPlan::tells_places)
    }
}
