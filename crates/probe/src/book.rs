//! Where findings go, and as what.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::finding::{Finding, Kind};
use crate::model::Boxed;
use crate::said::said_json;

/// Where findings go.
pub trait Book: fmt::Debug + Send + Sync {
    /// One record each, in their order.
    fn tell<'a>(&'a self, reports: &'a [Report]) -> Boxed<'a, ()>;

    /// A sample of resources.
    fn sample<'a>(&'a self, fields: &'a Map<String, Value>) -> Boxed<'a, ()>;

    /// What is to be there at the next run, by the id of the probe.
    fn keep<'a>(&'a self, id: &'a str, body: &'a Value) -> Boxed<'a, ()>;

    /// What was kept for a probe; others may have changed it since.
    fn kept<'a>(&'a self, id: &'a str) -> Boxed<'a, Option<Value>>;
}

/// What a probe found, as a record tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The probe's name.
    pub probe: String,
    /// Its kind.
    pub kind: Kind,
    /// What was found.
    pub finding: Finding,
    /// How long the run took, in ms.
    pub duration_ms: f64,
}

impl Report {
    /// The fields of the record.
    pub fn fields(&self) -> Map<String, Value> {
        let fields = json!({
            "probe": self.probe,
            "probe_kind": self.kind.as_str(),
            "layer": self.kind.layer().as_str(),
            "outcome": self.finding.outcome.as_str(),
            "found": self.finding.found(),
            "said": said_json(&self.finding.said),
            "duration_ms": self.duration_ms,
        });
        let Value::Object(mut fields) = fields else { return Map::new() };
        fields.extend(self.finding.fields.clone());
        fields
    }

    /// One sentence with the probe's name.
    pub fn sentence(&self) -> String {
        format!("{}: {}", self.probe, self.finding.found())
    }
}
