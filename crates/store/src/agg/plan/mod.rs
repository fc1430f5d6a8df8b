//! Aggregations of a request, checked and resolved once for all segments.

mod kinds;
mod missing;
mod order;
mod resolve;

use serde_json::{Map, Value};
use tollhouse_query::ast::{Agg, AggKind, Pipeline};
use tollhouse_query::dsl::{AGGS_DEPTH_MAX as DEPTH_MAX, AGGS_MAX};
use tollhouse_query::fields::Fields;

pub(crate) use kinds::{
    AutoDate, Background, Bucketing, Chosen, Composite, DateHistogram, Histogram, Kind, MultiTerms, RangeLimits,
    Ranges, Rounding, Select, Source, Steps, TermsAnswer, TermsPlan, ValuesOf,
};
pub(crate) use order::{Member, Order, OrderBy};
pub(crate) use resolve::write_date;

use crate::error::StoreError;
use crate::filter::Moment;

/// The aggregations of one level.
#[derive(Debug, Default)]
pub(crate) struct LevelPlan {
    /// Those that documents are collected for.
    pub(crate) aggs: Vec<AggPlan>,
    /// Those that are computed from the results of these, each after all that it needs.
    pub(crate) pipelines: Vec<PipelinePlan>,
}

/// One aggregation, ready to run.
#[derive(Debug)]
pub(crate) struct AggPlan {
    pub(crate) name: String,
    /// Handed back with the result.
    pub(crate) meta: Option<Map<String, Value>>,
    pub(crate) kind: Kind,
    pub(crate) subs: LevelPlan,
}

#[derive(Debug)]
pub(crate) struct PipelinePlan {
    pub(crate) name: String,
    pub(crate) meta: Option<Map<String, Value>>,
    pub(crate) pipeline: Pipeline,
}

/// Checks and resolves the aggregations of a request.
pub(crate) fn plan(aggs: &[(String, Agg)], fields: &Fields, moment: Moment) -> Result<LevelPlan, StoreError> {
    let mut planner = Planner { fields, moment, left: AGGS_MAX };
    planner.level(aggs, 1)
}

impl LevelPlan {
    /// Whether there is nothing to answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.aggs.is_empty() && self.pipelines.is_empty()
    }

    /// Whether also segments count in which no document was found.
    pub(crate) fn needs_all_segments(&self) -> bool {
        self.aggs.iter().any(|agg| matches!(agg.kind, Kind::Global))
    }
}

struct Planner<'a> {
    fields: &'a Fields,
    moment: Moment,
    left: usize,
}

impl Planner<'_> {
    fn level(&mut self, aggs: &[(String, Agg)], depth: usize) -> Result<LevelPlan, StoreError> {
        if !aggs.is_empty() && depth > DEPTH_MAX {
            return Err(StoreError::invalid(format!("aggregations are nested deeper than {DEPTH_MAX} levels")));
        }
        let mut level = LevelPlan::default();
        for (name, agg) in aggs {
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| StoreError::invalid(format!("a request has more than {AGGS_MAX} aggregations")))?;
            let (name, meta) = (name.clone(), agg.meta.clone());
            if let AggKind::Pipeline(pipeline) = &agg.kind {
                level.pipelines.push(PipelinePlan { name, meta, pipeline: pipeline.clone() });
                continue;
            }
            let subs = self.level(&agg.aggs, depth + 1)?;
            let kind = self.kind(&name, &agg.kind, &subs.aggs)?;
            level.aggs.push(AggPlan { name, meta, kind, subs });
        }
        level.pipelines = in_order(level.pipelines)?;
        Ok(level)
    }
}

/// Each after those that its paths begin with.
fn in_order(mut waiting: Vec<PipelinePlan>) -> Result<Vec<PipelinePlan>, StoreError> {
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_ready = |plan: &PipelinePlan| {
            !plan.pipeline.kind.paths().iter().any(|path| {
                waiting.iter().any(|other| {
                    let rest = path.steps[0].text.strip_prefix(other.name.as_str());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            })
        };
        let Some(next) = waiting.iter().position(is_ready) else {
            return Err(StoreError::invalid(format!(
                "Cyclical dependency found with pipeline aggregation [{}]",
                waiting[0].name
            )));
        };
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}
