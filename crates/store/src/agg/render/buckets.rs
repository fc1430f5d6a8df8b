//! The buckets of each kind of aggregation, in their order and with their keys.

use serde_json::{Map, Value};
use tollhouse_query::date::Zone;
use tollhouse_query::fields::FieldKind;

use super::super::collect::{BUCKETS_MAX, pair};
use super::super::key::Key;
use super::super::partial::{AutoBuckets, Bucket, Keyed, first, page, sorted};
use super::super::plan::{
    AggPlan, AutoDate, Bucketing, Composite, DateHistogram, Histogram, MultiTerms, Ranges, Source, TermsAnswer,
    TermsPlan, write_date,
};
use super::{Body, DoneBucket, Many, Renderer};
use crate::error::StoreError;
use crate::field::FieldRef;

impl Renderer<'_> {
    pub(super) fn dates(
        &mut self,
        plan: &AggPlan,
        histogram: &DateHistogram,
        keyed: Keyed,
    ) -> Result<Body, StoreError> {
        let mut found = by_whole(keyed);
        if histogram.min_doc_count == 0 {
            found = with_gaps(plan, found, histogram.bounds, |start| histogram.rounding.next(start))?;
        }
        found.retain(|(_, bucket)| bucket.count >= histogram.min_doc_count);
        let is_date = histogram.field.kind.is_none_or(|kind| kind == FieldKind::Date);
        let mut list = Vec::with_capacity(found.len());
        for (key, bucket) in sorted(found, &histogram.order, plan) {
            let start = whole(&key);
            let text = write_date(start, histogram.format.as_ref(), histogram.rounding.zone());
            let mut head = Map::new();
            if is_date {
                head.insert("key_as_string".into(), text.clone().into());
            }
            head.insert("key".into(), start.into());
            list.push(self.bucket(plan, text, head, bucket)?);
        }
        Ok(Body::Many(Many { list, keyed: histogram.keyed, head: Map::new() }))
    }

    /// Elasticsearch's `InternalAutoDateHistogram`: the narrowest width of which there are not too many from the first to
    /// the last bucket, then so many of these put together that there are as many as are wanted.
    pub(super) fn auto_dates(
        &mut self,
        plan: &AggPlan,
        auto: &AutoDate,
        mut found: AutoBuckets,
    ) -> Result<Body, StoreError> {
        let subs = &plan.subs.aggs;
        if let (Some(first), Some(last)) = (first_start(&found), last_start(&found)) {
            found.widen(auto_step(auto, found.step, first, last), auto, subs)?;
        }
        let steps = &auto.steps[found.step];
        let found: Vec<(Key, Bucket)> =
            found.buckets.into_iter().map(|(start, bucket)| (Key::Whole(start), bucket)).collect();
        let filled = with_gaps(plan, found, (None, None), |start| steps.rounding.next(start))?;
        let multiple = steps.multiples.iter().find(|multiple| filled.len().div_ceil(**multiple) <= auto.target);
        let multiple = multiple.copied().unwrap_or(1);
        let mut head = Map::new();
        head.insert("interval".into(), format!("{multiple}{}", steps.unit).into());
        let mut list = Vec::with_capacity(filled.len().div_ceil(multiple));
        let mut rest = filled.into_iter();
        while let Some((key, mut bucket)) = rest.next() {
            for (_, next) in rest.by_ref().take(multiple - 1) {
                bucket.merge(next, subs)?;
            }
            let start = whole(&key);
            let text = write_date(start, auto.format.as_ref(), &auto.zone);
            let mut head = Map::new();
            head.insert("key_as_string".into(), text.clone().into());
            head.insert("key".into(), start.into());
            list.push(self.bucket(plan, text, head, bucket)?);
        }
        Ok(Body::Many(Many { head, list, keyed: false }))
    }

    pub(super) fn histogram(
        &mut self,
        plan: &AggPlan,
        histogram: &Histogram,
        keyed: Keyed,
    ) -> Result<Body, StoreError> {
        let mut found = by_whole(keyed);
        if histogram.min_doc_count == 0 {
            found = with_gaps(plan, found, histogram.bounds, |step| step.saturating_add(1))?;
        }
        found.retain(|(_, bucket)| bucket.count >= histogram.min_doc_count);
        let mut list = Vec::with_capacity(found.len());
        for (key, bucket) in sorted(found, &histogram.order, plan) {
            let border = histogram.border(whole(&key));
            let mut head = Map::new();
            let text = match histogram.field.kind {
                Some(FieldKind::Date) => Some(Zone::utc().format(border as i64)),
                Some(FieldKind::Boolean) => Some((border != 0.0).to_string()),
                _ => None,
            };
            if let Some(text) = &text {
                head.insert("key_as_string".into(), text.clone().into());
            }
            head.insert("key".into(), border.into());
            list.push(self.bucket(plan, text.unwrap_or_else(|| format!("{border:?}")), head, bucket)?);
        }
        Ok(Body::Many(Many { list, keyed: histogram.keyed, head: Map::new() }))
    }

    pub(super) fn terms(&mut self, plan: &AggPlan, terms: &TermsPlan, keyed: Keyed) -> Result<Body, StoreError> {
        match &terms.answer {
            TermsAnswer::Frequent { size, min_doc_count, show_error, universe } => {
                let mut keyed = keyed;
                keyed.buckets.fill(universe, plan);
                let error = show_error.then_some(keyed.error);
                let (mut other, wrong) = (keyed.dropped_docs, keyed.error);
                let frequent = keyed.buckets.into_iter().filter(|(_, bucket)| bucket.count >= *min_doc_count);
                let (shown, others) = first(frequent, &terms.order, plan, *size);
                other += others;
                let list = shown.into_iter().map(|(key, bucket)| self.term(plan, &key, &terms.field, bucket, error));
                let list = list.collect::<Result<_, _>>()?;
                Ok(Body::Many(Many { head: counted(wrong, other), list, keyed: false }))
            }
            TermsAnswer::Rare { max_doc_count } => {
                let mut rare: Vec<(Key, Bucket)> =
                    keyed.buckets.into_iter().filter(|(_, bucket)| bucket.count <= *max_doc_count).collect();
                rare.sort_unstable_by(|(key_a, a), (key_b, b)| a.count.cmp(&b.count).then_with(|| key_a.cmp(key_b)));
                let list = rare.into_iter().map(|(key, bucket)| self.term(plan, &key, &terms.field, bucket, None));
                Ok(Body::Many(Many { list: list.collect::<Result<_, _>>()?, ..Many::default() }))
            }
            TermsAnswer::Significant { .. } => self.significant(plan, terms, keyed),
        }
    }

    fn term(
        &mut self,
        plan: &AggPlan,
        key: &Key,
        field: &FieldRef,
        bucket: Bucket,
        error: Option<u64>,
    ) -> Result<DoneBucket, StoreError> {
        let mut head = Map::new();
        head.insert("key".into(), key_json(key));
        let text = key_text(key, field);
        if matches!(field.kind, Some(FieldKind::Boolean | FieldKind::Date)) {
            head.insert("key_as_string".into(), text.clone().into());
        }
        if let Some(error) = error {
            head.insert("doc_count_error_upper_bound".into(), error.into());
        }
        self.bucket(plan, text, head, bucket)
    }

    /// Values by how much more frequent they are here than in the background: the JLH score, which is the product of the
    /// difference and the quotient of both shares.
    fn significant(&mut self, plan: &AggPlan, terms: &TermsPlan, keyed: Keyed) -> Result<Body, StoreError> {
        let TermsAnswer::Significant { size, min_doc_count, background } = &terms.answer else {
            unreachable!("called for these only")
        };
        let found_docs = keyed.found_docs;
        let mut scored: Vec<(f64, u64, Key, Bucket)> = Vec::new();
        for (key, bucket) in keyed.buckets {
            let common = background.counts.get(&key).copied().unwrap_or_default();
            let here = bucket.count as f64 / found_docs as f64;
            let there = common as f64 / background.docs as f64;
            let score = (here - there) * here / there;
            if bucket.count >= *min_doc_count && score > 0.0 && score.is_finite() {
                scored.push((score, common, key, bucket));
            }
        }
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.2.cmp(&b.2)));
        let mut list = Vec::new();
        for (score, common, key, bucket) in scored.into_iter().take(*size) {
            let mut done = self.term(plan, &key, &terms.field, bucket, None)?;
            done.head.insert("score".into(), score.into());
            done.head.insert("bg_count".into(), common.into());
            list.push(done);
        }
        let mut head = Map::new();
        head.insert("doc_count".into(), found_docs.into());
        head.insert("bg_count".into(), background.docs.into());
        Ok(Body::Many(Many { head, list, keyed: false }))
    }

    pub(super) fn multi_terms(&mut self, plan: &AggPlan, multi: &MultiTerms, keyed: Keyed) -> Result<Body, StoreError> {
        let (mut other, wrong) = (keyed.dropped_docs, keyed.error);
        let mut list = Vec::new();
        for (key, bucket) in sorted(keyed.buckets, &multi.order, plan) {
            if bucket.count < multi.min_doc_count {
                continue;
            }
            if list.len() >= multi.size {
                other += bucket.count;
                continue;
            }
            let parts = || parts_of(&key).iter().zip(&multi.fields);
            let text: Vec<String> = parts().map(|(key, (field, _))| key_text(key, field)).collect();
            let text = text.join("|");
            let mut head = Map::new();
            head.insert("key".into(), parts().map(|(key, (field, _))| typed_json(key, field, true)).collect());
            head.insert("key_as_string".into(), text.clone().into());
            if multi.show_error {
                head.insert("doc_count_error_upper_bound".into(), wrong.into());
            }
            list.push(self.bucket(plan, text, head, bucket)?);
        }
        Ok(Body::Many(Many { head: counted(wrong, other), list, keyed: false }))
    }

    pub(super) fn composite(
        &mut self,
        plan: &AggPlan,
        composite: &Composite,
        keyed: Keyed,
    ) -> Result<Body, StoreError> {
        let mut list = Vec::new();
        let mut after = None;
        for (key, bucket) in page(composite, keyed.buckets) {
            let sources = composite.sources.iter().zip(parts_of(&key));
            let key: Map<String, Value> = sources
                .map(|(source, key)| Ok((source.name.clone(), source_json(source, key)?)))
                .collect::<Result<_, StoreError>>()?;
            after = Some(key.clone());
            let mut head = Map::new();
            head.insert("key".into(), key.into());
            list.push(self.bucket(plan, String::new(), head, bucket)?);
        }
        let mut head = Map::new();
        if let Some(after) = after {
            head.insert("after_key".into(), after.into());
        }
        Ok(Body::Many(Many { head, list, keyed: false }))
    }

    pub(super) fn filters(
        &mut self,
        plan: &AggPlan,
        names: &[Option<String>],
        other: Option<&str>,
        keyed: bool,
        found: Vec<Bucket>,
    ) -> Result<Body, StoreError> {
        let is_named = names.iter().all(Option::is_some);
        let names = names.iter().map(Option::as_deref).chain(other.map(|name| is_named.then_some(name)));
        let mut list = Vec::with_capacity(found.len());
        for (name, bucket) in names.zip(found) {
            let mut head = Map::new();
            if let Some(name) = name
                && !keyed
            {
                head.insert("key".into(), name.into());
            }
            list.push(self.bucket(plan, name.unwrap_or_default().to_owned(), head, bucket)?);
        }
        Ok(Body::Many(Many { list, keyed, head: Map::new() }))
    }

    pub(super) fn adjacency(
        &mut self,
        plan: &AggPlan,
        names: &[String],
        separator: &str,
        mut found: Vec<Bucket>,
    ) -> Result<Body, StoreError> {
        let mut list = Vec::new();
        for first in 0..names.len() {
            for second in first..names.len() {
                let bucket = std::mem::take(&mut found[pair(first, second, names.len())]);
                if bucket.count == 0 {
                    continue;
                }
                let key = if first == second {
                    names[first].clone()
                } else {
                    format!("{}{separator}{}", names[first], names[second])
                };
                let mut head = Map::new();
                head.insert("key".into(), key.clone().into());
                list.push(self.bucket(plan, key, head, bucket)?);
            }
        }
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Body::Many(Many { list, ..Many::default() }))
    }

    pub(super) fn ranges(&mut self, plan: &AggPlan, ranges: &Ranges, found: Vec<Bucket>) -> Result<Body, StoreError> {
        let mut list = Vec::with_capacity(found.len());
        for (range, bucket) in ranges.list.iter().zip(found) {
            let mut head = Map::new();
            if !ranges.keyed {
                head.insert("key".into(), range.key.clone().into());
            }
            for (name, limit, text) in [("from", range.from, &range.from_text), ("to", range.to, &range.to_text)] {
                if let Some(limit) = limit {
                    head.insert(name.into(), limit.into());
                }
                if let Some(text) = text {
                    head.insert(format!("{name}_as_string"), text.clone());
                }
            }
            list.push(self.bucket(plan, range.key.clone(), head, bucket)?);
        }
        Ok(Body::Many(Many { list, keyed: ranges.keyed, head: Map::new() }))
    }
}

