//! What a rule is.

use std::fmt;
use std::time::Duration;

use serde_json::json;
use tollhouse_notify::Severity;
use tollhouse_query::dsl;

use crate::condition::Timing;
use crate::error::WatchError;
use crate::quiet::Quiet;

/// What is measured of the records of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// How many there are.
    Count,
    /// The sum of a field.
    Sum(String),
    /// The mean of a field.
    Average(String),
    /// A percentile of a field.
    Percentile {
        /// The field.
        field: String,
        /// Which one, such as 95.
        percent: f64,
    },
    /// Which share of them fulfils another query, in percent.
    Ratio(String),
}

impl Measure {
    /// What it measures, for people.
    pub fn named(&self) -> String {
        match self {
            Self::Count => "records".to_owned(),
            Self::Sum(field) => format!("sum of {field}"),
            Self::Average(field) => format!("average of {field}"),
            Self::Percentile { field, percent } => format!("{percent}th percentile of {field}"),
            Self::Ratio(query) => format!("share of {query}"),
        }
    }

    /// A value of it, for people.
    pub fn shown(&self, value: f64) -> String {
        let number = if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") };
        if matches!(self, Self::Ratio(_)) { format!("{number}%") } else { number }
    }
}

/// When a value is one to tell of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    comparison: Comparison,
    value: f64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comparison {
    AtLeast,
    Above,
    AtMost,
    Below,
    Equal,
}

impl Limit {
    /// Signs, the longer ones first.
    const SIGNS: [(&'static str, Comparison); 5] = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::Above),
        ("<", Comparison::Below),
        ("=", Comparison::Equal),
    ];

    /// Reads `>= 5`, `> 20%`, `< 1`, `= 0`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = "a comparison such as `>= 5`";
        let text = text.trim();
        let found = Self::SIGNS.iter().find_map(|(sign, comparison)| Some((text.strip_prefix(sign)?, *comparison)));
        let (number, comparison) =
            found.ok_or_else(|| format!("it does not begin with >=, >, <=, < or =: {expected}"))?;
        let number = number.trim().trim_end_matches('%').trim_end();
        match number.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Self { comparison, value }),
            _ => Err(format!("no number stands behind its sign: {expected}")),
        }
    }

    /// Whether a value is one to tell of.
    pub fn is_met(self, value: f64) -> bool {
        match self.comparison {
            Comparison::AtLeast => value >= self.value,
            Comparison::Above => value > self.value,
            Comparison::AtMost => value <= self.value,
            Comparison::Below => value < self.value,
            Comparison::Equal => value == self.value,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign =
            Self::SIGNS.iter().find(|(_, comparison)| *comparison == self.comparison).map_or("", |(sign, _)| sign);
        write!(f, "{sign} {}", self.value)
    }
}

/// What makes a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSettings {
    /// Its name.
    pub name: String,
    /// Which records, in Lucene syntax.
    pub query: String,
    /// What is measured of them.
    pub measure: Measure,
    /// When that is one to tell of.
    pub limit: Limit,
    /// Of fewer records nothing is concluded; not for counts.
    pub samples: u64,
    /// How far back is looked.
    pub within: Duration,
    /// Each value of this field by itself.
    pub group_by: Option<String>,
    /// So long it must have been so before it is an alert.
    pub hold: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// So long the next alert of the same group is not told after one was.
    pub cooldown: Duration,
    /// So long it must have been otherwise before it is over; when that is not to be told, see [`Self::tells_end`].
    pub resolve: Duration,
    /// Whether the end is told.
    pub tells_end: bool,
    /// When nothing is told.
    pub quiet: Option<Quiet>,
    /// The channels; all when absent.
    pub notify: Option<Vec<String>>,
    /// What to do.
    pub runbook: Option<String>,
}

impl RuleSettings {
    /// Settings of this name with the defaults, about no record yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            query: "*".to_owned(),
            measure: Measure::Count,
            limit: Limit { comparison: Comparison::AtLeast, value: 1.0 },
            samples: 1,
            within: Duration::from_secs(5 * 60),
            group_by: None,
            hold: Duration::ZERO,
            severity: Severity::Warning,
            cooldown: Duration::from_secs(30 * 60),
            resolve: Duration::from_secs(60),
            tells_end: true,
            quiet: None,
            notify: None,
            runbook: None,
        }
    }
}

/// A rule whose queries can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    settings: RuleSettings,
}

impl Rule {
    /// Checks the queries.
    pub fn new(settings: RuleSettings) -> Result<Self, WatchError> {
        let check = |which, query: &str| {
            let body = json!({"query_string": {"query": query}});
            dsl::parse_query(&body).map(|_| ()).map_err(|error| WatchError::Query {
                rule: settings.name.clone(),
                which,
                why: error.to_string(),
            })
        };
        check("query", &settings.query)?;
        if let Measure::Ratio(query) = &settings.measure {
            check("ratio", query)?;
        }
        Ok(Self { settings })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What makes it.
    pub fn settings(&self) -> &RuleSettings {
        &self.settings
    }

    /// Its times, as the state machine wants them.
    pub fn timing(&self) -> Timing {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let settings = &self.settings;
        Timing { hold_ms: ms(settings.hold), cooldown_ms: ms(settings.cooldown), resolve_ms: ms(settings.resolve) }
    }

    /// Whether time alone can make it an alert: too few records come.
    pub fn is_timed(&self) -> bool {
        matches!(self.settings.measure, Measure::Count) && self.settings.limit.is_met(0.0)
    }

    /// How far back is looked, in milliseconds.
    pub fn within_ms(&self) -> i64 {
        i64::try_from(self.settings.within.as_millis()).unwrap_or(i64::MAX)
    }

    /// Whether nothing is told at this moment.
    pub fn is_quiet(&self, now_ms: i64) -> bool {
        self.settings.quiet.as_ref().is_some_and(|quiet| quiet.covers(now_ms))
    }
}
