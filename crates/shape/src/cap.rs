//! Lets so many lines of one pattern through in a time, and counts the others.

use std::collections::HashMap;
use std::time::Duration;

use crate::pattern::pattern;

/// Patterns that are counted at once. Of more, the one that was seen the longest ago is counted anew when it comes again.
pub const PATTERNS_MAX: usize = 1_000;
/// Patterns that are told by themselves of one time; the others are told together.
pub const TOLD_MAX: usize = 20;

/// A cap on the lines of one source.
#[derive(Debug)]
pub struct Cap {
    lines: u64,
    per: Duration,
    /// By pattern: what came since `began`.
    counts: HashMap<String, Count>,
    began: Duration,
    has_left_out: bool,
    /// Left out of patterns that are not counted any more.
    others: Others,
    /// Of the times before this one, not told yet.
    ready: Option<LeftOut>,
}

/// What came of one pattern.
#[derive(Debug)]
struct Count {
    lines: u64,
    /// When the first and the last line came that was left out, by the wall clock, in milliseconds since 1970.
    first_ms: i64,
    last_ms: i64,
    seen: u64,
}

#[derive(Debug, Default)]
struct Others {
    patterns: u64,
    lines: u64,
    seen: u64,
}

/// Lines that were left out in a time.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeftOut {
    /// How many.
    pub lines: u64,
    /// The patterns of most of them, most lines first.
    pub patterns: Vec<LeftOutPattern>,
    /// How many patterns have no place there.
    pub other_patterns: u64,
}

/// Lines of one pattern that were left out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftOutPattern {
    /// See [`pattern`].
    pub pattern: String,
    /// How many.
    pub lines: u64,
    /// When the first one came, in milliseconds since 1970 UTC.
    pub first_ms: i64,
    /// When the last one came.
    pub last_ms: i64,
}

impl Cap {
    /// Lets `lines` of one pattern through in each `per`.
    pub fn new(lines: u64, per: Duration) -> Self {
        let (counts, others) = (HashMap::new(), Others::default());
        Self { lines, per, counts, began: Duration::ZERO, has_left_out: false, others, ready: None }
    }

    /// Whether this cap is that of another configuration too.
    pub fn is(&self, lines: u64, per: Duration) -> bool {
        (self.lines, self.per) == (lines, per)
    }

    /// Whether a line goes through. `at` is any clock that does not go back, `now_ms` the wall clock.
    pub fn take(&mut self, text: &str, at: Duration, now_ms: i64) -> bool {
        self.turn(at);
        self.others.seen += 1;
        let seen = self.others.seen;
        let pattern = pattern(text);
        if !self.counts.contains_key(&pattern) && self.counts.len() >= PATTERNS_MAX {
            self.forget_oldest();
        }
        let first = Count { lines: 0, first_ms: now_ms, last_ms: now_ms, seen };
        let count = self.counts.entry(pattern).or_insert(first);
        count.lines += 1;
        count.seen = seen;
        if count.lines <= self.lines {
            return true;
        }
        if count.lines == self.lines + 1 {
            count.first_ms = now_ms;
        }
        count.last_ms = now_ms;
        self.has_left_out = true;
        false
    }

    /// When there is something left out to tell.
    pub fn due(&self) -> Option<Duration> {
        match (&self.ready, self.has_left_out) {
            (Some(_), _) => Some(self.began),
            (None, true) => Some(self.began + self.per),
            (None, false) => None,
        }
    }

    /// What was left out in times that are over, once.
    pub fn left_out(&mut self, at: Duration) -> Option<LeftOut> {
        self.turn(at);
        self.ready.take()
    }

    /// All that was left out and not told yet, as at the end of a source.
    pub fn finish(&mut self) -> Option<LeftOut> {
        self.close();
        self.ready.take()
    }

    /// Begins a new time when this one is over.
    fn turn(&mut self, at: Duration) {
        if at.saturating_sub(self.began) >= self.per {
            self.close();
            self.began = at;
        }
    }