fn counted(error: u64, other: u64) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("doc_count_error_upper_bound".into(), error.into());
    head.insert("sum_other_doc_count".into(), other.into());
    head
}

/// In the order of their whole keys.
fn by_whole(keyed: Keyed) -> Vec<(Key, Bucket)> {
    let mut found: Vec<(Key, Bucket)> = keyed.buckets.into_iter().collect();
    found.sort_unstable_by_key(|(key, _)| whole(key));
    found
}

/// Puts empty buckets between (and, with `bounds`, around) those found, which ascend.
fn with_gaps(
    plan: &AggPlan,
    found: Vec<(Key, Bucket)>,
    bounds: (Option<i64>, Option<i64>),
    next: impl Fn(i64) -> i64,
) -> Result<Vec<(Key, Bucket)>, StoreError> {
    let first = found.first().map(|(key, _)| whole(key));
    let last = found.last().map(|(key, _)| whole(key));
    // One bound alone makes no buckets where none was found.
    let (low, high) = match (first, bounds) {
        (None, (Some(min), Some(max))) => (min, max),
        (None, _) => return Ok(found),
        (Some(first), (min, max)) => {
            let last = last.unwrap_or(first);
            (min.map_or(first, |min| min.min(first)), max.map_or(last, |max| max.max(last)))
        }
    };
    let mut filled = Vec::with_capacity(found.len());
    let mut found = found.into_iter().peekable();
    let mut at = low;
    while at <= high {
        if filled.len() > BUCKETS_MAX {
            return Err(StoreError::TooManyBuckets { max: BUCKETS_MAX });
        }
        match found.next_if(|(key, _)| whole(key) <= at) {
            // Where clocks change, rounding may know a start that stepping does not meet.
            Some((key, bucket)) => {
                let start = whole(&key);
                filled.push((key, bucket));
                if start < at {
                    continue;
                }
            }
            None => filled.push((Key::Whole(at), Bucket::empty(plan))),
        }
        at = next(at);
    }
    filled.extend(found);
    Ok(filled)
}

