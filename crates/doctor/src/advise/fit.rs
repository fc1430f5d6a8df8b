//! Lines through points and shares of counts, each with an interval.

/// Points of which a line is made; more are thinned out evenly.
const POINTS_MAX: usize = 500;
/// Fewer points make no line.
pub(super) const POINTS_MIN: usize = 20;
/// Of a normal distribution, 95 % lie within so many deviations.
const Z: f64 = 1.96;

/// A line through points, which outliers do not bend: Theil–Sen, with Sen's interval (Sen 1968).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// How much y grows with each x.
    pub slope: f64,
    /// 95 % sure it is not less than this,
    pub low: f64,
    /// and not more than this.
    pub high: f64,
    /// y where x is 0.
    pub offset: f64,
    /// Points that it is made of.
    pub points: usize,
}

impl Line {
    /// Through these points; nothing of too few, or of one x only.
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let step = points.len().div_ceil(POINTS_MAX).max(1);
        let points: Vec<(f64, f64)> = points.iter().copied().step_by(step).collect();
        let count = points.len();
        if count < POINTS_MIN {
            return None;
        }
        let mut slopes = Vec::with_capacity(count * (count - 1) / 2);
        for (number, (x, y)) in points.iter().enumerate() {
            slopes.extend(
                points[number + 1..].iter().filter(|(other, _)| other != x).map(|(x2, y2)| (y2 - y) / (x2 - x)),
            );
        }
        if slopes.len() < count {
            return None;
        }
        slopes.sort_by(f64::total_cmp);
        let n = count as f64;
        let spread = Z * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
        let pairs = slopes.len() as f64;
        let at = |place: f64| slopes[(place.max(0.0) as usize).min(slopes.len() - 1)];
        let slope = at(pairs / 2.0);
        let mut offsets: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
        let offset = super::row::quantile(&mut offsets, 0.5)?;
        Some(Self {
            slope,
            low: at((pairs - spread) / 2.0),
            high: at(f64::midpoint(pairs, spread)),
            offset,
            points: count,
        })
    }
}

/// A share of a count, with its interval (Wilson 1927).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The share that was seen, from 0 to 1.
    pub share: f64,
    /// 95 % sure it is not less than this,
    pub low: f64,
    /// and not more than this.
    pub high: f64,
}

impl Share {
    /// So many of so many.
    pub fn of(count: usize, all: usize) -> Self {
        let n = all.max(1) as f64;
        let share = count as f64 / n;
        let z2 = Z * Z;
        let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
        Self { share, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
    }

    /// In percent: the share, and its interval.
    pub fn percent(&self) -> (f64, f64, f64) {
        (self.share * 100.0, self.low * 100.0, self.high * 100.0)
    }
}