    fn close(&mut self) {
        self.has_left_out = false;
        let others = std::mem::take(&mut self.others);
        let mut patterns: Vec<LeftOutPattern> = Vec::new();
        for (pattern, count) in self.counts.drain() {
            if count.lines > self.lines {
                let Count { first_ms, last_ms, .. } = count;
                patterns.push(LeftOutPattern { pattern, lines: count.lines - self.lines, first_ms, last_ms });
            }
        }
        if patterns.is_empty() && others.lines == 0 {
            return;
        }
        let mut left_out = self.ready.take().unwrap_or_default();
        left_out.lines += others.lines + patterns.iter().map(|pattern| pattern.lines).sum::<u64>();
        left_out.other_patterns += others.patterns;
        for pattern in patterns {
            match left_out.patterns.iter_mut().find(|told| told.pattern == pattern.pattern) {
                Some(told) => {
                    told.lines += pattern.lines;
                    told.last_ms = pattern.last_ms;
                }
                None => left_out.patterns.push(pattern),
            }
        }
        left_out.patterns.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.pattern.cmp(&b.pattern)));
        left_out.other_patterns += left_out.patterns.len().saturating_sub(TOLD_MAX) as u64;
        left_out.patterns.truncate(TOLD_MAX);
        self.ready = Some(left_out);
    }

    fn forget_oldest(&mut self) {
        let oldest = self.counts.iter().min_by_key(|(_, count)| count.seen).map(|(pattern, _)| pattern.clone());
        let Some(count) = oldest.and_then(|pattern| self.counts.remove(&pattern)) else { return };
        if count.lines > self.lines {
            self.others.patterns += 1;
            self.others.lines += count.lines - self.lines;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_pattern_has_its_share() {
        let mut cap = Cap::new(2, SECOND);
        let at = Duration::from_millis;
        let through: Vec<bool> = (0..5_u32).map(|n| cap.take(&format!("crash {n}"), at(10), i64::from(n))).collect();
        assert_eq!(through, [true, true, false, false, false]);
        assert!(cap.take("something else", at(20), 9));
        assert_eq!(cap.left_out(at(500)), None, "the time is not over");
        let crash = LeftOutPattern { pattern: "crash #".to_owned(), lines: 3, first_ms: 2, last_ms: 4 };
        let left_out = LeftOut { lines: 3, patterns: vec![crash], other_patterns: 0 };
        assert_eq!(cap.left_out(at(1_000)), Some(left_out));
        assert_eq!(cap.left_out(at(3_000)), None, "told once");
        assert!(cap.take("crash 9", at(3_001), 10), "the next time has its own share");
        assert!(cap.take("crash 9", at(3_002), 10) && !cap.take("crash 9", at(3_002), 11));
        assert_eq!(cap.finish().map(|left_out| left_out.lines), Some(1));
    }

    #[test]
    fn many_patterns_are_told_together() {
        let mut cap = Cap::new(1, SECOND);
        for word in 0..PATTERNS_MAX + 50 {
            // Letters only: digits are masked.
            let word: String = format!("{word:04}").bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
            assert!(cap.take(&word, Duration::ZERO, 0));
            assert!(!cap.take(&word, Duration::ZERO, 0));
            assert!(cap.counts.len() <= PATTERNS_MAX);
        }
        let left_out = cap.finish().unwrap();
        assert_eq!(left_out.lines, PATTERNS_MAX as u64 + 50);
        assert_eq!(left_out.patterns.len(), TOLD_MAX);
        assert_eq!(left_out.other_patterns, (PATTERNS_MAX + 50 - TOLD_MAX) as u64);
    }

    proptest! {
        /// Whatever comes: each line goes through or is counted once, and no pattern has more than its share of a time.
        #[test]
        fn each_line_counts_once(lines in prop::collection::vec(("[ab]", 0_u64..400), 0..200)) {
            let mut cap = Cap::new(3, SECOND);
            let (mut at, mut through, mut counted) = (0, 0, 0);
            for (text, step) in &lines {
                at += step;
                let now = Duration::from_millis(at);
                through += u64::from(cap.take(text, now, at as i64));
                counted += cap.left_out(now).map_or(0, |left_out| left_out.lines);
            }
            counted += cap.finish().map_or(0, |left_out| left_out.lines);
            prop_assert_eq!(through + counted, lines.len() as u64);
        }
    }
}
