//! Counting first: what is nested in the buckets of a `terms` is collected in a second pass, for those alone that are shown.
//!
//! A dashboard shows ten users of thousands, and what is nested in the others is work for nothing. Elasticsearch does the same
//! and calls it `breadth_first`. The answer is the same either way, so nobody is asked which.

use tantivy::SegmentReader;
use tollhouse_query::fields::FieldKind;

use super::buckets::Buckets;
use super::key::Key;
use super::partial::{Partial, first};
use super::plan::{AggPlan, Chosen, Kind, LevelPlan, OrderBy, Select, TermsAnswer, TermsPlan};
use crate::column::{Columns, ValueKind};
use crate::error::StoreError;

/// With so many times as many keys as are shown, a second pass is less work than what it spares.
const KEYS_FOR_EACH_SHOWN: usize = 8;

/// What was taken out of an aggregation until its buckets are counted.
pub(crate) struct Deferred {
    /// The place of the aggregation in its level.
    place: usize,
    nested: LevelPlan,
}

/// Takes out what is nested in aggregations that are counted first. Only in the uppermost level: below it, each bucket has others
/// that are shown.
pub(crate) fn defer(level: &mut LevelPlan, segments: &[&SegmentReader]) -> Result<Vec<Deferred>, StoreError> {
    let mut deferred = Vec::new();
    for (place, agg) in level.aggs.iter_mut().enumerate() {
        if let Kind::Terms(terms) = &agg.kind
            && !agg.subs.aggs.is_empty()
            && let Some(size) = shown_by_count(terms)
            && has_many_keys(terms, size, segments)?
        {
            deferred.push(Deferred { place, nested: std::mem::take(&mut agg.subs) });
        }
    }
    Ok(deferred)
}

/// Keeps the buckets that are shown, and readies the plan for collecting what is nested in them: all of it, under these keys. The
/// places of the aggregations that this is for.
pub(crate) fn narrow(level: &mut LevelPlan, deferred: Vec<Deferred>, partials: &mut [Partial]) -> Vec<usize> {
    let mut places = Vec::with_capacity(deferred.len());
    for Deferred { place, nested } in deferred {
        let agg = &mut level.aggs[place];
        let mut texts = Vec::new();
        if let Kind::Terms(terms) = &agg.kind
            && let TermsAnswer::Frequent { size, min_doc_count, .. } = terms.answer
            && let Partial::Keyed(keyed) = &mut partials[place]
        {
            let counted = std::mem::take(&mut keyed.buckets).into_iter();
            let frequent = counted.filter(|(_, bucket)| bucket.count >= min_doc_count);
            let (shown, others) = first(frequent, &terms.order, agg, size);
            keyed.dropped_docs += others;
            texts.extend(shown.iter().filter_map(|(key, _)| match key {
                Key::Text(text) => Some(text.clone()),
                _ => None,
            }));
            keyed.buckets = Buckets::of_each(shown);
        }
        if let Kind::Terms(terms) = &mut agg.kind {
            terms.select = Select { include: Some(Chosen::List { texts, numbers: Vec::new() }), exclude: None };
        }
        agg.subs = nested;
        places.push(place);
    }
    places
}

/// Puts what was found in the second pass into the buckets of the first.
pub(crate) fn nest(counted: &mut Partial, nested: Partial, plan: &AggPlan) {
    if let (Partial::Keyed(counted), Partial::Keyed(nested)) = (counted, nested) {
        counted.buckets.nest(nested.buckets, plan);
    }
}

/// How many buckets are shown, where counts and keys alone say which.
fn shown_by_count(terms: &TermsPlan) -> Option<usize> {
    let is_text = matches!(terms.field.kind, Some(FieldKind::Keyword));
    let by_metric = terms.order.iter().any(|order| matches!(order.by, OrderBy::Metric(..)));
    match terms.answer {
        // With 0, keys are shown that no document found has.
        TermsAnswer::Frequent { size, min_doc_count: 1.., .. } if is_text && !by_metric => Some(size),
        _ => None,
    }
}

fn has_many_keys(terms: &TermsPlan, size: usize, segments: &[&SegmentReader]) -> Result<bool, StoreError> {
    for reader in segments {
        let columns = Columns::open(reader, &terms.field.column)?;
        let is_many = columns.list.iter().any(|column| match &column.kind {
            ValueKind::Text(dictionary) => dictionary.num_terms() > size.saturating_mul(KEYS_FOR_EACH_SHOWN),
            ValueKind::Number(_) => false,
        });
        if is_many {
            return Ok(true);
        }
    }
    Ok(false)
}
