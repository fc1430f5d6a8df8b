//! What an answer needs to know of documents that were not found: all values of a field (`min_doc_count` 0), and how
//! frequent they are among other documents (`significant_terms`). Read once, before the documents found are collected.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use tantivy::SegmentReader;

use super::collect::{BUCKETS_MAX, key_counts};
use super::key::Key;
use super::plan::{Kind, LevelPlan, TermsAnswer, TermsPlan};
use crate::bits::Docs;
use crate::error::StoreError;
use crate::filter::{Filter, FilterCache, SegmentFilter};

/// Different values of a field that may be counted for `significant_terms`.
const BACKGROUND_KEYS_MAX: usize = 1 << 20;

/// Reads what the aggregations of a request need of all segments; stops early when `deadline` passes.
pub(crate) fn prepare(
    plan: &mut LevelPlan,
    segments: &[&SegmentReader],
    cache: &FilterCache,
    deadline: Instant,
) -> Result<(), StoreError> {
    for agg in &mut plan.aggs {
        if let Kind::Terms(terms) = &mut agg.kind {
            prepare_terms(terms, segments, cache, deadline)?;
        }
        prepare(&mut agg.subs, segments, cache, deadline)?;
    }
    Ok(())
}

fn prepare_terms(
    terms: &mut TermsPlan,
    segments: &[&SegmentReader],
    cache: &FilterCache,
    deadline: Instant,
) -> Result<(), StoreError> {
    let everything = Filter::All;
    let filter = match &terms.answer {
        TermsAnswer::Frequent { min_doc_count: 0, .. } => &everything,
        TermsAnswer::Significant { background, .. } => background.filter.as_ref(),
        TermsAnswer::Frequent { .. } | TermsAnswer::Rare { .. } => return Ok(()),
    };
    let max = if matches!(terms.answer, TermsAnswer::Frequent { .. }) { BUCKETS_MAX } else { BACKGROUND_KEYS_MAX };
    let (mut all_docs, mut counts) = (0, HashMap::<Key, u64>::new());
    for reader in segments {
        if Instant::now() >= deadline {
            break;
        }
        let docs = SegmentFilter::new(reader, cache).docs(filter)?;
        all_docs += docs.count(reader.max_doc());
        if matches!(docs, Docs::None) {
            continue;
        }
        for (key, count) in key_counts(reader, terms, &docs, max)? {
            *counts.entry(key).or_default() += count;
        }
        if counts.len() > max {
            return Err(StoreError::TooManyBuckets { max });
        }
    }
    match &mut terms.answer {
        TermsAnswer::Frequent { universe, .. } => {
            let keys: BTreeSet<Key> = counts.into_keys().collect();
            *universe = keys.into_iter().collect();
        }
        TermsAnswer::Significant { background, .. } => (background.docs, background.counts) = (all_docs, counts),
        TermsAnswer::Rare { .. } => {}
    }
    Ok(())
}
