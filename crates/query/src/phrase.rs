//! Whether words stand near one another: the one answer for texts in memory and for positions in the index.

/// A word of a phrase.
#[derive(Clone, Copy, Debug)]
pub struct PhraseWord<'a> {
    /// Its place in the phrase.
    pub offset: u32,
    /// The places where the text has it, ascending.
    pub places: &'a [u32],
}

/// Whether each word has a place of its own in the text so that, counted from where the phrase would then begin, they are
/// at most `slop` apart.
///
/// That is Lucene's meaning of slop: words in between cost one each, two that changed places cost two.
pub fn stand_near(words: &[PhraseWord<'_>], slop: u32) -> bool {
    if words.is_empty() || words.iter().any(|word| word.places.is_empty()) {
        return false;
    }
    let begins = |word: &PhraseWord<'_>, place: u32| i64::from(place) - i64::from(word.offset);
    // A phrase that is near enough begins, at its earliest, where one of the words has it begin.
    let mut starts: Vec<i64> =
        words.iter().flat_map(|word| word.places.iter().map(|place| begins(word, *place))).collect();
    starts.sort_unstable();
    starts.dedup();
    let mut taken = Vec::with_capacity(words.len());
    starts.into_iter().any(|start| {
        taken.clear();
        words.iter().all(|word| {
            let from = start + i64::from(word.offset);
            let first = word.places.partition_point(|place| i64::from(*place) < from);
            // A word that the phrase has twice must be there twice.
            let place = word.places[first..]
                .iter()
                .take_while(|place| i64::from(**place) <= from + i64::from(slop))
                .find(|place| !taken.contains(*place));
            taken.extend(place.copied());
            place.is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(text: &str, phrase: &str, slop: u32) -> bool {
        let places: Vec<Vec<u32>> = phrase
            .split(' ')
            .map(|word| text.split(' ').zip(0..).filter(|(other, _)| *other == word).map(|(_, place)| place).collect())
            .collect();
        let words: Vec<PhraseWord<'_>> =
            places.iter().zip(0..).map(|(places, offset)| PhraseWord { offset, places }).collect();
        stand_near(&words, slop)
    }

    #[test]
    fn slop_counts_moves() {
        for (text, phrase, least) in [
            ("a b", "a b", 0),
            ("x a b", "a b", 0),
            ("a x b", "a b", 1),
            ("b a", "a b", 2),
            ("b x a", "a b", 3),
            ("a x b y c", "a b c", 2),
            ("a b a", "a a", 1),
            ("a x a x a", "a a a", 2),
            ("c b a", "a b c", 4),
        ] {
            assert!(near(text, phrase, least), "{phrase} in {text}");
            assert!(least == 0 || !near(text, phrase, least - 1), "{phrase} in {text}");
        }
        assert!(!near("a", "a a", 5));
        assert!(!near("a x", "a b", 5));
        assert!(near("a b", "a b", u32::MAX));
        assert!(!stand_near(&[], 3));
    }
}