fn first_start(found: &AutoBuckets) -> Option<i64> {
    found.buckets.keys().next().copied()
}

fn last_start(found: &AutoBuckets) -> Option<i64> {
    found.buckets.keys().next_back().copied()
}

/// The narrowest width, from the one taken so far on, of which not too many lie between two moments.
fn auto_step(auto: &AutoDate, from: usize, first: i64, last: i64) -> usize {
    let fits = |step: &usize| {
        let steps = &auto.steps[*step];
        let most = auto.buckets_max(*step);
        // Far too many need not be counted one by one.
        if (last - first) / steps.length_ms > 2 * most as i64 {
            return false;
        }
        let (mut start, mut needed) = (first, 0);
        while start < last && needed <= most {
            needed += 1;
            start = steps.rounding.next(steps.rounding.floor(start));
        }
        needed <= most
    };
    (from..auto.steps.len()).find(fits).unwrap_or(auto.steps.len() - 1)
}

fn whole(key: &Key) -> i64 {
    match key {
        Key::Whole(value) => *value,
        _ => unreachable!("histograms have whole keys"),
    }
}

fn parts_of(key: &Key) -> &[Key] {
    match key {
        Key::Many(parts) => parts,
        _ => unreachable!("combinations have many keys"),
    }
}

fn key_json(key: &Key) -> Value {
    match key {
        Key::Missing => Value::Null,
        Key::Whole(value) => (*value).into(),
        Key::Fraction(value) => (*value).into(),
        Key::Text(text) => text.clone().into(),
        Key::Many(parts) => parts.iter().map(key_json).collect(),
    }
}

