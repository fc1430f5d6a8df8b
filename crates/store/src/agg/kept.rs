//! Results of a segment that are kept for later searches: how large they are, and where their documents are in another search.

use super::key::Key;
use super::partial::{AutoBuckets, Bucket, Keyed, Partial, Top, TopValues};
use crate::sort::Found;

impl Partial {
    /// About what it takes in memory, besides itself.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Partial::Keyed(Keyed { buckets, .. }) => {
                buckets.iter().map(|(key, bucket)| size_of::<Key>() + key.bytes() + bucket.bytes()).sum()
            }
            // Each stands in a node of a tree.
            Partial::Auto(AutoBuckets { buckets, .. }) => {
                buckets.values().map(|bucket| 2 * size_of::<i64>() + bucket.bytes()).sum()
            }
            Partial::Fixed(buckets) => buckets.iter().map(Bucket::bytes).sum(),
            Partial::Stats(_) | Partial::Spread(_) | Partial::Weighted(_) => 0,
            Partial::Sketch(sketch) => sketch.bytes(),
            Partial::Distinct(distinct) => distinct.bytes(),
            Partial::Top(Top { hits, .. }) => hits.iter().map(Found::bytes).sum(),
            Partial::TopValues(list) => list.iter().map(TopValues::bytes).sum(),
        }
    }

    /// Renames the places of documents: day and segment have other numbers in each search.
    pub(crate) fn move_to(&mut self, day: u32, segment: u32) {
        match self {
            Partial::Keyed(Keyed { buckets, .. }) => {
                for (_, bucket) in buckets.iter_mut() {
                    bucket.move_to(day, segment);
                }
            }
            Partial::Auto(AutoBuckets { buckets, .. }) => {
                for bucket in buckets.values_mut() {
                    bucket.move_to(day, segment);
                }
            }
            Partial::Fixed(buckets) => buckets.iter_mut().for_each(|bucket| bucket.move_to(day, segment)),
            Partial::Top(Top { hits, .. }) => hits.iter_mut().for_each(|found| found.move_to(day, segment)),
            Partial::TopValues(list) => list.iter_mut().for_each(|top| top.found.move_to(day, segment)),
            Partial::Stats(_)
            | Partial::Spread(_)
            | Partial::Weighted(_)
            | Partial::Sketch(_)
            | Partial::Distinct(_) => {}
        }
    }
}

impl Bucket {
    fn move_to(&mut self, day: u32, segment: u32) {
        for sub in &mut self.subs {
            sub.move_to(day, segment);
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.subs.iter().map(|sub| size_of::<Partial>() + sub.bytes()).sum::<usize>()
    }
}

impl TopValues {
    fn bytes(&self) -> usize {
        let values = self.values.iter().flatten().map(Key::bytes).sum::<usize>();
        size_of::<Self>() + self.found.bytes() + self.values.len() * size_of::<Key>() + values
    }
}

impl Key {
    /// What it takes besides itself.
    fn bytes(&self) -> usize {
        match self {
            Key::Missing | Key::Whole(_) | Key::Fraction(_) => 0,
            Key::Text(text) => text.len(),
            Key::Many(keys) => keys.iter().map(|key| size_of::<Self>() + key.bytes()).sum(),
        }
    }
}
