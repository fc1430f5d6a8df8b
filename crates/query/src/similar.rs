//! Words that are written nearly alike: a few letters changed, missing, too many, or two neighbours exchanged.

use crate::error::ParseError;

/// How far a word may be from another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fuzzy {
    /// How many changes are allowed.
    pub fuzziness: Fuzziness,
    /// So many characters at the beginning must be as they are.
    pub prefix_length: usize,
    /// Two neighbours that changed places are one change, not two.
    pub transpositions: bool,
}

impl Fuzzy {
    /// So many changes, anywhere in the word.
    pub const fn within(fuzziness: Fuzziness) -> Self {
        Self { fuzziness, prefix_length: 0, transpositions: true }
    }
}

/// How many changes are allowed: 0, 1 or 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fuzziness {
    /// None in words of fewer characters than the first number, one in those of fewer than the second, else two.
    Auto(usize, usize),
    /// So many.
    Edits(u8),
}

/// Most changes; Lucene's own limit.
pub(crate) const EDITS_MAX: u8 = 2;

impl Fuzziness {
    /// What Elasticsearch takes where nothing is said.
    pub const AUTO: Self = Self::Auto(3, 6);

    /// Reads `AUTO`, `AUTO:3,6`, `1` or `1.0`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let bad = || ParseError::illegal(format!("[fuzziness] must be 0, 1, 2, AUTO or AUTO:low,high, got [{text}]"));
        let upper = text.trim().to_ascii_uppercase();
        if upper == "AUTO" {
            return Ok(Self::AUTO);
        }
        if let Some(limits) = upper.strip_prefix("AUTO:") {
            let (low, high) = limits.split_once(',').ok_or_else(bad)?;
            let (low, high) = (low.parse().map_err(|_| bad())?, high.parse().map_err(|_| bad())?);
            return if low <= high { Ok(Self::Auto(low, high)) } else { Err(bad()) };
        }
        let edits: f64 = upper.parse().map_err(|_| bad())?;
        (0..=EDITS_MAX).find(|whole| f64::from(*whole) == edits).map(Self::Edits).ok_or_else(bad)
    }

    fn edits(self, length: usize) -> usize {
        match self {
            Self::Edits(edits) => edits.into(),
            Self::Auto(low, _) if length < low => 0,
            Self::Auto(_, high) if length < high => 1,
            Self::Auto(..) => 2,
        }
    }
}

/// A word to which others are compared.
#[derive(Clone, Debug)]
pub(crate) struct Similar {
    wanted: Vec<char>,
    edits: usize,
    /// So many characters at the beginning must be as they are.
    kept: usize,
    beginning: String,
    transpositions: bool,
}

impl Similar {
    pub(crate) fn new(word: &str, fuzzy: Fuzzy) -> Self {
        let wanted: Vec<char> = word.chars().collect();
        let edits = fuzzy.fuzziness.edits(wanted.len());
        let kept = if edits == 0 { wanted.len() } else { fuzzy.prefix_length.min(wanted.len()) };
        let beginning = wanted[..kept].iter().collect();
        Self { wanted, edits, kept, beginning, transpositions: fuzzy.transpositions }
    }

    /// What every similar word begins with.
    pub(crate) fn beginning(&self) -> &str {
        &self.beginning
    }

    /// Whether a word is near enough; in time of its length.
    pub(crate) fn is_match(&self, word: &str) -> bool {
        let Some(rest) = word.strip_prefix(self.beginning.as_str()) else { return false };
        let wanted = &self.wanted[self.kept..];
        // Others are too far away whatever their letters are.
        let length = rest.chars().take(wanted.len() + self.edits + 1).count();
        if length.abs_diff(wanted.len()) > self.edits {
            return false;
        }
        let found: Vec<char> = rest.chars().collect();
        self.is_near(wanted, &found)
    }

    /// Levenshtein's distance row by row, of which only the columns near the diagonal can stay within the limit.
    fn is_near(&self, wanted: &[char], found: &[char]) -> bool {
        let far = self.edits + 1;
        let mut before = vec![far; found.len() + 1];
        let mut last: Vec<usize> = (0..=found.len()).map(|column| column.min(far)).collect();
        let mut this = vec![far; found.len() + 1];
        for row in 1..=wanted.len() {
            this[0] = row.min(far);
            let columns = row.saturating_sub(self.edits).max(1)..=(row + self.edits).min(found.len());
            // What stood in these rows before lies beside the columns that are written now; to the right all is far.
            if *columns.start() > 1 {
                this[columns.start() - 1] = far;
            }
            for column in columns {
                let is_other = usize::from(wanted[row - 1] != found[column - 1]);
                let mut distance = (last[column - 1] + is_other).min(last[column] + 1).min(this[column - 1] + 1);
                let has_changed_places = self.transpositions
                    && row > 1
                    && column > 1
                    && wanted[row - 1] == found[column - 2]
                    && wanted[row - 2] == found[column - 1];
                if has_changed_places {
                    distance = distance.min(before[column - 2] + 1);
                }
                this[column] = distance.min(far);
            }
            (before, last, this) = (last, this, before);
        }
        last[found.len()] < far
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_near(wanted: &str, found: &str, edits: u8, transpositions: bool) -> bool {
        let fuzzy = Fuzzy { transpositions, ..Fuzzy::within(Fuzziness::Edits(edits)) };
        Similar::new(wanted, fuzzy).is_match(found)
    }

    #[test]
    fn nearness() {
        for (wanted, found, edits) in [
            ("gpu", "gpu", 0),
            ("gpu", "gpx", 1),
            ("gpu", "gu", 1),
            ("gpu", "gpus", 1),
            ("gpu", "gup", 1),
            ("gpu", "cpx", 2),
            ("模型", "模具", 1),
            ("", "ab", 2),
            ("ab", "", 2),
        ] {
            assert!(is_near(wanted, found, edits, true), "{wanted} {found}");
            assert!(edits == 0 || !is_near(wanted, found, edits - 1, true), "{wanted} {found}");
        }
        assert!(!is_near("gpu", "gup", 1, false) && is_near("gpu", "gup", 2, false));
        assert!(!Similar::new("gpu", Fuzzy { prefix_length: 1, ..Fuzzy::within(Fuzziness::AUTO) }).is_match("cpu"));
        let long = "x".repeat(100_000);
        assert!(is_near(&long, &format!("{long}y"), 1, true) && !is_near(&long, "y", 2, true));
    }

    #[test]
    fn fuzziness_is_read() {
        for (text, expected) in [
            ("auto", Some(Fuzziness::AUTO)),
            ("AUTO:1,4", Some(Fuzziness::Auto(1, 4))),
            ("1", Some(Fuzziness::Edits(1))),
            ("2.0", Some(Fuzziness::Edits(2))),
            ("3", None),
            ("0.5", None),
            ("-1", None),
            ("AUTO:6,3", None),
            ("lots", None),
        ] {
            assert_eq!(Fuzziness::parse(text).ok(), expected, "{text}");
        }
    }

    /// The whole table, as it is in books.
    fn distance(a: &[char], b: &[char]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let mut distance = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        distance = distance.min(table[i - 2][j - 2] + 1);
                    }
                    distance
                };
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #[test]
        fn near_is_what_the_whole_table_says(a in "[ab模]{0,7}", b in "[ab模]{0,7}", edits in 0..=EDITS_MAX) {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(is_near(&a, &b, edits, true), distance(&x, &y) <= edits.into());
        }
    }
}
