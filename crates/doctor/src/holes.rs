//! Holes that are publicly known, by program and version: `data/known_holes.tsv`.

const TABLE: &str = include_str!("data/known_holes.tsv");

/// A known hole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Hole {
    /// Its number in public lists.
    pub(crate) id: &'static str,
    /// The first version without it.
    pub(crate) fixed: &'static str,
    /// What it lets somebody do.
    pub(crate) what: &'static str,
}

/// The known holes of a version. A version that cannot be read has none that we know, as has one of `0.0.0`, which is what an
/// Ollama says that was built by hand.
pub(crate) fn of(program: &str, version: &str) -> Vec<Hole> {
    let Some(version) = numbers(version).filter(|version| version.iter().any(|number| *number > 0)) else {
        return Vec::new();
    };
    let rows = TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut cells = line.split('\t');
        let (id, of, fixed, what) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        (of == program).then_some(Hole { id, fixed, what })
    });
    rows.filter(|hole| numbers(hole.fixed).is_some_and(|fixed| version < fixed)).collect()
}

/// The first version without any of them.
pub(crate) fn fixed_in(holes: &[Hole]) -> &'static str {
    holes.iter().map(|hole| hole.fixed).max_by_key(|fixed| numbers(fixed)).unwrap_or_default()
}

/// `1.2.3-rc1` as numbers; what follows them does not count.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let version = version.trim().trim_start_matches('v');
    let plain = version.split(['-', '+', ' ']).next()?;
    let mut numbers = plain.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>()?;
    // 0.5 is 0.5.0.
    numbers.resize(numbers.len().max(3), 0);
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, count) in [
            ("0.1.28", 8),
            ("0.1.33", 7),
            ("0.9.10", 2),
            ("0.14.3", 1),
            ("v0.17.0-rc2", 1),
            ("0.17.1", 0),
            ("0.17.4", 0),
            ("1.0", 0),
            ("0.0.0", 0),
            ("unknown", 0),
            ("", 0),
        ] {
            assert_eq!(of("ollama", version).len(), count, "{version}");
        }
        assert_eq!(fixed_in(&of("ollama", "0.9.6")), "0.17.1");
        assert_eq!(of("openclaw", "2026.1.27")[0].id, "CVE-2026-25253");
    }

    #[test]
    fn every_row_is_whole() {
        let rows: Vec<&str> = TABLE.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(!rows.is_empty());
        for row in rows {
            let cells: Vec<&str> = row.split('\t').collect();
            assert!(cells.len() == 4 && numbers(cells[2]).is_some(), "{row}");
        }
    }
}
