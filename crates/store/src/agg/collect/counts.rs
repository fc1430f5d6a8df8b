//! Counting the documents of each value of a field in one segment, outside of any bucket.

use tantivy::SegmentReader;
use tantivy::columnar::ColumnIndex;

use super::super::key::Key;
use super::super::plan::TermsPlan;
use super::BUCKETS_MAX;
use super::slots::{Allowed, Slotting};
use crate::bits::{BLOCK, Docs};
use crate::column::{Columns, Fetched};
use crate::error::StoreError;

/// The values that have a bucket, with the number of documents that have them; at most `max`.
pub(in super::super) fn key_counts(
    reader: &SegmentReader,
    terms: &TermsPlan,
    docs: &Docs,
    max: usize,
) -> Result<Vec<(Key, u64)>, StoreError> {
    let columns = Columns::open(reader, &terms.field.column)?;
    let mut found = Vec::new();
    let places = [0; BLOCK];
    for column in &columns.list {
        let allowed = Allowed::new(&terms.select, column)?;
        let mut slotting = Slotting::of_values(column);
        let is_multivalued = matches!(column.values.index, ColumnIndex::Multivalued(_));
        let (mut counts, mut last, mut different) = (Vec::<u64>::new(), Vec::<Option<u32>>::new(), 0);
        let mut fetched = Fetched::default();
        docs.for_each_block(reader.max_doc(), |block| {
            fetched.read(&column.values, block, &places[..block.len()]);
            for (doc, raw) in fetched.docs.iter().zip(&fetched.values) {
                if allowed.as_ref().is_some_and(|allowed| !allowed.contains(*raw)) {
                    continue;
                }
                let Some(slot) = slotting.slot(*raw, &column.kind) else { continue };
                let slot = slot as usize;
                if counts.len() <= slot {
                    counts.resize(slot + 1, 0);
                }
                // A document counts once, even if it has the value twice.
                if is_multivalued {
                    if last.len() <= slot {
                        last.resize(slot + 1, None);
                    }
                    if last[slot].replace(*doc) == Some(*doc) {
                        continue;
                    }
                }
                different += usize::from(counts[slot] == 0);
                counts[slot] += 1;
            }
            if different > max { Err(StoreError::TooManyBuckets { max: BUCKETS_MAX }) } else { Ok(()) }
        })?;
        let slots: Vec<u32> = (0..counts.len() as u32).filter(|slot| counts[*slot as usize] > 0).collect();
        let mut keys = Vec::with_capacity(slots.len());
        slotting.keys(&column.kind, &slots, &mut keys)?;
        let is_declared = terms.field.kind.is_some();
        let keys = keys.into_iter().map(|key| if is_declared { key } else { key.whole_if_possible() });
        found.extend(keys.zip(slots.iter().map(|slot| counts[*slot as usize])));
    }
    Ok(found)
}
