//! The seasonal model: MSTL for a day and a week, ETS for the trend.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::mstl::stlrs::{MstlParams, StlParams};
use augurs::prelude::*;

use crate::{DAY, WEEK};

/// Days and weeks over which each hour of the season is averaged: long ones, for single weeks are noisy.
const SMOOTHED: [usize; 2] = [61, 31];

/// On what the model works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scale {
    /// The values: seasons add.
    Plain,
    /// Their logarithms: seasons multiply.
    Log,
}

impl Scale {
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Log];

    fn scaled(self, value: f64) -> f64 {
        match self {
            Self::Plain => value,
            Self::Log => value.max(0.0).ln_1p(),
        }
    }

    fn unscaled(self, number: f64) -> f64 {
        match self {
            Self::Plain => number,
            // What grows beyond all measure is no forecast.
            Self::Log => number.min(50.0).exp_m1(),
        }
    }
}

/// What the model tells of the next hours; none where it finds no fit.
pub(crate) fn predicted(values: &[f64], horizon: usize, scale: Scale) -> Option<Vec<f64>> {
    let numbers: Vec<f64> = values.iter().map(|value| scale.scaled(*value)).collect();
    let mut params = MstlParams::new();
    params.seasonal_lengths(&SMOOTHED).stl_params(StlParams::new().seasonal_degree(0).clone());
    let trend = AutoETS::non_seasonal().into_trend_model();
    let model = MSTLModel::new(vec![DAY, WEEK], trend).mstl_params(params);
    let fitted = model.fit(&numbers).ok()?;
    let told = fitted.predict(horizon, None).ok()?;
    let values: Vec<f64> = told.point.into_iter().map(|number| scale.unscaled(number).max(0.0)).collect();
    values.iter().all(|value| value.is_finite()).then_some(values)
}
