//! Names of indices that are written to: which service and which day they mean.

use jiff::civil::Date;
use jiff::{Timestamp, tz};

use crate::error::ElasticError;

/// Longest name; with the date behind it, it is that of a folder.
const NAME_BYTES_MAX: usize = 200;

/// What a name means: `<service>-2026.01.27` a day of a service, any other name a service, whose days are chosen by the
/// documents' times.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) service: String,
    pub(crate) date: Option<Date>,
}

impl Target {
    /// Reads a name; those that no index can have are refused in Elasticsearch's words.
    pub(crate) fn parse(name: &str) -> Result<Self, ElasticError> {
        let wrong = |why| ElasticError::IndexName { index: name.to_owned(), why };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(wrong("must have between 1 and 200 bytes"));
        }
        if name.starts_with(['_', '-', '+', '.']) {
            return Err(wrong("must not start with '_', '-', '+' or '.'"));
        }
        if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':'])
            || name.contains(char::is_control)
        {
            return Err(wrong(
                "must not contain the following characters ['\\','/','*','?','\"','<','>','|',' ',',','#',':']",
            ));
        }
        if name.chars().any(char::is_uppercase) {
            return Err(wrong("must be lowercase"));
        }
        let dated = name.rsplit_once('-').and_then(|(service, date)| {
            let is_service = !service.is_empty() && date.len() == "2026.01.27".len();
            is_service.then(|| Some((service, Date::strptime("%Y.%m.%d", date).ok()?)))?
        });
        Ok(match dated {
            Some((service, date)) => Self { service: service.to_owned(), date: Some(date) },
            None => Self { service: name.to_owned(), date: None },
        })
    }

    /// The day that a document of this time belongs to.
    pub(crate) fn day(&self, time_ms: i64) -> Date {
        self.date.unwrap_or_else(|| {
            let time = Timestamp::from_millisecond(time_ms).unwrap_or_default();
            tz::TimeZone::UTC.to_datetime(time).date()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn names_mean_services_and_days() {
        for (name, service, day) in [
            ("clawdbot-qwen3-2026.01.27", "clawdbot-qwen3", Some(date(2026, 1, 27))),
            ("logs", "logs", None),
            ("filebeat-8.17.0", "filebeat-8.17.0", None),
            ("logs-2026.13.27", "logs-2026.13.27", None),
            ("2026.01.27", "2026.01.27", None),
            ("logs-2026-01-27", "logs-2026-01-27", None),
        ] {
            assert_eq!(Target::parse(name).unwrap(), Target { service: service.to_owned(), date: day }, "{name}");
        }
        for wrong in ["", "_all", "-a", ".kibana", "A", "a*", "a,b", "a b", "a/b", "a:b", "a\n", &"a".repeat(201)] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Target::parse("logs").unwrap().day(1_769_509_230_456), date(2026, 1, 27));
    }
}
