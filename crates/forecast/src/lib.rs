//! Forecasts of seasonal series, and how good they are.
//!
//! [`forecast()`] takes the values of past hours and tells those of the hours to come, each with an interval, or says why it
//! had better be silent. The series is taken apart into a day's and a week's season and a trend (MSTL), and the trend goes on by
//! exponential smoothing (ETS), both by the crate `augurs`; of the plain values and their logarithms it takes what was better.
//!
//! How good that is was tried on the last days: as if each of them were still to come, once by the model and once by
//! saying that it will be as a week before. [`Error`] tells both. A model that was not better than that is not told; and
//! the intervals are those within which the truth of those days lay, each day as seen from the others, not those that a model believes
//! of itself.
//!
//! It is pure: no clock, no file, no search. It knows nothing of what the values are.
//!
//! ```
//! use tollhouse_forecast::{DAY, Outcome, forecast};
//!
//! // Three days say nothing yet.
//! let outcome = forecast(&vec![10.0; 3 * DAY], DAY, 0.9);
//! assert!(matches!(outcome, Outcome::Silent { .. }));
//! ```

mod model;
#[cfg(test)]
mod tests;

use model::{Scale, predicted};

/// Hours of a day.
pub const DAY: usize = 24;
/// Hours of a week.
pub const WEEK: usize = 7 * DAY;
/// Of fewer hours nothing is said: two weeks for the seasons, and three days to try them on.
pub const HOURS_MIN: usize = 2 * WEEK + 3 * DAY;
/// More hours are not looked at: what was longer ago tells little.
pub const HOURS_MAX: usize = 8 * WEEK;
/// Days that a model is tried on.
const TRIED_DAYS_MAX: usize = 7;
/// By so much intervals are widened until they hold what they are to hold.
const LEVEL_STEP: f64 = 0.005;
/// So much better than saying that it will be as a week before a model has to be.
const BETTER_MIN: f64 = 0.98;

/// What is to be expected of one hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Most likely about this.
    pub value: f64,
    /// Hardly less.
    pub low: f64,
    /// Hardly more.
    pub high: f64,
}

/// How far off a model was on days that it did not know: the mean absolute error, as a share of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Error {
    /// The model.
    pub model: f64,
    /// Saying that it will be as a week before.
    pub naive: f64,
    /// Over so many hours.
    pub hours: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// What is to be expected.
    Told {
        /// Of each hour to come.
        hours: Vec<Expected>,
        /// How good that was until now.
        error: Error,
    },
    /// Nothing that is worth telling.
    Silent {
        /// Why.
        why: Silence,
        /// How good it was, where it could be tried.
        error: Option<Error>,
    },
}

/// Why nothing is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Silence {
    /// There are too few hours.
    #[error("too little is known: {known} of {wanted} days")]
    TooShort {
        /// So many days there are.
        known: usize,
        /// So many there have to be.
        wanted: usize,
    },
    /// Next to nothing ever was.
    #[error("there was next to nothing to learn from")]
    Empty,
    /// Saying that it will be as a week before is as good.
    #[error("the same hour of last week tells as much")]
    NotBetter,
    /// The model did not find a way.
    #[error("no season could be fitted")]
    NoFit,
}

/// What is to be expected of the next `horizon` hours, from the values of past hours, oldest first and without a gap (an hour
/// without anything is a zero). `level` is the share of the truth that the intervals are to hold, such as 0.9.
pub fn forecast(values: &[f64], horizon: usize, level: f64) -> Outcome {
    let silent = |why, error| Outcome::Silent { why, error };
    if values.len() < HOURS_MIN {
        return silent(Silence::TooShort { known: values.len() / DAY, wanted: HOURS_MIN / DAY }, None);
    }
    let values = &values[values.len().saturating_sub(HOURS_MAX)..];
    if values.iter().filter(|value| **value > 0.0).count() < WEEK / 2 || values.iter().any(|value| !value.is_finite()) {
        return silent(Silence::Empty, None);
    }
    let trials: Vec<Trial> = Scale::ALL.into_iter().filter_map(|scale| Trial::of(values, scale)).collect();
    let Some(best) = trials.into_iter().min_by(|a, b| a.error.model.total_cmp(&b.error.model)) else {
        return silent(Silence::NoFit, None);
    };
    if best.error.model > best.error.naive * BETTER_MIN {
        return silent(Silence::NotBetter, Some(best.error));
    }
    match predicted(values, horizon, best.scale) {
        Some(points) => {
            let share = best.calibrated(level);
            let hours = points.into_iter().map(|value| best.expected(value, share)).collect();
            Outcome::Told { hours, error: best.error }
        }
        None => silent(Silence::NoFit, Some(best.error)),
    }
}

