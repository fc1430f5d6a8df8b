//! What a metric is: its name, kind, unit, meaning and labels.

/// How a figure behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It only grows, and begins anew when the house starts. Its name ends in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often a value was at most so large, and the sum of all.
    Histogram,
}

impl Kind {
    /// The word that all formats have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric of the house.
#[derive(Debug, Eq, PartialEq)]
pub struct Metric {
    /// Its name as Prometheus has it; `_bucket`, `_sum` and `_count` are added to that of a histogram.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The unit by the code that OpenTelemetry uses (UCUM): `s`, `By`, `{token}`, `1`, …
    pub unit: &'static str,
    /// What it means, in one sentence.
    pub help: &'static str,
    /// Names of its labels; each value of it has all of them.
    pub labels: &'static [&'static str],
}

impl Metric {
    /// The name of the family in OpenMetrics: that of a counter has no `_total`.
    pub fn family(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }

    /// The unit as OpenMetrics wants it: a word at the end of the family's name.
    pub(crate) fn unit_word(&self) -> Option<&'static str> {
        let word = match self.unit {
            "s" => "seconds",
            "By" => "bytes",
            "{token}" => "tokens",
            _ => return None,
        };
        self.family().strip_suffix(word).is_some_and(|rest| rest.ends_with('_')).then_some(word)
    }
}
