//! Which indices a key may use: those that fit its patterns, and no others in any answer.

use std::sync::Arc;

use tollhouse_query::Pattern;
use tollhouse_store::StoreError;

use crate::error::ElasticError;
use crate::indices::alias_of;

/// The indices that the holder of a key may use, as an extension of a request; all without one.
#[derive(Clone, Debug, Default)]
pub struct Scope(Option<Arc<Limited>>);

#[derive(Debug)]
struct Limited {
    /// As they were written, for whoever is refused.
    text: String,
    patterns: Vec<Pattern>,
}

impl Scope {
    /// Only indices that fit one of these patterns (`*` stands for any characters), by their own name or by that of their
    /// service. No patterns at all mean every index.
    pub fn new(patterns: &[String]) -> Self {
        if patterns.is_empty() {
            return Self(None);
        }
        let read = patterns.iter().map(|pattern| Pattern::new(pattern)).collect();
        Self(Some(Arc::new(Limited { text: patterns.join(","), patterns: read })))
    }

    /// Whether this index, or all of this service, may be used.
    pub(crate) fn allows(&self, index: &str) -> bool {
        let Some(limited) = &self.0 else { return true };
        limited.patterns.iter().any(|pattern| pattern.is_match(index) || pattern.is_match(alias_of(index)))
    }

    /// Refuses an index that may not be used.
    pub(crate) fn check(&self, index: &str) -> Result<(), ElasticError> {
        match &self.0 {
            Some(limited) if !self.allows(index) => {
                Err(ElasticError::Forbidden { index: index.to_owned(), allowed: limited.text.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Of all day indices those that a list of names and patterns stands for. Patterns, `_all` and nothing mean what may be
    /// used of them; a name that may not be used is refused, whether there is such an index or not.
    pub(crate) fn pick(&self, all: &[String], names: &str) -> Result<Vec<String>, ElasticError> {
        let mut wanted = vec![false; all.len()];
        for part in names.split(',').map(str::trim) {
            let (is_excluded, name) = match part.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, part),
            };
            let is_concrete = !(name.is_empty() || name == "_all" || name.contains('*'));
            let pattern = Pattern::new(if matches!(name, "" | "_all") { "*" } else { name });
            let mut found = false;
            for (day, wanted) in all.iter().zip(&mut wanted) {
                // The name of a service stands for all of its days.
                if !pattern.is_match(day) && !pattern.is_match(alias_of(day)) {
                    continue;
                }
                found = true;
                if self.allows(day) {
                    *wanted = !is_excluded;
                } else if is_concrete && !is_excluded {
                    self.check(name)?;
                    // The pattern is of some days of a service, and all of them are asked for.
                    self.check(day)?;
                }
            }
            if is_concrete && !found {
                if !is_excluded {
                    self.check(name)?;
                }
                return Err(StoreError::IndexNotFound { index: part.to_owned() }.into());
            }
        }
        Ok(all.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(day, _)| day.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_shrink_and_names_are_refused() {
        let all = ["a-2026.01.27", "a-2026.01.28", "b-2026.01.27"].map(str::to_owned);
        let of =
            |patterns: &[&str]| Scope::new(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>());
        let pick = |patterns: &[&str], names: &str| match of(patterns).pick(&all, names) {
            Ok(days) => days.join(" "),
            Err(ElasticError::Forbidden { index, .. }) => format!("403 {index}"),
            Err(error) => error.status().as_u16().to_string(),
        };
        for (patterns, names, expected) in [
            (&[][..], "_all", "a-2026.01.27 a-2026.01.28 b-2026.01.27"),
            (&[], "b,a-2026.01.27", "a-2026.01.27 b-2026.01.27"),
            (&[], "*,-b*", "a-2026.01.27 a-2026.01.28"),
            (&[], "c", "404"),
            (&["a-*"], "_all", "a-2026.01.27 a-2026.01.28"),
            (&["a"], "", "a-2026.01.27 a-2026.01.28"),
            (&["a-*"], "a", "a-2026.01.27 a-2026.01.28"),
            (&["a-*"], "*", "a-2026.01.27 a-2026.01.28"),
            (&["a-*"], "b*", ""),
            (&["a-*"], "b", "403 b"),
            (&["a-*"], "a,b-2026.01.27", "403 b-2026.01.27"),
            // Whether there is such an index is none of its business.
            (&["a-*"], "c", "403 c"),
            (&["a-*"], "a-2026.01.29", "404"),
            (&["a-*"], "*,-b-2026.01.27", "a-2026.01.27 a-2026.01.28"),
            (&["a-2026.01.27"], "a", "403 a"),
            (&["a-2026.01.27"], "a*", "a-2026.01.27"),
            (&["c-*"], "_all", ""),
        ] {
            assert_eq!(pick(patterns, names), expected, "{patterns:?} {names}");
        }
    }
}