/// A model tried on days that it did not know.
struct Trial {
    scale: Scale,
    error: Error,
    /// How far the truth was from what was told, in units of [`unit`], sorted.
    misses: Vec<f64>,
    /// The same by day, not sorted.
    days: Vec<Vec<f64>>,
}

impl Trial {
    fn of(values: &[f64], scale: Scale) -> Option<Self> {
        let days = ((values.len() - 2 * WEEK) / DAY).min(TRIED_DAYS_MAX);
        let (mut model, mut naive, mut total) = (0.0, 0.0, 0.0);
        let mut missed = Vec::with_capacity(days);
        for day in (1..=days).rev() {
            let (known, truth) = values.split_at(values.len() - day * DAY);
            let week_before = &known[known.len() - WEEK..];
            let mut misses = Vec::with_capacity(DAY);
            for ((told, truth), before) in predicted(known, DAY, scale)?.into_iter().zip(truth).zip(week_before) {
                model += (told - truth).abs();
                naive += (before - truth).abs();
                total += truth;
                misses.push((truth - told) / unit(told));
            }
            missed.push(misses);
        }
        if total <= 0.0 {
            return None;
        }
        let misses = sorted(missed.iter().flatten());
        let error = Error { model: model / total, naive: naive / total, hours: misses.len() };
        Some(Self { scale, error, misses, days: missed })
    }

    /// With an interval of this share of the misses.
    fn expected(&self, value: f64, share: f64) -> Expected {
        let (low, high) = span(&self.misses, share);
        let at = |miss: f64| (value + miss * unit(value)).max(0.0);
        Expected { value, low: at(low).min(value), high: at(high).max(value) }
    }

    /// The share that intervals have to say they hold so that they hold `level`: hours of a day miss together, so that the
    /// days that are known tell too little of the next one. Each of them is taken as not known in turn (cross-conformal): the
    /// smallest share of the others' misses within which `level` of its own lie, where one more hour counts as missed: that
    /// which is to come (the correction of conformal prediction for few misses, Vovk et al. 2005).
    fn calibrated(&self, level: f64) -> f64 {
        let others: Vec<Vec<f64>> = (0..self.days.len()).map(|day| sorted(self.days_but(day).flatten())).collect();
        let holds = |share: f64| {
            let within = |(day, misses): (usize, &Vec<f64>)| {
                let (low, high) = span(&others[day], share);
                misses.iter().filter(|miss| (low..=high).contains(*miss)).count()
            };
            let held: usize = self.days.iter().enumerate().map(within).sum();
            held as f64 >= level * (self.misses.len() + 1) as f64
        };
        let mut share = level.clamp(0.0, 1.0);
        while share < 1.0 && !holds(share) {
            share = (share + LEVEL_STEP).min(1.0);
        }
        share
    }

    fn days_but(&self, day: usize) -> impl Iterator<Item = &Vec<f64>> {
        self.days.iter().enumerate().filter(move |(other, _)| *other != day).map(|(_, misses)| misses)
    }
}

fn sorted<'m>(misses: impl Iterator<Item = &'m f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = misses.copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// From where to where this share of sorted misses lies; as many are below it as above.
fn span(misses: &[f64], share: f64) -> (f64, f64) {
    let Some(last) = misses.len().checked_sub(1) else { return (0.0, 0.0) };
    let beyond = (1.0 - share.clamp(0.0, 1.0)) / 2.0;
    // Outwards: of few days the interval is rather too wide.
    let low = (beyond * last as f64).floor() as usize;
    (misses[low], misses[last - low])
}

/// What misses are measured by: counts scatter with their root.
fn unit(value: f64) -> f64 {
    value.max(1.0).sqrt()
}
