//! Buckets by key, in the order of their keys: those of two segments are put together by walking along both, without hashing a key.

use std::cmp::Ordering;

use super::key::Key;
use super::partial::Bucket;
use super::plan::AggPlan;
use crate::error::StoreError;

/// Up to so many buckets are put among others one by one.
const FEW: usize = 32;

/// Buckets whose keys ascend, each key once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets(Vec<(Key, Bucket)>);

impl Buckets {
    /// Brings buckets into order. Those of one key become one: two columns of one field may hold the same key, and `missing` may be
    /// a key that also exists.
    pub(super) fn of(mut list: Vec<(Key, Bucket)>, subs: &[AggPlan]) -> Result<Self, StoreError> {
        if list.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Ok(Self(list));
        }
        list.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut each: Vec<(Key, Bucket)> = Vec::with_capacity(list.len());
        for (key, bucket) in list {
            match each.last_mut() {
                Some((last, same)) if *last == key => same.merge(bucket, subs)?,
                _ => each.push((key, bucket)),
            }
        }
        Ok(Self(each))
    }

    /// Of keys that differ, in any order.
    pub(super) fn of_each(mut list: Vec<(Key, Bucket)>) -> Self {
        list.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Self(list)
    }

    pub(super) fn merge(&mut self, other: Self, subs: &[AggPlan]) -> Result<(), StoreError> {
        if self.0.is_empty() {
            *self = other;
            return Ok(());
        }
        if self.0.len() <= FEW && other.0.len() <= FEW {
            return self.merge_few(other, subs);
        }
        let ours = std::mem::take(&mut self.0);
        let mut both = Vec::with_capacity(ours.len().max(other.0.len()));
        let mut theirs = other.0.into_iter().peekable();
        for (key, mut bucket) in ours {
            while let Some((their, _)) = theirs.peek() {
                match their.cmp(&key) {
                    Ordering::Less => both.extend(theirs.next()),
                    Ordering::Equal => {
                        if let Some((_, same)) = theirs.next() {
                            bucket.merge(same, subs)?;
                        }
                        break;
                    }
                    Ordering::Greater => break,
                }
            }
            both.push((key, bucket));
        }
        both.extend(theirs);
        self.0 = both;
        Ok(())
    }

    /// In place: those of two segments are mostly the same.
    fn merge_few(&mut self, other: Self, subs: &[AggPlan]) -> Result<(), StoreError> {
        for (key, bucket) in other.0 {
            match self.0.binary_search_by(|(own, _)| own.cmp(&key)) {
                Ok(place) => self.0[place].1.merge(bucket, subs)?,
                Err(place) => self.0.insert(place, (key, bucket)),
            }
        }
        Ok(())
    }

    /// Adds an empty bucket for each of these keys that has none.
    pub(super) fn fill<'a>(&mut self, keys: impl IntoIterator<Item = &'a Key>, plan: &AggPlan) {
        let is_new = |key: &&Key| self.0.binary_search_by(|(own, _)| own.cmp(key)).is_err();
        let mut new: Vec<&Key> = keys.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        new.sort_unstable();
        new.dedup();
        self.0.extend(new.into_iter().map(|key| (key.clone(), Bucket::empty(plan))));
        self.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    }

    /// Takes over what is nested in the buckets of `other`; a bucket that is not there has what is nested in an empty one.
    pub(super) fn nest(&mut self, other: Self, plan: &AggPlan) {
        let mut theirs = other.0.into_iter().peekable();
        for (key, bucket) in &mut self.0 {
            while theirs.next_if(|(their, _)| *their < *key).is_some() {}
            let same = theirs.next_if(|(their, _)| their == key);
            bucket.subs = same.map_or_else(|| Bucket::empty(plan), |(_, same)| same).subs;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(Key, Bucket)> {
        self.0.iter()
    }

    /// Keys stay as they are.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Bucket)> {
        self.0.iter_mut().map(|(key, bucket)| (&*key, bucket))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl IntoIterator for Buckets {
    type Item = (Key, Bucket);
    type IntoIter = std::vec::IntoIter<(Key, Bucket)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