/// A key as its field has it: booleans as such, dates (where `dates` says so) as texts.
fn typed_json(key: &Key, field: &FieldRef, dates: bool) -> Value {
    match (field.kind, key) {
        (Some(FieldKind::Boolean), Key::Whole(value)) => (*value != 0).into(),
        (Some(FieldKind::Date), Key::Whole(ms)) if dates => Zone::utc().format(*ms).into(),
        _ => key_json(key),
    }
}

fn key_text(key: &Key, field: &FieldRef) -> String {
    match (field.kind, key) {
        (Some(FieldKind::Boolean), Key::Whole(value)) => (*value != 0).to_string(),
        (Some(FieldKind::Date), Key::Whole(ms)) => Zone::utc().format(*ms),
        (_, Key::Whole(value)) => value.to_string(),
        (_, Key::Fraction(value)) => format!("{value:?}"),
        (_, Key::Text(text)) => text.clone(),
        (_, Key::Missing | Key::Many(_)) => String::new(),
    }
}

/// A part of the key of a `composite`; it has to be one that the next page can be asked for with.
fn source_json(source: &Source, key: &Key) -> Result<Value, StoreError> {
    Ok(match (&source.bucketing, key) {
        (Bucketing::Histogram(interval), Key::Whole(step)) => (*step as f64 * interval).into(),
        (Bucketing::Date(rounding, Some(format)), Key::Whole(start)) => {
            let text = format.write(*start, rounding.zone());
            let read = format.read(&text.clone().into(), false, 0, rounding.zone());
            if read.ok() != Some(*start) {
                return Err(StoreError::invalid(format!(
                    "Format [{}] created output it couldn't parse for value [{start}] of [{}]",
                    format.as_str(),
                    source.name
                )));
            }
            text.into()
        }
        (Bucketing::Value, key) => typed_json(key, &source.field, false),
        (_, key) => key_json(key),
    })
}
