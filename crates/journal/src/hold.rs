//! Closed files that somebody still has to read, and that retention therefore leaves for a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Who still has to read how much of a journal. Cheap to clone; all clones are the same.
///
/// Retention by age and by budget leaves the newest closed files that hold lines from a reader's place on, as far as they
/// take no more bytes than that reader may hold. A disk that becomes tight is above that: then files go all the same.
#[derive(Clone, Debug, Default)]
pub struct Holds(Arc<Mutex<BTreeMap<String, Hold>>>);

#[derive(Clone, Copy, Debug)]
struct Hold {
    from_seq: u64,
    bytes_max: u64,
}

impl Holds {
    /// The reader of this name needs the lines from this one on, in place of what it needed before.
    pub fn hold(&self, name: &str, from_seq: u64, bytes_max: u64) {
        let mut holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match holds.get_mut(name) {
            Some(hold) => *hold = Hold { from_seq, bytes_max },
            None => drop(holds.insert(name.to_owned(), Hold { from_seq, bytes_max })),
        }
    }

    /// The reader of this name needs nothing any more.
    pub fn release(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// The first `seq` of the oldest file that is held, of closed files given by first `seq` and bytes, oldest first. It and
    /// all that are newer are to be left.
    pub(crate) fn oldest_held(&self, closed: &[(u64, u64)]) -> Option<u64> {
        let holds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holds.values().filter_map(|hold| hold.oldest(closed)).min()
    }
}

impl Hold {
    fn oldest(self, closed: &[(u64, u64)]) -> Option<u64> {
        let mut oldest = None;
        let mut bytes = 0_u64;
        // Where the newest one ends is not known: it is needed in any case.
        let mut next_seq = u64::MAX;
        for (first_seq, size) in closed.iter().rev() {
            bytes = bytes.saturating_add(*size);
            if next_seq <= self.from_seq || bytes > self.bytes_max {
                break;
            }
            oldest = Some(*first_seq);
            next_seq = *first_seq;
        }
        oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_files_from_a_place_on_are_held_as_far_as_they_fit() {
        let closed = [(1, 100), (11, 100), (21, 100), (31, 100)];
        for (from_seq, bytes_max, oldest) in [
            (1, 1_000, Some(1)),
            (10, 1_000, Some(1)),
            (11, 1_000, Some(11)),
            (15, 1_000, Some(11)),
            (31, 1_000, Some(31)),
            (99, 1_000, Some(31)),
            (1, 400, Some(1)),
            (1, 399, Some(11)),
            (1, 100, Some(31)),
            (1, 99, None),
        ] {
            let holds = Holds::default();
            assert_eq!(holds.oldest_held(&closed), None);
            holds.hold("es", from_seq, bytes_max);
            assert_eq!(holds.oldest_held(&closed), oldest, "{from_seq} {bytes_max}");
            holds.hold("es", 99, 1_000);
            assert_eq!(holds.oldest_held(&closed), Some(31), "it has moved on");
            holds.hold("other", 12, 1_000);
            assert_eq!(holds.oldest_held(&closed), Some(11), "whoever is furthest behind");
            holds.release("other");
            holds.release("es");
            assert_eq!((holds.oldest_held(&closed), holds.oldest_held(&[])), (None, None));
        }
    }
}
