//! What messages say, by codes that do not change and figures: pages make words of them in their readers' languages.

use std::time::Duration;

use serde_json::{Value, json};
use tollhouse_notify::Told;

use crate::round::Change;
use crate::rule::{Measure, Rule};
use crate::telling::{Beside, named, of_group};

fn told(code: &str, figures: Value) -> Told {
    let Value::Object(figures) = figures else { unreachable!("figures are an object") };
    Told { code: code.to_owned(), figures }
}

/// That groups of a rule fire.
pub(crate) fn firing(rule: &Rule, changes: &[Change], beside: &Beside) -> Vec<Told> {
    let settings = rule.settings();
    let (name, measured) = (rule.name(), settings.measure.named());
    let within_s = settings.within.as_secs();
    match changes {
        [one] if matches!(settings.measure, Measure::Latest(_)) => {
            let what = match &beside.newest {
                Some(newest) if newest.said.is_empty() => vec![told("words", json!({"error": newest.words}))],
                Some(newest) => newest.said.clone(),
                None => vec![told("condition_latest", json!({"measured": measured}))],
            };
            let head = told("fires_newest", json!({"rule": name, "group": of_group(one)}));
            [head].into_iter().chain(what).collect()
        }
        [Change { value: Some(rate), window: Some(window), .. }] => {
            let (rate, window_s) = (settings.measure.shown(*rate), window.as_secs());
            let figures = json!({"rule": name, "group": of_group(&changes[0]), "rate": rate, "window_s": window_s});
            let left = beside.left.map(|left| told("budget_left", json!({"left_percent": left * 100.0})));
            [told("fires_budget", figures)].into_iter().chain(left).collect()
        }
        [one] => {
            let value = one.value.map_or_else(|| "-".to_owned(), |value| settings.measure.shown(value));
            let usual = one.usual.map(|usual| settings.measure.shown(usual));
            let code = if usual.is_some() { "fires_unusual" } else { "fires" };
            let mut figures = json!({
                "rule": name, "group": of_group(one), "measured": measured, "value": value, "within_s": within_s,
            });
            if let Some(usual) = usual {
                figures["usual"] = usual.into();
            }
            vec![told(code, figures)]
        }
        many => vec![told("fires_many", json!({"rule": name, "measured": measured, "groups": named(many)}))],
    }
}

/// What is too much, for which records, and what is not told meanwhile.
pub(crate) fn condition(rule: &Rule, holds: &[String]) -> Vec<Told> {
    let settings = rule.settings();
    let (measured, limit) = (settings.measure.named(), settings.limit.to_string());
    let seconds = |time: Duration| time.as_secs();
    let mut all = vec![match (&settings.measure, settings.baseline) {
        (Measure::Burn { bad, goal, over }, _) => {
            told("condition_budget", json!({"allowed_percent": 100.0 - goal, "over_s": seconds(*over), "bad": bad}))
        }
        (_, Some(baseline)) => {
            let figures = json!({"measured": measured, "limit": format!("{limit}%"), "usual_s": seconds(baseline)});
            told("condition_unusual", figures)
        }
        (Measure::Latest(_), None) => told("condition_latest", json!({"measured": measured})),
        (Measure::Absence, None) => {
            let limit = format!("> {}", settings.measure.shown(settings.limit.value()));
            told("condition", json!({"measured": measured, "limit": limit}))
        }
        (Measure::Ratio(_), None) => told("condition", json!({"measured": measured, "limit": format!("{limit}%")})),
        (_, None) => told("condition", json!({"measured": measured, "limit": limit})),
    }];
    if !matches!(settings.measure, Measure::Burn { .. }) {
        all.push(told("within", json!({"within_s": seconds(settings.within)})));
    }
    all.push(told("of_records", json!({"query": settings.query})));
    all.extend((!holds.is_empty()).then(|| told("holds", json!({"rules": holds.join(", ")}))));
    all
}
