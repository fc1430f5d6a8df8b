//! How likely it is that so many of some tries go wrong by chance.

/// The natural logarithm of `n!`.
fn ln_factorial(n: u64) -> f64 {
    if n < 20 {
        return (2..=n).map(|factor| (factor as f64).ln()).sum();
    }
    // Stirling's series: ten digits from here on.
    let n = n as f64;
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3))
}

/// The probability that exactly `bad` of `all` are bad when each is with probability `p`, between 0 and 1.
fn exactly(all: u64, bad: u64, p: f64) -> f64 {
    let ways = ln_factorial(all) - ln_factorial(bad) - ln_factorial(all - bad);
    (ways + bad as f64 * p.ln() + (all - bad) as f64 * (-p).ln_1p()).exp()
}

/// The probability that `bad` or more of `all` are bad when each is with probability `p`.
pub(crate) fn at_least(all: u64, bad: u64, p: f64) -> f64 {
    if bad == 0 || p >= 1.0 {
        return 1.0;
    }
    if bad > all || p <= 0.0 {
        return 0.0;
    }
    let odds = p / (1.0 - p);
    // Away from the middle each term is smaller than the one before: few of them count.
    if bad as f64 > all as f64 * p {
        let up = |bad: u64| (all - bad) as f64 / (bad + 1) as f64 * odds;
        sum(exactly(all, bad, p), bad, |bad| (bad < all).then(|| (bad + 1, up(bad))))
    } else {
        let down = |bad: u64| bad as f64 / (all - bad + 1) as f64 / odds;
        1.0 - sum(exactly(all, bad - 1, p), bad - 1, |bad| bad.checked_sub(1).map(|less| (less, down(bad))))
    }
}

/// The probability that `bad` or fewer of `all` are bad when each is with probability `p`.
pub(crate) fn at_most(all: u64, bad: u64, p: f64) -> f64 {
    1.0 - at_least(all, bad + 1, p)
}

/// Adds up terms from the first one on, each a multiple of the one before, until they no longer count.
fn sum(first: f64, mut at: u64, next: impl Fn(u64) -> Option<(u64, f64)>) -> f64 {
    let (mut total, mut term) = (first, first);
    while let Some((place, factor)) = next(at) {
        term *= factor;
        total += term;
        if term <= total * 1e-12 {
            break;
        }
        at = place;
    }
    total.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_those_of_the_binomial_distribution() {
        // By Python's `fractions`, exactly.
        for (all, bad, p, expected) in [
            (3, 3, 0.072, 0.000_373_248),
            (10, 3, 0.072, 0.030_509_7),
            (150, 3, 0.005, 0.040_088_8),
            (150, 4, 0.005, 0.007_105_7),
            (10, 0, 0.5, 1.0),
            (10, 11, 0.5, 0.0),
            (10, 5, 0.5, 0.623_046_875),
            (1_000, 40, 0.05, 0.940_185_1),
        ] {
            let chance = at_least(all, bad, p);
            assert!((chance - expected).abs() < 2e-5, "{bad} of {all} at {p}: {chance}, not {expected}");
        }
        assert!((at_most(2, 0, 0.8) - 0.04).abs() < 1e-9);
        // Large numbers end soon, and tell the same as the normal distribution: three deviations.
        let chance = at_least(10_000_000, 50_689, 0.005);
        assert!((0.000_8..0.001_2).contains(&chance), "{chance}");
    }
}
