//! What a rule is.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::json;
use tollhouse_notify::Severity;
use tollhouse_query::dsl;
use tollhouse_units::format_duration;

use crate::condition::Timing;
use crate::error::WatchError;
use crate::quiet::Quiet;

/// How often is looked whether a budget burns.
const BURN_PACE: Duration = Duration::from_secs(20);

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
    /// How long ago the last one was, in seconds.
    Absence,
    /// Whether the newest one fulfils another query: 1, or 0.
    Latest(String),
    /// How many times faster than it comes in the budget of an objective is used up.
    Burn {
        /// Records that fulfil this query, too, are bad.
        bad: String,
        /// Percent that have to be good.
        goal: f64,
        /// Of so long.
        over: Duration,
    },
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
            Self::Absence => "time without a record".to_owned(),
            Self::Latest(query) => format!("newest record with {query}"),
            Self::Burn { bad, .. } => format!("budget for {bad}"),
        }
    }

    /// A value of it, for people.
    pub fn shown(&self, value: f64) -> String {
        let number = if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") };
        match self {
            Self::Ratio(_) => format!("{number}%"),
            Self::Burn { .. } => format!("{number}×"),
            Self::Absence => format_duration(Duration::from_secs(value.max(0.0) as u64)),
            Self::Latest(_) => if value >= 1.0 { "yes" } else { "no" }.to_owned(),
            Self::Count | Self::Sum(_) | Self::Average(_) | Self::Percentile { .. } => number,
        }
    }

    /// Another query in it.
    pub fn query(&self) -> Option<&str> {
        match self {
            Self::Ratio(query) | Self::Latest(query) | Self::Burn { bad: query, .. } => Some(query),
            Self::Count | Self::Sum(_) | Self::Average(_) | Self::Percentile { .. } | Self::Absence => None,
        }
    }

    /// Whether it is one of all records of a time, so that there is one of each hour, too.
    fn is_of_a_time(&self) -> bool {
        !matches!(self, Self::Absence | Self::Latest(_))
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

impl Limit {
    /// The number.
    pub fn value(self) -> f64 {
        self.value
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign =
            Self::SIGNS.iter().find(|(_, comparison)| *comparison == self.comparison).map_or("", |(sign, _)| sign);
        write!(f, "{sign} {}", self.value)
    }
}

/// Who else is told, and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Escalate {
    /// When nobody has acknowledged it for so long.
    pub after: Duration,
    /// The channels.
    pub notify: Vec<String>,
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
    /// When that is one to tell of; with a baseline, the deviation from what is usual, in percent.
    pub limit: Limit,
    /// So far back is looked for what is usual at this hour; without it, the value itself is compared.
    pub baseline: Option<Duration>,
    /// Whose hours and days those are.
    pub zone: TimeZone,
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
    /// Rules while one of which fires nothing is told of this one.
    pub needs: Vec<String>,
    /// The channels; all when absent.
    pub notify: Option<Vec<String>>,
    /// Who else is told when nobody acknowledges it.
    pub escalate: Option<Escalate>,
    /// So far around the records is looked for what else happened.
    pub around: Option<Duration>,
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
            baseline: None,
            zone: TimeZone::system(),
            samples: 1,
            within: Duration::from_secs(5 * 60),
            group_by: None,
            hold: Duration::ZERO,
            severity: Severity::Warning,
            cooldown: Duration::from_secs(30 * 60),
            resolve: Duration::from_secs(60),
            tells_end: true,
            quiet: None,
            needs: Vec::new(),
            notify: None,
            escalate: None,
            around: None,
            runbook: None,
        }
    }
}

/// Whether a query has an `OR` outside of brackets and quotes.
fn has_or(query: &str) -> bool {
    let (mut depth, mut is_quoted) = (0_i32, false);
    let is_open = |c: char| matches!(c, '(' | '[' | '{');
    for (place, c) in query.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            c if is_open(c) => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ' ' if depth == 0 && (query[place..].starts_with(" OR ") || query[place..].starts_with(" || ")) => {
                return true;
            }
            _ => {}
        }
    }
    false
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
        if let Some(query) = settings.measure.query() {
            check("measure", query)?;
        }
        if settings.baseline.is_some() && !matches!(settings.measure, Measure::Average(_) | Measure::Percentile { .. })
        {
            return Err(WatchError::Baseline(settings.name));
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
        match self.settings.measure {
            Measure::Count => self.settings.limit.is_met(0.0),
            Measure::Absence => true,
            _ => false,
        }
    }

    /// The one kind of records that the rule looks at, where its query begins with that (`kind:request AND …`).
    pub(crate) fn kind(&self) -> Option<&str> {
        let rest = self.settings.query.strip_prefix("kind:")?;
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (kind, rest) = rest.split_at(end);
        let is_all = rest.is_empty() || (rest.starts_with(" AND ") && !has_or(rest));
        (is_all && !kind.is_empty()).then_some(kind)
    }

    /// Whether only a new record can make it an alert: what leaves the time that is looked at cannot.
    pub(crate) fn grows(&self) -> bool {
        let is_grown = matches!(self.settings.measure, Measure::Count | Measure::Latest(_));
        is_grown && matches!(self.settings.limit.comparison, Comparison::AtLeast | Comparison::Above)
    }

    /// Whether its values can be drawn over time.
    pub(crate) fn has_chart(&self) -> bool {
        self.settings.measure.is_of_a_time()
    }

    /// So long a look at the rule can wait for the next one: what looks back over days need not be asked every second.
    pub(crate) fn pace(&self) -> Duration {
        match self.settings.measure {
            Measure::Burn { .. } => BURN_PACE,
            _ => Duration::ZERO,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_rules_records_is_known_where_its_query_says_so() {
        for (query, kind) in [
            ("kind:request", Some("request")),
            ("kind:dead_letter", Some("dead_letter")),
            ("kind:request AND NOT origin:(probe OR replay OR task)", Some("request")),
            ("kind:log AND msg:(a OR \"b OR c\")", Some("log")),
            ("kind:log AND msg:a OR kind:request", None),
            ("kind:log OR kind:request", None),
            ("kind:(log OR request)", None),
            ("kind:l*", None),
            ("duration_ms:>5000", None),
            ("*", None),
        ] {
            let rule = Rule::new(RuleSettings { query: query.into(), ..RuleSettings::new("r") }).unwrap();
            assert_eq!(rule.kind(), kind, "{query}");
        }
    }
}
